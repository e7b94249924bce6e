"""The fifteen corrections with a wanted cost: a limit to the files that are edited by hand."""

from __future__ import annotations

from typing import Any

from .contract import CHARGE_SCHEMAS, Contract, CorrectionError, rename_key
from .correction import (
    Correction,
    Expectations,
    add_to_charges,
    change_values,
    from_swagger,
    move_links,
    replace_response,
    response_ref,
    wire,
)

CUSTOMERS = "/{ownerNo}/customers"
CREATIONS = (
    "create_customer",
    "create_subscription",
    "create_customer_recurring_product",
    "create_subscription_recurring_product",
)
LISTS = ("list_subscriptions", "list_customer_recurring_products", "list_subscription_recurring_products")


def put(contract: Contract) -> None:
    """Update a charge with PUT, which replaces the whole charge, instead of PATCH."""
    count = 0
    for item in contract.paths.values():
        if "patch" in item:
            rename_key(item, "patch", "put")
            item["put"]["description"] = "Replaces the charge: a property left out or null is cleared."
            count += 1
    assert count == 2
    change = contract.schema("RecurringProductChange")
    change["description"] = "The charge as it should be. A property left out or null is cleared."
    change["required"] = ["productCode"]
    for name in ("EndCharge", "ReopenCharge"):
        value = contract.component("examples", name)["value"]
        whole = contract.component("examples", "NewDeviationProduct")["value"]
        contract.component("examples", name)["value"] = {**whole, **value}


def price_and_description(contract: Contract) -> None:
    """Rename `unitPrice` to `price` and `text` to `description`."""
    for old, new in (("unitPrice", "price"), ("text", "description")):
        contract.rename_property(old, new, CHARGE_SCHEMAS)
        contract.rename_in_examples(old, new)


def lists_by_name(contract: Contract) -> None:
    """Rename `items` to `recurringProducts` or `subscriptions`."""
    contract.rename_property("items", "recurringProducts", ("RecurringProductList",))
    contract.rename_property("items", "subscriptions", ("SubscriptionList",))
    contract.rename_in_examples("items", "subscriptions", names=lambda name: name.endswith("SubscriptionList"))
    contract.rename_in_examples("items", "recurringProducts", names=lambda name: name.endswith("ProductList"))
    contract.rename_in_links("#/items/", "#/subscriptions/", "GetFirstSubscription")
    contract.rename_in_links("#/subscriptions/", "#/recurringProducts/", "RecurringProduct")
    contract.rename_in_links("#/items/", "#/recurringProducts/")


def integer_ids(contract: Contract) -> None:
    """Make the ids of charges integers."""
    replace_id_schema(contract, {"type": "integer", "minimum": 1}, 48151623)


def replace_id_schema(contract: Contract, schema: dict[str, Any], sample: str | int) -> None:
    """Change the schema of a charge's id, and the ids in the examples."""
    ids = contract.schema("RecurringProductId")
    for key in ("type", "minLength"):
        del ids[key]
    ids.update(schema)
    old = contract.component("parameters", "RecurringProductId")["example"]
    contract.component("parameters", "RecurringProductId")["example"] = sample
    change_values(contract, "recurringProductId", lambda _: sample)
    move_links(contract, old, str(sample))


def decimal_quantity(contract: Contract) -> None:
    """Allow quantities with up to 3 decimals, in the words of a vendor's file: `multipleOf`."""
    number = type(contract.schema("UnitPrice")["minimum"])
    step, most = number(0.001), number(99999.999)
    step.text, most.text = "0.001", "99999.999"
    contract.schema("Quantity").update(type="number", minimum=step, maximum=most, multipleOf=step)


