"""The settings, limits, memory and telemetry of a client. No code here blocks or awaits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator
from functools import partial
from os import PathLike
from typing import Self, TypeVar
from urllib.parse import urlsplit

import attrs

from .._creation import look_up as _look_up
from .._creation.ensure import ChargeEnsurer
from .._creation.look_up import Steps
from .._creation.memory import Memory
from .._dry_run.dry_run import Recorder
from .._policy import policy as _policy
from .._policy.limits import AnyPace, Pace, RetryBudget
from .._policy.options import Options
from .._policy.steps import Environment, Step
from .._requests import identity
from .._requests.calls import Call, PlainKey
from .._requests.operations import Parent
from .._secret import Secret
from ..config import Settings, number_of
from ..errors import BillingError, ConfigurationError, InvalidArgument, OutcomeUnknown
from ..models import Charge, LookUpResult, LostCreation, NaturalKey, RecurringProduct
from . import headers as _headers
from .responses import ResponseHook, observed
from .shapes import ShapeRecorder
from .telemetry import AttemptHook, Telemetry, plain_function

T = TypeVar("T")


@attrs.define(kw_only=True)
class Session:
    """The objects, other than connections, that the calls of one client share.

    Attributes:
        settings: the settings of the client.
        environment: clocks, headers, the rate limit, and the function for `OutcomeUnknown.look_up`.
        telemetry: log records, the caller's hook, spans.
        on_response: the caller's function that receives every response.
        shapes: records what exchanges look like; None without `record_shapes`.
        recorder: records the writes of a dry run; None if the client sends its writes.
        budget: how many retries are left.
        memory: the charges that the client has seen, and the creations whose responses were lost.
    """

    settings: Settings
    environment: Environment = attrs.field(repr=False)
    telemetry: Telemetry
    on_response: ResponseHook | None
    recorder: Recorder | None
    shapes: ShapeRecorder | None = None
    budget: RetryBudget = attrs.field(factory=RetryBudget)
    memory: Memory = attrs.field(factory=Memory)

    @classmethod
    def of(
        cls,
        settings: Settings,
        *,
        on_attempt: AttemptHook | None,
        on_response: ResponseHook | None,
        headers: object,
        app_info: str | tuple[str, str] | None,
        dry_run: bool,
        record_shapes: str | PathLike[str] | None = None,
    ) -> Self:
        """Check the arguments of a client that are not settings, and return its session."""
        host = urlsplit(settings.base_url).hostname or ""
        on_attempt = plain_function("on_attempt", on_attempt)
        on_response = plain_function("on_response", on_response)
        telemetry = Telemetry(on_attempt, tracing=settings.tracing, host=host)
        if not isinstance(dry_run, bool):  # a string such as "false" would count as true
            raise ConfigurationError(f"dry_run must be True or False, not {type(dry_run).__name__}")
        if dry_run:
            settings = attrs.evolve(settings, dry_run=True)
        every = _headers.all_headers(headers, app_info)
        has_own_trace = any(name.lower() in _headers.TRACE for name in every)
        environment = Environment(
            now=time.monotonic,
            random=random.random,
            epoch=time.time,
            base=settings.base_url + settings.prefix,
            headers=every,
            trace_headers=telemetry.trace_headers if telemetry.tracing and not has_own_trace else None,
            pace=Pace(settings.max_rate),
            on_attempt=telemetry.attempt,
        )
        return cls(
            settings=settings,
            environment=environment,
            telemetry=telemetry,
            on_response=on_response,
            recorder=Recorder(settings.base_url, settings.ledger_prefix) if dry_run else None,
            shapes=None if record_shapes is None else ShapeRecorder(record_shapes),
        )

    def with_look_up(self, look_up: Callable[..., object]) -> Self:
        """Return the same session with the function for `OutcomeUnknown.look_up`."""
        return attrs.evolve(self, environment=attrs.evolve(self.environment, look_up=look_up))

    def with_pace(self, pace: AnyPace) -> Self:
        """Return the same session with another pace."""
        return attrs.evolve(self, environment=attrs.evolve(self.environment, pace=pace))

    def policy(self, call: Call[T], options: Options, mark: int, token: Secret | None) -> Generator[Step, object, T]:
        """Return the steps of a call. If `token` is None, the steps fetch the token."""
        if call.creates is None:
            steps = _policy.run(call, options, self.budget, self.environment, token=token)
        else:
            lost = partial(self._lost, call.creates, mark, call.known)
            check = partial(self._check_new, mark, call.known)
            steps = _policy.run(call, options, self.budget, self.environment, lost, check, token)
        if self.on_response is None and self.shapes is None:
            return steps
        return observed(steps, call.request, self.on_response, self.environment.now, self.shapes)

    def _check_new(self, mark: int, known: frozenset[str] | None, created: object) -> None:
        """Reject a charge that is older than its creation: the response belongs to an earlier creation."""
        if isinstance(created, RecurringProduct) and (
            (known is not None and created.id in known) or not self.memory.may_be(created.id, mark)
        ):
            raise identity.foreign("an older charge")

    def _lost(self, key: PlainKey, mark: int, known: frozenset[str] | None, sent_at: float) -> LostCreation:
        customer_no, subscription_no, charge = key
        return LostCreation(
            key=NaturalKey(customer_no=customer_no, subscription_no=subscription_no, charge=charge),
            sent_at=sent_at,
            known=known,
            ledger=self.settings.base_url + self.settings.ledger_prefix,
            mark=mark,
            memory=self.memory.name,
        )

    def remember_failure(self, call: Call[T], options: Options, mark: int, error: BaseException) -> None:
        """Remember a creation that has failed and may have taken effect."""
        if call.creates is None:
            return
        if isinstance(error, OutcomeUnknown):
            self.memory.lose(error.lost)
        elif isinstance(error, BillingError):
            self.memory.end(mark)
        elif not isinstance(error, Exception):
            # The call was cancelled or interrupted. With reqwest, the request may still run until its time limit.
            sent_at = self.environment.epoch() + options.timeout
            self.memory.lose(self._lost(call.creates, mark, call.known, sent_at))

    def remember(self, call: Call[T], mark: int, result: object) -> None:
        """Remember the result of a call that has succeeded."""
        if call.creates is not None:
            self.memory.end(mark, result)
            customer_no, subscription_no, charge = call.creates
            if charge is None:
                self.memory.saw_all((customer_no, subscription_no))  # what was created just now has no charges
        elif isinstance(result, RecurringProduct):
            self.memory.saw((result.id,))

    def look_up_steps(self, lost: LostCreation, settle: float) -> Steps[LookUpResult]:
        """Return the calls that look up a lost creation."""
        if not isinstance(lost, LostCreation):
            raise InvalidArgument("lost", "must be a LostCreation: pass error.lost")
        settle = _settle(settle)
        # The charges that this client has seen prove nothing about a creation of another client.
        memory = self.memory if lost.memory == self.memory.name else None
        return _look_up.look_up(lost, self.settings, memory, self.environment.epoch(), settle)

    def ensure_steps(self, parent: Parent, charge: Charge, settle: float, until: float) -> Steps[RecurringProduct]:
        """Return the calls that ensure a charge, until the deadline `until` on the monotonic clock."""
        ensurer = ChargeEnsurer(self.settings, self.memory, self.environment, _settle(settle), until)
        return ensurer.steps(parent, charge)


def _settle(seconds: float) -> float:
    number = number_of(seconds)
    if not number >= 0:
        raise InvalidArgument("settle", "must be a number of seconds, 0 or more")
    return number
