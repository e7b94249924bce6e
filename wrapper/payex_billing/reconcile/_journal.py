"""The journal of a run: the intent before each write, the result after it. SQLite, so that a kill loses neither.

`apply` looks up a creation without a result before the next write to its customer, and never sends it again before.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import msgspec

from ..errors import BillingError
from ..models import LostCreation, NaturalKey
from ._match import Kind, Step
from ._private import make_private
from ._records import Done, Intent, RemovalFailed, Result

_VERSION = 4
_DAY = 86_400.0  # seconds
_WRITTEN = (Result.DONE.value, Result.CREATED.value)
_SCHEMA = f"""
CREATE TABLE run (
    id INTEGER PRIMARY KEY, input TEXT, plan TEXT, ledger TEXT, started REAL, seen REAL, finished REAL
);
CREATE TABLE intent (
    id INTEGER PRIMARY KEY, run INTEGER, plan TEXT, customer TEXT, position INTEGER, kind TEXT, line INTEGER,
    step TEXT, known TEXT, sent REAL, result TEXT, charge TEXT
);
CREATE INDEX intent_of ON intent (customer, run);
CREATE TABLE customer (
    run INTEGER, customer TEXT, unchanged INTEGER, applied INTEGER, failed TEXT, not_removed TEXT,
    PRIMARY KEY (run, customer)
) WITHOUT ROWID;
PRAGMA user_version = {_VERSION};
"""


class JournalError(BillingError):
    """The journal cannot be used: another run uses it, it belongs to another ledger, or the disk is full."""


class Journal:
    """One journal file, used by one process at a time. A symbolic link names the same journal as its target.

    Args:
        path: the file; created if it does not exist.
        ledger: the address of the ledger; None for the ledger that the journal names.
        limit: seconds that an attempt may take. A write can leave up to this long after the journal noted it.
        now: seconds since 1970.

    Raises:
        JournalError: another process uses the file, or the file is of another ledger or version, or is not a journal.
    """

    def __init__(
        self, path: Path, ledger: str | None, *, limit: float = 30.0, now: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self._now = now
        self._limit = limit
        self._ledger = ledger or ""
        self.reads_again = False  # whether the run continues one that ended long ago
        self._run = 0
        self._plan = ""
        try:
            path = path.resolve()  # SQLite would name its other files after the link
            make_private(path)
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise JournalError(f"{self.path}: cannot be used as a journal: {reason}") from None
        try:
            self._open()
        except BaseException:
            self._db.close()
            raise
        self._opened_at = now()

    def _open(self) -> None:
        try:
            # The first write takes the lock, and the process keeps it to its end, however it ends.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
            tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not tables:
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")  # all or nothing on a full disk
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"{self.path}: another run is using this journal; wait for it, or name another"
                ) from None
            raise JournalError(f"{self.path}: cannot be used as a journal: {error}") from None
        except sqlite3.DatabaseError:
            raise JournalError(f"{self.path}: is not a journal") from None
        if version != _VERSION:
            raise JournalError(
                f"{self.path}: is a journal of another version of payex-billing; finish its run with that version, "
                "or name another file"
            )
        found = self._db.execute("SELECT ledger FROM run ORDER BY id DESC LIMIT 1").fetchone()
        if found is not None and not self._ledger:
            self._ledger = found[0]
        elif found is not None and found[0] != self._ledger:
            raise JournalError(f"{self.path}: is of ledger {found[0]}, not {self._ledger}")

    @property
    def plan_path(self) -> Path:
        """The file that keeps the plan until the run is finished."""
        return self.path.with_name(self.path.name + ".plan")

    # the run

    def run_for(self, source: str, *, also_finished: bool) -> float | None:
        """Return the seconds since the last write of the last run; None if that run cannot be continued.

        Args:
            source: the input. A run of another input cannot be continued.
            also_finished: whether a finished run can be continued, not only an interrupted one.
        """
        last = self._db.execute("SELECT input, seen, finished FROM run ORDER BY id DESC LIMIT 1").fetchone()
        if last is None or last[0] != source or not (also_finished or last[2] is None):
            return None
        return max(0.0, self._now() - float(last[1]))

    def resume(self, *, read_again: bool = False) -> None:
        """Continue the last run. With `read_again`, no customer counts as finished."""
        run, plan = self._db.execute("SELECT id, plan FROM run ORDER BY id DESC LIMIT 1").fetchone()
        self._run, self._plan = int(run), plan
        self.reads_again = read_again
        if read_again:
            with self._sentence():
                self._db.execute("DELETE FROM customer WHERE run = ?", (self._run,))

    def is_of_plan(self, digest: str) -> bool:
        """Return whether the interrupted run writes the plan with this digest."""
        return self._plan == digest

    def begin(self, source: str, plan: str, *, resumed: bool) -> None:
        """Start to write a plan: in a new run, or in the interrupted one.

        Call it only after every check that can stop the run: a run that was begun counts as allowed.
        """
        with self._sentence():
            if not resumed:
                now = self._now()
                cursor = self._db.execute(
                    "INSERT INTO run (input, plan, ledger, started, seen) VALUES (?, ?, ?, ?, ?)",
                    (source, plan, self._ledger, now, now),
                )
                self._run = int(cursor.lastrowid or 0)
                # Settled writes of earlier runs have no meaning any more. Open writes still do.
                self._db.execute("DELETE FROM intent WHERE result IS NOT NULL")
                self._db.execute("DELETE FROM customer")
            elif plan != self._plan:
                self._db.execute("UPDATE run SET plan = ? WHERE id = ?", (plan, self._run))
                self._db.execute("DELETE FROM customer")  # the new plan counts the rows of these customers
            self._plan = plan

    def finish(self) -> None:
        """Note that the run is finished, so that the next apply starts a new run."""
        with self._sentence():
            self._db.execute(
                "UPDATE run SET finished = ?, seen = ? WHERE id = ?", (self._now(), self._now(), self._run)
            )

    def was_allowed(self, source: str) -> bool:
        """Return whether the last run had this input, within a day.

        This run is then the rest of the last one, and was allowed with it.
        """
        last = self._db.execute("SELECT input, seen FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return last is not None and last[0] == source and 0 <= self._now() - last[1] < _DAY

    # writes

    def intend(self, position: int, step: Step, known: Iterable[str]) -> int:
        """Note a write that is about to be sent; returns its number."""
        with self._sentence():
            cursor = self._db.execute(
                "INSERT INTO intent (run, plan, customer, position, kind, line, step, known, sent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._run, self._plan, step.customer_no, position, step.kind.value, step.line,
                    json.dumps(msgspec.to_builtins(step)), json.dumps(sorted(known)), self._now() + self._limit,
                ),
            )  # fmt: skip
        return int(cursor.lastrowid or 0)

    def stamp(self, intent: int, sent_at: float | None = None) -> None:
        """Note the latest time at which an attempt can have left: `sent_at`, or now plus the attempt's limit."""
        with self._sentence():
            latest = self._now() + self._limit if sent_at is None else sent_at
            self._db.execute("UPDATE intent SET sent = ? WHERE id = ?", (latest, intent))

    def settle(self, intent: int, result: Result, charge_id: str | None = None) -> None:
        """Note the result of a write.

        It is saved with whatever is noted next, or by `save`. If the process is killed before, the next run looks the
        write up.
        """
        with self._sentence(save=False):
            if not self._db.in_transaction:
                self._db.execute("BEGIN")
            self._db.execute("UPDATE intent SET result = ?, charge = ? WHERE id = ?", (result.value, charge_id, intent))

    def open(self, customer_no: str | None = None) -> list[Intent]:
        """Return the writes without a result, oldest first: to one customer, or to all."""
        condition, values = ("", ()) if customer_no is None else (" AND customer = ?", (customer_no,))
        return self._intents(f"result IS NULL{condition}", values)

    def of_plan(self, customer_no: str) -> list[Intent]:
        """Return the writes to a customer that belong to the present plan, oldest first."""
        return self._intents("customer = ? AND run = ? AND plan = ?", (customer_no, self._run, self._plan))

    def _intents(self, condition: str, values: tuple[Any, ...]) -> list[Intent]:
        query = f"SELECT id, position, step, known, sent, result, charge FROM intent WHERE {condition} ORDER BY id"
        intents = []
        for number, position, text, known, sent, result, charge_id in self._db.execute(query, values):
            step = msgspec.convert(json.loads(text), Step)
            intents.append(
                Intent(
                    id=number,
                    position=position,
                    step=step,
                    lost=self._lost(step, known, sent),
                    result=None if result is None else Result(result),
                    charge_id=charge_id,
                )
            )
        return intents

    def _lost(self, step: Step, known: str, sent: float) -> LostCreation | None:
        if step.kind is not Kind.CREATE or step.charge is None:
            return None
        key = NaturalKey(
            customer_no=step.customer_no, subscription_no=step.subscription_no, charge=step.charge.to_charge()
        )
        # If the clock was ahead at a crash, the next run must not wait until that time.
        sent_at = min(sent, self._opened_at + self._limit)
        return LostCreation(key=key, sent_at=sent_at, known=json.loads(known), ledger=self._ledger)

    def written_lines(self, customer_no: str) -> frozenset[int]:
        """Return the lines of a customer's rows that this run has written so far."""
        query = "SELECT line FROM intent WHERE customer = ? AND run = ? AND line IS NOT NULL AND result IN (?, ?)"
        found = self._db.execute(query, (customer_no, self._run, *_WRITTEN))
        return frozenset(line for (line,) in found)

    def touched(self) -> set[str]:
        """Return the customers that this run has written to, or that an earlier run left open."""
        query = "SELECT DISTINCT customer FROM intent WHERE run = ? OR result IS NULL"
        return {customer for (customer,) in self._db.execute(query, (self._run,))}

    # customers

    def finish_customer(self, customer_no: str, done: Done) -> None:
        """Note that the run has finished a customer."""
        failed = json.dumps(done.failed) if done.failed else None
        not_removed = json.dumps(msgspec.to_builtins(done.not_removed)) if done.not_removed else None
        with self._sentence():
            self._db.execute(
                "INSERT OR REPLACE INTO customer VALUES (?, ?, ?, ?, ?, ?)",
                (self._run, customer_no, done.unchanged, done.applied, failed, not_removed),
            )
            self._db.execute("UPDATE run SET seen = ? WHERE id = ?", (self._now(), self._run))

    def is_finished(self, customer_no: str) -> bool:
        """Return whether this run has finished a customer and nothing failed."""
        query = "SELECT 1 FROM customer WHERE run = ? AND customer = ? AND failed IS NULL AND not_removed IS NULL"
        return self._db.execute(query, (self._run, customer_no)).fetchone() is not None

    def totals(self) -> Done:
        """Return the total results for the customers that this run has finished."""
        query = "SELECT coalesce(sum(unchanged), 0), coalesce(sum(applied), 0) FROM customer WHERE run = ?"
        unchanged, applied = self._db.execute(query, (self._run,)).fetchone()
        failed: dict[int, str] = {}
        not_removed: list[RemovalFailed] = []
        query = "SELECT failed, not_removed FROM customer WHERE run = ? AND coalesce(failed, not_removed) IS NOT NULL"
        for lines, removals in self._db.execute(query, (self._run,)):
            failed |= {int(line): reason for line, reason in json.loads(lines or "{}").items()}
            not_removed += msgspec.convert(json.loads(removals or "[]"), list[RemovalFailed])
        return Done(unchanged=unchanged, applied=applied, failed=failed, not_removed=tuple(not_removed))

    def steps(self) -> dict[str, int]:
        """Return how many writes of each kind this run has done."""
        query = "SELECT kind, count(*) FROM intent WHERE run = ? AND result IN (?, ?) GROUP BY kind"
        return dict(self._db.execute(query, (self._run, *_WRITTEN)).fetchall())

    def save(self) -> None:
        """Save the results that were noted last."""
        with self._sentence():
            pass

    def close(self) -> None:
        """Save, and close the file, so that the next run can use it."""
        try:
            self.save()
        finally:
            self._db.close()

    @contextmanager
    def _sentence(self, *, save: bool = True) -> Iterator[None]:
        try:
            yield
            if save and self._db.in_transaction:
                self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.path}: cannot be written: {error}. Nothing more is sent. Make room, and run the same command "
                "again"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
