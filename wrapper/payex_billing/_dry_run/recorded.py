"""Describe a write in a sentence for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .._contract import NEW_CUSTOMER, NEW_RECURRING_PRODUCT, NEW_SUBSCRIPTION
from .._schema import Kind
from .._text import printable

_KEYS = {"customer": NEW_CUSTOMER, "subscription": NEW_SUBSCRIPTION, "charge": NEW_RECURRING_PRODUCT}
_DECIMALS = {known.wire for known in NEW_RECURRING_PRODUCT if known.kind is Kind.DECIMAL}
_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def describe(method: str, path: str, levels: tuple[str, ...], numbers: tuple[str, ...], body: Any) -> str:
    """Return a sentence that describes a write.

    Args:
        method: the HTTP method.
        path: the path as it would be sent.
        levels: the kinds of resources along the path, such as `customer` and `charge`; empty if the contract does not
            have the path.
        numbers: the numbers in the path.
        body: the body as plain JSON.
    """
    values: Mapping[str, Any] = body if isinstance(body, dict) else {}
    kind = levels[-1] if levels else ""
    named = [f"{level} {printable(number)}" for level, number in zip(levels, numbers, strict=False)]
    place = " of ".join(reversed(named))
    key = next((each.wire for each in _KEYS.get(kind, ()) if each.required), "")
    if method == "POST" and key in values:
        rest = _content({name: value for name, value in values.items() if name != key})
        verb = "Add" if kind == "charge" else "Create"
        of = f" {'to' if kind == 'charge' else 'of'} {place}" if place else ""
        return f"{verb} {kind} {_text(values[key])}{of}" + (f": {rest}" if rest else "")
    if method in {"PATCH", "PUT"} and kind:
        return f"Change {place}: {_content(values)}"
    if method == "DELETE" and kind:
        return f"Remove {place}" + (" and its charges" if kind == "subscription" else "")
    return f"{method} {path}"


def _content(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_value(name, value)}" for name, value in values.items())


def _words(name: str) -> str:
    """Return a name of the contract as words: `unit price` for `unitPrice`."""
    return printable(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def _value(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if name in _DECIMALS and isinstance(value, (int, float)):  # a price or a rate gets two decimals or more
        number = Decimal(repr(value))
        cents = number.quantize(Decimal("0.01")) if abs(number) < 10**15 else number
        return f"{cents if cents == number else number:,f}"
    if isinstance(value, str):
        return value if _day(value) else f'"{_text(value)}"'
    return printable(json.dumps(value, ensure_ascii=False))


def _text(value: Any) -> str:
    return printable(str(value))
