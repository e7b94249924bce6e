"""Helpers of the tests: the asynchronous client made to block, raw HTTP, and a server that says what it is told."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import yaml
from payex_billing import AsyncBilling, Billing

LEDGER, TOKEN = "1234", "token-of-1234"
OTHER_LEDGER, OTHER_TOKEN = "5678", "token-of-5678"
ROOT = Path(__file__).parent.parent
# `make nightly` sets it: more cases, every client, longer runs.
NIGHTLY = bool(os.environ.get("NIGHTLY"))
PREFIX = "/billing/customer/v1"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def from_yaml(text: str) -> Any:
    """The data of a YAML text. The loader of libyaml is ten times as fast as the usual one."""
    return yaml.load(text, _Loader)


def to_yaml(data: Any) -> str:
    """A YAML text of the data, in their order."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


class Blocking:
    """An asynchronous object whose methods block, so that one test can be the promise of both facades."""

    def __init__(self, target: Any, runner: asyncio.Runner) -> None:
        self._target = target
        self._runner = runner

    @classmethod
    @contextmanager
    def of(cls, make: Callable[[], Any]) -> Iterator[Any]:
        """The object that `make` returns on an event loop of its own."""

        async def enter() -> Any:
            return await make().__aenter__()

        with asyncio.Runner() as runner:
            target = runner.run(enter())
            try:
                yield cls(target, runner)
            finally:
                runner.run(target.__aexit__(None, None, None))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return self._blocking(value)
        return lambda *arguments, **options: self._blocking(value(*arguments, **options))

    def _blocking(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._runner.run(_awaited(value))
        if hasattr(value, "__aiter__"):
            return iter(self._runner.run(_collected(value)))
        if type(value).__name__.startswith("Async"):
            return Blocking(value, self._runner)
        return value


async def _awaited(value: Any) -> Any:
    return await value


async def _collected(values: Any) -> list[Any]:
    return [value async for value in values]


def open_client(facade: str, **options: Any) -> AbstractContextManager[Any]:
    """A client of the facade `sync` or `async`, open for a `with` block; both block."""
    return Billing(**options) if facade == "sync" else Blocking.of(lambda: AsyncBilling(**options))


@dataclass
class Raw:
    """An HTTP answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def wait_until_all_is_read(port: int) -> None:
    """Wait until the server on a port of 127.0.0.1 has handled the requests of all clients that have disconnected.

    When a client times out, the kernel still has its request, and a busy server reads the request much later. Until
    then the connection is in CLOSE_WAIT (state 8), or has bytes in its receive queue. Only Linux has the file that
    shows this; on other systems the function returns at once.
    """
    table, local = Path("/proc/net/tcp"), f"0100007F:{port:04X}"
    while table.exists():
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
        states = [(row[3], row[4].partition(":")[2]) for row in rows if row[1] == local and row[3] != "0A"]
        if not any(state == "08" or int(received, 16) for state, received in states):
            return
        time.sleep(0.005)  # Linux has no event for this


def send(
    url: str,
    method: str,
    path: str,
    body: Any = None,
    *,
    token: str | None = TOKEN,
    headers: dict[str, str] | None = None,
) -> Raw:
    """Send a request as it is, with nothing in between. `path` is under the API's prefix unless it is absolute."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        sent = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            sent["Content-Type"] = "application/json"
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        full = path if path.startswith(("/billing", "/healthz", "/console")) or path == "/" else PREFIX + path
        connection.request(method, full, body=body, headers={**sent, **(headers or {})})
        answer = connection.getresponse()
        return Raw(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def http_answer(status: int, body: bytes = b"", *headers: str, reason: str = "X") -> bytes:
    """The bytes of an HTTP answer."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


@dataclass
class ScriptedServer:
    """A server on a real socket that answers each request with the next bytes, then closes the connection.

    None in place of bytes closes the connection without an answer.
    """

    answers: Sequence[bytes | None]
    requests: list[bytes] = field(default_factory=list)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))  # released by each that ends

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Closing alone would not wake the accept; a connection does.
        with suppress(OSError):
            socket.create_connection(self._socket.getsockname(), timeout=1).close()
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        for answer in self.answers:
            connection, _ = self._socket.accept()
            with connection:
                connection.settimeout(5)
                try:
                    request = _read_request(connection)
                    if not request:
                        return
                    self.requests.append(request)
                    if answer is not None:
                        connection.sendall(answer)
                except OSError:
                    return
            self.closed.release()


def _read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
    )
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
