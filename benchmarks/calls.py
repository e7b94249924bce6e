"""One typed GET after the other: CPU of the caller, beside other SDKs and what they are made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import httpx
import stripe
from payex_billing import Billing
from payex_billing_client import AuthenticatedClient
from payex_billing_client.api.customers import get_customer
from pyreqwest.client import SyncClientBuilder

from benchmarks.measure import Row, ratios, rounds_of
from benchmarks.server import serving

TEXT = (
    "CPU of the calling process for one GET of a customer, one after the other, over loopback, against the same server "
    "(Granian, a fixed answer) in a process of its own. All but the bare client return typed objects."
)
CALLS = 1_000
LEDGER, TOKEN, NUMBER = "1234", "bench-token", "15615616"
FAST, SLOW, STOCK, BARE, STRIPE = (
    "Billing, engine reqwest", "Billing, engine httpx", "generated function on httpx", "bare pyreqwest", "stripe",
)  # fmt: skip


def subjects(url: str, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """One call of each client, ready to be made."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    plain = stack.enter_context(httpx.Client(base_url=f"{url}/billing/customer/v1", headers=headers))
    generated = AuthenticatedClient(base_url=str(plain.base_url), token=TOKEN).set_httpx_client(plain)
    options: dict[str, Any] = {"token": TOKEN, "owner_no": LEDGER, "base_url": url}
    fast = stack.enter_context(Billing(**options, engine="reqwest")).customer(NUMBER)
    slow = stack.enter_context(Billing(**options, engine="httpx")).customer(NUMBER)
    bare = stack.enter_context(SyncClientBuilder().no_proxy().default_headers(headers).build())
    path = f"{url}/billing/customer/v1/{LEDGER}/customers/{NUMBER}"
    peer = stripe.StripeClient("sk_test_x", base_addresses={"api": url})
    return {
        STRIPE: lambda: peer.v1.customers.retrieve(NUMBER),
        STOCK: lambda: get_customer.sync_detailed(LEDGER, NUMBER, client=generated),
        SLOW: slow.get,
        FAST: fast.get,
        BARE: lambda: bytes(bare.get(path).build().send().bytes()),
    }


def measure() -> list[Row]:
    """The rows of this section."""
    with serving() as url, ExitStack() as stack:
        calls = subjects(url, stack)
        for call in calls.values():
            _cpu(call)
        found = rounds_of({name: lambda call=call: _cpu(call) for name, call in calls.items()})
    return ratios(
        found,
        "µs",
        [(FAST, STRIPE, 0.20), (FAST, BARE, 2.0), (SLOW, STOCK, 0.75), (FAST, STOCK, None), (SLOW, STRIPE, None)],
    )


def _cpu(call: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - started) / CALLS * 1e6
