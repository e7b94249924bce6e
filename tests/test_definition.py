"""Requests are made as the generated code says, although it is asked only once."""

from __future__ import annotations

import inspect
import json
import pkgutil
from datetime import date
from importlib import import_module
from types import ModuleType
from typing import Any

import payex_billing_client.api
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import InvalidArgument
from payex_billing import _definition as definition_module
from payex_billing._definition import Definition, write_json
from payex_billing_client import models

OPERATIONS = [
    import_module(found.name)
    for found in pkgutil.walk_packages(payex_billing_client.api.__path__, "payex_billing_client.api.")
    if not found.ispkg
]
BODIES = {
    "NewCustomer": models.NewCustomer(customer_no="C-1"),
    "NewSubscription": models.NewSubscription(subscription_no="S-1"),
    "NewRecurringProduct": models.NewRecurringProduct(
        product_code="P01", quantity=3, unit_price=-0.000001, text="Fjärrvärme €", start_date=date(2026, 1, 31)
    ),
    "RecurringProductChange": models.RecurringProductChange(vat_rate=12.5, text=None, end_date=date(2026, 2, 1)),
}
ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def parameters(module: ModuleType) -> tuple[int, Any]:
    """How many ids an operation has, and a body for it, if it has one."""
    names = inspect.signature(module._get_kwargs).parameters
    body = BODIES[names["body"].annotation.__name__] if "body" in names else None
    return len(names) - ("body" in names), body


def test_all_operations_are_looked_at() -> None:
    assert len(OPERATIONS) == 16


@pytest.mark.parametrize("module", OPERATIONS, ids=lambda module: module.__name__.rpartition(".")[2])
@given(st.data())
def test_a_request_is_what_the_generated_code_makes(module: ModuleType, data: st.DataObject) -> None:
    number, body = parameters(module)
    given_ids = tuple(data.draw(st.lists(ids, min_size=number, max_size=number)))
    request = Definition(module, number, body).request(given_ids, body)
    expected = module._get_kwargs(*given_ids) if body is None else module._get_kwargs(*given_ids, body=body)
    assert request.path == expected["url"]
    assert request.method == expected["method"].upper()
    assert dict(request.headers) == expected.get("headers", {})
    assert (json.loads(request.body) if request.body else None) == expected.get("json")


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_never_sent(number: float, fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not fast:
        monkeypatch.setattr(definition_module, "orjson", None)
    module = next(each for each in OPERATIONS if each.__name__.endswith("create_customer_recurring_product"))
    body = models.NewRecurringProduct(product_code="P01")
    body.additional_properties = {"more": number}
    with pytest.raises(InvalidArgument, match="cannot be written as JSON"):
        Definition(module, 2, body).request(("1", "2"), body)


def test_a_body_means_the_same_with_and_without_the_fast_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    module = next(each for each in OPERATIONS if each.__name__.endswith("create_customer_recurring_product"))
    body = BODIES["NewRecurringProduct"]
    fast = Definition(module, 2, body).request(("1", "2"), body).body
    monkeypatch.setattr(definition_module, "orjson", None)
    slow = Definition(module, 2, body).request(("1", "2"), body).body
    assert fast is not None
    assert slow is not None
    assert json.loads(fast) == json.loads(slow) == body.to_dict()


def test_what_cannot_be_written_names_the_argument() -> None:
    with pytest.raises(InvalidArgument, match="body"):
        write_json("body", {"a": object()})