def currency(contract: Contract) -> None:
    """Require a currency on every charge."""
    schema = {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217."}
    add_to_charges(contract, "currency", schema, "SEK", required=True)


def pascal_problems(contract: Contract) -> None:
    """Begin the property names of problems with a capital letter."""
    schema = contract.schema("Problem")
    for name in list(schema["properties"]):
        contract.rename_property(name, name.capitalize(), ("Problem",))
    for name, example in contract.document["components"]["examples"].items():
        if name.endswith("Problem"):
            for key in list(example["value"]):
                rename_key(example["value"], key, key.capitalize())


def no_charge_deletion(contract: Contract) -> None:
    """Remove the operations that delete a charge."""
    for level in ("customer", "subscription"):
        operation = f"delete_{level}_recurring_product"
        path = next(path for path, _, each in contract.operations() if each["operationId"] == operation)
        del contract.paths[path]["delete"]
        name = f"Delete{level.capitalize()}RecurringProduct"
        del contract.document["components"]["links"][name]
        for response in contract.document["components"]["responses"].values():
            response.get("links", {}).pop(name[0].lower() + name[1:], None)


def paging(contract: Contract) -> None:
    """Split lists into pages; `navigation.next` is a link."""
    add_paging(contract, {"$ref": "#/components/schemas/Link"})


def add_paging(contract: Contract, next_link: dict[str, Any]) -> None:
    """Add the query parameters `page` and `pageSize` to lists, and `next` to their navigation."""
    most = {"minimum": 1, "maximum": 100, "default": 100}
    for name, key, schema, text in (
        ("Page", "page", {"type": "integer", "minimum": 1, "default": 1}, "The page, counted from 1."),
        ("PageSize", "pageSize", {"type": "integer", **most}, "The most items of one page."),
    ):
        mark = {"level": "documented", "source": "customer-swagger"}
        parameter = {"name": key, "in": "query", "required": False, "description": text, "x-provenance": mark}
        contract.document["components"]["parameters"][name] = {**parameter, "schema": schema}
    for operation in LISTS:
        references = [{"$ref": f"#/components/parameters/{name}"} for name in ("Page", "PageSize")]
        contract.operation(operation).setdefault("parameters", []).extend(references)
    navigation = contract.schema("Navigation")
    navigation["description"] = "Where the page is, and the next page if there is one."
    if "next" in navigation["properties"]:
        raise CorrectionError("the contract has navigation.next already")
    navigation["properties"]["next"] = from_swagger(
        description="The next page; absent on the last page.",
        **({"allOf": [next_link]} if "$ref" in next_link else next_link),
    )


def customer_name(contract: Contract) -> None:
    """Give customers a required name and a status."""
    name = {"type": "string", "minLength": 1, "maxLength": 50, "description": "The customer's name."}
    status = {"type": "string", "enum": ["active", "inactive"], "description": "Whether charges may be added."}
    for schema in ("NewCustomer", "Customer"):
        contract.schema(schema)["properties"]["name"] = from_swagger(**name)
        contract.schema(schema)["required"].append("name")
    contract.schema("Customer")["properties"]["status"] = from_swagger(**status)
    contract.component("examples", "NewCustomer")["value"]["name"] = "Åsa Öberg"
    contract.component("examples", "Customer")["value"].update(name="Åsa Öberg", status="active")


def recurring_charges(contract: Contract) -> None:
    """Rename the path segment `recurring-products` to `recurring-charges`."""
    for path in [path for path in contract.paths if "/recurring-products" in path]:
        rename_key(contract.paths, path, path.replace("/recurring-products", "/recurring-charges"))
    move_links(contract, "/recurring-products", "/recurring-charges")


def idempotency_key(contract: Contract) -> None:
    """Add an optional header Idempotency-Key to each POST."""
    contract.document["components"]["parameters"]["IdempotencyKey"] = {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "A repeated POST with the same key gives the first result, and takes effect once.",
        "x-provenance": {"level": "documented", "source": "customer-swagger"},
        "schema": {"type": "string", "minLength": 1, "maxLength": 64},
        "example": "0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b01",
    }
    for operation in CREATIONS:
        reference = {"$ref": "#/components/parameters/IdempotencyKey"}
        contract.operation(operation).setdefault("parameters", []).append(reference)
    for operation in CREATIONS[2:]:
        contract.operation(operation)["description"] = "Safely repeatable with an Idempotency-Key only."


def duplicates_are_validation(contract: Contract) -> None:
    """Answer a duplicate with status 400 and the problem type `validation`."""
    for kind, key in (("Customer", "customerNo"), ("Subscription", "subscriptionNo")):
        operation = contract.operation(f"create_{kind.lower()}")
        name = f"{kind}AlreadyExists"
        assert operation["responses"].pop("409") == response_ref(name)
        del contract.document["components"]["responses"][name]
        del contract.document["x-problem-types"][f"{kind.lower()}-already-exists"]
        example = contract.component("examples", f"{name}Problem")["value"]
        validation = contract.component("examples", "ValidationProblem")["value"]
        example.update({name: validation[name] for name in ("type", "title", "status")})
        example["problems"] = [{key: "exists already"}]
        examples = contract.component("responses", "ValidationFailed")["content"]["application/problem+json"][
            "examples"
        ]
        examples[name[0].lower() + name[1:]] = {"$ref": f"#/components/examples/{name}Problem"}


def list_customers(contract: Contract) -> None:
    """Add an operation that lists the customers of a ledger."""
    document = contract.document
    document["components"]["schemas"]["CustomerList"] = {
        "type": "object",
        "description": "Customers of a ledger.",
        "required": ["items", "navigation"],
        "properties": {
            "items": from_swagger(type="array", items={"$ref": "#/components/schemas/Customer"}),
            "navigation": from_swagger(**{"$ref": "#/components/schemas/Navigation"}),
        },
    }
    value = {
        "items": [contract.component("examples", "Customer")["value"]],
        "navigation": {"@id": "/billing/customer/v1/1234/customers"},
    }
    document["components"]["examples"]["CustomerList"] = {"value": value}
    mark = {"level": "documented", "source": "customer-swagger"}
    document["components"]["responses"]["CustomersFound"] = {
        "description": "The ledger's customers.",
        "x-provenance": mark,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/CustomerList"},
                "examples": {"customers": {"$ref": "#/components/examples/CustomerList"}},
            }
        },
    }
    errors = contract.operation("list_subscriptions")["responses"]
    shared = {status: response for status, response in errors.items() if status not in {"200", "404"}}
    contract.paths[CUSTOMERS]["get"] = {
        "operationId": "list_customers",
        "summary": "List the customers of a ledger",
        "tags": ["customers"],
        "x-provenance": mark,
        "security": contract.operation("create_customer")["security"],
        "responses": {"200": response_ref("CustomersFound"), **shared},
    }


