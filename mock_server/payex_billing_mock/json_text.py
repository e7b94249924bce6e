"""JSON in and out without loss: numbers keep their digits, and what JSON does not allow is refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


def parse(body: bytes) -> Any:
    """Parse a request body.

    Numbers with a fraction or an exponent become `Decimal`, so that money comes back with the digits it was sent with.

    Raises:
        ValueError: not UTF-8, not JSON, NaN or Infinity, a repeated key, a lone surrogate, or nested too deeply.
    """
    text = body.decode("utf-8")  # a byte order mark is left in, and refused as JSON does
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_repeated_keys
        )
        render(value).encode("utf-8")
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    return value


def render(value: Any) -> str:
    """Write a value as JSON text; a `Decimal` is written with all its digits."""
    match value:
        case str():
            return json.dumps(value, ensure_ascii=False)
        case None | bool() | int() | float():
            return json.dumps(value, allow_nan=False)
        case Decimal():
            return str(value)
        case dict():
            return "{" + ",".join(f"{render(key)}:{render(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(render, value)) + "]"
        case _:
            raise TypeError(f"{type(value).__name__} is not a JSON value")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value
