"""`reconcile.plan_sync` and `apply_sync`: for scripts, with a blocking client."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path

import payex_billing as pb
import pytest
from payex_billing import Billing, Charge
from payex_billing.testing import PayexMock

reconcile = pb.reconcile


@pytest.fixture
def mock() -> Iterator[PayexMock]:
    with PayexMock() as mock:
        yield mock


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "charges.csv"
    path.write_text("customer_no,product_code,quantity\n1,P01,1\n2,P02,2\n")
    return path


def test_a_script_plans_and_applies(mock: PayexMock, table: Path, tmp_path: Path) -> None:
    with mock.billing() as billing:
        with reconcile.read(table) as rows:
            assert reconcile.plan_sync(billing, rows).changes
            assert reconcile.apply_sync(billing, rows, journal=tmp_path / "journal").applied == 2
        with reconcile.read(table) as rows:
            assert reconcile.apply_sync(billing, rows, journal=tmp_path / "journal").unchanged == 2
        assert billing.customer("2").recurring_products.ensure(Charge(product_code="P02", quantity=2)).quantity == 2
    assert mock.charges("1") == [Charge(product_code="P01", quantity=1)]


def test_hooks_headers_and_limits_are_those_of_the_client(mock: PayexMock, table: Path) -> None:
    seen: list[pb.ResponseInfo] = []
    mock.add("1")
    with mock.billing(on_response=seen.append) as billing, reconcile.read(table) as rows:
        plan = reconcile.plan_sync(billing.with_options(attempts=1), rows)
    assert plan.rows == 2
    assert {response.operation for response in seen} >= {"list_customer_recurring_products"}


def test_inside_an_event_loop_it_says_what_to_await(mock: PayexMock, table: Path) -> None:
    async def work() -> None:
        with mock.billing() as billing, reconcile.read(table) as rows:
            reconcile.plan_sync(billing, rows)

    with pytest.raises(pb.ConfigurationError, match=r"plan_sync cannot block .* await reconcile\.plan"):
        asyncio.run(work())


def test_another_client_is_refused(table: Path) -> None:
    with reconcile.read(table) as rows, pytest.raises(pb.InvalidArgument, match="must be a Billing, not str"):
        reconcile.plan_sync("billing", rows)  # type: ignore[arg-type]


def test_a_transport_that_blocks_is_refused(table: Path) -> None:
    class Mine:
        def send(self, request: pb.Request, deadline: float) -> pb.Response:
            return pb.Response(404, {}, b"")

        def close_idle(self) -> None: ...

        def close(self) -> None: ...

    with Billing(token="t", owner_no="1", transport=Mine()) as billing, reconcile.read(table) as rows:
        with pytest.raises(pb.ConfigurationError, match="transport"):
            reconcile.plan_sync(billing, rows)


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_the_arguments_are_those_of_the_function_that_is_awaited(name: str) -> None:
    awaited = inspect.signature(getattr(reconcile, name)).parameters
    blocking = inspect.signature(getattr(reconcile, f"{name}_sync")).parameters
    assert list(blocking) == list(awaited)
    assert [str(parameter) for parameter in list(blocking.values())[1:]] == [
        str(parameter) for parameter in list(awaited.values())[1:]
    ]
    assert inspect.getdoc(getattr(reconcile, f"{name}_sync"))
