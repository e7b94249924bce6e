"""What a client costs to make and to keep: construction, connections, memory."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trustme
from payex_billing import AsyncBilling, Billing
from payex_billing_mock import Faults, MockServer, Tls

from benchmarks.calls import FAST, LEDGER, NUMBER, SLOW, TOKEN
from benchmarks.measure import Row, rounds_of
from benchmarks.server import serving

TEXT = (
    "Construction is the time of `Billing(…)` and `close()`, with the SSL context of an earlier client. Connections "
    "are what a server over TLS accepts for 20,000 calls of 64 workers with a client certificate. Memory is what the "
    "greatest size of the process grows by from the 20,000th call to the last of 1,000,000, made by 64 workers over an "
    "iterator. Ratios are to the limit."
)
CONSTRUCTIONS = 100
CALLS, MANY = 20_000, 1_000_000
MILLISECONDS, CONNECTIONS, MEGABYTES = 2.0, 70, 20.0


async def over(numbers: range, work: Callable[[int], Awaitable[None]], workers: int) -> None:
    """Do the work for each number, by so many workers over one iterator."""
    source = iter(numbers)

    async def worker() -> None:
        for number in source:
            await work(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(worker())


def construction(engine: str) -> float:
    """Milliseconds to make a client and to close it."""
    started = time.perf_counter()
    for _ in range(CONSTRUCTIONS):
        Billing(token=TOKEN, owner_no=LEDGER, engine=engine).close()
    return (time.perf_counter() - started) / CONSTRUCTIONS * 1000


def connections(engine: str) -> int:
    """Connections that the server accepted."""
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        for identity in ("127.0.0.1", "client.example"):
            issued = authority.issue_cert(identity)
            issued.private_key_and_cert_chain_pem.write_to_path(str(folder / f"{identity}.pem"))
        own, ca = str(folder / "127.0.0.1.pem"), str(folder / "ca.pem")
        with MockServer({LEDGER: TOKEN}, tls=Tls(own, own, client_ca=ca), faults=Faults()) as server:
            assert server._wire is not None
            before = server._wire.accepted
            asyncio.run(_calls(server.url, engine, client_cert=str(folder / "client.example.pem"), ca_file=ca))
            return server._wire.accepted - before


async def _calls(url: str, engine: str, **options: Any) -> None:
    async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url, engine=engine, **options) as billing:
        customer = billing.customer(NUMBER)
        await customer.create()

        async def one(_: int) -> None:
            await customer.get()

        await over(range(CALLS), one, 64)


def growth() -> float:
    """Megabytes that a million calls cost."""

    async def main(url: str) -> float:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url, engine="reqwest") as billing:

            async def one(_number: int) -> None:
                await billing.customer(NUMBER).get()

            await over(range(CALLS), one, 64)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await over(range(CALLS, MANY), one, 64)
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    with serving() as url:
        return asyncio.run(main(url))


def measure() -> list[Row]:
    """The rows of this section."""
    rows = []
    grown = growth()  # before anything else has made the process larger
    rows.append(Row("memory of 1,000,000 calls", grown, "MB", grown / MEGABYTES, 1.0, "a limit of 20 MB"))
    construction("httpx")
    construction("reqwest")
    both = {SLOW: lambda: construction("httpx"), FAST: lambda: construction("reqwest")}
    for name, values in rounds_of(both).items():
        value = sorted(values)[len(values) // 2]
        rows.append(Row(f"construction, {name}", value, "ms", value / MILLISECONDS, 1.0, "a limit of 2 ms"))
    for name, engine, goal in ((SLOW, "httpx", 1.0), (FAST, "reqwest", None)):
        opened = connections(engine)
        rows.append(Row(f"connections, {name}", opened, "", opened / CONNECTIONS, goal, "a limit of 70"))
    return rows
