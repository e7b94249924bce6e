"""Convert values to dicts for a database, a queue or a log (`to_dict`), and back (`from_dict`)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any, Literal, Self, TypeAlias, overload

import attrs

from .. import _contract
from .._base_errors import InvalidArgument
from .._text import cut, printable

JsonValue: TypeAlias = "None | bool | int | float | str | list[JsonValue] | dict[str, JsonValue]"


class Value:
    """A frozen value that can be written as a dict."""

    __slots__ = ()

    @overload
    def to_dict(self, *, mode: Literal["json"]) -> dict[str, JsonValue]: ...

    @overload
    def to_dict(self, *, mode: Literal["python"] = "python") -> dict[str, object]: ...

    def to_dict(self, *, mode: str = "python") -> Mapping[str, object]:
        """Return the value as a new dict, with the names of its attributes as keys.

        Args:
            mode: `python` keeps `Decimal` and `date`. `json` uses only types that `json.dumps` can write: money and
                other `Decimal` as text, such as `"499.00"`, so that no digit is rounded; dates as ISO text, such as
                `"2026-01-31"`; sets as sorted lists.

        Raises:
            InvalidArgument: `mode` is neither `python` nor `json`; or, in mode `json`, `extra` contains a value that
                JSON cannot represent.
        """
        if mode not in {"python", "json"}:
            raise InvalidArgument("mode", 'must be "python" or "json"')
        try:
            return _dict_of(self, _json if mode == "json" else _python)
        except RecursionError:
            raise InvalidArgument("extra", "is nested too deeply") from None


class ReadableValue(Value):
    """A value that can be read back from its dict."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        _CLASSES[cls.__name__] = cls  # attrs creates a class with slots twice; this keeps the second one

    @classmethod
    def from_dict(cls, source: Mapping[str, object]) -> Self:
        """Return the value for a dict that `to_dict` returned, in either mode.

        Args:
            source: a dict from `to_dict`. A key whose attribute has a default may be missing.

        Raises:
            InvalidArgument: a key is unknown or missing, or a value is of a wrong type or breaks the contract.
        """
        if not isinstance(source, Mapping):
            raise InvalidArgument("source", f"must be a mapping, not {type(source).__name__}")
        fields = {field.name: field for field in attrs.fields(cls)}  # type: ignore[arg-type]
        for name in source:
            if name not in fields:
                raise InvalidArgument("source", f"holds {_shown(name)}, which a {cls.__name__} does not have")
        for name, field in fields.items():
            if field.default is attrs.NOTHING and name not in source:
                raise InvalidArgument("source", f"lacks {name}")
        return cls(**{name: _read(name, str(fields[name].type), value) for name, value in source.items()})


_CLASSES: dict[str, type[ReadableValue]] = {}


def _dict_of(value: object, convert: Callable[[Any], Any]) -> dict[str, Any]:
    # `attrs.asdict` would copy a mapping into its own type, also an unknown type, and share the items with the copy.
    return {field.name: convert(getattr(value, field.name)) for field in attrs.fields(type(value))}  # type: ignore[arg-type]


def _python(value: Any) -> Any:
    """Return a copy that shares no mutable object with the value."""
    if isinstance(value, Value):
        return _dict_of(value, _python)
    if isinstance(value, Mapping):
        return {name: _python(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_python(item) for item in value]
    return value


def _json(value: Any) -> Any:
    """Return a copy that contains only types that JSON has."""
    if type(value) in _PLAIN:
        return value
    if isinstance(value, (int, str)):  # a masked text, or a member of an enum
        return int(value) if isinstance(value, int) else str.__str__(value)
    if isinstance(value, (float, Decimal)):
        if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
            raise InvalidArgument("extra", "holds a number that is not finite, which JSON cannot write")
        return f"{value:f}" if isinstance(value, Decimal) else float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return _json(value.value)
    if isinstance(value, Value):
        return _dict_of(value, _json)
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise InvalidArgument("extra", "holds a key that is no str, which JSON cannot write")
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    raise InvalidArgument("extra", f"holds a {type(value).__name__}, which JSON cannot write")


_PLAIN = frozenset({type(None), bool, int, str})


# Readers for `from_dict`. The key is the type of the attribute, spelled as in models.py.


def _read(name: str, kind: str, value: object) -> object:
    plain = kind.removesuffix(" | None")
    alias = getattr(_contract, plain, None)
    if alias is int or alias is Decimal:  # such as `Quantity`
        plain, kind = alias.__name__, kind.replace(plain, alias.__name__)
    if value is None and plain != kind:
        return None
    if plain in _CLASSES:
        return _nested(name, plain, value)
    if plain == "tuple[Operation, ...]":
        if not isinstance(value, (list, tuple)):
            raise _wrong(name, "a list", value)
        return tuple(_nested(name, "Operation", item) for item in value)
    return _READERS[plain](name, value)


def _nested(name: str, kind: str, value: object) -> object:
    if not isinstance(value, Mapping):
        raise _wrong(name, "a mapping", value)
    return _CLASSES[kind].from_dict(value)


def _of(*kinds: type, said: str) -> Callable[[str, object], object]:
    def read(name: str, value: object) -> object:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise _wrong(name, said, value)
        return value

    return read


def _decimal(name: str, value: object) -> object:
    if isinstance(value, str):
        if not _number(value):
            raise InvalidArgument(name, 'must be a number in a text, such as "499.00"')
        return Decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, Decimal) and value.is_finite():
        return value
    hint = ": a float has no exact decimals" if isinstance(value, float) else ""
    raise InvalidArgument(name, f"must be a finite number in a text, or a Decimal, not {type(value).__name__}{hint}")


def _date(name: str, value: object) -> object:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value if _day(value) else "")
        except ValueError:
            raise InvalidArgument(name, 'must be a date such as "2026-01-31"') from None
    if type(value) is date:
        return value
    raise _wrong(name, "a date", value)


def _ids(name: str, value: object) -> object:
    if isinstance(value, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in value):
        return frozenset(value)
    raise _wrong(name, "a list of ids", value)


def _wrong(name: str, expected: str, value: object) -> InvalidArgument:
    return InvalidArgument(name, f"must be {expected}, not {type(value).__name__}")


def _shown(name: object) -> str:
    return repr(cut(printable(name), 80)) if isinstance(name, str) else f"a key of type {type(name).__name__}"


_number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?").fullmatch
_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_READERS: Mapping[str, Callable[[str, object], object]] = {
    "str": _of(str, said="a str"),
    "int": _of(int, said="an int"),
    "bool": _of(bool, said="a bool"),
    "float": _of(int, float, said="a number"),
    "date": _date,
    "Decimal": _decimal,
    "frozenset[str]": _ids,
    "Mapping[str, JsonValue]": _of(Mapping, said="a mapping"),
}
