"""Make the mock that the tests of the mock run against, with a planted fault and with resources on request."""

from __future__ import annotations

from typing import Any

from payex_billing_mock import MockApp, create_app

from . import support
from .api import (
    Api,
    charges_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscriptions_path,
)
from .bodies import BODIES
from .exchange import CONTRACT
from .faults import plant
from .support import BASE_PATH, LEDGER, TOKEN
from .transports import InProcess


def make_app(*, seeded: bool = False) -> MockApp:
    """Make the mock with the planted fault of this run, if any. On request, add the resources of the examples."""
    app = create_app({LEDGER: TOKEN}) if support.PLANTED is None else plant(support.PLANTED, {LEDGER: TOKEN})
    if seeded:
        seed(app)
    return app


def seed(app: MockApp) -> None:
    """Create the resources that the contract's examples name. A planted fault may refuse them."""
    api = Api(InProcess(app), BASE_PATH, LEDGER, TOKEN)
    customer, subscription = (_example(kind) for kind in ("customer", "subscription"))
    random_id, app.store.new_id = app.store.new_id, lambda _: _example("charge")
    for route, body in (
        (customers_path(), new_customer(customer)),
        (subscriptions_path(customer), new_subscription(subscription)),
        (charges_path(customer), BODIES.full("charge")),
        (charges_path(customer, subscription), new_charge(unit_price=-100, end_date="2026-03-31")),
    ):
        api.post(*route, body=body, judged=False)
    app.store.new_id = random_id


def _example(kind: str) -> Any:
    return CONTRACT.parameter_node(CONTRACT.place(kind).parameter)["example"]
