"""How a client reaches a mock in its own process: the transports of the engine, without a network."""

from __future__ import annotations

from typing import Any, NamedTuple

from payex_billing_mock import Faults, MockApp, misfortune
from payex_billing_mock.app import Request as Received

from .._policy import Failure as Lost
from .._policy import Reply, Response, Send
from ..errors import Phase


class Transports(NamedTuple):
    """The classes that an engine makes its transport of."""

    Transport: Any
    AsyncTransport: Any


def transports(app: MockApp, faults: Faults) -> Transports:
    """The blocking and the asynchronous transport to a mock."""

    class Transport:
        ends_when_cancelled = True

        def __init__(self, settings: Any, *_: object) -> None:
            self._prefix = settings.prefix

        def send(self, step: Send, _end: float) -> Reply:
            return _exchange(app, faults, self._prefix, step)

        def close(self) -> None:
            pass

    class AsyncTransport(Transport):
        async def send(self, step: Send, _end: float) -> Reply:  # type: ignore[override]
            return _exchange(app, faults, self._prefix, step)

        async def close(self) -> None:  # type: ignore[override]
            pass

    return Transports(Transport, AsyncTransport)


def _exchange(app: MockApp, faults: Faults, prefix: str, step: Send) -> Reply:
    source = step.request
    headers = {name.lower(): value for name, value in source.headers.items()}
    headers["authorization"] = f"Bearer {step.token}"
    request = Received(source.method, (prefix + source.path).encode("ascii"), headers, source.body or b"")
    answer = misfortune.answer(app, faults, request, step.timeout)
    if isinstance(answer, misfortune.Broken):
        timed_out = answer.seconds >= step.timeout
        return Lost(Phase.ANSWER_LOST, f"the mock's fault {answer.fault}", timed_out=timed_out)
    return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)
