"""Guards a transport: a limited number of requests at once, no use after `close`, after a fork or on another loop."""

from __future__ import annotations

import asyncio
import os
import time
import warnings
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

import attrs

from .._credentials import tls
from .._evidence import Phase
from ..config import Settings, effective_proxy
from ..errors import ConfigurationError
from . import _choice
from ._interface import AsyncTransport, Failure, Reply, Request, Response, Transport
from ._unstoppable import Unstoppable

_CLOSED = "the client is closed"
_NO_PLACE = Failure(Phase.NEVER_SENT, "no place was free among max_concurrency requests", timed_out=True)
_OTHER_LOOP = (
    "an AsyncBilling belongs to the event loop it was first used on: make one for each loop, and close it there"
)


class _Guard:
    """What both senders have in common.

    Args:
        settings: where requests go to, and how many at once.
        owner: how the client calls itself, for the warning when it is left open.
    """

    def __init__(self, settings: Settings, owner: str) -> None:
        self._closed = True  # until the transport is made
        self._settings = settings
        self._owner = owner
        # The server that may refuse our certificate without a word, as long as it has never answered.
        self._suspect: tuple[str, int] | None = None

    def _ready(self, *, own_transport: bool) -> None:
        parts = urlsplit(self._settings.base_url)
        if not own_transport and parts.scheme == "https" and parts.hostname and not effective_proxy(self._settings):
            self._suspect = parts.hostname, parts.port or 443
        self._closed = False

    def _explained(self, failure: Failure) -> Failure:
        """The failure with advice about our certificate, if the server refuses a second connection for it.

        The second connection says nothing about the first request, which may have been processed: the advice changes
        the text, and never the phase.
        """
        if self._suspect is None:
            return failure
        context = _choice.ssl_context(self._settings)
        has_certificate = self._settings.client_cert is not None
        advice = tls.probe(context, *self._suspect, has_certificate=has_certificate)
        if advice is None and not has_certificate and failure.phase is Phase.ANSWER_LOST:
            advice = tls.NO_CERTIFICATE
        return attrs.evolve(failure, reason=f"{advice}; {failure.reason}") if advice else failure

    def __del__(self) -> None:
        if not self._closed:
            warnings.warn(f"unclosed {self._owner}", ResourceWarning, source=self, stacklevel=2)


class Sender(_Guard):
    """Sends requests over a transport, for threads.

    Args:
        settings: where requests go to, and how many at once.
        owner: how the client calls itself, for the warning when it is left open.
        transport: what sends them; the default transport of the settings if None.
    """

    def __init__(self, settings: Settings, owner: str, transport: Transport | None) -> None:
        super().__init__(settings, owner)
        self._given = transport
        self._start()
        self._ready(own_transport=transport is not None)

    def _start(self) -> None:
        self._process = _process
        # A place is a None in the queue, which costs a tenth of a semaphore.
        self._places: SimpleQueue[None] = SimpleQueue()
        for _ in range(self._settings.max_concurrency):
            self._places.put(None)
        self.transport = self._given or _choice.default_transport(self._settings)

    def send(self, request: Request, timeout: float) -> Reply:
        """Send once, in `timeout` seconds.

        Raises:
            ConfigurationError: the client is closed.
        """
        if self._process != _process and not self._closed:
            self._start_after_fork()
        deadline = time.monotonic() + timeout
        try:
            self._places.get(timeout=timeout)
        except Empty:
            return _NO_PLACE
        try:
            if self._closed:
                raise ConfigurationError(_CLOSED)
            reply = self.transport.send(request, deadline)
        finally:
            self._places.put(None)
        if self._suspect is not None:
            if isinstance(reply, Response):
                self._suspect = None
            elif not (reply.certificate or reply.timed_out):
                return self._explained(reply)
        return reply

    def _start_after_fork(self) -> None:
        """A forked child must not speak on its parent's connections. They are kept, so that nothing closes them."""
        _inherited.append(self.transport)
        if _choice.chosen(attrs.evolve(self._settings, engine="auto")) == "httpx":
            self._settings = attrs.evolve(self._settings, engine="httpx")  # reqwest's threads stay with the parent
        self._start()

    def close_idle(self) -> None:
        """Close the connections that no request uses."""
        self.transport.close_idle()

    def close(self) -> None:
        """Close the connections."""
        if self._closed:
            return
        self._closed = True
        if self._process != _process:
            return
        if getattr(self.transport, "outlives_caller", False):
            # A thread that is still inside Rust when the interpreter ends would abort the process. Each attempt ends
            # by its deadline.
            for _ in range(self._settings.max_concurrency):
                self._places.get()
            for _ in range(self._settings.max_concurrency):
                self._places.put(None)
        self.transport.close()


