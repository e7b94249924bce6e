"""Tests that the mock follows a corrected contract without an edit of its code.

The client of these tests validates every response against the schema that the contract declares for its status.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import pytest
from payex_billing_mock import ContractError, Faults, MockApp
from payex_billing_mock.app import Request
from payex_billing_mock.contract import build_contract
from payex_billing_mock.misfortune import Broken, answer

from tests.support import LEDGER, ROOT, TOKEN, from_yaml, to_yaml

TEXT = (ROOT / "openapi.yaml").read_text(encoding="utf-8")
DOCUMENT: Any = from_yaml(TEXT)
Document = dict[str, Any]
Correction = Callable[[Document], Document | None]

ALL = f"/{LEDGER}/customers"
ONE = f"{ALL}/1"
CHARGES = f"{ONE}/recurring-products"
SUBSCRIPTIONS = f"{ONE}/subscriptions"
OF_SUBSCRIPTION = f"{SUBSCRIPTIONS}/46/recurring-products"
CUSTOMER = "/{ownerNo}/customers"
CHARGE = "/{ownerNo}/customers/{customerNo}/recurring-products"
CHARGE_PATHS = (CHARGE, "/{ownerNo}/customers/{customerNo}/subscriptions/{subscriptionNo}/recurring-products")
ID = "/{recurringProductId}"


def corrected(*corrections: Correction) -> Document:
    """Return a copy of today's contract with corrections applied."""
    document = copy.deepcopy(DOCUMENT)
    for correction in corrections:
        document = correction(document) or document
    return document


def words(*pairs: tuple[str, str]) -> Correction:
    """Return a correction that replaces words in the whole text of the contract."""

    def correct(document: Document) -> Document:
        text = to_yaml(document)
        for before, after in pairs:
            text = text.replace(before, after)
        changed: Document = from_yaml(text)
        return changed

    return correct


def schemas(document: Document) -> Document:
    found: Document = document["components"]["schemas"]
    return found


def resolve(document: Document, node: Any) -> Any:
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


@dataclass
class Reply:
    """A response that was validated against the contract."""

    status: int
    headers: Mapping[str, str]
    json: Any


@dataclass
class Client:
    """Sends raw requests to a mock of a contract, and validates every response against that contract."""

    document: Document
    base: str = field(init=False)

    def __post_init__(self) -> None:
        server = self.document["servers"][0]
        url = server["url"].replace("{subdomain}", server.get("variables", {}).get("subdomain", {}).get("default", ""))
        self.base = urlsplit(url).path
        self.app = MockApp({LEDGER: TOKEN}, contract=build_contract(self.document))

    def __call__(self, method: str, target: str, body: Any = None, status: int | None = None, **headers: str) -> Reply:
        parts = urlsplit(target)
        path = parts.path if parts.path.startswith(self.base) else self.base + parts.path
        sent = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        reply = self.app.handle(Request(method, path.encode(), sent, raw, query=parts.query.encode()))
        value = json.loads(reply.body) if reply.body else None
        self._check(method, path.removeprefix(self.base), reply.status, reply.headers, value)
        assert status in {None, reply.status}, value
        return Reply(reply.status, reply.headers, value)

    def _check(self, method: str, path: str, status: int, headers: Mapping[str, str], value: Any) -> None:
        definition = self._operation(method, path)
        if definition is None:
            assert status in {404, 405}
            return
        responses = {str(key).upper(): each for key, each in definition["responses"].items()}
        node = next(responses[key] for key in (str(status), f"{status // 100}XX", "DEFAULT") if key in responses)
        response = resolve(self.document, node)
        for name, each in response.get("headers", {}).items():
            assert name in headers or not resolve(self.document, each).get("required"), name
        if "content" not in response:
            assert value is None
            assert "Content-Type" not in headers
            return
        schema = response["content"][headers["Content-Type"]]["schema"]
        validator = jsonschema_rs.Draft202012Validator(
            {**schema, "components": {"schemas": schemas(self.document)}}, validate_formats=True
        )
        assert [error.message for error in validator.iter_errors(value)] == [], (method, path, value)

    def _operation(self, method: str, path: str) -> Any:
        for template, item in self.document["paths"].items():
            pairs = list(zip(template.split("/"), path.split("/"), strict=False))
            same_length = template.count("/") == path.count("/")
            if same_length and all(want == got or (want.startswith("{") and got) for want, got in pairs):
                return item.get(method.lower())
        return None

    def fill(self, charge: Mapping[str, Any] | None = None) -> Any:
        """Create customer 1 with subscription 46, add a charge to the subscription, and return the charge."""
        self("POST", ALL, {"customerNo": "1"}, 201)
        self("POST", SUBSCRIPTIONS, {"subscriptionNo": "46"}, 201)
        return self("POST", OF_SUBSCRIPTION, charge or {"productCode": "P01"}, 201).json


