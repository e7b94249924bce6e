"""`make contract` on a real endpoint with writes allowed: only under the prefix, all removed, at a rate, announced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from payex_billing_mock import MockServer
from payex_billing_mock.app import Answer, Request, Respond

from contract_tests.api import (
    CHARGE_ID,
    CUSTOMER_NO,
    Api,
    NotTried,
    charges_path,
    customer_path,
    customers_path,
    new_charge,
    new_customer,
    subscription_path,
)
from contract_tests.exchange import Exchange
from contract_tests.guard import Guard, LimitReached, OutOfBounds
from contract_tests.target import REMOVALS, WRITES
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, ROOT, TOKEN

PREFIX = "CT-"
BASE = f"/billing/customer/v1/{LEDGER}/customers"
WRITING = ("--allow-writes", "--prefix", PREFIX, "--ledger", LEDGER, "--rate", "1000")


def contract(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "contract_tests", *options],
        cwd=ROOT,
        env={**os.environ, "CONTRACT_EXAMPLES": "5", "PAYEX_TOKEN": TOKEN, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def left_over(mock: MockServer, ledger: str = LEDGER) -> tuple[int, int]:
    """How many subscriptions and charges the mock holds in a ledger."""
    customers = list(mock.store.customers(ledger))
    charges = sum(
        len(each.charges) + sum(len(sub.charges) for sub in each.subscriptions.values()) for each in customers
    )
    return sum(len(each.subscriptions) for each in customers), charges


def test_writes_stay_under_the_prefix_and_are_removed(mock: MockServer, asked: list[Request], tmp_path: Path) -> None:
    mock.store.create_customer(LEDGER, new_customer("real"))
    mock.store.create_charge(LEDGER, "real", "", new_charge())

    second = {"PAYEX_OTHER_OWNER_NO": OTHER_LEDGER, "PAYEX_OTHER_TOKEN": OTHER_TOKEN}
    result = contract("--target", mock.url, *WRITING, "--report", str(tmp_path), **second)

    assert result.returncode == 0, result.stdout + result.stderr
    assert f"begin with {PREFIX}, and nothing else" in result.stdout
    written = [each for each in asked if each.method not in {"GET", "HEAD", "OPTIONS"}]
    assert len(written) > 500
    # What the run announced is about what it sent.
    assert 0.8 * (WRITES + REMOVALS) < len(asked) < WRITES + REMOVALS
    for each in written:
        path = each.raw_path.replace(OTHER_LEDGER.encode(), LEDGER.encode())
        under = path.startswith(f"{BASE}/{PREFIX}".encode())
        created = path == BASE.encode() and f'"{CUSTOMER_NO}":"{PREFIX}'.encode() in (each.body or b"")
        assert under or created
    assert left_over(mock) == (0, 1)
    assert list(mock.store.customers(OTHER_LEDGER))
    assert left_over(mock, OTHER_LEDGER) == (0, 0)
    assert len(mock.store.charges(LEDGER, "real")) == 1
    made = {each.id for each in mock.store.customers(LEDGER)} - {"real"}
    (stay,) = re.findall(r"customers stay, because the API removes no customers:\n  (.+)", result.stdout)
    (tried,) = re.findall(r"Created to find out, and stays: (.+)", result.stdout)
    listed = {path.removeprefix(f"{BASE}/") for path in [*stay.split(), tried]}
    assert {each.replace("%20", " ").replace("%26", "&").replace("%2F", "/") for each in listed} >= {
        each for each in made if each.isascii() and "%" not in each
    }
    assert {each.name for each in tmp_path.iterdir()} == {"junit.xml", "exchanges.har", "report.html"}
    for file in tmp_path.iterdir():
        assert TOKEN not in file.read_text(encoding="utf-8")
        assert OTHER_TOKEN not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "interrupt",
    [
        # Ctrl-C in a terminal reaches every process of the group, SIGTERM of a supervisor the first process only.
        pytest.param(lambda process: os.killpg(process, signal.SIGINT), id="Ctrl-C"),
        pytest.param(lambda process: os.kill(process, signal.SIGTERM), id="SIGTERM"),
    ],
)
def test_an_interrupted_run_removes_what_it_made(
    interrupt: Callable[[int], None], mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = threading.Event()

    def watching(request: Request, respond: Respond) -> Answer:
        answer = respond(request)
        if left_over(mock)[1] > 10:
            enough.set()
        return answer

    monkeypatch.setattr(mock.app, "interceptor", watching)
    command = [sys.executable, "-m", "contract_tests", "--target", mock.url, *WRITING]
    environment = {**os.environ, "CONTRACT_EXAMPLES": "5", "PAYEX_TOKEN": TOKEN}
    # What a shell runs in the background is deaf to SIGINT, and so is what that runs: these tests may be.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    run = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    signal.signal(signal.SIGINT, before)
    assert enough.wait(60)

    interrupt(run.pid)
    output, errors = run.communicate(timeout=60)

    assert run.returncode == 130, output + errors
    assert "What this run made has been removed" in output
    assert left_over(mock) == (0, 0)


def test_a_dry_run_sends_nothing(mock: MockServer, asked: list[Request]) -> None:
    result = contract("--target", mock.url, *WRITING, "--dry-run")
    assert result.returncode == 0
    assert "It creates, changes and removes" in result.stdout
    assert asked == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--allow-writes"], "needs --prefix and --ledger on the command line"),
        (["--allow-writes", "--prefix", "CT-"], "needs --prefix and --ledger on the command line"),
        (["--prefix", "CT-", "--ledger", "1"], "--prefix and --leave-data are for --allow-writes"),
        (["--allow-writes", "--prefix", "C", "--ledger", "1"], "2 to 8 letters"),
        (["--allow-writes", "--prefix", "CT/", "--ledger", "1"], "2 to 8 letters"),
        (["--rate", "0", "--ledger", "1"], "requests per second"),
    ],
)
def test_writes_need_their_bounds(options: list[str], said: str) -> None:
    result = contract("--target", "https://sandbox.example", *options)
    assert result.returncode == 64
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_production_is_not_written_to_without_a_second_flag() -> None:
    target = ("--target", "https://lf-api.payex.com", "--dry-run")
    refused = contract(*target, *WRITING)
    assert (refused.returncode, "lf-api.payex.com is production" in refused.stderr) == (64, True)
    assert contract(*target, *WRITING, "--production").returncode == 0


def test_options_of_a_target_are_not_for_the_mock() -> None:
    assert contract("--allow-writes", "--prefix", "CT-", "--ledger", "1").returncode == 64


def test_a_wrong_token_is_a_sentence(mock: MockServer) -> None:
    result = contract("--target", mock.url, "--ledger", LEDGER, PAYEX_TOKEN="wrong")
    assert result.returncode == 1
    assert "it answers 401. Check PAYEX_TOKEN" in result.stderr


class Sent:
    """A transport that only notes what it was asked."""

    origin = "http://testserver"

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        self.asked.append((method, target))
        return 204, {}, b""

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("method", "segments", "body"),
    [
        ("POST", customers_path(), new_customer("X1")),
        ("POST", customers_path(), new_customer(1)),
        ("POST", customers_path(), {}),
        ("POST", charges_path("X1"), new_charge()),
        ("DELETE", customers_path(), ...),
        ("DELETE", subscription_path("X1", "CT-1"), ...),
        ("PATCH", ("orders", "CT-1"), {}),
        ("PUT", customer_path("ct-1"), {}),
    ],
)
def test_the_guard_lets_no_write_out_of_its_bounds(method: str, segments: tuple[str, ...], body: Any) -> None:
    transport = Sent()
    api = Api(transport, "/billing/customer/v1", "1", "t", guard=Guard(PREFIX, 1000))
    with pytest.raises(OutOfBounds):
        api.send(method, *segments, body=body)
    assert transport.asked == []
    assert issubclass(OutOfBounds, NotTried)


def test_without_leave_nothing_is_written_at_all() -> None:
    api = Api(Sent(), "/billing/customer/v1", "1", "t", guard=Guard(None, 1000))
    with pytest.raises(OutOfBounds):
        api.send("POST", *customers_path(), body=new_customer("CT-1"))


def test_requests_keep_to_the_rate() -> None:
    waited: list[float] = []
    guard = Guard(None, 2, sleep=waited.append)
    for _ in range(4):
        guard.before("GET", "/", b"")
    assert [round(each, 1) for each in waited] == [0.5, 1.0, 1.5]


def test_the_guard_knows_each_customer_that_may_exist() -> None:
    guard = Guard(PREFIX, 1000)

    def post(path: str, body: bytes, status: int | None, answer: bytes = b"{") -> None:
        guard.before("POST", path, body)
        if status is not None:
            guard.after(Exchange("POST", path, {}, body, status, {"content-type": "application/json"}, answer))

    def named(number: str) -> bytes:
        return f'{{"{CUSTOMER_NO}":"{number}"}}'.encode()

    post(BASE, named("CT-made"), 201)
    post(BASE, named("CT-refused"), 400)
    post(BASE, named("CT-failed"), 503)
    post(BASE, named("CT-gave-up"), 408)
    post(BASE, named("CT-a/b c"), None)
    post(f"{BASE}/CT-above/{charges_path('CT-above')[-1]}", b"{}", 201, f'{{"{CHARGE_ID}":"7"}}'.encode())
    post(f"{BASE}/CT-not-found/{charges_path('')[-1]}", b"{}", 404)

    names = ["made", "failed", "gave-up", "above", "a%2Fb%20c"]
    assert guard.customers() == [f"{BASE}/CT-{each}" for each in names]
    assert guard.made == {f"{BASE}/CT-above/{charges_path('')[-1]}/7": "charge"}


def test_the_guard_keeps_to_the_announced_number_of_requests() -> None:
    guard = Guard(None, 1000, limit=2)
    for _ in range(2):
        guard.before("GET", "/", b"")
    with pytest.raises(LimitReached, match="at most 2 requests"):
        guard.before("GET", "/", b"")
