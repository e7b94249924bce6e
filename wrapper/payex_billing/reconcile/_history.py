"""What a journal holds of earlier runs: the runs, their writes, and the rows that they did not apply."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import attrs

from ._ledger import Memory
from ._match import Level
from ._records import FIELDS, WRITTEN, Ending, Intent
from ._store import JournalError, connect, transaction

_RUN: Final = (
    "id, command, file, options, shard, plan, approved, undoes, user, host, version, started, seen, outcome, report, "
    "input"
)
# The writes of a run are between two numbers, so that no index of runs is needed.
_OF_RUN: Final = (
    f"AND id BETWEEN (SELECT first FROM run WHERE id = ?) AND (SELECT coalesce(last, {2**62}) FROM run WHERE id = ?)"
)
_PLAN: Final = 12  # characters of the digest of a plan that people see


@attrs.frozen(kw_only=True)
class Run:
    """A run that a journal holds.

    Attributes:
        id: its number.
        command: `apply` or `undo`.
        file: the table or the plan, as it was named; empty for rows of Python.
        options: how the table was read, and how it was applied.
        shard: the part of the customers, such as `3/8`; empty for all.
        plan: the digest of the plan.
        approved: the digest that was approved in spite of a guard; empty without one.
        undoes: the number of the run that this one takes back.
        user: who ran it.
        host: where.
        version: the version of payex-billing.
        started: when it began, in seconds since 1970.
        seen: when it was last at work.
        ending: how it ended; None if it was killed, or is at work now.
        report: its numbers; empty if it was killed.
        input: a digest of what it applied.
    """

    id: int
    command: str
    file: str
    options: Mapping[str, Any]
    shard: str
    plan: str
    approved: str
    undoes: int | None
    user: str
    host: str
    version: str
    started: float
    seen: float
    ending: Ending | None
    report: Mapping[str, Any]
    input: str

    @classmethod
    def _from_row(cls, row: tuple[Any, ...]) -> Self:
        values = dict(zip((field.name for field in attrs.fields(cls)), row, strict=True))
        ending = None if values["ending"] is None else Ending(values["ending"])
        changed = {"options": json.loads(values["options"]), "report": json.loads(values["report"] or "{}")}
        return cls(**values | changed | {"ending": ending, "plan": values["plan"][:_PLAN]})


@attrs.frozen(kw_only=True)
class UnappliedRow:
    """A row that a run did not apply.

    Attributes:
        line: its line.
        customer_no: its customer; None if that is not certain.
        result: `rejected` or `failed`.
        reason: why, in words.
    """

    line: int
    customer_no: str | None
    result: str
    reason: str


class History:
    """The runs and writes of a journal.

    Args:
        database: the open journal.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def runs(self) -> Iterator[Run]:
        """Yield the runs, the last one first."""
        return map(Run._from_row, self._db.execute(f"SELECT {_RUN} FROM run ORDER BY id DESC"))

    def run(self, number: int) -> Run:
        """Return a run.

        Raises:
            JournalError: the journal has no such run.
        """
        found = self._db.execute(f"SELECT {_RUN} FROM run WHERE id = ?", (number,)).fetchone()
        if found is None:
            raise JournalError(f"the journal has no run {number}. To see the runs: payex-billing runs")
        return Run._from_row(found)

    def of_run(self, number: int) -> Iterator[Intent]:
        """Yield the writes of a run, customer by customer, oldest first."""
        query = f"SELECT {FIELDS} FROM write WHERE run = ? {_OF_RUN} ORDER BY customer, id"
        return map(Intent.from_row, self._db.execute(query, (number, number, number)))

    def writes(self) -> Iterator[Intent]:
        """Yield all writes, oldest first."""
        return map(Intent.from_row, self._db.execute(f"SELECT {FIELDS} FROM write ORDER BY id"))

    def counts(self, number: int) -> dict[str, int]:
        """Return how many writes of each kind of a run took effect."""
        query = (
            f"SELECT kind, count(*) FROM write WHERE run = ? AND result IN (?, ?) {_OF_RUN} GROUP BY kind ORDER BY kind"
        )
        return dict(self._db.execute(query, (number, *WRITTEN, number, number)).fetchall())

    def undoing(self, number: int) -> Iterator[Intent]:
        """Yield the writes of all runs that take a run back, that take such a run back, and so on, oldest first."""
        runs = self._db.execute(
            "WITH RECURSIVE later (id) AS "
            "(SELECT id FROM run WHERE undoes = ? UNION SELECT run.id FROM run JOIN later ON run.undoes = later.id) "
            "SELECT id FROM later ORDER BY id",
            (number,),
        ).fetchall()
        return (intent for (run,) in runs for intent in self.of_run(run))

    def to_customer(
        self, customer_no: str, *, run: int | None = None, level: Level = None, charge_id: str | None = None
    ) -> Iterator[Intent]:
        """Yield the writes to a customer, oldest first.

        Args:
            customer_no: the customer.
            run: only those of this run.
            level: only those to this subscription.
            charge_id: only those to this charge.
        """
        query = f"SELECT {FIELDS} FROM write WHERE customer = ? AND (? IS NULL OR run = ?) ORDER BY id"
        for intent in map(Intent.from_row, self._db.execute(query, (customer_no, run, run))):
            if level in {None, intent.step.subscription_no} and charge_id in {
                None,
                intent.charge_id,
                intent.step.charge_id,
            }:
                yield intent

    def customers_of_run(self, number: int) -> list[str]:
        """Return the customers that a run has written to."""
        query = f"SELECT DISTINCT customer FROM write WHERE run = ? {_OF_RUN} ORDER BY customer"
        return [str(customer) for (customer,) in self._db.execute(query, (number, number, number))]

    def customers(self, since: int = 0) -> Iterator[str]:
        """Yield the customers that a run, or a later one, has written to."""
        query = "SELECT DISTINCT customer FROM write WHERE run >= ?"
        return (str(customer) for (customer,) in self._db.execute(query, (since,)))

    def rows(self, number: int) -> list[UnappliedRow]:
        """Return the rows that a run did not apply, by line."""
        query = "SELECT line, customer, result, reason FROM row WHERE run = ? ORDER BY line"
        return [
            UnappliedRow(line=line, customer_no=customer, result=result, reason=reason)
            for line, customer, result, reason in self._db.execute(query, (number,))
        ]

    def last_good(self, shard: str) -> float | None:
        """Return when the last run ended that went through a whole table, in seconds since 1970; None without one.

        Args:
            shard: the part of the customers; empty for all.
        """
        query = (
            "SELECT max(seen) FROM run WHERE outcome = ? AND shard = ? AND undoes IS NULL "
            "AND NOT coalesce(json_extract(options, '$.part'), 0)"
        )
        found: float | None = self._db.execute(query, (Ending.DONE.value, shard)).fetchone()[0]
        return found

    def last_write(self) -> int:
        """Return the number of the last write, also if it was pruned; 0 if there never was one."""
        found = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'write'").fetchone()
        return 0 if found is None else int(found[0])

    def pruned(self) -> int:
        """Return the number of the last write that was pruned; 0 if none was."""
        return int(self._db.execute("SELECT pruned FROM origin").fetchone()[0])

    def last_writes(self, after: int) -> dict[str, int]:
        """Return the number of the last write to each customer, of the writes after one."""
        query = "SELECT customer, max(id) FROM write WHERE id > ? GROUP BY customer"
        return dict(self._db.execute(query, (after,)).fetchall())


