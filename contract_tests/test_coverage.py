"""Test that the suite reaches each operation, status, parameter, property and problem type of the contract."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date

import pytest
from payex_billing_mock import Faults, MockServer

from contract_tests import refusals
from contract_tests.api import (
    Api,
    change,
    charge_path,
    customer_path,
    customers_path,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)
from contract_tests.bodies import BODIES
from contract_tests.coverage import COVERAGE, KINDS, Coverage, everything
from contract_tests.exchange import OPERATIONS
from contract_tests.scene import Scene
from contract_tests.suite import LEDGERS, open_api
from contract_tests.transports import OverHttp


@pytest.fixture(scope="module")
def reached() -> Coverage:
    """Return what one run through the contract reaches. The mock's faults send what only an ingress would send."""
    faults = Faults()
    counted = Coverage()
    before, COVERAGE.on_exchange = COVERAGE.on_exchange, counted.saw
    try:
        with MockServer(LEDGERS, faults=faults) as server, ExitStack() as stack:
            transport = OverHttp(server.url)
            stack.callback(transport.close)
            api = open_api(transport)
            _walk(api, server)
            _refused(api, faults)
    finally:
        COVERAGE.on_exchange = before
    return counted


def _walk(api: Api, server: MockServer) -> None:
    customer = api.customer()
    subscription = api.subscription(customer)
    for parent in ((customer,), (customer, subscription)):
        made = api.charge(*parent, wire=BODIES.full("charge"))
        route = charge_path(parent, made)
        api.update(*route, body=BODIES.full_change())
        server.store.bill_run(api.ledger, date(2026, 6, 30))
        api.get(*route)
        api.update(*route, body=change(text=None))
        api.charges(*parent)
        if api.can_delete(*route):
            api.delete(*route)
    api.get(*customer_path(customer))
    api.get(*subscription_path(customer, subscription))
    api.subscriptions(customer)
    api.delete(*subscription_path(customer, subscription))
    api.get("nothing")
    api.send("TRACE", *customers_path())
    for ask in Scene(api).asks():
        if ask.operation.role == "list" and ask.operation.kind == "customer":
            ask.send(api)


def _refused(api: Api, faults: Faults) -> None:
    """Cause every error response. If the mock has no reason for an error, a fault sends it in place of an ingress."""
    api.attempts = 1  # a 429 is wanted here
    scene = Scene(api)
    for ask in scene.asks():
        for reason in refusals.missing(ask):
            reason.apply(ask).send(api)
    for ask in scene.asks():
        for status in ask.operation.responses:
            if status == 400:
                wrong = [*refusals.wrong_path(ask), *(refusals.wrong_body(ask) if ask.body is not ... else ())]
                for reason in wrong[:1]:
                    api.expect(reason.apply(ask).send(api), 400)
            elif status >= 400 and status not in {404, 409}:
                faults.queue(f"{status}-problem=1")
                api.expect(ask.send(api), status)
    customer, subscription = scene.customer, scene.subscription
    for _ in range(2):
        api.post(*customers_path(), body=new_customer(customer))
        api.post(*subscriptions_path(customer), body=new_subscription(subscription))


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_the_contract_is_reached(reached: Coverage, kind: str) -> None:
    assert reached.missing(kind) == []


def test_the_contract_has_something_of_each_kind() -> None:
    assert {kind: bool(names) for kind, names in everything().items()} == dict.fromkeys(KINDS, True)


def test_what_is_not_reached_is_told() -> None:
    assert Coverage().missing("operations") == sorted(OPERATIONS)
