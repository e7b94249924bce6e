"""`apply` is killed at any moment, on a network that loses responses and delays commits: every charge is there exactly once.

`make test` kills 10 times, `make nightly` 200 times with a seed of its own.
"""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from payex_billing_mock import Faults, MockServer
from payex_billing_mock.app import Answer, Request, Respond

from tests.support import LEDGER, NIGHTLY, TOKEN

KILLS = 200 if NIGHTLY else 10
COLUMNS = ["customer_no", "subscription_no", "product_code", "quantity", "unit_price", "text", "start_date", "end_date"]
NETWORK = [
    "lose-answer:POST@0.05", "reset-before@0.03", "reset-after@0.03", "429=0@0.03", "503=0@0.03",
    "late-commit=0.8:POST@0.03",
]  # fmt: skip
LATEST, SETTLE = 1.2, 3.0  # seconds: the server commits no later than LATEST after it has the request
WRITES = {"POST", "PATCH", "DELETE"}
Content = tuple[str, ...]


def write_table(path: Path, chance: random.Random) -> Counter[Content]:
    """A table of new charges; returns how often each is wanted."""
    rows = []
    for customer in chance.sample(range(10_000_000, 10_000_200), 14):
        for _ in range(chance.randint(1, 5)):
            subscription = chance.choice(["", f"4670{chance.randint(1, 2)}"])
            price = f"{chance.randint(-99, 999)}.{chance.randint(1, 9)}5"
            start = f"2026-0{chance.randint(1, 9)}-01"
            rows.append([str(customer), subscription, f"P0{chance.randint(1, 3)}", "1", price, "Fiber", start, ""])
    rows += chance.sample(rows, 4)  # twice on purpose
    chance.shuffle(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([COLUMNS, *rows])
    return Counter(tuple(row) for row in rows)


def held(mock: MockServer) -> Counter[Content]:
    """What the mock holds, in the table's words."""
    found: Counter[Content] = Counter()
    for customer in mock.store.customers(LEDGER):
        for owner in (customer, *customer.subscriptions.values()):
            for charge in owner.charges.values():
                document = charge.document
                values = [
                    str(document.get(name, ""))
                    for name in ("productCode", "quantity", "unitPrice", "text", "startDate", "endDate")
                ]
                subscription = "" if owner is customer else owner.id
                found[customer.id, subscription, *(each.replace("None", "") for each in values)] += 1
    return found


def normalized(wanted: Counter[Content]) -> Counter[Content]:
    return Counter(
        {
            tuple(str(float(each)) if index == 4 else each for index, each in enumerate(row)): count
            for row, count in wanted.items()
        }
    )


class Killer:
    """Kills a process when the mock is asked to write for the n-th time.

    After the write took effect, or before it: then the server goes on with it, and is done only when the next process
    may have read already.
    """

    def __init__(self, mock: MockServer, monkeypatch: pytest.MonkeyPatch, chance: random.Random) -> None:
        self._chance = chance
        self._late: list[threading.Timer] = []
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._left = 0
        self._first = False
        self.kills = 0
        monkeypatch.setattr(mock.app, "interceptor", self.intercept)

    def aim(self, process: subprocess.Popen[str], writes: int, *, first: bool) -> None:
        with self._lock:
            self._process, self._left, self._first = process, writes, first

    def intercept(self, request: Request, respond: Respond) -> Answer:
        if request.method not in WRITES:
            return respond(request)
        if self._first:
            if not self._shoot():
                return respond(request)
            late = threading.Timer(self._chance.uniform(0, LATEST), respond, [request])
            late.start()
            self._late.append(late)
            return Answer(503, {"Content-Length": "0"}, b"")  # nobody is there to read it
        answer = respond(request)
        self._shoot()
        return answer

    def settle(self) -> None:
        """Wait until the server is through with all that it was sent."""
        for late in self._late:
            late.join()

    def _shoot(self) -> bool:
        with self._lock:
            if self._process is None:
                return False
            self._left -= 1
            if self._left > 0:
                return False
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            self.kills += 1
            return True


def command(mock: MockServer, *arguments: str) -> tuple[list[str], dict[str, str]]:
    line = [sys.executable, "-m", "payex_billing", *arguments]
    own = {"PAYEX_TOKEN": TOKEN, "PAYEX_OWNER_NO": LEDGER, "PAYEX_BASE_URL": mock.url, "PAYEX_TIMEOUT": "2"}
    return line, {**os.environ, **own}


def test_every_charge_is_there_exactly_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> None:
    seed = random.SystemRandom().randrange(10**9) if NIGHTLY else int(request.config.getoption("hypothesis_seed") or 1)
    sys.stdout.write(f"seed {seed}\n")  # shown when it fails
    chance = random.Random(seed)
    kills = rounds = 0
    while kills < KILLS:
        rounds += 1
        file = tmp_path / f"{rounds}.csv"
        wanted = write_table(file, chance)
        with MockServer({LEDGER: TOKEN}, faults=Faults(*NETWORK, seed=chance.randrange(10**6))) as mock:
            killer = Killer(mock, monkeypatch, chance)
            arguments, environment = command(
                mock, "apply", str(file), "--allow-duplicates", "--first-run", "--settle", str(SETTLE)
            )
            for sitting in range(60):
                process = subprocess.Popen(
                    arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
                )
                if sitting < 8:
                    killer.aim(process, chance.randint(1, 15), first=chance.random() < 0.5)
                output, errors = process.communicate(timeout=60)
                assert process.returncode in {-signal.SIGKILL, 0, 3}, errors
                assert sum((held(mock) - normalized(wanted)).values()) == 0, "a charge is there that nobody wants"
                if process.returncode == 0:
                    break
            assert process.returncode == 0, output + errors
            killer.settle()
            mock.wait_for_late_writes()
            assert held(mock) == normalized(wanted)
            kills += killer.kills
        monkeypatch.undo()
    assert rounds
