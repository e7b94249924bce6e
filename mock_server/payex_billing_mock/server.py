"""Serves the mock on a real socket, with Granian."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server as GranianServer

from .app import MockApp
from .contract import Contract
from .sqlite import SqlitePersistence
from .store import Store

START_SECONDS = 10.0
STOP_SECONDS = 2.0


class MockServer:
    """The mock on a socket of this machine, for as long as the `with` block lasts.

    Args:
        ledgers: the token of each ledger, by ledger number.
        host: the address to bind.
        port: the port to bind; 0 takes a free one, which `port` then names.
        db: a file that keeps the state over restarts; without it the state is in memory.
        contract: the contract; this package's own if not given.

    Raises:
        OSError: the port is taken or the database cannot be used.
    """

    def __init__(
        self,
        ledgers: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        db: str | Path | None = None,
        contract: Contract | None = None,
    ) -> None:
        self._persistence = SqlitePersistence(db) if db is not None else None
        self.app = MockApp(ledgers, store=Store(self._persistence), contract=contract)
        self.host = host
        self.port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._granian: GranianServer | None = None
        self._failure: BaseException | None = None
        self._native_threads: set[str] = set()

    @property
    def url(self) -> str:
        """The origin, such as `http://127.0.0.1:8080`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def store(self) -> Store:
        """The state."""
        return self.app.store

    def start(self) -> None:
        """Bind, and return when connections are accepted."""
        with _reserve(self.host, self.port) as reserved:
            self.port = reserved.getsockname()[1]
            before = _native_threads()
            self._thread = threading.Thread(target=self._run, name=f"mock-{self.port}", daemon=True)
            self._thread.start()
            self._wait_until_accepting()
            self._native_threads = _native_threads() - before

    def stop(self) -> None:
        """Stop serving, and close the database. Does nothing when it is not running."""
        thread, self._thread = self._thread, None
        if thread is not None:
            if self._loop is not None and self._granian is not None and thread.is_alive():
                self._loop.call_soon_threadsafe(self._granian.stop)
            thread.join(START_SECONDS)
            _wait_for_end(self._native_threads)
        if self._persistence is not None:
            self._persistence.close()
            self._persistence = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - `start` reports it
            self._failure = error

    async def _serve(self) -> None:
        self._granian = GranianServer(
            self.app,
            address=self.host,
            port=self.port,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=4096,
            backpressure=4096,
            log_enabled=False,
        )
        self._loop = asyncio.get_running_loop()
        await self._granian.serve()

    def _wait_until_accepting(self) -> None:
        # Granian has no event for it, so a connection is tried.
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                socket.create_connection((self.host, self.port), timeout=1).close()
            except OSError as error:
                if self._failure is not None:
                    raise OSError(f"the mock did not start: {self._failure}") from self._failure
                if time.monotonic() > deadline:
                    raise OSError(f"the mock does not answer on {self.url}: {error}") from error
                time.sleep(0.005)
            else:
                return


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: a shell's usual 1024 is too few for a load test."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _native_threads() -> set[str]:
    """The threads of this process, Granian's own among them; none where the system does not tell."""
    try:
        return {path.name for path in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()


def _wait_for_end(threads: set[str]) -> None:
    """Let Granian's threads end: one that outlives the interpreter panics, and says so on standard error."""
    deadline = time.monotonic() + STOP_SECONDS
    while threads & _native_threads() and time.monotonic() < deadline:
        time.sleep(0.001)


def _reserve(host: str, port: int) -> socket.socket:
    """Hold a port until the server listens on it.

    Granian binds with SO_REUSEPORT, so it would silently share a port that another server has, and can share one that
    is only held here. A socket without the option finds out first whether the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise OSError(errno.EADDRINUSE, f"port {port} on {host} is already in use") from error
            raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
        port = probe.getsockname()[1]
    held = socket.socket(family)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((host, port))
    return held
