"""When a request is sent again, and when not: one generator, run by a synchronous and an asynchronous driver.

It does no input or output, sleeps never and has no clock of its own: it yields what is to be done (`Send`, `Wait`,
`GetToken`) and receives what came of it. So every schedule of failures can be tried in a test.

A request is sent again by the *phase* in which an attempt failed:

    never sent    any request                                   connecting, TLS, pool
    answer lost   GET, PATCH with the same body, DELETE         never a POST: `OutcomeUnknown`
    answered      401 with a fresh token: any request, once     the server did nothing
                  429, 503: reads; writes when opted in
                  500, 502, 504 and 52x: as an answer lost; so is a 503 that says neither why nor
                  for how long, because a gateway sends it too when it lost the server's answer
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, TypeAlias

import attrs

from . import errors
from ._problems import error_class, read_problem
from .errors import Attempt, Phase, Problem

if TYPE_CHECKING:
    from ._limits import RetryBudget

AMBIGUOUS_STATUSES = frozenset({500, 502, 504, *range(520, 528), 530})
# What is made for every call is not frozen: setting each field through `object.__setattr__` costs too much there.
BUSY_STATUSES = frozenset({429, 503})
ACCEPT = "application/json, application/problem+json"
# Nothing in this API is near it. More would only fill the memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# Seconds that an idle connection is kept: less than servers do, so that none is closed under a request.
KEEP_ALIVE = 5.0


@attrs.define
class Request:
    """A request as plain data.

    Attributes:
        operation: the contract's name of the operation.
        method: the HTTP method, in upper case.
        path: the path under the API's prefix, percent-encoded.
        template: the path with its parameters unfilled, for logs: it tells no id.
        headers: those of its own; who is calling, what is understood and the credentials are the transport's to add.
        body: the bytes to send.
    """

    operation: str
    method: str
    path: str = attrs.field(repr=False)
    template: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does the same as sending it once."""
        return self.method != "POST"


@attrs.define
class Response:
    """An answer as plain data; header names in lower case."""

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class Failure:
    """An attempt without a complete answer."""

    phase: Phase
    reason: str
    certificate: bool = False
    timed_out: bool = False


Reply: TypeAlias = Response | Failure
TOO_LARGE = Failure(Phase.ANSWER_LOST, f"the answer is larger than {MAX_ANSWER_BYTES} bytes")


@attrs.define
class Send:
    """Send the request; give back a `Response` or a `Failure`."""

    request: Request
    token: str = attrs.field(repr=False)
    timeout: float


@attrs.frozen
class Wait:
    """Wait so many seconds; give back None."""

    seconds: float


@attrs.frozen
class GetToken:
    """Give back a token; a fresh one if `refused` is given, or the same if there is no other."""

    refused: str | None = attrs.field(default=None, repr=False)


Step: TypeAlias = Send | Wait | GetToken


@attrs.frozen
class First:
    """An attempt that was made before the policy was asked: it is, where nothing can be decided before.

    Attributes:
        reply: what came of it.
        began: when the call began, on the clock of the environment.
    """

    reply: Reply
    began: float


@attrs.frozen(kw_only=True)
class Options:
    """How long and how often.

    Attributes:
        timeout: seconds one attempt may take.
        deadline: seconds a call may take with all its attempts and waits.
        attempts: how often a request is sent at most.
        backoff: seconds the first wait takes at most; it doubles with every attempt.
        backoff_cap: seconds any wait takes at most.
        retry_after_cap: seconds of Retry-After that are waited for; more is kept on the error instead.
        wait_on_writes: whether writes too wait for a 429 or 503 with Retry-After.
    """

    timeout: float = 30.0
    deadline: float = 120.0
    attempts: int = 4
    backoff: float = 0.5
    backoff_cap: float = 8.0
    retry_after_cap: float = 30.0
    wait_on_writes: bool = False


