"""Further corrections that the vendor's file may ask for.

Their cost has no limit, but none of them may be silently wrong: a wrong value or request must raise an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .contract import CHARGE_SCHEMAS, Contract, rename_key
from .correction import (
    WIRE,
    Correction,
    Expectations,
    add_to_charges,
    change_values,
    from_swagger,
    move_links,
    nullable,
    replace_response,
    response_ref,
    wire,
)
from .corrections import add_paging, replace_id_schema

RESOURCES = ("Customer", "Subscription", "RecurringProduct", "Navigation")
LISTS = ("SubscriptionList", "RecurringProductList")
FOUND = ("SubscriptionsFound", "CustomerRecurringProductsFound", "SubscriptionRecurringProductsFound")


def link_is_id(contract: Contract) -> None:
    """Rename `@id`, the link of a resource to itself, to `id`."""
    contract.rename_property("@id", "id", RESOURCES)
    contract.rename_in_examples("@id", "id")


def date_times(contract: Contract) -> None:
    """Make dates date-times."""
    contract.schema("Date").update(format="date-time", description="Midnight of a day, UTC.")
    for key in ("startDate", "endDate", "billedUntil"):
        change_values(contract, key, lambda day: day and f"{day}T00:00:00Z")


def quantity_renamed(contract: Contract) -> None:
    """Rename `quantity` to `numberOfUnits`."""
    contract.rename_property("quantity", "numberOfUnits", CHARGE_SCHEMAS)
    contract.rename_in_examples("quantity", "numberOfUnits")


def quantity_moved(contract: Contract) -> None:
    """Move `quantity` and `unitPrice` into an object `pricing`, as `count` and `price`."""
    for name in CHARGE_SCHEMAS:
        properties = contract.schema(name)["properties"]
        inner = {"count" if key == "quantity" else "price": properties.pop(key) for key in ("quantity", "unitPrice")}
        properties["pricing"] = from_swagger(type="object", description="Units and price.", properties=inner)
    for example in contract.examples():
        for value in example["value"].get("items", [example["value"]]) if isinstance(example["value"], dict) else ():
            if "quantity" in value:
                value["pricing"] = {"count": value.pop("quantity")}
                if "unitPrice" in value:
                    value["pricing"]["price"] = value.pop("unitPrice")


def customer_number(contract: Contract) -> None:
    """Rename `customerNo` to `customerNumber`."""
    contract.rename_property("customerNo", "customerNumber", ("NewCustomer", "Customer"))
    contract.rename_in_examples("customerNo", "customerNumber")
    contract.rename_in_links("$response.body#/customerNo", "$response.body#/customerNumber")


def update_204(contract: Contract) -> None:
    """Answer an update with status 204 and no body."""
    contract.document["components"]["responses"]["Updated"] = {
        "description": "The charge was changed. No body.",
        "x-provenance": {"level": "documented", "source": "customer-swagger"},
    }
    for level in ("customer", "subscription"):
        responses = contract.operation(f"update_{level}_recurring_product")["responses"]
        rename_key(responses, "200", "204")
        responses["204"] = response_ref("Updated")


def deletion_202(contract: Contract) -> None:
    """Answer a deletion with status 202."""
    replace_response(contract, "204", "202", "Deleted")


def validation_422(contract: Contract) -> None:
    """Answer a request that breaks the contract with status 422."""
    problems = contract.component("responses", "Unprocessable")["content"]["application/problem+json"]["examples"]
    problems["validation"] = {"$ref": "#/components/examples/ValidationProblem"}
    for _, _, operation in contract.operations():
        responses = operation["responses"]
        if "422" not in responses:
            responses["422"] = responses["400"]
        del responses["400"]
        operation["responses"] = dict(sorted(responses.items()))
    contract.component("examples", "ValidationProblem")["value"]["status"] = 422
    contract.document["x-problem-types"]["validation"]["status"] = 422


def duplicates_422(contract: Contract) -> None:
    """Answer a duplicate with status 422; the problem type stays."""
    problems = contract.component("responses", "Unprocessable")["content"]["application/problem+json"]["examples"]
    for kind in ("Customer", "Subscription"):
        del contract.operation(f"create_{kind.lower()}")["responses"]["409"]
        del contract.document["components"]["responses"][f"{kind}AlreadyExists"]
        problems[f"{kind.lower()}AlreadyExists"] = {"$ref": f"#/components/examples/{kind}AlreadyExistsProblem"}
        contract.component("examples", f"{kind}AlreadyExistsProblem")["value"]["status"] = 422
        contract.document["x-problem-types"][f"{kind.lower()}-already-exists"]["status"] = 422


def missing_410(contract: Contract) -> None:
    """Answer a request for a charge that does not exist with status 410."""
    name = "RecurringProductNotFound"
    responses = contract.document["components"]["responses"]
    for level in ("", "Subscription"):
        examples = responses[f"{level}{name}"]["content"]["application/problem+json"]["examples"]
        del examples["recurringProductNotFound"]
    responses["RecurringProductGone"] = {
        "description": "The charge does not exist.",
        "x-provenance": {"level": "documented", "source": "customer-swagger"},
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {"gone": {"$ref": f"#/components/examples/{name}Problem"}},
            }
        },
    }
    for path, _, operation in contract.operations():
        if path.endswith("/{recurringProductId}"):
            operation["responses"]["410"] = response_ref("RecurringProductGone")
    contract.component("examples", f"{name}Problem")["value"]["status"] = 410
    contract.document["x-problem-types"]["recurring-product-not-found"]["status"] = 410


def vat_share(contract: Contract) -> None:
    """Make `vatRate` a share of the price with 4 decimals: 0.25 means 25 %."""
    rate = type(contract.schema("UnitPrice")["minimum"])(0.25)
    rate.text = "0.25"
    description = "VAT as a share of the price, 4 decimals."
    contract.schema("VatRate").update({"maximum": 1, "x-decimals": 4, "description": description})
    change_values(contract, "vatRate", lambda _: rate)


def limit(schema: str, most: int) -> Callable[[Contract], None]:
    """Return an edit that sets the maximum length of a text."""

    def edit(contract: Contract) -> None:
        contract.schema(schema)["maxLength"] = most

    return edit


def cost_center(contract: Contract) -> None:
    """Add the optional property `costCenter` to charges."""
    add_to_charges(contract, "costCenter", {"type": "string", "maxLength": 20}, "4711", required=False)


def interval(contract: Contract) -> None:
    """Add the optional property `interval` to charges."""
    schema = {"type": "string", "enum": ["monthly", "quarterly", "yearly"]}
    add_to_charges(contract, "interval", schema, "monthly", required=False)


def subscription_name(contract: Contract) -> None:
    """Require a name on every subscription."""
    name = {"type": "string", "minLength": 1, "maxLength": 50}
    for schema in ("NewSubscription", "Subscription"):
        contract.schema(schema)["properties"]["name"] = from_swagger(**name)
        contract.schema(schema)["required"].append("name")
    for example in ("NewSubscription", "Subscription"):
        contract.component("examples", example)["value"]["name"] = "Mobil Örjan"


def no_navigation(contract: Contract) -> None:
    """Remove `navigation` from lists."""
    for name in LISTS:
        schema = contract.schema(name)
        del schema["properties"]["navigation"]
        schema["required"].remove("navigation")
    del contract.document["components"]["schemas"]["Navigation"]
    for example in contract.examples():
        if isinstance(example["value"], dict):
            example["value"].pop("navigation", None)


def bare_lists(contract: Contract) -> None:
    """Make a list a bare array instead of an object."""
    for name in LISTS:
        schema = contract.schema(name)
        items, description = schema["properties"]["items"]["items"], schema["description"]
        del schema["properties"], schema["required"]
        schema.update(type="array", description=description, items=items)
    del contract.document["components"]["schemas"]["Navigation"]
    for name, example in contract.document["components"]["examples"].items():
        if name.endswith("List"):
            example["value"] = example["value"]["items"]
    contract.rename_in_links("#/items/0/", "#/0/")


def next_object(contract: Contract) -> None:
    """Split lists into pages; the link to the next page is `navigation.next.@id`."""
    link = {"@id": from_swagger(**{"$ref": "#/components/schemas/Link"})}
    add_paging(contract, {"type": "object", "required": ["@id"], "properties": link})


def end_date_required(contract: Contract) -> None:
    """Require `endDate`: a charge without an end date has null."""
    contract.schema("NewRecurringProduct")["required"].append("endDate")
    contract.schema("RecurringProduct")["required"].append("endDate")
    contract.component("examples", "NewMasterProduct")["value"]["endDate"] = None


def no_version(contract: Contract) -> None:
    """Remove the version from the path of each server."""
    for server in contract.document["servers"]:
        assert server["url"].endswith("/v1")
        server["url"] = server["url"].removesuffix("/v1")
    move_links(contract, "/billing/customer/v1/", "/billing/customer/")


def subdomain(contract: Contract) -> None:
    """Change the subdomain to `billing`."""
    contract.document["servers"][0]["variables"]["subdomain"]["default"] = "billing"
    move_links(contract, "/billing/customer/", "/billing/billing/")


def text_money(contract: Contract) -> None:
    """Make a price a text, such as "499.00"."""
    price = contract.schema("UnitPrice")
    for key in ("minimum", "maximum", "x-decimals"):  # the other keys, such as x-sdk, stay
        del price[key]
    price.update(type="string", pattern=r"^-?[0-9]{1,7}(\.[0-9]{1,6})?$", description="Price of one, up to 6 decimals.")
    change_values(contract, "unitPrice", lambda value: getattr(value, "text", str(value)))


def pascal_charges(contract: Contract) -> None:
    """Begin the property names of charges with a capital letter."""
    for (name,) in WIRE.values():
        contract.rename_property(name, name[0].upper() + name[1:], CHARGE_SCHEMAS)
        contract.rename_in_examples(name, name[0].upper() + name[1:])


def uuid_ids(contract: Contract) -> None:
    """Make the ids of charges UUIDs."""
    schema = {"type": "string", "format": "uuid", "minLength": 36, "maxLength": 36}
    replace_id_schema(contract, schema, "0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b77")


def null_price(contract: Contract) -> None:
    """Show every property of a charge in responses, with null if it has no value."""
    schema = contract.schema("RecurringProduct")
    names = [name for name in schema["properties"] if name not in schema["required"]]
    schema["required"] += names
    schema["properties"]["operations"] = nullable({"$ref": "#/components/schemas/Operations"})
    for name in ("CustomerRecurringProduct", "SubscriptionRecurringProduct"):
        value = contract.component("examples", name)["value"]
        value.update({key: None for key in names if key not in value})


PASCAL = wire(**{attribute: path[0][0].upper() + path[0][1:] for attribute, path in WIRE.items()})
LONG_TEXT = "Fiber 500/500, Storgatan 1, Malmö " * 2 + "åäö ÅÄÖ, för hela året 2026"
PRICING: Any = wire(quantity="pricing.count", unit_price="pricing.price")
OTHERS = (
    Correction("a", "`@id` → `id`", link_is_id),
    Correction("b", "dates as date-time", date_times),
    Correction(
        "c", "`quantity` → `numberOfUnits`", quantity_renamed, expect=Expectations(wire=wire(quantity="numberOfUnits"))
    ),
    Correction(
        "d", "`quantity` and `unitPrice` inside an object `pricing`", quantity_moved, expect=Expectations(wire=PRICING)
    ),
    Correction("e", "`customerNo` → `customerNumber`", customer_number),
    Correction("f", "an update answered 204", update_204),
    Correction("g", "a deletion answered 202", deletion_202),
    Correction("h", "`validation` answered 422", validation_422),
    Correction("i", "duplicates answered 422", duplicates_422),
    Correction(
        "j", "a missing charge answered 410", missing_410, expect=Expectations(not_found=("NotFound", "RequestRefused"))
    ),
    Correction(
        "k", "`vatRate` as a share with 4 decimals", vat_share, expect=Expectations(samples={"vat_rate": "0.1235"})
    ),
    Correction(
        "l", "a text of 100 characters", limit("ChargeText", 100), expect=Expectations(samples={"text": LONG_TEXT})
    ),
    Correction(
        "m",
        "a product code of 10 characters",
        limit("ProductCode", 10),
        expect=Expectations(samples={"product_code": "FIBÅ500-XL"}),
    ),
    Correction(
        "n",
        "a new optional property `costCenter`",
        cost_center,
        expect=Expectations(declared_extra={"costCenter": "4711"}),
    ),
    Correction(
        "o", "a new optional enum `interval`", interval, expect=Expectations(declared_extra={"interval": "quarterly"})
    ),
    Correction(
        "p",
        "a subscription with `name` (required)",
        subscription_name,
        expect=Expectations(required={"subscription": {"name": "Mobil Örjan"}}),
    ),
    Correction("q", "lists without `navigation`", no_navigation),
    Correction("r", "lists as bare arrays", bare_lists),
    Correction("s", 'paging with `navigation.next` as `{"@id": …}`', next_object, expect=Expectations(pages_of=100)),
    Correction("t", "`endDate` required, null when open", end_date_required),
    Correction("u", "server path without the version", no_version),
    Correction("v", "subdomain `billing`", subdomain),
    Correction("w", "prices as text", text_money),
    Correction("x", "charges in PascalCase", pascal_charges, expect=Expectations(wire=PASCAL)),
    Correction("y", "ids as UUIDs", uuid_ids),
    Correction("z", "charges show every value, null when there is none", null_price),
)
