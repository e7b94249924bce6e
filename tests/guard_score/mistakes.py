"""The mistakes that people make in a table of charges. This module does not use the guards.

A mistake takes an honest night's file and returns the wrong file; None if the mistake is impossible in this file.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from .company import Company, Row

Table = list[Row]
Mistake = Callable[["Desk"], "Table | None"]
WHOLE: dict[str, Mistake] = {}
FEW: dict[str, Mistake] = {}
LATER: dict[str, Mistake] = {}  # added after the guards were finished


@dataclass
class Desk:
    """The files that the person has: tonight's file, those of earlier nights, other files, and the company's price lists."""

    rows: Table
    earlier: list[Table]
    company: Company
    other: Table
    chance: random.Random
    older: bool = False  # whether the mistake brings a file with its old date

    def copy(self) -> Table:
        """Return a copy of tonight's rows."""
        return [dict(row) for row in self.rows]

    def one(self, rows: Table, condition: Callable[[Row], object] = bool) -> Row | None:
        """Return a random row that meets the condition; None if no row does."""
        fitting = [row for row in rows if condition(row)]
        return self.chance.choice(fitting) if fitting else None

    @property
    def today(self) -> date:
        return self.company.today


def whole(name: str) -> Callable[[Mistake], Mistake]:
    """Register a mistake in the whole file under a name."""

    def register(mistake: Mistake) -> Mistake:
        WHOLE[name] = mistake
        return mistake

    return register


def few(name: str) -> Callable[[Mistake], Mistake]:
    """Register a mistake in a few rows under a name."""

    def register(mistake: Mistake) -> Mistake:
        FEW[name] = mistake
        return mistake

    return register


def changed(rows: Table, column: str, change: Callable[[str], str]) -> Table | None:
    """Return the rows with each cell of a column changed; None if no cell changes."""
    found = [row | {column: change(row[column])} if row[column] else row for row in rows]
    return found if found != rows else None


def times(factor: str | Decimal) -> Callable[[str], str]:
    return lambda cell: f"{Decimal(cell) * Decimal(factor):.2f}"


def column_moved(desk: Desk, column: str, cells: list[str]) -> Table | None:
    """Return the rows with other cells in one column and the same cells in the other columns."""
    found = [row | {column: cell} for row, cell in zip(desk.rows, cells, strict=True)]
    return found if column in desk.company.columns and found != desk.rows else None


def has_price(row: Row) -> bool:
    return bool(row["unit_price"]) and Decimal(row["unit_price"]) > 0


def running(row: Row) -> bool:
    return not row["end_date"]


# prices


whole("prices in öre instead of kronor")(lambda desk: changed(desk.rows, "unit_price", times(100)))
whole("decimal point lost in every price")(
    lambda desk: changed(desk.rows, "unit_price", lambda cell: cell.replace(".", ""))
)
whole("prices including VAT")(lambda desk: changed(desk.rows, "unit_price", times("1.25")))
whole("prices of a year instead of a month")(lambda desk: changed(desk.rows, "unit_price", times(12)))
whole("prices in euro instead of kronor")(lambda desk: changed(desk.rows, "unit_price", times("0.088")))
whole("prices rounded to whole hundreds")(
    lambda desk: changed(desk.rows, "unit_price", lambda cell: f"{round(Decimal(cell), -2):.2f}")
)


@whole("price column emptied")
def _prices_emptied(desk: Desk) -> Table | None:
    return changed(desk.rows, "unit_price", lambda _: "")


@whole("price of one product emptied in the master list")
def _product_emptied(desk: Desk) -> Table | None:
    code = main_product(desk)
    return [row | {"unit_price": ""} if row["product_code"] == code else row for row in desk.rows]


@whole("price column sorted without the others")
def _prices_sorted(desk: Desk) -> Table | None:
    return column_moved(
        desk, "unit_price", sorted((row["unit_price"] for row in desk.rows), key=lambda cell: Decimal(cell or 0))
    )


