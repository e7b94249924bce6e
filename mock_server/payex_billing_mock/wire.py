"""Serves the mock over asyncio, with full control of the connection: a fault can cut, stall or reset a connection.

Granian is faster, but no ASGI server lets an application control the connection. So the mock uses this server when
requests may meet faults.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TypeVar

import h11

from .admin import Admin
from .app import MockApp
from .console import Console
from .faults import Fault, Faults
from .http1 import RequestReader, encode, encode_unasked, half, length_of_head, refuse_bytes
from .messages import REQUEST_SECONDS, Request
from .misfortune import carry_out, stale_response
from .streams import Stream, TlsStream

IDLE_SECONDS = 300.0


class _Cut(Exception):
    """The connection ends immediately. Bytes that the mock has written but not sent yet are lost."""


class WireServer:
    """Serves one application with faults.

    Args:
        app: the mock.
        faults: the faults that requests meet.
        admin: whether `/mock/faults` shows and changes the faults; see `Admin`.
        tls: the certificates; None means plain HTTP.
        site: the console; None means that the mock serves no console.
        request_seconds: the longest time for a TLS handshake, and for one request from its first byte to its last
            (for the first request: from the start of the connection). Then the mock ends the connection.
        idle_seconds: the longest time between two requests of one connection, and for a client to receive a response.
            The default is much longer than common clients keep idle connections, so the mock rarely ends one first.
    """

    def __init__(
        self,
        app: MockApp,
        faults: Faults,
        *,
        admin: bool = False,
        tls: ssl.SSLContext | None = None,
        site: Console | None = None,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._app = app
        self._site = site
        self._faults = faults
        self._admin = Admin(faults) if admin else None
        self._tls = tls
        self._request_seconds = request_seconds
        self._idle_seconds = idle_seconds
        self._conversations: set[asyncio.Task[None]] = set()
        self.connections: set[Stream] = set()  # only those whose client has not left
        self.most_connections = 0
        self.accepted = 0

    async def serve(self, listening: socket.socket, stop: asyncio.Event) -> None:
        """Serve until the event `stop` is set. Then carry out all pending late writes immediately."""
        server = await asyncio.start_server(self._connected, sock=listening, backlog=4096)
        try:
            await stop.wait()
        finally:
            # asyncio calls `_connected` only some turns of the event loop after it accepts a connection. If the server
            # closed before that call, the connection would stay open. So wait some turns first. The later waits give
            # aborted connections the turns that asyncio needs to close them.
            await _turns()
            server.close()
            await _turns()
            for task in tuple(self._conversations):
                task.cancel()
            await asyncio.gather(*self._conversations, return_exceptions=True)
            self._faults.late_writes.carry_out_all()
            await _turns()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a callback of start_server runs in a task
        stream = Stream(reader, writer) if self._tls is None else TlsStream(reader, writer, self._tls)
        self._conversations.add(task)
        self.connections.add(stream)
        self.accepted += 1
        self.most_connections = max(self.most_connections, len(self.connections))
        try:
            async with asyncio.timeout(self._request_seconds):
                await stream.open()
            await self._converse(stream)
        except (_Cut, OSError, h11.ProtocolError, asyncio.CancelledError):
            pass
        finally:
            self._conversations.discard(task)
            self.connections.discard(stream)
            stream.abort()

    async def _converse(self, stream: Stream) -> None:
        connection = h11.Connection(h11.SERVER)
        reader = RequestReader(connection, stream, self._request_seconds, self._idle_seconds)
        while True:
            try:
                request = await reader.read()
            except h11.RemoteProtocolError as error:
                refuse_bytes(connection, stream, error.error_status_hint, "The mock cannot read this request.")
                request = None
            except TimeoutError:
                if reader.has_begun:
                    text = f"The request was not complete after {self._request_seconds:g} seconds."
                    refuse_bytes(connection, stream, 408, text)
                request = None
            if request is not None:
                await self._answer(connection, stream, request)
                if stream.needs_flush:
                    async with asyncio.timeout(self._idle_seconds):
                        await stream.flush()
            if request is None or connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                async with asyncio.timeout(self._idle_seconds):
                    await stream.finish()
                return
            connection.start_next_cycle()

    async def _answer(self, connection: h11.Connection, stream: Stream, request: Request) -> None:
        for pages in (self._admin, self._site):
            if pages is not None and (page := pages.answer(request)) is not None:
                stream.write(encode(connection, page, request))
                return
        fault = self._faults.take(request.method)
        if fault is None:
            stream.write(encode(connection, self._app.handle_and_note(request), request))
            return
        await self._answer_with_fault(fault, connection, stream, request)

    async def _answer_with_fault(
        self, fault: Fault, connection: h11.Connection, stream: Stream, request: Request
    ) -> None:
        if fault.kind == "latency":
            await self._pause(fault.seconds, stream)
        answer = carry_out(self._app, self._faults, fault, request, is_lost=fault.cuts)
        if fault.is_late:
            asyncio.get_running_loop().call_later(fault.seconds, self._faults.late_writes.carry_out_due)
        match fault.ending or fault.kind:
            case "lose-answer" | "close":
                connection.send_failed()
            case "reset-before" | "reset-after" | "reset":
                stream.reset()
                raise _Cut
            case "truncate" | "stall":
                stream.write(half(encode(connection, _present(answer), request)))
                await _wait_for_client_to_leave(stream, fault.seconds)
                connection.send_failed()
            case "drip":
                await _drip(stream, encode(connection, _present(answer), request), fault.seconds)
            case "stale-response":
                true_response = encode(connection, _present(answer), request)
                stream.write(true_response + encode_unasked(stale_response(self._app, fault, request)))
            case _:
                stream.write(encode(connection, _present(answer), request))

    async def _pause(self, seconds: float, stream: Stream) -> None:
        """Wait for the full time, even if the client leaves. A real server also completes such a request."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        if await _wait_for_client_to_leave(stream, seconds):
            self.connections.discard(stream)
        await asyncio.sleep(max(0.0, ends - loop.time()))


async def _turns(number: int = 5) -> None:
    """Let the event loop run some turns, so that waiting callbacks run."""
    for _ in range(number):
        await asyncio.sleep(0)


async def _wait_for_client_to_leave(stream: Stream, seconds: float) -> bool:
    """Wait until the client leaves, or until the time is over. Return whether the client has left."""
    async with stream.watching() as left:
        await asyncio.wait({left}, timeout=seconds)
        return left.done()


async def _drip(stream: Stream, response: bytes, seconds: float) -> None:
    """Send the head one byte at a time, spread over `seconds`, and then the body. Stop if the client leaves."""
    head = length_of_head(response)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with stream.watching() as left:
        for sent in range(1, head + 1):
            stream.write(response[sent - 1 : sent])
            await stream.flush()
            await asyncio.wait({left}, timeout=max(0.0, started + seconds * sent / head - loop.time()))
            if left.done():
                raise _Cut
    stream.write(response[head:])


_T = TypeVar("_T")


def _present(value: _T | None) -> _T:
    if value is None:
        raise RuntimeError("the fault has no response to send")
    return value
