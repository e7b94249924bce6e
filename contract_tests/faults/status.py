"""Faults: statuses and headers that differ from the contract."""

from __future__ import annotations

from dataclasses import replace

from contract_tests.exchange import CONTRACT

from ._planting import (
    UPDATE,
    Answer,
    MockWithFault,
    Next,
    Request,
    answers,
    behaves,
    has_empty_list,
    is_list,
    refusal,
    with_body,
    with_header,
)

FAMILY = "status and headers"
OTHER_UPDATE = "PUT" if UPDATE != "PUT" else "PATCH"
SUBSCRIPTIONS = f"/{CONTRACT.place('subscription').segment}/".encode()


@answers(FAMILY, "a creation is answered 200")
def created_is_200(_: Request, answer: Answer) -> Answer:
    return replace(answer, status=200) if answer.status == 201 else answer


@answers(FAMILY, "a new charge of a subscription is answered 202")
def created_is_202(request: Request, answer: Answer) -> Answer:
    return replace(answer, status=202) if answer.status == 201 and SUBSCRIPTIONS in request.raw_path else answer


@answers(FAMILY, "a removal is answered 200 with a body")
def delete_is_200_with_body(_: Request, answer: Answer) -> Answer:
    if answer.status != 204:
        return answer
    return replace(with_header(with_body(answer, b"{}"), "Content-Type", "application/json"), status=200)


@answers(FAMILY, "a removal has a body")
def no_content_with_content(_: Request, answer: Answer) -> Answer:
    return with_body(answer, b'{"deleted":true}') if answer.status == 204 else answer


@answers(FAMILY, "a change is answered 204")
def change_is_204(request: Request, answer: Answer) -> Answer:
    return Answer(204, {}, b"") if request.method == UPDATE and answer.status == 200 else answer


@answers(FAMILY, "404 is a page of HTML")
def not_found_as_html(_: Request, answer: Answer) -> Answer:
    return (
        with_header(with_body(answer, b"<h1>404</h1>"), "Content-Type", "text/html") if answer.status == 404 else answer
    )


