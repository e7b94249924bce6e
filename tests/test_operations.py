"""Tests that the wrapper builds the same requests as the generated client.

openapi-python-client makes the generated client from the contract, and shares no code with the wrapper.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from importlib import import_module
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Charge, InvalidArgument, Response
from payex_billing._requests import operations as _operations
from payex_billing._requests.calls import PreparedRequest
from payex_billing._requests.operations import Parent
from payex_billing._values.json import write_json
from payex_billing_client import models

ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: "." not in text)
CHARGE = Charge(
    product_code="P01", quantity=3, unit_price=Decimal("-0.000001"), text="Fjärrvärme €", start_date=date(2026, 1, 31)
)
NEW = models.NewRecurringProduct(
    product_code="P01", quantity=3, unit_price=-0.000001, text="Fjärrvärme €", start_date=date(2026, 1, 31)
)
CHANGE = models.RecurringProductChange(vat_rate=12.5, text=None, end_date=date(2026, 2, 1))
CHANGED = {"vat_rate": Decimal("12.5"), "text": None, "end_date": date(2026, 2, 1)}


def generated(tag: str, name: str, *numbers: str, **body: Any) -> dict[str, Any]:
    """Return the request that the generated client builds for an operation."""
    found: dict[str, Any] = import_module(f"payex_billing_client.api.{tag}.{name}")._get_kwargs(*numbers, **body)
    return found


def check(request: PreparedRequest, expected: dict[str, Any]) -> None:
    assert request.path == expected["url"]
    assert request.method == expected["method"].upper()
    assert dict(request.headers) == expected.get("headers", {})
    assert (json.loads(request.body) if request.body else None) == expected.get("json")


@given(ledger=ids, customer=ids, subscription=ids)
def test_requests_for_customers_and_subscriptions(ledger: str, customer: str, subscription: str) -> None:
    check(_operations.get_customer(ledger, customer).request, generated("customers", "get_customer", ledger, customer))
    calls: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
        "list_subscriptions": (_operations.list_subscriptions, (ledger, customer)),
        "get_subscription": (_operations.get_subscription, (ledger, customer, subscription)),
        "delete_subscription": (_operations.delete_subscription, (ledger, customer, subscription)),
    }
    for name, (make, numbers) in calls.items():
        check(make(*numbers).request, generated("subscriptions", name, *numbers))


@given(ledger=ids)
def test_requests_that_create_customers_and_subscriptions(ledger: str) -> None:
    body = models.NewCustomer(customer_no="C-1")
    check(
        _operations.create_customer(ledger, "C-1").request, generated("customers", "create_customer", ledger, body=body)
    )
    new = models.NewSubscription(subscription_no="S-1")
    check(
        _operations.create_subscription(ledger, "C-1", "S-1").request,
        generated("subscriptions", "create_subscription", ledger, "C-1", body=new),
    )


@pytest.mark.parametrize("level", ["customer", "subscription"])
@given(ledger=ids, customer=ids, subscription=ids, charge=ids)
def test_requests_for_charges(level: str, ledger: str, customer: str, subscription: str, charge: str) -> None:
    parent = Parent(ledger, customer, subscription if level == "subscription" else None)

    def expected(verb: str, *more: str, **body: Any) -> dict[str, Any]:
        name = f"{verb}_{level}_recurring_product" + ("s" if verb == "list" else "")
        return generated("recurring_products", name, *parent.ids, *more, **body)

    check(_operations.list_charges(parent).request, expected("list"))
    check(_operations.create_charge(parent, CHARGE).request, expected("create", body=NEW))
    check(_operations.get_charge(parent, charge).request, expected("get", charge))
    check(_operations.delete_charge(parent, charge).request, expected("delete", charge))
    check(_operations.update_charge(parent, charge, CHANGED, {}).request, expected("update", charge, body=CHANGE))


@pytest.mark.parametrize("price", ["499.10", "0.000001", "-9999999.999999", "1E+2", "0.1"])
def test_a_price_is_sent_with_its_digits(price: str) -> None:
    body = _operations.create_charge(Parent("1", "2"), Charge(product_code="P", unit_price=Decimal(price))).request.body
    assert json.loads(body or b"", parse_float=str)["unitPrice"] in {price, 100}


@pytest.mark.parametrize("spelled", ["499.1", "499.10", "499.100000", "4.991E2", "4991e-1"])
def test_a_price_is_the_same_text_however_the_server_spells_it(spelled: str) -> None:
    held = {"@id": "/b/1/customers/2/recurring-products/3", "recurringProductId": "3", "productCode": "P01"}
    body = f'{{"unitPrice": {spelled}, {json.dumps(held)[1:]}'.encode()
    product = _operations.get_charge(Parent("1", "2"), "3").parse(Response(200, {}, body))
    assert str(product.unit_price) == "499.1"


@pytest.mark.parametrize("spelled", ["0", "-0", "-0.0", "0.00", "0E+3", "-0e-3"])
def test_a_price_of_nothing_has_one_text(spelled: str) -> None:
    held = {"@id": "/b/1/customers/2/recurring-products/3", "recurringProductId": "3", "productCode": "P01"}
    body = f'{{"unitPrice": {spelled}, {json.dumps(held)[1:]}'.encode()
    assert str(_operations.get_charge(Parent("1", "2"), "3").parse(Response(200, {}, body)).unit_price) == "0"


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("/customers/2", _operations.get_customer("1", "2")),
        ("/customers/2/subscriptions/4", _operations.get_subscription("1", "2", "4")),
        ("/customers/2/recurring-products/3", _operations.get_charge(Parent("1", "2"), "3")),
    ],
    ids=["customer", "subscription", "charge"],
)
@pytest.mark.parametrize("more", [{}, {"operations": [{"rel": "r", "method": "POST", "href": "/x"}], "new": 1.5}])
def test_a_value_that_is_read_is_the_value_that_its_class_makes(path: str, call: Any, more: dict[str, Any]) -> None:
    body = {
        "@id": f"/b/1{path}", "customerNo": "2", "subscriptionNo": "4", "recurringProducts": "/r", "subscriptions": "/s",
        "recurringProductId": "3", "productCode": "P01", "quantity": 2, "unitPrice": 499.0, "startDate": "2026-01-31",
    }  # fmt: skip
    value = call.parse(Response(200, {}, json.dumps(body | more).encode()))
    attributes = {field.name: getattr(value, field.name) for field in attrs.fields(type(value))}
    made = type(value)(**attributes)
    assert (value, hash(value), repr(value)) == (made, hash(made), repr(made))
    assert {name: type(each) for name, each in vars(value).items()} == {n: type(each) for n, each in vars(made).items()}


@pytest.mark.parametrize("spelled", ["100", "100.00", "1E2", "1.0e+2"])
def test_a_price_without_decimals_has_no_exponent(spelled: str) -> None:
    held = {"@id": "/b/1/customers/2/recurring-products/3", "recurringProductId": "3", "productCode": "P01"}
    body = f'{{"unitPrice": {spelled}, {json.dumps(held)[1:]}'.encode()
    assert str(_operations.get_charge(Parent("1", "2"), "3").parse(Response(200, {}, body)).unit_price) == "100"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_sent(number: float) -> None:
    with pytest.raises(InvalidArgument, match="cannot be written as JSON"):
        _operations.create_charge(Parent("1", "2"), Charge(product_code="P01", extra={"more": number}))


@pytest.mark.parametrize("value", [object(), {1: "a"}, {"a": {1, 2}}, date(2026, 1, 1), b"a", "\ud800"])
def test_a_value_that_json_cannot_hold_is_rejected_with_its_argument(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="body"):
        write_json("body", {"a": value})
