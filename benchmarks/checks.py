"""What each safety check of a call costs, beside the whole call."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from payex_billing import Billing, Charge, Customer, RecurringProduct
from payex_billing._requests.identity import check_content, check_number, check_path
from payex_billing._secret import Secret
from payex_billing._text import printable
from payex_billing._transport._httpx2 import left_over
from payex_billing.models import given

from benchmarks.calls import FAST, LEDGER, NUMBER, SLOW, TOKEN
from benchmarks.measure import Row
from benchmarks.server import serving

TEXT = (
    "CPU of each check that a call makes for safety, as a share of a typed GET on the same transport in the same run. "
    "The checks of left-over bytes and of the idle connection are made on a real connection."
)
CUSTOMERS = f"/{LEDGER}/customers"
CHARGES = f"/{LEDGER}/customers/{NUMBER}/recurring-products"
REPEATS = 20_000
CHARGE = Charge(product_code="P01", quantity=1)
CONTENT = given(CHARGE)


def measure() -> list[Row]:
    """The rows of this section."""
    rows = []
    with serving() as url:
        for name, engine in ((SLOW, "httpx"), (FAST, "reqwest")):
            with Billing(token=TOKEN, owner_no=LEDGER, base_url=url, engine=engine) as billing:
                customer, memory = billing.customer(NUMBER), billing._runner.session.memory
                found, created = customer.get(), customer.recurring_products.create(CHARGE)
                whole = _cpu(customer.get, 2_000)
                checks: dict[str, Callable[[], Any]] = {
                    "a customer is the one that was asked for": partial(_check_customer, found),
                    "a charge is the one that was asked for": partial(_check_charge, created),
                    "the content of a creation": partial(check_content, created, CONTENT),
                    "the charge of a creation is new": partial(memory.may_be, created.id, 1),
                    "a masked Authorization header": lambda: Secret("Bearer " + TOKEN),
                    "a text made printable": lambda: printable("Customer not found"),
                }
                if engine == "httpx":
                    line = billing._runner.sender.transport._idle._waiting[-1]  # type: ignore[attr-defined]
                    checks["no bytes left over after a response"] = partial(left_over, line.connection)
                    checks["an idle connection is clean"] = line.is_clean
                costs = {check: _cpu(run, REPEATS) for check, run in checks.items()}
                rows += [Row(f"{check}, {name}", cost, "µs", 1.0) for check, cost in costs.items()]
                rows.append(Row(f"one GET, {name}", whole, "µs", 1.0))
                together = sum(costs.values())
                rows.append(Row("all of them together", together, "µs", together / whole, base=f"one GET, {name}"))
    return rows


def _check_customer(customer: Customer) -> None:
    check_number("customer", customer.customer_no, NUMBER)
    check_path(CUSTOMERS, customer.customer_no, customer.uri)


def _check_charge(charge: RecurringProduct) -> None:
    check_number("charge", charge.id, charge.id)
    check_path(CHARGES, charge.id, charge.uri)


def _cpu(run: Callable[[], object], repeats: int) -> float:
    """Microseconds of CPU, the best of three."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        for _ in range(repeats):
            run()
        best = min(best, (time.process_time() - started) / repeats * 1e6)
    return best
