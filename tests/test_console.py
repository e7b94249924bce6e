"""The console of the mock: the data and the requests that it shows, and who may ask."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import payex_billing as pb
import pytest
from payex_billing import Billing, Charge
from payex_billing_mock import Faults, MockServer, assets

from tests.console import BUTTON, get, press, state, whole_request
from tests.support import LEDGER, TOKEN, send
from tests.wire import charges_path, customers_path, new_customer

VIEWS = ["/", "/console/state", "/console/events", "/console/kinds", "/console/customers", "/console/openapi.json"]


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


# data


def test_the_state_is_what_the_mock_holds(console: MockServer, billing: Billing) -> None:
    customer = billing.customer("15615616")
    customer.create()
    customer.subscription("46701234567").create()
    charge = Charge(product_code="P01", quantity=2, unit_price=Decimal("49.50"), end_date=date(2999, 1, 31))
    customer.subscription("46701234567").recurring_products.create(charge)
    first, second = state(console)["ledgers"]
    assert (first["customers"], first["subscriptions"], first["charges"]) == (1, 1, 1)
    assert (second["customers"], second["subscriptions"], second["charges"]) == (0, 0, 0)
    assert [each["amount"] for each in first["money"]] == ["99.00"] * 12


def test_a_customer_is_shown_with_the_digits_of_its_prices(console: MockServer, billing: Billing) -> None:
    billing.customer("1").create()
    billing.customer("1").recurring_products.create(Charge(product_code="P", quantity=2, unit_price=Decimal("49.50")))
    (charge,) = get(console, "/console/customer?ledger=0&no=1").json["charges"]
    assert (charge["unitPrice"], charge["quantity"]) == ("49.50", "2")
    assert get(console, "/console/customer?ledger=1&no=1").status == 404


def test_money_counts_in_the_months_in_which_a_charge_is_open(console: MockServer, billing: Billing) -> None:
    customer = billing.customer("1")
    customer.create()
    months = [each["month"] for each in state(console)["ledgers"][0]["money"]]
    year, month = map(int, months[2].split("-"))
    only = date(year, month, 15)
    customer.recurring_products.create(
        Charge(product_code="P", quantity=1, unit_price=10, start_date=only, end_date=only)
    )
    money = {each["month"]: each["amount"] for each in state(console)["ledgers"][0]["money"]}
    assert {name for name, amount in money.items() if amount != "0.00"} == {months[2]}


def test_numbers_of_any_size_do_not_break_the_state(console: MockServer) -> None:
    send(console.url, "POST", customers_path(), new_customer("1"))
    for value in (b"0e999999999", b"1" + b"0" * 60_000 + b"e-60000"):
        body = b'{"productCode":"P","quantity":1,"startDate":"2026-01-01","unitPrice":%s,"x":1e999999999}' % value
        assert send(console.url, "POST", charges_path("1"), body).status == 201
    assert state(console)["ledgers"][0]["charges"] == 2
    assert get(console, "/console/customer?ledger=0&no=1").status == 200


@pytest.mark.parametrize("kind", ["customer", "subscription", "charge"])
def test_a_customer_is_found_by_its_number_and_by_those_of_what_it_has(
    console: MockServer, billing: Billing, kind: str
) -> None:
    for number in ("1001", "2002"):
        billing.customer(number).create()
        billing.customer(number).subscription(f"46{number}").create()
    charge = billing.customer("2002").recurring_products.create(Charge(product_code="P", quantity=1))
    search = {"customer": "200", "subscription": "4620", "charge": charge.id.upper()}[kind]
    found = get(console, f"/console/customers?ledger=0&search={search}").json
    assert found == {"found": 1, "customers": [{"no": "2002", "subscriptions": 1, "charges": 1}]}


def test_a_list_of_customers_has_the_latest_and_the_count_of_all(console: MockServer, billing: Billing) -> None:
    for number in range(5):
        billing.customer(str(number)).create()
    found = get(console, "/console/customers?ledger=0&most=2").json
    assert (found["found"], [each["no"] for each in found["customers"]]) == (5, ["4", "3"])


@pytest.mark.parametrize("query", ["ledger=2", "ledger=x", "most=x", "ledger=%FF"])
def test_a_list_that_cannot_be_is_not_found(console: MockServer, query: str) -> None:
    assert get(console, f"/console/customers?{query}").status == 404


def test_the_sample_can_be_loaded_twice_and_reset(console: MockServer) -> None:
    assert press(console, "sample").json["ledgers"][0]["charges"] == 4
    assert press(console, "sample").json["ledgers"][0]["charges"] == 8
    after = press(console, "reset").json
    assert after["ledgers"][0]["customers"] == 0
    assert (after["requests"], after["faults"]) == ([], [])


def test_a_reset_is_kept_over_restarts(tmp_path: Path) -> None:
    for _ in range(2):
        with MockServer({LEDGER: TOKEN}, db=tmp_path / "state.db", console=True) as server:
            assert state(server)["ledgers"][0]["customers"] == 0
            press(server, "sample")
            press(server, "reset")


# requests


def test_requests_are_shown_with_status_and_problem(console: MockServer, billing: Billing) -> None:
    billing.customer("1").create()
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("2").get()
    latest, first = state(console)["requests"]
    assert (latest["method"], latest["status"], latest["problem"]) == ("GET", 404, "customer-not-found")
    assert (first["method"], first["status"], first["problem"]) == ("POST", 201, None)
    assert latest["milliseconds"] >= 0


def test_a_request_can_be_opened(console: MockServer) -> None:
    send(console.url, "POST", customers_path(), new_customer("1"))
    body = b'{"productCode":"P","quantity":1,"unitPrice":499.10,"text":"\xc3\xa5"}'
    send(console.url, "POST", charges_path("1") + "?a=b", body, headers={"X-Request": "7"})
    shown = whole_request(console)
    assert shown["target"].endswith("/customers/1/recurring-products?a=b")
    assert {"name": "x-request", "value": "7"} in shown["headers"]
    assert shown["body"].splitlines()[3:5] == ['  "unitPrice": 499.10,', '  "text": "å"']
    assert shown["operation"]["summary"] == "Add a charge to a customer"
    assert '"unitPrice": 499.10' in shown["responseBody"]
    assert shown["problem"] is None


def test_an_opened_problem_is_explained(console: MockServer, billing: Billing) -> None:
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("2").get()
    shown = whole_request(console)
    assert shown["problem"]["type"].endswith("customer-not-found")
    assert shown["problem"]["title"] == console.app.contract.problem_types["customer-not-found"].title
    assert shown["operation"]["path"] == "/{ownerNo}/customers/{customerNo}"


def test_a_request_outside_the_contract_has_no_operation(console: MockServer) -> None:
    send(console.url, "DELETE", customers_path())
    assert whole_request(console)["operation"] is None
    send(console.url, "GET", "/no/such/path")
    assert whole_request(console)["operation"] is None


def test_a_lost_response_is_shown_as_none(console: MockServer, billing: Billing) -> None:
    assert press(console, "fault", {"kind": "lose-answer"}).status == 200
    with pytest.raises(pb.OutcomeUnknown):
        billing.customer("1").create()
    shown = whole_request(console)
    assert (shown["status"], shown["fault"], shown["took_effect"]) == (None, "lose-answer", True)
    assert (shown["response"], shown["responseBody"]) == (None, "")
    assert state(console)["faults"] == []


@pytest.mark.parametrize("number", ["", "0", "2", "x", "-1", "1e3", "²"])
def test_a_request_that_is_not_kept_is_not_found(console: MockServer, billing: Billing, number: str) -> None:
    billing.customer("1").create()
    assert get(console, f"/console/request?number={quote(number)}").status == 404


def test_a_body_that_is_no_text_can_be_shown(console: MockServer) -> None:
    send(console.url, "POST", customers_path(), b"\xff\x00{")
    assert whole_request(console)["body"] == "\ufffd\x00{"
    send(console.url, "POST", customers_path(), b"[" * 70_000)
    assert whole_request(console)["body"] == "more than 65,536 bytes, not kept"
    send(console.url, "POST", customers_path(), b"auth" * 16_000)
    assert whole_request(console)["body"].endswith("… and 44,000 more characters")
    send(console.url, "POST", customers_path(), b"[" * 150 + b"]" * 150)
    assert whole_request(console)["status"] == 400


# access


@pytest.mark.parametrize("path", VIEWS)
def test_a_page_that_came_by_another_name_is_refused(console: MockServer, path: str) -> None:
    assert get(console, path, Host="attacker.example").status == 403


@pytest.mark.parametrize("button", ["reset", "exports", "fault", "end", "calm", "sample"])
def test_a_button_needs_a_header_that_other_sites_cannot_send(console: MockServer, button: str) -> None:
    press(console, "sample")
    assert press(console, button, headers={}).status == 403
    assert press(console, button, headers=BUTTON | {"Host": "attacker.example"}).status == 403
    assert state(console)["ledgers"][0]["customers"] == 2


def test_there_is_no_other_button(console: MockServer) -> None:
    assert press(console, "explode").status == 404


def test_the_contract_points_to_the_mock_itself(console: MockServer) -> None:
    document = json.loads(get(console, "/console/openapi.json").body)
    assert [each["url"] for each in document["servers"]] == ["/billing/customer/v1"]


def test_pages_load_nothing_from_elsewhere(console: MockServer) -> None:
    for path in ("/", "/console/contract"):
        response = get(console, path)
        assert b"http://" not in response.body
        assert b"https://" not in response.body
        assert response.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("options", [{}, {"faults": Faults()}], ids=["Granian", "WireServer"])
@pytest.mark.parametrize("path", ["/console/state", "/console/events", "/"])
def test_without_the_console_its_paths_do_not_exist(options: dict[str, Any], path: str) -> None:
    with MockServer({LEDGER: TOKEN}, **options) as server:
        assert send(server.url, "GET", path).status == 404


def test_without_swagger_ui_the_contract_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "find_spec", lambda _: None)
    assets._read.cache_clear()
    missing = assets.page("swagger-ui.css")
    assert (missing.status, b"pip install 'payex-billing[mock]'" in missing.body) == (404, True)
    assert b"pip install 'payex-billing[mock]'" in assets.page("contract.js").body
