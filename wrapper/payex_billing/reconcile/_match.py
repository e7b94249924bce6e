"""Compare the rows of a customer with the charges that Billing holds. Pure: nothing is read or written here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Any, Self, TypeAlias, TypedDict, cast

import attrs

from ..models import Charge, RecurringProduct
from ._tables import Row

FIELDS = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
CHANGEABLE = ("quantity", "unit_price", "vat_rate", "text", "end_date")
# What a master product can have a value for: a server may show it where a charge has none of its own.
OF_MASTER = ("quantity", "unit_price", "vat_rate", "text")
# Where a charge is: the number of a subscription, or None for the customer's own level.
Level: TypeAlias = str | None
# What the server showed for a field of a charge, given its id, after the field was sent empty; None if that is unknown.
Shown: TypeAlias = Callable[[str, str], str | None]


class Kind(Enum):
    """What a step does."""

    CREATE_CUSTOMER = "create customer"
    CREATE_SUBSCRIPTION = "create subscription"
    CREATE = "create"
    UPDATE = "update"
    END = "end"
    REMOVE = "remove"


class Changes(TypedDict, total=False):
    """The arguments of an update. A field that is missing stays as it is, None clears it."""

    quantity: int | None
    unit_price: Decimal | None
    vat_rate: Decimal | None
    text: str | None
    end_date: date | None


@attrs.frozen(kw_only=True)
class Content:
    """What a charge bills. Its values are not checked: a charge that exists may break the limits of `Charge`.

    The attributes are those of `Charge`.
    """

    product_code: str
    quantity: int | None = None
    unit_price: Decimal | None = None
    vat_rate: Decimal | None = None
    text: str | None = None
    start_date: date | None = None
    end_date: date | None = None

    @classmethod
    def of(cls, charge: Charge | RecurringProduct) -> Self:
        """The content of a charge."""
        return cls(**{name: getattr(charge, name) for name in FIELDS})

    def to_charge(self) -> Charge:
        """The same as a charge that can be sent.

        Raises:
            InvalidArgument: a value breaks the contract.
        """
        return Charge(**{name: getattr(self, name) for name in FIELDS})


AnyCharge: TypeAlias = Charge | RecurringProduct | Content


@attrs.frozen(kw_only=True)
class Step:
    """One write.

    Attributes:
        kind: what it does; `END` is an update that only sets an end date.
        customer_no: the customer.
        subscription_no: the subscription; None at customer level.
        charge: the content after the write; None if the write is about no charge, or removes it.
        charge_id: the charge that is updated or removed.
        before: its content as it was read.
        line: the line of the row that asks for it; None if no row does.
    """

    kind: Kind
    customer_no: str
    subscription_no: Level = None
    charge: Content | None = None
    charge_id: str | None = None
    before: Content | None = None
    line: int | None = None

    @property
    def changes(self) -> Changes:
        """The arguments of an update; None clears a field."""
        if self.charge is None or self.before is None:
            return {}
        changed = {
            name: getattr(self.charge, name)
            for name in CHANGEABLE
            if getattr(self.charge, name) != getattr(self.before, name)
        }
        return cast("Changes", changed)


@attrs.frozen(kw_only=True)
class Held:
    """What Billing holds of a customer, as far as it was read.

    Attributes:
        exists: whether the customer exists.
        charges: its charges by level. A subscription that does not exist is not in it.
    """

    exists: bool
    charges: Mapping[Level, Sequence[RecurringProduct]] = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Difference:
    """The result of a comparison.

    Attributes:
        steps: the writes, parents before their children.
        unchanged: lines of the rows that need no write.
        surplus: charges that are held and in no row; removed only if the table is the whole truth.
        wanted: what the rows bill, with the values that the table does not manage.
    """

    steps: tuple[Step, ...]
    unchanged: tuple[int, ...]
    surplus: tuple[tuple[Level, RecurringProduct], ...]
    wanted: tuple[AnyCharge, ...] = ()


def nothing_shown(charge_id: str, name: str) -> None:
    """No field was ever sent empty."""


def difference(
    customer_no: str,
    rows: Iterable[Row],
    held: Held,
    *,
    prune: bool = False,
    today: date | None = None,
    shown: Shown = nothing_shown,
) -> Difference:
    """Compare a customer's rows with what is held.

    A row is matched with a charge of the same level and product code: first by its whole content, then by its start
    date. A row without a start date then matches a charge with any. Fields without a column do not count. A charge is
    matched with one row at most, because a customer may hold one product twice.

    Args:
        customer_no: the customer.
        rows: its rows.
        held: what is held of it.
        prune: whether charges in no row are removed.
        today: the day it is; by default that of the clock.
        shown: what the server showed for fields that were sent empty: the value of the master product. As long as it
            shows the same, an empty cell asks for no change.
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
                step = _step(Kind.CREATE, row, Content.of(row.charge))
            else:
                step = _step(Kind.UPDATE, row, _completed(row, charge, shown), charge)
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
        steps += [
            Step(
                kind=Kind.REMOVE,
                customer_no=customer_no,
                subscription_no=level,
                charge_id=charge.id,
                before=Content.of(charge),
            )
            for level, charge in surplus
        ]
    return Difference(steps=tuple(steps), unchanged=tuple(unchanged), surplus=tuple(surplus), wanted=tuple(meant))


