"""Plan and apply against the mock: what is written, what is refused, and how a run goes on after it was stopped."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest
from payex_billing import AsyncBilling, InvalidArgument, reconcile
from payex_billing.reconcile import JournalError, Plan, Refused, Report, Shard, TableError
from payex_billing.reconcile._before import removal_limit
from payex_billing.reconcile._history import prune
from payex_billing.reconcile._memory import Memory
from payex_billing.reconcile._private import open_private
from payex_billing_mock import Faults, MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.support import LEDGER, OTHER_LEDGER, TOKEN

T = TypeVar("T")
HEADER = "customer_no,subscription_no,product_code,quantity,unit_price,start_date,end_date\n"
ROWS = "1,,P01,1,10.00,2026-01-01,\n1,46,P02,2,5.50,2026-01-01,\n2,,P01,1,,,\n"


class Place:
    """A mock, a table and a journal, and what one does with them."""

    def __init__(self, mock: MockServer, folder: Path) -> None:
        self.mock = mock
        self.folder = folder
        self.journal = folder / "journal"
        self.table(ROWS)

    def table(self, rows: str, header: str = HEADER) -> None:
        (self.folder / "charges.csv").write_text(header + rows, encoding="utf-8")

    def run(self, work: Callable[[AsyncBilling, reconcile.Table], Awaitable[T]], **reading: Any) -> T:
        async def main() -> T:
            async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=self.mock.url, timeout=2) as billing:
                with reconcile.read(self.folder / "charges.csv", **reading) as table:
                    return await work(billing, table)

        return asyncio.run(main())

    def plan(self, **options: Any) -> Plan:
        return self.run(lambda billing, table: reconcile.plan(billing, table, **options))

    def apply(self, source: Plan | None = None, **options: Any) -> Report:
        options = {"journal": self.journal, "settle": 0.2, "first_run": True} | options
        return self.run(lambda billing, table: reconcile.apply(billing, source or table, **options))

    def held(self) -> Counter[tuple[str, str, str, str]]:
        return Counter(
            (
                each.id,
                "" if owner is each else owner.id,
                charge.document["productCode"],
                str(charge.document.get("unitPrice")).removesuffix(".0"),
            )
            for each in self.mock.store.customers(LEDGER)
            for owner in (each, *each.subscriptions.values())
            for charge in owner.charges.values()
        )

    def documents(self) -> list[dict[str, Any]]:
        return [dict(charge.document) for each in self.mock.store.customers(LEDGER) for charge in each.charges.values()]


@pytest.fixture
def place(mock: MockServer, tmp_path: Path) -> Place:
    return Place(mock, tmp_path)


ALL = Counter({("1", "", "P01", "10"): 1, ("1", "46", "P02", "5.5"): 1, ("2", "", "P01", "None"): 1})


def counts(report: Report) -> tuple[int, int, int, int]:
    return report.unchanged, report.applied, len(report.rejected), len(report.failed)


def test_a_plan_writes_nothing(place: Place, asked: list[Request]) -> None:
    plan = place.plan()
    assert plan.counts == {"create customer": 2, "create subscription": 1, "create": 3}
    assert {request.method for request in asked} == {"GET"}
    assert (str(plan.before), str(plan.after), plan.without_price) == ("0", "21.0", 1)


def test_apply_does_it_and_a_second_time_there_is_nothing_to_do(place: Place) -> None:
    assert counts(place.apply()) == (0, 3, 0, 0)
    assert place.held() == ALL
    again = place.apply()
    assert (counts(again), again.steps, again.is_complete) == ((3, 0, 0, 0), {}, True)
    assert place.held() == ALL


def test_changes_and_ends_are_written(place: Place) -> None:
    place.apply()
    place.table(ROWS.replace("10.00", "12.50").replace("2026-01-01,\n2,", "2026-01-01,2026-12-31\n2,"))
    report = place.apply()
    assert report.steps == {"update": 1, "end": 1}
    assert place.plan().changes == 0


def test_nothing_is_removed_without_prune(place: Place) -> None:
    place.apply()
    place.table("1,,P01,1,10.00,2026-01-01,\n")
    assert place.plan(prune=False).counts == {}
    place.apply()
    assert place.held() == ALL


def test_with_prune_other_charges_of_its_customers_are_removed_and_no_others(place: Place) -> None:
    place.apply()
    place.table("1,,P01,1,10.00,2026-01-01,\n")
    report = place.apply(prune=True, max_removals="1")
    assert report.steps == {"remove": 1}
    assert place.held() == ALL - Counter({("1", "46", "P02", "5.5"): 1})


def test_more_removals_than_allowed_stop_it_before_the_first_write(place: Place, asked: list[Request]) -> None:
    place.apply()
    asked.clear()
    place.table("1,,P09,1,10.00,2026-01-01,\n")
    with pytest.raises(Refused, match="2 of 2 charges would be removed, more than 5% allows"):
        place.apply(prune=True)
    assert {request.method for request in asked} == {"GET"}


def test_what_was_refused_once_is_refused_again(place: Place, asked: list[Request]) -> None:
    place.apply()
    place.table("1,,P09,1,10.00,2026-01-01,\n")
    plan = place.plan(prune=True)
    asked.clear()
    for source in (None, None, plan, plan):
        with pytest.raises(Refused, match="would be removed"):
            place.apply(source, prune=True)
    assert {request.method for request in asked} == {"GET"}


def test_a_plan_that_was_out_of_date_stays_so(place: Place, asked: list[Request]) -> None:
    plan = place.plan()
    place.mock.store.create_customer(LEDGER, {"customerNo": "2"})
    for _ in range(2):
        with pytest.raises(Refused, match=r"1 customer has changed since the plan was made: 2\."):
            place.apply(plan)
    assert {request.method for request in asked} == {"GET"}


def test_a_removal_that_fails_is_told_and_is_no_row(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.apply()
    place.table("1,,P01,1,10.00,2026-01-01,\n")
    refused = Answer(422, {"Content-Length": "0"}, b"")
    monkeypatch.setattr(
        place.mock.app,
        "interceptor",
        lambda request, respond: refused if request.method == "DELETE" else respond(request),
    )
    report = place.apply(prune=True, max_removals="100%")
    assert (counts(report), report.is_complete, len(report.not_removed)) == ((1, 0, 0, 0), True, 1)
    assert "Unprocessable" in report.not_removed[0].reason


def test_a_pruning_plan_with_a_rejected_row_is_applied(place: Place) -> None:
    place.apply()
    place.table("1,,P01,1,12.00,2026-01-01,\n1,46,P02,0,,,\n2,,P09,,,,\n")
    plan = place.plan(prune=True)
    report = place.apply(plan, max_removals="100%")
    assert (counts(report), report.steps) == ((0, 2, 1, 0), {"update": 1, "create": 1, "remove": 1})


def test_nothing_is_removed_of_a_customer_of_whom_a_row_was_rejected(place: Place) -> None:
    place.apply()
    place.table("1,,P01,1,10.00,2026-01-01,\n1,46,P02,0,5.50,2026-01-01,\n")
    assert place.plan(prune=True).removals == 0
    report = place.apply(prune=True, max_removals="100%")
    assert (report.steps, list(report.rejected)) == ({}, [3])
    assert place.held() == ALL


@pytest.mark.parametrize(("text", "limit"), [("5%", 10), ("0", 0), ("17", 17), ("100%", 200)])
def test_a_limit_of_removals_is_a_number_or_percent(text: str, limit: int) -> None:
    assert removal_limit(text, 200) == limit


@pytest.mark.parametrize("text", ["", "x", "-1", "101%", "5 %"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="max_removals"):
        removal_limit(text, 1)


def test_rejected_rows_are_counted_and_the_others_go_on(place: Place) -> None:
    place.table(ROWS + "3,,P01,0,,,\n,,P01,1,,,\n")
    report = place.apply()
    assert (counts(report), report.rows, report.is_complete) == ((0, 3, 2, 0), 5, True)
    assert report.rejected == {5: "quantity: is not between 1 and 99999", 6: "customer_no: is missing"}
    assert place.held() == ALL


def test_a_row_that_the_server_refuses_fails_and_the_others_go_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(request: Request, respond: Respond) -> Answer:
        if b"P02" in (request.body or b""):
            body = b'{"type":"problems/unprocessable","title":"Unprocessable","status":422,"instance":"urn:x"}'
            return Answer(422, {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}, body)
        return respond(request)

    monkeypatch.setattr(place.mock.app, "interceptor", refusing)
    report = place.apply()
    assert (counts(report), report.is_complete) == ((0, 2, 0, 1), True)
    assert "Unprocessable" in report.failed[3]


def test_a_plan_that_was_kept_is_the_same_plan(place: Place) -> None:
    plan = place.plan()
    plan.write(place.folder / "plan.jsonl")
    assert Plan.load(place.folder / "plan.jsonl") == plan


def test_a_text_that_looks_like_a_plan_without_steps_is_written(place: Place) -> None:
    place.table('1,,P01,1,10.00,2026-01-01,"""steps"":[]"\n', header=HEADER.replace("end_date", "text"))
    assert place.apply().applied == 1
    assert [each["text"] for each in place.documents()] == ['"steps":[]']


