"""A company's own code: what it does when somebody subscribes, changes plan, or leaves."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from payex_billing import Billing, Charge, Outcome, OutcomeUnknown, RecurringProduct

PLANS = {"small": ("P01", Decimal("199.00")), "large": ("P02", Decimal("499.00"))}


class NotBilled(Exception):
    """Billing did not take it, and somebody must look."""


def subscribe(customer_no: str, phone: str, plan: str, start: date) -> str:
    """Bill a plan from a day on; returns the id of the charge."""
    product_code, price = PLANS[plan]
    charge = Charge(product_code=product_code, quantity=1, unit_price=price, start_date=start)
    with Billing.from_env() as billing:
        customer = billing.customer(customer_no)
        customer.ensure()
        subscription = customer.subscription(phone)
        subscription.ensure()
        held = list(subscription.recurring_products.list())
        for each in held:
            if each.has_content_of(charge):
                return each.id
        try:
            return subscription.recurring_products.create(charge, known=[each.id for each in held]).id
        except OutcomeUnknown as error:
            found = billing.look_up(error.lost)
            if found.outcome is Outcome.CREATED and isinstance(found.resource, RecurringProduct):
                return found.resource.id
            raise NotBilled(f"{phone}: {found.reason}") from error


def change_plan(customer_no: str, phone: str, plan: str, day: date) -> str:
    """End what is billed now, and bill another plan from the next day on."""
    leave(customer_no, phone, day)
    return subscribe(customer_no, phone, plan, date.fromordinal(day.toordinal() + 1))


def leave(customer_no: str, phone: str, day: date) -> None:
    """Bill up to a day, and no longer."""
    with Billing.from_env() as billing:
        charges = billing.customer(customer_no).subscription(phone).recurring_products
        for each in charges.list():
            if each.end_date is None or each.end_date > day:
                charges.update(each.id, end_date=day)
