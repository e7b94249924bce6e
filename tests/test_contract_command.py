"""`make contract` against a real endpoint: safe methods only, and a sentence for every wrong start."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request

from tests.support import LEDGER, ROOT, TOKEN


def contract(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contract_tests", *options],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_target_is_sent_nothing_but_get(mock: MockServer, monkeypatch: pytest.MonkeyPatch) -> None:
    methods: set[str] = set()
    handle = mock.app.handle

    def recording(request: Request) -> Answer:
        methods.add(request.method)
        return handle(request)

    monkeypatch.setattr(mock.app, "handle", recording)

    result = contract("--target", mock.url, PAYEX_TOKEN=TOKEN, PAYEX_OWNER_NO=LEDGER)

    assert result.returncode == 0, result.stdout
    assert "nothing but GET is sent" in result.stdout
    assert "7 passed" in result.stdout  # the reads of the contract
    assert methods == {"GET"}


def test_a_target_that_breaks_the_contract_fails_with_a_command_to_repeat_it(
    mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mock.app, "handle", lambda request: Answer(200, {"Content-Type": "text/html"}, b"<html>"))
    result = contract("--target", mock.url, "--seed", "7", PAYEX_TOKEN=TOKEN, PAYEX_OWNER_NO=LEDGER)
    assert result.returncode == 1
    assert f'make contract TARGET={mock.url} ARGS="--seed 7"' in result.stderr


@pytest.mark.parametrize(
    ("target", "environment", "code", "said"),
    [
        ("http://127.0.0.1:1", {}, 64, "needs PAYEX_TOKEN"),
        ("http://127.0.0.1:1", {"PAYEX_TOKEN": "t"}, 64, "needs PAYEX_OWNER_NO"),
        ("http://127.0.0.1:1", {"PAYEX_TOKEN": "t", "PAYEX_OWNER_NO": "1"}, 1, "cannot be reached: no connection"),
        ("nonsense", {}, 64, "not a URL"),
        ("http://[", {}, 64, "not a URL"),
        ("http://x.example", {}, 64, "must be https"),
    ],
)
def test_a_wrong_start_is_a_sentence(target: str, environment: dict[str, str], code: int, said: str) -> None:
    result = contract("--target", target, **environment)
    assert result.returncode == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr
