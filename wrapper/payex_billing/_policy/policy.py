"""Decide when the client retries, and which error it raises.

The policy is one pure generator, run by a blocking and an asynchronous driver. It yields steps (`Send`, `Wait`,
`GetToken`, `CloseIdle`) and receives their results, so a test can try every schedule of failures. Only the policy
decides on success, retry and retry budget.

    outcome of an attempt         GET, PATCH, DELETE                 POST
    never sent                    retry                              retry
    response lost                 retry                              `OutcomeUnknown`
    401                           once more with a fresh token       the same, if the 401 is proven
    429, 503 problem              reads wait, writes when opted in   waits when opted in
    other 4xx, 501 problem        raise                              raise: the server did nothing
    408, 425, 460, 499            retry                              `OutcomeUnknown`
    500, 502, 504, 520 to 530     retry                              `OutcomeUnknown`
    bare 503                      retry                              `OutcomeUnknown`
    any other status              raise                              `OutcomeUnknown`
    2xx of another request        retry, then `MalformedResponse`    `OutcomeUnknown`
    2xx that is not the contract  raise `MalformedResponse`          `OutcomeUnknown`

A response of another status than 2xx counts as lost, too, if unexpected bytes came right behind it. After a 2xx that
cannot be read, the idle connections are closed: if it was stale, the response to this request is still to come.

The 401 of a POST can be a stale response to an earlier request. The policy therefore sends a read with the same token
on a new connection. If the read gets a 401 too, the 401 of the POST is proven. If not, the POST counts as lost. After a
429 or 503 that a POST may wait for, the transport waits for another response on the connection.

A bare 503 has no problem body; for PATCH and DELETE, no Retry-After either. Gateways send it, like 500 and 502, when
they have lost the server's response.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar

import attrs

from .. import errors
from .._evidence import ABANDONED_STATUSES, Attempt, Phase, Problem
from .._requests.calls import Call, PreparedRequest, Unreadable
from .._secret import Secret
from .._transport import Failure, Reply, Request, Response
from ..models import LostCreation
from .options import Options
from .problems import error_class, read_problem
from .steps import CloseIdle, Environment, GetToken, Send, Step, Wait

if TYPE_CHECKING:
    from .limits import RetryBudget

T = TypeVar("T")
# A repeatable request is retried after one of these; a 503 is looked at more closely.
RETRIED_STATUSES = ABANDONED_STATUSES | {500, 502, 504, *range(520, 528), 530}
BUSY_STATUSES = frozenset({429, 503})
# The 5xx problems by which the API itself refuses a request.
REFUSING_PROBLEMS = {501: "not-implemented", 503: "service-unavailable"}


_DOUBTFUL = Failure(Phase.ANSWER_LOST, "unexpected bytes followed the response: it may belong to another request")
_OF_ANOTHER = Failure(Phase.ANSWER_LOST, "the response is that of another request")
_NOT_REFUSED = Failure(
    Phase.ANSWER_LOST, "the server answered 401, but did not refuse the same token for a read: the answer may be old"
)


@lru_cache(maxsize=64)  # frozen values are slow to make, and nearly all attempts are alike
def _answered(status: int, wait: float | None) -> Attempt:
    return Attempt(Phase.ANSWERED, status=status, wait=wait)


def _attempt(reply: Reply, wait: float | None) -> Attempt:
    if isinstance(reply, Response):
        return _answered(reply.status, wait)
    return Attempt(reply.phase, failure=reply.reason, wait=wait)


def _no_creation(sent_at: float) -> LostCreation:
    return LostCreation(key=None, sent_at=sent_at)


def _accepted(_result: object) -> None:
    """Every result that can be read is one."""


def run(
    call: Call[T],
    options: Options,
    budget: RetryBudget,
    environment: Environment,
    lost: Callable[[float], LostCreation] = _no_creation,
    check: Callable[[T], None] = _accepted,
    token: Secret | None = None,
) -> Generator[Step, object, T]:
    """Run one call to its end: return what it reads, or raise the error that says what happened.

    Args:
        call: the call.
        options: the time limits and the retry settings.
        budget: how many retries are left.
        environment: clocks, headers, and the rate limit.
        lost: describes a creation whose response is lost, given when it was sent.
        check: rejects a result that belongs to another request; raises `Unreadable`.
        token: the token, if it is at hand.
    """
    return _Run(call, options, budget, environment, lost, check).attempt(token)


def succeeded(reply: Response) -> bool:
    """Return whether the status is 2xx."""
    return 200 <= reply.status < 300


@attrs.define(eq=False)
class _Run(Generic[T]):
    """One call on its way."""

    call: Call[T]
    options: Options
    budget: RetryBudget
    environment: Environment
    lost: Callable[[float], LostCreation]
    check: Callable[[T], None]
    request: PreparedRequest = attrs.field(init=False)
    deadline: float = attrs.field(init=False)
    attempts: list[Attempt] = attrs.field(factory=list, init=False)
    may_have_happened: bool = attrs.field(default=False, init=False)  # an earlier attempt may have taken effect
    sent_at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        """Start the clock."""
        self.request = self.call.request
        self.deadline = self.environment.now() + self.options.deadline

    def attempt(self, token: Secret | None) -> Generator[Step, object, T]:
        """Attempt until there is a result or an error. Without a token, get it first."""
        if token is None:
            token = _token((yield GetToken()))
        refreshed = False
        while True:
            pace, may_wait = self.environment.pace, self.request.method == "GET" or self.options.wait_on_writes
            pause = pace.reserve(now := self.environment.now(), may_wait=may_wait)
            while pause > 0:
                due = now + pause
                self.time_left(pause)
                yield Wait(pause)
                now = self.environment.now()
                pause = pace.again(now, due, may_wait=may_wait)
            left = self.time_left()
            if self.options.before_write is not None and self.request.method != "GET":
                self.options.before_write()
            reply = _believable((yield Send(self.outgoing(self.request, token), left)))
            if isinstance(reply, Response):
                if succeeded(reply) or self.already_removed(reply):
                    try:
                        result = self.call.parse(reply)
                        self.check(result)
                    except Unreadable as error:
                        yield from self.after_unreadable(reply, error)
                        continue
                    self.note(reply, None)
                    if len(self.attempts) == 1:
                        self.budget.give()
                    return result
                if reply.status == 401 and not refreshed:
                    refreshed = True
                    reply, fresh = yield from self.refresh(reply, token)
                    if fresh is not None:
                        token = fresh
                        continue
            wait = self.wait_before_retry(reply)
            self.note(reply, wait)
            if wait is None:
                raise self.error(reply)
            if wait > 0:
                yield Wait(wait)

    def time_left(self, pause: float = 0.0) -> float:
        """Seconds that the next attempt may take after a pause.

        Raises:
            BillingError: the deadline comes first.
        """
        left = self.deadline - self.environment.now() - pause
        if left <= 0:
            raise self.out_of_time()
        return min(self.options.timeout, left)

    def outgoing(self, request: PreparedRequest, token: Secret) -> Request:
        """Return the request with the token and the other headers, ready to send."""
        environment = self.environment
        headers = {**environment.headers, **request.headers, "Authorization": Secret("Bearer " + token)}
        if environment.trace_headers is not None:
            headers.update(environment.trace_headers())
        made = Request(request.method, environment.base + request.path, headers, request.body)
        if self.options.wait_on_writes and not request.repeatable:
            made.listen_after = BUSY_STATUSES
        return made

    def refresh(self, reply: Response, token: Secret) -> Generator[Step, object, tuple[Reply, Secret | None]]:
        """Return the response that counts after a 401, and the token for a retry; no token means no retry."""
        fresh = _token((yield GetToken(token)))
        if fresh == token:
            return reply, None
        if self.request.repeatable or (yield from self.is_refused(token)):
            self.note(reply, 0.0)
            return reply, fresh
        yield CloseIdle()
        return _NOT_REFUSED, None

    def is_refused(self, token: Secret) -> Generator[Step, object, bool]:
        """Return whether the server also refuses the token for a read on a new connection."""
        try:
            pause = self.environment.pace.reserve(self.environment.now())
            left = self.time_left(pause)
        except errors.BillingError:  # there is no time left, or the database that shares the pace cannot be reached
            return False
        if pause > 0:
            yield Wait(pause)
        check = PreparedRequest("check_token", "GET", self.request.check or self.request.path, self.request.template)
        sent = self.outgoing(check, token)
        sent.alone = True
        reply = _believable((yield Send(sent, left)))
        self.tell(check, _attempt(reply, None), reply)
        return isinstance(reply, Response) and reply.status == 401

    def slow_down(self, reply: Response) -> None:
        """Delay the other requests of the client, too. The caller must handle a long Retry-After."""
        seconds = self.retry_after(reply) or 0.0
        held = seconds if seconds <= self.options.retry_after_cap else 0.0
        self.environment.pace.slow_down(self.environment.now(), held)

    def already_removed(self, reply: Response) -> bool:
        """Return whether a 404 means that an earlier attempt, whose response was lost, has removed the charge."""
        return self.request.method == "DELETE" and reply.status == 404 and self.may_have_happened

    def wait_before_retry(self, reply: Reply) -> float | None:
        """Return the seconds to wait before the next attempt; None if the call ends here."""
        if not self.request.repeatable and not self.did_nothing(reply):
            wait = None
        elif isinstance(reply, Response):
            wait = self.wait_after(reply)
        elif reply.certificate:
            wait = None
        else:
            self.may_have_happened = self.may_have_happened or reply.phase is not Phase.NEVER_SENT
            wait = self.jitter()
        if wait is None or len(self.attempts) + 1 >= self.options.attempts:
            return None
        if self.environment.now() + wait >= self.deadline:
            return None
        # After a 429 the pace of the client limits the load of the retries.
        is_paced = isinstance(reply, Response) and reply.status == 429
        return wait if is_paced or self.budget.take() else None

    def did_nothing(self, reply: Reply) -> bool:
        """Return whether the request provably took no effect."""
        if not isinstance(reply, Response):
            return reply.phase is Phase.NEVER_SENT
        status = reply.status
        if 400 <= status < 500:
            return status not in ABANDONED_STATUSES
        return status in REFUSING_PROBLEMS and read_problem(status, reply.body).code == REFUSING_PROBLEMS[status]

    def wait_after(self, reply: Response) -> float | None:
        """Return the seconds to wait after a response; None if the call ends here."""
        retry_after = self.retry_after(reply)
        bare = reply.status == 503 and retry_after is None and read_problem(503, reply.body).code is None
        if bare or reply.status in RETRIED_STATUSES:
            self.may_have_happened = True
            return self.jitter()
        if reply.status not in BUSY_STATUSES:
            return None
        is_read = self.request.method == "GET"
        if retry_after is None:
            return self.jitter() if is_read else None
        if retry_after > self.options.retry_after_cap or not (is_read or self.options.wait_on_writes):
            return None
        if not (self.request.repeatable or self.options.repeat_refused):
            return None
        return retry_after

    def jitter(self) -> float:
        """Return a random wait between 0 and the exponential backoff (full jitter)."""
        ceiling = self.options.backoff * 2.0 ** len(self.attempts)
        return self.environment.random() * min(self.options.backoff_cap, ceiling)

    def retry_after(self, reply: Response) -> float | None:
        return parse_retry_after(reply.headers.get("retry-after"), self.environment.epoch)

    def note(self, reply: Reply, wait: float | None) -> None:
        attempt = _attempt(reply, wait)
        self.attempts.append(attempt)
        if self.options.after_write is not None and self.request.method != "GET":
            self.options.after_write(attempt)
        if isinstance(reply, Response) and reply.status == 429:
            self.slow_down(reply)
        # A request may leave at any moment of its attempt: the end is the latest at which it can have been sent.
        if self.request.creates:
            self.sent_at = self.environment.epoch()
        self.tell(self.request, attempt, reply)

    def tell(self, request: PreparedRequest, attempt: Attempt, reply: Reply) -> None:
        if self.environment.on_attempt is not None:
            self.environment.on_attempt(request, attempt, reply if isinstance(reply, Response) else None)

    def error(self, reply: Reply) -> errors.BillingError:
        """Return the error with which the call ends."""
        if isinstance(reply, Response):
            problem = read_problem(reply.status, reply.body)
            if self.request.creates and (self.may_have_happened or not self.did_nothing(reply)):
                return self.unknown(f"the server answered {reply.status}", problem)
            return self.failure(error_class(problem), problem, retry_after=self.retry_after(reply))
        if reply.phase is Phase.NEVER_SENT and not self.may_have_happened:
            kind = errors.CertificateRejected if reply.certificate else errors.NeverSent
            return self.failure(kind, reply.reason)
        if not self.request.creates:
            return self.failure(errors.AnswerLost, reply.reason)
        return self.unknown(reply.reason, None)

    def after_unreadable(self, reply: Response, error: Unreadable) -> Generator[Step, object, None]:
        """Wait before the retry after a success that cannot be read.

        Raises:
            BillingError: there is no retry.
        """
        yield CloseIdle()  # it may be a stale one: the next request would then get the response to this one
        wait = self.wait_before_retry(_OF_ANOTHER) if error.foreign else None
        self.note(reply, wait)
        if wait is None:
            raise self.unreadable(reply, error) from None
        yield Wait(wait)

    def unreadable(self, reply: Response, error: Unreadable) -> errors.BillingError:
        """Return the error for a success that breaks the contract."""
        reason = f"the server answered {reply.status}, but {error.reason}"
        if self.request.creates:
            return self.unknown(reason, None)
        return self.failure(errors.MalformedResponse, reason, status=reply.status)

    def out_of_time(self) -> errors.BillingError:
        if self.request.creates and self.may_have_happened:
            return self.unknown(f"the deadline of {self.options.deadline:g} s has passed", None)
        kind = errors.AnswerLost if self.may_have_happened else errors.DeadlineExceeded
        return self.failure(kind, f"the deadline of {self.options.deadline:g} s has passed")

    def failure(
        self, kind: Callable[..., errors.BillingError], what: str | Problem, **more: object
    ) -> errors.BillingError:
        """Return an error with the operation and its attempts."""
        return kind(what, operation=self.request.operation, attempts=tuple(self.attempts), **more)

    def unknown(self, reason: str, problem: Problem | None) -> errors.BillingError:
        return self.failure(
            errors.OutcomeUnknown,
            f"{reason}; it is not known whether the request took effect, and sending it again could bill twice",
            problem=problem,
            lost=self.lost(self.sent_at),
            look_up=self.environment.look_up,
        )


def parse_retry_after(value: str | None, epoch: Callable[[], float]) -> float | None:
    """Return the seconds of a Retry-After header, given in seconds or as an HTTP date; None if it is neither."""
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


def _token(reply: object) -> Secret:
    if isinstance(reply, Secret):
        return reply
    raise TypeError(f"GetToken was given back {type(reply).__name__}")


def _believable(reply: object) -> Reply:
    """Return the reply, or a lost response for a refusal with unexpected bytes behind it.

    Such a refusal can be the response to an earlier request. A success is compared with its request later.
    """
    if isinstance(reply, Response):
        return _DOUBTFUL if reply.followed and not succeeded(reply) else reply
    if isinstance(reply, Failure):
        return reply
    raise TypeError(f"Send was given back {type(reply).__name__}")
