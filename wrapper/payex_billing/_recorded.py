"""Describe a write in a sentence for people."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ._text import printable

_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


_LEVELS = {"customers": "customer", "subscriptions": "subscription", "recurring-products": "charge"}


def describe(method: str, path: str, collections: tuple[str, ...], numbers: tuple[str, ...], body: Any) -> str:
    """Return a sentence that describes a write.

    Args:
        method: the HTTP method.
        path: the path as it would be sent.
        collections: the collections in the path, such as `customers`; none if the contract does not have the path.
        numbers: the numbers in the path.
        body: the body as plain JSON.
    """
    values: Mapping[str, Any] = body if isinstance(body, dict) else {}
    levels = [_LEVELS[collection] for collection in collections]
    kind = levels[-1] if levels else ""
    named = [f"{level} {printable(number)}" for level, number in zip(levels, numbers, strict=False)]
    place = " of ".join(reversed(named))
    if method == "POST" and kind == "customer" and "customerNo" in values:
        return f"Create customer {_text(values.get('customerNo'))}"
    if method == "POST" and kind == "subscription" and "subscriptionNo" in values:
        return f"Create subscription {_text(values.get('subscriptionNo'))} of {place}"
    if method == "POST" and kind == "charge" and "productCode" in values:
        content = _content({name: value for name, value in values.items() if name != "productCode"})
        return f"Add charge {_text(values.get('productCode'))} to {place}" + (f": {content}" if content else "")
    if method == "PATCH" and kind:
        return f"Change {place}: {_content(values)}"
    if method == "DELETE" and kind:
        return f"Remove {place}" + (" and its charges" if kind == "subscription" else "")
    return f"{method} {path}"


def _content(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{_words(name)} {_value(value)}" for name, value in values.items())


def _words(name: str) -> str:
    """Return a name of the contract as words: `unit price` for `unitPrice`."""
    return printable(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).lower())


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):  # a price or a rate gets two decimals or more
        number = Decimal(repr(value))
        cents = number.quantize(Decimal("0.01")) if abs(number) < 10**15 else number
        return f"{cents if cents == number else number:,f}"
    if isinstance(value, str):
        return value if _day(value) else f'"{_text(value)}"'
    return printable(json.dumps(value, ensure_ascii=False))


def _text(value: Any) -> str:
    return printable(str(value))
