"""How a client reaches a mock in its own process: a transport without a network."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import attrs
from payex_billing_mock import Faults, MockApp, misfortune
from payex_billing_mock.app import Request as Received

from .._evidence import Phase
from .._transport import Failure, Reply, Request, Response


@attrs.define
class InProcess:
    """Sends requests to a mock, for threads.

    Args:
        app: the mock.
        faults: what happens to requests.
    """

    _app: MockApp
    _faults: Faults

    def send(self, request: Request, deadline: float) -> Reply:
        """Send once. Nothing waits: a latency beyond the deadline is a time-out at once."""
        return _exchange(self._app, self._faults, request, deadline)

    def close_idle(self) -> None:
        """Nothing to close."""

    def close(self) -> None:
        """Nothing to close."""


@attrs.define
class AsyncInProcess:
    """The same for the tasks of an event loop."""

    _app: MockApp
    _faults: Faults

    async def send(self, request: Request, deadline: float) -> Reply:
        """Send once."""
        return _exchange(self._app, self._faults, request, deadline)

    async def close_idle(self) -> None:
        """Nothing to close."""

    async def close(self) -> None:
        """Nothing to close."""


def _exchange(app: MockApp, faults: Faults, request: Request, deadline: float) -> Reply:
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers.items()}
    received = Received(
        request.method, parts.path.encode("ascii"), headers, request.body or b"", query=parts.query.encode("ascii")
    )
    left = deadline - time.monotonic()
    response = misfortune.answer(app, faults, received, left)
    if isinstance(response, misfortune.Broken):
        return Failure(Phase.ANSWER_LOST, f"the mock's fault {response.fault}", timed_out=response.seconds >= left)
    return Response(response.status, {name.lower(): value for name, value in response.headers.items()}, response.body)
