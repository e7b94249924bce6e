"""No response of a server can fill the client's memory or block its event loop.

Each client runs in its own process, and the process measures itself. Memory is the highest resident set during a call.
The time for which the event loop is blocked is measured in CPU seconds between two ticks, because wall-clock seconds say
little on a busy machine.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import pytest

from tests.chaos.hostile import (
    CUSTOMERS,
    FOUR,
    Connection,
    HostileServer,
    Kind,
    Request,
    chunked,
    customer_body,
    head,
    response,
)
from tests.support import NIGHTLY, ROOT

MORE_MEMORY = 150  # MB that a bomb may cost
# CPU seconds for which a response may block the event loop: while its JSON is parsed, and while it is only received.
STANDSTILL_PARSED, STANDSTILL_RECEIVED = 2.0, 0.4
PIECE = 16 * 1024 * 1024
JSON = "Content-Type: application/json"
# The server closes a connection after one response. A client that is not told so can send its next request there.
CLOSE = "Connection: close"

CHILD = r"""
import asyncio, json, resource, sys, time
from payex_billing import AsyncBilling, Billing, Charge

kind, url, cases = json.loads(sys.argv[1])
options = dict(token="t", owner_no="1234", base_url=url, engine=kind[0], timeout=6, deadline=60)

def peak():
    for line in status():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

def status():
    try:
        with open("/proc/self/status") as lines:
            return list(lines)
    except OSError:
        return []

def now():
    # Where Linux allows it the peak starts anew for each bomb; elsewhere a bomb shows only what it adds to the peak.
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak()

async def collected(values):
    return [value async for value in values]

def call(billing, number, method):
    customer = billing.customer(f"d{number}")
    charges = customer.recurring_products
    if method == "GET":
        return customer.get()
    if method == "POST":
        return charges.create(Charge(product_code="P01"))
    if method == "READ":
        return charges.get("id-0")
    return list(charges.list()) if kind[1] == "sync" else collected(charges.list())

def report(number, method, error, before, standstill, started):
    names = [] if error is None else [c.__name__ for c in type(error).__mro__]
    size = max(len(str(error)), len(repr(error))) if error else 0
    seconds = time.monotonic() - started
    print(json.dumps([number, method, names, peak() - before, standstill, size, str(error)[:200], seconds]), flush=True)

def blocking():
    with Billing(**options) as billing:
        billing = billing.with_options(attempts=1)
        for number, method in cases:
            before, error, started = now(), None, time.monotonic()
            try:
                call(billing, number, method)
            except Exception as caught:
                error = caught
            report(number, method, error, before, 0, started)

async def waiting():
    longest, last = 0.0, time.thread_time()

    async def tick():
        nonlocal longest, last
        while True:
            now = time.thread_time()
            longest, last = max(longest, now - last), now
            await asyncio.sleep(0.005)

    ticking = asyncio.create_task(tick())
    async with AsyncBilling(**options) as billing:
        billing = billing.with_options(attempts=1)
        for number, method in cases:
            await asyncio.sleep(0.01)
            before, error, longest, started = now(), None, 0.0, time.monotonic()
            try:
                await call(billing, number, method)
            except Exception as caught:
                error = caught
            await asyncio.sleep(0.01)
            report(number, method, error, before, longest, started)
    ticking.cancel()

