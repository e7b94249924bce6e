"""A webhook that turns the CRM's events into charges: `uvicorn webhook:app`, with `PAYEX_*` in the environment.

A webhook may deliver an event twice, and the response of Billing may be lost. So the charge carries the id of the event,
and the program looks for that id before it creates a charge.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, HTTPException, Request
from payex_billing import AsyncBilling, Charge, Outcome, OutcomeUnknown, ProblemError, RecurringProduct, TransportError
from pydantic import BaseModel

EVENT = "crmEvent"  # a property of our own on the charge; the API keeps what it does not know


class Subscribed(BaseModel):
    """A customer has taken a product."""

    kind: Literal["subscribed"]
    event: str
    customer: str
    subscription: str
    product: str
    price: Decimal
    day: date


class Ended(BaseModel):
    """A customer has given a product back."""

    kind: Literal["ended"]
    event: str
    customer: str
    subscription: str
    product: str
    day: date


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for as long as the program runs."""
    async with AsyncBilling.from_env() as app.state.billing:
        yield


app = FastAPI(lifespan=lifespan)


def billing(request: Request) -> AsyncBilling:
    """The client, with a deadline that leaves time to answer the CRM."""
    client: AsyncBilling = request.app.state.billing
    return client.with_options(deadline=20, timeout=5)


@app.post("/events")
async def receive(event: Subscribed | Ended, client: Annotated[AsyncBilling, Depends(billing)]) -> dict[str, str]:
    """Do what an event says. 503 asks the CRM to send it again, which does no harm."""
    try:
        product = await (subscribe(client, event) if isinstance(event, Subscribed) else end(client, event))
    except OutcomeUnknown:
        raise HTTPException(503, "not known yet whether it is billed; send the event again") from None
    except TransportError:
        raise HTTPException(503, "Billing cannot be reached; send the event again") from None
    except ProblemError as error:
        raise HTTPException(422, f"Billing refuses it: {error.problem.title if error.problem else error}") from None
    return {"charge": product.id}


async def subscribe(client: AsyncBilling, event: Subscribed) -> RecurringProduct:
    """Bill a product, once."""
    customer = client.customer(event.customer)
    await customer.ensure()
    subscription = customer.subscription(event.subscription)
    await subscription.ensure()
    charges = subscription.recurring_products
    held = [each async for each in charges.list()]
    for each in held:
        if each.extra.get(EVENT) == event.event:
            return each  # it came before
    charge = Charge(
        product_code=event.product, quantity=1, unit_price=event.price, start_date=event.day, extra={EVENT: event.event}
    )
    try:
        return await charges.create(charge, known=[each.id for each in held])
    except OutcomeUnknown as error:
        found = await client.look_up(error.lost)
        if found.outcome is Outcome.CREATED and isinstance(found.resource, RecurringProduct):
            return found.resource
        raise


async def end(client: AsyncBilling, event: Ended) -> RecurringProduct:
    """Bill a product up to a day, and no longer."""
    charges = client.customer(event.customer).subscription(event.subscription).recurring_products
    async for each in charges.list():
        if each.product_code == event.product and (each.end_date is None or each.end_date >= event.day):
            return await charges.update(each.id, end_date=event.day)
    raise HTTPException(404, "nothing to end")
