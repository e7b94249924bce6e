"""One typed GET after the other: CPU of the caller, beside other SDKs and what they are made of."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from payex_billing import Billing
from pyreqwest.client import SyncClientBuilder

from benchmarks.measure import Row, ratios, rounds_of
from benchmarks.server import serving
from benchmarks.stock import stock

TEXT = (
    "CPU of the calling process for one GET of a customer, one after the other, over loopback, against the same server "
    "(Granian, a fixed answer) in a process of its own. All but the bare client return typed objects."
)
CALLS = 1_000
LEDGER, TOKEN, NUMBER = "1234", "bench-token", "15615616"
FAST, SLOW, STOCK, BARE, STRIPE = (
    "Billing, engine reqwest", "Billing, engine httpx", "generated function on httpx", "bare pyreqwest", "stripe",
)  # fmt: skip


def subjects(url: str, stack: ExitStack, only: str | None = None) -> dict[str, Callable[[], object]]:
    """One call of each client, or of one, ready to be made."""
    makers = {STRIPE: _stripe, STOCK: _stock, SLOW: _billing("httpx"), FAST: _billing("reqwest"), BARE: _bare}
    return {name: make(url, stack) for name, make in makers.items() if only in {None, name}}


def _stripe(url: str, _stack: ExitStack) -> Callable[[], object]:
    import stripe  # noqa: PLC0415 - a peer

    client = stripe.StripeClient("sk_test_x", base_addresses={"api": url})
    return lambda: client.v1.customers.retrieve(NUMBER)


def _stock(url: str, stack: ExitStack) -> Callable[[], object]:
    import httpx  # noqa: PLC0415 - a peer

    base = f"{url}/billing/customer/v1"
    plain = stack.enter_context(httpx.Client(base_url=base, headers={"Authorization": f"Bearer {TOKEN}"}))
    client = stock("client").AuthenticatedClient(base_url=base, token=TOKEN).set_httpx_client(plain)
    get_customer = stock("api.customers.get_customer")
    return lambda: get_customer.sync_detailed(LEDGER, NUMBER, client=client)


def _billing(engine: str) -> Callable[[str, ExitStack], Callable[[], object]]:
    def make(url: str, stack: ExitStack) -> Callable[[], object]:
        client = Billing(token=TOKEN, owner_no=LEDGER, base_url=url, engine=engine)
        return stack.enter_context(client).customer(NUMBER).get

    return make


def _bare(url: str, stack: ExitStack) -> Callable[[], object]:
    builder = SyncClientBuilder().no_proxy().default_headers({"Authorization": f"Bearer {TOKEN}"})
    client = stack.enter_context(builder.build())
    path = f"{url}/billing/customer/v1/{LEDGER}/customers/{NUMBER}"
    return lambda: bytes(client.get(path).build().send().bytes())


def measure() -> list[Row]:
    """The rows of this section."""
    with serving() as url, ExitStack() as stack:
        calls = subjects(url, stack)
        for call in calls.values():
            _cpu(call)
        found = rounds_of({name: partial(_cpu, call) for name, call in calls.items()})
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
