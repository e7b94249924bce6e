"""The record of all runs, as one asks it: runs, history, retry, undo, export, prune and forget."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price,start_date\n"
FIRST = HEADER + "1,P01,1,10.50,2026-11-01\n2,P01,2,20.00,2026-11-01\n"
SECOND = HEADER + "1,P01,1,12.50,2026-11-01\n2,P01,2,20.00,2026-11-01\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "COLUMNS": "200"}
        return run_command(*arguments, cwd=tmp_path, environment={**os.environ, **settings, **variables})

    return run


def table(folder: Path, text: str) -> None:
    (folder / "charges.csv").write_text(text, encoding="utf-8")


@pytest.fixture
def nights(run: Run, tmp_path: Path) -> Run:
    """Two runs: the first creates two charges, the second changes a price."""
    table(tmp_path, FIRST)
    assert run("apply", "charges.csv", "--first-run").returncode == 0
    table(tmp_path, SECOND)
    assert run("apply", "charges.csv").returncode == 0
    return run


def prices(mock: MockServer) -> dict[str, Any]:
    return {
        customer.id: [charge.document.get("unitPrice") for charge in customer.charges.values()]
        for customer in mock.store.customers(LEDGER)
    }


def test_the_runs_are_listed_without_a_token(nights: Run) -> None:
    listed = json.loads(nights("runs", "list", "--json", PAYEX_TOKEN="").stdout)
    assert [(run["run"], run["command"], run["file"], run["ended"]) for run in listed["runs"]] == [
        (2, "apply", "charges.csv", "done"), (1, "apply", "charges.csv", "done"),
    ]  # fmt: skip
    assert [run["report"]["applied"] for run in listed["runs"]] == [1, 2]
    assert nights("runs", PAYEX_TOKEN="").returncode == 0


def test_a_run_says_what_it_wrote_and_how_to_take_it_back(nights: Run) -> None:
    shown = nights("runs", "show", "2").stdout
    assert "1 × update" in shown
    assert "payex-billing undo 2" in shown


def test_the_history_of_a_customer_has_each_value_before_and_after(nights: Run) -> None:
    found = json.loads(nights("history", "1", "--json").stdout)["writes"]
    assert [(each["run"], each["kind"], each["result"], each["status"]) for each in found] == [
        (1, "create customer", "done", 201), (1, "create", "done", 201), (2, "update", "done", 200),
    ]  # fmt: skip
    assert (found[2]["before"]["unit_price"], found[2]["after"]["unit_price"]) == ("10.5", "12.5")
    assert found[1]["charge_id"] == found[2]["charge_id"]
    only = json.loads(nights("history", "1", "--charge", found[1]["charge_id"], "--json").stdout)["writes"]
    assert [each["kind"] for each in only] == ["create", "update"]


@pytest.mark.parametrize(
    ("selection", "what"),
    [
        (("1", "--charge", "zzz"), "charge zzz of customer 1"),
        (("1", "--subscription", "4"), "subscription 4 of customer 1"),
        (("1", "--subscription", "4", "--charge", "zzz"), "charge zzz on subscription 4 of customer 1"),
        (("9", "--charge", "zzz"), "customer 9"),
    ],
)
def test_an_empty_history_names_what_has_no_write(nights: Run, selection: tuple[str, ...], what: str) -> None:
    assert nights("history", *selection).stdout == f"The journal has no write to {what}.\n"


def test_a_run_is_taken_back_and_the_undo_too(nights: Run, mock: MockServer) -> None:
    undone = nights("undo", "2", "--yes")
    assert (undone.returncode, prices(mock)) == (0, {"1": [10.5], "2": [20.0]}), undone.stderr
    again = nights("undo", "3", "--yes")
    assert (again.returncode, prices(mock)) == (0, {"1": [12.5], "2": [20.0]}), again.stderr


def test_a_run_that_is_taken_back_twice_changes_nothing_the_second_time(nights: Run, mock: MockServer) -> None:
    nights("undo", "1", "--yes", "--customer", "2")
    held = prices(mock)
    assert held["2"] == []
    again = nights("undo", "1", "--yes", "--customer", "2")
    assert (again.returncode, prices(mock)) == (0, held)
    assert "Nothing to do." in again.stdout


def test_the_plan_of_an_undo_writes_nothing(nights: Run, mock: MockServer) -> None:
    held = prices(mock)
    shown = nights("undo", "2", "--plan-only")
    assert (shown.returncode, prices(mock)) == (0, held)
    assert "unit price 10.50" in shown.stdout


def test_without_a_terminal_an_undo_needs_a_word(nights: Run, mock: MockServer) -> None:
    held = prices(mock)
    refused = nights("undo", "2")
    assert (refused.returncode, prices(mock)) == (1, held)
    assert "add --yes" in refused.stderr


def test_a_guard_stops_an_undo_too(run: Run, tmp_path: Path, mock: MockServer) -> None:
    table(tmp_path, FIRST)
    run("apply", "charges.csv", "--first-run")
    table(tmp_path, FIRST.replace("10.50", "1050.00"))
    stopped = run("apply", "charges.csv")
    approve = stopped.stderr.split("--approve ")[1].strip()
    assert run("apply", "charges.csv", "--approve", approve).returncode == 0
    undo = run("undo", "2", "--yes")
    assert (undo.returncode, "price_factor" in undo.stderr) == (4, True)
    approve = undo.stderr.split("--approve ")[1].strip()
    assert run("undo", "2", "--approve", approve).returncode == 0
    assert prices(mock)["1"] == [10.5]


def test_what_was_changed_by_hand_stays_and_is_named(nights: Run, mock: MockServer) -> None:
    (own_id,) = mock.store.charges(LEDGER, "1")
    mock.store.charges(LEDGER, "1")[own_id].document["unitPrice"] = 99
    shown = nights("undo", "2", "--yes")
    assert (shown.returncode, prices(mock)["1"]) == (0, [99])
    assert f"customer 1, charge {own_id}: its unit_price has been changed since" in shown.stdout


def test_an_undone_run_is_applied_again_although_the_state_cache_knows_its_rows(
    run: Run, tmp_path: Path, mock: MockServer
) -> None:
    table(tmp_path, FIRST)
    run("apply", "charges.csv", "--first-run", "--state", "state.db")
    run("undo", "1", "--yes")
    assert prices(mock) == {"1": [], "2": []}
    assert run("apply", "charges.csv", "--first-run", "--state", "state.db").returncode == 0
    assert prices(mock) == {"1": [10.5], "2": [20.0]}


def test_an_undo_is_noticed_by_the_state_cache_shard_by_shard(run: Run, tmp_path: Path, mock: MockServer) -> None:
    table(tmp_path, HEADER + "".join(f"{number},P01,1,5.00,2026-11-01\n" for number in range(8)))
    night = ("apply", "charges.csv", "--first-run", "--state", "state.db")
    run(*night)
    run("undo", "1", "--yes")
    for part in ("1/2", "2/2"):
        assert run(*night, "--shard", part).returncode == 0
    assert prices(mock) == {str(number): [5.0] for number in range(8)}


def test_a_pruned_journal_makes_the_state_cache_read_again(run: Run, tmp_path: Path, mock: MockServer) -> None:
    table(tmp_path, FIRST)
    night = ("apply", "charges.csv", "--first-run", "--state", "state.db")
    run(*night)
    run("undo", "1", "--yes")
    assert run("runs", "prune", "--older-than", "0d", "--yes").returncode == 0
    assert run(*night).returncode == 0
    assert prices(mock) == {"1": [10.5], "2": [20.0]}


def test_an_undone_run_that_was_redone_is_undone_again(nights: Run, mock: MockServer) -> None:
    nights("undo", "2", "--yes")  # run 3
    nights("undo", "3", "--yes")  # run 4: the price of run 2 holds again
    assert prices(mock)["1"] == [12.5]
    assert nights("undo", "2", "--yes").returncode == 0
    assert prices(mock)["1"] == [10.5]


def test_what_an_interrupted_run_has_still_to_write_cannot_be_forgotten(nights: Run, tmp_path: Path) -> None:
    journal = next((tmp_path / "state-home").rglob("journal.db"))
    journal.with_name("journal.db.plan").write_text('{"customer_no": "1"}\n', encoding="utf-8")
    refused = nights("history", "1", "--forget", "--yes")
    assert (refused.returncode, "an interrupted run has the values of customer 1" in refused.stderr) == (1, True)


def test_the_state_cache_is_verified_by_a_share_of_the_customers(run: Run, tmp_path: Path, mock: MockServer) -> None:
    table(tmp_path, FIRST)
    run("apply", "charges.csv", "--first-run", "--state", "state.db")
    (own_id,) = mock.store.charges(LEDGER, "2")
    mock.store.charges(LEDGER, "2")[own_id].document["unitPrice"] = 99
    unseen = run("apply", "charges.csv", "--state", "state.db")
    assert "2 unchanged" in unseen.stdout
    seen = run("apply", "charges.csv", "--state", "state.db", "--verify", "100%")
    assert "1 of 2 customers" in seen.stdout
    assert prices(mock)["2"] == [20.0]


def test_rejected_rows_are_retried_when_the_file_is_corrected(run: Run, tmp_path: Path, mock: MockServer) -> None:
    table(tmp_path, FIRST + "3,P01,many,1.00,2026-11-01\n")
    assert run("apply", "charges.csv", "--first-run").returncode == 3
    table(tmp_path, FIRST.replace("10.50", "11.50") + "3,P01,3,1.00,2026-11-01\n")
    retried = run("retry", "1")
    assert retried.returncode == 0, retried.stderr
    assert prices(mock) == {"1": [10.5], "2": [20.0], "3": [1.0]}
    assert "There is nothing to retry" in run("retry", "2").stdout
    listed = json.loads(run("runs", "list", "--json").stdout)["runs"]
    assert [each["command"] for each in listed] == ["retry", "apply"]


@pytest.mark.parametrize("ending", [None, "stopped", "interrupted"])
def test_retry_refuses_a_run_that_did_not_end_and_names_the_command_that_continues_it(
    run: Run, tmp_path: Path, ending: str | None
) -> None:
    """Such a run can have rows without a result although no row has failed."""
    table(tmp_path, FIRST)
    run("apply", "charges.csv", "--first-run", "--journal", "own.db")
    with closing(sqlite3.connect(tmp_path / "own.db")) as database, database:
        database.execute("UPDATE run SET outcome = ?", (ending,))
    own = {"PAYEX_JOURNAL": "own.db"}
    retried, shown = run("retry", "1", **own), run("runs", "show", "1", **own)
    assert (retried.returncode, retried.stdout) == (1, "")
    assert "run 1 did not come to its end. To continue it: payex-billing apply charges.csv" in retried.stderr
    assert "To continue it: payex-billing apply charges.csv" in shown.stdout


def test_nobody_is_told_to_continue_a_run_that_a_later_run_has_replaced(nights: Run, tmp_path: Path) -> None:
    """The table of the earlier run is old: `apply` would write the old prices again."""
    journal = next((tmp_path / "state-home").rglob("journal.db"))
    with closing(sqlite3.connect(journal)) as database, database:
        database.execute("UPDATE run SET outcome = NULL WHERE id = 1")
    retried, shown = nights("retry", "1"), nights("runs", "show", "1")
    assert retried.returncode == 1
    for text in (retried.stderr, shown.stdout):
        assert "To continue it: apply the current table, because run 2 is later" in text
        assert "payex-billing apply" not in text


def test_retry_of_an_undo_names_the_undo_command(nights: Run) -> None:
    undone = nights("undo", "2", "--yes")
    assert undone.returncode == 0, undone.stderr
    refused = nights("retry", "3")
    assert refused.returncode == 1
    assert "run 3 is an undo. To repeat it: payex-billing undo 2" in refused.stderr


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_the_writes_are_exported_as_a_table(nights: Run, tmp_path: Path, ending: str) -> None:
    exported = nights("runs", "export", "--to", f"history.{ending}")
    assert (exported.returncode, exported.stdout) == (0, f"5 writes in history.{ending}\n"), exported.stderr
    reader = {"parquet": "read_parquet", "csv": "read_csv", "jsonl": "read_json"}[ending]
    found = duckdb.sql(
        f"SELECT kind, CAST(after_unit_price AS DECIMAL(9, 2)) FROM {reader}('{tmp_path}/history.{ending}') "
        "WHERE customer_no = '1' ORDER BY write"
    ).fetchall()
    assert [(kind, None if price is None else str(price)) for kind, price in found] == [
        ("create customer", None), ("create", "10.50"), ("update", "12.50"),
    ]  # fmt: skip


def test_the_export_of_a_run_that_does_not_exist_leaves_the_file_as_it_was(nights: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("kept", encoding="utf-8")
    assert nights("runs", "export", "--run", "7", "--to", "x.csv").returncode == 1
    assert (tmp_path / "x.csv").read_text(encoding="utf-8") == "kept"


def test_old_runs_are_taken_out_of_the_journal(nights: Run, tmp_path: Path) -> None:
    journal = next((tmp_path / "state-home").rglob("journal.db"))
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE run SET seen = ? WHERE id = 1", (time.time() - 40 * 86_400,))
    database.close()
    assert "No run is older" in nights("runs", "prune", "--older-than", "2y", "--yes").stdout
    assert "Taken out: 1 run." in nights("runs", "prune", "--older-than", "30d", "--yes").stdout
    assert [run["run"] for run in json.loads(nights("runs", "list", "--json").stdout)["runs"]] == [2]
    assert nights("undo", "1", "--yes").returncode == 1


def test_a_customer_is_forgotten_and_the_fact_of_the_writes_stays(nights: Run, tmp_path: Path) -> None:
    assert nights("history", "1", "--forget", "--yes").returncode == 0
    found = json.loads(nights("history", "1", "--json").stdout)["writes"]
    assert [(each["kind"], each["before"], each["after"]) for each in found] == [
        ("create customer", None, None), ("create", None, None), ("update", None, None),
    ]  # fmt: skip
    journal = next((tmp_path / "state-home").rglob("journal.db"))
    assert b"12.5" not in b"".join(each.read_bytes() for each in journal.parent.glob("journal.db*"))
    undo = nights("undo", "2", "--yes")
    assert "its values were forgotten" in undo.stdout


def test_a_journal_of_an_earlier_version_beside_the_table_is_not_passed_over(run: Run, tmp_path: Path) -> None:
    table(tmp_path, FIRST)
    (tmp_path / "charges.csv.journal").write_bytes(b"")
    refused = run("apply", "charges.csv", "--first-run")
    assert refused.returncode == 1
    assert "charges.csv.journal: a journal of an earlier version" in refused.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("runs", "show", "7"),
        ("runs", "export", "--run", "7", "--to", "x.csv"),
        ("undo", "7", "--yes"),
        ("retry", "7"),
        ("history", "1", "--journal", "nowhere"),
    ],
)
def test_what_is_not_in_the_journal_is_a_sentence(nights: Run, command: tuple[str, ...]) -> None:
    found = nights(*command)
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert ("no run 7" in found.stderr) or ("there is no journal" in found.stderr)
