"""Between the JSON of the contract and the values users handle, by the contract table.

Every value of a response is checked. What the contract does not declare, and what a value of ours has no attribute for,
is kept in `extra`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Context, Decimal
from typing import Any, Generic, TypeVar

import attrs

from .._schema import Kind, Property, Shape
from .._values.json import without_decimals, write_object
from ..errors import InvalidArgument
from ..models import Operation
from .calls import Unreadable

T = TypeVar("T")
_MOST_DIGITS = 30  # of a number, before the point
_EXACT = Context(prec=100)
# What the attributes of our values can hold.
_KINDS: Mapping[str, frozenset[Kind]] = {
    "str": frozenset({Kind.TEXT, Kind.LINK, Kind.ID}),
    "date": frozenset({Kind.DATE}),
    "Decimal": frozenset({Kind.DECIMAL, Kind.WHOLE}),
    "tuple[Operation, ...]": frozenset({Kind.OPERATIONS}),
}


class Reader(Generic[T]):
    """Reads JSON objects as values of one class.

    Args:
        value: the class; an attrs class with an attribute `extra`.
        shape: the properties of the objects; None if the contract says that there is no body.

    Raises:
        TypeError: the contract no longer has a property that the class needs, or has one of another kind.
    """

    def __init__(self, value: type[T], shape: Shape | None) -> None:
        fields = {field.name: field for field in attrs.fields(value)}  # type: ignore[arg-type]
        properties = [each for each in shape or () if each.name in fields]
        for each in properties:
            _check_kind(value.__name__, each, str(fields[each.name].type))
        missing = {name for name, field in fields.items() if field.default is attrs.NOTHING}
        needed = {name for name in missing if not str(fields[name].type).endswith("| None")}
        lacking = needed - {each.name for each in properties if each.required}
        if lacking:
            raise TypeError(
                f"{value.__name__}.{min(lacking)} has no required property in openapi.yaml. Correct `x-sdk` there, or "
                f"the class"
            )
        self._value = value
        self._has_checks = hasattr(value, "__attrs_post_init__")
        self._defaults = dict.fromkeys(missing - needed) | {
            name: field.default
            for name, field in fields.items()
            if name != "extra" and field.default is not attrs.NOTHING
        }
        self._properties = {each.wire: (each.name, *_conversion(each)) for each in properties}
        self._needed = {each.name: each.wire for each in properties if each.name in needed}

    def read(self, document: Any) -> T:
        """Return the value of an object.

        Raises:
            Unreadable: it is not what the contract says. The reason repeats no value of the response.
        """
        if not isinstance(document, dict):
            raise Unreadable("the body is not what the contract says")
        values: dict[str, Any] = self._defaults.copy()
        values["extra"] = extra = {}
        properties = self._properties
        for wire, value in document.items():
            if wire not in properties:
                extra[wire] = without_decimals(value)
                continue
            name, plain, convert = properties[wire]
            if type(value) is plain:
                values[name] = value
            elif value is not None:
                values[name] = convert(wire, value)
        if not self._needed.keys() <= values.keys():
            wire = next(wire for name, wire in self._needed.items() if name not in values)
            raise Unreadable(f"{wire} is null" if wire in document else f"the body lacks {wire}")
        if self._has_checks:
            return self._value(**values)
        # The values are converted already. attrs would convert them again, which takes four times as long.
        made = self._value.__new__(self._value)
        made.__dict__.update(values)
        return made


class Writer:
    """Writes values as JSON objects.

    Args:
        shape: the properties of the objects.
        read: the properties of the resource as it is read: those that only the server sets cannot be sent.

    Attributes:
        required: the names in Python of the required properties.
    """

    def __init__(self, shape: Shape, read: Shape = ()) -> None:
        self._properties = {each.name: each for each in shape}
        self._required = [each for each in shape if each.required]
        self.required = frozenset([each.name for each in self._required])
        sent = {each.wire for each in shape}
        self._read_only = {each.wire for each in read} - sent

    def write(self, values: Mapping[str, Any], extra: Mapping[str, Any], own: frozenset[str]) -> bytes:
        """Return the body of a request.

        Args:
            values: the values by their names in Python; each has been checked. None is sent as null.
            extra: properties that have no argument of their own.
            own: the names that have one.

        Raises:
            InvalidArgument: a property is missing or cannot be sent, or `extra` cannot be written as JSON.
        """
        body = {}
        properties = self._properties
        for name, value in values.items():
            each = properties.get(name)
            if each is None:
                raise InvalidArgument(name, "cannot be sent: openapi.yaml has no such property here")
            body[each.wire] = to_wire(each, value) if each.whole or each.kind is Kind.DECIMAL else value
        if extra:
            self._check_extra(extra, own)
        for each in self._required:
            if each.wire not in body and each.wire not in extra:
                argument = each.name if each.name in own else "extra"
                raise InvalidArgument(argument, f"must hold {each.wire}: the contract requires it")
        return write_object(body, extra)

    def _check_extra(self, extra: Mapping[str, Any], own: frozenset[str]) -> None:
        named = {each.wire for name, each in self._properties.items() if name in own}
        for name in extra:
            if name in named:
                raise InvalidArgument("extra", f"must not hold {name}: it has an argument of its own")
            if name in self._read_only:
                raise InvalidArgument("extra", f"must not hold {name}: the server sets it")


def to_wire(property_: Property, value: Any) -> Any:
    """Return a checked value as it is written."""
    if property_.whole and isinstance(value, str):
        if not value.isdecimal() or str(int(value)) != value:
            raise InvalidArgument(property_.name, "must be a whole number: the contract says so")
        return int(value)
    if isinstance(value, Decimal) and value.as_tuple().exponent > 0:  # type: ignore[operator]  # it is finite
        return int(value)  # 100 in place of 1E+2
    return value


def _check_kind(value: str, property_: Property, annotation: str) -> None:
    kinds = _KINDS.get(annotation.removesuffix(" | None"))
    if kinds is not None and property_.kind not in kinds:
        raise TypeError(
            f"{value}.{property_.name} is {annotation}, and {property_.wire} is a {property_.kind.value} in "
            "openapi.yaml. Correct one of them"
        )


def _conversion(property_: Property) -> tuple[type | None, Callable[[str, Any], Any]]:
    """Return the type that needs no further look, and the function for all other values."""
    match property_.kind:
        case Kind.TEXT | Kind.LINK | Kind.TIME:
            return str, _text
        case Kind.ID:
            return (None, _number_as_text) if property_.whole else (str, _text)
        case Kind.WHOLE:
            return int, _whole
        case Kind.DECIMAL:
            return None, _decimal
        case Kind.BOOLEAN:
            return bool, _boolean
        case Kind.DATE:
            return None, _date
        case Kind.OPERATIONS:
            return None, _operations
        case Kind.JSON:
            return None, _any


def _text(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _wrong(name, "a string", value)


def _number_as_text(name: str, value: Any) -> str:
    return str(_whole(name, value))


def _whole(name: str, value: Any) -> int:
    if isinstance(value, Decimal) and _is_handy(value) and value == value.to_integral_value():
        return int(value)  # JSON does not tell 1 from 1.0
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, "an integer", value)
    return value


def _decimal(name: str, value: Any) -> Decimal:
    if type(value) is int:
        value = Decimal(value)
    if not isinstance(value, Decimal):
        raise _wrong(name, "a number", value)
    if not _is_handy(value):
        raise Unreadable(f"{name} is a number out of all proportion")
    # A server may write 499.1, 499.10 or 4.991E2. Equal numbers get the same text, because plans have digests.
    exact = value.normalize(_EXACT)
    return exact if _EXACT.remainder(exact, 10) else Decimal(int(exact))  # 100, not 1E+2; 0, not -0


def _is_handy(number: Decimal) -> bool:
    """Return whether a number can be written out: `1e999999` would take a million digits."""
    return -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS


def _boolean(name: str, value: Any) -> bool:
    raise _wrong(name, "true or false", value)


def _date(name: str, value: Any) -> date:
    if isinstance(value, str):
        day, _, time = value.partition("T")
        if len(day) == len("2026-01-31") and day[4] == "-" and (not time or _is_midnight(time)):
            try:
                return date.fromisoformat(day)
            except ValueError:
                pass
    raise _wrong(name, "a date", value)


def _is_midnight(time: str) -> bool:
    """Return whether a time is the beginning of a day, as some servers write dates."""
    return not time.rstrip("Z").replace("0", "").replace(":", "").replace(".", "")


def _any(_name: str, value: Any) -> Any:
    return without_decimals(value)


def _operations(name: str, value: Any) -> tuple[Operation, ...]:
    if not isinstance(value, list):
        raise _wrong(name, "a list", value)
    return tuple([_operation(name, item) for item in value])


def _operation(name: str, value: Any) -> Operation:
    if not isinstance(value, dict):
        raise _wrong(name, "a list of operations", value)
    rel, method, href = value.get("rel"), value.get("method"), value.get("href")
    if not (isinstance(rel, str) and isinstance(method, str) and isinstance(href, str)):
        raise Unreadable(f"{name} holds one whose rel, method or href is not a string")
    extra = {key: without_decimals(each) for key, each in value.items() if key not in {"rel", "method", "href"}}
    return Operation(rel=rel, method=method, href=href, extra=extra)


def _wrong(name: str, expected: str, value: object) -> Unreadable:
    return Unreadable(f"{name} is not {expected} but {type(value).__name__}")
