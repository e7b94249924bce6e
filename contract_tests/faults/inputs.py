"""Faults: the mock accepts input that the contract forbids, or refuses input that the contract allows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_to_bytes

from payex_billing_mock import Collection, Resource, Store

from contract_tests.exchange import CONTRACT

from ._planting import (
    CUSTOMER_NO,
    UPDATE,
    Answer,
    MockWithFault,
    Next,
    Request,
    behaves,
    refusal,
    schema_fault,
    stores,
    validation,
    wire,
)
from .state import JsonObject

TAKEN, REFUSED = "input accepted", "input refused"
Schemas = dict[str, Any]


def _set(schema: str, **rules: Any) -> Callable[[Schemas], None]:
    """Change keywords of a schema. A keyword whose value is None is removed."""

    def change(schemas: Schemas) -> None:
        for name, value in rules.items():
            if value is None:
                schemas[schema].pop(name, None)
            else:
                schemas[schema][name] = value

    return change


def _property(schema: str, name: str, value: Any) -> Callable[[Schemas], None]:
    return lambda schemas: schemas[schema]["properties"].update({name: value})


def _no_customer_number(schemas: Schemas) -> None:
    schemas["NewCustomer"]["required"] = []
    schemas["CustomerNo"]["example"] = "15615616"  # the mock makes up numbers like an example


schema_fault("longer_customer_number", TAKEN, "a number of 16 characters is taken", _set("NewCustomerNo", maxLength=16))
schema_fault("any_customer_number", TAKEN, "a number of any characters is taken", _set("NewCustomerNo", pattern=None))
schema_fault(
    "one_more_character",
    TAKEN,
    "a number with a colon is taken",
    _set("NewCustomerNo", pattern=r"^[a-zA-Z0-9äåöÄÅÖ&/_ .:\-]*$"),
)
schema_fault(
    "unanchored_pattern",
    TAKEN,
    "one good character in a number is enough",
    _set("NewCustomerNo", pattern=r"[a-zA-Z0-9]"),
)
schema_fault("empty_customer_number", TAKEN, "an empty number is taken", _set("NewCustomerNo", minLength=0))
schema_fault("dots_as_number", TAKEN, "`.` and `..` are taken as numbers", _set("NewCustomerNo", **{"not": None}))
schema_fault("longer_read_number", TAKEN, "a number of 16 characters is looked up", _set("CustomerNo", maxLength=16))
schema_fault("any_read_number", TAKEN, "a number of any characters is looked up", _set("CustomerNo", pattern=None))
schema_fault(
    "longer_subscription_number", TAKEN, "a subscription number of 35 is taken", _set("NewSubscriptionNo", maxLength=35)
)
schema_fault(
    "longer_read_subscription", TAKEN, "a subscription number of 35 is looked up", _set("SubscriptionNo", maxLength=35)
)
schema_fault("longer_product_code", TAKEN, "a product code of 6 is taken", _set("ProductCode", maxLength=6))
schema_fault("empty_product_code", TAKEN, "an empty product code is taken", _set("ProductCode", minLength=0))
schema_fault("longer_text", TAKEN, "a text of 74 is taken", _set("ChargeText", maxLength=74))
schema_fault("quantity_of_none", TAKEN, "a quantity of 0 is taken", _set("Quantity", minimum=0))
schema_fault("larger_quantity", TAKEN, "a quantity of 100,000 is taken", _set("Quantity", maximum=100_000))
schema_fault("half_a_quantity", TAKEN, "a quantity of 2.5 is taken", _set("Quantity", type="number"))
schema_fault("larger_price", TAKEN, "a price of 10,000,000 is taken", _set("UnitPrice", maximum=10_000_000))
schema_fault("lower_price", TAKEN, "a price below the lowest is taken", _set("UnitPrice", minimum=-10_000_000))
schema_fault("seven_decimals", TAKEN, "a price of seven decimals is taken", _set("UnitPrice", **{"x-decimals": 7}))
schema_fault("price_as_text", TAKEN, "a price may be a string", _set("UnitPrice", type=["number", "string"]))
schema_fault("quantity_as_text", TAKEN, "a quantity may be a string", _set("Quantity", type=["integer", "string"]))
schema_fault("text_as_number", TAKEN, "a text may be a number", _set("ChargeText", type=["string", "number"]))
schema_fault("true_as_price", TAKEN, "true is a price", _set("UnitPrice", type=["number", "boolean"]))
schema_fault("vat_above_all", TAKEN, "a VAT of 101 percent is taken", _set("VatRate", maximum=101))
schema_fault("vat_below_nought", TAKEN, "a negative VAT is taken", _set("VatRate", minimum=-1))
schema_fault("vat_three_decimals", TAKEN, "a VAT of three decimals is taken", _set("VatRate", **{"x-decimals": 3}))
schema_fault("any_date", TAKEN, "2026-02-30 is a date", _set("Date", format=None))
schema_fault(
    "date_and_time",
    TAKEN,
    "a date may be a date and time",
    _set("Date", format=None, pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
)
schema_fault("no_product_code", TAKEN, "a charge needs no product code", _set("NewRecurringProduct", required=[]))
schema_fault("no_customer_number", TAKEN, "a customer needs no number: the server makes one up", _no_customer_number)
schema_fault(
    "null_quantity",
    TAKEN,
    "a new charge may have a null quantity",
    _property(
        "NewRecurringProduct",
        wire("quantity"),
        {"anyOf": [{"$ref": "#/components/schemas/Quantity"}, {"type": "null"}]},
    ),
)
schema_fault(
    "any_change_of_quantity",
    TAKEN,
    "a quantity is not looked at in a change",
    _property("RecurringProductChange", wire("quantity"), {}),
)
schema_fault(
    "any_change_of_end",
    TAKEN,
    "an end is not looked at in a change",
    _property("RecurringProductChange", wire("end_date"), {}),
)
schema_fault(
    "null_product",
    TAKEN,
    "a product code may be cleared",
    _property("RecurringProductChange", wire("product_code"), {}),
)

schema_fault("shorter_text", REFUSED, "a text of 73 is refused", _set("ChargeText", maxLength=72))
schema_fault("shorter_number", REFUSED, "a customer number of 15 is refused", _set("NewCustomerNo", maxLength=14))
schema_fault(
    "shorter_subscription", REFUSED, "a subscription number of 34 is refused", _set("NewSubscriptionNo", maxLength=33)
)
schema_fault("smaller_quantity", REFUSED, "the largest quantity is refused", _set("Quantity", maximum=99_998))
schema_fault("no_credit", REFUSED, "a negative price is refused", _set("UnitPrice", minimum=0))
schema_fault("no_free_charge", REFUSED, "a price of nought is refused", _set("UnitPrice", **{"not": {"const": 0}}))
schema_fault("five_decimals", REFUSED, "six decimals are refused", _set("UnitPrice", **{"x-decimals": 5}))
schema_fault("largest_price", REFUSED, "the largest price is refused", _set("UnitPrice", maximum=9999999.99))
schema_fault("no_vat", REFUSED, "a VAT of 0 is refused", _set("VatRate", minimum=0.01))
schema_fault(
    "no_umlaut",
    REFUSED,
    "a number that is not ASCII is refused",
    _set("NewCustomerNo", pattern=r"^[a-zA-Z0-9&/_ .\-]*$"),
)
schema_fault(
    "no_slash",
    REFUSED,
    "a number with a slash is refused",
    _set("NewCustomerNo", pattern=r"^[a-zA-Z0-9äåöÄÅÖ&_ .\-]*$"),
)
schema_fault("no_empty_text", REFUSED, "an empty text is refused", _set("ChargeText", minLength=1))
schema_fault(
    "quantity_required",
    REFUSED,
    "a charge without a quantity is refused",
    _set("NewRecurringProduct", required=[wire("product_code"), wire("quantity")]),
)
schema_fault(
    "no_open_end",
    REFUSED,
    "an end of null is refused",
    _property("NewRecurringProduct", wire("end_date"), {"$ref": "#/components/schemas/Date"}),
)
schema_fault(
    "nothing_unknown",
    REFUSED,
    "unknown properties are refused",
    _set("NewRecurringProduct", additionalProperties=False),
)
schema_fault(
    "no_clearing",
    REFUSED,
    "null is refused in a change",
    _property("RecurringProductChange", wire("text"), {"$ref": "#/components/schemas/ChargeText"}),
)
schema_fault("no_leap_day", REFUSED, "29 February is refused", _set("Date", pattern=r"^(?!.*-02-29)"))
schema_fault("no_empty_change", REFUSED, "an empty change is refused", _set("RecurringProductChange", minProperties=1))


@behaves(REFUSED, "a text is counted in bytes")
def text_in_bytes(app: MockWithFault, request: Request, ask: Next) -> Answer:
    found = re.search(rb'"%b":"([^"]*)"' % wire("text").encode(), request.body)
    if found and len(found[1]) > 73:
        return validation(**{wire("text"): "is too long"})
    return ask(request)


@behaves(REFUSED, "a charset in the media type is refused")
def no_charset(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if "charset" in request.headers.get("content-type", "").lower():
        return refusal("unsupported-media-type")
    return ask(request)


@behaves(REFUSED, "a body in chunks is read as empty")
def chunked_body_is_empty(app: MockWithFault, request: Request, ask: Next) -> Answer:
    chunked = any(name.lower() == "transfer-encoding" for name in request.headers)
    return ask(replace(request, body=b"") if chunked else request)


@behaves(TAKEN, "29 February of a century without a leap year is taken")
def century_is_a_leap_year(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=re.sub(rb"(1900|2100)-02-29", rb"\1-02-28", request.body)))


@behaves(TAKEN, "an array of one object is taken for the object")
def array_for_object(app: MockWithFault, request: Request, ask: Next) -> Answer:
    body = request.body.strip()
    return ask(replace(request, body=b"{}") if body.startswith(b"[") and request.method == UPDATE else request)


@behaves(TAKEN, "any media type is taken")
def any_media_type(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, headers={**request.headers, "content-type": "application/json"}))


@behaves(TAKEN, "a body without a media type is taken")
def missing_media_type(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, headers={"content-type": "application/json", **request.headers}))


@behaves(TAKEN, "an empty body is an empty change")
def empty_body(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=request.body or b"{}"))


@behaves(TAKEN, "JSON with a comma too many is taken")
def trailing_comma(app: MockWithFault, request: Request, ask: Next) -> Answer:
    body = request.body
    return ask(replace(request, body=re.sub(rb",\s*}", b"}", body)))


@behaves(TAKEN, "NaN is taken for null")
def nan_in_body(app: MockWithFault, request: Request, ask: Next) -> Answer:
    body = request.body
    return ask(replace(request, body=body.replace(b":NaN", b":1").replace(b":Infinity", b":1")))


def _fails(name: str, description: str, when: Callable[[Request], bool]) -> None:
    def behaviour(app: MockWithFault, request: Request, ask: Next) -> Answer:
        return refusal("internal-server-error") if when(request) else ask(request)

    behaviour.__name__ = name
    behaves(TAKEN, description)(behaviour)


def _malformed(request: Request) -> bool:
    return request.body.count(b"{") != request.body.count(b"}")


_fails("malformed_json_fails", "malformed JSON makes the server fail", _malformed)
_fails("nul_fails", "NUL in a path makes the server fail", lambda request: b"%00" in request.raw_path)
_fails("nul_in_text_fails", "NUL in a text makes the server fail", lambda request: b"\\u0000" in request.body)
_fails(
    "wide_character_fails",
    "a character beyond the BMP makes the server fail",
    lambda request: b"\xf0\x9f" in request.body,
)
_fails("long_id_fails", "an id of 1,000 characters makes the server fail", lambda request: len(request.raw_path) > 1000)
_fails("bad_utf_8_fails", "a path that is not UTF-8 makes the server fail", lambda request: b"%FF" in request.raw_path)
_fails("deep_json_fails", "deeply nested JSON makes the server fail", lambda request: b"[" * 200 in request.body)
_fails("quote_in_id_fails", "a quote in an id makes the server fail", lambda request: b"%27" in request.raw_path)
_fails(
    "empty_body_fails",
    "an empty body makes the server fail",
    lambda request: request.method == UPDATE and request.body == b"",
)


@behaves(TAKEN, "`%2F` in a number splits the path")
def slash_splits(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, raw_path=request.raw_path.replace(b"%2F", b"/")))


@behaves(TAKEN, "the path is decoded twice")
def decoded_twice(app: MockWithFault, request: Request, ask: Next) -> Answer:
    path = request.raw_path
    return ask(replace(request, raw_path=path.replace(b"%25", b"%")) if b"%25" in path else request)


@behaves(TAKEN, "routes are taken in any case")
def routes_in_any_case(app: MockWithFault, request: Request, ask: Next) -> Answer:
    path = request.raw_path
    for word in {place.segment.encode() for place in CONTRACT.places.values()}:
        path = re.sub(b"/" + word + b"(?=/|$)", b"/" + word, path, flags=re.IGNORECASE)
    return ask(replace(request, raw_path=path))


@behaves(TAKEN, "a slash at the end is taken")
def trailing_slash(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, raw_path=request.raw_path.rstrip(b"/")))


@behaves(TAKEN, "a plus in a path is a space")
def plus_is_space(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, raw_path=request.raw_path.replace(b"%2B", b"%20").replace(b"+", b"%20")))


@behaves(TAKEN, "spaces around a number are cut off")
def numbers_are_trimmed(app: MockWithFault, request: Request, ask: Next) -> Answer:
    body = request.body
    path = re.sub(rb"(?:%20)+(?=/|$)", b"", request.raw_path)
    trimmed = re.sub(rb'("%b":)"\s*([^"]*?)\s*"' % CUSTOMER_NO.encode(), rb'\1"\2"', body)
    return ask(replace(request, raw_path=path or unquote_to_bytes(path), body=trimmed))


@stores(TAKEN, "a charge may end before it starts")
class EndBeforeStart(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        end = content.pop(wire("end_date"), ...)
        charge = super().create(owner, collection, content)
        if end is not ...:
            charge.document[wire("end_date")] = end
        return charge


@stores(TAKEN, "a change may let a charge end before it starts, by the start it has")
class ChangedEndBeforeStart(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        if wire("start_date") in changes:
            return super().merge(resource, changes)
        start = resource.document.pop(wire("start_date"), ...)
        try:
            return super().merge(resource, changes)
        finally:
            if start is not ...:
                resource.document[wire("start_date")] = start


@behaves(TAKEN, "Python's literals are taken in a body")
def python_literals(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=request.body.replace(b":True", b":true").replace(b":None", b":null")))


@behaves(TAKEN, "control characters are taken in strings")
def control_characters(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, body=re.sub(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]", b" ", request.body)))


@behaves(TAKEN, "a body of a type that ends in +json is taken")
def plus_json(app: MockWithFault, request: Request, ask: Next) -> Answer:
    if not request.headers.get("content-type", "").endswith("+json"):
        return ask(request)
    return ask(replace(request, headers={**request.headers, "content-type": "application/json"}))


@behaves(TAKEN, "a creation that is refused for its media type is done")
def created_despite_415(app: MockWithFault, request: Request, ask: Next) -> Answer:
    answer = ask(request)
    if answer.status == 415 and request.method == "POST":
        ask(replace(request, headers={**request.headers, "content-type": "application/json"}))
    return answer


@behaves(TAKEN, "a `;` ends a segment of a path")
def semicolon_ends_segment(app: MockWithFault, request: Request, ask: Next) -> Answer:
    return ask(replace(request, raw_path=re.sub(rb";[^/]*", b"", request.raw_path)))