def test_the_operations_of_today() -> None:
    """Use the contract without a correction: the validating client of these tests must find no fault."""
    client = Client(corrected())
    created = client.fill({"productCode": "P01", "quantity": 2, "endDate": None, "more": [1]})
    client("GET", created["@id"], status=200)
    client("PATCH", created["@id"], {"quantity": None}, 200)
    client("GET", OF_SUBSCRIPTION, status=200)
    client("GET", SUBSCRIPTIONS, status=200)
    client("DELETE", created["@id"], status=204)
    client("GET", created["@id"], status=404)
    client("PATCH", created["@id"], {"quantity": 0}, 400)
    client("POST", CHARGES, {"productCode": "P", "startDate": "2026-02-01", "endDate": "2026-01-01"}, 422)
    client("POST", CHARGES, b"{", 400)
    client("POST", CHARGES, {}, 415, content_type="text/plain")
    client("GET", ONE, status=401, authorization="Bearer x")
    client("POST", ALL, {"customerNo": "1"}, 409)
    client("POST", SUBSCRIPTIONS, {"subscriptionNo": "46"}, 409)
    client("DELETE", f"{SUBSCRIPTIONS}/46", status=204)
    client("GET", OF_SUBSCRIPTION, status=404)
    client("PUT", ONE, {}, 405)
    client("GET", "/nothing", status=404)


# paths and identity


def test_another_word_in_the_paths() -> None:
    client = Client(corrected(words(("/recurring-products", "/charges"), ("/customers", "/clients"))))
    client("POST", f"/{LEDGER}/clients", {"customerNo": "1"}, 201)
    created = client("POST", f"/{LEDGER}/clients/1/charges", {"productCode": "P"}, 201).json
    assert created["@id"] == f"{client.base}/{LEDGER}/clients/1/charges/{created['recurringProductId']}"
    client("PATCH", created["@id"], {"text": "x"}, 200)
    customer = client("GET", f"/{LEDGER}/clients/1", status=200).json
    assert customer["recurringProducts"] == f"{client.base}/{LEDGER}/clients/1/charges"
    assert [each["rel"] for each in customer["operations"]] == ["add-subscription", "add-charge"]
    assert client("GET", f"/{LEDGER}/clients/2", status=404).json["type"].endswith("/customer-not-found")
    gone = client("GET", f"/{LEDGER}/clients/1/charges/x", status=404).json
    assert gone["type"].endswith("/recurring-product-not-found")


@pytest.mark.parametrize("name", ["RecurringProductId", "CustomerNo", "SubscriptionNo"])
def test_ids_that_are_integers(name: str) -> None:
    def correct(document: Document) -> None:
        for each in (name, f"New{name}"):
            if each in schemas(document):
                schemas(document)[each] = {"type": "integer", "minimum": 1}

    client = Client(corrected(correct))
    customer_no = 1 if name == "CustomerNo" else "1"
    subscription_no = 46 if name == "SubscriptionNo" else "46"
    client("POST", ALL, {"customerNo": customer_no}, 201)
    assert client("GET", ONE, status=200).json["customerNo"] == customer_no
    client("POST", ALL, {"customerNo": customer_no}, 409)
    client("POST", SUBSCRIPTIONS, {"subscriptionNo": subscription_no}, 201)
    created = client("POST", OF_SUBSCRIPTION, {"productCode": "P"}, 201).json
    client("GET", created["@id"], status=200)
    client("DELETE", created["@id"], status=204)
    assert client("GET", f"{CHARGES}/x").status == (400 if name == "RecurringProductId" else 404)


def test_another_name_of_the_id() -> None:
    document = corrected(words(("      required: ['@id', recurringProductId", "      required: ['@id', id")))
    charge = schemas(document)["RecurringProduct"]
    charge["properties"]["id"] = charge["properties"].pop("recurringProductId")
    charge["required"] = ["@id", "id", "productCode"]
    client = Client(document)
    created = client.fill()
    assert created["@id"].endswith(f"/{created['id']}")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "format": "uuid"},
        {"type": "string", "pattern": "^[0-9]{9}$", "example": "123456789"},
        {"type": "string", "pattern": "^RP-[0-9]{6}[a-z]$", "example": "RP-123456x"},
    ],
    ids=["uuid", "digits", "by example"],
)
def test_ids_of_another_form(schema: Document) -> None:
    client = Client(corrected(lambda document: schemas(document).update(RecurringProductId=schema)))
    created = client.fill()
    client("GET", created["@id"], status=200)


def test_charges_without_a_path_of_their_own() -> None:
    def correct(document: Document) -> None:
        for path in CHARGE_PATHS:
            del document["paths"][path + ID]

    client = Client(corrected(correct))
    created = client.fill()
    assert client("GET", OF_SUBSCRIPTION, status=200).json["items"] == [created]