def created_is_200(contract: Contract) -> None:
    """Answer a creation with status 200."""
    assert replace_response(contract, "201", "200") == 4


CURRENCY = {"charge": {"currency": "SEK"}}
CORRECTIONS = (
    Correction("1", "PATCH → PUT, which replaces the charge", put, 1, Expectations(replaces=True)),
    Correction(
        "2",
        "`unitPrice` → `price`, `text` → `description`",
        price_and_description,
        0,
        Expectations(wire=wire(unit_price="price", text="description")),
    ),
    Correction("3", 'lists as `{"recurringProducts": […]}`', lists_by_name, 0),
    Correction("4", "integer ids", integer_ids, 0),
    Correction("5", "decimal quantity", decimal_quantity, 0, Expectations(samples={"quantity": "2.125"})),
    Correction("6", "a new required property `currency`", currency, 1, Expectations(required=CURRENCY)),
    Correction("7", "problems in PascalCase", pascal_problems, 0),
    Correction("8", "no DELETE of a charge", no_charge_deletion, 2, Expectations(may_delete_charges=False)),
    Correction("9", "paging by `page`, `pageSize`, `navigation.next`", paging, 1, Expectations(pages_of=100)),
    Correction(
        "10",
        "a customer with `name` (required) and `status`",
        customer_name,
        1,
        Expectations(required={"customer": {"name": "Åsa Öberg"}}),
    ),
    Correction("11", "path segment `recurring-charges`", recurring_charges, 0),
    Correction("12", "header `Idempotency-Key`", idempotency_key, 1, Expectations(idempotency=True)),
    Correction(
        "13",
        "duplicates answered 400 `validation`",
        duplicates_are_validation,
        1,
        Expectations(duplicate=("AlreadyExists", "ValidationFailed")),
    ),
    Correction("14", "GET /{ownerNo}/customers", list_customers, 1, Expectations(lists_customers=True)),
    Correction("15", "a creation answered 200", created_is_200, 0),
)
