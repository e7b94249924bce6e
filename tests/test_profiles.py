"""Profiles: the settings of several ledgers in one file, and never those of two ledgers mixed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from payex_billing_mock import MockServer

from tests.commands import run_command
from tests.support import LEDGER, TOKEN

Run = Callable[..., subprocess.CompletedProcess[str]]
ELSEWHERE = {"PAYEX_OWNER_NO": "9999", "PAYEX_BASE_URL": "https://elsewhere.example", "PAYEX_TOKEN": "of-elsewhere"}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(profiles: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "payex-billing").mkdir(exist_ok=True)
        (tmp_path / "payex-billing" / "profiles.toml").write_text(profiles, encoding="utf-8")
        return run_command(*arguments, environment={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), **variables})

    return run


def profile(mock: MockServer, *more: str) -> str:
    command = json.dumps([sys.executable, "-c", f"print({TOKEN!r})"])
    lines = ["[test]", f'owner_no = "{LEDGER}"', f'base_url = "{mock.url}"', f"token_command = {command}", *more]
    return "\n".join(lines)


def test_a_profile_wins_over_the_environment(run: Run, mock: MockServer) -> None:
    mock.store.create_customer(LEDGER, {"customerNo": "7"})
    result = run(profile(mock), "customer", "get", "7", "--profile", "test", **ELSEWHERE)
    assert (result.returncode, result.stdout) == (0, "Customer 7\n")


def test_an_option_wins_over_the_profile(run: Run, mock: MockServer) -> None:
    options = ("--profile", "test", "--owner-no", "5678", "--json")
    found = json.loads(run(profile(mock), "settings", *options).stdout)["settings"]
    assert (found["owner_no"]["value"], found["base_url"]["value"]) == ("5678", mock.url)


def test_another_environment_takes_the_place_of_the_address(run: Run, mock: MockServer) -> None:
    options = ("--profile", "test", "--environment", "sandbox", "--json")
    found = json.loads(run(profile(mock), "settings", *options).stdout)["settings"]
    assert found["base_url"]["value"] == "https://api.sandbox.payex.com"


@pytest.mark.parametrize(
    ("profiles", "said"),
    [
        ('[test]\nowner_no = "1"\nenvironment = "sandbox"\ntoken = "x"', "token must not be in the file"),
        ('[test]\nowner_no = "1"', "must have owner_no, and environment or base_url"),
        ('[test]\nenvironment = "sandbox"', "must have owner_no, and environment or base_url"),
        ('[test]\nowner_no = "1"\nenvironment = "sandbox"\ntimout = 3', "Did you mean 'timeout'?"),
        ('[tset]\nowner_no = "1"', "Did you mean 'tset'?"),
        ('[test]\nowner_no = "1"\nenvironment = "sandbox"\ntoken_command = "pass payex"', "a list of words"),
        ("[test", "is not a TOML file"),
    ],
)
def test_a_profile_that_is_not_valid_is_a_sentence(run: Run, profiles: str, said: str) -> None:
    result = run(profiles, "settings", "--profile", "test", **ELSEWHERE)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_token_command_that_fails_is_a_sentence_and_nothing_is_sent(run: Run, mock: MockServer) -> None:
    text = profile(mock).replace(f"print({TOKEN!r})", "raise SystemExit(3)")
    result = run(text, "customer", "get", "7", "--profile", "test")
    assert result.returncode == 1
    assert "token_command" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_rate_of_a_profile_is_used_unless_an_option_gives_another(run: Run, mock: MockServer) -> None:
    text = profile(mock, "max_rate = 50", 'engine = "httpx"', "deadline = 20")
    assert (
        json.loads(run(text, "settings", "--profile", "test", "--json").stdout)["settings"]["max_rate"]["value"]
        == "50.0"
    )
    assert run(text, "doctor", "--profile", "test").returncode == 0
