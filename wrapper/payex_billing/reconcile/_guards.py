"""The guards, which stop a run that looks like a mistake. Pure: `check` judges figures and writes nothing.

There are three kinds of guards.

- Guards of shares compare the run with the existing charges and with the last run: money, customers, ends, rows. They
  skip a first run.
- Guards of rows search for values that are nearly always a mistake: a price ten times as high, a new charge that starts
  in 2019. One such row stops the run.
- Guards of nonsense, such as a VAT rate of 0.25 or an end in 2062, check first runs too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

import attrs

from .._text import counted
from ._figures import Figures, series_of
from ._limits import FLOORS, Limits
from ._price_lists import listed, main_moves, one_rate_is_left, risen_again, taken_back
from ._product_figures import ProductFigures
from ._samples import WORST, Sketch, Worst, neighbours, plain
from ._stops import Stop, stops_of_rows

KNOWN: Final = 5  # charges of a product that are enough to know its usual price
SURE: Final = 20  # charges of a product that are enough to say that something never happens to it
IN_USE: Final = 0.5  # share of rows that are existing charges from which on the ledger is not new
SAME_LEDGER: Final = 0.5  # share of customers that the last run had too
TIGHT: Final = 2.5  # highest price divided by lowest: up to this, a product has nearly one price
ABOVE: Final = 1.25  # times the highest price: a new price above this is odd; agreed prices are lower
BELOW: Final = 0.6
EXCHANGED, OF_MANY, MANY = 0.1, 0.2, 40  # share of the changed quantities that may be left over when rows exchange them
GROWTH: Final = 100  # a new number may be at most this far above the highest one


@attrs.frozen(kw_only=True)
class _Run:
    """The input of the guards."""

    figures: Figures
    last: Figures | None
    limits: Limits
    lists: set[str]


def check(figures: Figures, last: Figures | None, limits: Limits, *, first_run: bool) -> list[Stop]:
    """Judge a run before its first write.

    Args:
        figures: the figures of the run. `check` copies into them what later runs need from the last run.
        last: the figures of the last run of the same ledger and the same part of the table; None if there was none.
        limits: the limits of the guards.
        first_run: whether the user said that this is a first run. Then only nonsense stops it.

    Returns:
        The guards that stop the run; empty if none does.
    """
    figures.follow(last)
    run = _Run(figures=figures, last=last, limits=limits, lists=listed(figures, limits))
    guards: list[Callable[[_Run], Iterator[Stop]]] = [_nonsense, _prices, _rates]
    if last is None and not first_run:
        guards = [_first_run, *guards]
        if figures.held >= IN_USE * figures.rows:
            guards += [_shares, _price_ranges, _rows_of_nights]
    elif last is not None and not first_run:
        guards += [_files, _shares, _customers, _price_ranges, _rows_of_nights]
    stops: dict[str, Stop] = {}
    for guard in guards:
        for stop in guard(run):
            stops.setdefault(stop.guard, stop)
    if "price_factor" in stops:  # `price_factor` names the same rows
        stops.pop("price_range", None)
    figures.moves.update(main_moves(figures, run.lists))
    return list(stops.values())


def _first_run(run: _Run) -> Iterator[Stop]:
    rows, most = run.figures.all_rows, run.limits.first_run_rows
    if rows > most:
        yield Stop(
            guard="first_run_rows",
            reason=f"{counted(rows, 'row')}, and no earlier run of this ledger to compare with; a run of more than "
            f"{most:,} needs to be called a first run.",
        )


def _nonsense(run: _Run) -> Iterator[Stop]:
    figures, limits = run.figures, run.limits
    share = figures.samples.of("vat_share")
    if share.count:
        yield Stop(
            guard="vat_share",
            reason=f"{counted(share.count, 'row')} with a VAT rate below 1 %. VAT is in percent: 25, not 0.25.",
            worst=share.sentences(),
        )
    years = limits.end_years
    yield from _beyond(
        run, "end_years", 366 * years, f"end more than {years} years from now. To leave the end open, empty the cell."
    )
    yield from _beyond(run, "ends_back", 366 * 10, "end more than 10 years ago. Look at the century.")
    for kind, days in (("ahead_days", 366 * 10), ("back_days", 366 * 50)):
        yield from _beyond(run, kind, days, "start decades away. Look at the year.")
    rejected, rows = figures.rejected, figures.all_rows
    if rejected > FLOORS["rejected_rows"] and rejected > limits.rejected_rows * rows:
        yield Stop(
            guard="rejected_rows",
            reason=f"{rejected:,} of {rows:,} rows are rejected, more than {_percent(limits.rejected_rows)}. What is "
            "wrong with them is likely to be wrong with the others too.",
        )


def _prices(run: _Run) -> Iterator[Stop]:
    """Compare prices and quantities of single rows with the same charge and with the product's other charges."""
    factor, times = run.limits.price_factor, run.limits.quantity_factor
    price, sign, empty, zero, quantity = Worst(), Worst(), Worst(), Worst(), Worst()
    for product in run.figures.products.values():
        of = product.samples.of
        most = float(max(product.most, 1))
        _take(price, of("ratio"), factor)
        _take(sign, of("sign"))
        _take(zero, of("zero"))
        _take(quantity, of("quantity_down"), times)
        _take(quantity, of("quantity_up"), times, above=most)
        if product.priced >= KNOWN:
            middle = float(product.median)
            _take(price, of("new_high"), max(factor * middle, float(product.high) * 1.001))
            _take(price, of("new_low"), max(-middle / factor, float(-product.low) * 0.999))
            _take(quantity, of("created_quantity"), times * most)
        if product.priced >= KNOWN and not product.unpriced:
            _take(empty, of("emptied"))
        if product.priced >= SURE:
            if not product.negative:
                _take(sign, of("new_negative"))
            if not product.positive:
                _take(sign, of("new_positive"))
    yield from stops_of_rows("price_factor", price, factor)
    yield from stops_of_rows("price_sign", sign)
    yield from stops_of_rows("price_empty", empty)
    yield from stops_of_rows("price_zero", zero)
    changed = run.figures.quantities_changed
    left = (EXCHANGED if changed < MANY else OF_MANY) * changed
    if changed >= SURE and sum(map(abs, run.figures.quantities.values())) <= left:
        yield Stop(
            guard="quantities_moved",
            reason=f"{changed:,} rows would have the quantities of one another. Was a column shifted or sorted?",
        )
    yield from stops_of_rows("quantity_factor", quantity, times)


