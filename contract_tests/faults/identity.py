"""State that confuses which is which: duplicates, ids, and parents."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from payex_billing_mock import Store

from ._planting import CUSTOMER_NO, SUBSCRIPTION_NO, stores
from .state import JsonObject, View

FAMILY = "state"


@stores(FAMILY, "a duplicate customer replaces the first")
class DuplicateReplaces(Store):
    def create_customer(self, ledger: str, body: JsonObject) -> Any:
        for each in self.customers(ledger):
            if each.key.customer == body[CUSTOMER_NO]:
                each.subscriptions.clear()
                each.charges.clear()
                each.document, each.rendered = dict(body), None
                return each
        return super().create_customer(ledger, body)


@stores(FAMILY, "a duplicate subscription is accepted")
class DuplicateSubscription(Store):
    def create_subscription(self, ledger: str, customer_no: str, body: JsonObject) -> Any:
        self.customer(ledger, customer_no).subscriptions.pop(body[SUBSCRIPTION_NO], None)
        return super().create_subscription(ledger, customer_no, body)


@stores(FAMILY, "a duplicate customer is refused, but loses its charges")
class DuplicateEmpties(Store):
    def create_customer(self, ledger: str, body: JsonObject) -> Any:
        for each in self.customers(ledger):
            if each.key.customer == body[CUSTOMER_NO]:
                each.charges.clear()
        return super().create_customer(ledger, body)


@stores(FAMILY, "an equal charge is refused as a duplicate")
class EqualIsRefused(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        for each in self.charges(ledger, customer, subscription).values():
            if each.document == body:
                return each
        return super().create_charge(ledger, customer, subscription, body)


@stores(FAMILY, "a charge is created twice")
class CreatedTwice(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        super().create_charge(ledger, customer, subscription, dict(body))
        return super().create_charge(ledger, customer, subscription, body)


@stores(FAMILY, "a charge of a subscription is created at its customer too")
class CreatedAtTheParent(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        if subscription:
            super().create_charge(ledger, customer, "", dict(body))
        return super().create_charge(ledger, customer, subscription, body)


@stores(FAMILY, "ids are counted per customer")
class IdsCollide(Store):
    def __init__(self) -> None:
        super().__init__()
        self.made: dict[tuple[str, str, str], int] = defaultdict(int)

    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        self.made[ledger, customer, subscription] += 1
        self.new_id = lambda: f"c{self.made[ledger, customer, subscription]}"
        return super().create_charge(ledger, customer, subscription, body)


@stores(FAMILY, "every tenth id is that of the charge before")
class IdsRepeat(Store):
    def __init__(self) -> None:
        super().__init__()
        numbers = iter(range(10**9))
        self.new_id = lambda: f"x{(number := next(numbers)) - (number % 10 == 9)}"


@stores(FAMILY, "a charge can be read, changed and removed under any parent")
class AnyParent(Store):
    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Any:
        self.charges(ledger, customer, subscription)
        for each in self.customers(ledger):
            owners: list[Any] = [each, *each.subscriptions.values()]
            for owner in owners:
                if charge_id in owner.charges:
                    return owner.charges[charge_id]
        return super().charge(ledger, customer, subscription, charge_id)

    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        key = self.charge(ledger, customer, subscription, charge_id).key
        super().delete_charge(key.ledger, key.customer, key.subscription, charge_id)


@stores(FAMILY, "a customer's list has the charges of its subscriptions too")
class ListOfAll(Store):
    def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Any]:
        held = super().charges(ledger, customer, subscription)
        if subscription:
            return held
        more = [
            charge
            for each in self.customer(ledger, customer).subscriptions.values()
            for charge in each.charges.values()
        ]
        return View(held, dict(enumerate([*held.values(), *more])))  # type: ignore[arg-type]


@stores(FAMILY, "subscriptions of one number are shared by all customers")
class SharedSubscriptions(Store):
    def __init__(self) -> None:
        super().__init__()
        self.shared: dict[str, dict[str, Any]] = defaultdict(dict)

    def create_subscription(self, ledger: str, customer_no: str, body: JsonObject) -> Any:
        made = super().create_subscription(ledger, customer_no, body)
        made.charges = self.shared[body[SUBSCRIPTION_NO]]
        return made


@stores(FAMILY, "customer numbers are the same in upper and lower case")
class CaseDoesNotMatter(Store):
    def customer(self, ledger: str, number: str) -> Any:
        for each in self.customers(ledger):
            if each.key.customer.lower() == number.lower():
                return each
        return super().customer(ledger, number)
