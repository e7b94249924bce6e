"""Servers that differ from the mock, and that the contract and HTTP allow. The suite must find no fault in any of them.

Each variant is a behaviour in place of the mock, as a fault is, with the reason why it is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .exchange import CONTRACT, render
from .faults._planting import (
    CHARGE_ID,
    CUSTOMER_NO,
    LEDGERS,
    UPDATE,
    Answer,
    Behaviour,
    Fault,
    MockWithFault,
    Next,
    Request,
    problem_rewritten,
    read,
    refusal,
    rewritten,
    validation,
    with_body,
    with_header,
    without,
)
from .routes import JSON, snake

VARIANTS: dict[str, Fault] = {}
PROBLEMS = CONTRACT.problem_names
SELF = CONTRACT.self_link


def serve(name: str, ledgers: Mapping[str, str] = LEDGERS) -> MockWithFault:
    """Make the variant with this name."""
    return MockWithFault(VARIANTS[name], ledgers)


def allowed(why: str) -> Callable[[Behaviour], Behaviour]:
    """Register a function that responds in place of the mock, with the reason why the contract allows it."""

    def decorate(function: Behaviour) -> Behaviour:
        VARIANTS[function.__name__] = Fault(function.__name__, "allowed", why, behaviour=function)
        return function

    return decorate


def changes(why: str) -> Callable[[Callable[[Request, Answer], Answer]], Any]:
    """Register a function that changes the mock's response."""

    def decorate(function: Callable[[Request, Answer], Answer]) -> Any:
        def behaviour(_app: MockWithFault, request: Request, ask: Next) -> Answer:
            return function(request, ask(request))

        VARIANTS[function.__name__] = Fault(function.__name__, "allowed", why, behaviour=behaviour)
        return function

    return decorate


# methods


@allowed("RFC 9110, section 9.3.2: HEAD is answered like GET, without the body")
def head_like_get(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, method="GET") if request.method == "HEAD" else request)


@allowed("RFC 9110, section 9.3.7: OPTIONS tells the methods")
def options_204(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if request.method != "OPTIONS" or answer.status != 405:
        return answer
    return Answer(204, {"allow": answer.headers["allow"] + ", OPTIONS"}, b"")


@allowed("RFC 9110, section 9.1: 501 for a method that the server does not know")
def unknown_method_is_501(_: MockWithFault, request: Request, ask: Next) -> Answer:
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return ask(request) if request.method in known else refusal("not-implemented")


@allowed("the contract has no order of refusals: a missing resource may come before a method that it does not have")
def missing_before_method(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status != 405 or request.method in {"HEAD", "OPTIONS"}:
        return answer
    read_answer = ask(replace(request, method="GET", body=b""))
    return read_answer if read_answer.status == 404 else answer


@allowed("RFC 9110, section 9.3.1: a server may refuse a GET with a body")
def body_of_get_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return validation(body="is not allowed") if request.method == "GET" and request.body else ask(request)


# headers


@changes("RFC 9110, section 10.2.4: Server may name a version")
def server_with_version(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Server", "nginx/1.25.3")


@allowed("the contract has 429 with Retry-After for every operation")
def too_many_now_and_then(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return refusal("too-many-requests", headers={"retry-after": "1"}) if app.asked % 50 == 0 else ask(request)


@changes("RFC 9110, section 10.2.2: Location is a URI reference")
def absolute_location(_: Request, answer: Answer) -> Answer:
    own = read(answer).get(SELF) if answer.status == 201 else None
    return with_header(answer, "Location", f"http://testserver{own}") if own else answer


@changes("RFC 9110, section 10.2.2: a 201 may have a Location")
def location_as_path(_: Request, answer: Answer) -> Answer:
    own = read(answer).get(SELF) if answer.status == 201 else None
    return with_header(answer, "Location", own) if own else answer


@changes("the contract does not limit other headers")
def more_headers(_: Request, answer: Answer) -> Answer:
    for name, value in (
        ("Cache-Control", "no-store"),
        ("X-Request-Id", "0a5b7c1e"),
        ("Strict-Transport-Security", "max-age=31536000"),
        ("Vary", "Accept, Origin"),
        ("Date", "Thu, 01 Jan 2026 00:00:00 GMT"),
    ):
        answer = with_header(answer, name, value)
    return answer


@changes("RFC 9112, section 6.3: a body may come without Content-Length")
def no_content_length(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Content-Length", None)


@changes("RFC 9110, section 11.6.1: a scheme is not case sensitive, and there may be several challenges")
def several_challenges(_: Request, answer: Answer) -> Answer:
    return (
        with_header(answer, "WWW-Authenticate", 'Basic realm="x", bearer realm="y"') if answer.status == 401 else answer
    )


@changes("RFC 9110, section 8.3.1: a media type may have parameters, in any case")
def charset_in_media_types(_: Request, answer: Answer) -> Answer:
    media_type = answer.headers.get("content-type")
    return with_header(answer, "Content-Type", f"{media_type}; Charset=UTF-8") if media_type else answer


@allowed("RFC 9110, section 12.5.1: 406 if the client does not accept JSON")
def not_acceptable(_: MockWithFault, request: Request, ask: Next) -> Answer:
    accept = request.headers.get("accept", "*/*").lower()
    if any(each in accept for each in ("json", "*/*", "application/*")) and "q=0" not in re.split(r"[;,]", accept)[-1:]:
        return ask(request)
    return Answer(406, {"content-length": "0"}, b"")


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


# the order of refusals


@allowed("the contract has no order of refusals: a missing resource may come before a body that is not valid")
def missing_before_body(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status not in {400, 415, 413, 422} or request.method not in {"POST", UPDATE}:
        return answer
    path = request.raw_path if request.method == UPDATE else request.raw_path.rpartition(b"/")[0]
    found = ask(replace(request, method="GET", raw_path=path, body=b""))
    codes = [each.encode() for each in CONTRACT.not_found.values()]
    return found if found.status == 404 and any(each in found.body for each in codes) else answer


@allowed("the contract has no order of refusals: the media type may come before the credentials")
def media_type_first(_: MockWithFault, request: Request, ask: Next) -> Answer:
    match = CONTRACT.match(request.raw_path.decode("latin-1"))
    operation = match.operations.get(request.method) if match else None
    if operation is None or operation.body is None:
        return ask(request)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return ask(request) if media_type == JSON else refusal("unsupported-media-type")


@allowed("the contract has no query parameters, and 400 for what breaks the contract")
def unknown_query_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    match = CONTRACT.match(request.raw_path.decode("latin-1"))
    operation = match.operations.get(request.method) if match else None
    answer = ask(request)
    if request.query and operation is not None and not operation.takes_query and answer.status != 401:
        return validation(query="is not known")
    return answer


# bodies and values


@allowed("RFC 8259, section 8.1: a parser may ignore a byte order mark")
def byte_order_mark_ignored(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=request.body.removeprefix(b"\xef\xbb\xbf")))


@changes("RFC 8259, section 2: white space has no meaning")
def spaced_json(_: Request, answer: Answer) -> Answer:
    return with_body(answer, b"\r\n " + answer.body + b"\n") if answer.body else answer


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


# Registers its variants. It needs the functions above, so it is imported last.
from . import more_variants as _more_variants  # noqa: E402, F401