def _pairs(
    rows: list[Row], left: list[RecurringProduct], today: date, shown: Shown
) -> list[tuple[Row, RecurringProduct | None]]:
    """Each row with the charge that it describes, if any. Take these charges out of `left`."""
    by_code: dict[str, list[RecurringProduct]] = defaultdict(list)
    for charge in left:
        by_code[charge.product_code].append(charge)
    found: dict[int, RecurringProduct] = {}
    # A row with a start date goes first: a row without one can take what is left.
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
    """A row without a start date fits a charge with any, but an empty cell does not revive a charge that ended."""
    if row.charge.start_date is not None:
        return False
    clears = "end_date" in row.managed and charge.end_date != row.charge.end_date
    return not (clears and "start_date" in row.managed and has_ended(charge, today))


def _distance(row: Row, today: date, shown: Shown, charge: RecurringProduct) -> tuple[int, bool]:
    return len(_differing(charge, row, shown)), has_ended(charge, today)


def _differing(charge: RecurringProduct, row: Row, shown: Shown) -> list[str]:
    """The fields that an update would change."""
    differing = []
    for name in CHANGEABLE:
        if name not in row.managed:
            continue
        wanted, value = getattr(row.charge, name), getattr(charge, name)
        if name == "text":
            wanted, value = wanted or None, value or None
        if wanted == value or (
            wanted is None and name in OF_MASTER and text_of(value) == shown(charge.id, name) is not None
        ):
            continue
        differing.append(name)
    return differing


def _completed(row: Row, charge: RecurringProduct, shown: Shown) -> Content:
    """The content of the charge after the update that the row asks for."""
    return attrs.evolve(
        Content.of(charge), **{name: getattr(row.charge, name) for name in _differing(charge, row, shown)}
    )


def _step(kind: Kind, row: Row, content: Content, charge: RecurringProduct | None = None) -> Step:
    return Step(
        kind=kind,
        customer_no=row.customer_no,
        subscription_no=row.subscription_no,
        charge=content,
        charge_id=charge.id if charge else None,
        before=Content.of(charge) if charge else None,
        line=row.line,
    )


def content_of(charge: AnyCharge) -> tuple[Any, ...]:
    """The values of the fields of a table; an empty text is None."""
    return tuple(getattr(charge, name) or None if name == "text" else getattr(charge, name) for name in FIELDS)


def has_ended(charge: AnyCharge, today: date) -> bool:
    """Return whether the last day of a charge is before `today`."""
    return charge.end_date is not None and charge.end_date < today


def text_of(value: object) -> str:
    """A value as text that is the same for equal values."""
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def money(charges: Iterable[AnyCharge], today: date) -> tuple[Decimal, int]:
    """Return the monthly amount of charges, and how many have no price of their own and do not count in it.

    A charge counts if it has not ended before `today`.
    """
    total, without = Decimal(0), 0
    for charge in charges:
        if has_ended(charge, today):
            continue
        if charge.unit_price is None:
            without += 1
        else:
            total += charge.unit_price * (charge.quantity or 1)
    return total, without
