"""Steps and figures as plain JSON, for plans, journals and the figures of the last run. msgspec checks the types.

A `Decimal` is text, so that no digit is lost. A mapping whose keys JSON does not have is a list of pairs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, TypeVar, get_args, get_origin

import attrs
import msgspec

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Pairs(dict[K, V]):
    """A mapping with keys such as None, which JSON does not have."""


def to_plain(value: attrs.AttrsInstance) -> dict[str, Any]:
    """Return an attrs object as plain JSON. A field that has its default is left out."""
    plain = attrs.asdict(value, filter=_is_set, value_serializer=_serialized)
    return msgspec.to_builtins(plain)  # type: ignore[no-any-return]


def from_plain(kind: type[T], plain: object) -> T:
    """Return the object that `to_plain` wrote.

    Raises:
        ValueError, KeyError, TypeError: the data is not such an object.
    """
    try:
        return msgspec.convert(plain, kind, str_keys=True, dec_hook=_from_pairs)
    except msgspec.ValidationError as error:  # no ValueError before msgspec 0.21
        raise ValueError(str(error)) from None


def from_json(kind: type[T], text: bytes) -> T:
    """Return the object that a JSON text describes. In the text, a `Pairs` is a list of pairs.

    Raises:
        ValueError: the text is not such an object.
    """
    try:
        return msgspec.json.decode(text, type=kind, dec_hook=_from_pairs)
    except msgspec.MsgspecError as error:  # no ValueError before msgspec 0.21
        raise ValueError(str(error)) from None


def _is_set(field: attrs.Attribute[Any], value: object) -> bool:
    default: Any = field.default
    return bool(value != (default.factory() if isinstance(default, attrs.Factory) else default))  # type: ignore[arg-type]


def _serialized(_owner: object, _field: object, value: object) -> object:
    return list(value.items()) if isinstance(value, Counter | Pairs) else value


def _from_pairs(kind: Any, pairs: Any) -> Any:
    """Return the mapping of a list of pairs: `kind` is a `Pairs[K, V]` or a `Counter[K]`."""
    key, *values = get_args(kind)
    value = values[0] if values else int
    mapping: Any = get_origin(kind)
    return mapping({from_plain(key, each): from_plain(value, other) for each, other in pairs})
