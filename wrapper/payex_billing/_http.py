"""The engines that send plain requests, whichever library does it, and the drivers that run the policy.

An engine knows what is the same for all libraries: how many requests may be under way, when a client may be used, what
a silent server may mean. A transport, `_httpx.py` or `_reqwest.py`, sends one request and says what came of it.
"""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
import sys
import time
import warnings
from collections.abc import Awaitable, Generator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from . import _tls
from ._places import Places, Unstoppable
from ._policy import Failure, GetToken, Reply, Response, Send, Step
from ._tokens import AsyncTokenSource, TokenSource
from .config import Settings, effective_proxy
from .errors import ConfigurationError, Phase

if TYPE_CHECKING:
    from . import _httpx, _reqwest

    Transport: TypeAlias = _httpx.Transport | _reqwest.Transport
    AsyncTransport: TypeAlias = _httpx.AsyncTransport | _reqwest.AsyncTransport

# The limit is ours, before any library's pool: there a cancelled call can keep its place for ever.
_CLOSED = "the client is closed"
_NO_PLACE = Failure(Phase.NEVER_SENT, "no place was free among max_concurrency requests", timed_out=True)


def chosen(settings: Settings) -> str:
    """The engine that the settings come to: `httpx` or `reqwest`.

    Raises:
        ConfigurationError: the engine that is wanted is not installed.
    """
    if settings.engine == "httpx":
        return "httpx"
    installed = find_spec("pyreqwest") is not None
    loaded = sys.modules.get(f"{__package__}._reqwest")
    forked = loaded is not None and loaded.started_in not in {None, os.getpid()}
    if settings.engine == "reqwest":
        if not installed:
            raise ConfigurationError("the engine reqwest needs an extra: pip install 'payex-billing[fast]'")
        if forked:
            raise ConfigurationError("the engine reqwest does not work in a process forked from one that has used it")
        return "reqwest"
    if not installed or forked or (_tls.key_is_encrypted(settings) and find_spec("cryptography") is None):
        return "httpx"
    return "reqwest"


