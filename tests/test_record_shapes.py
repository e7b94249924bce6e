"""`record_shapes` writes down what exchanges look like, and no value."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from payex_billing import AsyncBilling, Billing, Charge
from payex_billing.config import ConfigurationError
from payex_billing.errors import BillingError
from payex_billing.testing import PayexMock

from contract_tests.description import load
from contract_tests.learn import observe


def written(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def some_calls(billing: Billing) -> None:
    customer = billing.customer("Anna 4670")
    customer.create()
    charge = customer.recurring_products.create(
        Charge(product_code="P01", unit_price=Decimal("499.10"), text="Storgatan 1", extra={"46701234567": "19800101"})
    )
    customer.recurring_products.update(charge.id, quantity=4)
    customer.recurring_products.delete(charge.id)
    with pytest.raises(BillingError):
        customer.recurring_products.get(charge.id)


def test_no_value_is_written(tmp_path: Path) -> None:
    with PayexMock() as payex, payex.billing(record_shapes=tmp_path / "shapes") as billing:
        some_calls(billing)
    text = (tmp_path / "shapes").read_text()
    assert not [value for value in ("Anna", "4670", "P01", "499", "Storgatan", "1980", "token") if value in text]


def test_names_kinds_and_statuses_are_written(tmp_path: Path) -> None:
    with PayexMock() as payex, payex.billing(record_shapes=tmp_path / "shapes") as billing:
        some_calls(billing)
    creation = next(each for each in written(tmp_path / "shapes") if each["path"].endswith("/recurring-products"))
    assert (creation["method"], creation["status"]) == ("POST", 201)
    assert creation["received"]["unitPrice"] == "number"
    assert "content-type" in creation["headers"]


def test_the_traffic_of_the_mock_agrees_with_the_contract(tmp_path: Path) -> None:
    with PayexMock() as payex, payex.billing(record_shapes=tmp_path / "shapes") as billing:
        some_calls(billing)
    contract = load()
    seen = observe.read(tmp_path / "shapes", contract)
    found = observe.contradictions(seen, contract)
    assert [text for text in found if "… is not in the contract" not in text] == []


def test_a_shape_is_written_at_1_and_10_and_not_between(tmp_path: Path) -> None:
    with PayexMock() as payex, payex.billing(record_shapes=tmp_path / "shapes") as billing:
        payex.add("1")
        for _ in range(12):
            billing.customer("1").get()
    assert [each["count"] for each in written(tmp_path / "shapes")] == [1, 10]


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="record_shapes"):
        Billing(token="t", owner_no="1", record_shapes=tmp_path / "no" / "shapes")


def test_a_file_that_disappears_stops_no_call(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with PayexMock() as payex, payex.billing(record_shapes=folder / "shapes") as billing:
        (folder / "shapes").unlink()
        folder.rmdir()
        payex.add("1")
        assert billing.customer("1").get().customer_no == "1"


async def read_one(payex: PayexMock, file: Path) -> None:
    billing: AsyncBilling
    async with payex.async_billing(record_shapes=file) as billing:
        await billing.customer("1").get()


def test_the_asynchronous_client_writes_them_too(tmp_path: Path) -> None:
    import asyncio

    with PayexMock() as payex:
        payex.add("1")
        asyncio.run(read_one(payex, tmp_path / "shapes"))
    assert [each["status"] for each in written(tmp_path / "shapes")] == [200]