def _price_ranges(run: _Run) -> Iterator[Stop]:
    """Find odd prices of a product that costs nearly the same for everybody."""
    found = Worst()
    for code, product in run.figures.products.items():
        low, high = float(product.low), float(product.high)
        if product.priced < SURE or high > TIGHT * low or f"price {code}" in run.lists:
            continue
        for kind in ("new", "to"):
            _take(found, product.samples.of(f"{kind}_high"), ABOVE * high)
            _take(found, product.samples.of(f"{kind}_low"), -BELOW * low)
    yield from stops_of_rows("price_range", found)


def _rates(run: _Run) -> Iterator[Stop]:
    figures = run.figures
    known: set[Decimal | None] = {*run.limits.vat_rates, None}
    for product in (*figures.products.values(), *(run.last.products.values() if run.last else ())):
        known |= set(product.rates)
    unknown, odd, none = Worst(), Worst(), Worst()
    for code, product in figures.products.items():
        for rate, worst in product.new_rates.items():
            if rate is not None and 0 < rate < 1:
                continue  # a guard of nonsense reports this
            if rate not in known:
                _take(unknown, worst)
            elif _is_odd(product, rate) and f"vat {code}" not in run.lists:
                _take(odd if rate else none, worst)
    yield from stops_of_rows("vat_rates", unknown)
    if none.count > FLOORS["vat_zero"]:
        _take(odd, none)
    if one_rate_is_left(figures):
        yield Stop(guard="one_vat_rate", reason="All charges would have the same VAT rate, and they do not now.")
    yield from stops_of_rows("vat_of_product", odd)


