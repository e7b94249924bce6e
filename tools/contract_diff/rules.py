"""Rules of a schema, such as limits: each in one way of writing, and whether a change of one breaks a caller."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .reading import UnreadableFile
from .references import sequence

# A limit, and whether a greater value allows more.
LIMITS = {
    "maxLength": True,
    "minLength": False,
    "maximum": True,
    "minimum": False,
    "exclusiveMaximum": True,
    "exclusiveMinimum": False,
    "maxItems": True,
    "minItems": False,
    "maxProperties": True,
    "minProperties": False,
    "decimals": True,  # a power of ten in `multipleOf`, or our own `x-decimals`
}
RULES = (*LIMITS, "pattern", "multipleOf", "enum", "format", "not", "uniqueItems", "default")
# The rule that a keyword is about, where the names differ.
KEYWORDS = {name: name for name in RULES} | {"x-decimals": "decimals", "const": "enum"}
# Formats for which the generated client makes another type of the text.
TYPED_FORMATS = frozenset({"date", "date-time", "uuid", "binary"})
_INTEGERS = {"int32": 2**31, "int64": 2**63}
_WHOLE = frozenset({"integer", "null"})


def rules_of(node: Mapping[str, Any], types: frozenset[str]) -> dict[str, Any]:
    """The rules that a schema says by itself; one that forbids nothing is left out.

    Raises:
        UnreadableFile: a limit is not a number, or a list of values is not a list.
    """
    rules = {name: node[name] for name in RULES if node.get(name) is not None}
    for name in (*LIMITS, "multipleOf"):
        if name in rules and not isinstance(rules[name], bool):
            rules[name] = _number(rules[name], name)
    for name in ("minLength", "minItems", "minProperties", "uniqueItems"):
        if not rules.get(name, True):
            del rules[name]
    for name in ("pattern", "format"):
        if name in rules:
            rules[name] = str(rules[name])
    values = [node["const"]] if "const" in node else rules.get("enum")
    if values is not None:
        rules["enum"] = frozenset(_text(value) for value in sequence(values, "`enum`") if value is not None)
    if "not" in rules:
        rules["not"] = _text(rules["not"])
    _write_ends(rules, whole=types <= _WHOLE)
    _write_step(rules, node.get("x-decimals"), whole=types <= _WHOLE)
    _write_format(rules)
    return rules


def _write_ends(rules: dict[str, Any], *, whole: bool) -> None:
    """An exclusive end as a number, as OpenAPI 3.1 writes it; of whole numbers the next one."""
    for end, step in (("minimum", 1), ("maximum", -1)):
        exclusive = f"exclusive{end.capitalize()}"
        if isinstance(rules.get(exclusive), bool) and rules.pop(exclusive) and end in rules:
            rules[exclusive] = rules.pop(end)
        if whole and end not in rules and exclusive in rules and rules[exclusive] == rules[exclusive].to_integral():
            rules[end] = rules.pop(exclusive) + step


def _write_step(rules: dict[str, Any], decimals: Any, *, whole: bool) -> None:
    """A step that is a power of ten as a number of decimals."""
    if "multipleOf" in rules:
        _, digits, exponent = rules["multipleOf"].normalize().as_tuple()
        if digits == (1,) and exponent <= 0:
            rules["decimals"] = Decimal(-exponent)
            del rules["multipleOf"]
    if decimals is not None:
        rules["decimals"] = _number(decimals, "x-decimals")
    if whole:
        rules.pop("decimals", None)


def _write_format(rules: dict[str, Any]) -> None:
    """A format of numbers as limits; a double is what a number of JSON is."""
    form = rules.get("format")
    if form == "double":
        del rules["format"]
    elif form in _INTEGERS:
        del rules["format"]
        rules["minimum"] = max(rules.get("minimum", -_INTEGERS[form]), -_INTEGERS[form])
        rules["maximum"] = min(rules.get("maximum", _INTEGERS[form]), _INTEGERS[form] - 1)


def _number(value: Any, name: str) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise UnreadableFile(f"is not valid: `{name}` must be a number, not {value!r}")
    return number


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str, ensure_ascii=False)


def both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of a value that must follow all of them."""
    rules = {**other, **one}
    for name in one.keys() & other.keys():
        before, after = one[name], other[name]
        if name in LIMITS:
            rules[name] = min(before, after) if LIMITS[name] else max(before, after)
        elif name == "enum":
            rules[name] = before & after
        elif name == "pattern" and before != after:
            rules[name] = " and ".join(sorted({before, after}))
    return rules


def either(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The rules of a value that must follow those of one side."""
    rules: dict[str, Any] = {}
    for name in one.keys() & other.keys():
        before, after = one[name], other[name]
        if name in LIMITS:
            rules[name] = max(before, after) if LIMITS[name] else min(before, after)
        elif name == "enum":
            rules[name] = before | after
        elif before == after:
            rules[name] = before
    return rules


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of the rules that differ; a step has two names, of which one is enough."""
    names = [name for name in RULES if before.get(name) != after.get(name)]
    if "multipleOf" in names and "decimals" in names:
        names.remove("decimals")
    return names


def is_narrower(rule: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a value that the rule allowed may be refused now."""
    if rule in {"multipleOf", "decimals"}:
        old, new = _step(before), _step(after)
        return new is not None and (old is None or old % new != 0)
    if rule == "default" or rule not in after:
        return False
    if rule not in before:
        return True
    if rule in LIMITS:
        return bool(after[rule] < before[rule]) if LIMITS[rule] else bool(after[rule] > before[rule])
    if rule == "enum":
        return not before[rule] <= after[rule]
    return True  # of two patterns nobody can tell


def _step(rules: Mapping[str, Any]) -> Decimal | None:
    if "multipleOf" in rules:
        return Decimal(rules["multipleOf"])
    return Decimal(1).scaleb(-int(rules["decimals"])) if "decimals" in rules else None


def is_misread(rule: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether our client may read a value of a response as something else.

    It reads a longer text or a greater number as it is. It makes a date of a date, and knows the values of a list.
    """
    if rule == "format":
        return before.get(rule) in TYPED_FORMATS
    return rule == "enum" and rule in before and not (rule in after and after[rule] <= before[rule])


def in_words(value: Any) -> str:
    """The value of a rule in words."""
    if isinstance(value, frozenset):
        return " | ".join(sorted(value))
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "none" if value is None else str(value)
