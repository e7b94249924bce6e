"""Checks values against their schemas. Messages never repeat a value, because it may be personal data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import jsonschema_rs

from .schemas import ContractError, Node, types, validator


@dataclass(frozen=True, slots=True)
class Failure:
    """One parameter that breaks the contract: the path of the parameter, such as `customerNo`, and the reason."""

    parameter: str
    message: str


class Parameter:
    """A parameter of an operation.

    Args:
        definition: the parameter in the contract.

    Attributes:
        name: the name of the parameter.
        place: `path`, `query` or `header`.
        is_required: whether a request must have the parameter.
        schema: the schema of the value.
    """

    def __init__(self, definition: Node) -> None:
        self.name: str = definition["name"]
        self.place: str = definition["in"]
        self.is_required: bool = definition.get("required", False)
        if "schema" not in definition:
            raise ContractError(f"the parameter {self.name!r} has no schema")
        self.schema: Node = definition["schema"]
        self._validator = validator(self.schema)
        self._types = types(self.schema)

    def failures(self, text: str | None) -> list[Failure]:
        """Return the failures of a text that the client sent; None means that the client sent nothing."""
        if text is None:
            return [Failure(self.name, "is required")] if self.is_required else []
        try:
            return list(failures(self._validator, _read(text, self._types), self.name))
        except UnicodeEncodeError:
            return [Failure(self.name, "is not UTF-8")]


def failures(checker: jsonschema_rs.Validator, value: Any, name: str = "") -> Iterator[Failure]:
    """Yield the failures of a value. `name` is the name of the parameter, or empty for a request body."""
    for error in checker.iter_errors(value):
        path = [name] if name else []
        path += [str(step) for step in error.instance_path]
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            yield Failure(".".join([*path, error.kind.property]), "is required")
        else:
            yield Failure(".".join(path) or "body", _message(error))


def _message(error: jsonschema_rs.ValidationError) -> str:
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        reasons = [_message(reason) for branch in error.kind.context for reason in branch]
        return ", or ".join(dict.fromkeys(reasons))
    return error.message


def _read(text: str, kinds: frozenset[str]) -> Any:
    """Convert a text to a value. The value is a number or a boolean only if the schema has that type."""
    if kinds & {"integer", "number"} and re.fullmatch(r"-?(0|[1-9]\d{0,18})", text):
        return int(text)
    if "number" in kinds:
        try:
            value = Decimal(text)
        except InvalidOperation:
            return text
        return value if value.is_finite() else text
    return text == "true" if "boolean" in kinds and text in {"true", "false"} else text
