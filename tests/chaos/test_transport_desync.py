"""The client never takes the left-over bytes after one response for the next response.

Every run makes two calls. After the response to the first call, the server sends left-over bytes. These bytes contain
a complete stale response that would be false for the second call. The server then sends the correct response to the
second call. The server counts what it did. A run passes if the second call reports exactly what the server did, and if
the server did it once.

The last tests of this file send stale bytes after the client has written the next request. No HTTP/1.1 client can
detect such bytes on the connection. Only the values in the response can show that the response is stale.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from payex_billing import BillingError, Charge, MalformedResponse, OutcomeUnknown, RequestRefused

from tests.chaos.hostile import (
    CUSTOMERS,
    FOUR,
    Connection,
    HostileServer,
    Kind,
    Ledger,
    Pki,
    Request,
    charge_body,
    chunked,
    collected,
    customer_body,
    done,
    head,
    name_of,
    opened,
    outcome,
    pause,
    problem,
    response,
    run,
    subscription_body,
)

IDLE = 0.01  # seconds of pause before the next request, so that a background reader can wake up
NUMBERS = itertools.count(1)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# the stale responses to a POST of a charge


def stale_responses(collection: str, charge: dict[str, Any]) -> dict[str, bytes]:
    """The stale responses, by name.

    `201 equal` differs from the correct response only in its id, so no comparison of values can detect it.
    """
    other = charge_body(CUSTOMERS + "/stale/recurring-products", "stale", {"productCode": "STALE"})
    return {
        "201 other": response(201, other),
        "201 equal": response(201, charge_body(collection, "stale", charge)),
        "400": problem(400, "validation", title="stale", problems=[{"productCode": "stale"}]),
        "401": problem(401, "unauthorized", title="stale"),
        "404": problem(404, "customer-not-found", title="stale"),
        "429": problem(429, "too-many-requests", "Retry-After: 0", title="stale"),
        "503": problem(503, "service-unavailable", "Retry-After: 0", title="stale"),
    }


FLAVOURS = list(stale_responses("", {}))
# The most dangerous stale responses. The key says whether the client was idle before the second call. After a 401 the
# client retries the POST. No comparison of values can detect a 201 for an equal charge.
DANGEROUS = {False: ["401"], True: ["201 equal"]}

# the ways in which the server leaves stale bytes


@dataclass
class Plan:
    """How the server handles the first and the second call for one customer."""

    leave: Leave
    stale: bytes
    sent: threading.Event = field(default_factory=threading.Event)
    # The server sends these bytes before the correct response, when the next request comes on the same connection.
    rest: bytes = b""
    connection: int = -1


Sender = Callable[[Connection, Request, bytes, Plan], None]


@dataclass(frozen=True)
class Leave:
    """One way in which the server leaves stale bytes after a response.

    Attributes:
        first: The first call: `get`, `delete`, `list`, `create` or `refused`.
        whole: True if the first call must succeed. False if the first response is broken, so that the call may fail.
        apart: True if all stale bytes come in a separate segment. hyper detects these bytes after its reader has woken
            up, which takes up to 0.2 ms. The client waits that long before a write. A read without a pause may get the
            stale response, so only the httpx transport is tested with such a read.
    """

    name: str
    send: Sender
    first: str = "get"
    whole: bool = True
    apart: bool = False


def after(make: Callable[[Request, bytes, bytes], bytes]) -> Sender:
    """Send one segment. `make` builds it from the correct response and the stale response."""

    def send(connection: Connection, request: Request, honest: bytes, plan: Plan) -> None:
        connection.send(make(request, honest, plan.stale))

    return send


def in_records(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
    connection.send(honest, plan.stale)


def in_many_records(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
    start, _, body = honest.partition(b"\r\n\r\n")
    connection.send(start + b"\r\n\r\n", body[:10], body[10:], plan.stale[:1], plan.stale[1:])


def split(size: int) -> Sender:
    """Send the first `size` stale bytes with the correct response.

    The other stale bytes follow at once in a second segment.
    """

    def send(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
        connection.send(honest + plan.stale[:size])
        connection.send(plan.stale[size:])

    return send


def split_late(size: int, junk: bytes = b"") -> Sender:
    """Send the first `size` stale bytes with the correct response.

    The server sends the other stale bytes when the next request has arrived.
    """

    def send(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
        plan.connection, plan.rest = connection.number, plan.stale[size:]
        connection.send(honest + junk + plan.stale[:size])

    return send


def later_segment(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
    connection.send(honest)
    connection.send(plan.stale)


def padded(size: int, *, whole: bool = False) -> Sender:
    """Send a response whose body has exactly `size` bytes, then the stale response.

    With `whole`, the complete response has `size` bytes, not only its body.
    """

    def send(connection: Connection, request: Request, honest: bytes, plan: Plan) -> None:
        def build(padding: int) -> bytes:
            return response(200, customer_body(request.customer_no, padding="x" * padding))

        empty = build(0)
        frame = len(empty) if whole else len(empty.partition(b"\r\n\r\n")[2])
        data = build(size - frame)
        data = build(size - frame - (len(data) - size if whole else 0))
        assert len(data if whole else data.partition(b"\r\n\r\n")[2]) == size
        connection.send(data + plan.stale)

    return send


def as_customer(request: Request) -> Any:
    return customer_body(request.customer_no)


def http10(_: Request, honest: bytes, stale: bytes) -> bytes:
    return honest.replace(b"HTTP/1.1", b"HTTP/1.0", 1) + stale


def with_header(line: bytes) -> Callable[[Request, bytes, bytes], bytes]:
    return lambda _, honest, stale: honest.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1) + stale


def length_twice(_: Request, honest: bytes, stale: bytes) -> bytes:
    length = honest.partition(b"\r\n\r\n")[2]
    return honest.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(length), 1) + stale


CHUNK_CUT = head(200, "Content-Type: application/json", "Transfer-Encoding: chunked") + b"5\r\n{}\r\n0\r\n\r\n"


def many_stale(stale: bytes, size: int, *headers: str, status: int = 200) -> bytes:
    """A response whose body consists of stale responses only.

    If a client stops reading in the middle of the body and keeps the connection, it next reads a stale response.
    """
    return response(status, stale * (size // len(stale)), *headers)


def timed_out(connection: Connection, _: Request, honest: bytes, plan: Plan) -> None:
    """Send a 408 and close, as load balancers do when a connection is idle for too long."""
    connection.send(honest)
    connection.send(response(408, b"", "Connection: close"))
    plan.sent.set()
    connection.close()


LEAVES = [
    Leave("two responses", after(lambda _, honest, stale: honest + stale)),
    Leave("line break between", after(lambda _, honest, stale: honest + b"\r\n" + stale)),
    Leave("204 with a body", after(lambda _, honest, stale: honest + stale), "delete"),
    Leave("204 with a length", after(lambda *a: response(204, a[2], length=len(a[2]))), "delete"),
    Leave("204 in chunks", after(lambda *a: chunked(204, a[2])), "delete", whole=False),
    Leave("304 with a body", after(lambda *a: response(304, a[2], length=len(a[2]))), whole=False),
    Leave("304 without a length", after(lambda *a: head(304) + a[2]), whole=False),
    Leave("length too short", after(lambda _, honest, stale: honest + b"  }}\r\n\r\n" + stale)),
    Leave("length 0, then the body", after(lambda _, honest, stale: response(200, length=0) + honest[-200:] + stale), whole=False),
    Leave("head only, stale as the body", after(lambda *a: head(200, f"Content-Length: {len(a[2])}") + a[2]), whole=False),
    Leave("equal lengths twice", after(length_twice), whole=False),
    Leave("chunked and more", after(lambda r, _, stale: chunked(200, as_customer(r)) + stale)),
    Leave("chunked with trailers", after(lambda r, _, stale: chunked(200, as_customer(r), trailers=b"X-A: 1\r\nX-B: 2\r\n") + stale)),
    Leave("chunked, stale as trailers", after(lambda r, _, stale: chunked(200, as_customer(r))[:-2] + stale), whole=False),
    Leave("chunked, last chunk twice", after(lambda r, _, stale: chunked(200, as_customer(r)) + b"0\r\n\r\n" + stale)),
    Leave("chunk extension", after(lambda r, _, stale: chunked(200, as_customer(r)).replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n") + stale)),
    Leave("100 after the response", after(lambda _, honest, stale: honest + CONTINUE + stale)),
    Leave("103 after the response", after(lambda _, honest, stale: honest + EARLY + stale)),
    Leave("103 on both sides", after(lambda _, honest, stale: EARLY + honest + EARLY + stale)),
    Leave("101", after(lambda *a: head(101, "Upgrade: h2c", "Connection: Upgrade") + a[2]), whole=False),
    Leave("response twice", after(lambda _, honest, stale: honest + honest + stale)),
    Leave("closing", after(with_header(b"Connection: close"))),
    Leave("keep-alive", after(with_header(b"Connection: keep-alive\r\nKeep-Alive: timeout=60"))),
    Leave("HTTP/1.0", after(http10)),
    Leave("own record", in_records),
    Leave("many records", in_many_records),
    Leave("split after 1 byte", split(1)),
    Leave("split after 20 bytes", split(20)),
    Leave("split, rest with the next", split_late(1)),
    Leave("split 20, rest with the next", split_late(20)),
    Leave("line break, rest with the next", split_late(0, b"\r\n")),
    Leave("line feed, rest with the next", split_late(0, b"\n")),
    Leave("NUL, rest with the next", split_late(0, b"\0")),
    Leave("own segment", later_segment, apart=True),
    Leave("list", after(lambda _, honest, stale: honest + stale), "list"),
    Leave("after a creation", after(lambda _, honest, stale: honest + stale), "create"),
    Leave("after a refusal", after(lambda *a: problem(400, "validation") + a[2]), "refused"),
    Leave("408 while idle, then closed", timed_out, apart=True),
    Leave("body too large, of responses", after(lambda *a: many_stale(a[2], 6_000_000)), whole=False),
    Leave("body of responses, said to be gzip", after(lambda *a: many_stale(a[2], 300_000, "Content-Encoding: gzip")), whole=False),
    Leave("400 with a body of responses", after(lambda *a: many_stale(a[2], 100_000, status=400)), whole=False),
    Leave("500 with a body of responses", after(lambda *a: many_stale(a[2], 100_000, status=500)), whole=False),
    Leave("302 with a body of responses", after(lambda *a: many_stale(a[2], 100_000, "Location: /", status=302)), whole=False),
    Leave("401 with a body of responses", after(lambda *a: many_stale(a[2], 100_000, status=401))),
    Leave("half a chunk, then stale", after(lambda *a: CHUNK_CUT + a[2]), whole=False),
    *(Leave(f"body of {size:,}", padded(size)) for size in (4096, 8192, 16384, 65535, 65536, 65537, 131072, 200_000)),
    *(Leave(f"response of {size:,}", padded(size, whole=True)) for size in (8192, 16384, 65536, 131072)),
]  # fmt: skip


# the server and the runs


class Desync:
    """A correct server, except for the first call of each customer that has a plan."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.plans: dict[str, Plan] = {}

    def handle(self, connection: Connection) -> None:
        held_back: Plan | None = None
        while (request := connection.read_request()) is not None:
            if held_back is not None and held_back.connection == connection.number:
                connection.send(held_back.rest)
                held_back = None
            plan = self.plans.pop(request.customer_no, None)
            if plan is None:
                connection.send(self.ledger.perform(request))
                continue
            refused = plan.leave.first == "refused"  # the server must then not perform the first call
            honest = b"" if refused else self.ledger.perform(request)
            try:
                plan.leave.send(connection, request, honest, plan)
            finally:  # the client may close the connection before the last byte
                plan.sent.set()
            held_back = plan if plan.rest else None


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(params=["plain", "tls"])
def server(request: pytest.FixtureRequest, pki: Pki) -> Iterator[HostileServer]:
    desync = Desync()
    with HostileServer(desync.handle, pki.context() if request.param == "tls" else None) as running:
        running.desync = desync  # type: ignore[attr-defined]
        yield running