def test_a_kept_plan_is_applied(place: Place) -> None:
    report = place.apply(place.plan())
    assert (counts(report), report.is_complete) == ((0, 3, 0, 0), True)
    assert place.held() == ALL


def test_a_plan_is_the_same_however_the_server_spells_a_price(tmp_path: Path) -> None:
    with MockServer({LEDGER: TOKEN}) as mock:
        place = Place(mock, tmp_path)
        place.apply()
        place.table(ROWS.replace("10.00", "11.00"))
        digest = place.plan().digest

        def spelled(request: Request, respond: Respond) -> Answer:
            answer = respond(request)
            body = re.sub(rb'"unitPrice":([0-9.]+)', rb'"unitPrice":\1E0', answer.body)
            return Answer(answer.status, {**answer.headers, "Content-Length": str(len(body))}, body)

        mock.app.interceptor = spelled
        assert place.plan().digest == digest


def test_a_plan_of_which_a_row_failed_is_applied_again_for_the_rest(tmp_path: Path) -> None:
    with MockServer({LEDGER: TOKEN}) as mock:
        place = Place(mock, tmp_path)
        path = tmp_path / "plan.jsonl"
        place.plan().write(path)
        mock.app.interceptor = lambda request, respond: (
            Answer(422, {"Content-Length": "0"}, b"")
            if request.method == "POST" and b"/46/" in request.raw_path
            else respond(request)
        )
        assert place.apply(Plan.load(path)).failed
        mock.app.interceptor = None
        assert not place.apply(Plan.load(path)).failed
        assert place.held() == ALL


