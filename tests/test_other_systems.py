"""The command line and the mock work where Python lacks what only Linux and macOS have, such as on Windows."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import payex_billing
import payex_billing_mock
import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.support import LEDGER, TOKEN, send

# What Windows lacks (https://docs.python.org/3/library/asyncio-platforms.html, and the pages of these modules).
WITHOUT = """
import asyncio, os, select, signal, socket, sys

def missing(*_, **__):
    raise NotImplementedError

for loop in (asyncio.AbstractEventLoop, asyncio.SelectorEventLoop):
    loop.add_signal_handler = loop.remove_signal_handler = missing
for module, names in (
    (os, ("fork", "register_at_fork", "getuid", "geteuid")),
    (select, ("poll",)),
    (signal, ("SIGHUP", "SIGKILL", "pthread_sigmask", "sigwait", "sigtimedwait", "siginterrupt")),
    (socket, ("SO_REUSEPORT",)),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None
"""
COMMAND = f"{WITHOUT}\nfrom payex_billing.cli import main\nsys.exit(main())"
MODULE = f"{WITHOUT}\nfrom payex_billing_mock.__main__ import main\nsys.exit(main())"
# Windows cannot send SIGINT or SIGTERM to one process.
STOPS = [signal.CTRL_BREAK_EVENT] if sys.platform == "win32" else [signal.SIGINT, signal.SIGTERM]
GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP} if sys.platform == "win32" else {}
ROWS = "customer_no,product_code,quantity,unit_price\n" + "".join(f"{number},P01,1,1.00\n" for number in range(60))


def test_the_missing_parts_are_missing() -> None:
    code = f"{WITHOUT}\nasyncio.new_event_loop().add_signal_handler(signal.SIGINT, print)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.splitlines()[-1] == "NotImplementedError"


@pytest.mark.parametrize("number", STOPS)
def test_ctrl_c_finishes_the_writes_under_way_and_the_same_command_continues(
    mock: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    (tmp_path / "charges.csv").write_text(ROWS)
    reached, go_on, writes = threading.Event(), threading.Event(), 0

    def waiting(request: Request, respond: Respond) -> Answer:
        nonlocal writes
        writes += request.method == "POST"
        if writes == 50:
            reached.set()
            assert go_on.wait(60)
        return respond(request)

    monkeypatch.setattr(mock.app, "interceptor", waiting)
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
    arguments = ["apply", "charges.csv", "--report", "report.json", "--concurrency", "1"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **GROUP,
    ) as process:
        try:
            assert reached.wait(60), process.poll()
            process.send_signal(number)
            assert process.stderr is not None
            while "Stopping" not in (line := process.stderr.readline()):
                assert line
            go_on.set()
            _, errors = process.communicate(timeout=60)
        finally:
            go_on.set()
            process.kill()
    assert (process.returncode, "The same command goes on" in errors) == (130, True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["outcome"] == "interrupted"
    assert 0 < report["applied"] < 60
    again = subprocess.run(command, cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, check=False)
    assert again.returncode == 0
    assert [len(mock.store.charges(LEDGER, str(customer))) for customer in range(60)] == [1] * 60


@pytest.mark.parametrize("options", [[], ["--fast"]])
@pytest.mark.parametrize("number", STOPS)
def test_the_mock_serves_and_stops_clean(options: list[str], number: signal.Signals) -> None:
    command = [sys.executable, "-c", MODULE, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **GROUP) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://\S+", process.stdout.readline())
            assert url
            assert send(url[0], "GET", "/1234/customers/1", token="token-1234").status == 404
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, output.splitlines()[-1], errors) == (0, "Stopped.", "")


def test_a_signal_that_comes_before_the_mock_waits_is_not_lost() -> None:
    code = "from payex_billing_mock.__main__ import StopSignals\nstop = StopSignals()\nsignal.raise_signal(signal.SIGINT)\n"
    command = [sys.executable, "-c", f"{WITHOUT}\n{code}\nstop.wait()\nprint('stopped')"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_a_run_keeps_another_run_away_without_fcntl(mock: MockServer, tmp_path: Path) -> None:
    """The locks are those of SQLite, which has its own code for Windows."""
    (tmp_path / "charges.csv").write_text(ROWS)
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}

    def apply() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", COMMAND, "apply", "charges.csv"]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert apply().returncode == 0
    (lock,) = (tmp_path / "state-home").rglob("run.lock")
    holder = sqlite3.connect(lock, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        assert (refused := apply()).returncode == 1
        assert "another run writes to" in refused.stderr
    finally:
        holder.close()
    assert apply().returncode == 0


def test_no_module_of_the_packages_imports_what_only_some_systems_have_at_its_top() -> None:
    only_unix = re.compile(r"^(?:import|from) (?:fcntl|grp|pwd|resource|termios|tty|pty)\b", re.MULTILINE)
    folders = [Path(package.__file__).parent for package in (payex_billing, payex_billing_mock)]
    sources = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(sources) > 100
    assert [str(path) for path in sources if only_unix.search(path.read_text(encoding="utf-8"))] == []
