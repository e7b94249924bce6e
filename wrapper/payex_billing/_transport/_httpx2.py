"""The transport that is always there: connections of httpcore2, the part of httpx2 that speaks HTTP/1.1.

A request goes straight to a connection. What `httpx2.Client` adds (cookies, redirects, authentication, a look at every
pooled connection) has no use here and costs more than the rest of the call.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2

from ..config import Settings
from ..errors import ConfigurationError
from ._causes import classify
from ._decoding import Body, body_of
from ._idle import Idle
from ._interface import (
    KEEP_ALIVE,
    LISTEN,
    MAX_HEADERS,
    TOO_MANY_HEADERS,
    Failure,
    Reply,
    Request,
    Response,
)
from ._network import AsyncNetwork, AsyncStream, Network, Progress, Stream

# The event loop gets a turn after this many pieces of a body.
_TURN = 100
_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
    OSError,
    UnicodeError,
)


@cache
def default_ssl_context() -> ssl.SSLContext:
    """One context for all clients without certificates of their own: making one reads the whole trust store."""
    return new_ssl_context()


def new_ssl_context() -> ssl.SSLContext:
    """A context that trusts the usual authorities, for TLS 1.2 and newer."""
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class _Route:
    """Where the connections of one client lead, and how its requests look on the wire."""

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None) -> None:
        parts = urlsplit(settings.base_url)
        try:
            self._host = (parts.hostname or "").encode("idna")
            self._authority = parts.netloc.encode("idna")
        except UnicodeError:
            raise ConfigurationError(f"base_url {settings.base_url} has a host name that DNS does not allow") from None
        self._scheme, self._port = parts.scheme.encode(), parts.port
        self._skip = len(settings.base_url)
        self.origin = self._url(b"/").origin
        self._context = context
        self._proxy = _proxy_options(proxy, context) if proxy else None
        self._tls_layers = (parts.scheme == "https") + (proxy or "").startswith("https:")

    def progress(self) -> Progress:
        """The progress of a new connection."""
        return Progress(self._tls_layers)

    def connect(self, network: httpcore2.NetworkBackend) -> httpcore2.ConnectionInterface:
        """A connection that opens itself for its first request."""
        if self._proxy is not None:
            return httpcore2.HTTPProxy(network_backend=network, **self._proxy).create_connection(self.origin)
        return httpcore2.HTTPConnection(
            self.origin, self._context, keepalive_expiry=KEEP_ALIVE, network_backend=network
        )

    def connect_async(self, network: httpcore2.AsyncNetworkBackend) -> httpcore2.AsyncConnectionInterface:
        """The same for an event loop."""
        if self._proxy is not None:
            return httpcore2.AsyncHTTPProxy(network_backend=network, **self._proxy).create_connection(self.origin)
        return httpcore2.AsyncHTTPConnection(
            self.origin, self._context, keepalive_expiry=KEEP_ALIVE, network_backend=network
        )

    def _url(self, target: bytes) -> httpcore2.URL:
        return httpcore2.URL(scheme=self._scheme, host=self._host, port=self._port, target=target)

    def request(self, request: Request) -> httpcore2.Request:
        """The request as httpcore2 takes it."""
        headers = [(b"Host", self._authority), (b"Accept-Encoding", b"gzip, deflate")]
        headers += [(name.encode(), value.encode()) for name, value in request.headers.items()]
        if request.body is not None:
            headers.append((b"Content-Length", b"%d" % len(request.body)))
        elif request.method not in {"GET", "DELETE"}:
            headers.append((b"Content-Length", b"0"))
        url = self._url(request.url[self._skip :].encode("ascii"))
        return httpcore2.Request(request.method, url, headers=headers, content=request.body)


C = TypeVar("C", httpcore2.ConnectionInterface, httpcore2.AsyncConnectionInterface)


class _AnyLine(Generic[C]):
    """One connection, with the progress of the attempt that uses it.

    Attributes:
        progress: how far the attempt has come.
        connection: the connection of httpcore2.
        idle_since: when the last response was complete, on the monotonic clock.
        used: whether a response has come over the connection.
    """

    def __init__(self, progress: Progress, connection: C) -> None:
        self.progress = progress
        self.connection: C = connection
        self.idle_since = 0.0
        self.used = False

    def failure(self, error: Exception) -> Failure:
        """Return what an error means for the attempt that uses the connection."""
        return classify(error, written=self.progress.written, used=self.used)

    def is_clean(self) -> bool:
        """Return whether the connection is open, and no byte has arrived since its last response."""
        return self.connection.is_idle() and not self.connection.has_expired() and not left_over(self.connection)

    def is_followed(self) -> bool:
        """Return whether bytes have arrived behind the response that was just read."""
        return left_over(self.connection)


class _Line(_AnyLine[httpcore2.ConnectionInterface]):
    """A connection for threads."""

    def __init__(self, route: _Route) -> None:
        progress = route.progress()
        super().__init__(progress, route.connect(Network(progress)))

    def is_followed_soon(self, deadline: float) -> bool:
        """Return whether bytes arrive behind the response within `LISTEN` seconds, then close the connection.

        Call it before the response is closed: httpcore2 closes the connection together with a response that demands it.
        """
        stream = self.progress.stream
        try:
            if self.is_followed() or not isinstance(stream, Stream):
                return True
            self.progress.begin(min(deadline, time.monotonic() + LISTEN))
            return bool(stream.read(1))
        except _ERRORS:
            return False  # no byte came
        finally:
            self.connection.close()


class _AsyncLine(_AnyLine[httpcore2.AsyncConnectionInterface]):
    """A connection for an event loop."""

    def __init__(self, route: _Route) -> None:
        progress = route.progress()
        self.network = AsyncNetwork(progress)
        super().__init__(progress, route.connect_async(self.network))

    def is_followed(self) -> bool:
        """Return whether bytes have arrived behind the response that was just read."""
        return super().is_followed() or (self.network.wire is not None and bool(self.network.wire.arrived))

    async def is_followed_soon(self, deadline: float) -> bool:
        """Do the same as `_Line.is_followed_soon`."""
        stream = self.progress.stream
        try:
            if self.is_followed() or not isinstance(stream, AsyncStream):
                return True
            async with asyncio.timeout(min(deadline - time.monotonic(), LISTEN)):
                return bool(await stream.read(1))
        except _ERRORS:
            return False  # no byte came
        finally:
            await self.connection.aclose()


class Transport:
    """Sends requests over connections of httpcore2, for threads.

    Args:
        settings: where to send to.
        context: the certificates; not used for plain HTTP.
        proxy: the URL of the proxy to go through, if any.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None) -> None:
        self._route = _Route(settings, context, proxy)
        self._idle: Idle[_Line] = Idle()
        self._closed = False

    def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        line = (None if request.alone else self._idle.take(time.monotonic())) or _Line(self._route)
        self._close_spent()
        line.progress.begin(deadline)
        try:
            response = line.connection.handle_request(self._route.request(request))
            if failure := unacceptable(response):
                line.connection.close()
                return failure
            body = body_of(encoding_of(response))
            for piece in response.iter_stream():
                if failure := body.add(piece):
                    line.connection.close()
                    return failure
            if response.status in request.listen_after:
                return _reply(response, body, followed=line.is_followed_soon(deadline))
            response.close()
        except _ERRORS as error:
            line.connection.close()
            return line.failure(error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            line.connection.close()
            # The frames of the HTTP library hold the Authorization header.
            raise error.with_traceback(None) from None
        followed = line.is_followed()
        self._put_back(line)
        return _reply(response, body, followed=followed)

    def _put_back(self, line: _Line) -> None:
        line.used = True
        self._idle.put(line, time.monotonic())
        if self._closed:
            self._idle.clear()
        self._close_spent()

    def _close_spent(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.spent.pop().connection.close()

    def close_idle(self) -> None:
        """Close the connections that no request uses."""
        self._idle.clear()
        self._close_spent()

    def close(self) -> None:
        """Close the connections; one that is in use is closed after its response."""
        self._closed = True
        self.close_idle()


class AsyncTransport:
    """Sends requests over connections of httpcore2, for the tasks of one event loop.

    When a task is cancelled its request is broken off, and the connection closed.

    Args:
        settings: where to send to.
        context: the certificates; not used for plain HTTP.
        proxy: the URL of the proxy to go through, if any.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None) -> None:
        self._route = _Route(settings, context, proxy)
        self._idle: Idle[_AsyncLine] = Idle()
        self._closed = False

    async def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        now = time.monotonic()
        line = (None if request.alone else self._idle.take(now)) or _AsyncLine(self._route)
        await self._close_spent()
        line.progress.begin(deadline)
        try:
            async with asyncio.timeout(deadline - now):
                response = await line.connection.handle_async_request(self._route.request(request))
                if failure := unacceptable(response):
                    await line.connection.aclose()
                    return failure
                body = body_of(encoding_of(response))
                pieces = 0
                async for piece in response.aiter_stream():
                    if failure := body.add(piece):
                        await line.connection.aclose()
                        return failure
                    pieces += 1
                    if not pieces % _TURN:  # pieces that have arrived together are read without a pause
                        await asyncio.sleep(0)
                if response.status in request.listen_after:
                    return _reply(response, body, followed=await line.is_followed_soon(deadline))
                await response.aclose()
        except _ERRORS as error:
            await line.connection.aclose()
            return line.failure(error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            await line.connection.aclose()
            # The frames of the HTTP library hold the Authorization header.
            raise error.with_traceback(None) from None
        followed = line.is_followed()
        line.used = True
        self._idle.put(line, time.monotonic())
        if self._closed:
            self._idle.clear()
        await self._close_spent()
        return _reply(response, body, followed=followed)

    async def _close_spent(self) -> None:
        while self._idle.spent:
            await self._idle.spent.pop().connection.aclose()

    async def close_idle(self) -> None:
        """Close the connections that no request uses."""
        self._idle.clear()
        await self._close_spent()

    async def close(self) -> None:
        """Close the connections; one that is in use is closed after its response."""
        self._closed = True
        await self.close_idle()
        await asyncio.sleep(0)  # asyncio closes a socket in the turn after the one that asked for it


def left_over(connection: Any) -> bool:
    """Whether bytes that belong to no request have arrived after a response.

    h11 keeps them, and would read them as the response to the next request: RFC 9112, section 6.3, forbids that, and
    neither httpcore2 nor httpx2 looks. httpcore2 has no public way to ask, so a connection of an unknown shape counts
    as one with bytes left over, and is closed. A test fails when the attributes are renamed.
    """
    try:
        data, _ = connection._connection._h11_state.trailing_data
    except AttributeError:
        return True
    return bool(data)


def unacceptable(response: httpcore2.Response) -> Failure | None:
    """Why a response is not even read to its end."""
    return TOO_MANY_HEADERS if len(response.headers) > MAX_HEADERS else None


def encoding_of(response: httpcore2.Response) -> str | None:
    """The Content-Encoding."""
    for name, value in response.headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            return value.decode("latin-1")
    return None


def _reply(response: httpcore2.Response, body: Body, *, followed: bool) -> Reply:
    content = body.end()
    if isinstance(content, Failure):
        return content
    return Response(response.status, headers_of(response), content, followed)


def headers_of(response: httpcore2.Response) -> dict[str, str]:
    """The header fields; the first of a name counts."""
    return {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in reversed(response.headers)}


def _proxy_options(proxy: str, context: ssl.SSLContext | None) -> dict[str, Any]:
    parts = urlsplit(proxy)
    options: dict[str, Any] = {"proxy_url": proxy, "ssl_context": context, "keepalive_expiry": KEEP_ALIVE}
    if parts.username is not None:
        options["proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "https":
        options["proxy_ssl_context"] = context
    return options