@whole("price column shifted by a row")
def _prices_shifted(desk: Desk) -> Table | None:
    cells = [row["unit_price"] for row in desk.rows]
    return column_moved(desk, "unit_price", [cells[-1], *cells[:-1]])


@whole("one price filled down to the end")
def _price_filled_down(desk: Desk) -> Table | None:
    cells = [row["unit_price"] for row in desk.rows]
    at = desk.chance.randrange(len(cells) * 3 // 4)
    return column_moved(desk, "unit_price", cells[:at] + [cells[at]] * (len(cells) - at))


@whole("price list before the last rise")
def _old_prices(desk: Desk) -> Table | None:
    found = desk.company.old_prices()
    return found if found != desk.rows else None


@whole("price rise applied twice")
def _risen_twice(desk: Desk) -> Table | None:
    if not any(product.earlier for product in desk.company.products.values()):
        return None
    ratios = {
        product.code: product.price / product.earlier[-1]
        for product in desk.company.products.values() if product.earlier and product.price
    }  # fmt: skip
    return [
        row | {"unit_price": times(ratios[row["product_code"]])(row["unit_price"])}
        if has_price(row) and running(row) and row["product_code"] in ratios else row
        for row in desk.rows
    ]  # fmt: skip


@whole("quantity and price exchanged")
def _exchanged(desk: Desk) -> Table | None:
    return [
        row | {"quantity": row["unit_price"].removesuffix(".00"), "unit_price": row["quantity"]}
        if row["unit_price"]
        else row
        for row in desk.rows
    ]


@whole("minus signs lost")
def _minus_lost(desk: Desk) -> Table | None:
    return changed(desk.rows, "unit_price", lambda cell: cell.lstrip("-"))


@whole("every price a credit")
def _credits(desk: Desk) -> Table | None:
    return changed(desk.rows, "unit_price", lambda cell: f"-{cell.lstrip('-')}")


def main_product(desk: Desk) -> str:
    codes = [row["product_code"] for row in desk.rows if row["unit_price"]]
    return max(sorted(set(codes)), key=codes.count)


@whole("decimal point of one product's price moved")
def _product_price(desk: Desk) -> Table | None:
    code = main_product(desk)
    factor = times(desk.chance.choice(("10", "0.1", "100")))
    return [
        row | {"unit_price": factor(row["unit_price"])} if row["product_code"] == code and row["unit_price"] else row
        for row in desk.rows
    ]


# VAT and quantity


def of_vat(change: Callable[[str], str]) -> Mistake:
    return lambda desk: changed(desk.rows, "vat_rate", change) if "vat_rate" in desk.company.columns else None


whole("VAT as a share")(of_vat(lambda cell: f"{Decimal(cell) / 100:.2f}"))
whole("VAT 0 for all")(of_vat(lambda _: "0.00"))
whole("VAT 25 for all")(of_vat(lambda _: "25.00"))
whole("VAT column emptied")(of_vat(lambda _: ""))


@whole("quantity filled up with a series")
def _series(desk: Desk) -> Table | None:
    at = desk.chance.randrange(max(1, len(desk.rows) // 2))
    return column_moved(desk, "quantity", [
        str(index - at + 1) if index >= at else row["quantity"] for index, row in enumerate(desk.rows)
    ])  # fmt: skip


@whole("quantity column shifted by a row")
def _quantities_shifted(desk: Desk) -> Table | None:
    cells = [row["quantity"] for row in desk.rows]
    return column_moved(desk, "quantity", [cells[-1], *cells[:-1]])


# customers and subscriptions


@whole("customer column sorted without the others")
def _customers_sorted(desk: Desk) -> Table | None:
    rows = sorted(desk.rows, key=lambda row: (row["product_code"], row["text"]))  # as somebody looked at it
    return [
        row | {"customer_no": number}
        for row, number in zip(rows, sorted(row["customer_no"] for row in rows), strict=True)
    ]


@whole("customer column shifted by a row")
def _customers_shifted(desk: Desk) -> Table | None:
    cells = [row["customer_no"] for row in desk.rows]
    return column_moved(desk, "customer_no", [cells[-1], *cells[:-1]])


@whole("customer numbers dragged as a series")
def _dragged(desk: Desk) -> Table | None:
    at = desk.chance.randrange(max(1, len(desk.rows) // 2))
    first = desk.rows[at]["customer_no"]
    digits = first.removeprefix("K-")
    prefix = first.removesuffix(digits)
    return column_moved(desk, "customer_no", [
        f"{prefix}{int(digits) + index - at:0{len(digits)}}" if index >= at else row["customer_no"]
        for index, row in enumerate(desk.rows)
    ])  # fmt: skip


@whole("one customer number filled down")
def _number_filled_down(desk: Desk) -> Table | None:
    at = desk.chance.randrange(max(1, len(desk.rows) // 2))
    cells = [row["customer_no"] for row in desk.rows]
    return column_moved(desk, "customer_no", cells[:at] + [cells[at]] * (len(cells) - at))


@whole("leading zeros lost")
def _zeros_lost(desk: Desk) -> Table | None:
    return changed(desk.rows, "customer_no", lambda cell: cell.lstrip("0"))


@whole("subscription column shifted by a row")
def _subscriptions_shifted(desk: Desk) -> Table | None:
    cells = [row["subscription_no"] for row in desk.rows]
    return column_moved(desk, "subscription_no", [cells[-1], *cells[:-1]])


@whole("subscription column emptied")
def _subscriptions_emptied(desk: Desk) -> Table | None:
    return changed(desk.rows, "subscription_no", lambda _: "")


@whole("product code replaced by another everywhere")
def _replaced(desk: Desk) -> Table | None:
    code = main_product(desk)
    other = desk.chance.choice([each for each in desk.company.products if each != code])
    return [row | {"product_code": other} if row["product_code"] == code else row for row in desk.rows]


# dates


@whole("every charge closed today")
def _closed(desk: Desk) -> Table | None:
    return [
        row
        if row["end_date"] or row["start_date"] > desk.today.isoformat()
        else row | {"end_date": desk.today.isoformat()}
        for row in desk.rows
    ]


@whole("end column copied from the start column")
def _end_is_start(desk: Desk) -> Table | None:
    return (
        [row | {"end_date": row["start_date"]} for row in desk.rows] if "start_date" in desk.company.columns else None
    )


@whole("end column emptied")
def _ends_emptied(desk: Desk) -> Table | None:
    return changed(desk.rows, "end_date", lambda _: "")


def day_month(cell: str) -> str:
    year, month, day = cell.split("-")
    return f"{year}-{day}-{month}" if int(day) <= 12 else cell


@whole("day and month of every start exchanged")
def _start_exchanged(desk: Desk) -> Table | None:
    return changed(desk.rows, "start_date", day_month) if "start_date" in desk.company.columns else None


@whole("every start set to the first of this year")
def _starts_set(desk: Desk) -> Table | None:
    first = f"{desk.today.year}-01-01"
    return changed(desk.rows, "start_date", lambda _: first) if "start_date" in desk.company.columns else None


@whole("every charge ends at the end of the year")
def _year_end(desk: Desk) -> Table | None:
    last = f"{desk.today.year}-12-31"
    return [row if row["end_date"] or row["start_date"] > last else row | {"end_date": last} for row in desk.rows]


# files


@whole("half a file")
def _half(desk: Desk) -> Table | None:
    return desk.rows[: len(desk.rows) * desk.chance.randint(30, 80) // 100]


@whole("header only")
def _header(desk: Desk) -> Table | None:
    return []


@whole("file twice, the second time with other texts")
def _twice(desk: Desk) -> Table | None:
    if "text" not in desk.company.columns:
        return None
    return [*desk.rows, *(row | {"text": f"{row['text'][:60]} (kopia)"} for row in desk.rows)]


@whole("file of a month ago, copied")
def _month_ago(desk: Desk) -> Table | None:
    return desk.earlier[0]


@whole("file of some nights ago, with its date")
def _nights_ago(desk: Desk) -> Table | None:
    desk.older = True
    return desk.earlier[-desk.chance.randint(2, 5)]


@whole("another company's file")
def _others(desk: Desk) -> Table | None:
    return desk.other


@whole("test file")
def _test_file(desk: Desk) -> Table | None:
    return [
        row | {"customer_no": f"TEST{index % 5}", "text": "Testrad"}
        for index, row in enumerate(desk.rows[: desk.chance.randint(5, 40)])
    ]


# a few rows


def in_one_row(condition: Callable[[Row], object], change: Callable[[Desk, Row], Row]) -> Mistake:
    """Return a mistake that changes one row."""

    def mistake(desk: Desk) -> Table | None:
        rows = desk.copy()
        row = desk.one(rows, condition)
        if row is None:
            return None
        before = dict(row)
        row.update(change(desk, row))
        return rows if row != before else None

    return mistake


def swapped(desk: Desk, cell: str) -> str:
    """Return the cell with two neighbouring characters swapped, as in fast typing."""
    places = [at for at in range(len(cell) - 1) if cell[at] != cell[at + 1] and (cell[at] + cell[at + 1]).isdigit()]
    if not places:
        return cell
    at = desk.chance.choice(places)
    return cell[:at] + cell[at + 1] + cell[at] + cell[at + 2 :]


def wrong_digit(desk: Desk, cell: str) -> str:
    """Return the cell with one wrong digit."""
    at = desk.chance.choice([at for at, character in enumerate(cell) if character.isdigit()])
    return cell[:at] + desk.chance.choice([digit for digit in "0123456789" if digit != cell[at]]) + cell[at + 1 :]


few("a zero too many in a price")(in_one_row(has_price, lambda _, row: {"unit_price": times(10)(row["unit_price"])}))
few("decimal point lost in a price")(
    in_one_row(has_price, lambda _, row: {"unit_price": times(100)(row["unit_price"])})
)
few("a digit of a price lost")(
    in_one_row(
        lambda row: has_price(row) and Decimal(row["unit_price"]) >= 100,
        lambda _, row: {"unit_price": row["unit_price"][1:].lstrip("0")},
    )
)
few("two digits of a price exchanged")(
    in_one_row(
        has_price,
        lambda desk, row: {
            "unit_price": swapped(desk, row["unit_price"].split(".")[0]) + "." + row["unit_price"].split(".")[1]
        },
    )
)
few("minus sign typed before a price")(in_one_row(has_price, lambda _, row: {"unit_price": f"-{row['unit_price']}"}))
few("a price emptied")(in_one_row(has_price, lambda _, row: {"unit_price": ""}))
few("a digit too many in a quantity")(
    in_one_row(running, lambda desk, row: {"quantity": row["quantity"] + str(desk.chance.randint(0, 9))})
)
few("price typed into the quantity")(
    in_one_row(
        lambda row: has_price(row) and running(row), lambda _, row: {"quantity": row["unit_price"].split(".")[0]}
    )
)
few("end in the wrong century")(
    in_one_row(running, lambda desk, row: {"end_date": f"{desk.chance.choice((2062, 2206, 2926))}-{desk.today:%m}-28"})
)
few("end in the year before")(
    in_one_row(
        lambda row: running(row) and row["start_date"] < "2025",
        lambda desk, row: {"end_date": f"{desk.today.year - 1}-{desk.today:%m}-28"},
    )
)


def of_column(column: str, mistake: Mistake) -> Mistake:
    return lambda desk: mistake(desk) if column in desk.company.columns else None


few("year of a start mistyped")(
    of_column(
        "start_date",
        in_one_row(
            running,
            lambda desk, row: {
                "start_date": f"{int(row['start_date'][:4]) + desk.chance.choice((-10, -1, 1))}{row['start_date'][4:]}"
            },
        ),
    )
)
few("day and month of a start exchanged")(
    of_column(
        "start_date",
        in_one_row(
            lambda row: running(row) and day_month(row["start_date"]) != row["start_date"],
            lambda _, row: {"start_date": day_month(row["start_date"])},
        ),
    )
)
few("decimal point in a VAT rate")(
    of_column(
        "vat_rate",
        in_one_row(
            lambda row: Decimal(row["vat_rate"]) > 0, lambda _, row: {"vat_rate": f"{Decimal(row['vat_rate']) / 10}"}
        ),
    )
)
few("a customer number mistyped in one row")(
    in_one_row(
        running, lambda desk, row: {"customer_no": desk.chance.choice((swapped, wrong_digit))(desk, row["customer_no"])}
    )
)
few("a subscription number mistyped")(
    in_one_row(
        lambda row: row["subscription_no"],
        lambda desk, row: {"subscription_no": wrong_digit(desk, row["subscription_no"])},
    )
)
few("a product code mistyped")(
    in_one_row(running, lambda desk, row: {"product_code": row["product_code"][:-1] + desk.chance.choice("XYZ9")})
)


@few("a customer's number mistyped in all its rows")
def _customer_mistyped(desk: Desk) -> Table | None:
    number = desk.chance.choice(desk.rows)["customer_no"]
    wrong = wrong_digit(desk, number)
    return [row | {"customer_no": wrong} if row["customer_no"] == number else row for row in desk.rows]


@few("price filled down over a few rows")
def _few_filled(desk: Desk) -> Table | None:
    at, count = desk.chance.randrange(len(desk.rows) - 8), desk.chance.randint(3, 8)
    cells = [row["unit_price"] for row in desk.rows]
    return column_moved(desk, "unit_price", [*cells[:at], *[cells[at]] * count, *cells[at + count :]])


@few("prices of two neighbouring rows exchanged")
def _neighbours(desk: Desk) -> Table | None:
    cells = [row["unit_price"] for row in desk.rows]
    places = [at for at in range(len(cells) - 1) if cells[at] != cells[at + 1]]
    if not places:
        return None
    at = desk.chance.choice(places)
    cells[at], cells[at + 1] = cells[at + 1], cells[at]
    return column_moved(desk, "unit_price", cells)


@few("a row pasted twice, then its text changed")
def _pasted(desk: Desk) -> Table | None:
    row = desk.one(desk.rows, running)
    return None if row is None or "text" not in desk.company.columns else [*desk.rows, row | {"text": "Ny rad"}]


@few("some rows deleted")
def _deleted(desk: Desk) -> Table | None:
    at, count = desk.chance.randrange(len(desk.rows) - 5), desk.chance.randint(1, 5)
    return desk.rows[:at] + desk.rows[at + count :]


@few("customer numbers dragged over a few rows")
def _few_dragged(desk: Desk) -> Table | None:
    at, count = desk.chance.randrange(len(desk.rows) - 8), desk.chance.randint(2, 6)
    first = desk.rows[at]["customer_no"]
    digits = first.removeprefix("K-")
    prefix = first.removesuffix(digits)
    return column_moved(desk, "customer_no", [
        f"{prefix}{int(digits) + index - at:0{len(digits)}}" if at <= index < at + count else row["customer_no"]
        for index, row in enumerate(desk.rows)
    ])  # fmt: skip


@few("a new charge billed from last year")
def _billed_back(desk: Desk) -> Table | None:
    recent = (desk.today - timedelta(days=20)).isoformat()
    row = desk.one(desk.rows, lambda row: row["start_date"] > recent)
    if row is None or "start_date" not in desk.company.columns:
        return None
    wrong = f"{int(row['start_date'][:4]) - 1}{row['start_date'][4:]}"
    return [{**each, "start_date": wrong} if each is row else each for each in desk.rows]
