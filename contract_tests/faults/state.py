"""Faults: the stored state differs from what was written."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from payex_billing_mock import Collection, Resource, Store

from contract_tests.api import new_customer
from contract_tests.exchange import CONTRACT, render

from ._planting import (
    CHARGE_ID,
    CHARGES,
    LISTS,
    Answer,
    MockWithFault,
    Next,
    Request,
    answers,
    behaves,
    items_in,
    read,
    stores,
    wire,
    with_body,
)

JsonObject = dict[str, Any]

FAMILY = "state"
CODE, QUANTITY, PRICE, TEXT, END = map(wire, ("product_code", "quantity", "unit_price", "text", "end_date"))


@stores(FAMILY, "a removed charge can still be read")
class ReadableAfterDelete(Store):
    def remove(self, resource: Resource) -> None:
        if resource.collection.role == "charge":
            graves(self)[resource.path] = resource
        super().remove(resource)

    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        grave = graves(self).get(f"{owner.path}/{collection.word}/{quote(number, safe='')}")
        return grave or super().find(owner, collection, number)


def graves(store: Store) -> dict[str, Resource]:
    """The charges that were removed from a store, by path."""
    found: dict[str, Resource] = store.__dict__.setdefault("graves", {})
    return found


@stores(FAMILY, "a removal answers 204 and does nothing")
class DeleteDoesNothing(Store):
    def remove(self, resource: Resource) -> None:
        if resource.collection.role != "charge":
            super().remove(resource)


@stores(FAMILY, "the removal of a subscription does nothing")
class SubscriptionStays(Store):
    def remove(self, resource: Resource) -> None:
        if resource.collection.role != "subscription":
            super().remove(resource)


@stores(FAMILY, "a removal takes equal charges along")
class DeleteTakesEqual(Store):
    def remove(self, resource: Resource) -> None:
        for each in self.listed(resource.owner or resource, resource.collection):
            if each.document == resource.document:
                super().remove(each)


@answers(FAMILY, "a second removal is answered 204")
def delete_twice(request: Request, answer: Answer) -> Answer:
    is_gone = request.method == "DELETE" and CONTRACT.not_found["charge"].encode() in answer.body
    return Answer(204, {}, b"") if is_gone else answer


@stores(FAMILY, "the removal of a subscription takes the customer's own charges along")
class DeleteTakesParents(Store):
    def remove(self, resource: Resource) -> None:
        super().remove(resource)
        if resource.owner is not None and resource.collection.role == "subscription":
            resource.owner.charges.clear()


@stores(FAMILY, "charges of a removed subscription come back with a new one")
class ChildrenSurvive(Store):
    def remove(self, resource: Resource) -> None:
        orphans(self)[resource.path] = dict(resource.charges)
        super().remove(resource)

    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        made = super().create(owner, collection, content)
        made.charges.update(orphans(self).get(made.path, {}))
        return made


def orphans(store: Store) -> dict[str, dict[str, Resource]]:
    """The charges of removed subscriptions, by the path of the subscription."""
    found: dict[str, dict[str, Resource]] = store.__dict__.setdefault("orphans", {})
    return found


@behaves(FAMILY, "charges of a removed subscription can still be read")
def orphans_readable(app: MockWithFault, request: Request, ask: Next) -> Answer:
    kept: dict[bytes, Answer] = app.__dict__.setdefault("kept", {})
    if request.method == "DELETE":
        path = request.raw_path + f"/{CHARGES}/".encode()
        listed = ask(replace(request, method="GET", raw_path=path.rstrip(b"/"), body=b""))
        for charge in items_in(read(listed)) or () if listed.status == 200 else ():
            item = path + quote(str(charge[CHARGE_ID]), safe="").encode()
            kept[item] = ask(replace(request, method="GET", raw_path=item, body=b""))
    answer = ask(request)
    return kept.get(request.raw_path, answer) if request.method == "GET" and answer.status == 404 else answer


@stores(FAMILY, "a change answers the new state and keeps the old")
class ChangeIsNotKept(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        before = dict(resource.document)
        super().merge(resource, changes)
        answer = Resource(resource.collection, resource.owner, resource.id, resource.document)
        resource.document = before
        return answer


@stores(FAMILY, "a change resets what was not sent")
class ChangeResets(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        resource.document = {CODE: resource.document[CODE]}
        return super().merge(resource, changes)


@stores(FAMILY, "a change of the price resets the text")
class ChangeResetsText(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        return super().merge(resource, {TEXT: None, **changes} if PRICE in changes else changes)


@stores(FAMILY, "null in a change is taken for left out")
class NullIsAbsent(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        return super().merge(resource, {name: value for name, value in changes.items() if value is not None})


@stores(FAMILY, "a change changes all charges of the product")
class ChangeOfAll(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        changed = super().merge(resource, changes)
        for each in self.listed(resource.owner or resource, resource.collection):
            if each.document[CODE] == changed.document[CODE]:
                each.document = dict(changed.document)
        return changed


@stores(FAMILY, "a change that is refused is done in part")
class HalfDone(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        if TEXT in changes:
            resource.document = resource.document | {TEXT: changes[TEXT]}
        return super().merge(resource, changes)


@stores(FAMILY, "the list shows a charge as it was before its change")
class StaleList(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        made = super().create(owner, collection, content)
        first: dict[str, Resource] = self.__dict__.setdefault("first", {})
        first[made.path] = Resource(collection, owner, made.id, dict(made.document))
        return made

    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        first: dict[str, Resource] = self.__dict__.setdefault("first", {})
        return [first.get(each.path, each) for each in super().listed(owner, collection)]


def _shown(name: str, description: str, show: Any) -> None:
    class Shows(Store):
        def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
            held = super().listed(owner, collection)
            return list(show(held)) if collection.role == "charge" else held

    Shows.__name__ = name
    stores(FAMILY, description)(Shows)


_shown("ListMissesLast", "a list of more than ten misses the last", lambda held: held[:-1] if len(held) > 10 else held)
_shown("ListEndsAt100", "a list ends at one hundred", lambda held: held[:100])
_shown(
    "ListRepeats", "a list of more than five repeats its first", lambda held: held + held[:1] if len(held) > 5 else held
)
_shown("ListOrderChanges", "the order of a list changes between reads", lambda held: random.sample(held, len(held)))
_shown(
    "ListMerges",
    "equal charges are listed once",
    lambda held: {str(each.document): each for each in held}.values(),
)


def created(name: str, description: str, change: Any) -> None:
    """Register a store that changes the content of a new charge before it is stored."""

    class Creates(Store):
        def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
            return super().create(owner, collection, change(content) if collection.role == "charge" else content)

    Creates.__name__ = name
    stores(FAMILY, description)(Creates)


def _text(change: Any) -> Any:
    return lambda content: content | ({TEXT: change(content[TEXT])} if isinstance(content.get(TEXT), str) else {})


def _only(names: Iterable[str]) -> Any:
    return lambda content: {name: value for name, value in content.items() if name in names}


created("TextTrimmed", "texts are trimmed", _text(str.strip))
created(
    "CodeInUpperCase",
    "product codes are held in upper case",
    lambda content: content | {CODE: content[CODE].upper()},
)
created(
    "QuestionMarks",
    "characters beyond Latin-1 are held as question marks",
    _text(lambda text: text.encode("latin-1", "replace").decode("latin-1")),
)
created("DefaultInvented", "a charge without an end gets one", lambda content: {END: "2099-12-31", **content})
created(
    "EndADayEarly",
    "an end is held a day early",
    lambda content: content | ({END: "2026-12-30"} if content.get(END) == "2026-12-31" else {}),
)
created(
    "TwoDecimals",
    "a price is held with two decimals",
    lambda content: content | ({PRICE: round(content[PRICE], 2)} if isinstance(content.get(PRICE), Decimal) else {}),
)
created(
    "UnknownLost",
    "unknown properties of a charge are lost",
    _only(CONTRACT.creations["charge"]["properties"]),
)


created(
    "FalsyUnknownLost",
    "unknown properties that are false, 0 or empty are lost",
    lambda content: {
        name: value
        for name, value in content.items()
        if value or value is None or name in CONTRACT.creations["charge"]["properties"]
    },
)


@stores(FAMILY, "a price is held in single precision")
class SinglePrecision(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        changed = super().merge(resource, changes)
        price = changed.document.get(PRICE)
        if isinstance(price, Decimal):
            changed.document[PRICE] = Decimal(f"{float(price):.7g}")
        return changed


@stores(FAMILY, "each change adds a millionth to the price")
class PriceDrifts(Store):
    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        changed = super().merge(resource, changes)
        price = changed.document.get(PRICE)
        if isinstance(price, Decimal) and PRICE not in changes:
            changed.document[PRICE] = price + Decimal("0.000001")
        return changed


@stores(FAMILY, "unknown properties of a customer are lost")
class UnknownOfCustomerLost(Store):
    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        keep = _only(CONTRACT.creations["customer"]["properties"])
        return super().create(owner, collection, keep(content) if collection.role == "customer" else content)


@stores(FAMILY, "a read counts the quantity up")
class ReadChanges(Store):
    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        found = super().find(owner, collection, number)
        if found.document.get(QUANTITY):
            found.document = found.document | {QUANTITY: found.document[QUANTITY] + 1}
        return found


@stores(FAMILY, "a read of a customer that is not there makes it")
class ReadCreates(Store):
    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        try:
            return super().find(owner, collection, number)
        finally:
            if collection.role == "customer" and number not in owner.items.get(collection.word, {}):
                self.create(owner, collection, new_customer(number))


@behaves(FAMILY, "a new charge is listed only at the second look")
def listed_late(app: MockWithFault, request: Request, ask: Next) -> Answer:
    fresh: set[bytes] = app.__dict__.setdefault("fresh", set())
    answer = ask(request)
    if request.method == "POST" and answer.status < 300 and request.raw_path.endswith(f"/{CHARGES}".encode()):
        fresh.add(request.raw_path)
    elif request.method == "GET" and request.raw_path in fresh:
        fresh.discard(request.raw_path)
        listed: dict[str, Any] = {name: [] for name in LISTS if f'"{name}":['.encode() in answer.body}
        return with_body(answer, render(listed | {"navigation": {"@id": request.raw_path.decode()}}))
    return answer
