"""A TCP proxy between `payex-billing apply` and the mock. It fails as a test tells it to, and logs what it saw.

The proxy runs on an event loop in a thread of its own. It shares no code with the client or with the mock. It reads HTTP
with code of its own, sends each request to the mock (now, later or never), and gives the client the true response, a
false response or none. The log says which requests reached the mock and what the mock responded.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

RST, FIN, TRUNCATE, SILENCE = "rst", "fin", "truncate", "silence"


@dataclass(frozen=True)
class Reply:
    """A response that the proxy makes up, or the mock's own."""

    status: int
    body: bytes = b""
    headers: tuple[str, ...] = ()

    def bytes(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *self.headers]
        if self.status != 204:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body

    @property
    def json(self) -> Any:
        """The body as JSON, with exact numbers; None if it is no JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except ValueError:
            return None


def bare(status: int, *headers: str) -> Reply:
    """The page of a gateway."""
    return Reply(status, b"<html><h1>gateway</h1></html>", ("Content-Type: text/html", *headers))


def problem(status: int, code: str, *headers: str, detail: str = "") -> Reply:
    """A problem in the format that the API documents."""
    content = {"type": f"billing/customer/problems/{code}", "title": code, "status": status, "detail": detail}
    return Reply(status, json.dumps(content).encode(), ("Content-Type: application/problem+json", *headers))


TOO_MANY = problem(429, "too-many-requests", "Retry-After: 1")
TOO_MANY_AT_ONCE = problem(429, "too-many-requests", "Retry-After: 0")


class Gate:
    """A place where the proxy holds a request until the test lets the request go on."""

    def __init__(self) -> None:
        self.reached = threading.Semaphore(0)  # released once for each request that arrives here
        self._open = threading.Event()

    def open(self) -> None:
        self._open.set()

    def wait_for(self, count: int = 1, seconds: float = 60) -> None:
        """Block until so many requests are held here."""
        for _ in range(count):
            assert self.reached.acquire(timeout=seconds), "no request came as far as this"

    async def hold(self) -> None:
        self.reached.release()
        while not self._open.is_set():  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # the test's thread opens the gate, so there is no event of this loop


@dataclass(frozen=True)
class Fate:
    """What happens to one request.

    Attributes:
        reaches: seconds until the mock gets the request; None means never. With more than 0, the client gets its
            response first: a late commit.
        answer: what the client gets: None for the true response, a `Reply`, or one of the words above.
        delay: seconds until the client gets it.
        ahead: bytes that the client gets before, as if they were left over from another request.
        pause: seconds between `ahead` and the response.
        behind: bytes that the client gets after the response, in a segment of their own.
        before: called in the proxy's thread when the request has arrived, before the mock gets it.
        after: called in the proxy's thread when the mock has responded, before the client gets anything.
        gate: holds the request before the mock gets it.
        gate_after: holds the response before the client gets it.
    """

    reaches: float | None = 0.0
    answer: Reply | str | None = None
    delay: float = 0.0
    ahead: bytes = b""
    pause: float = 0.0
    behind: bytes = b""
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    gate: Gate | None = None
    gate_after: Gate | None = None

    def __str__(self) -> str:
        reached = {None: "never reached", 0.0: "reached"}.get(self.reaches, f"reached after {self.reaches} s")
        answer = self.answer.status if isinstance(self.answer, Reply) else self.answer or "true response"
        return f"{reached}, {answer}" + (
            ", stale bytes ahead" if self.ahead else ", stale bytes behind" if self.behind else ""
        )


@dataclass
class Exchange:
    """One request and its outcome. Times are those of `time.monotonic`."""

    number: int
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    arrived: float
    fate: Fate = Fate()
    reached: float | None = None  # when the mock responded; None if the request never got there
    response: Reply | None = None  # the mock's own

    @property
    def json(self) -> Any:
        return json.loads(self.body, parse_float=Decimal) if self.body else None

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def took_effect(self) -> bool:
        """Whether this write changed what the mock holds."""
        return self.is_write and self.response is not None and 200 <= self.response.status < 300

    @property
    def steps(self) -> list[str]:
        """The path below the ledger, decoded: `customers`, a number, ..."""
        return [unquote(step) for step in self.target.partition("?")[0].split("/")[5:]]

    @property
    def customer(self) -> str:
        """The customer's number, also of the request that creates the customer."""
        return self.steps[1] if len(self.steps) > 1 else self.json["customerNo"]

    def __str__(self) -> str:
        status = self.response.status if self.response else "-"
        return f"#{self.number} {self.method} {'/'.join(self.steps)} {self.body.decode()[:120]}: {self.fate}; mock {status}"


@dataclass
class _Watch:
    method: str
    left: int
    moment: str
    act: Callable[[], object]


@dataclass
class _Rule:
    fate: Fate
    method: str
    path: re.Pattern[str]
    skip: int
    times: float


