"""`make demo-cluster`: four workers write one table, two of them are killed, and no charge is doubled or missing.

It starts PostgreSQL, a Dask cluster and the mock by itself. Exit codes: 0 all is as the table says, 1 it is not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from distributed import Client, LocalCluster
from payex_billing_mock import MockServer

from tests.postgres import postgres

LEDGER, TOKEN = "1234", "demo-token"
CUSTOMERS, EACH, WORKERS = 5_000, 4, 4
KILL_AT = (8_000, 16_000)  # POST requests, of 25,000
# A response that is lost with its worker is certain after these seconds, not after a minute and a half.
WAITING = ("--settle", "5", "--lease", "5")


def main() -> int:
    """Run it."""
    with tempfile.TemporaryDirectory() as name, postgres() as journal, MockServer({LEDGER: TOKEN}) as mock:
        folder = Path(name)
        (folder / "charges.csv").write_text(_table(), encoding="utf-8")
        own = {
            "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PAYEX_TIMEOUT": "5",
            "PAYEX_JOURNAL": journal, "XDG_STATE_HOME": name, "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        print(f"Mock of PayEx Billing on {mock.url}, journal in PostgreSQL", flush=True)
        with LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            host="127.0.0.1",
            env=own,
            silence_logs=50,
        ) as cluster:
            on = str(cluster.scheduler_address).replace("tcp://", "dask://")
            print(f"Dask cluster of {WORKERS} workers on {on}", flush=True)
            first = _apply(mock, cluster, folder, on, own, kill_at=KILL_AT)
            return first or _apply(mock, cluster, folder, on, own) or _count(mock)


def _table() -> str:
    rows = (f"{10_000_000 + at},P{code:02d},1,499.00\n" for at in range(CUSTOMERS) for code in range(EACH))
    return "customer_no,product_code,quantity,unit_price\n" + "".join(rows)


def _apply(
    mock: MockServer, cluster: LocalCluster, folder: Path, on: str, own: dict[str, str], kill_at: tuple[int, ...] = ()
) -> int:
    """Apply the table, kill a worker each time the mock has seen so many POST requests, and return the exit code."""
    command = ("apply", "charges.csv", "--on", on, *WAITING, *(("--first-run",) if kill_at else ()))
    print(f"\n$ payex-billing {' '.join(command)}", flush=True)
    posts: list[None] = []
    mock.app.observers = [lambda handled: posts.append(None) if handled.request.method == "POST" else None]
    process = subprocess.Popen([sys.executable, "-m", "payex_billing", *command], cwd=folder, env={**os.environ, **own})
    for count in kill_at:
        while process.poll() is None and len(posts) < count:
            time.sleep(0.1)
        if process.poll() is None:
            print(f"{len(posts):,} POST requests: worker {_kill(cluster)} is killed", flush=True)
    return process.wait()


def _kill(cluster: LocalCluster) -> int:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        number = next(iter(client.run(os.getpid).values()))
    os.kill(number, signal.SIGKILL)
    return int(number)


def _count(mock: MockServer) -> int:
    held = Counter(
        (customer.id, str(charge.document["productCode"]))
        for customer in mock.store.customers(LEDGER)
        for charge in customer.charges.values()
    )
    wanted = {(str(10_000_000 + at), f"P{code:02d}") for at in range(CUSTOMERS) for code in range(EACH)}
    doubled = sum(count > 1 for count in held.values())
    missing = len(wanted - held.keys())
    print(f"\nThe mock holds {held.total():,} charges: {doubled} doubled, {missing} missing.")
    return int(held != Counter(wanted))


if __name__ == "__main__":
    sys.exit(main())