@answers(FAMILY, "a problem is called application/json")
def problem_as_json(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Content-Type", "application/json") if answer.status == 409 else answer


@answers(FAMILY, "a list has no Content-Type")
def no_content_type(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Content-Type", None) if is_list(answer) else answer


@answers(FAMILY, "JSON is called text/plain")
def json_as_text(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Content-Type", "text/plain") if answer.status == 200 else answer


@answers(FAMILY, "JSON says that it is in Latin-1")
def json_says_latin_1(_: Request, answer: Answer) -> Answer:
    return (
        with_header(answer, "Content-Type", "application/json; charset=iso-8859-1") if answer.status == 201 else answer
    )


@answers(FAMILY, "401 has no WWW-Authenticate")
def no_challenge(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "WWW-Authenticate", None)


@answers(FAMILY, "401 asks for Basic")
def basic_challenge(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "WWW-Authenticate", 'Basic realm="x"') if answer.status == 401 else answer


@answers(FAMILY, "405 has no Allow")
def no_allow(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "Allow", None)


@answers(FAMILY, "Allow lacks DELETE")
def allow_lacks_delete(_: Request, answer: Answer) -> Answer:
    allowed = {name.lower(): value for name, value in answer.headers.items()}.get("allow")
    return with_header(answer, "Allow", allowed.replace("DELETE, ", "")) if allowed else answer


@answers(FAMILY, "Allow names the method that was refused")
def allow_names_the_refused(request: Request, answer: Answer) -> Answer:
    return (
        with_header(answer, "Allow", f"GET, POST, {UPDATE}, DELETE, {request.method}")
        if answer.status == 405
        else answer
    )


def _instead_of_405(status: int) -> None:
    def behaviour(app: MockWithFault, request: Request, ask: Next) -> Answer:
        answer = ask(request)
        if answer.status != 405 or request.method not in {OTHER_UPDATE, "OPTIONS", "TRACE"}:
            return answer
        code = {404: "not-found", 400: "validation"}.get(status)
        return (
            refusal(code) if code else Answer(200, {"content-type": "application/json", "content-length": "2"}, b"{}")
        )

    behaviour.__name__ = f"unsupported_method_is_{status}"
    behaves(FAMILY, f"a method that does not exist is answered {status}")(behaviour)


for _status in (404, 400, 200):
    _instead_of_405(_status)


@answers(FAMILY, "HEAD makes the server fail")
def head_fails(request: Request, answer: Answer) -> Answer:
    return replace(answer, status=500) if request.method == "HEAD" else answer


@behaves(FAMILY, f"{OTHER_UPDATE} works like {UPDATE}")
def put_is_patch(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, method=UPDATE) if request.method == OTHER_UPDATE else request)


@behaves(FAMILY, "one request of 150 is refused with 429 and no Retry-After")
def too_many_without_wait(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return refusal("too-many-requests") if app.asked % 150 == 0 else ask(request)


@behaves(FAMILY, "one request of 150 is refused with 429 and Retry-After: soon")
def too_many_with_odd_wait(app: MockWithFault, request: Request, ask: Next) -> Answer:
    odd = refusal("too-many-requests", headers={"retry-after": "soon"})
    return odd if app.asked % 150 == 0 else ask(request)


@answers(FAMILY, "Location of a creation is that of another")
def location_of_another(_: Request, answer: Answer) -> Answer:
    other = f"{CONTRACT.base_path}/1234/{'/'.join(CONTRACT.place('charge').segments('1', '1'))}"
    return with_header(answer, "Location", other) if answer.status == 201 else answer


@answers(FAMILY, "Location names an internal host")
def location_leaks_host(_: Request, answer: Answer) -> Answer:
    if answer.status != 201 or b'"@id":"' not in answer.body:
        return answer
    own = answer.body.partition(b'"@id":"')[2].partition(b'"')[0].decode()
    return with_header(answer, "Location", f"http://billing-7.internal:8080{own}")


@answers(FAMILY, "errors carry a header with the machine's path")
def header_leaks_path(_: Request, answer: Answer) -> Answer:
    return with_header(answer, "X-Debug", "/var/www/billing/handler.php") if answer.status >= 400 else answer


@answers(FAMILY, "a removed charge is answered 410")
def gone_is_410(_: Request, answer: Answer) -> Answer:
    return (
        replace(answer, status=410)
        if answer.status == 404 and CONTRACT.not_found["charge"].encode() in answer.body
        else answer
    )


@answers(FAMILY, "an empty list is answered 404")
def empty_list_is_404(_: Request, answer: Answer) -> Answer:
    return replace(answer, status=404) if has_empty_list(answer) else answer


@answers(FAMILY, "an empty list is answered 204")
def empty_list_is_204(_: Request, answer: Answer) -> Answer:
    return Answer(204, {}, b"") if has_empty_list(answer) else answer


@answers(FAMILY, "a duplicate is answered 400")
def duplicate_is_400(_: Request, answer: Answer) -> Answer:
    return replace(answer, status=400) if answer.status == 409 else answer


@behaves(FAMILY, "a read redirects to itself with a slash")
def redirects(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.method == "GET" and request.raw_path.endswith(SUBSCRIPTIONS.rstrip(b"/")):
        return Answer(301, {"location": request.raw_path.decode() + "/", "content-length": "0"}, b"")
    return ask(request)


@answers(FAMILY, "Content-Length of a duplicate is one too many")
def content_length_differs(_: Request, answer: Answer) -> Answer:
    return replace(answer, headers={**answer.headers, "content-length": "9"}) if answer.status == 409 else answer


@behaves(FAMILY, "a header of GET asks for another method, and gets it")
def method_overridden(app: MockWithFault, request: Request, ask: Next) -> Answer:
    wanted = request.headers.get("x-http-method-override", request.method)
    return ask(replace(request, method=wanted) if request.method == "GET" else request)


@behaves(FAMILY, "PUT on a collection is answered 405, but a charge is added")
def refused_method_adds(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status == 405 and request.method == OTHER_UPDATE:
        ask(replace(request, method="POST"))
    return answer