def code_of(number: int) -> str:
    """A product code of five characters that no other run uses."""
    return f"K{number:04d}"


FIRST: dict[str, Callable[[Any, str], Any]] = {
    "get": lambda customer, _: customer.get(),
    "delete": lambda customer, _: customer.recurring_products.delete("id-0"),
    "list": lambda customer, _: collected(customer.recurring_products.list()),
    "create": lambda customer, number: customer.recurring_products.create(Charge(product_code="F" + number[-4:])),
    "refused": lambda customer, number: customer.recurring_products.create(Charge(product_code="F" + number[-4:])),
}


def first_is_right(leave: Leave, result: Any, customer_no: str, ledger: Ledger) -> bool:
    """Whether the first call reported what the server really did."""
    if leave.first == "refused":
        return isinstance(result, RequestRefused | OutcomeUnknown)
    if leave.first == "create":
        return getattr(result, "id", None) in ledger.ids("F" + customer_no[-4:])
    if isinstance(result, BillingError):
        return not leave.whole
    return leave.first != "get" or result.customer_no == customer_no


async def attack(kind: Kind, client: Any, desync: Desync, leave: Leave, flavour: str, *, idle: bool) -> str | None:
    """Make one run. Return None if it passes, or a description of what is wrong."""
    number = next(NUMBERS)
    customer_no, code = f"c{number:06d}", code_of(number)
    customer = client.customer(customer_no)
    charge = Charge(product_code=code, quantity=1)
    collection = f"{CUSTOMERS}/{customer_no}/recurring-products"
    stale = stale_responses(collection, {"productCode": code, "quantity": 1})[flavour]
    plan = desync.plans[customer_no] = Plan(leave, stale)
    once = client.with_options(attempts=1).customer(customer_no)  # the client must not wait and retry
    first = await outcome(lambda: FIRST[leave.first](once, customer_no))
    assert plan.sent.wait(60)
    if idle:
        await pause(kind, IDLE)
    second = await outcome(lambda: customer.recurring_products.create(charge))
    posted, ids = desync.ledger.posts[code], desync.ledger.ids(code)
    wrong = []
    if not first_is_right(leave, first, customer_no, desync.ledger):
        wrong.append(f"the first call gave {name_of(first)}")
    if posted > 1:
        wrong.append(f"charged {posted} times")
    if isinstance(second, BaseException):
        wrong.append(f"{posted} charged, reported {name_of(second)}: {second}"[:120])
    elif ids != [second.id]:
        wrong.append(f"reported id {second.id}, true {ids}")
    return f"{leave.name} | {flavour} | {'pause' if idle else 'no pause'}: {'; '.join(wrong)}" if wrong else None


