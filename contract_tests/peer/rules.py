"""The rules of a request: strict JSON, and the limits of each property and path parameter in openapi.yaml."""

import datetime
import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import unquote_to_bytes

Rules = dict[str, tuple[Callable[[Any], bool], str]]


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in members}) < len(members):
        raise ValueError("a name occurs twice in one object")
    return dict(members)


def parse_json(raw: bytes, strict: bool = True) -> Any:
    """Parse UTF-8 JSON; every number becomes a Decimal and keeps its digits. Raises ValueError."""
    pairs: Any = _unique if strict else dict
    try:  # write_json rejects NaN and Infinity, which json.loads reads
        value = json.loads(raw.decode(), parse_int=Decimal, parse_float=Decimal, object_pairs_hook=pairs)
        write_json(value).encode()  # a lone surrogate is legal in a JSON escape, but no UTF-8 response can carry it
    except (ArithmeticError, RecursionError) as error:
        raise ValueError("a number or the nesting exceeds the limits of this server") from error
    return value


def write_json(value: Any, depth: int = 0) -> str:
    """Write JSON. A Decimal keeps its digits, which json.dumps cannot do. Raises ValueError if nested too deep."""
    if depth > 100:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return "{" + ",".join(f"{write_json(key)}:{write_json(each, depth + 1)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(write_json(element, depth + 1) for element in value) + "]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False, allow_nan=False)


def string(shortest: int, longest: float, pattern: str = "(?s).*") -> Callable[[Any], bool]:
    whole = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and shortest <= len(value) <= longest and whole(value) is not None


def number(lowest: str, highest: str, decimals: int) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        if not isinstance(value, Decimal) or not Decimal(lowest) <= value <= Decimal(highest):
            return False
        # Count digits instead of dividing: the decimal context would round 1.0000000000000000000000000000001 to 1.
        _, digits, exponent = value.as_tuple()
        significant = "".join(map(str, digits)).rstrip("0")
        return not significant or len(significant) - len(digits) - int(exponent) <= decimals

    return fits


def is_date(value: Any) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return False
    try:  # RFC 3339 has a year 0000, Python does not; 2000 has the same days
        return bool(datetime.date.fromisoformat(value if value[:4] != "0000" else "2000" + value[4:]))
    except ValueError:
        return False


NO_DOTS = r"(?s)(?!\.{1,2}\Z)"  # a number that is a dot segment could not be addressed
NUMBER_TEXT = "must have 1 to 15 of the characters a-z A-Z 0-9 äåö ÄÅÖ & / _ space . -"
PATH: Rules = {
    "ownerNo": (string(1, float("inf")), "must not be empty"),
    "customerNo": (string(1, 15, r"[a-zA-Z0-9äåöÄÅÖ&/_ -.]*"), NUMBER_TEXT),
    "subscriptionNo": (string(1, 34), "must have 1 to 34 characters"),
    "recurringProductId": (string(1, float("inf")), "must not be empty"),
}
CHARGE: Rules = {
    "productCode": (string(1, 5), "must have 1 to 5 characters"),
    "quantity": (number("1", "99999", 0), "must be an integer, 1 to 99999"),
    "unitPrice": (number("-9999999.999999", "9999999.999999", 6), "must have at most 7 digits and 6 decimals"),
    "vatRate": (number("0", "100", 2), "must be 0 to 100 with at most 2 decimals"),
    "text": (string(0, 73), "must have at most 73 characters"),
    "startDate": (is_date, "must be a date, yyyy-MM-dd"),
    "endDate": (is_date, "must be a date, yyyy-MM-dd"),
}
NEW: dict[str, Rules] = {  # by collection; the first property is required
    "customers": {"customerNo": (string(1, 15, NO_DOTS + r"[a-zA-Z0-9äåöÄÅÖ&/_ .\-]*"), NUMBER_TEXT)},
    "subscriptions": {"subscriptionNo": (string(1, 34, NO_DOTS + ".*"), "must have 1 to 34 characters")},
    "recurring-products": CHARGE,
}
# The server sets these properties, and ignores them in a request.
READ_ONLY = {"@id", "recurringProducts", "subscriptions", "operations", "recurringProductId", "billedUntil"}


def judge(values: dict[str, Any], rules: Rules, nullable: set[str]) -> list[dict[str, str]]:
    """Return one problem for each value that breaks its rule."""
    known = {
        name: value for name, value in values.items() if name in rules and (value, name in nullable) != (None, True)
    }
    return [{name: rules[name][1]} for name, value in known.items() if not rules[name][0](value)]


def decode_segment(segment: str) -> str | None:
    """Decode one percent-encoded path segment; None if it is not percent-encoded UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", segment):
        return None
    try:
        return unquote_to_bytes(segment.encode("latin-1")).decode()
    except UnicodeDecodeError:
        return None
