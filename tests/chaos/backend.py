"""A small backend that counts what requests really created and fails as a script tells it to.

The backend keeps its state in memory. It shares no code with the client or with the mock: it uses a raw asyncio stream,
its own HTTP and its own JSON. A mistake in the client or the mock therefore cannot hide in the backend.

A `Fault` defines two things for one request: when the write takes effect (now, later or never), and which response the
caller gets (the true one, a false one, a bare status, or none).

`client` opens one of the four clients (sync or async, on either transport). Its methods block, and many threads can
share it.
"""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, unquote

import payex_billing as pb
import pytest

LEDGER = "1234"
ROOT = f"/billing/customer/v1/{LEDGER}"

ENGINES, FACADES = ["httpx", "reqwest"], ["sync", "async"]
FOUR = pytest.mark.parametrize(
    ("engine_name", "facade"),
    list(itertools.product(ENGINES, FACADES)),
    ids=[f"{engine}-{facade}" for engine, facade in itertools.product(ENGINES, FACADES)],
)


# JSON


def dumps(value: Any) -> str:
    """Return JSON. A Decimal becomes a number with exactly its own digits."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(dumps, value)) + "]"
    return json.dumps(value)


@dataclass(frozen=True)
class Request:
    """A request as the backend received it."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    at: float  # time.monotonic() when the last byte arrived

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal)


