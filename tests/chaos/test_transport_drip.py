"""Every call ends at its timeout or deadline, even if the server never stops sending.

The server sends one byte at a time, or it sends an endless flood.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from payex_billing import AnswerLost, Charge, NeverSent, OutcomeUnknown

from tests.chaos.hostile import (
    FOUR,
    Connection,
    HostileServer,
    Kind,
    Pki,
    Request,
    Watchdog,
    customer_body,
    head,
    name_of,
    opened,
    outcome,
    pieces,
    response,
    run,
)

TIMEOUT, DEADLINE = 0.7, 1.5
FAR_TOO_LONG = 20.0  # seconds; then the watchdog stops the server, which would run for 10 minutes
EVERY = 0.03
TICKS = int(600 / EVERY)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
IN_CHUNKS = head(200, "Content-Type: application/json", "Transfer-Encoding: chunked")
BIG = head(200, "Content-Type: application/json", "Content-Length: 1000000")
ZIPPED = head(200, "Content-Type: application/json", "Content-Encoding: gzip", "Transfer-Encoding: chunked")


def slowly(start: bytes, piece: bytes = b"a") -> Callable[[], Iterable[bytes]]:
    """Send the start at once, then one piece at a time for 10 minutes."""
    return lambda: itertools.chain([start], itertools.repeat(piece, TICKS))


def spelled(start: bytes, unit: bytes) -> Callable[[], Iterable[bytes]]:
    """Send the start at once, then repeat the unit byte by byte for 10 minutes."""
    return lambda: itertools.chain([start], itertools.islice(itertools.cycle(pieces(unit)), TICKS))


# The bytes that the server sends after it has read the request, by name.
DRIPS: dict[str, Callable[[], Iterable[bytes]]] = {
    "nothing": lambda: [b""] * TICKS,
    "empty lines before the status line": slowly(b"", b"\r\n"),
    "the version": lambda: pieces(b"HTTP/1.1 200 OK\r\n" * 2000),
    "the reason": slowly(b"HTTP/1.1 200 "),
    "a header's name": slowly(b"HTTP/1.1 200 OK\r\n"),
    "a header's value": slowly(b"HTTP/1.1 200 OK\r\nX-A: "),
    "many headers": spelled(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
    "folded lines": spelled(b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b" c\r\n"),
    "100 by bytes": spelled(b"", CONTINUE),
    "100 as a whole": slowly(b"", CONTINUE),
    "103 as a whole": slowly(b"", HINTS),
    "199 as a whole": slowly(b"", b"HTTP/1.1 199 X\r\n\r\n"),
    "zeros of a chunk size": slowly(IN_CHUNKS, b"0"),
    "a chunk extension": slowly(IN_CHUNKS + b"5;"),
    "the last chunk's extension": slowly(IN_CHUNKS + b"2\r\n{}\r\n0;"),
    "chunks of a byte": slowly(IN_CHUNKS, b"1\r\n \r\n"),
    "a trailer": slowly(IN_CHUNKS + b"2\r\n{}\r\n0\r\nX-A: "),
    "many trailers": spelled(IN_CHUNKS + b"2\r\n{}\r\n0\r\n", b"X: y\r\n"),
    "a body with a length": slowly(BIG, b" "),
    "a body up to the end": slowly(head(200, "Content-Type: application/json"), b" "),
    "a gzip header": slowly(ZIPPED, b"1\r\n\x1f\r\n"),
    "the body of a 400": slowly(head(400, "Content-Type: application/problem+json", "Content-Length: 9999"), b" "),
    "the body of a 503": slowly(head(503, "Retry-After: 0", "Content-Length: 9999"), b" "),
}


class Drips:
    """A server that selects the bytes to send by the number in the customer number."""

    def __init__(self, drips: dict[str, Callable[[], Iterable[bytes]]], every: float = EVERY) -> None:
        self.names = list(drips)
        self.drips, self.every = drips, every

    def handle(self, connection: Connection) -> None:
        while request := connection.read_request():
            connection.drip(self.parts(request), self.every)
            connection.hold()

    def parts(self, request: Request) -> Iterable[bytes]:
        return self.drips[self.names[int(request.customer_no[1:])]]()


def call(billing: Any, number: int, method: str) -> Any:
    customer = billing.customer(f"d{number}")
    return customer.get() if method == "GET" else customer.recurring_products.create(Charge(product_code="P01"))


GET_AND_POST: list[Callable[[Any], Any]] = [
    lambda billing: call(billing, 0, "GET"),
    lambda billing: call(billing, 0, "POST"),
]


async def all_at_once(
    kind: Kind, calls: list[Callable[[Any], Any]], url: str, **options: Any
) -> list[tuple[Any, float]]:
    """Make all calls at once. Return the outcome and the duration in seconds of each call."""

    async def one(billing: Any, act: Callable[[Any], Any]) -> tuple[Any, float]:
        started = time.monotonic()
        return await outcome(lambda: act(billing)), time.monotonic() - started

    limits = {"timeout": TIMEOUT, "deadline": DEADLINE}
    async with opened(kind, url, **{**limits, **options}) as billing:
        if kind.facade == "async":
            return await asyncio.gather(*(one(billing, act) for act in calls))
        with ThreadPoolExecutor(len(calls)) as threads:
            return [future.result() for future in [threads.submit(run, kind, one(billing, act)) for act in calls]]


def judged(
    names: Iterable[str], results: list[tuple[Any, float]], expected: type[Exception] | tuple[type[Exception], ...]
) -> list[str]:
    """Return one line for each call that took too long or had an unexpected outcome."""
    return [
        f"{name}: {seconds:.1f} s, {name_of(result)}: {result}"[:200]
        for name, (result, seconds) in zip(names, results, strict=True)
        if seconds >= FAR_TOO_LONG or not isinstance(result, expected)
    ]


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_response_that_drips_ends_by_the_limits_of_the_call(kind: Kind, method: str) -> None:
    drips = Drips(DRIPS)
    calls = [lambda billing, number=number: call(billing, number, method) for number in range(len(DRIPS))]
    with HostileServer(drips.handle) as server, Watchdog(server, FAR_TOO_LONG) as watchdog:
        results = run(kind, all_at_once(kind, calls, server.url))
    wrong = judged(DRIPS, results, AnswerLost if method == "GET" else OutcomeUnknown)
    assert (wrong, watchdog.fired) == ([], False), "\n".join(wrong)


# floods: the server sends as fast as it can

FLOODS: dict[str, tuple[bytes, bytes]] = {
    # name: (the start, the bytes that the server then repeats without end)
    "100": (b"", CONTINUE * 500),
    "103": (b"", HINTS * 300),
    "empty lines": (b"", b"\r\n" * 8000),
    "spaces of a chunk size": (IN_CHUNKS, b"0" * 16000),
    "a chunk extension": (IN_CHUNKS + b"5;", b"a" * 16000),
    "empty gzip members": (ZIPPED, b"14\r\n" + bytes.fromhex("1f8b080000000000000303000000000000000000") + b"\r\n"),
    "trailers": (IN_CHUNKS + b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 3000),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 3000),
    "a header": (b"HTTP/1.1 200 OK\r\nX: ", b"a" * 16000),
    "a reason": (b"HTTP/1.1 200 ", b"a" * 16000),
    "a body": (head(200, "Content-Type: application/json"), b" " * 16000),
}


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_flood_without_end_ends_by_the_limits_of_the_call(kind: Kind, method: str) -> None:
    drips = Drips(
        {
            name: lambda start=start, unit=unit: itertools.chain([start], itertools.repeat(unit))
            for name, (start, unit) in FLOODS.items()
        },
        every=0.001,
    )
    calls = [lambda billing, number=number: call(billing, number, method) for number in range(len(FLOODS))]
    with HostileServer(drips.handle) as server, Watchdog(server, FAR_TOO_LONG) as watchdog:
        results = run(kind, all_at_once(kind, calls, server.url))
    wrong = judged(FLOODS, results, AnswerLost if method == "GET" else OutcomeUnknown)
    assert (wrong, watchdog.fired) == ([], False), "\n".join(wrong)


# slow handshakes and proxies: the client has not sent the request yet

# When the time limit of a call ends an attempt, reqwest does not report whether it had already sent the request. The
# client may then report an unknown outcome, because that is the safe result.
BEFORE_SENDING: dict[str, tuple[type[Exception], ...]] = {
    "httpx": (NeverSent,),
    "reqwest": (NeverSent, OutcomeUnknown, AnswerLost),
}


def tls_bytes(raw: socket.socket, start: bytes, server: list[HostileServer]) -> None:
    with suppress(OSError):
        raw.recv(65536)
        raw.sendall(start)
        while not server[0].stop.wait(EVERY):
            raw.sendall(b"\x02")
    raw.close()


HANDSHAKES = {
    "a record of 16 KB": b"\x16\x03\x03\x40\x00",
    "half a record's head": b"\x16\x03",
    "empty records": b"",
    "a message of 16 MB": b"\x16\x03\x03\x40\x00\x02\xff\xff\xff",
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_tls_handshake_that_drips_ends_by_the_limits_and_was_never_sent(kind: Kind, pki: Pki) -> None:
    running: list[HostileServer] = []
    starts = list(HANDSHAKES.values())

    def before(raw: socket.socket, number: int) -> bool:
        tls_bytes(raw, starts[number % len(starts)], running)
        return True

    with HostileServer(lambda _: None, pki.context(), before=before) as server:
        running.append(server)
        with Watchdog(server, FAR_TOO_LONG) as watchdog:
            results = run(kind, all_at_once(kind, GET_AND_POST * len(starts), server.url, ca_file=pki.ca_file))
    expected = BEFORE_SENDING[kind.engine]
    assert (judged(["GET", "POST"] * len(starts), results, expected), watchdog.fired) == ([], False)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_tls_record_that_drips_ends_by_the_limits_of_the_call(kind: Kind, pki: Pki) -> None:
    """The server sends one encrypted record byte by byte.

    The client cannot decrypt any part of the record before the last byte has arrived.
    """

    def handle(connection: Connection) -> None:
        while request := connection.read_request():
            sealed: list[bytes] = []
            connection.send_raw, send_raw = sealed.append, connection.send_raw  # type: ignore[method-assign]
            connection.send(response(200, customer_body(request.customer_no, padding="x" * 15000)))
            connection.send_raw = send_raw  # type: ignore[method-assign]
            for byte in pieces(b"".join(sealed)):
                connection.send_raw(byte)
                if connection.stop.wait(EVERY):
                    return

    with HostileServer(handle, pki.context()) as server, Watchdog(server, FAR_TOO_LONG) as watchdog:
        results = run(kind, all_at_once(kind, GET_AND_POST, server.url, ca_file=pki.ca_file))
    wrong = judged(["GET"], results[:1], AnswerLost) + judged(["POST"], results[1:], OutcomeUnknown)
    assert (wrong, watchdog.fired) == ([], False)


PROXY_DRIPS: dict[str, Callable[[], Iterable[bytes]]] = {
    "nothing": lambda: [b""] * TICKS,
    "the status line": slowly(b"HTTP/1.1 200 "),
    "a header": slowly(b"HTTP/1.1 200 OK\r\nX: "),
    "100 as a whole": slowly(b"", CONTINUE),
    "407 with a body": slowly(head(407, "Content-Length: 9999"), b" "),
}


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_proxy_that_drips_its_response_to_connect_ends_by_the_limits_and_was_never_sent(kind: Kind) -> None:
    drips = list(PROXY_DRIPS.values())

    def handle(connection: Connection) -> None:
        if connection.read_head():
            connection.drip(drips[connection.number % len(drips)](), EVERY)

    calls = GET_AND_POST * len(drips)
    with HostileServer(handle) as proxy, Watchdog(proxy, FAR_TOO_LONG) as watchdog:
        results = run(kind, all_at_once(kind, calls, "https://127.0.0.1:1", proxy=proxy.url))
    assert (judged(["GET", "POST"] * len(drips), results, BEFORE_SENDING[kind.engine]), watchdog.fired) == ([], False)


# a server that does not read


@pytest.fixture
def full_socket() -> Iterator[str]:
    """A server that accepts connections and never reads, so that its receive buffer is soon full."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_server_that_never_reads_a_large_post_ends_by_the_limits_of_the_call(kind: Kind, full_socket: str) -> None:
    charge = Charge(product_code="P01", extra={"note": "x" * 8_000_000})
    results = run(
        kind,
        all_at_once(kind, [lambda billing: billing.customer("c").recurring_products.create(charge)], full_socket),
    )
    assert judged(["POST"], results, (OutcomeUnknown, NeverSent)) == []
