"""Create a resource unless it exists, and never create it twice.

Pure: the generators yield calls and waits, and receive the results of the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeVar

import attrs

from .._evidence import Attempt
from .._policy.steps import Environment, Wait
from .._requests import operations
from .._requests.calls import Call
from .._requests.operations import Parent
from ..config import Settings
from ..errors import AlreadyExists, ConflictingCharge, NotFound, OutcomeUnknown, Unprocessable, ValidationFailed
from ..models import CONTENT, Charge, LookUpResult, LostCreation, Outcome, RecurringProduct, given
from .look_up import Steps, held_charges, look_up, plain
from .memory import Memory

T = TypeVar("T")
_GIVEN = tuple(name for name in CONTENT if name != "end_date")
ROUNDS = 3  # how often a creation is sent at most, if each one before provably took no effect
# Seconds between two look-ups of a creation that does not show yet.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0


def ensure(create: Call[T], read: Call[T]) -> Steps[T]:
    """Create a customer or a subscription, or read it when it exists.

    Repeating the creation is harmless, because the server rejects a second one of the same number. After a lost
    response `ensure` therefore reads the resource, and creates it again if it does not exist. A server may say with a
    400 or 422 that the number exists, so a refusal counts only if there is no such resource.
    """
    rounds = 0
    while True:
        rounds += 1
        try:
            created: T = yield create
        except (AlreadyExists, ValidationFailed, Unprocessable, OutcomeUnknown) as error:
            try:
                existing: T = yield read
            except NotFound:
                if isinstance(error, AlreadyExists):
                    raise
                if not isinstance(error, OutcomeUnknown) or rounds == ROUNDS:
                    raise error from None
            else:
                return existing
        else:
            return created


@attrs.frozen
class ChargeEnsurer:
    """Adds a charge if its parent has no equal one.

    Only their content distinguishes two charges. The caller must therefore make sure that no other `ensure` of the same
    parent runs at the same time.

    Attributes:
        settings: the settings of the client, which name the ledger.
        memory: the charges that the client has seen, and its lost creations.
        environment: clocks, and the function for `OutcomeUnknown.look_up`.
        settle: treat a request as finished when this many seconds have passed since it was sent.
        until: when the deadline passes, by `environment.now`.
    """

    settings: Settings
    memory: Memory
    environment: Environment
    settle: float
    until: float

    def steps(self, parent: Parent, charge: Charge) -> Steps[RecurringProduct]:
        """Return the equal charge, or the new one."""
        create = operations.create_charge(parent, charge)  # raises for an invalid charge before the first request
        rounds = 0
        while True:
            held = yield from held_charges(parent, self.settings)
            existing = equal_charge(held, charge)
            if existing is not None:
                return existing
            refuse_conflict(held, charge, datetime.fromtimestamp(self.environment.epoch()).date())
            lost = self._lost(parent, charge)
            own = lost is None
            attempts: tuple[Attempt, ...] = ()
            if lost is None:
                create.known = frozenset(product.id for product in held)
                try:
                    created: RecurringProduct = yield create
                except OutcomeUnknown as error:
                    lost, attempts = error.lost, error.attempts
                    rounds += 1
                else:
                    return created
            else:  # a charge that shows from now on is not older than the lost creation
                self.memory.saw(product.id for product in held)
                self.memory.saw_all(parent.key)
            result = yield from self._resolve(lost)
            if own and isinstance(result.resource, RecurringProduct):
                return result.resource
            if result.outcome is Outcome.UNKNOWN or rounds == ROUNDS:
                raise OutcomeUnknown(
                    f"it is not known whether a creation of this charge took effect: {result.reason}",
                    operation=create.request.operation,
                    attempts=attempts,
                    lost=lost,
                    look_up=self.environment.look_up,
                )

    def _lost(self, parent: Parent, charge: Charge) -> LostCreation | None:
        """Return an earlier lost creation of this client that may have created the charge; None if there is none."""
        for lost in self.memory.lost_charges(parent.key):
            sent = lost.key.charge if lost.key is not None else None
            if sent is None or _may_be_equal(sent, charge):
                return lost
        return None

    def _resolve(self, lost: LostCreation) -> Steps[LookUpResult]:
        """Look up a lost creation until the look-up decides or the deadline would pass."""
        pause = FIRST_PAUSE
        while True:
            now = self.environment.epoch()
            result = yield from look_up(lost, self.settings, self.memory, now, self.settle)
            if result.outcome is not Outcome.UNKNOWN or result.candidates:
                return result
            left = lost.sent_at + self.settle - now
            wait = min(pause, left + 0.01) if left > 0 else pause
            if self.environment.now() + wait >= self.until:
                return result
            yield Wait(wait)
            pause = min(2 * pause, LONGEST_PAUSE)


def equal_charge(held: Iterable[RecurringProduct], charge: Charge) -> RecurringProduct | None:
    """Return the existing charge that equals `charge`, of several the most similar one; None if there is none.

    A value that `charge` leaves out is equal to any existing value, because the server may show the master product's
    value, or the day from which it bills. A missing end date is a value: it means open-ended.
    """
    equal = [product for product in held if product.end_date == charge.end_date and _has_given(product, charge)]
    exact = [product for product in equal if product.has_content_of(charge)]
    return next(iter(exact or equal), None)


def refuse_conflict(held: Iterable[RecurringProduct], charge: Charge, today: date) -> None:
    """Raise if a charge that is the same but for its end date already bills some of the days.

    Raises:
        ConflictingCharge: such a charge exists.
    """
    first, last = charge.start_date or today, charge.end_date or date.max
    found = tuple(
        product
        for product in held
        if _has_given(product, charge)
        and (product.start_date or date.min) <= last
        and first <= (product.end_date or date.max)
    )
    if found:
        charges = "1 existing charge is" if len(found) == 1 else f"{len(found)} existing charges are"
        raise ConflictingCharge(
            f"{charges} the same but for the end date: change the end date with update(), or pass a later start_date. "
            "No write was sent",
            candidates=found,
        )


def _has_given(product: RecurringProduct, charge: Charge) -> bool:
    """Return whether a charge has every given value except the end date; the server may drop unknown fields."""
    for name, value in given(charge).items():
        if name != "end_date" and _form(name, getattr(product, name)) != _form(name, value):
            return False
    return all(product.extra.get(name, value) == value for name, value in charge.extra.items())


def _may_be_equal(sent: Charge, charge: Charge) -> bool:
    """Return whether the sent charge may turn out equal: no value that both charges give differs."""
    values = ((name, getattr(sent, name), getattr(charge, name)) for name in _GIVEN)
    return sent.end_date == charge.end_date and all(
        one is None or other is None or _form(name, one) == _form(name, other) for name, one, other in values
    )


def _form(name: str, value: object) -> object:
    """Return a value without what a server may change of it; only the text is stored in another form."""
    return plain(value) if name == "text" else value
