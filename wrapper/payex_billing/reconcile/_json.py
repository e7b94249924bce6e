"""Steps as plain JSON, for plans and journals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from .._schema import Kind
from ..models import CONTENT
from ._columns import PROPERTIES
from ._match import Content, Step
from ._match import Kind as StepKind

_READ: dict[Kind, Callable[[str], Any]] = {Kind.DECIMAL: Decimal, Kind.DATE: date.fromisoformat}
_KINDS = {name: _READ[known.kind] for name, known in PROPERTIES.items() if known.kind in _READ}


def step_to_json(step: Step) -> dict[str, Any]:
    """Return a step as plain JSON. Money is text, so that no digit is lost."""
    plain: dict[str, Any] = {
        "kind": step.kind.value,
        "customer": step.customer_no,
        "subscription": step.subscription_no,
        "charge": _content_to_json(step.charge),
        "before": _content_to_json(step.before),
        "id": step.charge_id,
        "line": step.line,
    }
    return {name: value for name, value in plain.items() if value is not None}


def step_from_json(plain: Mapping[str, Any]) -> Step:
    """Return the step that `step_to_json` wrote.

    Raises:
        ValueError, KeyError, TypeError: the data is not a step.
    """
    return Step(
        kind=StepKind(plain["kind"]),
        customer_no=plain["customer"],
        subscription_no=plain.get("subscription"),
        charge=_content_from_json(plain.get("charge")),
        before=_content_from_json(plain.get("before")),
        charge_id=plain.get("id"),
        line=plain.get("line"),
    )


def _content_to_json(content: Content | None) -> dict[str, Any] | None:
    if content is None:
        return None
    values = {name: getattr(content, name) for name in CONTENT}
    return {
        name: str(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
        if value is not None
    }


def _content_from_json(plain: Mapping[str, Any] | None) -> Content | None:
    if plain is None:
        return None
    return Content(**{name: _KINDS[name](value) if name in _KINDS else value for name, value in plain.items()})
