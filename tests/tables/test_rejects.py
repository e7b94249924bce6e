"""Rejected rows are corrected in the file that `--rejects` writes, and that file is applied as it is."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest
from payex_billing import reconcile
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
        return run_command(*arguments, cwd=tmp_path, environment={**os.environ, **variables})

    return run


def products(mock: MockServer, customer: str) -> list[str]:
    return sorted(charge.document["productCode"] for charge in mock.store.charges(LEDGER, customer).values())


def correct(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("prune", [[], ["--prune"]])
def test_rejects_are_corrected_and_applied(run: Run, mock: MockServer, tmp_path: Path, prune: list[str]) -> None:
    text = "customerNo;productCode;unitPrice;text\n1;A;10,50;Årsavgift\n1;B;1.000;Fibér\n2;C;x;\n3;D;5;y;\n"
    (tmp_path / "charges.csv").write_bytes(text.encode("cp1252"))
    first = run("apply", "charges.csv", "--rejects", "rejects.csv", *prune)
    assert first.returncode == 3, first.stderr
    assert "line 3, column unitPrice: '1.000' may be read with thousands" in first.stderr
    again = run("apply", "rejects.csv", "--rejects", "rejects2.csv", *prune)
    assert "0 applied, 3 rejected" in again.stdout
    correct(tmp_path / "rejects.csv", (";1.000;", ";1000;"), (";x;", ";5,5;"), ("5;y;;", "5;y;"))
    second = run("apply", "rejects.csv", *prune)
    assert (second.returncode, "3 applied" in second.stdout) == (0, True), second.stderr
    assert [products(mock, customer) for customer in "123"] == [["A", "B"], ["C"], ["D"]]  # A is in the first file only
    documents = [charge.document for charge in mock.store.charges(LEDGER, "1").values()]
    (charge,) = (document for document in documents if document["productCode"] == "B")
    assert (charge["unitPrice"], charge["text"]) == (1000, "Fibér")


def test_the_rejects_of_rejects_have_one_reason(tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n1,P00001\n")
    for source, target in (("charges.csv", "rejects.csv"), ("rejects.csv", "again.csv")):
        with reconcile.read(tmp_path / source) as table:
            table.write_rejects(tmp_path / target, table.reasons())
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "rejects.csv").read_bytes()
    assert (tmp_path / "again.csv").read_text(encoding="utf-8-sig").splitlines()[
        0
    ] == "customer_no,product_code,payex_reason"


ROWS = [
    ("1", "P", Decimal("1.125"), Decimal("6.5"), "a;b", date(2026, 1, 31)),
    ("2", "P", Decimal(499), None, 'a "b", c', None),
    ("3", "P", Decimal("-0.000001"), Decimal(25), None, date(2026, 1, 31)),
]
NAMES = ("customer_no", "product_code", "unit_price", "vat_rate", "text", "end_date")


def workbook(file: Path) -> Path:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    for row in (NAMES, *ROWS):
        sheet.append([float(value) if isinstance(value, Decimal) else value for value in row])
    book.save(file.with_suffix(".xlsx"))
    return file.with_suffix(".xlsx")


def parquet(file: Path) -> Path:
    with duckdb.connect() as database:
        database.execute(
            "CREATE TABLE rows (customer_no VARCHAR, product_code VARCHAR, unit_price DOUBLE, vat_rate DECIMAL(5, 2), text VARCHAR, "
            "end_date DATE)"
        )
        database.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?)", ROWS)
        database.table("rows").write_parquet(str(file.with_suffix(".parquet")))
    return file.with_suffix(".parquet")


@pytest.mark.parametrize("write", [workbook, parquet])
@pytest.mark.parametrize("options", [{}, {"decimal_comma": True}, {"decimal_comma": False}])
def test_rejects_of_typed_tables_are_read_as_the_same_values(
    write: Callable[[Path], Path], options: dict[str, Any], tmp_path: Path
) -> None:
    """Every row may fail at the server, and is then written as CSV."""
    with reconcile.read(write(tmp_path / "rows"), **options) as table:
        expected = [row.charge for _, rows in table.rows() for row in rows]
        assert len(expected) == len(ROWS)
        table.write_rejects(tmp_path / "rejects.csv", {row.line: "failed" for _, rows in table.rows() for row in rows})
    with reconcile.read(tmp_path / "rejects.csv", **options) as table:
        assert [str(each) for each in table.rejections] == []
        assert [row.charge for _, rows in table.rows() for row in rows] == expected


def test_mapped_and_ignored_columns_are_read_again_with_the_same_options(tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("kund|productCode|mine\n1|P00001|x\n")
    options: dict[str, Any] = {"columns": {"kund": "customer_no"}, "ignore": ["mine"], "delimiter": "|"}
    with reconcile.read(tmp_path / "charges.csv", **options) as table:
        table.write_rejects(tmp_path / "rejects.csv", table.reasons())
    correct(tmp_path / "rejects.csv", ("P00001", "P"))
    with reconcile.read(tmp_path / "rejects.csv", **options) as table:
        assert table.rejections == []
        assert table.count() == 1


def test_many_rejections_take_one_pass(tmp_path: Path) -> None:
    """With one search for each rejection, 40,000 took 30 s; now the whole test takes 2 s."""
    lines = (f"{number},P,x" if number % 2 else f"{number},P" for number in range(40_000))
    (tmp_path / "charges.csv").write_text("customer_no,product_code,unit_price\n" + "\n".join(lines))
    with reconcile.read(tmp_path / "charges.csv") as table:
        assert len(table.rejections) == len(table.reasons()) == 40_000
        assert [each.line for each in table.rejections] == list(range(2, 40_002))
        table.write_rejects(tmp_path / "rejects.csv", table.reasons())
    assert len((tmp_path / "rejects.csv").read_text(encoding="utf-8").splitlines()) == 40_001


def test_the_output_shows_the_first_rejections_and_counts_the_others(run: Run, tmp_path: Path) -> None:
    lines = [f"{number},P,x,a\u202eb" for number in range(30)] + [" 31 ,P,1,x"]
    (tmp_path / "charges.csv").write_text(
        "customer_no,product_code,unit_price,text\n" + "\n".join(lines), encoding="utf-8"
    )
    shown = run("plan", "charges.csv").stderr.splitlines()
    assert shown[0] == "charges.csv: 1 cell had spaces before or after the text, which were removed. See line 32."
    assert shown[1] == "charges.csv: line 2, column unit_price: 'x' is not a number"
    assert shown[2] == r"charges.csv: line 2, column text: 'a\u202eb' has the invisible character U+202E"
    assert shown[21:] == [
        "charges.csv: 20 more: column unit_price: is not a number",
        "charges.csv: 20 more: column text: has the invisible character U+202E",
        "charges.csv: --rejects FILE writes all rejected rows, with the reason.",
    ]
