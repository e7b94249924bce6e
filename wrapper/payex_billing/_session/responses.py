"""`on_response`: the caller's function that receives every response of a client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TypeAlias, TypeVar

import attrs

from .._policy.steps import Send, Step
from .._requests.calls import PreparedRequest
from .._secret import MASK, Secret
from .._transport import Request, Response
from .shapes import ShapeRecorder
from .telemetry import call_hook

T = TypeVar("T")
_SCHEME = "Bearer "


@attrs.frozen(kw_only=True)
class ResponseInfo:
    """One response, as `on_response` receives it.

    Attributes:
        operation: the contract's name of the operation, such as `create_customer`; `check_token` for the read by which
            the client checks a refused token.
        method: the HTTP method.
        route: the path with the names of its parameters, such as `/{ownerNo}/customers/{customerNo}`.
        status: the HTTP status.
        headers: the header fields, names in lower case. They may name a customer, for example in `location`. If a
            server repeats the token, the value is masked.
        elapsed: seconds from handing the request to the transport to the complete response. Waiting for a free place
            among `max_concurrency` counts, too.
        attempt: the number of the attempt within its call, from 1.
    """

    operation: str
    method: str
    route: str
    status: int
    headers: Mapping[str, str] = attrs.field(repr=False, hash=False)
    elapsed: float
    attempt: int


ResponseHook: TypeAlias = Callable[[ResponseInfo], None]
"""Called with every response, before the client judges it."""


def observed(
    policy: Generator[Step, object, T],
    request: PreparedRequest,
    hook: ResponseHook | None,
    now: Callable[[], float],
    shapes: ShapeRecorder | None = None,
) -> Generator[Step, object, T]:
    """Yield the same steps; call the hook for each response, and record its shape.

    Args:
        policy: the steps of a call.
        request: the request of the call.
        hook: the caller's function; None without one.
        now: a monotonic clock in seconds.
        shapes: records what exchanges look like; None without `record_shapes`.
    """
    reply: object = None
    attempts = 0
    while True:
        try:
            step = policy.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        if not isinstance(step, Send):
            reply = yield step
            continue
        is_check = step.request.method != request.method  # the policy checks the token of a POST with a GET
        attempts += not is_check
        began = now()
        reply = yield step
        if not isinstance(reply, Response):
            continue
        if hook is not None:
            info = ResponseInfo(
                operation="check_token" if is_check else request.operation,
                method=step.request.method,
                route=request.template,
                status=reply.status,
                headers=_without_token(reply.headers, step.request),
                elapsed=now() - began,
                attempt=attempts,
            )
            call_hook("on_response", hook, info)
        if shapes is not None and not is_check:
            shapes.record(request.template, step.request, reply)


def _without_token(headers: Mapping[str, str], request: Request) -> dict[str, str]:
    """Return a copy of the headers in which a value that repeats the token is masked."""
    token = Secret(request.headers.get("Authorization", "").removeprefix(_SCHEME))
    return {name: MASK if token and token in value else value for name, value in headers.items()}