@contextmanager
def reading(path: Path, ledger: str | None = None) -> Iterator[History]:
    """Open a journal to read it, also while a run uses it.

    Raises:
        JournalError: there is none, or it is of another ledger or version.
    """
    if not path.exists():
        raise JournalError(f"{path}: there is no journal")
    database, _ = connect(path, ledger)
    with closing(database):
        try:
            yield History(database)
        except sqlite3.Error as error:
            raise JournalError(f"{path}: cannot be read: {error}") from None


def prune(path: Path, ledger: str | None, before: float) -> int:
    """Take the runs that were last at work before a time out of a journal. A run with an open creation stays.

    Args:
        path: the journal.
        ledger: the address of the ledger; None for the one that the journal names.
        before: seconds since 1970.

    Returns:
        How many runs were taken out.
    """
    with _changing(path, ledger) as database:
        database.execute(
            "CREATE TEMP TABLE old AS SELECT id FROM run WHERE seen < ? "
            "AND id NOT IN (SELECT run FROM write WHERE result IS NULL)",
            (before,),
        )
        database.execute(
            "UPDATE origin SET pruned = max(pruned, coalesce((SELECT max(id) FROM write WHERE run IN old), 0))"
        )
        for table, column in (("write", "run"), ("customer", "run"), ("row", "run"), ("run", "id")):
            database.execute(f"DELETE FROM {table} WHERE {column} IN old")
        return int(database.execute("SELECT count(*) FROM old").fetchone()[0])


def forget(path: Path, ledger: str | None, customer_no: str) -> int:
    """Take the values of all writes to a customer out of a journal, and out of the state directory.

    That there were writes stays, with their times and the ids of the charges.

    Returns:
        How many writes there were.

    Raises:
        JournalError: it is not known yet whether a creation took effect, so its values are needed; or an interrupted
            run has still to write to the customer.
    """
    for plan in path.parent.glob(f"{path.name}*.plan"):
        if json.dumps(customer_no, ensure_ascii=False).encode() in plan.read_bytes():
            raise JournalError(
                f"an interrupted run has the values of customer {customer_no} in {plan}. Apply the table again first, "
                "so that the run ends"
            )
    with _changing(path, ledger) as database:
        condition = "WHERE customer = ?"
        if database.execute(f"SELECT 1 FROM write {condition} AND result IS NULL", (customer_no,)).fetchone():
            raise JournalError(
                f"customer {customer_no} has a write whose outcome is not known yet. Apply the table again first, or "
                "decide it: payex-billing runs resolve"
            )
        values = "json_set(step, '$.charge', NULL, '$.before', NULL, '$.subscription_no', NULL)"
        changed = database.execute(f"UPDATE write SET step = {values}, after = NULL {condition}", (customer_no,))
        charges = {intent.charge_id or intent.step.charge_id for intent in History(database).to_customer(customer_no)}
        database.execute(f"UPDATE row SET reason = '' {condition}", (customer_no,))
        database.execute(f"UPDATE customer SET failed = NULL, not_removed = NULL {condition}", (customer_no,))
        named = str(database.execute("SELECT ledger FROM origin").fetchone()[0])
    with Memory(named) as memory:
        memory.forget(charge for charge in charges if charge is not None)
    return changed.rowcount


@contextmanager
def _changing(path: Path, ledger: str | None) -> Iterator[sqlite3.Connection]:
    with reading(path, ledger) as history:
        database = history._db
        database.execute("PRAGMA secure_delete = ON")  # what is taken out is overwritten
        with transaction(database):
            yield database
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
