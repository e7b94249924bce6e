"""The console of the mock: the form for faults."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import Billing
from payex_billing_mock import Faults, MockServer
from payex_billing_mock.faults import KINDS, STATUSES

from tests.console import get, press, state
from tests.support import LEDGER, TOKEN, Raw, send
from tests.wire import customers_path, new_customer


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


def faults(response: Raw) -> list[str]:
    assert response.status == 200, response.body
    return [each["text"] for each in response.json["faults"]]


@pytest.mark.parametrize("kind", [*KINDS, *STATUSES])
def test_each_kind_of_fault_can_be_added_as_the_form_offers_it(console: MockServer, kind: str) -> None:
    (offered,) = (each for each in get(console, "/console/kinds").json if each["kind"] == kind)
    name = kind.replace("STATUS", "503")
    fault = {"kind": name, "value": offered.get("value", ""), "methods": ["POST", "GET"], "chance": 0.25}
    (text,) = faults(press(console, "fault", fault | {"lasts": "seconds", "seconds": 30}))
    value = f"={offered['value']}" if offered.get("value") else ""
    assert text == f"{name}{value}:GET,POST@0.25"
    (shown,) = state(console)["faults"]
    assert (shown["isNext"], 0 < shown["secondsLeft"] <= 30) == (False, True)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "explode"}, "there is no fault 'explode'"),
        ({}, "there is no fault"),
        ({"kind": "latency"}, "cannot have the value"),
        ({"kind": "503", "chance": 2}, "between 0 and 1"),
        ({"kind": "503", "chance": "x"}, "could not convert"),
        ({"kind": "503", "methods": "GET"}, "must be a list"),
        ({"kind": "503", "lasts": "seconds"}, "between 0 and 86400 seconds"),
        ({"kind": "503", "lasts": "seconds", "seconds": 86_401}, "between 0 and 86400 seconds"),
        ({"kind": "503", "lasts": "for ever"}, "no duration 'for ever'"),
        (b"{", "Expecting"),
        (b"\xff", "utf-8"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_the_reason(console: MockServer, fault: Any, reason: str) -> None:
    refused = press(console, "fault", fault)
    assert refused.status == 400
    assert reason in refused.json["error"]
    assert state(console)["faults"] == []


def test_buttons_make_the_mock_busy_and_calm_again(console: MockServer, billing: Billing) -> None:
    press(console, "fault", {"kind": "429", "value": "10", "lasts": "seconds", "seconds": 60})
    with pytest.raises(pb.RateLimited) as caught:
        billing.with_options(attempts=1).customer("1").get()
    assert caught.value.retry_after == 10
    press(console, "calm")
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("1").get()


def test_one_of_several_faults_can_be_ended(console: MockServer) -> None:
    for lasts in ("next", "always", "always"):
        press(console, "fault", {"kind": "503", "lasts": lasts})
    numbers = [each["number"] for each in state(console)["faults"]]
    left = press(console, "end", {"number": numbers[1]}).json["faults"]
    assert [each["number"] for each in left] == [numbers[0], numbers[2]]
    assert press(console, "end", {"number": numbers[1]}).status == 200


def test_a_fault_ends_with_its_own_time_only() -> None:
    faults = Faults()
    faults.add("503", 0.001)
    faults.add("503", 3600)
    while len(faults.pending()) > 1:
        pass
    assert faults.pending() == ["503"]
    assert str(faults.take("GET")) == "503"


def test_a_reset_forgets_late_writes(console: MockServer) -> None:
    console.faults.queue("late-commit=3000,502")
    assert send(console.url, "POST", customers_path(), new_customer("1")).status == 502
    press(console, "reset")
    console.stop()
    assert list(console.store.customers(LEDGER)) == []
