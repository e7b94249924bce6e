"""--log-json: one JSON object per line on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from payex_billing.cli import _progress
from payex_billing.cli._log import Log, log
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price\n"
GOOD = HEADER + "1,P01,1,10.50\n2,P01,2,\n"
Events = list[dict[str, Any]]
Run = Callable[..., tuple[int, str, Events]]


@pytest.fixture
def run(mock: MockServer, tmp_path: Path) -> Run:
    """Run a command with --log-json; return its exit code, standard output and events."""
    (tmp_path / "charges.csv").write_text(GOOD, encoding="utf-8")

    def run(*arguments: str, **variables: str) -> tuple[int, str, Events]:
        settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
        environment = {**os.environ, **settings, **variables}
        done = run_command(*arguments, "--log-json", cwd=tmp_path, environment=environment, timeout=90)
        return done.returncode, done.stdout, events(done.stderr)

    return run


def events(text: str) -> Events:
    """The events; each line is an object with a time, a level, an event and a message, and is printable."""
    found: Events = []
    for line in text.splitlines():
        assert line.isascii()
        assert line.isprintable()
        event = json.loads(line)
        assert datetime.fromisoformat(event["time"]).utcoffset() is not None
        assert event["level"] in {"info", "warning", "error"}
        assert isinstance(event["event"], str)
        assert isinstance(event["message"], str)
        found.append(event)
    return found


def of(found: Events, event: str) -> Events:
    return [each for each in found if each["event"] == event]


def table(folder: Path, text: str) -> None:
    (folder / "charges.csv").write_text(text, encoding="utf-8")


def test_a_run_ends_with_its_result(run: Run) -> None:
    code, output, found = run("apply", "charges.csv")
    assert (code, output.startswith("2 rows: 0 unchanged, 2 applied")) == (0, True)
    assert [each["event"] for each in found] == ["result"]
    (result,) = found
    assert (result["level"], result["outcome"], result["exit_code"], result["command"]) == ("info", "done", 0, "apply")
    assert (result["rows"], result["applied"], result["rejected"], result["failed"]) == (2, 2, 0, 0)
    assert result["steps"] == {"create customer": 2, "create": 2}


def test_a_plan_ends_with_its_result(run: Run) -> None:
    code, _, found = run("plan", "charges.csv", "--detailed-exitcode")
    (result,) = of(found, "result")
    assert (code, result["exit_code"], result["outcome"], result["rows"]) == (2, 2, "planned", 2)


def test_rejected_rows_are_counted_as_in_the_text(run: Run, tmp_path: Path) -> None:
    table(tmp_path, GOOD + "".join(f"{number},P01,0,1\n" for number in range(3, 33)))
    code, _, found = run("plan", "charges.csv")
    rejected = of(found, "rejected")
    assert (code, len(rejected)) == (3, 21)
    assert [each["line"] for each in rejected[:20]] == list(range(4, 24))
    assert (rejected[0]["file"], rejected[0]["column"], rejected[20]["count"]) == ("charges.csv", "quantity", 10)
    assert sum(each["count"] for each in rejected) == of(found, "result")[0]["rejected"] == 30


def test_failed_rows_have_their_lines_and_reason(run: Run, mock: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Answer(422, {"Content-Length": "0"}, b"")
    monkeypatch.setattr(
        mock.app, "interceptor", lambda request, respond: refused if request.method == "POST" else respond(request)
    )
    code, _, found = run("apply", "charges.csv")
    (failed,) = of(found, "failed")
    assert (code, failed["level"], failed["lines"], failed["count"]) == (3, "error", [2, 3], 2)
    assert failed["reason"].startswith("Unprocessable: ")


def test_a_guard_has_its_reason_and_worst_rows(run: Run, tmp_path: Path) -> None:
    run("apply", "charges.csv")
    table(tmp_path, GOOD.replace("10.50", "1050.00"))
    code, _, found = run("apply", "charges.csv")
    (guard,) = [each for each in of(found, "guard") if each["guard"] == "price_factor"]
    assert code == 4
    assert guard["worst"][0].startswith("line 2, customer 1")
    result = found[-1]
    assert (result["event"], result["outcome"], result["exit_code"]) == ("result", "guard_stopped", 4)
    assert of(found, "stopped")[0]["digest"] in result["error"]


def test_a_server_that_is_not_there_is_noticed_and_ends_the_run(run: Run) -> None:
    code, _, found = run(
        "apply", "charges.csv", "--patience", "4", PAYEX_BASE_URL="http://127.0.0.1:1", PAYEX_DEADLINE="1"
    )
    assert of(found, "notice")[0]["message"].startswith("The server cannot be reached")
    assert (code, found[-1]["event"], found[-1]["outcome"], found[-1]["error_type"]) == (
        1,
        "result",
        "failed",
        "Stopped",
    )
    assert len(of(found, "error")) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("apply", "nowhere.csv"), 1),
        (("apply", "charges.csv", "--report", "/nowhere/report"), 1),
        (("plan", "nowhere.csv"), 1),
        (("retry", "7"), 1),
        (("undo", "7", "--yes"), 1),
        (("apply",), 64),
        (("apply", "--no-such-option"), 64),
        (("plan", "charges.csv", "--concurrency", "many"), 64),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(run: Run, arguments: tuple[str, ...], code: int) -> None:
    found_code, _, found = run(*arguments)
    assert found_code == code
    assert [(each["level"], each["exit_code"]) for each in found] == [("error", code)]
    assert found[0]["event"] in {"result", "error"}
    assert found[0]["message"]


def test_a_crash_is_one_line_with_its_traceback(run: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import payex_billing.reconcile._run as run\n"
        "def crash(*_, **__): raise ZeroDivisionError('for a test')\n"
        "run.Writer = crash\n"
    )
    code, _, found = run(
        "apply", "charges.csv", PYTHONPATH=os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    )
    assert code == 1
    assert (found[-2]["event"], found[-2]["outcome"]) == ("result", "failed")
    assert (found[-1]["event"], found[-1]["message"]) == ("error", "ZeroDivisionError: for a test")
    assert found[-1]["traceback"][0].startswith("Traceback")


def test_texts_of_files_and_servers_are_printable(
    run: Run, tmp_path: Path, mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "\x1b[2J\u202e\u2028\u2029é[red]"
    body = json.dumps({"type": "x", "title": evil, "status": 422, "detail": evil}).encode()
    refused = Answer(422, {"Content-Type": "application/problem+json", "Content-Length": str(len(body))}, body)
    monkeypatch.setattr(
        mock.app, "interceptor", lambda request, respond: refused if request.method == "POST" else respond(request)
    )
    name = f"c{evil}.csv"
    (tmp_path / name).write_text(HEADER + f"1,P01,1,1\n2,P{evil},1,1\n", encoding="utf-8")
    code, _, found = run("apply", name, "--report", "report.json")
    assert code == 3
    texts = [text for each in found for text in each.values() if isinstance(text, str)]
    assert any("\\x1b[2J" in text for text in texts)
    assert all(text.isprintable() for text in texts)


def test_progress_is_an_event(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(log, "is_json", True)
    now = 0.0
    lines = _progress.Lines(lambda: now)
    for now in (30.0, 61.0, 70.0, 130.0):
        lines("writing", int(now), 1000)
    found = events(capsys.readouterr().err)
    assert [(each["event"], each["phase"], each["done"], each["total"]) for each in found] == [
        ("progress", "writing", 61, 1000),
        ("progress", "writing", 130, 1000),
    ]
    assert found[0]["seconds_left"] == 477


@pytest.mark.parametrize(
    ("phase", "total", "text"),
    [
        ("writing", 1, "writing: 1 of 1 row, about a minute left"),
        ("planning", 1000, "planning: 1 of 1,000 rows, about "),
        ("reading", 1000, "reading: 1 of 1,000 customers, about "),  # `export` and `drift` count customers
    ],
)
def test_progress_names_what_it_counts(capsys: pytest.CaptureFixture[str], phase: str, total: int, text: str) -> None:
    now = 0.0
    lines = _progress.Lines(lambda: now)
    now = 61.0
    lines(phase, 1, total)
    assert capsys.readouterr().err.startswith(text)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("command", "exit_code"),
    [
        (["apply", "charges.csv"], 3),
        (["apply", "charges.csv", "--log-json"], 3),
        (["apply", "missing.csv"], 1),
        (["apply"], 64),
        (["apply", "--debug"], 64),
        (["misspelled"], 64),
    ],
)
def test_a_log_that_cannot_be_written_changes_no_exit_code(
    mock: MockServer, tmp_path: Path, command: list[str], exit_code: int, unbuffered: str
) -> None:
    table(tmp_path, GOOD + "3,P01,0,1\n")
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
    settings["PYTHONUNBUFFERED"] = unbuffered
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "payex_billing", *command],
            cwd=tmp_path, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=full, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == exit_code


def test_a_warning_of_a_library_is_an_event() -> None:
    code = (
        "import logging, warnings; from payex_billing.cli._log import log; log.begin(as_json=True); "
        "logging.getLogger('asyncio').warning('slow %s', 'one\\n'); warnings.warn('old')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    first, second = events(done.stderr)
    assert (first["event"], first["level"], first["logger"]) == ("log", "warning", "asyncio")
    assert "old" in second["message"]


def test_without_the_option_a_record_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Log().record("result", outcome="done")
    Log().say("note", "a text", line=1)
    assert capsys.readouterr().err == "a text\n"


def test_the_commands_that_run_have_the_option() -> None:
    from payex_billing.cli._reconcile import apply, plan, retry
    from payex_billing.cli._undo import undo

    for command in (plan, apply, retry, undo):
        assert any("--log-json" in option.opts for option in command.params if isinstance(option, click.Option))