def test_a_contract_without_subscriptions() -> None:
    def correct(document: Document) -> None:
        document["paths"] = {path: each for path, each in document["paths"].items() if "subscriptions" not in path}
        customer = schemas(document)["Customer"]
        del customer["properties"]["subscriptions"]
        customer["required"].remove("subscriptions")

    client = Client(corrected(correct))
    client("POST", ALL, {"customerNo": "1"}, 201)
    client("DELETE", client("POST", CHARGES, {"productCode": "P"}, 201).json["@id"], status=204)


def test_a_ledger_that_no_path_names() -> None:
    def correct(document: Document) -> None:
        document["paths"] = {path.removeprefix("/{ownerNo}"): each for path, each in document["paths"].items()}
        for item in document["paths"].values():
            item["parameters"] = [each for each in item["parameters"] if "OwnerNo" not in each["$ref"]]

    client = Client(corrected(correct))
    client("POST", "/customers", {"customerNo": "1"}, 201)
    created = client("POST", "/customers/1/recurring-products", {"productCode": "P"}, 201).json
    assert created["@id"].startswith(f"{client.base}/customers/1/recurring-products/")
    client("GET", "/customers/1", status=401, authorization="Bearer x")


def test_another_base_path_and_a_word_before_the_ledger() -> None:
    client = Client(
        corrected(
            words(
                ("/billing/{subdomain}/v1", "/billing/v2"),
                ("/{ownerNo}", "/ledgers/{ledgerNo}"),
                ("name: ownerNo", "name: ledgerNo"),
            )
        )
    )
    client("POST", f"/ledgers/{LEDGER}/customers", {"customerNo": "1"}, 201)
    customer = client("GET", f"/ledgers/{LEDGER}/customers/1", status=200).json
    assert customer["@id"] == f"/billing/v2/ledgers/{LEDGER}/customers/1"


def test_another_collection_of_a_customer() -> None:
    def correct(document: Document) -> None:
        path = "/{ownerNo}/customers/{customerNo}/notes"
        item = copy.deepcopy(document["paths"][CHARGE])
        schemas(document)["Note"] = {
            "type": "object", "required": ["noteId", "text"],
            "properties": {"noteId": {"type": "integer", "readOnly": True}, "text": {"type": "string"}},
        }  # fmt: skip
        note = {"$ref": "#/components/schemas/Note"}
        notes = {"type": "object", "required": ["notes"], "properties": {"notes": {"type": "array", "items": note}}}
        item["get"]["responses"]["200"] = {"description": "x", "content": {"application/json": {"schema": notes}}}
        item["post"]["responses"]["201"] = {"description": "x", "content": {"application/json": {"schema": note}}}
        item["post"]["requestBody"] = {"content": {"application/json": {"schema": note}}}
        document["paths"][path] = item

    client = Client(corrected(correct))
    charge = client.fill()
    note = client("POST", f"{ONE}/notes", {"text": "x", "noteId": 7}, 201).json
    assert note["noteId"] != 7
    assert client("GET", f"{ONE}/notes", status=200).json == {"notes": [note]}
    assert client("GET", OF_SUBSCRIPTION, status=200).json["items"] == [charge]


# verbs and statuses


def test_other_statuses_of_a_success() -> None:
    def correct(document: Document) -> None:
        for path in CHARGE_PATHS:
            create, update = document["paths"][path]["post"], document["paths"][path + ID]["patch"]
            create["responses"] = {"200": create["responses"].pop("201"), **create["responses"]}
            update["responses"] = {"204": {"description": "Changed."}, **update["responses"]}
            del update["responses"]["200"]

    client = Client(corrected(correct))
    client("POST", ALL, {"customerNo": "1"}, 201)
    created = client("POST", CHARGES, {"productCode": "P"}, 200).json
    assert client("PATCH", created["@id"], {"text": "x"}, 204).json is None
    assert client("GET", created["@id"], status=200).json["text"] == "x"


def test_statuses_that_are_numbers_in_yaml_and_ranges() -> None:
    def correct(document: Document) -> None:
        for item in document["paths"].values():
            for operation in item.values():
                if "responses" in operation:
                    responses = {int(status): each for status, each in operation["responses"].items()}
                    operation["responses"] = {**responses, "5XX": responses[500], "default": responses[400]}

    client = Client(corrected(correct))
    client("DELETE", client.fill()["@id"], status=204)


def test_a_creation_without_a_body_names_its_location() -> None:
    def correct(document: Document) -> None:
        location = {"required": True, "schema": {"type": "string"}}
        for name, response in document["components"]["responses"].items():
            if name.endswith("Created"):
                del response["content"]
                response["headers"] = {"Location": location}

    client = Client(corrected(correct))
    client("POST", ALL, {"customerNo": "1"}, 201)
    reply = client("POST", CHARGES, {"productCode": "P"}, 201)
    assert client("GET", reply.headers["Location"], status=200).json["productCode"] == "P"