@dataclass(frozen=True)
class Reply:
    """A response. If `raw` is given, the backend sends only `raw` and then closes the connection."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = "application/json"
    headers: tuple[str, ...] = ()
    raw: bytes | None = None

    def bytes(self) -> bytes:
        if self.raw is not None:
            return self.raw
        lines = [f"HTTP/1.1 {self.status} Whatever", *self.headers]
        if self.content_type is not None:
            lines.append(f"Content-Type: {self.content_type}")
        if self.status not in {204, 304} and self.status >= 200:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    def changed(self, **values: Any) -> Reply:
        """Return a copy with these JSON values changed. `at_id` means `@id`; the value `...` removes a name."""
        content = json.loads(self.body, parse_float=Decimal)
        for name, value in values.items():
            wire = "@id" if name == "at_id" else name
            if value is ...:
                content.pop(wire, None)
            else:
                content[wire] = value
        return replace(self, body=dumps(content).encode())


def json_reply(status: int, content: Any, *headers: str, content_type: str = "application/json") -> Reply:
    return Reply(status, dumps(content).encode(), content_type, headers)


def problem(status: int, code: str, *headers: str, **more: Any) -> Reply:
    """Return a problem in the format that the API documents."""
    content = {"type": f"billing/customer/problems/{code}", "title": code, "status": status, "detail": "", **more}
    return json_reply(status, content, *headers, content_type="application/problem+json")


RST, FIN, SILENCE, TRUNCATE, DRIP, STALE = "rst", "fin", "silence", "truncate", "drip", "stale"
STALE_FOR = 0.25  # seconds for which STALE may repeat the previous response
Answering = str | Reply | Callable[[Request, Reply], Reply] | None


@dataclass(frozen=True)
class Fault:
    """What happens to one request.

    Attributes:
        commit: Seconds until the write takes effect. None means never. Reads ignore this value.
        reply: None means the true response. Otherwise a `Reply`, a function of the request and the true response, or
            one of the words above (RST, FIN, ...).
        delay: Seconds until the backend sends the response.
    """

    commit: float | None = 0.0
    reply: Answering = None
    delay: float = 0.0


@dataclass
class Rule:
    """A fault, the requests that it applies to, and the number of requests that are left."""

    fault: Fault
    method: str
    path: re.Pattern[str]
    times: float


@dataclass
class Parent:
    """A customer or a subscription."""

    subscriptions: dict[str, Parent] = field(default_factory=dict)
    charges: dict[str, dict[str, Any]] = field(default_factory=dict)


class Backend:
    """The true state of the ledger. Any thread may call the public methods."""

    def __init__(self, port: int = 0) -> None:
        self._port = port
        self.customers: dict[str, Parent] = {}
        self.requests: list[Request] = []
        self.posted: dict[str, dict[str, Any]] = {}  # every created charge, with its content at creation
        self.created: list[tuple[str, str]] = []  # ("customer" | "subscription" | "charge", uri), in order
        self.master: dict[str, Any] = {}  # values for the fields that a new charge leaves out
        self.page_size: int | None = None
        self.newest_first = False
        self.refused_tokens: set[str] = set()
        self.rewrite: dict[
            str, Callable[[dict[str, Any]], dict[str, Any]]
        ] = {}  # by customer: changes a charge before it is stored
        self.chaos: Callable[[Request], Fault | None] = lambda _: None  # used if no rule matches
        self.worst_pause = 0.0  # longest time, in seconds, that the machine did not run this backend
        self._first_posts: dict[str, Fault] = {}
        self._seen: dict[str, tuple[float, Reply]] = {}  # the last true response to each GET
        self.failures: list[Exception] = []  # bugs in this backend, not in the client
        self._rules: list[Rule] = []
        self._ids = itertools.count(1)
        self._pending = 0
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._arrived = threading.Condition(self._lock)
        self._writers: set[asyncio.StreamWriter] = set()

    # Start and stop

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="backend", daemon=True)
        self._thread.start()
        started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if error is None and self.failures:
            raise AssertionError("the backend of the test is at fault") from self.failures[0]

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()

        async def serve() -> None:
            # The backend accepts the sockets itself, so that it can close every connection at the end. Otherwise some
            # connections would stay open until the garbage collector runs.
            listener = socket.create_server(("127.0.0.1", self._port), backlog=512)
            listener.setblocking(False)
            self.port = listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            tasks: set[asyncio.Task[None]] = set()
            accepting = asyncio.create_task(self._accept(listener, tasks))
            watching = asyncio.create_task(self._watch())
            started.set()
            await self._stop.wait()
            for task in (accepting, watching, *tasks):
                task.cancel()
            await asyncio.gather(accepting, watching, *tasks, return_exceptions=True)
            listener.close()

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()

    async def _watch(self) -> None:
        """Measure the longest time without CPU. After a long pause, the delays are not those of the script."""
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            self.worst_pause = max(self.worst_pause, time.monotonic() - before)

    async def _accept(self, listener: socket.socket, tasks: set[asyncio.Task[None]]) -> None:
        while True:
            connection, _ = await self._loop.sock_accept(listener)
            task = asyncio.create_task(self._connection(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _connection(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=1 << 24)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        except Exception as failure:
            self.failures.append(failure)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Read one request and send the response. Return False when the connection has ended."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readline()
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, target, headers, body, time.monotonic())
        with self._lock:
            self.requests.append(request)
            fault = self._fault(request)
            self._arrived.notify_all()
        return await self._reply(request, fault, writer)

    async def _reply(self, request: Request, fault: Fault, writer: asyncio.StreamWriter) -> bool:
        honest = self._commit(request, fault)
        if fault.delay:
            await asyncio.sleep(fault.delay)
        reply = fault.reply
        if request.method == "GET":
            seen_at, seen = self._seen.get(request.target, (0.0, honest))
            self._seen[request.target] = (time.monotonic(), honest)
            if reply == STALE:
                # Act like a replica that lags behind: repeat the previous response to this GET, if it is recent.
                reply = seen if time.monotonic() - seen_at < STALE_FOR else None
        if callable(reply):
            reply = reply(request, honest)
        if reply is None:
            reply = honest
        if isinstance(reply, Reply):
            writer.write(reply.bytes())
            await writer.drain()
            return reply.raw is None and reply.status >= 200
        if reply == SILENCE:
            await asyncio.Event().wait()
        if reply == RST:
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif reply == TRUNCATE:
            writer.write(honest.bytes()[:-5])
            await writer.drain()
        elif reply == DRIP:
            for byte in honest.bytes():
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.002)
            return True
        return False

    def _commit(self, request: Request, fault: Fault) -> Reply:
        if request.method == "GET" or fault.commit == 0:
            return self._apply(request)
        if fault.commit is None:
            return problem(500, "nothing-was-done")
        with self._lock:
            self._pending += 1
        self._loop.call_later(fault.commit, self._commit_late, request)
        return json_reply(201, {"note": "a response before the write"})

    def _commit_late(self, request: Request) -> None:
        with self._lock:
            self._apply(request)
            self._pending -= 1
            self._idle.notify_all()

    # Set up faults, and query the state

    def on(self, method: str, fault: Fault, *, path: str = "", times: float = 1) -> None:
        """Apply the fault to the next `times` requests with this method whose target matches the regular expression."""
        with self._lock:
            self._rules.append(Rule(fault, method, re.compile(path), times))

    def on_customer(self, customer_no: str, fault: Fault) -> None:
        """Apply the fault to the first POST that creates this customer or something below this customer."""
        with self._lock:
            self._first_posts[customer_no] = fault

    def forget_rules(self) -> None:
        with self._lock:
            self._rules.clear()

    def _fault(self, request: Request) -> Fault:
        if request.method == "POST" and self._first_posts:
            number = unquote(request.target.removeprefix(f"{ROOT}/customers").lstrip("/").partition("/")[0])
            fault = self._first_posts.pop(number or request.json["customerNo"], None)
            if fault is not None:
                return fault
        for rule in self._rules:
            if rule.times > 0 and rule.method in {request.method, "*"} and rule.path.search(request.target):
                rule.times -= 1
                return rule.fault
        return self.chaos(request) or Fault()

    def wait_until_idle(self) -> None:
        """Block until every late write has taken effect."""
        with self._idle:
            self._idle.wait_for(lambda: self._pending == 0)

    def wait_for_requests(self, count: int, method: str = "*") -> None:
        """Block until `count` requests with this method have arrived."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.sent(method)) >= count)

    def sent(self, method: str = "*", path: str = "") -> list[Request]:
        with self._lock:
            return [
                request
                for request in self.requests
                if method in {request.method, "*"} and re.search(path, request.target)
            ]

    def count(self, kind: str, path: str = "") -> int:
        """Return how many resources of this kind were created, including those deleted later."""
        with self._lock:
            return sum(1 for made, uri in self.created if made == kind and re.search(path, uri))

    def parent(self, customer_no: str, subscription_no: str | None = None) -> Parent:
        with self._lock:
            customer = self.customers[customer_no]
            return customer if subscription_no is None else customer.subscriptions[subscription_no]

    def charges(self, customer_no: str, subscription_no: str | None = None) -> dict[str, dict[str, Any]]:
        with self._lock:
            return {key: dict(charge) for key, charge in self.parent(customer_no, subscription_no).charges.items()}

    def contents(self, customer_no: str, subscription_no: str | None = None) -> Counter[str]:
        """Return how many charges there are with each content."""
        return Counter(dumps(charge) for charge in self.charges(customer_no, subscription_no).values())

    def holds(self, *customers: str) -> Self:
        """Add these customers without a request. Every customer gets a subscription S."""
        with self._lock:
            for number in customers:
                self.customers[number] = Parent(subscriptions={"S": Parent()})
        return self

    def put_charge(self, customer_no: str, subscription_no: str | None = None, **content: Any) -> str:
        """Add a charge without a request of the client, as if another program had created it."""
        with self._lock:
            key = f"id{next(self._ids)}"
            self.parent(customer_no, subscription_no).charges[key] = {"productCode": "P01", **content}
            return key

    # The API

    def _apply(self, request: Request) -> Reply:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.refused_tokens:
            return problem(401, "unauthorized")
        path, _, query = request.target.partition("?")
        if not path.startswith(f"{ROOT}/"):
            return problem(404, "not-found")
        steps = [unquote(step) for step in path.removeprefix(f"{ROOT}/").split("/")]
        with self._lock:
            return self._route(request, steps, query)

    def _route(self, request: Request, steps: list[str], query: str) -> Reply:
        match steps:
            case ["customers"] if request.method == "POST":
                return self._add(request, self.customers, "customer", f"{ROOT}/customers")
            case ["customers", customer_no, *rest]:
                uri = f"{ROOT}/customers/{quote(customer_no, safe='')}"
                customer = self.customers.get(customer_no)
                if customer is None:
                    return problem(404, "customer-not-found")
                return self._in_customer(request, customer, uri, rest, query)
        return problem(404, "not-found")

    def _in_customer(self, request: Request, customer: Parent, uri: str, steps: list[str], query: str) -> Reply:
        match steps:
            case []:
                return json_reply(200, customer_body(uri))
            case ["subscriptions"] if request.method == "GET":
                items = [
                    subscription_body(f"{uri}/subscriptions/{quote(number, safe='')}")
                    for number in customer.subscriptions
                ]
                return self._page(f"{uri}/subscriptions", items, query)
            case ["subscriptions"] if request.method == "POST":
                return self._add(request, customer.subscriptions, "subscription", f"{uri}/subscriptions")
            case ["subscriptions", number, *rest]:
                below = f"{uri}/subscriptions/{quote(number, safe='')}"
                subscription = customer.subscriptions.get(number)
                if subscription is None:
                    return problem(404, "subscription-not-found")
                if rest:
                    return self._in_charges(request, subscription, below, rest, query)
                if request.method == "DELETE":
                    del customer.subscriptions[number]
                    return Reply(204, content_type=None)
                return json_reply(200, subscription_body(below))
        return self._in_charges(request, customer, uri, steps, query)

    def _add(self, request: Request, held: dict[str, Parent], kind: str, uri: str) -> Reply:
        number = request.json[f"{kind}No"]
        if number in held:
            return problem(409, f"{kind}-already-exists")
        held[number] = Parent()
        uri = f"{uri}/{quote(number, safe='')}"
        self.created.append((kind, uri))
        return json_reply(201, customer_body(uri) if kind == "customer" else subscription_body(uri))

    def _in_charges(self, request: Request, parent: Parent, uri: str, steps: list[str], query: str) -> Reply:
        match request.method, steps:
            case "GET", ["recurring-products"]:
                items = [charge_body(uri, key, charge) for key, charge in parent.charges.items()]
                items = items[::-1] if self.newest_first else items
                return self._page(f"{uri}/recurring-products", items, query)
            case "POST", ["recurring-products"]:
                key = f"id{next(self._ids)}"
                keep = self.rewrite.get(unquote(uri.removeprefix(f"{ROOT}/customers/").partition("/")[0]), dict)
                parent.charges[key] = keep({**self.master, **request.json})
                self.posted[key] = dict(parent.charges[key])
                self.created.append(("charge", f"{uri}/recurring-products/{key}"))
                return json_reply(201, charge_body(uri, key, parent.charges[key]))
            case method, ["recurring-products", key]:
                if key not in parent.charges:
                    return problem(404, "recurring-product-not-found")
                if method == "DELETE":
                    del parent.charges[key]
                    return Reply(204, content_type=None)
                if method == "PATCH":
                    parent.charges[key].update(request.json)
                return json_reply(200, charge_body(uri, key, parent.charges[key]))
        return problem(404, "not-found")

    def _page(self, uri: str, items: list[Any], query: str) -> Reply:
        navigation: dict[str, Any] = {"@id": uri}
        if self.page_size is not None:
            start = int(query.removeprefix("from=") or 0)
            if start + self.page_size < len(items):
                navigation["next"] = f"{uri}?from={start + self.page_size}"
            items = items[start : start + self.page_size]
        return json_reply(200, {"items": items, "navigation": navigation})


