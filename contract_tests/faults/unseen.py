"""Faults that were written after the suite was finished, to see how it does with faults that it was not built for."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import replace
from typing import Any

from payex_billing_mock import Collection, Resource, Store

from contract_tests.exchange import CONTRACT

from ._planting import (
    CHARGE_ID,
    CHARGES,
    UPDATE,
    Answer,
    MockWithFault,
    Next,
    Request,
    answers,
    behaves,
    items_in,
    problem_rewritten,
    read,
    refusal,
    rewritten,
    stores,
    validation,
    wire,
    with_body,
    with_header,
)

JsonObject = dict[str, Any]
PRICE, TEXT, QUANTITY, VAT = wire("unit_price"), wire("text"), wire("quantity"), wire("vat_rate")
START, END, CODE = wire("start_date"), wire("end_date"), wire("product_code")
CHALLENGE = {"www-authenticate": "Bearer"}


# shape, problems, headers


@answers("shape", "a long text is cut to 60 characters in lists")
def text_is_cut_in_lists(_: Request, answer: Answer) -> Answer:
    items = items_in(read(answer)) if answer.status == 200 else None
    if not items or all(len(each.get(TEXT) or "") <= 60 for each in items):
        return answer
    return rewritten(answer, lambda each: each | ({TEXT: each[TEXT][:60]} if each.get(TEXT) else {}), of=CHARGE_ID)


@answers("shape", "a price of a million or more is rounded to whole units in a read")
def large_price_is_rounded(request: Request, answer: Answer) -> Answer:
    if request.method != "GET":
        return answer
    return rewritten(
        answer,
        lambda each: each | ({PRICE: int(each[PRICE])} if abs(each.get(PRICE) or 0) >= 1_000_000 else {}),
        of=CHARGE_ID,
    )


@answers("problems", "the instance of a duplicate contains the number of the customer")
def instance_has_the_number(request: Request, answer: Answer) -> Answer:
    if answer.status != 409:
        return answer
    number = re.sub(rb"\D", b"", request.body).decode()
    return problem_rewritten(answer, lambda each: each | {"instance": f"/errors/{number}/{time.perf_counter_ns()}"})


@answers("problems", "the instance is a digest of the request, so equal requests share it")
def instance_is_a_digest(request: Request, answer: Answer) -> Answer:
    if not answer.body:
        return answer
    digest = hashlib.sha256(request.method.encode() + request.raw_path + request.body + request.query).hexdigest()
    return (
        problem_rewritten(answer, lambda each: each | {"instance": f"urn:sha256:{digest}"}) if answer.body else answer
    )


@answers("problems", "a failed parameter is named together with one that is right")
def one_parameter_too_many(request: Request, answer: Answer) -> Answer:
    sent = f'"{CODE}"'.encode() in request.body and b'"P01"' in request.body
    if answer.status != 400 or not sent or request.method != UPDATE:
        return answer
    name = CONTRACT.problem_names["problems"]
    return problem_rewritten(answer, lambda each: each | {name: [*each[name], {CODE: "is not known"}]})


@answers("problems", "a response to a wrong token shows the first half of it")
def half_the_token(request: Request, answer: Answer) -> Answer:
    token = request.headers.get("authorization", "").rpartition(" ")[2]
    if answer.status != 401 or len(token) < 10:
        return answer
    return problem_rewritten(answer, lambda each: each | {"detail": f"{token[: len(token) // 2]}… is not known"})


@answers("status and headers", "errors have a charset of their own")
def errors_in_latin_1(_: Request, answer: Answer) -> Answer:
    kind = "application/problem+json; charset=iso-8859-1"
    return with_header(answer, "Content-Type", kind) if answer.status == 404 else answer


@answers("status and headers", "a change has a Location that leads to the list")
def location_of_a_change(request: Request, answer: Answer) -> Answer:
    is_change = request.method == UPDATE and answer.status == 200
    return with_header(answer, "Location", request.raw_path.rpartition(b"/")[0].decode()) if is_change else answer


@behaves("status and headers", "a creation with a charset in its media type is answered 200")
def charset_makes_200(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    has_charset = "charset" in request.headers.get("content-type", "").lower()
    return replace(answer, status=200) if answer.status == 201 and has_charset else answer


@behaves("status and headers", "a read with If-None-Match is answered 304")
def not_modified(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if request.method == "GET" and answer.status == 200 and "if-none-match" in request.headers:
        return Answer(304, {}, b"")
    return answer


# input


@behaves("input accepted", "an exponent of four digits makes the server fail")
def exponent_fails(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return refusal("internal-server-error") if re.search(rb"\de[+-]?\d{4}", request.body) else ask(request)


@behaves("input accepted", "Arabic digits in a date are taken")
def arabic_digits(_: MockWithFault, request: Request, ask: Next) -> Answer:
    text = request.body.decode("utf-8", "surrogateescape")
    plain = re.sub(r"[٠-٩０-９]", lambda found: str(int(found[0])), text)
    return ask(replace(request, body=plain.encode("utf-8", "surrogateescape")))


@behaves("input accepted", "a body in UTF-16 is taken")
def utf_16_taken(_: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.body[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return ask(replace(request, body=request.body.decode("utf-16", "replace").encode()))
    return ask(request)


@behaves("input refused", "a whole number that is written with a decimal point is refused as a quantity")
def no_decimal_point(_: MockWithFault, request: Request, ask: Next) -> Answer:
    found = re.search(rb'"' + QUANTITY.encode() + rb'":\s*\d+\.0+\b', request.body)
    return validation(**{QUANTITY: "is not an integer"}) if found else ask(request)


@behaves("input refused", "a text with a line break is refused")
def no_line_breaks(_: MockWithFault, request: Request, ask: Next) -> Answer:
    has_break = re.search(rb'"' + TEXT.encode() + rb'":\s*"[^"]*\\n', request.body)
    return validation(**{TEXT: "has a line break"}) if has_break else ask(request)


@behaves("input refused", "a body of more than 600 bytes is refused")
def no_long_body(_: MockWithFault, request: Request, ask: Next) -> Answer:
    return refusal("content-too-large") if 600 < len(request.body) < 2000 else ask(request)


# state


@stores("state", "the sixth change of a charge is not kept")
class SixthChangeIsLost(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        counts: dict[str, int] = self.__dict__.setdefault("counts", {})
        counts[resource.path] = counts.get(resource.path, 0) + 1
        if counts[resource.path] != 6:
            return super().merge(resource, changes)
        before = dict(resource.document)
        super().merge(resource, changes)
        shown = replace_document(resource, dict(resource.document))
        resource.document = before
        return shown


def replace_document(resource: Resource, document: JsonObject) -> Resource:
    """Return a resource with other values, which is not in the store."""
    other = object.__new__(type(resource))
    other.__dict__.update(resource.__dict__)
    other.document = document
    return other


@stores("state", "an end that is cleared takes an equal start along")
class ClearedEndTakesStart(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        held = resource.document
        if changes.get(END, 0) is None and held.get(END) is not None and held.get(END) == held.get(START):
            changes = changes | {START: None}
        return super().merge(resource, changes)


@stores("state", "a VAT of 100 is held as 1")
class WholeVatIsOne(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        made = super().create(owner, collection, content)
        if made.document.get(VAT) == 100:
            made.document[VAT] = 1
        return made


@stores("state", "a negative price of a subscription's charge is positive if the quantity is more than one")
class CreditBecomesDebit(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        made = super().merge(resource, changes)
        price = made.document.get(PRICE)
        is_deep = made.owner is not None and made.owner.collection.role == "subscription"
        if is_deep and price is not None and price < 0 and (made.document.get(QUANTITY) or 1) > 1:
            made.document[PRICE] = -price
        return made


@behaves("state", "a charge equal to the one before is not created: the response is that of the first")
def equal_in_a_row_is_one(app: MockWithFault, request: Request, ask: Next) -> Answer:
    known = app.__dict__.setdefault("last", {})
    key = (request.raw_path, request.body)
    if request.method == "POST" and request.raw_path.endswith(CHARGES.encode()) and known.get("key") == key:
        return known["answer"]  # type: ignore[no-any-return]
    answer = ask(request)
    if request.method != "GET":
        known["key"], known["answer"] = (key, answer) if answer.status == 201 else (None, None)
    return answer


@behaves("state", "a list read at once after a removal still shows what was removed")
def list_is_late(app: MockWithFault, request: Request, ask: Next) -> Answer:
    known = app.__dict__.setdefault("lists", {})
    stale = app.__dict__.setdefault("stale", {})
    answer = ask(request)
    path = request.raw_path
    if request.method == "DELETE" and answer.status == 204:
        parent = path.rpartition(b"/")[0]
        if parent in known:
            stale[parent] = known[parent]
    elif request.method == "GET" and answer.status == 200 and path.rpartition(b"/")[2] == CHARGES.encode():
        known[path], before = answer, stale.pop(path, None)
        return before or answer
    return answer


@stores("state", "a charge whose end is past is not listed")
class PastIsNotListed(Store):
    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        found = super().listed(owner, collection)
        return [each for each in found if (each.document.get(END) or "9") >= "2001"]


@behaves("state", "a start after the end clears the end")
def late_start_clears_end(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    is_late = answer.status == 422 and request.method == UPDATE and END.encode() not in request.body
    if not is_late:
        return answer
    return ask(replace(request, body=request.body.rstrip().removesuffix(b"}") + f',"{END}":null}}'.encode()))


# hypermedia


@answers("hypermedia", "the address of an operation ends in a slash in lists")
def operations_end_in_a_slash(_: Request, answer: Answer) -> Answer:
    items = items_in(read(answer)) if answer.status == 200 else None
    if not items or not any(each.get("operations") for each in items):
        return answer
    return rewritten(
        answer,
        lambda each: each | {"operations": [each | {"href": each["href"] + "/"} for each in each["operations"] or ()]},
    )


@answers("hypermedia", "links of a customer whose number has a space have a plus in its place")
def plus_in_links(_: Request, answer: Answer) -> Answer:
    if answer.status >= 300 or b"%20" not in answer.body:
        return answer
    return with_body(answer, answer.body.replace(b"%20", b"+"))


# tenants


@behaves("tenants and credentials", "after three wrong tokens in a row, the right token is refused once")
def locked_out(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    wrong = app.__dict__.get("wrong", 0)
    app.__dict__["wrong"] = wrong + 1 if answer.status == 401 else 0
    if answer.status != 401 and wrong >= 3:
        return refusal("unauthorized", headers=CHALLENGE)
    return answer


@behaves("tenants and credentials", "a token in Proxy-Authorization is taken")
def token_for_the_proxy(_: MockWithFault, request: Request, ask: Next) -> Answer:
    own = request.headers.get("proxy-authorization")
    if own and "authorization" not in request.headers:
        return ask(replace(request, headers={**request.headers, "authorization": own}))
    return ask(request)


@behaves("tenants and credentials", "the ledger of X-Owner-No is used, if there is one")
def ledger_in_a_header(_: MockWithFault, request: Request, ask: Next) -> Answer:
    named = request.headers.get("x-owner-no")
    if not named:
        return ask(request)
    path = request.raw_path.split(b"/")
    path[4] = named.encode()
    return ask(replace(request, raw_path=b"/".join(path)))


# time and weight


@behaves("time and weight", "a list of more than thirty takes long")
def long_list_is_slow(_: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if request.method == "GET" and answer.status == 200 and len(items_in(read(answer)) or ()) > 30:
        time.sleep(0.1)
    return answer


@behaves("time and weight", "a charge that ends takes long to create")
def end_is_slow(_: MockWithFault, request: Request, ask: Next) -> Answer:
    if request.method == "POST" and re.search(rb'"' + END.encode() + rb'":\s*"', request.body):
        time.sleep(0.1)
    return ask(request)