def test_put_replaces_what_a_client_may_write() -> None:
    def correct(document: Document) -> None:
        for path in CHARGE_PATHS:
            item = document["paths"][path + ID]
            item["put"] = item.pop("patch") | {
                "requestBody": {"$ref": "#/components/requestBodies/NewRecurringProduct"}
            }

    client = Client(corrected(correct))
    created = client.fill({"productCode": "P01", "quantity": 2, "text": "x", "startDate": "2026-01-01", "more": 1})
    client.app.store.bill_run(LEDGER, date(2026, 3, 31))
    replaced = client("PUT", created["@id"], {"productCode": "P02", "billedUntil": "2030-01-01"}, 200).json
    own = {name: created[name] for name in ("@id", "recurringProductId", "operations")}
    assert replaced == own | {"productCode": "P02", "billedUntil": "2026-03-31"}
    client("PUT", created["@id"], {"text": "x"}, 400)
    client("PATCH", created["@id"], {}, 405)


def test_charges_that_cannot_be_deleted() -> None:
    def correct(document: Document) -> None:
        for path in CHARGE_PATHS:
            del document["paths"][path + ID]["delete"]

    client = Client(corrected(correct))
    assert client("DELETE", client.fill()["@id"], status=405).headers["Allow"] == "GET, PATCH"


def test_customers_that_can_be_listed_changed_and_removed() -> None:
    def correct(document: Document) -> None:
        lists = copy.deepcopy(document["paths"][CHARGE]["get"])
        schemas(document)["CustomerList"] = copy.deepcopy(schemas(document)["SubscriptionList"])
        schemas(document)["CustomerList"]["properties"]["items"]["items"] = {"$ref": "#/components/schemas/Customer"}
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/CustomerList"}}}
        lists["responses"]["200"] = {"description": "x", "content": content}
        document["paths"][CUSTOMER]["get"] = lists
        name = {"type": "string", "maxLength": 5}
        schemas(document)["NewCustomer"]["properties"]["name"] = name
        schemas(document)["Customer"]["properties"]["name"] = {"anyOf": [name, {"type": "null"}]}
        item = document["paths"][CUSTOMER + "/{customerNo}"]
        charge = document["paths"][CHARGE + ID]
        item["patch"] = copy.deepcopy(charge["patch"])
        item["patch"]["requestBody"] = {
            "content": {
                "application/json": {"schema": {"type": "object", "properties": {"name": {"type": ["string", "null"]}}}}
            }
        }
        item["patch"]["responses"]["200"] = item["get"]["responses"]["200"]
        item["delete"] = copy.deepcopy(charge["delete"])

    client = Client(corrected(correct))
    assert client("GET", ALL, status=200).json["items"] == []
    first = client("POST", ALL, {"customerNo": "1", "name": "A"}, 201).json
    second = client("POST", ALL, {"customerNo": "2"}, 201).json
    listed = client("GET", ALL, status=200).json
    assert listed == {"items": [first, second], "navigation": {"@id": f"{client.base}{ALL}"}}
    client("POST", ALL, {"customerNo": "3", "name": "longer"}, 400)
    assert client("PATCH", ONE, {"name": "B", "customerNo": "9"}, 200).json == first | {"name": "B"}
    client("POST", CHARGES, {"productCode": "P"}, 201)
    client("DELETE", ONE, status=204)
    client("GET", CHARGES, status=404)
    client("POST", ALL, {"customerNo": "1"}, 201)
    assert client("GET", CHARGES, status=200).json["items"] == []


# properties


def test_other_names_of_properties() -> None:
    money = [("productCode", "product"), ("unitPrice", "pricePerUnit"), ("quantity", "numberOfUnits")]
    dates = [("startDate", "validFrom"), ("endDate", "validTo"), ("billedUntil", "invoicedUntil")]
    client = Client(corrected(words(*money, *dates)))
    created = client.fill({"product": "P", "numberOfUnits": 2, "pricePerUnit": 1.5, "validFrom": "2026-01-01"})
    assert client.app.store.bill_run(LEDGER, date(2026, 3, 31)) == 1
    assert client("GET", created["@id"], status=200).json["invoicedUntil"] == "2026-03-31"
    refused = client("PATCH", created["@id"], {"validTo": "2025-01-01"}, 422).json
    assert refused["problems"] == [{"validTo": "must not be before validFrom"}]


