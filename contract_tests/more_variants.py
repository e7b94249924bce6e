"""More allowed servers: connections, JSON in other words, ids, lists, and properties that the contract has not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote

from .exchange import CONTRACT, parse_strictly, render
from .faults._planting import (
    Answer,
    MockWithFault,
    Next,
    Request,
    read,
    refusal,
    rewritten,
    validation,
    with_body,
    with_header,
    without,
)
from .routes import Operation
from .schemas import JUDGE
from .variants import PROBLEMS, SELF, allowed, changes

LONG_ID = "A-._~" * 40
ODD_ID = "a!$&'()*+,;=:@~-._"
SUB_DELIMITERS = "!$&'()*+,;=:@"  # RFC 3986, section 3.3: a segment may have these as they are
PAGE = 3


def _operation(request: Request) -> Operation | None:
    match = CONTRACT.match(request.raw_path.decode("latin-1"))
    return match.operations.get(request.method) if match else None


def _deep(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change each value of a JSON document, the inner ones first."""
    if isinstance(value, dict):
        value = {name: _deep(each, change) for name, each in value.items()}
    elif isinstance(value, list):
        value = [_deep(each, change) for each in value]
    return change(value)


def _everywhere(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    return with_body(answer, render(_deep(read(answer), change))) if answer.body else answer


# connections and headers


@changes("RFC 9112, section 9.6: a server may close the connection after any response")
def connection_is_closed(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Connection", "close")


@changes("RFC 9112, section 9.3: a server may say how long it keeps a connection")
def connection_is_kept(_: Request, answer: Answer) -> Answer:
    return with_header(with_header(answer, "Connection", "keep-alive"), "Keep-Alive", "timeout=5, max=100")


@allowed("RFC 9110, section 8.8: a response may have validators and rules for caches, new ones in each response")
def caching_headers(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = with_header(ask(request), "Cache-Control", "private, no-cache, max-age=0")
    answer = with_header(answer, "Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
    return with_header(answer, "ETag", f'W/"{app.asked}"')


@allowed("the contract does not limit other headers, and a header may come now and then")
def header_now_and_then(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return with_header(ask(request), "Server-Timing", "db;dur=2" if app.asked % 3 else None)


@changes("RFC 9110, section 7.6.3: a gateway must add Via")
def via_a_gateway(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Via", "1.1 gateway")


@changes("RFC 9110, section 10.2.1: the methods of Allow have no order")
def allow_in_another_order(_: Request, answer: Answer) -> Answer:
    allow = answer.headers.get("allow")
    return with_header(answer, "Allow", ",".join(reversed(re.split(r",\s*", allow)))) if allow else answer


@changes("RFC 9110, section 8.3: a response without a body may have a Content-Type")
def media_type_without_body(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Content-Type", "application/json") if answer.status == 204 else answer


@allowed("RFC 9110, section 10.2.3: Retry-After may be a date")
def retry_after_is_a_date(app: MockWithFault, request: Request, ask: Next) -> Answer:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    return refusal("too-many-requests", headers={"retry-after": now}) if app.asked % 50 == 0 else ask(request)


@allowed("the contract does not say how fast a server responds")
def slow_now_and_then(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if app.asked % 5_000 == 0:
        time.sleep(0.3)
    return ask(request)


# routes


@allowed("the contract has no path with a slash at its end: a redirect leads to the path that it has")
def redirects_from_a_slash(_: MockWithFault, request: Request, ask: Next) -> Answer:
    path = request.raw_path.decode("latin-1")
    if not path.endswith("/") or CONTRACT.match(path) is not None or CONTRACT.match(path.rstrip("/")) is None:
        return ask(request)
    return Answer(308, {"location": path.rstrip("/"), "content-length": "0"}, b"")


@allowed("the contract has 413, and no limit of a body")
def bodies_above_4_kb_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    return refusal("content-too-large") if len(request.body) > 4_096 and answer.status != 401 else answer


# JSON in other words


@changes("RFC 8259, section 4: the names of an object have no order")
def names_in_another_order(_: Request, answer: Answer) -> Answer:
    return _everywhere(answer, lambda each: dict(reversed(each.items())) if isinstance(each, dict) else each)


@changes("RFC 8259, section 7: any character may be escaped")
def escaped_json(_: Request, answer: Answer) -> Answer:
    if not answer.body:
        return answer
    text = re.sub(r"[^\x00-\x7f]+", lambda found: json.dumps(found[0])[1:-1], answer.body.decode())
    return with_body(answer, text.replace("/", r"\/"))


@changes("RFC 8259, section 6: 10, 10.0 and 1E1 are one number")
def numbers_in_another_notation(_: Request, answer: Answer) -> Answer:
    def change(value: Any) -> Any:
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return Decimal(f"{Decimal(value):E}") if is_number else value

    return _everywhere(answer, change)


@changes("RFC 8259, section 6: zeros at the end of a fraction change nothing")
def numbers_with_zeros(_: Request, answer: Answer) -> Answer:
    def change(value: Any) -> Any:
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return Decimal(f"{Decimal(value):.8f}") if is_number else value

    return _everywhere(answer, change)


@allowed("RFC 8259, section 4: of equal names, a parser may take the last")
def last_of_equal_names(_: MockWithFault, request: Request, ask: Next) -> Answer:
    repeated: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(name for index, (name, _) in enumerate(members) if name in dict(members[:index]))
        return dict(members)

    try:
        value = json.loads(request.body, parse_float=Decimal, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return ask(request)
    return ask(replace(request, body=render(value).encode("utf-8", "surrogatepass")) if repeated else request)


@allowed("`problems` names each parameter that failed; in a text that is not JSON, none did")
def no_parameter_of_broken_json(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status != CONTRACT.problem_types["validation"].status or request.method == "GET":
        return answer
    try:
        parse_strictly(request.body)
    except AssertionError:
        key, problem = PROBLEMS["problems"], read(answer)
        if {name for each in problem.get(key) or () for name in each} <= {"body"}:  # the path has no fault
            return with_body(answer, render(without(problem, key)))
    return answer


# ids and links


def _with_ids(start: str, app: MockWithFault) -> None:
    """Let each id of the mock begin with a text, if ids are texts."""
    if "random_id" in app.__dict__:
        return
    app.__dict__["random_id"] = random_id = app.store.new_id

    def new_id(collection: Any) -> Any:
        made = random_id(collection)
        return start + made if isinstance(made, str) else made

    app.store.new_id = new_id


@allowed("an id is opaque, and the contract has no limit of its length")
def long_ids(app: MockWithFault, request: Request, ask: Next) -> Answer:
    _with_ids(LONG_ID, app)
    return ask(request)


def _links(answer: Answer, change: Callable[[str], str]) -> Answer:
    def changed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {SELF, "href", *(name for links in CONTRACT.links.values() for name in links)}
        return {name: change(each) if name in names and isinstance(each, str) else each for name, each in value.items()}

    return _everywhere(answer, changed) if answer.status < 300 else answer


@allowed("RFC 3986, section 3.3: a segment of a path may have `!$&'()*+,;=:@` as they are")
def odd_ids(app: MockWithFault, request: Request, ask: Next) -> Answer:
    def change(link: str) -> str:
        return "/".join(quote(unquote(segment), safe=SUB_DELIMITERS) for segment in link.split("/"))

    _with_ids(ODD_ID, app)
    return _links(ask(request), change)


@changes("RFC 3986, section 6.2.2.1: `%2f` and `%2F` are one character")
def small_hexadecimal_digits(_: Request, answer: Answer) -> Answer:
    return _links(answer, lambda link: re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), link))


# resources and lists


@changes("the contract tolerates operations with unknown relations and methods")
def more_operations(_: Request, answer: Answer) -> Answer:
    def change(resource: dict[str, Any]) -> dict[str, Any] | None:
        own = resource.get(SELF)
        if not isinstance(resource.get("operations"), list) or not isinstance(own, str):
            return None
        audit = {"rel": "audit", "method": "QUERY", "href": own}
        return resource | {"operations": [audit, *resource["operations"], audit | {"rel": "archive"}]}

    return rewritten(answer, change)


@allowed("the contract does not limit other properties, which may change at any time")
def properties_of_its_own(app: MockWithFault, request: Request, ask: Next) -> Answer:
    own = {"x-server": {"seen": app.asked, "by": None, "tags": ["a"]}, "@type": "x", "invoices": "/elsewhere/invoices"}
    return rewritten(ask(request), lambda each: each | own)


@changes("the contract has no order of a list")
def newest_first(request: Request, answer: Answer) -> Answer:
    operation = _operation(request)
    name = CONTRACT.list_name(operation)
    if answer.status >= 300 or not answer.body or operation is None or operation.role != "list" or name is None:
        return answer
    body = read(answer)
    return with_body(answer, render(body | {name: body[name][::-1]}))


@allowed("the contract has a link to the next page of a list")
def lists_in_pages(_: MockWithFault, request: Request, ask: Next) -> Answer:
    operation, start = _operation(request), parse_qs(request.query.decode("latin-1")).get("offset", ["0"])[0]
    answer = ask(replace(request, query=b"") if start != "0" else request)
    links = CONTRACT.list_links.get(operation.operation_id, {}) if operation else {}
    name = CONTRACT.list_name(operation)
    if answer.status >= 300 or not answer.body or name is None or len(links.get("next", ())) != 2:
        return answer
    body, (place, key), first = read(answer), links["next"], int(start)
    items = body[name]
    after = {key: f"{request.raw_path.decode()}?offset={first + PAGE}"} if len(items) > first + PAGE else {}
    page = {name: items[first : first + PAGE], place: (body.get(place) or {}) | after}
    return with_body(answer, render(body | page))


# properties that the contract does not have


def _body(request: Request) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the object in a request's body, and the schema that the contract has for it; empty if there is none."""
    operation = _operation(request)
    try:
        body = parse_strictly(request.body) if operation is not None and operation.body is not None else None
    except AssertionError:
        body = None
    return (body, CONTRACT.resolve(operation.body or {})) if isinstance(body, dict) and operation else ({}, {})


@allowed("the contract does not say that a server holds a property that the contract does not have")
def unknown_properties_left_out(_: MockWithFault, request: Request, ask: Next) -> Answer:
    body, schema = _body(request)
    known = {name: each for name, each in body.items() if name in schema["properties"]}
    return ask(replace(request, body=render(known).encode("utf-8", "surrogatepass")) if known != body else request)


@allowed("the contract does not say that a server takes a property that the contract does not have")
def unknown_properties_refused(_: MockWithFault, request: Request, ask: Next) -> Answer:
    body, schema = _body(request)
    unknown = [name for name in body if name not in schema["properties"]]
    if not unknown:
        return ask(request)
    answer = ask(replace(request, body=b"["))  # is there another reason to refuse the request?
    if answer.status != CONTRACT.problem_types["validation"].status:
        return answer
    wrong = [name for name in schema.get("required", ()) if name not in body]
    wrong += [name for name in set(body) - set(unknown) if not JUDGE.takes(schema["properties"][name], body[name])]
    # A response in UTF-8 cannot have the name of a lone surrogate.
    names = [name if name and name.isprintable() else "body" for name in (*unknown, *wrong)]
    return validation(**dict.fromkeys(names, "is not valid"))
