"""`to_dict` and `from_dict`: values that go into a database or a queue, and come back as they were."""

from __future__ import annotations

import json
import math
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import attrs
import payex_billing as pb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing import Charge, Customer, CustomerCharge, LostCreation, Operation, RecurringProduct, Subscription
from payex_billing._values.dicts import _CLASSES, _READERS

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(), st.lists(PLAIN, max_size=2), max_size=2)
EXTRA = st.dictionaries(st.text(), JSON, max_size=3)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
DAYS = st.none() | st.dates(date(2000, 1, 1), date(2090, 1, 1))
MONEY = st.none() | st.decimals(-9_999_999, 9_999_999, places=6) | st.integers(-9_999_999, 9_999_999).map(Decimal)
OPERATION = st.builds(Operation, rel=TEXT, method=TEXT, href=TEXT, extra=EXTRA)
OPERATIONS = st.lists(OPERATION, max_size=2).map(tuple)
CHARGES = st.builds(
    Charge, product_code=st.text("PÅ1", min_size=1, max_size=5), quantity=st.none() | st.integers(1, 99_999),
    unit_price=MONEY, vat_rate=st.none() | st.decimals(0, 100, places=2), text=st.none() | TEXT, start_date=DAYS,
    extra=EXTRA,
)  # fmt: skip
PRODUCTS = st.builds(
    RecurringProduct, id=TEXT, uri=TEXT, product_code=TEXT, quantity=st.none() | st.integers(),
    unit_price=st.none() | st.decimals(allow_nan=False, allow_infinity=False), vat_rate=MONEY, text=st.none() | TEXT,
    start_date=DAYS, end_date=DAYS, billed_until=DAYS, operations=OPERATIONS, extra=EXTRA,
)  # fmt: skip
KEYS = st.builds(pb.NaturalKey, customer_no=TEXT, subscription_no=st.none() | TEXT, charge=st.none() | CHARGES)
VALUES = st.one_of(
    CHARGES,
    PRODUCTS,
    OPERATION,
    st.builds(Customer, customer_no=TEXT, uri=st.none() | TEXT, recurring_products=TEXT, subscriptions=TEXT,
              operations=OPERATIONS, extra=EXTRA),
    st.builds(Subscription, subscription_no=TEXT, uri=TEXT, recurring_products=TEXT, operations=OPERATIONS, extra=EXTRA),
    st.builds(CustomerCharge, subscription_no=st.none() | TEXT, product=PRODUCTS),
    KEYS,
    st.builds(LostCreation, key=st.none() | KEYS, sent_at=st.floats(0, 4e9), may_be_under_way=st.booleans(),
              known=st.none() | st.frozensets(TEXT, max_size=3), ledger=st.none() | TEXT, mark=st.integers(),
              memory=TEXT),
)  # fmt: skip


@given(VALUES)
def test_a_value_comes_back_from_both_modes_and_through_json(value: Any) -> None:
    kind = type(value)
    assert kind.from_dict(value.to_dict()) == value
    written = value.to_dict(mode="json")
    assert kind.from_dict(json.loads(json.dumps(written, allow_nan=False))) == value
    assert kind.from_dict(written) == value


@given(VALUES)
def test_a_dict_has_the_names_of_the_attributes_and_shares_nothing_with_the_value(value: Any) -> None:
    before = repr(value)
    for mode in ("python", "json"):
        written = value.to_dict(mode=mode)
        assert list(written) == [field.name for field in attrs.fields(type(value))]
        spoil(written)
        assert repr(value) == before


def spoil(value: Any) -> None:
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()
    if isinstance(value, list):
        for item in value:
            spoil(item)
        value.clear()


def test_money_and_dates_in_both_modes() -> None:
    charge = Charge(product_code="P01", unit_price=Decimal("499.00"), vat_rate=25, start_date=date(2026, 1, 31))
    assert charge.to_dict()["unit_price"] == Decimal("499.00")
    assert charge.to_dict()["start_date"] == date(2026, 1, 31)
    assert charge.to_dict(mode="json") == {
        "product_code": "P01", "quantity": None, "unit_price": "499.00", "vat_rate": "25", "text": None,
        "start_date": "2026-01-31", "end_date": None, "extra": {},
    }  # fmt: skip


@pytest.mark.parametrize("text", ["9999999.999999", "-0.000001", "0.10", "1E+6", "0"])
def test_no_digit_of_a_price_is_lost(text: str) -> None:
    written = Charge(product_code="P", unit_price=Decimal(text)).to_dict(mode="json")["unit_price"]
    assert isinstance(written, str)
    assert "E" not in written
    assert Decimal(written) == Decimal(text)


def test_a_look_up_result_is_written_with_what_it_found() -> None:
    product = RecurringProduct(id="x", uri="/x", product_code="P", unit_price=Decimal("1.50"))
    result = pb.LookUpResult(outcome=pb.Outcome.CREATED, reason="r", resource=product, candidates=(product,))
    written: Any = result.to_dict(mode="json")
    assert written["outcome"] == "created"
    assert written["resource"]["unit_price"] == "1.50"
    assert written["candidates"] == [written["resource"]]


def test_unknown_properties_and_nulls_stay() -> None:
    extra: Any = {"costCenter": None, "tags": [None, {"a": 1.5}], "": True}
    product = RecurringProduct(id="x", uri="/x", product_code="P", extra=extra)
    assert product.to_dict(mode="json")["extra"] == extra
    assert product.to_dict()["extra"] == extra


