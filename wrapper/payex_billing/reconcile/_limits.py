"""The limits of the guards, with their defaults, and the small TOML file that changes them."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import attrs

from ..errors import InvalidArgument
from ._sources import TableError

FLOORS: Final = {
    "money_change": 10,
    "customers_touched": 10,
    "new_customers": 3,
    "ends_and_removals": 15,
    "revivals": 2,
    "price_zero": 3,
    "vat_zero": 3,  # charges that get the rate 0, such as for a customer abroad
    "new_charges": 10,
    "rows_gone": 8,
    "rejected_rows": 10,
}
"""Up to these numbers, customers, charges or rows never stop a run by their share: a small ledger has large shares.

All numbers are below the 20 customers that `apply` writes, and reads back, before the others.
"""

# Sweden 25, 12, 6; Norway 25, 15, 12; Denmark 25; Finland 25.5, 14, 13.5, 10. And 0, where no VAT is charged.
_NORDIC_RATES: Final = tuple(map(Decimal, ("0", "6", "10", "12", "13.5", "14", "15", "25", "25.5")))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _share(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not _is_number(value) or not 0 <= value <= 1:
        raise InvalidArgument(field.name, 'must be a share from 0 to 1, such as 0.05; in a file also "5 %"')


def _factor(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not _is_number(value) or value <= 1:
        raise InvalidArgument(field.name, "must be a number greater than 1")


def _count(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 10**6:
        raise InvalidArgument(field.name, "must be a whole number from 0 to 1,000,000")


def _rates(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    # 0.25 means 25 percent here too, so a rate of 0.25 is rejected.
    if not all(isinstance(rate, Decimal) and (rate == 0 or 1 <= rate <= 100) for rate in value):
        raise InvalidArgument(field.name, "must be a list of rates in percent, such as [0, 6, 12, 25]")


def _rates_of(value: Any) -> tuple[Any, ...]:
    """Return numbers as decimals; leave other values for the validator."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return (value,)
    return tuple(Decimal(str(rate)) if _is_number(rate) else rate for rate in value)


def _percent(value: Any) -> Any:
    """Read "5 %" as 0.05; leave other values for the validator."""
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%\s*", value) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else value


@attrs.frozen(kw_only=True)
class Limits:
    """The limits of a run without approval. Shares are from 0 to 1; a file may also say "5 %".

    Attributes:
        money_change: the highest share of the money per month that the run may add, and that it may take away.
        customers_touched: the highest share of the customers in the file that may change. Customers with changes only
            to list prices, the VAT rate of one product, or the name of a product do not count.
        new_customers: the highest share of the customers in the file that may be new.
        ends_and_removals: the highest share of the existing charges that may be ended, removed or revived together.
        revivals: the highest share of the existing charges that may lose their end date.
        new_charges: the most new charges for existing customers, as a share of the existing charges.
        rows_gone: the highest share of the rows, and of the customers, of the last run's file that may be missing.
        rejected_rows: the highest share of the rows that may be rejected.
        price_factor: stop if a unit price becomes this many times as high or as low.
        quantity_factor: stop if a quantity becomes this many times as high or as low.
        price_rise: a rise of a product's prices up to this share is a new price list, not a change of each customer.
        price_list_factor: the same for one product whose price changes for all its customers, such as in a campaign.
        back_days: a new charge may start, and a charge may end, at most this many days ago.
        ahead_days: a new charge may start at most this many days from now.
        end_years: a charge may end at most this many years from now. The 31st of December 2099 and later means no end.
        new_products: the most product codes that no charge had before.
        first_run_rows: a first run with more rows than this must be declared as a first run.
        vat_rates: rates that may appear although no charge had them; others stop the run.

    Raises:
        InvalidArgument: a limit is not valid; `argument` is its name.
    """

    money_change: float = attrs.field(default=0.10, validator=_share)
    customers_touched: float = attrs.field(default=0.20, validator=_share)
    new_customers: float = attrs.field(default=0.02, validator=_share)
    ends_and_removals: float = attrs.field(default=0.05, validator=_share)
    revivals: float = attrs.field(default=0.01, validator=_share)
    new_charges: float = attrs.field(default=0.10, validator=_share)
    rows_gone: float = attrs.field(default=0.10, validator=_share)
    rejected_rows: float = attrs.field(default=0.05, validator=_share)
    price_factor: float = attrs.field(default=3, validator=_factor)
    quantity_factor: float = attrs.field(default=10, validator=_factor)
    price_rise: float = attrs.field(default=0.10, validator=_share)
    price_list_factor: float = attrs.field(default=2, validator=_factor)
    back_days: int = attrs.field(default=92, validator=_count)
    ahead_days: int = attrs.field(default=400, validator=_count)
    end_years: int = attrs.field(default=10, validator=_count)
    new_products: int = attrs.field(default=3, validator=_count)
    first_run_rows: int = attrs.field(default=1_000, validator=_count)
    vat_rates: tuple[Decimal, ...] = attrs.field(default=_NORDIC_RATES, converter=_rates_of, validator=_rates)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read limits from a TOML file; limits that the file does not name keep their defaults.

        Raises:
            TableError: the file cannot be read, is not TOML, or names a limit that does not exist.
            InvalidArgument: a limit is not valid.
        """
        try:
            plain = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror or error}") from None
        except ValueError as error:  # invalid TOML, or invalid UTF-8
            raise TableError(f"{path}: is not a TOML file: {error}") from None
        names = [field.name for field in attrs.fields(cls)]
        unknown = sorted(set(plain) - set(names))
        if unknown:
            raise TableError(f"{path}: there is no limit {unknown[0]!r}; there are {', '.join(names)}")
        return cls(**{name: _percent(value) for name, value in plain.items()})