def test_a_plan_that_was_applied_is_applied_again_without_a_request(place: Place, asked: list[Request]) -> None:
    path = place.folder / "plan.jsonl"
    place.plan().write(path)
    first = place.apply(Plan.load(path))
    asked.clear()
    again = place.apply(Plan.load(path))
    assert (counts(again), again.is_complete, again.steps, asked) == (counts(first), True, first.steps, [])


def test_a_plan_that_was_applied_long_ago_is_compared_with_what_is_held(place: Place, asked: list[Request]) -> None:
    path = place.folder / "plan.jsonl"
    place.plan().write(path)
    place.apply(Plan.load(path))
    assert counts(place.apply(Plan.load(path), recheck=0.0)) == (0, 3, 0, 0)
    place.mock.store.charges(LEDGER, "2").clear()
    asked.clear()
    again = place.apply(Plan.load(path), recheck=0.0)
    assert (counts(again), again.is_complete) == ((0, 2, 0, 1), True)
    assert "make a new plan" in again.failed[4]
    assert {request.method for request in asked} == {"GET"}


def test_a_lost_change_that_was_noted_while_the_clock_was_ahead_delays_by_no_more_than_settle(place: Place) -> None:
    place.apply()
    with closing(sqlite3.connect(place.journal)) as database, database:
        database.execute("UPDATE write SET lost = sent + 1e9 WHERE customer = '2'")
    place.table(ROWS.replace("2,,P01,1,,,", "2,,P01,7,,,"))
    assert place.apply().is_complete


