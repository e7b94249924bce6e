"""`apply --on dask://…`: the workers of a Dask cluster write one run together, and nothing of the safety depends on Dask."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from distributed import Client, LocalCluster
from payex_billing import AsyncBilling, InvalidArgument, reconcile
from payex_billing.reconcile import Refused, Report, _dask
from payex_billing.reconcile._address import without_password
from payex_billing.reconcile._store import JournalError
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.commands import run_command
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN

CUSTOMERS = 350  # 4 parts of a run; each process takes one part at a time


@pytest.fixture(scope="module")
def cluster(running_mock: MockServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Two worker processes that have the settings of the ledger in their environment."""
    own = {
        "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": running_mock.url,
        "XDG_STATE_HOME": str(tmp_path_factory.mktemp("workers")), "PYTHONPATH": os.pathsep.join(sys.path),
        "PAYEX_TIMEOUT": "2",
    }  # fmt: skip
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0", host="127.0.0.1", env=own,
        silence_logs=50,
    ) as started:  # fmt: skip
        yield started


@pytest.fixture
def on(cluster: LocalCluster) -> str:
    cluster.wait_for_workers(2)  # one may have been killed
    return str(cluster.scheduler_address).replace("tcp://", "dask://")


@pytest.fixture
def charges(tmp_path: Path) -> Path:
    file = tmp_path / "charges.csv"
    lines = (f"{number},P{code:02d},1\n" for number in range(1, CUSTOMERS + 1) for code in range(2))
    file.write_text("customer_no,product_code,quantity\n" + "".join(lines), encoding="utf-8")
    return file


def apply(
    mock: MockServer, file: Path, journal: Any, on: str, *, ledger: str = LEDGER, stop_at: int | None = None,
    **options: Any,
) -> Report:  # fmt: skip
    async def main() -> Report:
        stop = asyncio.Event()
        told = options.pop("on_progress", None)

        def progress(phase: str, done: int, total: int) -> None:
            if told is not None:
                told(phase, done, total)
            if stop_at is not None and phase == "writing" and done >= stop_at:
                stop.set()

        token = TOKEN if ledger == LEDGER else OTHER_TOKEN
        async with AsyncBilling(token=token, owner_no=ledger, base_url=mock.url, timeout=2) as billing:
            with reconcile.read(file) as table:
                return await reconcile.apply(
                    billing, table, journal=journal, on=on, stop=stop, on_progress=progress,
                    **{"settle": 0.5, "first_run": True, "concurrency": 4} | options,
                )  # fmt: skip

    return asyncio.run(main())


def held(mock: MockServer) -> Counter[tuple[str, str]]:
    return Counter(
        (customer.id, charge.document["productCode"])
        for customer in mock.store.customers(LEDGER)
        for charge in customer.charges.values()
    )


ONCE = Counter((str(number), f"P{code:02d}") for number in range(1, CUSTOMERS + 1) for code in range(2))


