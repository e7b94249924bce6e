"""Probes of identifiers: two different numbers are two resources, and every number works with every method."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ..api import (
    CHARGE_ID,
    CUSTOMER_NO,
    SUBSCRIPTION_NO,
    Api,
    NotTried,
    change,
    charge_path,
    charges_path,
    customer_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)
from ..contents import held, stable
from ..exchange import CONTRACT
from ..rows import rows
from ..schemas import parameter_schema
from ..states import few, listed, parents, thinned
from ..values import similar_numbers, special_numbers
from ._registry import probe


def _schemas(kind: str) -> list[Mapping[str, Any]]:
    """Return the schemas that limit a number: of a new resource, of a resource that is read, and of the path."""
    key = CONTRACT.keys[kind]
    found = [CONTRACT.creations[kind]["properties"].get(key, {}), CONTRACT.resources[kind]["properties"].get(key, {})]
    return [*found, parameter_schema(kind)]


def _family(api: Api, kind: str) -> list[str]:
    """Return a new number and the numbers that software may take for the same number."""
    start = api.prefix if kind == "customer" else ""
    number = f"{start}{secrets.token_hex(2)}0aB1å"
    found = similar_numbers(number, _schemas(kind))
    if not found:
        raise NotTried(f"the contract does not allow the number {number} for a {kind}")
    found = [each for each in found if _may_send(api, kind, each)]
    return found[: 16 if kind == "customer" else 32] if api.real else list(thinned(api, found))


def _may_send(api: Api, kind: str, number: str) -> bool:
    """Return whether a number may be created. Whether `%2F` reaches a real endpoint is not known."""
    return not api.real or ("/" not in number and (kind == "subscription" or number.startswith(api.prefix)))


@probe("state")
def similar_numbers_are_different_customers(api: Api) -> None:
    """A customer is found by its own number only, and has only its own subscriptions and charges."""
    for order in few(api, (1, -1), 1):  # a prefix before its longer number, and after it
        numbers = _family(api, "customer")[::order]
        own: dict[str, Any] = {}
        for number in numbers:
            api.missing(api.get(*customer_path(number)), "customer")
            api.missing(api.get(*charges_path(number)), "customer")
            created = api.succeeds(api.post(*customers_path(), body=new_customer(number)))
            api.same("held_as_sent", created.object[CUSTOMER_NO], number, created)
            own[number] = api.charge(number)
            api.subscription(number, "1")
        for number in numbers:
            api.expect(api.post(*customers_path(), body=new_customer(number)), *CONTRACT.duplicates["customer"])
        _have_only_their_own(api, {(number,): charge for number, charge in own.items()})


@probe("state")
def similar_numbers_are_different_subscriptions(api: Api) -> None:
    """A subscription is found by its own number only, and has only its own charges."""
    for order in few(api, (1, -1), 1):
        customer, numbers = api.customer(), _family(api, "subscription")[::order]
        own: dict[str, Any] = {}
        for number in numbers:
            api.missing(api.get(*subscription_path(customer, number)), "subscription")
            api.missing(api.get(*charges_path(customer, number)), "subscription")
            created = api.succeeds(api.post(*subscriptions_path(customer), body=new_subscription(number)))
            api.same("held_as_sent", created.object[SUBSCRIPTION_NO], number, created)
            own[number] = api.charge(customer, number)
        for number in numbers:
            again = api.post(*subscriptions_path(customer), body=new_subscription(number))
            api.expect(again, *CONTRACT.duplicates["subscription"])
        api.same("lists_are_complete", _numbers(api, customer), sorted(numbers))
        _have_only_their_own(api, {(customer, number): charge for number, charge in own.items()})
        _can_be_removed(api, customer, numbers)


@probe("state")
def every_number_works_with_every_method(api: Api) -> None:
    """Each number that the contract allows can be created, read, changed and removed, also with charges."""
    body = new_charge(rows("create", later=True)[-1])
    for number in thinned(api, special_numbers(_schemas("customer"), few=api.real), 6):
        if _may_send(api, "customer", number):
            created = api.post(*customers_path(), body=new_customer(number))
            if not created.succeeded:  # the numbers are short, so another probe may have created the customer
                api.expect(created, *CONTRACT.duplicates["customer"])
            read = api.succeeds(api.get(*customer_path(number)))
            api.same("held_as_sent", read.object[CUSTOMER_NO], number, read)
            _try_charges(api, (number,), body)
    customer = api.customer()
    special = special_numbers(_schemas("subscription"), few=api.real)
    numbers = list(thinned(api, [each for each in special if _may_send(api, "subscription", each)], 48))
    for number in numbers:
        api.subscription(customer, number)
        read = api.succeeds(api.get(*subscription_path(customer, number)))
        api.same("held_as_sent", read.object[SUBSCRIPTION_NO], number, read)
        _try_charges(api, (customer, number), body)
    api.same("lists_are_complete", _numbers(api, customer), sorted(numbers))
    _can_be_removed(api, customer, numbers)


@probe("state")
def every_spelling_of_a_path_is_the_same_path(api: Api) -> None:
    """A path may have encoded letters, lower-case hexadecimal digits, and a plain `+` (RFC 3986, 2.2 and 6.2.2)."""
    customer = api.customer()
    for number in similar_numbers("aB1å+&=,;@:!$'()*", _schemas("subscription"))[:1]:
        api.subscription(customer, number)
        for spell in (_lower, _all_encoded, _bare):
            base = api.path(*charges_path(customer, "n")).replace("/n/", f"/{spell(number)}/")
            before = set(listed(api, (customer, number)))
            made = api.succeeds(api.send("POST", raw_path=base, body=new_charge())).object
            api.same("a_path_is_its_decoded_text", {*listed(api, (customer, number))} - before, {made[CHARGE_ID]})
            item = f"{base}/{spell(str(made[CHARGE_ID]))}"
            read = api.succeeds(api.send("GET", raw_path=item)).object
            api.same("a_path_is_its_decoded_text", stable("charge", read), stable("charge", made))
            if CONTRACT.update_method == "PATCH":
                api.succeeds(api.send("PATCH", raw_path=item, body=change()))
            if api.can_delete(*charge_path((customer, number), made)):
                api.succeeds(api.send("DELETE", raw_path=item))
                api.same("a_path_is_its_decoded_text", {*listed(api, (customer, number))}, before)


@probe("state")
def an_id_is_not_another_id(api: Api) -> None:
    """A charge is found, changed and removed by its whole id only, without a character more or less."""
    schema = parameter_schema("charge")
    if schema.get("type") != "string" or {"format", "pattern"} & set(schema):
        raise NotTried("two texts may be the same id, because the id is not any text")
    for parent in parents(api):
        made = [api.charge(*parent) for _ in range(3)]
        before = {key: stable("charge", each) for key, each in listed(api, parent).items()}
        own = {str(each[CHARGE_ID]) for each in made}
        for text in thinned(api, similar_numbers(str(made[1][CHARGE_ID]), [schema])):
            if text in own | {".", ".."}:
                continue
            route = charge_path(parent, {CHARGE_ID: text})
            for answer in (api.get(*route), api.update(*route, body=change()), *_removed(api, route)):
                api.missing(answer, "charge")
        after = {key: stable("charge", each) for key, each in listed(api, parent).items()}
        api.same("a_refused_request_changes_nothing", after, before)


def _lower(number: str) -> str:
    encoded = quote(number, safe="")
    return "".join(
        each.lower() if "%" in encoded[max(0, place - 2) : place + 1] else each for place, each in enumerate(encoded)
    )


def _bare(number: str) -> str:
    return quote(number, safe=":@!$&'()*+,;=")


def _all_encoded(number: str) -> str:
    return "".join(f"%{byte:02X}" for byte in number.encode())


def _removed(api: Api, route: tuple[str, ...]) -> list[Any]:
    return [api.delete(*route)] if api.can_delete(*route) else []


def _numbers(api: Api, customer: str) -> list[str]:
    return sorted(str(each[SUBSCRIPTION_NO]) for each in api.subscriptions(customer))


def _have_only_their_own(api: Api, own: Mapping[tuple[str, ...], Mapping[str, Any]]) -> None:
    """Check that each parent has its own charge and no other, then change and remove every second charge."""
    parents_of_charges = list(own)
    for parent, charge in own.items():
        api.same("a_child_has_one_parent", [*listed(api, parent)], [charge[CHARGE_ID]])
        if len(parent) == 1:
            api.same("a_child_has_one_parent", _numbers(api, parent[0]), ["1"])
    removed = [each for each in parents_of_charges[::2] if api.can_delete(*charge_path(each, own[each]))]
    for parent in removed:
        route = charge_path(parent, own[parent])
        if CONTRACT.update_method:
            api.succeeds(api.update(*route, body=change()))
        api.succeeds(api.delete(*route))
    for parent, charge in own.items():
        expected = [] if parent in removed else [charge[CHARGE_ID]]
        api.same("only_it_is_deleted", [*listed(api, parent)], expected)


def _try_charges(api: Api, parent: tuple[str, ...], body: dict[str, Any]) -> None:
    """Add, read, change and remove a charge of a parent."""
    made = api.charge(*parent, wire=body)
    route = charge_path(parent, made)
    api.same("held_as_sent", held(api.succeeds(api.get(*route)).object), held(body))
    if made[CHARGE_ID] not in listed(api, parent):
        api.broke("lists_are_complete", f"a new charge is not in the list of {parent[-1]!r}")
    if CONTRACT.update_method:
        changed = api.shown(api.update(*route, body=change(quantity=5)))
        api.same("held_as_sent", held(changed.object), held(body | change(quantity=5)), changed)
    if api.can_delete(*route):
        api.succeeds(api.delete(*route))
        api.missing(api.get(*route), "charge")


def _can_be_removed(api: Api, customer: str, numbers: Sequence[str]) -> None:
    """Remove subscriptions one by one, and check now and then that all others are left."""
    if not numbers or not api.can_delete(*subscription_path(customer, numbers[0])):
        return
    left = list(numbers)
    for index, number in enumerate(numbers):
        route = subscription_path(customer, number)
        api.succeeds(api.delete(*route))
        api.missing(api.get(*route), "subscription")
        left.remove(number)
        if index % 16 == 0 or len(left) < 3:
            api.same("only_it_is_deleted", _numbers(api, customer), sorted(left))
