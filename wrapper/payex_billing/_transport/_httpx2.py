"""What both transports on httpcore2, the part of httpx2 that speaks HTTP/1.1, have in common.

A request goes straight to a connection. What `httpx2.Client` adds (cookies, redirects, authentication, a look at every
pooled connection) has no use here and costs more than the rest of the call.
"""

from __future__ import annotations

import socket
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

import httpcore2
import httpx2

from .._credentials import tls
from .._evidence import Phase
from ..config import Settings
from ..errors import ConfigurationError
from ._decoding import Body, body_of
from ._interface import KEEP_ALIVE, TOO_LARGE, Failure, Reply, Request, Response
from ._network import Progress, TooMuch

# What an attempt that fails raises.
ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
    OSError,
    UnicodeError,
)

_TIMED_OUT = (TimeoutError, httpcore2.TimeoutException)
# The sentence for each class of error. The text of the error itself can contain bytes of the server, such as a token.
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TooMuch, TOO_LARGE.reason),
    (socket.gaierror, "the host name could not be resolved"),
    (ConnectionRefusedError, "the connection was refused"),
    (ConnectionResetError, "the connection was reset"),
    (BrokenPipeError, "the server closed the connection while the request was being sent"),
    (httpcore2.ProxyError, "the proxy refused to connect"),
    (httpcore2.LocalProtocolError, "the request cannot be written as HTTP/1.1"),
    (httpcore2.RemoteProtocolError, "the response is not HTTP/1.1"),
    (ssl.SSLError, "TLS failed"),
    (httpcore2.ConnectError, "the connection could not be opened"),
    (httpcore2.WriteError, "the connection broke while the request was being sent"),
    (OSError, "the connection broke before the response was complete"),
    (httpcore2.NetworkError, "the connection broke before the response was complete"),
)
# How httpcore2 and h11 begin the text of an error when a connection ended early. The texts hold no bytes of the server.
_ENDED = ("Server disconnected", "peer closed connection", "peer unexpectedly closed connection")


@cache
def default_ssl_context() -> ssl.SSLContext:
    """One context for all clients without certificates of their own: making one reads the whole trust store."""
    return new_ssl_context()


def new_ssl_context() -> ssl.SSLContext:
    """A context that trusts the usual authorities, for TLS 1.2 and newer."""
    context = httpx2.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


C = TypeVar("C", httpcore2.ConnectionInterface, httpcore2.AsyncConnectionInterface)


class Route:
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

    def connect(self, through_proxy: Callable[..., Any], direct: Callable[..., C], network: object) -> C:
        """Return a connection that opens itself for its first request.

        Args:
            through_proxy: httpcore2's class for a proxy.
            direct: httpcore2's class for a connection to the server itself.
            network: opens the connection.
        """
        if self._proxy is not None:
            connection: C = through_proxy(network_backend=network, **self._proxy).create_connection(self.origin)
            return connection
        return direct(self.origin, self._context, keepalive_expiry=KEEP_ALIVE, network_backend=network)

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


class AnyLine(Generic[C]):
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
        """Return what an error means for the attempt that uses the connection.

        The phase depends on whether a byte of the request was given to the system, and not on the class of the error.
        """
        phase = Phase.ANSWER_LOST if self.progress.written else Phase.NEVER_SENT
        if isinstance(error, _TIMED_OUT):
            return Failure(phase, "timed out", timed_out=True)
        causes = list(tls.causes(error))
        reason = next((words for kind, words in _WORDS for cause in causes if isinstance(cause, kind)), "it failed")
        if str(error).startswith(_ENDED):
            reason = "the server closed the connection before the response was complete"
        advice = tls.certificate_advice(error)
        if advice is None:
            return Failure(phase, reason)
        if self.used:
            # The handshake succeeded before. The server may have read the request before it refused the certificate.
            return Failure(phase, f"{reason}; {advice}")
        # The first use of the connection. In TLS 1.3 the client sends the request before the server checks the
        # certificate. A server that refuses the certificate has not read the request.
        return Failure(Phase.NEVER_SENT, advice, certificate=True)

    def is_clean(self) -> bool:
        """Return whether the connection is open, and no byte has arrived since its last response."""
        return self.connection.is_idle() and not self.connection.has_expired() and not left_over(self.connection)

    def is_followed(self) -> bool:
        """Return whether bytes have arrived behind the response that was just read."""
        stream = self.progress.stream
        return left_over(self.connection) or (stream is not None and stream.has_unread)


L = TypeVar("L", bound=AnyLine[Any])


class Idle(Generic[L]):
    """Connections that wait for a request; the last one that was used is taken first. Safe between threads.

    What is in `spent` must be closed by the transport.
    """

    def __init__(self) -> None:
        self._waiting: deque[L] = deque()
        self.spent: deque[L] = deque()

    def take(self, now: float) -> L | None:
        """Return a connection that can be used at once; None if there is none."""
        # Another thread may empty the deque at any moment.
        with suppress(IndexError):
            while now - self._waiting[0].idle_since > KEEP_ALIVE:
                self.spent.append(self._waiting.popleft())
        with suppress(IndexError):
            while True:
                connection = self._waiting.pop()
                if connection.is_clean():
                    return connection
                self.spent.append(connection)
        return None

    def put(self, connection: L, now: float) -> None:
        """Keep a connection whose response was read to its end."""
        connection.idle_since = now
        (self._waiting if connection.is_clean() else self.spent).append(connection)

    def clear(self) -> None:
        """Move all waiting connections to `spent`."""
        self.spent.extend(self._waiting)
        self._waiting.clear()


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


def body_for(response: httpcore2.Response) -> Body:
    """The body of a response, decoded by its Content-Encoding."""
    for name, value in response.headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            return body_of(value.decode("latin-1"))
    return body_of(None)


def reply(response: httpcore2.Response, body: Body, *, followed: bool) -> Reply:
    """The response, or the failure to decode it."""
    content = body.end()
    if isinstance(content, Failure):
        return content
    # If a header field occurs more than once, the first one counts.
    headers = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in reversed(response.headers)}
    return Response(response.status, headers, content, followed)


def _proxy_options(proxy: str, context: ssl.SSLContext | None) -> dict[str, Any]:
    parts = urlsplit(proxy)
    options: dict[str, Any] = {"proxy_url": proxy, "ssl_context": context, "keepalive_expiry": KEEP_ALIVE}
    if parts.username is not None:
        options["proxy_auth"] = (unquote(parts.username), unquote(parts.password or ""))
    if parts.scheme == "https":
        options["proxy_ssl_context"] = context
    return options
