"""Make values near the limits of a schema, and sort them into valid and invalid ones.

The `jsonschema` library, with exact decimals, decides which values are valid. The mock's own validator is not used,
because the suite tests it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

import hypothesis
import jsonschema
from hypothesis import strategies as st

from .exchange import CONTRACT, DOCUMENT

# One example of each kind of character that often causes errors.
CHARACTERS = [chr(code) for code in range(0x20, 0x7F)] + list("\x00\t\n\x7fäåöÄÅÖéß€Ω中😀\u202e\u0301")
DATES = [
    "2026-01-01", "2024-02-29", "1999-12-31", "9999-12-31", "0001-01-01", "2025-02-29", "1900-02-29",
    "2100-02-29", "2026-02-30", "2026-13-01",
    "2026-00-10", "2026-1-1", "20260101", "2026-01-01T00:00:00Z", "01/02/2026", "2026-01-01 ", " 2026-01-01",
    "tomorrow", "", "２０２６-01-01",
]  # fmt: skip
# One valid text of each format.
FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "uuid": "0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b01",
    "email": "someone@example.com",
    "uri": "https://example.com/a",
    "uri-reference": "/a",
}
OTHER_TYPES: list[Any] = [None, True, 1, Decimal("1.5"), "text", "1", [], ["x"], {}, {"a": 1}]


def with_steps(node: Any) -> Any:
    """Return a copy of a schema with the step of each `x-decimals`: libraries know only `multipleOf`."""
    if isinstance(node, list):
        return [with_steps(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: with_steps(each) for key, each in node.items()}
    if isinstance(found.get("x-decimals"), int):
        step = {"multipleOf": float(f"1e-{found['x-decimals']}")}
        found |= {"allOf": [*found.get("allOf", ()), step]} if "multipleOf" in found else step
    return found


def exact(node: Any) -> Any:
    """Return a copy of a schema whose numbers are exact decimals, with a step for each `x-decimals`."""
    return _with_decimals(with_steps(node))


def _with_decimals(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _with_decimals(each) for key, each in node.items()}
    if isinstance(node, list):
        return [_with_decimals(each) for each in node]
    return Decimal(repr(node)) if isinstance(node, float) else node


_FORMATS = jsonschema.FormatChecker(formats=["date", "uuid"])


def _is_date(value: object) -> bool:
    """Return whether a value is a full-date of RFC 3339. `date.fromisoformat` alone would also accept `20260101`."""
    if not isinstance(value, str):
        return True
    try:
        return re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


_FORMATS.checks("date")(_is_date)
# The characters of a URI reference, with complete percent-encoded bytes (RFC 3986, appendix A).
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
_FORMATS.checks("uri-reference")(lambda value: not isinstance(value, str) or bool(_URI_REFERENCE.fullmatch(value)))


def _is_integer(_checker: Any, value: object) -> bool:
    """Return whether a value is an integer in JSON Schema: 100, 100.0 and 1e2 are the same integer."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, Decimal) and value == value.to_integral_value())


def _pattern(_validator: Any, pattern: str, value: object, _schema: Any) -> Iterator[jsonschema.ValidationError]:
    """Check a pattern. In ECMA-262, `$` is the end of the text; in Python, `$` is also before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), value):
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


# Schemas and values that were valid. The validation of responses would take a third of the time of a run without it,
# because most values of a response were in an earlier one. The schema is kept, so that its id stays its own.
_valid: dict[tuple[int, str], Any] = {}
_MOST_VALID = 50_000


def _errors_below(validator: Any, schema: Any, value: object, key: str | int) -> Iterator[jsonschema.ValidationError]:
    """Validate a value inside another one, unless the same value was valid before."""
    known = id(schema), repr(value)
    if known in _valid:
        return
    errors = list(validator.descend(value, schema, path=key, schema_path=key if isinstance(key, str) else None))
    if not errors:
        if len(_valid) >= _MOST_VALID:
            _valid.clear()
        _valid[known] = schema
    yield from errors


def _properties(
    validator: Any, properties: Mapping[str, Any], value: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    """Check the properties of an object, as `jsonschema` does."""
    for name, schema in properties.items() if isinstance(value, dict) else ():
        if name in value:
            yield from _errors_below(validator, schema, value[name], name)


def _items(validator: Any, items: Any, value: object, schema: Any) -> Iterator[jsonschema.ValidationError]:
    """Check the items of an array after those of `prefixItems`, as `jsonschema` does."""
    start = len(schema.get("prefixItems", ()))
    for index, each in enumerate(value[start:], start) if isinstance(value, list) else ():
        yield from _errors_below(validator, items, each, index)


_Judge = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {"pattern": _pattern, "properties": _properties, "items": _items},
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


class Judge:
    """Validates values against the schemas of one contract."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._schemas = exact(document["components"]["schemas"])
        self._validators: dict[str, Any] = {}

    def validator(self, schema: Mapping[str, Any]) -> Any:
        """Return the validator of a schema. The validator of a named schema is cached."""
        name = schema.get("$ref", "").rpartition("/")[2]
        if not name:
            return self._make(exact(dict(schema)))
        if name not in self._validators:
            self._validators[name] = self._make(self._schemas[name])
        return self._validators[name]

    def takes(self, schema: Mapping[str, Any], value: Any) -> bool:
        """Return whether a schema allows a value."""
        return bool(self.validator(schema).is_valid(value))

    def _make(self, schema: Mapping[str, Any]) -> Any:
        whole = {**self._without_references(schema), "components": {"schemas": self._schemas}}
        return _Judge(whole, format_checker=_FORMATS)

    def _without_references(self, node: Any, inside: tuple[str, ...] = ()) -> Any:
        """Replace each `$ref` by the schema that it names, because jsonschema looks up a `$ref` for each value.

        A `$ref` stays if its schema contains itself, or if a keyword beside the `$ref` limits the value further.
        """
        if isinstance(node, list):
            return [self._without_references(each, inside) for each in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).removeprefix("#/components/schemas/")
        beside = {key: value for key, value in node.items() if key != "$ref"}
        if name in self._schemas and name not in inside and all(map(_is_annotation, beside)):
            return self._without_references(self._schemas[name], (*inside, name)) | beside
        return {key: self._without_references(value, inside) for key, value in node.items()}


