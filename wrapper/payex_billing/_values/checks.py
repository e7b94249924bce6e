"""The limits of the contract, checked before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from .._base_errors import InvalidArgument
from .._contract import NEW_CUSTOMER, NEW_RECURRING_PRODUCT, PARAMETERS
from .._schema import Kind, Property

_NUMBERS = {each.name: each for each in PARAMETERS.values()}
_NEW_CUSTOMER_NO = next(each for each in NEW_CUSTOMER if each.name == "customer_no")


def content(names: Iterable[str]) -> tuple[tuple[str, bool, Callable[[Any], Any]], ...]:
    """Return the checks of a charge's values: the name, whether None is forbidden, and the check of other values."""
    known = {each.name: each for each in NEW_RECURRING_PRODUCT}
    found = [known.get(name) or Property(name=name, wire="", kind=Kind.JSON) for name in names]
    return tuple((each.name, each.required and not each.nullable, checker(each)) for each in found)


def segment(argument: str, value: str) -> str:
    """Check a value that becomes one segment of a path.

    `.` and `..` are rejected, also between slashes: HTTP libraries and proxies resolve them, some after decoding `%2F`,
    and the request would reach another resource.

    Raises:
        InvalidArgument: it cannot be sent.
    """
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be a str, not {type(value).__name__}")
    if not value:
        raise InvalidArgument(argument, "must not be empty")
    if "." in value and any(part in {".", ".."} for part in re.split(r"[/\\]", value)):
        raise InvalidArgument(argument, "must not hold '.' or '..' between slashes, which mean another place in a URL")
    _encodable(argument, value)
    return value


def customer_no(value: str, *, new: bool = False) -> str:
    """Check the number of a customer; that of a new one by the narrower pattern."""
    segment("customer_no", value)
    checked: str = check(_NEW_CUSTOMER_NO if new else _NUMBERS["customer_no"], value)
    return checked


def subscription_no(value: str) -> str:
    """Check the number of a subscription."""
    segment("subscription_no", value)
    checked: str = check(_NUMBERS["subscription_no"], value)
    return checked


def check(known: Property, value: Any) -> Any:
    """Return a value as it can be sent; see `checker`."""
    return checker(known)(value)


def checker(known: Property) -> Callable[[Any], Any]:
    """Return a function that returns a value as it can be sent; the value is not None.

    The function raises `InvalidArgument` if the contract does not allow the value.
    """
    if not known.wire:
        return partial(_unknown, known)
    match known.kind:
        case Kind.TEXT | Kind.ID | Kind.LINK | Kind.TIME:
            return partial(_text, known)
        case Kind.WHOLE:
            return partial(_whole, known)
        case Kind.DECIMAL:
            return partial(_decimal, known)
        case Kind.DATE:
            return partial(_date, known)
        case Kind.BOOLEAN:
            return partial(_boolean, known)
        case Kind.OPERATIONS | Kind.JSON:
            return lambda value: value


def known(value: object) -> frozenset[str] | None:
    """Check ids of charges that were there before."""
    if value is None:
        return None
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        ids = list(value)
        if all(isinstance(item, str) for item in ids):
            return frozenset(ids)
    raise InvalidArgument("known", 'must be a collection of ids, or "read"')


def extra(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the properties that have no argument of their own."""
    if not isinstance(value, Mapping):
        raise InvalidArgument("extra", f"must be a mapping, not {type(value).__name__}")
    return dict(value)


def given_extra(value: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the same for an argument that may be left out."""
    return {} if value is None else extra(value)


def period(start: date | None, end: date | None) -> None:
    """Refuse a start that is after the end."""
    if start is not None and end is not None and end < start:
        raise InvalidArgument("end_date", "must not be before start_date")


def characters(known: Property) -> str:
    """Return which characters a text may hold, in the words of the contract."""
    return known.pattern.pattern.removeprefix("^").removesuffix("*$") if known.pattern is not None else ""


def _unknown(known: Property, _value: Any) -> Any:
    raise InvalidArgument(known.name, "cannot be sent: openapi.yaml has no such property here")


def _text(known: Property, value: Any) -> Any:
    argument = known.name
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be a str, not {type(value).__name__}")
    if len(value) < known.min_length:
        few = known.min_length
        raise InvalidArgument(argument, "must not be empty" if few == 1 else f"must have at least {few} characters")
    if known.max_length is not None and len(value) > known.max_length:
        raise InvalidArgument(argument, f"must have at most {known.max_length} characters, not {len(value)}")
    if known.pattern is not None and not known.pattern.fullmatch(value):
        raise InvalidArgument(argument, f"may hold only the characters {characters(known)}")
    if value in known.excluded:
        raise InvalidArgument(argument, f"must not be {value!r}")
    if known.choices and value not in known.choices:
        raise InvalidArgument(argument, f"must be one of {', '.join(known.choices)}")
    _encodable(argument, value)
    return value


def _encodable(argument: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, "must be valid Unicode: it holds a lone surrogate") from None


def _whole(known: Property, value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(known.name, f"must be an int, not {type(value).__name__}")
    _between(known, value)
    return value


def _between(known: Property, value: Decimal | int) -> None:
    low, high = known.minimum, known.maximum
    if (low is None or low <= value) and (high is None or value <= high):
        return
    if low is not None and high is not None:
        raise InvalidArgument(known.name, f"must be between {low:f} and {high:f}")
    raise InvalidArgument(known.name, f"must be at {f'most {high:f}' if low is None else f'least {low:f}'}")


def _decimal(known: Property, value: Any) -> Any:
    argument = known.name
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        hint = f'; write Decimal("{value}")' if isinstance(value, float) else ""
        raise InvalidArgument(argument, f"must be a Decimal, not {type(value).__name__}{hint}")
    if not value.is_finite():
        raise InvalidArgument(argument, "must be a finite number")
    _between(known, value)
    if known.decimals is not None and _decimals(value) > known.decimals < _decimals(value.normalize()):
        raise InvalidArgument(argument, f"must have at most {known.decimals} decimals")
    return value


def _date(known: Property, value: Any) -> Any:
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InvalidArgument(known.name, f"must be a datetime.date, not {type(value).__name__}")
    return value


def _boolean(known: Property, value: Any) -> Any:
    if not isinstance(value, bool):
        raise InvalidArgument(known.name, f"must be a bool, not {type(value).__name__}")
    return value


def _decimals(value: Decimal) -> int:
    return -int(value.as_tuple().exponent)  # a finite number has no other exponent