def _number(uri: str) -> str:
    return unquote(uri.rpartition("/")[2])


def customer_body(uri: str) -> dict[str, Any]:
    return {
        "@id": uri,
        "customerNo": _number(uri),
        "recurringProducts": f"{uri}/recurring-products",
        "subscriptions": f"{uri}/subscriptions",
        "operations": None,
    }


def subscription_body(uri: str) -> dict[str, Any]:
    return {
        "@id": uri,
        "subscriptionNo": _number(uri),
        "recurringProducts": f"{uri}/recurring-products",
        "operations": None,
    }


def charge_body(parent_uri: str, key: str, content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "@id": f"{parent_uri}/recurring-products/{quote(key, safe='')}",
        "recurringProductId": key,
        "endDate": None,
        "operations": None,
        **content,
    }


# The four clients


class Face:
    """A blocking wrapper of an asynchronous object, which runs on an event loop in its own thread.

    Any thread may call the methods.
    """

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        return self._call(value) if callable(value) else self._wrapped(value)

    def __repr__(self) -> str:
        return repr(self._target)

    def _call(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def on_the_loop(*arguments: Any, **options: Any) -> Any:
            value = method(*arguments, **options)
            return await value if inspect.isawaitable(value) else value

        def block(*arguments: Any, **options: Any) -> Any:
            return self._wrapped(self._wait(on_the_loop(*arguments, **options)))

        return block

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _wrapped(self, value: Any) -> Any:
        if hasattr(value, "__anext__"):
            return self._iterated(value)
        if type(value).__name__.startswith("Async"):
            return Face(value, self._loop)
        return value

    def _iterated(self, values: Any) -> Iterator[Any]:
        async def following() -> tuple[bool, Any]:
            # A future cannot carry a StopAsyncIteration, so return a flag instead.
            try:
                return True, await values.__anext__()
            except StopAsyncIteration:
                return False, None

        while True:
            more, value = self._wait(following())
            if not more:
                return
            yield value


@contextmanager
def client(engine: str, facade: str, backend: Backend | None = None, **options: Any) -> Iterator[Any]:
    """Open one of the four clients for a `with` block. Every method blocks, and any thread may call it."""
    settings = {"token": "t", "owner_no": LEDGER, "engine": engine, "timeout": 20, **options}
    if backend is not None:
        settings.setdefault("base_url", backend.url)
    if facade == "sync":
        with pb.Billing(**settings) as billing:
            yield billing
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="face", daemon=True)
    thread.start()

    async def enter() -> Any:
        return await pb.AsyncBilling(**settings).__aenter__()

    async def leave() -> None:
        await target.__aexit__(None, None, None)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others) if others else None

    try:
        target = asyncio.run_coroutine_threadsafe(enter(), loop).result()
        try:
            yield Face(target, loop)
        finally:
            asyncio.run_coroutine_threadsafe(leave(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def look_up_by_the_error(billing: Any, error: Any, **options: Any) -> Any:
    """Call `error.look_up()`. On the asynchronous facade, await the result."""
    if isinstance(billing, Face):
        return billing._call(error.look_up)(**options)
    return error.look_up(**options)


def raised(call: Callable[[], Any]) -> Any:
    """Return the exception that a call raises. Fail if the call raises nothing."""
    try:
        value = call()
    except Exception as error:
        return error
    raise AssertionError(f"returned {value!r}, and raised nothing")


def tried(call: Callable[[], Any]) -> Any:
    """Return the value of a call, or the exception that it raises. For tests that collect many outcomes."""
    try:
        return call()
    except Exception as error:
        return error


def in_threads(calls: list[Callable[[], Any]], at_most: int = 64) -> list[Any]:
    """Run the calls in parallel, in at most `at_most` threads.

    Return the results in the order of the calls. If a call raises, its result is the exception.
    """
    results: list[Any] = [None] * len(calls)
    numbers = iter(range(len(calls)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            results[number] = tried(calls[number])

    threads = [threading.Thread(target=work) for _ in range(min(at_most, len(calls)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
