# Made by `make generate` from wrapper/payex_billing/_transport/_async/httpx2.py: edit that file.
"""The transport of `Billing` that is always there: connections of httpcore2."""

from __future__ import annotations

import ssl
import time
from contextlib import suppress
from itertools import count

import httpcore2

from ...config import Settings
from .._httpx2 import ERRORS, AnyLine, Idle, Route, body_for, reply
from .._interface import LISTEN, MAX_HEADERS, TOO_MANY_HEADERS, Reply, Request
from .._network import Network, Stream, TimeLimit

# Others get a turn after this many pieces of a body.
_TURN = 100


class Line(AnyLine[httpcore2.ConnectionInterface]):
    """A connection that opens itself for its first request."""

    def __init__(self, route: Route) -> None:
        progress = route.progress()
        network = Network(progress)
        super().__init__(progress, route.connect(httpcore2.HTTPProxy, httpcore2.HTTPConnection, network))

    def is_followed_soon(self, deadline: float) -> bool:
        """Return whether bytes arrive behind the response within `LISTEN` seconds, then close the connection.

        Call it before the response is closed: httpcore2 closes the connection together with a response that demands it.
        """
        stream = self.progress.stream
        try:
            if self.is_followed() or not isinstance(stream, Stream):
                return True
            self.progress.begin(min(deadline, time.monotonic() + LISTEN))
            with TimeLimit(self.progress.left()):
                return bool(stream.read(1))
        except ERRORS:
            return False  # no byte came
        finally:
            self.connection.close()


class Transport:
    """Sends requests over connections of httpcore2, for threads.

    A request that is cancelled or interrupted is broken off, and its connection closed.

    Args:
        settings: where to send to.
        context: the certificates; not used for plain HTTP.
        proxy: the URL of the proxy to go through, if any.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None, proxy: str | None) -> None:
        self._route = Route(settings, context, proxy)
        self._idle: Idle[Line] = Idle()
        self._closed = False

    def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        now = time.monotonic()
        line = (None if request.alone else self._idle.take(now)) or Line(self._route)
        self._close_spent()
        line.progress.begin(deadline)
        try:
            with TimeLimit(deadline - now):
                response = line.connection.handle_request(self._route.request(request))
                if len(response.headers) > MAX_HEADERS:
                    line.connection.close()
                    return TOO_MANY_HEADERS
                body = body_for(response)
                pieces = count(1)
                for piece in response.iter_stream():
                    if failure := body.add(piece):
                        line.connection.close()
                        return failure
                    if not next(pieces) % _TURN:  # pieces that have arrived together are read without a pause
                        time.sleep(0)
                if response.status in request.listen_after:
                    return reply(response, body, followed=line.is_followed_soon(deadline))
                response.close()
        except ERRORS as error:
            line.connection.close()
            return line.failure(error)
        except BaseException as error:  # noqa: BLE001 - it is raised again
            line.connection.close()
            # The frames of the HTTP library hold the Authorization header.
            raise error.with_traceback(None) from None
        followed = line.is_followed()
        line.used = True
        self._idle.put(line, time.monotonic())
        if self._closed:
            self._idle.clear()
        self._close_spent()
        return reply(response, body, followed=followed)

    def _close_spent(self) -> None:
        with suppress(IndexError):  # another thread may take the last one
            while self._idle.spent:
                self._idle.spent.pop().connection.close()

    def close_idle(self) -> None:
        """Close the connections that no request uses."""
        self._idle.clear()
        self._close_spent()

    def close(self) -> None:
        """Close the connections; one that is in use is closed after its response."""
        self._closed = True
        self.close_idle()
