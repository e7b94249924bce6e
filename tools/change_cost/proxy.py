"""A small HTTP proxy between the wrapper and the mock that records every request and response."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True)
class Recorded:
    """A request, its response, and the step of the smoke test that sent the request."""

    step: str
    method: str
    target: str
    headers: Message
    body: bytes
    status: int
    response_headers: Message
    response_body: bytes


class RecordingProxy:
    """Forwards requests to the mock and records them.

    For each method in `lose`, the proxy drops the next response and closes the connection.
    """

    def __init__(self, upstream: str) -> None:
        """Prepare to forward requests to the origin `upstream`, such as http://127.0.0.1:8000."""
        self.upstream = urlsplit(upstream)
        self.recorded: list[Recorded] = []
        self.step = ""
        self.lose: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # buffer the response, so that headers and body leave in one write

            def forward(self) -> None:
                proxy._forward(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815 - the names of the base class

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        """Start the proxy."""
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop the proxy."""
        self._server.shutdown()
        self._server.server_close()

    def _forward(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP}
        status, answered, content = self.send(handler.command, handler.path, headers, body)
        request = (handler.command, handler.path, handler.headers, body)
        self.recorded.append(Recorded(self.step, *request, status, answered, content))
        if handler.command in self.lose:
            self.lose.remove(handler.command)
            handler.close_connection = True
            return
        handler.send_response_only(status)
        for name, value in answered.items():
            if name.lower() not in _HOP:
                handler.send_header(name, value)
        if status != 204:
            handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, Message, bytes]:
        """Send a request to the mock without recording it."""
        # Each request opens its own connection: the server may close an idle one, and a POST would then be lost.
        connection = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port, timeout=60)
        try:
            connection.request(method, target, body or None, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()
