"""Reads the JSON schemas of the contract: references, combined schemas, validators and sample values."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs

Node = Mapping[str, Any]
"""A part of the contract."""
JsonObject = dict[str, Any]
Id = str | int

_TEXTS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "mock@example.com",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "uri": "https://example.com/mock",
    "uri-reference": "/mock",
}


class ContractError(Exception):
    """The mock cannot read the contract, or cannot serve it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of an object schema, and of the schemas that it combines or refers to.

    Attributes:
        properties: the schema of each property, in the order of the contract.
        required: the names of the required properties.
        is_closed: whether the schema forbids other properties.
    """

    properties: Mapping[str, Node]
    required: frozenset[str]
    is_closed: bool


def resolve(document: Node, node: Node) -> Node:
    """Return the part of the contract that a reference points to; return a part without a reference as it is."""
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


class Schemas:
    """The schemas of one contract."""

    def __init__(self, document: Node) -> None:
        self.document = document

    def resolve(self, node: Node) -> Node:
        """Return the part of the contract that a reference points to; see the function `resolve`."""
        return resolve(self.document, node)

    def parts(self, schema: Node | bool) -> Iterator[Node]:
        """Yield a schema and all schemas that it refers to or combines."""
        if isinstance(schema, bool):  # JSON Schema allows `true` and `false` as schemas
            return
        yield schema
        if "$ref" in schema:
            yield from self.parts(resolve(self.document, schema))
        for keyword in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(keyword, ()):
                yield from self.parts(branch)

    def values(self, schema: Node, keyword: str) -> list[Any]:
        """Return the values of a keyword in all parts of a schema."""
        return [part[keyword] for part in self.parts(schema) if keyword in part]

    def types(self, schema: Node) -> frozenset[str]:
        """Return the JSON types that a schema names."""
        named = self.values(schema, "type")
        return frozenset(kind for value in named for kind in ([value] if isinstance(value, str) else value))

    def formats(self, schema: Node) -> frozenset[str]:
        """Return the formats that a schema names."""
        return frozenset(self.values(schema, "format"))

    def is_link(self, schema: Node) -> bool:
        """Return whether the values of a schema are URIs."""
        return not self.formats(schema).isdisjoint({"uri", "uri-reference", "iri", "iri-reference"})

    def is_array(self, schema: Node) -> bool:
        """Return whether the values of a schema may be arrays."""
        return "array" in self.types(schema)

    def items(self, schema: Node) -> Node:
        """Return the schema of the elements of an array; empty if the array schema has none."""
        found: Node = next(iter(self.values(schema, "items")), {})
        return found

    def allows_null(self, schema: Node) -> bool:
        """Return whether a value of a schema may be null."""
        types = self.types(schema)
        return not types or "null" in types

    def shape(self, schema: Node) -> Shape:
        """Return the properties of an object schema."""
        properties: dict[str, Node] = {}
        required: set[str] = set()
        is_closed = False
        for part in self.parts(schema):
            properties.update(part.get("properties", {}))
            required.update(part.get("required", ()))
            is_closed |= part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False
        return Shape(properties, frozenset(required), is_closed)

    def validator(self, schema: Node) -> jsonschema_rs.Validator:
        """Return a validator for a schema. It also checks formats."""
        components = {"schemas": self.document.get("components", {}).get("schemas", {})}
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": components} if isinstance(schema, Mapping) else schema, validate_formats=True
        )

    def request_validator(self, schema: Node) -> jsonschema_rs.Validator:
        """Return a validator for a request body. A required property may be missing if it is read-only."""
        shape = self.shape(schema)
        read_only = {name for name in shape.required if self.is_read_only(shape.properties.get(name, {}))}
        if not read_only:
            return self.validator(schema)
        required = sorted(shape.required - read_only)
        return self.validator({"type": "object", "properties": shape.properties, "required": required})

    def is_read_only(self, schema: Node) -> bool:
        """Return whether only the server sets the values of a schema."""
        return any(self.values(schema, "readOnly"))

    # Methods that make values.

    def sample(self, schema: Node, name: str) -> Any:
        """Return a value that fits a schema: the schema's constant, default or example, otherwise a made-up value.

        Raises:
            ContractError: the mock finds no value that fits.
        """
        validator = self.validator(schema)
        for value in self._candidates(schema, name):
            if validator.is_valid(value):
                return value
        raise ContractError(f"the mock cannot make up a value of {name!r}: give its schema a default or an example")

    def new_id(self, schema: Node, name: str) -> Callable[[], Id]:
        """Return a function that makes random ids that fit a schema.

        Raises:
            ContractError: the mock finds no way to make such ids.
        """
        validator = self.validator(schema)
        example = next(iter(self._examples(schema)), "")
        ways: list[Callable[[], Id]] = [
            lambda: secrets.token_hex(8),
            lambda: str(uuid.uuid4()),
            lambda: secrets.randbelow(2**53),
            lambda: secrets.randbelow(2**31),
            lambda: str(secrets.randbelow(10**9)),
            lambda: secrets.token_hex(4),
            lambda: re.sub("[0-9]", lambda _: str(secrets.randbelow(10)), str(example)),
            lambda: re.sub("[0-9]", lambda _: str(secrets.randbelow(10)), "".join(map(_letter, str(example)))),
        ]
        for way in ways:
            if len({made for made in (way() for _ in range(20)) if validator.is_valid(made)}) == 20:
                return way
        raise ContractError(f"the mock cannot make up a value of {name!r}: give its schema an example with digits")

    def _examples(self, schema: Node) -> Iterator[Any]:
        yield from self.values(schema, "example")
        for examples in self.values(schema, "examples"):
            yield from examples

    def _candidates(self, schema: Node, name: str) -> Iterator[Any]:
        for keyword in ("const", "default"):
            yield from self.values(schema, keyword)
        if self.allows_null(schema):
            yield None
        for values in self.values(schema, "enum"):
            yield from values
        yield from self._examples(schema)
        types = self.types(schema)
        if "object" in types:
            shape = self.shape(schema)
            yield {each: self.sample(shape.properties.get(each, {}), each) for each in shape.required}
        if "array" in types:
            yield []
            yield [self.sample(self.items(schema), name)] * max(self.values(schema, "minItems"), default=1)
        if "boolean" in types:
            yield False
        bounds = [each for keyword in ("minimum", "maximum", "multipleOf") for each in self.values(schema, keyword)]
        yield from (1, 0, *bounds, *(bound + 1 for bound in self.values(schema, "exclusiveMinimum")))
        yield from (_TEXTS[format_] for format_ in self.formats(schema) if format_ in _TEXTS)
        lengths = sorted({1, *self.values(schema, "minLength"), *self.values(schema, "maxLength"), 3, 8})
        yield from (letter * length for length in lengths for letter in "x1XA0")


def _letter(character: str) -> str:
    return secrets.choice("abcdef") if character.islower() else character
