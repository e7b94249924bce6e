"""Mistakes that were added after the guards were finished, as another author would choose them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

from .company import Row
from .mistakes import LATER, Desk, Mistake, Table, changed, column_moved, has_price, running, times


def later(name: str) -> Callable[[Mistake], Mistake]:
    """Register a mistake of this group under a name."""

    def register(mistake: Mistake) -> Mistake:
        LATER[name] = mistake
        return mistake

    return register


later("VAT taken off prices that have none")(lambda desk: changed(desk.rows, "unit_price", times("0.8")))
later("a discount of 10 % for all instead of for one")(lambda desk: changed(desk.rows, "unit_price", times("0.9")))
later("months typed as quantity")(lambda desk: changed(desk.rows, "quantity", lambda cell: str(int(cell) * 12)))


@later("draft of next year's prices, 7 % higher, a month early")
def _draft(desk: Desk) -> Table | None:
    places = desk.company.places

    def risen(cell: str) -> str:
        price = Decimal(cell)
        return cell if price < 0 else f"{(price * Decimal('1.07') / places).quantize(Decimal(1)) * places:.2f}"

    return changed(desk.rows, "unit_price", risen)


@later("texts shifted by a row")
def _texts(desk: Desk) -> Table | None:
    cells = [row["text"] for row in desk.rows]
    return column_moved(desk, "text", [cells[-1], *cells[:-1]])


@later("prices looked up one line too high in the price list")
def _looked_up(desk: Desk) -> Table | None:
    codes = sorted({row["product_code"] for row in desk.rows if has_price(row)})
    if len(codes) < 2:
        return None
    prices = {
        code: next(row["unit_price"] for row in desk.rows if row["product_code"] == code and has_price(row))
        for code in codes
    }
    above = {code: prices[codes[at - 1]] for at, code in enumerate(codes)}
    return [row | {"unit_price": above[row["product_code"]]} if has_price(row) else row for row in desk.rows]


@later("a price pasted over hidden rows of a filter")
def _pasted(desk: Desk) -> Table | None:
    count = min(len(desk.rows) // 2, desk.chance.randint(30, 200))
    at = desk.chance.randrange(len(desk.rows) - count)
    cells = [row["unit_price"] for row in desk.rows]
    return column_moved(desk, "unit_price", [*cells[:at], *[cells[at]] * count, *cells[at + count :]])


@later("this year replaced by the next in all cells")
def _replaced(desk: Desk) -> Table | None:
    year, following = str(desk.today.year), str(desk.today.year + 1)
    return [{column: cell.replace(year, following) for column, cell in row.items()} for row in desk.rows]


@later("every date a day early, as of a time zone")
def _day_early(desk: Desk) -> Table | None:
    def early(cell: str) -> str:
        return (date.fromisoformat(cell) - timedelta(days=1)).isoformat() if cell else cell

    return [row | {"start_date": early(row["start_date"]), "end_date": early(row["end_date"])} for row in desk.rows]


@later("numbers of the new system for some of the customers")
def _new_scheme(desk: Desk) -> Table | None:
    numbers = sorted({row["customer_no"] for row in desk.rows})
    share = desk.chance.uniform(0.1, 0.3)
    moved = {number: f"N{number[-12:]}" for number in desk.chance.sample(numbers, max(1, round(share * len(numbers))))}
    return [row | {"customer_no": moved.get(row["customer_no"], row["customer_no"])} for row in desk.rows]


@later("an end date filled down over some rows")
def _end_filled_down(desk: Desk) -> Table | None:
    ended = [at for at, row in enumerate(desk.rows[:-15]) if row["end_date"]]
    if not ended:
        return None
    at, count = desk.chance.choice(ended), desk.chance.randint(10, 40)
    end = desk.rows[at]["end_date"]

    def filled(row: Row) -> Row:
        return row | {"end_date": end} if running(row) and row["start_date"] <= end else row

    return [filled(row) if at <= index < at + count else row for index, row in enumerate(desk.rows)]


@later("a credit of a month made a credit of a year")
def _yearly_credit(desk: Desk) -> Table | None:
    rows = desk.copy()
    row = desk.one(rows, lambda row: row["unit_price"].startswith("-") and running(row))
    if row is None:
        return None
    row["unit_price"] = times(12)(row["unit_price"])
    return rows
