"""The fast engine: pyreqwest, which is Rust's reqwest, with rustls. Installed by the extra `fast`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from pyreqwest.client import BaseClientBuilder, Client, ClientBuilder, SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError, RequestTimeoutError
from pyreqwest.proxy import ProxyBuilder
from pyreqwest.request import BaseRequestBuilder
from pyreqwest.response import BaseResponse

from . import _tls
from ._policy import ACCEPT, KEEP_ALIVE, MAX_ANSWER_BYTES, TOO_LARGE, Failure, Reply, Response, Send
from .config import Settings
from .errors import Phase

# Connecting may take this part of an attempt's time limit, so that who could not connect in time is known to have sent
# nothing: a limit on the whole says only that it has passed.
CONNECT_PART = 0.9
# What hyper calls the phase before there is a connection. The class of the exception does not tell: pyreqwest calls
# a connection that broke off in the middle of the answer a ConnectError, too. Were the words to change, nothing would
# count as never sent any more, which is the safe side.
CONNECTING = "client error (Connect)"
_ERRORS = (PyreqwestError, ValueError, OSError)
# The process that has made a client: a child forked from it can make none, as Rust's threads stay behind.
started_in: int | None = None
Builder = TypeVar("Builder", bound=BaseClientBuilder)
AnyRequest = TypeVar("AnyRequest", bound=BaseRequestBuilder)


class _Clients:
    """What both transports have in common: how clients are made.

    One client is made for each time limit that is in use, seldom more than one: connecting is limited per client. It is
    made when it is first needed, as it reads the machine's whole trust store.
    """

    def __init__(self, settings: Settings, _context: object, proxy: str | None, user_agent: str) -> None:
        self._settings = settings
        self._usual = settings.timeout
        self._proxy = proxy
        self._base = settings.base_url + settings.prefix
        self._headers = {"User-Agent": user_agent, "Accept": ACCEPT}
        secure = settings.base_url.startswith("https:") or (proxy or "").startswith("https:")
        self._identity = _tls.identity(settings) if secure and settings.client_cert is not None else None
        self._authorities = Path(settings.ca_file).read_bytes() if secure and settings.ca_file is not None else None

    def _configured(self, builder: Builder, limit: float) -> Builder:
        global started_in  # noqa: PLW0603 - it is the process's
        started_in = os.getpid()
        builder = (
            builder.follow_redirects(False)
            .referer(False)
            .default_headers(self._headers)
            .brotli(False)
            .zstd(False)
            .timeout(timedelta(seconds=limit))
            .connect_timeout(timedelta(seconds=limit * CONNECT_PART))
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

    def _limit(self, timeout: float) -> float:
        """The time limit of the client that serves an attempt: the usual one or half of it, and so on: a few in all."""
        limit = self._settings.timeout
        while limit > timeout and limit > 0.001:
            limit /= 2
        return limit


class Transport(_Clients):
    """Sends requests and keeps connections, for threads."""

    def __init__(self, settings: Settings, context: object, proxy: str | None, user_agent: str) -> None:
        super().__init__(settings, context, proxy, user_agent)
        self._by_limit: dict[float, SyncClient] = {}

    def send(self, step: Send, end: float) -> Reply:
        """Send once, for at most `step.timeout` seconds."""
        del end
        source, timeout = step.request, step.timeout
        try:
            client = self._by_limit.get(timeout) or self._client(timeout)  # the usual time limit is one of them
            request = _filled(client.request(source.method, self._base + source.path), step, self._usual)
            with request.build_streamed() as answer:
                body = answer.body_reader.read(MAX_ANSWER_BYTES + 1)
        except _ERRORS as error:
            return classify(error)
        return _response(answer, body)

    def _client(self, timeout: float) -> SyncClient:
        limit = self._limit(timeout)
        if limit not in self._by_limit:
            made = self._configured(SyncClientBuilder(), limit).build()
            self._by_limit.setdefault(limit, made)  # another thread may have been faster
        return self._by_limit[limit]

    def close(self) -> None:
        """Close the connections, which go with their clients."""
        while self._by_limit:
            self._by_limit.popitem()[1].close()


class AsyncTransport(_Clients):
    """Sends requests and keeps connections, for the tasks of one event loop."""

    # Rust is not told of a cancellation: the request goes on until it is answered, or its time limit has passed.
    ends_when_cancelled = False

    def __init__(self, settings: Settings, context: object, proxy: str | None, user_agent: str) -> None:
        super().__init__(settings, context, proxy, user_agent)
        self._by_limit: dict[float, Client] = {}

    async def send(self, step: Send, end: float) -> Reply:
        """Send once, for at most `step.timeout` seconds."""
        del end
        source, timeout = step.request, step.timeout
        try:
            client = self._by_limit.get(timeout) or self._client(timeout)  # the usual time limit is one of them
            request = _filled(client.request(source.method, self._base + source.path), step, self._usual)
            async with request.build_streamed() as answer:
                body = await answer.body_reader.read(MAX_ANSWER_BYTES + 1)
        except _ERRORS as error:
            return classify(error)
        return _response(answer, body)

    def _client(self, timeout: float) -> Client:
        limit = self._limit(timeout)
        if limit not in self._by_limit:
            self._by_limit[limit] = self._configured(ClientBuilder(), limit).build()
        return self._by_limit[limit]

    async def close(self) -> None:
        """Close the connections, which go with their clients."""
        while self._by_limit:
            await self._by_limit.popitem()[1].close()


class _Headers(Mapping[str, str]):
    """An answer's headers, read when they are asked for: a success asks for none. One that is no text is not there."""

    __slots__ = ("_answer",)

    def __init__(self, answer: BaseResponse) -> None:
        self._answer = answer

    def __getitem__(self, name: str) -> str:
        try:
            return self._answer.headers[name]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._answer.headers)

    def __len__(self) -> int:
        return len(self._answer.headers)


def _filled(request: AnyRequest, step: Send, usual: float) -> AnyRequest:
    source = step.request
    request = request.bearer_auth(step.token)
    if step.timeout != usual:
        request = request.timeout(timedelta(seconds=step.timeout))
    for name, value in source.headers.items():
        request = request.header(name, value)
    return request if source.body is None else request.body_bytes(source.body)


def classify(error: Exception) -> Failure:
    """Tell the phase of a failure. What is not surely before sending may have been processed."""
    causes = _causes(error)
    reason = f"{type(error).__name__}: {causes[-1]}"
    advice = _tls.rustls_advice(causes[-1])
    if advice is not None:
        return Failure(Phase.NEVER_SENT, advice, certificate=True)
    never_sent = CONNECTING in causes or isinstance(error, ValueError)  # the latter: no request could be made of it
    phase = Phase.NEVER_SENT if never_sent else Phase.ANSWER_LOST
    return Failure(phase, reason, timed_out=isinstance(error, RequestTimeoutError))


def _causes(error: Exception) -> list[str]:
    """What pyreqwest says of a failure, from the outside in. The first names the URL, which holds ids: never shown."""
    details: Any = getattr(error, "details", None)
    causes = [each["message"] for each in (details or {}).get("causes") or []]
    return causes[1:] or [str(getattr(error, "message", error))]


def _response(answer: BaseResponse, body: Any) -> Reply:
    content = b"" if body is None else bytes(body)
    return TOO_LARGE if len(content) > MAX_ANSWER_BYTES else Response(answer.status, _Headers(answer), content)
