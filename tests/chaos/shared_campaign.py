"""A night of many processes over one journal in PostgreSQL: they are killed, stopped and cut off on a bad network.

Nothing here imports the client.
"""

from __future__ import annotations

import http.client
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg

from tests.chaos.apply_process import PREFIX, Mock, Row, write_table
from tests.chaos.failing_proxy import FIN, RST, TOO_MANY, Exchange, FailingProxy, Fate, Reply, bare, problem
from tests.chaos.shared_processes import CLOCKS, Parent, Process

LEASE, SETTLE, TIMEOUT = 0.8, 2.0, 3.0  # seconds
# A request can leave as long after the last look at the lease as its process was stopped. The next holder waits for
# the limit of an attempt and for `settle`; the late commits of the proxy take nearly all of `settle`.
LONGEST_STOP = TIMEOUT - 0.15
WORKERS = 8
EVENTS_PER_SECOND = 20
# What is done to the processes, and how often.
STRIKES = {
    "kill worker": 4, "kill coordinator": 1, "kill webhook": 1, "kill sender": 4, "stop sender": 3, "stop reader": 4, "stop": 1, "cut": 4,
    "second coordinator": 1, "new table": 3,
}  # fmt: skip


# the network


def bad_network(seed: int, *, delay: float = 0.06, share: float = 0.2) -> Callable[[Exchange], Fate | None]:
    """Lose requests and responses, let writes take effect late, respond as a gateway does, ask to wait."""
    dice = random.Random(f"network {seed}")

    def choose(exchange: Exchange) -> Fate | None:
        if dice.random() > share:
            return Fate(delay=dice.uniform(0.0, delay))
        if exchange.is_write and dice.random() < 0.5:
            lost: list[Reply | str] = [RST, FIN, bare(502), bare(504)]
            late = dice.uniform(0.05, 0.8) * SETTLE
            return Fate(reaches=late, answer=dice.choice(lost), delay=dice.choice([0.0, 0.0, 0.3]))
        too_many = TOO_MANY if dice.random() < 0.02 else problem(429, "too-many-requests")
        return dice.choice(
            [
                Fate(reaches=None, answer=RST),
                Fate(answer=RST),
                Fate(answer=FIN),
                Fate(answer=bare(502)),
                Fate(answer=bare(504)),
                Fate(reaches=None, answer=problem(503, "service-unavailable", "Retry-After: 0")),
                Fate(reaches=None, answer=too_many),
                Fate(delay=dice.uniform(0.1, 0.5)),
            ]
        )

    return choose


# a night


@dataclass
class Event:
    """A charge that a webhook ensures."""

    number: int
    row: Row
    ok: str | None = None  # the id of the charge, as the webhook said it

    @property
    def order(self) -> dict[str, Any]:
        row = self.row
        charge = {"product": row.product, "quantity": row.quantity, "price": row.price, "start": row.start}
        return {
            "number": self.number, "customer": row.customer, "subscription": row.subscription, "charge": charge,
        }  # fmt: skip


