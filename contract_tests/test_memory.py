"""The memory of a run notices a response that differs from what the run has made, wherever a probe looks."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from payex_billing_mock import MockApp

from contract_tests import suite
from contract_tests.api import CHARGE_ID, Api, charge_path, charges_path, customer_path, subscription_path, wire
from contract_tests.contents import place_of
from contract_tests.exchange import Broken, Exchange, items_of, parse_strictly, render
from contract_tests.mutation.recording import Listening

PRICE, END, TEXT, CODE = map(wire, ("unit_price", "end_date", "text", "product_code"))


class Changing:
    """Changes responses from when it is told to."""

    def __init__(self) -> None:
        self.change: Callable[[Exchange, Any], Any] = lambda _, body: body

    def __call__(self, exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
        body = exchange.body
        if body and exchange.status < 300:
            body = render(self.change(exchange, parse_strictly(body))).encode()
        return exchange.status, {**exchange.headers, "content-length": str(len(body))} if body else {}, body


@pytest.fixture
def server() -> Changing:
    return Changing()


@pytest.fixture
def api(server: Changing) -> Api:
    return suite.open_api(Listening(MockApp(suite.LEDGERS), server))


def _in_items(**values: Any) -> Callable[[Exchange, Any], Any]:
    def change(exchange: Exchange, body: Any) -> Any:
        is_list = exchange.role == ("list", "charge")
        return body | {"items": [each | values for each in body["items"]]} if is_list else body

    return change


def test_a_list_that_shows_another_price_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    api.charge(customer, unit_price=5)
    server.change = _in_items(**{PRICE: 6})
    with pytest.raises(Broken, match=PRICE):
        api.get(*charges_path(customer))


def test_a_list_that_shows_a_value_nobody_gave_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    api.charge(customer)
    server.change = _in_items(**{END: "2026-12-31"})
    with pytest.raises(Broken, match=END):
        api.get(*charges_path(customer))


def test_a_change_that_touches_another_value_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    charge = api.charge(customer, unit_price=5)
    server.change = lambda exchange, body: body | {PRICE: 6} if exchange.role[0] == "update" else body
    with pytest.raises(Broken, match=PRICE):
        api.update(*charge_path((customer,), charge), body={wire("text"): "new"})


def test_a_list_without_what_was_created_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    charge = api.charge(customer)
    server.change = lambda exchange, body: body | {"items": []} if exchange.role[0] == "list" else body
    with pytest.raises(Broken, match=f"misses {charge[CHARGE_ID]}"):
        api.get(*charges_path(customer))


def test_a_list_with_what_was_removed_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    charge = api.charge(customer)
    api.delete(*charge_path((customer,), charge))
    server.change = lambda exchange, body: body | {"items": [charge]} if exchange.role[0] == "list" else body
    with pytest.raises(Broken, match="not there"):
        api.get(*charges_path(customer))


def test_what_others_made_is_not_compared(api: Api) -> None:
    other = suite.open_api(api.transport)
    customer = other.customer()
    other.charge(customer)
    assert len(items_of(api.get(*charges_path(customer)))) == 1
    other.charge(customer)
    assert len(items_of(api.get(*charges_path(customer)))) == 2


def test_a_subscription_made_again_has_no_charges_of_before(api: Api) -> None:
    customer = api.customer()
    api.subscription(customer, "1")
    api.charge(customer, "1")
    api.delete(*subscription_path(customer, "1"))
    api.subscription(customer, "1")
    assert api.charges(customer, "1") == []


def test_what_is_below_a_removed_subscription_is_removed_too(api: Api) -> None:
    parent = (api.customer(), "1")
    api.subscription(*parent)
    charge = api.charge(*parent)
    other = api.charge(parent[0])
    api.delete(*subscription_path(*parent))
    assert place_of(api.path(*charge_path(parent, charge))) in api.memory.removed
    assert place_of(api.path(*charge_path(parent[:1], other))) in api.memory.resources


def test_a_lost_request_makes_the_memory_forget(api: Api, server: Changing) -> None:
    customer = api.customer()
    server.change = lambda *_: 1 // 0
    with pytest.raises(ZeroDivisionError):
        api.charge(customer)
    server.change = lambda _, body: body
    assert len(api.charges(customer)) == 1
    assert api.get(*customer_path(customer)).status == 200


def test_a_value_that_nobody_gave_may_change_with_the_product(api: Api, server: Changing) -> None:
    server.change = lambda _, body: {TEXT: f"Product {body[CODE]}"} | body if CODE in body else body
    customer = api.customer()
    charge = api.charge(customer)
    assert api.update(*charge_path((customer,), charge), body={CODE: "P02"}).object[TEXT] == "Product P02"


def test_an_unknown_property_that_was_lost_is_noticed(api: Api, server: Changing) -> None:
    customer = api.customer()
    charge = api.charge(customer, wire={"costCentre": "77"})
    server.change = lambda _, body: {name: value for name, value in body.items() if name != "costCentre"}
    with pytest.raises(Broken, match="costCentre"):
        api.get(*charge_path((customer,), charge))


def test_a_number_that_the_parser_may_round_may_change(api: Api, server: Changing) -> None:
    customer = api.customer()
    server.change = lambda _, body: body | {"x": 0} if "x" in body else body
    charge = api.charge(customer, wire={"x": Decimal("1e-400")})
    route = charge_path((customer,), charge)
    assert api.get(*route).whole["x"] == 0
    with pytest.raises(Broken, match="x was"):
        api.charge(customer, wire={"x": 1})


def test_an_unknown_number_may_be_changed_to_one_that_the_parser_may_round(api: Api, server: Changing) -> None:
    customer = api.customer()
    route = charge_path((customer,), api.charge(customer, wire={"x": 5}))
    server.change = lambda _, body: body | {"x": 0} if "x" in body else body
    api.update(*route, body={"x": Decimal("1e-400")})
    assert api.get(*route).whole["x"] == 0