@cache
def _usual_context() -> ssl.SSLContext:
    """One context for all clients without certificates of their own: making one reads the whole trust store."""
    from ._httpx import usual_context  # noqa: PLC0415 - the fast engine does without

    context = usual_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The context that the settings ask for.

    Raises:
        ConfigurationError: a certificate cannot be used.
    """
    if settings.client_cert is None and settings.ca_file is None:
        return _usual_context()
    from ._httpx import usual_context  # noqa: PLC0415

    return _tls.prepare(usual_context(), settings)


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
        self._proxy = effective_proxy(settings)
        self.origin = settings.base_url
        self.library = "mock" if self.origin in in_process else chosen(settings)
        # Files are looked at now, so that what is wrong with them is said where they were named.
        named = settings.client_cert is not None or settings.ca_file is not None
        self._context = ssl_context(settings) if named or self.library == "httpx" else None
        self._suspect = None if self._proxy else _secured(settings)
        self._limit = settings.max_concurrency
        self._closed = False

    def _explained(self, failure: Failure) -> Failure:
        """The failure with advice about our certificate, if a second connection is refused for it.

        The second connection says nothing about the first request: that one may have been processed. So the advice
        changes the text and never the phase.
        """
        advice = _tls.probe(self._context or ssl_context(self._settings), *self._suspect) if self._suspect else None
        return Failure(failure.phase, f"{failure.reason}; {advice}", timed_out=failure.timed_out) if advice else failure

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self._owner}", ResourceWarning, source=self, stacklevel=2)


class Engine(_Connections):
    """Sends plain requests, for threads."""

    def __init__(self, settings: Settings, owner: str) -> None:
        super().__init__(settings, owner)
        self._start()

    def _start(self) -> None:
        self._process = _process
        # A place is a None in the queue, which costs a tenth of a semaphore.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._limit):
            self._places.put(None)
        self._transport: Transport = _library(self).Transport(self._settings, self._context, self._proxy, user_agent())

    def send(self, step: Send) -> Reply:
        """Send once."""
        if self._closed:
            raise ConfigurationError(_CLOSED)
        if self._process != _process:
            # A forked child must not speak on its parent's connections. They are kept, so that nothing closes them.
            _inherited.append(self._transport)
            if self.library == "reqwest":  # its threads have stayed with the parent
                self.library = "httpx"
                self._context = self._context or ssl_context(self._settings)
            self._start()
        end = time.monotonic() + step.timeout
        try:
            self._places.get(timeout=step.timeout)
        except Empty:
            return _NO_PLACE
        try:
            reply = self._transport.send(step, end)
        finally:
            self._places.put(None)
        if self._suspect is not None:
            if isinstance(reply, Response):
                self._suspect = None
            elif _unexplained(reply):
                return self._explained(reply)
        return reply

    def close(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._process == _process:
            self._transport.close()


class AsyncEngine(_Connections):
    """Sends plain requests, for the tasks of one event loop."""

    def __init__(self, settings: Settings, owner: str) -> None:
        super().__init__(settings, owner)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._places = Places(self._limit)
        self._under_way: set[asyncio.Task[Reply]] = set()  # what goes on without its caller
        self._transport: AsyncTransport = _library(self).AsyncTransport(
            settings, self._context, self._proxy, user_agent()
        )

    def send(self, step: Send) -> Awaitable[Reply]:
        """Send once. What is returned is to be awaited at once, by the task that asked for it."""
        if self._closed:
            raise ConfigurationError(_CLOSED)
        if asyncio.get_running_loop() is not self._loop:
            self._take_loop()
        # Every coroutine between a task and its request costs again for each answer, so there are as few as can be.
        end = time.monotonic() + step.timeout
        return self._sending(step, end) if self._suspect is None and self._places.take() else self._carefully(step, end)

    async def _carefully(self, step: Send, end: float) -> Reply:
        """Wait for a place; explain the silence of a server that has never answered."""
        if not self._places.take() and not await self._places.wait(step.timeout):
            return _NO_PLACE
        reply = await self._sending(step, end)
        if self._suspect is not None:
            if isinstance(reply, Response):
                self._suspect = None
            elif _unexplained(reply):
                return await asyncio.to_thread(self._explained, reply)
        return reply

    def _sending(self, step: Send, end: float) -> Awaitable[Reply]:
        """A request that has its place, and leaves it when it has ended."""
        if self._transport.ends_when_cancelled:
            return self._send(step, end)
        return Unstoppable(self._transport.send(step, end), self._places.leave, self._under_way)

    async def _send(self, step: Send, end: float) -> Reply:
        try:
            return await self._transport.send(step, end)
        finally:
            self._places.leave()

    def _take_loop(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        else:
            raise ConfigurationError(
                "an AsyncBilling belongs to the event loop it was first used on: make one for each loop"
            )

    async def close(self) -> None:
        """Close the connections."""
        self._closed = True
        await self._transport.close()


# Counts forks: a child's number is another than its parent's.
_process = 0


def _count_fork() -> None:
    global _process  # noqa: PLW0603 - it is the process's
    _process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
# Origins that are reached without a network, and what has their transports: `payex_billing.testing` puts mocks here.
in_process: dict[str, Any] = {}
# Named, so that a test can hold time still.
_pause, _sleep = time.sleep, asyncio.sleep
# Connections of a parent process: a child that let go of them would close them.
_inherited: list[object] = []


def drive(policy: Generator[Step, object, Response], engine: Engine, tokens: TokenSource) -> Response:
    """Run the policy, blocking."""
    reply: object = None
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            response: Response = stop.value
            return response
        if isinstance(step, Send):
            reply = engine.send(step)
        elif isinstance(step, GetToken):
            reply = tokens.get(step.refused)
        else:
            _pause(step.seconds)
            reply = None


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
        if isinstance(step, Send):
            reply = await engine.send(step)
        elif isinstance(step, GetToken):
            reply = await tokens.get(step.refused)
        else:
            await _sleep(step.seconds)
            reply = None


def _library(engine: _Connections) -> Any:
    """What has the transports of the library that was chosen; the other library is not loaded."""
    if engine.library == "mock":
        return in_process[engine.origin]
    if engine.library == "reqwest":
        from . import _reqwest  # noqa: PLC0415

        return _reqwest
    from . import _httpx  # noqa: PLC0415

    return _httpx


def _secured(settings: Settings) -> tuple[str, int] | None:
    """The server whose silence may mean that it refuses our certificate, as long as it has never answered us."""
    parts = urlsplit(settings.base_url)
    if parts.scheme != "https" or parts.hostname is None:
        return None
    return parts.hostname, parts.port or 443


def _unexplained(failure: Failure) -> bool:
    return failure.phase is Phase.ANSWER_LOST and not failure.timed_out
