"""Faults: links and operations that lead to a wrong path."""

from __future__ import annotations

from typing import Any

from contract_tests.exchange import CONTRACT

from ._planting import (
    CHARGE_ID,
    CHARGES,
    CUSTOMER_NO,
    SUBSCRIPTION_NO,
    UPDATE,
    Answer,
    Request,
    answers,
    is_list,
    rewritten,
    with_body,
)

FAMILY = "hypermedia"
ELSEWHERE = f"{CONTRACT.base_path}/1234/{'/'.join(CONTRACT.place('customer').segments('1'))}"
OTHER_UPDATE = "PUT" if UPDATE != "PUT" else "PATCH"
SUBSCRIPTIONS = CONTRACT.place("subscription").segment
# The links of a customer or subscription to its charges, and of a customer to its subscriptions.
TO_CHARGES = next(name for name, place in CONTRACT.links["subscription"].items() if place.kind == "charge")
TO_SUBSCRIPTIONS = next(name for name, place in CONTRACT.links["customer"].items() if place.kind == "subscription")


def _of(name: str, of: str, description: str, change: Any) -> None:
    def fault(_: Request, answer: Answer) -> Answer:
        return rewritten(answer, lambda each: each | change(each), of=of)

    fault.__name__ = name
    answers(FAMILY, description)(fault)


def _operations(resource: dict[str, Any], **changes: str) -> dict[str, Any]:
    return {"operations": [{**each, **changes} for each in resource["operations"] or ()]}


_of(
    "operation_of_another",
    CUSTOMER_NO,
    "the operations of a customer are another's",
    lambda each: {
        "operations": [{**one, "href": one["href"].replace(each[CUSTOMER_NO], "1")} for one in each["operations"]]
    },
)
_of(
    "link_of_another",
    CUSTOMER_NO,
    "the link to the charges is another customer's",
    lambda each: {TO_CHARGES: f"{ELSEWHERE}/{CHARGES}"},
)
_of(
    "id_of_another",
    CHARGE_ID,
    "the @id of a charge is another's",
    lambda each: {"@id": f"{ELSEWHERE}/{CHARGES}/1"},
)
_of(
    "id_without_charge",
    CHARGE_ID,
    "the @id of a charge is its list's",
    lambda each: {"@id": each["@id"].rpartition("/")[0]},
)
_of(
    "other_host",
    CUSTOMER_NO,
    "links lead to another host",
    lambda each: {TO_SUBSCRIPTIONS: f"https://evil.example{each[TO_SUBSCRIPTIONS]}"},
)
_of(
    "operation_to_other_host",
    SUBSCRIPTION_NO,
    "operations lead to another host",
    lambda each: {"operations": [{**one, "href": "https://evil.example" + one["href"]} for one in each["operations"]]},
)
_of(
    "protocol_relative",
    SUBSCRIPTION_NO,
    "a link begins with two slashes",
    lambda each: {TO_CHARGES: "/" + each[TO_CHARGES]},
)
_of("relative_link", CUSTOMER_NO, "links are relative", lambda each: {TO_SUBSCRIPTIONS: SUBSCRIPTIONS})
_of(
    "advertised_in_vain",
    CUSTOMER_NO,
    "a removal is advertised that answers 405",
    lambda each: {
        "operations": [*each["operations"], {"rel": "delete-customer", "method": "DELETE", "href": each["@id"]}]
    },
)
_of(
    "charge_advertises_put",
    CHARGE_ID,
    f"a charge advertises {OTHER_UPDATE}, which answers 405",
    lambda each: {"operations": [{"rel": "replace", "method": OTHER_UPDATE, "href": each["@id"]}]},
)
_of("wrong_method", CUSTOMER_NO, "operations that add say GET", lambda each: _operations(each, method="GET"))
_of(
    "operation_missing",
    CUSTOMER_NO,
    "an operation that works is not advertised",
    lambda each: {"operations": each["operations"][1:]},
)
_of("operations_empty", SUBSCRIPTION_NO, "a subscription advertises nothing", lambda each: {"operations": []})
_of("operations_null", CUSTOMER_NO, "the operations of a customer are null", lambda each: {"operations": None})
_of(
    "operation_twice",
    SUBSCRIPTION_NO,
    "an operation is advertised twice",
    lambda each: {"operations": each["operations"] * 2},
)
_of(
    "subscription_adds_to_customer",
    SUBSCRIPTION_NO,
    "a subscription's operation adds to its customer",
    lambda each: {
        "operations": [
            {**one, "href": each["@id"].partition(f"/{SUBSCRIPTIONS}/")[0] + f"/{CHARGES}"}
            for one in each["operations"]
        ]
    },
)
_of(
    "wrong_version",
    CUSTOMER_NO,
    "links name another version of the API",
    lambda each: {TO_SUBSCRIPTIONS: each[TO_SUBSCRIPTIONS].replace("/v1/", "/v2/")},
)
_of(
    "number_not_encoded",
    CUSTOMER_NO,
    "numbers in links are not encoded",
    lambda each: {TO_SUBSCRIPTIONS: f"{each['@id'].rpartition('/')[0]}/{each[CUSTOMER_NO]}/{SUBSCRIPTIONS}"},
)


@answers(FAMILY, "a list says that it is somewhere else")
def list_elsewhere(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"navigation":{"@id":"', b'"navigation":{"@id":"/elsewhere'))


@answers(FAMILY, "the links in a list differ from those of a read")
def other_links_in_lists(_: Request, answer: Answer) -> Answer:
    if not is_list(answer):
        return answer
    return rewritten(answer, lambda each: each | {"@id": each["@id"] + "/"}, of=CHARGE_ID)


@answers(FAMILY, "a list leads on to itself for ever")
def list_without_end(request: Request, answer: Answer) -> Answer:
    end = b'"navigation":{'
    return with_body(answer, answer.body.replace(end, end + b'"next":"' + request.raw_path + b'",'))
