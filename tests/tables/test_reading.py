"""Where a table comes from: files that are not tables, rows of Python, and the temporary files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy
import pandas
import polars
import pyarrow
import pytest
from payex_billing import Charge, reconcile
from payex_billing.reconcile import _csv

IDS = {"customer_no": ["1"], "product_code": ["P"]}


def charges(source: Any, **options: Any) -> list[Charge]:
    with reconcile.read(source, **options) as table:
        assert [str(each) for each in table.rejections] == []
        return [row.charge for _, rows in table.rows() for row in rows]


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for path in (tmp_path, tmp_path / "pipe.csv"):
        with pytest.raises(reconcile.TableError, match="is not a file"):
            reconcile.read(path)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "charges.csv"
    file.write_text("customer_no,product_code\n1,P\n")
    stage = _csv.stage

    def write_more(*arguments: Any) -> str:
        found = stage(*arguments)
        with file.open("a") as opened:
            opened.write("2,P\n")
        return found

    monkeypatch.setattr(_csv, "stage", write_more)
    with pytest.raises(reconcile.TableError, match="has changed while it was read"):
        reconcile.read(file)


def test_a_table_knows_when_its_file_was_written(tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n1,P\n")
    os.utime(tmp_path / "charges.csv", (0, 1_700_000_000))
    with reconcile.read(str(tmp_path / "charges.csv")) as table:
        assert (table.path, table.source_modified) == (tmp_path / "charges.csv", 1_700_000_000)
    with reconcile.read([{"customer_no": "1", "product_code": "P"}]) as table:
        assert (table.path, table.source_modified) == (None, None)


def test_a_closed_table_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with reconcile.read(IDS_ROWS) as table:
        assert len(list(tmp_path.iterdir())) == 1
        assert os.name == "nt" or next(tmp_path.iterdir()).stat().st_mode & 0o077 == 0
        assert table.count() == 1
    table = reconcile.read(IDS_ROWS)
    del table
    with pytest.raises(reconcile.TableError):
        reconcile.read([{"x": 1}])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_killed_process_leaves_one_folder(tmp_path: Path) -> None:
    script = (
        "import os, signal\n"
        "from payex_billing import reconcile\n"
        "def rows():\n"
        "    yield {'customer_no': '1', 'product_code': 'P'}\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "reconcile.read(rows())\n"
    )
    process = subprocess.run([sys.executable, "-c", script], env={**os.environ, "TMPDIR": str(tmp_path)}, check=False)
    assert process.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1


IDS_ROWS = [{"customer_no": "1", "product_code": "P"}]
ODD: list[tuple[str, Any, str]] = [
    ("customer_no", 1.5, "decimals"),
    ("customer_no", True, "true or false"),
    ("customer_no", float("nan"), "not a number"),
    ("customer_no", date(2026, 1, 1), "is a date"),
    ("customer_no", 1e15, "more than 15 digits"),
    ("customer_no", b"1", "bytes"),
    ("product_code", ["P"], "list"),
    ("unit_price", numpy.float32(0.1), "32-bit"),
    ("unit_price", float("inf"), "not a number"),
    ("unit_price", Decimal("1e999999"), "not a number"),
    ("unit_price", numpy.bool_(True), "bool"),
    ("start_date", datetime(2026, 1, 1, tzinfo=UTC), "time zone"),
    ("start_date", datetime(2026, 1, 1, 12), "not a date"),
    ("text", "a\ud800", "could not be read"),
    ("text", 1.5, "decimals"),
]


@pytest.mark.parametrize(
    ("column", "value", "words"), ODD, ids=lambda value: str(value)[:20].encode("ascii", "replace").decode()
)
def test_a_value_that_means_nothing_is_rejected(column: str, value: Any, words: str) -> None:
    with reconcile.read([*IDS_ROWS, {"customer_no": "2", "product_code": "P", column: value}]) as table:
        (rejection,) = table.rejections
        assert (rejection.line, rejection.column) == (2, column)
        assert words in rejection.rule
        assert table.count() == 1


EVEN: list[tuple[str, Any, str, Any]] = [
    ("quantity", 2.0, "quantity", 2),
    ("quantity", numpy.int64(2), "quantity", 2),
    ("quantity", Decimal("2.00"), "quantity", 2),
    ("unit_price", 0.1 + 0.2, "unit_price", Decimal("0.3")),
    ("unit_price", numpy.float64(1e-6), "unit_price", Decimal("0.000001")),
    ("unit_price", -0.0, "unit_price", Decimal(0)),
    ("start_date", datetime(2026, 1, 1), "start_date", date(2026, 1, 1)),
    ("start_date", pandas.Timestamp("2026-01-01"), "start_date", date(2026, 1, 1)),
    ("start_date", pandas.NaT, "start_date", None),
    ("text", pandas.NA, "text", None),
    ("text", numpy.str_("x"), "text", "x"),
    ("text", 100, "text", "100"),
    ("product_code", 101.0, "product_code", "101"),
]


@pytest.mark.parametrize(("column", "value", "name", "expected"), EVEN, ids=lambda value: str(value)[:20])
def test_a_value_of_another_library_is_read(column: str, value: Any, name: str, expected: Any) -> None:
    (charge,) = charges([{"customer_no": "1", "product_code": "P", column: value}])
    assert getattr(charge, name) == expected


REFUSED: list[tuple[Any, str]] = [
    ([], "has no rows"),
    ({"customer_no": "1"}, "type dict is no table"),
    (b"x", "type bytes is no table"),
    (5, "type int is no table"),
    ([("1", "P")], "row 1 is a tuple, not a mapping"),
    ([{"customer_no": "1"}], "has no column product_code"),
    ([{"customer_no": "1", "customerNo": "1", "product_code": "P"}], "are the same column"),
    ([*IDS_ROWS, {"unitprise": 1}], "Did you mean 'unit_price'"),
    (pandas.DataFrame(IDS | {"unit_price": numpy.array([0.1], "float32")}), "lose digits"),
    (polars.DataFrame(IDS | {"unit_price": polars.Series([0.1], dtype=polars.Float32)}), "32-bit floats"),
    (polars.DataFrame(IDS | {"text": [["x"]]}), r"of the type VARCHAR\[\]"),
    (pyarrow.table(IDS | {"text": [b"x"]}), "of the type BLOB"),
    (polars.DataFrame(IDS | {"start_date": [datetime(2026, 1, 1, tzinfo=UTC)]}), "depends on the time zone"),
    (pyarrow.table(IDS | {"customer_no": [True]}), "of the type BOOLEAN"),
]


@pytest.mark.parametrize(("source", "words"), REFUSED, ids=lambda value: str(value)[:30])
def test_rows_that_are_no_table_are_an_error(source: Any, words: str) -> None:
    with pytest.raises(reconcile.TableError, match=f"the table: .*{words}"):
        reconcile.read(source)


def test_nan_is_nothing_in_pandas_and_no_number_elsewhere() -> None:
    nan = IDS | {"unit_price": [float("nan")]}
    assert charges(pandas.DataFrame(nan)) == [Charge(product_code="P")]
    for source in (polars.DataFrame(nan), pyarrow.table(nan), [dict(zip(nan, ("1", "P", float("nan")), strict=True))]):
        with reconcile.read(source) as table:
            assert [each.rule for each in table.rejections] == ["is not a number"]


def test_a_reader_of_arrow_batches_is_read_once() -> None:
    table = pyarrow.table(IDS)
    for source in (table, table.to_batches()[0], table.to_reader()):
        assert charges(source) == [Charge(product_code="P")]
