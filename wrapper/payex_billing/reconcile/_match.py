"""Compare the rows of a customer with the existing charges. Pure: no input or output."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Self, TypeAlias, cast

import attrs

from ..models import CONTENT, Charge, ChargeChange, ChargeContent, RecurringProduct, given
from ._tables import Row

_IDENTITY = {"product_code", "start_date"}  # by these a row finds its charge
CHANGEABLE = tuple(name for name in CONTENT if name not in _IDENTITY)
# Fields that a master product can have a value for: a server may show that value if the charge has none of its own.
OF_MASTER = tuple(name for name in CHANGEABLE if name != "end_date")
# The level of a charge: the number of a subscription, or None for the customer level.
Level: TypeAlias = str | None
# Returns what the server showed for a field of a charge (by id) after the field was sent empty; None if unknown.
Shown: TypeAlias = Callable[[str, str], str | None]


class Kind(Enum):
    """What a step does. Only an undo removes subscriptions."""

    CREATE_CUSTOMER = "create customer"
    CREATE_SUBSCRIPTION = "create subscription"
    CREATE = "create"
    UPDATE = "update"
    END = "end"
    REMOVE = "remove"
    REMOVE_SUBSCRIPTION = "remove subscription"


@attrs.frozen(kw_only=True)
class Content(ChargeContent):
    """The content of a charge, unchecked: an existing charge may break the limits of `Charge`."""

    @classmethod
    def of(cls, charge: Charge | RecurringProduct) -> Self:
        """Return the content of a charge."""
        return cls(**{name: getattr(charge, name) for name in CONTENT})

    def to_charge(self) -> Charge:
        """Return the content as a charge that can be sent.

        Raises:
            InvalidArgument: a value breaks the contract.
        """
        return Charge(**{name: getattr(self, name) for name in CONTENT})


AnyCharge: TypeAlias = Charge | RecurringProduct | Content


@attrs.frozen(kw_only=True)
class Step:
    """One write.

    Attributes:
        kind: the kind of write; `END` is an update that only sets an end date.
        customer_no: the customer.
        subscription_no: the subscription; None at customer level.
        charge: the content after the write; None if the write removes the charge or does not concern one.
        charge_id: the charge that is updated or removed.
        before: the content of that charge when it was read.
        line: the line of the row that needs the write; None if no row does. In an undo, the number of the write that
            it takes back.
    """

    kind: Kind
    customer_no: str
    subscription_no: Level = None
    charge: Content | None = None
    charge_id: str | None = None
    before: Content | None = None
    line: int | None = None

    @property
    def changes(self) -> ChargeChange:
        """Return the arguments of an update; None clears a field."""
        if self.charge is None or self.before is None:
            return {}
        changed = {
            name: getattr(self.charge, name)
            for name in CHANGEABLE
            if getattr(self.charge, name) != getattr(self.before, name)
        }
        return cast("ChargeChange", changed)


@attrs.frozen(kw_only=True)
class Held:
    """The existing charges of a customer, as far as they were read.

    Attributes:
        exists: whether the customer exists.
        charges: the charges by level. A subscription that does not exist has no entry.
    """

    exists: bool
    charges: Mapping[Level, Sequence[RecurringProduct]] = attrs.field(factory=dict)

    def by_id(self) -> dict[tuple[Level, str], RecurringProduct]:
        """Return the charges by level and id."""
        return {(level, charge.id): charge for level, charges in self.charges.items() for charge in charges}

    def charge(self, charge_id: str | None) -> RecurringProduct | None:
        """Return the charge with an id; None if there is none."""
        return next((each for charges in self.charges.values() for each in charges if each.id == charge_id), None)


@attrs.frozen(kw_only=True)
class Difference:
    """The result of a comparison.

    Attributes:
        steps: the writes, parents before their children.
        unchanged: lines of the rows that need no write.
        surplus: existing charges that are in no row; removed only with `prune`.
        wanted: the content that the rows ask for, including the values that the table does not manage.
    """

    steps: tuple[Step, ...]
    unchanged: tuple[int, ...]
    surplus: tuple[tuple[Level, RecurringProduct], ...]
    wanted: tuple[AnyCharge, ...] = ()


def nothing_shown(charge_id: str, name: str) -> None:
    """Return None: no field was ever sent empty."""


def difference(
    customer_no: str,
    rows: Iterable[Row],
    held: Held,
    *,
    prune: bool = False,
    today: date | None = None,
    shown: Shown = nothing_shown,
) -> Difference:
    """Compare a customer's rows with the existing charges.

    A row is matched with a charge of the same level and product code: first by its whole content, then by its start
    date. A row without a start date then matches a charge with any start date. Fields without a column do not count. A
    charge matches at most one row, because a customer may have one product twice.

    Args:
        customer_no: the customer.
        rows: the rows of the customer.
        held: the existing charges of the customer.
        prune: whether charges in no row are removed.
        today: the current date; by default that of the clock.
        shown: what the server showed for fields that were sent empty: the value of the master product. As long as the
            server shows the same value, an empty cell needs no change.
    """
    day = today or date.today()
    wanted: dict[Level, list[Row]] = defaultdict(list)
    for row in rows:
        wanted[row.subscription_no].append(row)
    steps: list[Step] = []
    unchanged: list[int] = []
    surplus: list[tuple[Level, RecurringProduct]] = []
    meant: list[AnyCharge] = []
    if not held.exists:
        steps.append(Step(kind=Kind.CREATE_CUSTOMER, customer_no=customer_no))
    for level in sorted({*wanted, *held.charges}, key=lambda each: each or ""):
        if level is not None and level not in held.charges:
            steps.append(Step(kind=Kind.CREATE_SUBSCRIPTION, customer_no=customer_no, subscription_no=level))
        left = list(held.charges.get(level, ()))
        for row, charge in _pairs(wanted[level], left, day, shown):
            if charge is None:
                step = _step(Kind.CREATE, customer_no, level, row.line, Content.of(row.charge))
            else:
                step = _step(Kind.UPDATE, customer_no, level, row.line, _completed(row, charge, shown), charge)
                if not step.changes:
                    unchanged.append(row.line)
                    meant.append(charge)
                    continue
                if set(step.changes) == {"end_date"} and row.charge.end_date is not None:
                    step = attrs.evolve(step, kind=Kind.END)
            steps.append(step)
            meant.append(cast("Content", step.charge))
        surplus += [(level, charge) for charge in left]
    if prune:
        steps += [_step(Kind.REMOVE, customer_no, level, charge=charge) for level, charge in surplus]
    return Difference(steps=tuple(steps), unchanged=tuple(unchanged), surplus=tuple(surplus), wanted=tuple(meant))


def _pairs(
    rows: list[Row], left: list[RecurringProduct], today: date, shown: Shown
) -> list[tuple[Row, RecurringProduct | None]]:
    """Return each row with the charge that it describes, if any; remove these charges from `left`."""
    by_code: dict[str, list[RecurringProduct]] = defaultdict(list)
    for charge in left:
        by_code[charge.product_code].append(charge)
    found: dict[int, RecurringProduct] = {}
    # Match rows with a start date first: a row without one can match any charge that is left.
    for has_start in (_has_same_start, _may_have_start):
        for equal in (True, False):
            for index, row in enumerate(rows):
                if index in found or not (candidates := by_code.get(row.charge.product_code)):
                    continue
                fitting = [charge for charge in candidates if has_start(charge, row, today)]
                if equal:
                    fitting = [charge for charge in fitting if not _differing(charge, row, shown)]
                if fitting:
                    found[index] = min(fitting, key=partial(_distance, row, today, shown))
                    candidates.remove(found[index])
    taken = {id(charge) for charge in found.values()}
    left[:] = [charge for charge in left if id(charge) not in taken]
    return [(row, found.get(index)) for index, row in enumerate(rows)]


def _has_same_start(charge: RecurringProduct, row: Row, today: date) -> bool:
    return charge.start_date == row.charge.start_date  # None if the table has no column for it


def _may_have_start(charge: RecurringProduct, row: Row, today: date) -> bool:
    """Return whether a row without a start date fits a charge.

    It fits a charge with any start date, but an empty cell does not revive a charge that ended.
    """
    if row.charge.start_date is not None:
        return False
    clears = "end_date" in row.managed and charge.end_date != row.charge.end_date
    return not (clears and "start_date" in row.managed and has_ended(charge, today))


def _distance(row: Row, today: date, shown: Shown, charge: RecurringProduct) -> tuple[int, bool]:
    return len(_differing(charge, row, shown)), has_ended(charge, today)


def _differing(charge: RecurringProduct, row: Row, shown: Shown) -> list[str]:
    """Return the fields that an update would change."""
    differing = []
    for name in CHANGEABLE:
        if name not in row.managed:
            continue
        wanted, value = value_of(row.charge, name), value_of(charge, name)
        if wanted == value or (
            wanted is None and name in OF_MASTER and text_of(value) == shown(charge.id, name) is not None
        ):
            continue
        differing.append(name)
    return differing


def _completed(row: Row, charge: RecurringProduct, shown: Shown) -> Content:
    """Return the content of the charge after the update that the row asks for."""
    return attrs.evolve(
        Content.of(charge), **{name: getattr(row.charge, name) for name in _differing(charge, row, shown)}
    )


def _step(
    kind: Kind,
    customer_no: str,
    level: Level,
    line: int | None = None,
    content: Content | None = None,
    charge: RecurringProduct | None = None,
) -> Step:
    return Step(
        kind=kind,
        customer_no=customer_no,
        subscription_no=level,
        charge=content,
        charge_id=charge.id if charge else None,
        before=Content.of(charge) if charge else None,
        line=line,
    )


def content_of(charge: AnyCharge) -> tuple[Any, ...]:
    """Return the values of the fields that a table can have; an empty text becomes None."""
    return tuple(value_of(charge, name) for name in CONTENT)


def has_values(charge: RecurringProduct, content: Content) -> bool:
    """Whether a charge has every value that was sent; what was not sent may come from the master product."""
    return all(getattr(charge, name) == wanted for name, wanted in given(content).items())


def value_of(charge: AnyCharge, name: str) -> object:
    """Return the value of a field; an empty text becomes None."""
    value: object = getattr(charge, name)
    return None if name == "text" and value == "" else value


def has_ended(charge: AnyCharge, today: date) -> bool:
    """Return whether the last day of a charge is before `today`."""
    return charge.end_date is not None and charge.end_date < today


def text_of(value: object) -> str:
    """Return a value as text; equal values give the same text."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def monthly(charge: AnyCharge) -> Decimal:
    """Return the monthly amount of a charge; 0 if its price is that of the master product."""
    return Decimal(0) if charge.unit_price is None else charge.unit_price * (charge.quantity or 1)
