"""Rules of the contract that are checked before anything is sent. A test compares the limits with openapi.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

from .errors import InvalidArgument

CUSTOMER_NO_LENGTH = 15
SUBSCRIPTION_NO_LENGTH = 34
PRODUCT_CODE_LENGTH = 5
TEXT_LENGTH = 73
QUANTITY_MINIMUM, QUANTITY_MAXIMUM = 1, 99_999
UNIT_PRICE_MAXIMUM, UNIT_PRICE_DECIMALS = Decimal("9999999.999999"), 6
VAT_RATE_MAXIMUM, VAT_RATE_DECIMALS = Decimal(100), 2
# The published pattern ends in ` -.`, literally the range U+0020..U+002E. It is accepted for customers that exist,
# but only its likely intent (space, hyphen, dot) is sent for new ones.
CUSTOMER_NO = re.compile(r"[a-zA-Z0-9äåöÄÅÖ&/_ -.]*")
NEW_CUSTOMER_NO = re.compile(r"[a-zA-Z0-9äåöÄÅÖ&/_ .\-]*")


def segment(argument: str, value: str, maximum: int | None = None) -> str:
    """A value that becomes one segment of a path.

    `.` and `..` are rejected, also between slashes: HTTP libraries and proxies resolve them, some after decoding `%2F`,
    and the request would reach another resource.
    """
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be a str, not {type(value).__name__}")
    if not value:
        raise InvalidArgument(argument, "must not be empty")
    if "." in value and any(part in {".", ".."} for part in re.split(r"[/\\]", value)):
        raise InvalidArgument(argument, "must not hold '.' or '..' between slashes, which mean another place in a URL")
    if maximum is not None and len(value) > maximum:
        raise InvalidArgument(argument, f"must have at most {maximum} characters, not {len(value)}")
    _encodable(argument, value)
    return value


def customer_no(value: str, *, new: bool = False) -> str:
    """The number of a customer; of a new one by the narrower pattern."""
    segment("customer_no", value, CUSTOMER_NO_LENGTH)
    if not (NEW_CUSTOMER_NO if new else CUSTOMER_NO).fullmatch(value):
        raise InvalidArgument("customer_no", "may hold only letters, digits, äåöÄÅÖ, &, /, _, space, . and -")
    return value


def subscription_no(value: str) -> str:
    """The number of a subscription."""
    return segment("subscription_no", value, SUBSCRIPTION_NO_LENGTH)


def product_code(value: str) -> str:
    """The code of a master product."""
    _text("product_code", value, PRODUCT_CODE_LENGTH)
    if not value:
        raise InvalidArgument("product_code", "must not be empty")
    return value


def text(value: str) -> str:
    """The text on the invoice."""
    return _text("text", value, TEXT_LENGTH)


def quantity(value: int) -> int:
    """How many."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument("quantity", f"must be an int, not {type(value).__name__}")
    if not QUANTITY_MINIMUM <= value <= QUANTITY_MAXIMUM:
        raise InvalidArgument("quantity", f"must be between {QUANTITY_MINIMUM} and {QUANTITY_MAXIMUM}")
    return value


def unit_price(value: Decimal | int) -> Decimal:
    """A price in major currency units."""
    return _decimal("unit_price", value, -UNIT_PRICE_MAXIMUM, UNIT_PRICE_MAXIMUM, UNIT_PRICE_DECIMALS)


def vat_rate(value: Decimal | int) -> Decimal:
    """VAT in percent."""
    return _decimal("vat_rate", value, Decimal(0), VAT_RATE_MAXIMUM, VAT_RATE_DECIMALS)


def day(argument: str, value: date) -> date:
    """A date without a time."""
    if not isinstance(value, date) or isinstance(value, datetime):
        raise InvalidArgument(argument, f"must be a datetime.date, not {type(value).__name__}")
    return value


def known(value: object) -> frozenset[str] | None:
    """Ids of charges that were there before."""
    if value is None:
        return None
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        ids = list(value)
        if all(isinstance(item, str) for item in ids):
            return frozenset(ids)
    raise InvalidArgument("known", 'must be a collection of ids, or "read"')


def period(start: date | None, end: date | None) -> None:
    """A start that is not after the end."""
    if start is not None and end is not None and end < start:
        raise InvalidArgument("end_date", "must not be before start_date")


def _text(argument: str, value: str, maximum: int) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(argument, f"must be a str, not {type(value).__name__}")
    if len(value) > maximum:
        raise InvalidArgument(argument, f"must have at most {maximum} characters, not {len(value)}")
    _encodable(argument, value)
    return value


def _encodable(argument: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(argument, "must be valid Unicode: it holds a lone surrogate") from None


def _decimal(argument: str, value: Decimal | int, minimum: Decimal, maximum: Decimal, decimals: int) -> Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal):
        hint = f'; write Decimal("{value}")' if isinstance(value, float) else ""
        raise InvalidArgument(argument, f"must be a Decimal, not {type(value).__name__}{hint}")
    if not value.is_finite():
        raise InvalidArgument(argument, "must be a finite number")
    if not minimum <= value <= maximum:
        raise InvalidArgument(argument, f"must be between {minimum:f} and {maximum:f}")
    exponent = value.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        raise InvalidArgument(argument, f"must have at most {decimals} decimals")
    return value
