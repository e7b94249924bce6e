"""What type checkers see of the public surface. Never run: mypy and pyright check it (`make types`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import assert_type

import payex_billing
from payex_billing import (
    AsyncBilling,
    Billing,
    Charge,
    ConflictingCharge,
    Customer,
    CustomerCharge,
    JsonValue,
    LostCreation,
    Operation,
    ProblemError,
    RecordedWrite,
    RecurringProduct,
    ResponseInfo,
    Subscription,
    reconcile,
)
from payex_billing.testing import PayexMock, PayexServer


def blocking(billing: Billing) -> None:
    customer = billing.customer("1")
    assert_type(customer.get(), Customer)
    assert_type(customer.create(), Customer)
    assert_type(customer.ensure(), Customer)
    assert_type(customer.subscriptions.list(), Iterator[Subscription])
    subscription = customer.subscription("1")
    assert_type(subscription.ensure(), Subscription)
    charges = subscription.recurring_products
    product = charges.create(Charge(product_code="P", unit_price=Decimal(1), vat_rate=25, start_date=date(2026, 1, 1)))
    assert_type(product, RecurringProduct)
    assert_type(product.unit_price, Decimal | None)
    assert_type(product.extra, Mapping[str, JsonValue])
    assert_type(product.charge, Charge)
    assert_type(charges.update(product.id, quantity=None, end_date=date(2026, 1, 1)), RecurringProduct)
    assert_type(charges.list(), Iterator[RecurringProduct])
    assert_type(charges.ensure(Charge(product_code="P"), settle=30), RecurringProduct)
    assert_type(customer.all_charges(), Iterator[CustomerCharge])
    assert_type(customer.get().operations, tuple[Operation, ...])
    assert_type(billing.follow(customer.get().operations[0], {"a": [1, None]}), JsonValue)
    with billing.with_options(deadline=10) as twin:
        assert_type(twin, Billing)


async def asynchronous(billing: AsyncBilling) -> None:
    customer = billing.customer("1")
    assert_type(await customer.get(), Customer)
    assert_type(customer.subscriptions.list(), AsyncIterator[Subscription])
    charges = customer.recurring_products
    assert_type(await charges.create(Charge(product_code="P")), RecurringProduct)
    async for product in charges.list():
        assert_type(product, RecurringProduct)
    assert_type(await charges.ensure(Charge(product_code="P")), RecurringProduct)
    async for place in customer.all_charges():
        assert_type(place.subscription_no, str | None)
        assert_type(place.product, RecurringProduct)
    async with billing.with_options(attempts=1) as twin:
        assert_type(twin, AsyncBilling)


def options() -> None:
    seen: list[ResponseInfo] = []
    headers = {"X-Key": "k"}
    with Billing(on_response=seen.append, headers=headers, app_info=("crm", "2"), dry_run=True) as billing:
        assert_type(billing.recorded, tuple[RecordedWrite, ...])
        assert_type(billing.dry_run, bool)
    assert_type(seen[0].headers, Mapping[str, str])
    assert_type(seen[0].elapsed, float)
    AsyncBilling(on_response=print, app_info="crm/2")
    assert_type(payex_billing.__version__, str)


def dicts(charge: Charge, lost: LostCreation) -> None:
    assert_type(charge.to_dict(), dict[str, object])
    assert_type(charge.to_dict(mode="json"), dict[str, JsonValue])
    assert_type(Charge.from_dict({}), Charge)
    assert_type(LostCreation.from_dict(lost.to_dict(mode="json")), LostCreation)


def script(billing: Billing) -> None:
    with payex_billing.reconcile.read("charges.csv") as table:
        assert_type(reconcile.plan_sync(billing, table, prune=True), reconcile.Plan)
        assert_type(reconcile.apply_sync(billing, table, journal=Path("journal")), reconcile.Report)


def conflict(error: ConflictingCharge) -> None:
    assert_type(error.candidates, tuple[RecurringProduct, ...])


def errors(error: ProblemError) -> None:
    assert_type(error.status, int)
    assert_type(error.problems, Mapping[str, str])
    assert_type(error.retry_after, float | None)


def doubles(payex_mock: PayexMock, payex_server: PayexServer) -> None:
    assert_type(payex_mock.charges("1", "2"), list[Charge])
    assert_type(payex_server.requests[0].status, int | None)
    with payex_mock.billing(timeout=1) as billing, payex_mock.losing_answers("POST"), payex_mock.no_writes():
        assert_type(billing, Billing)
    assert_type(payex_server.async_billing(max_rate=5), AsyncBilling)


async def desired(billing: AsyncBilling) -> None:
    with reconcile.read("charges.csv") as table:
        report = await reconcile.apply(billing, table, journal=Path("journal"))
        assert_type(report.rejected, dict[int, str])


def mistakes(billing: Billing) -> None:
    """Each line is an error that a type checker finds."""
    Charge(product_code="P", unit_price=1.5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    Charge("P")  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    Charge(product_code="P").to_dict(mode="xml")  # type: ignore[call-overload] # pyright: ignore[reportCallIssue, reportArgumentType]
    Billing(app_info=("crm", 2))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    reconcile.apply_sync(billing)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    billing.customer(1)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    billing.customer("1").recurring_products.update("x", product_code=None)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
