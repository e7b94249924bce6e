"""Servers that differ from the mock in what HTTP, JSON and the order of refusals allow."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime

from contract_tests.exchange import CONTRACT
from contract_tests.faults._planting import (
    UPDATE,
    Answer,
    MockWithFault,
    Next,
    Request,
    read,
    refusal,
    validation,
    with_body,
    with_header,
)
from contract_tests.routes import JSON

from ._registry import allowed, changes

PROBLEMS = CONTRACT.problem_names
SELF = CONTRACT.self_link


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


# bodies


@allowed("RFC 8259, section 8.1: a parser may ignore a byte order mark")
def byte_order_mark_ignored(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=request.body.removeprefix(b"\xef\xbb\xbf")))


@changes("RFC 8259, section 2: white space has no meaning")
def spaced_json(_: Request, answer: Answer) -> Answer:
    return with_body(answer, b"\r\n " + answer.body + b"\n") if answer.body else answer
