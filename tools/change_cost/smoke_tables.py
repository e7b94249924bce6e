"""The steps of the smoke test for tables: `reconcile` and the command line."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from .smoke_scene import LEDGER, TOKEN, Smoke

# Seconds. `apply` waits until the result of a lost creation is certain. After some corrections, no creation gets a
# result that the client can read, so the waits are short.
PATIENCE: dict[str, Any] = {"settle": 3, "patience": 5}


def table(smoke: Smoke, name: str, prefix: str, price: str) -> Path:
    """Write a CSV file with three charges for each of two customers, and return its path."""
    more = smoke.expect.required.get("charge", {})
    vat = "0.25" if smoke.judge.document["components"]["schemas"]["VatRate"]["maximum"] == 1 else "25.00"
    path = smoke.folder / name
    with path.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        columns = "customer_no,subscription_no,product_code,quantity,unit_price,vat_rate,text,start_date,end_date"
        writer.writerow([*columns.split(","), *more])
        for customer in (f"{prefix}1", f"{prefix}2"):
            for subscription, code, end in (("", "P01", ""), ("467011", "P02", "2026-12-31"), ("467011", "K09", "")):
                quantity = smoke.expect.samples.get("quantity", "2")
                row = [customer, subscription, code, quantity, price, vat, "Åsgatan 12", "2026-01-01", end]
                writer.writerow([*row, *more.values()])
    return path


def prepare(smoke: Smoke, prefix: str) -> None:
    """Create the customers of a table if the contract requires properties that `apply` cannot know."""
    if {"customer", "subscription"} & set(smoke.expect.required):
        for number in (f"{prefix}1", f"{prefix}2"):
            smoke.new_customer(number, "467011")


def reconcile(smoke: Smoke) -> None:
    """Apply a table, apply the same table again, and apply it with other prices."""
    import payex_billing  # noqa: PLC0415

    prepare(smoke, "7000")
    sync = payex_billing.reconcile

    def apply(path: Path) -> tuple[Any, ...]:
        with sync.read(path) as rows:
            report = sync.apply_sync(smoke.billing, rows, journal=smoke.folder / "journal", first_run=True, **PATIENCE)
        problems = {**report.rejected, **report.failed}
        if problems:
            line, reason = next(iter(problems.items()))
            raise RuntimeError(f"{len(problems)} of {report.rows} rows were not applied; line {line}: {reason}")
        return report.applied, report.unchanged

    smoke.same("first: applied, unchanged", apply(table(smoke, "a.csv", "7000", "499.10")), (6, 0))
    smoke.same("again: applied, unchanged", apply(table(smoke, "a.csv", "7000", "499.10")), (0, 6))
    # The price changes by less than 1 %, so no guard stops the run.
    smoke.same("changed: applied, unchanged", apply(table(smoke, "a.csv", "7000", "501.123456")), (6, 0))
    held = list(smoke.billing.customer("70001").all_charges())
    smoke.same("prices", [each.product.unit_price for each in held], [Decimal("501.123456")] * 3)
    quantity = Decimal(smoke.expect.samples.get("quantity", "2"))
    smoke.same("quantities", [each.product.quantity for each in held], [quantity] * 3)
    smoke.same("texts", [each.product.text for each in held], ["Åsgatan 12"] * 3)
    smoke.same("ends", sorted(str(each.product.end_date) for each in held), ["2026-12-31", "None", "None"])


def command_line(smoke: Smoke) -> None:
    """Run `plan`, `apply` and `charges list` from the command line."""
    prepare(smoke, "8000")
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": smoke.proxy.url, "PAYEX_TIMEOUT": "5"}
    # The guards compare a run with the earlier run in XDG_STATE_HOME. Another folder keeps the two steps apart.
    settings["XDG_STATE_HOME"] = str(smoke.folder / "command-line")
    path = str(table(smoke, "b.csv", "8000", "99.90"))

    def run(*arguments: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "payex_billing", *arguments],
            env={**os.environ, **settings, "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        if result.returncode != 0:
            lines = (result.stderr or result.stdout).strip().splitlines()
            raise RuntimeError(f"payex-billing {arguments[0]}: exit code {result.returncode}: {' | '.join(lines[-4:])}")
        return result.stdout

    waits = [f"--{name}={seconds}" for name, seconds in PATIENCE.items()]
    run("plan", path)
    run("apply", path, *waits)
    smoke.same("the second time", "Nothing to do." in run("apply", path, *waits), True)
    listed = run("charges", "list", "80001", "--json")
    smoke.same("charges list", ("P01" in listed, "99.9" in listed, "2026-01-01" in listed), (True, True, True))
