"""The real mock and the real command line as processes of their own, and the helpers that a night of `apply` needs.

Nothing here imports the client or the mock. The command line is started as a user starts it. The state of the ledger is
read from the mock's database file.
"""

from __future__ import annotations

import csv
import http.client
import json
import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from tests.chaos.failing_proxy import FailingProxy

PREFIX = "/billing/customer/v1"
MONEY = re.compile(r"[-+]?\d[\d,]*\.\d\d\b")
# A run that takes longer is treated as hanging.
LONGEST_RUN = 180.0

# The table


@dataclass(frozen=True)
class Row:
    """A row of a table. None is an empty cell."""

    customer: str
    product: str
    subscription: str | None = None
    quantity: Any = 1
    price: Any = None
    vat: Any = None
    text: str | None = None
    start: str | None = None
    end: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        """The customer and the subscription that the charge belongs to."""
        return self.customer, self.subscription or ""

    @property
    def identity(self) -> tuple[str, ...]:
        """The values that identify the charge over nights; no start date changes in these tests."""
        return (*self.place, self.product, self.start or "")

    @property
    def content(self) -> tuple[Any, ...]:
        """The content that the charge of this row must have in the ledger."""
        return (
            *self.place,
            self.product,
            _number(self.quantity),
            _number(self.price),
            _number(self.vat),
            self.text,
            self.start,
            self.end,
        )


COLUMNS = {
    "customer_no": "customer",
    "subscription_no": "subscription",
    "product_code": "product",
    "quantity": "quantity",
    "unit_price": "price",
    "vat_rate": "vat",
    "text": "text",
    "start_date": "start",
    "end_date": "end",
}


def write_table(path: Path, rows: Iterable[Row]) -> Path:
    """Write a CSV file with every column. The row with index i is on line i + 2."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(["" if (value := getattr(row, name)) is None else str(value) for name in COLUMNS.values()])
    return path


def _number(value: Any) -> Any:
    """The number, so that 9.0 and 9.00 are equal; what is no number stays as it is."""
    try:
        return None if value is None else Decimal(str(value))
    except ArithmeticError:
        return value


def _plain(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)


# The truth


@dataclass(frozen=True)
class Held:
    """A charge in the mock's database."""

    id: str
    customer: str
    subscription: str
    document: dict[str, Any]

    @property
    def content(self) -> tuple[Any, ...]:
        values = self.document
        return (
            self.customer,
            self.subscription,
            values.get("productCode"),
            _number(values.get("quantity")),
            _number(values.get("unitPrice")),
            _number(values.get("vatRate")),
            values.get("text"),
            values.get("startDate"),
            values.get("endDate"),
        )


