"""What others have changed in a ledger since the runs of a journal: held now against what the last writes left."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import attrs

from ..errors import BillingError
from ..models import CONTENT, RecurringProduct
from ._history import reading
from ._match import Content, Held, Kind, Level, has_values, value_of
from ._opening import default_journal
from ._planning import Notice, Progress, said
from ._pool import PATIENCE, Brake, Pool
from ._reading import held
from ._records import Intent
from ._store import Place
from ._undo import levels_of

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

CHANGED: Final = "changed"
REMOVED: Final = "removed"
ADDED: Final = "added"


@attrs.frozen(kw_only=True)
class Drift:
    """A charge that is not as the last run left it.

    Attributes:
        kind: `changed`, `removed`, or `added`.
        customer_no: the customer.
        subscription_no: the subscription; None at customer level.
        charge_id: the charge.
        run: the run that wrote the charge last; None if none did.
        left: what that run left; None if no run wrote the charge.
        now: what is held now; None if nothing is.
    """

    kind: str
    customer_no: str
    subscription_no: Level
    charge_id: str
    run: int | None
    left: Content | None
    now: Content | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that differ."""
        if self.left is None or self.now is None:
            return ()
        return _differing(self.left, self.now)


@attrs.define(kw_only=True)
class DriftReport:
    """What a look for drift came to.

    Attributes:
        customers: customers that were compared.
        charges: charges that the runs left, and that were compared.
        found: the charges that are not as they were left.
        failed: the reason for each customer that could not be read, by its number.
        unknown: customers that no run has written to, so that nothing was compared.
    """

    customers: int = 0
    charges: int = 0
    found: list[Drift] = attrs.field(factory=list)
    failed: dict[str, str] = attrs.field(factory=dict)
    unknown: list[str] = attrs.field(factory=list)


async def drift(
    billing: AsyncBilling,
    *,
    since: int | None = None,
    customers: Collection[str] = (),
    journal: Place | None = None,
    concurrency: int = 16,
    patience: float = PATIENCE,
    on_progress: Progress | None = None,
    on_notice: Notice | None = None,
) -> DriftReport:
    """Compare what is held with what the runs of the journal left. Nothing is written.

    A charge that no run has written is named only if it is new; its values were never noted. Subscriptions that no run
    has written to are looked at only if a run created their customer, because nobody knows what they held before.

    Args:
        billing: the client.
        since: only what this run and later ones wrote.
        customers: only these customers; empty for all that the journal knows.
        journal: the journal; None for that of the ledger in the user's state directory.
        concurrency: requests at once.
        patience: seconds to wait for a server that cannot be reached.
        on_progress: called with `reading`, the customers that are read, and the customers in all.
        on_notice: called with a sentence when it must wait.

    Raises:
        JournalError: there is no journal, or it is of another ledger, or has no such run.
        Stopped: the customers cannot be read.
    """
    ledger = billing.settings.ledger
    result = DriftReport()
    brake = Brake(patience, notice=on_notice)
    with ExitStack() as stack:
        history = stack.enter_context(reading(journal or default_journal(ledger), ledger))
        if since is not None:
            history.run(since)
        numbers = sorted(set(customers or history.customers(since or 0)))

        async def one(number: str) -> None:
            writes = [each for each in history.to_customer(number) if each.run >= (since or 0)]
            if not writes:
                result.unknown.append(number)
                return
            # What a customer held before the first run is not known, unless a run created the customer.
            is_ours = any(each.step.kind is Kind.CREATE_CUSTOMER and each.is_written for each in writes)
            state = await brake.judged(number, held(billing, number, levels_of(writes), everything=is_ours))
            if isinstance(state, BillingError):
                result.failed[number] = said(state)
            else:
                left = last_writes(writes)
                result.customers += 1
                result.charges += len(left)
                result.found += drifted(writes, left, state)
            if on_progress is not None:
                done = result.customers + len(result.failed) + len(result.unknown)
                on_progress("reading", done, len(numbers))

        await Pool[str](concurrency, asyncio.Event(), brake).run(iter(numbers), one)
    result.unknown.sort()
    result.found.sort(key=lambda each: (each.customer_no, each.subscription_no or "", each.charge_id))
    return result


def last_writes(writes: Iterable[Intent]) -> dict[tuple[Level, str], Intent]:
    """Return the last write that took effect to each charge."""
    last: dict[tuple[Level, str], Intent] = {}
    for intent in writes:
        charge_id = intent.charge_id or intent.step.charge_id
        if intent.is_written and charge_id is not None:
            last[intent.step.subscription_no, charge_id] = intent
    return last


def _is_own(writes: Iterable[Intent], last: Intent, now: RecurringProduct | None) -> bool:
    """Return whether a later write of the journal, whose response was lost, explains what a charge is now."""
    for intent in writes:
        is_lost = intent.result is None or intent.is_uncertain
        if is_lost and intent.id > last.id and intent.step.charge_id == (last.charge_id or last.step.charge_id):
            wanted = None if intent.step.kind is Kind.REMOVE else intent.step.charge
            if wanted is None if now is None else wanted is not None and has_values(now, wanted):
                return True
    return False


def drifted(writes: Sequence[Intent], last: Mapping[tuple[Level, str], Intent], state: Held) -> Iterator[Drift]:
    """Yield each charge of a customer that is not as the last write left it."""
    known = {(intent.step.subscription_no, charge_id) for intent in writes for charge_id in intent.known}
    present = state.by_id()
    for key in {**last, **present}:
        intent, charge = last.get(key), present.get(key)
        if intent is None and key in known:
            continue
        is_gone = intent is None or intent.step.kind is Kind.REMOVE
        left = None if intent is None or is_gone else intent.after or intent.step.charge
        now = None if charge is None else Content.of(charge)
        kind = None
        if is_gone and now is not None:
            kind = ADDED
        elif not is_gone and now is None:
            kind = REMOVED
        elif left is not None and now is not None and _differing(left, now):
            kind = CHANGED
        if kind is None or (intent is not None and _is_own(writes, intent, charge)):
            continue
        level, charge_id = key
        yield Drift(
            kind=kind, customer_no=writes[0].step.customer_no, subscription_no=level, charge_id=charge_id,
            run=None if intent is None else intent.run, left=left, now=now,
        )  # fmt: skip


def _differing(left: Content, now: Content) -> tuple[str, ...]:
    return tuple(name for name in CONTENT if value_of(left, name) != value_of(now, name))