class AsyncSender(_Guard):
    """Sends requests over a transport, for the tasks of one event loop.

    Args:
        settings: where requests go to, and how many at once.
        owner: how the client calls itself, for the warning when it is left open.
        transport: what sends them; the default transport of the settings if None.
    """

    def __init__(self, settings: Settings, owner: str, transport: AsyncTransport | None) -> None:
        super().__init__(settings, owner)
        self._loop: asyncio.AbstractEventLoop | None = None
        # Free places are only counted, because a semaphore costs four times as much. The semaphore serves the requests
        # that wait: each place that is given back meanwhile goes to one of them.
        self._free = settings.max_concurrency
        self._waiting = 0
        self._handed_on = asyncio.Semaphore(0)
        self._under_way: set[asyncio.Task[Reply]] = set()  # requests that may outlive their callers
        self.transport = transport or _choice.default_async_transport(settings)
        self._shielded: bool = getattr(self.transport, "outlives_caller", False)
        self._ready(own_transport=transport is not None)

    async def send(self, request: Request, timeout: float) -> Reply:  # noqa: ASYNC109 - of one attempt
        """Send once, in `timeout` seconds.

        Raises:
            ConfigurationError: the client is closed, or belongs to another event loop.
        """
        if self._closed:
            raise ConfigurationError(_CLOSED)
        if asyncio.get_running_loop() is not self._loop:
            self._take_loop()
        deadline = time.monotonic() + timeout
        if self._free:
            self._free -= 1
        elif not await self._wait_for_place(timeout):
            return _NO_PLACE
        if self._shielded:
            reply = await Unstoppable(self.transport.send(request, deadline), self._give_back, self._under_way)
        else:
            try:
                reply = await self.transport.send(request, deadline)
            finally:
                self._give_back()
        if self._suspect is not None:
            if isinstance(reply, Response):
                self._suspect = None
            elif not (reply.certificate or reply.timed_out):
                return await asyncio.to_thread(self._explained, reply)
        return reply

    async def _wait_for_place(self, seconds: float) -> bool:
        """Take a place that another request gives back; return whether there was one in time."""
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds):
                return await self._handed_on.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def _give_back(self) -> None:
        if self._waiting:
            self._handed_on.release()
        else:
            self._free += 1

    def _take_loop(self) -> None:
        if self._loop is not None:
            raise ConfigurationError(_OTHER_LOOP)
        self._loop = asyncio.get_running_loop()

    async def close_idle(self) -> None:
        """Close the connections that no request uses."""
        await self.transport.close_idle()

    async def close(self) -> None:
        """Close the connections. Requests whose callers were cancelled are awaited; each ends by its deadline.

        Raises:
            ConfigurationError: the client was used on another event loop.
        """
        if self._closed:
            return
        self._closed = True
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise ConfigurationError(_OTHER_LOOP)
        if self._under_way:  # if one were left, Rust would wake an interpreter that has ended, and abort
            await asyncio.wait(self._under_way)
        await self.transport.close()
        await asyncio.sleep(0)  # asyncio closes a socket in the turn after the one that asked for it


# Counts forks: a child's number is another than its parent's.
_process = 0


def _count_fork() -> None:
    global _process  # noqa: PLW0603 - it is the process's
    _process += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)
# Transports of a parent process: a child that let go of them would close their connections.
_inherited: list[object] = []
