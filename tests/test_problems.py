"""How error answers are read: the right class by type and status, and never a parsing error."""

from __future__ import annotations

import json
from typing import Any

import payex_billing as pb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from payex_billing._policy.problems import error_class, read_problem

ISSUE = {
    400: pb.ValidationFailed,
    401: pb.Unauthorized,
    403: pb.Forbidden,
    404: pb.NotFound,
    409: pb.AlreadyExists,
    422: pb.Unprocessable,
    429: pb.RateLimited,
    501: pb.LedgerNotConfigured,
    503: pb.ServiceUnavailable,
}


def by_status(status: int) -> type[pb.ProblemError]:
    """The class that the status alone asks for."""
    if status in ISSUE:
        return ISSUE[status]
    return {4: pb.RequestRefused, 5: pb.ServerFailed}.get(status // 100, pb.UnexpectedStatus)


def problem(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


ERRORS = st.integers(100, 599).filter(lambda status: status // 100 != 2)


@given(status=ERRORS, body=st.binary(max_size=300))
@example(404, b"<html><body>404 Not Found</body></html>")
@example(502, b"")
@example(400, b'{"type":"billing/customer/problems/valid')
@example(500, b"\xff\xfe{}")
@example(500, b"[" * 100_000)
@example(500, b"9" * 100_000)
@example(400, b'{"a":' * 50_000)
@example(503, b"x" * 5_000_000)
@example(404, problem(type=7, title=[], status="no", problems="?"))
@example(404, problem(type="", problems=[None, 1, {"a": None}, {}]))
def test_any_body_gives_the_class_of_its_status(status: int, body: bytes) -> None:
    read = read_problem(status, body)
    assert read.status == status
    assert issubclass(error_class(read), by_status(status))
    assert str(status) in str(error_class(read)(read))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
)


@given(
    status=ERRORS,
    fields=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("type", "title", "status", "detail", "instance", "problems"), JSON)
    ),
)
def test_a_problem_of_any_shape_gives_the_class_of_its_status(status: int, fields: dict[str, Any]) -> None:
    read = read_problem(status, json.dumps(fields).encode())
    assert issubclass(error_class(read), by_status(status))


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "validation", pb.ValidationFailed),
        (401, "unauthorized", pb.Unauthorized),
        (403, "forbidden", pb.Forbidden),
        (404, "customer-not-found", pb.CustomerNotFound),
        (404, "subscription-not-found", pb.SubscriptionNotFound),
        (404, "recurring-product-not-found", pb.RecurringProductNotFound),
        (409, "customer-already-exists", pb.CustomerAlreadyExists),
        (409, "subscription-already-exists", pb.SubscriptionAlreadyExists),
        (422, "unprocessable", pb.Unprocessable),
        (429, "too-many-requests", pb.RateLimited),
        (500, "internal-server-error", pb.ServerFailed),
        (501, "not-implemented", pb.LedgerNotConfigured),
        (503, "service-unavailable", pb.ServiceUnavailable),
        # the type decides over the status
        (400, "customer-already-exists", pb.CustomerAlreadyExists),
        (422, "customer-not-found", pb.CustomerNotFound),
        # but not over its hundred
        (500, "customer-not-found", pb.ServerFailed),
        (404, "service-unavailable", pb.NotFound),
        (302, "customer-not-found", pb.UnexpectedStatus),
        # an unknown type leaves it to the status
        (409, "something-new", pb.AlreadyExists),
        (418, "something-new", pb.RequestRefused),
    ],
)
def test_the_type_chooses_the_class_then_the_status(status: int, code: str, expected: type) -> None:
    read = read_problem(status, problem(type=f"billing/customer/problems/{code}"))
    assert error_class(read) is expected


@pytest.mark.parametrize(
    "kind",
    [
        "billing/customer/problems/customer-not-found",
        "https://api.payex.com/problems/customer-not-found",
        "customer-not-found",
        "problems/customer-not-found/",
        "problems/Customer-Not-Found",
        "problems/customer-not-found?lang=sv#top",
    ],
)
def test_the_type_is_matched_on_its_last_segment(kind: str) -> None:
    assert read_problem(404, problem(type=kind)).code == "customer-not-found"


@pytest.mark.parametrize("spell", [str.lower, str.capitalize, str.upper], ids=["lower", "Pascal", "UPPER"])
def test_keys_are_read_without_regard_to_case(spell: Any) -> None:
    body = {
        spell("type"): "billing/customer/problems/validation",
        spell("title"): "Validation failed",
        spell("detail"): "1 parameter is not valid",
        spell("instance"): "urn:uuid:1",
        spell("problems"): [{"CustomerNo": "too long"}, {"b.c": "wrong"}, {"b.c": "again"}],
    }
    read = read_problem(400, json.dumps(body).encode())
    assert (read.code, read.title, read.detail, read.instance) == (
        "validation",
        "Validation failed",
        "1 parameter is not valid",
        "urn:uuid:1",
    )
    assert read.problems == {"CustomerNo": "too long", "b.c": "wrong; again"}


def test_the_status_of_the_answer_is_believed_and_not_the_bodys() -> None:
    assert read_problem(404, problem(status=200)).status == 404


def test_a_byte_order_mark_does_no_harm() -> None:
    assert read_problem(400, b"\xef\xbb\xbf" + problem(title="T")).title == "T"


def test_the_message_tells_what_support_needs() -> None:
    body = problem(
        type="x/validation",
        title="Validation failed",
        detail="d",
        instance="urn:1",
        problems=[{"customerNo": "too long"}],
    )
    error = pb.ValidationFailed(read_problem(400, body), operation="create_customer")
    assert str(error) == "create_customer: 400 Validation failed [instance urn:1]: d; customerNo: too long"
