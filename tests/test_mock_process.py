"""The mock as a process of its own: how it starts, what it keeps, how it stops."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.faults import KINDS

from contract_tests.exchange import render
from tests.support import send
from tests.wire import (
    UPDATE,
    change,
    charges_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)

COMMANDS = {"module": ["-m", "payex_billing_mock"], "cli": ["-m", "payex_billing", "mock"]}


@contextmanager
def started(*options: str, command: str = "module") -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """A running mock, its URL, and the line it started with."""
    arguments = [sys.executable, *COMMANDS[command], "--port", "0", *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            url = re.search(r"http://\S+", line)
            assert url, (line, process.stderr.read() if process.stderr else "")
            yield process, url[0], line
        finally:
            process.kill()


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_stops_clean(command: str, stop: signal.Signals) -> None:
    with started("--ledger", "42", "--token", "secret", command=command) as (process, url, line):
        assert "ledger 42" in line
        assert "token secret" in line
        assert send(url, "POST", customers_path("42"), new_customer("1"), token="secret").status == 201
        process.send_signal(stop)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[-1], err) == (0, "Stopped.", "")


def test_it_keeps_its_state_in_a_file_over_a_kill(tmp_path: Path) -> None:
    file = str(tmp_path / "state.db")
    with started("--db", file) as (process, url, _):
        token = "token-1234"
        send(url, "POST", customers_path(), new_customer("A/å"), token=token)
        send(url, "POST", subscriptions_path("A/å"), new_subscription("1"), token=token)
        send(url, "POST", subscriptions_path("A/å"), new_subscription("2"), token=token)
        parent = charges_path("A/å", "1")
        charges = [
            send(url, "POST", parent, render(new_charge(unit_price=Decimal(f"{n}.500000"))).encode(), token=token)
            for n in range(5)
        ]
        send(url, "DELETE", charges[1].json["@id"], token=token)
        send(url, UPDATE, charges[2].json["@id"], change(text="changed"), token=token)
        send(url, "DELETE", subscription_path("A/å", "2"), token=token)
        before = [send(url, "GET", path, token=token).body for path in (parent, subscriptions_path("A/å"))]
        process.send_signal(signal.SIGKILL)
        process.wait()
    with started("--db", file) as (_, url, _):
        after = [send(url, "GET", path, token=token).body for path in (parent, subscriptions_path("A/å"))]
    assert b"500000" in before[0]
    assert b"changed" in before[0]
    assert after == before


def test_several_ledgers_each_have_their_token() -> None:
    with started("--ledger", "1", "--token", "a", "--ledger", "2", "--token", "b") as (_, url, _):
        assert send(url, "GET", "/1/customers/x", token="a").status == 404
        assert send(url, "GET", "/2/customers/x", token="b").status == 404
        assert send(url, "GET", "/2/customers/x", token="a").status == 401


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--port", "x"], 64, "'x' is not a valid integer"),
        (["--port", "65536"], 64, "65536 is not in the range 0<=x<=65535"),
        (["--token", "a", "--token", "b"], 64, "as many --token as --ledger"),
        (["--ledger", "1", "--ledger", "1", "--token", "a", "--token", "b"], 64, "once"),
        (["--nonsense"], 64, "--nonsense"),
        (["--ledgr", "1"], 64, "--ledger"),
        (["--fault", "lose-anser"], 64, "Did you mean 'lose-answer'?"),
        (["--fast", "--admin"], 64, "leave out --fault and --admin, or --fast"),
        (["--tls-cert", "x.pem"], 64, "--tls-cert and --tls-key go together"),
        (["--contract", "/nowhere.yaml"], 1, "cannot read the contract"),
        (["--db", "/nowhere/state.db"], 1, "cannot keep the state"),
        (["--host", "203.0.113.1"], 1, "cannot listen on 203.0.113.1"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_start_is_a_sentence(command: str, options: list[str], code: int, said: str) -> None:
    arguments = [sys.executable, *COMMANDS[command], "--port", "0", *options]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 is already in use"):
            MockServer({"1": "t"}, port=port).start()


def test_a_port_that_another_mock_has_is_not_shared() -> None:
    with MockServer({"1": "t"}) as first, pytest.raises(OSError, match="already in use"):
        MockServer({"1": "t"}, port=first.port).start()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(OSError, match="cannot keep the state"):
        MockServer({"1": "t"}, db=tmp_path / "notes.txt")


@pytest.mark.parametrize("text", ["[", "nonsense", "openapi: 3.1.0", "{}"])
def test_a_contract_that_cannot_be_served_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "contract.yaml"
    file.write_text(text)
    arguments = [sys.executable, "-m", "payex_billing_mock", "--port", "0", "--contract", str(file)]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "contract.yaml" in result.stderr
    assert "Traceback" not in result.stderr


def test_both_commands_have_the_same_help() -> None:
    module, cli = (
        subprocess.run(
            [sys.executable, *command, "--help"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for command in COMMANDS.values()
    )
    assert module.splitlines()[0] == "Usage: python -m payex_billing_mock [OPTIONS]"
    assert cli.splitlines()[0] == "Usage: payex-billing mock [OPTIONS]"
    assert module.splitlines()[1:] == cli.splitlines()[1:]


def test_without_its_extra_the_command_says_what_to_install() -> None:
    code = "import sys; sys.modules['jsonschema_rs'] = None; from payex_billing.cli import main; sys.exit(main())"
    for arguments in (["mock"], ["mock", "--port", "0"]):
        command = [sys.executable, "-c", code, *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (result.returncode, "pip install 'payex-billing[mock]'" in result.stderr) == (1, True), result.stderr


def test_the_help_explains_every_kind_of_fault_and_what_the_admin_route_needs() -> None:
    arguments = [sys.executable, "-m", "payex_billing_mock", "--help"]
    text = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout
    for kind in KINDS:
        assert f"\n  {kind} " in text
    assert "X-Payex-Console: 1" in text
    assert "application/json" in text


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "Console: http://127.0.0.1:PORT/"),
        (["--host", "0.0.0.0"], "Console: http://127.0.0.1:PORT/"),
        (["--fast"], "State is kept in memory. Ctrl-C stops the mock."),
    ],
)
def test_it_prints_a_url_of_the_console_that_works(options: list[str], line: str) -> None:
    with started(*options) as (process, url, _):
        assert process.stdout
        assert process.stdout.readline().strip() == line.replace("PORT", url.rpartition(":")[2])