@dataclass
class Campaign:
    """One table, its processes, and what is done to them. Every choice comes from `seed`."""

    seed: int
    mock: Mock
    ledger: str
    proxy: FailingProxy
    parents: dict[float, Parent]
    address: str
    folder: Path
    customers: int = 100
    rate: float | None = None
    workers: int = WORKERS
    concurrency: int = 2  # of a worker
    with_webhook: bool = True
    story: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.tables = list[tuple[Path, list[Row], float]]()  # each with its rows, and since when it is there
        self._numbers = count(1)
        self.began = time.monotonic()
        self._sending: list[Event] = []
        self._prepare()

    # before the first process

    def _prepare(self) -> None:
        """Write the table; hold some of its customers and charges."""
        dice, rows = self.dice, list[Row]()
        self.held_first: set[Row] = set()
        self.updated: set[Row] = set()
        connection = http.client.HTTPConnection(*self._mock_address(), timeout=30)
        for number in range(self.customers):
            name = f"K{self.seed}-{number}"
            exists = dice.random() < 0.85
            if exists:
                self._send(connection, "", {"customerNo": name})
            subscription = "S" if dice.random() < 0.2 else None
            if exists and subscription:
                self._send(connection, f"/{name}/subscriptions", {"subscriptionNo": subscription})
            for product in ("P01", "P02", "P03")[: dice.randint(1, 3)]:
                row = Row(
                    name, product, subscription, dice.randint(1, 3), f"{dice.randint(20, 39)}.50", start="2026-01-01"
                )
                rows.append(row)
                luck = dice.random() if exists else 1.0
                if luck < 0.2:
                    held = row if luck < 0.1 else replace(row, price="30.25")
                    where = f"/{name}" + (f"/subscriptions/{subscription}" if subscription else "")
                    self._send(connection, f"{where}/recurring-products", _content(held))
                    (self.held_first if luck < 0.1 else self.updated).add(row)
        connection.close()
        self._new_table(rows)
        created = [row for row in rows if row not in self.held_first and row not in self.updated]
        for number in range(self.customers if self.with_webhook else 0):
            row = dice.choice(created)
            if dice.random() < 0.5:
                row = replace(row, product="WEB", quantity=1, price=f"{20 + number / 100:.2f}")
            self.events.append(Event(number, row))

    def _new_table(self, rows: list[Row]) -> None:
        path = self.folder / f"charges-{len(self.tables) + 1}.csv"
        self.tables.append((write_table(path, rows), rows, time.monotonic()))

    @property
    def rows(self) -> list[Row]:
        """The rows of the latest table."""
        return self.tables[-1][1]

    def _change_table(self) -> None:
        """Give some charges another price, and add some. The next coordinator has the new table."""
        dice, number = self.dice, len(self.tables)
        of_events = {event.row for event in self.events}
        free = [index for index, row in enumerate(self.rows) if row not in of_events]
        chosen = set(dice.sample(free, min(len(free), 10)))
        rows = [
            replace(row, price=f"{dice.randint(20, 39)}.{number:02}") if index in chosen else row
            for index, row in enumerate(self.rows)
        ]
        by_customer = {row.customer: row for row in rows}
        more = dice.sample(list(by_customer.values()), len(by_customer) // 2)
        price = f"{dice.randint(20, 39)}.50"
        self._new_table([*rows, *(replace(row, product=f"N{number}", price=price) for row in more)])

    def _mock_address(self) -> tuple[str, int]:
        parts = urlsplit(self.mock.url)
        return parts.hostname or "", parts.port or 80

    def _send(self, connection: http.client.HTTPConnection, path: str, content: dict[str, Any]) -> None:
        headers = {"Authorization": f"Bearer token-{self.ledger}", "Content-Type": "application/json"}
        url = f"{PREFIX}/{self.ledger}/customers{quote(path)}"
        connection.request("POST", url, json.dumps(content), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == 201, (url, response.status, text)

    # processes

    def say(self, text: str) -> None:
        self.story.append(f"{time.monotonic() - self.began:6.2f} {text}")

    def start(self, role: str, **more: Any) -> Process:
        ahead = self.dice.choice(CLOCKS)
        options = {
            "ledger": self.ledger, "url": self.proxy.url, "address": self.address, "table": str(self.tables[-1][0]),
            "lease": LEASE, "settle": SETTLE, "timeout": TIMEOUT, "rate": self.rate,
            "engine": self.dice.choice(["httpx", "reqwest"]), "concurrency": 6 if role == "coordinator" else self.concurrency,
            # Another machine has no plan of the run.
            "state_home": str(self.folder / self.dice.choice(["machine-a", "machine-a", "machine-b"])),
            **more,
        }  # fmt: skip
        name = f"{role}-{next(self._numbers)}"
        process = Process(self.parents[ahead], role, name, self.folder, options)
        self.processes.append(process)
        self.say(f"started {name}, pid {process.pid}, clock {ahead:+g}, {options['engine']}")
        return process

    def running(self, role: str) -> list[Process]:
        return [process for process in self.processes if process.role == role and process.is_running()]

    def _send_events(self) -> None:
        """Send what no webhook has confirmed to a new webhook, as a sender of webhooks does."""
        self._collect()
        self._sending = [event for event in self.events if event.ok is None]
        if self._sending:
            self.start(
                "webhook", events=[event.order for event in self._sending], events_per_second=EVENTS_PER_SECOND,
                threads=self.dice.random() < 0.5,
            )  # fmt: skip

    def _collect(self) -> None:
        """Read what the webhooks have said."""
        for process in self.processes:
            if process.role == "webhook":
                for line in process.lines():
                    if "ok" in line:
                        self.events[line["event"]].ok = line["ok"]

    # the campaign

    def run(self, strikes: int, *, pause: float = 0.35) -> None:
        """Strike so many times while everything runs, then let the processes finish."""
        with psycopg.connect(self.address, autocommit=True) as database:
            while len(self.running("worker")) < self.workers:
                self.start("worker")
            self.start("coordinator")
            if self.with_webhook:
                self._send_events()
            due = time.monotonic() + 1.0
            until = time.monotonic() + 90
            while sum(self.struck.values()) < strikes:
                assert time.monotonic() < until, self._failure("it does not come to an end")
                self._keep_going()
                if time.monotonic() >= due and self._strike(database):
                    due = time.monotonic() + self.dice.uniform(0.3, 1.7) * pause
                time.sleep(0.02)
        self.finish()

    def stop_one(self, moment: str, seconds: float) -> None:
        """Stop a worker on a good network, while others go on.

        `moment` is `note`, right before it notes a creation, or `send`, between the last look at the lease and the
        socket.
        """
        self.proxy.weather = lambda _: Fate(delay=0.03)
        stopped = self.start("worker", stops_before=moment)
        self.start("coordinator", concurrency=2)
        until = time.monotonic() + 120
        while not stopped.is_stopped():
            assert time.monotonic() < until, self._failure("no worker came as far as the socket")
            time.sleep(0.005)
        self.say(f"{stopped.name} has stopped itself")
        self.start("worker")
        time.sleep(seconds)
        stopped.signal(signal.SIGCONT)
        self.say(f"{stopped.name} goes on")
        self.finish()

    def _keep_going(self) -> None:
        """Start again what has ended; wake what was stopped long enough."""
        for process in self.processes:
            process.wake_if_due()
        if len(self.running("worker")) < self.workers:
            self.start("worker")
        if not self.running("coordinator"):
            self.start("coordinator")
        if self.with_webhook and not self.running("webhook"):
            self._send_events()

    def _strike(self, database: psycopg.Connection[Any]) -> bool:
        """Strike once. Return False if there is nobody to strike at this moment."""
        what = self.dice.choices(list(STRIKES), [*STRIKES.values()])[0]
        if what == "cut":
            query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'payex-billing%' ORDER BY pid"
            found = [pid for (pid,) in database.execute(query)]
            chosen = found if self.dice.random() < 0.2 else self.dice.sample(found, min(len(found), 1))
            for pid in chosen:
                database.execute("SELECT pg_terminate_backend(%s)", (pid,))
            self.say(f"cut {len(chosen)} of {len(found)} connections")
            self.struck[what] += 1
            return True
        if what in {"second coordinator", "new table"}:
            self.say(what)
            self.struck[what] += 1
            if what == "new table":
                self._change_table()
            else:
                self.start("coordinator")
            return True
        verb, _, role = what.partition(" ")
        roles = [role] if role in {"worker", "coordinator", "webhook"} else ["worker", "coordinator", "webhook"]
        targets = [process for name in roles for process in self.running(name) if process.stopped_until is None]
        if role in {"sender", "reader"}:
            names = self._senders() if role == "sender" else self._readers()
            targets = [process for process in targets if process.name in names]
        if not targets:
            return False
        process = self.dice.choice(targets)
        if verb == "kill":
            process.signal(signal.SIGKILL)
            self.say(f"killed {process.name}")
        else:
            seconds = self.dice.uniform(1.05 * LEASE, LONGEST_STOP)
            process.stop_for(seconds)
            self.say(f"stopped {process.name} for {seconds:.2f} s")
        self.struck[what] += 1
        return True

    def _senders(self) -> set[str]:
        """The processes whose write has not taken effect yet."""
        now = time.monotonic()
        latest = [each for each in self.proxy.log[-200:] if each.is_write and now - each.arrived < SETTLE]
        return {
            each.headers.get("x-who", "") for each in latest if each.reached is None and each.fate.reaches is not None
        }

    def _readers(self) -> set[str]:
        """The processes that have just read a customer: the next thing they do may be to note a write."""
        now = time.monotonic()
        return {
            each.headers.get("x-who", "")
            for each in self.proxy.log[-50:]
            if not each.is_write and now - each.arrived < 0.1
        }

    def finish(self) -> None:
        """Let all go on, and run coordinators until one has nothing left to do; then confirm every event."""
        self.say("no further strikes")
        self.proxy.forget_rules()
        for process in self.processes:
            process.wake_if_due(now=True)
        until = time.monotonic() + 180
        last: Process | None = None
        while last is None or last.code != 0 or last.options["table"] != str(self.tables[-1][0]):
            assert time.monotonic() < until, self._failure("no coordinator could finish")
            running = self.running("coordinator")
            last = running[0] if running else self.start("coordinator")
            while last.is_running():
                assert time.monotonic() < until, self._failure(f"{last.name} does not end")
                if len(self.running("worker")) < self.workers:
                    self.start("worker")
                time.sleep(0.02)
        self.last = last
        while self.with_webhook and (self.running("webhook") or any(event.ok is None for event in self.events)):
            assert time.monotonic() < until, self._failure("the events are not confirmed")
            if not self.running("webhook"):
                self._send_events()
            time.sleep(0.02)
            self._collect()
        self.proxy.wait_until_quiet()
        for process in self.running("worker"):
            process.signal(signal.SIGKILL)
        while any(process.is_running() for process in self.processes):
            time.sleep(0.005)

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            process.signal(signal.SIGKILL)
        until = time.monotonic() + 10
        while any(process.is_running() for process in self.processes) and time.monotonic() < until:
            time.sleep(0.005)

    def _failure(self, what: str) -> str:
        alive = "\n".join(f"{each}" for each in self.processes if each.is_running())
        return f"seed {self.seed}: {what}\n" + "\n".join(self.story[-60:]) + f"\nstill running:\n{alive}"


def _content(row: Row) -> dict[str, Any]:
    values = {"productCode": row.product, "quantity": row.quantity, "unitPrice": float(row.price)}
    return {**values, "startDate": row.start}


@contextmanager
def campaign_on(
    mock: Mock, ledger: str, parents: dict[float, Parent], address: str, folder: Path, seed: int, **options: Any
) -> Iterator[Campaign]:
    """A campaign whose processes end with the block."""
    with FailingProxy(mock.url, longest_late=0.9 * SETTLE) as proxy:
        campaign = Campaign(seed, mock, ledger, proxy, parents, address, folder, **options)
        proxy.weather = bad_network(seed)
        try:
            yield campaign
        finally:
            campaign.end()
            lines = [
                f"{each.arrived - campaign.began:7.3f} {each.headers.get('x-who')} {each}" for each in list(proxy.log)
            ]
            (folder / "story.txt").write_text("\n".join([*campaign.story, *lines]))
