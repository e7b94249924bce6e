"""The journal of a run: the intent before each write, the result after it.

`apply` looks up a creation without a result before the next write to its customer, and never sends it again before.
"""

from __future__ import annotations

import getpass
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import attrs
import msgspec

from .._version import __version__
from ..models import LostCreation, NaturalKey, RecurringProduct
from ._history import History
from ._locks import Locked, NoLock, hold
from ._match import Content, Step
from ._records import FIELDS, WRITTEN, Done, Ending, Intent, RemovalFailed, Result
from ._selection import Shard
from ._store import JournalError, connect, transaction

_DAY = 86_400.0  # seconds


@attrs.frozen(kw_only=True)
class Started:
    """What a journal notes of a run when it begins.

    Attributes:
        command: `apply` or `undo`.
        file: the table or the plan, as it was named.
        options: the options of the command.
        approved: the digest that was approved in spite of a guard; empty without one.
        undoes: the number of the run that this one undoes.
    """

    command: str = "apply"
    file: str = ""
    options: Mapping[str, Any] = attrs.field(factory=dict)
    approved: str = ""
    undoes: int | None = None


class Journal:
    """The journal of a ledger, open for one run. A symbolic link names the same journal as its target.

    Args:
        path: the file; created if it does not exist.
        ledger: the address of the ledger; None for the ledger that the journal names.
        shard: the part of the customers that the run writes. Shards of the same count may run beside one another.
        limit: seconds that an attempt may take. A write can leave up to this long after the journal noted it.
        now: seconds since 1970.

    Raises:
        JournalError: another run uses the file, or the file is of another ledger or version, or is not a journal.
    """

    def __init__(
        self,
        path: Path,
        ledger: str | None,
        *,
        shard: Shard | None = None,
        limit: float = 30.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._now = now
        self._limit = limit
        self._shard = shard
        self.reads_again = False  # whether the run continues one that ended long ago
        self._run = 0
        self._plan = ""
        # Results that are not saved yet, and the customers of writes without a saved result.
        self._settled: list[tuple[Any, ...]] = []
        self._customers: dict[int, str] = {}
        with ExitStack() as stack:
            self._db, self._ledger = connect(path, ledger)
            stack.callback(self._db.close)
            try:
                hold(stack, path.resolve(), shard)
            except Locked:
                raise JournalError(
                    f"{path}: another run is using this journal; wait for it, or name another with --journal"
                ) from None
            except (NoLock, OSError) as error:
                raise JournalError(str(error)) from None
            self._history = History(self._db)
            self._stack = stack.pop_all()
        self._opened_at = now()

    @property
    def run(self) -> int:
        """The number of the run; 0 before it begins."""
        return self._run

    @property
    def history(self) -> History:
        """The runs and writes that the journal holds."""
        self.save()
        return self._history

    @property
    def plan_path(self) -> Path:
        """The file that keeps the plan until the run is finished."""
        part = "" if self._shard is None else f".{self._shard.index}-of-{self._shard.count}"
        return self.path.with_name(f"{self.path.name}{part}.plan")

    # the run

    def _last(self) -> tuple[int, str, str, float, float | None] | None:
        query = "SELECT id, input, plan, seen, finished FROM run WHERE shard = ? ORDER BY id DESC LIMIT 1"
        found: tuple[int, str, str, float, float | None] | None = self._db.execute(
            query, (str(self._shard or ""),)
        ).fetchone()
        return found

    def run_for(self, source: str, *, also_finished: bool) -> float | None:
        """Return the seconds since the last write of the last run; None if that run cannot be continued.

        Args:
            source: the input. A run of another input cannot be continued.
            also_finished: whether a finished run can be continued, not only an interrupted one.
        """
        last = self._last()
        if last is None or last[1] != source or not (also_finished or last[4] is None):
            return None
        return max(0.0, self._now() - last[3])

    def resume(self, *, read_again: bool = False) -> None:
        """Continue the last run. With `read_again`, no customer counts as finished."""
        last = self._last()
        assert last is not None  # noqa: S101 - `run_for` has found it
        self._run, self._plan = last[0], last[2]
        self.reads_again = read_again
        if read_again:
            with self._saving():
                self._db.execute("DELETE FROM customer WHERE run = ?", (self._run,))

    def is_of_plan(self, digest: str) -> bool:
        """Return whether the interrupted run writes the plan with this digest."""
        return self._plan == digest

    def begin(self, source: str, plan: str, *, resumed: bool, started: Started | None = None) -> None:
        """Start to write a plan: in a new run, or in the interrupted one.

        Call it only after every check that can stop the run: a run that was begun counts as allowed.
        """
        with self._saving():
            if not resumed:
                self._run = self._new_run(source, plan, started or Started())
            else:
                self._db.execute("UPDATE run SET finished = NULL, outcome = NULL WHERE id = ?", (self._run,))
                if plan != self._plan:
                    self._db.execute("UPDATE run SET plan = ? WHERE id = ?", (plan, self._run))
                    # The new plan counts the rows of these customers.
                    self._db.execute("DELETE FROM customer WHERE run = ?", (self._run,))
            self._plan = plan

    def _new_run(self, source: str, plan: str, started: Started) -> int:
        now = self._now()
        first = self._history.last_write() + 1
        values = {
            "command": started.command, "input": source, "plan": plan, "file": started.file,
            "options": json.dumps(started.options, default=str), "shard": str(self._shard or ""),
            "approved": started.approved, "undoes": started.undoes, "user": _user(), "host": socket.gethostname(),
            "version": __version__, "started": now, "seen": now, "first": first,
        }  # fmt: skip
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        cursor = self._db.execute(f"INSERT INTO run ({names}) VALUES ({marks})", tuple(values.values()))
        return int(cursor.lastrowid or 0)

    def end(self, ending: Ending, report: Mapping[str, Any], rows: Iterable[tuple[Any, ...]] = ()) -> None:
        """Note how the run ended. Only a run that is done is finished: any other is continued by the next one.

        Args:
            ending: how it ended.
            report: its numbers, as plain JSON.
            rows: line, customer, `rejected` or `failed`, and reason of each row that was not applied.
        """
        now = self._now()
        with self._saving():
            self._db.execute(
                "UPDATE run SET outcome = ?, report = ?, seen = ?, finished = ?, "
                "last = (SELECT max(id) FROM write) WHERE id = ?",
                (ending.value, json.dumps(report, default=str), now, now if ending is Ending.DONE else None, self._run),
            )
            self._db.execute("DELETE FROM row WHERE run = ?", (self._run,))  # of the same run, before it was continued
            self._db.executemany("INSERT INTO row VALUES (?, ?, ?, ?, ?)", ((self._run, *each) for each in rows))

    def was_allowed(self, source: str) -> bool:
        """Return whether the last run had this input, within a day.

        This run is then the rest of the last one, and was allowed with it.
        """
        last = self._last()
        return last is not None and last[1] == source and 0 <= self._now() - last[3] < _DAY

    # writes

    def intend(self, position: int, step: Step, known: Iterable[str]) -> int:
        """Note a write that is about to be sent; returns its number."""
        now = self._now()
        with self._saving():
            cursor = self._db.execute(
                "INSERT INTO write (run, plan, customer, position, kind, line, step, known, noted, sent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._run, self._plan, step.customer_no, position, step.kind.value, step.line,
                    json.dumps(msgspec.to_builtins(step)), json.dumps(sorted(known)), now, now + self._limit,
                ),
            )  # fmt: skip
        number = int(cursor.lastrowid or 0)
        self._customers[number] = step.customer_no
        return number

    def stamp(self, intent: int, sent_at: float | None = None) -> None:
        """Note the latest time at which an attempt can have left: `sent_at`, or now plus the attempt's limit."""
        with self._saving():
            latest = self._now() + self._limit if sent_at is None else sent_at
            self._db.execute("UPDATE write SET sent = ? WHERE id = ?", (latest, intent))

    def settle(
        self,
        intent: int,
        result: Result,
        charge_id: str | None = None,
        *,
        after: RecurringProduct | None = None,
        status: int | None = None,
        instance: str | None = None,
    ) -> None:
        """Note the result of a write.

        It is saved with whatever is noted next, or by `save`. If the process is killed before, the next run looks the
        write up.

        Args:
            intent: the number of the write.
            result: its result.
            charge_id: the charge that it created.
            after: the charge as the server showed it after the write.
            status: the HTTP status of the response.
            instance: the `instance` of the problem in the response.
        """
        shown = None if after is None else json.dumps(msgspec.to_builtins(Content.of(after)))
        self._settled.append((result.value, charge_id, shown, status, instance, intent))

    def open(self, customer_no: str | None = None) -> list[Intent]:
        """Return the writes without a result, oldest first: to one customer, or to all."""
        condition, values = ("", ()) if customer_no is None else (" AND customer = ?", (customer_no,))
        return self._intents(f"result IS NULL{condition}", values)

    def of_plan(self, customer_no: str) -> list[Intent]:
        """Return the writes to a customer that belong to the present plan, oldest first."""
        return self._intents("customer = ? AND run = ? AND plan = ?", (customer_no, self._run, self._plan))

    def _intents(self, condition: str, values: tuple[Any, ...]) -> list[Intent]:
        self._save_for(values[0] if values else None)
        query = f"SELECT {FIELDS} FROM write WHERE {condition} ORDER BY id"
        return [Intent.from_row(found) for found in self._db.execute(query, values)]

    def lost(self, intent: Intent) -> LostCreation | None:
        """Return the data for the look-up of a creation; None for a write that is harmless to repeat."""
        step = intent.step
        if not intent.creates_charge or step.charge is None:
            return None
        key = NaturalKey(
            customer_no=step.customer_no, subscription_no=step.subscription_no, charge=step.charge.to_charge()
        )
        # If the clock was ahead at a crash, the next run must not wait until that time.
        sent_at = min(intent.sent, self._opened_at + self._limit)
        return LostCreation(key=key, sent_at=sent_at, known=sorted(intent.known), ledger=self._ledger)

    def written_lines(self, customer_no: str) -> frozenset[int]:
        """Return the lines of a customer's rows that this run has written so far."""
        self._save_for(customer_no)
        query = "SELECT line FROM write WHERE customer = ? AND run = ? AND line IS NOT NULL AND result IN (?, ?)"
        found = self._db.execute(query, (customer_no, self._run, *WRITTEN))
        return frozenset(line for (line,) in found)

    def touched(self) -> set[str]:
        """Return the customers that this run has written to, or that an earlier run left open."""
        self.save()
        query = (
            "SELECT customer FROM write WHERE id >= (SELECT first FROM run WHERE id = ?) AND run = ? "
            "UNION SELECT customer FROM write WHERE result IS NULL"
        )
        return {customer for (customer,) in self._db.execute(query, (self._run, self._run))}

    # customers

    def finish_customer(self, customer_no: str, done: Done) -> None:
        """Note that the run has finished a customer."""
        failed = json.dumps(done.failed) if done.failed else None
        not_removed = json.dumps(msgspec.to_builtins(done.not_removed)) if done.not_removed else None
        with self._saving():
            self._db.execute(
                "INSERT OR REPLACE INTO customer VALUES (?, ?, ?, ?, ?, ?)",
                (self._run, customer_no, done.unchanged, done.applied, failed, not_removed),
            )
            self._db.execute("UPDATE run SET seen = ? WHERE id = ?", (self._now(), self._run))

    def is_finished(self, customer_no: str) -> bool:
        """Return whether this run has finished a customer and nothing failed."""
        query = "SELECT 1 FROM customer WHERE run = ? AND customer = ? AND failed IS NULL AND not_removed IS NULL"
        return self._db.execute(query, (self._run, customer_no)).fetchone() is not None

    def failures(self) -> Iterator[tuple[str, dict[int, str], list[RemovalFailed]]]:
        """Yield each customer of this run with failed rows or removals: its number, the rows, the removals."""
        query = (
            "SELECT customer, failed, not_removed FROM customer "
            "WHERE run = ? AND coalesce(failed, not_removed) IS NOT NULL"
        )
        for customer, lines, removals in self._db.execute(query, (self._run,)):
            failed = {int(line): reason for line, reason in json.loads(lines or "{}").items()}
            yield customer, failed, msgspec.convert(json.loads(removals or "[]"), list[RemovalFailed])

    def totals(self) -> Done:
        """Return the total results for the customers that this run has finished."""
        query = "SELECT coalesce(sum(unchanged), 0), coalesce(sum(applied), 0) FROM customer WHERE run = ?"
        unchanged, applied = self._db.execute(query, (self._run,)).fetchone()
        failed: dict[int, str] = {}
        not_removed: list[RemovalFailed] = []
        for _, lines, removals in self.failures():
            failed |= lines
            not_removed += removals
        return Done(unchanged=unchanged, applied=applied, failed=failed, not_removed=tuple(not_removed))

    def steps(self) -> dict[str, int]:
        """Return how many writes of each kind this run has done."""
        self.save()
        query = (
            "SELECT kind, count(*) FROM write WHERE id >= (SELECT first FROM run WHERE id = ?) AND run = ? "
            "AND result IN (?, ?) GROUP BY kind"
        )
        return dict(self._db.execute(query, (self._run, self._run, *WRITTEN)).fetchall())

    # saving

    def save(self) -> None:
        """Save the results that were noted last."""
        if self._settled:
            with self._saving():
                pass

    def _save_for(self, customer_no: object) -> None:
        """Save the results that were noted last, if one of them may be of a write to this customer; None is any."""
        # A write of an earlier run, or one that was settled before, is of an unknown customer.
        if any(customer_no in {None, self._customers.get(settled[-1], customer_no)} for settled in self._settled):
            self.save()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            with transaction(self._db):
                if self._settled:
                    self._db.executemany(
                        "UPDATE write SET result = ?, charge = ?, after = ?, status = ?, instance = ? WHERE id = ?",
                        self._settled,
                    )
                yield
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.path}: cannot be written: {error}. Nothing more is sent. Make room, and run the same command "
                "again"
            ) from None
        for settled in self._settled:
            self._customers.pop(settled[-1], None)
        self._settled.clear()

    def close(self) -> None:
        """Save, and close the file, so that the next run can use it."""
        try:
            self.save()
        finally:
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in many containers
        return ""
