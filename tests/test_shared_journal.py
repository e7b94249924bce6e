"""The journal in PostgreSQL: several processes, webhooks and runs write to one ledger, and nothing is doubled."""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import psycopg
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from payex_billing import AsyncBilling, Billing, Charge, reconcile
from payex_billing.errors import CustomerBusy, OutcomeUnknown
from payex_billing.reconcile import JournalError, Report, SharedJournal, _writing
from payex_billing.reconcile._address import name_of
from payex_billing.reconcile._history import reading
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._match import Content, Kind, Step
from payex_billing.reconcile._pace import PaceState, SharedPace, Slice
from payex_billing.reconcile._pace import Step as PaceStep
from payex_billing.reconcile._records import Result, Started
from payex_billing.reconcile._store import Leased, LeaseLost
from payex_billing_mock import Faults, MockServer, Store
from payex_billing_mock.app import Answer, Handled, Request, Respond

from tests.commands import run_command
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price\n"
Run = Callable[..., subprocess.CompletedProcess[str]]
SECRET = "pass-word-4711"


def rows(customers: int, *, price: str = "10.00", codes: int = 1) -> str:
    return "".join(f"{number},P{code:02d},1,{price}\n" for number in range(1, customers + 1) for code in range(codes))


def write_table(folder: Path, text: str) -> Path:
    file = folder / "charges.csv"
    file.write_text(HEADER + text, encoding="utf-8")
    return file


def client(mock: MockServer, ledger: str = LEDGER, **options: Any) -> AsyncBilling:
    token = TOKEN if ledger == LEDGER else OTHER_TOKEN
    return AsyncBilling(token=token, owner_no=ledger, base_url=mock.url, **options)


def apply(mock: MockServer, file: Path, journal: Any, *, ledger: str = LEDGER, **options: Any) -> Report:
    async def main() -> Report:
        async with client(mock, ledger) as billing:
            with reconcile.read(file) as table:
                return await reconcile.apply(
                    billing, table, journal=journal, **{"settle": 0.2, "first_run": True} | options
                )

    return asyncio.run(main())


def held(mock: MockServer, ledger: str = LEDGER) -> Counter[tuple[str, str]]:
    return Counter(
        (customer.id, charge.document["productCode"])
        for customer in mock.store.customers(ledger)
        for charge in customer.charges.values()
    )


def once(customers: int, codes: int = 1) -> Counter[tuple[str, str]]:
    return Counter((str(number), f"P{code:02d}") for number in range(1, customers + 1) for code in range(codes))


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.unchanged, report.applied, len(report.rejected), len(report.failed)


@contextmanager
def tables_of(database: str) -> Iterator[psycopg.Connection[Any]]:
    """The tables of the only journal in a database."""
    with psycopg.connect(database, autocommit=True) as db:
        found = db.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'payex%'").fetchall()
        assert len(found) == 1
        db.execute(f"SET search_path TO {found[0][0]}")
        yield db


def the_only(database: str, query: str) -> Any:
    with tables_of(database) as db:
        row = db.execute(query).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def run(mock: MockServer, tmp_path: Path, database: str) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PAYEX_JOURNAL": database,
            "COLUMNS": "200",
        }  # fmt: skip
        return run_command(*arguments, cwd=tmp_path, environment={**os.environ, **own, **variables}, timeout=120)

    return run


# runs


def test_of_two_runs_at_once_the_second_is_refused_with_a_sentence(
    mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(3))

    async def main() -> list[Report | BaseException]:
        async with client(mock) as billing:
            with reconcile.read(file) as first, reconcile.read(file) as second:
                runs = (reconcile.apply(billing, table, journal=database, first_run=True) for table in (first, second))
                return await asyncio.gather(*runs, return_exceptions=True)

    outcomes = asyncio.run(main())
    reports = [outcome for outcome in outcomes if isinstance(outcome, Report)]
    errors = [str(outcome) for outcome in outcomes if isinstance(outcome, JournalError)]
    assert [counts(report) for report in reports] == [(0, 3, 0, 0)]
    assert len(errors) == 1
    assert "another run is using this journal" in errors[0]
    assert held(mock) == once(3)