def _is_annotation(keyword: str) -> bool:
    return keyword.startswith("x-") or keyword in {"description", "title", "example", "examples", "readOnly"}


JUDGE = Judge(DOCUMENT)
resolve = CONTRACT.resolve
_SENT = CONTRACT.creations["charge"]["properties"] | CONTRACT.change["properties"]
# What a server may show of a charge although the client did not give it: see x-rules, values-not-given.
FILLED = {
    name
    for name, node in _SENT.items()
    if name in CONTRACT.resources["charge"]["properties"]
    and name not in CONTRACT.creations["charge"].get("required", ())
    and not any(resolve(branch).get("format") == "date" for branch in resolve(node).get("anyOf", [node]))
}


def errors_of(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Describe in words where a value breaks a schema of the contract."""
    return [
        f"{'.'.join(map(str, error.path)) or 'body'}: {error.message[:200]}"
        for error in JUDGE.validator(schema).iter_errors(value)
    ]


def candidates(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield values on, just inside and just outside each limit of a schema, and values of every other type."""
    schema = resolve(schema)
    yield from OTHER_TYPES
    for branch in map(resolve, schema.get("anyOf", [schema])):
        yield from branch.get("enum", ())
        yield from _of_type(branch)


def _of_type(schema: Mapping[str, Any]) -> Iterator[Any]:
    match schema.get("type"):
        case "string" if schema.get("format") == "date":
            yield from DATES
        case "string":
            yield from _strings(schema)
        case "integer" | "number" as kind:
            yield from _numbers(exact(dict(schema)), Decimal(1) if kind == "integer" else Decimal("0.000001"))


def _numbers(schema: Mapping[str, Any], usual_step: Decimal) -> Iterator[Any]:
    step = Decimal(schema.get("multipleOf", usual_step))
    borders = [
        schema[name] for name in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if name in schema
    ]
    for border in map(Decimal, borders):
        around = (border - step, border, border + step, border - 1, border + 1, border * 10)
        yield from (int(each) if usual_step == 1 and each == each.to_integral_value() else each for each in around)
    if usual_step == 1:
        yield from (0, -1, 10**18, 2**63, Decimal("2.5"), *map(str, borders[:1]))
        return
    yield from (0, step, -step, step / 10, Decimal("1.1"), Decimal(1) + step, Decimal("0.07"), Decimal("19.99"))
    yield from (Decimal("100.50"), -100, Decimal("1234567.123456"), "1,5", "1.50")


def _strings(schema: Mapping[str, Any]) -> Iterator[str]:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 40)
    for length in sorted({0, low - 1, low, low + 1, high - 1, high, high + 1, 10 * high, 5000}):
        if length >= 0:
            yield "A" * length
    if schema.get("format") in FORMATS:
        yield FORMATS[schema["format"]]
    if "pattern" in schema:
        yield from matching(schema["pattern"], low, high)
    for wide in ("å", "中", "😀", "e\u0301"):  # a length counts characters, not bytes or UTF-16 units
        yield (wide * high)[:high]
        yield (wide * high)[:high] + wide
    yield from (f"a{character}b" for character in CHARACTERS)
    yield from (
        " ",
        " lead",
        "trail ",
        "line\n",
        "\nline",
        "a  b",
        ".",
        "..",
        "...",
        "-",
        "0",
        "null",
        "undefined",
        "A/1",
        "%41",
        "ü" * 3,
    )


@cache
def matching(pattern: str, low: int, high: int) -> Sequence[str]:
    """Return a text that matches a pattern and has an allowed length, if Hypothesis finds one."""
    quick = hypothesis.settings(max_examples=500, database=None, derandomize=True, deadline=None)
    texts = st.from_regex(pattern).filter(lambda text: low <= len(text) <= high and not text.endswith("\n"))
    try:
        return [hypothesis.find(texts, lambda _: True, settings=quick)]
    except (hypothesis.errors.NoSuchExample, hypothesis.errors.Unsatisfiable):
        return []


def accepted(schema: Mapping[str, Any]) -> list[Any]:
    """Return the candidates that the schema allows, without duplicates."""
    return _sorted_out(schema, take=True)


def refused(schema: Mapping[str, Any]) -> list[Any]:
    """Return the candidates that the schema does not allow."""
    return _sorted_out(schema, take=False)


def _sorted_out(schema: Mapping[str, Any], *, take: bool) -> list[Any]:
    validator = JUDGE.validator(schema)
    found = {(type(each).__name__, repr(each)): each for each in candidates(schema)}
    return [each for each in found.values() if validator.is_valid(each) is take]


def parameter_schema(kind: str) -> dict[str, Any]:
    """Return the resolved schema of the path parameter that names a resource of a kind."""
    return resolve(CONTRACT.parameter_node(CONTRACT.place(kind).parameter)["schema"])


@lru_cache(maxsize=10_000)
def takes_parameter(kind: str, text: str) -> bool:
    """Return whether the path parameter of a kind allows a text. A text of digits may represent an integer."""
    schema = parameter_schema(kind)
    values: list[Any] = [text, *([int(text)] if re.fullmatch(r"-?(0|[1-9][0-9]*)", text) and len(text) < 4000 else [])]
    return any(JUDGE.takes(schema, value) for value in values)
