"""How many requests a second the mock answers, beside a bare endpoint on the same server and beside Prism."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from payex_billing import Billing

from benchmarks.applying import mock
from benchmarks.calls import LEDGER, NUMBER, TOKEN
from benchmarks.measure import Row, ratios, rounds_of
from benchmarks.server import serving

ROOT = Path(__file__).parent.parent
MOCK, PLAIN, PRISM = "the mock", "bare JSON endpoint on Granian", "Prism"
TEXT = (
    "GET of a customer, 64 connections, loaded by `wrk`; more is better. All validate the request but the bare "
    "endpoint, which looks at nothing. Prism (`@stoplight/prism-cli` of npm) serves the examples of the same contract."
)
PATH = f"/billing/customer/v1/{LEDGER}/customers/{NUMBER}"


def _rate(url: str, seconds: int = 3) -> float:
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "-H", f"Authorization: Bearer {TOKEN}", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if found is None:
        raise RuntimeError(said)
    return float(found[1])


@contextmanager
def _mock() -> Iterator[str]:
    with mock() as url:
        with Billing(token=TOKEN, owner_no=LEDGER, base_url=url) as billing:
            billing.customer(NUMBER).create()
        yield url


@contextmanager
def _prism() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["prism", "mock", "--host", "127.0.0.1", "--port", str(port), "--verboseLevel", "silent"]
    process = subprocess.Popen(
        [*command, str(ROOT / "openapi.yaml")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def measure() -> list[Row]:
    """The rows of this section; none without `wrk`, and without Prism where it is not installed."""
    if shutil.which("wrk") is None:
        return []
    with ExitStack() as stack:
        servers = {PLAIN: stack.enter_context(serving()) + PATH, MOCK: stack.enter_context(_mock()) + PATH}
        if shutil.which("prism"):
            servers[PRISM] = stack.enter_context(_prism()) + PATH.removeprefix("/billing/customer/v1")
        found = rounds_of({name: partial(_rate, url) for name, url in servers.items()}, 5)
    goals = [(MOCK, PLAIN, 0.7)] + ([(MOCK, PRISM, 5.0)] if PRISM in servers else [])
    return ratios(found, "requests/s", goals, at_least=True)
