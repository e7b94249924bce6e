"""Compare a model of ledgers, customers, subscriptions and charges with every read, in random sequences of requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from .api import (
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
from .exchange import CONTRACT
from .rows import ends_before_start
from .states import as_sent
from .support import MODEL
from .values import any_value

SUBSCRIPTIONS = ("1", "46701234567", "a/b c", "ÅÄÖ", "x" * 34)


def _values(properties: dict[str, Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: any_value(each) for name, each in properties.items()}


_OPTIONAL = {
    name: schema
    for name, schema in CONTRACT.creations["charge"]["properties"].items()
    if name not in CONTRACT.creations["charge"].get("required", ())
}
NEW = st.builds(
    new_charge,
    st.fixed_dictionaries({}, optional=_values(_OPTIONAL)),
    product_code=st.sampled_from(["P01", "P02", "K09"]),
)
CHANGE = st.builds(change, st.fixed_dictionaries({}, optional=_values(CONTRACT.change["properties"])))
CAN_DELETE = {kind: CONTRACT.operation("delete", kind) is not None for kind in ("subscription", "charge")}
INDEX = st.integers(0, 1_000)


class Charge:
    """A charge in the model: its place and its values. An absent value equals null."""

    def __init__(self, parent: tuple[str, ...], made: dict[str, Any], values: dict[str, Any]) -> None:
        self.parent, self.id, self.values = parent, made[CHARGE_ID], _without_none(values)
        self.route = charge_path(parent, made)


class Ledger:
    """A ledger in the model. Resources are in the order of creation."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.customers: dict[str, list[str]] = {}
        self.charges: list[Charge] = []
        self.gone: list[tuple[str, ...]] = []  # routes of removed resources, which must return 404

    def parents(self) -> list[tuple[str, ...]]:
        """Return all customers and subscriptions: the resources that can have charges."""
        return [(no, *level) for no, subs in self.customers.items() for level in ((), *((each,) for each in subs))]

    def under(self, parent: tuple[str, ...]) -> list[Charge]:
        """Return the charges of one customer or subscription."""
        return [each for each in self.charges if each.parent == parent]


