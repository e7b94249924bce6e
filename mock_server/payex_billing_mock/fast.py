"""Serves the mock with Granian, the fastest server. It cannot simulate faults."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server as Granian

from .app import MockApp
from .messages import REQUEST_SECONDS
from .tls import Tls

STOP_SECONDS = 2.0


class FastServer:
    """Serves one application with Granian.

    Args:
        app: the mock.
        host: the address to bind.
        port: the port to bind.
        tls: the certificates; None means plain HTTP.
        request_seconds: the longest time for the head of a request, and between two requests of a connection.
            Granian has no limit for a TLS handshake.
    """

    def __init__(
        self, app: MockApp, host: str, port: int, tls: Tls | None, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        self._before = _native_threads()
        self._granian = Granian(
            app,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=max(1, round(request_seconds * 1000))),
            websockets=False,
            backlog=4096,
            backpressure=4096,
            log_enabled=False,
            ssl_protocol_min=SSLProtocols.tls12,
            ssl_cert=Path(tls.certificate) if tls else None,
            ssl_key=Path(tls.key) if tls else None,
            ssl_ca=Path(tls.client_ca) if tls and tls.client_ca else None,
            ssl_client_verify=bool(tls and tls.client_ca),
        )

    async def serve(self, stop: asyncio.Event) -> None:
        """Serve until the event `stop` is set."""
        serving = asyncio.ensure_future(self._granian.serve())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        own = _native_threads() - self._before
        self._granian.stop()  # type: ignore[no-untyped-call]
        await serving
        _wait_for_end(own)


def reserve(host: str, port: int) -> socket.socket:
    """Reserve a port until the server listens on it. Return the socket that holds the port.

    Granian binds with SO_REUSEPORT, so Granian can bind a port that the returned socket holds. But Granian would also
    silently share a port with another server. So this function first binds a socket without SO_REUSEPORT, which fails
    if another server uses the port.

    Raises:
        OSError: the port is taken, or cannot be bound.
    """
    with listen(host, port) as probe:
        port = probe.getsockname()[1]
    held = socket.socket(probe.family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a port.

    Raises:
        OSError: the port is taken, or cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(4096)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(errno.EADDRINUSE, f"port {port} on {host} is already in use") from error
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listening


def _native_threads() -> set[str]:
    """Return the ids of all threads of this process, Granian's included; empty on a system without `/proc`."""
    try:
        return {path.name for path in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()


def _wait_for_end(threads: set[str]) -> None:
    """Wait until Granian's threads have ended, for at most `STOP_SECONDS`.

    A thread that outlives the interpreter panics and writes to standard error.
    """
    deadline = time.monotonic() + STOP_SECONDS
    while threads & _native_threads() and time.monotonic() < deadline:
        time.sleep(0.001)