def _is_odd(product: ProductFigures, rate: Decimal | None) -> bool:
    return product.held >= SURE and rate not in product.rates


def _files(run: _Run) -> Iterator[Stop]:
    """Check that the file is the right one."""
    figures, last = run.figures, run.last
    assert last is not None  # noqa: S101 - `check` makes sure
    modified, earlier = figures.source_modified, last.source_modified
    if modified is not None and earlier is not None and modified < earlier:
        yield Stop(guard="old_file", reason="The file is older than the last run's. Look at its name and its date.")
    elif figures.digest and figures.digest != last.digest and figures.digest in figures.digests and _singly(run):
        ago = len(figures.digests) - max(at for at, each in enumerate(figures.digests) if each == figures.digest)
        yield Stop(guard="old_file", reason=f"The file has exactly the rows of the run {ago} runs ago.")
    if last.ledger and figures.ledger and last.ledger != figures.ledger:
        yield Stop(guard="ledger", reason=f"The last run was of {last.ledger}, this one is of {figures.ledger}.")
    now, before = figures.numbers.compared(last.numbers)
    gone, new, common = len(before - now), len(now - before), len(now & before)
    if new > SAME_LEDGER * (common + new) and gone > SAME_LEDGER * (common + gone):
        yield Stop(
            guard="other_customers",
            reason=f"Only {_percent(common / (common + new))} of the customers in the file were in the last run's. "
            "Is the file of this ledger, and is its customer number the right column?",
            worst=figures.samples.of("new_customers").sentences(),
        )
    missing = max(0, last.all_rows - figures.all_rows)
    limit = run.limits.rows_gone
    lost = round(last.all_customers * gone / (gone + common)) if gone + common else 0
    for number, noun, of in ((missing, "row", last.all_rows), (lost, "customer", last.all_customers)):
        if number > limit * of and (number > FLOORS["rows_gone"] or number == of):
            yield Stop(
                guard="rows_gone",
                reason=f"{counted(number, noun)} of the last run's {of:,} {'is' if number == 1 else 'are'} not in the "
                f"file, more than {_percent(limit)}. Is the file whole, and is it the right one?",
            )
            break


def _singly(run: _Run) -> int:
    """Return how many customers change by more than a list.

    List changes do not count, because the end of a campaign alone also gives an earlier file.
    """
    figures = run.figures
    return figures.touched - sum(count for group, count in figures.groups.items() if group <= run.lists)


def _shares(run: _Run) -> Iterator[Stop]:
    figures, limits = run.figures, run.limits
    for kind, money, customers in (
        ("up", figures.up, figures.customers_up),
        ("down", figures.down, figures.customers_down),
    ):
        if money > Decimal(limits.money_change) * figures.base and customers > FLOORS["money_change"]:
            by = f" ({_percent(float(money / figures.base))})" if figures.base > 0 else ""
            verb = "more" if kind == "up" else "less"
            yield Stop(
                guard="money_change",
                reason=f"{counted(customers, 'customer')} would pay {money:,.2f}{by} a month {verb}; "
                f"{_percent(limits.money_change)} of {figures.base:,.2f} is allowed.",
                worst=figures.samples.of(kind).sentences(),
            )
    held = figures.held + figures.skipped_rows
    customers = figures.all_customers
    for guard, number, of, noun, told in (
        ("customers_touched", _singly(run), customers, "customers in the file", "would change"),
        ("new_customers", figures.new_customers, customers, "customers in the file", "do not exist yet"),
        ("ends_and_removals", figures.ends + figures.removals + figures.cleared, held, "charges held",
         "would be ended, removed or revived"),
        ("revivals", figures.cleared, held, "charges held", "would lose their end"),
        ("new_charges", figures.creations, held, "charges held", "would be added to existing customers"),
    ):  # fmt: skip
        limit = getattr(limits, guard)
        if run.last is None and guard in {"customers_touched", "new_customers"}:
            continue
        if number > limit * of and number > FLOORS[guard]:
            yield Stop(
                guard=guard,
                reason=f"{number:,} {told}; there are {of:,} {noun}, and {_percent(limit)} of them is allowed.",
                worst=figures.samples.of(guard).sentences(),
            )
    for code, move in sorted(main_moves(figures, run.lists).items()):
        earlier = run.last.moves.get(code) if run.last else None
        if earlier is None:
            continue
        told = f"The unit price of {code} goes from {plain(move.old)} to {plain(move.new)}"
        if taken_back(earlier, move, limits):
            yield Stop(guard="old_prices", reason=f"{told}, as it was before {earlier.day}. Is the price list old?")
        elif risen_again(earlier, move, limits):
            yield Stop(
                guard="risen_again", reason=f"{told}, and has risen from {plain(earlier.old)} on {earlier.day} already."
            )