def machine(make_api: Callable[[], Api], *, customers: int = 3) -> type[RuleBasedStateMachine]:
    """Return the state machine for the target of `make_api`. Each run creates its own customers."""

    class BillingModel(RuleBasedStateMachine):
        """Each rule sends one request and updates the model. The invariant reads everything and compares."""

        @initialize()
        def open_ledgers(self) -> None:
            api = make_api()
            self.ledgers = [Ledger(each) for each in (api, api.other) if each is not None]
            self.shared = api.number()
            for ledger in self.ledgers:
                ledger.customers[ledger.api.customer(self.shared)] = []

        def ledger(self, index: int) -> Ledger:
            return self.ledgers[index % len(self.ledgers)]

        @rule(where=INDEX)
        def create_customer(self, where: int) -> None:
            ledger = self.ledger(where)
            if len(ledger.customers) < customers:
                ledger.customers[ledger.api.customer()] = []

        @rule(where=INDEX, which=INDEX)
        def create_customer_again(self, where: int, which: int) -> None:
            ledger = self.ledger(where)
            number = list(ledger.customers)[which % len(ledger.customers)]
            again = ledger.api.post(*customers_path(), body=new_customer(number))
            ledger.api.expect(again, *CONTRACT.duplicates["customer"])

        @rule(where=INDEX, which=INDEX, number=st.sampled_from(SUBSCRIPTIONS))
        def create_subscription(self, where: int, which: int, number: str) -> None:
            ledger = self.ledger(where)
            customer = list(ledger.customers)[which % len(ledger.customers)]
            exists = number in ledger.customers[customer]
            answer = ledger.api.post(*subscriptions_path(customer), body=new_subscription(number))
            if exists:
                ledger.api.expect(answer, *CONTRACT.duplicates["subscription"])
            else:
                ledger.api.succeeds(answer)
                ledger.customers[customer].append(number)

        @rule(where=INDEX, which=INDEX, body=NEW)
        def create_charge(self, where: int, which: int, body: dict[str, Any]) -> None:
            ledger = self.ledger(where)
            parents = ledger.parents()
            parent = parents[which % len(parents)]
            answer = ledger.api.post(*charges_path(*parent), body=body)
            if ends_before_start(body):
                ledger.api.refused(answer, "unprocessable")
                return
            ledger.charges.append(Charge(parent, ledger.api.succeeds(answer).object, body))

        @precondition(lambda self: any(ledger.charges for ledger in self.ledgers))
        @rule(where=INDEX, which=INDEX, body=CHANGE)
        def change_charge(self, where: int, which: int, body: dict[str, Any]) -> None:
            ledger = self.ledger(where)
            if not ledger.charges:
                return
            charge = ledger.charges[which % len(ledger.charges)]
            after = charge.values | body
            answer = ledger.api.update(*charge.route, body=body)
            if ends_before_start(after):
                ledger.api.refused(answer, "unprocessable")
            else:
                ledger.api.succeeds(answer)
                charge.values = _without_none(after)

        @precondition(lambda self: CAN_DELETE["charge"] and any(ledger.charges for ledger in self.ledgers))
        @rule(where=INDEX, which=INDEX)
        def delete_charge(self, where: int, which: int) -> None:
            ledger = self.ledger(where)
            if not ledger.charges:
                return
            charge = ledger.charges[which % len(ledger.charges)]
            if not _is_deleted(ledger.api, charge.route):
                return
            ledger.charges.remove(charge)
            ledger.gone.append(charge.route)

        @precondition(lambda _: CAN_DELETE["subscription"])
        @rule(where=INDEX, which=INDEX)
        def delete_subscription(self, where: int, which: int) -> None:
            ledger = self.ledger(where)
            found = [(customer, each) for customer, subs in ledger.customers.items() for each in subs]
            if not found:
                return
            customer, number = found[which % len(found)]
            if not _is_deleted(ledger.api, subscription_path(customer, number)):
                return
            ledger.customers[customer].remove(number)
            for charge in ledger.under((customer, number)):
                ledger.charges.remove(charge)
                ledger.gone.append(charge.route)

        @invariant()
        def every_read_is_the_model(self) -> None:
            for ledger in getattr(self, "ledgers", ()):
                _compare(ledger)

    return BillingModel


def _is_deleted(api: Api, route: tuple[str, ...]) -> bool:
    """Delete a resource, and return False if the ledger is not configured for DELETE: the resource stays then."""
    try:
        api.succeeds(api.delete(*route))
    except NotTried:
        return False
    return True


def _compare(ledger: Ledger) -> None:
    api = ledger.api
    for customer, subscriptions in ledger.customers.items():
        api.same("model_customer", api.succeeds(api.get(*customer_path(customer))).object[CUSTOMER_NO], customer)
        listed = [each[SUBSCRIPTION_NO] for each in api.subscriptions(customer)]
        api.same("model_subscriptions", sorted(listed), sorted(subscriptions))
    for parent in ledger.parents():
        expected = {each.id: each.values for each in ledger.under(parent)}
        listed_charges = api.charges(*parent)
        api.same("model_list", len(listed_charges), len(expected))
        found = {each[CHARGE_ID]: as_sent(api, each, expected.get(each[CHARGE_ID], {})) for each in listed_charges}
        api.same("model_charges", found, expected)
    for charge in ledger.charges[-2:]:
        read = api.succeeds(api.get(*charge.route))
        api.same("model_charge", as_sent(api, read.object, charge.values), charge.values, read)
    for route in ledger.gone[-2:]:
        api.missing(api.get(*route), "charge", "subscription")


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def run_model(api: Api, seed: int, settings: hypothesis.settings = MODEL) -> None:
    """Run the state machine.

    Raises:
        Broken: the target differs from the model.
    """
    model = hypothesis.seed(seed)(machine(lambda: api))
    run_state_machine_as_test(model, settings=settings)