class Mock:
    """The real mock with a database file, as a process of its own."""

    def __init__(self, db: Path, ledgers: Iterable[str], *options: str) -> None:
        self.db = db
        self._ledgers = list(ledgers)
        self._options = options

    def __enter__(self) -> Self:
        names = [option for ledger in self._ledgers for option in ("--ledger", ledger)]
        arguments = [sys.executable, "-m", "payex_billing_mock", "--port", "0", "--db", str(self.db), *names]
        self._process = subprocess.Popen(
            [*arguments, "--fast", *self._options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        found = re.search(r"https?://\S+", line)
        if found is None:
            self._process.kill()
            raise AssertionError(f"the mock did not start: {line}{self._process.stdout.read()}")
        self.url = found[0]
        for _ in range(len(self._ledgers)):  # one line for each ledger, then one about the state
            self._process.stdout.readline()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def held(self, ledger: str) -> list[Held]:
        """Every charge that the ledger holds."""
        return [
            Held(charge, customer, subscription, json.loads(document, parse_float=Decimal))
            for customer, subscription, charge, document in self._rows(ledger)
            if charge
        ]

    def places(self, ledger: str) -> set[tuple[str, str]]:
        """Every customer and subscription that the ledger holds."""
        return {(customer, subscription) for customer, subscription, charge, _ in self._rows(ledger) if not charge}

    def _rows(self, ledger: str) -> list[tuple[str, str, str, str]]:
        connection = sqlite3.connect(f"file:{self.db}?mode=ro", uri=True)
        try:
            rows = connection.execute("SELECT key, document FROM resource ORDER BY seq").fetchall()
        finally:
            connection.close()
        found = []
        for key, document in rows:
            own, *steps = json.loads(key)  # the ledger, then each collection and the number in it
            numbers = dict(zip(steps[::2], map(str, steps[1::2]), strict=True))
            if own == ledger:
                place = (numbers.get(name, "") for name in ("customers", "subscriptions", "recurring-products"))
                found.append((*place, document))
        return found

    def send(self, ledger: str, method: str, path: str, content: Any = None) -> Any:
        """Send a request straight to the mock, as another program of the company would."""
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            headers = {"Authorization": f"Bearer token-{ledger}", "Content-Type": "application/json"}
            body = None if content is None else json.dumps(content, default=_plain)
            connection.request(method, f"{PREFIX}/{ledger}/customers{path}", body, headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status < 300, (method, path, response.status, text)
            return json.loads(text) if text else None
        finally:
            connection.close()


def insert_charge(db: Path, ledger: str, customer: str, document: dict[str, Any] | None, charge: str = "") -> None:
    """Put a customer or a charge straight into the database of a mock that does not run yet, past every check."""
    with sqlite3.connect(db) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS resource "
            "(seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, document TEXT NOT NULL)"
        )
        key = [ledger, "customers", customer, *(["recurring-products", charge] if charge else [])]
        text = json.dumps(key, ensure_ascii=False, separators=(",", ":"))
        values = (text, json.dumps(document or {"customerNo": customer}))
        connection.execute("INSERT INTO resource (key, document) VALUES (?, ?)", values)
    connection.close()


# The command line


@dataclass(frozen=True, repr=False)
class Ended:
    """A run that has ended.

    Attributes:
        code: the exit code; negative for the signal that killed it.
        output: what it wrote to standard output and standard error.
        report: the content of its report; None if it left none.
        requests: the numbers of the requests that came in its time, from the first to behind the last.
        peak: the most memory that it used, in bytes, as Linux said it a few milliseconds before the end; 0 elsewhere.
    """

    code: int
    output: str
    report: dict[str, Any] | None
    requests: range
    peak: int

    def __repr__(self) -> str:
        return f"exit code {self.code}, report {json.dumps(self.report)[:1500]}, output:\n{self.output[-3000:]}"


class Run:
    """A command line that runs."""

    def __init__(
        self, arguments: list[str], night: Night, report: Path | None, limit_file_size: int | None, output: Path | None
    ) -> None:
        self._night = night
        self._report = report
        self._first = len(night.proxy.log)
        self._output = output or night.folder / f"output-{next(night.numbers)}.txt"

        with self._output.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "payex_billing", *arguments],
                cwd=night.folder,
                # A process with a small limit would cut the bytecode files that later processes read.
                env=night.environment | ({} if limit_file_size is None else {"PYTHONDONTWRITEBYTECODE": "1"}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                umask=0,
            )
        self.pid = self._process.pid
        if limit_file_size is not None:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (limit_file_size, limit_file_size))
        self._ended: Ended | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process, unless it has ended."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def stop(self) -> None:
        self.signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.signal(signal.SIGCONT)

    def interrupt(self) -> None:
        self.signal(signal.SIGINT)

    def terminate(self) -> None:
        self.signal(signal.SIGTERM)

    def has_ended(self) -> bool:
        return (
            self._ended is not None or os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        )

    def _memory(self) -> int:
        """The most memory that it has used so far. Its `ru_maxrss` would count the process that started it."""
        with suppress(OSError):
            found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
            return int(found[1]) * 1024 if found else 0
        return 0

    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text("utf-8", "replace") if self._output.is_file() else ""

    def wait(self, seconds: float = LONGEST_RUN) -> Ended:
        """Block until it has ended. Fail, and kill it, if it hangs."""
        if self._ended is None:
            ends, peak = time.monotonic() + seconds, 0
            while not self.has_ended():
                peak = max(peak, self._memory())
                if time.monotonic() > ends:
                    self.kill()
                    self._process.wait()
                    self._ended = Ended(
                        self._process.returncode, self.output(), None, range(self._first, self._first), 0
                    )
                    raise AssertionError(f"the run still goes on after {seconds} s; its output:\n{self.output()}")
                time.sleep(0.005)
            self._process.wait()
            report = None
            if self._report is not None and self._report.exists():
                with suppress(ValueError):
                    report = json.loads(self._report.read_text("utf-8"))
            requests = range(self._first, len(self._night.proxy.log))
            self._ended = Ended(self._process.returncode, self.output(), report, requests, peak)
        return self._ended


