"""Checks values against their schemas. Messages never repeat a value, because it may be personal data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import jsonschema_rs

from .schemas import ContractError, Node, Schemas


@dataclass(frozen=True, slots=True)
class Failure:
    """One parameter that breaks the contract: the path of the parameter, such as `customerNo`, and the reason."""

    parameter: str
    message: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        name: the name of the parameter.
        place: `path`, `query` or `header`.
        is_required: whether a request must have the parameter.
        schema: the schema of the value.
        types: the JSON types of the schema.
        item_types: the JSON types of the elements, if the value is an array.
        validator: checks a value against the schema.
    """

    name: str
    place: str
    is_required: bool
    schema: Node
    types: frozenset[str]
    item_types: frozenset[str]
    validator: jsonschema_rs.Validator

    @classmethod
    def of(cls, schemas: Schemas, definition: Node) -> Parameter:
        """Create a parameter from its definition in the contract."""
        if "schema" not in definition:
            raise ContractError(f"the parameter {definition['name']!r} has no schema")
        schema = definition["schema"]
        return cls(
            definition["name"],
            definition["in"],
            definition.get("required", False),
            schema,
            schemas.types(schema),
            schemas.types(schemas.items(schema)),
            schemas.validator(schema),
        )

    def read(self, text: str) -> Any:
        """Convert a text to a value. The value is a number or a boolean only if the schema has that type."""
        if "array" in self.types:
            return [_read(element, self.item_types) for element in text.split(",")]
        return _read(text, self.types)

    def failures(self, value: Any) -> list[Failure]:
        """Return the failures of a value."""
        return list(failures(self.validator, value, self.name))


def failures(validator: jsonschema_rs.Validator, value: Any, name: str = "") -> Iterator[Failure]:
    """Yield the failures of a value. `name` is the name of the parameter, or empty for a request body."""
    for error in validator.iter_errors(value):
        path = [name] if name else []
        path += [str(step) for step in error.instance_path]
        kind = error.kind
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            yield Failure(".".join([*path, kind.property]), "is required")
        else:
            yield Failure(".".join(path) or "body", _message(error))


def _read(text: str, types: frozenset[str]) -> Any:
    if types & {"integer", "number"} and re.fullmatch(r"-?(0|[1-9]\d{0,18})", text):
        return int(text)
    if "number" in types:
        try:
            value = Decimal(text)
        except InvalidOperation:
            return text
        return value if value.is_finite() else text
    return text == "true" if "boolean" in types and text in {"true", "false"} else text


def _message(error: Any) -> str:
    kinds = jsonschema_rs.ValidationErrorKind
    kind = error.kind
    match kind:
        case kinds.Type():
            return f"must be of type {', '.join(kind.types)}"
        case kinds.MinLength():
            return f"must have at least {kind.limit} characters"
        case kinds.MaxLength():
            return f"must have at most {kind.limit} characters"
        case kinds.Minimum():
            return f"must be at least {kind.limit}"
        case kinds.Maximum():
            return f"must be at most {kind.limit}"
        case kinds.MultipleOf():
            return f"must be a multiple of {Decimal(repr(kind.multiple_of)):f}"
        case kinds.Pattern():
            return f"must match {kind.pattern}"
        case kinds.Format():
            return f"must be a {kind.format}"
        case kinds.Not():
            return "is not allowed"
        case kinds.AnyOf():
            branch_errors = [_message(each) for branch in kind.context for each in branch]
            return " or ".join(dict.fromkeys(branch_errors))
        case _:
            return f"breaks the rule {kind.name}"
