"""The state of the mock: one tree of resources for each ledger, nested like the collections of the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from .contract import Contract, load_contract
from .json_text import parse, render
from .messages import Answer
from .problems import Failure, Refusal, invalid
from .resources import Collection, Key, Resource
from .schemas import ContractError, Id, JsonObject

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, document TEXT NOT NULL
)
"""


class SqlitePersistence:
    """Keeps one row per resource in a SQLite file. Writes the row before the mock sends the response.

    Raises:
        OSError: the file cannot be opened or is not a database of the mock.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise OSError(f"cannot keep the state in {path}: {error}") from error
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_SCHEMA)
            self._connection.execute("SELECT key FROM resource LIMIT 1")  # fails for a file of an older mock
        except sqlite3.Error as error:
            self._connection.close()
            raise OSError(f"cannot keep the state in {path}: {error}") from error

    def load(self) -> Iterator[tuple[Key, JsonObject]]:
        """Yield all resources in the order of their creation, so that an owner comes before what belongs to it."""
        for key, document in self._connection.execute("SELECT key, document FROM resource ORDER BY seq"):
            yield tuple(parse(key.encode())), parse(document.encode())

    def put(self, key: Key, document: JsonObject) -> None:
        """Save a new or changed resource. A changed resource keeps its place in the order."""
        self._connection.execute(
            "INSERT INTO resource (key, document) VALUES (?, ?) ON CONFLICT DO UPDATE SET document = excluded.document",
            (render(list(key)), render(document)),
        )

    def remove(self, key: Key) -> None:
        """Delete a resource."""
        self._connection.execute("DELETE FROM resource WHERE key = ?", (render(list(key)),))

    def close(self) -> None:
        """Close the database file."""
        self._connection.close()


class Store:
    """The state of the mock.

    The methods raise `Refusal` with the problem that the API responds with.

    Args:
        contract: the contract; by default the contract in this package.
        persistence: keeps the state over restarts; None means that the state is only in memory.

    Attributes:
        new_id: a function that returns the id of a new resource. Ids are random, so that an id does not reveal how many
            resources other ledgers have.
        replies: the first request and its response for each idempotency key, by ledger and key.
        changes: how often a resource was set or removed. A console that knows the number knows whether to look again.
    """

    def __init__(self, contract: Contract | None = None, persistence: SqlitePersistence | None = None) -> None:
        contract = contract or load_contract()
        self._root = contract.root
        self._ledgers: dict[str, Resource] = {}
        self._persistence = persistence
        self.new_id: Callable[[Collection], Id] = lambda collection: collection.new_id()
        self.replies: dict[tuple[str, str], tuple[object, Answer]] = {}
        self.changes = 0
        if persistence is not None:
            for key, document in persistence.load():
                self._restore(key, document)

    def ledger(self, number: str) -> Resource:
        """Return a ledger. The mock creates the ledger if it does not exist."""
        if number not in self._ledgers:
            self._ledgers[number] = Resource(self._root, None, number)
        return self._ledgers[number]

    def find(self, owner: Resource, collection: Collection, number: str) -> Resource:
        """Return an item of a collection.

        Raises:
            Refusal: the item does not exist. The refusal has the problem type of the collection.
        """
        found = owner.items.get(collection.word, {}).get(number)
        if found is None:
            missing = Failure(collection.id_parameter or collection.word, "does not exist")
            raise Refusal(collection.not_found, instead=missing)
        return found

    def listed(self, owner: Resource, collection: Collection) -> list[Resource]:
        """Return the items of a collection, oldest first."""
        return list(owner.items.get(collection.word, {}).values())

    def create(self, owner: Resource, collection: Collection, content: JsonObject) -> Resource:
        """Create an item of a collection."""
        number = content.get(collection.id_property or "") if collection.is_numbered_by_client else None
        if number is None:
            number = self.new_id(collection)
            if collection.is_numbered_by_client and collection.id_property:
                content = content | {collection.id_property: number}
        items = owner.items.setdefault(collection.word, {})
        if collection.is_numbered_by_client and str(number) in items:
            duplicate = Failure(collection.id_property or collection.word, "exists already")
            code = collection.already_exists
            raise invalid([duplicate]) if code is None else Refusal(code, instead=duplicate)
        resource = Resource(collection, owner, number)
        self._set(resource, content)
        items[str(number)] = resource
        return resource

    def merge(self, resource: Resource, changes: JsonObject) -> Resource:
        """Change the properties in `changes`, and keep all others. A null clears a property."""
        merged = resource.document | changes
        self._set(resource, {name: value for name, value in merged.items() if value is not None or name not in changes})
        return resource

    def replace(self, resource: Resource, content: JsonObject, kept: Iterable[str]) -> Resource:
        """Replace the content of a resource. Clear the properties that are neither in `content` nor in `kept`."""
        held = {name: resource.document[name] for name in kept if name in resource.document}
        self._set(resource, held | content)
        return resource

    def remove(self, resource: Resource) -> None:
        """Remove a resource and all resources that belong to it."""
        if resource.owner is not None:
            resource.owner.items[resource.collection.word].pop(str(resource.id), None)
        self._forget(resource)

    def clear(self) -> None:
        """Remove all resources and idempotency keys. Not part of the API: for consoles and tests."""
        for ledger in self._ledgers.values():
            self._forget(ledger)
        self._ledgers.clear()
        self.replies.clear()

    # Methods that find a collection by its role. Not part of the API: for consoles and tests.

    def customers(self, ledger: str) -> Iterator[Resource]:
        """Yield all customers of a ledger."""
        yield from self.listed(self.ledger(ledger), _child(self._root, "customer"))

    def customer(self, ledger: str, number: str) -> Resource:
        """Return a customer."""
        return self.find(self.ledger(ledger), _child(self._root, "customer"), number)

    def subscription(self, ledger: str, customer: str, number: str) -> Resource:
        """Return a subscription."""
        owner = self.customer(ledger, customer)
        return self.find(owner, _child(owner.collection, "subscription"), number)

    def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Resource]:
        """Return the charges of a customer or a subscription, by id, oldest first."""
        return self._owner(ledger, customer, subscription).charges

    def create_customer(self, ledger: str, content: JsonObject) -> Resource:
        """Create a customer."""
        return self.create(self.ledger(ledger), _child(self._root, "customer"), content)

    def create_subscription(self, ledger: str, customer: str, content: JsonObject) -> Resource:
        """Create a subscription."""
        owner = self.customer(ledger, customer)
        return self.create(owner, _child(owner.collection, "subscription"), content)

    def create_charge(self, ledger: str, customer: str, subscription: str, content: JsonObject) -> Resource:
        """Add a charge to a subscription, or to the customer itself if `subscription` is empty."""
        owner = self._owner(ledger, customer, subscription)
        return self.create(owner, _child(owner.collection, "charge"), content)

    def bill_run(self, ledger: str, until: date) -> int:
        """Bill every charge that has started, and return the number of billed charges.

        The method bills a charge up to the date `until`, or up to the charge's end if the end is earlier. PayEx Billing
        bills on its own; the mock bills only in this method, which sets `billedUntil`.
        """
        customers = list(self.customers(ledger))
        owners = [*customers, *(each for customer in customers for each in customer.subscriptions.values())]
        charges = [charge for owner in owners for charge in owner.charges.values()]
        started = [each for each in charges if (each.document.get(each.collection.meanings.start) or "") <= str(until)]
        for charge in started:
            names = charge.collection.meanings
            if not names.billed_until:
                raise ContractError("a charge of the contract does not show up to when it is billed")
            end = min(str(until), charge.document.get(names.end) or str(until))
            self._set(charge, charge.document | {names.billed_until: end})
        return len(started)

    def _owner(self, ledger: str, customer: str, subscription: str) -> Resource:
        return self.subscription(ledger, customer, subscription) if subscription else self.customer(ledger, customer)

    # Methods that save and restore resources.

    def _set(self, resource: Resource, document: JsonObject) -> None:
        _refuse_end_before_start(resource.collection, document)
        resource.document = document
        self.changes += 1
        if self._persistence is not None:
            self._persistence.put(resource.key, document)

    def _forget(self, resource: Resource) -> None:
        self.changes += 1
        if self._persistence is not None:
            self._persistence.remove(resource.key)
        for items in resource.items.values():
            for item in items.values():
                self._forget(item)

    def _restore(self, key: Key, document: JsonObject) -> None:
        resource = self.ledger(str(key[0]))
        for word, number in zip(key[1::2], key[2::2], strict=True):
            collection = next((each for each in resource.collection.children if each.word == word), None)
            if collection is None:
                raise ContractError(f"the kept state has {word!r}, which this contract does not have")
            items = resource.items.setdefault(collection.word, {})
            resource = items.setdefault(str(number), Resource(collection, resource, number))
        resource.document = document


def _child(collection: Collection, role: str) -> Collection:
    found = collection.child(role)
    if found is None:
        raise ContractError(f"the contract has no {role} there")
    return found


def _refuse_end_before_start(collection: Collection, document: Mapping[str, Any]) -> None:
    names = collection.meanings
    if not (names.start and names.end):  # the collection has no such dates
        return
    start, end = document.get(names.start), document.get(names.end)
    if start is not None and end is not None and end < start:  # yyyy-MM-dd: text order
        failure = Failure(names.end, f"must not be before {names.start}")
        raise Refusal("unprocessable", "The charge ends before it starts", failures=[failure], instead=failure)
