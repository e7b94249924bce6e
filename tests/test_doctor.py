"""What `payex-billing doctor` finds out about versions, transports, proxies and the journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import payex_billing
import pytest
from payex_billing.cli import _commands
from payex_billing.cli._surroundings import RUNS, SINGLE
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

Findings = dict[str, list[dict[str, Any]]]
Doctor = Callable[..., Findings]
# A port that nothing listens on. The doctor fails there, after the findings that these tests are about.
NOBODY = "https://127.0.0.1:1"


@pytest.fixture
def doctor(mock: MockServer, tmp_path: Path) -> Doctor:
    def doctor(**variables: str) -> Findings:
        """The findings by name."""
        settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, **variables}
        done = run_command("doctor", "--json", cwd=tmp_path, environment={**os.environ, **settings})
        found: Findings = {}
        for each in json.loads(done.stdout)["findings"]:
            found.setdefault(each["what"], []).append(each)
        return found

    return doctor


def test_it_names_the_versions_and_the_extras(doctor: Doctor) -> None:
    found = doctor(PAYEX_TOKEN="")
    assert (
        f"payex-billing {payex_billing.__version__}, Python {sys.version.split()[0]}" in found["program"][0]["detail"]
    )
    assert "fast (pyreqwest " in found["extras"][0]["detail"]
    assert found["settings"][0]["verdict"] == "wrong"


def test_it_names_the_engine_of_each_command(doctor: Doctor) -> None:
    details = [each["detail"] for each in doctor()["transport"]]
    assert [detail.partition(" (")[0] for detail in details] == [
        "apply, drift, export, plan, retry, undo, work: reqwest", "charges, customer: httpx",
    ]  # fmt: skip
    (all_commands,) = doctor(PAYEX_ENGINE="httpx")["transport"]
    assert all_commands["detail"].startswith("apply, charges, customer, drift, export, plan, retry, undo, work: httpx")


@pytest.mark.parametrize(("command", "loads"), [(("charges", "list", "1"), False), (("plan", "charges.csv"), True)])
def test_the_engine_that_it_names_is_the_one_that_is_used(
    mock: MockServer, tmp_path: Path, command: tuple[str, ...], loads: bool
) -> None:
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n1,P01\n")
    mock.store.create_customer(LEDGER, {"customerNo": "1"})
    code = "import sys; from payex_billing.cli import main; main(); print('pyreqwest' in sys.modules, file=sys.stderr)"
    settings = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url}
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path, env={**os.environ, **settings}, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stderr.splitlines()[-1] == str(loads)


def test_it_sends_one_request_with_each_engine(doctor: Doctor, asked: list[Any]) -> None:
    found = doctor()
    assert len(asked) == len(found["call"]) == 2
    assert [each["verdict"] for each in (*found["token"], *found["ledger"])] == ["ok"] * 3


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (".", None, "Is a directory"),
        ("missing", None, "No such file or directory"),
        ("token", "", "is empty"),
        ("token", "two words", "holds a space"),
    ],
)
def test_a_token_file_that_cannot_be_used_is_wrong_and_no_request_is_sent(
    doctor: Doctor, asked: list[Any], tmp_path: Path, name: str, text: str | None, problem: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    found = doctor(PAYEX_TOKEN="", PAYEX_TOKEN_FILE=name)
    (finding,) = found["token_file"]
    assert (finding["verdict"], problem in finding["detail"]) == ("wrong", True), finding
    assert finding["do"] == "name a file that holds only the token, and that you can read: PAYEX_TOKEN_FILE"
    assert (len(asked), "call" in found, "token" in found) == (0, False, False)


def test_a_token_file_is_named(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    found = doctor(PAYEX_TOKEN="", PAYEX_TOKEN_FILE="token")
    assert [(each["verdict"], each["detail"]) for each in found["token_file"]] == [("ok", "token  [PAYEX_TOKEN_FILE]")]
    assert found["token"][0]["verdict"] == "ok"


@pytest.mark.parametrize(
    "variables", [{}, {"PAYEX_BASE_URL": NOBODY}, {"PAYEX_TOKEN": ""}, {"PAYEX_TOKEN": "none"}, {"PAYEX_JOURNAL": "."}]
)
def test_each_warning_and_each_wrong_line_says_what_to_do(doctor: Doctor, variables: dict[str, str]) -> None:
    findings = [
        each for same in doctor(**variables).values() for each in same if each["verdict"] in {"wrong", "warning"}
    ]
    assert findings
    assert [each for each in findings if not each["do"]] == []


def test_it_names_the_tls_of_each_engine(doctor: Doctor) -> None:
    for_runs, for_one = (each["detail"] for each in doctor(PAYEX_BASE_URL=NOBODY)["transport"])
    assert "TLS by rustls, trusts the authorities of the system, shows no client certificate" in for_runs
    assert "TLS by OpenSSL" in for_one


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "all commands: none"),
        ({"PAYEX_PROXY": "http://u:pw@127.0.0.1:1"}, "all commands: http://127.0.0.1:1  [PAYEX_PROXY]"),
        (
            {"HTTPS_PROXY": "http://u:pw@127.0.0.1:1"},
            "all commands: http://127.0.0.1:1  [the environment or the system]",
        ),
        ({"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "*"}, "all commands: none, because NO_PROXY names the host"),
    ],
)
def test_it_names_the_proxy_without_its_password(doctor: Doctor, variables: dict[str, str], said: str) -> None:
    found = doctor(PAYEX_BASE_URL=NOBODY, **variables)
    assert [each["detail"] for each in found["proxy"] if each["detail"].startswith("all")] == [said]
    assert "pw" not in json.dumps(found)


def test_with_a_proxy_of_the_environment_it_does_not_try_the_server_itself(doctor: Doctor) -> None:
    assert doctor(PAYEX_BASE_URL=NOBODY, HTTPS_PROXY="http://127.0.0.1:1")["TLS"][0]["verdict"] == "-"


def test_it_names_the_journal(doctor: Doctor, tmp_path: Path) -> None:
    new = doctor()["journal"][0]
    assert (new["verdict"], new["detail"].endswith("journal.db, which the first run creates")) == ("ok", True)
    (tmp_path / "notes.txt").write_text("not a journal, but long enough to be taken for one " * 20)
    wrong = doctor(PAYEX_JOURNAL="notes.txt")["journal"][0]
    assert (wrong["verdict"], "notes.txt" in wrong["detail"]) == ("wrong", True)


def test_every_command_that_sends_requests_is_in_one_of_its_lists() -> None:
    of_the_journal, checks = {"history", "runs"}, {"doctor", "settings"}
    assert {*RUNS, *SINGLE} == set(_with_address(_commands.payex_billing)) - of_the_journal - checks


def _with_address(group: Any) -> list[str]:
    context = _commands.click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = [command, *getattr(command, "commands", {}).values()]
        if any("--base-url" in option.opts for each in below for option in each.params):
            found.append(name)
    return found
