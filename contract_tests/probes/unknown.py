"""Probes of what the contract does not name: properties of a client's own, and the ids that the server gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ..api import (
    CHARGE_ID,
    Api,
    change,
    charge_path,
    charges_path,
    customer_path,
    customers_path,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)
from ..exchange import CONTRACT, Exchange
from ..states import parents
from ._registry import probe
from .state import CHANGEABLE, FULL, OTHER

# Values that some servers take for absent.
EMPTY: dict[str, Any] = {"isTest": False, "discount": 0, "remark": "", "tags": [], "settings": {}}


@probe("state")
def customers_and_subscriptions_hold_what_was_sent(api: Api) -> None:
    """Unknown properties of customers and subscriptions are held too."""
    number = api.number()
    extra = {"nickname": "Åsa", "limits": [1, Decimal("2.50"), None], **EMPTY}
    api.succeeds(api.post(*customers_path(), body=new_customer(number, extra)))
    api.succeeds(api.post(*subscriptions_path(number), body=new_subscription("1", extra)))
    for route in (customer_path(number), subscription_path(number, "1"), subscriptions_path(number)):
        _holds_unknown(api, api.get(*route), extra)


@probe("state")
def unknown_properties_of_a_charge_are_held(api: Api) -> None:
    """A charge holds a property that the contract does not have, until a change sets or clears it."""
    extra: dict[str, Any] = {
        "costCentre": {"no": "77", "share": [Decimal("0.10"), None, True], "unit": None},
        "note": "Åsa " * 200,
        **EMPTY,
    }
    for parent in parents(api):
        created = api.post(*charges_path(*parent), body=FULL | extra)
        made = api.succeeds(created).object
        route = charge_path(parent, made)
        for each in (created, api.get(*route), api.get(*charges_path(*parent))):
            _holds_unknown(api, each, extra)
        if CONTRACT.update_method:
            whole = extra if CONTRACT.update_method == "PUT" else {}  # a PUT takes the whole charge
            changed = api.update(*route, body=whole | change({CHANGEABLE[0]: OTHER[CHANGEABLE[0]]}))
            _holds_unknown(api, api.shown(changed), extra)
            _holds_unknown(api, api.get(*route), extra)
            whole = {**whole, "costCentre": "other", "note": None}
            api.succeeds(api.update(*route, body=change(whole)))
            api.same(
                "a_change_touches_what_was_sent", _unknown(api.get(*route), extra), ["other", None, *EMPTY.values()]
            )


def _holds_unknown(api: Api, exchange: Exchange, extra: Mapping[str, Any]) -> None:
    """Check that a resource, or the only item of a list, has properties that the contract does not have."""
    api.same("held_as_sent", _unknown(api.succeeds(exchange), extra), [*extra.values()], exchange)


def _unknown(exchange: Exchange, names: Iterable[str]) -> list[Any]:
    """Return the values of properties that the contract does not have. `Exchange.object` leaves such properties out."""
    whole = exchange.json
    if exchange.role[0] == "list":
        name = CONTRACT.list_name(exchange.defined)
        (whole,) = whole[name] if name else whole
    return [whole.get(each) for each in names]


@probe("state")
def a_new_charge_has_an_id_of_its_own(api: Api) -> None:
    """A new charge has an id that no other charge of its customer has or had."""
    for parent in parents(api):
        ids: list[str] = []
        for turn in range(6):
            made = api.charge(*parent, wire=FULL)
            if made[CHARGE_ID] in ids:
                api.broke("an_id_is_used_once", f"the id {made[CHARGE_ID]} was the id of an earlier charge")
            ids.append(made[CHARGE_ID])
            route = charge_path(parent, {CHARGE_ID: ids[turn // 2]})
            if turn % 2 and api.can_delete(*route):
                api.succeeds(api.delete(*route))
