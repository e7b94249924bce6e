"""Read what a server holds, in a form in which two reads can be compared.

Only properties of the contract count. A server may change `operations` and the date up to which it has billed a charge
at any time, and may show properties that the contract does not have, so these are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

from .api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
    charge_path,
    charges_path,
    customer_path,
    subscription_path,
    subscriptions_path,
    wire,
)
from .bodies import BODIES
from .contents import held, stable
from .exchange import CONTRACT, render
from .schemas import FILLED, JUDGE
from .transports import InProcess
from .values import spread

Parent = tuple[str, ...]  # the number of a customer, or the numbers of a customer and its subscription
Tree = dict[str, list[dict[str, Any]]]
T = TypeVar("T")


def as_sent(api: Api, charge: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `held` returns, without the values that a server may show because `values` does not have them.

    The server shows the same values of every charge of the product that was created with its product code only.
    """
    found = held(charge)
    shown = {name for name in found if name in FILLED and values.get(name) is None}
    usual = shown_of(api, found) if shown else {}
    return {name: value for name, value in found.items() if name not in shown or value != usual.get(name)}


def shown_of(api: Api, charge: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a server shows of a charge of which only the product code was given, for the product of a charge."""
    name = wire("product_code")
    code = charge.get(name)
    if code not in api.bare:
        made = held(api.charge(api.customer(), wire={} if code is None else {name: code}))
        api.bare[code] = {name: value for name, value in made.items() if name in FILLED}
    return api.bare[code]


def changed(current: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that changes `new`, with the current value of each other property that a change requires."""
    required = CONTRACT.change.get("required", ())
    return {name: current[name] for name in required if name in current} | dict(new)


def parents(api: Api) -> Iterator[Parent]:
    """Create a customer, then a subscription of another customer: the two kinds of resources that have charges."""
    yield (api.customer(),)
    customer = api.customer()
    yield customer, api.subscription(customer, subscription_number())


def subscription_number(text: str = "46701234567") -> str:
    """Return a number that the contract allows for a subscription: `text`, or else a made-up one."""
    schema = CONTRACT.creations["subscription"]["properties"][SUBSCRIPTION_NO]
    return text if JUDGE.takes(schema, text) else str(BODIES.sample(schema))


def read_charge(api: Api, parent: Parent, charge: Mapping[str, Any]) -> dict[str, Any]:
    """Read one charge."""
    return api.succeeds(api.get(*charge_path(parent, charge))).object


def listed(api: Api, parent: Parent) -> dict[Any, dict[str, Any]]:
    """Return the charges of a list by id. No id may be there twice."""
    charges = api.charges(*parent)
    found = {charge[CHARGE_ID]: charge for charge in charges}
    api.same("lists_are_complete", len(charges), len(found))
    return found


def thinned(api: Api, values: Sequence[T], at_most: int = 12) -> Sequence[T]:
    """Return all values in process, some over a socket, and at most `at_most` for a real endpoint.

    In process, a request takes less than a millisecond. A socket tests the transport with the same values again, and a
    real endpoint gets few requests.
    """
    if isinstance(api.transport, InProcess):
        return values
    return spread(values, at_most if api.real else 8 * at_most)


def few(api: Api, values: Sequence[T], at_most: int) -> Sequence[T]:
    """Return all values for a mock, and at most `at_most` for a real endpoint, whose owner waits for each request."""
    return spread(values, at_most) if api.real else values


def snapshot(api: Api, customers: Sequence[str]) -> dict[str, Any]:
    """Read customers and all that they have, each resource alone and in its list; on a real endpoint in its list only.

    Returns:
        the resources by path below the ledger, and the sorted ids or numbers of each list by the path of the list.
    """
    found: dict[str, Any] = {}
    for customer in customers:
        found[_path(customer_path(customer))] = stable(
            "customer", api.succeeds(api.get(*customer_path(customer))).object
        )
        subscriptions = api.subscriptions(customer)
        found[_path(subscriptions_path(customer))] = sorted(str(each[SUBSCRIPTION_NO]) for each in subscriptions)
        for subscription in subscriptions:
            route = subscription_path(customer, subscription[SUBSCRIPTION_NO])
            found[_path(route)] = _read(api, "subscription", route, subscription)
        for parent in ((customer,), *((customer, str(each[SUBSCRIPTION_NO])) for each in subscriptions)):
            charges = listed(api, parent)
            found[_path(charges_path(*parent))] = sorted(map(str, charges))
            for charge in charges.values():
                route = charge_path(parent, charge)
                found[_path(route)] = _read(api, "charge", route, charge)
    return found


def _read(api: Api, kind: str, route: Parent, in_list: Mapping[str, Any]) -> dict[str, Any]:
    """Read a resource alone, and compare it with the item of a list."""
    item = stable(kind, in_list)
    if not api.real:
        api.same("lists_hold_what_reads", item, stable(kind, api.succeeds(api.get(*route)).object))
    return item


def tree(api: Api, customer: str) -> Tree:
    """Return what a customer has without ids and links, so that two customers can be compared.

    Returns:
        the values of the charges in one order, by the number of the subscription; empty for the customer's own.
    """
    numbers = [str(each[SUBSCRIPTION_NO]) for each in api.subscriptions(customer)]
    api.same("lists_are_complete", len(set(numbers)), len(numbers))
    return {
        "/".join(level): sorted((held(each) for each in api.charges(customer, *level)), key=_order)
        for level in ((), *((number,) for number in numbers))
    }


def copy(api: Api, values: Mapping[Parent, Sequence[Mapping[str, Any]]], customer: str | None = None) -> str:
    """Create a customer with subscriptions and charges, and return its number."""
    number = customer or api.customer()
    for level, charges in values.items():
        if level:
            api.subscription(number, *level)
        for charge in charges:
            api.charge(number, *level, wire=charge)
    return number


def _path(segments: Parent) -> str:
    return "/".join(segments)


def _order(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a key that sorts equal charges to the same place. 1.50 and 1.5 are one number."""
    return sorted((name, _plain(value)) for name, value in values.items())


def _plain(value: Any) -> str:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return f"{Decimal(value).normalize():f}" if is_number else render(value)
