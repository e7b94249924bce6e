"""Measure the time that `apply` adds: for its checks on a night with few changes, and for lost responses."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.applying import LEDGER, PER_CUSTOMER, TOKEN, WORKERS, mock
from benchmarks.measure import Row, ratios, rounds_of

CUSTOMERS, CHANGED = 8_000, 400
SETTLE = 60.0
# `lose-answer` loses the response after the creation took effect: a look-up finds the charge at once. `reset-before`
# breaks the connection before the creation takes effect: that is certain only after `settle`.
LOSSES = ("--fault", "lose-answer:POST@0.005", "--fault", "reset-before:POST@0.005")
TEXT = (
    f"A night on which 5 % of the rows change: {CUSTOMERS:,} customers with {PER_CUSTOMER} charges each, of which "
    f"{CHANGED} customers get new prices, {WORKERS} customers at once. `apply` plans, asks the guards, and reads each "
    "customer again before it writes to it. The base reads each customer once and sends the same changes.\n\n"
    "Lost responses: 20,000 new charges of 5,000 customers on the mock, which loses 1 % of the responses to creations. "
    f"`settle` is {SETTLE:g} s. A creation that was lost before it took effect is repeated after `settle`; if "
    "another creation for that customer is lost, `apply` waits for `settle` again. Meanwhile, it writes the other "
    "customers. The seconds beyond these waits are compared with those of a night without losses."
)
NIGHT, ONCE = "apply, 5 % of the rows change", "reading once, and the same changes"
LOST, CLEAN = "apply with lost responses, less the settle", "apply without losses"
# Counts for each customer how many creations took no effect, and returns the highest count. `apply` waits for `settle`
# once for each of these creations.
_WAITS = "SELECT max(n) FROM (SELECT count(*) AS n FROM write WHERE result = 'absent' GROUP BY customer)"


def measure() -> list[Row]:
    """Run the benchmarks and return the rows for this section of the report."""
    nights = ratios(rounds_of({ONCE: _once, NIGHT: _night}, 5), "s", [(NIGHT, ONCE, 1.1)])
    losses = ratios(rounds_of({CLEAN: _clean, LOST: _lost}, 1), "s", [(LOST, CLEAN, 1.2)])
    return [*nights, *losses]


def _table(folder: Path, name: str, customers: int, *, changed: int = 0) -> Path:
    rows = [
        f"{10_000_000 + at},P{index:02d},1,{102 if at < changed else 100}"
        for at in range(customers)
        for index in range(PER_CUSTOMER)
    ]
    file = folder / name
    file.write_text("customer_no,product_code,quantity,unit_price\n" + "\n".join(rows), encoding="utf-8")
    return file


def _on_a_full_ledger(*, apply_all: bool) -> float:
    """Return the seconds of a night with few changes, after a first run that is not measured.

    With `apply_all`, `apply` makes the changes. Without it, each customer is read once and the changes are sent.
    """
    from payex_billing import AsyncBilling, reconcile  # noqa: PLC0415 - measured

    async def main(url: str, folder: Path) -> float:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            with reconcile.read(_table(folder, "first.csv", CUSTOMERS)) as table:
                await reconcile.apply(billing, table, journal=folder / "1", concurrency=WORKERS, first_run=True)
            file = _table(folder, "night.csv", CUSTOMERS, changed=CHANGED)
            started = time.perf_counter()
            with reconcile.read(file) as table:
                if apply_all:
                    report = await reconcile.apply(billing, table, journal=folder / "2", concurrency=WORKERS)
                    assert report.applied == CHANGED * PER_CUSTOMER
                else:
                    made = await reconcile.plan(billing, table, concurrency=WORKERS)
                    steps = iter([step for customer in made.customers for step in customer.steps])
                    made.close()

                    async def worker() -> None:
                        for step in steps:
                            charges = billing.customer(step.customer_no).recurring_products
                            await charges.update(str(step.charge_id), **step.changes)

                    await asyncio.gather(*(worker() for _ in range(WORKERS)))
            return time.perf_counter() - started

    with mock() as url, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        return asyncio.run(main(url, Path(folder)))


def _once() -> float:
    return _on_a_full_ledger(apply_all=False)


def _night() -> float:
    return _on_a_full_ledger(apply_all=True)


def _first_run(*options: str) -> float:
    """Return the seconds of a first run that adds 20,000 charges."""
    from payex_billing import AsyncBilling, reconcile  # noqa: PLC0415 - measured

    async def main(url: str, folder: Path) -> float:
        file = _table(folder, "charges.csv", 5_000)
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            started = time.perf_counter()
            with reconcile.read(file) as table:
                report = await reconcile.apply(
                    billing, table, journal=folder / "1", concurrency=WORKERS, first_run=True, settle=SETTLE
                )
            assert report.is_complete
            took = time.perf_counter() - started
        with closing(sqlite3.connect(folder / "1")) as journal:
            return took - SETTLE * (journal.execute(_WAITS).fetchone()[0] or 0)

    with mock(*options) as url, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        return asyncio.run(main(url, Path(folder)))


def _clean() -> float:
    return _first_run("--fault", "latency=0@0.01")  # any fault option: without one, the mock runs with --fast


def _lost() -> float:
    return _first_run(*LOSSES)
