"""The journal of a run: the intent before each write, the result after it. SQLite, so that a kill loses neither.

A write without a result is looked up when the run is resumed, and never sent again before that.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import attrs

from ..errors import BillingError
from ..models import Charge, LostCreation, NaturalKey
from ._match import FIELDS, Kind, Step
from ._private import make_private

_SCHEMA = """
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, input TEXT, ledger TEXT, started REAL, finished REAL);
CREATE TABLE IF NOT EXISTS intent (
    id INTEGER PRIMARY KEY, run INTEGER, customer TEXT, step TEXT, known TEXT, sent REAL, result TEXT, charge TEXT
);
CREATE INDEX IF NOT EXISTS intent_of ON intent (customer, run);
CREATE TABLE IF NOT EXISTS customer (
    run INTEGER, customer TEXT, unchanged INTEGER, applied INTEGER, failed TEXT, counts TEXT,
    PRIMARY KEY (run, customer)
) WITHOUT ROWID;
"""


class JournalError(BillingError):
    """The journal cannot be used: another run has it, or it is of another ledger. The text is a sentence."""


@attrs.frozen(kw_only=True)
class Intent:
    """A write whose result is not known.

    Attributes:
        id: its number in the journal.
        step: what was about to be written.
        lost: the creation of a charge, for a look-up; None for a write that is harmless to repeat.
    """

    id: int
    step: Step
    lost: LostCreation | None


@attrs.frozen(kw_only=True)
class Done:
    """A customer that a run is through with.

    Attributes:
        unchanged: rows that were as they should be.
        applied: rows that were written.
        failed: what failed, by line.
        steps: how many writes of each kind were done.
    """

    unchanged: int
    applied: int
    failed: dict[int, str]
    steps: dict[str, int]


class Journal:
    """One journal file, held by one process at a time.

    Args:
        path: the file; made if it does not exist.
        ledger: whose charges these are.
        now: seconds since 1970.

    Raises:
        JournalError: another process has it, it is of another ledger, or is no journal.
    """

    def __init__(self, path: Path, ledger: str, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now
        try:
            make_private(path)
        except OSError as error:
            raise JournalError(f"{path}: cannot be used as a journal: {error.strerror or error}") from None
        try:
            self._db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be used as a journal: {error}") from None
        try:
            # The first write takes the lock, and the process keeps it to its end, however it ends.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("COMMIT")
            self._db.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise JournalError(f"{path}: another run is using this journal; wait for it, or name another") from None
            raise JournalError(f"{path}: cannot be used as a journal: {error}") from None
        except sqlite3.DatabaseError:
            self._db.close()
            raise JournalError(f"{path}: is not a journal") from None
        found = self._db.execute("SELECT ledger FROM run ORDER BY id DESC LIMIT 1").fetchone()
        if found is not None and found[0] != ledger:
            self._db.close()
            raise JournalError(f"{path}: is of ledger {found[0]}, not {ledger}")
        self._ledger = ledger
        self._run = 0

    def _interrupted(self, source: str) -> int | None:
        last = self._db.execute("SELECT id, input, finished FROM run ORDER BY id DESC LIMIT 1").fetchone()
        return int(last[0]) if last is not None and last[1] == source and last[2] is None else None

    def would_go_on(self, source: str) -> bool:
        """Whether a run of this input was begun and interrupted."""
        return self._interrupted(source) is not None

    def begin(self, source: str) -> None:
        """Start a run of this input, or go on with it if one was interrupted.

        Only after all that may refuse it: what was begun is taken to have been allowed.
        """
        interrupted = self._interrupted(source)
        if interrupted is not None:
            self._run = interrupted
            return
        cursor = self._db.execute(
            "INSERT INTO run (input, ledger, started) VALUES (?, ?, ?)", (source, self._ledger, self._now())
        )
        self._run = int(cursor.lastrowid or 0)
        # What earlier runs have settled says nothing any more; what they left open does.
        self._db.execute("DELETE FROM intent WHERE result IS NOT NULL")
        self._db.execute("DELETE FROM customer")

    def finish(self) -> None:
        """The run is through; the next one starts anew."""
        self._db.execute("UPDATE run SET finished = ? WHERE id = ?", (self._now(), self._run))

    def intend(self, step: Step, known: Iterable[str]) -> int:
        """Note a write that is about to be sent; returns its number."""
        cursor = self._db.execute(
            "INSERT INTO intent (run, customer, step, known, sent) VALUES (?, ?, ?, ?, ?)",
            (self._run, step.customer_no, json.dumps(step_to_json(step)), json.dumps(sorted(known)), self._now()),
        )
        return int(cursor.lastrowid or 0)

    def settle(self, intent: int, result: str, charge_id: str | None = None) -> None:
        """Note what became of a write."""
        self._db.execute("UPDATE intent SET result = ?, charge = ? WHERE id = ?", (result, charge_id, intent))

    def open(self, customer_no: str) -> list[Intent]:
        """The writes to a customer whose result is not known, oldest first."""
        found = self._db.execute(
            "SELECT id, step, known, sent FROM intent WHERE customer = ? AND result IS NULL ORDER BY id", (customer_no,)
        )
        return [
            _intent(number, step_from_json(json.loads(step)), json.loads(known), sent)
            for number, step, known, sent in found
        ]

    def written(self, customer_no: str) -> list[Step]:
        """What this run has written to a customer so far, in this sitting and before."""
        query = "SELECT step FROM intent WHERE customer = ? AND run = ? AND result IN ('done', 'created')"
        found = self._db.execute(query, (customer_no, self._run))
        return [step_from_json(json.loads(step)) for (step,) in found]

    def through_with(self, customer_no: str, done: Done) -> None:
        """Note that a customer is done."""
        failed = json.dumps(done.failed) if done.failed else None
        self._db.execute(
            "INSERT OR REPLACE INTO customer VALUES (?, ?, ?, ?, ?, ?)",
            (self._run, customer_no, done.unchanged, done.applied, failed, json.dumps(done.steps)),
        )

    def is_through_with(self, customer_no: str) -> bool:
        """Whether this run has done a customer."""
        query = "SELECT 1 FROM customer WHERE run = ? AND customer = ? AND failed IS NULL"
        return self._db.execute(query, (self._run, customer_no)).fetchone() is not None

    def totals(self) -> Done:
        """What this run has come to, earlier sittings included."""
        unchanged = applied = 0
        failed: dict[int, str] = {}
        steps: Counter[str] = Counter()
        query = "SELECT unchanged, applied, failed, counts FROM customer WHERE run = ?"
        for same, written, wrong, counts in self._db.execute(query, (self._run,)):
            unchanged, applied = unchanged + same, applied + written
            failed |= {int(line): reason for line, reason in json.loads(wrong or "{}").items()}
            steps.update(json.loads(counts))
        return Done(unchanged=unchanged, applied=applied, failed=failed, steps=dict(steps))

    def close(self) -> None:
        """Let the next run have it."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _intent(number: int, step: Step, known: Iterable[str], sent: float) -> Intent:
    if step.kind is not Kind.CREATE:
        return Intent(id=number, step=step, lost=None)
    key = NaturalKey(customer_no=step.customer_no, subscription_no=step.subscription_no, charge=step.charge)
    return Intent(id=number, step=step, lost=LostCreation(key=key, sent_at=sent, known=known))