class Holders:
    """Looks at the leases while a run is at work."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._requests = 0
        self.seen: set[str] = set()

    def __call__(self, request: Request, respond: Respond) -> Answer:
        self._requests += 1
        if self._requests % 50 == 0:
            with psycopg.connect(self._database, autocommit=True) as db:
                found = db.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'payex%'").fetchall()
                db.execute(f"SET search_path TO {found[0][0]}")
                self.seen |= {holder for (holder,) in db.execute("SELECT holder FROM lease")}
        return respond(request)


def test_the_workers_of_a_cluster_write_a_run_together_and_there_is_one_report(
    on: str, mock: MockServer, database: str, charges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders = Holders(database)
    monkeypatch.setattr(mock.app, "interceptor", holders)
    shown: list[tuple[str, int, int]] = []
    report = apply(mock, charges, database, on, on_progress=lambda *values: shown.append(values))
    assert (report.applied, report.is_complete, held(mock)) == (2 * CUSTOMERS, True, ONCE)
    assert len(holders.seen) >= 2, "no worker took part"
    writing = [done for phase, done, _ in shown if phase == "writing"]
    assert writing == sorted(writing)
    assert shown[-1] == ("writing", 2 * CUSTOMERS, 2 * CUSTOMERS)


def test_a_worker_that_is_killed_costs_no_charge_and_doubles_none(
    cluster: LocalCluster, on: str, mock: MockServer, database: str, charges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        pids = sorted(client.run(os.getpid).values())
    posts = 0

    def killing(request: Request, respond: Respond) -> Answer:
        nonlocal posts
        if request.method == "POST":
            posts += 1
            if posts == 460:
                os.kill(pids.pop(), signal.SIGKILL)
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", killing)
    report = apply(mock, charges, database, on, lease=1.0)
    assert len(pids) == 1
    assert (report.applied, report.is_complete, held(mock)) == (2 * CUSTOMERS, True, ONCE)


def test_a_run_that_is_stopped_stops_on_all_workers_and_goes_on_later(
    on: str, mock: MockServer, database: str, charges: Path
) -> None:
    stopped = apply(mock, charges, database, on, stop_at=40)
    assert stopped.interrupted
    assert stopped.applied < 2 * CUSTOMERS
    report = apply(mock, charges, database, on)
    assert (report.applied, report.run, held(mock)) == (2 * CUSTOMERS, stopped.run, ONCE)


def test_a_worker_with_the_settings_of_another_ledger_is_refused_before_the_first_request(
    on: str, mock: MockServer, database: str, charges: Path, asked: list[Request]
) -> None:
    with pytest.raises(Refused, match=f"has settings of ledger .*{LEDGER}, not .*{OTHER_LEDGER}. Nothing was written"):
        apply(mock, charges, database, on, ledger=OTHER_LEDGER)
    assert asked == []


def test_a_worker_of_another_version_is_refused_before_the_first_request(
    on: str, mock: MockServer, database: str, charges: Path, asked: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dask, "__version__", "99.0")
    with pytest.raises(Refused, match=r"worker tcp://.* has payex-billing .*, not 99\.0\. Nothing was written"):
        apply(mock, charges, database, on)
    assert asked == []


def test_a_worker_without_the_package_is_a_sentence() -> None:
    cluster = _dask.Cluster("dask://127.0.0.1:8786", object(), {}, print)  # type: ignore[arg-type, typeddict-item]
    sentence = cluster._sentence("tcp://127.0.0.1:1", ModuleNotFoundError("No module named 'payex_billing'"))
    assert sentence.startswith("dask://127.0.0.1:8786: worker tcp://127.0.0.1:1 cannot run this version")
    assert "install payex-billing[postgres]" in sentence


def test_a_scheduler_that_cannot_be_reached_is_a_sentence(
    mock: MockServer, database: str, charges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dask, "_PATIENCE", 0.5)
    with pytest.raises(Refused, match=r"dask://127\.0\.0\.1:1: the scheduler cannot be reached"):
        apply(mock, charges, database, "dask://127.0.0.1:1")


def test_a_scheduler_that_is_lost_leaves_the_rest_to_the_caller(
    mock: MockServer, database: str, charges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    notices: list[str] = []
    with subprocess.Popen([*command, "--no-dashboard"], stderr=subprocess.PIPE, text=True) as scheduler:
        assert scheduler.stderr is not None
        address = next(line for line in scheduler.stderr if "Scheduler at:" in line).split("tcp://")[1].strip()

        def killing(request: Request, respond: Respond) -> Answer:
            if request.method == "POST" and b"/customers/100/" in request.raw_path:
                scheduler.kill()
            return respond(request)

        monkeypatch.setattr(mock.app, "interceptor", killing)
        report = apply(mock, charges, database, f"dask://{address}", on_notice=notices.append)
        scheduler.kill()
    assert (report.applied, held(mock)) == (2 * CUSTOMERS, ONCE)
    assert "has no worker yet" in notices[0]


@pytest.mark.parametrize("on", ["dask://127.0.0.1:8786", "127.0.0.1:8786", "spark://127.0.0.1"])
def test_a_cluster_needs_a_journal_in_a_database_and_an_address_of_dask(
    on: str, mock: MockServer, tmp_path: Path, charges: Path
) -> None:
    with pytest.raises(InvalidArgument, match=r"needs a journal in a PostgreSQL database|must be the address"):
        apply(mock, charges, tmp_path / "journal", on)


def test_without_the_extra_the_error_names_it(
    mock: MockServer, database: str, charges: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Refused, match=r"pip install 'payex-billing\[dask\]'"):
        apply(mock, charges, database, "dask://127.0.0.1:1")


@pytest.mark.parametrize(
    ("address", "sent"),
    [
        ("postgresql://u:secret@db.example/journal", "postgresql://u@db.example/journal"),
        ("postgresql://u:se%40cret@db.example:5432/j?sslmode=verify-full", "postgresql://u@db.example:5432/j?sslmode=verify-full"),
        ("postgresql://db.example/j?password=secret&user=u&sslpassword=secret", "postgresql://db.example/j?user=u"),
        ("postgres://u:secret@a.example,b.example:6432/j", "postgres://u@a.example,b.example:6432/j"),
        ("postgresql:///j?host=/run/postgresql", "postgresql:///j?host=/run/postgresql"),
    ],
)  # fmt: skip
def test_no_password_passes_through_the_scheduler(address: str, sent: str) -> None:
    assert without_password(address) == sent


def test_an_address_that_cannot_be_read_is_not_passed_on() -> None:
    with pytest.raises(JournalError, match="cannot be read"):
        without_password("postgresql://u:sec@ret@db.example/journal")


def test_the_environment_of_a_worker_decides_its_settings_and_journal(
    mock: MockServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected: _dask.Expected = {
        "version": reconcile._dask.__version__, "ledger": "", "journal": "postgresql://x@127.0.0.1:1/x", "identity": "",
    }  # fmt: skip
    assert "cannot take part: ConfigurationError" in _dask.refusal(expected)
    for name, value in {"TOKEN": TOKEN, "OWNER_NO": LEDGER, "BASE_URL": mock.url}.items():
        monkeypatch.setenv(f"PAYEX_{name}", value)
    assert "has settings of ledger" in _dask.refusal(expected)
    expected["ledger"] = f"{mock.url}/billing/customer/v1/{LEDGER}"
    assert "cannot take part: JournalError: postgresql://x@127.0.0.1:1/x: cannot be reached" in _dask.refusal(expected)
    monkeypatch.setenv("PAYEX_JOURNAL", database)
    assert "has another journal in its environment" in _dask.refusal(expected)


def test_the_command_without_a_database_is_wrong_usage(tmp_path: Path, charges: Path, mock: MockServer) -> None:
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
    for command, sentence in (
        (["apply", "charges.csv", "--on", "dask://127.0.0.1:8786"], "--on needs a journal that all workers can reach"),
        (["work"], "work needs the journal of the run, in PostgreSQL"),
    ):
        said = run_command(*command, cwd=tmp_path, environment={**os.environ, **own})
        assert (said.returncode, sentence in said.stderr) == (64, True), said.stderr
