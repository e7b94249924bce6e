"""A charge as the mock holds it, as the value that users compare with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from ..models import Charge

_NAMES = frozenset({"productCode", "quantity", "unitPrice", "vatRate", "text", "startDate", "endDate", "billedUntil"})


def charge_of(document: Mapping[str, Any]) -> Charge:
    """The content of a charge; what the server adds is left out."""
    return Charge(
        product_code=document["productCode"],
        quantity=document.get("quantity"),
        unit_price=_money(document.get("unitPrice")),
        vat_rate=_money(document.get("vatRate")),
        text=document.get("text"),
        start_date=_day(document.get("startDate")),
        end_date=_day(document.get("endDate")),
        extra={name: value for name, value in document.items() if name not in _NAMES},
    )


def _money(value: Decimal | float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))


def _day(value: str | None) -> date | None:
    return None if value is None else date.fromisoformat(value)