def test_pascal_case_everywhere() -> None:
    def pascal(name: str) -> str:
        return name[0].upper() + name[1:]

    def correct(document: Document) -> None:
        for schema in schemas(document).values():
            if "properties" in schema:
                schema["properties"] = {pascal(name): each for name, each in schema["properties"].items()}
                schema["required"] = [pascal(name) for name in schema.get("required", ())]

    client = Client(corrected(correct))
    client("POST", ALL, {"CustomerNo": "1"}, 201)
    customer = client("GET", ONE, status=200).json
    assert customer["RecurringProducts"] == f"{client.base}{CHARGES}"
    assert customer["Operations"][0] == {
        "Rel": "add-subscription",
        "Method": "POST",
        "Href": f"{client.base}{SUBSCRIPTIONS}",
    }
    created = client("POST", CHARGES, {"ProductCode": "P"}, 201).json
    assert client("GET", CHARGES, status=200).json["Items"] == [created]
    refused = client("POST", CHARGES, {}, 400).json
    assert set(refused) == {"Type", "Title", "Status", "Detail", "Instance", "Problems"}


def test_a_decimal_quantity() -> None:
    client = Client(corrected(lambda document: schemas(document)["Quantity"].update(type="number", minimum=0.01)))
    assert client.fill({"productCode": "P", "quantity": 2.5})["quantity"] == 2.5


def test_new_required_properties() -> None:
    def correct(document: Document) -> None:
        new, read = schemas(document)["NewRecurringProduct"], schemas(document)["RecurringProduct"]
        for each in (new, read):
            each["properties"]["costCenter"] = {"type": "string", "minLength": 2}
            each["required"].append("costCenter")
        read["properties"] |= {
            "createdAt": {"type": "string", "format": "date-time"},
            "state": {"enum": ["active", "ended"]},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "example": "SEK"},
            "quantity": {"$ref": "#/components/schemas/Quantity"},
            "origin": {"type": "object", "required": ["system"], "properties": {"system": {"type": "string"}}},
        }
        read["required"] += ["createdAt", "state", "currency", "quantity", "origin"]

    client = Client(corrected(correct))
    created = client.fill({"productCode": "P", "costCenter": "77"})
    assert (created["state"], created["currency"], created["quantity"]) == ("active", "SEK", 1)
    changed = client("PATCH", created["@id"], {"quantity": 5}, 200).json
    assert client("PATCH", created["@id"], {"quantity": None}, 200).json == changed | {"quantity": 1}
    client("POST", CHARGES, {"productCode": "P"}, 400)


def test_one_schema_for_reading_and_writing() -> None:
    def correct(document: Document) -> None:
        charge = schemas(document)["RecurringProduct"]
        for name in ("@id", "recurringProductId", "billedUntil", "operations"):
            charge["properties"][name] = {"allOf": [charge["properties"][name]], "readOnly": True}
        one = {"allOf": [{"$ref": "#/components/schemas/RecurringProduct"}]}
        document["components"]["requestBodies"]["NewRecurringProduct"]["content"]["application/json"]["schema"] = one

    client = Client(corrected(correct))
    created = client.fill({"productCode": "P", "recurringProductId": "mine", "billedUntil": "2030-01-01"})
    assert created["recurringProductId"] != "mine"
    assert "billedUntil" not in created
    client("PATCH", created["@id"], {"text": "x"}, 200)
    client("POST", CHARGES, {"text": "x"}, 400)


def test_a_closed_schema_of_a_resource() -> None:
    client = Client(
        corrected(lambda document: schemas(document)["RecurringProduct"].update(additionalProperties=False))
    )
    assert "more" not in client.fill({"productCode": "P", "more": 1})


def test_absolute_links() -> None:
    client = Client(corrected(lambda document: schemas(document)["Link"].update(format="uri", pattern="^https://")))
    created = client.fill()
    assert created["@id"].startswith("https://lf-api.payex.com/billing/customer/v1/")


def test_a_link_to_the_owner() -> None:
    def correct(document: Document) -> None:
        subscription = schemas(document)["Subscription"]
        subscription["properties"]["customer"] = {"$ref": "#/components/schemas/Link"}
        subscription["required"].append("customer")

    client = Client(corrected(correct))
    client.fill()
    assert client("GET", f"{SUBSCRIPTIONS}/46", status=200).json["customer"] == f"{client.base}{ONE}"


# lists


def test_another_name_of_the_list() -> None:
    def correct(document: Document) -> None:
        charges = schemas(document)["RecurringProductList"]
        charges["properties"]["recurringProducts"] = charges["properties"].pop("items")
        charges["required"] = ["recurringProducts"]
        del charges["properties"]["navigation"]

    client = Client(corrected(correct))
    created = client.fill()
    assert client("GET", OF_SUBSCRIPTION, status=200).json == {"recurringProducts": [created]}


def test_lists_that_are_bare_arrays() -> None:
    def correct(document: Document) -> None:
        items = {"$ref": "#/components/schemas/RecurringProduct"}
        schemas(document)["RecurringProductList"] = {"type": "array", "items": items}

    client = Client(corrected(correct))
    created = client.fill()
    assert client("GET", OF_SUBSCRIPTION, status=200).json == [created]


