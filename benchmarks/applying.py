"""What `apply` costs beside a loop that makes the same calls with the client, and beside the transport alone."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from payex_billing import AsyncBilling, Charge, CustomerNotFound, Request, reconcile
from payex_billing._requests import operations
from payex_billing._requests.calls import Call

from benchmarks.measure import Row, ratios, rounds_of

CHARGES, PER_CUSTOMER, WORKERS = 20_000, 4, 16
LEDGER, TOKEN = "1234", "bench-token"
TEXT = (
    f"{CHARGES:,} new charges of {CHARGES // PER_CUSTOMER:,} customers, {WORKERS} customers at once, on a fresh mock "
    "in a process of its own. The bare loop makes the same calls with the client, as one would write them by hand: no "
    "table, no plan, no journal. A ratio of 2 is half its speed, which is the goal. The transport alone sends the same "
    "requests without policy and parsing."
)


def measure() -> list[Row]:
    """The rows of this section."""
    found = rounds_of({"transport alone": transport, "bare loop": bare, "apply": apply}, 3)
    compared = [("apply", "bare loop", 2.0), ("apply", "transport alone", None), ("bare loop", "transport alone", None)]
    return ratios(found, "s", compared)


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


def transport() -> float:
    """Seconds of the transport alone."""

    async def send(billing: AsyncBilling, calls: Iterable[Call[Any]]) -> None:
        base = billing.settings.base_url + billing.settings.prefix
        for call in calls:
            prepared = call.request
            headers = {**prepared.headers, "Authorization": f"Bearer {TOKEN}"}
            request = Request(prepared.method, f"{base}{prepared.path}", headers, prepared.body)
            await billing._runner.sender.send(request, 30.0)

    async def customer(billing: AsyncBilling, number: str) -> None:
        parent = operations.Parent(LEDGER, number)
        await send(billing, [operations.list_charges(parent), operations.create_customer(LEDGER, number)])
        await send(billing, (operations.create_charge(parent, charge) for charge in _charges()))

    return _loop(customer)


def bare() -> float:
    """Seconds of the loop with the client."""

    async def customer(billing: AsyncBilling, number: str) -> None:
        handle = billing.customer(number)
        with suppress(CustomerNotFound):
            assert not [charge async for charge in handle.recurring_products.list()]
        await handle.create()
        for charge in _charges():
            await handle.recurring_products.create(charge, known=[])

    return _loop(customer)


def _charges() -> list[Charge]:
    return [Charge(product_code=f"P{index:02d}", quantity=1) for index in range(PER_CUSTOMER)]


def _loop(customer: Callable[[AsyncBilling, str], Awaitable[None]]) -> float:
    """Seconds that so many workers take for all customers."""

    async def main(url: str) -> float:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            source = iter(_numbers())

            async def worker() -> None:
                for number in source:
                    await customer(billing, number)

            started = time.perf_counter()
            await asyncio.gather(*(worker() for _ in range(WORKERS)))
            return time.perf_counter() - started

    with mock() as url:
        return asyncio.run(main(url))


def apply(journal: str | None = None) -> float:
    """Seconds of `apply`, reading the file included; the journal is a file, or in the database of this address."""
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
