"""When a request is sent again: every schedule of failures, with a clock that is held still."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import payex_billing as pb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Failure, Phase, Request, Response
from payex_billing._policy.limits import RetryBudget
from payex_billing._policy.options import Options
from payex_billing._policy.policy import parse_retry_after, run
from payex_billing._policy.steps import CloseIdle, Environment, GetToken, Send, Wait
from payex_billing._requests.calls import Call, PreparedRequest, Unreadable
from payex_billing._secret import Secret
from payex_billing._transport import Reply

NEVER = Failure(Phase.NEVER_SENT, "refused")
LOST = Failure(Phase.ANSWER_LOST, "reset")
EPOCH = 1_800_000_000.0


def answer(status: int, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def call(method: str = "GET", *, foreign: bool = False) -> Call[Response]:
    """A call whose responses are readable, unless their body says otherwise."""

    def parse(response: Response) -> Response:
        if response.body == b"unreadable":
            raise Unreadable("the body is not JSON", foreign=foreign)
        return response

    return Call(PreparedRequest("op", method, "/1/customers", "/{ownerNo}/customers"), parse)


def problem(code: str) -> bytes:
    return b'{"type": "billing/customer/problems/%s"}' % code.encode()


def surely_did_nothing(status: int, body: bytes) -> bool:
    """The rule for a POST, in the words of docs/safety.md."""
    if status in {501, 503}:
        return body == problem({501: "not-implemented", 503: "service-unavailable"}[status])
    return 400 <= status < 500 and status not in {408, 425, 460, 499}


@dataclass
class Run:
    """One call, driven by a script of replies; the last one is repeated for ever."""

    replies: list[Reply]
    method: str = "GET"
    options: Options = field(default_factory=Options)
    budget: RetryBudget = field(default_factory=RetryBudget)
    tokens: list[str] = field(default_factory=lambda: ["first"])
    seconds_per_send: float = 0.0
    jitter: float = 0.5
    foreign: bool = False  # whether an unreadable response belongs to another request
    now: float = 0.0
    sent: list[Send] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    closed_idle: int = 0
    noted: list[pb.Attempt] = field(default_factory=list)
    checks: list[Reply] = field(default_factory=list)  # replies to the reads that check a refused token
    result: Response | None = None
    error: pb.BillingError | None = None

    def __post_init__(self) -> None:
        environment = Environment(
            now=lambda: self.now,
            random=lambda: self.jitter,
            epoch=lambda: EPOCH,
            on_attempt=lambda _request, attempt, _answer: self.noted.append(attempt),
        )
        script = self._script()
        tokens = iter(self.tokens)
        token = ""
        policy = run(call(self.method, foreign=self.foreign), self.options, self.budget, environment)
        reply: Any = None
        try:
            for _ in range(1_000):
                match policy.send(reply):
                    case Send() as step:
                        reply = self._send(step, script)
                    case Wait(seconds):
                        self.waits.append(seconds)
                        self.now += seconds
                        reply = None
                    case CloseIdle():
                        self.closed_idle += 1
                        reply = None
                    case GetToken():
                        token = next(tokens, token)
                        reply = Secret(token)
            raise AssertionError("it does not end")
        except StopIteration as stop:
            self.result = stop.value
        except pb.BillingError as error:
            self.error = error

    def _send(self, step: Send, script: Iterator[Reply]) -> Reply:
        self.sent.append(step)
        self.now += min(self.seconds_per_send, step.timeout)
        reply = next(script)
        if self.method == "POST" and step.request.method == "GET":
            self.checks.append(reply)
        return reply

    @property
    def tokens_sent(self) -> list[str]:
        return [str(step.request.headers["Authorization"]).removeprefix("Bearer ") for step in self.sent]

    def _script(self) -> Iterator[Reply]:
        yield from self.replies
        while True:
            yield self.replies[-1]


replies = st.one_of(
    st.sampled_from([NEVER, LOST, Failure(Phase.NEVER_SENT, "certificate", certificate=True)]),
    st.builds(
        answer,
        st.sampled_from(
            [
                200,
                201,
                204,
                302,
                400,
                401,
                404,
                408,
                409,
                422,
                425,
                429,
                460,
                499,
                500,
                501,
                502,
                503,
                504,
                505,
                519,
                520,
                529,
                599,
                600,
                999,
            ]
        ),
        st.sampled_from(
            [b"", b"unreadable", b"<html>", *map(problem, ["x", "not-implemented", "service-unavailable"])]
        ),
        retry_after=st.sampled_from(["0", "1", "30", "31", "1000000", "soon", "Fri, 15 Jan 2027 08:00:05 GMT"]),
    ),
)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    return Run(
        draw(st.lists(replies, min_size=1, max_size=8)),
        method=draw(st.sampled_from(["GET", "POST", "PATCH", "DELETE"])),
        options=Options(
            timeout=draw(st.floats(0.1, 60)),
            deadline=draw(st.floats(0.1, 300)),
            attempts=draw(st.integers(1, 8)),
            wait_on_writes=draw(st.booleans()),
        ),
        budget=RetryBudget(capacity=draw(st.integers(0, 10))),
        tokens=draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"]])),
        seconds_per_send=draw(st.sampled_from([0.0, 0.05, 10.0, 1000.0])),
        jitter=draw(st.floats(0, 1, exclude_max=True)),
    )


@given(runs())
def test_every_schedule_ends_with_a_result_or_an_error(run: Run) -> None:
    assert (run.result is None) != (run.error is None)
    if run.result is not None:
        assert run.result.status < 300 or (run.method == "DELETE" and run.result.status == 404)


@given(runs())
def test_a_post_is_retried_only_if_it_surely_did_nothing(run: Run) -> None:
    if run.method != "POST":
        return
    script = run._script()
    replies = [reply for step, reply in zip(run.sent, script, strict=False) if step.request.method == "POST"]
    did_nothing = [
        reply.phase is Phase.NEVER_SENT if isinstance(reply, Failure) else surely_did_nothing(reply.status, reply.body)
        for reply in replies
    ]
    assert all(did_nothing[:-1])
    if not replies:
        return
    last = replies[-1]
    succeeded = isinstance(last, Response) and 200 <= last.status < 300 and last.body != b"unreadable"
    assert (run.result is not None) == succeeded
    if isinstance(last, Response) and last.status == 401 and not run.checks:  # there may be no time left to prove it
        assert isinstance(run.error, (pb.OutcomeUnknown, pb.Unauthorized))
    elif not succeeded:
        unproven = any(isinstance(reply, Failure) or reply.status != 401 for reply in run.checks)
        assert isinstance(run.error, pb.OutcomeUnknown) == (not did_nothing[-1] or unproven)


@given(runs())
def test_the_deadline_is_never_exceeded(run: Run) -> None:
    assert run.now <= run.options.deadline * (1 + 1e-9)
    assert all(send.timeout <= run.options.timeout for send in run.sent)


@given(runs())
def test_neither_attempts_nor_budget_are_exceeded(run: Run) -> None:
    fresh_tokens = sum(attempt.status == 401 and attempt.wait is not None for attempt in run.noted)
    assert fresh_tokens <= 1
    attempts = len(run.sent) - len(run.checks)
    after_429 = sum(
        attempt.status == 429 and attempt.wait is not None for attempt in run.noted
    )  # the pace limits these
    assert len(run.checks) <= 1
    assert attempts <= max(run.options.attempts, 1) + fresh_tokens
    assert attempts - 1 - fresh_tokens - after_429 <= run.budget._capacity


@given(runs())
def test_every_attempt_is_recorded_on_the_error_and_given_to_the_hook(run: Run) -> None:
    assert len(run.noted) == len(run.sent)
    attempts = getattr(run.error, "attempts", None)
    if attempts is not None:
        assert len(attempts) == len(run.sent) - len(run.checks)
        assert all(attempt in run.noted for attempt in attempts)
        assert sum(attempt.wait or 0 for attempt in attempts) == pytest.approx(sum(run.waits))


@given(st.lists(st.sampled_from([NEVER, LOST, answer(500)]), min_size=1, max_size=5), st.floats(0, 1, exclude_max=True))
def test_waits_are_full_jitter_below_a_doubling_ceiling(failures: list[Reply], jitter: float) -> None:
    run = Run([*failures, answer(200)], options=Options(attempts=9, deadline=1e6), jitter=jitter)
    assert run.result is not None
    ceilings = [min(8.0, 0.5 * 2**n) for n in range(len(failures))]
    assert run.waits == [jitter * ceiling for ceiling in ceilings if jitter * ceiling > 0]


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_what_was_never_sent_is_sent_again(method: str) -> None:
    run = Run([NEVER, NEVER, answer(200)], method=method)
    assert (len(run.sent), run.error) == (3, None)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("failure", [LOST, answer(500), answer(502), answer(504), answer(520)])
def test_a_repeatable_request_is_sent_again_after_a_lost_answer(method: str, failure: Reply) -> None:
    run = Run([failure, answer(200)], method=method)
    assert (len(run.sent), run.error) == (2, None)


@pytest.mark.parametrize("failure", [LOST, answer(500), answer(502), answer(504), answer(520)])
def test_a_post_whose_answer_is_lost_has_an_unknown_outcome(failure: Reply) -> None:
    run = Run([failure, answer(201)], method="POST")
    assert isinstance(run.error, pb.OutcomeUnknown)
    assert len(run.sent) == 1


@pytest.mark.parametrize("body", [b"", b"upstream connect error or disconnect/reset before headers", b"<html>"])
def test_a_503_of_a_gateway_that_lost_the_answer_leaves_a_post_unknown(body: bytes) -> None:
    """Some gateways answer 503 when the server broke off after it had the request."""
    run = Run([answer(503, body), answer(201)], method="POST", options=Options(wait_on_writes=True))
    assert isinstance(run.error, pb.OutcomeUnknown)
    assert len(run.sent) == 1
    assert Run([answer(503, body), answer(200)]).error is None


def test_a_post_is_sent_again_only_as_long_as_it_was_never_sent() -> None:
    run = Run([NEVER, NEVER, LOST, answer(201)], method="POST")
    assert isinstance(run.error, pb.OutcomeUnknown)
    assert len(run.sent) == 3


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_may_have_happened_once_is_never_called_never_sent(method: str) -> None:
    run = Run([LOST, NEVER], method=method)
    assert isinstance(run.error, pb.AnswerLost)


def test_a_delete_that_finds_nothing_after_a_lost_answer_succeeded() -> None:
    run = Run([LOST, answer(404)], method="DELETE")
    assert run.error is None


@pytest.mark.parametrize("first", [[], [NEVER], [answer(429, retry_after="1")]])
def test_a_delete_that_finds_nothing_otherwise_did_not(first: list[Reply]) -> None:
    run = Run([*first, answer(404)], method="DELETE", options=Options(wait_on_writes=True))
    assert isinstance(run.error, pb.NotFound)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_refused_token_is_replaced_once(method: str) -> None:
    run = Run([answer(401), answer(200)], method=method, tokens=["old", "new"])
    assert run.tokens_sent == ["old", "new"]
    run = Run([answer(401)], method=method, tokens=["old", "new", "newer"])
    assert run.tokens_sent == ["old", "new"]
    assert isinstance(run.error, pb.Unauthorized)


def test_a_post_is_sent_again_when_a_read_with_the_same_token_is_refused_too() -> None:
    run = Run([answer(401), answer(401), answer(201)], method="POST", tokens=["old", "new"])
    assert [step.request.method for step in run.sent] == ["POST", "GET", "POST"]
    assert [step.request.alone for step in run.sent] == [False, True, False]
    assert run.tokens_sent == ["old", "old", "new"]
    assert run.error is None


@given(replies.filter(lambda reply: isinstance(reply, Failure) or reply.status != 401))
def test_a_post_whose_401_is_not_proven_has_an_unknown_outcome(proof: Reply) -> None:
    run = Run([answer(401), proof, answer(201)], method="POST", tokens=["old", "new"])
    assert [step.request.method for step in run.sent] == ["POST", "GET"]
    assert isinstance(run.error, pb.OutcomeUnknown)
    assert run.closed_idle == 1


def test_a_post_that_may_wait_asks_the_transport_to_listen_for_a_second_response() -> None:
    opted = Options(wait_on_writes=True)
    assert Run([answer(201)], method="POST", options=opted).sent[0].request.listen_after == {429, 503}
    assert Run([answer(201)], method="POST").sent[0].request.listen_after == frozenset()
    assert Run([answer(200)], method="PATCH", options=opted).sent[0].request.listen_after == frozenset()


def test_a_token_that_cannot_be_replaced_is_not_tried_again() -> None:
    run = Run([answer(401)], tokens=["only"])
    assert len(run.sent) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_read_waits_as_long_as_it_is_asked_to(status: int) -> None:
    run = Run([answer(status, retry_after="7"), answer(200)])
    assert (run.waits, run.error) == ([7.0], None)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_write_waits_only_when_the_caller_opted_in(status: int, method: str) -> None:
    busy = [answer(status, problem("service-unavailable"), retry_after="7"), answer(200)]
    assert len(Run(busy, method=method).sent) == 1
    opted = Run(busy, method=method, options=Options(wait_on_writes=True))
    assert (opted.waits, opted.error) == ([7.0], None)


def test_a_write_never_waits_without_being_told_how_long() -> None:
    unavailable = answer(503, problem("service-unavailable"))
    run = Run([unavailable, answer(200)], method="POST", options=Options(wait_on_writes=True))
    assert isinstance(run.error, pb.ServiceUnavailable)
    assert len(run.sent) == 1


def test_a_longer_wait_than_the_cap_is_kept_on_the_error_instead() -> None:
    run = Run([answer(429, retry_after="31")])
    assert isinstance(run.error, pb.RateLimited)
    assert (run.error.retry_after, run.waits) == (31.0, [])


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    run = Run([answer(429, retry_after="10")], options=Options(deadline=5))
    assert isinstance(run.error, pb.RateLimited)
    assert run.waits == []


def test_a_deadline_that_has_passed_sends_nothing_more() -> None:
    run = Run([LOST], options=Options(deadline=10, timeout=6, attempts=9), seconds_per_send=6, jitter=0.0)
    assert isinstance(run.error, pb.AnswerLost)
    assert [send.timeout for send in run.sent] == [6, 4]


def test_a_refused_certificate_is_not_tried_again() -> None:
    run = Run([Failure(Phase.NEVER_SENT, "expired", certificate=True)])
    assert isinstance(run.error, pb.CertificateRejected)
    assert len(run.sent) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 501])
def test_a_refusal_is_not_retried(status: int) -> None:
    assert len(Run([answer(status)]).sent) == 1


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_a_success_that_cannot_be_read_is_malformed(method: str) -> None:
    run = Run([answer(200, b"unreadable")], method=method)
    assert isinstance(run.error, pb.MalformedResponse)
    assert run.error.attempts == (pb.Attempt(Phase.ANSWERED, status=200),)


def test_a_post_whose_success_cannot_be_read_has_an_unknown_outcome() -> None:
    run = Run([answer(201, b"unreadable")], method="POST")
    assert isinstance(run.error, pb.OutcomeUnknown)


@pytest.mark.parametrize("foreign", [True, False])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_success_that_cannot_be_read_closes_the_idle_connections(method: str, foreign: bool) -> None:
    """It may be the response to an earlier request: the right one would be taken for that of the next request."""
    run = Run([answer(200, b"unreadable")], method=method, foreign=foreign, options=Options(attempts=1))
    assert run.closed_idle == 1


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_success_that_can_be_read_keeps_the_idle_connections(method: str) -> None:
    assert Run([answer(200)], method=method).closed_idle == 0


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_repeatable_request_is_sent_again_after_the_response_of_another_request(method: str) -> None:
    run = Run([answer(200, b"unreadable"), answer(200)], method=method, foreign=True)
    assert len(run.sent) == 2
    assert run.result is not None


def test_a_read_that_gets_only_responses_of_other_requests_is_malformed() -> None:
    run = Run([answer(200, b"unreadable")], foreign=True)
    assert len(run.sent) == run.options.attempts
    assert isinstance(run.error, pb.MalformedResponse)


def test_a_post_that_gets_the_response_of_another_request_is_not_sent_again() -> None:
    run = Run([answer(200, b"unreadable")], method="POST", foreign=True)
    assert len(run.sent) == 1
    assert isinstance(run.error, pb.OutcomeUnknown)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("status", [408, 425, 460, 499])
def test_a_repeatable_request_is_sent_again_after_a_request_timeout_of_a_gateway(status: int, method: str) -> None:
    run = Run([answer(status), answer(200)], method=method)
    assert len(run.sent) == 2
    assert run.result is not None


def test_an_unreadable_success_gives_no_retry_back() -> None:
    budget = RetryBudget(capacity=2)
    budget.take()
    Run([answer(200, b"unreadable")], budget=budget)
    assert budget.left == 1


def test_a_spent_budget_ends_retrying_for_the_whole_client() -> None:
    budget = RetryBudget(capacity=3)
    attempts = [len(Run([NEVER], budget=budget).sent) for _ in range(3)]
    assert attempts == [4, 1, 1]


def test_successes_give_the_budget_back_slowly() -> None:
    budget = RetryBudget(capacity=2)
    Run([NEVER], budget=budget)
    assert budget.left < 1
    for _ in range(10):
        Run([answer(200)], budget=budget)
    assert budget.left == pytest.approx(1)
    for _ in range(100):
        Run([answer(200)], budget=budget)
    assert budget.left == 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("9" * 400, None),
        ("soon", None),
        ("Fri, 15 Jan 2027 08:00:05 GMT", 5.0),
        ("Friday, 15-Jan-27 08:00:05 GMT", 5.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Fri, 99 Jan 2027 08:00:05 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, lambda: EPOCH) == seconds


@given(st.text())
def test_any_retry_after_is_read_or_left_alone(value: str) -> None:
    seconds = parse_retry_after(value, lambda: EPOCH)
    assert seconds is None or seconds >= 0


def test_representations_show_neither_token_nor_body_nor_headers() -> None:
    secret = "s3cret"
    full = Request("GET", f"https://{secret}", {"Authorization": secret}, secret.encode())
    prepared = PreparedRequest("op", "GET", f"/{secret}", "/t", {"X": secret}, secret.encode())
    response = Response(200, {"a": secret}, secret.encode())
    for value in (full, prepared, Send(full, 1.0), GetToken(Secret(secret)), response):
        assert secret not in repr(value)


@pytest.mark.parametrize(("method", "calls"), [("POST", 2), ("PATCH", 2), ("DELETE", 2), ("GET", 0)])
def test_a_write_is_stamped_right_before_each_attempt(method: str, calls: int) -> None:
    stamps: list[float] = []
    options = Options(wait_on_writes=True, before_write=lambda: stamps.append(run.now))
    run = Run.__new__(Run)
    run.__init__([answer(429, retry_after="7"), answer(200)], method=method, options=options)  # type: ignore[misc]
    assert len(run.sent) == 2
    assert stamps == [0.0, 7.0][:calls]


def test_a_429_does_not_use_up_the_retry_budget() -> None:
    budget = RetryBudget()
    Run([answer(429, retry_after="1"), answer(429, retry_after="1"), answer(200)], budget=budget)
    assert budget.left == 20.0
