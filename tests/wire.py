"""Helpers for raw HTTP tests of the mock, which take paths and property names from the contract.

Tests with these helpers stay right when a correction renames a path or property. A few tests keep the literal names of
today's contract on purpose: they check the mock independently of the contract file.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from contract_tests.bodies import BODIES
from contract_tests.exchange import CONTRACT
from tests.support import LEDGER, Raw

new_customer, new_subscription = BODIES.new_customer, BODIES.new_subscription
new_charge, change, named, wire = BODIES.new_charge, BODIES.change, BODIES.named, CONTRACT.wire
CUSTOMER_NO, SUBSCRIPTION_NO, CHARGE_ID = (CONTRACT.keys[kind] for kind in ("customer", "subscription", "charge"))
UPDATE = CONTRACT.update_method


def path_of(kind: str, *numbers: str, ledger: str = LEDGER) -> str:
    """Return the path of a collection or a resource, without the base path of the API.

    `numbers` has the numbers of the parents. With one more number, the path is that of the resource itself.
    """
    parents = min(len(numbers), {"customer": 0, "subscription": 1, "charge": 2}[kind])
    segments = CONTRACT.place(kind, parents).segments(*numbers)
    return "/".join(("", *(quote(each, safe="") for each in (ledger, *segments))))


def customers_path(ledger: str = LEDGER) -> str:
    """Return the path of all customers."""
    return path_of("customer", ledger=ledger)


def customer_path(customer: str, ledger: str = LEDGER) -> str:
    """Return the path of a customer."""
    return path_of("customer", customer, ledger=ledger)


def subscriptions_path(customer: str) -> str:
    """Return the path of the subscriptions of a customer."""
    return path_of("subscription", customer)


def subscription_path(customer: str, subscription: str) -> str:
    """Return the path of a subscription."""
    return path_of("subscription", customer, subscription)


def charges_path(customer: str, subscription: str = "") -> str:
    """Return the path of the charges of a customer or, if given, of one subscription."""
    return path_of("charge", customer, *filter(None, (subscription,)))


def items_of(response: Raw) -> list[dict[str, Any]]:
    """Return the resources in a response that lists charges or subscriptions."""
    names = {CONTRACT.list_name(each) for each in CONTRACT.operations.values()} - {None}
    found = [value for name, value in response.json.items() if name in names and isinstance(value, list)]
    assert len(found) == 1, response.json
    return list(found[0])


def failed_parameters(response: Raw) -> set[str]:
    """Return the names of the parameters that a validation problem reports."""
    return {name for each in response.json[CONTRACT.problem_names["problems"]] for name in each}


def json_of(body: Any) -> bytes:
    """Return a body as compact JSON in UTF-8."""
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