def test_a_list_inside_an_object_with_operations_beside() -> None:
    def correct(document: Document) -> None:
        charges = schemas(document)["RecurringProductList"]
        inner = {"type": "object", "required": ["id", "list"], "properties": {
            "id": {"$ref": "#/components/schemas/Link"},
            "list": {"type": "array", "items": {"$ref": "#/components/schemas/RecurringProduct"}},
        }}  # fmt: skip
        charges["properties"] = {"operations": {"$ref": "#/components/schemas/Operations"}, "recurringProducts": inner}
        charges["required"] = ["recurringProducts"]

    client = Client(corrected(correct))
    created = client.fill()
    assert client("GET", OF_SUBSCRIPTION, status=200).json == {
        "recurringProducts": {"id": client.base + OF_SUBSCRIPTION, "list": [created]}
    }


def paged(position: Document, size: Document | None, **navigation: Document) -> Correction:
    def correct(document: Document) -> None:
        link = {"$ref": "#/components/schemas/Link"}
        schemas(document)["Navigation"]["properties"] |= {"next": link, "previous": link, **navigation}
        schemas(document)["Navigation"]["required"] += list(navigation)
        for path in CHARGE_PATHS:
            document["paths"][path]["get"]["parameters"] = [
                {"name": each.pop("name"), "in": "query", "schema": each}
                for each in copy.deepcopy([position, *([size] if size else [])])
            ]

    return correct


@pytest.mark.parametrize(
    "position",
    [
        {"name": "page", "type": "integer", "minimum": 1},
        {"name": "page", "type": "integer", "minimum": 0, "default": 0},
        {"name": "offset", "type": "integer", "minimum": 0},
        {"name": "cursor", "type": "string"},
    ],
    ids=["page", "page from 0", "offset", "cursor"],
)
def test_pages(position: Document) -> None:
    size = {"name": "pageSize", "type": "integer", "minimum": 1, "maximum": 200, "default": 100}
    client = Client(corrected(paged(position, size, totalItems={"type": "integer"})))
    client.fill()
    ids = [client("POST", CHARGES, {"productCode": "P"}, 201).json["recurringProductId"] for _ in range(250)]
    target, pages = CHARGES, []
    while target:
        assert dict(parse_qsl(urlsplit(target).query)).get("pageSize") in {None, "100"}
        pages.append(client("GET", target, status=200).json)
        target = pages[-1]["navigation"].get("next", "")
        assert target.startswith(client.base) or not target
    assert [len(page["items"]) for page in pages] == [100, 100, 50]
    assert [item["recurringProductId"] for page in pages for item in page["items"]] == ids
    assert {page["navigation"]["totalItems"] for page in pages} == {250}
    assert "previous" not in pages[0]["navigation"]
    assert client("GET", pages[2]["navigation"]["previous"], status=200).json["items"] == pages[1]["items"]
    assert len(client("GET", f"{CHARGES}?pageSize=7", status=200).json["items"]) == 7


def test_the_link_to_the_next_page_inside_an_object() -> None:
    link = {"type": "object", "required": ["@id"], "properties": {"@id": {"$ref": "#/components/schemas/Link"}}}

    def correct(document: Document) -> None:
        paged({"name": "page", "type": "integer", "minimum": 1}, None)(document)
        schemas(document)["Navigation"]["properties"] |= {"next": link, "previous": link}

    client = Client(corrected(correct))
    client.fill()
    for _ in range(101):
        client("POST", CHARGES, {"productCode": "P"}, 201)
    first = client("GET", CHARGES, status=200).json["navigation"]
    second = client("GET", first["next"]["@id"], status=200).json["navigation"]
    assert first == {"@id": client.base + CHARGES, "next": {"@id": f"{client.base}{CHARGES}?page=2"}}
    assert second == {"@id": first["next"]["@id"], "previous": {"@id": f"{client.base}{CHARGES}?page=1"}}


@pytest.mark.parametrize("query", ["page=0", "page=x", "pageSize=0", "pageSize=201", "pageSize=", "page=1.5"])
def test_a_query_that_breaks_the_contract_is_refused_by_parameter(query: str) -> None:
    position = {"name": "page", "type": "integer", "minimum": 1}
    size = {"name": "pageSize", "type": "integer", "minimum": 1, "maximum": 200}
    client = Client(corrected(paged(position, size)))
    client.fill()
    refused = client("GET", f"{CHARGES}?{query}", status=400).json
    assert [*refused["problems"][0]] == [query.partition("=")[0]]


# problems


def test_a_duplicate_is_a_validation_where_409_is_not_declared() -> None:
    def correct(document: Document) -> None:
        for operation in (document["paths"][CUSTOMER]["post"],):
            del operation["responses"]["409"]

    client = Client(corrected(correct))
    client.fill()
    refused = client("POST", ALL, {"customerNo": "1"}, 400).json
    assert (refused["type"].rpartition("/")[2], refused["problems"]) == (
        "validation",
        [{"customerNo": "exists already"}],
    )


