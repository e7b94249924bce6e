"""What a client reports of its requests: log records, the caller's hook, and OpenTelemetry spans.

No id, token or body gets here: routes are named by their template, header fields by an allowlist.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any, TypeAlias, TypeVar

import attrs

from .._requests.calls import PreparedRequest
from .._transport import Response
from ..errors import Attempt, BillingError, ConfigurationError, ProblemError

logger = logging.getLogger("payex_billing")
AttemptHook: TypeAlias = Callable[[str, Attempt], None]
"""Called after every attempt with the operation's name, such as `create_customer`, and the attempt."""

# What is logged of a response's headers: numbers and known media types. Any other value could hold a secret or an id.
_NUMBERS = ("content-length", "retry-after")
_MEDIA_TYPES = frozenset({"application/json", "application/problem+json", "text/html", "text/plain"})


F = TypeVar("F", bound=Callable[..., object])


@attrs.define
class Sent:
    """How many requests a run has sent.

    Attributes:
        requests: all requests, with the retries.
        retries: requests that were sent again.
    """

    requests: int = 0
    retries: int = 0


counting: ContextVar[Sent | None] = ContextVar("payex_billing_counting", default=None)
"""Counts the requests of the run to which a task belongs, if the client traces."""


def plain_function(name: str, hook: F | None) -> F | None:
    """Check a function of the caller that the client calls and does not await, and return it.

    Raises:
        ConfigurationError: the hook is not callable, or is an async function.
    """
    if hook is None:
        return None
    if not callable(hook):
        raise ConfigurationError(f"{name} must be a function, not {type(hook).__name__}")
    if iscoroutinefunction(hook) or iscoroutinefunction(getattr(hook, "__call__", None)):  # noqa: B004 - of an object
        raise ConfigurationError(f"{name} must be a plain function: the client does not await it")
    return hook


def call_hook(name: str, hook: Callable[..., object], *arguments: object) -> None:
    """Call a function of the caller. Log and ignore its exception.

    An exception must not discard the result of the call, or the caller could add a charge again.
    """
    try:
        hook(*arguments)
    except Exception:
        logger.exception("%s raised an exception, which is ignored", name)


class Telemetry:
    """Reports one client's requests.

    Args:
        hook: the caller's function, checked by `plain_function`.
        tracing: whether to make OpenTelemetry spans.
        host: the server, for the spans.

    Raises:
        ConfigurationError: tracing is wanted, but OpenTelemetry is not installed.
    """

    def __init__(self, hook: AttemptHook | None, *, tracing: bool, host: str) -> None:
        self._hook = hook
        self._host = host
        self.tracing = tracing
        if tracing:
            try:
                from opentelemetry import trace  # noqa: PLC0415 - an extra
                from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415
            except ModuleNotFoundError:
                message = "tracing needs an extra: pip install 'payex-billing[otel]'"
                raise ConfigurationError(message) from None
            self._trace: Any = trace
            self._tracer: Any = trace.get_tracer("payex_billing")
            self._propagator: Any = tracecontext.TraceContextTextMapPropagator()

    def attempt(self, request: PreparedRequest, attempt: Attempt, response: Response | None) -> None:
        """An attempt has ended."""
        if attempt.wait is not None or logger.isEnabledFor(logging.DEBUG):
            _log(request, attempt, response)
        if self._hook is not None:
            call_hook("on_attempt", self._hook, request.operation, attempt)
        if self.tracing:
            if (sent := counting.get()) is not None:
                sent.requests += 1
                sent.retries += attempt.wait is not None
            event = {"payex_billing.phase": attempt.phase.value}
            if attempt.status is not None:
                event["http.response.status_code"] = str(attempt.status)
            if attempt.failure is not None:
                event["payex_billing.failure"] = attempt.failure
            if attempt.wait is not None:
                event["payex_billing.wait_seconds"] = f"{attempt.wait:.3f}"
            span = self._trace.get_current_span()
            span.add_event("attempt", event)
            if attempt.status is not None:
                span.set_attribute("http.response.status_code", attempt.status)

    def trace_headers(self) -> Mapping[str, str]:
        """Return the `traceparent` of the current span, and its `tracestate` if there is one (W3C Trace Context).

        The propagators that the program has configured are not asked: they could send baggage.
        """
        headers: dict[str, str] = {}
        self._propagator.inject(headers)
        return headers

    @contextmanager
    def span(self, request: PreparedRequest) -> Iterator[None]:
        """A span around a call, with its attempts as events. Only when tracing.

        The span takes an error's class, but not its message or traceback: they may name a person.
        """
        attributes = {
            "http.request.method": request.method,
            "url.template": request.template,
            "server.address": self._host,
            "payex_billing.operation": request.operation,
        }
        with self._tracer.start_as_current_span(
            f"{request.method} {request.template}",
            kind=self._trace.SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                if isinstance(error, ProblemError) and error.problem.code:
                    span.set_attribute("payex_billing.problem", error.problem.code)
                description = None if isinstance(error, BillingError) else type(error).__name__
                span.set_status(self._trace.StatusCode.ERROR, description)
                raise


def _log(request: PreparedRequest, attempt: Attempt, response: Response | None) -> None:
    outcome = attempt.status if attempt.status is not None else f"{attempt.phase.value} ({attempt.failure})"
    if attempt.wait is not None:
        logger.info("%s %s -> %s; retry in %.3f s", request.method, request.template, outcome, attempt.wait)
    else:
        logger.debug("%s %s -> %s", request.method, request.template, outcome)
    if response is not None and logger.isEnabledFor(logging.DEBUG):
        logger.debug("response headers %s, and %d others", *_shown(response.headers))


def _shown(headers: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """What may be logged, and how many other fields there are."""
    shown = {
        name: headers[name] for name in _NUMBERS if headers.get(name, "").isascii() and headers.get(name, "").isdigit()
    }
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in _MEDIA_TYPES:
        shown["content-type"] = media_type
    return shown, len(headers) - len(shown)
