"""Test that the contract's examples are valid, and that generated models keep each instance of a schema unchanged."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract_tests.exchange import DOCUMENT
from contract_tests.schemas import resolve, with_steps
from contract_tests.support import QUIET

SCHEMAS = DOCUMENT["components"]["schemas"]
OBJECTS = sorted(name for name, schema in SCHEMAS.items() if schema.get("type") == "object")


def schema_name(content: dict[str, Any]) -> str:
    return str(content["schema"]["$ref"].rpartition("/")[2])


def examples() -> Iterator[tuple[str, str, Any]]:
    components = DOCUMENT["components"]
    for where in ("requestBodies", "responses"):
        for name, node in components[where].items():
            for media_type, content in node.get("content", {}).items():
                for key, example in content["examples"].items() if "json" in media_type else ():
                    yield f"{name}.{key}", schema_name(content), resolve(example)["value"]


def validator(name: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        {**SCHEMAS[name], "components": {"schemas": SCHEMAS}}, validate_formats=True
    )


def model(name: str) -> Any:
    module = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
    return getattr(importlib.import_module(f"payex_billing_client.models.{module}"), name)


@pytest.mark.parametrize(("name", "schema", "value"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_example_is_valid(name: str, schema: str, value: Any) -> None:
    assert [error.message for error in validator(schema).iter_errors(value)] == []


@pytest.mark.parametrize(("name", "schema", "value"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_example_survives_the_generated_model(name: str, schema: str, value: Any) -> None:
    assert model(schema).from_dict(value).to_dict() == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


def instances(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for the instances of a schema of this contract, also with unknown properties."""
    schema = resolve(schema)
    if "anyOf" in schema:
        return st.one_of([instances(branch) for branch in schema["anyOf"]])
    match schema["type"]:
        case "object":
            return objects(schema)
        case "array":
            return st.lists(instances(schema["items"]), max_size=3)
        case "null":
            return st.none()
        case "integer":
            return st.integers(schema.get("minimum"), schema.get("maximum"))
        case "number":
            scale = round(1 / with_steps(schema)["multipleOf"])
            low, high = round(schema["minimum"] * scale), round(schema["maximum"] * scale)
            return st.integers(low, high).map(lambda units: units / scale)
        case "string":
            return strings(schema)
    raise NotImplementedError(schema)


def strings(schema: dict[str, Any]) -> st.SearchStrategy[str]:
    if schema.get("format") == "date":
        return st.dates().map(date.isoformat)
    if schema.get("format") == "uri-reference":
        return st.from_regex(r"/([a-z0-9-][a-z0-9/-]{0,30})?", fullmatch=True)
    if "pattern" in schema:
        text = st.from_regex(schema["pattern"].removesuffix("$") + r"\Z")
        low, high = schema.get("minLength", 0), schema.get("maxLength", 1000)
        forbidden = schema.get("not", {}).get("enum", [])
        return text.filter(lambda value: low <= len(value) <= high and value not in forbidden)
    return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 100))


def objects(schema: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    if "additionalProperties" in schema:
        values = instances(schema["additionalProperties"])
        return st.dictionaries(st.text(), values, min_size=schema["minProperties"], max_size=schema["maxProperties"])
    properties = {name: instances(each) for name, each in schema["properties"].items()}
    required = {name: properties.pop(name) for name in schema.get("required", [])}
    known = st.fixed_dictionaries(required, optional=properties)
    unknown = st.dictionaries(st.text().filter(lambda name: name not in schema["properties"]), JSON, max_size=3)
    return st.tuples(known, unknown).map(lambda both: both[1] | both[0])


@pytest.mark.parametrize("name", OBJECTS)
def test_every_instance_survives_the_generated_model(name: str) -> None:
    kind, check = model(name), validator(name)

    @settings(max_examples=100, deadline=None, suppress_health_check=QUIET)
    @given(instances(SCHEMAS[name]))
    def survives(value: dict[str, Any]) -> None:
        assert [error.message for error in check.iter_errors(value)] == []  # the strategy makes only valid instances
        as_sent = json.loads(json.dumps(value))
        assert json.loads(json.dumps(kind.from_dict(as_sent).to_dict())) == as_sent

    survives()
