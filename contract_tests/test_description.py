"""Test that the suite follows a corrected contract: what it reads, and which bodies it makes, for each correction."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest

from contract_tests.corrected import corrected, every_body_is_valid, renamed
from contract_tests.description import FILE, ContractError, load
from contract_tests.exchange import CONTRACT, DOCUMENT, Exchange, render
from contract_tests.rules import strict_json

TODAYS_LISTS = ("list_subscriptions", "list_customer_recurring_products", "list_subscription_recurring_products")
CREATED = {"customer": 0, "subscription": 1, "charge": 1}


CHARGE_SCHEMAS = ("NewRecurringProduct", "RecurringProductChange", "RecurringProduct")


# today's contract: what the suite derives must equal what a person reads in the contract


def test_todays_names_and_paths() -> None:
    assert [CONTRACT.wire(role) for role in ("unit_price", "vat_rate", "start_date", "billed_until")] == [
        "unitPrice", "vatRate", "startDate", "billedUntil",
    ]  # fmt: skip
    assert CONTRACT.keys == {
        "customer": "customerNo", "subscription": "subscriptionNo", "charge": "recurringProductId",
    }  # fmt: skip
    assert CONTRACT.place("charge", 2).segments("1", "2", "3") == (
        "customers", "1", "subscriptions", "2", "recurring-products", "3",
    )  # fmt: skip
    assert CONTRACT.base_path == "/billing/customer/v1"
    assert CONTRACT.update_method == "PATCH"
    assert CONTRACT.duplicates["subscription"] == (409, "subscription-already-exists")
    assert CONTRACT.not_found == {
        "customer": "customer-not-found",
        "subscription": "subscription-not-found",
        "charge": "recurring-product-not-found",
    }
    assert CONTRACT.server_set["charge"] == {"@id", "recurringProductId", "billedUntil", "operations"}
    assert CONTRACT.self_link == "@id"
    links = {"self": ("navigation", "@id"), "next": ("navigation", "next")}
    assert CONTRACT.list_links == dict.fromkeys(TODAYS_LISTS, links)
    assert {name: place.segment for name, place in CONTRACT.links["customer"].items()} == {
        "subscriptions": "subscriptions", "recurringProducts": "recurring-products",
    }  # fmt: skip


def test_every_operation_of_today_has_its_role() -> None:
    found = {each.operation_id: (each.role, each.kind) for each in CONTRACT.operations.values()}
    assert len(found) == 16
    for operation_id, (role, kind) in found.items():
        word = {"read": "get"}.get(role, role)
        noun = {"charge": "recurring_product"}.get(kind, kind)
        assert operation_id.startswith(f"{word}_")
        assert operation_id.rstrip("s").endswith(noun)


def test_a_path_is_split_before_it_is_decoded() -> None:
    match = CONTRACT.match("/billing/customer/v1/1234/customers/a%2Fb/subscriptions")
    assert match is not None
    assert match.parameters == {"ownerNo": "1234", "customerNo": "a/b"}
    assert set(match.operations) == {"GET", "POST"}
    assert CONTRACT.match("/billing/customer/v1/1234/customers//subscriptions") is None
    assert CONTRACT.match("/billing/customer/v1/1234/Customers/1") is None


def test_json_is_written_with_every_digit() -> None:
    assert render({"a": [Decimal("0.10"), None, True, "å"]}) == '{"a":[0.10,null,true,"å"]}'


@pytest.mark.parametrize("text", ["openapi: 3.1.0", "{", "- 1"])
def test_a_broken_contract_is_reported(tmp_path: Any, text: str) -> None:
    file = tmp_path / "openapi.yaml"
    file.write_text(text)
    with pytest.raises(ContractError, match=r"openapi\.yaml"):
        load(file)


def test_the_contract_is_that_of_the_checkout() -> None:
    assert FILE.is_file()
    assert load(FILE).document == DOCUMENT


# corrections


def test_put_in_place_of_patch() -> None:
    def change(document: Any) -> None:
        for item in document["paths"].values():
            if "patch" in item:
                item["put"] = item.pop("patch")

    contract, bodies, judge = corrected(change)
    assert contract.update_method == "PUT"
    every_body_is_valid(contract, bodies, judge)


def test_other_names_of_properties() -> None:
    names = {"unitPrice": "price", "text": "description"}
    contract, bodies, judge = corrected(renamed(names, *CHARGE_SCHEMAS))
    assert bodies.new_charge(unit_price=5, text="x") == {"productCode": "P01", "price": 5, "description": "x"}
    every_body_is_valid(contract, bodies, judge)


def test_other_names_are_found_by_their_schema_where_no_role_is_given() -> None:
    def change(document: Any) -> None:
        renamed({"unitPrice": "price", "text": "description"}, *CHARGE_SCHEMAS)(document)
        for name in CHARGE_SCHEMAS:
            for node in document["components"]["schemas"][name]["properties"].values():
                node.pop("x-sdk", None)

    contract, _, _ = corrected(change)
    assert [contract.wire("unit_price"), contract.wire("text")] == ["price", "description"]


def test_the_items_of_a_list_under_another_name() -> None:
    contract, _, _ = corrected(renamed({"items": "recurringProducts"}, "RecurringProductList"))
    assert contract.list_name(contract.operation("list", "charge", 2)) == "recurringProducts"
    assert contract.list_name(contract.operation("list", "subscription")) == "items"
    assert contract.list_name(contract.operation("read", "charge")) is None


def test_ids_that_are_integers() -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["RecurringProductId"] = {"type": "integer", "minimum": 1}

    contract, bodies, judge = corrected(change)
    assert contract.keys["charge"] == "recurringProductId"
    assert judge.takes(contract.parameter_node("recurringProductId")["schema"], bodies.unused("charge"))
    assert contract.place("charge").segments("7", 12) == ("customers", "7", "recurring-products", "12")


def test_ids_that_are_uuids() -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["RecurringProductId"] = {"type": "string", "format": "uuid"}

    _, bodies, judge = corrected(change)
    assert judge.takes({"type": "string", "format": "uuid"}, bodies.unused("charge"))
    assert bodies.unused("charge") != bodies.unused("charge")


def test_keys_of_problems_in_pascal_case(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(document: Any) -> None:
        schema = document["components"]["schemas"]["Problem"]
        schema["properties"] = {name.capitalize(): node for name, node in schema["properties"].items()}
        schema["required"] = [name.capitalize() for name in schema["required"]]
        for example in document["components"]["examples"].values():
            if "status" in example["value"]:
                example["value"] = {name.capitalize(): each for name, each in example["value"].items()}

    contract, _, _ = corrected(change)
    assert contract.problem_names["type"] == "Type"
    assert contract.not_found["charge"] == "recurring-product-not-found"
    assert contract.duplicates["customer"] == (409, "customer-already-exists")
    monkeypatch.setattr("contract_tests.exchange.CONTRACT", contract)
    body = b'{"Type":"a/validation","Status":400,"Problems":[{"CustomerNo":"too long"},{"a.b":"x"}]}'
    exchange = Exchange("GET", "/", {}, b"", 400, {"content-type": "application/problem+json"}, body)
    assert (exchange.code, exchange.problem["status"]) == ("validation", 400)
    assert exchange.failed_parameters == {"customerno", "a"}


def test_charges_that_cannot_be_deleted() -> None:
    def change(document: Any) -> None:
        for path, item in document["paths"].items():
            if path.endswith("{recurringProductId}"):
                del item["delete"]

    contract, _, _ = corrected(change)
    assert contract.operation("delete", "charge") is None
    assert contract.operation("delete", "subscription") is not None


def test_lists_in_pages() -> None:
    def change(document: Any) -> None:
        query = [{"name": name, "in": "query", "schema": {"type": "integer"}} for name in ("page", "pageSize")]
        for item in document["paths"].values():
            if "get" in item and "post" in item:
                item["get"]["parameters"] = query
        document["components"]["schemas"]["Navigation"]["properties"]["next"] = {"type": "string"}

    contract, _, _ = corrected(change)
    listed = contract.operation("list", "charge")
    assert listed is not None
    assert listed.takes_query
    assert contract.list_name(listed) == "items"


LINK = {"$ref": "#/components/schemas/Link"}


@pytest.mark.parametrize(
    ("following", "path"),
    [({"allOf": [LINK]}, ("next",)), ({"type": "object", "properties": {"id": LINK}}, ("next", "id"))],
    ids=["link", "object"],
)
def test_the_links_of_a_list(following: dict[str, Any], path: tuple[str, ...]) -> None:
    def change(document: Any) -> None:
        for name in ("Navigation", "Customer", "Subscription", "RecurringProduct"):
            properties = document["components"]["schemas"][name]["properties"]
            properties["id"] = properties.pop("@id")
        document["components"]["schemas"]["Navigation"]["properties"]["next"] = following

    contract, _, _ = corrected(change)
    links = {"next": ("navigation", *path), "self": ("navigation", "id")}
    assert contract.self_link == "id"
    assert contract.list_links == dict.fromkeys(TODAYS_LISTS, links)
    assert set(contract.links["customer"]) == {"subscriptions", "recurringProducts"}


def test_a_list_without_links() -> None:
    def change(document: Any) -> None:
        for name in ("SubscriptionList", "RecurringProductList"):
            del document["components"]["schemas"][name]["properties"]["navigation"]

    contract, _, _ = corrected(change)
    assert contract.list_links == {name: {"next": ("navigation", "next")} for name in TODAYS_LISTS}


def test_a_customer_with_more_properties() -> None:
    def change(document: Any) -> None:
        schemas = document["components"]["schemas"]
        name, status = {"type": "string", "minLength": 1, "maxLength": 30}, {"type": "string", "enum": ["active"]}
        schemas["NewCustomer"]["properties"]["name"] = name
        schemas["NewCustomer"]["required"].append("name")
        schemas["Customer"]["properties"] |= {"name": name, "status": status}

    contract, bodies, judge = corrected(change)
    assert set(bodies.new_customer("1")) == {"customerNo", "name"}
    assert "status" in contract.server_set["customer"]
    assert "name" not in contract.server_set["customer"]
    every_body_is_valid(contract, bodies, judge)


def test_another_segment_of_the_path() -> None:
    def change(document: Any) -> None:
        paths = document["paths"]
        document["paths"] = {path.replace("recurring-products", "recurring-charges"): paths[path] for path in paths}

    contract, bodies, judge = corrected(change)
    assert contract.place("charge", 2).segments("1", "2")[-1] == "recurring-charges"
    assert contract.not_found["charge"] == "recurring-product-not-found"
    assert contract.links["customer"]["recurringProducts"] == contract.place("charge", 1)
    assert contract.match("/billing/customer/v1/1/customers/2/recurring-charges") is not None
    every_body_is_valid(contract, bodies, judge)


def test_a_header_that_a_creation_must_have() -> None:
    def change(document: Any) -> None:
        header = {"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}
        for item in document["paths"].values():
            if "post" in item:
                item["post"]["parameters"] = [header]

    contract, _, _ = corrected(change)
    for kind, parents in contract.places:
        create, read = contract.operation("create", kind, parents), contract.operation("read", kind, parents)
        assert create is not None
        assert read is not None
        assert [each["name"] for each in create.headers] == ["Idempotency-Key"]
        assert read.headers == ()
        assert (create.takes_key, read.takes_key) == (True, False)


def test_duplicates_that_are_a_validation_problem() -> None:
    def change(document: Any) -> None:
        for item in document["paths"].values():
            item.get("post", {"responses": {}})["responses"].pop("409", None)

    contract, _, _ = corrected(change)
    assert contract.duplicates["customer"] == (400, "validation")
    assert contract.duplicates["subscription"] == (400, "validation")


def test_duplicates_of_two_kinds_in_one_response() -> None:
    def change(document: Any) -> None:
        examples = document["components"]["responses"]["Unprocessable"]["content"]["application/problem+json"][
            "examples"
        ]
        for name in ("CustomerAlreadyExists", "SubscriptionAlreadyExists"):
            examples[name] = {"$ref": f"#/components/examples/{name}Problem"}
        for item in document["paths"].values():
            item.get("post", {"responses": {}})["responses"].pop("409", None)

    contract, _, _ = corrected(change)
    assert contract.duplicates["customer"] == (422, "customer-already-exists")
    assert contract.duplicates["subscription"] == (422, "subscription-already-exists")


def test_a_missing_charge_that_is_answered_with_410() -> None:
    def change(document: Any) -> None:
        for path, item in document["paths"].items():
            if path.endswith("{recurringProductId}"):
                for operation in (each for name, each in item.items() if name != "parameters"):
                    operation["responses"]["410"] = operation["responses"].pop("404")

    contract, _, _ = corrected(change)
    assert contract.not_found["charge"] == "recurring-product-not-found"
    assert contract.not_found["subscription"] == "subscription-not-found"


@pytest.mark.parametrize("status", ["202", "204"])
def test_a_response_without_a_declared_body_must_be_empty(monkeypatch: pytest.MonkeyPatch, status: str) -> None:
    def change(document: Any) -> None:
        for item in document["paths"].values():
            if "delete" in item:
                item["delete"]["responses"] = {status: item["delete"]["responses"]["204"]}

    contract, _, _ = corrected(change)
    monkeypatch.setattr("contract_tests.exchange.CONTRACT", contract)
    path = f"{contract.base_path}/1/customers/2/subscriptions/3"
    strict_json(Exchange("DELETE", path, {}, b"", int(status), {}, b""))
    with pytest.raises(AssertionError, match="has a body"):
        strict_json(Exchange("DELETE", path, {}, b"", int(status), {"content-type": "application/json"}, b"{}"))


def test_customers_that_can_be_listed() -> None:
    def change(document: Any) -> None:
        item = document["paths"]["/{ownerNo}/customers"]
        listed = copy.deepcopy(document["paths"]["/{ownerNo}/customers/{customerNo}/subscriptions"]["get"])
        listed["operationId"] = "list_customers"
        item["get"] = listed

    contract, _, _ = corrected(change)
    operation = contract.operation("list", "customer")
    assert operation is not None
    assert contract.list_name(operation) == "items"


def test_a_creation_that_is_answered_with_200() -> None:
    def change(document: Any) -> None:
        for item in document["paths"].values():
            if "post" in item:
                item["post"]["responses"]["200"] = item["post"]["responses"].pop("201")

    contract, _, _ = corrected(change)
    for kind, parents in CREATED.items():
        create = contract.operation("create", kind, parents)
        assert create is not None
        assert create.successes == (200,)
