"""Serves the mock with Granian, the fastest server. It cannot simulate faults."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server as Granian

from .app import MockApp
from .streams import Tls, listen

START_SECONDS, STOP_SECONDS = 10.0, 2.0


class FastServer:
    """Serves one application with Granian.

    Args:
        app: the mock.
        tls: the certificates; None means plain HTTP.
        request_seconds: the longest time for the head of a request, and between two requests of a connection.
            Granian has no limit for a TLS handshake.
    """

    def __init__(self, app: MockApp, tls: Tls | None, request_seconds: float) -> None:
        self._app = app
        self._tls = tls
        self._request_seconds = request_seconds
        self._failure: BaseException | None = None
        self._native: set[str] = set()  # the threads of Granian

    def start(self, host: str, port: int) -> int:
        """Serve in a separate thread. Return the port.

        Granian binds with SO_REUSEPORT, so it would silently share a port with another server. The first socket here
        has no such option, so it fails if another server uses the port. The second socket holds the port until Granian
        listens on it.

        Raises:
            OSError: the port is taken, or Granian cannot start.
        """
        with listen(host, port) as probe:
            port = probe.getsockname()[1]
        with socket.socket(probe.family) as held:
            if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where Granian could not bind a port that is held
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                held.bind((host, port))
            self._thread = threading.Thread(target=self._run, args=(host, port), name=f"mock-{port}", daemon=True)
            self._thread.start()
            self._wait_until_accepting(host, port)
        return port

    def stop(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        # A thread of Granian that outlives the interpreter panics and writes to standard error.
        deadline = time.monotonic() + STOP_SECONDS
        while self._native & _native_threads() and time.monotonic() < deadline:
            time.sleep(0.001)

    def _run(self, host: str, port: int) -> None:
        try:
            asyncio.run(self._serve(host, port))
        except BaseException as error:  # noqa: BLE001 - `start` reports it
            self._failure = error

    async def _serve(self, host: str, port: int) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        before = _native_threads()
        granian = Granian(
            self._app,
            address=host,
            port=port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=max(1, round(self._request_seconds * 1000))),
            websockets=False,
            backlog=4096,
            backpressure=4096,
            log_enabled=False,
            ssl_protocol_min=SSLProtocols.tls12,
            ssl_cert=Path(self._tls.certificate) if self._tls else None,
            ssl_key=Path(self._tls.key) if self._tls else None,
            ssl_ca=Path(self._tls.client_ca) if self._tls and self._tls.client_ca else None,
            ssl_client_verify=bool(self._tls and self._tls.client_ca),
        )
        serving = asyncio.ensure_future(granian.serve())
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        self._native = _native_threads() - before
        granian.stop()  # type: ignore[no-untyped-call]
        await serving

    def _wait_until_accepting(self, host: str, port: int) -> None:
        """Wait until Granian accepts connections. Granian does not report this, so the method tries to connect."""
        deadline = time.monotonic() + START_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            try:
                socket.create_connection((host, port), timeout=1).close()
            except OSError:
                time.sleep(0.005)
            else:
                return
        raise OSError(f"the mock does not answer on {host} port {port}") from self._failure


def _native_threads() -> set[str]:
    """Return the ids of all threads of this process, Granian's included; empty on a system without `/proc`."""
    try:
        return {path.name for path in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()