def test_a_run_waits_for_a_lost_change_and_says_so_once(place: Place) -> None:
    place.apply()
    with closing(sqlite3.connect(place.journal)) as database, database:
        database.execute("UPDATE write SET lost = sent")
    place.table(ROWS.replace("P01,1,", "P01,2,"))
    told: list[str] = []
    assert place.apply(on_notice=told.append).is_complete
    assert len(told) == 1
    assert "may still take effect" in told[0]


def test_a_run_with_a_lost_change_is_not_pruned(place: Place) -> None:
    place.apply()
    with closing(sqlite3.connect(place.journal)) as database, database:
        database.execute("UPDATE write SET lost = sent WHERE customer = '2'")
    assert prune(place.journal, None, time.time() + 60) == 0


def test_a_plan_is_refused_when_a_customer_has_changed_since(place: Place, asked: list[Request]) -> None:
    plan = place.plan()
    place.mock.store.create_customer(LEDGER, {"customerNo": "2"})
    asked.clear()
    with pytest.raises(Refused, match=r"1 customer has changed since the plan was made: 2\."):
        place.apply(plan)
    assert {request.method for request in asked} == {"GET"}


def test_a_plan_of_another_ledger_is_refused(place: Place) -> None:
    plan = place.plan()
    plan.ledger = OTHER_LEDGER
    with pytest.raises(Refused, match="of ledger"):
        place.apply(plan)


@pytest.mark.parametrize("lines", [1, 2])
def test_a_plan_that_is_cut_at_the_end_of_a_line_is_refused(place: Place, lines: int) -> None:
    path = place.folder / "plan.jsonl"
    place.plan().write(path)
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(TableError, match=f"is not a whole plan: it has {lines - 1} of 2 customers"):
        Plan.load(path)


def test_a_plan_that_was_changed_is_refused(place: Place) -> None:
    path = place.folder / "plan.jsonl"
    place.plan().write(path)
    path.write_text(path.read_text().replace("5.5", "55"))
    with pytest.raises(TableError, match="or was changed"):
        Plan.load(path)


@pytest.mark.parametrize("content", ["", "{}", '{"format": "payex-billing plan 1"}', "nonsense"])
def test_what_is_no_plan_is_a_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "plan.jsonl").write_text(content)
    with pytest.raises(TableError, match="is not a plan"):
        Plan.load(tmp_path / "plan.jsonl")


def test_a_new_charge_beside_an_open_one_of_the_product_is_pointed_out(place: Place) -> None:
    place.apply()
    place.table("1,,P01,1,10.00,2026-02-01,\n")
    plan = place.plan()
    assert [each.suspicious for each in plan.customers] == [(2,)]
    assert plan.surplus == 1


# state


def test_with_a_state_cache_only_changed_customers_are_read(place: Place, asked: list[Request]) -> None:
    state = place.folder / "state.db"
    place.apply(state=state)
    asked.clear()
    report = place.apply(state=state)
    assert (counts(report), report.is_complete, asked) == ((3, 0, 0, 0), True, [])
    place.table(ROWS.replace("10.00", "11.00"))
    assert counts(place.apply(state=state)) == (2, 1, 0, 0)
    assert not any(b"/customers/2" in request.raw_path for request in asked)


def test_refresh_reads_all_again(place: Place, asked: list[Request]) -> None:
    state = place.folder / "state.db"
    place.apply(state=state)
    asked.clear()
    place.apply(state=state, refresh=True)
    assert {request.raw_path.split(b"/")[6] for request in asked} == {b"1", b"2"}


