"""Links and operations that lead elsewhere."""

from __future__ import annotations

from typing import Any

from payex_billing_mock.app import Answer, Request

from ._planting import answers, rewritten, with_body

FAMILY = "hypermedia"
ELSEWHERE = "/billing/customer/v1/1234/customers/1"


def _of(name: str, of: str, description: str, change: Any) -> None:
    def fault(_: Request, answer: Answer) -> Answer:
        return rewritten(answer, lambda each: each | change(each), of=of)

    fault.__name__ = name
    answers(FAMILY, description)(fault)


def _operations(resource: dict[str, Any], **changes: str) -> dict[str, Any]:
    return {"operations": [{**each, **changes} for each in resource["operations"] or ()]}


_of(
    "operation_of_another",
    "customerNo",
    "the operations of a customer are another's",
    lambda each: {
        "operations": [{**one, "href": one["href"].replace(each["customerNo"], "1")} for one in each["operations"]]
    },
)
_of(
    "link_of_another",
    "customerNo",
    "the link to the charges is another customer's",
    lambda each: {"recurringProducts": f"{ELSEWHERE}/recurring-products"},
)
_of(
    "id_of_another",
    "recurringProductId",
    "the @id of a charge is another's",
    lambda each: {"@id": f"{ELSEWHERE}/recurring-products/1"},
)
_of(
    "id_without_charge",
    "recurringProductId",
    "the @id of a charge is its list's",
    lambda each: {"@id": each["@id"].rpartition("/")[0]},
)
_of(
    "other_host",
    "customerNo",
    "links lead to another host",
    lambda each: {"subscriptions": f"https://evil.example{each['subscriptions']}"},
)
_of(
    "operation_to_other_host",
    "subscriptionNo",
    "operations lead to another host",
    lambda each: {"operations": [{**one, "href": "https://evil.example" + one["href"]} for one in each["operations"]]},
)
_of(
    "protocol_relative",
    "subscriptionNo",
    "a link begins with two slashes",
    lambda each: {"recurringProducts": "/" + each["recurringProducts"]},
)
_of("relative_link", "customerNo", "links are relative", lambda each: {"subscriptions": "subscriptions"})
_of(
    "advertised_in_vain",
    "customerNo",
    "a removal is advertised that answers 405",
    lambda each: {
        "operations": [*each["operations"], {"rel": "delete-customer", "method": "DELETE", "href": each["@id"]}]
    },
)
_of(
    "charge_advertises_put",
    "recurringProductId",
    "a charge advertises PUT, which answers 405",
    lambda each: {"operations": [{"rel": "replace", "method": "PUT", "href": each["@id"]}]},
)
_of("wrong_method", "customerNo", "operations that add say GET", lambda each: _operations(each, method="GET"))
_of(
    "operation_missing",
    "customerNo",
    "an operation that works is not advertised",
    lambda each: {"operations": each["operations"][1:]},
)
_of("operations_empty", "subscriptionNo", "a subscription advertises nothing", lambda each: {"operations": []})
_of("operations_null", "customerNo", "the operations of a customer are null", lambda each: {"operations": None})
_of(
    "operation_twice",
    "subscriptionNo",
    "an operation is advertised twice",
    lambda each: {"operations": each["operations"] * 2},
)
_of(
    "subscription_adds_to_customer",
    "subscriptionNo",
    "a subscription's operation adds to its customer",
    lambda each: {
        "operations": [
            {**one, "href": each["@id"].partition("/subscriptions/")[0] + "/recurring-products"}
            for one in each["operations"]
        ]
    },
)
_of(
    "wrong_version",
    "customerNo",
    "links name another version of the API",
    lambda each: {"subscriptions": each["subscriptions"].replace("/v1/", "/v2/")},
)
_of(
    "number_not_encoded",
    "customerNo",
    "numbers in links are not encoded",
    lambda each: {"subscriptions": each["@id"].rpartition("/")[0] + "/" + each["customerNo"] + "/subscriptions"},
)


@answers(FAMILY, "a list says that it is somewhere else")
def list_elsewhere(_: Request, answer: Answer) -> Answer:
    return with_body(answer, answer.body.replace(b'"navigation":{"@id":"', b'"navigation":{"@id":"/elsewhere'))


@answers(FAMILY, "the links in a list differ from those of a read")
def other_links_in_lists(_: Request, answer: Answer) -> Answer:
    if b'"items"' not in answer.body:
        return answer
    return rewritten(answer, lambda each: each | {"@id": each["@id"] + "/"}, of="recurringProductId")


@answers(FAMILY, "a list leads on to itself for ever")
def list_without_end(request: Request, answer: Answer) -> Answer:
    end = b'"navigation":{'
    return with_body(answer, answer.body.replace(end, end + b'"next":"' + request.raw_path + b'",'))
