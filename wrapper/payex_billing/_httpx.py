"""The engine that is always there: httpx's own connections (httpcore), without what this API has no use for.

An `httpx.Client` merges cookies, redirects, authentication and the environment into every request, and its pool looks
at all of its connections for each. Here a request goes straight to a connection, and an idle one is found at the end of
a list, however many there are.
"""

from __future__ import annotations

import asyncio
import ssl
import time
import zlib
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from . import _tls
from ._policy import ACCEPT, KEEP_ALIVE, MAX_ANSWER_BYTES, TOO_LARGE, Failure, Reply, Response, Send
from .config import Settings
from .errors import Phase

# As the fast engine has it.
MAX_HEADERS = 100
# Nothing of a request has gone out when one of these is raised.
_NEVER_SENT = (
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    httpcore.LocalProtocolError,
)
_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
    UnicodeError,
)


def usual_context() -> ssl.SSLContext:
    """A context that trusts the usual authorities."""
    return httpx.create_ssl_context()


class _Requests:
    """Makes the requests of one client; what they have in common is made once."""

    def __init__(self, settings: Settings, user_agent: str) -> None:
        parts = urlsplit(settings.base_url)
        self._scheme = parts.scheme.encode()
        self._host = (parts.hostname or "").encode("idna")
        self._port = parts.port
        self._prefix = settings.prefix.encode()
        self.origin = self._url(b"/").origin
        # In the order in which they have always been sent.
        self._common = [
            (b"Host", parts.netloc.encode("idna")),
            (b"User-Agent", user_agent.encode()),
            (b"Accept-Encoding", b"gzip, deflate"),
            (b"Accept", ACCEPT.encode()),
        ]

    def _url(self, target: bytes) -> httpcore.URL:
        return httpcore.URL(scheme=self._scheme, host=self._host, port=self._port, target=target)

    def make(self, step: Send, end: float) -> httpcore.Request:
        """The request as it goes out."""
        source = step.request
        headers = [*self._common, (b"Authorization", b"Bearer " + step.token.encode())]
        headers += [(name.encode(), value.encode()) for name, value in source.headers.items()]
        if source.body is not None:
            headers.append((b"Content-Length", str(len(source.body)).encode()))
        elif source.method not in {"GET", "DELETE"}:
            headers.append((b"Content-Length", b"0"))
        return httpcore.Request(
            source.method,
            self._url(self._prefix + source.path.encode("ascii")),
            headers=headers,
            content=source.body,
            extensions={"timeout": _TimeLeft(end)},
        )


class _TimeLeft(dict[str, float]):
    """The time limits of an attempt, by httpcore's phases: each may take what the ones before it have left."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end = end

    def get(self, _phase: str, _default: object = None) -> float:
        return max(0.001, self._end - time.monotonic())


class Transport:
    """Sends requests and keeps connections, for threads.

    Args:
        settings: where to send to.
        context: the certificates.
        proxy: the proxy to go through, if any.
        user_agent: who is calling.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None, user_agent: str) -> None:
        self._requests = _Requests(settings, user_agent)
        self._maker = (
            httpcore.HTTPProxy(proxy_url=proxy, **_proxy_options(proxy, context))
            if proxy
            else httpcore.ConnectionPool(ssl_context=context, keepalive_expiry=KEEP_ALIVE)
        )
        self._idle: deque[httpcore.ConnectionInterface] = deque()
        self._look_at = 0.0
        self._closed = False

    def send(self, step: Send, end: float) -> Reply:
        """Send once, until `end` on the monotonic clock."""
        connection = self._take(end - step.timeout)
        try:
            answer = connection.handle_request(self._requests.make(step, end))
            try:
                body = bytearray()
                for chunk in answer.iter_stream():
                    body += chunk
                    if failure := _too_much(body, end):
                        return failure
            finally:
                answer.close()
                self._put_back(connection)
        except _ERRORS as error:
            connection.close()
            return classify(error)
        except BaseException:
            connection.close()
            raise
        return _response(answer, body)

    def _take(self, now: float) -> httpcore.ConnectionInterface:
        if now >= self._look_at:
            self._look_at = now + 1.0
            self._close_stale()
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not connection.has_expired():
                    return connection
                connection.close()
        return self._maker.create_connection(self._requests.origin)

    def _put_back(self, connection: httpcore.ConnectionInterface) -> None:
        if connection.is_idle() and not self._closed and not has_left_over(connection):
            self._idle.append(connection)
        else:
            connection.close()

    def _close_stale(self) -> None:
        """Close what nobody has used for a while: the server has done so, too. Other threads may take and put back."""
        with suppress(IndexError):
            for _ in range(len(self._idle)):
                connection = self._idle.popleft()
                if connection.has_expired():
                    connection.close()
                else:
                    self._idle.append(connection)

    def close(self) -> None:
        """Close the connections; one that is in use is closed after its answer."""
        self._closed = True
        with suppress(IndexError):
            while True:
                self._idle.pop().close()


