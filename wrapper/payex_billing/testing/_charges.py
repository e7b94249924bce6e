"""A charge as the mock holds it, as the value that users compare with."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .._contract import RECURRING_PRODUCT
from .._requests.wire import from_wire
from ..models import CONTENT, Charge


def charge_of(document: Mapping[str, Any]) -> Charge:
    """Return the content of a charge; what the server adds is left out."""
    held = {name: Decimal(str(value)) if isinstance(value, float) else value for name, value in document.items()}
    values = {
        known.name: from_wire(known, held[known.wire])
        for known in RECURRING_PRODUCT
        if known.name in CONTENT and held.get(known.wire) is not None
    }
    declared = {known.wire for known in RECURRING_PRODUCT}
    return Charge(**values, extra={name: value for name, value in document.items() if name not in declared})
