"""Serves the mock over asyncio, with a hand on the connection itself: it can be cut, stalled and reset.

Granian is faster, but no ASGI server lets an application do that; so this one serves when there may be faults.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import time
from http import HTTPStatus
from typing import TypeVar

import h11

from .app import MAX_BODY_BYTES, Answer, MockApp, Request
from .console import Console
from .faults import Fault, Faults
from .misfortune import refusal

ADMIN_PATH = b"/mock/faults"
_READ_BYTES = 65_536


class _Cut(Exception):
    """The connection ends here."""


class WireServer:
    """Serves one application with faults.

    Args:
        app: the mock.
        faults: what befalls requests.
        admin: whether `/mock/faults` lets anyone who reaches it change the faults.
        tls: certificates; plain HTTP without.
        site: the console, if it is to be served.
    """

    def __init__(
        self,
        app: MockApp,
        faults: Faults,
        *,
        admin: bool = False,
        tls: ssl.SSLContext | None = None,
        site: Console | None = None,
    ) -> None:
        self._app = app
        self._site = site
        self._faults = faults
        self._admin = admin
        self._tls = tls
        self._conversations: set[asyncio.Task[None]] = set()
        self.connections: set[asyncio.StreamWriter] = set()  # whose clients are still there
        self.most_connections = 0
        self.accepted = 0

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until told to stop."""
        server = await asyncio.start_server(self._connected, sock=listening, ssl=self._tls, backlog=4096)
        try:
            await stop.wait()
        finally:
            # What was accepted a moment ago has begun no conversation yet, which asyncio would leave open once the
            # server is closed; and what is aborted is not closed yet. Both take the loop a few turns.
            await _turns()
            server.close()
            await _turns()
            for task in tuple(self._conversations):
                task.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            await _turns()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback of start_server runs in a task
        self._conversations.add(task)
        self.connections.add(writer)
        self.accepted += 1
        self.most_connections = max(self.most_connections, len(self.connections))
        try:
            await self._converse(reader, writer)
        except (_Cut, OSError, h11.RemoteProtocolError, asyncio.CancelledError):
            pass
        finally:
            self._conversations.discard(task)
            self.connections.discard(writer)
            writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while True:
            request = await _read_request(connection, reader)
            if request is None:
                return
            await self._answer(connection, reader, writer, request)
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                writer.close()
                await writer.wait_closed()
                return
            connection.start_next_cycle()

    async def _answer(
        self, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
    ) -> None:
        if self._admin and request.raw_path == ADMIN_PATH:
            writer.write(_encode(connection, self._administer(request)))
            return
        if self._site is not None and (page := self._site.answer(request)) is not None:
            writer.write(_encode(connection, page, head_only=request.method == "HEAD"))
            return
        started = time.perf_counter()
        fault = self._faults.take(request.method)
        if fault is None:
            answer = self._app.handle(request)
            self._app.note(request, answer, time.perf_counter() - started)
            writer.write(_encode(connection, answer, head_only=request.method == "HEAD"))
            return
        await self._befall(fault, connection, reader, writer, request)

    async def _befall(
        self,
        fault: Fault,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        request: Request,
    ) -> None:
        started = time.perf_counter()
        if fault.kind == "latency":
            await self._pause(fault.seconds, reader, writer)
        answer = self._app.handle(request) if fault.takes_effect else None
        if fault.status is not None:
            answer = refusal(self._app, fault)
        shown = None if fault.cuts else answer
        self._app.note(request, shown, time.perf_counter() - started, str(fault), fault.takes_effect)
        match fault.kind:
            case "lose-answer":
                writer.close()
                raise _Cut
            case "reset-before" | "reset-after":
                _reset(writer)
                raise _Cut
            case "truncate" | "stall":
                await _half(connection, writer, _present(answer))
                await self._pause(fault.seconds, reader, writer)
                writer.close()
                raise _Cut
            case _:
                writer.write(_encode(connection, _present(answer), head_only=request.method == "HEAD"))

    async def _pause(self, seconds: float, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Wait. A client that leaves meanwhile is gone, but its request goes on, as on a real server."""
        ends = asyncio.get_running_loop().time() + seconds
        try:
            async with asyncio.timeout(seconds):
                await reader.read(1)
        except (TimeoutError, OSError):
            pass
        else:
            self.connections.discard(writer)
        await asyncio.sleep(max(0.0, ends - asyncio.get_running_loop().time()))

    def _administer(self, request: Request) -> Answer:
        """GET lists, POST `{"faults": ["lose-answer:POST"]}` adds for the next requests, DELETE ends all."""
        status, error = 200, None
        match request.method:
            case "GET":
                pass
            case "DELETE":
                self._faults.clear()
            case "POST":
                try:
                    self._faults.queue(*(Fault.parse(each) for each in json.loads(request.body or b"")["faults"]))
                except (ValueError, KeyError, TypeError, AttributeError) as problem:
                    status, error = 400, f'send {{"faults": ["KIND", …]}}: {problem}'
            case _:
                status, error = 405, "GET, POST or DELETE"
        body = json.dumps({"faults": self._faults.pending()} | ({"error": error} if error else {})).encode()
        return Answer(status, {"Content-Type": "application/json", "Content-Length": str(len(body))}, body)


async def _turns(number: int = 5) -> None:
    """Let the event loop do what is waiting."""
    for _ in range(number):
        await asyncio.sleep(0)


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """The next request, or None when the client is done."""
    head: h11.Request | None = None
    body = bytearray()
    size = 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            size += len(event.data)
            if size <= MAX_BODY_BYTES:
                body += event.data
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
            whole = bytes(body) if size <= MAX_BODY_BYTES else None
            return Request(head.method.decode(), head.target.partition(b"?")[0], headers, whole)
        else:
            return None


def _encode(connection: h11.Connection, answer: Answer, *, head_only: bool = False) -> bytes:
    reason = HTTPStatus(answer.status).phrase if answer.status in HTTPStatus._value2member_map_ else "Unknown"
    events: list[h11.Event] = [
        h11.Response(status_code=answer.status, headers=list(answer.headers.items()), reason=reason)
    ]
    if answer.body and not head_only:
        events.append(h11.Data(data=answer.body))
    return b"".join(connection.send(event) or b"" for event in [*events, h11.EndOfMessage()])


async def _half(connection: h11.Connection, writer: asyncio.StreamWriter, answer: Answer) -> None:
    """Send half of an answer, and keep the rest for ever."""
    whole = _encode(connection, answer)
    head = whole.index(b"\r\n\r\n") + 4
    cut = head + (len(whole) - head) // 2 if answer.body else head // 2
    writer.write(whole[:cut])
    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Send a reset in place of an orderly end: what a lingering time of zero does."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


_T = TypeVar("_T")


def _present(value: _T | None) -> _T:
    if value is None:
        raise RuntimeError("the fault has no answer to send")
    return value
