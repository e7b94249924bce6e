"""What the contract leaves open: a change within these freedoms is no fault, so no suite may blame it.

Each freedom makes the changed response as the mock's own, if the contract allows the difference. A mutant is left out
if nothing is left to tell the two responses apart.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

from contract_tests.exchange import CONTRACT, Exchange, parameter_of, parse_strictly, render
from contract_tests.routes import singular
from contract_tests.schemas import JUDGE, resolve

SELF = CONTRACT.self_link
PROBLEM = CONTRACT.problem_names
BILLED, OPERATIONS = CONTRACT.wire("billed_until"), CONTRACT.wire("operations")


@dataclass
class Shape:
    """A response, taken apart. `body` is the parsed JSON, or the bytes if they are not JSON."""

    status: int
    headers: dict[str, str]
    body: Any
    exchange: Exchange

    def __post_init__(self) -> None:
        """Find the resources in the body."""
        name = CONTRACT.list_name(self.exchange.defined)
        found: Any = self.body.get(name) if name and isinstance(self.body, dict) else [self.body]
        is_whole = isinstance(found, list) and all(isinstance(each, dict) for each in found)
        self.resources: list[dict[str, Any]] = found if is_whole and self.status < 300 else []
        self.items: list[Any] = found if is_whole and name else []

    @property
    def problem(self) -> dict[str, Any]:
        """The problem; empty if the response has none."""
        return self.body if self.status >= 400 and isinstance(self.body, dict) else {}


Freedom = Callable[[Shape, Shape, bool], None]
FREEDOMS: dict[str, tuple[str, Freedom]] = {}


def freedom(why: str) -> Callable[[Freedom], Freedom]:
    """Register a freedom with what allows it: a place of the contract, or an RFC that the contract rests on.

    The function gets the changed response, the mock's own, and whether the server changes every such response.
    """

    def register(function: Freedom) -> Freedom:
        FREEDOMS[function.__name__.replace("_", " ")] = (why, function)
        return function

    return register


def allowed_by(changed: Exchange, own: Exchange, *, always: bool) -> str | None:
    """Return the freedom that allows the whole difference, or `several freedoms`; None if there is a fault."""
    for name, (_, function) in FREEDOMS.items():
        if _same(changed, own, [function], always):
            return name
    return "several freedoms" if _same(changed, own, [each for _, each in FREEDOMS.values()], always) else None


def _same(changed: Exchange, own: Exchange, freedoms: list[Freedom], always: bool) -> bool:
    after, before = _shape(changed), _shape(own)
    for each in freedoms:
        try:
            each(after, before, always)
        except (KeyError, TypeError, AttributeError, ValueError, IndexError):
            continue  # the response does not have the form that this freedom is about
    return _key(after) == _key(before)


def _shape(exchange: Exchange) -> Shape:
    try:
        body = copy.deepcopy(parse_strictly(exchange.body)) if exchange.body else None
    except AssertionError:
        body = exchange.body
    return Shape(exchange.status, dict(exchange.headers), body, exchange)


def _key(shape: Shape) -> tuple[Any, ...]:
    headers = {name: value for name, value in shape.headers.items() if name != "content-length"}
    lengths = shape.headers.get("content-length") == str(len(shape.exchange.body)) or shape.exchange.method == "HEAD"
    own = "content-length" in shape.headers
    return shape.status, sorted(headers.items()), _plain(shape.body), (own and not lengths)


def _plain(value: Any) -> Any:
    """Return a value in which equal numbers are one, and true is not 1."""
    match value:
        case dict():
            return "object", sorted((name, _plain(each)) for name, each in value.items())
        case list():
            return "list", [_plain(each) for each in value]
        case bool() | None | bytes():
            return str(value), ""
        case int() | Decimal():
            return "number", f"{Decimal(value).normalize():f}"
    return "text", value


# headers


@freedom("HTTP headers that the contract does not name are the server's (RFC 9110, section 6.3)")
def other_headers(after: Shape, before: Shape, _always: bool) -> None:
    named = {"content-type", "content-length", "allow", "www-authenticate", "retry-after", "location"}
    for shape in (after, before):
        shape.headers = {name: value for name, value in shape.headers.items() if name in named}


@freedom("a media type is written in any case (RFC 9110, section 8.3.1)")
def case_of_media_types(after: Shape, before: Shape, _always: bool) -> None:
    for shape in (after, before):
        shape.headers["content-type"] = shape.headers["content-type"].lower()


@freedom("Allow may name more methods than the contract (RFC 9110, section 10.2.1)")
def more_methods_in_allow(after: Shape, before: Shape, _always: bool) -> None:
    methods = [{each.strip() for each in shape.headers["allow"].split(",")} for shape in (after, before)]
    if methods[1] <= methods[0]:
        after.headers["allow"] = before.headers["allow"]


@freedom("a scheme is written in any case, and more challenges may follow (RFC 9110, section 11.6.1)")
def more_challenges(after: Shape, before: Shape, _always: bool) -> None:
    if after.headers["www-authenticate"].lower().startswith(before.headers["www-authenticate"].lower()):
        after.headers["www-authenticate"] = before.headers["www-authenticate"]


@freedom("a response to HEAD may leave out the headers of the content, and the contract has no HEAD (RFC 9110, 9.3.2)")
def headers_of_head(after: Shape, before: Shape, _always: bool) -> None:
    if after.exchange.method == "HEAD":
        for shape in (after, before):
            shape.headers = {name: value for name, value in shape.headers.items() if not name.startswith("content-")}


# problems


@freedom("`detail` is optional, and any text (schema Problem; RFC 9457, section 3.1.4)")
def details(after: Shape, before: Shape, _always: bool) -> None:
    for shape in (after, before):
        if isinstance(shape.problem.get(PROBLEM["detail"], ""), str):
            shape.problem.pop(PROBLEM["detail"], None)


@freedom("`instance` is any id that no other problem has (schema Problem)")
def instances(after: Shape, before: Shape, _always: bool) -> None:
    name = PROBLEM["instance"]
    schema = resolve(CONTRACT.problem_schema)["properties"][name]
    # Ids of two mocks differ from their first random digit on; a change that gives another's id is recognised by that.
    own, other = before.problem[name], after.problem[name]
    if JUDGE.takes(schema, other) and not (len(own) == len(other) and own[:20].lower() != other[:20].lower()):
        after.problem[name] = own


@freedom("the last segment of `type` counts (schema Problem)")
def beginning_of_types(after: Shape, before: Shape, _always: bool) -> None:
    name = PROBLEM["type"]
    schema = resolve(CONTRACT.problem_schema)["properties"][name]
    own, other = before.problem[name], after.problem[name]
    if JUDGE.takes(schema, other) and own.rpartition("/")[2] == other.rpartition("/")[2]:
        after.problem[name] = own


@freedom("parameters are named in any case, and their messages are any text (x-rules, problem-parameters)")
def names_and_messages(after: Shape, before: Shape, _always: bool) -> None:
    for shape in (after, before):
        listed = shape.problem[PROBLEM["problems"]]
        if all(len(each) == 1 and all(isinstance(text, str) and text for text in each.values()) for each in listed):
            # A parameter may be named twice: nothing says how often.
            names = {parameter_of(name) for each in listed for name in each}
            shape.problem[PROBLEM["problems"]] = [{name: "…"} for name in sorted(names)]


@freedom("an ingress may answer 503 at any time, without a body (x-rules, ingress)")
def unavailable_now(after: Shape, before: Shape, always: bool) -> None:
    if not always and after.status == 503 and after.body is None:
        after.status = before.status


@freedom("403, 413, 429 and 503 may have no body (x-rules, ingress)")
def no_body_from_an_ingress(after: Shape, before: Shape, _always: bool) -> None:
    if after.status in CONTRACT.ingress_statuses and after.body is None:
        after.body, after.headers = before.body, before.headers


@freedom("only a validation problem of a JSON object must name parameters (x-rules, problem-parameters)")
def parameters_of_others(after: Shape, before: Shape, _always: bool) -> None:
    name = PROBLEM["problems"]
    if before.exchange.code == "validation" and _is_object(before.exchange.sent):
        return
    if not after.problem.get(name, []):
        after.problem.pop(name, None)
        before.problem.pop(name, None)


def _is_object(sent: bytes) -> bool:
    try:
        return not sent or isinstance(parse_strictly(sent), dict)
    except AssertionError:
        return False


# resources


@freedom("a value that was not given may be absent or null (x-rules, values-not-given)")
def absent_or_null(after: Shape, before: Shape, _always: bool) -> None:
    schema = CONTRACT.resources[after.exchange.role[1]]
    optional = set(schema["properties"]) - set(schema.get("required", ()))
    for shape in (after, before):
        for resource in shape.resources:
            for name in [each for each in optional if resource.get(each, 0) is None]:
                if JUDGE.takes(schema["properties"][name], None):
                    del resource[name]


@freedom("`operations` may be absent or null (schemas Customer, Subscription, RecurringProduct)")
def no_operations(after: Shape, before: Shape, _always: bool) -> None:
    for new, old in zip(after.resources, before.resources, strict=True):
        if new.get(OPERATIONS) is None:
            new[OPERATIONS] = old.get(OPERATIONS)
        if old.get(OPERATIONS) is None:
            old[OPERATIONS] = new[OPERATIONS] = None


@freedom("`operations` says what may be done now, which may change between reads (schema Operations)")
def operations_now(after: Shape, before: Shape, always: bool) -> None:
    for new, old in zip(after.resources, before.resources, strict=True):
        shown = [_plain(each) for each in old[OPERATIONS]]
        if not always and all(_plain(each) in shown or not _is_known(each) for each in new[OPERATIONS]):
            new[OPERATIONS] = old[OPERATIONS]


def _is_known(operation: Mapping[str, Any]) -> bool:
    names = {f"add-{singular(place.segment)}" for place in CONTRACT.places.values()}
    return operation["rel"] in names and operation["method"] == "POST"


@freedom("the server sets `billedUntil`, at any time: a date, null, or absent (schema RecurringProduct)")
def billed_until(after: Shape, before: Shape, _always: bool) -> None:
    schema = CONTRACT.resources["charge"]["properties"][BILLED]
    for shape in (after, before):
        for resource in shape.resources if shape.exchange.role[1] == "charge" else ():
            if JUDGE.takes(schema, resource.get(BILLED)):
                resource.pop(BILLED, None)


@freedom("the `@id` of a customer is optional (schema Customer)")
def customer_without_id(after: Shape, before: Shape, _always: bool) -> None:
    for new, old in zip(after.resources, before.resources, strict=True):
        if after.exchange.role[1] == "customer" and SELF not in new:
            new[SELF] = old[SELF]


@freedom("a list may be in any order (x-rules, lists)")
def order_of_lists(after: Shape, before: Shape, _always: bool) -> None:
    after.items.sort(key=render)
    before.items.sort(key=render)


@freedom("a server may add properties that the contract does not have, where no schema forbids them")
def more_properties(after: Shape, before: Shape, _always: bool) -> None:
    defined = after.exchange.defined
    schema = CONTRACT.problem_schema if after.problem or defined is None else defined.success_schema
    _tolerate(after.body, before.body, schema or {})


def _tolerate(value: Any, own: Any, schema: Mapping[str, Any]) -> None:
    """Remove the properties of a value that neither the schema nor the mock's own value has."""
    for node in map(resolve, resolve(schema).get("anyOf", [schema])):
        if isinstance(value, dict) and isinstance(own, dict) and "properties" in node:
            for name in [each for each in value if each not in node["properties"] and each not in own]:
                del value[name]
            for name in value.keys() & own.keys() & node["properties"].keys():
                _tolerate(value[name], own[name], node["properties"][name])
        elif isinstance(value, list) and isinstance(own, list) and "items" in node:
            for each, other in zip(value, own, strict=False):
                _tolerate(each, other, node["items"])


@freedom("a link may leave unencoded what a path may have (x-rules, links)")
def encoding_of_paths(after: Shape, before: Shape, _always: bool) -> None:
    for shape in (after, before):
        shape.body = _decoded(shape.body)
        if "location" in shape.headers:
            shape.headers["location"] = _decoded(urlsplit(shape.headers["location"]).path)


def _decoded(value: Any) -> Any:
    match value:
        case dict():
            return {name: _decoded(each) for name, each in value.items()}
        case list():
            return [_decoded(each) for each in value]
        case str() if value.startswith("/"):
            # A `/` inside a segment stays apart from a `/` between two.
            return "/".join(unquote(each).replace("/", "\0") for each in value.split("/"))
    return value
