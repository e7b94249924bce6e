"""Every status that a server can send: some prove that a POST did nothing, and the others leave the outcome unknown.

The rule comes from the issue; this file does not take it from the client's code. A POST certainly did nothing after
every 4xx except 408, 425, 460 and 499, and after the documented problems of 501 and 503. After every other status, the
outcome is unknown.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import payex_billing as pb
import pytest

from tests.chaos.backend import FOUR, Backend, Fault, Reply, Request, client, in_threads, json_reply, problem, raised

STATUSES = [*range(100, 200), *range(300, 309), *range(400, 452), 460, 499, *range(500, 600), 600, 999]
BODIES = ["none", "html", "problem"]
DOCUMENTED = {501: "not-implemented", 503: "service-unavailable"}
OPEN_4XX = {408, 425, 460, 499}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        yield running


def refuses(status: int, body: str) -> bool:
    """Return whether this response proves that the POST did nothing, by the rule above."""
    if 400 <= status < 500:
        return status not in OPEN_4XX
    return status in DOCUMENTED and body == "problem"


def reply_of(status: int, body: str, *headers: str) -> Reply:
    if status < 200:
        # A 1xx status is not a final response. A server that sends only a 1xx and closes has sent no response.
        return Reply(raw=f"HTTP/1.1 {status} Whatever\r\n\r\n".encode())
    if body == "problem":
        return problem(status, DOCUMENTED.get(status, "validation"), *headers)
    if body == "html":
        return Reply(status, b"<html>nginx</html>", "text/html", headers)
    return Reply(status, b"", None, headers)


def scripted(request: Request, _: Reply) -> Reply:
    """Return the status, body and Retry-After that the text of the charge asks for."""
    status, body, *headers = request.json["text"].split("|")
    return reply_of(int(status), body, *headers)


def answered(billing: Any, text: str) -> Any:
    charge = pb.Charge(product_code="P01", quantity=1, text=text)
    try:
        return billing.customer("A").recurring_products.create(charge, known=[])
    except Exception as error:
        return error


@FOUR
def test_a_post_is_refused_by_exactly_the_statuses_of_the_rule(backend: Backend, engine_name: str, facade: str) -> None:
    cases = [
        (status, body, after)
        for status, body, after in itertools.product(STATUSES, BODIES, ["", "|Retry-After: 1"])
        # In this test, a 1xx status has no body and no Retry-After.
        if status >= 200 or (body == "none" and not after)
    ]
    backend.on("POST", Fault(None, scripted), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        calls = [lambda case=case: answered(billing, f"{case[0]}|{case[1]}{case[2]}") for case in cases]
        results = in_threads(calls, at_most=4)
    wrong = []
    for (status, body, after), result in zip(cases, results, strict=True):
        wanted: Any = pb.ProblemError if refuses(status, body) else pb.OutcomeUnknown
        if not isinstance(result, wanted) or (wanted is pb.ProblemError and isinstance(result, pb.OutcomeUnknown)):
            wrong.append(f"{status} {body} {after}: {type(result).__name__}")
    sent = Counter(request.json["text"] for request in backend.sent("POST"))
    wrong += [f"{text}: sent {count} times" for text, count in sent.items() if count > 1]
    assert not wrong, f"{len(wrong)} of {len(cases)}: " + ", ".join(wrong)


ALMOST: dict[str, Reply] = {
    "503 of another type": problem(503, "validation"),
    "501 of another type": problem(501, "validation"),
    "503 whose type only ends alike": problem(503, "not-service-unavailable"),
    "503 with an empty problem": json_reply(503, {}, content_type="application/problem+json"),
    "503 with a list": json_reply(503, ["service-unavailable"], content_type="application/problem+json"),
    "503 with null": json_reply(503, None, content_type="application/problem+json"),
    "503 with half a problem": Reply(503, problem(503, "service-unavailable").body[:-9], "application/problem+json"),
    "503 that names it in the title": json_reply(
        503, {"title": "service-unavailable", "status": 503}, content_type="application/problem+json"
    ),
    "503 with the type as a list": json_reply(
        503, {"type": ["service-unavailable"]}, content_type="application/problem+json"
    ),
    "500 that says service-unavailable": problem(500, "service-unavailable"),
    "502 that says service-unavailable": problem(502, "service-unavailable"),
    "504 that says service-unavailable": problem(504, "service-unavailable"),
    "529 that says service-unavailable": problem(529, "service-unavailable"),
    "500 that says validation": problem(500, "validation"),
    "500 that says customer-not-found": problem(500, "customer-not-found"),
    "302 that says validation": problem(302, "validation"),
    "408 that says validation": problem(408, "validation"),
    "499 that says validation": problem(499, "validation"),
    "200 that says validation": problem(200, "validation"),
    "201 that says validation": problem(201, "validation"),
}


@FOUR
def test_what_only_resembles_a_documented_problem_leaves_a_post_open(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.on("POST", Fault(0.0, lambda request, _: ALMOST[request.json["text"]]), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        results = {name: answered(billing, name) for name in ALMOST}
    wrong = {name: result for name, result in results.items() if not isinstance(result, pb.OutcomeUnknown)}
    assert not wrong


SPELLINGS: dict[str, Reply] = {
    "PascalCase": json_reply(
        503,
        {"Type": "billing/customer/problems/service-unavailable", "Title": "x", "Status": 503, "Problems": []},
        content_type="application/problem+json",
    ),
    "absolute": problem(503, "x", type="https://api.payex.com/problems/service-unavailable"),
    "last segment alone": problem(503, "x", type="service-unavailable"),
    "not implemented": problem(501, "not-implemented"),
    "charset": json_reply(
        503,
        {"type": "billing/customer/problems/service-unavailable"},
        content_type="application/problem+json; charset=utf-8",
    ),
}


@FOUR
def test_a_documented_refusal_counts_in_every_spelling_of_the_house(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.on("POST", Fault(None, lambda request, _: SPELLINGS[request.json["text"]]), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        results = {name: answered(billing, name) for name in SPELLINGS}
    assert not {name: result for name, result in results.items() if not isinstance(result, pb.ProblemError)}


@FOUR
def test_waiting_on_writes_repeats_nothing_but_a_429_and_a_documented_503(
    backend: Backend, engine_name: str, facade: str
) -> None:
    cases = [(status, body) for status, body in itertools.product(STATUSES, BODIES) if status >= 200]
    backend.on("POST", Fault(0.0, scripted), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        patient = billing.with_options(wait_on_writes=True)
        in_threads(
            [lambda case=case: answered(patient, f"{case[0]}|{case[1]}|Retry-After: 0") for case in cases], at_most=4
        )
    sent = Counter(request.json["text"] for request in backend.sent("POST"))
    again = {text: count for text, count in sent.items() if count > 1}
    allowed = {*(f"429|{body}|Retry-After: 0" for body in BODIES), "503|problem|Retry-After: 0"}
    assert not set(again) - allowed, again


@FOUR
def test_a_token_function_repeats_nothing_but_a_401(backend: Backend, engine_name: str, facade: str) -> None:
    tokens = itertools.count()
    cases = [(status, body) for status, body in itertools.product(STATUSES, ["none", "problem"]) if status >= 200]
    backend.on("POST", Fault(0.0, scripted), times=math.inf)
    with client(engine_name, facade, backend, token=lambda: f"t{next(tokens)}") as billing:
        in_threads([lambda case=case: answered(billing, f"{case[0]}|{case[1]}") for case in cases], at_most=4)
    sent = Counter(request.json["text"] for request in backend.sent("POST"))
    again = {text: count for text, count in sent.items() if count > 1}
    assert set(again) <= {"401|none", "401|problem"}, again
    assert all(count == 2 for count in again.values()), again


@FOUR
def test_no_status_but_success_gives_a_read_a_value(backend: Backend, engine_name: str, facade: str) -> None:
    cases = list(itertools.product(STATUSES, ["none", "body"]))
    right = iter(cases)

    def reply(_: Request, honest: Reply) -> Reply:
        status, body = next(right)
        if status < 200:
            return reply_of(status, "none")
        return Reply(status, honest.body if body == "body" else b"")

    backend.on("GET", Fault(reply=reply), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        customer = billing.with_options(attempts=1).customer("A")
        results = [raised(customer.get) for _ in cases]
    wrong = [
        f"{case}: {result!r}"
        for case, result in zip(cases, results, strict=True)
        if not isinstance(result, pb.BillingError) or isinstance(result, pb.OutcomeUnknown)
    ]
    assert not wrong, wrong


RETRY_AFTERS = [
    "", "0", "-1", "-0", "1e3", "nan", "inf", "-inf", "1_0", " 5", "٣", "0x10", "9" * 400, "9" * 5000, "1.5", "1,2",
    "Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT",
    "Thu, 32 Foo 2026 25:61:61 GMT", "Wed, 21 Oct 2026 07:28:00 +9999", "Wed, 21 Oct 2026 07:28:00 -0000",
    "Wed, 21 Oct 2026 07:28:00", "\x01", "ÿ", "soon",
]  # fmt: skip


@FOUR
@pytest.mark.parametrize("status", [429, 503, 401, 500])
def test_no_retry_after_breaks_the_client_or_makes_it_wait_for_hours(
    backend: Backend, engine_name: str, facade: str, status: int
) -> None:
    # A header is sent as Latin-1, so an Arabic digit is sent as its UTF-8 bytes. The customer number is the index of
    # the Retry-After value.
    values = [value.encode().decode("latin-1") for value in RETRY_AFTERS]
    code = DOCUMENTED.get(status, "too-many-requests")

    def reply(request: Request, _: Reply) -> Reply:
        number = request.json["customerNo"] if request.body else request.target.rpartition("/")[2]
        return problem(status, code, f"Retry-After: {values[int(number)]}")

    backend.on("*", Fault(None, reply), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        quick = billing.with_options(deadline=0.5, attempts=2, wait_on_writes=True)
        customers = [quick.customer(str(number)) for number in range(len(values))]
        calls = [call for customer in customers for call in (customer.get, customer.create)]
        errors = in_threads([lambda call=call: raised(call) for call in calls])
    wrong = [
        f"{values[number // 2][:40]!r}: {error!r}"
        for number, error in enumerate(errors)
        if not isinstance(error, pb.BillingError)
    ]
    assert not wrong, wrong
