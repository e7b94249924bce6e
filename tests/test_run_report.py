"""The report of apply, retry and undo: it fits its schema, and that of yesterday never stays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

HEADER = "customer_no,product_code,quantity,unit_price\n"
GOOD = HEADER + "1,P01,1,10.50\n2,P01,2,\n"
SCHEMA = json.loads((files("payex_billing") / "cli/report.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)
REPORT = ("--report", "report.json")
EMPTY_ANSWER = {"Content-Length": "0"}


class Night:
    """A table, and the commands of a night."""

    def __init__(self, mock: MockServer, folder: Path) -> None:
        self.mock = mock
        self.folder = folder
        self.table = folder / "charges.csv"
        self.report = folder / "report.json"
        self.table.write_text(GOOD, encoding="utf-8")
        self.environment = {
            **os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url,
        }  # fmt: skip

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "payex_billing", *arguments], cwd=self.folder, env=self.environment, text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options,
        )  # fmt: skip

    def run(self, *arguments: str, **options: Any) -> tuple[int, str, str]:
        """The exit code, and what the command said on standard output and standard error."""
        if not options:
            done = run_command(*arguments, cwd=self.folder, environment=self.environment, timeout=90)
            return done.returncode, done.stdout, done.stderr
        with self.start(*arguments, **options) as process:
            output, errors = process.communicate(timeout=90)
        return process.returncode, output, errors

    def read(self) -> dict[str, Any]:
        """The report, which fits the schema."""
        return valid(self.report.read_text(encoding="utf-8"))

    def fails_at(self, monkeypatch: pytest.MonkeyPatch, method: str, answer: Answer) -> None:
        monkeypatch.setattr(
            self.mock.app,
            "interceptor",
            lambda request, respond: answer if request.method == method else respond(request),
        )


def valid(text: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(text)
    assert [error.message for error in VALIDATOR.iter_errors(report)] == []
    assert report.keys() <= SCHEMA["properties"].keys()
    return report


@pytest.fixture
def night(mock: MockServer, tmp_path: Path) -> Night:
    night = Night(mock, tmp_path)
    night.report.write_text('{"format": "payex-billing report 1", "outcome": "done", "of": "yesterday"}')
    return night


# outcomes


def test_a_run_in_which_all_is_well_is_done(night: Night) -> None:
    assert night.run("apply", "charges.csv", *REPORT)[0] == 0
    report = night.read()
    assert (report["outcome"], report["applied"], report["before"], report["after"]) == ("done", 2, "0", "10.5")
    assert (report["command"], report["file"], report["error"]) == ("apply", "charges.csv", None)
    assert Path(report["journal"]).exists()


def test_a_run_with_a_rejected_row_says_so(night: Night) -> None:
    night.table.write_text(GOOD + "3,P01,0,1\n")
    assert night.run("apply", "charges.csv", *REPORT)[0] == 3
    report = night.read()
    assert (report["outcome"], list(report["rejected"])) == ("rows_failed", ["4"])


def test_a_run_with_a_failed_row_says_so(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.fails_at(monkeypatch, "POST", Answer(422, EMPTY_ANSWER, b""))
    assert night.run("apply", "charges.csv", *REPORT)[0] == 3
    assert (night.read()["outcome"], list(night.read()["failed"])) == ("rows_failed", ["2", "3"])


def test_a_run_that_a_guard_stopped_names_the_guard(night: Night) -> None:
    assert night.run("apply", "charges.csv")[0] == 0
    night.table.write_text(GOOD.replace("10.50", "1050.00"))
    assert night.run("apply", "charges.csv", *REPORT)[0] == 4
    report = night.read()
    assert (report["outcome"], report["error_type"]) == ("guard_stopped", "GuardStopped")
    assert "price_factor" in {guard["guard"] for guard in report["guards"]}
    assert night.run("apply", "charges.csv", "--approve", report["digest"], *REPORT)[0] == 0
    assert night.read()["outcome"] == "done"


def test_a_run_that_could_not_go_on_says_why(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.fails_at(monkeypatch, "POST", Answer(403, EMPTY_ANSWER, b""))
    assert night.run("apply", "charges.csv", *REPORT)[0] == 1
    assert night.read()["outcome"] == "stopped"
    assert "Forbidden" in night.read()["stopped"]


def test_a_run_whose_customers_cannot_be_read_failed(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    night.fails_at(monkeypatch, "GET", Answer(403, EMPTY_ANSWER, b""))
    assert night.run("apply", "charges.csv", *REPORT)[0] == 1
    assert (night.read()["outcome"], night.read()["error_type"]) == ("failed", "Stopped")


@pytest.mark.parametrize(
    ("arguments", "variables", "kind"),
    [
        (("nowhere.csv",), {}, "TableError"),
        (("charges.csv", "--map", "x=customer_no"), {}, "TableError"),
        (("charges.csv",), {"PAYEX_TOKEN": ""}, "ConfigurationError"),
        (("charges.csv",), {"PAYEX_OWNER_NO": ""}, "ConfigurationError"),
        (("charges.csv", "--journal", "/nowhere/journal"), {}, "ClickException"),
        (("charges.csv", "--rejects", "/nowhere/rejects"), {}, "FileNotFoundError"),
        (("charges.csv", "--guards", "nowhere.toml"), {}, None),
        (("charges.csv", "--prune", "--max-removals", "x"), {}, "BadParameter"),
        (("charges.csv", "--concurrency", "many"), {}, "BadParameter"),
        (("charges.csv", "--no-such-option"), {}, "NoSuchOption"),
        ((), {}, "MissingParameter"),
    ],
    ids=str,
)
def test_a_run_that_could_not_start_failed(
    night: Night, arguments: tuple[str, ...], variables: dict[str, str], kind: str | None
) -> None:
    night.environment |= variables
    code, _, errors = night.run("apply", *arguments, *REPORT)
    report = night.read()
    assert (code, report["outcome"]) == (
        64 if kind in {"BadParameter", "NoSuchOption", "MissingParameter"} else 1,
        "failed",
    )
    assert report["error"]
    assert report["error"] in errors
    assert kind in {None, report["error_type"]} or kind == "ClickException"


def test_a_run_beside_another_one_was_refused(night: Night) -> None:
    from payex_billing import Billing
    from payex_billing.reconcile._ledger import lock

    with Billing(token=TOKEN, owner_no=LEDGER, base_url=night.mock.url) as billing:
        ledger = billing.settings.ledger
    with lock(ledger, None):
        assert night.run("apply", "charges.csv", *REPORT)[0] == 1
    assert (night.read()["outcome"], night.read()["error_type"]) == ("refused", "Refused")


def test_a_run_that_would_remove_too_much_was_refused(night: Night) -> None:
    night.run("apply", "charges.csv")
    night.table.write_text(HEADER + "1,P02,1,\n")
    assert night.run("apply", "charges.csv", "--prune", "--max-removals", "0", *REPORT)[0] == 1
    assert night.read()["outcome"] == "refused"


def test_a_rejected_row_under_strict_was_refused(night: Night) -> None:
    night.table.write_text(GOOD + "3,P01,0,1\n")
    assert night.run("apply", "charges.csv", "--strict", *REPORT)[0] == 3
    assert (night.read()["outcome"], list(night.read()["rejected"])) == ("refused", ["4"])


def test_a_plan_that_is_out_of_date_was_refused(night: Night) -> None:
    night.run("plan", "charges.csv", "--out", "plan.jsonl")
    night.mock.store.create_customer(LEDGER, {"customerNo": "2"})
    assert night.run("apply", "plan.jsonl", *REPORT)[0] == 1
    assert (night.read()["outcome"], night.read()["file"]) == ("refused", "plan.jsonl")


def test_a_crash_of_the_program_failed(night: Night) -> None:
    (night.folder / "sitecustomize.py").write_text(
        "import payex_billing.reconcile._run as run\n"
        "def crash(*_, **__): raise ZeroDivisionError('for a test\\x1b[2J')\n"
        "run.Writer = crash\n"
    )
    night.environment["PYTHONPATH"] = os.pathsep.join([str(night.folder), os.environ.get("PYTHONPATH", "")])
    code, _, errors = night.run("apply", "charges.csv", *REPORT)
    assert (code, "Traceback" in errors) == (1, True)
    report = night.read()
    assert (report["outcome"], report["error_type"]) == ("failed", "ZeroDivisionError")
    assert report["error"] == "ZeroDivisionError: for a test\\x1b[2J"


def test_a_run_that_is_interrupted_says_so_and_a_killed_one_says_running(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.table.write_text(HEADER + "".join(f"{number},P01,1,1.00\n" for number in range(40)))
    for number, outcome in ((signal.SIGINT, "interrupted"), (signal.SIGKILL, "running")):
        arrived, go_on = threading.Event(), threading.Event()

        def waiting(
            request: Request, respond: Respond, arrived: threading.Event = arrived, go_on: threading.Event = go_on
        ) -> Answer:
            if request.method == "POST" and not arrived.is_set():
                arrived.set()
                go_on.wait(60)
            return respond(request)

        monkeypatch.setattr(night.mock.app, "interceptor", waiting)
        with night.start("apply", "charges.csv", *REPORT) as process:
            assert arrived.wait(60)
            assert night.read()["outcome"] == "running"
            process.send_signal(number)
            assert process.stderr is not None
            if number == signal.SIGINT:
                while "Stopping" not in (line := process.stderr.readline()):
                    assert line
            go_on.set()
            process.communicate(timeout=60)
        assert night.read()["outcome"] == outcome


def test_the_second_interrupt_ends_the_run_although_the_server_does_not_answer(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def waiting(request: Request, respond: Respond) -> Answer:
        if request.method == "POST":
            arrived.set()
            go_on.wait(60)
        return respond(request)

    monkeypatch.setattr(night.mock.app, "interceptor", waiting)
    night.environment["PAYEX_TIMEOUT"] = "600"
    night.environment["PAYEX_DEADLINE"] = "600"
    with night.start("apply", "charges.csv") as process:
        try:
            assert arrived.wait(60)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "Stopping" not in (line := process.stderr.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=60)
        finally:
            go_on.set()
    assert process.returncode == 130
    assert "Interrupted. The same command goes on where it stopped." in error


def test_retry_and_undo_write_a_report(night: Night) -> None:
    night.table.write_text(GOOD + "3,P01,0,1\n")
    night.run("apply", "charges.csv")
    night.table.write_text(GOOD + "3,P01,1,1\n")
    assert night.run("retry", "1", *REPORT)[0] == 0
    assert (night.read()["command"], night.read()["file"], night.read()["applied"]) == ("retry", "charges.csv", 1)
    assert night.run("retry", "2", *REPORT)[0] == 0
    assert (night.read()["outcome"], night.read()["rows"]) == ("done", 0)
    assert night.run("undo", "1", "--plan-only", *REPORT)[0] == 0
    assert night.read()["outcome"] == "planned"
    assert night.run("undo", "1", *REPORT)[0] == 1  # without a terminal nobody can say yes
    assert night.read()["outcome"] == "failed"
    assert night.run("undo", "1", "--yes", *REPORT)[0] == 0
    assert (night.read()["command"], night.read()["undoes"], night.read()["outcome"]) == ("undo", 1, "done")
    assert night.run("retry", "99", *REPORT)[0] == 1
    assert night.read()["error_type"] == "JournalError"


def test_the_report_on_standard_output_is_the_same(night: Night) -> None:
    _, output, _ = night.run("apply", "charges.csv", "--json", *REPORT)
    assert valid(output) == night.read()


# the schema


def test_the_schema_is_printed(night: Night) -> None:
    code, output, _ = night.run("report-schema")
    assert (code, json.loads(output)) == (0, SCHEMA)


def test_the_schema_is_a_schema_and_refuses_half_a_report() -> None:
    jsonschema_rs.meta.validate(SCHEMA)
    whole = {
        "format": "payex-billing report 1", "outcome": "done", "error": None, "error_type": None, "command": "apply",
        "file": "x", "journal": None, "version": "1", "started_at": "2026-01-01T00:00:00.000+00:00",
        "ended_at": "2026-01-01T00:00:00.000+00:00",
    }  # fmt: skip
    assert not VALIDATOR.is_valid(whole)
    assert VALIDATOR.is_valid(whole | {"outcome": "planned"})
    assert not VALIDATOR.is_valid(whole | {"outcome": "well"})
    assert not VALIDATOR.is_valid(whole | {"outcome": "running"})


def test_every_outcome_of_the_program_is_in_the_schema() -> None:
    from payex_billing.cli._reporting import CODES
    from payex_billing.reconcile import RunOutcome

    assert [outcome.value for outcome in RunOutcome] == SCHEMA["properties"]["outcome"]["enum"]
    assert CODES.keys() == set(RunOutcome)


# the file


def test_a_report_is_replaced_and_not_overwritten(night: Night) -> None:
    """A reader that has the former one open keeps it whole."""
    with night.report.open() as opened:
        night.run("apply", "charges.csv", *REPORT)
        assert "yesterday" in opened.read()
    assert [path.name for path in night.folder.iterdir() if path.name.startswith(".")] == []
    assert night.report.stat().st_mode & 0o777 == 0o600


def test_the_name_of_a_report_may_be_as_long_as_the_system_allows(night: Night) -> None:
    assert night.run("apply", "charges.csv", "--report", "r" * 255)[0] == 0
    assert valid((night.folder / ("r" * 255)).read_text())["outcome"] == "done"


def test_a_report_that_was_interrupted_while_it_was_written_is_written_again(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    from payex_billing.cli import _reporting
    from payex_billing.reconcile import RunOutcome

    report = _reporting.RunReport("apply", night.report, file="charges.csv", others={})
    write, tries = _reporting.ReportFile.write, []

    def interrupted_once(file: Any, text: str) -> None:
        tries.append(text)
        if len(tries) == 2:  # the first is that of the beginning
            raise KeyboardInterrupt
        write(file, text)

    monkeypatch.setattr(_reporting.ReportFile, "write", interrupted_once)
    with pytest.raises(KeyboardInterrupt), report:
        report.ended(RunOutcome.PLANNED)
    assert night.read()["outcome"] == "planned"


def test_a_report_behind_a_link_replaces_the_target(night: Night) -> None:
    (night.folder / "reports").mkdir()
    night.report.unlink()
    night.report.symlink_to("reports/today.json")
    assert night.run("apply", "charges.csv", *REPORT)[0] == 0
    assert night.report.is_symlink()
    assert night.read()["outcome"] == "done"


@pytest.mark.parametrize("path", ["/dev/stdout", "/proc/self/fd/1"])
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_a_report_on_standard_output_comes_before_the_text(night: Night, path: str, to: str) -> None:
    if to == "pipe":
        code, output, _ = night.run("apply", "charges.csv", "--report", path)
    else:
        with (night.folder / "out").open("w") as opened:
            code, _, _ = night.run("apply", "charges.csv", "--report", path, stdout=opened)
        output = (night.folder / "out").read_text()
    report, _, text = output.partition("\n}\n")
    assert (code, valid(report + "\n}")["applied"]) == (0, 2)
    assert text.startswith("2 rows: 0 unchanged, 2 applied")


def test_a_report_is_written_although_the_standard_streams_are_closed(night: Night) -> None:
    command = f"{sys.executable} -m payex_billing apply charges.csv --report report.json --log-json >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], cwd=night.folder, env=night.environment, check=False, timeout=60)
    assert (done.returncode, night.read()["outcome"]) == (0, "done")


def test_a_report_goes_through_a_named_pipe_once(night: Night) -> None:
    night.report.unlink()
    os.mkfifo(night.report)
    with night.start("apply", "charges.csv", *REPORT) as process:
        # It ends when the writer closes the pipe.
        text = subprocess.run(["cat", night.report], capture_output=True, text=True, timeout=60, check=True).stdout
        process.communicate(timeout=60)
    assert (process.returncode, valid(text)["outcome"]) == (0, "done")


def test_a_device_that_refuses_every_byte_is_named_after_the_run(night: Night) -> None:
    code, output, errors = night.run("apply", "charges.csv", "--report", "/dev/full")
    assert (code, "2 applied" in output) == (1, True)
    assert "--report /dev/full cannot be written" in errors


@pytest.mark.parametrize("path", ["missing/report.json", "folder", "charges.csv", "./charges.csv", "link.csv"])
def test_a_report_that_cannot_be_written_is_refused_before_the_first_request(
    night: Night, path: str, asked: list[Request]
) -> None:
    (night.folder / "folder").mkdir()
    (night.folder / "link.csv").symlink_to("charges.csv")
    code, _, errors = night.run("apply", "charges.csv", "--report", path)
    assert (code, asked, "Traceback" in errors) == (1, [], False)
    assert f"--report {Path(path)}" in errors
    assert night.table.read_text() == GOOD


def test_a_file_that_is_no_report_stays_after_wrong_usage(night: Night) -> None:
    assert night.run("apply", "charges.csv", "--no-such-option", "--report", "charges.csv")[0] == 64
    assert night.table.read_text() == GOOD


LOADING = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "click":
            os.kill(os.getpid(), int(sys.argv.pop(1)))
sys.meta_path.insert(0, Finder())
from payex_billing.cli import main
sys.exit(main())
"""
ENDING = """
import atexit, os, sys
number = int(sys.argv.pop(1))
for _ in range(3):
    atexit.register(os.kill, os.getpid(), number)
from payex_billing.cli import main
sys.exit(main())
"""


