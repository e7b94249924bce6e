"""The rules that openapi.yaml keeps."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from payex_billing import Charge, InvalidArgument
from payex_billing._values import checks as _checks

from tests.support import ROOT, from_yaml

sys.path.insert(0, str(ROOT / "tools"))
import provenance

CONTRACT: dict[str, Any] = from_yaml((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
SCHEMAS = CONTRACT["components"]["schemas"]
OPERATIONS = [
    (path, method, operation)
    for path, item in CONTRACT["paths"].items()
    for method, operation in item.items()
    if method in provenance.METHODS
]
IDS = [operation["operationId"] for _, _, operation in OPERATIONS]


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from walk(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*path, str(index)))


def schema_nodes() -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    for path, node in walk(SCHEMAS):
        if isinstance(node, dict) and ("type" in node or "$ref" in node) and path[-1:] != ("properties",):
            yield path, node


def test_it_is_valid_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(CONTRACT).iter_errors()] == []


def test_it_has_the_operations_that_are_known_and_no_other() -> None:
    customer = "/{ownerNo}/customers/{customerNo}"
    subscription = customer + "/subscriptions/{subscriptionNo}"
    charges = {
        f"{method} {parent}/recurring-products{item}"
        for parent in (customer, subscription)
        for method, item in [
            ("get", ""),
            ("post", ""),
            *((verb, "/{recurringProductId}") for verb in ("get", "patch", "delete")),
        ]
    }
    assert {f"{method} {path}" for path, method, _ in OPERATIONS} == charges | {
        "post /{ownerNo}/customers",
        f"get {customer}",
        f"get {customer}/subscriptions",
        f"post {customer}/subscriptions",
        f"get {subscription}",
        f"delete {subscription}",
    }


def test_every_part_says_how_well_it_is_known() -> None:
    assert [f"{part.kind} {part.name} {part.fault}" for part in provenance.parts(CONTRACT) if part.fault] == []


@pytest.mark.parametrize("kind", ["operation", "parameter", "property", "status", "request body", "header", "server"])
def test_a_missing_provenance_is_found(kind: str) -> None:
    contract = from_yaml((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    part = next(part for part in provenance.parts(contract) if part.kind == kind)
    del part.node["x-provenance"]
    with pytest.raises(provenance.ProvenanceError, match="has no x-provenance"):
        provenance.render(contract)


def test_operation_ids_are_unique_and_in_lower_snake_case() -> None:
    assert len(set(IDS)) == len(IDS)
    assert [name for name in IDS if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] == []


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=IDS)
def test_operation_has_one_tag_and_both_credentials(path: str, method: str, operation: dict[str, Any]) -> None:
    assert len(operation["tags"]) == 1
    assert operation["tags"][0] in {tag["name"] for tag in CONTRACT["tags"]}
    assert operation["security"] == [{"bearerToken": [], "clientCertificate": []}]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=IDS)
def test_every_error_is_a_problem(path: str, method: str, operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = provenance.resolve(CONTRACT, response).get("content", {})
        if int(status) >= 400:
            pages = ["text/html"] if status in {"403", "413", "429", "503"} else []
            assert list(content) == ["application/problem+json", *pages], status
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=IDS)
def test_requests_and_responses_have_examples(path: str, method: str, operation: dict[str, Any]) -> None:
    bodies = [provenance.resolve(CONTRACT, response) for response in operation["responses"].values()]
    if "requestBody" in operation:
        bodies.append(provenance.resolve(CONTRACT, operation["requestBody"]))
    contents = [content for body in bodies for content in body.get("content", {}).values()]
    assert contents
    assert [content for content in contents if not content.get("examples")] == []


def test_every_problem_type_of_the_api_has_an_example() -> None:
    shown = {
        value["value"]["type"].rpartition("/")[2]
        for name, value in CONTRACT["components"]["examples"].items()
        if name.endswith("Problem")
    }
    # An unknown path or method is answered outside every operation.
    assert set(CONTRACT["x-problem-types"]) - shown == {"not-found", "method-not-allowed"}


def test_parameters_responses_and_bodies_are_named_in_components() -> None:
    for path, item in CONTRACT["paths"].items():
        assert all(list(parameter) == ["$ref"] for parameter in item["parameters"]), path
    for _, _, operation in OPERATIONS:
        assert all(list(response) == ["$ref"] for response in operation["responses"].values())
        assert list(operation.get("requestBody", {"$ref": ""})) == ["$ref"]


def test_no_object_is_inline() -> None:
    inline = [path for path, node in schema_nodes() if node.get("type") == "object" and len(path) > 1]
    assert inline == []


def test_no_request_has_a_default() -> None:
    assert [path for path, node in schema_nodes() if "default" in node] == []


def test_objects_are_open_to_unknown_properties() -> None:
    assert [path for path, node in schema_nodes() if node.get("additionalProperties") is False] == []


def test_patterns_are_anchored() -> None:
    patterns = [node["pattern"] for _, node in schema_nodes() if "pattern" in node]
    assert patterns
    assert [pattern for pattern in patterns if not (pattern.startswith("^") and pattern.endswith("$"))] == []


def test_no_component_is_unused() -> None:
    used = {node["$ref"] for _, node in walk(CONTRACT) if isinstance(node, dict) and "$ref" in node}
    named = {
        f"#/components/{section}/{name}"
        for section, items in CONTRACT["components"].items()
        if section != "securitySchemes"
        for name in items
    }
    assert named - used == set()


@pytest.mark.parametrize(
    ("name", "least", "most"),
    [("quantity", "1", "99999"), ("unit_price", "-9999999.999999", "9999999.999999"), ("vat_rate", "0", "100")],
)
def test_the_wrapper_has_the_contracts_limits_of_numbers(name: str, least: str, most: str) -> None:
    step = Decimal(1) if name == "quantity" else Decimal("0.01")
    for inside in (least, most):
        Charge(product_code="P", **{name: number_of(name, Decimal(inside))})
    for outside in (Decimal(least) - step, Decimal(most) + step):
        with pytest.raises(InvalidArgument, match="between"):
            Charge(product_code="P", **{name: number_of(name, outside)})


def number_of(name: str, number: Decimal) -> Any:
    return int(number) if name == "quantity" else number


@pytest.mark.parametrize(("name", "most"), [("product_code", 5), ("text", 73)])
def test_the_wrapper_has_the_contracts_lengths(name: str, most: int) -> None:
    Charge(**{"product_code": "P", name: "x" * most})
    with pytest.raises(InvalidArgument, match=f"at most {most}"):
        Charge(**{"product_code": "P", name: "x" * (most + 1)})


@pytest.mark.parametrize(("name", "decimals"), [("unit_price", 6), ("vat_rate", 2)])
def test_the_wrapper_has_the_contracts_decimals(name: str, decimals: int) -> None:
    Charge(product_code="P", **{name: Decimal(10) ** -decimals})
    with pytest.raises(InvalidArgument, match=f"at most {decimals} decimals"):
        Charge(product_code="P", **{name: Decimal(10) ** -(decimals + 1)})


def test_a_validator_that_counts_in_floats_refuses_no_price_of_two_decimals_up_to_1000() -> None:
    price = Draft202012Validator(SCHEMAS["UnitPrice"])
    amounts = [json.loads(f"{cents // 100}.{cents % 100:02}") for cents in range(100_001)]
    assert len(set(amounts)) == 100_001
    assert [amount for amount in amounts if not price.is_valid(amount)] == []


def test_a_validator_that_counts_in_floats_refuses_no_percent_of_two_decimals() -> None:
    percent = Draft202012Validator(SCHEMAS["VatRate"])
    rates = [json.loads(f"{rate // 100}.{rate % 100:02}") for rate in range(10_001)]
    assert [rate for rate in rates if not percent.is_valid(rate)] == []


def test_no_limit_of_the_contract_needs_a_division_of_floats() -> None:
    assert [path for path, node in walk(CONTRACT) if isinstance(node, dict) and "multipleOf" in node] == []


@pytest.mark.parametrize(("name", "decimals"), [("unitPrice", 6), ("vatRate", 2)])
@pytest.mark.parametrize("schema", ["NewRecurringProduct", "RecurringProductChange", "RecurringProduct"])
def test_the_provenance_page_shows_how_many_decimals_a_property_has(schema: str, name: str, decimals: int) -> None:
    page = (ROOT / "docs/provenance.md").read_text(encoding="utf-8")
    assert f"`{schema}.{name}` ({decimals} decimals)" in page


@pytest.mark.parametrize("new", [False, True])
def test_the_wrapper_has_the_contracts_pattern(new: bool) -> None:
    name = "NewCustomerNo" if new else "CustomerNo"
    published = re.compile(SCHEMAS[name]["pattern"].removesuffix("$") + r"\Z")
    characters = [chr(code) for code in range(0x250)]
    assert [c for c in characters if c != "." and allowed(c, new=new) != bool(published.match(c))] == []


def allowed(number: str, *, new: bool) -> bool:
    try:
        _checks.customer_no(number, new=new)
    except InvalidArgument:
        return False
    return True
