"""The nightly job, on a real socket, as cron runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from payex_billing.testing import PayexServer

JOB = Path(__file__).with_name("nightly.py")


def export(file: Path, *rows: str) -> Path:
    """What the CRM exports."""
    table = f"(VALUES {', '.join(rows)}) AS rows(customer_no, product_code, quantity, unit_price)"
    duckdb.sql(f"COPY (SELECT * FROM {table}) TO '{file}' (FORMAT parquet)")
    return file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(JOB), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return export(tmp_path / "charges.parquet", "('1', 'P01', 1, 499.00)", "('2', 'P01', 2, 49.50)")


def test_billing_holds_what_was_exported(payex_server: PayexServer, exported: Path) -> None:
    job = run(str(exported))
    assert (job.returncode, job.stdout) == (0, "0 unchanged, 2 applied, 0 rejected, 0 failed\n"), job.stderr
    assert payex_server.customers() == ["1", "2"]
    assert json.loads(exported.with_suffix(".report.json").read_text())["applied"] == 2


def test_the_second_night_writes_nothing(payex_server: PayexServer, exported: Path) -> None:
    assert run(str(exported)).returncode == 0
    before = len(payex_server.writes)
    assert run(str(exported)).returncode == 0
    assert len(payex_server.writes) == before


def test_a_bad_row_does_not_stop_the_others(payex_server: PayexServer, tmp_path: Path) -> None:
    file = export(tmp_path / "charges.parquet", "('1', 'P01', 1, 499.00)", "('2', '', 1, 1)")
    assert run(str(file)).returncode == 3
    assert payex_server.customers() == ["1"]


def test_lost_answers_bill_nobody_twice(payex_server: PayexServer, exported: Path) -> None:
    payex_server.next("lose-answer:POST", "500-after:POST", "lose-answer:POST")
    assert run(str(exported)).returncode in {0, 3}
    assert run(str(exported)).returncode == 0
    assert [len(payex_server.charges(each)) for each in ("1", "2")] == [1, 1]


def test_a_file_that_is_not_there_is_said(payex_server: PayexServer, tmp_path: Path) -> None:
    job = run(str(tmp_path / "missing.parquet"))
    assert job.returncode == 1
    assert "missing.parquet" in job.stderr
    assert run().returncode == 64
