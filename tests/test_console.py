"""The mock's console: what it answers, and what a real browser makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import Billing, Charge
from payex_billing_mock import MockServer

from tests.browser import keep, open_page
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN, Raw, send
from tests.wire import charges_path, customers_path, new_customer

BUTTON = {"X-Payex-Console": "1"}


@pytest.fixture
def console() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN, OTHER_LEDGER: OTHER_TOKEN}, console=True) as server:
        yield server


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


def get(console: MockServer, path: str, **headers: str) -> Raw:
    return send(console.url, "GET", path, token=None, headers=headers)


def press(console: MockServer, button: str, headers: dict[str, str] | None = None) -> Raw:
    return send(
        console.url, "POST", f"/console/do/{button}", token=None, headers=BUTTON if headers is None else headers
    )


def state(console: MockServer) -> Any:
    return get(console, "/console/state").json


def test_the_state_is_what_the_mock_holds(console: MockServer, billing: Billing) -> None:
    customer = billing.customer("15615616")
    customer.create()
    customer.subscription("46701234567").create()
    charge = Charge(product_code="P01", quantity=2, unit_price=Decimal("49.50"), end_date=date(2999, 1, 31))
    customer.subscription("46701234567").recurring_products.create(charge)
    first, second = state(console)["ledgers"]
    assert (first["customers"], first["subscriptions"], first["charges"]) == (1, 1, 1)
    assert (second["customers"], second["subscriptions"], second["charges"]) == (0, 0, 0)
    assert first["latest"][0]["charges"][0]["unitPrice"] == 49.5
    assert [each["amount"] for each in first["money"]] == ["99.00"] * 12


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


def test_requests_are_told_with_status_and_problem(console: MockServer, billing: Billing) -> None:
    billing.customer("1").create()
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("2").get()
    latest, first = state(console)["requests"]
    assert (latest["method"], latest["status"], latest["problem"]) == ("GET", 404, "customer-not-found")
    assert (first["method"], first["status"], first["problem"]) == ("POST", 201, None)
    assert latest["milliseconds"] >= 0


def test_a_lost_answer_is_told_as_none_sent(console: MockServer, billing: Billing) -> None:
    assert press(console, "lose-answer").json["faults"] == ["lose-answer"]
    with pytest.raises(pb.OutcomeUnknown):
        billing.customer("1").create()
    (told,) = state(console)["requests"]
    assert (told["status"], told["fault"], told["took_effect"]) == (None, "lose-answer", True)
    assert state(console)["faults"] == []


def test_buttons_make_the_mock_busy_and_calm_again(console: MockServer, billing: Billing) -> None:
    press(console, "busy")
    with pytest.raises(pb.RateLimited) as caught:
        billing.with_options(attempts=1).customer("1").get()
    assert caught.value.retry_after == 10
    press(console, "calm")
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("1").get()


@pytest.mark.parametrize(
    ("button", "fault"),
    [
        ("late-commit", "late-commit=5:DELETE,PATCH,POST,PUT"),
        ("stale-response", "stale-response"),
        ("drip", "drip"),
    ],
)
def test_a_button_queues_its_fault(console: MockServer, button: str, fault: str) -> None:
    assert press(console, button).json["faults"] == [fault]


def test_a_reset_forgets_late_writes(console: MockServer) -> None:
    console.faults.queue("late-commit=3000,502")
    assert send(console.url, "POST", customers_path(), new_customer("1")).status == 502
    press(console, "reset")
    console.stop()
    assert list(console.store.customers(LEDGER)) == []


def test_numbers_of_any_size_do_not_break_the_state(console: MockServer) -> None:
    send(console.url, "POST", customers_path(), new_customer("1"))
    for value in (b"0e999999999", b"1" + b"0" * 60_000 + b"e-60000"):
        body = b'{"productCode":"P","quantity":1,"startDate":"2026-01-01","unitPrice":%s,"x":1e999999999}' % value
        assert send(console.url, "POST", charges_path("1"), body).status == 201
    assert state(console)["ledgers"][0]["charges"] == 2


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


def test_no_token_is_shown(console: MockServer, billing: Billing) -> None:
    billing.customer("1").create()
    for path in ("/", "/console/state", "/console/openapi.json", "/console/contract"):
        answer = get(console, path)
        assert answer.status == 200
        assert TOKEN.encode() not in answer.body


@pytest.mark.parametrize("path", ["/", "/console/state", "/console/openapi.json"])
def test_a_page_that_came_by_another_name_is_refused(console: MockServer, path: str) -> None:
    assert get(console, path, Host="attacker.example").status == 403


def test_a_button_needs_a_header_that_other_sites_cannot_send(console: MockServer) -> None:
    press(console, "sample")
    assert press(console, "reset", {}).status == 403
    assert press(console, "reset", BUTTON | {"Host": "attacker.example"}).status == 403
    assert state(console)["ledgers"][0]["customers"] == 2
    assert press(console, "explode").status == 404


def test_the_contract_points_to_the_mock_itself(console: MockServer) -> None:
    document = json.loads(get(console, "/console/openapi.json").body)
    assert [each["url"] for each in document["servers"]] == ["/billing/customer/v1"]


def test_pages_load_nothing_from_elsewhere(console: MockServer) -> None:
    for path in ("/", "/console/contract"):
        answer = get(console, path)
        assert b"http://" not in answer.body
        assert b"https://" not in answer.body
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")


def test_without_the_console_its_paths_do_not_exist(mock: MockServer) -> None:
    assert send(mock.url, "GET", "/console/state").status == 404


# in a browser


@pytest.fixture
def page(console: MockServer) -> Iterator[Any]:
    with open_page((console.url, "data:", "blob:")) as opened:
        yield opened


def test_a_charge_created_through_the_wrapper_appears(page: Any, console: MockServer, billing: Billing) -> None:
    page.goto(console.url)
    page.get_by_text("Live", exact=True).last.wait_for()
    customer = billing.customer("15615616")
    customer.create()
    customer.recurring_products.create(
        Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"), text="<b>x")
    )
    page.get_by_text("15615616 – 0 subscriptions, 1 charge").click()
    page.get_by_role("cell", name="P01").wait_for()
    page.get_by_role("cell", name="<b>x").wait_for()
    page.get_by_role("cell", name="POST /billing/customer/v1/1234/customers/15615616/recurring-products").wait_for()
    keep(page, "console-light")


def test_a_fault_button_works(page: Any, console: MockServer, billing: Billing) -> None:
    page.goto(console.url)
    page.get_by_role("button", name="Lose the next response").click()
    page.get_by_text("lose-answer", exact=True).wait_for()
    with pytest.raises(pb.OutcomeUnknown):
        billing.customer("1").create()
    page.get_by_role("cell", name="none sent").wait_for()
    page.get_by_role("cell", name="lose-answer (took effect)").wait_for()


def test_it_is_used_by_keyboard_alone(page: Any, console: MockServer) -> None:
    page.goto(console.url)
    page.get_by_text("Live", exact=True).last.wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Load a sample":
            break
    page.keyboard.press("Enter")
    page.get_by_text("20010007 – 1 subscription, 1 charge").wait_for()


def test_it_is_readable_on_a_phone_in_the_dark(page: Any, console: MockServer) -> None:
    press(console, "sample")
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(console.url)
    page.get_by_text("20010007 – 1 subscription, 1 charge").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 24, 31)"
    keep(page, "console-phone-dark")


def test_the_contract_can_be_tried_against_the_mock(page: Any, console: MockServer) -> None:
    press(console, "sample")
    page.goto(f"{console.url}/console/contract")
    page.get_by_role("button", name="Authorize").first.click()
    page.get_by_label("auth-bearer-value").fill(TOKEN)
    page.get_by_role("button", name="Apply credentials").click()
    page.get_by_role("button", name="Close").click()
    operation = page.locator("#operations-customers-get_customer, [id$='get_customer']").first
    operation.click()
    operation.get_by_placeholder("ownerNo").fill(LEDGER)
    operation.get_by_placeholder("customerNo").fill("15615616")
    operation.get_by_role("button", name="Execute").click()
    operation.locator(".live-responses-table").get_by_text("200", exact=True).first.wait_for()
    keep(page, "contract")
    assert [each["status"] for each in state(console)["requests"]] == [200]
