"""Faults: the mock confuses resources, by duplicates, ids or parents."""

from __future__ import annotations

import itertools
from collections import defaultdict

from payex_billing_mock import Collection, Resource, Store

from ._planting import CUSTOMER_NO, SUBSCRIPTION_NO, stores
from .state import JsonObject

FAMILY = "state"


@stores(FAMILY, "a duplicate customer replaces the first")
class DuplicateReplaces(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        if collection.role == "customer":
            owner.items.get(collection.word, {}).pop(content[CUSTOMER_NO], None)
        return super().create(owner, collection, content)


@stores(FAMILY, "a duplicate subscription is accepted")
class DuplicateSubscription(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        if collection.role == "subscription":
            owner.subscriptions.pop(content[SUBSCRIPTION_NO], None)
        return super().create(owner, collection, content)


@stores(FAMILY, "a duplicate customer is refused, but loses its charges")
class DuplicateEmpties(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        found = owner.items.get(collection.word, {}).get(content.get(CUSTOMER_NO, ""))
        if found is not None:
            found.charges.clear()
        return super().create(owner, collection, content)


@stores(FAMILY, "an equal charge is refused as a duplicate")
class EqualIsRefused(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        for each in self.listed(owner, collection) if collection.role == "charge" else ():
            if each.document == content:
                return each
        return super().create(owner, collection, content)


@stores(FAMILY, "a charge is created twice")
class CreatedTwice(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        if collection.role == "charge":
            super().create(owner, collection, dict(content))
        return super().create(owner, collection, content)


@stores(FAMILY, "a charge of a subscription is created at its customer too")
class CreatedAtTheParent(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        above = owner.owner.collection.child("charge") if owner.owner is not None else None
        if collection.role == "charge" and owner.owner is not None and above is not None:
            super().create(owner.owner, above, dict(content))
        return super().create(owner, collection, content)


@stores(FAMILY, "ids are counted per customer")
class IdsCollide(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        counts = self.__dict__.setdefault("counts", defaultdict(itertools.count))
        self.new_id = lambda _: f"c{next(counts[owner.path]) + 1}"
        return super().create(owner, collection, content)


@stores(FAMILY, "every tenth id is that of the charge before")
class IdsRepeat(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        numbers = self.__dict__.setdefault("numbers", itertools.count())
        self.new_id = lambda _: f"x{(number := next(numbers)) - (number % 10 == 9)}"
        return super().create(owner, collection, content)


@stores(FAMILY, "a new charge gets the id of the charge that was removed last")
class IdUsedAgain(Store):
    def remove(self, resource: Resource) -> None:
        super().remove(resource)
        if resource.collection.role == "charge":
            self.__dict__.setdefault("free", {})[resource.owner.path if resource.owner else ""] = str(resource.id)

    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        free = self.__dict__.get("free", {}).pop(owner.path, None) if collection.role == "charge" else None
        fresh, self.new_id = self.new_id, (lambda kind: free) if free else self.new_id
        try:
            return super().create(owner, collection, content)
        finally:
            self.new_id = fresh


@stores(FAMILY, "a charge can be read, changed and removed under any parent")
class AnyParent(Store):
    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        if collection.role != "charge":
            return super().find(owner, collection, number)
        ledger = owner
        while ledger.owner is not None:
            ledger = ledger.owner
        for each in self.customers(str(ledger.id)):
            for other in (each, *each.subscriptions.values()):
                if number in other.charges:
                    return other.charges[number]
        return super().find(owner, collection, number)


@stores(FAMILY, "a customer's list has the charges of its subscriptions too")
class ListOfAll(Store):
    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        held = super().listed(owner, collection)
        if collection.role != "charge":
            return held
        return held + [charge for each in owner.subscriptions.values() for charge in each.charges.values()]


@stores(FAMILY, "subscriptions of one number are shared by all customers")
class SharedSubscriptions(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        made = super().create(owner, collection, content)
        if collection.role == "subscription":
            made.items = self.__dict__.setdefault("shared", {}).setdefault(made.id, {})
        return made


@stores(FAMILY, "customer numbers are the same in upper and lower case")
class CaseDoesNotMatter(Store):
    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        for each in self.listed(owner, collection) if collection.role == "customer" else ():
            if str(each.id).lower() == number.lower():
                return each
        return super().find(owner, collection, number)
