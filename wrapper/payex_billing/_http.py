"""The only module that imports httpx: the engines that send plain requests, and the drivers that run the policy."""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
import threading
import time
import warnings
from collections.abc import Generator
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx

from . import _tls
from ._policy import Failure, GetToken, Reply, Response, Send, Step, Wait
from ._tokens import AsyncTokenSource, TokenSource
from .config import Settings
from .errors import ConfigurationError, Phase

# Nothing in this API is near it. More would only fill the memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# httpx keeps 20 connections alive by default, and opens a new one for nearly every call above that.
# The limit is ours, before the pool: under asyncio a cancelled call can keep its place in httpx's for ever.
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=100)
_NO_PLACE = Failure(Phase.NEVER_SENT, "no place was free among max_concurrency requests", timed_out=True)


@cache
def _usual_context() -> ssl.SSLContext:
    """One context for all clients without certificates of their own: making one reads the whole trust store."""
    context = httpx.create_ssl_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The context that the settings ask for.

    Raises:
        ConfigurationError: a certificate cannot be used.
    """
    if settings.client_cert is None and settings.ca_file is None:
        return _usual_context()
    return _tls.prepare(httpx.create_ssl_context(), settings)


@cache
def user_agent() -> str:
    """Who is calling."""
    try:
        own = version("payex-billing")
    except PackageNotFoundError:
        own = "0"
    return f"payex-billing/{own} Python/{platform.python_version()}"


class _Connections:
    """What both engines have in common: how a client is made, and when it may be used.

    Args:
        settings: where to send to, and with which certificates.
        owner: how the client calls itself, for the warning when it is left open.
    """

    def __init__(self, settings: Settings, owner: str) -> None:
        self._closed = True  # until all below has succeeded
        self._settings = settings
        self._owner = owner
        self._base = settings.base_url + settings.prefix
        self._context = ssl_context(settings)
        self._suspect: tuple[str, int] | None = _suspect(settings)
        self._limit = settings.max_concurrency
        self._closed = False

    def _options(self) -> dict[str, Any]:
        return {
            "verify": self._context,
            "limits": _LIMITS,
            "proxy": self._settings.proxy,
            "follow_redirects": False,
        }

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigurationError("the client is closed")

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self._owner}", ResourceWarning, source=self, stacklevel=2)


class Engine(_Connections):
    """Sends plain requests through an `httpx.Client`."""

    def __init__(self, settings: Settings, owner: str) -> None:
        super().__init__(settings, owner)
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        self._places = threading.BoundedSemaphore(self._limit)
        self._client = httpx.Client(**self._options())

    def send(self, step: Send) -> Reply:
        """Send once."""
        self._check_open()
        if self._process != os.getpid():
            # A forked child must not speak on its parent's connections. They are kept, so that nothing closes them.
            _inherited.append(self._client)
            self._start()
        end = time.monotonic() + step.timeout
        if not self._places.acquire(timeout=step.timeout):
            return _NO_PLACE
        try:
            return self._send(step, end)
        finally:
            self._places.release()

    def _send(self, step: Send, end: float) -> Reply:
        try:
            request = _prepare(self._base, step, end)
            answer = self._client.send(request, stream=True)
            try:
                body = bytearray()
                for chunk in answer.iter_bytes():
                    body += chunk
                    if failure := _too_much(body, end):
                        return failure
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = classify(error)
            if self._suspect is not None and _unexplained(failure):
                advice = _tls.probe(self._context, *self._suspect)
                return Failure(Phase.NEVER_SENT, advice, certificate=True) if advice else failure
            return failure
        self._suspect = None
        return _response(answer, body)

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._process == os.getpid():
            self._client.close()


class AsyncEngine(_Connections):
    """Sends plain requests through an `httpx.AsyncClient`."""

    def __init__(self, settings: Settings, owner: str) -> None:
        super().__init__(settings, owner)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = asyncio.Semaphore(self._limit)
        self._client = httpx.AsyncClient(**self._options())

    async def send(self, step: Send) -> Reply:
        """Send once."""
        self._check_open()
        self._check_loop()
        end = time.monotonic() + step.timeout
        if self._places.locked():
            try:
                async with asyncio.timeout(step.timeout):
                    await self._places.acquire()
            except TimeoutError:
                return _NO_PLACE
        else:
            await self._places.acquire()
        try:
            return await self._send(step, end)
        except asyncio.CancelledError:
            await self._close_forgotten()
            raise
        finally:
            self._places.release()

    async def _send(self, step: Send, end: float) -> Reply:
        try:
            request = _prepare(self._base, step, end)
            answer = await self._client.send(request, stream=True)
            try:
                body = bytearray()
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if failure := _too_much(body, end):
                        return failure
            finally:
                await answer.aclose()
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = classify(error)
            if self._suspect is not None and _unexplained(failure):
                advice = await asyncio.to_thread(_tls.probe, self._context, *self._suspect)
                return Failure(Phase.NEVER_SENT, advice, certificate=True) if advice else failure
            return failure
        self._suspect = None
        return _response(answer, body)

    async def _close_forgotten(self) -> None:
        """Close connections that httpx has lost sight of.

        One whose request is cancelled after connecting and before sending stays open in the pool, belongs to nobody,
        and is never used again. The pool has no name for that, so its own list of requests tells.
        """
        pools = [getattr(each, "_pool", None) for each in (self._client._transport, *self._client._mounts.values())]
        for pool in pools:
            if isinstance(pool, httpcore.AsyncConnectionPool):
                taken = {id(request.connection) for request in pool._requests}
                for connection in pool.connections:
                    if id(connection) not in taken and not connection.is_idle() and not connection.is_closed():
                        with suppress(OSError, httpcore.NetworkError):
                            await connection.aclose()

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(
                "an AsyncBilling belongs to the event loop it was first used on: make one for each loop"
            )

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        await self._client.aclose()


# Named, so that a test can hold time still.
_pause, _sleep = time.sleep, asyncio.sleep
# Clients of a parent process: a child that let go of them would close their connections.
_inherited: list[httpx.Client] = []


def drive(policy: Generator[Step, object, Response], engine: Engine, tokens: TokenSource) -> Response:
    """Run the policy, blocking."""
    reply: object = None
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        match step:
            case Send():
                reply = engine.send(step)
            case Wait():
                _pause(step.seconds)
                reply = None
            case GetToken():
                reply = tokens.get(step.refused)


async def drive_async(
    policy: Generator[Step, object, Response], engine: AsyncEngine, tokens: AsyncTokenSource
) -> Response:
    """Run the policy on the event loop."""
    reply: object = None
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        match step:
            case Send():
                reply = await engine.send(step)
            case Wait():
                await _sleep(step.seconds)
                reply = None
            case GetToken():
                reply = await tokens.get(step.refused)


def classify(error: httpx.HTTPError | httpx.InvalidURL | OSError) -> Failure:
    """Tell the phase of a failure.

    What httpx raises before it has a connection was never sent. Everything after may have been processed, a failed
    write too: the server can have read enough.
    """
    advice = _tls.certificate_advice(error)
    if advice is not None:
        # TLS failed, or the server broke it off before it read the request.
        return Failure(Phase.NEVER_SENT, advice, certificate=True)
    reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    never_sent = (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.ProxyError,
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
        httpx.LocalProtocolError,
    )
    phase = Phase.NEVER_SENT if isinstance(error, never_sent) else Phase.ANSWER_LOST
    return Failure(phase, reason, timed_out=isinstance(error, httpx.TimeoutException))


def _suspect(settings: Settings) -> tuple[str, int] | None:
    """The server whose silence may mean that it refuses our certificate, as long as it has never answered us."""
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https" or parts.hostname is None or settings.proxy is not None:
        return None
    return parts.hostname, parts.port or 443


def _unexplained(failure: Failure) -> bool:
    return failure.phase is Phase.ANSWER_LOST and not failure.timed_out


class _TimeLeft(dict[str, float]):
    """The time limits of an attempt, by httpx's phases: each may take what the ones before it have left."""

    def __init__(self, end: float) -> None:
        super().__init__()
        self._end = end

    def get(self, _phase: str, _default: object = None) -> float:
        return max(0.001, self._end - time.monotonic())


def _prepare(base: str, step: Send, end: float) -> httpx.Request:
    """The request as it goes out. Made by hand: merging with a client's defaults would cost more than all else here."""
    source = step.request
    headers = {
        **source.headers,
        "Authorization": f"Bearer {step.token}",
        "User-Agent": user_agent(),
        "Accept-Encoding": "gzip, deflate",
    }
    return httpx.Request(
        source.method,
        base + source.path,
        headers=headers,
        content=source.body,
        extensions={"timeout": _TimeLeft(end)},
    )


def _too_much(body: bytearray, end: float) -> Failure | None:
    """A body that grows without end, in size or in time: httpx limits only the time between two chunks."""
    if len(body) > MAX_ANSWER_BYTES:
        return Failure(Phase.ANSWER_LOST, f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
    if time.monotonic() > end:
        return Failure(Phase.ANSWER_LOST, "timed out while reading the answer", timed_out=True)
    return None


def _response(answer: httpx.Response, body: bytearray) -> Response:
    # Its headers are a mapping that knows no case, which is all that is asked of them.
    return Response(answer.status_code, answer.headers, bytes(body))
