"""What `apply` promises on bad networks and bad ledgers, one promise a test, seen from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.apply_judge import Judge, must_be_done
from tests.chaos.apply_process import MONEY, Ended, Mock, Night, Row, Run, customers, insert_charge, night_on
from tests.chaos.failing_proxy import FIN, RST, Exchange, FailingProxy, Fate, Gate, bare, problem
from tests.chaos.hostile import HostileServer, Pki
from tests.support import NIGHTLY

ENGINES = pytest.mark.parametrize("engine", ["httpx", "reqwest"], indirect=True)
ONLY_NIGHTLY = pytest.mark.skipif(not NIGHTLY, reason="make nightly: each process costs half a second of CPU")


@pytest.fixture
def night(billing_mock: Mock, ledger: str, tmp_path: Path) -> Iterator[Night]:
    with night_on(billing_mock, ledger, tmp_path) as night:
        yield night


@pytest.fixture
def judge(night: Night) -> Judge:
    return Judge(night)


def given(night: Night, judge: Judge, rows: list[Row]) -> None:
    """Let the night begin with this table."""
    judge.sees_held()
    night.write(rows)
    judge.sees_table()


def counts(run: Ended) -> dict[str, int]:
    """The four counts of a report."""
    assert run.report is not None, run
    report = run.report
    return {
        "unchanged": report["unchanged"],
        "applied": report["applied"],
        "rejected": len(report["rejected"]),
        "failed": len(report["failed"]),
    }


# A1: what the ledger holds

HELD_ODDITIES: dict[str, dict[str, Any]] = {
    "an 80-character text": {"productCode": "OLD", "quantity": 1, "text": "x" * 80},
    "a quantity above the limit": {"productCode": "OLD", "quantity": 1_000_000},
    "no quantity": {"productCode": "OLD"},
    "a quantity of 0": {"productCode": "OLD", "quantity": 0},
    "8 digits before the point": {"productCode": "OLD", "quantity": 1, "unitPrice": 12_345_678.5},
    "a VAT rate of 3 decimals": {"productCode": "OLD", "quantity": 1, "vatRate": 12.345},
    "a product code of 9 characters": {"productCode": "OLD-CODES", "quantity": 1},
    "an end before its start": {
        "productCode": "OLD",
        "quantity": 1,
        "startDate": "2026-02-01",
        "endDate": "2026-01-01",
    },
    "control characters in a text": {"productCode": "OLD", "quantity": 1, "text": "a\u001b[2Jb\u202ec\u0007"},
}
HELD_BROKEN: dict[str, dict[str, Any]] = {
    "no product code": {"quantity": 1},
    "a date that does not exist": {"productCode": "OLD", "quantity": 1, "startDate": "2026-02-30"},
    "a text in place of a number": {"productCode": "OLD", "quantity": 1, "unitPrice": "nine"},
}


def test_a_held_charge_that_the_contract_forbids_stops_no_customer(tmp_path: Path, ledger: str) -> None:
    """What is held is a value that nobody validates; what cannot be read at all fails the rows of its own customer."""
    db = tmp_path / "odd.db"
    odd = dict(zip((f"O{index}" for index in range(len(HELD_ODDITIES))), HELD_ODDITIES.values(), strict=True))
    broken = dict(zip((f"B{index}" for index in range(len(HELD_BROKEN))), HELD_BROKEN.values(), strict=True))
    for customer, document in {**odd, **broken}.items():
        insert_charge(db, ledger, customer, None)
        insert_charge(db, ledger, customer, document, charge=f"{customer:0>16}")
    with Mock(db, [ledger]) as mock, night_on(mock, ledger, tmp_path) as night:
        night.write([*customers(3), *(Row(customer, "P01", None, 1, "9.00") for customer in (*odd, *broken))])
        run = night.apply()
        held = {content[0] for content in night.contents if content[2] == "P01"}
    assert run.report is not None, run
    failed = {night.rows[int(line) - 2].customer for line in run.report["failed"]}
    assert failed <= set(broken), run
    assert held == {row.customer for row in night.rows} - failed, run
    assert run.report["applied"] == len(held), run
    assert run.code == (3 if failed else 0), run
    assert "\x1b" not in run.output
    assert "\u202e" not in run.output


# A2: another server


def test_a_state_file_and_a_journal_of_another_server_are_refused(night: Night, judge: Judge, tmp_path: Path) -> None:
    given(night, judge, customers(3))
    must_be_done(night, judge, night.apply("--state", "state.db"))
    with FailingProxy(night.mock.url) as other:
        night.environment["PAYEX_BASE_URL"] = other.url
        by_state = night.apply("--state", "state.db", journal=tmp_path / "fresh.journal")
        by_journal = night.apply()
        night.environment["PAYEX_BASE_URL"] = night.proxy.url
        assert not other.sent("WRITE")
    for run, name in ((by_state, "state.db"), (by_journal, night.journal.name)):
        assert run.code == 1, run
        assert name in run.output, run
        assert "Traceback" not in run.output, run


# A3: a write that leaves later than its intent was noted


def kill_and_commit_late(night: Night, count: int = 1) -> None:
    """Kill the run when the POST with this number arrives, and let the mock have the request within settle."""
    late = Fate(reaches=0.8 * night.settle, answer=FIN, before=night.kill)
    night.proxy.on("POST", late, path="recurring-products$", skip=count - 1)


@ENGINES
def test_a_post_that_waited_for_the_rate_limit_is_not_doubled(engine: str, night: Night, judge: Judge) -> None:
    """With 8 writes at 4 a second the last one leaves 2 s after the first, later than settle."""
    night.settle = 1.2
    night.proxy.longest_late = 1.1
    rows = customers(8)
    for row in rows:
        night.ask("POST", "", {"customerNo": row.customer})
    given(night, judge, rows)
    kill_and_commit_late(night, count=8)
    killed = night.start_apply("--rate", "4", "--concurrency", "8").wait()
    assert killed.code == -9, killed
    must_be_done(night, judge, night.apply())


@ENGINES
def test_a_post_that_was_sent_again_after_a_429_is_not_doubled(engine: str, night: Night, judge: Judge) -> None:
    night.settle = 1.2
    night.proxy.longest_late = 1.1
    night.ask("POST", "", {"customerNo": "C000"})
    given(night, judge, customers(1))
    night.proxy.on("POST", Fate(reaches=None, answer=problem(429, "too-many-requests", "Retry-After: 3")))
    kill_and_commit_late(night)
    killed = night.start_apply().wait()
    assert killed.code == -9, killed
    must_be_done(night, judge, night.apply())


@ONLY_NIGHTLY
@ENGINES
def test_a_post_that_left_after_the_process_was_stopped_is_not_doubled(engine: str, night: Night, judge: Judge) -> None:
    """The process is stopped while a POST waits for the rate limit, for longer than settle."""
    night.settle = 1.2
    night.proxy.longest_late = 1.1
    rows = customers(4)
    for row in rows:
        night.ask("POST", "", {"customerNo": row.customer})
    given(night, judge, rows)
    first = Gate()
    night.proxy.watch("POST", 1, "answered", lambda: (night.runs[-1].stop(), first.reached.release()))
    kill_and_commit_late(night, count=3)
    run = night.start_apply("--rate", "4", "--concurrency", "4")
    first.wait_for()
    night.proxy.later(3.0, run.go_on)
    assert run.wait().code == -9
    must_be_done(night, judge, night.apply())


# A3b: a write that waits for settle


@ENGINES
def test_a_lost_post_does_not_hold_up_the_other_customers(engine: str, night: Night, judge: Judge) -> None:
    night.settle = 4
    rows = customers(20)
    for row in rows:
        night.ask("POST", "", {"customerNo": row.customer})
    given(night, judge, rows)
    lost = ("C000", "C001")
    for customer in lost:
        night.proxy.on("POST", Fate(reaches=None, answer=RST), path=f"^customers/{customer}/")
    run = night.start_apply("--concurrency", "2").wait()
    posts = [exchange.customer for exchange in night.proxy.sent("POST")]
    assert sorted(posts) == sorted([*(row.customer for row in rows), *lost])
    assert Counter(posts[-2:]) == Counter(lost), f"the others waited for the lost ones: {posts}"
    must_be_done(night, judge, run)


# A4: two at once, and charges that no row asks for


def start_and_hold(night: Night) -> tuple[Run, Gate]:
    """Start `apply`, and return when its first POST waits at the gate."""
    night.environment["PAYEX_TIMEOUT"] = "60"  # the POST must not time out before the test opens the gate
    gate = Gate()
    night.proxy.on("POST", Fate(gate=gate))
    run = night.start_apply()
    gate.wait_for()
    return run, gate


def test_a_second_apply_of_the_same_ledger_is_refused_and_names_no_lock(
    night: Night, judge: Judge, tmp_path: Path
) -> None:
    given(night, judge, customers(5))
    first, gate = start_and_hold(night)
    second = night.apply(journal=tmp_path / "second.journal")
    gate.open()
    assert second.code == 1, second
    assert "--no-lock" in second.output, second
    must_be_done(night, judge, first.wait())


@ONLY_NIGHTLY
def test_no_lock_lets_a_second_apply_of_other_customers_run(night: Night, judge: Judge, tmp_path: Path) -> None:
    given(night, judge, customers(3))
    first, gate = start_and_hold(night)
    night.write([Row("OTHER", "P01")])
    second = night.apply("--no-lock", journal=tmp_path / "second.journal")
    gate.open()
    assert second.code == 0, second
    assert first.wait().code == 0
    assert Counter(content[0] for content in night.contents) == Counter(["C000", "C001", "C002", "OTHER"])


@ONLY_NIGHTLY
@pytest.mark.parametrize("attempt", range(5))
def test_two_runs_that_start_at_the_same_moment_double_nothing(
    attempt: int, night: Night, judge: Judge, tmp_path: Path
) -> None:
    given(night, judge, customers(40))
    first = night.start_apply()
    second = night.start_apply(journal=tmp_path / "second.journal")
    ended = [first.wait(), second.wait()]
    assert sorted(run.code for run in ended) in ([0, 0], [0, 1]), ended
    assert all("--no-lock" in run.output for run in ended if run.code == 1), ended
    must_be_done(night, judge, next(run for run in ended if run.code == 0))


def test_a_symbolic_link_to_a_journal_is_the_same_journal(night: Night, judge: Judge, tmp_path: Path) -> None:
    given(night, judge, customers(3))
    first, gate = start_and_hold(night)
    link = tmp_path / "elsewhere.journal"
    link.symlink_to(night.journal)
    second = night.apply("--no-lock", journal=link)
    gate.open()
    assert second.code == 1, second
    must_be_done(night, judge, first.wait())


def test_apply_reports_the_charges_that_no_row_asks_for(night: Night, judge: Judge) -> None:
    for row in customers(2):
        night.add(row)
        night.add(replace(row, product="OLD"))
    given(night, judge, customers(3))
    run = night.apply()
    must_be_done(night, judge, run)
    assert run.report is not None
    told = run.report["not_in_file"]
    assert (told if isinstance(told, int) else len(told)) == 2, run


# A5: no server, or a server that says no to everything


def few_lines(run: Ended) -> int:
    """How many lines the output has."""
    return len([line for line in run.output.splitlines() if line.strip()])


def test_a_wrong_token_stops_after_a_few_requests_with_one_message(night: Night, judge: Judge) -> None:
    given(night, judge, customers(60))
    night.environment["PAYEX_TOKEN"] = "wrong"
    run = night.apply()
    assert run.code == 1, run
    assert len(run.requests) <= 4, f"{len(run.requests)} requests"
    assert "401" in run.output, run
    assert few_lines(run) <= 12, run


@pytest.mark.parametrize("status", [401, 403, 501] if NIGHTLY else [403])
def test_a_refusal_in_the_middle_stops_the_run(status: int, night: Night, judge: Judge) -> None:
    """The token is taken back while the run goes on: the customers that were not asked yet are not asked."""
    rows = customers(60)
    given(night, judge, rows)
    code = {401: "unauthorized", 403: "forbidden", 501: "not-implemented"}[status]
    night.proxy.on("*", Fate(reaches=None, answer=problem(status, code)), skip=40, times=1e9)
    run = night.apply("--concurrency", "4")
    refused = [each for each in night.proxy.log if each.response is None]
    assert run.code in {1, 3}, run
    assert len(refused) <= 12, f"{len(refused)} requests after the refusal"
    assert few_lines(run) <= 16, run
    judge.judge(run)
    assert not judge.wrong, judge.wrong


@ONLY_NIGHTLY
@ENGINES
def test_a_refused_certificate_stops_after_a_few_connections(
    engine: str, night: Night, judge: Judge, tmp_path: Path
) -> None:
    """The server needs a client certificate, and the client has none."""
    given(night, judge, customers(60))
    pki = Pki.make(tmp_path)
    with HostileServer(lambda connection: None, pki.context(client_needed=True)) as server:
        night.environment |= {"PAYEX_BASE_URL": server.url, "PAYEX_CA_FILE": str(pki.ca_file)}
        run = night.apply()
        accepted = server.accepted
    assert run.code == 1, run
    assert 1 <= accepted <= 8, f"{accepted} connections"
    assert few_lines(run) <= 12, run


def test_a_dead_host_ends_the_run_after_patience(night: Night, judge: Judge) -> None:
    given(night, judge, customers(60))
    night.proxy.go_dark()
    run = night.apply("--patience", "1")
    assert run.code == 1, run
    assert few_lines(run) <= 12, run


@ONLY_NIGHTLY
def test_a_host_that_dies_in_the_middle_ends_the_run_after_patience(night: Night, judge: Judge) -> None:
    given(night, judge, customers(30))
    night.proxy.watch("WRITE", 15, "reached", night.proxy.go_dark)
    run = night.apply("--patience", "1", "--settle", "0.5")
    night.proxy.come_back()
    assert run.code in {1, 3}, run
    assert few_lines(run) <= 16, run
    judge.judge(run)
    must_be_done(night, judge, night.apply())


@ENGINES
def test_a_restart_of_2_seconds_costs_no_row(engine: str, night: Night, judge: Judge) -> None:
    given(night, judge, customers(30))
    night.proxy.watch("WRITE", 15, "reached", lambda: night.proxy.go_dark(2.0))
    must_be_done(night, judge, night.apply())


# A6: plan


def test_a_plan_that_could_read_nothing_says_that_it_is_incomplete(night: Night) -> None:
    night.write(customers(3))
    night.proxy.weather = lambda _: Fate(reaches=None, answer=bare(500))
    run = night.command("plan", night.table)
    assert run.code in {1, 3}, run
    assert "ncomplete" in run.output, run
    assert "Nothing to do" not in run.output, run
    assert not MONEY.search(run.output), run


# A7: a killed plan, exact counts, and looking again


def six_writes(night: Night) -> tuple[list[Row], dict[str, str]]:
    """A table that asks for one write of each kind, each at a customer of its own, and where each write is seen."""
    start = {"start": "2026-01-01"}
    night.add(Row("UPDATE", "P01", None, 1, "8.50", **start))
    night.add(Row("END", "P01", None, 1, "9.00", **start))
    night.add(Row("REMOVE", "P01", None, 1, "9.00", **start))
    night.add(Row("REMOVE", "OLD", None, 1, "9.00", **start))
    night.add(Row("CREATE", "OTHER", None, 1, "9.00", **start))
    night.add(Row("SUB", "OTHER", None, 1, "9.00", **start))
    rows = [
        Row("UPDATE", "P01", None, 1, "9.00", **start),
        Row("END", "P01", None, 1, "9.00", **start, end="2027-12-31"),
        Row("REMOVE", "P01", None, 1, "9.00", **start),
        Row("CREATE", "P01", None, 1, "9.00", **start),
        Row("CREATE", "OTHER", None, 1, "9.00", **start),
        Row("NEW", "P01", None, 1, "9.00", **start),
        Row("SUB", "P01", "4670", 1, "9.00", **start),
        Row("SUB", "OTHER", None, 1, "9.00", **start),
    ]
    kinds = {
        "UPDATE": "PATCH",
        "END": "PATCH",
        "REMOVE": "DELETE",
        "CREATE": "POST",
        "NEW": "POST",
        "SUB": "POST",
    }
    return rows, kinds


@ENGINES
@pytest.mark.parametrize("moment", ["arrived", "reached"] if NIGHTLY else ["reached"])
def test_a_killed_apply_of_a_plan_goes_on_for_every_kind_of_write(
    moment: str, engine: str, night: Night, judge: Judge, tmp_path: Path
) -> None:
    """All six writes are under way when the process is killed: their intents are open, and 5 of 6 plans are stale."""
    rows, kinds = six_writes(night)
    given(night, judge, rows)
    judge.prunes = True
    removals = ("--max-removals", "100%")
    plan = tmp_path / "plan.jsonl"
    planned = night.command("plan", night.table, "--out", plan, "--prune")
    assert planned.code == 0, planned
    reached: set[str] = set()
    while True:
        # One run has all six writes under way, or fewer if it writes one customer after the other.
        gate = Gate()
        night.proxy.forget_rules()
        for customer in kinds.keys() - reached:
            path = "^customers$" if customer == "NEW" else f"^customers/{customer}/"
            held = {"gate_after": gate} if moment == "reached" else {"gate": gate}
            night.proxy.on(kinds[customer], Fate(**held, before=lambda name=customer: reached.add(name)), path=path)
        run = night.start_apply(*removals, file=plan)
        before, wanted = len(reached), len(kinds)
        while not run.has_ended() and len(reached) < wanted and gate.reached.acquire(timeout=3):
            pass
        if len(reached) == before:
            break
        run.kill()
        gate.open()
        judge.judge(run.wait())
        assert len(night.runs) < 10
    gate.open()
    must_be_done(night, judge, run.wait())
    assert reached == set(kinds)
    if NIGHTLY:
        judge.judge_rest(night.apply("--prune", *removals))
    assert not judge.wrong, judge.wrong


@ENGINES
@pytest.mark.parametrize("how", ["interrupt", "terminate"] if NIGHTLY else ["interrupt"])
def test_an_interrupted_run_counts_exactly_and_the_next_goes_on(
    how: str, engine: str, night: Night, judge: Judge
) -> None:
    rows = customers(40)
    for row in rows[:10]:
        night.add(row)
    given(night, judge, rows)
    night.proxy.watch("POST", 30, "arrived", getattr(night, how))
    run = night.apply("--state", "state.db", "--concurrency", "4")
    assert run.code == 130, run
    assert run.report is not None, run
    held = sum((Counter(row.content for row in rows) & night.contents).values())
    told = counts(run)
    assert run.report["interrupted"] is True, run
    assert run.report["rows"] == 40, run
    assert told["applied"] == held - 10, f"{held - 10} were created; {run}"
    assert told["failed"] == told["rejected"] == 0, run
    assert told["unchanged"] <= 10, run
    rest = night.apply("--state", "state.db")
    must_be_done(night, judge, rest)
    assert counts(rest)["unchanged"] + counts(rest)["applied"] == 40, rest
    if NIGHTLY:
        judge.judge_rest(night.apply("--state", "state.db"))
    assert not judge.wrong, judge.wrong


def test_a_resumed_run_looks_again_at_customers_that_were_finished_long_ago(night: Night, judge: Judge) -> None:
    """Another program removes a charge between the interrupted run and the next."""
    given(night, judge, customers(10))
    night.proxy.watch("POST", 12, "answered", night.interrupt)
    interrupted = night.apply("--concurrency", "1")
    assert interrupted.code == 130, interrupted
    (removed,) = [charge for charge in night.held if charge.customer == "C000"]
    night.ask("DELETE", f"/C000/recurring-products/{removed.id}")
    run = night.apply("--recheck", "0")
    assert run.code == 0, run
    assert night.contents == Counter(row.content for row in night.rows), run


@ONLY_NIGHTLY
def test_a_resumed_run_does_not_read_customers_again_that_were_finished_just_now(night: Night, judge: Judge) -> None:
    given(night, judge, customers(10))
    night.proxy.watch("POST", 12, "answered", night.interrupt)
    assert night.apply("--concurrency", "1").code == 130
    finished = {charge.customer for charge in night.held}
    run = night.apply()
    read = {each.customer for each in night.proxy.log[run.requests.start :] if each.method == "GET"}
    # The first call of a run only finds out whether the server is there.
    assert len(read & finished) <= 1, f"read again: {sorted(read & finished)}"
    must_be_done(night, judge, run)


# A8: failures that belong to no row, and a charge that cannot be told


def test_removals_that_fail_are_all_named_and_no_line_is_negative(night: Night, judge: Judge) -> None:
    for row in customers(3):
        night.add(row)
        night.add(replace(row, product="OLD"))
        night.add(replace(row, product="OLDER"))
    given(night, judge, customers(3))
    refused = Fate(reaches=None, answer=problem(422, "unprocessable"))
    night.proxy.on("DELETE", refused, times=1e9)
    run = night.apply("--prune", "--max-removals", "100%")
    assert run.code == 3, run
    assert run.report is not None, run
    assert all(int(line) >= 2 for line in run.report["failed"]), run
    told = [str(removal) for removal in run.report["not_removed"]]
    assert len(set(told)) == 6, run
    for charge in night.held:
        if (product := charge.document["productCode"]) != "P01":
            assert any(charge.customer in text and (product in text or charge.id in text) for text in told), (
                charge,
                run,
            )
    judge.judge(run)
    assert not judge.wrong, judge.wrong


def untellable(night: Night, row: Row) -> None:
    """Another program adds two charges equal to the row while the row's POST is lost."""
    path = "^customers/" + (f"{row.customer}/subscriptions/{row.subscription}" if row.subscription else row.customer)

    def add() -> None:
        for _ in range(2):
            night.add(row)

    night.proxy.on("POST", Fate(reaches=None, answer=RST, before=add), path=f"{path}/recurring-products$")


