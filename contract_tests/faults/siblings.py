"""Faults: a write changes other resources than its own, or a resource is found under another number."""

from __future__ import annotations

import re
from typing import Any

from payex_billing_mock import Collection, Resource, Store

from contract_tests.exchange import CONTRACT

from ._planting import CHARGE_ID, stores, wire, without
from .state import JsonObject

FAMILY = "state"
PRICE, TEXT = wire("unit_price"), wire("text")


def _content(charge: Resource) -> JsonObject:
    return without(charge.document, CONTRACT.self_link, CHARGE_ID)


@stores(FAMILY, "the removal of a charge removes the oldest equal charge")
class OldestEqualRemoved(Store):
    def remove(self, resource: Resource) -> None:
        equal = [resource]
        if resource.collection.role == "charge" and resource.owner is not None:
            equal = [
                each
                for each in self.listed(resource.owner, resource.collection)
                if _content(each) == _content(resource)
            ]
        super().remove(equal[0])


@stores(FAMILY, "a change of a subscription's charge changes the equal charge of the customer too")
class ChangeOnBothLevels(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        before = _content(resource)
        changed = super().merge(resource, changes)
        customer = resource.owner.owner if resource.owner is not None else None
        for charge in customer.charges.values() if customer is not None else ():
            if _content(charge) == before:
                charge.document = charge.document | _content(changed)
        return changed


@stores(FAMILY, "the removal of a subscription removes another customer's subscription of this number without charges")
class EmptyNamesakeRemoved(Store):
    def remove(self, resource: Resource) -> None:
        super().remove(resource)
        owner, number = resource.owner, str(resource.id)
        if resource.collection.role != "subscription" or owner is None or owner.owner is None:
            return
        for customer in owner.owner.items[owner.collection.word].values():
            if number in customer.subscriptions and not customer.subscriptions[number].charges:
                del customer.subscriptions[number]


@stores(FAMILY, "a text that was cleared comes back when the price changes")
class ClearedTextReturns(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        cleared: dict[str, Any] = self.__dict__.setdefault("cleared", {})
        if TEXT in changes and changes[TEXT] is None:
            cleared[resource.path] = resource.document.get(TEXT)
        elif PRICE in changes and TEXT not in changes and TEXT not in resource.document and resource.path in cleared:
            changes = changes | {TEXT: cleared[resource.path]}
        return super().merge(resource, changes)


@stores(FAMILY, "charges come back when their subscription is created for the third time")
class ThirdTimeKeeps(Store):
    def remove(self, resource: Resource) -> None:
        removed: dict[str, list[Any]] = self.__dict__.setdefault("removed", {})
        removed.setdefault(resource.path, []).append(dict(resource.charges))
        super().remove(resource)

    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        made = super().create(owner, collection, content)
        before = self.__dict__.get("removed", {}).get(made.path, [])
        if len(before) > 1:
            made.charges.update(before[-1])
        return made


@stores(FAMILY, "a list of exactly 25 charges misses the last")
class ListOf25(Store):
    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        found = super().listed(owner, collection)
        return found[:-1] if len(found) == 25 else found


def _found_as(name: str, description: str, role: str, pattern: Any) -> None:
    """Register a store that finds a resource by a text that only matches its number."""

    class Finds(Store):
        def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
            held = owner.items.get(collection.word, {})
            for key in held if collection.role == role and number not in held else ():
                if re.fullmatch(pattern(number), key):
                    return held[key]
            return super().find(owner, collection, number)

    Finds.__name__ = name
    stores(FAMILY, description)(Finds)


_found_as(
    "UnderscoreMatches",
    "an underscore in a customer number matches any character",
    "customer",
    lambda number: re.escape(number).replace("_", "."),
)
_found_as(
    "PercentMatches",
    "a percent sign at the end of a subscription number matches any text",
    "subscription",
    lambda number: re.escape(number[:-1]) + ".*" if number.endswith("%") else re.escape(number),
)
_found_as(
    "ZerosIgnored",
    "leading zeros of a subscription number mean nothing",
    "subscription",
    lambda number: "0*" + re.escape(number.lstrip("0")) if number.strip("0") else re.escape(number),
)
_found_as(
    "PrefixOfId",
    "a charge is found by the beginning of its id",
    "charge",
    lambda number: re.escape(number) + ".*" if len(number) > 4 else re.escape(number),
)