async def attack_in_time(
    kind: Kind, client: Any, desync: Desync, leave: Leave, flavour: str, *, idle: bool
) -> str | None:
    """Make one run, and make it again if hyper's reader did not wake up in time, as can happen on a busy machine.

    The client then took the stale response, which is allowed only if it leaves the outcome unknown and charges nothing.
    """
    for _ in range(3):
        wrong = await attack(kind, client, desync, leave, flavour, idle=idle)
        can_be_late = kind.engine == "reqwest" and leave.apart and not idle
        if wrong is None or not (can_be_late and "0 charged, reported OutcomeUnknown" in wrong):
            break
    return wrong


def pauses(kind: Kind, leave: Leave, call: str = "post") -> tuple[bool, ...]:
    """The values of `idle` to test: whether the client pauses before the next request."""
    if leave.apart and kind.engine == "reqwest" and call in {"get", "list"}:
        return (True,)
    return (False, True)


def asking(kind: Kind, server: HostileServer, pki: Pki) -> Any:
    """Open a client with a token function, so that the client would retry a POST after a stale 401.

    Some tests add `wait_on_writes`. The client would then also retry a POST after a stale 429 or 503.
    """
    tokens = itertools.count()
    return opened(kind, server.url, token=lambda: f"t{next(tokens)}", ca_file=pki.ca_file)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("leave", LEAVES, ids=lambda leave: leave.name)
