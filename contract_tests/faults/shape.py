"""Bodies of another shape than the contract's."""

from __future__ import annotations

from payex_billing_mock.app import Answer, Request
from payex_billing_mock.json_text import render

from ._planting import answers, read, rewritten, with_body, without

FAMILY = "shape"
CHARGE = "recurringProductId"


@answers(FAMILY, "a customer has no customerNo")
def customer_without_its_number(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: without(each, "customerNo"), of="subscriptions")


@answers(FAMILY, "the third item of a list has no id")
def third_item_without_id(_: Request, answer: Answer) -> Answer:
    body = read(answer) if answer.status == 200 else None
    if not body or len(body.get("items", ())) < 3:
        return answer
    body["items"][2] = without(body["items"][2], CHARGE)
    return with_body(answer, render(body))


@answers(FAMILY, "a charge that has an end has no @id")
def ended_charge_without_link(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: without(each, "@id") if each.get("endDate") else each, of=CHARGE)


@answers(FAMILY, "a quantity is a string")
def quantity_as_string(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {"quantity": str(each["quantity"])}, of="quantity")


@answers(FAMILY, "a price is a string")
def price_as_string(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {"unitPrice": str(each["unitPrice"])}, of="unitPrice")


@answers(FAMILY, "a price has a decimal comma")
def price_with_comma(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer, lambda each: each | {"unitPrice": str(each["unitPrice"]).replace(".", ",")}, of="unitPrice"
    )


@answers(FAMILY, "a date is a date and time")
def date_as_datetime(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer,
        lambda each: each | ({"startDate": f"{each['startDate']}T00:00:00Z"} if each["startDate"] else {}),
        of="startDate",
    )


@answers(FAMILY, "an end is written day first")
def date_day_first(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer,
        lambda each: each | {"endDate": "-".join(reversed(each["endDate"].split("-"))) if each["endDate"] else None},
        of="endDate",
    )


@answers(FAMILY, "a product code is null when there is a text")
def null_product_code(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {"productCode": None}, of="text")


@answers(FAMILY, "the id in a list is null")
def null_id_in_lists(_: Request, answer: Answer) -> Answer:
    if answer.status != 200 or b'"items"' not in answer.body:
        return answer
    return rewritten(answer, lambda each: each | {CHARGE: None}, of=CHARGE)


@answers(FAMILY, "a list is a bare array")
def list_as_bare_array(_: Request, answer: Answer) -> Answer:
    body = read(answer) if answer.status == 200 else None
    return with_body(answer, render(body["items"])) if body and "items" in body else answer


@answers(FAMILY, "an empty list is null")
def empty_list_as_null(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"items":[]', b'"items":null'))


@answers(FAMILY, "an empty list has no items")
def empty_list_without_items(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"items":[],', b""))


@answers(FAMILY, "a list has no navigation")
def list_without_navigation(_: Request, answer: Answer) -> Answer:
    body = read(answer) if answer.status == 200 else None
    return with_body(answer, render(without(body, "navigation"))) if body and "items" in body else answer


@answers(FAMILY, "the last byte of a charge is missing")
def truncated_json(request: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body[:-1]) if request.method == "PATCH" and answer.status == 200 else answer


@answers(FAMILY, "a key stands twice in a charge")
def duplicate_keys(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"productCode":', b'"productCode":"P99","productCode":', 1))


@answers(FAMILY, "a price of nought is NaN")
def nan_price(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"unitPrice":0,', b'"unitPrice":NaN,'))


@answers(FAMILY, "lists begin with a byte order mark")
def byte_order_mark(_: Request, answer: Answer) -> Answer:
    return with_body(answer, b"\xef\xbb\xbf" + answer.body) if b'"items"' in answer.body else answer


@answers(FAMILY, "bodies are in Latin-1")
def latin_1_body(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.decode().encode("latin-1", "replace"))


@answers(FAMILY, "the operations of a subscription are one object")
def operations_as_object(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {"operations": each["operations"][0]}, of="subscriptionNo")


@answers(FAMILY, "a resource is wrapped in data")
def wrapped_in_data(request: Request, answer: Answer) -> Answer:
    wrap = request.method == "GET" and answer.status == 200 and b'"items"' not in answer.body
    return with_body(answer, b'{"data":' + answer.body + b"}") if wrap else answer


@answers(FAMILY, "keys of a created charge are in PascalCase")
def pascal_case_keys(request: Request, answer: Answer) -> Answer:
    if request.method != "POST":
        return answer
    return rewritten(
        answer, lambda each: {name[:1].upper() + name[1:]: value for name, value in each.items()}, of=CHARGE
    )


@answers(FAMILY, "a link is null in a created subscription")
def null_link(request: Request, answer: Answer) -> Answer:
    if request.method != "POST":
        return answer
    return rewritten(answer, lambda each: each | {"recurringProducts": None}, of="subscriptionNo")


@answers(FAMILY, "true stands for a quantity of one")
def true_for_one(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer, lambda each: each | {"quantity": True if each["quantity"] == 1 else each["quantity"]}, of="quantity"
    )
