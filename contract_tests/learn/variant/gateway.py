"""The gateway before a variant's server: it rewrites errors, cuts bodies, adds headers, and answers 503 at times."""

from __future__ import annotations

import http.server
import json
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .choices import Choices
from .server import Clock, Server
from .views import Refusal, Reply

PAGE = b"<html><body><h1>The request could not be served</h1></body></html>"


class Variant:
    """A variant as a client sees it, and the log of what the client sent.

    Attributes:
        log: the method, target and body of each request.
    """

    origin = "http://variant.example"

    def __init__(
        self, choices: Choices, ledger: str = "1234", token: str = "variant-token", clock: Clock | None = None
    ) -> None:
        self.choices, self.clock = choices, clock or Clock()
        self.server = Server(choices, ledger, token, self.clock)
        self.log: list[tuple[str, str, bytes]] = []
        self._successes = 0

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Carry out one request, and return the status, the headers and the body."""
        self.log.append((method, target, body))
        if self.choices["gateway_hiccups"] != "never" and len(self.log) % 13 == 0:
            reply = Reply(503, {"Content-Type": "text/html"}, PAGE)
        elif self.choices["slash"] == "blocked" and "%2F" in target.upper():
            reply = Reply(404, {"Content-Type": "text/html"}, PAGE)
        else:
            reply = self._through(method, target, {name.lower(): value for name, value in headers.items()}, body)
        if self.choices["tracking"] != "none":
            reply.headers[self.choices["tracking"]] = uuid.uuid4().hex
        if self.choices["gateway_headers"] == "some":
            reply.headers |= {"Via": "1.1 edge", "X-Served-By": "edge-3", "X-Frame-Options": "DENY"}
        content = b"" if method == "HEAD" or reply.status == 204 else reply.body
        return reply.status, {name.lower(): value for name, value in reply.headers.items()}, content

    def break_off(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> None:
        """Take a request whose client goes away before the response."""
        self.log.append((method, target, body))
        if self.choices["late"] == "never":
            return
        sent = {name.lower(): value for name, value in headers.items()}
        due = self.clock.now + float(self.choices["late"])
        self.server.late.append((due, lambda: self._through(method, target, sent, body)))

    def close(self) -> None:
        """Do nothing: a variant in process has no connections."""

    def _through(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        try:
            reply = self.server(method, target, headers, body)
        except Refusal as refusal:
            return self._refused(self.server.problem(refusal))
        reply = Reply(reply.status, dict(reply.headers), reply.body)
        if reply.body and method != "HEAD":
            self._successes += 1
            every = {"every 7th": 7, "every 11th": 11}.get(self.choices["gateway_cuts"])
            if every and self._successes % every == 0:
                reply.body = reply.body[: len(reply.body) // 2]
        return reply

    def _refused(self, reply: Reply) -> Reply:
        if reply.status < 400:
            return reply
        if self.choices["gateway_status"] == "collapsed" and reply.status not in {401, 404}:
            reply.status = 400
        errors = self.choices["gateway_errors"]
        if errors == "html":
            reply.headers["Content-Type"], reply.body = "text/html", PAGE
        elif errors == "json":
            reply.headers["Content-Type"] = "application/json"
            reply.body = json.dumps({"error": {"code": reply.status, "message": "Request failed"}}).encode()
        elif errors == "empty":
            reply.headers.pop("Content-Type", None)
            reply.body = b""
        elif errors == "cut":
            reply.body = reply.body[:40]
        return reply


@contextmanager
def served(variant: Variant) -> Iterator[str]:
    """Serve a variant over a socket of this machine, and yield its origin."""
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                status, headers, content = variant(self.command, self.path, dict(self.headers), body)
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - names of the library

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
