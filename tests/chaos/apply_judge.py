"""Compare the writes and reports of `apply` with the mock's database and the proxy's log.

There are three kinds of error:

- doubled: at some moment the ledger held more charges of an identity than any table so far asked for.
- lost: a charge that a table asks for is not held, and the last run did not say so.
- wrongly reported: a report, an exit code or an output that says something else than the truth.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.apply_process import Ended, Night, Row
from tests.chaos.failing_proxy import Exchange

# How a run may say that it ended, by exit code. It ends with 1 also if another file cannot be written.
OUTCOMES = {
    0: {"done"},
    1: {"failed", "refused", "stopped", "incomplete", "done", "rows_failed"},
    3: {"rows_failed", "refused"},
    4: {"guard_stopped"},
    130: {"interrupted"},
}
KILLED = {-9}
# 0 done, 1 error or incomplete, 3 rows rejected or failed, 4 stopped by a guard, 130 interrupted.
CODES = {0, 1, 3, 4, 130} | KILLED


@dataclass
class Judge:
    """Collects what is wrong with a night.

    Attributes:
        rejected: the lines of the current table that the table's own defects must reject.
        prunes: whether the runs remove what the table does not name.
        wrong: everything that was found, as sentences.
    """

    night: Night
    prunes: bool = False
    rejected: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    _most: Counter[tuple[str, ...]] = field(default_factory=Counter)
    _first: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def sees_table(self) -> None:
        """Note what the current table asks for. Call this after each change of the table, and what is held before."""
        for identity, count in Counter(row.identity for row in self.good_rows().values()).items():
            self._most[identity] = max(self._most[identity], count)

    def sees_held(self) -> None:
        """Note what the ledger holds before the first run."""
        self._first = {charge.id: _identity(charge.content) for charge in self.night.held}
        for identity, count in Counter(self._first.values()).items():
            self._most[identity] = max(self._most[identity], count)

    def good_rows(self) -> dict[int, Row]:
        """The rows without a defect, by line."""
        return {index + 2: row for index, row in enumerate(self.night.rows) if index + 2 not in self.rejected}

    # one run

    def judge(self, run: Ended) -> None:
        """Judge a run that has ended. The proxy may still hold late commits."""
        self._judge_output(run)
        self._judge_removals(run)
        if run.code == 4 and (writes := self._writes_in(run)):
            self.wrong.append(f"a guard stopped the run, after writes: {list(map(str, writes))}; {run}")
        if run.code in KILLED:
            return
        if run.report is not None and run.report["outcome"] not in OUTCOMES.get(run.code, ()):
            self.wrong.append(f"the outcome {run.report['outcome']}: {run}")
        if run.report is None or "rows" not in run.report:
            if run.code in {0, 3, 130}:
                self.wrong.append(f"no report: {run}")
            return
        self._judge_counts(run, run.report)
        self._judge_rows(run, run.report)

    def _judge_output(self, run: Ended) -> None:
        if run.code not in CODES:
            self.wrong.append(f"an exit code that means nothing: {run}")
        for word in ("Traceback", "ExceptionGroup", "never awaited", "was destroyed but"):
            if word in run.output:
                self.wrong.append(f"{word} in the output: {run}")

    def _writes_in(self, run: Ended) -> list[Exchange]:
        return [each for each in self.night.proxy.log[run.requests.start : run.requests.stop] if each.is_write]

    def _judge_removals(self, run: Ended) -> None:
        """No charge may be removed that a row asks for, also if this row is rejected."""
        named = Counter(row.identity for row in self.night.rows)
        for exchange, identity, left in self._replayed():
            if exchange.number in run.requests and exchange.method == "DELETE" and left < named[identity]:
                self.wrong.append(f"removed although a row asks for it: {exchange}; {run}")

    def _replayed(self) -> Iterator[tuple[Exchange, tuple[str, ...], int]]:
        """Each creation and removal of a charge that took effect, what the charge is, and how many are held after it."""
        live = dict(self._first)
        counts = Counter(live.values())
        effects = [exchange for exchange in self.night.proxy.log if exchange.took_effect]
        for exchange in sorted(effects, key=lambda each: each.reached or 0):
            steps = exchange.steps
            if exchange.method == "POST" and steps[-1] == "recurring-products":
                identity = _created(exchange)
                live[_response(exchange)["recurringProductId"]] = identity
                counts[identity] += 1
                yield exchange, identity, counts[identity]
            elif exchange.method == "DELETE":
                whole = steps[-2] == "subscriptions"
                gone = [
                    key for key, at in live.items() if key == steps[-1] or (whole and at[:2] == (steps[1], steps[3]))
                ]
                for key in gone:
                    identity = live.pop(key)
                    counts[identity] -= 1
                    yield exchange, identity, counts[identity]

    def _judge_counts(self, run: Ended, report: dict[str, Any]) -> None:
        rejected, failed = _lines(report["rejected"]), _lines(report["failed"])
        told = report["unchanged"] + report["applied"] + len(rejected) + len(failed)
        if report["rows"] != len(self.night.rows):
            self.wrong.append(f"{report['rows']} rows in the report, {len(self.night.rows)} in the table: {run}")
        if any(line < 2 or line > len(self.night.rows) + 1 for line in rejected | failed) or rejected & failed:
            self.wrong.append(f"lines that the table does not have, or twice: {run}")
        if report["interrupted"] != (run.code == 130):
            self.wrong.append(f"interrupted or not: {run}")
        complete = told == report["rows"]
        if told > report["rows"] or (not complete and run.code in {0, 3}):
            self.wrong.append(f"the counts come to {told} of {report['rows']} rows: {run}")
        if run.code == 0 and (rejected or failed or _count(report["not_removed"])):
            self.wrong.append(f"exit code 0 although not all is done: {run}")
        if run.code == 3 and not (rejected or failed or _count(report["not_removed"])):
            self.wrong.append(f"exit code 3 without a reason: {run}")

    def _judge_rows(self, run: Ended, report: dict[str, Any]) -> None:
        """Compare what the report says of each row with the ledger."""
        rejected, failed = _lines(report["rejected"]), _lines(report["failed"])
        good = self.good_rows()
        if run.code in {0, 3} and rejected != self.rejected:
            self.wrong.append(f"rejected are the lines {sorted(rejected)}, not {sorted(self.rejected)}: {run}")
        wanted = Counter(row.content for line, row in good.items() if line not in failed)
        missing = wanted - self.night.contents
        done = report["unchanged"] + report["applied"]
        if run.code in {0, 3} and missing:
            self.wrong.append(f"lost, said to be done: {dict(missing)}; {run}")
        elif sum(wanted.values()) - sum(missing.values()) < done:
            held = sum(wanted.values()) - sum(missing.values())
            self.wrong.append(f"{done} rows are said to be done, {held} are: {run}")

    # the whole night

    def judge_log(self) -> None:
        """Look for charges that were doubled at any moment, also if one of them was removed later."""
        for exchange, identity, held in self._replayed():
            if exchange.method == "POST" and held > self._most[identity]:
                self.wrong.append(f"doubled: {held} of {identity} by {exchange}\n{self._history(identity)}")

    def _history(self, identity: tuple[str, ...]) -> str:
        """Every request of the customer, as evidence."""
        return "\n".join(
            f"  {each.arrived:.3f} {each}"
            for each in self.night.proxy.log
            if each.customer == identity[0] and each.is_write
        )

    def judge_end(self) -> None:
        """Compare the ledger with the table, after a run that ended with everything done."""
        wanted, held = Counter(row.content for row in self.good_rows().values()), self.night.contents
        if lost := wanted - held:
            self.wrong.append(f"lost: {dict(lost)}")
        extra = held - wanted
        named = {row.customer for row in self.good_rows().values()}
        surplus: dict[Any, int] = {content: count for content, count in extra.items() if content[0] in named}
        if self.prunes and surplus:
            self.wrong.append(f"still held, although the table does not name it: {surplus}")
        if not self.prunes:
            by_identity: dict[tuple[str, ...], int] = defaultdict(int)
            for content, count in held.items():
                by_identity[_identity(content)] += count
            doubled = {key: count for key, count in by_identity.items() if count > self._most[key]}
            if doubled:
                self.wrong.append(f"doubled: {doubled}")

    def judge_rest(self, run: Ended) -> None:
        """Judge one more run, which must find nothing to do."""
        self.judge(run)
        if writes := self._writes_in(run):
            self.wrong.append(f"the last run had nothing to do, and wrote: {list(map(str, writes))}")
        if run.report is None or run.report["unchanged"] != len(self.good_rows()):
            self.wrong.append(f"not all rows are unchanged: {run}")

    def surplus(self) -> int:
        """How many charges of the table's customers no row asks for."""
        named = {row.customer for row in self.good_rows().values()}
        extra = self.night.contents - Counter(row.content for row in self.good_rows().values())
        return sum(count for content, count in extra.items() if content[0] in named)


def _lines(reasons: dict[str, Any]) -> set[int]:
    return {int(line) for line in reasons}


def _count(value: Any) -> int:
    return value if isinstance(value, int) else len(value)


def _identity(content: tuple[Any, ...]) -> tuple[str, ...]:
    customer, subscription, product, _, _, _, _, start, _ = content
    return (customer, subscription, product, start or "")


def _created(exchange: Exchange) -> tuple[str, ...]:
    steps, body = exchange.steps, exchange.json
    subscription = steps[3] if len(steps) > 4 else ""
    return (steps[1], subscription, body["productCode"], body.get("startDate") or "")


def _response(exchange: Exchange) -> Any:
    assert exchange.response is not None
    return json.loads(exchange.response.body)


def must_be_done(night: Night, judge: Judge, run: Ended) -> None:
    """Fail unless the run did everything and every charge is held once."""
    night.proxy.wait_until_quiet()
    judge.judge(run)
    judge.judge_end()
    judge.judge_log()
    assert run.code == 0, run
    assert not judge.wrong, "\n".join(judge.wrong)