def test_a_lone_surrogate_that_the_server_sent_is_written() -> None:
    product = RecurringProduct(id="x", uri="/x", product_code="P", text="\ud800")
    assert RecurringProduct.from_dict(json.loads(json.dumps(product.to_dict(mode="json")))) == product


class Colour(str, Enum):  # noqa: UP042 - its str() is another than that of a StrEnum
    RED = "red"


@pytest.mark.parametrize(
    ("extra", "written"),
    [({"a": Colour.RED}, {"a": "red"}), ({"a": (1, 2)}, {"a": [1, 2]}), ({"a": Decimal("1.10")}, {"a": "1.10"})],
    ids=str,
)  # fmt: skip
def test_extra_becomes_plain(extra: Any, written: Any) -> None:
    found: Any = Charge(product_code="P", extra=extra).to_dict(mode="json")["extra"]
    assert found == written
    assert type(found["a"]) is type(written["a"])


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, Decimal("NaN"), b"x", {1: 2}, pytest.param(object(), id="object"), {"deep": {1, 2}}],
    ids=repr,
)
def test_what_json_cannot_write_is_refused(value: Any) -> None:
    charge = Charge(product_code="P", extra={"a": value})
    with pytest.raises(pb.InvalidArgument, match="extra"):
        charge.to_dict(mode="json")


def test_what_is_nested_too_deeply_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(pb.InvalidArgument, match="nested too deeply"):
        Charge(product_code="P", extra={"a": deep}).to_dict(mode="json")


@pytest.mark.parametrize("mode", ["JSON", "", None, 1])
def test_there_are_two_modes(mode: Any) -> None:
    with pytest.raises(pb.InvalidArgument, match="mode"):
        Charge(product_code="P").to_dict(mode=mode)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantity": True}, "quantity must be an int, not bool"),
        ({"quantity": "1"}, "quantity must be an int, not str"),
        ({"unit_price": 499.0}, "unit_price .* not float: a float has no exact decimals"),
        ({"unit_price": "1_000"}, "unit_price must be a number in a text"),
        ({"unit_price": " 1"}, "unit_price must be a number in a text"),
        ({"unit_price": "NaN"}, "unit_price must be a number in a text"),
        ({"unit_price": "1,50"}, "unit_price must be a number in a text"),
        ({"unit_price": "\u0661"}, "unit_price must be a number in a text"),
        ({"unit_price": Decimal("Infinity")}, "unit_price must be a finite number"),
        ({"unit_price": True}, "unit_price must be a finite number"),
        ({"start_date": "20260131"}, "start_date must be a date such as"),
        ({"start_date": "2026-02-30"}, "start_date must be a date such as"),
        ({"start_date": datetime(2026, 1, 1)}, "start_date must be a date, not datetime"),
        ({"text": 1}, "text must be a str, not int"),
        ({"extra": [1]}, "extra must be a mapping, not list"),
        ({"product_code": None}, "product_code must be a str, not NoneType"),
        ({"product_code": "too long"}, "product_code must have at most 5 characters"),
        ({"colour\x1b": 1}, r"source holds 'colour\\\\x1b', which a Charge does not have"),
        ({1: 1}, "source holds a key of type int"),
    ],
    ids=str,
)
def test_a_charge_is_read_with_care(change: dict[Any, Any], said: str) -> None:
    with pytest.raises(pb.InvalidArgument, match=said):
        Charge.from_dict({"product_code": "P01"} | change)


@pytest.mark.parametrize("source", [None, [], "x", [("product_code", "P")]])
def test_a_source_is_a_mapping(source: Any) -> None:
    with pytest.raises(pb.InvalidArgument, match="source must be a mapping"):
        Charge.from_dict(source)


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        (Charge, {}, "source lacks product_code"),
        (Customer, {"customer_no": "1", "uri": None}, "source lacks recurring_products"),
        (CustomerCharge, {"subscription_no": None, "product": "x"}, "product must be a mapping"),
        (LostCreation, {"key": None, "sent_at": 1, "known": "abc"}, "known must be a list of ids"),
        (LostCreation, {"key": None, "sent_at": "x"}, "sent_at must be a number"),
        (LostCreation, {"key": None, "sent_at": math.nan}, "sent_at must be a finite number"),
        (LostCreation, {"key": None, "sent_at": 1, "may_be_under_way": 1}, "may_be_under_way must be a bool"),
        (RecurringProduct, {"id": "x", "uri": "/x", "product_code": "P", "operations": "x"}, "operations must be a list"),
        (RecurringProduct, {"id": "x", "uri": "/x", "product_code": "P", "operations": [1]}, "operations must be a mapping"),
        (RecurringProduct, {"id": 1, "uri": "/x", "product_code": "P"}, "id must be a str"),
    ],
    ids=str,
)  # fmt: skip
def test_other_values_are_read_with_care(kind: Any, source: dict[str, Any], said: str) -> None:
    with pytest.raises(pb.InvalidArgument, match=said):
        kind.from_dict(source)


def test_every_type_of_an_attribute_can_be_read() -> None:
    known = {*_READERS, *_CLASSES, "tuple[Operation, ...]", "Quantity", "UnitPrice", "VatRate"}
    for kind in _CLASSES.values():
        for field in attrs.fields(kind):  # type: ignore[arg-type]
            assert str(field.type).removesuffix(" | None") in known, f"{kind.__name__}.{field.name}"
