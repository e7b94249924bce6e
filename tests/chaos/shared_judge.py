"""Compare what the processes of a shared journal said with the mock's database and with what reached the mock.

Nothing here imports the client. There are three kinds of error:

- doubled: the ledger holds a charge more often than it was asked for.
- lost: a charge is not held that the last table asks for, or that a webhook confirmed.
- wrongly reported: a report, an exit code, an output or a webhook says something else than the truth.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.chaos.apply_process import Row
from tests.chaos.failing_proxy import Exchange
from tests.chaos.shared_campaign import Campaign
from tests.chaos.shared_processes import Process

CODES = {"coordinator": {0, 1, 3, -9}, "worker": {1, -9}, "webhook": {0, 1, -9}}
CHANGED = "the customer has changed since it was planned"
# With these errors a webhook says that it added nothing.
NOTHING_DONE = {
    "CustomerBusy", "LeaseLost", "CustomerNotFound", "SubscriptionNotFound", "RateLimited", "ServiceUnavailable",
}  # fmt: skip


class SharedJudge:
    """Collects what is wrong with a campaign."""

    def __init__(self, campaign: Campaign) -> None:
        self._night = campaign
        self.wrong: list[str] = []

    def judge(self) -> None:
        """Compare the ledger with what was asked, and what every process said with what happened."""
        self._judge_ledger()
        for process in self._night.processes:
            self._judge_process(process)
        self._judge_events()
        if self.wrong:
            story = "\n".join(self._night.story)
            raise AssertionError(
                f"seed {self._night.seed}: {len(self.wrong)} wrong\n" + "\n".join(self.wrong[:12]) + f"\n{story}"
            )

    def _judge_ledger(self) -> None:
        asked = {row.content for row in self._night.rows} | {event.row.content for event in self._night.events}
        held = Counter(charge.content for charge in self._night.mock.held(self._night.ledger))
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
        with psycopg.connect(self._night.address, autocommit=True) as database:
            schemas = database.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'payex_billing_%'"
            ).fetchall()
            (now,) = database.execute("SELECT extract(epoch FROM clock_timestamp())::double precision").fetchone() or (
                0,
            )
            zero = now - (time.monotonic() - self._night.began)
            for (schema,) in schemas:
                database.execute(f"SET search_path TO {schema}")
                query = f"SELECT {names} FROM write WHERE customer = %s ORDER BY id"
                for *values, noted, sent, result, charge in database.execute(query, (customer,)):
                    yield f"  {noted - zero:.3f} noted, sent until {sent - zero:.3f}: {values}: {result} {charge}"
                for done in database.execute("SELECT * FROM customer WHERE customer = %s", (customer,)):
                    yield f"  done: {done}"

    def _writes(self, customer: str) -> str:
        return "\n".join(
            f"  {each.arrived - self._night.began:.3f} {each.headers.get('x-who')} {each}; mock at "
            f"{'-' if each.reached is None else f'{each.reached - self._night.began:.3f}'}"
            for each in self._night.proxy.log
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
        rows, since = next((rows, at) for path, rows, at in self._night.tables if str(path) == process.options["table"])
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
            if reason is None and not (row in self._night.held_first or made):
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
                len(self._night.tables) > 1 and any((each.reached or 0.0) >= since for each in effects)
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
                each for each in self._night.proxy.log if each.took_effect and "recurring-products" in each.steps
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
        night = self._night
        ids = {charge.id: charge.content for charge in night.mock.held(night.ledger)}
        for process in night.processes:
            said: dict[Row, set[str]] = {}  # several events may ask for one charge
            for line in process.lines() if process.role == "webhook" else ():
                row = night.events[line["event"]].row
                if "ok" in line and ids.get(line["ok"]) != row.content:
                    self.wrong.append(f"{process.name} says that {row} is {line['ok']}: {ids.get(line['ok'])}")
                said.setdefault(row, set()).add(line.get("error", "ok"))
            for row, words in said.items():
                by_it = [each for each in self._made(row, float("inf")) if _who(each) == process.name]
                if words <= NOTHING_DONE and by_it and not self._may_be_cut(process):
                    self.wrong.append(f"{process.name} says {words} for {row}\n{self._history(row.content)}")

    def _may_be_cut(self, process: Process) -> bool:
        """Whether the process was killed, so that not all that it did was said."""
        return process.code == -9

    def busiest_second(self) -> int:
        """The most requests that the proxy got in any second."""
        return max((last - first + 1 for first, last in self._seconds()), default=0)

    def _seconds(self) -> Iterator[tuple[int, int]]:
        """The first and the last request of each second that ends with a request."""
        times = [each.arrived for each in self._night.proxy.log]
        first = 0
        for last, at in enumerate(times):
            while times[first] <= at - 1.0:
                first += 1
            yield first, last

    def shown_second(self) -> str:
        """The requests of the busiest second."""
        first, last = max(self._seconds(), key=lambda second: second[1] - second[0])
        requests = self._night.proxy.log[first : last + 1]
        lines = [f"{each.arrived - self._night.began:.3f} {_who(each)} {each.method}" for each in requests]
        return f"{len(lines)} in a second\n" + "\n".join([*lines, *self._night.story])


def _who(exchange: Exchange) -> str:
    return exchange.headers.get("x-who", "")
