"""What has to be done so that what Billing holds is what a table says. Pure: nothing is read or written here."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TypedDict, cast

import attrs

from ..models import Charge, RecurringProduct
from ._tables import Row
from ._validation import VALUES

FIELDS = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
CHANGEABLE = ("quantity", "unit_price", "vat_rate", "text", "end_date")


class Kind(Enum):
    """What a step does."""

    CREATE_CUSTOMER = "create customer"
    CREATE_SUBSCRIPTION = "create subscription"
    CREATE = "create"
    UPDATE = "update"
    END = "end"
    REMOVE = "remove"


class Changes(TypedDict, total=False):
    """What an update sends: the arguments of `update`. A value that is not there is left as it is, None clears it."""

    quantity: int | None
    unit_price: Decimal | None
    vat_rate: Decimal | None
    text: str | None
    end_date: date | None


@attrs.frozen(kw_only=True)
class Step:
    """One write.

    Attributes:
        kind: what it does; `END` is an update that only sets an end.
        customer_no: whose.
        subscription_no: the subscription; None at customer level.
        charge: what is to be billed; None where nothing is.
        charge_id: the charge that is changed or removed.
        before: its content as it was read.
        line: the row of the table that asks for it; None for what no row asks for.
    """

    kind: Kind
    customer_no: str
    subscription_no: str | None = None
    charge: Charge | None = None
    charge_id: str | None = None
    before: Charge | None = None
    line: int | None = None

    @property
    def changes(self) -> Changes:
        """The values that an update sends; None clears one."""
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
        exists: whether there is such a customer.
        charges: its charges by subscription, None being its own; a subscription that does not exist is not in it.
    """

    exists: bool
    charges: Mapping[str | None, Sequence[RecurringProduct]] = attrs.field(factory=dict)

    @property
    def fingerprint(self) -> str:
        """A digest that changes when anything of it changes that a plan builds on."""
        text = repr(
            (
                self.exists,
                sorted(
                    (number or "", sorted((each.id, *map(str, content_of(each))) for each in charges))
                    for number, charges in self.charges.items()
                ),
            )
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@attrs.frozen(kw_only=True)
class Difference:
    """What a customer's rows and what is held come to.

    Attributes:
        steps: the writes, parents before their children.
        unchanged: lines of the rows that are as they should be.
        surplus: charges that are held and in no row; removed only when the table is the whole truth.
        wanted: what the rows' charges come to, with the values that the table does not manage.
    """

    steps: tuple[Step, ...]
    unchanged: tuple[int, ...]
    surplus: tuple[tuple[str | None, RecurringProduct], ...]
    wanted: tuple[Charge | RecurringProduct, ...] = ()


def difference(customer_no: str, rows: Iterable[Row], held: Held, *, prune: bool = False) -> Difference:
    """Compare a customer's rows with what is held.

    A charge is the same by customer, subscription and product code, then by its whole content, then by its start. What
    the table has no column for does not count. It is a match of multisets: a customer may hold one product twice.
    """
    wanted: dict[str | None, list[Row]] = defaultdict(list)
    for row in rows:
        wanted[row.subscription_no].append(row)
    steps: list[Step] = []
    unchanged: list[int] = []
    surplus: list[tuple[str | None, RecurringProduct]] = []
    meant: list[Charge | RecurringProduct] = []
    if not held.exists:
        steps.append(Step(kind=Kind.CREATE_CUSTOMER, customer_no=customer_no))
    for number in sorted({*wanted, *held.charges}, key=lambda each: each or ""):
        if number is not None and number not in held.charges:
            steps.append(Step(kind=Kind.CREATE_SUBSCRIPTION, customer_no=customer_no, subscription_no=number))
        left = list(held.charges.get(number, ()))
        for row, found in _pairs(wanted[number], left):
            if found is None:
                steps.append(_step(Kind.CREATE, row))
                meant.append(row.charge)
            elif _managed(found, row) == _managed(row.charge, row):
                unchanged.append(row.line)
                meant.append(found)
            else:
                row = _completed(row, found)  # noqa: PLW2901
                meant.append(row.charge)
                step = _step(Kind.UPDATE, row, found)
                ends = set(step.changes) == {"end_date"} and row.charge.end_date is not None
                steps.append(attrs.evolve(step, kind=Kind.END) if ends else step)
        surplus += [(number, each) for each in left]
    if prune:
        steps += [
            Step(
                kind=Kind.REMOVE,
                customer_no=customer_no,
                subscription_no=number,
                charge_id=each.id,
                before=as_charge(each),
            )
            for number, each in surplus
        ]
    return Difference(steps=tuple(steps), unchanged=tuple(unchanged), surplus=tuple(surplus), wanted=tuple(meant))


def _pairs(rows: list[Row], left: list[RecurringProduct]) -> list[tuple[Row, RecurringProduct | None]]:
    """Each row with the charge that it is, if any; takes those out of `left`."""
    found: dict[int, RecurringProduct] = {}
    for index, row in enumerate(rows):
        for each in left:
            if _managed(each, row) == _managed(row.charge, row):
                found[index] = each
                left.remove(each)
                break
    for index, row in enumerate(rows):
        if index in found:
            continue
        same = [
            each
            for each in left
            if each.product_code == row.charge.product_code
            and (each.start_date == row.charge.start_date or "start_date" not in row.managed)
        ]
        if same:
            found[index] = min(same, key=lambda each: _distance(each, row))
            left.remove(found[index])
    return [(row, found.get(index)) for index, row in enumerate(rows)]


def _distance(product: RecurringProduct, row: Row) -> int:
    return sum(one != other for one, other in zip(_managed(product, row), _managed(row.charge, row), strict=True))


def _managed(charge: Charge | RecurringProduct, row: Row) -> tuple[object, ...]:
    """Return the values of a charge in the fields that the row's table manages."""
    values = content_of(charge)
    if len(row.managed) == len(VALUES):  # most tables have all columns
        return values
    return tuple(value for name, value in zip(FIELDS, values, strict=True) if name in row.managed)


def _completed(row: Row, found: RecurringProduct) -> Row:
    """Return the row with the existing values of the fields that its table does not manage."""
    kept = {name: getattr(found, name) for name in FIELDS if name not in row.managed}
    return attrs.evolve(row, charge=attrs.evolve(row.charge, **kept)) if kept else row


def _step(kind: Kind, row: Row, found: RecurringProduct | None = None) -> Step:
    return Step(
        kind=kind,
        customer_no=row.customer_no,
        subscription_no=row.subscription_no,
        charge=row.charge,
        charge_id=found.id if found else None,
        before=as_charge(found) if found else None,
        line=row.line,
    )


def content_of(charge: Charge | RecurringProduct) -> tuple[object, ...]:
    """The values that a table can say; an empty text is none."""
    return tuple(getattr(charge, name) or None if name == "text" else getattr(charge, name) for name in FIELDS)


def as_charge(product: RecurringProduct) -> Charge:
    """The content of a charge that is held."""
    return Charge(**{name: getattr(product, name) for name in FIELDS})


def money(charges: Iterable[Charge | RecurringProduct], today: date) -> tuple[Decimal, int]:
    """What charges come to each month, and how many have no price of their own, so that they are not in it.

    A charge counts if it has not ended before `today`.
    """
    total, without = Decimal(0), 0
    for each in charges:
        if each.end_date is not None and each.end_date < today:
            continue
        if each.unit_price is None:
            without += 1
        else:
            total += each.unit_price * (each.quantity or 1)
    return total, without
