"""Parses and writes JSON without loss: numbers keep their digits. The parser rejects what JSON does not allow."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

MAX_DEPTH = 200
"""The most levels of arrays and objects. jsonschema_rs stops at 255; CPython's limit depends on the caller's stack."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def parse(body: bytes) -> Any:
    """Parse a request body.

    Numbers with a fraction or an exponent become `Decimal`, so that the mock returns money with the digits that the
    client sent.

    Raises:
        ValueError: the body is not UTF-8, is not JSON, or is nested deeper than `MAX_DEPTH`; or it contains NaN,
            Infinity, a number whose exponent `Decimal` cannot hold, a repeated key, or a lone surrogate.
    """
    text = body.decode("utf-8")  # keeps a byte order mark, which the JSON parser then rejects
    try:
        value = json.loads(
            text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_without_repeated_keys
        )
        _check_depth(value, MAX_DEPTH)
    except InvalidOperation:  # an exponent of 19 digits or more
        raise ValueError("a number has too large an exponent") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    render(value)  # a lone surrogate has no UTF-8
    return value


def render(value: Any) -> str:
    """Return a value as JSON text. A `Decimal` keeps all its digits."""
    return _encode(value).decode()


def _check_depth(value: Any, levels: int) -> None:
    if isinstance(value, (dict, list)):
        if levels == 0:
            raise ValueError("is nested too deeply")
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, levels - 1)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key is repeated")
    return value