def test_a_whole_run_and_a_shard_at_once_are_refused_and_two_shards_are_not(
    mock: MockServer, database: str, tmp_path: Path
) -> None:
    ledger = _ledger(mock)
    whole = Journal(database, ledger)
    with pytest.raises(JournalError, match="another run"):
        Journal(database, ledger, shard=reconcile.Shard(1, 2))
    whole.close()
    with Journal(database, ledger, shard=reconcile.Shard(1, 2)):
        with Journal(database, ledger, shard=reconcile.Shard(2, 2)):
            with pytest.raises(JournalError, match="another run"):
                Journal(database, ledger, shard=reconcile.Shard(2, 2))


def test_a_run_gives_its_lock_back_although_the_database_notices_its_end_later(mock: MockServer, database: str) -> None:
    first = Journal(database, _ledger(mock))
    connection = first._store._db  # type: ignore[attr-defined]
    with patch.object(connection, "close"):
        first.close()
    Journal(database, _ledger(mock)).close()
    connection.close()


def _ledger(mock: MockServer) -> str:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        return billing.settings.ledger


def test_every_command_about_runs_works_over_postgresql(run: Run, mock: MockServer, tmp_path: Path) -> None:
    write_table(tmp_path, rows(25, codes=2) + "26,P01,wrong,1\n")
    first = run("apply", "charges.csv", "--first-run", "--report", "report.json")
    assert (first.returncode, held(mock)) == (3, once(25, 2)), first.stderr
    assert json.loads((tmp_path / "report.json").read_text())["applied"] == 50

    write_table(tmp_path, rows(25, codes=2) + "26,P01,1,1\n")
    retried = run("retry", "1", "charges.csv")
    assert (retried.returncode, held(mock)["26", "P01"]) == (0, 1), retried.stderr
    write_table(tmp_path, rows(25, codes=2).replace("\n7,P00,1,10.00", "\n7,P00,1,11.00"))
    changed = run("apply", "charges.csv")
    assert changed.returncode == 0, changed.stdout + changed.stderr

    listed = json.loads(run("runs", "list", "--json", PAYEX_TOKEN="").stdout)["runs"]
    assert [(each["run"], each["ended"], each["report"]["applied"]) for each in listed] == [
        (3, "done", 1), (2, "done", 1), (1, "done", 50),
    ]  # fmt: skip
    assert "1 × update" in run("runs", "show", "3").stdout
    shown = json.loads(run("history", "7", "--json").stdout)["writes"]
    assert [(each["run"], each["kind"]) for each in shown] == [
        (1, "create customer"), (1, "create"), (1, "create"), (3, "update"),
    ]  # fmt: skip

    assert run("drift").returncode == 0
    charge = next(iter(mock.store.customer(LEDGER, "8").charges.values()))
    charge.document["unitPrice"] = 99
    assert (drifted := run("drift")).returncode == 2, drifted.stdout + drifted.stderr

    undone = run("undo", "3", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert {each.document["unitPrice"] for each in mock.store.customer(LEDGER, "7").charges.values()} == {10}

    assert run("runs", "export", "--to", "writes.parquet").returncode == 0
    as_text = f"SELECT COLUMNS(*)::VARCHAR FROM '{tmp_path}/writes.parquet'"  # times with a zone need another package
    assert len(duckdb.sql(as_text).fetchall()) == 75 + 2 + 1 + 1
    assert run("export", "--to", "ledger.csv").returncode == 0
    assert len((tmp_path / "ledger.csv").read_text(encoding="utf-8-sig").splitlines()) == 1 + 51

    assert run("history", "7", "--forget", "--yes").returncode == 0
    forgotten = json.loads(run("history", "7", "--json").stdout)["writes"]
    assert {json.dumps(each["before"]) + json.dumps(each["after"]) for each in forgotten} == {"nullnull"}
    assert run("runs", "prune", "--older-than", "0d", "--yes").returncode == 0
    assert "has no run" in run("runs").stdout


def test_one_database_holds_the_journals_of_several_ledgers(
    run: Run, mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(2))
    assert counts(apply(mock, file, database)) == (0, 2, 0, 0)
    assert counts(apply(mock, file, database, ledger=OTHER_LEDGER)) == (0, 2, 0, 0)
    own = json.loads(run("runs", "list", "--json", PAYEX_TOKEN="").stdout)["runs"]
    assert [each["run"] for each in own] == [1]
    unnamed = run("runs", PAYEX_OWNER_NO="", PAYEX_TOKEN="")
    assert unnamed.returncode == 1
    assert "the journals of 2 ledgers: say which one with PAYEX_OWNER_NO" in unnamed.stderr


def test_a_journal_of_another_version_is_refused(mock: MockServer, database: str, tmp_path: Path) -> None:
    file = write_table(tmp_path, rows(1))
    apply(mock, file, database)
    with tables_of(database) as db:
        db.execute("UPDATE origin SET version = version + 1")
    with pytest.raises(JournalError, match="another version of payex-billing"):
        apply(mock, file, database)


def test_an_interrupted_run_goes_on_on_a_machine_that_has_no_files_of_it(
    run: Run, mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(60))

    async def main() -> Report:
        stop = asyncio.Event()

        def progress(phase: str, done: int, _: int) -> None:
            if phase == "writing" and done >= 20:
                stop.set()

        async with client(mock) as billing:
            with reconcile.read(file) as table:
                return await reconcile.apply(
                    billing, table, journal=database, first_run=True, stop=stop, on_progress=progress, concurrency=2
                )

    assert asyncio.run(main()).interrupted
    (tmp_path / "elsewhere").mkdir()
    second = run("apply", "charges.csv", XDG_STATE_HOME=str(tmp_path / "elsewhere"))
    assert (second.returncode, held(mock)) == (0, once(60)), second.stderr
    assert "Run 1." in second.stdout


# workers


@contextmanager
def workers(mock: MockServer, database: str, folder: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of `payex-billing work` that wait for a run."""
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PAYEX_JOURNAL": database}
    command = [sys.executable, "-m", "payex_billing", "work", "--wait", "100", "--settle", "0.2", "--json"]
    started = [
        subprocess.Popen(command, cwd=folder, env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
        for _ in range(count)
    ]  # fmt: skip
    try:
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def _wait_for(workers: list[subprocess.Popen[str]], database: str) -> None:
    """Wait until the workers are connected, each for its journal and for what later runs need to know."""
    with psycopg.connect(database, autocommit=True) as db:
        while True:
            query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'payex-billing' AND datname = %s"
            found = db.execute(query, (database.rpartition("/")[2],)).fetchone()
            if found is not None and found[0] >= 2 * len(workers):
                return
            assert all(worker.poll() is None for worker in workers), [worker.communicate() for worker in workers]


def test_workers_write_a_run_together_and_end_when_no_customer_is_left(
    mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(420))
    with workers(mock, database, tmp_path, 2) as started:
        _wait_for(started, database)
        report = apply(mock, file, database, concurrency=1)
        said = [worker.communicate(timeout=60) for worker in started]
    assert (counts(report), held(mock)) == ((0, 420, 0, 0), once(420))
    assert [worker.returncode for worker in started] == [0, 0], said
    written = [json.loads(out)["customers"] for out, _ in said]
    assert 0 < sum(written) < 420


def test_a_worker_that_gets_a_sigterm_finishes_its_writes_and_the_others_write_the_rest(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path, rows(420))
    with workers(mock, database, tmp_path, 1) as started:
        posts = 0

        def stopping(request: Request, respond: Respond) -> Answer:
            nonlocal posts
            posts += request.method == "POST"
            if posts > 200 and started[0].poll() is None:
                started[0].send_signal(signal.SIGTERM)
                posts = -10_000
            return respond(request)

        _wait_for(started, database)
        monkeypatch.setattr(mock.app, "interceptor", stopping)
        report = apply(mock, file, database, concurrency=2)
        out, error = started[0].communicate(timeout=60)
    assert (started[0].returncode, json.loads(out)["interrupted"]) == (130, True), error
    assert (counts(report), held(mock)) == ((0, 420, 0, 0), once(420))
    with tables_of(database) as db:
        assert db.execute("SELECT count(*) FROM write WHERE result IS NULL").fetchone() == (0,)


def test_a_worker_without_a_run_ends_when_it_has_waited_long_enough(run: Run) -> None:
    ended = run("work", "--wait", "0")
    assert (ended.returncode, ended.stdout) == (0, "0 customers written by this worker.\n")


# the database


def test_a_database_that_cannot_be_reached_is_a_sentence_without_the_password(run: Run, tmp_path: Path) -> None:
    write_table(tmp_path, rows(1))
    address = f"postgresql://billing:{SECRET}@127.0.0.1:1/journal"
    for command in (
        ("apply", "charges.csv", "--report", "report.json"),
        ("runs", "list"),
        ("work", "--wait", "0"),
        ("undo", "1", "--yes"),
    ):
        refused = run(*command, "--journal", address)
        assert refused.returncode == 1
        assert "postgresql://billing@127.0.0.1:1/journal" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
        assert SECRET not in refused.stdout + refused.stderr
    assert SECRET not in (tmp_path / "report.json").read_text()


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://billing:{SECRET}@@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}/x@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}?x@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}#x@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}%zz@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}[@127.0.0.1:1/journal",
        f"postgresql://billing:{SECRET}",
        f"postgresql://127.0.0.1:1/journal?user=x&password={SECRET}",
        f"postgresql://127.0.0.1:1/journal?password={SECRET}&nonsense=1",
    ],
)
def test_no_part_of_a_password_is_shown_however_the_address_is_misspelled(address: str) -> None:
    with pytest.raises(JournalError) as caught:
        Journal(address, "http://127.0.0.1/billing/customer/v1/1234")
    told = "".join(traceback.format_exception(caught.value)) + name_of(address)
    assert SECRET[:8] not in told.replace(address, "")


def test_the_password_is_in_no_output_report_record_or_traceback(
    run: Run, mock: MockServer, database: str, tmp_path: Path
) -> None:
    write_table(tmp_path, rows(25))
    with_password = database.replace("billing@", f"billing:{SECRET}@")
    said = run("apply", "charges.csv", "--first-run", "--report", "report.json", "--json", PAYEX_JOURNAL=with_password)
    assert said.returncode == 0, said.stderr
    told = [said.stdout, said.stderr, (tmp_path / "report.json").read_text()]
    asked = (("runs", "list", "--json"), ("runs", "show", "1", "--json"), ("history", "1", "--json"))
    told += [run(*command, PAYEX_JOURNAL=with_password).stdout for command in asked]
    with tables_of(database) as db:
        told += [repr(db.execute(f"SELECT * FROM {table}").fetchall()) for table in ("run", "write", "origin", "lease")]
        db.execute("DROP TABLE lease CASCADE")
    write_table(tmp_path, rows(26))
    broken = run("apply", "charges.csv", "--log-json", PAYEX_JOURNAL=with_password)
    assert broken.returncode == 1
    told += [broken.stdout, broken.stderr]
    assert [text for text in told if SECRET in text] == []


def test_a_run_whose_connections_are_cut_goes_on_and_doubles_nothing(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path, rows(60, codes=2))
    writes = 0

    def cutting(request: Request, respond: Respond) -> Answer:
        nonlocal writes
        if request.method == "POST":
            writes += 1
            if writes % 25 == 0:
                with psycopg.connect(database, autocommit=True) as db:
                    db.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE application_name = 'payex-billing' AND datname = current_database()"
                    )
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", cutting)
    report = apply(mock, file, database)
    assert (counts(report), report.is_complete) == ((0, 120, 0, 0), True)
    assert held(mock) == once(60, 2)


# leases


def _step(customer_no: str) -> Step:
    return Step(kind=Kind.CREATE, customer_no=customer_no, charge=Content.of(Charge(product_code="P01", quantity=1)))


def test_the_holder_of_a_lease_that_ended_can_note_nothing(mock: MockServer, database: str) -> None:
    ledger = _ledger(mock)
    with Journal(database, ledger, alone=False) as old, Journal(database, ledger, alone=False) as new:
        for notes in (old, new):
            notes.begin("", "", resumed=False, started=Started(command="write"))
        with old.lease("1"):
            with pytest.raises(Leased), new.lease("1"):
                pass
            noted = old.intend(0, _step("1"), ())
            with tables_of(database) as db:
                db.execute("UPDATE lease SET expires = 0")
            with new.lease("1"):
                with pytest.raises(LeaseLost):
                    old.intend(1, _step("1"), ())
                old._noted[noted] = 0.0  # the note is too old to cover another attempt
                with pytest.raises(LeaseLost):
                    old.stamp(noted)
                new.intend(0, _step("1"), ())
        assert [intent.run for intent in new.history.writes()] == [old.run, new.run]


def test_a_worker_finds_its_next_customers_without_reading_all_that_are_done(
    mock: MockServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(database, _ledger(mock)) as notes, tables_of(database) as db:
        notes.begin("", "", resumed=False, started=Started())
        db.execute(
            "INSERT INTO part (run, epoch, number, customers, done) "
            "SELECT run.id, run.epoch, number, '', number < 20000 FROM run, generate_series(0, 20001) AS number"
        )
        asked: list[tuple[str, Any]] = []
        monkeypatch.setattr(notes._store, "query", lambda query, values: asked.append((query, values)) or [])
        notes._store.take_part(notes.run, 1, ())
        ((query, values),) = asked
        how = "\n".join(line for (line,) in db.execute(f"EXPLAIN ANALYZE {query.replace('?', '%s')}".encode(), values))
    assert "actual" in how
    assert "Removed by Filter" not in how, how


def test_a_lease_that_ended_cannot_be_used_before_another_process_has_taken_it(mock: MockServer, database: str) -> None:
    with Journal(database, _ledger(mock), alone=False) as notes:
        notes.begin("", "", resumed=False, started=Started(command="write"))
        with notes.lease("1"):
            with tables_of(database) as db:
                db.execute("UPDATE lease SET expires = 0")
            with pytest.raises(LeaseLost):
                notes.intend(0, _step("1"), ())


def test_a_writer_that_lost_its_lease_goes_on_when_the_customer_is_free(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path, rows(6))
    reads: Counter[str] = Counter()
    taken: list[Any] = []
    sent_meanwhile: list[str] = []

    def stealing(request: Request, respond: Respond) -> Answer:
        path = request.raw_path.decode()
        is_stolen = "/customers/3" in path
        if is_stolen and taken and taken[0] is not None and request.method == "POST":
            sent_meanwhile.append(path)
        if is_stolen and request.method == "GET":
            reads["3"] += 1
            if reads["3"] == 2:  # right before the first write
                with tables_of(database) as db:
                    db.execute("UPDATE lease SET expires = 0 WHERE customer = '3'")
                taken.append(webhook.take("3"))
        if "/customers/6" in path and request.method == "POST" and taken and taken[0] is not None:
            taken[0].give_back()
            taken[0] = None
        return respond(request)

    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        with SharedJournal(database, billing) as webhook:
            monkeypatch.setattr(mock.app, "interceptor", stealing)
            report = apply(mock, file, database, concurrency=1)
    assert taken == [None]
    assert sent_meanwhile == []
    assert (counts(report), held(mock)) == ((0, 6, 0, 0), once(6))


# single writes


CHARGE = Charge(product_code="P00", quantity=1, unit_price=Decimal(10))


def test_webhooks_in_threads_and_a_run_of_the_same_customers_double_nothing(
    mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(40))
    for number in range(1, 41):
        mock.store.create_customer(LEDGER, {"customerNo": str(number)})
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        with SharedJournal(database, billing) as journal, ThreadPoolExecutor(8) as threads:

            def event(number: int) -> None:
                billing.customer(str(number)).recurring_products.ensure(CHARGE, journal=journal)

            events = [threads.submit(event, number) for number in (*range(1, 41), *range(1, 41))]
            report = apply(mock, file, database, concurrency=8)
            for each in events:
                each.result()
    assert held(mock) == once(40)
    # A customer that a webhook wrote to after it was planned is left for the next run.
    assert {reason for reason in report.failed.values() if "changed since it was planned" not in reason} == set()
    assert counts(apply(mock, file, database, recheck=0.0)) == (40, 0, 0, 0)


def test_webhooks_in_tasks_and_a_run_of_the_same_customers_double_nothing(
    mock: MockServer, database: str, tmp_path: Path
) -> None:
    file = write_table(tmp_path, rows(40))
    for number in range(1, 41):
        mock.store.create_customer(LEDGER, {"customerNo": str(number)})

    async def main() -> Report:
        async with client(mock) as billing:
            with SharedJournal(database, billing) as journal, reconcile.read(file) as table:
                events = [
                    billing.customer(str(number)).recurring_products.ensure(CHARGE, journal=journal)
                    for number in (*range(1, 41), *range(1, 41))
                ]
                run = reconcile.apply(billing, table, journal=database, first_run=True, concurrency=8)
                report, *_ = await asyncio.gather(run, *events)
                return report

    report = asyncio.run(main())
    assert held(mock) == once(40)
    # A customer that a webhook wrote to after it was planned is left for the next run.
    assert {reason for reason in report.failed.values() if "changed since it was planned" not in reason} == set()
    assert counts(apply(mock, file, database, recheck=0.0)) == (40, 0, 0, 0)


def test_a_customer_that_stays_busy_until_the_deadline_is_an_error_and_nothing_is_sent(
    mock: MockServer, database: str, asked: list[Request]
) -> None:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url, deadline=0.3) as billing:
        with SharedJournal(database, billing) as one, SharedJournal(database, billing) as other:
            hold = one.take("1")
            assert hold is not None
            with pytest.raises(CustomerBusy, match=r"another process writes to the customer\. Nothing was sent"):
                billing.customer("1").recurring_products.create(CHARGE, journal=other)
            hold.give_back()
    assert asked == []


def test_a_single_write_that_was_lost_is_looked_up_by_the_next_run(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    with Journal(database, _ledger(mock), alone=False) as notes:
        notes.begin("", "", resumed=False, started=Started(command="write"))
        with notes.lease("1"):
            step = Step(kind=Kind.CREATE, customer_no="1", charge=Content.of(CHARGE))
            notes.intend(0, step, ())
            mock.store.create_charge(LEDGER, "1", "", {"productCode": "P00", "quantity": 1, "unitPrice": 10})
    with tables_of(database) as db:
        db.execute("UPDATE write SET sent = sent - 100")  # the process died with its request under way
    report = apply(mock, write_table(tmp_path, rows(1)), database)
    assert (counts(report), held(mock)) == ((1, 0, 0, 0), once(1))
    assert the_only(database, "SELECT result FROM write") == Result.CREATED.value


def test_a_401_that_cannot_be_checked_because_the_database_is_away_leaves_the_creation_unknown(
    mock: MockServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server creates the charge and answers 401. The client asks with a read whether the token is refused."""
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    tokens = iter(["old", TOKEN, TOKEN])
    with Billing(token=lambda: next(tokens), owner_no=LEDGER, base_url=mock.url) as billing:
        with SharedJournal(database, billing) as journal:
            reserve = journal.pace.reserve

            def refuse(request: Request, respond: Respond) -> Answer:
                request.headers["authorization"] = f"Bearer {TOKEN}"
                answer = respond(request)
                if request.method != "POST":
                    return answer
                monkeypatch.setattr(journal.pace, "reserve", cut)
                return Answer(401, {"Content-Length": "0"}, b"")

            def cut(now: float, *, may_wait: bool = True) -> float:
                raise JournalError("the database is away")

            monkeypatch.setattr(mock.app, "interceptor", refuse)
            charges = billing.customer("1").recurring_products
            with pytest.raises(OutcomeUnknown):
                charges.create(Charge(product_code="P01", quantity=1), journal=journal)
            assert the_only(database, "SELECT result FROM write") is None
            monkeypatch.setattr(journal.pace, "reserve", reserve)
            monkeypatch.setattr(mock.app, "interceptor", None)
            charges.ensure(Charge(product_code="P01", quantity=1), journal=journal, settle=0.1)
    assert held(mock) == {("1", "P01"): 1}


def test_the_state_cache_notices_the_write_of_a_webhook(
    mock: MockServer, database: str, tmp_path: Path, asked: list[Request]
) -> None:
    file = write_table(tmp_path, rows(3))
    state = tmp_path / "state.db"
    apply(mock, file, database, state=state)
    asked.clear()
    assert counts(apply(mock, file, database, state=state, first_run=False)) == (3, 0, 0, 0)
    assert asked == []
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        with SharedJournal(database, billing) as journal:
            extra = Charge(product_code="P09", quantity=1, unit_price=Decimal(1))
            billing.customer("2").recurring_products.create(extra, journal=journal)
    asked.clear()
    report = apply(mock, file, database, state=state, first_run=False, prune=True, max_removals="100%")
    assert held(mock) == once(3)
    assert report.steps == {"remove": 1}


def test_the_last_run_and_the_values_shown_are_known_with_a_new_state_directory(
    run: Run, tmp_path: Path, mock: MockServer
) -> None:
    (tmp_path / "charges.csv").write_text(
        "customer_no,product_code,quantity,unit_price,text\n"
        + "".join(f"{number},P01,1,{number},\n" for number in range(1, 31))
    )
    mock.store  # noqa: B018 - the mock shows texts as they are sent
    assert run("apply", "charges.csv", "--first-run").returncode == 0
    for customer in mock.store.customers(LEDGER):
        for charge in customer.charges.values():
            charge.document["text"] = "Of the master product"
    (tmp_path / "new").mkdir()
    with_new_state = {"XDG_STATE_HOME": str(tmp_path / "new")}
    planned = json.loads(run("plan", "charges.csv", "--json", **with_new_state).stdout)
    assert planned["changes"] == {"update": 30}  # nobody has learned the text
    (tmp_path / "charges.csv").write_text("customer_no,product_code,quantity,unit_price,text\n1,P01,1,1,\n")
    stopped = run("apply", "charges.csv", **with_new_state)
    assert stopped.returncode == 4, stopped.stderr
    assert "last run" in stopped.stderr


# one pace


class Clock:
    """The clock of the processes, and the clock of the database, whose times have only six decimals in a float."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.state = PaceState()

    def change(self, step: PaceStep) -> tuple[PaceState, Slice | None, float]:
        shared = 1.8e9 + self.now
        self.state, taken = step(self.state, shared)
        return self.state, taken, shared


@given(
    st.integers(2, 8),
    st.sampled_from([3.0, 10.0, 50.0, 400.0]),
    st.lists(st.tuples(st.integers(0, 7), st.floats(0, 0.3)), min_size=1, max_size=300),
)
def test_processes_with_one_pace_never_send_more_than_it_allows_by_more_than_a_slice(
    processes: int, limit: float, calls: list[tuple[int, float]]
) -> None:
    clock = Clock()
    paces = [SharedPace(clock.change, limit) for _ in range(processes)]
    sent = []
    for number, passed in calls:
        clock.now += passed
        sent.append(clock.now + paces[number % processes].reserve(clock.now))
    sent.sort()
    for first, begin in enumerate(sent):
        within = sum(begin <= at < begin + 1.0 for at in sent[first:])
        assert within <= limit + max(1.0, limit * 0.25) + 1


@pytest.mark.parametrize("limit", [20.0, 60.0, 100.0, 400.0])
@pytest.mark.parametrize("processes", [2, 4, 8])
def test_processes_with_few_requests_at_once_use_the_whole_pace_together(processes: int, limit: float) -> None:
    clock = Clock()
    paces = [SharedPace(clock.change, limit) for _ in range(processes)]
    latency = 0.2
    at_once = round(limit * latency * 1.5 / processes) + 1  # of each; alone, a process cannot reach the pace
    events = [(clock.now, number) for number in range(processes) for _ in range(at_once)]
    sent = 0
    while (event := heapq.heappop(events))[0] < 1020.0:
        clock.now = event[0]
        at = clock.now + paces[event[1]].reserve(clock.now)
        sent += at < 1020.0
        heapq.heappush(events, (at + latency, event[1]))
    assert 0.9 * limit * 20 <= sent <= limit * 20.5


@pytest.mark.parametrize("place", ["database", "file"])
def test_two_processes_with_a_rate_keep_the_pace_together(
    place: str, mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate = 40
    write_table(tmp_path, rows(30))
    times: list[float] = []
    monkeypatch.setattr(mock.app, "observers", [lambda _: times.append(time.monotonic())])
    journal = database if place == "database" else str(tmp_path / "journal")
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PAYEX_JOURNAL": journal}
    command = [sys.executable, "-m", "payex_billing", "apply", "charges.csv", "--first-run", "--rate", str(rate)]
    both = [
        subprocess.Popen([*command, "--shard", f"{shard}/2"], cwd=tmp_path, env={**os.environ, **own}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for shard in (1, 2)
    ]  # fmt: skip
    said = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert held(mock) == once(30)
    # Never faster than the pace. Each process with a pace of its own would take half the time.
    assert max(times) - min(times) >= 0.75 * len(times) / rate


@pytest.mark.parametrize("place", ["database", "file"])
def test_a_lost_creation_of_the_first_customers_does_not_delay_the_rest(
    place: str, database: str, tmp_path: Path
) -> None:
    created: list[str] = []

    def note(handled: Handled) -> None:
        if handled.request.method == "POST" and handled.took_effect:
            created.append(handled.request.raw_path.decode().partition("/customers/")[2].partition("/")[0])

    journal = database if place == "database" else tmp_path / "journal"
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as mock:
        mock.app.observers.append(note)
        mock.faults.queue("latency=0:POST", "reset-before:POST")  # the first customer, and its charge
        report = apply(mock, write_table(tmp_path, rows(25)), journal, settle=3.0)
        assert (report.applied, report.is_complete) == (25, True)
        assert created[-1] == "1"
        assert held(mock) == once(25)


# the same record


CELLS = st.fixed_dictionaries(
    {
        "customer_no": st.sampled_from(["1", "2", "3", "4", "", "1234567890123456"]),
        "product_code": st.sampled_from(["P01", "P02"]),
        "quantity": st.sampled_from(["1", "2", "", "x"]),
        "unit_price": st.sampled_from(["10.00", "12.5", "", "1e3"]),
        "text": st.sampled_from(["", "Fibre", "\u00e5\u00e4\u00f6 '; DROP TABLE write; --", "%s ? {held}"]),
    }
)


def _record(journal: Any, ledger: str) -> list[object]:
    with reading(journal, ledger) as history:
        runs = [
            (run.id, run.command, run.ending, run.input, {**run.report}, run.undoes, history.rows(run.id))
            for run in history.runs()
        ]
        writes = [
            (
                intent.run, intent.position, intent.step.kind, intent.step.customer_no, intent.step.line,
                intent.step.charge, intent.step.before, intent.result, intent.status, intent.after,
            )
            for intent in history.writes()
        ]  # fmt: skip
        failures = [sorted(history.failures(run.id), key=str) for run in history.runs()]
    return [runs, sorted(writes, key=str), failures]


@settings(max_examples=15, phases=[Phase.explicit, Phase.generate], database=None)
@given(st.lists(CELLS, min_size=1, max_size=8), st.lists(CELLS, min_size=1, max_size=8), st.booleans())
def test_a_run_over_postgresql_reports_and_records_what_a_run_over_sqlite_does(
    running_mock: MockServer, postgres_server: str, tmp_path_factory: pytest.TempPathFactory,
    first: list[dict[str, str]], second: list[dict[str, str]], prune: bool,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("night")
    name = f"same_{os.getpid()}_{threading.get_ident()}"
    outcomes = []
    with psycopg.connect(f"{postgres_server}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            for journal in (folder / "journal", f"{postgres_server}/{name}"):
                running_mock.app.store = Store()
                outcomes.append(_nights(running_mock, journal, folder, (first, second), prune))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert outcomes[0] == outcomes[1]


def _nights(
    mock: MockServer, journal: Any, folder: Path, tables: tuple[list[dict[str, str]], ...], prune: bool
) -> list[object]:
    async def main() -> list[object]:
        reports: list[object] = []
        async with client(mock) as billing:
            for rows in tables:
                with reconcile.read(rows) as table:
                    try:
                        report = await reconcile.apply(
                            billing, table, journal=journal, prune=prune, max_removals="100%", first_run=True,
                            concurrency=1, approve=None, limits=reconcile.Limits(),
                        )  # fmt: skip
                        reports.append(report.to_json())
                    except reconcile.GuardStopped as stopped:
                        reports.append([str(stop) for stop in stopped.stops])
            ledger = billing.settings.ledger
            return [*reports, *_record(journal, ledger)]

    with patch.dict(os.environ, {"XDG_STATE_HOME": str(folder / str(type(journal).__name__))}):
        with patch.object(_writing, "CANARY", 1):  # the rest is handed out in parts
            return asyncio.run(main())
