"""The names and kinds that a property of a charge may have, and the values that try them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

# The role of a property is its name in Python (`x-sdk`). The contract's own name is tried before these.
CANDIDATES: dict[str, tuple[str, ...]] = {
    "product_code": (
        *("productCode", "product", "articleCode", "code", "productNumber", "articleNumber"),
        *("productNo", "articleNo", "productId"),
    ),
    "quantity": ("quantity", "numberOfUnits", "units", "count", "qty", "noOfUnits"),
    "unit_price": ("unitPrice", "price", "pricePerUnit", "netPrice", "unitAmount", "priceExVat"),
    "vat_rate": ("vatRate", "vat", "vatPercent", "taxRate", "vatPercentage", "taxPercent"),
    "text": ("text", "description", "invoiceText", "rowText", "productText", "freeText"),
    "start_date": ("startDate", "validFrom", "fromDate", "start", "dateFrom", "from"),
    "end_date": ("endDate", "validTo", "toDate", "end", "dateTo", "to"),
}
ROLES = tuple(role for role in CANDIDATES if role != "product_code")
# The value of each role, by kind. The first kind is the contract's. The dates are far away: no bill run reaches them.
SAMPLES: dict[str, dict[str, Any]] = {
    "quantity": {"integer": 3},
    "unit_price": {"number": Decimal("12.5"), "text": "12.5"},
    "vat_rate": {"number": Decimal(6), "text": "6"},
    "text": {"text": "Learn"},
    "start_date": {"date": "2091-01-01", "date-time": "2091-01-01T00:00:00Z"},
    "end_date": {"date": "2091-12-31", "date-time": "2091-12-31T00:00:00Z"},
}
# No property of a charge can hold this.
IMPOSSIBLE: list[Any] = [{}]


def styled(name: str, like: str) -> str:
    """Return a name in the style of another one: `UnitPrice`, `unit_price` or `unitPrice`."""
    if "_" in like and like == like.lower():
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return name[:1].upper() + name[1:] if like[:1].isupper() else name


def is_same(role: str, shown: object, sent: object) -> bool:
    """Return whether a server shows the value that was sent, in any kind."""
    if shown is None or isinstance(shown, bool | list | dict):
        return False
    if role in {"start_date", "end_date"}:
        return str(shown)[:10] == str(sent)[:10]
    if role in {"quantity", "unit_price", "vat_rate"}:
        try:
            return Decimal(str(shown)) == Decimal(str(sent))
        except InvalidOperation:
            return False
    return str(shown) == str(sent)


def kind_of(role: str, shown: object) -> str:
    """Return the kind in which a server shows a value."""
    if role in {"start_date", "end_date"}:
        return "date" if len(str(shown)) == 10 else "date-time"
    if isinstance(shown, str):
        return "text"
    return "integer" if isinstance(shown, int) and role == "quantity" else "number"


def shown_name(document: Mapping[str, Any], sent: str) -> str:
    """Return the key under which a document shows a name, which may differ in case; empty if it does not."""
    if sent in document:
        return sent
    return next((name for name in document if name.lower() == sent.lower()), "")
