"""A night of many processes over one journal in PostgreSQL: they are killed, stopped and cut off, and then judged.

Nothing here imports the client. The truth is the mock's database file and the proxy's log of what reached the mock.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg

from tests.chaos.apply_process import PREFIX, Mock, Row, write_table
from tests.chaos.failing_proxy import FIN, RST, TOO_MANY, Exchange, FailingProxy, Fate, Reply, bare, problem
from tests.support import ROOT

LEASE, SETTLE, TIMEOUT = 1.0, 1.5, 2.0  # seconds
# A request can leave as long after the last look at the lease as its process was stopped. The next holder waits for
# the limit of an attempt and for `settle`; the late commits of the proxy take nearly all of `settle`.
LONGEST_STOP = TIMEOUT - 0.15
CLOCKS = (0.0, 300.0, -300.0)  # seconds ahead
WORKERS = 8
EVENTS_PER_SECOND = 20
# What is done to the processes, and how often.
STRIKES = {
    "kill worker": 6, "kill coordinator": 2, "kill webhook": 2, "cut": 5, "stop": 5, "second coordinator": 1, "new table": 1,
}  # fmt: skip
CODES = {"coordinator": {0, 1, 3, -9}, "worker": {1, -9}, "webhook": {0, 1, -9}}
CHANGED = "the customer has changed since it was planned"
# With these errors a webhook says that it added nothing.
NOTHING_DONE = {"CustomerBusy", "LeaseLost"}


# processes


class Parent:
    """A program that forks processes whose clock is so many seconds ahead."""

    def __init__(self, ahead: float, folder: Path) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.upper().startswith(("PAYEX_", "HTTP"))
        } | {"HOME": str(folder), "PYTHONFAULTHANDLER": "1"}
        self._errors = (folder / f"parent{ahead:g}.txt").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.shared_child", str(ahead)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, cwd=ROOT, env=environment, text=True,
        )  # fmt: skip
        self._ended: dict[int, int] = {}

    def is_ready(self) -> bool:
        """Block until it can fork."""
        assert self._process.stdout is not None
        return "ready" in self._process.stdout.readline()

    def start(self, role: str, output: Path, options: dict[str, Any]) -> int:
        return int(self._ask({"do": "start", "role": role, "output": str(output), "options": options})["pid"])

    def code(self, pid: int) -> int | None:
        """Return the exit code of a process; None if it runs."""
        if pid not in self._ended:
            found = self._ask({"do": "poll"})["ended"]
            self._ended |= {int(number): code for number, code in found.items()}
        return self._ended.get(pid)

    def _ask(self, order: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> None:
        self._process.kill()  # its processes die with it
        self._process.communicate()
        self._errors.close()


@contextmanager
def parents(folder: Path) -> Iterator[dict[float, Parent]]:
    made = {ahead: Parent(ahead, folder) for ahead in CLOCKS}
    try:
        for parent in made.values():
            assert parent.is_ready(), "a parent did not start"
        yield made
    finally:
        for parent in made.values():
            parent.end()


class Process:
    """A coordinator, a worker or a webhook."""

    def __init__(self, parent: Parent, role: str, name: str, folder: Path, options: dict[str, Any]) -> None:
        self.role, self.name, self.options = role, name, options
        self.output = folder / f"{name}.txt"
        self.result = folder / f"{name}.json"
        self.began = time.monotonic()
        self.ended: float | None = None
        self.code: int | None = None
        self.stopped_until: float | None = None
        self._parent = parent
        self.pid = parent.start(role, self.output, {**options, "name": name, "result": str(self.result)})

    def is_running(self) -> bool:
        if self.code is None:
            self.code = self._parent.code(self.pid)
            if self.code is not None:
                self.ended = time.monotonic()
        return self.code is None

    def signal(self, number: signal.Signals) -> None:
        # The parent reaps a process only in `is_running`, so the number is still that of this process.
        if self.is_running():
            os.kill(self.pid, number)

    def stop_for(self, seconds: float) -> None:
        self.signal(signal.SIGSTOP)
        self.stopped_until = time.monotonic() + seconds

    def wake_if_due(self, *, now: bool = False) -> None:
        if self.stopped_until is not None and (now or time.monotonic() >= self.stopped_until):
            self.stopped_until = None
            self.signal(signal.SIGCONT)

    def is_stopped(self) -> bool:
        """Whether the system says that it is stopped."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        return False

    def text(self) -> str:
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """What a webhook says of its events. A killed one may leave half a line."""
        found = []
        for line in self.text().splitlines():
            with suppress(ValueError):
                if isinstance(value := json.loads(line), dict):
                    found.append(value)
        return found

    def __str__(self) -> str:
        result = self.result.read_text() if self.result.exists() else ""
        return f"{self.name} (pid {self.pid}): code {self.code}\n{result[:3000]}\n{self.text()[-3000:]}"


