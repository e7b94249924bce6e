"""The figures of a planned run, in bounded memory: the input of the guards. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final, Self

import attrs

from .._text import counted
from ._json import from_plain, to_plain
from ._match import AnyCharge, Difference, Held, Kind, Step, has_ended, monthly
from ._product_figures import ZERO, Amount, ProductFigures
from ._samples import Samples, Sketch, tally
from ._tables import Row

MOST_PRODUCTS: Final = 2_000  # codes; in a file with more, the column contains something else
MOST_GROUPS: Final = 5_000
MOST_NEW_NUMBERS: Final = 200
MOST_SERIES: Final = 200
MOST_DIGESTS: Final = 400  # runs
MOST_QUANTITIES: Final = 10_000  # distinct quantities that are counted
STORED_PRODUCTS: Final = 300
STORED_GROUPS: Final = 1_000
OTHERS: Final = "(other codes)"


@attrs.frozen
class Move:
    """A price list of a product: the price before it and after it of most charges, and the day of the run."""

    old: Decimal
    new: Decimal
    day: date

    @property
    def ratio(self) -> float:
        """The new price divided by the old one."""
        return float(self.new / self.old)


@attrs.define
class Figures:
    """The figures of one planned run. Add each customer while the plan is made, then call `check`.

    The memory does not grow with the table, except for the samples, which have a limit.

    Attributes:
        ledger: the address of the ledger.
        source_modified: when the file was last changed, in seconds since 1970; None if that is not known.
        digest: a digest of the file's valid rows in any order, as `Table.digest`; empty if that is not known.
        rejected: rows that were rejected.
        today: the day of the run.
        customers: customers that were read.
        rows: rows of these customers.
        skipped_customers: customers that were not read, because their rows are the same as in the last run.
        skipped_rows: rows of the skipped customers.
        held: existing charges that have not ended.
        touched: customers that change.
        new_customers: customers that do not exist yet.
        creations: new charges of customers that exist.
        ends: charges that get an end date, or an earlier one.
        removals: charges that are removed before they have ended.
        cleared: charges that lose their end date, or that had ended and continue.
        before: money per month of the existing charges, in major currency units.
        up: money per month that customers will pay more.
        down: money per month that customers will pay less.
        customers_up: customers that will pay more.
        customers_down: customers that will pay less.
        carried: money per month after the last run.
        numbers: a sketch of the customers in the file.
        new_numbers: the first new customers.
        highest: the highest customer number of each series.
        products: the figures of each product.
        quantities: how often a quantity is new, less how often it was the old one.
        quantities_changed: charges whose quantity changes.
        groups: customers with list changes only, by what changes.
        samples: the worst rows of each kind.
        digests: digests of the files of earlier runs.
        moves: the last price list of each product.
    """

    ledger: str = ""
    source_modified: float | None = None
    digest: str = ""
    rejected: int = 0
    today: date = date.min
    customers: int = 0
    rows: int = 0
    skipped_customers: int = 0
    skipped_rows: int = 0
    held: int = 0
    touched: int = 0
    new_customers: int = 0
    creations: int = 0
    ends: int = 0
    removals: int = 0
    cleared: int = 0
    customers_up: int = 0
    customers_down: int = 0
    before: Decimal = ZERO
    up: Decimal = ZERO
    down: Decimal = ZERO
    carried: Decimal = ZERO
    numbers: Sketch = attrs.field(factory=Sketch)
    new_numbers: list[str] = attrs.field(factory=list)
    highest: dict[str, int] = attrs.field(factory=dict)
    products: dict[str, ProductFigures] = attrs.field(factory=dict)
    quantities: Counter[Amount] = attrs.field(factory=Counter)
    quantities_changed: int = 0
    groups: Counter[frozenset[str]] = attrs.field(factory=Counter)
    samples: Samples = attrs.field(factory=Samples)
    digests: list[str] = attrs.field(factory=list)
    moves: dict[str, Move] = attrs.field(factory=dict)

    def add(self, customer_no: str, rows: list[Row], held: Held, result: Difference, today: date) -> None:
        """Count one customer.

        Args:
            customer_no: the customer.
            rows: the rows of the customer in the file.
            held: the existing charges of the customer.
            result: the difference between rows and charges.
            today: the day of the run; a charge that ended before does not count.
        """
        self.today = today
        self.customers += 1
        self.rows += len(rows)
        self._number(customer_no)
        before = ZERO
        for charges in held.charges.values():
            for charge in charges:
                if has_ended(charge, today):
                    continue
                self.held += 1
                self.product(charge.product_code).hold(charge.unit_price, charge.vat_rate, charge.quantity or 1)
                before += monthly(charge)
        self.before += before
        if result.steps:
            self._steps(customer_no, rows, held, result, today)

    def skip(self, customer_no: str, rows: int) -> None:
        """Count a customer that was not read, because its rows are the same as in the last run."""
        self.skipped_customers += 1
        self.skipped_rows += rows
        self._number(customer_no)

    def product(self, code: str) -> ProductFigures:
        """Return the figures of a product; all products after the first 2,000 codes share one object."""
        found = self.products.get(code)
        if found is None:
            if len(self.products) >= MOST_PRODUCTS:
                code = OTHERS
            found = self.products.setdefault(code, ProductFigures())
        return found

    def _number(self, number: str) -> None:
        self.numbers.add(number)
        series, place = series_of(number)
        if series in self.highest or len(self.highest) < MOST_SERIES:
            self.highest[series] = max(place, self.highest.get(series, 0))

    def _steps(self, number: str, rows: list[Row], held: Held, result: Difference, today: date) -> None:
        self.touched += 1
        delta = ZERO
        listed: set[str] | None = set()
        new = False
        open_surplus = _open_surplus(result, today)
        for step in result.steps:
            match step.kind:
                case Kind.CREATE_CUSTOMER:
                    new = True
                case Kind.CREATE if step.charge is not None:
                    delta += _monthly(step.charge, today)
                    self._created(step, step.charge, open_surplus, today, existing=held.exists)
                case Kind.REMOVE if step.before is not None:
                    delta -= _monthly(step.before, today)
                    if not has_ended(step.before, today):
                        self.removals += 1
                        self.samples.add("ends_and_removals", step, _monthly(step.before, today), "is removed")
                case Kind.UPDATE | Kind.END if step.charge is not None and step.before is not None:
                    delta += _monthly(step.charge, today) - _monthly(step.before, today)
                    changes = self._changed(step, step.before, step.charge, today)
                    if listed is not None and changes is not None:
                        listed |= changes
                        continue
                case _:
                    pass
            listed = None
        if listed:
            tally(self.groups, frozenset(listed), MOST_GROUPS)
        self._customer(number, rows, len(result.steps), delta, new=new)

    def _customer(self, number: str, rows: list[Row], writes: int, delta: Decimal, *, new: bool) -> None:
        """Count the effect of a customer's writes."""
        kinds = ["customers_touched"]
        if new:
            self.new_customers += 1
            kinds.append("new_customers")
            if len(self.new_numbers) < MOST_NEW_NUMBERS:
                self.new_numbers.append(number)
        if delta > 0:
            self.up += delta
            self.customers_up += 1
            kinds.append("up")
        elif delta < 0:
            self.down -= delta
            self.customers_down += 1
            kinds.append("down")
        customer = Step(kind=Kind.CREATE_CUSTOMER, customer_no=number, line=rows[0].line if rows else None)
        told = f"{'is new, ' if new else ''}{counted(writes, 'write')}, {delta:+,.2f} a month"
        for kind in kinds:
            self.samples.add(kind, customer, abs(delta), told)

    def _created(self, step: Step, charge: AnyCharge, surplus: list[AnyCharge], today: date, *, existing: bool) -> None:
        if existing:
            self.creations += 1
            self.samples.add("new_charges", step, _monthly(charge, today), "is new")
        self.product(charge.product_code).create(step, charge.unit_price, charge.vat_rate, charge.quantity or 1)
        self._rate(step, None, charge.vat_rate)
        start, end = charge.start_date, charge.end_date
        if start is not None:
            days = (start - today).days
            self.samples.add("ahead_days" if days > 0 else "back_days", step, abs(days), "is new and starts on", start)
        if end is not None:
            self._end(step, None, end, today)
        for other in surplus:
            if _one_key_differs(charge, other):
                told = (other.product_code, "from", other.start_date, "with the same price and text stays")
                self.samples.add("doubled", step, 1, "is new, and", *told)
                break

    def _changed(self, step: Step, before: AnyCharge, charge: AnyCharge, today: date) -> set[str] | None:
        """Count a change. Return which list values change, or None if another value changes."""
        code = charge.product_code
        product = self.product(code)
        listed: set[str] = set()
        other = False
        old, new = before.unit_price, charge.unit_price
        if old != new:
            listed.add(f"price {code}")
            product.change_price(step, old, new, before.quantity or 1)
        if before.vat_rate != charge.vat_rate:
            listed.add(f"vat {code}")
            product.change_rate(step, before.vat_rate, charge.vat_rate)
            self._rate(step, before.vat_rate, charge.vat_rate)
        was, now = before.quantity or 1, charge.quantity or 1
        if was != now:
            other = True
            product.change_quantity(step, was, now)
            self.quantities_changed += 1
            tally(self.quantities, was, MOST_QUANTITIES, -1)
            tally(self.quantities, now, MOST_QUANTITIES)
        if before.end_date != charge.end_date:
            other = True
            self._end_changed(step, before, charge, today)
        if (before.text or None) != (charge.text or None):
            product.change_text(before.text, charge.text)
            if not listed:  # a new price may come with a new text
                listed.add(f"text {code}")
        return None if other or not listed else listed

    def _end_changed(self, step: Step, before: AnyCharge, charge: AnyCharge, today: date) -> None:
        old, new = before.end_date, charge.end_date
        money = max(_monthly(before, today), _monthly(charge, today))
        told = ("end", old, "→", new)
        if old is not None and (new is None or old < today <= new):
            self.cleared += 1
            self.samples.add("revivals", step, money, *told)
            if old < today:
                self.samples.add("revived", step, (today - old).days, *told)
        elif new is not None and (old is None or new < old):
            self.ends += 1
            self.samples.add("ends_and_removals", step, money, *told)
        if new is not None:
            self._end(step, old, new, today)

    def _end(self, step: Step, old: date | None, new: date, today: date) -> None:
        days = (new - today).days
        if days < 0:
            self.samples.add("ends_back", step, -days, "end", old, "→", new)
        elif not (new.year >= 2099 and (new.month, new.day) == (12, 31)):
            self.samples.add("end_years", step, days, "end", old, "→", new)

    def _rate(self, step: Step, old: Decimal | None, new: Decimal | None) -> None:
        if new is not None and 0 < new < 1:
            self.samples.add("vat_share", step, 1, "VAT", old, "→", new)

    def follow(self, last: Figures | None) -> None:
        """Copy from the last run what later runs need. `check` calls it; a second call changes nothing."""
        if last is None:
            return
        earlier = [*last.digests, last.digest] if last.digest else last.digests
        self.digests = earlier[-MOST_DIGESTS:]
        self.moves = last.moves | self.moves
        self.carried = last.after
        if self.skipped_customers:
            for code, product in last.products.items():
                if len(self.products) < MOST_PRODUCTS or code in self.products:
                    self.product(code).carry(product)
        for series, place in last.highest.items():
            self.highest[series] = max(place, self.highest.get(series, 0))

    @property
    def all_customers(self) -> int:
        """Customers in the file, including the skipped ones."""
        return self.customers + self.skipped_customers

    @property
    def all_rows(self) -> int:
        """Rows in the file, including the rejected and the skipped ones."""
        return self.rows + self.skipped_rows + self.rejected

    @property
    def base(self) -> Decimal:
        """Money per month before the run; if customers were skipped, at least that after the last run."""
        return max(self.before, self.carried) if self.skipped_customers else self.before

    @property
    def after(self) -> Decimal:
        """Money per month after the run."""
        return self.base + self.up - self.down

    def to_json(self, *, samples: bool = True) -> dict[str, object]:
        """Return plain data for JSON.

        Args:
            samples: whether to include the worst rows; the figures of the last run do not need them.
        """
        self.numbers.cut()
        largest = sorted(self.products.items(), key=lambda item: (-item[1].held - item[1].created, item[0]))
        products = {code: product if samples else product.stored() for code, product in largest[:STORED_PRODUCTS]}
        stored = attrs.evolve(self, products=products, groups=Counter(dict(self.groups.most_common(STORED_GROUPS))))
        if not samples:
            stored.new_numbers, stored.quantities_changed = [], 0
            stored.quantities, stored.groups, stored.samples = Counter(), Counter(), Samples()
        return to_plain(stored)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """Create figures from plain data.

        Raises:
            ValueError: `to_json` did not make the data.
        """
        return from_plain(cls, data)


def series_of(number: str) -> tuple[str, int]:
    """Return the series of a customer number, such as K-####, and its place in it; 0 without final digits."""
    letters = number.rstrip("0123456789")
    digits = number[len(letters) :]
    return f"{letters}{'#' * len(digits)}", int(digits or 0)


def _monthly(charge: AnyCharge, today: date) -> Decimal:
    return ZERO if has_ended(charge, today) else monthly(charge)


def _open_surplus(result: Difference, today: date) -> list[AnyCharge]:
    """Return the charges that are in no row, stay, and have no end."""
    if not result.surplus:
        return []
    removed = {step.charge_id for step in result.steps if step.kind is Kind.REMOVE}
    return [charge for _, charge in result.surplus if charge.id not in removed and charge.end_date is None]


def _one_key_differs(charge: AnyCharge, other: AnyCharge) -> bool:
    """Return whether two charges differ only in the product code or the start date, as after a typing error."""
    return (
        charge.unit_price == other.unit_price
        and (charge.quantity or 1) == (other.quantity or 1)
        and (charge.text or None) == (other.text or None)
        and (charge.product_code == other.product_code or charge.start_date == other.start_date)
    )
