"""Rules of the contract that every response must follow. Each rule is a function of one exchange.

A broken rule raises `AssertionError` with a sentence. `checks.py` makes a Schemathesis check of each rule. `api.py`
checks every response to a probe or to the model against the rules.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from .exchange import CONTRACT, Exchange, fail, items_of, link_of, parse_strictly
from .schemas import FILLED, JUDGE, errors_of, resolve

SELF = CONTRACT.self_link
PROBLEM_TYPES = CONTRACT.problem_types
# Text that a response must never contain, because it shows how the server is built.
INTERNALS = re.compile(
    r"Traceback \(most recent call|\bat [\w.$]+\([\w.]+:\d+\)|\.py\", line|/usr/|/home/|/var/|/opt/|[A-Z]:\\|"
    r"\b(?:SELECT|INSERT|UPDATE|DELETE) .{1,80}\b(?:FROM|INTO|SET)\b|"
    r"NullPointerException|java\.lang\.|System\.\w+Exception|\b\w+(?:Error|Exception): |"
    r"\b(?:localhost|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|\w+\.(?:internal|local|svc))\b"
)
LEAST_OF_A_TOKEN = 9
PERSONAL = re.compile(r"\d{5}")
# A scheme of WWW-Authenticate in any case, alone or in a list of challenges (RFC 9110, section 11.6.1).
MOST_DIGITS = 300  # about as many digits before the point as binary64 can hold (RFC 8259, section 6)
BEARER = re.compile(r"(?:^|,)\s*bearer(?:\s|,|$)", re.IGNORECASE)
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PARAMETER = rf'{_TOKEN}[ \t]*=[ \t]*(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_CHALLENGE = rf"(?:{_TOKEN}(?: +(?:{_PARAMETER}|[0-9A-Za-z._~+/-]+=*))?|{_PARAMETER})"
CHALLENGES = re.compile(rf"{_CHALLENGE}(?:[ \t]*,[ \t]*{_CHALLENGE})*")
# Statuses that a server may have for every request, also where the contract has no operation.
USUAL_METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}
ANYWHERE = {401, 429, 500, 503}
REDIRECTS = {301, 307, 308}


def strict_json(exchange: Exchange) -> None:
    """A body is valid JSON by RFC 8259: UTF-8, no byte order mark, no NaN, no repeated key.

    A response that has no body by HTTP or by the contract is empty.
    """
    if exchange.has_no_body:
        if exchange.body:
            fail(f"the answer {exchange.status} to {exchange.method} has a body")
        return
    if exchange.body and not exchange.media_type:
        fail("the answer has a body, but no Content-Type")
    if exchange.is_json:
        charset = exchange.headers["content-type"].lower().partition("charset=")[2].strip('" ')
        if charset not in {"", "utf-8", "utf8"}:
            fail(f"the JSON calls itself {charset}")
        _ = exchange.json


def documented(exchange: Exchange) -> None:
    """The contract has the status, the media type, the headers and the body schema for the operation."""
    if exchange.operation is None:
        allowed = _statuses_without_operation(exchange)
        if exchange.status not in allowed:
            expected = " or ".join(map(str, sorted(allowed - ANYWHERE)))
            fail(f"an operation that does not exist is answered with {exchange.status}, not {expected}")
        return
    response = exchange.response
    if response is None:
        fail(f"the contract has no answer {exchange.status} for {exchange.operation}")
    for name, header in response.get("headers", {}).items():
        if resolve(header).get("required") and name.lower() not in exchange.headers:
            fail(f"a {exchange.status} has no {name}")
    content = response.get("content", {})
    if not content or exchange.is_from_ingress:
        return
    if exchange.media_type not in content:
        fail(f"a {exchange.status} is {exchange.media_type or 'of no media type'}, not {' or '.join(content)}")
    errors = errors_of(content[exchange.media_type]["schema"], exchange.spelled)
    if errors:
        fail(f"the body breaks its schema: {errors[0]}")


_seen_instances: OrderedDict[str, Exchange] = OrderedDict()


def forget_instances() -> None:
    """Forget the instance ids of earlier problems, so that an exchange can be checked again in another form."""
    _seen_instances.clear()


def problem_tells_the_truth(exchange: Exchange) -> None:
    """An error is a problem whose type and status are in the contract, with an instance id that no other error has."""
    if exchange.status < 400 or exchange.method == "HEAD" or exchange.is_from_ingress:
        return
    if exchange.media_type != "application/problem+json":
        fail(f"a {exchange.status} is not application/problem+json but {exchange.media_type or 'nothing'}")
    if not isinstance(exchange.json, dict):
        fail("a problem is not an object")
    if errors := errors_of(CONTRACT.problem_schema, exchange.spelled):
        fail(f"the problem breaks its schema: {errors[0]}")
    problem = exchange.problem
    if problem.get("status") != exchange.status:
        fail(f"the problem says {problem.get('status')}, the answer is {exchange.status}")
    known = PROBLEM_TYPES.get(exchange.code)
    if known is None:
        fail(f"the problem type {exchange.code!r} is not one of the contract's")
    if known.status != exchange.status:
        fail(f"{known.code} comes with {known.status}, not {exchange.status}")
    allowed = _types_of(exchange)
    if allowed and known.code not in allowed:
        fail(f"{exchange.operation} answers {exchange.status} with {' or '.join(sorted(allowed))}, not {known.code}")
    if not problem.get("title"):
        fail("the problem has no title")
    for other in PROBLEM_TYPES.values():  # a server may choose its own title, but not that of another type
        if other.title == problem["title"] != known.title:
            fail(f"the title of {known.code} is {other.title!r}, which is the title of {other.code}")
    instance = problem.get("instance")
    if not instance:
        fail("the problem has no instance")
    earlier = _seen_instances.setdefault(str(instance), exchange)
    if earlier is not exchange and not _repeats(exchange, earlier):
        fail("the instance is that of an earlier problem")
    while len(_seen_instances) > 10_000:
        _seen_instances.popitem(last=False)
    if known.code == "validation" and (problem.get("problems") or _has_parameters(exchange)):
        _names_parameters(problem.get("problems"))


def _repeats(exchange: Exchange, earlier: Exchange) -> bool:
    """Return whether a request repeats an earlier one by its Idempotency-Key, so that the response may be the same."""
    key = exchange.idempotency_key
    return bool(key) and (key, exchange.path, exchange.body) == (earlier.idempotency_key, earlier.path, earlier.body)


def headers_mean_what_they_say(exchange: Exchange) -> None:
    """A 401 has WWW-Authenticate, a 405 has Allow, Retry-After is usable, and Content-Length is the body's length."""
    headers = exchange.headers
    if exchange.status == 401 and not BEARER.search(headers.get("www-authenticate", "")):
        fail("a 401 has no WWW-Authenticate: Bearer")
    if "www-authenticate" in headers and not CHALLENGES.fullmatch(headers["www-authenticate"].strip()):
        fail("WWW-Authenticate is not a list of challenges (RFC 9110, section 11.6.1)")
    if exchange.status == 405:
        allow = {each.strip() for each in headers.get("allow", "").split(",")} - {""}
        if not allow or exchange.allowed - allow or exchange.method in allow:
            lacks = ", ".join(sorted(exchange.allowed - allow)) or f"nothing, but has {exchange.method} itself"
            fail(f"the Allow of a 405 lacks {lacks}")
    if exchange.status == 429 and "retry-after" not in headers:
        fail("a 429 has no Retry-After")
    if "retry-after" in headers and not _usable_wait(exchange):
        fail(f"Retry-After {headers['retry-after']!r} is neither seconds nor a date, or not a wait")
    if (length := headers.get("content-length")) is not None and "content-encoding" not in headers:
        # RFC 9110, section 8.6: the header has the length of the body, and a 204 does not have the header.
        if exchange.status == 204:
            fail("a 204 has a Content-Length")
        if exchange.method != "HEAD" and exchange.status != 304 and length != str(len(exchange.body)):
            fail(f"Content-Length is {length}, but the body has {len(exchange.body)} bytes")
    for name, value in headers.items():
        # An absolute URL of the host that was asked shows nothing new.
        if INTERNALS.search(value.replace(exchange.url, "") if exchange.url else value):
            fail(f"{name} shows how the server is made")
    if "location" in headers and not (is_slash_redirect(exchange) or _locates_the_creation(exchange)):
        fail(f"Location is not the resource's {SELF}")


