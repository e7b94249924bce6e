"""Streams for httpcore2 that keep the deadline of an attempt, and that say what has arrived without being asked for.

httpcore2 limits each read by itself, so a server that drips a byte at a time is never late: here every read gets what
is left until the deadline. And a connection may be used again only if nothing has arrived after the last response.
With anyio, httpcore2's own asyncio backend, bytes can wait in four buffers that cannot be asked; `Wire` has one buffer.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import time
from contextlib import nullcontext
from typing import Any, cast

import attrs
import httpcore2

from ._interface import MAX_RESPONSE_BYTES

# Reading stops at this many bytes until somebody takes them.
_HIGH_WATER = 256 * 1024
_PIECE = 64 * 1024
# A response that needs more bytes than this for a body within the limit consists of little but framing.
_MOST = 2 * MAX_RESPONSE_BYTES


class TooMuch(OSError):
    """A response is longer than it can be for its body."""


@attrs.define(eq=False)
class Progress:
    """How far the attempt on one connection has come.

    Attributes:
        deadline: when the attempt must end, on the monotonic clock.
        tls_layers: TLS layers that the connection has before a request is sent: 0, 1, or 2 through a proxy over TLS.
        received: the bytes that have arrived in this attempt, framing included.
        stream: what the connection is read from, once it is open.
        written: whether a byte of the request was given to the system. What a proxy is sent to connect does not count.
    """

    tls_layers: int
    deadline: float = 0.0
    received: int = 0
    stream: Stream | AsyncStream | None = None
    written: bool = False

    def begin(self, deadline: float) -> None:
        """An attempt starts."""
        self.deadline, self.received, self.written = deadline, 0, False

    def count(self, data: bytes) -> bytes:
        """The same bytes, counted.

        Raises:
            TooMuch: more has arrived in this attempt than any response needs.
        """
        self.received += len(data)
        if self.received > _MOST:
            raise TooMuch
        return data

    def left(self) -> float:
        """Seconds until the deadline.

        Raises:
            TimeoutError: it has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


AsyncTimeLimit = asyncio.timeout
TimeLimit = nullcontext  # the streams for threads keep the deadline themselves


