"""Send one request unchanged: to an ASGI application in this process, or over a socket."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

import httpx2

SECONDS = 30.0
HOST = "testserver"


class Transport(Protocol):
    """Sends one request unchanged, and returns the status, the headers and the body."""

    origin: str

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request. `target` is the percent-encoded path with its query."""

    def close(self) -> None:
        """Close the connections."""


class InProcess:
    """Calls an ASGI application that never waits for I/O, such as the mock."""

    origin = f"http://{HOST}"

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []
        call = _call(self._app, method, target, headers, body, sent)
        try:
            call.send(None)
        except StopIteration:
            pass
        except Exception as error:  # every ASGI server responds with 500 when the application raises
            return 500, {"content-type": "text/plain"}, type(error).__name__.encode()
        else:
            raise RuntimeError("the application waits; serve it, and use OverHttp or InThread")
        return _joined(sent)

    def close(self) -> None:
        """Do nothing: this transport has no connections."""


class InThread:
    """Calls an ASGI application that waits, in an event loop that runs in a thread of its own."""

    origin = f"http://{HOST}"

    def __init__(self, app: Any) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []
        call = _call(self._app, method, target, headers, body, sent)
        asyncio.run_coroutine_threadsafe(call, self._loop).result(SECONDS)
        status, answered, content = _joined(sent)
        return status, answered, b"" if method == "HEAD" else content  # as every ASGI server does

    def close(self) -> None:
        """Stop the thread."""
        asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result(SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SECONDS)
        self._loop.close()


def _call(
    app: Any, method: str, target: str, headers: Mapping[str, str], body: bytes, sent: list[dict[str, Any]]
) -> Coroutine[Any, Any, None]:
    """Return a call of an ASGI application, which puts the messages of the application into `sent`."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode("latin-1")) for name, value in {"Host": HOST, **headers}.items()
        ],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    call: Coroutine[Any, Any, None] = app(scope, receive, send)
    return call


def _joined(sent: list[dict[str, Any]]) -> tuple[int, dict[str, str], bytes]:
    """Return the status, the headers and the body of a response."""
    joined: dict[str, str] = {}
    for name, value in sent[0]["headers"]:
        key = name.decode("latin-1")
        joined[key] = f"{joined[key]}, {value.decode('latin-1')}" if key in joined else value.decode("latin-1")
    return sent[0]["status"], joined, b"".join(message.get("body", b"") for message in sent[1:])


class OverHttp:
    """Sends requests over a socket. With an SSL context, sends them over TLS with the context's client certificate."""

    def __init__(self, origin: str, tls: ssl.SSLContext | None = None) -> None:
        self.origin = origin.rstrip("/")
        self._client = httpx2.Client(
            verify=tls if tls is not None else False,  # httpx ignores `verify` for a plain http origin
            timeout=SECONDS,
            trust_env=False,
            limits=httpx2.Limits(max_connections=40, max_keepalive_connections=40),
        )
        self._client.headers.clear()

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        request = self._client.build_request(
            method,
            self.origin,
            # Spaces around a value do not belong to it (RFC 9110, section 5.5), and the library refuses to send them.
            headers=[
                (name.encode(), value.strip(" \t").encode("latin-1"))
                for name, value in {**headers, "Accept-Encoding": "identity"}.items()
            ],
            content=iter((body[:7], body[7:])) if "Transfer-Encoding" in headers else body or None,
            extensions={"target": target.encode()},
        )
        answer = self._client.send(request, follow_redirects=False)
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
