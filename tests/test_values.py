"""The values users handle."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import attrs
import payex_billing as pb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from payex_billing import UNSET, Charge, Customer, Operation, RecurringProduct, Subscription
from payex_billing._values.json import parse_json

OPERATION = Operation(rel="add-x", method="POST", href="/x", extra={"title": "X"})
VALUES = [
    OPERATION,
    Customer(customer_no="1", uri=None, recurring_products="/r", subscriptions="/s", operations=(OPERATION,)),
    Subscription(subscription_no="1", uri="/s/1", recurring_products="/r", extra={"a": [1, {"b": None}]}),
    Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"), vat_rate=25, start_date=date(2026, 1, 1)),
    RecurringProduct(id="x", uri="/x", product_code="P01", billed_until=date(2026, 6, 30)),
    pb.Settings(token="t", owner_no="1"),
    pb.NaturalKey(customer_no="1", charge=Charge(product_code="P01")),
    pb.LookUpResult(outcome=pb.Outcome.CREATED, reason="it exists", resource=OPERATION),  # type: ignore[arg-type]
    pb.Attempt(pb.Phase.ANSWERED, status=500, wait=0.5),
    pb.Problem(404, code="customer-not-found", problems={"a": "b"}),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_pickle_copy_and_hash(value: Any) -> None:
    for twin in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert twin == value
        assert type(twin) is type(value)
    assert hash(copy.deepcopy(value)) == hash(value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_frozen(value: Any) -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, attrs.fields(type(value))[0].name, "changed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"product_code": ""}, "product_code must not be empty"),
        ({"product_code": "P00001"}, "product_code must have at most 5 characters"),
        ({"product_code": 1}, "product_code must be a str"),
        ({"quantity": 0}, "quantity must be between 1 and 99999"),
        ({"quantity": 100_000}, "quantity must be between"),
        ({"quantity": True}, "quantity must be an int"),
        ({"quantity": 1.0}, "quantity must be an int"),
        ({"unit_price": 499.0}, 'unit_price must be a Decimal, not float; write Decimal\\("499.0"\\)'),
        ({"unit_price": "499"}, "unit_price must be a Decimal, not str"),
        ({"unit_price": Decimal("NaN")}, "unit_price must be a finite number"),
        ({"unit_price": Decimal("-Infinity")}, "unit_price must be a finite number"),
        ({"unit_price": Decimal(10000000)}, "unit_price must be between -9999999.999999 and 9999999.999999"),
        ({"unit_price": Decimal("0.0000001")}, "unit_price must have at most 6 decimals"),
        ({"vat_rate": Decimal("-0.01")}, "vat_rate must be between 0 and 100"),
        ({"vat_rate": Decimal("100.01")}, "vat_rate must be between 0 and 100"),
        ({"vat_rate": Decimal("25.001")}, "vat_rate must have at most 2 decimals"),
        ({"text": "x" * 74}, "text must have at most 73 characters, not 74"),
        ({"text": b"x"}, "text must be a str"),
        ({"text": "\ud800"}, "text must be valid Unicode"),
        ({"start_date": "2026-01-01"}, "start_date must be a datetime.date, not str"),
        ({"end_date": datetime(2026, 1, 1)}, "end_date must be a datetime.date, not datetime"),
        ({"start_date": date(2026, 2, 1), "end_date": date(2026, 1, 31)}, "end_date must not be before start_date"),
    ],
)
def test_a_charge_that_breaks_the_contract_cannot_be_made(change: dict[str, Any], said: str) -> None:
    with pytest.raises(pb.InvalidArgument, match=said):
        Charge(**({"product_code": "P01"} | change))


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": 1},
        {"quantity": 99_999},
        {"unit_price": Decimal("9999999.999999")},
        {"unit_price": Decimal("-9999999.999999")},
        {"unit_price": Decimal("1E+6")},
        {"unit_price": Decimal("1.50000000000000")},
        {"unit_price": 0},
        {"vat_rate": 100},
        {"vat_rate": Decimal(0)},
        {"text": "𝄞" * 73},
        {"text": ""},
        {"start_date": date(2026, 1, 1), "end_date": date(2026, 1, 1)},
    ],
)
def test_a_charge_at_the_boundary_can_be_made(change: dict[str, Any]) -> None:
    charge = Charge(product_code="P", **change)
    assert all(getattr(charge, name) == value for name, value in change.items())


def test_a_changed_source_does_not_change_a_value() -> None:
    extra: dict[str, Any] = {"a": 1}
    charge = Charge(product_code="P", extra=extra)
    extra["b"] = 2
    assert charge.extra == {"a": 1}


def test_content_is_compared_by_value() -> None:
    product = RecurringProduct(id="x", uri="/x", product_code="P", unit_price=Decimal("499.0"))
    assert product.has_content_of(Charge(product_code="P", unit_price=Decimal("499.00")))
    assert not product.has_content_of(Charge(product_code="P", unit_price=Decimal("499.01")))
    assert not product.has_content_of(Charge(product_code="P", unit_price=Decimal("499.00"), extra={"a": 1}))


def test_unset_is_none_of_the_values() -> None:
    assert repr(UNSET) == "UNSET"
    assert pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert copy.deepcopy(UNSET) is UNSET


@given(
    number=st.integers(min_value=-(10**40), max_value=10**40),
    before=st.text(alphabet="abc0123456789", max_size=40),
    after=st.text(alphabet="abc0123456789", max_size=40),
)
@example(number=-(2**63) - 1, before="", after="")
@example(number=2**64, before="", after="")
def test_whole_numbers_of_any_size_are_read_exactly(number: int, before: str, after: str) -> None:
    body = json.dumps({"before": before, "number": number, "after": after}).encode()
    assert parse_json(body) == {"before": before, "number": number, "after": after}


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_numbers_with_decimals_are_read_with_all_their_digits(number: Decimal) -> None:
    assert str(parse_json(f"[{number:f}]".encode())[0]) == f"{number:f}"


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'"\\ud800"', "\ud800"), (b"\xef\xbb\xbf1", 1), (b"-0", 0), (b'{"a":1,"a":2}', {"a": 2}), (b'"\xc3\xb6"', "ö")],
)
def test_json_is_read_as_the_standard_library_reads_it(body: bytes, value: object) -> None:
    assert parse_json(body) == value == json.loads(body)


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b"", b"{", b"\xff", b'{"a":01}', b"1e99999999999999999999"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(body)
