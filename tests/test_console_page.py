"""The console of the mock, as people see and use it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import Billing, Charge
from payex_billing_mock import MockServer

from tests.browser import LOOKS, WIDTHS, barriers, keep, low_contrast, open_browser, open_page, show
from tests.console import FOREIGN
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN, send
from tests.wire import charges_path, customers_path, new_customer

SAMPLE_CUSTOMER = "20010007 – 1 subscription, 1 charge"


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Any, console: MockServer) -> Iterator[Any]:
    with open_page((console.url, "data:", "blob:"), browser=browser) as opened:
        opened.set_viewport_size({"width": 1400, "height": 900})
        yield opened


def visit(page: Any, console: MockServer) -> None:
    page.goto(console.url)
    page.locator("#connection", has_text="Live").wait_for()
    page.locator("#ledgers h3").first.wait_for()


def sample(page: Any) -> None:
    page.get_by_role("button", name="Load a sample").click()
    page.get_by_text(SAMPLE_CUSTOMER).wait_for()


def fill(page: Any, console: MockServer, billing: Billing) -> None:
    """Data and requests of every kind, for pictures. Returns when the page shows all of it."""
    for number in range(30):
        customer = billing.customer(str(15615600 + number))
        customer.create()
        customer.subscription(f"467012345{number:02}").create()
        charge = Charge(product_code="P01", quantity=2, unit_price=Decimal("499.10"), text="Fibre 1000/1000")
        customer.subscription(f"467012345{number:02}").recurring_products.create(charge)
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("99999999").get()
    console.faults.queue("lose-answer", "503=1")
    with pytest.raises(pb.OutcomeUnknown):
        billing.customer("777").create()
    with pytest.raises(pb.ServiceUnavailable):
        billing.with_options(attempts=1).customer("778").create()
    console.faults.queue("lose-answer:POST")
    console.faults.add("latency=2:GET@0.5", 300)
    page.locator("#requests .status", has_text="503").wait_for()
    page.locator("#active li").nth(1).wait_for()
    page.get_by_text("31 customers, the latest 20 shown").wait_for()


# data


def test_a_charge_created_through_the_wrapper_appears(page: Any, console: MockServer, billing: Billing) -> None:
    visit(page, console)
    customer = billing.customer("15615616")
    customer.create()
    page.get_by_text("15615616 – 0 subscriptions, 0 charges").click()
    customer.recurring_products.create(Charge(product_code="P01", quantity=1, unit_price=Decimal("499.10")))
    page.get_by_text("15615616 – 0 subscriptions, 1 charge").wait_for()
    page.get_by_role("cell", name="499.10").wait_for()
    page.get_by_role("cell", name="P01").wait_for()


def test_one_of_2500_customers_is_found(page: Any, console: MockServer) -> None:
    for number in range(2500):
        console.store.create_customer(LEDGER, new_customer(str(100_000 + number)))
    visit(page, console)
    page.get_by_text("2,500 customers, the latest 20 shown").wait_for()
    assert page.locator("#ledgers .list > details").count() == 20
    page.get_by_role("button", name="Show 20 more").click()
    page.get_by_text("2,500 customers, the latest 40 shown").wait_for()
    page.get_by_label("Search for a number of a customer").first.fill("100123")
    page.get_by_text("1 customer found").wait_for()
    page.get_by_text("100123 – 0 subscriptions, 0 charges").wait_for()
    assert page.locator("#ledgers .list > details").count() == 1


def test_an_open_customer_keeps_open_and_the_focus_stays(page: Any, console: MockServer, billing: Billing) -> None:
    visit(page, console)
    sample(page)
    summary = page.locator("summary", has_text=SAMPLE_CUSTOMER)
    summary.focus()
    page.keyboard.press("Enter")
    billing.customer("1").create()
    page.get_by_text("1 – 0 subscriptions, 0 charges", exact=True).wait_for()
    assert page.evaluate("document.activeElement.textContent") == SAMPLE_CUSTOMER
    assert page.locator("details[open]", has_text=SAMPLE_CUSTOMER).count() == 1


def test_an_empty_ledger_has_the_variables_to_copy(page: Any, console: MockServer) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit(page, console)
    variables = page.get_by_label(f"Environment variables of ledger {OTHER_LEDGER}")
    shown = [f"export PAYEX_BASE_URL={console.url}", f"export PAYEX_OWNER_NO={OTHER_LEDGER}", "export PAYEX_TOKEN=•••"]
    assert variables.inner_text().splitlines() == shown
    page.get_by_role("button", name="Copy with the token").nth(1).click()
    page.get_by_text("Copied.").wait_for()
    copied = [*shown[:2], f"export PAYEX_TOKEN={OTHER_TOKEN}"]
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == copied
    assert TOKEN not in page.content()
    assert OTHER_TOKEN not in page.content()


def test_reset_asks_before_it_deletes(page: Any, console: MockServer) -> None:
    visit(page, console)
    sample(page)
    page.get_by_role("button", name="Reset …").click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Reset …").click()
    page.keyboard.press("Escape")
    assert len(list(console.store.customers(LEDGER))) == 2
    page.get_by_role("button", name="Reset …").click()
    page.get_by_role("dialog").get_by_role("button", name="Reset").click()
    page.get_by_text("This ledger is empty.").first.wait_for()
    assert list(console.store.customers(LEDGER)) == []


# requests


def test_a_request_is_opened_with_its_headers_body_problem_and_operation(page: Any, console: MockServer) -> None:
    visit(page, console)
    send(console.url, "POST", customers_path(), {"customerNo": "7", "x": FOREIGN}, headers={"Cookie": FOREIGN})
    send(console.url, "POST", charges_path("8"), b'{"productCode":"P01","quantity":1,"unitPrice":499.10}')
    page.locator("#requests summary", has_text="customers/8").click()
    opened = page.locator("#requests details[open]")
    opened.get_by_text("Add a charge to a customer").wait_for()
    text = opened.inner_text()
    for shown in ('"unitPrice": 499.10', "Bearer •••", "content-length", "Response 404", "customer-not-found"):
        assert shown in text
    assert TOKEN not in text


def test_an_opened_request_leads_to_its_operation_in_the_contract(browser: Any, console: MockServer) -> None:
    # Swagger UI says this of each tag with an underscore.
    with open_page(
        (console.url, "data:"), tolerated="Deprecated: escaping deep link whitespace", browser=browser
    ) as page:
        visit(page, console)
        send(console.url, "POST", charges_path("8"), {})
        page.locator("#requests summary").click()
        page.get_by_role("link", name="See it in the contract").click()
        page.locator("[id$='-create_customer_recurring_product'].is-open").wait_for()


def test_a_request_without_a_response_says_why(page: Any, console: MockServer, billing: Billing) -> None:
    visit(page, console)
    page.get_by_role("button", name="Lose the next response").click()
    page.locator("#active", has_text="meets the next request").wait_for()
    with pytest.raises(pb.OutcomeUnknown):
        billing.customer("1").create()
    page.locator("#requests summary", has_text="no response").click()
    page.get_by_text("The request took effect. The client got no complete response.").wait_for()
    page.locator("#active li").wait_for(state="detached")


def test_texts_of_clients_stay_texts(page: Any, console: MockServer) -> None:
    hostile = "<img src=x onerror=alert(1)><b>&amp;\u202e</b><script>alert(2)</script>"
    owner = console.store.create_customer(LEDGER, {**new_customer("1"), "customerNo": hostile})
    console.store.create_subscription(LEDGER, str(owner.id), {"subscriptionNo": hostile})
    properties = [column["name"] for column in send(console.url, "GET", "/console/state").json["columns"]]
    console.store.create_charge(LEDGER, str(owner.id), hostile, dict.fromkeys(properties, hostile) | {"quantity": 1, "unitPrice": 1})  # fmt: skip
    send(console.url, "POST", customers_path(), {hostile: hostile}, headers={"X-Hostile": "<b>x</b><img src=x>"})
    send(console.url, "GET", "/<script>alert(3)</script>?<b>")
    console.faults.queue(f"503={hostile.encode('ascii', 'ignore').decode().replace(':', '').replace('@', '')}")
    visit(page, console)
    page.locator("#ledgers .list summary").first.click()
    page.get_by_role("cell", name=hostile).first.wait_for()
    assert page.get_by_role("cell", name=hostile).count() == len(properties) - 2 + 1
    for index in range(page.locator("#requests summary").count()):
        page.locator("#requests summary").nth(index).click()
    page.get_by_text("Response 400").wait_for()
    page.get_by_text("<b>x</b><img src=x>").wait_for()
    assert page.locator("main :is(img, b, main script)").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400


# faults


def test_any_fault_can_be_added_with_its_time_and_ended(page: Any, console: MockServer) -> None:
    visit(page, console)
    page.get_by_text("Any other fault").click()
    page.get_by_label("Kind").select_option("latency")
    page.get_by_text("The response takes VALUE seconds longer.").wait_for()
    page.get_by_label("Value: seconds").fill("1.5")
    page.get_by_label("GET", exact=True).check()
    page.get_by_label("Meets").select_option("requests for some time")
    page.get_by_label("Time in seconds").fill("100")
    page.get_by_label("Chance in percent").fill("25")
    page.get_by_role("button", name="Add the fault").click()
    page.get_by_text("latency=1.5:GET@0.25").wait_for()
    page.get_by_text("100 s left").wait_for()
    page.get_by_text("99 s left").wait_for()
    page.get_by_role("button", name="End latency=1.5:GET@0.25").click()
    page.get_by_text("latency=1.5:GET@0.25").wait_for(state="detached")
    assert console.faults.pending() == []


def test_each_kind_of_fault_can_be_added_as_the_form_is_filled_in(page: Any, console: MockServer) -> None:
    visit(page, console)
    page.get_by_text("Any other fault").click()
    kinds = page.get_by_label("Kind").locator("option").all_inner_texts()
    for count, kind in enumerate(kinds, start=1):
        page.get_by_label("Kind").select_option(kind)
        page.get_by_role("button", name="Add the fault").click()
        page.locator("#active li").nth(count - 1).wait_for()
    assert len(console.faults.pending()) == len(kinds)
    page.get_by_role("button", name="End all faults").click()
    page.get_by_text("None.", exact=True).wait_for()


def test_a_fault_that_cannot_be_says_why(browser: Any, console: MockServer) -> None:
    with open_page((console.url, "data:"), tolerated="400 (Bad Request)", browser=browser) as page:
        visit(page, console)
        page.get_by_text("Any other fault").click()
        page.get_by_label("Kind").select_option("stale-response")
        page.get_by_label("Value: status of the second response").fill("<b>")
        page.get_by_role("button", name="Add the fault").click()
        page.get_by_role("alert").get_by_text("cannot have the value '<b>'").wait_for()


# people


def test_it_is_used_by_keyboard_alone(page: Any, console: MockServer) -> None:
    visit(page, console)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Load a sample":
            break
    page.keyboard.press("Enter")
    page.get_by_text(SAMPLE_CUSTOMER).wait_for()


def test_a_page_says_that_the_mock_has_stopped_and_goes_on_with_the_next(browser: Any, console: MockServer) -> None:
    with open_page((console.url, "data:"), tolerated="net::ERR_", browser=browser) as page:
        visit(page, console)
        console.stop()
        page.get_by_text("The mock has stopped. This page tries again.").wait_for()
        with MockServer({"9999": TOKEN}, port=console.port, console=True):
            page.locator("#connection", has_text="Live").wait_for()
            page.get_by_text("Ledger 9999").wait_for()


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_people_can_read_all_of_it(page: Any, console: MockServer, billing: Billing, scheme: str, width: int) -> None:
    show(page, scheme, width)
    visit(page, console)
    keep(page, f"console-empty-{scheme}-{width}")
    assert low_contrast(page) == []
    fill(page, console, billing)
    page.get_by_text("15615629 –").click()
    page.get_by_text("Any other fault").click()
    for index in (0, 1, 2):
        page.locator("#requests summary").nth(index).click()
    page.locator("#requests .box").nth(4).wait_for()
    page.get_by_role("cell", name="499.10").wait_for()
    keep(page, f"console-{scheme}-{width}")
    assert low_contrast(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    lines = page.evaluate(
        "[...document.querySelectorAll('#requests time')].map((each) => each.getClientRects().length)"
    )
    assert set(lines) == {1}
    page.get_by_role("button", name="Reset …").click()
    assert low_contrast(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_the_console_has_no_barriers(page: Any, console: MockServer, billing: Billing, width: int) -> None:
    show(page, "light", width)
    visit(page, console)
    assert barriers(page) == []
    fill(page, console, billing)
    page.get_by_text("15615629 –").click()
    page.get_by_text("Any other fault").click()
    page.locator("#requests summary").first.click()
    page.locator("#requests .box").first.wait_for()
    assert barriers(page) == []
    page.get_by_role("button", name="Reset …").click()
    assert barriers(page) == []


# the contract


def test_the_contract_can_be_tried_against_the_mock(page: Any, console: MockServer) -> None:
    visit(page, console)
    sample(page)
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
    assert [each["status"] for each in send(console.url, "GET", "/console/state").json["requests"]] == [200]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_people_can_read_the_contract_without_barriers(page: Any, console: MockServer, scheme: str, width: int) -> None:
    show(page, scheme, width)
    page.goto(f"{console.url}/console/contract")
    for name in ("create_customer", "delete_customer_recurring_product"):
        page.locator(f"[id$='-{name}'] .opblock-summary-control").click()
        page.locator(f"[id$='-{name}'] .responses-table").first.wait_for()
    keep(page, f"contract-{scheme}-{width}")
    assert low_contrast(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if scheme == "light":
        assert barriers(page) == []
