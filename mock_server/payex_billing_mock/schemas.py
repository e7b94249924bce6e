"""Reads the JSON schemas of the contract: references, combined schemas, validators and sample values."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Node = dict[str, Any]
"""A part of the contract. It has no references, because `inline` has replaced them."""
JsonObject = dict[str, Any]
Id = str | int


class ContractError(Exception):
    """The mock cannot read the contract, or cannot serve it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of an object schema, and of the schemas that it combines.

    Attributes:
        properties: the schema of each property, in the order of the contract.
        required: the names of the required properties.
        is_closed: whether the schema forbids other properties.
    """

    properties: Mapping[str, Node]
    required: frozenset[str]
    is_closed: bool


def inline(document: Mapping[str, Any]) -> Node:
    """Return a copy of the contract that has the target of each reference in place of the reference.

    A key beside a reference has priority over the same key of the target. All keys become texts, because YAML reads a
    status such as 200 as a number. `x-decimals: 2` is also there as `multipleOf: 0.01`.
    """
    targets: dict[str, Node] = {}

    def target_of(reference: str) -> Node:
        if reference not in targets:
            target: Any = document
            for key in reference.removeprefix("#/").split("/"):
                target = target[key.replace("~1", "/").replace("~0", "~")]
            targets[reference] = copy_of(target)
        return targets[reference]

    def copy_of(node: Any) -> Any:
        if isinstance(node, list):
            return [copy_of(element) for element in node]
        if not isinstance(node, Mapping):
            return node
        own = {str(key): copy_of(value) for key, value in node.items() if key != "$ref"}
        if isinstance(own.get("x-decimals"), int):  # jsonschema_rs does not know the keyword, and divides exactly
            own["allOf"] = [*own.get("allOf", ()), {"multipleOf": float(f"1e-{own['x-decimals']}")}]
        return {**target_of(node["$ref"]), **own} if "$ref" in node else own

    copied: Node = copy_of(document)
    return copied


def parts(schema: Node | bool) -> Iterator[Node]:
    """Yield a schema and all schemas that it combines."""
    if isinstance(schema, bool):  # JSON Schema allows `true` and `false` as schemas
        return
    yield schema
    for keyword in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(keyword, ()):
            yield from parts(branch)


def values(schema: Node, keyword: str) -> list[Any]:
    """Return the values of a keyword in all parts of a schema."""
    return [part[keyword] for part in parts(schema) if keyword in part]


def types(schema: Node) -> frozenset[str]:
    """Return the JSON types that a schema names."""
    named = values(schema, "type")
    return frozenset(kind for value in named for kind in ([value] if isinstance(value, str) else value))


def formats(schema: Node) -> frozenset[str]:
    """Return the formats that a schema names."""
    return frozenset(values(schema, "format"))


def is_link(schema: Node) -> bool:
    """Return whether the values of a schema are URIs."""
    return not formats(schema).isdisjoint({"uri", "uri-reference"})


def is_array(schema: Node) -> bool:
    """Return whether the values of a schema may be arrays."""
    return "array" in types(schema)


def is_number(schema: Node) -> bool:
    """Return whether the values of a schema may be numbers."""
    return not types(schema).isdisjoint({"integer", "number"})


def is_read_only(schema: Node) -> bool:
    """Return whether only the server sets the values of a schema."""
    return any(values(schema, "readOnly"))


def allows_null(schema: Node) -> bool:
    """Return whether a value of a schema may be null."""
    named = types(schema)
    return not named or "null" in named


def items(schema: Node) -> Node:
    """Return the schema of the elements of an array; empty if the array schema has none."""
    found: Node = next(iter(values(schema, "items")), {})
    return found


def shape(schema: Node) -> Shape:
    """Return the properties of an object schema."""
    properties: dict[str, Node] = {}
    required: set[str] = set()
    for part in parts(schema):
        properties.update(part.get("properties", {}))
        required.update(part.get("required", ()))
    is_closed = False in values(schema, "additionalProperties") + values(schema, "unevaluatedProperties")
    return Shape(properties, frozenset(required), is_closed)


def validator(schema: Node | bool) -> jsonschema_rs.Validator:
    """Return a validator for a schema. It also checks formats. Its messages never repeat a value."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, mask="the value")


def request_validator(schema: Node) -> jsonschema_rs.Validator:
    """Return a validator for a request body. A required property may be missing if it is read-only."""
    whole = shape(schema)
    needed = [name for name in whole.required if not is_read_only(whole.properties.get(name, {}))]
    if len(needed) == len(whole.required):
        return validator(schema)
    return validator({"type": "object", "properties": dict(whole.properties), "required": needed})


def sample(schema: Node, name: str) -> Any:
    """Return a value that fits a schema: the schema's constant, default or example, otherwise a made-up value.

    Raises:
        ContractError: the mock finds no value that fits.
    """
    fits = validator(schema).is_valid
    for value in _candidates(schema):
        if fits(value):
            return value
    raise ContractError(f"the mock cannot make up a value of {name!r}: give its schema a default or an example")


def new_id(schema: Node, name: str) -> Callable[[], Id]:
    """Return a function that makes random ids that fit a schema.

    Raises:
        ContractError: the mock finds no way to make such ids.
    """
    fits = validator(schema).is_valid
    example = str(next(_examples(schema), ""))
    ways: list[Callable[[], Id]] = [
        lambda: secrets.token_hex(8),
        lambda: str(uuid.uuid4()),
        lambda: secrets.randbelow(2**31),
        lambda: re.sub("[0-9]", lambda _: str(secrets.randbelow(10)), example),
    ]
    for way in ways:
        made = {way() for _ in range(20)}
        if len(made) == 20 and all(map(fits, made)):
            return way
    raise ContractError(f"the mock cannot make up a value of {name!r}: give its schema an example with digits")


def _examples(schema: Node) -> Iterator[Any]:
    yield from values(schema, "example")
    for examples in values(schema, "examples"):
        yield from examples


def _candidates(schema: Node) -> Iterator[Any]:
    for keyword in ("const", "default"):
        yield from values(schema, keyword)
    if allows_null(schema):
        yield None
    for choices in values(schema, "enum"):
        yield from choices
    yield from _examples(schema)
    if "object" in types(schema):
        whole = shape(schema)
        yield {name: sample(whole.properties.get(name, {}), name) for name in whole.required}
    yield from ([], False, 1, 0, *values(schema, "minimum"), *values(schema, "maximum"))
    yield from ("2026-01-01", "2026-01-01T00:00:00Z")
    yield from ("x" * length for length in (1, 3, 8, *values(schema, "minLength")))