def test_a_cache_that_lies_never_leads_to_a_double(place: Place) -> None:
    state = place.folder / "state.db"
    place.apply(state=state)
    # Somebody else ends the charge and adds the one that the table is about to ask for.
    place.mock.store.create_charge(LEDGER, "2", "", {"productCode": "P07"})
    place.table(ROWS + "2,,P07,,,,\n")
    assert counts(place.apply(state=state)) == (4, 0, 0, 0)
    assert place.held()[("2", "", "P07", "None")] == 1


def test_a_customer_that_failed_is_not_cached(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    state = place.folder / "state.db"
    with monkeypatch.context() as broken:
        broken.setattr(
            place.mock.app, "interceptor", lambda request, respond: Answer(422, {"Content-Length": "0"}, b"")
        )
        assert counts(place.apply(state=state)) == (0, 0, 0, 3)
    assert counts(place.apply(state=state)) == (0, 3, 0, 0)


def test_a_cache_filled_without_prune_does_not_hide_what_is_to_be_pruned(place: Place) -> None:
    state = place.folder / "state.db"
    place.mock.store.create_customer(LEDGER, {"customerNo": "2"})
    place.mock.store.create_charge(LEDGER, "2", "", {"productCode": "P99"})
    place.apply(state=state)
    assert place.apply(state=state, prune=True, max_removals="100%").steps == {"remove": 1}


def test_a_state_that_is_none_is_a_sentence(place: Place) -> None:
    (place.folder / "state.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(TableError, match="cannot be used as a state cache"):
        place.apply(state=place.folder / "state.db")


# shards


def test_the_shards_together_do_the_whole(place: Place) -> None:
    place.table("".join(f"{number},,P01,1,1.00,,\n" for number in range(40)) + "x:,,P01,,,,\n,,P01,,,,\n")
    reports = [place.apply(shard=Shard(index, 4), journal=place.folder / f"j{index}") for index in range(1, 5)]
    assert sum(report.rows for report in reports) == 42
    assert sum(report.applied for report in reports) == 40
    assert sum(len(report.rejected) for report in reports) == 2
    assert all(report.is_complete for report in reports)
    assert sum(place.held().values()) == 40


# the journal


def test_two_runs_on_one_journal_at_once_are_refused(place: Place) -> None:
    ledger = f"{place.mock.url}/billing/customer/v1/{LEDGER}"
    with reconcile._journal.Journal(place.journal, ledger), pytest.raises(JournalError, match="another run is using"):
        place.apply()
    assert place.held() == Counter()


def test_a_journal_of_another_ledger_is_refused(place: Place) -> None:
    with reconcile._journal.Journal(place.journal, OTHER_LEDGER) as journal:
        journal.begin("x", "plan", resumed=False)
    with pytest.raises(JournalError, match="is of ledger"):
        place.apply()


def test_what_is_no_journal_is_a_sentence(place: Place) -> None:
    place.journal.write_bytes(b"nonsense" * 1000)
    with pytest.raises(JournalError, match="is not a journal"):
        place.apply()


def test_each_write_is_noted_before_it_is_sent(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    noted: list[bool] = []

    def looking(request: Request, respond: Respond) -> Answer:
        if request.method == "POST":
            # The write-ahead log may be read by others only when its owner lets go: its bytes are there all the same.
            files = [place.journal, place.journal.with_name("journal-wal")]
            text = b"".join(each.read_bytes() for each in files if each.exists())
            body = json.loads(request.body or b"{}")
            wanted = body.get("productCode") or "create"
            noted.append(wanted.encode() in text)
        return respond(request)

    monkeypatch.setattr(place.mock.app, "interceptor", looking)
    place.apply()
    assert noted == [True] * 6


def test_an_interrupted_run_goes_on_where_it_stopped(place: Place, asked: list[Request]) -> None:
    place.table("".join(f"{number},,P01,1,1.00,,\n" for number in range(20)))

    async def work(billing: AsyncBilling, table: reconcile.Table) -> Report:
        stop = asyncio.Event()

        def progress(phase: str, done: int, total: int) -> None:
            if phase == "writing" and done >= 5:
                stop.set()

        return await reconcile.apply(
            billing, table, journal=place.journal, concurrency=2, stop=stop, on_progress=progress
        )

    first = place.run(work)
    assert first.interrupted
    assert 5 <= first.applied <= 7
    asked.clear()
    second = place.apply()
    assert (counts(second), second.is_complete, second.interrupted) == ((0, 20, 0, 0), True, False)
    assert len({request.raw_path.split(b"/")[6] for request in asked if request.method == "GET"}) == 20 - first.applied
    assert sum(place.held().values()) == 20


@pytest.mark.parametrize("created", [True, False])
def test_a_write_without_a_result_is_looked_up(place: Place, created: bool) -> None:
    """As a process leaves it that was killed between sending and noting."""
    place.apply()
    with sqlite3.connect(place.journal) as journal:
        journal.execute("UPDATE run SET finished = NULL")
        journal.execute("DELETE FROM customer WHERE customer = '2'")
        journal.execute("UPDATE write SET result = NULL, charge = NULL WHERE customer = '2' AND step LIKE '%create\"%'")
    journal.close()
    if not created:
        place.mock.store.charges(LEDGER, "2").clear()
    report = place.apply()
    assert (counts(report), report.is_complete) == ((0, 3, 0, 0), True)
    assert place.held() == ALL


def test_when_it_cannot_be_told_the_row_fails_and_nothing_is_sent(place: Place, asked: list[Request]) -> None:
    place.apply()
    with sqlite3.connect(place.journal) as journal:
        journal.execute("UPDATE run SET finished = NULL")
        journal.execute("DELETE FROM customer WHERE customer = '2'")
        journal.execute("UPDATE write SET result = NULL WHERE customer = '2' AND step LIKE '%create\"%'")
    journal.close()
    charge = next(iter(place.mock.store.charges(LEDGER, "2").values()))
    charge.document = {"productCode": "P01", "quantity": 7}  # like it, but not it
    asked.clear()
    report = place.apply()
    assert "it is not known whether a creation took effect" in report.failed[4]
    assert f"payex-billing runs resolve --journal {place.journal} --customer 2" in report.failed[4]
    assert {request.method for request in asked} == {"GET"}


def test_a_creation_that_was_refused_often_and_then_lost_is_sent_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 does not count as a lost response."""
    answers = iter([429] * 6 + [502])

    def busy(request: Request, respond: Respond) -> Answer:
        if request.method == "POST" and request.raw_path.endswith(b"/2/recurring-products"):
            status = next(answers, None)
            if status is not None:
                return Answer(status, {"Content-Length": "0", "Retry-After": "0"}, b"")
        return respond(request)

    monkeypatch.setattr(place.mock.app, "interceptor", busy)
    monkeypatch.setattr("payex_billing.reconcile._pool.LONGEST", 0.01)
    report = place.apply()
    assert (counts(report), place.held()) == ((0, 3, 0, 0), ALL)


def test_a_repeated_run_keeps_the_files_of_the_runs_before(place: Place) -> None:
    """The guards stop a file that was applied some runs ago."""
    place.apply()
    place.table(ROWS.replace("10.00", "11.00"))
    place.apply()
    place.apply()

    async def remembered(billing: AsyncBilling, table: reconcile.Table) -> int:
        with Memory(billing.settings.ledger) as memory:
            last = memory.last_run(None)
        assert last is not None
        return len(set(last["digests"]))

    assert place.run(remembered) == 2


@pytest.mark.parametrize("fault", ["lose-answer:POST", "reset-after:POST", "500-after:POST", "reset-before:POST"])
def test_lost_answers_are_found_out_about_within_the_run(tmp_path: Path, fault: str) -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as mock:
        place = Place(mock, tmp_path)
        mock.faults.queue(*[fault] * 4)
        report = place.apply()
        assert (counts(report), report.is_complete) == ((0, 3, 0, 0), True)
        assert place.held() == ALL


# missing columns


def test_a_missing_column_leaves_what_is_held(place: Place) -> None:
    place.table("1,,P01,2,10.00,2026-01-01,2026-03-31\n")
    place.apply()
    held = place.documents()
    (place.folder / "charges.csv").write_text("customer_no,product_code\n1,P01\n")
    plan = place.plan()
    assert (plan.changes, plan.unchanged, plan.before, plan.after) == (0, 1, plan.after, plan.before)
    place.apply()
    assert place.documents() == held


def test_an_empty_cell_clears_what_is_held_and_a_missing_column_beside_it_does_not(place: Place) -> None:
    place.table("1,,P01,2,10.00,2026-01-01,2026-03-31\n")
    place.apply()
    (held,) = place.documents()
    (place.folder / "charges.csv").write_text("customer_no,product_code,end_date,quantity\n1,P01,,3\n")
    assert place.apply().steps == {"update": 1}
    (after,) = place.documents()
    assert after.get("endDate") is None
    assert (after["quantity"], after["unitPrice"], after["startDate"]) == (3, held["unitPrice"], held["startDate"])
    assert place.plan().changes == 0


def test_a_state_cache_notices_that_a_column_has_come_back(place: Place) -> None:
    state = place.folder / "state.db"
    place.table("1,,P01,2,10.00,2026-01-01,2026-03-31\n")
    place.apply()
    (place.folder / "charges.csv").write_text("customer_no,product_code\n1,P01\n")
    place.apply(state=state)
    (place.folder / "charges.csv").write_text("customer_no,product_code,end_date\n1,P01,\n")
    assert place.apply(state=state).steps == {"update": 1}


# another ledger


def test_the_state_and_the_journal_of_the_sandbox_are_refused_in_production(place: Place) -> None:
    state = place.folder / "state.db"
    place.apply(state=state)
    with MockServer({LEDGER: TOKEN}) as production:
        other = Place(production, place.folder)
        with pytest.raises(JournalError, match="is of ledger http"):
            other.apply(state=state)
        with pytest.raises(TableError, match="is the state cache of http"):
            other.apply(state=state, journal=place.folder / "another")
        with pytest.raises(TableError, match="is the state cache of http"):
            other.plan(state=state)
        assert counts(other.apply(journal=place.folder / "third")) == (0, 3, 0, 0)


def test_a_plan_of_the_sandbox_is_refused_in_production(place: Place) -> None:
    plan = place.plan()
    with MockServer({LEDGER: TOKEN}) as production, pytest.raises(Refused, match="the plan is of ledger http"):
        Place(production, place.folder).apply(plan)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_only_the_owner_may_read_files_with_customer_numbers(place: Place) -> None:
    place.plan().write(place.folder / "plan.jsonl")
    place.apply(state=place.folder / "state.db")
    for name in ("journal", "state.db", "plan.jsonl"):
        assert (place.folder / name).stat().st_mode & 0o077 == 0, name


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_the_mode_of_a_pipe_stays_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o640)
    pipe.chmod(0o640)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        open_private(pipe).close()
    finally:
        os.close(reader)
    assert pipe.stat().st_mode & 0o777 == 0o640


def test_a_second_run_in_the_same_process_does_not_open_the_journal_for_other_processes(place: Place) -> None:
    """POSIX drops the locks of a process on a file when the process closes any descriptor of the file."""
    other = "import sys, pathlib; from payex_billing.reconcile._journal import Journal\n"
    other += "with Journal(pathlib.Path(sys.argv[1]), 'x'): print('opened')"
    with reconcile._journal.Journal(place.journal, "x"):
        with pytest.raises(JournalError, match="another run is using"):
            reconcile._journal.Journal(place.journal, "x")
        command = [sys.executable, "-c", other, str(place.journal)]
        found = subprocess.run(command, check=False, capture_output=True, text=True)
    assert "opened" not in found.stdout
    assert "another run is using" in found.stderr
