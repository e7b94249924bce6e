"""A pair of files, and edits of our contract that make the other one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from tests.contract_diff.spellings import OURS, inlined, inside, operations

SAME, UNREADABLE, HARMLESS, BREAKING = 0, 1, 2, 3
CUSTOMERS = "/{ownerNo}/customers"
CUSTOMER = f"{CUSTOMERS}/{{customerNo}}"
CHARGES = f"{CUSTOMER}/recurring-products"
CHARGE = f"{CHARGES}/{{recurringProductId}}"
JSON, PROBLEM = "application/json", "application/problem+json"
Edit = Callable[[Any], Any]


@dataclass
class Pair:
    """A promise: its name, the other file, the exit code, what is named (as `verdict kind of change`)."""

    name: str
    other: Edit
    code: int
    named: tuple[str, ...] = ()
    only_in: str = ""
    ours: Edit | None = None
    as_text: Callable[[Any], str | bytes] = json.dumps


def made(edit: Edit) -> Any:
    """A copy of our contract, edited; the edit may give another document in its place."""
    document = copy.deepcopy(OURS)
    result = edit(document)
    return result if isinstance(result, dict) and "paths" in result else document


def schema(document: Any, name: str) -> Any:
    return document["components"]["schemas"][name]


def property_of(document: Any, name: str, key: str) -> Any:
    return schema(document, name)["properties"][key]


def put(name: str, key: str, definition: Any) -> Edit:
    """Replace one property of one schema."""
    return lambda each: schema(each, name)["properties"].__setitem__(key, definition)


def renamed(mapping: Any, before: str, after: str) -> None:
    mapping[after] = mapping.pop(before)


def set_server(**values: Any) -> Edit:
    def edit(each: Any) -> None:
        for server in each["servers"]:
            server.update(copy.deepcopy(values) | {"url": server["url"].replace("{subdomain}/v1", values["url"])})

    return edit


def media(kind: str, before: str, after: str) -> Edit:
    """Rename a media type of all request bodies or all responses."""

    def edit(each: Any) -> None:
        for component in each["components"][kind].values():
            if before in component.get("content", {}):
                renamed(component["content"], before, after)

    return edit


def every_scheme(each: Any, security: Any, **schemes: Any) -> None:
    each["components"]["securitySchemes"] = schemes
    for operation in operations(each):
        operation["security"] = security


TOKEN, CERTIFICATE = {"type": "http", "scheme": "bearer"}, {"type": "mutualTLS"}
KEY = {"type": "apiKey", "in": "header", "name": "X-Api-Key"}


def null_in_type_arrays(each: Any) -> None:
    for node in inside(each):
        if {"type": "null"} in node.get("anyOf", []):
            value = inlined(each, node.pop("anyOf")[0])
            node.update(value, type=[value["type"], "null"])


def parameters_at_operations(each: Any) -> None:
    for item in each["paths"].values():
        shared = item.pop("parameters")
        for verb in item:
            item[verb]["parameters"] = shared


def composed(each: Any) -> None:
    customer = schema(each, "Customer")
    links = {key: customer["properties"].pop(key) for key in ("@id", "recurringProducts", "subscriptions")}
    linked = {"type": "object", "properties": links, "required": ["recurringProducts", "subscriptions"]}
    own = {"type": "object", "properties": customer["properties"], "required": ["customerNo"]}
    each["components"]["schemas"].update(
        Linked=linked, Customer={"allOf": [{"$ref": "#/components/schemas/Linked"}, own]}
    )


def full_paths(each: Any) -> None:
    each["servers"] = [{"url": "https://lf-api.payex.com"}, {"url": "https://api.sandbox.payex.com/"}]
    each["paths"] = {f"/billing/customer/v1{path}": item for path, item in each["paths"].items()}


def other_decimals(each: Any) -> None:
    """`multipleOf: 0.01` for `x-decimals: 2`, and the reverse."""
    for node in inside(each):
        if "x-decimals" in node and isinstance(node["x-decimals"], int):
            node["multipleOf"] = 10.0 ** -node.pop("x-decimals")
        elif isinstance(node.get("multipleOf"), float):
            node["x-decimals"] = {0.01: 2, 0.000001: 6}[node.pop("multipleOf")]


def only_multiple_of(each: Any) -> None:
    for name, step in {"UnitPrice": 0.000001, "VatRate": 0.01}.items():
        schema(each, name).pop("x-decimals", None)
        schema(each, name)["multipleOf"] = step


def reworded(each: Any) -> None:
    for node in inside(each):
        for key in ("description", "summary", "title"):
            if isinstance(node.get(key), str):
                node[key] = "Other words."
    each["tags"] = []
    for operation in operations(each):
        operation["operationId"] = operation["operationId"].title().replace("_", "")
        operation["tags"] = ["Billing"]
    each["components"]["examples"] = {name: {"value": 1} for name in each["components"]["examples"]}


def merge_keys(document: Any) -> str:
    """The same as YAML with an anchor and a merge key, which another document uses for what operations share."""
    shared = yaml.safe_dump(document["components"]["schemas"].pop("NewCustomer"), default_flow_style=True, width=10**6)
    del document["components"]["schemas"]["SubscriptionNo"]
    body = yaml.safe_dump(document)
    number = "{type: string, minLength: 1, maxLength: 34, description: &words 'Text.'}"
    return f"x-shared: &new {shared.strip()}\nx-number: &number {number}\n" + body.replace(
        "\n  schemas:\n", "\n  schemas:\n    NewCustomer: *new\n    SubscriptionNo: {<<: *number, title: *words}\n"
    )


def errors_by_range(each: Any) -> None:
    for operation in operations(each):
        for status in [status for status in operation["responses"] if status >= "400"]:
            operation["responses"][f"{status[0]}XX"] = operation["responses"].pop(status)


def errors_by_default(each: Any) -> None:
    for operation in operations(each):
        successes = {status: each for status, each in operation["responses"].items() if status < "300"}
        operation["responses"] = {**successes, "default": operation["responses"]["400"]}


def subdomain_in_paths(each: Any) -> None:
    full_paths(each)
    subdomain = {"name": "subdomain", "in": "path", "required": True, "schema": {"type": "string"}}
    for item in each["paths"].values():
        item["parameters"].append(subdomain)
    each["paths"] = {path.replace("/customer/v1", "/{subdomain}/v1"): item for path, item in each["paths"].items()}


def with_causes(each: Any) -> None:
    """A problem with the problems that caused it."""
    causes = {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Problem"}]}}
    schema(each, "Problem")["properties"]["causes"] = causes


def closed(*names: str) -> Edit:
    return lambda each: [schema(each, name).update(additionalProperties=False) for name in names]


def relations(*values: str) -> Edit:
    return lambda each: property_of(each, "Operation", "rel").update(enum=list(values))


def own_number(**limits: Any) -> Edit:
    """Other limits for the number of a new customer, which one operation sends."""
    return lambda each: schema(each, "NewCustomerNo").update(limits)


def patch_to_put(each: Any) -> None:
    renamed(each["paths"][CHARGE], "patch", "put")


def referring(target: str) -> Edit:
    return put("Customer", "customerNo", {"$ref": target})


def minified(document: Any) -> str:
    text = json.dumps(document, separators=(",", ":"))
    assert "1e-06" in text
    return text