def test_a_charge_that_cannot_be_told_stops_no_other_subscription(night: Night, judge: Judge) -> None:
    rows = [Row("C", "P01", subscription, 1, "9.00") for subscription in ("S1", "S2", "S3")]
    for row in rows:
        night.add(replace(row, product="OLD"))
    given(night, judge, rows)
    untellable(night, rows[0])
    run = night.apply()
    assert run.code in {0, 3}, run
    assert run.report is not None, run
    assert set(run.report["failed"]) <= {"2"}, run
    assert {charge.subscription for charge in night.held if charge.document["productCode"] == "P01"} == {
        "S1",
        "S2",
        "S3",
    }


# A13: an open intent that only a person can settle


def night_with_an_open_intent(night: Night, judge: Judge) -> tuple[Ended, list[str]]:
    """A run was killed, the POST took effect, and somebody added the same charge by hand. Return the next run."""
    row = Row("C", "P01", None, 1, "9.00")
    night.add(replace(row, product="OLD"))
    given(night, judge, [row, Row("D", "P01")])
    night.proxy.on("POST", Fate(after=night.kill, answer=FIN), path="^customers/C/")
    killed = night.apply()
    assert killed.code == -9, killed
    night.add(row)
    made = [charge.id for charge in night.held if charge.document["productCode"] == "P01" and charge.customer == "C"]
    return night.apply(), made


