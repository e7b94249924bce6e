"""The transport of `AsyncBilling` that is always there: connections of httpcore2."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import suppress
from itertools import count

import httpcore2

from ...config import Settings
from .._httpx2 import ERRORS, AnyLine, Idle, Route, body_for, reply
from .._interface import LISTEN, MAX_HEADERS, TOO_MANY_HEADERS, Reply, Request
from .._network import AsyncNetwork, AsyncStream, AsyncTimeLimit

# Others get a turn after this many pieces of a body.
_TURN = 100


class AsyncLine(AnyLine[httpcore2.AsyncConnectionInterface]):
    """A connection that opens itself for its first request."""

    def __init__(self, route: Route) -> None:
        progress = route.progress()
        network = AsyncNetwork(progress)
        super().__init__(progress, route.connect(httpcore2.AsyncHTTPProxy, httpcore2.AsyncHTTPConnection, network))

    async def is_followed_soon(self, deadline: float) -> bool:
        """Return whether bytes arrive behind the response within `LISTEN` seconds, then close the connection.

        Call it before the response is closed: httpcore2 closes the connection together with a response that demands it.
        """
        stream = self.progress.stream
        try:
            if self.is_followed() or not isinstance(stream, AsyncStream):
                return True
            self.progress.begin(min(deadline, time.monotonic() + LISTEN))
            async with AsyncTimeLimit(self.progress.left()):
                return bool(await stream.read(1))
        except ERRORS:
            return False  # no byte came
        finally:
            await self.connection.aclose()


class AsyncTransport:
    """Sends requests over connections of httpcore2, for the tasks of one event loop.

    A request that is cancelled or interrupted is broken off, and its connection closed.

    Args:
        settings: where to send to.
        context: the certificates; not used for plain HTTP.
        proxy: the URL of the proxy to go through, if any.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None) -> None:
        self._route = Route(settings, context, proxy)
        self._idle: Idle[AsyncLine] = Idle()
        self._closed = False

    async def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        now = time.monotonic()
        line = (None if request.alone else self._idle.take(now)) or AsyncLine(self._route)
        await self._close_spent()
        line.progress.begin(deadline)
        try:
            async with AsyncTimeLimit(deadline - now):
                response = await line.connection.handle_async_request(self._route.request(request))
                if len(response.headers) > MAX_HEADERS:
                    await line.connection.aclose()
                    return TOO_MANY_HEADERS
                body = body_for(response)
                pieces = count(1)
                async for piece in response.aiter_stream():
                    if failure := body.add(piece):
                        await line.connection.aclose()
                        return failure
                    if not next(pieces) % _TURN:  # pieces that have arrived together are read without a pause
                        await asyncio.sleep(0)
                if response.status in request.listen_after:
                    return reply(response, body, followed=await line.is_followed_soon(deadline))
                await response.aclose()
        except ERRORS as error:
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
        return reply(response, body, followed=followed)

    async def _close_spent(self) -> None:
        with suppress(IndexError):  # another thread may take the last one
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
