"""Tests that the wrapper follows a corrected contract after `make generate` alone.

Each test changes the contract, makes a new contract table in a copy of the wrapper, and runs a program there.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, from_yaml

sys.path.insert(0, str(ROOT / "tools"))
import contract_table

DOCUMENT: dict[str, Any] = from_yaml((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
CHARGE = "/{ownerNo}/customers/{customerNo}/recurring-products/{recurringProductId}"
CHARGES = "/{ownerNo}/customers/{customerNo}/recurring-products"
HELD = {
    "@id": "/billing/customer/v1/1234/customers/7/recurring-products/c1", "recurringProductId": "c1",
    "productCode": "P01", "quantity": 2, "unitPrice": 499.1, "vatRate": 25, "text": "Fiber", "startDate": "2026-01-01",
    "endDate": None, "billedUntil": None, "operations": None,
}  # fmt: skip
PROGRAM = """
import json, sys
from datetime import date
from decimal import Decimal
import payex_billing as pb
from payex_billing import Billing, Charge
from payex_billing import Failure, Phase, Response

REPLIES = {replies!r}
SENT = []

class Wire:
    def send(self, request, deadline):
        keys = [value for name, value in request.headers.items() if name == "Idempotency-Key"]
        path = request.url.split("/1234", 1)[1]
        SENT.append([request.method, path, json.loads(request.body) if request.body else None, keys])
        reply = REPLIES.pop(0)
        if reply is None:
            return Failure(Phase.ANSWER_LOST, "the connection broke")
        status, body = reply
        return Response(status, {{}}, b"" if body is None else json.dumps(body).encode())
    def close_idle(self): pass
    def close(self): pass

with Billing(token="t", owner_no="1234", base_url="https://b.invalid", transport=Wire(), deadline=9) as billing:
    customer = billing.customer("7")
    charges = customer.recurring_products
    try:
        result = {program}
    except pb.BillingError as error:
        result = type(error).__name__
