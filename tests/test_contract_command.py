"""`make contract` against a real endpoint: safe methods only, and a sentence for every wrong start."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer

from contract_tests.certificates import Certificates
from contract_tests.variants.contract import problem_keys_in_pascal_case
from tests.support import LEDGER, ROOT, TOKEN


def contract(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contract_tests", *options],
        cwd=ROOT,
        env={**os.environ, "CONTRACT_EXAMPLES": "5", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("target", "environment", "code", "said"),
    [
        ("http://127.0.0.1:1", {}, 64, "needs PAYEX_TOKEN"),
        ("http://127.0.0.1:1", {"PAYEX_TOKEN": "t"}, 64, "needs --ledger, or PAYEX_OWNER_NO"),
        ("http://127.0.0.1:1", {"PAYEX_TOKEN": "t", "PAYEX_OWNER_NO": "1"}, 1, "cannot be used: no connection"),
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


def test_a_broken_promise_fails_with_a_report_and_a_command_to_repeat_it_and_no_secret(
    mock: MockServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    leak = Answer(200, {"Content-Type": "application/json", "Server": "nginx/1.25.3"}, b"{}")
    monkeypatch.setattr(
        mock.app,
        "interceptor",
        lambda request, respond: leak if b"/customers/7" in request.raw_path else respond(request),
    )
    options = ("--target", mock.url, "--ledger", LEDGER, "--seed", "7", "--rate", "1000", "--report", str(tmp_path))

    result = contract(*options, PAYEX_TOKEN=TOKEN)

    assert result.returncode == 1
    assert (
        f'make contract TARGET={mock.url} ARGS="--seed 7 --ledger {LEDGER} --rate 1000 --report {tmp_path}"'
        in result.stderr
    )
    page, har, junit = ((tmp_path / name).read_text() for name in ("report.html", "exchanges.har", "junit.xml"))
    assert "promises are broken" in page
    assert "What was promised" in page
    assert "openapi.yaml:" in result.stdout
    assert "def " not in result.stdout
    assert "curl -i -X GET -H &quot;Authorization: Bearer $PAYEX_TOKEN&quot;" in page
    assert "Reached of the contract" in page
    assert "per second" in result.stdout
    assert {"request", "response", "time"} <= set(json.loads(har)["log"]["entries"][0])
    assert "<testsuite" in junit
    assert TOKEN not in page + har + junit


def test_a_target_may_write_the_keys_of_a_problem_in_any_case(
    mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        mock.app, "interceptor", lambda request, respond: problem_keys_in_pascal_case(request, respond(request))
    )
    result = contract("--target", mock.url, "--ledger", LEDGER, "--rate", "1000", PAYEX_TOKEN=TOKEN)
    assert result.returncode == 0, result.stdout


def test_a_refused_client_certificate_is_a_sentence(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    with MockServer({LEDGER: TOKEN}, tls=certificates.server) as server:
        own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_CA_FILE": str(certificates.ca)}
        refused = contract("--target", server.url, **own)
        untrusted = contract("--target", server.url, **own | {"PAYEX_CA_FILE": ""})
        missing = contract("--target", server.url, **own, PAYEX_CLIENT_CERT="/nowhere.pem")
    for result in (refused, untrusted):
        assert (result.returncode, "TLS failed" in result.stderr) == (1, True), result.stderr
        assert "Traceback" not in result.stderr
    assert (missing.returncode, "a certificate cannot be used" in missing.stderr) == (64, True)


def test_a_target_is_sent_nothing_but_get_over_tls_with_a_client_certificate(tmp_path: Path) -> None:
    methods: set[str] = set()
    certificates = Certificates(tmp_path)
    with MockServer({LEDGER: TOKEN}, tls=certificates.server) as server:
        server.app.observers.append(lambda handled: methods.add(handled.request.method))
        result = contract(
            "--target", server.url, "--rate", "1000", PAYEX_TOKEN=TOKEN, PAYEX_OWNER_NO=LEDGER,
            PAYEX_CA_FILE=str(certificates.ca), PAYEX_CLIENT_CERT=str(certificates.client[0]), PAYEX_CLIENT_KEY=str(certificates.client[1]),
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    assert "nothing but GET is sent" in result.stdout
    assert "about 700 requests: 2 seconds at 1000 per second" in result.stdout
    assert "10 passed" in result.stdout  # the 7 reads of the contract, and the 3 probes that only read
    assert methods == {"GET"}


def test_a_run_does_not_begin_on_a_ledger_that_removes_nothing(tmp_path: Path) -> None:
    database = tmp_path / "peer.db"
    command = [sys.executable, "-m", "contract_tests.peer", "--db", str(database), "--ledger", f"{LEDGER}={TOKEN}"]
    with subprocess.Popen([*command, "--variant", "delete-501"], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            writes = ("--allow-writes", "--prefix", "CT-", "--rate", "1000")
            result = contract("--target", url, "--ledger", LEDGER, *writes, PAYEX_TOKEN=TOKEN)
        finally:
            server.terminate()
    with closing(sqlite3.connect(database)) as peer:
        kept = [row[0] for row in peer.execute("select id from charge")]
    assert result.returncode == 1, result.stdout
    assert "does not remove what a run makes" in result.stderr
    assert "--leave-data" in result.stderr
    assert len(kept) == 2, "one of a customer, one of a subscription"
    assert all("DELETE -H" in line for line in result.stderr.splitlines() if "curl" in line)
    assert all(each in result.stderr for each in kept)
    assert TOKEN not in result.stderr


def test_the_files_of_another_test_suite_do_not_change_a_run(mock: MockServer, tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    for name in ("conftest.py", "requests.py", "schemathesis.py"):
        (tmp_path / name).write_text("raise RuntimeError('a file of another test suite was loaded')\n")
    before = sorted(tmp_path.iterdir())
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "CONTRACT_EXAMPLES": "1", "PYTHONSAFEPATH": "1"}
    result = subprocess.run(
        [sys.executable, "-m", "contract_tests", "--target", mock.url, "--rate", "1000"], cwd=tmp_path,
        env={**os.environ, **own, "PYTHONPATH": os.pathsep.join(map(str, sys.path)), "PYTEST_ADDOPTS": "--nonsense"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, "10 passed" in result.stdout) == (0, True), result.stdout + result.stderr
    assert sorted(tmp_path.iterdir()) == before


def test_the_command_of_the_wheel_points_to_make_in_a_checkout() -> None:
    command = [sys.executable, "-m", "payex_billing", "contract", "test", "--help"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, "use make contract" in result.stderr) == (1, True), result.stderr


def test_a_contract_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    """As in a checkout whose openapi.yaml somebody has just broken."""
    for name in ("contract_tests", "mock_server"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "openapi.yaml").write_text("paths: [")
    paths = os.pathsep.join([str(tmp_path), str(tmp_path / "mock_server")])
    command = [sys.executable, "-m", "contract_tests"]
    result = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False
    )
    assert (result.returncode, "openapi.yaml is not YAML" in result.stderr, "Traceback" in result.stderr) == (
        1,
        True,
        False,
    )
