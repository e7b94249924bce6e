"""Typed cells as text, in the form that a person would write into a CSV file, and characters that nobody can see."""

from __future__ import annotations

import math
import numbers
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs

from ._columns import CellKind

# U+FFFD replaces characters that could not be read. A cell that contains it is always rejected, also when a rejects
# file is read again, until a person corrects the cell.
UNREADABLE = "\ufffd"
# The spaces of Unicode, which look alike. Those around a cell are removed.
SPACES = "".join(map(chr, (0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000)))
OTHER_SPACES = rf"[{SPACES[1:]}]"
# Control characters, characters that show nothing or change the direction of a text, and what could not be read.
INVISIBLE = (
    r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}\x{034F}\x{115F}\x{1160}\x{17B4}\x{17B5}\x{180B}-\x{180F}\x{2065}\x{3164}"
    r"\x{FE00}-\x{FE0F}\x{FFA0}\x{FFF0}-\x{FFF8}\x{FFFD}-\x{FFFF}\x{E0000}-\x{E0FFF}]"
)
# The digits that every 64-bit float keeps. More are noise: 0.1 + 0.2 is 0.30000000000000004.
_DIGITS = 15
_NO_NUMBER = "is not a number"


@attrs.frozen
class Fault:
    """A cell whose value is not valid for a charge.

    Attributes:
        text: the cell as a person sees it.
        rule: the rule that the cell breaks, in words.
    """

    text: str
    rule: str


@attrs.frozen(kw_only=True)
class DecimalSign:
    """Which decimal signs are possible in numbers that are written as text.

    Attributes:
        point: whether `1.5` is one and a half.
        comma: whether `1,5` is one and a half.
        is_sure: whether `1.000` and `1,000` have only one possible meaning. Otherwise they are rejected.
        decide: whether points are rejected if the table has decimal commas.
    """

    point: bool = True
    comma: bool = False
    is_sure: bool = True
    decide: bool = False


def as_text(value: Any, kind: CellKind | None, sign: str = ".", *, nan_is_empty: bool = False) -> str | Fault:
    """Return a typed value as text; an empty text is a cell without a value.

    Args:
        value: the value: a text, a number, a date or None.
        kind: the kind of the cells in the column; None if the column is ignored.
        sign: the decimal sign to write.
        nan_is_empty: whether NaN is a cell without a value, as in pandas.
    """
    if isinstance(value, str):
        return str(value)
    if value is None or type(value).__name__ in {"NaTType", "NAType"}:  # pandas.NaT is a datetime, too
        return ""
    if isinstance(value, float | Decimal) and math.isnan(value) and (nan_is_empty or kind is None):
        return ""
    if kind is None:
        return str(value)
    if isinstance(value, bool):
        return Fault(str(value).lower(), "is true or false, which no column holds")
    if isinstance(value, numbers.Integral):
        return _number(Decimal(int(value)), kind, sign)
    if isinstance(value, float):
        return _float(float(value), kind, sign)
    if isinstance(value, Decimal):
        return _number(value, kind, sign)
    if isinstance(value, numbers.Real):
        return Fault(str(value), "is a 32-bit float, which does not keep the digits; make it a Decimal or a text")
    if isinstance(value, date):
        return _day(value, kind)
    return Fault(str(value), f"is a {type(value).__name__}, not a text, a number or a date")


def decimal_of(value: float) -> Decimal:
    """Return a 64-bit float as a decimal number with its first 15 digits."""
    return Decimal(f"{value:.{_DIGITS}g}")


def _float(value: float, kind: CellKind, sign: str) -> str | Fault:
    if not math.isfinite(value):
        return Fault(str(value), _NO_NUMBER)
    if abs(value) >= 10**_DIGITS:
        return Fault(repr(value), f"has more than {_DIGITS} digits, which a floating-point number does not keep")
    return _number(decimal_of(value), kind, sign)


def _number(value: Decimal, kind: CellKind, sign: str) -> str | Fault:
    if not value.is_finite():
        return Fault(str(value), _NO_NUMBER)
    if not -40 < value.adjusted() < 40:  # without an exponent the text could fill the memory
        return Fault(str(value), "is not a number that can be billed")
    if not value:
        return "0"  # not -0
    if value == value.to_integral_value():
        return format(value.to_integral_value(), "f")
    if kind is CellKind.TEXT:
        return Fault(str(value), "is a number with decimals; write it as a text")
    return format(value, "f").rstrip("0").replace(".", sign)


def _day(value: date, kind: CellKind) -> str | Fault:
    if kind is not CellKind.DATE:
        return Fault(value.isoformat(), "is a date, not a text or a number")
    if not isinstance(value, datetime):
        return value.isoformat()
    if value.tzinfo is not None:
        return Fault(str(value), "has a time zone, so it may be another day elsewhere; make it a date")
    return (value.date() if value == datetime.combine(value.date(), datetime.min.time()) else value).isoformat()


def visible(expression: str) -> str:
    """Return the SQL expression of a text as a cell shows it: plain spaces within, and `?` for what cannot be seen."""
    shown = f"regexp_replace(trim({expression}, '{SPACES}'), '{INVISIBLE}', '?', 'g')"
    return f"regexp_replace({shown}, '{OTHER_SPACES}', ' ', 'g')"
