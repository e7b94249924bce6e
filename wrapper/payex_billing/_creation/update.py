"""Change a charge by the verb that the contract has for it. Pure: the generator yields calls and gets their results.

PATCH sends what changes. PUT replaces the charge, so the charge is read first, and the whole of it is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._requests import operations
from .._requests.operations import Parent
from .._schema import Operation
from .._values import checks
from ..errors import InvalidArgument
from ..models import CONTENT, UNSET, JsonValue, RecurringProduct
from .look_up import Steps


def update(parent: Parent, charge_id: str, change: Mapping[str, Any]) -> Steps[RecurringProduct]:
    """Change a charge, and return it as it is then.

    Args:
        parent: where it hangs.
        charge_id: its id.
        change: the arguments of `update`.

    Raises:
        InvalidArgument: a value breaks the contract; raised before the first request.
        TypeError: there is no such argument.
    """
    definition = operations.definition(parent.operation("update"))
    extra = checks.given_extra(change.get("extra"))
    values = _checked(definition, change)
    if definition.method == "PUT":
        _, document = yield operations.read_charge(parent, charge_id)
        values, extra = _merged(definition, parent, document, values, extra)
    changed: RecurringProduct | None = yield operations.update_charge(parent, charge_id, values, extra)
    if changed is None:  # the response has no body
        shown: RecurringProduct = yield operations.get_charge(parent, charge_id)
        return shown
    return changed


def _checked(definition: Operation, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a change."""
    properties = {each.name: each for each in definition.body or ()}
    for name in change:
        if name != "extra" and name not in CONTENT:
            raise TypeError(f"update() got an unexpected keyword argument {name!r}")
    values: dict[str, Any] = {}
    for name in CONTENT:
        value = change.get(name, UNSET)
        if value is UNSET:
            continue
        known = properties.get(name)
        if known is None:
            raise InvalidArgument(name, "cannot be changed: the contract says so")
        if value is None:
            if not known.nullable and (known.required or definition.method == "PATCH"):
                raise InvalidArgument(name, "cannot be cleared: the contract says so")
            values[name] = None
        else:
            values[name] = checks.check(known, value)
    checks.period(values.get("start_date"), values.get("end_date"))
    return values


def _merged(
    definition: Operation,
    parent: Parent,
    document: Mapping[str, Any],
    values: Mapping[str, Any],
    extra: Mapping[str, JsonValue],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the whole charge as it will be: what is held, with the changes."""
    shape = [each for each in definition.body or () if each.wire not in extra]
    held = {each.name: document[each.wire] for each in shape if document.get(each.wire) is not None}
    merged = {name: value for name, value in {**held, **values}.items() if value is not None}
    merged |= {each.name: None for each in shape if each.required and each.nullable and each.name not in merged}
    read = operations.definition(parent.operation("get")).result or ()
    declared = {each.wire for each in (*(definition.body or ()), *read)}
    unknown = {name: value for name, value in document.items() if name not in declared}
    return merged, {**unknown, **extra}