def run_code(night: Night, code: str, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(
        command, cwd=night.folder, env=night.environment, check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_loaded_interrupts_and_no_report_of_yesterday_stays(
    night: Night, number: signal.Signals, asked: list[Request]
) -> None:
    assert night.run("apply", "charges.csv", *REPORT)[0] == 0
    before = len(asked)
    assert run_code(night, LOADING, str(number.value), "apply", "charges.csv", *REPORT) == (130, "Interrupted.\n")
    assert night.read()["outcome"] == "interrupted"
    assert len(asked) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_last_output_changes_nothing(night: Night, number: signal.Signals) -> None:
    code, errors = run_code(night, ENDING, str(number.value), "apply", "charges.csv", *REPORT)
    assert (code, "Traceback" in errors, "Exception" in errors) == (0, False, False)


def as_other_user(work: Callable[[], None]) -> None:
    """Root may write everything, so a child does the work as nobody."""
    child = os.fork()
    if not child:
        code = 1
        try:
            os.setgid(65534)
            os.setuid(65534)
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another user")
def test_in_a_folder_that_cannot_be_written_the_file_itself_is_written(night: Night) -> None:
    from payex_billing.cli._output_files import ReportFile

    folder = night.folder / "locked"
    folder.mkdir()
    report, missing = folder / "report.json", folder / "missing.json"
    report.write_text("yesterday")
    os.chown(report, 65534, 65534)
    for parent in (folder, *folder.parents[:-1]):
        parent.chmod(parent.stat().st_mode | 0o055)

    def work() -> None:
        ReportFile(report).begin("today\n")
        with pytest.raises(PermissionError):
            ReportFile(missing).begin("today\n")

    as_other_user(work)
    assert report.read_text() == "today\n"
    assert list(folder.iterdir()) == [report]


def test_on_a_full_disk_the_former_report_is_removed(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    from payex_billing.cli import _output_files

    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_output_files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        _output_files.ReportFile(night.report).begin("x")
    assert not night.report.exists()
    assert [path.name for path in night.folder.iterdir()] == ["charges.csv"]