def step_to_json(step: Step) -> dict[str, Any]:
    """A step as plain JSON; money as text, so that no digit is lost."""
    plain: dict[str, Any] = {
        "kind": step.kind.value,
        "customer": step.customer_no,
        "subscription": step.subscription_no,
    }
    plain |= {"charge": _charge_to_json(step.charge), "before": _charge_to_json(step.before)}
    plain |= {"id": step.charge_id, "line": step.line}
    return {name: value for name, value in plain.items() if value is not None}


def step_from_json(plain: dict[str, Any]) -> Step:
    """The step again.

    Raises:
        ValueError: it is none. So is a KeyError or TypeError.
    """
    return Step(
        kind=Kind(plain["kind"]),
        customer_no=plain["customer"],
        subscription_no=plain.get("subscription"),
        charge=_charge_from_json(plain.get("charge")),
        before=_charge_from_json(plain.get("before")),
        charge_id=plain.get("id"),
        line=plain.get("line"),
    )


def _charge_to_json(charge: Charge | None) -> dict[str, Any] | None:
    if charge is None:
        return None
    values = {name: getattr(charge, name) for name in FIELDS}
    return {
        name: str(value) if isinstance(value, Decimal) else value.isoformat() if isinstance(value, date) else value
        for name, value in values.items()
        if value is not None
    }


def _charge_from_json(plain: dict[str, Any] | None) -> Charge | None:
    if plain is None:
        return None
    kinds: dict[str, Callable[[str], Any]] = {
        "unit_price": Decimal, "vat_rate": Decimal, "start_date": date.fromisoformat, "end_date": date.fromisoformat,
    }  # fmt: skip
    return Charge(**{name: kinds[name](value) if name in kinds else value for name, value in plain.items()})