def test_left_over_bytes_are_never_taken_for_the_response_to_the_next_post(
    kind: Kind, leave: Leave, server: HostileServer, pki: Pki
) -> None:
    desync: Desync = server.desync  # type: ignore[attr-defined]

    async def runs() -> list[str | None]:
        async with asking(kind, server, pki) as billing:
            client = billing.with_options(wait_on_writes=True)
            return [
                await attack_in_time(kind, client, desync, leave, flavour, idle=idle)
                for idle in pauses(kind, leave)
                for flavour in (FLAVOURS if leave is LEAVES[0] else DANGEROUS[idle])
            ]

    results = run(kind, runs())
    wrong = [line for line in results if line]
    assert not wrong, f"{len(wrong)} of {len(results)} runs:\n" + "\n".join(wrong)


# the same attack on other calls than a POST of a charge

OTHERS: dict[str, tuple[Callable[[Any], Any], Callable[[str], bytes], Callable[[Any], bool]]] = {
    # name: (the call, the stale response, a check that the result is correct)
    "get": (
        lambda customer: customer.get(),
        lambda number: response(200, customer_body(number, stale=True)),
        lambda result: "stale" not in result.extra,
    ),
    "list": (
        lambda customer: collected(customer.recurring_products.list()),
        lambda number: response(
            200, {"items": [], "navigation": {"@id": f"{CUSTOMERS}/{number}/recurring-products"}}
        ),  # with this list, a look-up would find no charge
        lambda result: len(result) == 1,
    ),
    "delete": (
        lambda customer: customer.recurring_products.delete("id-0"),
        lambda _: problem(404, "recurring-product-not-found", title="stale"),
        lambda result: result is None,
    ),
    "update": (
        lambda customer: customer.recurring_products.update("id-0", text="new"),
        lambda _: problem(400, "validation", title="stale"),
        lambda result: result.text == "new",
    ),
    "create a customer": (
        lambda customer: customer.create(),
        lambda _: problem(409, "customer-already-exists", title="stale"),
        lambda result: result.customer_no.startswith("c"),
    ),
}
SOME = {
    "two responses", "204 with a body", "chunked and more", "own record", "own segment", "split, rest with the next",
    "response of 65,536", "body of 65,536",
}  # fmt: skip


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("call", OTHERS)
def test_left_over_bytes_are_never_taken_for_the_response_to_another_call(
    kind: Kind, call: str, server: HostileServer, pki: Pki
) -> None:
    desync: Desync = server.desync  # type: ignore[attr-defined]
    act, lie, is_true = OTHERS[call]

    async def attack_one(client: Any, leave: Leave, *, idle: bool) -> str | None:
        number = f"c{next(NUMBERS):06d}"
        customer = client.customer(number)
        await done(customer.recurring_products.create(Charge(product_code="P01")))
        plan = desync.plans[number] = Plan(leave, lie(number))
        await outcome(lambda: FIRST[leave.first](customer, number))
        assert plan.sent.wait(60)
        if idle:
            await pause(kind, IDLE)
        result = await outcome(lambda: act(customer))
        if not isinstance(result, BaseException) and is_true(result):
            return None
        return f"{leave.name} | {'pause' if idle else 'no pause'}: {name_of(result)} {result}"[:160]

    async def runs() -> list[str | None]:
        async with asking(kind, server, pki) as billing:
            client = billing.with_options(attempts=1)
            return [
                await attack_one(client, leave, idle=idle)
                for leave in LEAVES
                if leave.name in SOME
                for idle in pauses(kind, leave, call)
            ]

    wrong = [line for line in run(kind, runs()) if line]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_connection_without_left_over_bytes_is_used_again(kind: Kind, server: HostileServer, pki: Pki) -> None:
    """Control test: the client really reuses its connection.

    A client that opens a connection for each request would pass every other test of this file.
    """

    async def calls() -> None:
        async with asking(kind, server, pki) as billing:
            for number in range(6):
                customer = billing.customer(f"k{number}")
                await done(customer.get())
                await done(customer.recurring_products.create(Charge(product_code="P01")))
                await pause(kind, IDLE)  # TLS 1.3 session tickets arrive now; they are not left-over bytes
                await done(customer.recurring_products.delete("id-0"))

    run(kind, calls())
    assert server.accepted == 1


