"""Servers that differ from the mock in what the words of the contract allow."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from contract_tests.exchange import CONTRACT, parse_strictly, render
from contract_tests.faults._planting import (
    CHARGE_ID,
    CUSTOMER_NO,
    UPDATE,
    Answer,
    MockWithFault,
    Next,
    Request,
    problem_rewritten,
    read,
    refusal,
    rewritten,
    validation,
    wire,
    with_body,
    with_header,
    without,
)
from contract_tests.routes import snake

from ._registry import allowed, changes

PROBLEMS = CONTRACT.problem_names
SELF = CONTRACT.self_link


# problems


def _problem(answer: Answer, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Change the problem of a response, if the response has one: a response to HEAD has no body."""
    return problem_rewritten(answer, change) if answer.body else answer


def _names(form: Callable[[str], str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    key = PROBLEMS["problems"]

    def change(problem: dict[str, Any]) -> dict[str, Any]:
        listed = [{form(name): text for name, text in each.items()} for each in problem.get(key, ())]
        return problem | ({key: listed} if listed else {})

    return change


@changes("x-unknown of the contract: the casing of parameter names in problems is not known")
def parameters_in_pascal_case(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(lambda name: name[:1].upper() + name[1:]))


@changes("x-unknown of the contract: the casing of parameter names in problems is not known")
def parameters_in_upper_case(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(str.upper))


@changes("x-unknown of the contract: the casing of parameter names in problems is not known")
def parameters_in_snake_case(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(snake))


@changes("the contract names each failed parameter by its path")
def parameters_by_path(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(lambda name: f"$.{name}"))


@changes("x-rules of the contract: a path such as a JSON pointer may lead to the parameter's name")
def parameters_by_pointer(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(lambda name: f"/{name}"))


@changes("x-rules of the contract: a path from the body may lead to the parameter's name")
def parameters_below_body(_: Request, answer: Answer) -> Answer:
    return _problem(answer, _names(lambda name: f"Body.{name[:1].upper()}{name[1:]}"))


@changes("x-rules of the contract: `problems` may be missing if the body is no JSON object")
def bad_json_names_nothing(request: Request, answer: Answer) -> Answer:
    try:
        is_object = isinstance(parse_strictly(request.body), dict)
    except AssertionError:
        is_object = not request.body and request.method not in {"POST", UPDATE}
    return answer if is_object else _problem(answer, lambda each: without(each, PROBLEMS["problems"]))


@changes("x-rules of the contract: the keys of a problem may be in any case, and samples have them in PascalCase")
def problem_keys_in_pascal_case(_: Request, answer: Answer) -> Answer:
    return _problem(answer, lambda each: {name[:1].upper() + name[1:]: value for name, value in each.items()})


@changes("an older sample has an absolute URL as the type; the last segment counts")
def absolute_problem_types(_: Request, answer: Answer) -> Answer:
    kind = PROBLEMS["type"]
    return _problem(answer, lambda problem: problem | {kind: f"https://api.payex.com/{problem[kind]}"})


@changes("RFC 9457, section 3.2: a problem may have more members, and `detail` is optional")
def other_members_of_problems(_: Request, answer: Answer) -> Answer:
    return _problem(answer, lambda each: without(each, PROBLEMS["detail"]) | {"traceId": "0a5b", "hint": None})


@changes("the contract does not limit how often a parameter is named")
def a_parameter_is_named_twice(_: Request, answer: Answer) -> Answer:
    key = PROBLEMS["problems"]
    return _problem(answer, lambda each: each | ({key: each[key] * 2} if key in each else {}))


@allowed("the contract has 403 for known credentials that are not allowed to do this")
def other_token_is_forbidden(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    is_known = scheme.lower() == "bearer" and token in app.tokens.values()
    return refusal("forbidden") if answer.status == 401 and is_known else answer


# an ingress

PAGE = b"<html><body><h1>Not available</h1></body></html>"


def _from_ingress(status: int, body: bytes = PAGE) -> Answer:
    """Return a response of an ingress. A 429 says how long to wait."""
    headers = {"content-length": str(len(body))}
    headers |= {"content-type": "text/html"} if body else {}
    return Answer(status, headers | ({"retry-after": "1"} if status == 429 else {}), body)


@allowed("x-rules of the contract: an ingress may send 403 as a page")
def forbidden_as_a_page(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = other_token_is_forbidden(app, request, ask)
    return _from_ingress(403) if answer.status == 403 else answer


@allowed("x-rules of the contract: an ingress may send 429 as a page")
def too_many_as_a_page(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return _from_ingress(429) if app.asked % 50 == 0 else ask(request)


@allowed("x-rules of the contract: an ingress may send 429 without a body")
def too_many_without_a_body(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return _from_ingress(429, b"") if app.asked % 50 == 0 else ask(request)


@allowed("x-rules of the contract: an ingress may refuse a body of more than 4 kB, and send 413 as a page")
def large_bodies_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return _from_ingress(413) if len(request.body) > 4096 else ask(request)


@allowed("x-rules of the contract: a body of more than 4 kB may be refused")
def bodies_above_4_kb_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    if len(request.body) <= 4096:
        return ask(request)
    looked = ask(replace(request, method="GET", body=b""))  # a refused write has no effect
    return looked if looked.status == 401 else refusal("content-too-large")


# paths and deletions


@allowed("x-rules of the contract: a path with a slash at its end may be redirected to the path without it")
def slash_redirected(_: MockWithFault, request: Request, ask: Next) -> Answer:
    if not request.raw_path.endswith(b"/"):
        return ask(request)
    return Answer(308, {"location": request.raw_path.rstrip(b"/").decode("latin-1"), "content-length": "0"}, b"")


@allowed("x-rules of the contract: a ledger may not be configured for DELETE")
def delete_not_configured(_: MockWithFault, request: Request, ask: Next) -> Answer:
    match = CONTRACT.match(request.raw_path.decode("latin-1"))
    if request.method != "DELETE" or match is None or "DELETE" not in match.operations:
        return ask(request)
    found = ask(replace(request, method="GET", body=b""))
    return found if found.status >= 300 else refusal("not-implemented")


# values


@changes("`@id` of a customer is optional")
def customer_without_id(_: Request, answer: Answer) -> Answer:
    links = set(CONTRACT.links["customer"])
    return rewritten(answer, lambda each: without(each, SELF) if links <= set(each) else None, of=CUSTOMER_NO)


@changes("a value that was not given may be absent or null")
def nulls_are_shown(_: Request, answer: Answer) -> Answer:
    names = [name for name in CONTRACT.creations["charge"]["properties"] if name not in CONTRACT.keys.values()]
    return rewritten(answer, lambda each: dict.fromkeys(names) | each, of=CHARGE_ID)


@changes("a value that was not given may be absent or null")
def nulls_are_absent(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer, lambda each: {name: value for name, value in each.items() if value is not None}, of=CHARGE_ID
    )


@changes("the contract tolerates unknown properties of `navigation`")
def more_navigation(_: Request, answer: Answer) -> Answer:
    if answer.status >= 300 or not answer.body:
        return answer
    body = read(answer)
    if not isinstance(body, dict) or not isinstance(body.get("navigation"), dict):
        return answer
    return with_body(answer, render(body | {"navigation": body["navigation"] | {"count": 1, "help": None}}))


@changes("x-rules of the contract: a server may show a default for a quantity that was not given")
def quantity_is_one(_: Request, answer: Answer) -> Answer:
    return _filled(answer, lambda _: {wire("quantity"): 1})


@changes("x-rules of the contract: a server may show the master product's values")
def master_values_are_shown(_: Request, answer: Answer) -> Answer:
    def master(charge: dict[str, Any]) -> dict[str, Any]:
        code = str(charge[wire("product_code")])
        named = {"unit_price": Decimal(f"{len(code)}.25"), "vat_rate": 25, "text": f"Product {code}"}
        return {wire(role): value for role, value in named.items()}

    return _filled(answer, master)


def _filled(answer: Answer, values: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """Show values in place of those that are absent or null."""
    return rewritten(
        answer,
        lambda each: each | {name: value for name, value in values(each).items() if each.get(name) is None},
        of=CHARGE_ID,
    )


@allowed("x-rules of the contract: a property that only the server sets may be refused")
def read_only_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    match = CONTRACT.match(request.raw_path.decode("latin-1"))
    operation = match.operations.get(request.method) if match else None
    try:
        sent = parse_strictly(request.body) if request.body and operation is not None and operation.kind else {}
    except AssertionError:
        return ask(request)
    answer = ask(replace(request, method="GET", body=b"")) if request.method == UPDATE else None
    names = CONTRACT.server_set[operation.kind] & set(sent) if isinstance(sent, dict) and operation else set()
    if not names or (answer is not None and answer.status >= 300):
        return ask(request)
    return validation(**dict.fromkeys(names, "is set by the server"))


# lists


@allowed("x-rules of the contract: a list may be in any order")
def newest_first(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return _listed(ask(request), lambda items: (items[::-1], {}))


@allowed("x-rules of the contract: a list may come in pages, and `@id` may have the query of the page")
def pages(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return _page(request, ask, lambda link: link)


@allowed("x-rules of the contract: `next` may be an object with the link")
def pages_by_object(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return _page(request, ask, lambda link: {SELF: link})


def _page(request: Request, ask: Next, link: Callable[[str], Any]) -> Answer:
    """Return a page of three items, if the request is for a list."""
    path, start = request.raw_path.decode("latin-1"), 0
    if found := re.fullmatch(rb"offset=(\d+)", request.query):
        start, request = int(found[1]), replace(request, query=b"")

    def cut(items: list[Any]) -> tuple[list[Any], dict[str, Any]]:
        own = {SELF: f"{path}?offset={start}"} if start else {}
        more = {"next": link(f"{path}?offset={start + 3}")} if len(items) > start + 3 else {}
        return items[start : start + 3], own | more

    return _listed(ask(request), cut)


def _listed(answer: Answer, change: Callable[[list[Any]], tuple[list[Any], dict[str, Any]]]) -> Answer:
    """Change the items and the navigation of a list. Return any other response unchanged."""
    body = read(answer) if answer.status == 200 and answer.body else None
    if not isinstance(body, dict) or not isinstance(body.get("navigation"), dict):
        return answer
    name = next(name for name, value in body.items() if isinstance(value, list))
    items, navigation = change(body[name])
    return with_body(answer, render(body | {name: items, "navigation": body["navigation"] | navigation}))


# operations


@changes("unknown relations and methods must be tolerated")
def more_operations(_: Request, answer: Answer) -> Answer:
    def change(resource: dict[str, Any]) -> dict[str, Any]:
        audit = {"rel": "audit", "method": "QUERY", "href": resource[SELF]}
        return resource | {"operations": [audit, *(resource.get("operations") or ()), audit | {"rel": "archive"}]}

    return rewritten(answer, change, of=SELF)


@allowed("the contract does not limit other headers: a cache may add one now and then")
def a_header_now_and_then(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    return with_header(answer, "Server-Timing", "db;dur=2") if app.asked % 3 == 0 else answer
