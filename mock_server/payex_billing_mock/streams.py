"""TCP for the mock: listens on a port, and makes a stream of each connection that a fault can end in any way."""

from __future__ import annotations

import errno
import socket
import ssl
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from os import PathLike

READ_BYTES = 65_536
LINGER_SECONDS = 1.0
"""How long `finish` reads on after the mock has ended its side; a client usually closes within a round trip."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port.

    Raises:
        OSError: the port is taken, or cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    is_dual = host == "::" and socket.has_dualstack_ipv6()
    try:
        return socket.create_server((host, port), family=family, backlog=4096, dualstack_ipv6=is_dual)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"port {port} on {host} is already in use") from error
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the mock.

    Attributes:
        certificate: its certificate, with the chain.
        key: its private key.
        client_ca: the authority that must have issued the client's certificate, as PayEx demands one. A client
            without such a certificate gets a TLS alert. Without `client_ca`, clients need no certificate.
    """

    certificate: str | PathLike[str]
    key: str | PathLike[str]
    client_ca: str | PathLike[str] | None = None

    def context(self) -> ssl.SSLContext:
        """The files as settings for Python's own TLS: version 1.2 or later.

        Raises:
            OSError: a file cannot be read or is not a certificate (`ssl.SSLError` is an OSError).
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION  # a client could make the server work without end
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Stream:
    """A connection to a client. One thread uses it; any thread may call `hang_up`.

    Args:
        connected: the socket.
        context: the certificates; None means no TLS.
        send_seconds: the longest time for the client to receive what the mock sends.
    """

    def __init__(self, connected: socket.socket, context: ssl.SSLContext | None, send_seconds: float) -> None:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the fault `drip` sends single bytes
        if context is not None:
            connected = context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        self._socket = connected
        self._send_seconds = send_seconds
        self._kept = bytearray()

    def open(self, deadline: float) -> None:
        """Make the stream ready. TLS does its handshake here.

        Raises:
            OSError: the client left, or TLS failed (`ssl.SSLError`); the client has its alert by then.
        """
        if isinstance(self._socket, ssl.SSLSocket):
            self._wait_until(deadline)
            self._socket.do_handshake()

    def read(self, deadline: float) -> bytes:
        """Return the next bytes from the client; empty when the client has ended its side.

        Raises:
            TimeoutError: nothing has arrived until the deadline, a time of `time.monotonic`.
            OSError: the connection broke.
        """
        if self._kept:
            data = bytes(self._kept)
            self._kept.clear()
            return data
        self._wait_until(deadline)
        return self._socket.recv(READ_BYTES)

    def write(self, data: bytes) -> None:
        """Send bytes to the client.

        Raises:
            OSError: the connection broke, or the client does not receive the bytes.
        """
        self._socket.settimeout(self._send_seconds)
        self._socket.sendall(data)

    def wait_for_client_to_leave(self, deadline: float, stopping: threading.Event) -> bool:
        """Wait until the client leaves, or until the deadline. Return whether the client has left.

        The stream keeps what the client sends meanwhile for `read`.
        """
        while time.monotonic() < deadline:
            if len(self._kept) >= READ_BYTES:  # TCP's own flow control holds the rest back
                return stopping.wait(deadline - time.monotonic())
            try:
                self._wait_until(deadline)
                data = self._socket.recv(READ_BYTES)
            except TimeoutError:
                return False
            except OSError:
                return True
            if not data:
                return True
            self._kept += data
        return False

    def finish(self) -> None:
        """End the connection in an orderly way, so that the client surely gets what was sent before.

        Closing a socket that has unread data sends a reset, and a reset makes the client's system discard data that
        the client has not read yet (RFC 1122, 4.2.2.13). So the mock ends its own side first, and reads on for a
        moment.
        """
        with suppress(OSError):
            if isinstance(self._socket, ssl.SSLSocket):
                # `unwrap` sends close_notify, and then asks for the client's, for which nobody needs to wait (RFC 8446,
                # 6.1).
                self._socket.settimeout(0)
                with suppress(OSError):
                    self._socket.unwrap()
            # The methods of `SSLSocket` do not work after a failed handshake, those of its base class do.
            socket.socket.shutdown(self._socket, socket.SHUT_WR)
            deadline = time.monotonic() + LINGER_SECONDS
            while time.monotonic() < deadline:
                self._wait_until(deadline)
                if not socket.socket.recv(self._socket, READ_BYTES):
                    break
        self.close()

    def reset(self) -> None:
        """Send a reset in place of an orderly end: the effect of a lingering time of zero."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def hang_up(self) -> None:
        """Let the thread that waits for the client continue, as if the client had left."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection at once."""
        self._socket.close()

    def _wait_until(self, deadline: float) -> None:
        """Let the next operation of the socket end at the deadline."""
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))  # 0 would mean: do not wait at all