def test_an_open_intent_and_an_equal_charge_by_hand_do_not_fail_for_ever(night: Night, judge: Judge) -> None:
    """The next run says that the row is done, or its message names the command that settles the intent."""
    run, made = night_with_an_open_intent(night, judge)
    assert len(made) == 2
    if run.code != 0:
        assert run.code == 3, run
        assert run.report is not None
        assert set(run.report["failed"]) == {"2"}, run
        assert "runs resolve" in run.output + str(run.report), run
        resolved = night.command("runs", "resolve", "--journal", night.journal, "--customer", "C", "--created", made[0])
        assert resolved.code == 0, resolved
        run = night.apply()
    assert run.code == 0, run
    assert counts(run)["unchanged"] + counts(run)["applied"] == 2, run
    held = [charge.id for charge in night.held if charge.document["productCode"] == "P01" and charge.customer == "C"]
    assert sorted(held) == sorted(made)


@ONLY_NIGHTLY
def test_an_intent_that_a_person_says_was_not_created_is_sent_again(night: Night, judge: Judge) -> None:
    """The POST never reached the server; the person who knows it need not wait for settle."""
    night.settle = 3000
    row = Row("C", "P01", None, 1, "9.00")
    night.add(replace(row, product="OLD"))
    given(night, judge, [row])
    night.proxy.on("POST", Fate(reaches=None, answer=FIN, before=night.kill))
    assert night.apply().code == -9
    resolved = night.command("runs", "resolve", "--journal", night.journal, "--customer", "C", "--not-created")
    assert resolved.code == 0, resolved
    must_be_done(night, judge, night.apply())


