"""The suite reaches all of the contract on the mock: each operation, status, parameter, property and problem type."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import date
from typing import Any

import pytest
from payex_billing_mock import Faults, MockServer

from contract_tests.api import Api, OverHttp
from contract_tests.coverage import COVERAGE, KINDS, Coverage, everything
from contract_tests.exchange import CONTRACT, OPERATIONS
from contract_tests.probes.credentials import operations
from contract_tests.suite import LEDGERS, open_api

FULL: dict[str, Any] = {
    "quantity": 2, "unitPrice": 5, "vatRate": 25, "text": "x", "startDate": "2026-01-01", "endDate": "2026-12-31",
}  # fmt: skip


@pytest.fixture(scope="module")
def reached() -> Coverage:
    """What one walk through the contract reaches, with the faults of the mock for what only an ingress sends."""
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
        route = api.charges_of(*parent)
        made = api.charge(*parent, **FULL)
        api.patch(*route, made["recurringProductId"], body={"productCode": "P02", **FULL})
        server.store.bill_run(api.ledger, date(2026, 6, 30))
        api.get(*route, made["recurringProductId"])
        api.patch(*route, made["recurringProductId"], body={"text": None})
        api.charges(*parent)
        api.delete(*route, made["recurringProductId"])
    api.get("customers", customer)
    api.get("customers", customer, "subscriptions", subscription)
    api.items("customers", customer, "subscriptions")
    api.delete("customers", customer, "subscriptions", subscription)
    api.get("nothing")
    api.send("PUT", "customers")


def _refused(api: Api, faults: Faults) -> None:
    """Every refusal: of itself where the mock has a reason, else as an ingress or a failing server sends it."""
    customer = api.customer()
    subscription = api.subscription(customer)
    ids = (api.charge(customer)["recurringProductId"], api.charge(customer, subscription)["recurringProductId"])
    for missing in (
        (api.number(), "none", ("none", "none")),
        (customer, "none", ids),
        (customer, subscription, ("none", "none")),
    ):
        for method, segments, body in operations(api, *missing):
            if "404" in _statuses(api, method, segments):
                api.send(method, *segments, body=body)
    for method, segments, body in operations(api, customer, subscription, ids):
        for status in _statuses(api, method, segments):
            if status == "400":
                invalid = [segments[0], "x" * 40, *segments[2:]] if len(segments) > 1 else segments
                api.expect(api.send(method, *invalid, body={} if len(segments) == 1 else body), 400)
            elif int(status) > 400 and status not in {"404", "409"}:
                faults.queue(f"{status}-problem=1")
                api.expect(api.send(method, *segments, body=body), int(status))
    for _ in range(2):
        api.post("customers", body={"customerNo": customer})
        api.post("customers", customer, "subscriptions", body={"subscriptionNo": subscription})


def _statuses(api: Api, method: str, segments: list[str]) -> list[str]:
    match = CONTRACT.match(api.path(*segments).encode())
    assert match is not None
    return [str(status) for status in OPERATIONS[match.route.operations[method].operation_id]["responses"]]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_the_contract_is_reached(reached: Coverage, kind: str) -> None:
    assert reached.missing(kind) == []


def test_the_contract_has_something_of_each_kind() -> None:
    assert {kind: bool(names) for kind, names in everything().items()} == dict.fromkeys(KINDS, True)


def test_what_is_not_reached_is_told() -> None:
    assert Coverage().missing("operations") == sorted(OPERATIONS)
