"""What `apply` promises about its files, its clock, its signals and its memory, one promise a test, seen from outside."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.apply_judge import Judge, must_be_done
from tests.chaos.apply_process import Mock, Night, Row, customers, night_on, wait_until
from tests.chaos.failing_proxy import FIN, Fate
from tests.support import NIGHTLY


@pytest.fixture
def night(billing_mock: Mock, ledger: str, tmp_path: Path) -> Iterator[Night]:
    with night_on(billing_mock, ledger, tmp_path) as night:
        yield night


def given(night: Night, rows: list[Row]) -> Judge:
    night.write(rows)
    judge = Judge(night)
    judge.sees_held()
    judge.sees_table()
    return judge


# A10: the clock

AHEAD = """
import datetime, time
_time, _time_ns, _datetime = time.time, time.time_ns, datetime.datetime
class Ahead(_datetime):
    @classmethod
    def now(cls, tz=None):
        return _datetime.now(tz) + datetime.timedelta(seconds={seconds})
    @classmethod
    def utcnow(cls):
        return _datetime.utcnow() + datetime.timedelta(seconds={seconds})
time.time = lambda: _time() + {seconds}
time.time_ns = lambda: _time_ns() + {seconds} * 10**9
datetime.datetime = Ahead
"""


@pytest.mark.parametrize("engine", ["httpx", "reqwest"], indirect=True)
def test_a_clock_that_was_ahead_at_the_crash_makes_no_hour_of_silence(
    engine: str, night: Night, tmp_path: Path
) -> None:
    """The clock of the killed run is an hour ahead, so its intent lies in the future of the next run."""
    night.add(Row("C000", "OLD"))
    judge = given(night, customers(2))
    (tmp_path / "ahead").mkdir()
    (tmp_path / "ahead" / "sitecustomize.py").write_text(AHEAD.format(seconds=3600))
    true_path = night.environment.get("PYTHONPATH")
    night.environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(tmp_path / "ahead"), true_path]))
    night.proxy.on("POST", Fate(reaches=1.0, answer=FIN, before=night.kill), path="^customers/C000/")
    killed = night.apply()
    assert killed.code == -9, killed
    del night.environment["PYTHONPATH"]
    if true_path is not None:
        night.environment["PYTHONPATH"] = true_path
    must_be_done(night, judge, night.start_apply().wait(60))


# A10: signals


def test_sigterm_writes_the_report(night: Night) -> None:
    judge = given(night, customers(10))
    night.proxy.watch("POST", 12, "arrived", night.terminate)
    run = night.apply("--concurrency", "2")
    assert run.code == 130, run
    assert run.report is not None, run
    assert run.report["interrupted"] is True
    judge.judge(run)
    assert not judge.wrong, judge.wrong


@pytest.mark.parametrize("how", ["interrupt", "terminate"])
def test_a_signal_after_the_last_write_does_not_change_the_exit_code(how: str, night: Night) -> None:
    """Nobody reads standard output, so the run has written its report and cannot end yet."""
    given(night, customers(3))
    pipe, output = os.pipe()
    size = fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, 4096)
    os.write(output, b"x" * size)
    report = night.folder / "report.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "payex_billing", "apply", night.table, "--first-run", "--report", report],
        cwd=night.folder, env=night.environment, stdout=output, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(output)
    try:
        wait_until(lambda: report.exists() and '"outcome": "done"' in report.read_text(), "the report is written")
        process.send_signal(signal.SIGINT if how == "interrupt" else signal.SIGTERM)
        with os.fdopen(pipe, "rb") as opened:
            told = opened.read()
        assert (process.wait(60), told.count(b"3 applied")) == (0, 1)
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("how", ["interrupt", "terminate"] if NIGHTLY else ["terminate"])
def test_a_run_that_waits_for_settle_ends_at_once_when_told(how: str, night: Night) -> None:
    """Settle is an hour; the run that looks up the open intent waits, and a signal ends the wait."""
    night.settle = 3600
    for row in customers(2):
        night.add(Row(row.customer, "OLD"))
    judge = given(night, customers(2))
    night.proxy.on("POST", Fate(reaches=None, answer=FIN, before=night.kill), path="^customers/C000/")
    assert night.apply().code == -9
    run = night.start_apply()
    # The other customer is applied, now or already before the kill; then the run can only wait.
    other = customers(2)[1].content
    wait_until(lambda: night.contents[other] == 1 and night.proxy.log[-1].reached is not None, "C001 is applied")
    getattr(run, how)()
    ended = run.wait(60)
    assert ended.code == 130, ended
    assert ended.report is not None, ended
    judge.judge(ended)
    assert not judge.wrong, judge.wrong


# A10: the disk


@pytest.mark.parametrize("limit", [4_096, 24_576, 65_536, 131_072] if NIGHTLY else [65_536])
def test_a_full_disk_ends_with_a_sentence_and_loses_nothing(limit: int, night: Night) -> None:
    """The system refuses to let any file of the process grow beyond the limit."""
    judge = given(night, customers(120))
    run = night.apply(limit_file_size=limit)
    judge.judge(run)
    assert run.code in {0, 1}, run
    assert run.code == 0 or any(word in run.output.lower() for word in ("full", "disk", "large", "space", "write")), run
    must_be_done(night, judge, night.apply())


def test_a_report_that_cannot_be_written_ends_with_a_sentence_and_loses_nothing(night: Night) -> None:
    """The device can be opened, and refuses every byte."""
    judge = given(night, customers(3))
    run = night.start("apply", night.table, "--first-run", "--journal", night.journal, "--report", "/dev/full").wait()
    assert run.code == 1, run
    assert "/dev/full" in run.output, run
    assert "Traceback" not in run.output, run
    judge.judge_end()
    assert not judge.wrong, judge.wrong


@pytest.mark.skipif(not NIGHTLY, reason="make nightly")
def test_an_output_that_cannot_be_written_changes_no_write(night: Night) -> None:
    """Standard output is a full disk: the charges are written all the same, and the report says so."""
    judge = given(night, [*customers(3), Row("[red]C\x1b[2J", "P01")])
    judge.rejected = {5}
    report = night.folder / "report.json"
    run = night.start(
        "apply", night.table, "--first-run", "--journal", night.journal, "--report", report, report=report,
        output=Path("/dev/full"),
    ).wait()  # fmt: skip
    assert run.code in {1, 3}, run
    assert run.report is not None, run
    assert (run.report["applied"], set(run.report["rejected"])) == (3, {"5"}), run
    judge.judge_end()
    assert not judge.wrong, judge.wrong


# A10: output paths


@pytest.mark.parametrize("option", ["--report", "--rejects", "--journal", "--state"] if NIGHTLY else ["--report"])
def test_an_output_path_in_a_missing_folder_is_refused_before_any_request(option: str, night: Night) -> None:
    given(night, customers(2))
    run = night.start("apply", night.table, "--first-run", option, "missing/file").wait()
    assert run.code in {1, 64}, run
    assert "missing" in run.output, run
    assert "Traceback" not in run.output, run
    assert len(run.requests) == 0


@pytest.mark.parametrize("option", ["--report", "--rejects", "--journal", "--state"] if NIGHTLY else ["--rejects"])
@pytest.mark.parametrize("name", ["charges.csv", "./charges.csv", "link.csv"] if NIGHTLY else ["link.csv"])
def test_an_output_path_that_is_the_input_is_refused_before_any_request(option: str, name: str, night: Night) -> None:
    given(night, [*customers(2), Row("C", "P01", None, "many")])
    (night.folder / "link.csv").symlink_to(night.table)
    before = night.table.read_bytes()
    run = night.start("apply", night.table, "--first-run", option, name).wait()
    assert run.code in {1, 64}, run
    assert "Traceback" not in run.output, run
    assert night.table.read_bytes() == before
    assert len(run.requests) == 0


@pytest.mark.parametrize("option", ["--out", "--rejects"] if NIGHTLY else ["--out"])
def test_an_output_path_of_plan_in_a_missing_folder_is_refused_before_any_request(option: str, night: Night) -> None:
    given(night, customers(2))
    run = night.command("plan", night.table, option, "missing/file")
    assert run.code in {1, 64}, run
    assert "missing" in run.output, run
    assert "Traceback" not in run.output, run
    assert len(run.requests) == 0


# A11: who may read the files


def test_every_file_that_plan_and_apply_make_is_for_its_owner_only(night: Night) -> None:
    """The processes run with umask 0, so that only the program itself can protect its files."""
    given(night, [*customers(2), Row("C", "P01", None, "many")])
    before = set(night.folder.rglob("*"))
    night.command("plan", night.table, "--out", "plan.jsonl", "--rejects", "plan-rejects.csv")
    run = night.apply("--rejects", night.rejects, "--state", "state.db")
    assert run.code == 3, run
    made = [path for path in set(night.folder.rglob("*")) - before if not path.name.startswith("output-")]
    names = {path.name for path in made}
    assert names >= {"plan.jsonl", night.journal.name, night.rejects.name, "state.db"}, names
    assert any(path.is_relative_to(night.folder / "home") and path.is_file() for path in made), (
        "no file of the user's state"
    )
    modes = {str(path): oct(stat.S_IMODE(path.stat().st_mode)) for path in made if path.stat().st_mode & 0o077}
    assert not modes, modes


# A12: memory


def big_table(path: Path, customers: int, rows: int) -> None:
    with path.open("w") as file:
        file.write("customer_no,product_code,quantity,unit_price,text,start_date\n")
        for number in range(rows):
            file.write(
                f"C{number % customers},P{number // customers % 999},1,{number % 9999}.00,text {number},2026-01-01\n"
            )


@pytest.mark.skipif(NIGHTLY, reason="the full sizes are tried below")
def test_a_plan_of_more_rows_does_not_need_the_memory_of_all_of_them(night: Night) -> None:
    """From 2,000 to 22,000 rows. All of them in memory took 33 MB; the same run varies by 10 MB."""
    night.environment["PAYEX_BASE_URL"] = night.mock.url  # this proxy would take longer than the plan
    peaks = []
    for rows in (2_000, 22_000):
        big_table(night.table, rows // 50, rows)
        run = night.command("plan", night.table, "--out", f"plan-{rows}.jsonl")
        assert run.code == 0, run
        peaks.append(run.peak)
    assert peaks[1] - peaks[0] < 25_000_000, [f"{peak / 1e6:.0f} MB" for peak in peaks]


@pytest.mark.skipif(not NIGHTLY, reason="minutes")
@pytest.mark.parametrize(("rows", "limit"), [(1_000_000, 600e6), (5_000_000, 900e6)])
def test_a_plan_of_millions_of_new_charges_stays_within_its_memory(rows: int, limit: float, night: Night) -> None:
    night.environment["PAYEX_BASE_URL"] = night.mock.url
    big_table(night.table, rows // 50, rows)
    run = night.start("plan", night.table, "--out", "plan.jsonl").wait(1800)
    assert run.code == 0, run
    with (night.folder / "plan.jsonl").open() as plan:
        assert json.loads(plan.readline())
    assert run.peak < limit, f"{run.peak / 1e6:.0f} MB"
