"""What both transports on pyreqwest, which is Rust's reqwest with rustls, have in common. The extra `fast` has it."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from pyreqwest.client import BaseClientBuilder
from pyreqwest.client import Client as AsyncClient
from pyreqwest.client import ClientBuilder as AsyncClientBuilder
from pyreqwest.client import SyncClient as Client
from pyreqwest.client import SyncClientBuilder as ClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import BaseRequestBuilder
from pyreqwest.response import BaseResponse

from .._credentials import tls
from .._evidence import Phase
from ..config import Settings
from ._decoding import body_of
from ._interface import (
    KEEP_ALIVE,
    MAX_RESPONSE_BYTES,
    TOO_LARGE,
    Failure,
    Reply,
    Request,
    Response,
)

__all__ = ["AsyncClient", "AsyncClientBuilder", "Client", "ClientBuilder"]  # for `_async` and `_sync`

# Connecting may take this share of an attempt's time: the limit on the whole does not tell what was going on when it
# passed, and who could not connect is known to have sent nothing.
CONNECT_SHARE = 0.9
# hyper's words for the phase before there is a connection. pyreqwest's exception classes do not tell: a connection that
# broke in the middle of the response is a ConnectError, too. If the words change, nothing counts as never sent any
# more, which is the safe side; a test fails then.
CONNECTING = "client error (Connect)"
# A write waits until this many seconds after the last response, if no other request is under way. Rust's own thread
# needs up to 0.2 ms to detect stale bytes behind a response. A faster request would take them for its own response.
# With other requests under way the wait would not help, because the write may use one of their connections.
REST = 0.001
ERRORS = (PyreqwestError, ValueError, OSError)
_NO_RESPONSE = Failure(Phase.ANSWER_LOST, "the response is not HTTP/1.1")
NOT_A_REQUEST = Failure(Phase.NEVER_SENT, "the request cannot be written as HTTP/1.1")
# What is shown of an error: the innermost cause in which these words are found. The cause itself can hold bytes that
# the server sent, and the outermost one holds the URL.
_WORDS: tuple[tuple[str, str], ...] = (
    ("dns error", "the host name could not be resolved"),
    ("failed to lookup", "the host name could not be resolved"),
    ("Connection refused", "the connection was refused"),
    ("Connection reset", "the connection was reset"),
    ("Broken pipe", "the server closed the connection while the request was being sent"),
    ("tunnel", "the proxy refused to connect"),
    ("proxy", "the proxy refused to connect"),
    ("connection closed before message completed", "the server closed the connection before the response was complete"),
    ("end of file before message length reached", "the response ended too early"),
    ("unexpected EOF", "the response ended too early"),
    ("invalid HTTP", "the response is not HTTP/1.1"),
    ("message head is too large", "the head of the response is too large"),
    ("decompress", "the body of the response cannot be decompressed"),
    ("decoding", "the body of the response cannot be decoded"),
    ("certificate", "TLS failed"),
    ("alert", "TLS failed"),
    ("tls", "TLS failed"),
    ("operation timed out", "timed out"),
)
# The process that has made a client: a child forked from it can make none, as Rust's threads stay behind.
started_in: int | None = None
Builder = TypeVar("Builder", bound=BaseClientBuilder)
AnyRequest = TypeVar("AnyRequest", bound=BaseRequestBuilder)


class Clients:
    """What both transports have in common: how clients are made.

    Connecting is limited per client, so there is one client for each time limit in use, seldom more than one. It is
    made when it is first needed, as it reads the machine's whole trust store.
    """

    def __init__(self, settings: Settings, proxy: str | None) -> None:
        self._settings = settings
        self._proxy = proxy
        secure = settings.base_url.startswith("https:") or (proxy or "").startswith("https:")
        self._identity = tls.identity(settings) if secure and settings.client_cert is not None else None
        self._authorities = Path(settings.ca_file).read_bytes() if secure and settings.ca_file is not None else None
        self._answered = False  # whether a response has ever come
        self._last = 0.0  # when it came
        self._under_way = 0  # number of requests; threads can miscount, which only adds or skips a wait

    def _configured(self, builder: Builder, limit: float) -> Builder:
        global started_in  # noqa: PLW0603 - it is the process's
        if started_in != os.getpid():
            started_in = os.getpid()
            atexit.register(_finish)
        builder = (
            builder.follow_redirects(False)
            .referer(False)
            .brotli(False)
            .zstd(False)
            .timeout(timedelta(seconds=limit))
            .connect_timeout(timedelta(seconds=limit * CONNECT_SHARE))
            .pool_idle_timeout(timedelta(seconds=KEEP_ALIVE))
            .pool_max_idle_per_host(self._settings.max_concurrency)
            .min_tls_version("TLSv1.2")
            .no_proxy()
        )
        if self._authorities is not None:
            builder = builder.add_root_certificate_pem(self._authorities)
        if self._identity is not None:
            builder = builder.identity_pem(self._identity)
        return builder.proxy(ProxyBuilder.all(self._proxy)) if self._proxy else builder

    def _limit(self, seconds: float) -> float:
        """The time limit of the client for an attempt: the usual one, or half of it, and so on: a few in all."""
        limit = self._settings.timeout
        while limit * CONNECT_SHARE > seconds and limit > 0.001:
            limit /= 2
        return limit

    def _rest(self) -> float:
        """Seconds to wait before a write."""
        return 0.0 if self._under_way else self._last + REST - time.monotonic()

    def _reply(self, response: BaseResponse, body: Any) -> Reply:
        self._answered = True
        self._last = time.monotonic()
        content = b"" if body is None else bytes(body)
        if len(content) > MAX_RESPONSE_BYTES:
            return TOO_LARGE
        if response.status == 101:  # nobody asked for another protocol
            return _NO_RESPONSE
        headers = _Headers(response)  # hyper itself refuses more than 100
        if content.startswith(b"\x1f\x8b"):  # gzip under a name that reqwest does not know, such as x-gzip
            return _decoded(response.status, headers, content)
        return Response(response.status, headers, content)

    def _failure(self, error: Exception) -> Failure:
        """Return what an error means. The request counts as sent unless it is proved that it was not."""
        causes = _causes(error)
        phase = Phase.NEVER_SENT if CONNECTING in causes else Phase.ANSWER_LOST
        if isinstance(error, RequestTimeoutError):
            return Failure(phase, "timed out", timed_out=True)
        reason = next((words for cause in reversed(causes) for known, words in _WORDS if known in cause), "it failed")
        advice = tls.rustls_advice(causes[-1])
        if advice is None:
            return Failure(phase, reason)
        # In TLS 1.3 the client sends the request before the server checks the certificate. A server that refuses the
        # certificate on the first use of a connection has not read the request. Later it may have read it.
        if phase is Phase.NEVER_SENT or not self._answered:
            return Failure(Phase.NEVER_SENT, advice, certificate=True)
        return Failure(phase, f"{reason}; {advice}")


def _finish() -> None:
    """Let Rust's thread finish what it has begun, before the interpreter ends.

    The thread takes the interpreter's lock to hand a result to the event loop, and lets go of it a moment later. If the
    interpreter ends in that moment, the process aborts ("PyGILState_Release", exit 134): 5 of 80 programs did. The
    thread works in order, so when it has refused one more request, all before it are done. That request is refused for
    its scheme and is never sent.
    """
    if started_in != os.getpid():  # a forked child, which has no such thread
        return
    client = ClientBuilder().https_only(True).timeout(timedelta(seconds=10)).build()
    with suppress(*ERRORS), client.get("http://127.0.0.1/").build_streamed():
        pass


class _Headers(Mapping[str, str]):
    """The header fields, read when they are asked for. A value that is no text counts as missing."""

    __slots__ = ("_response",)

    def __init__(self, response: BaseResponse) -> None:
        self._response = response

    def __getitem__(self, name: str) -> str:
        try:
            return self._response.headers[name]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._response.headers)

    def __len__(self) -> int:
        return len(self._response.headers)


def _decoded(status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    body = body_of(headers.get("content-encoding"))
    decoded = body.add(content) or body.end()
    return decoded if isinstance(decoded, Failure) else Response(status, headers, decoded)


def filled(builder: AnyRequest, request: Request, seconds: float, limit: float) -> AnyRequest:
    """The request; the time limit of the client serves, if it ends no later than the deadline but for a thousandth."""
    builder = builder.headers(request.headers)
    if seconds < limit * 0.999:
        builder = builder.timeout(timedelta(seconds=max(seconds, 0.001)))
    return builder if request.body is None else builder.body_bytes(request.body)


def _causes(error: Exception) -> list[str]:
    """What pyreqwest says of a failure, from the outside in. The first names the URL, which holds ids: never shown."""
    details: Any = getattr(error, "details", None)
    causes = [cause["message"] for cause in (details or {}).get("causes") or []]
    return causes[1:] or [str(getattr(error, "message", error))]
