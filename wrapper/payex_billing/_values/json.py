"""JSON as bytes. Numbers with decimals are `Decimal`, so that no digit of a price is rounded."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from .._base_errors import InvalidArgument

_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode


def parse_json(body: bytes) -> Any:
    """Return the value of a body.

    msgspec rejects some of what the standard library reads, such as lone surrogates and a byte order mark. The standard
    library reads these.

    Raises:
        ValueError: the body is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return _decode(body)
    except (ValueError, msgspec.DecodeError):  # a DecodeError is no ValueError before msgspec 0.21
        pass
    except InvalidOperation:
        raise ValueError("a number is out of all proportion") from None
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except InvalidOperation:
        raise ValueError("a number is out of all proportion") from None


def write_json(argument: str, value: Any) -> bytes:
    """Return a value as a body.

    Args:
        argument: the name of the argument that holds the value, for the error.
        value: plain JSON.

    Raises:
        InvalidArgument: the value cannot be written as JSON.
    """
    return _written(argument, value, value)


def write_object(values: Mapping[str, Any], extra: Mapping[str, Any]) -> bytes:
    """Return an object as a body.

    Args:
        values: properties that have been checked: text, numbers, dates, None.
        extra: plain JSON from the user or from a response, whose numbers are `Decimal`.

    Raises:
        InvalidArgument: `extra` cannot be written as JSON.
    """
    return _written("extra", extra, {**extra, **values}) if extra else _encode(values)


def _written(argument: str, given: Any, value: Any) -> bytes:
    try:
        _check(given)
        return _encode(value)
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidArgument(argument, f"cannot be written as JSON: {error}") from None


def without_decimals(value: Any) -> Any:
    """Return plain JSON with `float` in place of `Decimal`, as the standard library reads it."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        return {name: without_decimals(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_decimals(each) for each in value]
    return value


def _check(value: Any) -> None:
    """Refuse what msgspec would write in another way, such as a number that is not finite as null."""
    if isinstance(value, Mapping):
        for name, each in value.items():
            if not isinstance(name, str):
                raise TypeError(f"a key must be a str, not {type(name).__name__}")
            _check(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            _check(each)
    elif isinstance(value, (float, Decimal)) and not math.isfinite(value):
        raise ValueError("a number is not finite")
    elif not (value is None or isinstance(value, (bool, int, float, Decimal, str))):
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