def test_a_duplicate_is_a_validation_where_no_problem_type_fits() -> None:
    def correct(document: Document) -> None:
        del document["x-problem-types"]["subscription-already-exists"]

    client = Client(corrected(correct))
    client.fill()
    refused = client("POST", SUBSCRIPTIONS, {"subscriptionNo": "46"}, 400).json
    assert refused["problems"] == [{"subscriptionNo": "exists already"}]


def test_other_problem_types_statuses_and_keys() -> None:
    def correct(document: Document) -> None:
        types = document["x-problem-types"]
        types["validation"] = {"status": 422, "title": "Not valid"}
        del types["unprocessable"]
        types["duplicate-customer"] = types.pop("customer-already-exists") | {"title": "Taken"}
        problem = schemas(document)["Problem"]
        problem["properties"] = {name[0].upper() + name[1:]: each for name, each in problem["properties"].items()}
        problem["properties"]["TraceId"] = {"type": "string", "minLength": 1}
        problem["required"] = ["Type", "Title", "Status", "TraceId"]
        named = {name: {"type": "string"} for name in ("Name", "Description")}
        schemas(document)["ParameterProblem"] = {
            "type": "object", "required": ["Name", "Description"], "properties": named, "additionalProperties": False,
        }  # fmt: skip

    client = Client(corrected(correct))
    client.fill()
    refused = client("POST", ALL, {}, 422).json
    assert (refused["Title"], refused["Problems"]) == (
        "Not valid",
        [{"Name": "customerNo", "Description": "is required"}],
    )
    assert client("POST", ALL, {"customerNo": "1"}, 409).json["Title"] == "Taken"
    client("POST", CHARGES, {"productCode": "P", "startDate": "2026-02-01", "endDate": "2026-01-01"}, 422)


def test_problems_with_a_dictionary_of_errors_and_no_body_of_a_401() -> None:
    def correct(document: Document) -> None:
        schemas(document)["Problem"] = {
            "type": "object", "required": ["title", "status", "errors"],
            "properties": {
                "title": {"type": "string"}, "status": {"type": "integer"},
                "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            },
        }  # fmt: skip
        for response in document["components"]["responses"].values():
            if "application/problem+json" in response.get("content", {}):
                response["content"] = {"application/json": response["content"]["application/problem+json"]}
        del document["components"]["responses"]["Unauthorized"]["content"]

    client = Client(corrected(correct))
    client.fill()
    assert client("POST", ALL, {}, 400).json["errors"] == {"customerNo": ["is required"]}
    assert client("GET", ONE, status=401, authorization="").json is None
    client("GET", f"{ALL}/2", status=404)


def test_statuses_of_a_lost_customer_or_large_body_that_are_not_declared() -> None:
    def correct(document: Document) -> None:
        for item in document["paths"].values():
            for operation in item.values():
                for status in ("404", "413", "415", "422") if "responses" in operation else ():
                    operation["responses"].pop(status, None)

    client = Client(corrected(correct))
    assert client("GET", ONE, status=400).json["problems"] == [{"customerNo": "does not exist"}]
    client.fill()
    client("POST", CHARGES, {}, 400, content_type="text/plain")
    refused = client("POST", CHARGES, {"productCode": "P", "startDate": "2026-02-01", "endDate": "2026-01-01"}, 400)
    assert refused.json["problems"] == [{"endDate": "must not be before startDate"}]


# headers and credentials


def with_idempotency_key(document: Document) -> None:
    header = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "minLength": 4}}
    for path in (CUSTOMER, *CHARGE_PATHS):
        document["paths"][path]["post"]["parameters"] = [header]


def test_a_repeated_idempotency_key_gets_the_first_response_again() -> None:
    client = Client(corrected(with_idempotency_key))
    client.fill()
    first = client("POST", CHARGES, {"productCode": "P"}, 201, idempotency_key="key-1").json
    assert client("POST", CHARGES, b'{ "productCode":"P" }', 201, idempotency_key="key-1").json == first
    client("POST", CHARGES, {"productCode": "Q"}, 422, idempotency_key="key-1")
    client("POST", OF_SUBSCRIPTION, {"productCode": "P"}, 422, idempotency_key="key-1")
    client("POST", CHARGES, {"productCode": "P"}, 400, idempotency_key="x")
    assert client("POST", CHARGES, {"productCode": "P"}, 201, idempotency_key="key-2").json != first
    assert len(client("GET", CHARGES, status=200).json["items"]) == 2
    client("POST", ALL, {"customerNo": "9"}, 201, idempotency_key="key-3")
    client("POST", ALL, {"customerNo": "9"}, 201, idempotency_key="key-3")
    client("POST", ALL, {"customerNo": "9"}, 409)