blocking() if kind[1] == "sync" else asyncio.run(waiting())
"""

# bombs


@cache
def zeros(layers: int, size: int, window: int = 31) -> bytes:
    """`size` zero bytes, compressed: window 31 is gzip, 15 is zlib, -15 is raw deflate. The stream has no end.

    After a full flush the compressor starts anew, so one compressed piece can be repeated.
    """
    compressor = zlib.compressobj(9, zlib.DEFLATED, window)
    first = compressor.compress(bytes(PIECE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    again = compressor.compress(bytes(PIECE)) + compressor.flush(zlib.Z_FULL_FLUSH)
    data = first + again * (size // PIECE - 1)
    for _ in range(layers - 1):
        data = gzip.compress(data)
    return data


def encoded(data: bytes, *encodings: str, status: int = 200) -> bytes:
    return response(status, data, f"Content-Encoding: {', '.join(encodings)}", CLOSE)


def wrapped(data: bytes, layers: int) -> bytes:
    for _ in range(layers):
        data = gzip.compress(data)
    return data


def good(request: Request) -> bytes:
    return json.dumps(customer_body(request.customer_no)).encode()


def endless(start: bytes, unit: bytes, megabytes: int = 300) -> Callable[[Request], Iterable[bytes]]:
    """Send `start`, then repeat `unit` until `megabytes` are sent."""
    return lambda _: (start, *([unit] * (megabytes * 1_000_000 // len(unit))))


def once(make: Callable[[Request], bytes]) -> Callable[[Request], Iterable[bytes]]:
    return lambda request: (make(request),)


def charge_with(**values: str) -> Callable[[Request], Iterable[bytes]]:
    """A charge in which these values are inserted as raw JSON."""

    def make(request: Request) -> bytes:
        uri = f"{CUSTOMERS}/{request.customer_no}/recurring-products/id-0"
        known = {"@id": json.dumps(uri), "recurringProductId": '"id-0"', "productCode": '"P01"', "operations": "null"}
        text = ",".join(f'"{name}":{value}' for name, value in {**known, **values}.items())
        return response(201 if request.method == "POST" else 200, b"{" + text.encode() + b"}", CLOSE)

    return once(make)


def many(element: str, *, items: bool = False, megabytes: float = 3.9) -> Callable[[Request], Iterable[bytes]]:
    """A compressed JSON array that repeats one small element. Parsed, it takes many times its size in memory."""

    def make(request: Request) -> bytes:
        array = "[" + ",".join([element] * int(megabytes * 1_000_000 / (len(element) + 1))) + "]"
        collection = f"{CUSTOMERS}/{request.customer_no}/recurring-products"
        text = f'{{"items":{array},"navigation":{{"@id":"{collection}"}}}}' if items else array
        return encoded(gzip.compress(text.encode(), 6), "gzip")

    return once(make)


# Either size is far above what a bomb may cost, and the names of the bombs are those of the nightly run.
GB = 1024**3 if NIGHTLY else 256 * 1024**2
EMPTY_MEMBER = bytes.fromhex("1f8b080000000000000303000000000000000000")
LOST, ANY, WRONG, LIST, LAYERS = "lost", "any", "wrong", "list", "layers"
# name: (what the server sends, a word for what a GET and a POST must raise)
#   lost   the response cannot be read: AnswerLost, OutcomeUnknown
#   wrong  the response breaks the contract: MalformedResponse, OutcomeUnknown
#   layers lost or wrong: the client decodes one layer, and the result is no JSON
#   any    any error of the package, or none
#   list   the same, for a list
BOMBS: dict[str, tuple[Callable[[Request], Iterable[bytes]], str]] = {
    "64 KB of gzip": (once(lambda _: encoded(zeros(1, 64 * 1024**2), "gzip")), LOST),
    "2 GB in 2 MB of gzip": (once(lambda _: encoded(zeros(1, 2 * GB), "gzip")), LOST),
    "2 GB in 2 MB of zlib": (once(lambda _: encoded(zeros(1, 2 * GB, 15), "deflate")), LOST),
    "2 GB in 2 MB of bare deflate": (once(lambda _: encoded(zeros(1, 2 * GB, -15), "deflate")), LOST),
    "2 GB in 10 KB of gzip in gzip": (once(lambda _: encoded(zeros(2, 2 * GB), "gzip", "gzip")), LAYERS),
    "2 GB in gzip in gzip, two headers": (
        once(lambda _: response(200, zeros(2, 2 * GB), "Content-Encoding: gzip", "Content-Encoding: gzip", CLOSE)),
        LAYERS,
    ),
    "2 GB in 3 layers": (once(lambda _: encoded(zeros(3, 2 * GB), "gzip", "gzip", "gzip")), LAYERS),
    "2 GB for a 400": (once(lambda _: encoded(zeros(1, 2 * GB), "gzip", status=400)), ANY),
    "2 GB for a 500": (once(lambda _: encoded(zeros(1, 2 * GB), "gzip", status=500)), ANY),
    "2 GB of gzip in chunks": (
        once(lambda _: chunked(200, zeros(1, 2 * GB), "Content-Encoding: gzip", CLOSE, sizes=4096)),
        LOST,
    ),
    "10 layers of a good body": (once(lambda r: encoded(wrapped(good(r), 10), *["gzip"] * 10)), LAYERS),
    "500 layers of a good body": (once(lambda r: encoded(wrapped(good(r), 500), *["gzip"] * 500)), LAYERS),
    "4 MB of empty gzip members": (once(lambda _: encoded(EMPTY_MEMBER * 200_000, "gzip")), ANY),
    "20 MB of empty gzip members": (once(lambda _: encoded(EMPTY_MEMBER * 1_000_000, "gzip")), ANY),
    "a gzip name without end": (
        endless(head(200, JSON, "Content-Encoding: gzip") + bytes.fromhex("1f8b0808000000000003"), b"a" * 65536),
        LOST,
    ),
    "300 MB with a length": (endless(head(200, JSON, "Content-Length: 300000000"), b" " * 65536), LOST),
    "300 MB up to the end": (endless(head(200, JSON), b" " * 65536), LOST),
    "300 MB in one chunk": (
        endless(head(200, JSON, "Transfer-Encoding: chunked") + b"11e1a300\r\n", b" " * 65536),
        LOST,
    ),
    "300 KB in chunks of a byte": (
        endless(head(200, JSON, "Transfer-Encoding: chunked"), b"1\r\n \r\n" * 10_000, 2),
        LOST,
    ),
    "4 MB in chunks of a byte": (
        endless(head(200, JSON, "Transfer-Encoding: chunked"), b"1\r\n \r\n" * 10_000, 24),
        LOST,
    ),
    "300 MB for a 400": (endless(head(400, JSON, "Content-Length: 300000000"), b" " * 65536), ANY),
    "300 MB for a 204": (endless(head(204), b" " * 65536), ANY),
    "300 MB of a status line": (endless(b"HTTP/1.1 200 ", b"a" * 65536), LOST),
    "300 MB of a header": (endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"a" * 65536), LOST),
    "300 MB of headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 8000), LOST),
    "30 MB of 103": (endless(b"", b"HTTP/1.1 103 Hints\r\nX: " + b"a" * 4000 + b"\r\n\r\n", 30), LOST),
    "300 MB of a chunk extension": (
        endless(head(200, JSON, "Transfer-Encoding: chunked") + b"2;", b"a" * 65536),
        LOST,
    ),
    "300 MB of trailers": (
        endless(head(200, JSON, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n", b"X-A: b\r\n" * 8000),
        LOST,
    ),
    "an array of objects": (many("{}"), WRONG),
    "an array of numbers": (many("1.1"), WRONG),
    "an array of arrays": (many("[[]]"), WRONG),
    "64 MB of objects in 64 KB": (many("{}", megabytes=64), LOST),
    "a list of objects": (many("{}", items=True), LIST),
    "a list of 64 MB of objects": (many("{}", items=True, megabytes=64), LIST),
    "a list of numbers": (many("1.1", items=True), LIST),
    "3.9 MB of [": (once(lambda _: response(200, b"[" * 3_900_000, CLOSE)), WRONG),
    "nested objects": (once(lambda _: response(200, b'{"a":' * 700_000, CLOSE)), WRONG),
    "nested problem": (
        once(lambda _: response(400, b'{"problems":' + b"[" * 3_000_000, CLOSE, kind="application/problem+json")),
        ANY,
    ),
    "a number of 3.9 million digits": (charge_with(quantity="9" * 3_900_000), WRONG),
    "a price of 3.9 million digits": (charge_with(unitPrice="0." + "9" * 3_900_000), ANY),
    "a quantity of 1e999999999": (charge_with(quantity="1e999999999"), WRONG),
    "a quantity of 1e9999999999999999999": (charge_with(quantity="1e9999999999999999999"), WRONG),
    "a price of 1e999999999": (charge_with(unitPrice="1e999999999"), ANY),
    "a price of -1e-999999999": (charge_with(unitPrice="-1e-999999999"), ANY),
    "an unknown value of 1e999999999": (charge_with(unknown="1e999999999"), ANY),
    "Retry-After of a million digits": (
        once(lambda _: head(429, "Retry-After: " + "9" * 60_000, "Content-Length: 0", CLOSE)),
        ANY,
    ),
    "Retry-After of 1e999": (
        once(lambda _: head(503, "Retry-After: 1e999", "Content-Length: 0", CLOSE)),
        ANY,
    ),
    "a status of many digits": (once(lambda _: b"HTTP/1.1 " + b"2" * 50_000 + b" OK\r\n\r\n"), LOST),
    "a length of many digits": (once(lambda _: head(200, "Content-Length: " + "9" * 50_000)), LOST),
    "a chunk size of many digits": (
        once(lambda _: head(200, "Transfer-Encoding: chunked") + b"f" * 50_000 + b"\r\n"),
        LOST,
    ),
    "a title of 3 MB": (
        once(lambda _: response(400, {"title": "x" * 3_000_000}, CLOSE, kind="application/problem+json")),
        ANY,
    ),
    "200,000 problems": (
        once(lambda _: response(400, {"problems": [{f"p{n}": "x"} for n in range(200_000)]}, CLOSE, kind="application/problem+json")),
        ANY,
    ),
    # The last one, because what is behind the response can reach the next request on the connection.
    "300 MB behind the response": (
        lambda r: (response(201, good(r)), *[b" " * 65536] * 4500),
        ANY,
    ),
}  # fmt: skip

RAISED = {
    LOST: {"GET": {"AnswerLost"}, "POST": {"OutcomeUnknown"}},
    LAYERS: {"GET": {"AnswerLost", "MalformedResponse"}, "POST": {"OutcomeUnknown"}},
    WRONG: {"GET": {"MalformedResponse"}, "POST": {"OutcomeUnknown"}},
}
READ_A_CHARGE = ("a quantity", "a price", "a number of", "an unknown")


def methods(name: str) -> tuple[str, ...]:
    """The calls to make for this bomb."""
    if BOMBS[name][1] == LIST:
        return ("LIST",)
    return ("READ" if name.startswith(READ_A_CHARGE) else "GET", "POST")


def handle(connection: Connection) -> None:
    names = list(BOMBS)
    if request := connection.read_request():
        for part in BOMBS[names[int(request.customer_no[1:])]][0](request):
            connection.send(part)


def measured(kind: Kind) -> dict[tuple[str, str], dict[str, Any]]:
    """Run the client in a process of its own. Return its measurements for each bomb."""
    cases = [(number, method) for number, name in enumerate(BOMBS) for method in methods(name)]
    with HostileServer(handle) as server:
        command = [sys.executable, "-c", CHILD, json.dumps([kind, server.url, cases])]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ}
        ) as child:
            try:
                printed, complaint = child.communicate()
            finally:
                child.kill()
    lines = [json.loads(line) for line in printed.splitlines()]
    names = list(BOMBS)
    fields = ("classes", "memory", "standstill", "length", "text", "seconds")
    seen = {(names[number], method): dict(zip(fields, rest, strict=True)) for number, method, *rest in lines}
    assert child.returncode == 0, f"after {list(seen)[-1:]}: {complaint[-500:]}"
    return seen


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_no_response_harms_the_client(kind: Kind, subtests: pytest.Subtests) -> None:
    results = measured(kind)
    with subtests.test("no response fills the memory"):
        large = {case: seen["memory"] for case, seen in results.items() if seen["memory"] > MORE_MEMORY}
        assert not large, f"MB: {large}"
    with subtests.test("no response stops the event loop"):
        allowed = {
            name: STANDSTILL_RECEIVED if what == LOST else STANDSTILL_PARSED for name, (_, what) in BOMBS.items()
        }
        long = {case: round(seen["standstill"], 1) for case, seen in results.items()}
        long = {case: seconds for case, seconds in long.items() if seconds > allowed[case[0]]}
        assert not long, f"CPU seconds: {long}"
    with subtests.test("each raises the error of its class"):
        wrong = [
            f"{name}, {method}: {seen['classes'][:1]} {seen['text']}"
            for (name, method), seen in results.items()
            if not is_right(name, method, seen["classes"])
        ]
        assert not wrong, "\n".join(wrong)
    with subtests.test("no message is longer than 2,000 characters"):
        assert not {case: seen["length"] for case, seen in results.items() if seen["length"] > 2000}


def is_right(name: str, method: str, raised: list[str]) -> bool:
    """Return whether the client raised the class of error that the table expects for this bomb."""
    classes = {each.removeprefix("Async") for each in raised}
    expected = RAISED.get(BOMBS[name][1])
    if expected is None:
        return not classes or "BillingError" in classes
    return bool(classes & expected["POST" if method == "POST" else "GET"])
