"""What goes wrong around a command: a signal, a full disk, a closed stream, a misspelled name. It is said what was done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(mock: MockServer, tmp_path: Path) -> dict[str, str]:
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "COLUMNS": "200"}
    return {**os.environ, **own, "XDG_CONFIG_HOME": str(tmp_path)}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    (tmp_path / "charges.csv").write_text(HEADER + "1,P01,1,10.50\n", encoding="utf-8")
    return lambda *arguments: run_command(*arguments, cwd=tmp_path, environment=environment)


def in_shell(line: str, environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell, in which `$payex` is the command."""
    own = {**environment, "payex": f"{sys.executable} -m payex_billing"}
    return subprocess.run(
        ["sh", "-c", line], cwd=folder, env=own, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


# a signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_creation_says_that_the_charge_may_be_there(
    number: signal.Signals, mock: MockServer, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, ended = threading.Event(), threading.Event()

    def late(request: Request, respond: Respond) -> Answer:
        answer = respond(request)
        if request.method == "POST":
            made.set()
            ended.wait(60)
        return answer

    monkeypatch.setattr(mock.app, "interceptor", late)
    command = [sys.executable, "-m", "payex_billing", "charges", "add", "1", "P01", "--quantity", "1"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert made.wait(60)
        process.send_signal(number)
        try:
            said = process.communicate(timeout=60)[1]
        finally:
            ended.set()
            process.kill()
    assert process.returncode == 130
    assert said.lstrip() == (
        "Interrupted. The charge may have been added. Look with `payex-billing charges list 1` before you repeat the "
        "command; otherwise it may be billed twice\n"
    )


# standard streams


@pytest.mark.parametrize("form", ["", " --json"])
def test_a_charge_that_was_added_is_named_although_standard_output_is_full(
    form: str, mock: MockServer, environment: dict[str, str], tmp_path: Path
) -> None:
    done = in_shell(f"$payex charges add 1 P01 --quantity 1{form} >/dev/full", environment, tmp_path)
    [charge] = mock.store.charges(LEDGER, "1").values()
    assert done.returncode == 1
    assert f"The charge {charge.id} was added, but standard output cannot be written: No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "command", ["charges list 1", "customer get 1", "settings", "doctor", "problems", "schema", "--help", "--version"]
)
def test_a_full_standard_output_is_a_sentence(command: str, environment: dict[str, str], tmp_path: Path) -> None:
    done = in_shell(f"$payex {command} >/dev/full", environment, tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "Error: standard output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_closed_standard_error_stops_no_run(run: Run, environment: dict[str, str], tmp_path: Path) -> None:
    assert in_shell("$payex apply charges.csv 2>&-", environment, tmp_path).returncode == 0
    assert run("plan", "charges.csv", "--detailed-exitcode").returncode == 0


@pytest.mark.parametrize("command", ["undo 1", "history 1 --forget", "charges remove 1 {}"])
def test_a_closed_standard_input_is_nobody_who_can_answer(
    command: str, run: Run, mock: MockServer, environment: dict[str, str], tmp_path: Path
) -> None:
    assert run("apply", "charges.csv").returncode == 0
    [charge] = mock.store.charges(LEDGER, "1")
    done = in_shell(f"$payex {command.format(charge)} <&-", environment, tmp_path)
    assert "Traceback" not in done.stderr
    assert done.returncode != 0, done
    assert "--yes" in done.stderr
    assert list(mock.store.charges(LEDGER, "1")) == [charge]


# names that are misspelled


def test_an_undo_of_a_customer_that_the_run_did_not_write_to_is_an_error(run: Run) -> None:
    assert run("apply", "charges.csv").returncode == 0
    for customers in (["--customer", "9"], ["--customer", "1", "--customer", "9"]):
        done = run("undo", "1", "--yes", *customers)
        assert done.returncode == 1, done
        assert "run 1 wrote nothing to customer 9" in done.stderr


def test_an_undo_with_a_misspelled_journal_creates_none(run: Run, tmp_path: Path) -> None:
    assert run("apply", "charges.csv").returncode == 0
    done = run("undo", "1", "--yes", "--journal", "typo.db")
    assert done.returncode == 1
    assert "typo.db: there is no journal" in done.stderr
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize("name", ["keep.csv", "keep.jsonl", "keep.db"])
def test_a_file_that_is_no_cache_is_not_taken_for_one(name: str, run: Run, tmp_path: Path) -> None:
    text = '{"a": 1}\n' if name.endswith("jsonl") else "a,b\n1,2\n"
    (tmp_path / name).write_text(text)
    done = run("apply", "charges.csv", "--state", name)
    assert done.returncode == 1, done
    assert f"{name}: cannot be used as a state cache" in done.stderr
    assert "If it is a damaged cache, remove it: the next run makes a new one" in done.stderr
    assert (tmp_path / name).read_text() == text


def test_a_misspelled_profile_replaces_the_report_of_yesterday(run: Run, tmp_path: Path) -> None:
    assert run("apply", "charges.csv", "--report", "report.json").returncode == 0
    assert run("apply", "charges.csv", "--report", "report.json", "--profile", "nope").returncode == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["outcome"] == "failed"
    assert "nope" in report["error"]


# values that no run can use


@pytest.mark.parametrize(
    "option",
    ["--settle nan", "--rate nan", "--max-removals abc", "--max-removals 101%", "--max-removals -1"],
)
def test_a_value_that_cannot_be_used_is_wrong_usage_before_anything_is_sent(
    option: str, run: Run, asked: list[Request]
) -> None:
    done = run("apply", "charges.csv", *option.split())
    assert done.returncode == 64, done
    assert option.split(maxsplit=1)[0] in done.stderr
    assert asked == []
