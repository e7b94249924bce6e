"""Sends the requests of `learn` over a socket, at a limited rate, and can go away before a response."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from ..transports import OverHttp

SECONDS = 10.0


class Network:
    """A transport over HTTP that sends at most `rate` requests per second."""

    def __init__(
        self, origin: str, tls: ssl.SSLContext | None, rate: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._http = OverHttp(origin, tls)
        self.origin, self._tls, self._interval, self._sleep = self._http.origin, tls, 1 / rate, sleep
        self._next = 0.0

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request, and return the status, the headers and the body."""
        self._pace()
        return self._http(method, target, headers, body)

    def break_off(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """Send a whole request over a connection of its own, and close the connection at once."""
        self._pace()
        parts = urlsplit(self.origin)
        host = parts.hostname or ""
        lines = {"Host": parts.netloc, **headers, "Content-Length": str(len(body)), "Connection": "close"}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        with socket.create_connection((host, parts.port or (443 if self._tls else 80)), SECONDS) as plain:
            connection = self._tls.wrap_socket(plain, server_hostname=host) if self._tls else plain
            connection.sendall(head.encode("latin-1") + b"\r\n" + body)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _pace(self) -> None:
        now = time.monotonic()
        wait, self._next = max(0.0, self._next - now), max(now, self._next) + self._interval
        if wait:
            self._sleep(wait)