# the network


def bad_network(seed: int, *, delay: float = 0.03, share: float = 0.15) -> Callable[[Exchange], Fate | None]:
    """Lose requests and responses, let writes take effect late, respond as a gateway does, ask to wait."""
    dice = random.Random(f"network {seed}")

    def choose(exchange: Exchange) -> Fate | None:
        if dice.random() > share:
            return Fate(delay=dice.uniform(0.0, delay))
        if exchange.is_write and dice.random() < 0.5:
            lost: list[Reply | str] = [RST, FIN, bare(502), bare(504)]
            late = dice.uniform(0.05, 0.8) * SETTLE
            return Fate(reaches=late, answer=dice.choice(lost), delay=dice.choice([0.0, 0.0, 0.3]))
        too_many = TOO_MANY if dice.random() < 0.03 else problem(429, "too-many-requests")
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
    with_webhook: bool = True
    story: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._tables = list[tuple[Path, list[Row], float]]()  # each with its rows, and since when it is there
        self._numbers = count(1)
        self._began = time.monotonic()
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
        path = self.folder / f"charges-{len(self._tables) + 1}.csv"
        self._tables.append((write_table(path, rows), rows, time.monotonic()))

    @property
    def rows(self) -> list[Row]:
        """The rows of the latest table."""
        return self._tables[-1][1]

    def _change_table(self) -> None:
        """Give some charges another price. The next coordinator has the new table."""
        of_events = {event.row for event in self.events}
        free = [index for index, row in enumerate(self.rows) if row not in of_events]
        chosen = set(self.dice.sample(free, min(len(free), 10)))
        self._new_table(
            [
                replace(row, price=f"{self.dice.randint(20, 39)}.{len(self._tables):02}") if index in chosen else row
                for index, row in enumerate(self.rows)
            ]
        )

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
        self.story.append(f"{time.monotonic() - self._began:6.2f} {text}")

    def start(self, role: str, **more: Any) -> Process:
        ahead = self.dice.choice(CLOCKS)
        options = {
            "ledger": self.ledger, "url": self.proxy.url, "address": self.address, "table": str(self._tables[-1][0]),
            "lease": LEASE, "settle": SETTLE, "timeout": TIMEOUT, "rate": self.rate,
            "engine": self.dice.choice(["httpx", "reqwest"]), "concurrency": 6 if role == "coordinator" else 2,
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
                if time.monotonic() >= due:
                    self._strike(database)
                    due = time.monotonic() + self.dice.uniform(0.3, 1.7) * pause
                time.sleep(0.02)
        self.finish()

    def stop_one_before_it_sends(self, seconds: float) -> None:
        """Stop a worker between its last look at the lease and the socket, on a good network, while others go on."""
        self.proxy.weather = lambda _: Fate(delay=0.03)
        stopped = self.start("worker", stops_before_send=True)
        self.start("coordinator", concurrency=2)
        until = time.monotonic() + 30
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

    def _strike(self, database: psycopg.Connection[Any]) -> None:
        what = self.dice.choices(list(STRIKES), [*STRIKES.values()])[0]
        if what == "cut":
            query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'payex-billing%' ORDER BY pid"
            found = [pid for (pid,) in database.execute(query)]
            chosen = found if self.dice.random() < 0.2 else self.dice.sample(found, min(len(found), 1))
            for pid in chosen:
                database.execute("SELECT pg_terminate_backend(%s)", (pid,))
            self.say(f"cut {len(chosen)} of {len(found)} connections")
            self.struck[what] += 1
            return
        if what in {"second coordinator", "new table"}:
            self.say(what)
            self.struck[what] += 1
            if what == "new table":
                self._change_table()
            else:
                self.start("coordinator")
            return
        verb, _, role = what.partition(" ")
        roles = [role] if role else ["worker", "coordinator", "webhook"]
        targets = [process for name in roles for process in self.running(name) if process.stopped_until is None]
        if not targets:
            return
        process = self.dice.choice(targets)
        if verb == "kill":
            process.signal(signal.SIGKILL)
            self.say(f"killed {process.name}")
        else:
            seconds = self.dice.uniform(1.05 * LEASE, LONGEST_STOP)
            process.stop_for(seconds)
            self.say(f"stopped {process.name} for {seconds:.2f} s")
        self.struck[what] += 1

    def finish(self) -> None:
        """Let all go on, and run coordinators until one has nothing left to do; then confirm every event."""
        self.say("no further strikes")
        self.proxy.forget_rules()
        for process in self.processes:
            process.wake_if_due(now=True)
        until = time.monotonic() + 60
        last: Process | None = None
        while last is None or last.code != 0:
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

    # the judgement

    def judge(self) -> None:
        """Compare the ledger with what was asked, and what every process said with what happened."""
        self._judge_ledger()
        for process in self.processes:
            self._judge_process(process)
        self._judge_events()
        if self.wrong:
            story = "\n".join(self.story)
            raise AssertionError(
                f"seed {self.seed}: {len(self.wrong)} wrong\n" + "\n".join(self.wrong[:12]) + f"\n{story}"
            )

    def _judge_ledger(self) -> None:
        asked = {row.content for row in self.rows} | {event.row.content for event in self.events}
        held = Counter(charge.content for charge in self.mock.held(self.ledger))
        for content, number in held.items():
            if number > 1:
                self.wrong.append(f"doubled: {number} of {content}\n{self._history(content)}")
            elif content not in asked:
                self.wrong.append(f"nobody asked for {content}\n{self._history(content)}")
        for content in asked - held.keys():
            self.wrong.append(f"lost: {content}\n{self._history(content)}")

    def _history(self, content: tuple[Any, ...]) -> str:
        """The writes to the customer, as the proxy and as the journal know them."""
        return self._writes(content[0]) + "\n" + "\n".join(self._notes(content[0]))

    def _notes(self, customer: str) -> Iterator[str]:
        names = "id, run, left(plan, 6), position, kind, token, noted, sent, result, charge"
        with psycopg.connect(self.address, autocommit=True) as database:
            schemas = database.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'payex_billing_%'"
            ).fetchall()
            (now,) = database.execute("SELECT extract(epoch FROM clock_timestamp())::double precision").fetchone() or (
                0,
            )
            zero = now - (time.monotonic() - self._began)
            for (schema,) in schemas:
                database.execute(f"SET search_path TO {schema}")
                query = f"SELECT {names} FROM write WHERE customer = %s ORDER BY id"
                for *values, noted, sent, result, charge in database.execute(query, (customer,)):
                    yield f"  {noted - zero:.3f} noted, sent until {sent - zero:.3f}: {values}: {result} {charge}"
                for done in database.execute("SELECT * FROM customer WHERE customer = %s", (customer,)):
                    yield f"  done: {done}"

    def _writes(self, customer: str) -> str:
        return "\n".join(
            f"  {each.arrived - self._began:.3f} {each.headers.get('x-who')} {each}; mock at "
            f"{'-' if each.reached is None else f'{each.reached - self._began:.3f}'}"
            for each in self.proxy.log
            if each.is_write and each.customer == customer
        )

    def _judge_process(self, process: Process) -> None:
        if process.code not in CODES[process.role]:
            self.wrong.append(f"an exit code that means nothing: {process}")
        for word in ("Traceback", "ExceptionGroup", "never awaited", "never retrieved", "was destroyed but"):
            if word in process.text():
                self.wrong.append(f"{word} in the output: {process}")
        if process.role == "coordinator" and process.result.exists():
            self._judge_report(process)

    def _judge_report(self, process: Process) -> None:
        report = json.loads(process.result.read_text())["report"]
        if report is None:
            return
        rows, since = next((rows, at) for path, rows, at in self._tables if str(path) == process.options["table"])
        failed = {int(line): reason for line, reason in report["failed"].items()}
        told = report["unchanged"] + report["applied"] + len(failed)
        if report["rows"] != len(rows) or report["rejected"] or told > report["rows"]:
            self.wrong.append(f"{told} of {len(rows)} rows in the report: {process}")
        if process.code not in {0, 3}:
            return
        if told != report["rows"]:
            self.wrong.append(f"only {told} of {report['rows']} rows in the report: {process}")
        assert process.ended is not None
        for index, row in enumerate(rows):
            made = self._made(row, before=process.ended)
            reason = failed.get(index + 2)
            if reason is None and not (row in self.held_first or made):
                self.wrong.append(f"reported, but not there: {row} by {process.name}\n{self._history(row.content)}")
            elif reason is not None and not self._is_true(reason, row, made, process, since):
                self.wrong.append(
                    f"failed for no such reason: {row}: {reason}; {process}\n{self._history(row.content)}"
                )

    def _is_true(self, reason: str, row: Row, made: list[Exchange], process: Process, since: float) -> bool:
        if reason.startswith(CHANGED):
            effects = self._effects(row.customer, before=process.ended or 0.0)
            # The plan may be older than the process. A worker may write the plan of an earlier table while this one
            # is planned.
            return any(_who(each).startswith("webhook") for each in effects) or (
                len(self._tables) > 1 and any((each.reached or 0.0) >= since for each in effects)
            )
        if "it is not known whether" in reason:
            return False  # everything can be known here, after a while
        return not any(not _who(each).startswith("webhook") for each in made)

    def _effects(self, customer: str, before: float) -> list[Exchange]:
        """The charges of a customer that were created or changed until then."""
        return [
            each for each in self._log()
            if each.customer == customer and each.reached is not None and each.reached <= before
        ]  # fmt: skip

    def _log(self) -> list[Exchange]:
        if not hasattr(self, "_took_effect"):
            self._took_effect = [
                each for each in self.proxy.log if each.took_effect and "recurring-products" in each.steps
            ]
        return self._took_effect

    def _made(self, row: Row, before: float) -> list[Exchange]:
        """The requests that made the charge of this row what it is."""
        return [each for each in self._effects(row.customer, before) if self._makes(each, row)]

    def _makes(self, each: Exchange, row: Row) -> bool:
        shown = each.response.json if each.response is not None else {}
        return tuple(shown.get(name) for name in ("productCode", "quantity", "unitPrice")) == row.content[2:5]

    def _judge_events(self) -> None:
        """A charge that a webhook names must be there; a webhook that added nothing must have added nothing."""
        ids = {charge.id: charge.content for charge in self.mock.held(self.ledger)}
        for process in self.processes:
            if process.role != "webhook":
                continue
            errors: dict[int, set[str]] = {}
            for line in process.lines():
                event = self.events[line["event"]]
                if "ok" in line and ids.get(line["ok"]) != event.row.content:
                    self.wrong.append(f"{process.name} says that {event.row} is {line['ok']}: {ids.get(line['ok'])}")
                errors.setdefault(event.number, set()).add(line.get("error", "ok"))
            for number, found in errors.items():
                row = self.events[number].row
                if found <= NOTHING_DONE and any(_who(each) == process.name for each in self._made(row, float("inf"))):
                    self.wrong.append(
                        f"{process.name} says {found} for {self.events[number]}\n{self._history(row.content)}"
                    )

    def busiest_second(self) -> int:
        """The most requests that the proxy got in any second."""
        return max((last - first + 1 for first, last in self._seconds()), default=0)

    def _seconds(self) -> Iterator[tuple[int, int]]:
        """The first and the last request of each second that ends with a request."""
        times = [each.arrived for each in self.proxy.log]
        first = 0
        for last, at in enumerate(times):
            while times[first] <= at - 1.0:
                first += 1
            yield first, last

    def shown_second(self) -> str:
        """The requests of the busiest second."""
        first, last = max(self._seconds(), key=lambda second: second[1] - second[0])
        requests = self.proxy.log[first : last + 1]
        lines = [f"{each.arrived - self._began:.3f} {_who(each)} {each.method}" for each in requests]
        return f"{len(lines)} in a second\n" + "\n".join([*lines, *self.story])


def _content(row: Row) -> dict[str, Any]:
    values = {"productCode": row.product, "quantity": row.quantity, "unitPrice": float(row.price)}
    return {**values, "startDate": row.start}


def _who(exchange: Exchange) -> str:
    return exchange.headers.get("x-who", "")


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
            with suppress(OSError):
                (folder / "story.txt").write_text("\n".join(campaign.story))