class Night:
    """One ledger of the mock, a proxy before it, a folder, and the command line.

    Attributes:
        table: the table that `write` writes and `start` applies.
        settle: what every run gets as `--settle`, in seconds.
        timeout: what every run gets as PAYEX_TIMEOUT, in seconds.
    """

    def __init__(
        self, mock: Mock, ledger: str, proxy: FailingProxy, folder: Path, *, settle: float = 2.0, timeout: float = 2.0
    ) -> None:
        self.mock, self.ledger, self.proxy, self.folder = mock, ledger, proxy, folder
        self.table = folder / "charges.csv"
        self.journal = folder / "night.journal"
        self.rejects = folder / "rejects.csv"
        self.settle = settle
        self.numbers = iter(range(1, 1_000_000))
        self.runs: list[Run] = []
        self.rows: list[Row] = []
        home = folder / "home"
        home.mkdir(exist_ok=True)
        # Compiled modules are kept for the next process, also where the tests themselves keep none.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {
            **kept,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "COLUMNS": "200",
            "PYTHONUNBUFFERED": "1",
            "PAYEX_BASE_URL": proxy.url,
            "PAYEX_OWNER_NO": ledger,
            "PAYEX_TOKEN": f"token-{ledger}",
            "PAYEX_TIMEOUT": str(timeout),
        }

    def write(self, rows: Iterable[Row]) -> None:
        """Make these rows the table."""
        self.rows = list(rows)
        write_table(self.table, self.rows)

    def start(
        self,
        command: str,
        *options: str | Path,
        report: Path | None = None,
        limit_file_size: int | None = None,
        output: Path | None = None,
    ) -> Run:
        """Start the command line."""
        run = Run([command, *map(str, options)], self, report, limit_file_size, output)
        self.runs.append(run)
        return run

    def start_apply(
        self,
        *options: str | Path,
        file: Path | None = None,
        journal: Path | None = None,
        limit_file_size: int | None = None,
    ) -> Run:
        """Start `apply` of the table with a journal and a report."""
        report = self.folder / f"report-{next(self.numbers)}.json"
        own: list[str | Path] = [
            file or self.table,
            "--journal",
            journal or self.journal,
            "--report",
            report,
            "--first-run",
        ]
        if "--settle" not in options:
            own += ["--settle", str(self.settle)]
        return self.start("apply", *own, *options, report=report, limit_file_size=limit_file_size)

    def apply(self, *options: str | Path, **more: Any) -> Ended:
        """Run `apply` to its end."""
        return self.start_apply(*options, **more).wait()

    def apply_approved(self, *options: str | Path, **more: Any) -> Ended:
        """Run `apply` to its end; if a guard stops the run, let exactly this plan through by the digest it names."""
        ended = self.apply(*options, **more)
        approval = approval_in(ended)
        return self.apply(*options, *approval, **more) if approval else ended

    def command(self, command: str, *options: str | Path) -> Ended:
        """Run another command to its end."""
        return self.start(command, *options).wait()

    def kill(self) -> None:
        """Kill the run that was started last."""
        self.runs[-1].kill()

    def interrupt(self) -> None:
        """Interrupt the run that was started last."""
        self.runs[-1].interrupt()

    def terminate(self) -> None:
        """Terminate the run that was started last."""
        self.runs[-1].terminate()

    # the truth

    @property
    def held(self) -> list[Held]:
        return self.mock.held(self.ledger)

    @property
    def contents(self) -> Counter[tuple[Any, ...]]:
        """How many charges the ledger holds of each content."""
        return Counter(charge.content for charge in self.held)

    def ask(self, method: str, path: str, content: Any = None) -> Any:
        """Do something straight on the mock; `path` begins behind `/customers`."""
        return self.mock.send(self.ledger, method, path, content)

    def add(self, row: Row) -> str:
        """Add a charge straight on the mock, with its customer and subscription, and return its id."""
        customer = f"/{quote(row.customer, safe='')}"
        if (row.customer, "") not in self.mock.places(self.ledger):
            self.ask("POST", "", {"customerNo": row.customer})
        if row.subscription and row.place not in self.mock.places(self.ledger):
            self.ask("POST", f"{customer}/subscriptions", {"subscriptionNo": row.subscription})
        parent = customer + (f"/subscriptions/{quote(row.subscription, safe='')}" if row.subscription else "")
        names = ("productCode", "quantity", "unitPrice", "vatRate", "text", "startDate", "endDate")
        values = dict(zip(names, row.content[2:], strict=True))
        content = {name: value for name, value in values.items() if value is not None}
        charge: str = self.ask("POST", f"{parent}/recurring-products", content)["recurringProductId"]
        return charge

    def end(self) -> None:
        """Kill what still runs."""
        for run in self.runs:
            if not run.has_ended():
                run.kill()
            with suppress(AssertionError):
                run.wait(10)


@contextmanager
def night_on(mock: Mock, ledger: str, folder: Path, **options: Any) -> Iterator[Night]:
    """A night whose processes are ended with the block."""
    settle = options.get("settle", 2.0)
    with FailingProxy(mock.url, longest_late=0.9 * settle) as proxy:
        night = Night(mock, ledger, proxy, folder, **options)
        try:
            yield night
        finally:
            night.end()


def approval_in(ended: Ended) -> tuple[str, ...]:
    """The option that lets the plan through which a guard stopped; empty if no guard did."""
    found = re.search(r"--approve[ =]+([0-9A-Za-z:]+)", ended.output)
    return ("--approve", found[1]) if ended.code == 4 and found is not None else ()


def changed(rows: list[Row], index: int, **values: Any) -> list[Row]:
    """The rows, one of them with other values."""
    return [replace(row, **values) if at == index else row for at, row in enumerate(rows)]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Block until the condition holds."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"this did not happen in {seconds} s: {what}"
        time.sleep(0.02)


def customers(count: int, product: str = "P01") -> list[Row]:
    """Rows of so many customers, one charge each."""
    return [Row(f"C{index:03}", product, None, 1, "9.00", start="2026-01-01") for index in range(count)]
