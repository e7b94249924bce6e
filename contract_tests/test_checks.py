"""Each check rejects a response that breaks its rule, and accepts the mock's own response."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from payex_billing_mock import Store
from schemathesis import Case, Response

from contract_tests import checks, rules
from contract_tests.api import CHARGE_ID, CUSTOMER_NO, Api, NotTried, charge_path, charges_path, new_charge, wire
from contract_tests.exchange import CONTRACT, DOCUMENT, Broken, Exchange, parameter_of
from contract_tests.faults._planting import Answer, Fault, MockWithFault, Next, Request, refusal, with_body, with_header
from contract_tests.mocks import seed
from contract_tests.routes import PROBLEM, Operation
from contract_tests.support import BASE_PATH, LEDGER, TOKEN, bearer, load_schema

CUSTOMER = "15615616"
Change = Callable[[Answer], Answer]
APP = MockWithFault(Fault("none", "", "the answers are changed on their way"), {LEDGER: TOKEN})
SCHEMA = load_schema(LEDGER)
SCHEMA.app = APP


def call(
    role: str, kind: str, change: Change | None = None, body: Any = None, **parameters: str
) -> tuple[Case[Any], Response]:
    """Call an operation of a mock, and change its response before the checks see it."""

    def behaviour(_: Any, request: Request, ask: Next) -> Answer:
        answer = ask(request)
        return change(answer) if change is not None else answer

    APP.store = Store()
    APP.fault = replace(APP.fault, behaviour=None)
    seed(APP)
    APP.fault = replace(APP.fault, behaviour=behaviour)
    operation = CONTRACT.operation(role, kind)
    assert operation is not None
    sent = {} if body is None else {"body": body, "media_type": "application/json"}
    numbers = {CONTRACT.ledger_parameter: LEDGER, CONTRACT.place("customer").parameter: CUSTOMER}
    case = SCHEMA[operation.path][operation.method].Case(path_parameters=numbers | parameters, **sent)
    return case, case.call(base_url=f"http://testserver{BASE_PATH}", headers=bearer(TOKEN))


def body(**changes: Any) -> Change:
    """Change or remove (None) properties of the body."""

    def change(answer: Answer) -> Answer:
        value = json.loads(answer.body) | changes
        return text(json.dumps({name: item for name, item in value.items() if item is not None}))(answer)

    return change


def text(new: str | bytes) -> Change:
    """Replace the body."""
    return lambda answer: with_body(answer, new)


def header(name: str, value: str | None) -> Change:
    """Replace or remove a header."""
    return lambda answer: with_header(answer, name, value)


PRICE = wire("unit_price")
TO_CHARGES, TO_SUBSCRIPTIONS = (
    next(name for name, place in CONTRACT.links["customer"].items() if place.kind == kind)
    for kind in ("charge", "subscription")
)
GET_CUSTOMER: dict[str, Any] = {"role": "read", "kind": "customer"}
GET_NOBODY: dict[str, Any] = {**GET_CUSTOMER, CONTRACT.place("customer").parameter: "99999999"}
LIST: dict[str, Any] = {"role": "list", "kind": "charge"}
ADD: dict[str, Any] = {"role": "create", "kind": "charge", "body": new_charge({"x": 1}, unit_price=0.1)}
BAD: dict[str, Any] = {"role": "create", "kind": "charge", "body": new_charge(product_code="")}
DUPLICATE = json.dumps(DOCUMENT["components"]["examples"]["CustomerAlreadyExistsProblem"]["value"]).encode()
CONTEXT: Any = None  # none of our checks uses it
HONEST = [GET_CUSTOMER, GET_NOBODY, LIST, ADD, BAD]

BROKEN: list[tuple[str, Any, dict[str, Any], Change]] = [
    ("a repeated key", checks.strict_json, GET_CUSTOMER, text(f'{{"{CUSTOMER_NO}":"1","{CUSTOMER_NO}":"1"}}')),
    ("NaN", checks.strict_json, GET_CUSTOMER, text(f'{{"{CUSTOMER_NO}":NaN}}')),
    ("a byte order mark", checks.strict_json, GET_CUSTOMER, text(b"\xef\xbb\xbf{}")),
    ("Latin-1", checks.strict_json, GET_CUSTOMER, text('{"a":"å"}'.encode("latin-1"))),
    ("truncated JSON", checks.strict_json, GET_CUSTOMER, text(f'{{"{CUSTOMER_NO}":')),
    ("another status in the problem", checks.problem_tells_the_truth, GET_NOBODY, body(status=400)),
    ("an unknown type", checks.problem_tells_the_truth, GET_NOBODY, body(type="billing/customer/problems/oops")),
    ("a type of another status", checks.problem_tells_the_truth, GET_NOBODY, body(type="problems/validation")),
    ("no title", checks.problem_tells_the_truth, GET_NOBODY, body(title=None)),
    ("no instance", checks.problem_tells_the_truth, GET_NOBODY, body(instance=None)),
    ("HTML", checks.problem_tells_the_truth, GET_NOBODY, header("Content-Type", "text/html")),
    ("plain JSON", checks.problem_tells_the_truth, GET_NOBODY, header("Content-Type", "application/json")),
    ("no parameter named", checks.problem_tells_the_truth, BAD, body(problems=[])),
    ("two parameters in one", checks.problem_tells_the_truth, BAD, body(problems=[{"a": "x", "b": "y"}])),
    ("a space in an instance", checks.problem_tells_the_truth, GET_NOBODY, body(instance="a b")),
    ("an unusable Retry-After", checks.headers_mean_what_they_say, GET_NOBODY, header("Retry-After", "soon")),
    ("another Location", checks.headers_mean_what_they_say, ADD, header("Location", "/elsewhere")),
    ("a stack trace", checks.nothing_internal_is_shown, GET_NOBODY, body(detail="at a.B.c(B.java:7)")),
    ("a Python traceback", checks.nothing_internal_is_shown, GET_NOBODY, body(detail="Traceback (most recent call")),
    ("a statement", checks.nothing_internal_is_shown, GET_NOBODY, body(detail="SELECT * FROM customer")),
    ("the number repeated", checks.nothing_internal_is_shown, GET_NOBODY, body(detail="no customer 99999999")),
    ("another @id", checks.links_are_the_resources_own, GET_CUSTOMER, body(**{"@id": "/billing/2"})),
    ("a link of another", checks.links_are_the_resources_own, GET_CUSTOMER, body(**{TO_SUBSCRIPTIONS: "/elsewhere"})),
    ("an absolute link", checks.links_are_the_resources_own, GET_CUSTOMER, body(**{TO_CHARGES: "https://x.example/y"})),
    (
        "an operation of another",
        checks.links_are_the_resources_own,
        GET_CUSTOMER,
        body(operations=[{"rel": "add-subscription", "method": "POST", "href": "/elsewhere/subscriptions"}]),
    ),
    ("a list elsewhere", checks.links_are_the_resources_own, LIST, body(navigation={"@id": "/elsewhere"})),
    ("an id that is not the link's", checks.links_are_the_resources_own, ADD, body(**{CHARGE_ID: "other"})),
    ("a rounded price", checks.what_was_sent_is_what_is_held, ADD, body(**{PRICE: 0.10000001})),
]  # fmt: skip


@pytest.mark.parametrize(("check", "operation", "change"), [pytest.param(*each[1:], id=each[0]) for each in BROKEN])
def test_a_broken_answer_is_caught(check: Any, operation: dict[str, Any], change: Change) -> None:
    case, response = call(change=change, **operation)
    with pytest.raises(AssertionError):
        check(CONTEXT, response, case)


@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("operation", HONEST, ids=lambda operation: f"{operation['role']} {operation['kind']}")
def test_an_honest_answer_is_not(check: Any, operation: dict[str, Any]) -> None:
    case, response = call(**operation)
    check(CONTEXT, response, case)


def pascal(answer: Answer) -> Answer:
    """Begin the keys of a body with a capital letter."""
    return text(json.dumps({name.capitalize(): value for name, value in json.loads(answer.body).items()}))(answer)


def page(status: int, content: str) -> Change:
    """Replace a response by that of an ingress: a page, or no body if `content` is empty."""
    kind = "text/html" if content else None
    return lambda answer: replace(header("Content-Type", kind)(text(content)(answer)), status=status)


CHARGES = f"{BASE_PATH}/{LEDGER}/" + "/".join(charges_path(CUSTOMER))
ALLOWED: list[tuple[str, dict[str, Any], Change]] = [
    ("a problem in PascalCase", GET_NOBODY, pascal),
    ("a validation problem in PascalCase", BAD, pascal),
    ("403 as a page", GET_CUSTOMER, page(403, "<html>")),
    ("413 as a page", ADD, page(413, "<html>")),
    ("503 as a page", GET_CUSTOMER, page(503, "<html>")),
    ("503 without a body", GET_CUSTOMER, page(503, "")),
    ("a page of a list", LIST, body(navigation={"@id": f"{CHARGES}?p=2"})),
    ("an id that is encoded no more than needed", ADD, body(**{
        CHARGE_ID: "a=b", "@id": f"{CHARGES}/a=b",
    })),
]  # fmt: skip


@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize(("operation", "change"), [pytest.param(*each[1:], id=each[0]) for each in ALLOWED])
def test_an_allowed_answer_is_not(check: Any, operation: dict[str, Any], change: Change) -> None:
    case, response = call(change=change, **operation)
    check(CONTEXT, response, case)


@pytest.mark.parametrize(("status", "content"), [(404, "<html>"), (500, "<html>"), (404, "")])
def test_only_an_ingress_may_answer_without_a_problem(status: int, content: str) -> None:
    case, response = call(change=page(status, content), **GET_NOBODY)
    with pytest.raises(AssertionError):
        checks.problem_tells_the_truth(CONTEXT, response, case)


class WithKey(Exchange):
    """An exchange of a contract that has an Idempotency-Key."""

    @property
    def defined(self) -> Operation:
        operation = CONTRACT.operation("create", "customer")
        assert operation is not None
        return replace(operation, takes_key=True)


@pytest.mark.parametrize(
    ("kind", "keys", "is_broken"),
    [
        (WithKey, ("a", "a"), False),
        (WithKey, ("a", "b"), True),
        (WithKey, ("", ""), True),
        (Exchange, ("a", "a"), True),
    ],
)
def test_only_a_request_repeated_by_its_key_has_the_same_problem(
    kind: type[Exchange], keys: tuple[str, str], is_broken: bool
) -> None:
    rules.forget_instances()
    path = "/".join((BASE_PATH, LEDGER, *CONTRACT.place("customer").segments()))
    first, second = (
        kind("POST", path, {"Idempotency-Key": key}, b"{}", 409, {"content-type": PROBLEM}, DUPLICATE) for key in keys
    )
    rules.problem_tells_the_truth(first)
    with pytest.raises(AssertionError, match="earlier problem") if is_broken else nullcontext():
        rules.problem_tells_the_truth(second)


@pytest.mark.parametrize(
    ("path", "location", "is_redirect"),
    [("/a/", "/a", True), ("/a/", "https://b.example/a", True), ("/a/", "/b", False), ("/a", "/a/", False)],
)
def test_only_the_redirect_to_the_path_without_its_slash_is_one(path: str, location: str, is_redirect: bool) -> None:
    exchange = Exchange("GET", path, {}, b"", 308, {"location": location}, b"")
    assert rules.is_slash_redirect(exchange) is is_redirect


@pytest.mark.parametrize(
    "path",
    [
        "quantity", "Quantity", "/quantity", "$.quantity", "#/quantity", "body.quantity", "/body/quantity",
        "Body.Quantity", "$.body.quantity", "body[quantity]",
    ],
)  # fmt: skip
def test_each_form_of_a_path_names_the_parameter(path: str) -> None:
    assert parameter_of(path) == "quantity"


@pytest.mark.parametrize(("status", "name"), [(401, "WWW-Authenticate"), (405, "Allow"), (429, "Retry-After")])
def test_a_refusal_must_have_its_header(status: int, name: str) -> None:
    def change(answer: Answer) -> Answer:
        return replace(header(name, None)(answer), status=status)

    case, response = call(change=change, **GET_CUSTOMER)
    with pytest.raises(AssertionError, match=f"a {status} "):
        checks.headers_mean_what_they_say(CONTEXT, response, case)


class Scripted:
    """A transport that returns prepared responses."""

    origin = "http://testserver"

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        answer = self.answers.pop(0)
        return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body

    def close(self) -> None: ...


def test_a_ledger_is_configured_for_a_deletion_or_it_is_not() -> None:
    route = charge_path((CUSTOMER,), {CHARGE_ID: "1"})
    api = Api(Scripted(refusal("not-implemented"), Answer(204, {}, b"")), BASE_PATH, LEDGER, TOKEN)
    refused = api.delete(*route)
    with pytest.raises(NotTried, match="not configured"):
        api.succeeds(refused)
    assert not api.can_delete(*route)
    with pytest.raises(Broken, match="501 before"):
        api.succeeds(api.send("DELETE", *route))