# A14: what a row leaves empty

MASTER = {"unitPrice": 99.0, "vatRate": 25.0, "text": "Master text"}
SHOWN: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "absent": lambda charge: charge,
    "null": lambda charge: dict.fromkeys([*MASTER, "startDate", "endDate"]) | charge,
    "master": lambda charge: MASTER | charge,
}


def shown_as(shown: str) -> Callable[[Exchange, Any], Any]:
    """How a server shows charges: it leaves out what was not given, shows null, or the master product's values."""

    def rewrite(exchange: Exchange, content: Any) -> Any:
        if isinstance(content, dict) and "items" in content:
            return content | {"items": [rewrite(exchange, item) for item in content["items"]]}
        return SHOWN[shown](content) if "productCode" in content else content

    return rewrite


HALF_EMPTY = [
    Row("A", "P01"),
    Row("B", "P01", "46", 2),
    Row("B", "P02", None, 1, "10.00", None, "own text"),
    Row("C", "P01", None, 1, "12.50", "12.00"),
    Row("D", "P01", None, None),
]


@pytest.mark.parametrize("shown", SHOWN if NIGHTLY else ["master"])
def test_what_a_row_leaves_empty_comes_to_rest_however_the_server_shows_it(
    shown: str, night: Night, judge: Judge
) -> None:
    night.proxy.rewrite = shown_as(shown)
    given(night, judge, HALF_EMPTY)
    must_be_done(night, judge, night.apply())
    judge.judge_rest(night.apply())
    assert not judge.wrong, "\n".join(judge.wrong)


@ONLY_NIGHTLY
@pytest.mark.parametrize("shown", SHOWN)
def test_a_value_that_a_row_gives_up_comes_to_rest_however_the_server_shows_it(
    shown: str, night: Night, judge: Judge
) -> None:
    """The master product's price and text are to hold again."""
    night.proxy.rewrite = shown_as(shown)
    given(night, judge, HALF_EMPTY)
    must_be_done(night, judge, night.apply())
    given(night, judge, [replace(row, price=None, text=None) for row in HALF_EMPTY])
    cleared = night.apply_approved()
    assert cleared.code == 0, cleared
    rest = night.apply()
    writes = [str(each) for each in night.proxy.log[rest.requests.start :] if each.is_write]
    assert (rest.code, writes) == (0, []), rest
