"""A change whose response was lost has no effect, or takes effect late. What the last run wrote is what stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.apply_process import Ended, Mock, Night, Row, approval_in, changed, customers, night_on
from tests.chaos.failing_proxy import RST, Fate, Gate, bare, problem

SETTLE = 3.0  # seconds; more than two processes take to start
LATE = Fate(reaches=2.4, answer=bare(502))
REFUSED = Fate(reaches=None, answer=problem(400, "validation-failed"))
REMOVALS = ("--prune", "--max-removals", "100%")


@pytest.fixture
def night(billing_mock: Mock, ledger: str, tmp_path: Path) -> Iterator[Night]:
    with night_on(billing_mock, ledger, tmp_path, settle=SETTLE) as night:
        yield night


def done(ended: Ended) -> int:
    """Return the number of a run that succeeded."""
    found = re.search(r"^Run (\d+)\.", ended.output, re.MULTILINE)
    assert ended.code == 0, ended
    assert found is not None, ended
    return int(found[1])


def failed(night: Night) -> int:
    """Apply the table, one row of which fails. Return the number of the run."""
    ended = night.apply()
    assert ended.report is not None, ended
    assert ended.report["failed"], ended
    number: int = ended.report["run"]
    return number


def undo(night: Night, run: int, journal: str | Path | None = None) -> int:
    """Take a run back, as a person does who approves the plan; return the number of the undo."""
    command = ("undo", str(run), "--yes", "--journal", journal or night.journal, "--settle", str(SETTLE))
    ended = night.command(*command)
    approval = approval_in(ended)
    return done(night.command(*command, *approval) if approval else ended)


def quiet(night: Night) -> None:
    night.proxy.forget_rules()
    night.proxy.wait_until_quiet()


def test_a_price_that_is_cleared_is_sent_again_when_no_attempt_arrived(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price=None))
    night.proxy.on("PATCH", Fate(reaches=None, answer=RST), times=4)  # all attempts of one call
    done(night.apply_approved())
    assert night.contents == {night.rows[0].content: 1}


def test_an_undo_holds_although_an_attempt_of_the_change_takes_effect_late(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", LATE)
    undo(night, done(night.apply_approved()))
    quiet(night)
    assert night.contents == {rows[0].content: 1}


def test_an_undo_holds_with_a_journal_in_postgresql_too(night: Night, database: str) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", LATE)
    undo(night, done(night.apply_approved("--journal", database)), database)
    quiet(night)
    assert night.contents == {rows[0].content: 1}


def test_a_second_table_holds_although_an_attempt_of_the_first_takes_effect_late(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", LATE)
    done(night.apply_approved())
    night.write(changed(rows, 0, price="9.50"))
    done(night.apply_approved())
    quiet(night)
    assert night.contents == {night.rows[0].content: 1}


def test_an_undo_finds_a_change_that_takes_effect_although_the_server_refused_its_last_attempt(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", LATE)
    night.proxy.on("PATCH", REFUSED)
    undo(night, failed(night))
    quiet(night)
    assert night.contents == {rows[0].content: 1}


def test_an_undo_right_after_a_night_with_a_lost_change_needs_no_second_plan(night: Night) -> None:
    """The change took no effect, so the undo has nothing to take back from that customer."""
    rows = customers(2)
    for row in rows:
        night.add(row)
    night.write(changed(changed(rows, 0, price="12.50"), 1, price="12.50"))
    night.proxy.on("PATCH", Fate(reaches=None, answer=RST))
    night.proxy.on("PATCH", REFUSED)
    undo(night, failed(night))
    assert night.contents == {row.content: 1 for row in rows}


@pytest.mark.parametrize(
    "fate", [Fate(answer=bare(200)), Fate(reaches=2.4, answer=bare(202))], ids=["200, at once", "202, late"]
)
def test_an_undo_takes_back_a_change_whose_response_cannot_be_read(night: Night, fate: Fate) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", fate)
    undo(night, failed(night))
    quiet(night)
    assert night.contents == {rows[0].content: 1}


def test_a_plan_is_refused_if_a_lost_change_may_have_taken_effect_since_it_was_made(
    night: Night, tmp_path: Path
) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    gate = Gate()  # holds the change until the plan is made
    night.proxy.longest_late = 300.0
    night.proxy.on("PATCH", Fate(reaches=0.1, answer=bare(502), gate=gate))
    night.proxy.on("PATCH", REFUSED)
    assert night.apply().code == 3
    night.write(rows)
    plan = tmp_path / "night.plan"
    night.command("plan", night.table, "--out", plan)
    gate.open()
    quiet(night)
    ended = night.command("apply", plan, "--journal", night.journal, "--settle", "300")
    assert ended.code == 1, ended
    assert "customer C000. Make a new plan" in ended.output, ended
    assert night.contents == {changed(rows, 0, price="12.50")[0].content: 1}


def test_a_run_that_goes_on_after_a_kill_is_not_overtaken_by_the_killed_one(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    night.proxy.on("PATCH", Fate(reaches=2.4, answer=bare(502), before=night.kill))
    assert night.apply().code < 0
    night.write(changed(rows, 0, price="9.50"))
    done(night.apply_approved())
    quiet(night)
    assert night.contents == {night.rows[0].content: 1}


def test_drift_does_not_take_the_change_of_a_killed_undo_for_somebody_elses(night: Night) -> None:
    rows = customers(1)
    night.add(rows[0])
    night.write(changed(rows, 0, price="12.50"))
    run = done(night.apply_approved())
    night.proxy.on("PATCH", Fate(after=night.kill))
    assert night.command("undo", str(run), "--yes", "--journal", night.journal).code < 0
    assert night.contents == {rows[0].content: 1}
    looked = night.command("drift", "--journal", night.journal)
    assert "no drift" in looked.output, looked


def test_a_subscription_that_an_undo_removes_is_not_created_late(night: Night) -> None:
    row = Row("C001", "P01", None, 1, "9.00")
    night.add(row)
    night.write([row, Row("C001", "TV", "46", 1, "5.00")])
    night.proxy.on("POST", LATE, path="subscriptions$")
    undo(night, done(night.apply_approved()))
    quiet(night)
    assert ("C001", "46") not in night.mock.places(night.ledger)


def test_a_subscription_that_an_undo_creates_again_is_not_removed_late(night: Night) -> None:
    kept, gone = Row("C001", "P01", None, 1, "9.00"), Row("C001", "TV", "46", 1, "5.00")
    for row in (kept, gone):
        night.add(row)
    night.write([kept])
    done(night.apply_approved(*REMOVALS))
    again = Row("C001", "TV", "47", 1, "5.00")
    night.write([kept, again])
    run = done(night.apply_approved(*REMOVALS))
    night.proxy.on("DELETE", LATE, path="subscriptions/47$")
    undone = undo(night, run)  # removes subscription 47; one attempt takes effect late
    undo(night, undone)  # creates it again
    quiet(night)
    assert night.contents[again.content] == 1
