"""One connection of the mock as a stream of bytes, with or without TLS, that a fault can end in any way.

TLS is done here with `ssl.MemoryBIO`. asyncio's own TLS drops what a failed handshake wants to send, so a client
without a certificate would see a closed connection in place of the alert that says why (checked with CPython 3.11).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

READ_BYTES = 65_536
LINGER_SECONDS = 1.0
"""How long `finish` reads on after the mock has ended its side; a client usually closes within a round trip."""


class Stream:
    """A TCP connection.

    Args:
        reader: what the client sends.
        writer: what the mock sends.

    Attributes:
        peer: the client's IP address.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._kept = bytearray()
        writer.transport.set_write_buffer_limits(high=0)  # so that `flush` waits for the last byte
        address = writer.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""

    async def open(self) -> None:
        """Make the stream ready. TLS does its handshake here.

        Raises:
            OSError: the client left, or TLS failed (`ssl.SSLError`); the client has its alert by then.
        """

    async def read(self) -> bytes:
        """The next bytes from the client; empty when the client has ended its side.

        Raises:
            OSError: the connection broke.
        """
        if self._kept:
            data = bytes(self._kept)
            self._kept.clear()
            return data
        return await self._receive()

    def write(self, data: bytes) -> None:
        """Send bytes to the client, as soon as it takes them."""
        self._writer.write(data)

    @property
    def needs_flush(self) -> bool:
        """Whether there are bytes that the system has not taken yet, or the connection is lost."""
        transport = self._writer.transport
        return transport.get_write_buffer_size() > 0 or transport.is_closing()

    async def flush(self) -> None:
        """Wait until the system has taken every byte.

        Raises:
            OSError: the connection is lost.
        """
        await self._writer.drain()

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[asyncio.Task[None]]:
        """A task that is done when the client has left. What the client sends meanwhile is kept for `read`."""
        task = asyncio.ensure_future(self._until_client_leaves())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def finish(self) -> None:
        """End the connection in an orderly way, so that the client surely gets what was sent before.

        Closing a socket that has unread data sends a reset, and a reset makes the client's system discard data that
        the client has not read yet (RFC 1122, 4.2.2.13). So the mock ends its own side first, and reads on for a
        moment.
        """
        with suppress(OSError):
            self._end_own_side()
            await self.flush()
            if self._writer.can_write_eof():
                self._writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await self._reader.read(READ_BYTES):
                    pass
        self._writer.close()

    def reset(self) -> None:
        """Send a reset in place of an orderly end: the effect of a lingering time of zero."""
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        """Close at once; bytes that the system has not taken are lost."""
        self._writer.transport.abort()

    async def _receive(self) -> bytes:
        return await self._reader.read(READ_BYTES)

    def _end_own_side(self) -> None:
        """Send what the protocol above TCP sends last."""

    async def _until_client_leaves(self) -> None:
        with suppress(OSError):
            while len(self._kept) < READ_BYTES:
                data = await self._receive()
                if not data:
                    return
                self._kept += data
            await asyncio.Event().wait()  # TCP's own flow control holds the rest back


class TlsStream(Stream):
    """A TLS connection, from the server's side.

    Args:
        reader: what the client sends.
        writer: what the mock sends.
        context: certificates and versions.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        super().__init__(reader, writer)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def open(self) -> None:
        """Do the handshake. When it fails, the client gets the alert that says why."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._fill()
            except ssl.SSLError:
                await self._fail()
                raise
            else:
                self._send_records()  # the session tickets of TLS 1.3
                return

    def write(self, data: bytes) -> None:
        """Encrypt bytes and send them."""
        if data:  # OpenSSL does not define what it does with none
            self._tls.write(data)
            self._send_records()

    async def _receive(self) -> bytes:
        while True:
            try:
                return self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                await self._fill()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):  # with close_notify, and without
                return b""
            except ssl.SSLError:
                await self._fail()
                raise

    async def _fill(self) -> None:
        """Exchange records: send those that wait, and take what the client sends."""
        self._send_records()
        await self.flush()
        data = await self._reader.read(READ_BYTES)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def _fail(self) -> None:
        """Send the alert of an error, and let the client read it."""
        self._send_records()
        await self.finish()

    def _end_own_side(self) -> None:
        # `unwrap` writes close_notify, and then asks for the client's, for which nobody needs to wait (RFC 8446, 6.1).
        with suppress(ssl.SSLError):
            self._tls.unwrap()
        self._send_records()

    def _send_records(self) -> None:
        if self._outgoing.pending:
            self._writer.write(self._outgoing.read())
