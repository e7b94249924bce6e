"""What the mock remembers: per ledger its customers, their subscriptions, and the charges of both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol, TypeVar

from .contract import Failure
from .problems import Refusal

JsonObject = dict[str, Any]

# What the server says of a resource; sent by a client, it is ignored.
CUSTOMER_READ_ONLY = frozenset({"@id", "recurringProducts", "subscriptions", "operations"})
SUBSCRIPTION_READ_ONLY = frozenset({"@id", "recurringProducts", "operations"})
CHARGE_READ_ONLY = frozenset({"@id", "recurringProductId", "billedUntil", "operations"})


@dataclass(frozen=True, slots=True)
class Key:
    """Where a resource is; a level that does not apply is empty."""

    ledger: str
    customer: str
    subscription: str = ""
    charge: str = ""


class Persistence(Protocol):
    """Keeps every change at once, so that nothing answered is lost when the process ends."""

    def load(self) -> Iterable[tuple[Key, JsonObject]]:
        """All resources, parents before their children, each group in the order it was made."""

    def put(self, key: Key, document: JsonObject) -> None:
        """Keep a new or changed resource."""

    def remove(self, key: Key) -> None:
        """Forget a resource and what is under it."""


@dataclass(slots=True)
class Charge:
    """A recurring product. `document` is what the client sent, unknown properties included."""

    key: Key
    document: JsonObject
    rendered: str | None = None  # the JSON text of its answer, kept until it changes


@dataclass(slots=True)
class Subscription:
    """A subscription and its charges, by id."""

    key: Key
    document: JsonObject
    charges: dict[str, Charge] = field(default_factory=dict)
    rendered: str | None = None


@dataclass(slots=True)
class Customer:
    """A customer, its subscriptions by number, and its own charges by id."""

    key: Key
    document: JsonObject
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    charges: dict[str, Charge] = field(default_factory=dict)
    rendered: str | None = None


def _random_id() -> str:
    return secrets.token_hex(8)


class Store:
    """The state of the mock.

    Every method raises `Refusal` with the problem that the API answers. Ids of charges are random, so that none tells
    how many another ledger has.
    """

    def __init__(self, persistence: Persistence | None = None, new_id: Callable[[], str] = _random_id) -> None:
        self._ledgers: dict[str, dict[str, Customer]] = {}
        self._persistence = persistence
        self.new_id = new_id
        if persistence is not None:
            for key, document in persistence.load():
                self._restore(key, document)

    # customers

    def customer(self, ledger: str, number: str) -> Customer:
        """Read a customer."""
        return _found(self._ledgers.get(ledger, {}).get(number), "customer-not-found")

    def customers(self, ledger: str) -> Iterator[Customer]:
        """All customers of a ledger. Not in the API: for consoles and tests."""
        yield from self._ledgers.get(ledger, {}).values()

    def create_customer(self, ledger: str, body: JsonObject) -> Customer:
        """Create a customer."""
        customers = self._ledgers.setdefault(ledger, {})
        number = body["customerNo"]
        if number in customers:
            raise Refusal("customer-already-exists")
        customer = Customer(Key(ledger, number), _without(body, CUSTOMER_READ_ONLY))
        customers[number] = customer
        self._put(customer.key, customer.document)
        return customer

    # subscriptions

    def subscription(self, ledger: str, customer: str, number: str) -> Subscription:
        """Read a subscription."""
        return _found(self.customer(ledger, customer).subscriptions.get(number), "subscription-not-found")

    def create_subscription(self, ledger: str, customer_no: str, body: JsonObject) -> Subscription:
        """Create a subscription."""
        customer = self.customer(ledger, customer_no)
        number = body["subscriptionNo"]
        if number in customer.subscriptions:
            raise Refusal("subscription-already-exists")
        key = Key(ledger, customer_no, number)
        subscription = Subscription(key, _without(body, SUBSCRIPTION_READ_ONLY))
        customer.subscriptions[number] = subscription
        self._put(key, subscription.document)
        return subscription

    def delete_subscription(self, ledger: str, customer: str, number: str) -> None:
        """Remove a subscription with its charges."""
        subscription = self.subscription(ledger, customer, number)
        del self.customer(ledger, customer).subscriptions[number]
        self._remove(subscription.key)

    # charges; `subscription` is empty for a customer's own

    def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Charge]:
        """The charges of a customer or a subscription, by id, oldest first."""
        if subscription:
            return self.subscription(ledger, customer, subscription).charges
        return self.customer(ledger, customer).charges

    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Charge:
        """Read a charge."""
        return _found(self.charges(ledger, customer, subscription).get(charge_id), "recurring-product-not-found")

    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        """Add a charge."""
        charges = self.charges(ledger, customer, subscription)
        document = _without(body, CHARGE_READ_ONLY)
        _refuse_end_before_start(document)
        key = Key(ledger, customer, subscription, self.new_id())
        charges[key.charge] = Charge(key, document)
        self._put(key, document)
        return charges[key.charge]

    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        """Change a charge: what is left out stays, null clears."""
        charge = self.charge(ledger, customer, subscription, charge_id)
        changed = charge.document | _without(body, CHARGE_READ_ONLY)
        changed = {name: value for name, value in changed.items() if value is not None or name not in body}
        _refuse_end_before_start(changed)
        self._replace(charge, changed)
        return charge

    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        """Remove a charge."""
        charge = self.charge(ledger, customer, subscription, charge_id)
        del self.charges(ledger, customer, subscription)[charge_id]
        self._remove(charge.key)

    def bill_run(self, ledger: str, until: date) -> int:
        """Bill every started charge up to a date, or to its end if that is earlier; say how many were billed.

        Not in the API: Billing does it by itself. Here it makes `billedUntil` appear.
        """
        billed = 0
        for customer in self.customers(ledger):
            owners: list[Customer | Subscription] = [customer, *customer.subscriptions.values()]
            for owner in owners:
                for charge in owner.charges.values():
                    if (charge.document.get("startDate") or "") <= until.isoformat():
                        end = min(until.isoformat(), charge.document.get("endDate") or until.isoformat())
                        self._replace(charge, charge.document | {"billedUntil": end})
                        billed += 1
        return billed

    def clear(self) -> None:
        """Forget all. Not in the API: for consoles and tests."""
        for customers in self._ledgers.values():
            for customer in customers.values():
                for subscription in customer.subscriptions.values():
                    self._remove(subscription.key)
                self._remove(customer.key)
        self._ledgers.clear()

    # keeping

    def _replace(self, charge: Charge, document: JsonObject) -> None:
        charge.document = document
        charge.rendered = None
        self._put(charge.key, document)

    def _put(self, key: Key, document: JsonObject) -> None:
        if self._persistence is not None:
            self._persistence.put(key, document)

    def _remove(self, key: Key) -> None:
        if self._persistence is not None:
            self._persistence.remove(key)

    def _restore(self, key: Key, document: JsonObject) -> None:
        if key.charge:
            self.charges(key.ledger, key.customer, key.subscription)[key.charge] = Charge(key, document)
        elif key.subscription:
            self.customer(key.ledger, key.customer).subscriptions[key.subscription] = Subscription(key, document)
        else:
            self._ledgers.setdefault(key.ledger, {})[key.customer] = Customer(key, document)


_Resource = TypeVar("_Resource")


def _found(resource: _Resource | None, code: str) -> _Resource:
    if resource is None:
        raise Refusal(code)
    return resource


def _without(body: Mapping[str, Any], names: frozenset[str]) -> JsonObject:
    return {name: value for name, value in body.items() if name not in names}


def _refuse_end_before_start(document: JsonObject) -> None:
    start, end = document.get("startDate"), document.get("endDate")
    if start is not None and end is not None and end < start:  # yyyy-MM-dd sorts as text
        raise Refusal(
            "unprocessable",
            "The charge ends before it starts",
            failures=[Failure("endDate", "must not be before startDate")],
        )