def test_a_late_commit_with_an_idempotency_key_takes_effect_once() -> None:
    client = Client(corrected(with_idempotency_key))
    client.fill()
    faults = Faults("late-commit=0,reset:POST")
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json", "idempotency-key": "key-1"}
    request = Request("POST", f"{client.base}{CHARGES}".encode(), headers, b'{"productCode":"P"}')
    assert isinstance(answer(client.app, faults, request, 60), Broken)
    faults.wait_for_late_writes()
    late = client("GET", CHARGES, status=200).json["items"]
    assert client("POST", CHARGES, {"productCode": "P"}, 201, idempotency_key="key-1").json == late[0]

    request.headers = {**headers, "idempotency-key": "key-2"}
    assert isinstance(answer(client.app, faults, request, 60), Broken)
    client("POST", CHARGES, {"productCode": "P"}, 201, idempotency_key="key-2")
    faults.wait_for_late_writes()
    assert len(client("GET", CHARGES, status=200).json["items"]) == 2


def test_security_of_the_whole_contract_and_an_operation_without() -> None:
    def correct(document: Document) -> None:
        security = document["paths"][CUSTOMER]["post"]["security"]
        for item in document["paths"].values():
            for operation in item.values():
                if "responses" in operation:
                    operation.pop("security")
        document["security"] = security
        document["paths"][CUSTOMER + "/{customerNo}"]["get"]["security"] = []

    client = Client(corrected(correct))
    client.fill()
    client("GET", ONE, status=200, authorization="")
    client("GET", CHARGES, status=401, authorization="")


def test_another_media_type_of_a_change() -> None:
    def correct(document: Document) -> None:
        content = document["components"]["requestBodies"]["RecurringProductChange"]["content"]
        content["application/merge-patch+json"] = content.pop("application/json")

    client = Client(corrected(correct))
    created = client.fill()
    client("PATCH", created["@id"], {"text": "x"}, 200, content_type="application/merge-patch+json")
    client("PATCH", created["@id"], {"text": "x"}, 415)


# contracts that the mock cannot serve


def without_type(document: Document) -> None:
    del document["x-problem-types"]["validation"]


def required_link(document: Document) -> None:
    customer = schemas(document)["Customer"]
    customer["properties"]["invoicePortal"] = {"$ref": "#/components/schemas/Link"}
    customer["required"].append("invoicePortal")


def post_on_an_item(document: Document) -> None:
    item = document["paths"][CUSTOMER + "/{customerNo}"]
    item["post"] = copy.deepcopy(document["paths"][CUSTOMER]["post"])


def no_success(document: Document) -> None:
    del document["paths"][CUSTOMER]["post"]["responses"]["201"]


def list_without_a_list(document: Document) -> None:
    document["paths"][CHARGE]["get"]["responses"]["200"] = {"$ref": "#/components/responses/CustomerFound"}


def unknown_pattern(document: Document) -> None:
    schemas(document)["RecurringProductId"]["pattern"] = "^(a|b)$"


def undeclared_parameter(document: Document) -> None:
    document["paths"][CHARGE + ID]["parameters"].pop()


@pytest.mark.parametrize(
    ("correction", "message"),
    [
        (without_type, "validation"),
        (required_link, "invoicePortal"),
        (post_on_an_item, r"POST /\{ownerNo\}/customers/\{customerNo\}"),
        (no_success, r"POST /\{ownerNo\}/customers has no response for a success"),
        (list_without_a_list, "has no list of items"),
        (unknown_pattern, "recurringProductId"),
        (undeclared_parameter, "recurringProductId"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_contract_that_cannot_be_served_is_refused_with_the_place(correction: Correction, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        build_contract(corrected(correction))


@pytest.mark.parametrize(
    "digits", [{"x-decimals": 2}, {"multipleOf": 0.01}, {"x-decimals": 6, "multipleOf": 0.01}], ids=str
)
def test_two_decimals_in_either_keyword(digits: Document) -> None:
    def correct(document: Document) -> None:
        price = schemas(document)["UnitPrice"]
        del price["x-decimals"]
        price.update(digits)

    client = Client(corrected(correct))
    client.fill()
    for cents in range(0, 100_001, 373):  # floats are a little beside a multiple of 0.01 for one amount in ten
        amount = f"{cents // 100}.{cents % 100:02}"
        sent = f'{{"productCode": "P01", "unitPrice": {amount}}}'.encode()
        assert client("POST", CHARGES, sent, 201).json["unitPrice"] == float(amount)
    problem = client("POST", CHARGES, {"productCode": "P01", "unitPrice": 19.999}, 400).json
    assert [list(each) for each in problem["problems"]] == [["unitPrice"]]


def test_a_property_called_like_the_keyword_for_decimals() -> None:
    def correct(document: Document) -> None:
        for name in ("NewRecurringProduct", "RecurringProduct"):
            schemas(document)[name]["properties"]["x-decimals"] = {"type": "integer"}

    client = Client(corrected(correct))
    assert client.fill({"productCode": "P01", "x-decimals": 3})["x-decimals"] == 3
