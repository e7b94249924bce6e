"""The company's own tests. `payex_mock` comes with payex-billing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import crm
import pytest
from payex_billing import Charge
from payex_billing.testing import PayexMock

SMALL = Charge(product_code="P01", quantity=1, unit_price=Decimal("199.00"), start_date=date(2026, 12, 1))


def test_a_new_subscriber_is_billed(payex_mock: PayexMock) -> None:
    crm.subscribe("15615616", "46701234567", "small", date(2026, 12, 1))
    assert payex_mock.charges("15615616", "46701234567") == [SMALL]


def test_subscribing_twice_bills_once(payex_mock: PayexMock) -> None:
    ids = {crm.subscribe("15615616", "46701234567", "small", date(2026, 12, 1)) for _ in range(2)}
    assert len(ids) == 1
    assert payex_mock.charges("15615616", "46701234567") == [SMALL]


@pytest.mark.parametrize("fault", ["lose-answer:POST", "500-after:POST", "reset-after:POST"])
def test_a_lost_answer_bills_once(payex_mock: PayexMock, fault: str) -> None:
    payex_mock.add("15615616", "46701234567")
    payex_mock.next(fault, fault, fault)
    crm.subscribe("15615616", "46701234567", "small", date(2026, 12, 1))
    assert payex_mock.charges("15615616", "46701234567") == [SMALL]


def test_another_plan_follows_without_a_gap(payex_mock: PayexMock) -> None:
    payex_mock.add("15615616", "46701234567", SMALL)
    crm.change_plan("15615616", "46701234567", "large", date(2027, 1, 31))
    old, new = payex_mock.charges("15615616", "46701234567")
    assert (old.product_code, old.end_date) == ("P01", date(2027, 1, 31))
    assert (new.product_code, new.start_date) == ("P02", date(2027, 2, 1))


def test_a_plan_that_does_not_exist_asks_billing_nothing(payex_mock: PayexMock) -> None:
    with payex_mock.no_writes(), pytest.raises(KeyError):
        crm.subscribe("1", "2", "huge", date(2026, 12, 1))
    assert payex_mock.requests == []
