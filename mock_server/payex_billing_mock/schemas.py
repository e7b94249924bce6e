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
    """The contract cannot be read, or is not one that the mock can serve."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The properties of an object schema, with those of the schemas it is combined of.

    Attributes:
        properties: the schema of each property, in the order of the contract.
        required: the properties that must be there.
        is_closed: whether other properties are forbidden.
    """

    properties: Mapping[str, Node]
    required: frozenset[str]
    is_closed: bool


def resolve(document: Node, node: Node) -> Node:
    """Follow a reference inside the contract."""
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
        """Follow a reference inside the contract."""
        return resolve(self.document, node)

    def parts(self, schema: Node | bool) -> Iterator[Node]:
        """A schema and the schemas that it refers to or is combined of."""
        if isinstance(schema, bool):  # `true` is a schema too
            return
        yield schema
        if "$ref" in schema:
            yield from self.parts(resolve(self.document, schema))
        for keyword in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(keyword, ()):
                yield from self.parts(branch)

    def values(self, schema: Node, keyword: str) -> list[Any]:
        """The values of a keyword in all parts of a schema."""
        return [part[keyword] for part in self.parts(schema) if keyword in part]

    def types(self, schema: Node) -> frozenset[str]:
        """The JSON types that a schema names."""
        named = self.values(schema, "type")
        return frozenset(kind for value in named for kind in ([value] if isinstance(value, str) else value))

    def formats(self, schema: Node) -> frozenset[str]:
        """The formats that a schema names."""
        return frozenset(self.values(schema, "format"))

    def is_link(self, schema: Node) -> bool:
        """Whether a value is a URI."""
        return not self.formats(schema).isdisjoint({"uri", "uri-reference", "iri", "iri-reference"})

    def is_array(self, schema: Node) -> bool:
        """Whether a value is an array."""
        return "array" in self.types(schema)

    def items(self, schema: Node) -> Node:
        """The schema of the elements of an array."""
        found: Node = next(iter(self.values(schema, "items")), {})
        return found

    def allows_null(self, schema: Node) -> bool:
        """Whether a value may be null."""
        types = self.types(schema)
        return not types or "null" in types

    def shape(self, schema: Node) -> Shape:
        """The properties of an object schema."""
        properties: dict[str, Node] = {}
        required: set[str] = set()
        is_closed = False
        for part in self.parts(schema):
            properties.update(part.get("properties", {}))
            required.update(part.get("required", ()))
            is_closed |= part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False
        return Shape(properties, frozenset(required), is_closed)

    def validator(self, schema: Node) -> jsonschema_rs.Validator:
        """A validator of a schema, formats included."""
        components = {"schemas": self.document.get("components", {}).get("schemas", {})}
        return jsonschema_rs.Draft202012Validator(
            {**schema, "components": components} if isinstance(schema, Mapping) else schema, validate_formats=True
        )

    def request_validator(self, schema: Node) -> jsonschema_rs.Validator:
        """A validator of a request body, in which a required property may be missing if it is read-only."""
        shape = self.shape(schema)
        read_only = {name for name in shape.required if self.is_read_only(shape.properties.get(name, {}))}
        if not read_only:
            return self.validator(schema)
        required = sorted(shape.required - read_only)
        return self.validator({"type": "object", "properties": shape.properties, "required": required})

    def is_read_only(self, schema: Node) -> bool:
        """Whether only the server sets a value."""
        return any(self.values(schema, "readOnly"))

    # values

    def sample(self, schema: Node, name: str) -> Any:
        """A value that fits a schema: its constant, default or example, otherwise a made-up one.

        Raises:
            ContractError: the mock finds no value.
        """
        validator = self.validator(schema)
        for value in self._candidates(schema, name):
            if validator.is_valid(value):
                return value
        raise ContractError(f"the mock cannot make up a value of {name!r}: give its schema a default or an example")

    def new_id(self, schema: Node, name: str) -> Callable[[], Id]:
        """A function that makes random ids that fit a schema.

        Raises:
            ContractError: the mock finds no way to make one.
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