class Network(httpcore2.NetworkBackend):
    """Opens the connection of one `Progress`, for threads."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.NetworkStream:
        """Connect to the first address that accepts; `socket.create_connection` would give each the whole time."""
        error: Exception = OSError(f"{host} has no address")
        for *_kind, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            try:
                stream = httpcore2.SyncBackend().connect_tcp(cast("str", address[0]), port, self._progress.left())
            except httpcore2.ConnectError as failure:
                error = failure
            else:
                return Stream(stream, self._progress, layers=0)
        raise error


class Stream(httpcore2.NetworkStream):
    """A stream of httpcore2 with the deadline of the attempt."""

    has_unread = False  # what has arrived stays in the system until it is read

    def __init__(self, stream: httpcore2.NetworkStream, progress: Progress, *, layers: int) -> None:
        self._stream = stream
        self._progress = progress
        self._layers = layers
        progress.stream = self

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read what has arrived, or wait for it until the deadline."""
        return self._progress.count(self._stream.read(max_bytes, self._progress.left()))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write the buffer, until the deadline.

        httpcore2 applies a time limit to each `send` of the socket, so each piece gets the time that is left.
        """
        for begin in range(0, len(buffer), _PIECE):
            left = self._progress.left()
            if self._layers == self._progress.tls_layers:
                self._progress.written = True
            self._stream.write(buffer[begin : begin + _PIECE], left)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Shake hands; OpenSSL keeps the time limit over the whole handshake."""
        secured = self._stream.start_tls(ssl_context, server_hostname, self._progress.left())
        return Stream(secured, self._progress, layers=self._layers + 1)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks; `is_readable` is whether anything, the end included, has arrived."""
        if info != "is_readable":
            return self._stream.get_extra_info(info)
        secured = self._stream.get_extra_info("ssl_object")
        return (secured is not None and secured.pending() > 0) or self._stream.get_extra_info("is_readable")


class AsyncNetwork(httpcore2.AsyncNetworkBackend):
    """Opens the connection of one `Progress`, on an event loop."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    async def connect_tcp(self, host: str, port: int, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        """Connect."""
        wire = Wire()
        await asyncio.get_running_loop().create_connection(lambda: wire, host, port)
        return AsyncStream(wire, self._progress, layers=0)


def _is_readable(waiting: Any) -> bool:
    """Whether something, the end included, waits in the system for this socket. True if that cannot be told."""
    try:
        if not hasattr(select, "poll"):  # Windows, where select has no limit on the number of the socket
            return bool(select.select([waiting.fileno()], [], [], 0)[0])
        poll = select.poll()
        poll.register(waiting.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return True


class Wire(asyncio.Protocol):
    """Keeps what has arrived until it is read. asyncio gives it the plain bytes, also over TLS."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport  # asyncio sets it before it calls any other method
        self.arrived = bytearray()
        self.ended = False
        self.error: Exception | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._paused = False
        # Bytes may wait in a buffer of asyncio that cannot be asked: after a pause the connection is not used again.
        self.was_paused = False
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, once."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio, also when nobody reads: then it belongs to no request."""
        self.arrived += data
        if len(self.arrived) > _HIGH_WATER and not self._paused:
            self._paused = self.was_paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        """Called by asyncio; the transport closes itself."""
        self.ended = True
        self._wake()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio, once."""
        self.ended, self.error = True, exc
        self._writable.set()
        self._wake()

    def pause_writing(self) -> None:
        """Called by asyncio when too much waits to be sent."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio when it has been sent."""
        self._writable.set()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def read(self, most: int) -> bytes:
        """What has arrived, or will; empty at the end."""
        while not self.arrived and not self.ended:
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if not self.arrived and self.error is not None:
            raise httpcore2.ReadError from self.error
        data = bytes(self.arrived[:most])
        del self.arrived[:most]
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
        return data

    async def write(self, data: bytes) -> None:
        """Give it to the system, and wait while it has too much already."""
        if self.transport.is_closing():
            raise httpcore2.WriteError
        self.transport.write(data)
        if not self._writable.is_set():
            await self._writable.wait()

    def close(self) -> None:
        """Close the connection at once."""
        self.transport.abort()


class AsyncStream(httpcore2.AsyncNetworkStream):
    """A `Wire` as httpcore2 uses it. The deadline is kept by who sends: one timer for the whole attempt."""

    def __init__(self, wire: Wire, progress: Progress, *, layers: int) -> None:
        self._wire = wire
        self._progress = progress
        self._layers = layers
        progress.stream = self

    @property
    def has_unread(self) -> bool:
        """Whether bytes have arrived that nobody has read."""
        return bool(self._wire.arrived)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore2's
        """Read what has arrived, or wait for it."""
        return self._progress.count(await self._wire.read(max_bytes))

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore2's
        """Write all."""
        if self._layers == self._progress.tls_layers:
            self._progress.written = True
        await self._wire.write(buffer)

    async def aclose(self) -> None:
        """Close the connection."""
        self._wire.close()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore2's
    ) -> httpcore2.AsyncNetworkStream:
        """Shake hands."""
        plain = self._wire.transport
        # A proxy must send nothing between its response to CONNECT and the handshake.
        if self._wire.ended or self._wire.arrived:
            raise httpcore2.ConnectError
        try:
            secured = await asyncio.get_running_loop().start_tls(
                plain, self._wire, ssl_context, server_hostname=server_hostname,
                ssl_handshake_timeout=self._progress.left() + 1,  # never before the deadline
            )  # fmt: skip
        except BaseException:
            plain.abort()
            raise
        if secured is None:
            raise httpcore2.ConnectError
        self._wire.transport = secured
        return AsyncStream(self._wire, self._progress, layers=self._layers + 1)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks; `is_readable` is whether anything, the end included, has arrived."""
        wire = self._wire
        if info != "is_readable":
            return wire.transport.get_extra_info(info)
        # The event loop may not have had a turn since the last response: what waits in the system counts, too.
        return bool(wire.arrived) or wire.ended or wire.was_paused or _is_readable(self.get_extra_info("socket"))
