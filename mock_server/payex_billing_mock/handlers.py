"""The operations of the contract, by operation id: what each does to the store, and how its answer is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .json_text import render
from .store import Charge, Customer, JsonObject, Key, Store, Subscription


@dataclass(slots=True)
class Call:
    """A request that has passed every check of the contract."""

    store: Store
    prefix: str
    parameters: Mapping[str, str]
    body: JsonObject

    @property
    def owner(self) -> tuple[str, str, str]:
        """The ledger, the customer, and the subscription, which is empty at customer level."""
        values = self.parameters
        return values["ownerNo"], values["customerNo"], values.get("subscriptionNo", "")


def create_customer(call: Call) -> str:
    return _customer(call, call.store.create_customer(call.parameters["ownerNo"], call.body))


def get_customer(call: Call) -> str:
    ledger, customer, _ = call.owner
    return _customer(call, call.store.customer(ledger, customer))


def list_subscriptions(call: Call) -> str:
    ledger, customer, _ = call.owner
    subscriptions = call.store.customer(ledger, customer).subscriptions.values()
    items = (_subscription(call, subscription) for subscription in subscriptions)
    return _list(items, _uri(call, Key(ledger, customer)) + "/subscriptions")


def create_subscription(call: Call) -> str:
    ledger, customer, _ = call.owner
    return _subscription(call, call.store.create_subscription(ledger, customer, call.body))


def get_subscription(call: Call) -> str:
    return _subscription(call, call.store.subscription(*call.owner))


def delete_subscription(call: Call) -> str:
    call.store.delete_subscription(*call.owner)
    return ""


def list_charges(call: Call) -> str:
    items = (_charge(call, charge) for charge in call.store.charges(*call.owner).values())
    return _list(items, _uri(call, Key(*call.owner)) + "/recurring-products")


def create_charge(call: Call) -> str:
    return _charge(call, call.store.create_charge(*call.owner, call.body))


def get_charge(call: Call) -> str:
    return _charge(call, call.store.charge(*call.owner, call.parameters["recurringProductId"]))


def update_charge(call: Call) -> str:
    return _charge(call, call.store.change_charge(*call.owner, call.parameters["recurringProductId"], call.body))


def delete_charge(call: Call) -> str:
    call.store.delete_charge(*call.owner, call.parameters["recurringProductId"])
    return ""


HANDLERS: Mapping[str, Callable[[Call], str]] = {
    "create_customer": create_customer,
    "get_customer": get_customer,
    "list_subscriptions": list_subscriptions,
    "create_subscription": create_subscription,
    "get_subscription": get_subscription,
    "delete_subscription": delete_subscription,
    "list_customer_recurring_products": list_charges,
    "create_customer_recurring_product": create_charge,
    "get_customer_recurring_product": get_charge,
    "update_customer_recurring_product": update_charge,
    "delete_customer_recurring_product": delete_charge,
    "list_subscription_recurring_products": list_charges,
    "create_subscription_recurring_product": create_charge,
    "get_subscription_recurring_product": get_charge,
    "update_subscription_recurring_product": update_charge,
    "delete_subscription_recurring_product": delete_charge,
}


def _uri(call: Call, key: Key) -> str:
    steps = [call.prefix, quote(key.ledger, safe=""), "customers", quote(key.customer, safe="")]
    if key.subscription:
        steps += ["subscriptions", quote(key.subscription, safe="")]
    if key.charge:
        steps += ["recurring-products", quote(key.charge, safe="")]
    return "/".join(steps)


def _customer(call: Call, customer: Customer) -> str:
    if customer.rendered is None:
        uri = _uri(call, customer.key)
        own = {
            "@id": uri,
            "recurringProducts": f"{uri}/recurring-products",
            "subscriptions": f"{uri}/subscriptions",
            "operations": [_add(uri, "subscription"), _add(uri, "recurring-product")],
        }
        customer.rendered = render(customer.document | own)
    return customer.rendered


def _subscription(call: Call, subscription: Subscription) -> str:
    if subscription.rendered is None:
        uri = _uri(call, subscription.key)
        own = {
            "@id": uri,
            "recurringProducts": f"{uri}/recurring-products",
            "operations": [_add(uri, "recurring-product")],
        }
        subscription.rendered = render(subscription.document | own)
    return subscription.rendered


def _charge(call: Call, charge: Charge) -> str:
    if charge.rendered is None:
        # No relation name is published for what may be done with a charge, so none is advertised.
        own: dict[str, Any] = {
            "@id": _uri(call, charge.key),
            "recurringProductId": charge.key.charge,
            "operations": None,
        }
        charge.rendered = render(charge.document | own)
    return charge.rendered


def _add(uri: str, resource: str) -> dict[str, str]:
    return {"rel": f"add-{resource}", "method": "POST", "href": f"{uri}/{resource}s"}


def _list(items: Iterable[str], uri: str) -> str:
    return f'{{"items":[{",".join(items)}],"navigation":{{"@id":{render(uri)}}}}}'