def _customers(run: _Run) -> Iterator[Stop]:
    """Find mistyped customers: a new number that resembles a number that has just gone."""
    figures, last = run.figures, run.last
    assert last is not None  # noqa: S101 - `check` makes sure
    now, before = figures.numbers.compared(last.numbers)
    gone = before - now
    if not gone:
        return
    mistyped = []
    for number in figures.new_numbers:
        series, at = series_of(number)
        if series in last.highest and 0 < at - last.highest[series] <= GROWTH:
            continue
        near = next((each for each in neighbours(number) if Sketch.digest(each) in gone), None)
        if near is not None:
            mistyped.append(f"customer {number} is new, and {near} is gone")
    if mistyped:
        yield Stop(
            guard="mistyped_customer",
            reason=f"{counted(len(mistyped), 'new customer number')} nearly like one that is gone. A mistyped number "
            "creates a customer that cannot be removed.",
            worst=tuple(mistyped[:WORST]),
        )


def _rows_of_nights(run: _Run) -> Iterator[Stop]:
    """Find rows that a ledger in use hardly ever gets."""
    figures, limits = run.figures, run.limits
    back, ahead = limits.back_days, limits.ahead_days
    day = figures.today - timedelta(days=back) if figures.today.toordinal() > back else figures.today
    yield from _beyond(run, "back_days", back, f"are new and start before {day}, so that they are billed back.")
    yield from _beyond(run, "ahead_days", ahead, f"are new and start more than {ahead} days from now.")
    yield from _beyond(run, "ends_back", back, f"get an end before {day}. What was billed since would be paid back.")
    yield from _beyond(run, "revived", back, f"go on though they ended before {day}.")
    yield from stops_of_rows("doubled", figures.samples.of("doubled"))
    known = {code for code, product in figures.products.items() if product.held}
    known |= set(run.last.products) if run.last else set()
    new = sorted(code for code in figures.products if code not in known)
    if len(new) > limits.new_products:
        yield Stop(
            guard="new_products",
            reason=f"{len(new)} product codes that no charge had before: {', '.join(new[:10])}; "
            f"{limits.new_products} are allowed.",
        )


def _beyond(run: _Run, guard: str, limit: int, told: str) -> Iterator[Stop]:
    """Yield a stop if one of the worst rows of a kind exceeds a limit in days."""
    found = Worst()
    _take(found, run.figures.samples.of(guard), limit + 1)
    yield from stops_of_rows(guard, found, told=told)


def _take(target: Worst, source: Worst, least: float | None = None, *, above: float = -math.inf) -> None:
    """Copy the items of `source` that have a number above `above` and a score of at least `least`.

    Without `least`, every score is enough. A `Worst` stores only its five worst items, so no other item can be copied.
    """
    items = [item for item in source.items if (least is None or item[0] >= least) and item[2] > above]
    whole = least is None or len(items) == len(source.items) == source.count
    target.count += source.count if whole else len(items)
    for item in items:
        target.put(*item)


def _percent(share: float) -> str:
    return f"{share:.1%}".replace(".0%", "%").replace("%", " %")
