"""What the journal in PostgreSQL costs, how several workers scale, and what a plan of millions needs in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from threading import Thread

import psycopg
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._postgres import PostgresStore
from payex_billing.reconcile._records import Started
from payex_billing.reconcile._writing import CANARY
from payex_billing_mock import MockServer
from payex_billing_mock.faults import Faults

from benchmarks import applying
from benchmarks.applying import LEDGER, TOKEN, mock
from benchmarks.measure import Row, ratios, rounds_of
from benchmarks.shared_coordinator import FIRST, lines
from tests.postgres import postgres

LATENCY, AT_ONCE, WARM_UP, SECONDS = 0.2, 8, 4.0, 10.0
WORKERS = (1, 2, 4, 8)
PACE = 100
CUSTOMERS, LEASES, LIMIT = 10_000_000, 64, 500
TEXT = (
    f"**Workers.** `payex-billing work` with {AT_ONCE} customers at once, on a mock that answers after "
    f"{LATENCY * 1000:g} ms: the customers a second in the {SECONDS:g} s after the first {WARM_UP:g} s. Each new "
    f"customer with one charge takes three requests. With a pace of {PACE} requests a second, 8 workers send that many "
    "together: the requests that arrive in the same 10 s.\n\n"
    f"**The journal.** {applying.CHARGES:,} new charges as in the section Apply: a bare loop of the client's calls, "
    "`apply` with the journal in a file, and with the journal in PostgreSQL on the same machine, with fsync. The goals "
    "are half and 0.4 of the speed of the bare loop.\n\n"
    f"**Memory.** A plan of {CUSTOMERS:,} customers that {LEASES} holders of leases write, without HTTP: the memory of "
    "the process that began the run."
)
_names = count()


def measure(
    workers: tuple[int, ...] = WORKERS, customers: int = CUSTOMERS, rounds: int = 3, limit: int = LIMIT
) -> list[Row]:
    """The rows of this section."""
    with postgres(fsync="on", full_page_writes="on") as server:
        scaling = rounds_of({_name(number): partial(_scaled, server, number) for number in workers}, rounds)
        found = ratios(
            scaling, "customers/s", [(_name(n), _name(workers[0]), 0.9 * n) for n in workers[1:]], at_least=True
        )
        paced = _paced(server, workers[-1])
        name = f"{_name(workers[-1])}, {PACE} requests a second at most"
        found.append(Row(name, paced, "requests/s", paced / PACE, 0.9, "the limit", at_least=True))
        subjects = {
            "bare loop": applying.bare,
            "apply, journal in a file": applying.apply,
            "apply, journal in PostgreSQL": lambda: applying.apply(_database(server)),
        }
        _, file, database = subjects
        found += ratios(rounds_of(subjects, rounds), "s", [(file, "bare loop", 2.0), (database, "bare loop", 2.5)])
    with postgres() as server:
        megabytes = _memory(server, customers)
    found.append(
        Row(f"plan of {customers:,} customers", megabytes, "MB", megabytes / limit, 1.0, f"the limit of {limit} MB")
    )
    return found


def _name(workers: int) -> str:
    return "1 worker" if workers == 1 else f"{workers} workers"


def _database(server: str) -> str:
    name = f"bench_{next(_names)}"
    with psycopg.connect(server, autocommit=True) as db:
        db.execute(f"CREATE DATABASE {name}")
    return f"{server.rpartition('/')[0]}/{name}"


def _scaled(server: str, workers: int) -> float:
    """Return the customers a second that so many workers write."""
    with mock("--fault", f"latency={LATENCY}") as url:
        return _workers(server, url, workers)


def _paced(server: str, workers: int) -> float:
    """Return the requests a second that arrive from workers that share a limit."""
    arrived: list[float] = []
    with MockServer({LEDGER: TOKEN}, faults=Faults(f"latency={LATENCY}")) as slow:
        slow.app.observers.append(lambda _: arrived.append(time.monotonic()))
        _workers(server, slow.url, workers, PACE)
    first = arrived[0] + WARM_UP
    return sum(first <= moment < first + SECONDS for moment in arrived) / SECONDS


def _workers(server: str, url: str, workers: int, rate: int | None = None) -> float:
    """Return the customers a second that so many workers write to an API with this URL."""
    database = _database(server)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ledger = f"{url}/billing/customer/v1/{LEDGER}"
        notes = stack.enter_context(Journal(database, ledger))
        own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": url, "XDG_STATE_HOME": folder}
        command = [sys.executable, "-m", "payex_billing", "work", "--journal", database, "--concurrency", str(AT_ONCE)]
        command += [] if rate is None else ["--rate", str(rate)]
        helpers = [
            subprocess.Popen(command, env={**os.environ, **own}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(workers)
        ]
        try:
            db = stack.enter_context(psycopg.connect(database, autocommit=True))
            connected = (
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payex-billing' AND datname = %s"
            )
            while _one(db, connected, database.rpartition("/")[2]) < 1 + 2 * workers:
                time.sleep(0.1)
            notes.begin("bench", "bench", resumed=False, started=Started())
            enough = round(workers * AT_ONCE / LATENCY / 3 * (WARM_UP + SECONDS + 10))
            for _ in notes.parts().publish(lines(enough)):
                pass
            db.execute(f"SET search_path TO {_one(db, _SCHEMA)}")
            while (_one(db, "SELECT max(noted) - min(noted) FROM write") or 0) < WARM_UP + SECONDS + 1:
                assert all(helper.poll() is None for helper in helpers), "a worker has ended"
                time.sleep(0.5)
            notes.withdraw()
            between = (
                f"(SELECT min(noted) + {WARM_UP} FROM write) AND (SELECT min(noted) + {WARM_UP + SECONDS} FROM write)"
            )
            return (
                float(_one(db, f"SELECT count(*) FROM write WHERE kind = 'create' AND noted BETWEEN {between}"))
                / SECONDS
            )
        finally:
            for helper in helpers:
                helper.terminate()
            for helper in helpers:
                helper.wait()


_SCHEMA = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'payex%%'"


def _one(db: psycopg.Connection[tuple[float]], query: str, *values: object) -> float:
    (found,) = db.execute(query, values).fetchone() or (0,)
    return found


# memory


def _memory(server: str, customers: int) -> float:
    """Return the most megabytes that the process needs that plans so many customers."""
    database, ledger = _database(server), f"http://127.0.0.1/billing/customer/v1/{LEDGER}"
    with tempfile.TemporaryDirectory() as folder, _holders(database, ledger):
        command = [sys.executable, "-m", "benchmarks.shared_coordinator", database, ledger, str(customers)]
        own = {**os.environ, "XDG_STATE_HOME": folder}
        return float(subprocess.run(command, env=own, check=True, stdout=subprocess.PIPE, text=True).stdout)


@contextmanager
def _holders(database: str, ledger: str) -> Iterator[None]:
    """Take parts as so many processes do, and note that their customers are written."""
    with ExitStack() as stack:
        stores = [PostgresStore(database, ledger) for _ in range(LEASES - 1)]
        for store in stores:
            stack.callback(store.close)
        ended: list[bool] = []

        def work() -> None:
            while not ended:
                found = stores[0].query("SELECT id, epoch FROM run WHERE outcome IS NULL AND parts = 1")
                if not found:
                    time.sleep(0.2)
                for run, epoch in found:
                    for store in stores:
                        _take(store, run, epoch)

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            ended.append(True)
            thread.join()


def _take(store: PostgresStore, run: int, epoch: int) -> None:
    taken = store.take_part(run, epoch, ())
    if taken is None:
        return
    number, packed = taken
    count = len(zlib.decompress(packed).splitlines())
    done = (
        "INSERT INTO customer (run, customer, unchanged, applied) "
        "SELECT ?, step::text, 0, 1 FROM generate_series(?::bigint, ?::bigint) AS step"
    )
    first = FIRST + CANARY + number * 100
    part = "UPDATE part SET done = true WHERE run = ? AND epoch = ? AND number = ?"
    store.run([(done, (run, first, first + count - 1)), (part, (run, epoch, number))])