def nothing_internal_is_shown(exchange: Exchange) -> None:
    """An error contains no stack trace, file path, SQL statement or personal data. No response has the token."""
    token = next((value for name, value in exchange.sent_headers.items() if name.lower() == "authorization"), "")
    token = token.rpartition(" ")[2]
    # RFC 6750, section 5.3: bearer tokens must not leak. A short word may be in a response by chance.
    half = max(LEAST_OF_A_TOKEN, len(token) // 2)
    for part in {token[:half], token[-half:]} if len(token) > LEAST_OF_A_TOKEN else ():
        if part.encode() in exchange.body or any(part in each for each in exchange.headers.values()):
            fail("the response repeats the token, or half of it")
    if exchange.status < 400:
        return
    text = exchange.body.decode("utf-8", "replace")
    if found := INTERNALS.search(text):
        fail(f"an error shows how the server is made: {found[0][:60]!r}")
    # Words prove nothing: generated data often contains words of the contract. Five digits may be a customer number.
    said = " ".join(str(exchange.problem.get(name, "")) for name in ("title", "detail", "instance", "problems"))
    for value in _personal(exchange):
        if value in said:
            fail("an error repeats a number or text that may be personal")


def links_are_the_resources_own(exchange: Exchange) -> None:
    """`@id` is the path of the resource. Links and operations are below that path. A list names its own path."""
    if not exchange.succeeded or not exchange.is_json:
        return
    body, here, (role, kind) = exchange.object, exchange.path, exchange.role
    if role == "list":
        link = link_of(exchange, "self")
        if isinstance(link, str):
            link = link.partition("?")[0]  # the link of a page may have the query of the page
        declared = CONTRACT.list_links[exchange.operation or ""].get("self")
        if declared and not same_path(link, here):
            fail(f"{'.'.join(declared)} is not the list's own URI")
        for item in items_of(exchange):
            _check_resource(item, kind, f"{here}/{_last_segment(item, kind)}")
    elif kind:
        _check_resource(body, kind, f"{here}/{_last_segment(body, kind)}" if role == "create" else here)
        key, parameter = CONTRACT.keys[kind], CONTRACT.place(kind).parameter
        if role == "read" and str(body.get(key)) != exchange.parameters.get(parameter):
            fail(f"the {key} is not the one asked for")


def what_was_sent_is_what_is_held(exchange: Exchange) -> None:
    """The response to a write has every value that was sent, with all digits.

    In place of a value that was cleared, a server may show the value that holds now. Only properties of the contract
    are compared here; a probe tries those that the contract does not have.
    """
    role, kind = exchange.role
    if not exchange.succeeded or role not in {"create", "update"} or not exchange.sent or exchange.has_no_body:
        return
    try:
        wanted, held = parse_strictly(exchange.sent), exchange.object
    except AssertionError:
        return  # a probe sent a body that is not strict JSON, such as one with a repeated name, and the server took it
    allowed = resolve(exchange.defined.body)["properties"] if exchange.defined and exchange.defined.body else {}
    for name, value in wanted.items() if isinstance(wanted, dict) else ():
        if name in CONTRACT.server_set[kind] or name not in CONTRACT.resources[kind]["properties"]:
            continue
        if name in allowed and not JUDGE.takes(allowed[name], value):
            fail(f"the server accepted a value of {name} that the contract does not allow; it must refuse the request")
        if value is None and held.get(name) is not None and name not in FILLED:
            fail(f"{name} was cleared, but is still there")
        elif value is not None and not _same(held.get(name), value):
            fail(f"{name} was sent, but another value is held")


RULES: tuple[Callable[[Exchange], None], ...] = (
    strict_json,
    problem_tells_the_truth,
    headers_mean_what_they_say,
    nothing_internal_is_shown,
    links_are_the_resources_own,
    what_was_sent_is_what_is_held,
)


# helpers


def _types_of(exchange: Exchange) -> set[str]:
    """Return the problem types that the contract has for this response."""
    if exchange.operation is None:
        return {"method-not-allowed"} if exchange.status == 405 else set()
    return exchange.defined.codes(exchange.status) if exchange.defined else set()


def _statuses_without_operation(exchange: Exchange) -> set[int]:
    """Return the statuses of a request for which the contract has no operation."""
    validation = PROBLEM_TYPES["validation"].status
    if is_slash_redirect(exchange):
        return ANYWHERE | {exchange.status}
    if not exchange.known_route:
        # RFC 9110, section 15.6.2: a server answers 501 to a method that it does not know, whatever the path is.
        return ANYWHERE | {404, validation} | ({405, 501, 200, 204} if exchange.method not in USUAL_METHODS else {405})
    if exchange.method == "HEAD" and "GET" in exchange.allowed:
        # RFC 9110, section 9.3.2: HEAD is answered like GET.
        get = CONTRACT.match(exchange.path)
        return ANYWHERE | {405} | set(get.operations["GET"].responses if get else ())
    if exchange.method == "OPTIONS":
        return ANYWHERE | {405, 200, 204, validation, 404}
    if exchange.method not in USUAL_METHODS:
        return ANYWHERE | {405, 501, validation, 404}
    # A resource that does not exist is a reason for a refusal, too, and the contract has no order of refusals.
    return ANYWHERE | {405, validation, 404}


def is_slash_redirect(exchange: Exchange) -> bool:
    """Return whether a path with a slash at its end is redirected to the path without it."""
    location = urlsplit(urljoin(exchange.path, exchange.headers.get("location", ""))).path
    is_redirect = exchange.status in REDIRECTS and exchange.path.endswith("/")
    return is_redirect and same_path(location, exchange.path.rstrip("/"))


def _locates_the_creation(exchange: Exchange) -> bool:
    """Return whether Location, a path or an absolute URL, is where the resource of a creation is."""
    role, kind = exchange.role
    if not exchange.succeeded or role != "create":
        return False
    path = urlsplit(exchange.headers["location"]).path
    shown = exchange.object if exchange.is_json else {}
    if SELF in shown:
        return same_path(path, str(shown[SELF]))
    return same_path(path, f"{exchange.path}/{_last_segment(shown, kind)}") if shown else True


def _usable_wait(exchange: Exchange) -> bool:
    return exchange.wait is not None and exchange.wait <= 86_400


def _has_parameters(exchange: Exchange) -> bool:
    """Return whether a request has parameters to name: a body that is no object, or is missing, has none."""
    if not exchange.sent:
        return exchange.method not in {"POST", "PATCH", "PUT"}
    try:
        body = parse_strictly(exchange.sent)
    except AssertionError:
        return False
    return isinstance(body, dict) and not _is_odd(body)


def _is_odd(value: object) -> bool:
    """Return whether a JSON parser may reject this value (RFC 8259, sections 6 and 8.2).

    The server then cannot name a parameter in its problem.
    """
    match value:
        case dict():
            return any(_is_odd(name) or _is_odd(each) for name, each in value.items())
        case list():
            return any(map(_is_odd, value))
        case str():
            return any("\ud800" <= character <= "\udfff" for character in value)
        case Decimal():
            return bool(value) and abs(value.adjusted()) > MOST_DIGITS
    return isinstance(value, int) and abs(value) >= 10**MOST_DIGITS


def _names_parameters(problems: object) -> None:
    """Check that a validation problem names each failed parameter, in one object per parameter."""
    if not isinstance(problems, list) or not problems:
        fail("a validation problem names no parameter")
    for each in problems:
        if not isinstance(each, dict) or len(each) != 1 or not all(each) or not all(each.values()):
            fail("a failed parameter is not an object of one name and one message")


def _personal(exchange: Exchange) -> Iterator[str]:
    """Yield the values of the request that may be personal.

    These are the numbers of customers and subscriptions, and the text of a charge.
    """
    for kind in ("customer", "subscription"):
        value = exchange.parameters.get(CONTRACT.place(kind).parameter, "")
        if PERSONAL.search(value):
            yield value
    try:
        sent = parse_strictly(exchange.sent) if exchange.sent else {}
    except AssertionError:
        return
    for name in (CONTRACT.keys["customer"], CONTRACT.keys["subscription"], CONTRACT.wire("text")):
        held = sent.get(name) if isinstance(sent, dict) else None
        if isinstance(held, str) and PERSONAL.search(held):
            yield held


def _check_resource(resource: Mapping[str, Any], kind: str, uri: str) -> None:
    """Check the links of the resource at `uri`."""
    own = resource.get(SELF)
    if own is not None and not same_path(own, uri):
        fail(f"{SELF} is not where the resource is")
    for name, place in CONTRACT.links[kind].items():
        if name in resource and not same_path(resource[name], f"{uri}/{place.segment}"):
            fail(f"the link {name} is not below the resource")
    operations = resource.get("operations")
    for operation in operations if isinstance(operations, list) else ():
        rel, href = str(operation.get("rel")), operation.get("href")
        if not isinstance(href, str) or not unquote(href + "/").startswith(unquote(uri) + "/"):
            fail(f"the operation {rel} is not of the resource")
        if rel.startswith("add-") and (operation.get("method") != "POST" or not _adds_to(rel, href, kind)):
            fail(f"the operation {rel} does not add what it says")
    key = resource.get(CONTRACT.keys[kind])
    if kind == "charge" and key is not None and own is not None and unquote(own.rpartition("/")[2]) != str(key):
        fail(f"{CONTRACT.keys[kind]} is not the last segment of {SELF}")


def _adds_to(rel: str, href: str, kind: str) -> bool:
    """Return whether an operation such as `add-subscription` links to the collection that it names.

    A relation that names no collection may link to any collection.
    """
    named = {f"{rel.removeprefix('add-')}s"} & {place.segment for place in CONTRACT.places.values()}
    return href.rpartition("/")[2] in (named or {place.segment for place in CONTRACT.children(kind)})


def _last_segment(resource: Mapping[str, Any], kind: str) -> str:
    """Return the percent-encoded number or id of a resource."""
    return quote(str(resource.get(CONTRACT.keys[kind], "")), safe="")


def same_path(link: object, path: str) -> bool:
    """Return whether a link starts with one `/` and is this path. The percent-encoding may differ."""
    if not isinstance(link, str) or not link.startswith("/") or link.startswith("//"):
        return False
    return [unquote(each) for each in link.split("/")] == [unquote(each) for each in path.split("/")]


def _same(held: Any, sent: Any) -> bool:
    """Return whether a value equals the value that was sent. As in JSON, true is not equal to 1."""
    if isinstance(held, bool) != isinstance(sent, bool):
        return False
    return bool(held == sent)