class FailingProxy:
    """Serve until the `with` block ends. Any thread may call the public methods.

    Attributes:
        log: every request, in the order of arrival.
        weather: chooses the fate of a request that no rule of `on` is for.
        rewrite: changes the JSON of the mock's successful responses before the client sees them.
        longest_late: the longest time in seconds from the arrival of a request to its late commit that is allowed. A
            request that this machine could not forward in time is dropped, because the test would break its own rule.
    """

    def __init__(self, upstream: str, *, longest_late: float = 60.0) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.log: list[Exchange] = []
        self.weather: Callable[[Exchange], Fate | None] = lambda _: None
        self.rewrite: Callable[[Exchange, Any], Any] | None = None
        self.longest_late = longest_late
        self.failures: list[BaseException] = []  # defects of this proxy
        self.connections = 0
        self.port = 0
        self._rules: list[_Rule] = []
        self._watches: list[_Watch] = []
        self._lock = threading.RLock()
        self._idle = threading.Condition(self._lock)
        self._under_way = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pool: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._server: asyncio.Server | None = None

    # start and stop

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="failing-proxy", daemon=True)
        self._thread.start()
        assert started.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if error is None and self.failures:
            raise AssertionError("the proxy of the test is at fault") from self.failures[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _run(self, started: threading.Event) -> None:
        async def serve() -> None:
            await self._listen()
            started.set()
            await self._stop.wait()
            await self._refuse_all()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for _, writer in self._pool:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()

        try:
            self._loop.run_until_complete(serve())
        finally:
            self._loop.close()

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512, limit=1 << 22)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _refuse_all(self) -> None:
        """Close the port, and reset every connection of a client."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _reset(writer)

    def go_dark(self, seconds: float | None = None) -> None:
        """Refuse all connections for so many seconds, or until `come_back`. Requests under way reach the mock."""

        async def dark() -> None:
            await self._refuse_all()
            if seconds is not None:
                await asyncio.sleep(seconds)
                await self._listen()

        self._loop.call_soon_threadsafe(self._spawn, dark)

    def come_back(self) -> None:
        """Accept connections again."""
        self._loop.call_soon_threadsafe(self._spawn, self._listen)

    def _spawn(self, make: Callable[[], Any]) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self._loop.create_task(make())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures.append(error)

    # methods for the tests

    def on(self, method: str, fate: Fate, *, path: str = "", skip: int = 0, times: float = 1) -> None:
        """Give this fate to the next `times` requests of the method whose path matches, after the first `skip`.

        `method` may be `*` for all, or `WRITE` for everything but GET. `path` is below the ledger and decoded.
        """
        with self._lock:
            self._rules.append(_Rule(fate, method, re.compile(path), skip, times))

    def forget_rules(self) -> None:
        """End all faults. Requests that are held or late go on."""
        with self._lock:
            self._rules.clear()
            self._watches.clear()
        self.weather = lambda _: None

    def watch(self, method: str, count: int, moment: str, act: Callable[[], object]) -> None:
        """Call `act` in the proxy's thread when the next request with this number comes to a moment.

        Args:
            method: as for `on`.
            count: 1 for the next request.
            moment: `arrived`; `reached`, after the mock has responded and before the client gets anything; or
                `answered`, after the client has got its response.
            act: must not block.
        """
        with self._lock:
            self._watches.append(_Watch(method, count, moment, act))

    def forget_watches(self) -> None:
        with self._lock:
            self._watches.clear()

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        """Call `act` in the proxy's thread after so many seconds."""
        self._loop.call_soon_threadsafe(lambda: self._loop.call_later(seconds, act))

    def sent(self, method: str = "*", path: str = "", since: int = 0) -> list[Exchange]:
        """The requests of this method whose path matches, from the number `since` on."""
        with self._lock:
            found = [exchange for exchange in self.log[since:] if _matches(method, exchange.method)]
        return [exchange for exchange in found if re.search(path, "/".join(exchange.steps))]

    def wait_until_quiet(self, seconds: float = 120) -> None:
        """Block until every request has reached the mock that ever will, late ones too."""
        with self._idle:
            assert self._idle.wait_for(lambda: self._under_way == 0, seconds), "requests are still under way"

    # one connection of a client

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._exchange(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            _reset(writer)
        except Exception as error:
            self.failures.append(error)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Serve one request. Return False when the connection has ended."""
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await _read_body(reader, headers)
        with self._lock:
            exchange = Exchange(len(self.log), method, target, headers, body, time.monotonic())
            self.log.append(exchange)
            exchange.fate = self._fate(exchange)
            self._under_way += 1
            watches = self._due(exchange)
        fate = exchange.fate
        _act(watches, "arrived")
        if fate.before is not None:
            fate.before()
        # A task of its own: the request goes on when the client is killed, as in a network.
        forwarding = self._spawn(lambda: self._forward(exchange))
        if fate.ahead:
            writer.write(fate.ahead)
            await writer.drain()
        if not fate.reaches and fate.reaches is not None:
            await asyncio.shield(forwarding)
            await asyncio.sleep(fate.pause)
        _act(watches, "reached")
        if fate.gate_after is not None:
            await fate.gate_after.hold()
        if fate.delay:
            await asyncio.sleep(fate.delay)
        try:
            return await self._answer(exchange, writer)
        finally:
            _act(watches, "answered")

    def _due(self, exchange: Exchange) -> list[_Watch]:
        """The watches that wait for this request."""
        for watch in self._watches:
            if _matches(watch.method, exchange.method):
                watch.left -= 1
        due = [watch for watch in self._watches if watch.left == 0 and _matches(watch.method, exchange.method)]
        self._watches = [watch for watch in self._watches if watch not in due]
        return due

    async def _answer(self, exchange: Exchange, writer: asyncio.StreamWriter) -> bool:
        answer = exchange.fate.answer
        if answer is None:
            # A late commit and a request that is dropped have no true response.
            answer = self._seen_by_client(exchange) if exchange.response is not None else FIN
        if isinstance(answer, Reply):
            writer.write(answer.bytes())
            await writer.drain()
            if exchange.fate.behind:
                writer.write(exchange.fate.behind)
                await writer.drain()
            return True
        if answer == SILENCE:
            await asyncio.Event().wait()
        elif answer == RST:
            _reset(writer)
        elif answer == TRUNCATE and exchange.response is not None:
            writer.write(exchange.response.bytes()[:-5])
            await writer.drain()
        return False

    def _seen_by_client(self, exchange: Exchange) -> Reply:
        response = exchange.response
        assert response is not None
        if self.rewrite is None or not 200 <= response.status < 300 or not response.body:
            return response
        return Reply(response.status, _dumps(self.rewrite(exchange, response.json)).encode(), response.headers)

    def _fate(self, exchange: Exchange) -> Fate:
        for rule in self._rules:
            if rule.times > 0 and _matches(rule.method, exchange.method) and rule.path.search("/".join(exchange.steps)):
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.times -= 1
                return rule.fate
        return self.weather(exchange) or Fate()

    # the mock's side

    async def _forward(self, exchange: Exchange) -> None:
        try:
            fate = exchange.fate
            if fate.gate is not None:
                await fate.gate.hold()
            if fate.reaches is None:
                return
            if fate.reaches:
                await asyncio.sleep(max(0.0, exchange.arrived + fate.reaches - time.monotonic()))
                if time.monotonic() - exchange.arrived > self.longest_late:
                    return
            exchange.response = await self._ask(exchange)
            exchange.reached = time.monotonic()
            if fate.after is not None:
                fate.after()
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    async def _ask(self, exchange: Exchange) -> Reply:
        lines = [f"{exchange.method} {exchange.target} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [
            f"{name}: {exchange.headers[name]}"
            for name in ("authorization", "content-type")
            if name in exchange.headers
        ]
        if exchange.body or exchange.method in {"POST", "PATCH", "PUT"}:
            lines.append(f"Content-Length: {len(exchange.body)}")
        request = "\r\n".join([*lines, "", ""]).encode("latin-1") + exchange.body
        # Only a read may use a connection that the mock may have closed: a write must not be sent twice by this proxy.
        while not exchange.is_write and self._pool:
            pair = self._pool.pop()
            try:
                return await self._ask_on(pair, request)
            except (OSError, asyncio.IncompleteReadError):
                pair[1].close()
        return await self._ask_on(await asyncio.open_connection(*self._upstream, limit=1 << 24), request)

    async def _ask_on(self, pair: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> Reply:
        reader, writer = pair
        writer.write(request)
        await writer.drain()
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if len(self._pool) < 32:
            self._pool.append(pair)
        else:
            writer.close()
        kept = [
            line for line in lines if line.lower().startswith(("content-type:", "retry-after:", "www-authenticate:"))
        ]
        return Reply(int(first.split(" ")[1]), body, tuple(kept))


def _act(watches: list[_Watch], moment: str) -> None:
    for watch in watches:
        if watch.moment == moment:
            watch.act()


def _matches(wanted: str, method: str) -> bool:
    return wanted in {"*", method} or (wanted == "WRITE" and method != "GET")


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readline()
    return body


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _dumps(value: Any) -> str:
    """JSON in which a Decimal is a number with exactly its own digits."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_dumps(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_dumps, value)) + "]"
    return json.dumps(value)


@dataclass
class RateLimit:
    """A server's limit of requests a second: everything above gets a 429 with Retry-After: 1. Use it as `weather`."""

    per_second: int
    retry_after: int = 1
    refused: int = 0
    _window: float = field(default=0.0, repr=False)
    _used: int = field(default=0, repr=False)

    def __call__(self, exchange: Exchange) -> Fate | None:
        if exchange.arrived - self._window >= 1:
            self._window, self._used = exchange.arrived, 0
        self._used += 1
        if self._used <= self.per_second:
            return None
        self.refused += 1
        return Fate(reaches=None, answer=problem(429, "too-many-requests", f"Retry-After: {self.retry_after}"))
