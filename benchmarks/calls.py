"""What the wrapper adds to a GET: beside the generated function on an httpx client of the same kind."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable

import httpx
from payex_billing import Billing
from payex_billing_client import AuthenticatedClient
from payex_billing_client.api.customers import get_customer

from benchmarks.measure import Row, side_by_side

TEXT = (
    "CPU of the calling process for one typed GET of a customer, sequential, over loopback, against the mock in a "
    "process of its own."
)
CALLS = 1_000
LEDGER, TOKEN = "1234", "bench-token"


def measure() -> list[Row]:
    """The rows of this section."""
    command = [sys.executable, "-m", "payex_billing_mock", "--port", "0", "--ledger", LEDGER, "--token", TOKEN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as mock:
        try:
            found = re.search(r"http://\S+", mock.stdout.readline() if mock.stdout else "")
            if found is None:
                raise RuntimeError("the mock did not start")
            return _measure(found[0])
        finally:
            mock.terminate()
            mock.communicate()


def _measure(url: str) -> list[Row]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with (
        Billing(token=TOKEN, owner_no=LEDGER, base_url=url) as billing,
        httpx.Client(base_url=f"{url}/billing/customer/v1", headers=headers) as plain,
    ):
        generated = AuthenticatedClient(base_url=str(plain.base_url), token=TOKEN).set_httpx_client(plain)
        customer = billing.customer("15615616")
        customer.ensure()
        subjects: dict[str, Callable[[], float]] = {
            "generated function on httpx": lambda: _cpu(
                lambda: get_customer.sync_detailed(LEDGER, "15615616", client=generated)
            ),
            "Billing": lambda: _cpu(customer.get),
        }
        for subject in subjects.values():
            subject()
        return side_by_side(subjects, "µs", {"Billing": 1.15}, base="generated function on httpx")


def _cpu(call: Callable[[], object]) -> float:
    started = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - started) / CALLS * 1e6