# many calls at once


class Storm:
    """A server that responds correctly, but sends stale bytes after two of five responses."""

    def __init__(self, seed: int) -> None:
        self.ledger = Ledger()
        self.random = random.Random(seed)
        self.lock = threading.Lock()

    def handle(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            honest = self.ledger.perform(request)
            with self.lock:
                stale = self.random.choice(list(stale_responses("", {"productCode": "STALE"}).values()))
                way = self.random.randrange(10)
            if way == 0:
                connection.send(honest + stale)
            elif way == 1:
                connection.send(honest, stale)
            elif way == 2:
                connection.send(honest + stale[:30])
                connection.send(stale[30:])
            elif way == 3:
                connection.send(honest + b"\r\n" + CONTINUE + stale)
            else:
                connection.send(honest)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_sixteen_callers_at_once_get_their_own_responses_only(kind: Kind, tls: bool, pki: Pki) -> None:
    storm = Storm(7)
    wrong: list[str] = []

    async def caller(client: Any, number: int) -> None:
        customer = client.customer(f"s{number}")
        for turn in range(10):
            code = f"{number:02d}{turn:02d}"
            created = await outcome(lambda code=code: customer.recurring_products.create(Charge(product_code=code)))
            listed = await outcome(lambda: collected(customer.recurring_products.list()))
            got = await outcome(customer.get)
            truth = storm.ledger.ids(code)
            if [getattr(created, "id", created)] != truth:
                wrong.append(f"{code}: created {truth}, reported {created!r}"[:200])
            if not isinstance(listed, list) or len(listed) != turn + 1:
                wrong.append(f"{code}: listed {listed!r}"[:200])
            if getattr(got, "customer_no", None) != f"s{number}":
                wrong.append(f"{code}: read {got!r}"[:200])

    async def everyone(client: Any) -> None:
        await asyncio.gather(*(caller(client, number) for number in range(16)))

    async def scenario() -> None:
        async with asking(kind, server, pki) as billing:
            client = billing.with_options(wait_on_writes=True)
            if kind.facade == "async":
                await everyone(client)
                return
            with ThreadPoolExecutor(16) as threads:
                for future in [threads.submit(run, kind, caller(client, number)) for number in range(16)]:
                    future.result()

    with HostileServer(storm.handle, pki.context() if tls else None) as server:
        run(kind, scenario())
    doubled = {code: count for code, count in storm.ledger.posts.items() if count > 1}
    assert (doubled, wrong) == ({}, [])


# Stale bytes that arrive after the client has written the next request. No HTTP/1.1 client can detect them on the
# connection.


class TooLate:
    """A server that reads and performs a request before it sends a stale response.

    It sends the stale response before the correct response, or instead of the correct response. Only the first response
    is stale.
    """

    def __init__(self, stale: bytes, *, then_honest: bool, same_segment: bool = True, delay: float = 0.0) -> None:
        self.ledger = Ledger()
        self.stale, self.then_honest, self.same_segment = stale, then_honest, same_segment
        self.delay = delay  # seconds between the stale response and the correct one
        self.lied = False

    def handle(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            honest = self.ledger.perform(request)
            if self.lied:
                connection.send(honest)
                continue
            self.lied = True
            if not self.then_honest:
                connection.send(self.stale)
            elif self.same_segment:
                connection.send(self.stale + honest)
            else:
                connection.send(self.stale)
                time.sleep(self.delay)
                connection.send(honest)


LATE_CHARGE = charge_body(f"{CUSTOMERS}/c/recurring-products", "id-0", {"productCode": "P01", "quantity": 1})
CALLS_WITH_VALUES: dict[str, tuple[Callable[[Any], Any], bytes, type[BillingError]]] = {
    "charge of another code": (
        lambda customer: customer.recurring_products.create(Charge(product_code="P77")),
        response(201, LATE_CHARGE),
        OutcomeUnknown,
    ),
    "charge of another quantity": (
        lambda customer: customer.recurring_products.create(Charge(product_code="P01", quantity=2)),
        response(201, LATE_CHARGE),
        OutcomeUnknown,
    ),
    "charge of another customer": (
        lambda customer: customer.recurring_products.create(Charge(product_code="P01")),
        response(201, charge_body(f"{CUSTOMERS}/other/recurring-products", "id-9", {"productCode": "P01"})),
        OutcomeUnknown,
    ),
    "created another customer": (lambda c: c.create(), response(201, customer_body("other")), OutcomeUnknown),
    "a customer for a charge": (
        lambda customer: customer.recurring_products.create(Charge(product_code="P01")),
        response(201, customer_body("c")),
        OutcomeUnknown,
    ),
    "created another subscription": (
        lambda customer: customer.subscription("S").create(),
        response(201, subscription_body("c", "T")),
        OutcomeUnknown,
    ),
    "deleted, for a creation": (
        lambda customer: customer.recurring_products.create(Charge(product_code="P01")),
        response(204),
        OutcomeUnknown,
    ),
    "read another customer": (lambda c: c.get(), response(200, customer_body("other")), MalformedResponse),
    "read another subscription": (
        lambda customer: customer.subscription("S").get(),
        response(200, subscription_body("c", "T")),
        MalformedResponse,
    ),
    "read another charge": (
        lambda customer: customer.recurring_products.get("id-7"),
        response(200, LATE_CHARGE),
        MalformedResponse,
    ),
    "updated another charge": (
        lambda customer: customer.recurring_products.update("id-7", text="new"),
        response(200, LATE_CHARGE),
        MalformedResponse,
    ),
    "list of another customer": (
        lambda customer: collected(customer.recurring_products.list()),
        response(200, {"items": [], "navigation": {"@id": f"{CUSTOMERS}/other/recurring-products"}}),
        MalformedResponse,
    ),
}


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("call", CALLS_WITH_VALUES)
def test_a_stale_response_that_came_too_late_to_be_seen_is_noticed_by_its_values(kind: Kind, call: str) -> None:
    act, stale, expected = CALLS_WITH_VALUES[call]
    late = TooLate(stale, then_honest=False)

    async def scenario() -> Any:
        async with opened(kind, server.url) as billing:
            return await outcome(lambda: act(billing.with_options(attempts=1).customer("c")))

    with HostileServer(late.handle) as server:
        result = run(kind, scenario())
    assert isinstance(result, expected), f"{name_of(result)}: {result}"


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("call", [call for call in CALLS_WITH_VALUES if call.startswith(("read", "list"))])
def test_a_read_that_got_a_stale_response_is_sent_again_and_gets_its_own(kind: Kind, call: str) -> None:
    act, stale, _ = CALLS_WITH_VALUES[call]
    late = TooLate(stale, then_honest=False)

    async def scenario() -> Any:
        async with opened(kind, server.url) as billing:
            return await outcome(lambda: act(billing.customer("c")))

    with HostileServer(late.handle) as server:
        result = run(kind, scenario())
    assert late.lied
    assert not isinstance(result, BillingError), f"{name_of(result)}: {result}"
    assert "other" not in str(result)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_the_response_to_a_read_that_got_a_stale_one_is_not_taken_for_that_of_the_next_post(kind: Kind) -> None:
    """A read gets the stale response to a creation. Its own response, a 429, comes when the server has the POST."""
    ledger, lies = Ledger(), iter([stale_responses("", {})["201 other"]])

    def handle(connection: Connection) -> None:
        late = None
        while (request := connection.read_request()) is not None:
            honest = ledger.perform(request)
            if lie := next(lies, None):
                connection.send(lie)
                late = stale_responses("", {})["429"]
            else:
                connection.send(late or honest)
                late = None

    async def scenario() -> Any:
        async with opened(kind, server.url) as billing:
            customer = billing.customer("c")
            assert isinstance(await outcome(customer.get), MalformedResponse)
            return await outcome(lambda: customer.recurring_products.create(Charge(product_code="P01")))

    with HostileServer(handle) as server:
        result = run(kind, scenario())
    assert (name_of(result), ledger.posts["P01"]) == ("RecurringProduct", 1)


def created(kind: Kind, handle: Callable[[Connection], None], token: Any = "t") -> str:
    """Create one charge with `wait_on_writes`. Return the class of the result, without the prefix Async."""

    async def scenario() -> Any:
        async with opened(kind, server.url, token=token) as billing:
            client = billing.with_options(wait_on_writes=True)
            return await outcome(lambda: client.customer("c").recurring_products.create(Charge(product_code="P01")))

    with HostileServer(handle) as server:
        return name_of(run(kind, scenario())).removeprefix("Async")


@pytest.mark.parametrize("kind", [kind for kind in FOUR if kind.engine == "httpx"], ids=str)
@pytest.mark.parametrize("flavour", ["400", "401", "404", "429", "503"])
def test_a_refusal_of_a_post_with_bytes_behind_it_is_not_believed(kind: Kind, flavour: str) -> None:
    """The server sends two responses to one request in one segment.

    The client cannot know which response is true. Therefore it must raise OutcomeUnknown and must not report a refusal.
    Only the httpx transport can detect this case: hyper closes the connection, but does not tell its caller that bytes
    were left over.
    """
    late = TooLate(stale_responses("", {})[flavour], then_honest=True)
    assert (created(kind, late.handle, token=lambda: "t"), late.ledger.posts["P01"]) == ("OutcomeUnknown", 1)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("then_honest", [True, False])
def test_a_stale_401_that_comes_while_the_post_is_under_way_sends_no_second_post(kind: Kind, then_honest: bool) -> None:
    """The server accepts the same token for a read, so its 401 cannot be the response to the POST."""
    late = TooLate(problem(401, "unauthorized"), then_honest=then_honest, same_segment=False)
    tokens = itertools.count()
    result = created(kind, late.handle, token=lambda: f"t{next(tokens)}")
    assert (result, late.ledger.posts["P01"]) == ("OutcomeUnknown", 1)


@pytest.mark.parametrize("kind", [kind for kind in FOUR if kind.engine == "httpx"], ids=str)
@pytest.mark.parametrize("flavour", ["429", "503"])
@pytest.mark.parametrize("delay", [0.0, 0.3])
@pytest.mark.parametrize("ending", ["kept open", "Connection: close", "HTTP/1.0"])
def test_a_stale_429_with_the_response_behind_it_sends_no_second_post(
    kind: Kind, flavour: str, delay: float, ending: str
) -> None:
    """The server works at the POST for `delay` seconds after the stale response.

    The stale response may also say that the connection ends with it.
    """
    stale = stale_responses("", {})[flavour]
    if ending == "Connection: close":
        stale = stale.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    elif ending == "HTTP/1.0":
        stale = stale.replace(b"HTTP/1.1", b"HTTP/1.0", 1)
    late = TooLate(stale, then_honest=True, same_segment=False, delay=delay)
    assert (created(kind, late.handle), late.ledger.posts["P01"]) == ("OutcomeUnknown", 1)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("ending", [(), ("Connection: close",)], ids=["kept open", "closed"])
def test_a_post_waits_for_a_429_that_no_other_response_follows(kind: Kind, ending: tuple[str, ...]) -> None:
    answers = iter([response(429, b"", "Retry-After: 0", *ending)])
    ledger = Ledger()

    def handle(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            answer = next(answers, None)
            connection.send(answer or ledger.perform(request))
            if answer and ending:
                return

    assert (created(kind, handle), ledger.posts["P01"]) == ("RecurringProduct", 1)