class AsyncTransport:
    """Sends requests and keeps connections, for the tasks of one event loop."""

    # A request whose task is cancelled is broken off, and its connection closed.
    ends_when_cancelled = True

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None, user_agent: str) -> None:
        self._requests = _Requests(settings, user_agent)
        self._network = _Network()
        self._maker = (
            httpcore.AsyncHTTPProxy(proxy_url=proxy, network_backend=self._network, **_proxy_options(proxy, context))
            if proxy
            else httpcore.AsyncConnectionPool(
                ssl_context=context, keepalive_expiry=KEEP_ALIVE, network_backend=self._network
            )
        )
        self._idle: list[httpcore.AsyncConnectionInterface] = []
        self._look_at = 0.0
        self._closed = False

    async def send(self, step: Send, end: float) -> Reply:
        """Send once, until `end` on the monotonic clock."""
        connection = await self._take(end - step.timeout)
        try:
            answer = await connection.handle_async_request(self._requests.make(step, end))
            try:
                body = bytearray()
                async for chunk in answer.aiter_stream():
                    body += chunk
                    if failure := _too_much(body, end):
                        return failure
            finally:
                await answer.aclose()
                await self._put_back(connection)
        except _ERRORS as error:
            await self._drop(connection)
            return classify(error)
        except BaseException:
            await self._drop(connection)
            raise
        finally:
            self._network.forget()
        return _response(answer, body)

    async def _take(self, now: float) -> httpcore.AsyncConnectionInterface:
        if now >= self._look_at:
            self._look_at = now + 1.0
            stale = [each for each in self._idle if each.has_expired()]
            for connection in stale:
                self._idle.remove(connection)
            for connection in stale:
                await connection.aclose()
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return self._maker.create_connection(self._requests.origin)

    async def _put_back(self, connection: httpcore.AsyncConnectionInterface) -> None:
        if connection.is_idle() and not self._closed and not has_left_over(connection):
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def _drop(self, connection: httpcore.AsyncConnectionInterface) -> None:
        with suppress(*_ERRORS):
            await connection.aclose()
        await self._network.abandon()

    async def close(self) -> None:
        """Close the connections; one that is in use is closed after its answer."""
        self._closed = True
        while self._idle:
            await self._idle.pop().aclose()


class _Network(httpcore.AsyncNetworkBackend):
    """Remembers what a task has opened until its connection owns it.

    A task that is cancelled between connecting and the end of the TLS handshake leaves an open socket behind that
    nobody would close.
    """

    def __init__(self) -> None:
        self._backend: Any = httpcore.AnyIOBackend()
        self._opened: dict[asyncio.Task[Any] | None, httpcore.AsyncNetworkStream] = {}

    async def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """Connect."""
        stream: httpcore.AsyncNetworkStream = await self._backend.connect_tcp(*arguments, **options)
        self._opened[asyncio.current_task()] = stream
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts to connect, of which there is one."""
        await asyncio.sleep(seconds)

    def forget(self) -> None:
        """All is well."""
        if self._opened:
            self._opened.pop(asyncio.current_task(), None)

    async def abandon(self) -> None:
        """Close what was opened."""
        stream = self._opened.pop(asyncio.current_task(), None)
        if stream is not None:
            with suppress(*_ERRORS):
                await stream.aclose()


def has_left_over(connection: Any) -> bool:
    """Whether bytes that belong to no request have arrived after a response.

    h11 keeps them and would read them as the response to the next request on the connection (RFC 9112, section 6.3:
    a client must not process such bytes as a response). httpcore does not look. Neither names a public way to ask, so a
    connection of an unknown shape counts as one with bytes left over, and is closed.
    """
    try:
        data, _ = connection._connection._h11_state.trailing_data
    except AttributeError:
        return True
    return bool(data)


def classify(error: Exception) -> Failure:
    """Tell the phase of a failure.

    What is raised before there is a connection was never sent. Everything after may have been processed, a failed
    write too: the server can have read enough.
    """
    advice = _tls.certificate_advice(error)
    if advice is not None:
        # TLS failed, or the server broke it off before it read the request.
        return Failure(Phase.NEVER_SENT, advice, certificate=True)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    phase = Phase.NEVER_SENT if isinstance(error, (*_NEVER_SENT, UnicodeError)) else Phase.ANSWER_LOST
    return Failure(phase, reason, timed_out=isinstance(error, httpcore.TimeoutException))


def _proxy_options(proxy: str, context: ssl.SSLContext | None) -> dict[str, Any]:
    options: dict[str, Any] = {"ssl_context": context, "keepalive_expiry": KEEP_ALIVE}
    parts = httpx.Proxy(proxy)
    if parts.raw_auth is not None:
        options["proxy_auth"] = parts.raw_auth
    if parts.url.scheme == "https":
        options["proxy_ssl_context"] = context
    return options


def _too_much(body: bytearray, end: float) -> Failure | None:
    """A body that grows without end, in size or in time: httpcore limits only the time between two chunks."""
    if len(body) > MAX_ANSWER_BYTES:
        return TOO_LARGE
    if time.monotonic() > end:
        return Failure(Phase.ANSWER_LOST, "timed out while reading the answer", timed_out=True)
    return None


def _response(answer: httpcore.Response, body: bytearray) -> Reply:
    if len(answer.headers) > MAX_HEADERS:
        return Failure(Phase.ANSWER_LOST, f"the answer has more than {MAX_HEADERS} headers")
    # The first of a name counts.
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in reversed(answer.headers)}
    content = bytes(body)
    if "content-encoding" in headers:
        try:
            content = _decoded(content, headers["content-encoding"].lower().split(","))
        except (zlib.error, EOFError) as error:
            return Failure(Phase.ANSWER_LOST, f"the answer cannot be decompressed: {error}")
        if len(content) > MAX_ANSWER_BYTES:
            return TOO_LARGE
    return Response(answer.status, headers, content)


def _decoded(content: bytes, encodings: Iterable[str]) -> bytes:
    """The content without its encodings; one that we never asked for is left as it is."""
    for encoding in reversed([each.strip() for each in encodings]):
        if encoding not in {"gzip", "x-gzip", "deflate"} or not content:
            continue
        decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # whichever of the two it is
        content = decoder.decompress(content, MAX_ANSWER_BYTES + 1)
        if not decoder.eof and len(content) <= MAX_ANSWER_BYTES:
            raise EOFError("it ends too early")
    return content
