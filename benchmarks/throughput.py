"""Many asynchronous calls at once: how many a second, how late the last of them, at what a slow server allows."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from statistics import quantiles
from typing import Any

import httpcore2
from payex_billing import AsyncBilling, Charge
from payex_billing._session.headers import ACCEPT
from pyreqwest.client import ClientBuilder

from benchmarks.calls import BARE, FAST, LEDGER, NUMBER, SLOW, STOCK, TOKEN
from benchmarks.measure import Row, ratios, rounds_of
from benchmarks.server import serving
from benchmarks.stock import stock

TEXT = (
    "Calls a second of so many workers that share a client; more is better. Each client has a process of its own, and "
    "so has the server, the same for all. A client of ours has at most 100 requests under way (`max_concurrency`), "
    "however many workers there are."
)
SLOW_TEXT = (
    "64 workers against a server that takes 20 ms for an answer; more is better. The ideal is 64 answers in the time "
    "that one takes a raw socket, which is 20 ms: about 3,200 a second."
)
LATE_TEXT = "The time within which 99 of 100 calls of 256 workers ended; less is better."
PRODUCT = "P01"
CHARGE = Charge(product_code=PRODUCT, quantity=1)
BODY = b'{"productCode":"P01","quantity":1}'
# A millisecond is added by the clock of asyncio, which counts in whole ones: a raw socket waits 20 for its answer.
DELAY = 0.019
IDEAL = "64 × a raw socket"
POOL = "httpcore2's own pool, untyped"
Call = Callable[[], Awaitable[object]]
# Each takes a third of a second or so: many short rounds are disturbed less by what the machine does besides than few
# long ones.
CALLS = {STOCK: 300, SLOW: 2_400, FAST: 3_000, BARE: 3_000, POOL: 1_200}
ROUNDS = 21


async def _make(name: str, url: str, *, writes: bool, stack: AsyncExitStack) -> Call:
    if name == STOCK:
        import httpx  # noqa: PLC0415 - a peer

        base, headers = f"{url}/billing/customer/v1", {"Authorization": f"Bearer {TOKEN}"}
        plain = await stack.enter_async_context(httpx.AsyncClient(base_url=base, headers=headers, timeout=30))
        client = stock("client").AuthenticatedClient(base_url=base, token=TOKEN).set_async_httpx_client(plain)
        get_customer = stock("api.customers.get_customer")
        if writes:
            create = stock("api.recurring_products.create_customer_recurring_product").asyncio_detailed
            body = stock("models").NewRecurringProduct(product_code=PRODUCT, quantity=1)
            return lambda: create(LEDGER, NUMBER, client=client, body=body)
        return lambda: get_customer.asyncio_detailed(LEDGER, NUMBER, client=client)
    if name == POOL:
        pool = await stack.enter_async_context(httpcore2.AsyncConnectionPool(max_connections=100))
        target = f"{url}/billing/customer/v1/{LEDGER}/customers/{NUMBER}"
        own: dict[bytes | str, bytes | str] = {
            "Authorization": f"Bearer {TOKEN}",
            "Accept": ACCEPT,
            "Accept-Encoding": "gzip, deflate",
        }
        return lambda: pool.request("GET", target, headers=own)
    if name == BARE:
        sent = {"Authorization": f"Bearer {TOKEN}", "Accept": ACCEPT}  # the same request as ours
        if writes:
            sent["Content-Type"] = "application/json"
        builder = ClientBuilder().no_proxy().default_headers(sent)
        bare = await stack.enter_async_context(builder.build())
        path = f"{url}/billing/customer/v1/{LEDGER}/customers/{NUMBER}"

        async def one() -> bytes:
            request = bare.post(f"{path}/recurring-products").body_bytes(BODY) if writes else bare.get(path)
            return bytes(await (await request.build().send()).bytes())

        return one
    options: dict[str, Any] = {"token": TOKEN, "owner_no": LEDGER, "base_url": url}
    engine = "httpx" if name == SLOW else "reqwest"
    billing = await stack.enter_async_context(AsyncBilling(**options, engine=engine))
    customer = billing.customer(NUMBER)
    return (lambda: customer.recurring_products.create(CHARGE)) if writes else customer.get


async def _run(name: str, url: str, workers: int, *, writes: bool = False, calls: int = 0) -> tuple[float, list[float]]:
    """Seconds of all calls together, and of each."""
    async with AsyncExitStack() as stack:
        call = await _make(name, url, writes=writes, stack=stack)
        took: list[float] = []

        async def work(count: int) -> None:
            left = iter(range(count))

            async def worker() -> None:
                for _ in left:
                    started = time.perf_counter()
                    await call()
                    took.append(time.perf_counter() - started)

            await asyncio.gather(*(worker() for _ in range(workers)))

        await work(workers)  # connects
        took.clear()
        started = time.perf_counter()
        await work(calls or CALLS[name])
        return time.perf_counter() - started, took


def rate(name: str, url: str, workers: int, *, writes: bool = False, calls: int = 0) -> float:
    """Calls a second."""
    calls = calls or CALLS[name]
    return calls / asyncio.run(_run(name, url, workers, writes=writes, calls=calls))[0]


def late(name: str, url: str, workers: int) -> float:
    """The 99th percentile in milliseconds."""
    return quantiles(asyncio.run(_run(name, url, workers, calls=2 * CALLS[name]))[1], n=100)[98] * 1000


@contextmanager
def _processes(names: Sequence[str]) -> Iterator[Callable[[str, Callable[[], float]], Callable[[], float]]]:
    """For each client a process of its own, as in use: the interpreter adapts its code to the engine that runs."""
    with ExitStack() as stack:
        own = {name: stack.enter_context(ProcessPoolExecutor(1, get_context("spawn"))) for name in names}
        yield lambda name, work: lambda: own[name].submit(work).result()


def measure() -> list[Row]:
    """Calls a second."""
    names = (STOCK, SLOW, FAST, BARE)
    loads = (("GET", 16, False), ("GET", 64, False), ("GET", 256, False), ("POST", 64, True))
    with serving() as url, _processes((*names, POOL)) as own:
        subjects = {
            f"{what} at {at}, {name}": own(name, partial(rate, name, url, at, writes=writes))
            for what, at, writes in loads
            for name in names
        }
        subjects[f"GET at 64, {POOL}"] = own(POOL, partial(rate, POOL, url, 64))
        found = rounds_of(subjects, ROUNDS)
    return ratios(
        found,
        "calls/s",
        [
            (f"GET at 64, {FAST}", f"GET at 64, {STOCK}", 10),
            (f"POST at 64, {FAST}", f"POST at 64, {STOCK}", 10),
            (f"GET at 64, {FAST}", f"GET at 64, {BARE}", 0.5),
            (f"POST at 64, {FAST}", f"POST at 64, {BARE}", 0.5),
            (f"GET at 256, {SLOW}", f"GET at 16, {SLOW}", 0.8),
            (f"GET at 64, {SLOW}", f"GET at 64, {STOCK}", None),
            (f"GET at 64, {POOL}", f"GET at 64, {SLOW}", None),
        ],
        at_least=True,
    )


def ideal(url: str) -> float:
    """64 × the calls a second of a raw socket."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        started = time.perf_counter()
        for _ in range(50):
            raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while b"\r\n\r\n{" not in answer or not answer.endswith(b"}"):
                answer += raw.recv(65536)
        return 64 * 50 / (time.perf_counter() - started)


def measure_slow_server() -> list[Row]:
    """What is left of the ideal."""
    names = (SLOW, FAST, BARE)
    with serving("--delay", str(DELAY)) as url, _processes(names) as own:
        subjects = {name: own(name, partial(rate, name, url, 64, calls=5_000)) for name in names}
        found = rounds_of(subjects | {IDEAL: lambda: ideal(url)}, 11)
    goals = [(FAST, BARE, 0.85), (FAST, IDEAL, None), (SLOW, IDEAL, None), (BARE, IDEAL, None)]
    return ratios(found, "calls/s", goals, at_least=True)


def measure_late() -> list[Row]:
    """The slowest calls."""
    names = (STOCK, SLOW, FAST, BARE)
    with serving() as url, _processes(names) as own:
        found = rounds_of({name: own(name, partial(late, name, url, 256)) for name in names}, 5)
    return ratios(found, "ms", [(FAST, STOCK, 0.1), (SLOW, STOCK, None)])
