"""The same rows are the same table, whatever they come from: every source equals CSV."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pandas
import polars
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payex_billing import reconcile
from pyarrow import parquet

Row = Mapping[str, Any]
COLUMNS = (
    "customer_no",
    "subscription_no",
    "product_code",
    "quantity",
    "unit_price",
    "vat_rate",
    "text",
    "start_date",
    "end_date",
)
# In a CSV file, a cell that begins with a space and a quote is rejected: most who write `, "P"` mean P.
WORDS = st.text("abÅö19 .,;|'\"=+-@_/\u00a0€😀", max_size=12).filter(lambda text: not re.match(r'\s+"', text))
# Right values and wrong ones. No float has more than 15 digits, so that every source can hold the same number.
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "customer_no": st.sampled_from(["1", "15615616", "007", " 5 ", "x:y", "", "1\u00a02", "12345678901234567"]) | WORDS,
            "subscription_no": st.none() | st.sampled_from(["46701234567", "4670\u00a01"]) | WORDS,
            "product_code": st.sampled_from(["P", "P01", "101", "P00001", "P\u200b"]),
            "quantity": st.none() | st.integers(-1, 100_001),
            "unit_price": st.none() | st.decimals(-99_999_999, 99_999_999, places=2) | st.decimals(-99, 99, places=7),
            "vat_rate": st.none() | st.decimals(-1, 101, places=3),
            "text": st.none() | WORDS | st.just("x" * 74),
            "start_date": st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1)),
            "end_date": st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1)),
        }
    ),
    min_size=1,
    max_size=12,
)  # fmt: skip


def plain(value: Any) -> str:
    return "" if value is None else format(value, "f") if isinstance(value, Decimal) else str(value)


def columns(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in COLUMNS}


def number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def midnight(value: date | None) -> datetime | None:
    return None if value is None else datetime(value.year, value.month, value.day)


def write_csv(rows: list[Row], folder: Path, *, delimiter: str = ",", sign: str = ".", encoding: str = "utf-8") -> Path:
    file = folder / "rows.csv"
    with file.open("w", encoding=encoding, newline="") as opened:
        writer = csv.writer(opened, delimiter=delimiter)
        writer.writerow(COLUMNS)
        for row in rows:
            cells = {name: plain(row[name]) for name in COLUMNS}
            for name in ("unit_price", "vat_rate"):
                cells[name] = cells[name].replace(".", sign)
            writer.writerow(cells.values())
    return file


def semicolons(rows: list[Row], folder: Path) -> Any:
    # More decimals: a number with three of them may be one with thousands.
    longer = [
        {**row, "vat_rate": None if row["vat_rate"] is None else row["vat_rate"].quantize(Decimal("1.0000"))}
        for row in rows
    ]
    return write_csv(longer, folder, delimiter=";", sign=",")


def packed(rows: list[Row], folder: Path) -> Any:
    file = folder / "rows.csv.gz"
    file.write_bytes(gzip.compress(write_csv(rows, folder, encoding="utf-16").read_bytes()))
    return file


def json_lines(rows: list[Row], folder: Path) -> Any:
    file = folder / "rows.jsonl"
    with file.open("w", encoding="utf-8") as opened:
        for row in rows:
            cells = {
                name: plain(value)
                if isinstance(value, Decimal | int)
                else json.dumps(value if value is None else str(value))
                for name, value in row.items()
            }
            opened.write("{" + ", ".join(f'"{name}": {cell}' for name, cell in cells.items()) + "}\n")
    return file


def workbook(rows: list[Row], folder: Path) -> Any:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(COLUMNS)
    for line, row in enumerate(rows, start=2):
        for column, value in enumerate(row.values(), start=1):
            cell = sheet.cell(line, column, number(value))
            if isinstance(value, str):
                cell.data_type = "s"  # also when it begins with =
    book.save(folder / "rows.xlsx")
    return folder / "rows.xlsx"


def parquet_decimals(rows: list[Row], folder: Path) -> Any:
    parquet.write_table(arrow(rows, folder), folder / "rows.parquet")
    return folder / "rows.parquet"


def parquet_doubles(rows: list[Row], folder: Path) -> Any:
    table = pandas.DataFrame([{name: number(value) for name, value in row.items()} for row in rows])
    table[["quantity", "unit_price", "vat_rate"]] = table[["quantity", "unit_price", "vat_rate"]].astype("float64")
    for name in ("start_date", "end_date"):
        table[name] = pandas.to_datetime(table[name])
    table.to_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"


def arrow(rows: list[Row], folder: Path) -> Any:
    kinds = {
        "quantity": pyarrow.int64(),
        "unit_price": pyarrow.decimal128(20, 8),
        "vat_rate": pyarrow.decimal128(20, 8),
    }
    dates = dict.fromkeys(("start_date", "end_date"), pyarrow.date32())
    texts = dict.fromkeys(("customer_no", "subscription_no", "product_code", "text"), pyarrow.large_string())
    schema = {**kinds, **dates, **texts}
    return pyarrow.table({name: pyarrow.array(values, schema[name]) for name, values in columns(rows).items()})


def pandas_objects(rows: list[Row], folder: Path) -> Any:
    return pandas.DataFrame(rows, dtype=object)


def pandas_typed(rows: list[Row], folder: Path) -> Any:
    frame = pandas.DataFrame([{name: number(value) for name, value in row.items()} for row in rows])
    for name in ("start_date", "end_date"):
        frame[name] = pandas.to_datetime(frame[name])
    return frame.convert_dtypes() if len(rows) % 2 else frame


def polars_frame(rows: list[Row], folder: Path) -> Any:
    schema = {
        "quantity": polars.Int32,
        "unit_price": polars.Decimal(20, 8),
        "vat_rate": polars.Float64,
        "start_date": polars.Date,
        "end_date": polars.Datetime,
    }
    cells = columns(rows) | {
        "vat_rate": [number(row["vat_rate"]) for row in rows],
        "end_date": [midnight(row["end_date"]) for row in rows],
    }
    return polars.DataFrame(cells, schema={name: schema.get(name, polars.String) for name in COLUMNS})


def python_rows(rows: list[Row], folder: Path) -> Any:
    return (dict(row) for row in rows)


def python_texts(rows: list[Row], folder: Path) -> Any:
    return [{name: plain(value) for name, value in row.items()} for row in rows]


SOURCES: list[Callable[[list[Row], Path], Any]] = [
    semicolons, packed, json_lines, workbook, parquet_decimals, parquet_doubles, arrow, pandas_objects, pandas_typed, polars_frame,
    python_rows, python_texts,
]  # fmt: skip


def content(source: Any, first: int) -> tuple[list[Any], list[Any]]:
    """The rows and the rejections of a table, by the number of the row."""
    with reconcile.read(source, allow_duplicates=True) as table:
        rows = [
            (row.line - first, row.customer_no, row.subscription_no, row.charge)
            for _, rows in table.rows()
            for row in rows
        ]
        rejections = [(each.line - first, each.column, each.rule) for each in table.rejections]
        assert table.total == len({line for line, *_ in [*rows, *rejections]})
        return rows, rejections


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_every_source_equals_csv(source: Callable[[list[Row], Path], Any], tmp_path: Path) -> None:
    first = 2 if source in {semicolons, packed, workbook} else 1

    @settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(ROWS)
    def equal(drawn: list[Row]) -> None:
        rows = [{name: row[name] for name in COLUMNS} for row in drawn]  # it draws them in any order
        expected = content(write_csv(rows, tmp_path), 2)
        assert content(source(rows, tmp_path), first) == expected

    equal()
