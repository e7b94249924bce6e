"""Serves the mock on a real socket, in a separate thread."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from .admin import Admin, is_loopback
from .app import MockApp
from .console import Console
from .contract import Contract, load_contract
from .fast import FastServer
from .faults import WAIT_SECONDS, Faults
from .messages import REQUEST_SECONDS
from .store import SqlitePersistence, Store
from .streams import Tls
from .wire import IDLE_SECONDS, WireServer


class MockServer:
    """Serves the mock on a socket of this machine until the `with` block ends.

    The class uses `WireServer` if `faults`, `admin` or `console` is given, otherwise Granian.

    Args:
        ledgers: the token of each ledger, by ledger number.
        host: the address to bind.
        port: the port to bind. 0 means a free port; after the start, the attribute `port` is its number.
        db: a file that keeps the state over restarts; None means that the state is only in memory.
        contract: the contract; by default the contract in this package.
        faults: the faults at the start.
        admin: whether `/mock/faults` shows and changes the faults, for every client that can reach the mock and sends
            the header `X-Payex-Console: 1` (a POST also `Content-Type: application/json`).
        tls: the certificates; None means plain HTTP.
        console: whether `/` shows the mock's state, with buttons for faults, to browsers on this machine.
        request_seconds: the longest time for a client to send one request, and for its TLS handshake. Granian has no
            limit for the handshake.
        idle_seconds: the longest time that a connection may be idle between two requests. Granian ends an idle
            connection after `request_seconds`.

    Raises:
        OSError: the port is taken, the database cannot be used, or a certificate cannot be read.
    """

    def __init__(
        self,
        ledgers: Mapping[str, str],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        db: str | Path | None = None,
        contract: Contract | None = None,
        faults: Faults | None = None,
        admin: bool = False,
        tls: Tls | None = None,
        console: bool = False,
        request_seconds: float = REQUEST_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        contract = contract or load_contract()
        self._persistence = SqlitePersistence(db) if db is not None else None
        store = Store(contract, self._persistence)
        self.app = MockApp(ledgers, store=store, contract=contract, request_seconds=request_seconds)
        self.host = host
        self.port = port
        self._faults = faults if faults is not None else Faults()
        self.has_console = console
        self._scheme = "http" if tls is None else "https"
        self._wire: WireServer | None = None
        if faults is not None or admin or console:
            self._wire = WireServer(self.app, self._faults, tls, request_seconds, idle_seconds)
        if self._wire is not None and admin:
            self._wire.pages.append(Admin(self._faults).answer)
        if self._wire is not None and console:
            self._wire.pages.append(Console(self.app, self._faults).answer)
        self._server = self._wire or FastServer(self.app, tls, request_seconds)
        self._is_running = False

    @property
    def url(self) -> str:
        """The origin of the mock, with scheme and port."""
        return self._origin(self.host)

    @property
    def console_url(self) -> str | None:
        """The URL of the console for a browser on this machine; None if there is no such URL.

        There is none if the console is off. There is also none if the mock is bound neither to a loopback address nor
        to all addresses, because the console responds only at a loopback address.
        """
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        is_here = host == "localhost" or is_loopback(host)
        return f"{self._origin(host)}/" if self.has_console and is_here else None

    @property
    def store(self) -> Store:
        """The state of the mock."""
        return self.app.store

    @property
    def faults(self) -> Faults:
        """The active faults. You may change them while the mock is serving.

        Raises:
            RuntimeError: the mock was created without `faults`, `admin` and `console`, so it cannot have faults.
        """
        if self._wire is None:
            raise RuntimeError("this mock cannot have faults: create it with MockServer(..., faults=Faults())")
        return self._faults

    def start(self) -> None:
        """Bind the port, and return when the mock accepts connections.

        Raises:
            OSError: the mock cannot start.
        """
        try:
            self.port = self._server.start(self.host, self.port)
        except OSError:
            self.stop()
            raise
        self._is_running = True

    def stop(self) -> None:
        """Stop serving, carry out the pending late writes, and close the database.

        Does nothing when the mock is not running.
        """
        if self._is_running:
            self._is_running = False
            self._server.stop()
        if self._persistence is not None:
            self._persistence.close()
            self._persistence = None

    def wait_for_late_writes(self, timeout: float = WAIT_SECONDS) -> None:
        """Wait until every write that the fault `late-commit` delayed has taken effect.

        Args:
            timeout: the longest wait in seconds.

        Raises:
            TimeoutError: some writes have not taken effect after `timeout` seconds.
        """
        self._faults.wait_for_late_writes(timeout)

    def _origin(self, host: str) -> str:
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard limit. The usual 1024 is too low for a load test.

    Windows has no such limit.
    """
    try:
        import resource  # noqa: PLC0415 - Windows has no such module
    except ModuleNotFoundError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
