"""Test the bodies that the suite sends, for corrected contracts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from contract_tests.corrected import corrected, every_body_is_valid
from contract_tests.description import ContractError
from contract_tests.schemas import JUDGE, accepted


def test_a_change_that_requires_a_property_gets_it() -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["RecurringProductChange"]["required"] = ["productCode"]

    _, bodies, _ = corrected(change)
    assert bodies.change(quantity=2) == {"productCode": "P01", "quantity": 2}


def test_a_decimal_quantity() -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["Quantity"] = {
            "type": "number", "exclusiveMinimum": 0, "maximum": 99999, "multipleOf": 0.001,
        }  # fmt: skip

    contract, bodies, judge = corrected(change)
    every_body_is_valid(contract, bodies, judge)
    charge = {"$ref": "#/components/schemas/NewRecurringProduct"}
    assert judge.takes(charge, bodies.new_charge(quantity=Decimal("2.125")))
    assert not judge.takes(charge, bodies.new_charge(quantity=Decimal("2.1255")))


DIGITS: list[dict[str, Any]] = [
    {"multipleOf": 0.01},
    {"x-decimals": 2},
    {"x-decimals": 6, "multipleOf": 0.01},
    {"x-decimals": 2, "multipleOf": 0.000001},
]


@pytest.mark.parametrize("digits", DIGITS, ids=str)
def test_two_decimals_mean_the_same_in_both_keywords(digits: dict[str, Any]) -> None:
    def change(document: Any) -> None:
        price = document["components"]["schemas"]["UnitPrice"]
        del price["x-decimals"]
        price.update(digits)

    contract, bodies, judge = corrected(change)
    every_body_is_valid(contract, bodies, judge)
    price = {"$ref": "#/components/schemas/UnitPrice"}
    amounts = [Decimal(cents) / 100 for cents in range(100_001)]
    assert [amount for amount in amounts if not judge.takes(price, amount)] == []
    assert not judge.takes(price, Decimal("1.001"))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "enum": ["SEK", "NOK"]},
        {"type": "string", "pattern": "^[A-Z]{3}$"},
        {"type": "string", "minLength": 3, "maxLength": 3},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "date"},
        {"type": "string", "pattern": "^Q[0-9]-20[0-9]{2}$", "minLength": 7},
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5, "multipleOf": 0.25},
        {"type": "boolean"},
        {"type": "string", "default": "SEK"},
        {"type": "array", "items": {"type": "string", "enum": ["a"]}, "minItems": 1},
        {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "maxLength": 2}}},
        {"anyOf": [{"type": "null"}, {"type": "string"}]},
        {"type": "string", "example": "SEK", "pattern": "^(?:SEK|NOK)$"},
        {"type": ["string", "null"]},
    ],
    ids=str,
)
def test_a_new_required_property_gets_a_value_of_its_schema(schema: dict[str, Any]) -> None:
    def change(document: Any) -> None:
        for name in ("NewRecurringProduct", "RecurringProduct"):
            document["components"]["schemas"][name]["properties"]["currency"] = schema
            document["components"]["schemas"][name]["required"].append("currency")

    contract, bodies, judge = corrected(change)
    assert "currency" in bodies.new_charge()
    assert "currency" not in contract.server_set["charge"]
    every_body_is_valid(contract, bodies, judge)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "enum": ["SEK", "NOK"]}, "NOK"),
        ({"anyOf": [{"type": "string", "enum": ["SEK"]}, {"type": "null"}]}, "SEK"),
        ({"type": "string", "pattern": "^A{3}$"}, "AAA"),
        ({"type": "string", "format": "uuid", "minLength": 36}, "0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b01"),
    ],
    ids=str,
)
def test_the_probes_have_a_value_for_every_schema(schema: dict[str, Any], value: str) -> None:
    assert value in accepted(schema)


def test_a_required_property_that_may_be_null_is_null() -> None:
    def change(document: Any) -> None:
        document["components"]["schemas"]["NewRecurringProduct"]["required"].append("endDate")

    _, bodies, _ = corrected(change)
    assert bodies.new_charge() == {"productCode": "P01", "endDate": None}


def test_a_required_property_that_nothing_fits_is_reported() -> None:
    def change(document: Any) -> None:
        new = document["components"]["schemas"]["NewRecurringProduct"]
        new["properties"]["currency"] = {"type": "string", "pattern": "^A$", "minLength": 2}
        new["required"].append("currency")

    _, bodies, _ = corrected(change)
    with pytest.raises(ContractError, match="add an example"):
        bodies.new_charge()


@pytest.mark.parametrize("value", [{"a": True}, {"b": 1}, {"a": Decimal("1.5")}, {"a": "1"}, {"a": 1, "b": 1}], ids=str)
def test_a_value_that_was_valid_is_not_valid_as_another_property_or_type(value: dict[str, Any]) -> None:
    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}
    validator = JUDGE.validator(schema)
    assert validator.is_valid({"a": 1, "b": True})
    assert [validator.is_valid(value) for _ in range(2)] == [False, False]
