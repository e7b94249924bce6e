"""Reads what Billing holds of a customer, as far as its rows, or pruning, need it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..errors import CustomerNotFound, SubscriptionNotFound
from ..models import RecurringProduct
from ._match import Held

if TYPE_CHECKING:
    from .._async.client import AsyncBilling


async def held(
    billing: AsyncBilling, customer_no: str, subscriptions: Iterable[str | None], *, everything: bool
) -> Held:
    """Read the charges of a customer.

    Args:
        billing: the client.
        customer_no: the customer.
        subscriptions: where its rows are; None is the customer's own level.
        everything: read all its subscriptions, also those of no row: what is pruned must be known.
    """
    customer = billing.customer(customer_no)
    wanted = set(subscriptions)
    found: dict[str | None, tuple[RecurringProduct, ...]] = {}
    try:
        if everything:
            wanted |= {None} | {each.subscription_no async for each in customer.subscriptions.list()}
        for number in sorted(wanted, key=lambda each: each or ""):
            handle = customer if number is None else customer.subscription(number)
            try:
                found[number] = tuple([each async for each in handle.recurring_products.list()])
            except SubscriptionNotFound:
                continue
    except CustomerNotFound:
        return Held(exists=False)
    return Held(exists=True, charges=found)