def changed(options: Options, **changes: float | bool | None) -> Options:
    """The same options but for the changes that are not None.

    Raises:
        InvalidArgument: a limit is not a positive number.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    for name, value in given.items():
        if name != "wait_on_writes" and not 0 < value < float("inf"):
            raise errors.InvalidArgument(name, f"must be above 0 and finite, not {value!r}")
    return attrs.evolve(options, **given)  # type: ignore[arg-type]


@attrs.frozen
class Environment:
    """What the policy needs from outside, injected so that a test can hold it still.

    Attributes:
        now: a monotonic clock in seconds.
        random: a number from 0 to below 1, for the jitter.
        epoch: seconds since 1970, for a Retry-After given as a date.
        reserve: takes the next place in the pace of requests, given the time; the seconds until it comes.
        on_attempt: called after every attempt with the request, the attempt, and the answer if there was one.
        listening: whether anybody wants to know of an attempt that succeeded.
        outcome_unknown: the class to raise for a lost POST.
    """

    now: Callable[[], float]
    random: Callable[[], float]
    epoch: Callable[[], float]
    reserve: Callable[[float], float] | None = None
    on_attempt: Callable[[Request, Attempt, Response | None], None] | None = None
    listening: Callable[[], bool] = lambda: True
    outcome_unknown: type[errors.OutcomeUnknown] = errors.OutcomeUnknown


def call(
    request: Request,
    options: Options,
    budget: RetryBudget,
    environment: Environment,
    token: str | None = None,
    *,
    first: First | None = None,
) -> Generator[Step, object, Response]:
    """Run one request to its end: return the success, or raise the error that says what happened.

    A token that is at hand need not be asked for. Nor need the first attempt be, where nothing can be decided before
    it: it may have been made already, with that token.
    """
    return _Call(request, options, budget, environment, first).run(token)


class _Call:
    """One request on its way."""

    def __init__(
        self,
        request: Request,
        options: Options,
        budget: RetryBudget,
        environment: Environment,
        first: First | None,
    ) -> None:
        self.request = request
        self.options = options
        self.budget = budget
        self.environment = environment
        self.attempts: list[Attempt] = []
        self.deadline = (environment.now() if first is None else first.began) + options.deadline
        self.first = None if first is None else first.reply
        self.may_have_happened = False  # an earlier attempt may have taken effect

    def run(self, token: str | None) -> Generator[Step, object, Response]:
        if token is None:
            token = _token((yield GetToken()))
        refreshed = False
        reply = self.first
        while True:
            if reply is None:
                reply = yield from self.attempt(token)
            if isinstance(reply, Response):
                if 200 <= reply.status < 300 or self.already_removed(reply):
                    if not self.attempts:
                        self.budget.give()
                    if self.environment.listening():
                        self.note(reply, None)
                    return reply
                if reply.status == 401 and not refreshed:
                    refreshed = True
                    fresh = _token((yield GetToken(token)))
                    if fresh != token:
                        self.note(reply, 0.0)
                        token, reply = fresh, None
                        continue
            wait = self.wait_before_retry(reply)
            self.note(reply, wait)
            if wait is None:
                raise self.error(reply)
            if wait > 0:
                yield Wait(wait)
            reply = None

    def attempt(self, token: str) -> Generator[Step, object, Reply]:
        """Send once, when the pace allows it and while there is time."""
        pause = self.environment.reserve(self.environment.now()) if self.environment.reserve else 0.0
        left = self.deadline - self.environment.now() - pause
        if left <= 0:
            raise self.out_of_time()
        if pause > 0:
            yield Wait(pause)
        return _checked((yield Send(self.request, token, min(self.options.timeout, left))))

    def already_removed(self, reply: Response) -> bool:
        """What an unanswered earlier attempt has removed is not there any more."""
        return self.request.method == "DELETE" and reply.status == 404 and self.may_have_happened

    def wait_before_retry(self, reply: Response | Failure) -> float | None:
        """Seconds to wait before the next attempt; None when there must be none."""
        if isinstance(reply, Response):
            retry_after = self.retry_after(reply)
            if self.ambiguous(reply):
                self.may_have_happened = True
                wait = self.jitter() if self.request.repeatable else None
            elif reply.status in BUSY_STATUSES:
                wait = self.busy_wait(retry_after)
            else:
                wait = None
        elif reply.certificate:
            wait = None
        elif reply.phase is Phase.ANSWER_LOST:
            self.may_have_happened = True
            wait = self.jitter() if self.request.repeatable else None
        else:
            wait = self.jitter()
        if wait is None or len(self.attempts) + 1 >= self.options.attempts:
            return None
        if self.environment.now() + wait >= self.deadline or not self.budget.take():
            return None
        return wait

    def ambiguous(self, reply: Response) -> bool:
        """Whether the request may have taken effect in spite of the status."""
        if reply.status == 503:
            return self.retry_after(reply) is None and read_problem(reply.status, reply.body).code is None
        return reply.status in AMBIGUOUS_STATUSES

    def busy_wait(self, retry_after: float | None) -> float | None:
        is_read = self.request.method == "GET"
        if retry_after is None:
            return self.jitter() if is_read else None
        if retry_after > self.options.retry_after_cap or not (is_read or self.options.wait_on_writes):
            return None
        return retry_after

    def jitter(self) -> float:
        """Full jitter: anything from nothing to the exponential backoff."""
        ceiling = self.options.backoff * 2.0 ** len(self.attempts)
        return self.environment.random() * min(self.options.backoff_cap, ceiling)

    def retry_after(self, reply: Response) -> float | None:
        return parse_retry_after(reply.headers.get("retry-after"), self.environment.epoch)

    def note(self, reply: Response | Failure, wait: float | None) -> None:
        if isinstance(reply, Response):
            attempt = Attempt(Phase.ANSWERED, status=reply.status, wait=wait)
        else:
            attempt = Attempt(reply.phase, failure=reply.reason, wait=wait)
        self.attempts.append(attempt)
        if self.environment.on_attempt is not None:
            self.environment.on_attempt(self.request, attempt, reply if isinstance(reply, Response) else None)

    def error(self, reply: Response | Failure) -> errors.BillingError:
        """The error that an attempt ends the call with."""
        if isinstance(reply, Response):
            problem = read_problem(reply.status, reply.body)
            if self.ambiguous(reply) and not self.request.repeatable:
                return self.unknown(f"the server answered {reply.status}", problem)
            return error_class(problem)(
                problem,
                operation=self.request.operation,
                attempts=tuple(self.attempts),
                retry_after=self.retry_after(reply),
            )
        if reply.certificate:
            return self.failure(errors.CertificateRejected, reply.reason)
        if reply.phase is Phase.NEVER_SENT and not self.may_have_happened:
            return self.failure(errors.NeverSent, reply.reason)
        if self.request.repeatable:
            return self.failure(errors.AnswerLost, reply.reason)
        return self.unknown(reply.reason, None)

    def out_of_time(self) -> errors.BillingError:
        # Every attempt that may have happened was repeatable: a POST ends with its first ambiguous attempt.
        kind = errors.AnswerLost if self.may_have_happened else errors.DeadlineExceeded
        return self.failure(kind, f"the deadline of {self.options.deadline:g} s has passed")

    def failure(self, kind: type[errors.TransportError], reason: str) -> errors.BillingError:
        return kind(reason, operation=self.request.operation, attempts=tuple(self.attempts))

    def unknown(self, reason: str, problem: Problem | None) -> errors.BillingError:
        # The server may still work on the request, whatever ended the connection: after a reset, a 500 or a gateway's
        # 502 it can commit seconds later. Only time rules that out, so `may_be_under_way` is always true here.
        return self.environment.outcome_unknown(
            f"{reason}; whether it took effect is not known, and sending it again could bill twice",
            operation=self.request.operation,
            attempts=tuple(self.attempts),
            problem=problem,
            may_be_under_way=True,
            lost_at=self.environment.epoch(),
        )


def parse_retry_after(value: str | None, epoch: Callable[[], float]) -> float | None:
    """Seconds from a Retry-After header, given in seconds or as an HTTP date; None when it says neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else None
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - seldom needed, and slow to import

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - epoch())
    except (ValueError, OverflowError, TypeError):
        return None


def _checked(value: object) -> Reply:
    if not isinstance(value, Response | Failure):
        raise TypeError(f"the driver replied with {type(value).__name__}")
    return value


def _token(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("the driver gave no token")
    return value
