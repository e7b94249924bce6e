"""The language between the policy and who runs it: the steps of a call, and what the policy needs from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import attrs

from .._evidence import Attempt
from .._requests.calls import PreparedRequest
from .._secret import Secret
from .._transport import Request, Response
from .limits import AnyPace, Pace


@attrs.define
class Send:
    """Send the request; give back a `Response` or a `Failure`."""

    request: Request
    timeout: float


@attrs.frozen
class Wait:
    """Wait so many seconds; give back None."""

    seconds: float


@attrs.frozen
class GetToken:
    """Give back a token; a fresh one if `refused` is given, or the same if there is no other."""

    refused: Secret | None = None


@attrs.frozen
class CloseIdle:
    """Close the idle connections: a response may not belong to its request. Give back None."""


Step: TypeAlias = Send | Wait | GetToken | CloseIdle


@attrs.frozen
class Environment:
    """The inputs of the policy, such as clocks, injected so that a test can control them.

    Attributes:
        now: a monotonic clock in seconds.
        random: a number from 0 to below 1, for the jitter.
        epoch: seconds since 1970, for a Retry-After that is a date, and for the time at which a lost POST was sent.
        base: the origin and the API's prefix; the client appends every path to it.
        headers: the header fields of every request.
        trace_headers: returns the header fields of the trace to which a request belongs; None without tracing.
        pace: how many requests a second the client sends.
        on_attempt: called after every attempt with the request, the attempt, and the response if there was one.
        look_up: looks up a lost creation, for `OutcomeUnknown.look_up`.
    """

    now: Callable[[], float]
    random: Callable[[], float]
    epoch: Callable[[], float]
    base: str = ""
    headers: Mapping[str, str] = attrs.field(factory=dict)
    trace_headers: Callable[[], Mapping[str, str]] | None = None
    pace: AnyPace = attrs.field(factory=Pace)
    on_attempt: Callable[[PreparedRequest, Attempt, Response | None], None] | None = None
    look_up: Callable[..., object] | None = None