print(json.dumps([result, SENT], default=str))
"""
Program = Callable[..., tuple[Any, list[list[Any]]]]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    # With its compiled files: a copy has the times of the original, so Python compiles only what the test writes anew.
    shutil.copytree(ROOT / "wrapper" / "payex_billing", tmp_path / "payex_billing")
    return tmp_path


@pytest.fixture
def run(package: Path) -> Program:
    """Run a program on the wrapper for a corrected contract; return the program's result and the requests."""

    def run(contract: dict[str, Any], program: str, *replies: tuple[int, Any] | None) -> tuple[Any, list[list[Any]]]:
        table = contract_table.render(contract)
        (package / "payex_billing" / "_contract.py").write_text(table, encoding="utf-8")
        source = PROGRAM.format(replies=list(replies), program=program)
        command = [sys.executable, "-c", source]
        done = subprocess.run(command, env={"PYTHONPATH": str(package)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        result, sent = json.loads(done.stdout)
        return result, sent

    return run


@pytest.fixture
def contract() -> dict[str, Any]:
    return copy.deepcopy(DOCUMENT)


OBJECT_WITHOUT_LINK = {"type": "object", "properties": {"page": {"type": "integer"}}}


def with_put(contract: dict[str, Any]) -> None:
    item = contract["paths"][CHARGE]
    item["put"] = item.pop("patch")


def schema(contract: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = contract["components"]["schemas"][name]
    return found


def page(items: list[Any], **links: Any) -> dict[str, Any]:
    return {"items": items, "navigation": {"@id": HELD["@id"].rpartition("/")[0], **links}}


@pytest.mark.parametrize("name", ["next", "nextPage"])
def test_a_declared_link_to_the_next_page_is_followed(run: Program, contract: dict[str, Any], name: str) -> None:
    schema(contract, "Navigation")["properties"][name] = {"$ref": "#/components/schemas/Link"}
    second = f"{HELD['@id'].rpartition('/')[0]}?page=2"
    result, sent = run(
        contract, "[each.id for each in charges.list()]",
        (200, page([HELD], **{name: second})),
        (200, page([HELD | {"recurringProductId": "c2", "@id": HELD["@id"][:-1] + "2"}])),
    )  # fmt: skip
    assert result == ["c1", "c2"]
    assert sent[1][1] == "/customers/7/recurring-products?page=2"


def test_a_link_to_the_next_page_inside_an_object_is_followed(run: Program, contract: dict[str, Any]) -> None:
    link = {"type": "object", "properties": {"@id": {"$ref": "#/components/schemas/Link"}}}
    schema(contract, "Navigation")["properties"]["next"] = link
    second = {"@id": f"{HELD['@id'].rpartition('/')[0]}?page=2"}
    result, sent = run(contract, "[each.id for each in charges.list()]", (200, page([], next=second)), (200, page([])))
    assert (result, sent[1][1]) == ([], "/customers/7/recurring-products?page=2")


def test_a_list_of_another_customer_is_rejected_by_a_link_with_another_name(
    run: Program, contract: dict[str, Any]
) -> None:
    properties = schema(contract, "Navigation")["properties"]
    properties["id"] = properties.pop("@id")
    foreign = {"items": [], "navigation": {"id": HELD["@id"].rpartition("/")[0].replace("/7/", "/8/")}}
    result, _ = run(contract, "[each.id for each in charges.list()]", *[(200, foreign)] * 9)
    assert result == "MalformedResponse"


def test_a_list_without_navigation_has_its_links_beside_the_array(run: Program, contract: dict[str, Any]) -> None:
    listed = schema(contract, "RecurringProductList")
    listed["properties"] = {"charges": listed["properties"]["items"], "next": {"$ref": "#/components/schemas/Link"}}
    listed["required"] = ["charges"]
    second = {"charges": [HELD | {"recurringProductId": "c2", "@id": HELD["@id"][:-1] + "2"}]}
    first = {"charges": [HELD], "next": f"{HELD['@id'].rpartition('/')[0]}?page=2"}
    result, _ = run(contract, "[each.id for each in charges.list()]", (200, first), (200, second))
    assert result == ["c1", "c2"]


def test_a_list_may_come_without_its_links_only_if_the_contract_says_so(run: Program, contract: dict[str, Any]) -> None:
    program = "[each.id for each in charges.list()]"
    bare = (200, {"items": [HELD]})
    result, _ = run(contract, program, *[bare] * 9)
    assert result == "MalformedResponse"
    schema(contract, "RecurringProductList")["required"].remove("navigation")
    result, _ = run(contract, program, bare)
    assert result == ["c1"]


def test_a_declared_property_without_an_attribute_is_in_extra(run: Program, contract: dict[str, Any]) -> None:
    schema(contract, "RecurringProduct")["properties"]["currency"] = {"type": "string"}
    result, _ = run(contract, "charges.get('c1').extra", (200, HELD | {"currency": "SEK", "odd": 1}))
    assert result == {"currency": "SEK", "odd": 1}


def test_a_required_property_without_an_attribute_is_sent_by_extra(run: Program, contract: dict[str, Any]) -> None:
    new = schema(contract, "NewRecurringProduct")
    new["properties"]["currency"] = {"type": "string"}
    new["required"].append("currency")
    schema(contract, "RecurringProduct")["properties"]["currency"] = {"type": "string"}
    missing, sent = run(contract, "charges.create(Charge(product_code='P01')).id")
    assert (missing, sent) == ("InvalidArgument", [])
    program = "charges.create(Charge(product_code='P01', extra={'currency': 'SEK'})).id"
    result, sent = run(contract, program, (201, HELD | {"currency": "SEK"}))
    assert (result, sent[0][2]) == ("c1", {"productCode": "P01", "currency": "SEK"})


def test_none_is_sent_as_null_if_the_contract_requires_the_property(run: Program, contract: dict[str, Any]) -> None:
    schema(contract, "NewRecurringProduct")["required"].append("endDate")
    result, sent = run(contract, "charges.create(Charge(product_code='P01')).end_date", (201, HELD))
    assert (result, sent[0][2]) == (None, {"productCode": "P01", "endDate": None})


@pytest.mark.parametrize("put", [False, True], ids=["PATCH", "PUT"])
def test_a_required_property_that_may_be_null_is_cleared_with_null(
    run: Program, contract: dict[str, Any], *, put: bool
) -> None:
    schema(contract, "RecurringProductChange")["required"] = ["endDate"]
    if put:
        with_put(contract)
    replies = [(200, HELD | {"endDate": "2026-12-31"})] * put + [(200, HELD)]
    result, sent = run(contract, "charges.update('c1', end_date=None).end_date", *replies)
    assert (result, sent[-1][2]["endDate"]) == (None, None)


@pytest.mark.parametrize("status", [200, 201])
def test_a_creation_succeeds_with_either_status(run: Program, contract: dict[str, Any], status: int) -> None:
    responses = contract["paths"][CHARGES]["post"]["responses"]
    responses[str(status)] = responses.pop("201")
    result, _ = run(contract, "charges.create(Charge(product_code='P01')).id", (status, HELD))
    assert result == "c1"


def test_put_sends_the_whole_charge(run: Program, contract: dict[str, Any]) -> None:
    with_put(contract)
    held = HELD | {"campaign": "spring"}
    _, sent = run(contract, "charges.update('c1', end_date=date(2026, 12, 31)).id", (200, held), (200, held))
    assert [each[0] for each in sent] == ["GET", "PUT"]
    assert sent[1][2] == {
        "productCode": "P01", "quantity": 2, "unitPrice": 499.1, "vatRate": 25, "text": "Fiber",
        "startDate": "2026-01-01", "endDate": "2026-12-31", "campaign": "spring",
    }  # fmt: skip


def test_put_sends_the_decimals_of_unknown_properties_as_they_were_read(run: Program, contract: dict[str, Any]) -> None:
    with_put(contract)
    more = {"discount": 12.345, "tiers": [{"from": 1.5}]}
    _, sent = run(contract, "charges.update('c1', quantity=3).id", (200, HELD | more), (200, HELD | more))
    assert {name: sent[1][2][name] for name in more} == more


def test_put_changes_a_property_that_has_no_argument(run: Program, contract: dict[str, Any]) -> None:
    with_put(contract)
    for name in ("NewRecurringProduct", "RecurringProductChange", "RecurringProduct"):
        schema(contract, name)["properties"]["costCenter"] = {"type": "string"}
    held = HELD | {"costCenter": "A"}
    _, sent = run(contract, "charges.update('c1', extra={'costCenter': 'B'}).id", (200, held), (200, held))
    assert sent[1][2]["costCenter"] == "B"


@pytest.mark.parametrize("extra", ["'abc'", "['costCenter']"])
def test_put_refuses_an_extra_that_is_no_mapping(run: Program, contract: dict[str, Any], extra: str) -> None:
    with_put(contract)
    result, sent = run(contract, f"charges.update('c1', extra={extra}).id")
    assert (result, sent) == ("InvalidArgument", [])


def test_put_leaves_out_cleared_values(run: Program, contract: dict[str, Any]) -> None:
    with_put(contract)
    _, sent = run(contract, "charges.update('c1', text=None, unit_price=Decimal('1.50')).id", (200, HELD), (200, HELD))
    assert sent[1][2] == {
        "productCode": "P01", "quantity": 2, "unitPrice": 1.5, "vatRate": 25, "startDate": "2026-01-01",
    }  # fmt: skip


def test_an_update_without_a_body_in_its_response_is_read_back(run: Program, contract: dict[str, Any]) -> None:
    contract["paths"][CHARGE]["patch"]["responses"]["204"] = {"description": "Changed."}
    del contract["paths"][CHARGE]["patch"]["responses"]["200"]
    result, sent = run(contract, "charges.update('c1', text='New').text", (204, None), (200, HELD | {"text": "New"}))
    assert (result, [each[0] for each in sent]) == ("New", ["PATCH", "GET"])


def test_ids_that_are_whole_numbers_are_text_in_python(run: Program, contract: dict[str, Any]) -> None:
    schema(contract, "RecurringProductId")["type"] = "integer"
    held = HELD | {"recurringProductId": 77, "@id": HELD["@id"][:-2] + "77"}
    result, sent = run(contract, "charges.get('77').id", (200, held))
    assert (result, sent[0][1]) == ("77", "/customers/7/recurring-products/77")


def test_a_property_keeps_its_name_in_python(run: Program, contract: dict[str, Any]) -> None:
    for name in ("NewRecurringProduct", "RecurringProduct", "RecurringProductChange"):
        properties = schema(contract, name)["properties"]
        properties["price"], properties["validTo"] = properties.pop("unitPrice"), properties.pop("endDate")
    held = {{"unitPrice": "price", "endDate": "validTo"}.get(name, name): value for name, value in HELD.items()}
    program = "str(charges.create(Charge(product_code='P01', unit_price=Decimal('499.10'))).unit_price)"
    result, sent = run(contract, program, (201, held))
    assert (result, sent[0][2]) == ("499.1", {"productCode": "P01", "price": 499.1})


def test_an_operation_that_the_contract_lacks_raises_not_supported(run: Program, contract: dict[str, Any]) -> None:
    del contract["paths"][CHARGE]["delete"]
    result, sent = run(contract, "charges.delete('c1')")
    assert (result, sent) == ("NotSupported", [])


def with_key(contract: dict[str, Any]) -> None:
    parameter = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}
    contract["paths"][CHARGES]["post"]["parameters"] = [parameter]


def test_a_lost_creation_is_retried_with_the_same_key(run: Program, contract: dict[str, Any]) -> None:
    with_key(contract)
    result, sent = run(contract, "charges.create(Charge(product_code='P01')).id", None, (201, HELD))
    assert (result, len(sent), sent[0]) == ("c1", 2, sent[1])
    assert len(sent[0][3]) == 1


def test_two_creations_have_two_keys(run: Program, contract: dict[str, Any]) -> None:
    with_key(contract)
    program = "[charges.create(Charge(product_code='P01')).id for _ in range(2)]"
    other = HELD | {"recurringProductId": "c2", "@id": HELD["@id"][:-1] + "2"}
    _, sent = run(contract, program, (201, HELD), (201, other))
    assert sent[0][3] != sent[1][3]


@pytest.mark.parametrize("last", [(401, None), (400, None), (503, None), None])
def test_a_creation_without_its_first_response_stays_unknown_after_any_later_failure(
    run: Program, contract: dict[str, Any], last: tuple[int, Any] | None
) -> None:
    with_key(contract)
    result, _ = run(contract, "charges.create(Charge(product_code='P01')).id", None, last, last, last, last, last)
    assert result == "OutcomeUnknown"


def test_ensure_reads_a_duplicate_that_the_server_rejects_with_400(run: Program, contract: dict[str, Any]) -> None:
    customer = {"customerNo": "7", "recurringProducts": "/r", "subscriptions": "/s"}
    result, sent = run(contract, "customer.ensure().customer_no", (400, None), (200, customer))
    assert (result, [each[0] for each in sent]) == ("7", ["POST", "GET"])


def test_ensure_raises_if_the_server_rejects_a_customer_that_does_not_exist(
    run: Program, contract: dict[str, Any]
) -> None:
    result, _ = run(contract, "customer.ensure().customer_no", (400, None), (404, None))
    assert result == "ValidationFailed"


TWO_DECIMALS: list[dict[str, Any]] = [
    {"x-decimals": 2}, {"multipleOf": 0.01}, {"x-decimals": 2, "multipleOf": 0.000001},
    {"x-decimals": 6, "multipleOf": 0.01},
]  # fmt: skip


@pytest.mark.parametrize("digits", TWO_DECIMALS, ids=str)
def test_both_keywords_for_decimals_give_the_same_table(contract: dict[str, Any], digits: dict[str, Any]) -> None:
    price = contract["components"]["schemas"]["UnitPrice"]
    price["x-decimals"] = 2
    expected = contract_table.render(contract)
    assert "decimals=2" in expected
    del price["x-decimals"]
    price.update(digits)
    assert contract_table.render(contract) == expected


@pytest.mark.parametrize("digits", [{"x-decimals": 0}, {"multipleOf": 1}], ids=str)
def test_a_price_without_decimals_is_refused_before_it_is_sent(
    run: Program, contract: dict[str, Any], digits: dict[str, Any]
) -> None:
    price = contract["components"]["schemas"]["UnitPrice"]
    del price["x-decimals"]
    price.update(digits)
    result, sent = run(contract, "charges.create(Charge(product_code='P01', unit_price=Decimal('1.5'))).id")
    assert (result, sent) == ("InvalidArgument", [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda each: each["Date"].update(format="duration"), "format 'duration'"),
        (lambda each: each["UnitPrice"].update(multipleOf=0.05), "multipleOf"),
        (lambda each: each["UnitPrice"].update({"x-decimals": -1}), "x-decimals must be a whole number"),
        (lambda each: each["UnitPrice"].update({"x-decimals": 2.5}), "x-decimals must be a whole number"),
        (lambda each: each["UnitPrice"].update({"x-decimals": "two"}), "x-decimals must be a whole number"),
        (lambda each: each["UnitPrice"].update({"x-decimals": True}), "x-decimals must be a whole number"),
        (lambda each: each["RecurringProductList"]["properties"].update(more={"type": "array"}), "which has"),
        (lambda each: each["Navigation"]["properties"].update(next={"type": "integer"}), "neither a link"),
        (lambda each: each["Navigation"]["properties"].update(next=OBJECT_WITHOUT_LINK), "neither a link"),
    ],
)
def test_generation_fails_if_the_wrapper_cannot_support_the_contract(
    contract: dict[str, Any], change: Callable[[dict[str, Any]], None], said: str
) -> None:
    change(contract["components"]["schemas"])
    with pytest.raises(contract_table.TableError, match=said):
        contract_table.render(contract)


def test_generation_fails_for_pages_without_a_link_to_the_next_page(contract: dict[str, Any]) -> None:
    contract["paths"][CHARGES]["get"]["parameters"] = [{"name": "page", "in": "query", "schema": {"type": "integer"}}]
    with pytest.raises(contract_table.TableError, match="first page only"):
        contract_table.render(contract)
