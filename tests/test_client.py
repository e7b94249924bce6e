"""What the clients do, against the mock over a socket. Every test with `billing` runs on both facades."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payex_billing import Billing, Charge, Operation
from payex_billing_mock import MockServer, Store
from payex_billing_mock.app import Answer, Request, Respond

from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, PREFIX, TOKEN, ScriptedServer, http_answer, open_client

NUMBERS = ["15615616", "A/B åö", "a&b", ".hidden", "...", "a b", "Ö_-.1"]
FULL = Charge(
    product_code="P01",
    quantity=3,
    unit_price=Decimal("1234567.123456"),
    vat_rate=Decimal("25.00"),
    text="Fiber 500/500 – Storgatan 1",
    start_date=date(2026, 1, 1),
    end_date=date(2026, 12, 31),
)


@pytest.fixture
def customer(billing: Billing) -> pb.CustomerHandle:
    handle = billing.customer("15615616")
    handle.create()
    return handle


@pytest.fixture(params=["customer", "subscription"])
def charges(request: pytest.FixtureRequest, customer: pb.CustomerHandle) -> pb.RecurringProductsHandle:
    """The charges of both levels."""
    if request.param == "customer":
        return customer.recurring_products
    customer.subscription("46701234567").create()
    return customer.subscription("46701234567").recurring_products


# customers and subscriptions


@pytest.mark.parametrize("number", NUMBERS)
def test_a_customer_is_created_and_read(billing: Billing, number: str) -> None:
    created = billing.customer(number).create()
    assert created.customer_no == number
    assert billing.customer(number).get() == created


def test_a_customer_has_links_and_operations(billing: Billing) -> None:
    created = billing.customer("15615616").create()
    uri = f"{PREFIX}/1234/customers/15615616"
    assert (created.uri, created.subscriptions, created.recurring_products) == (
        uri,
        f"{uri}/subscriptions",
        f"{uri}/recurring-products",
    )
    assert created.operations == (
        Operation(rel="add-subscription", method="POST", href=f"{uri}/subscriptions"),
        Operation(rel="add-recurring-product", method="POST", href=f"{uri}/recurring-products"),
    )


def test_ensure_creates_once_and_then_reads(billing: Billing) -> None:
    customer = billing.customer("15615616")
    assert customer.ensure() == customer.ensure() == customer.get()
    subscription = customer.subscription("1")
    assert subscription.ensure() == subscription.ensure() == subscription.get()


@pytest.mark.parametrize("number", ["46701234567", "+46 70-123 45 67", "a/b", "åäö", "𝄞" * 34])
def test_a_subscription_is_created_read_and_deleted(customer: pb.CustomerHandle, number: str) -> None:
    subscription = customer.subscription(number)
    created = subscription.create()
    assert created.subscription_no == number
    assert subscription.get() == created
    assert list(customer.subscriptions.list()) == [created]
    assert subscription.delete() is None
    assert list(customer.subscriptions.list()) == []


# charges


@pytest.mark.parametrize("charge", [FULL, Charge(product_code="P"), Charge(product_code="K09", unit_price=-100)])
def test_a_charge_is_added_and_read(charges: pb.RecurringProductsHandle, charge: Charge) -> None:
    added = charges.create(charge)
    assert added.charge == charge
    assert added.has_content_of(charge)
    assert added.uri.endswith(f"/recurring-products/{added.id}")
    assert charges.get(added.id) == added
    assert list(charges.list()) == [added]


def test_charges_are_listed_in_the_order_they_were_added(charges: pb.RecurringProductsHandle) -> None:
    added = [charges.create(Charge(product_code="P", quantity=number)) for number in range(1, 6)]
    assert list(charges.list()) == added


CHANGES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"product_code": "P02"}, {"product_code": "P02"}),
    ({"quantity": 9}, {"quantity": 9}),
    ({"unit_price": Decimal("-0.000001")}, {"unit_price": Decimal("-0.000001")}),
    ({"unit_price": 5}, {"unit_price": Decimal(5)}),
    ({"vat_rate": Decimal("6.5")}, {"vat_rate": Decimal("6.5")}),
    ({"text": "other"}, {"text": "other"}),
    ({"start_date": date(2025, 1, 1)}, {"start_date": date(2025, 1, 1)}),
    ({"end_date": date(2027, 1, 1)}, {"end_date": date(2027, 1, 1)}),
    ({"extra": {"campaign": ["x", 1.5]}}, {"extra": {"campaign": ["x", 1.5]}}),
    *(
        ({name: None}, {name: None})
        for name in ("quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
    ),
    ({}, {}),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_an_update_touches_only_what_is_given_and_none_clears(
    charges: pb.RecurringProductsHandle, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    import attrs

    added = charges.create(FULL)
    changed = charges.update(added.id, **change)
    assert changed == attrs.evolve(added, **expected)
    assert charges.get(added.id) == changed


def test_unknown_properties_survive_the_round_trip(charges: pb.RecurringProductsHandle) -> None:
    extra: Any = {"campaign": {"deep": [None, True, 1, 0.5, "å"]}, "": "empty name", "quantity2": 7}
    added = charges.create(Charge(product_code="P", extra=extra))
    assert added.extra == extra
    assert charges.update(added.id, quantity=2).extra == extra
    assert charges.create(added.charge).extra == extra


def test_a_charge_is_deleted(charges: pb.RecurringProductsHandle) -> None:
    first, second = charges.create(FULL), charges.create(FULL)
    assert charges.delete(first.id) is None
    assert list(charges.list()) == [second]


def test_billed_until_is_read(charges: pb.RecurringProductsHandle, mock: MockServer) -> None:
    added = charges.create(FULL)
    assert added.billed_until is None
    mock.store.bill_run(LEDGER, date(2026, 6, 30))
    assert charges.get(added.id).billed_until == date(2026, 6, 30)


@given(units=st.integers(-9_999_999_999_999, 9_999_999_999_999))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_money_of_13_digits_with_6_decimals_is_exact_over_the_wire(billing: Billing, units: int) -> None:
    price = Decimal(units).scaleb(-6)
    billing.customer("1").ensure()
    charges = billing.customer("1").recurring_products
    added = charges.create(Charge(product_code="P", unit_price=price))
    assert added.unit_price == price
    assert charges.get(added.id).unit_price == price
    assert charges.update(added.id, unit_price=-price).unit_price == -price
    charges.delete(added.id)


@given(text=st.text(max_size=73), days=st.dates())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_text_and_dates_are_exact_over_the_wire(billing: Billing, text: str, days: date) -> None:
    billing.customer("1").ensure()
    charges = billing.customer("1").recurring_products
    charge = Charge(product_code="P", text=text, start_date=days, end_date=days)
    added = charges.create(charge)
    assert added.charge == charge
    charges.delete(added.id)


# errors


def test_each_missing_resource_has_its_error(customer: pb.CustomerHandle, billing: Billing) -> None:
    nobody = billing.customer("nobody")
    for missing in (
        nobody.get,
        nobody.subscription("1").get,
        nobody.subscription("1").create,
        nobody.subscription("1").delete,
        lambda: list(nobody.subscriptions.list()),
        lambda: list(nobody.recurring_products.list()),
        lambda: nobody.recurring_products.create(FULL),
        lambda: nobody.subscription("1").recurring_products.get("x"),
    ):
        with pytest.raises(pb.CustomerNotFound):
            missing()
    absent = customer.subscription("1")
    for missing in (
        absent.get,
        absent.delete,
        lambda: list(absent.recurring_products.list()),
        lambda: absent.recurring_products.create(FULL),
        lambda: absent.recurring_products.update("x", quantity=1),
    ):
        with pytest.raises(pb.SubscriptionNotFound):
            missing()
    for missing in (
        lambda: customer.recurring_products.get("x"),
        lambda: customer.recurring_products.update("x", quantity=1),
        lambda: customer.recurring_products.delete("x"),
    ):
        with pytest.raises(pb.RecurringProductNotFound):
            missing()


def test_a_second_creation_is_an_error_of_its_own(customer: pb.CustomerHandle) -> None:
    with pytest.raises(pb.CustomerAlreadyExists) as caught:
        customer.create()
    assert (caught.value.status, caught.value.problem.code) == (409, "customer-already-exists")
    assert caught.value.instance
    customer.subscription("1").create()
    with pytest.raises(pb.SubscriptionAlreadyExists):
        customer.subscription("1").create()


def test_a_business_refusal_names_the_parameter(charges: pb.RecurringProductsHandle) -> None:
    added = charges.create(FULL)
    with pytest.raises(pb.Unprocessable) as caught:
        charges.update(added.id, end_date=date(2025, 12, 31))
    assert caught.value.problems == {"endDate": "must not be before startDate"}


@pytest.mark.parametrize(("token", "owner_no"), [("wrong", LEDGER), (OTHER_TOKEN, LEDGER), (TOKEN, OTHER_LEDGER)])
def test_a_wrong_token_is_unauthorized(mock: MockServer, token: str, owner_no: str) -> None:
    with Billing(token=token, owner_no=owner_no, base_url=mock.url) as billing, pytest.raises(pb.Unauthorized):
        billing.customer("1").get()


def test_what_the_contract_forbids_never_leaves(billing: Billing, mock: MockServer) -> None:
    customer = billing.customer("1")
    customer.create()
    charges = customer.recurring_products
    for forbidden, argument in [
        (lambda: billing.customer(""), "customer_no"),
        (lambda: billing.customer("."), "customer_no"),
        (lambda: billing.customer(".."), "customer_no"),
        (lambda: billing.customer("x" * 16), "customer_no"),
        (lambda: billing.customer("a~b"), "customer_no"),
        (lambda: billing.customer("a\n"), "customer_no"),
        (lambda: billing.customer(15615616), "customer_no"),  # type: ignore[arg-type]
        (lambda: billing.customer("a+b").create(), "customer_no"),
        (lambda: customer.subscription(""), "subscription_no"),
        (lambda: customer.subscription(".."), "subscription_no"),
        (lambda: customer.subscription("x" * 35), "subscription_no"),
        (lambda: customer.subscription("\ud800"), "subscription_no"),
        (lambda: charges.get(""), "id"),
        (lambda: charges.get("."), "id"),
        (lambda: charges.delete(".."), "id"),
        (lambda: charges.update("..", quantity=1), "id"),
        (lambda: charges.create({"productCode": "P"}), "charge"),  # type: ignore[arg-type]
        (lambda: charges.update("x", product_code=None), "product_code"),  # type: ignore[arg-type]
        (lambda: charges.update("x", quantity=0), "quantity"),
        (lambda: charges.update("x", unit_price=1.5), "unit_price"),  # type: ignore[arg-type]
        (lambda: charges.update("x", start_date=date(2026, 2, 1), end_date=date(2026, 1, 1)), "end_date"),
        (lambda: charges.update("x", extra={"quantity": 1}), "extra"),
        (lambda: charges.update("x", extra={"@id": "/y"}), "extra"),
        (lambda: charges.create(Charge(product_code="P", extra={"x": float("nan")})), "extra"),
        (lambda: charges.create(Charge(product_code="P", extra={"x": object()})), "extra"),  # type: ignore[dict-item]
    ]:
        with pytest.raises(pb.InvalidArgument) as caught:
            forbidden()
        assert caught.value.argument == argument
        assert str(caught.value).startswith(argument)


def test_a_customer_made_by_other_means_can_be_read_by_the_wider_pattern(billing: Billing, mock: MockServer) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "a+b(c)%41"})
    assert billing.customer("a+b(c)%41").get().customer_no == "a+b(c)%41"


# operations


def test_an_advertised_operation_can_be_followed(customer: pb.CustomerHandle, billing: Billing) -> None:
    add = next(each for each in customer.get().operations if each.rel == "add-subscription")
    answer = billing.follow(add, {"subscriptionNo": "99"})
    assert isinstance(answer, dict)
    assert answer["subscriptionNo"] == "99"
    assert [each.subscription_no for each in customer.subscriptions.list()] == ["99"]


def test_an_operation_without_an_answer_gives_none(customer: pb.CustomerHandle, billing: Billing) -> None:
    created = customer.subscription("1").create()
    assert billing.follow(Operation(rel="remove", method="DELETE", href=created.uri)) is None


def test_an_operation_that_cannot_be_sent_is_refused(billing: Billing) -> None:
    with pytest.raises(pb.InvalidArgument, match="TRACE"):
        billing.follow(Operation(rel="x", method="TRACE", href=f"{PREFIX}/1234/customers"))


# what servers do


def scripted(server: ScriptedServer) -> Billing:
    return Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url)


def list_body(items: list[str], **navigation: Any) -> bytes:
    uri = f"{PREFIX}/1234/customers/1/subscriptions"
    return json.dumps(
        {
            "items": [
                {"@id": f"{uri}/{no}", "subscriptionNo": no, "recurringProducts": f"{uri}/{no}/x"} for no in items
            ],
            "navigation": {"@id": uri, **navigation},
        }
    ).encode()


@pytest.mark.parametrize("form", ["text", "@id", "href"])
def test_a_next_link_is_followed(form: str) -> None:
    link = f"{PREFIX}/1234/customers/1/subscriptions?page=2"
    following = link if form == "text" else {form: link}
    answers = [http_answer(200, list_body(["a", "b"], next=following)), http_answer(200, list_body(["c"], next=None))]
    with ScriptedServer(answers) as server, scripted(server) as billing:
        assert [each.subscription_no for each in billing.customer("1").subscriptions.list()] == ["a", "b", "c"]
    assert server.requests[1].startswith(f"GET {link} HTTP/1.1".encode())


def test_next_links_in_a_circle_end() -> None:
    link = f"{PREFIX}/1234/customers/1/subscriptions"
    with ScriptedServer([http_answer(200, list_body(["a"], next=link))] * 3) as server, scripted(server) as billing:
        with pytest.raises(pb.MalformedResponse, match="circle"):
            list(billing.customer("1").subscriptions.list())
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "link", ["https://elsewhere.example/x", "//elsewhere.example/x", "/billing/customer/v1/5678/x"]
)
def test_a_next_link_out_of_the_ledger_is_not_followed(link: str) -> None:
    with ScriptedServer([http_answer(200, list_body(["a"], next=link))] * 2) as server, scripted(server) as billing:
        with pytest.raises(pb.UnsafeLink):
            list(billing.customer("1").subscriptions.list())
        assert len(server.requests) == 1


@pytest.mark.parametrize("facade", ["sync", "async"])
@pytest.mark.parametrize(
    "href",
    [
        "https://evil.example/billing/customer/v1/1234/customers",
        "//evil.example/billing/customer/v1/1234/customers",
        "/\\evil.example/billing/customer/v1/1234/customers",
        "{base}@evil.example/billing/customer/v1/1234/customers",
        "{scheme}://user:pw@{host}/billing/customer/v1/1234/customers",
        "{scheme}://127.0.0.1:1/billing/customer/v1/1234/customers",
        "/billing/customer/v1/1234/../5678/customers",
        "/billing/customer/v1/1234/%2e%2e/5678/customers",
        "/billing/customer/v1/5678/customers",
    ],
)
def test_a_hostile_href_is_refused_and_nothing_is_sent(facade: str, href: str) -> None:
    with ScriptedServer([http_answer(200, b"{}")]) as server:
        scheme, _, host = server.url.partition("://")
        link = href.format(base=server.url, scheme=scheme, host=host)
        options: Any = {"token": TOKEN, "owner_no": LEDGER, "base_url": server.url}
        with open_client(facade, **options) as billing:
            with pytest.raises(pb.UnsafeLink):
                billing.follow(Operation(rel="x", method="GET", href=link))
        assert server.requests == []


def test_a_hostile_id_of_a_resource_is_only_text() -> None:
    hostile = json.dumps(CUSTOMER | {"@id": "https://evil.example/1234/customers/1"}).encode()
    with ScriptedServer([http_answer(200, hostile), http_answer(200, hostile)]) as server, scripted(server) as billing:
        read = billing.customer("1").get()
        with pytest.raises(pb.UnsafeLink):
            billing.follow(Operation(rel="self", method="GET", href=read.uri or ""))
        billing.customer(read.customer_no).get()
        assert [request.split()[1] for request in server.requests] == [b"/billing/customer/v1/1234/customers/1"] * 2


@pytest.mark.parametrize("location", ["https://evil.example/x", "//evil.example/x", "/elsewhere", "customers/2"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed_wherever_it_leads(status: int, location: str) -> None:
    answer = http_answer(status, b"", f"Location: {location}")
    with ScriptedServer([answer] * 2) as server, scripted(server) as billing:
        with pytest.raises(pb.UnexpectedStatus):
            billing.customer("1").get()
        assert len(server.requests) == 1


def test_a_redirect_is_not_followed() -> None:
    with ScriptedServer([]) as elsewhere:
        answer = http_answer(302, b"", f"Location: {elsewhere.url}/x")
        with ScriptedServer([answer] * 2) as server, scripted(server) as billing:
            with pytest.raises(pb.UnexpectedStatus):
                billing.customer("1").get()
            assert len(server.requests) == 1
    assert elsewhere.requests == []


def test_any_status_of_success_is_one() -> None:
    body = json.dumps({"customerNo": "1", "recurringProducts": "/x", "subscriptions": "/y"}).encode()
    with ScriptedServer([http_answer(200, body), http_answer(200, b"gone")]) as server, scripted(server) as billing:
        assert billing.customer("1").create().customer_no == "1"
        assert billing.customer("1").subscription("2").delete() is None


CUSTOMER: dict[str, Any] = {"customerNo": "1", "recurringProducts": "/x", "subscriptions": "/y"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b"9" * 10_000,
        b"{}",
        *(
            json.dumps(CUSTOMER | change).encode()
            for change in (
                {"customerNo": 1},
                {"customerNo": None},
                {"subscriptions": []},
                {"@id": 7},
                {"operations": "x"},
                {"operations": [1]},
                {"operations": [{"rel": "x"}]},
                {"operations": [{"rel": 1, "method": "GET", "href": "/"}]},
            )
        ),
    ],
)
def test_a_success_that_is_not_the_contracts_is_malformed(body: bytes) -> None:
    with ScriptedServer([http_answer(200, body)]) as server, scripted(server) as billing:
        with pytest.raises(pb.MalformedResponse) as caught:
            billing.customer("1").get()
    assert caught.value.status == 200


OWN = "/billing/customer/v1/1234/customers/1/recurring-products/x"
CHARGE: dict[str, Any] = {"@id": OWN, "recurringProductId": "x", "productCode": "P"}


@pytest.mark.parametrize(
    "change",
    [
        '"quantity": "1"',
        '"quantity": 1.5',
        '"quantity": true',
        '"unitPrice": "499,00"',
        '"unitPrice": 1e999',
        '"unitPrice": NaN',
        '"vatRate": []',
        '"text": 5',
        '"startDate": "2026-01-01T12:00:00"',
        '"endDate": 20261231',
        '"endDate": "2026-02-30"',
        '"productCode": null',
    ],
)
def test_a_charge_of_wrong_types_is_malformed(change: str) -> None:
    body = (json.dumps(CHARGE)[:-1] + ", " + change + "}").encode()
    with ScriptedServer([http_answer(200, body)]) as server, scripted(server) as billing:
        with pytest.raises(pb.MalformedResponse) as caught:
            billing.customer("1").recurring_products.get("x")
    assert "another request" not in str(caught.value)


def test_a_date_with_the_time_midnight_is_read() -> None:
    body = json.dumps(CHARGE | {"startDate": "2026-01-01T00:00:00"}).encode()
    with ScriptedServer([http_answer(200, body)]) as server, scripted(server) as billing:
        assert billing.customer("1").recurring_products.get("x").start_date == date(2026, 1, 1)


def test_a_charge_beyond_the_limits_is_still_read() -> None:
    body = json.dumps(CHARGE | {"text": "x" * 200, "quantity": 0, "unitPrice": 12345678, "vatRate": None}).encode()
    with ScriptedServer([http_answer(200, body)]) as server, scripted(server) as billing:
        read = billing.customer("1").recurring_products.get("x")
    assert (read.text, read.quantity, read.unit_price, read.vat_rate) == ("x" * 200, 0, Decimal(12345678), None)
    with pytest.raises(pb.InvalidArgument):
        _ = read.charge


def test_requests_say_who_is_calling_and_what_is_understood() -> None:
    with ScriptedServer([http_answer(404)]) as server, scripted(server) as billing, pytest.raises(pb.NotFound):
        billing.customer("1").get()
    head = server.requests[0].decode().lower()
    assert "user-agent: payex-billing/" in head
    assert "accept: application/json, application/problem+json" in head
    assert f"authorization: bearer {TOKEN}" in head


# all charges of a customer


def fill(mock: MockServer) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    for subscription in ("46/1", "47", "48"):
        mock.store.create_subscription(LEDGER, "1", {"subscriptionNo": subscription})
    for subscription, code in (("", "P01"), ("", "P02"), ("46/1", "P03"), ("48", "P04"), ("48", "P04")):
        mock.store.create_charge(LEDGER, "1", subscription, {"productCode": code})


def test_all_charges_are_those_of_the_customer_and_of_every_subscription(billing: Billing, mock: MockServer) -> None:
    fill(mock)
    customer = billing.customer("1")
    places = list(customer.all_charges())
    assert [(place.subscription_no, place.product.product_code) for place in places] == [
        (None, "P01"), (None, "P02"), ("46/1", "P03"), ("48", "P04"), ("48", "P04"),
    ]  # fmt: skip
    assert places[2].product == next(iter(customer.subscription("46/1").recurring_products.list()))


def test_a_subscription_that_disappears_while_they_are_read_is_left_out(
    billing: Billing, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(mock)

    def disappearing(request: Request, respond: Respond) -> Answer:
        if request.raw_path.endswith(b"/48/recurring-products"):
            mock.store.remove(mock.store.subscription(LEDGER, "1", "48"))
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", disappearing)
    found = [place.subscription_no for place in billing.customer("1").all_charges()]
    assert found == [None, None, "46/1"]


def test_a_customer_that_disappears_while_they_are_read_is_an_error(
    billing: Billing, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(mock)

    def disappearing(request: Request, respond: Respond) -> Answer:
        if request.raw_path.endswith(b"/48/recurring-products"):
            mock.app.store = Store()
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", disappearing)
    with pytest.raises(pb.CustomerNotFound):
        list(billing.customer("1").all_charges())


def test_all_charges_of_nobody_is_an_error_and_of_an_empty_customer_nothing(billing: Billing) -> None:
    with pytest.raises(pb.CustomerNotFound):
        list(billing.customer("1").all_charges())
    billing.customer("1").create()
    assert list(billing.customer("1").all_charges()) == []


def test_all_charges_ask_for_nothing_before_they_are_iterated(mock: MockServer, asked: list[Request]) -> None:
    fill(mock)
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        places = billing.customer("1").all_charges()
        assert asked == []
        next(places)
        assert len(asked) == 1
