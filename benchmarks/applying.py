"""What `apply` costs beside a bare loop that sends the same requests through the same engine."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import Row, side_by_side

CHARGES, PER_CUSTOMER, WORKERS = 20_000, 4, 16
LEDGER, TOKEN = "1234", "bench-token"
TEXT = (
    f"{CHARGES:,} new charges of {CHARGES // PER_CUSTOMER:,} customers, {WORKERS} customers at once, on a fresh mock "
    "in a process of its own. The base sends the same requests through the transport: no policy, no parsing, no "
    "journal, no table. A ratio of 2 is half its speed, which is the goal."
)


def measure() -> list[Row]:
    """The rows of this section."""
    return side_by_side({"bare loop": bare, "apply": apply}, "s", {"apply": 2.0}, base="bare loop", rounds=3)


@contextmanager
def mock(*options: str) -> Iterator[str]:
    """The URL of a fresh mock in a process of its own; fast unless there are other options."""
    own = options or ("--fast",)
    command = [sys.executable, "-m", "payex_billing_mock", "--ledger", LEDGER, "--token", TOKEN, "--port", "0", *own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            while (found := re.search(r"http://[\d.]+:\d+", process.stdout.readline())) is None:
                pass
            yield found[0]
        finally:
            process.terminate()
            process.communicate()


def _numbers() -> list[str]:
    return [str(10_000_000 + index) for index in range(CHARGES // PER_CUSTOMER)]


def bare() -> float:
    """Seconds of the bare loop."""
    from payex_billing import (  # noqa: PLC0415 - measured
        AsyncBilling,
        Charge,
        Request,
    )
    from payex_billing._requests import operations  # noqa: PLC0415 - measured

    charges = [Charge(product_code=f"P{index:02d}", quantity=1) for index in range(PER_CUSTOMER)]

    async def main(url: str) -> float:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            source, base = iter(_numbers()), url + billing.settings.prefix

            async def worker() -> None:
                for number in source:
                    parent = operations.Parent(LEDGER, number)
                    calls = [operations.list_charges(parent), operations.create_customer(LEDGER, number)]
                    calls += [operations.create_charge(parent, charge) for charge in charges]
                    for call in calls:
                        prepared = call.request
                        headers = {**prepared.headers, "Authorization": f"Bearer {TOKEN}"}
                        request = Request(prepared.method, f"{base}{prepared.path}", headers, prepared.body)
                        await billing._runner.sender.send(request, 30.0)

            started = time.perf_counter()
            await asyncio.gather(*(worker() for _ in range(WORKERS)))
            return time.perf_counter() - started

    with mock() as url:
        return asyncio.run(main(url))


def apply(journal: str | None = None) -> float:
    """Seconds of `apply`, reading the file included; the journal is a file, or in the database of this address."""
    from payex_billing import AsyncBilling, reconcile  # noqa: PLC0415 - measured

    rows = [f"{number},P{index:02d},1" for number in _numbers() for index in range(PER_CUSTOMER)]

    async def main(url: str, folder: Path) -> float:
        file = folder / "charges.csv"
        file.write_text("customer_no,product_code,quantity\n" + "\n".join(rows), encoding="utf-8")
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            started = time.perf_counter()
            with reconcile.read(file) as table:
                report = await reconcile.apply(
                    billing, table, journal=journal or folder / "journal", concurrency=WORKERS, first_run=True
                )
            assert report.applied == CHARGES
            return time.perf_counter() - started

    with mock() as url, tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        return asyncio.run(main(url, Path(folder)))
