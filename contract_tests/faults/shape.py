"""Faults: bodies whose structure differs from the contract."""

from __future__ import annotations

from contract_tests.exchange import CONTRACT, render

from ._planting import CHARGE_ID as CHARGE
from ._planting import (
    CUSTOMER_NO,
    SUBSCRIPTION_NO,
    UPDATE,
    Answer,
    Request,
    answers,
    emptied,
    is_list,
    items_in,
    read,
    rewritten,
    wire,
    with_body,
    without,
)

FAMILY = "shape"
QUANTITY, PRICE = wire("quantity"), wire("unit_price")
START, END, CODE = wire("start_date"), wire("end_date"), wire("product_code")
TO_CHARGES = next(iter(CONTRACT.links["subscription"]))
TO_SUBSCRIPTIONS = next(name for name, place in CONTRACT.links["customer"].items() if place.kind == "subscription")


@answers(FAMILY, "a customer has no customerNo")
def customer_without_its_number(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: without(each, CUSTOMER_NO), of=TO_SUBSCRIPTIONS)


@answers(FAMILY, "the third item of a list has no id")
def third_item_without_id(_: Request, answer: Answer) -> Answer:
    body = read(answer) if answer.status == 200 else None
    items = items_in(body) or []
    if len(items) < 3:
        return answer
    items[2] = without(items[2], CHARGE)
    return with_body(answer, render(body))


@answers(FAMILY, "a charge that has an end has no @id")
def ended_charge_without_link(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: without(each, "@id") if each.get(END) else each, of=CHARGE)


@answers(FAMILY, "a quantity is a string")
def quantity_as_string(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {QUANTITY: str(each[QUANTITY])}, of=QUANTITY)


@answers(FAMILY, "a price is a string")
def price_as_string(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {PRICE: str(each[PRICE])}, of=PRICE)


@answers(FAMILY, "a price has a decimal comma")
def price_with_comma(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {PRICE: str(each[PRICE]).replace(".", ",")}, of=PRICE)


@answers(FAMILY, "a date is a date and time")
def date_as_datetime(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer,
        lambda each: each | ({START: f"{each[START]}T00:00:00Z"} if each[START] else {}),
        of=START,
    )


@answers(FAMILY, "an end is written day first")
def date_day_first(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer,
        lambda each: each | {END: "-".join(reversed(each[END].split("-"))) if each[END] else None},
        of=END,
    )


@answers(FAMILY, "a product code is null when there is a text")
def null_product_code(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {CODE: None}, of=wire("text"))


@answers(FAMILY, "the id in a list is null")
def null_id_in_lists(_: Request, answer: Answer) -> Answer:
    if not is_list(answer):
        return answer
    return rewritten(answer, lambda each: each | {CHARGE: None}, of=CHARGE)


@answers(FAMILY, "a list is a bare array")
def list_as_bare_array(_: Request, answer: Answer) -> Answer:
    body = read(answer) if answer.status == 200 else None
    items = items_in(body)
    return answer if items is None else with_body(answer, render(items))


@answers(FAMILY, "an empty list is null")
def empty_list_as_null(_: Request, answer: Answer) -> Answer:
    return emptied(answer, lambda name: f'"{name}":null')


@answers(FAMILY, "an empty list has no items")
def empty_list_without_items(_: Request, answer: Answer) -> Answer:
    return emptied(answer, lambda _: '"nothing":0')


@answers(FAMILY, "a list has no navigation")
def list_without_navigation(_: Request, answer: Answer) -> Answer:
    return with_body(answer, render(without(read(answer), "navigation"))) if is_list(answer) else answer


@answers(FAMILY, "the last byte of a charge is missing")
def truncated_json(request: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body[:-1]) if request.method == UPDATE and answer.status == 200 else answer


@answers(FAMILY, "a key stands twice in a charge")
def duplicate_keys(_: Request, answer: Answer) -> Answer:
    key = f'"{CODE}":'.encode()
    return with_body(answer, answer.body.replace(key, key + b'"P99",' + key, 1))


@answers(FAMILY, "a price of nought is NaN")
def nan_price(_: Request, answer: Answer) -> Answer:
    key = f'"{PRICE}":'.encode()
    return with_body(answer, answer.body.replace(key + b"0,", key + b"NaN,"))


@answers(FAMILY, "lists begin with a byte order mark")
def byte_order_mark(_: Request, answer: Answer) -> Answer:
    return with_body(answer, b"\xef\xbb\xbf" + answer.body) if is_list(answer) else answer


@answers(FAMILY, "bodies are in Latin-1")
def latin_1_body(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.decode().encode("latin-1", "replace"))


@answers(FAMILY, "the operations of a subscription are one object")
def operations_as_object(_: Request, answer: Answer) -> Answer:
    return rewritten(answer, lambda each: each | {"operations": each["operations"][0]}, of=SUBSCRIPTION_NO)


@answers(FAMILY, "a resource is wrapped in data")
def wrapped_in_data(request: Request, answer: Answer) -> Answer:
    wrap = request.method == "GET" and answer.status == 200 and not is_list(answer)
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
    return rewritten(answer, lambda each: each | {TO_CHARGES: None}, of=SUBSCRIPTION_NO)


@answers(FAMILY, "true stands for a quantity of one")
def true_for_one(_: Request, answer: Answer) -> Answer:
    return rewritten(
        answer, lambda each: each | {QUANTITY: True if each[QUANTITY] == 1 else each[QUANTITY]}, of=QUANTITY
    )
