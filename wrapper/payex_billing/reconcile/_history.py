"""What a journal holds of earlier runs: the runs, their writes, and the rows that they did not apply."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import attrs
import msgspec

from ._match import Level
from ._memory import Memory
from ._opening import open_store
from ._records import FIELDS, WRITTEN, Done, Ending, Intent, RemovalFailed
from ._store import NOT_THERE, JournalError, Place, Row, Statement, Store

_RUN: Final = (
    'id, command, file, options, shard, plan, approved, undoes, "user", host, version, started, seen, outcome, report, '
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
        command: `apply`, `retry`, `undo` or `write`.
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

    @property
    def has_every_result(self) -> bool:
        """Whether each row of the run has a result. A killed, interrupted or stopped run has rows without one."""
        return self.ending is Ending.DONE

    @classmethod
    def _from_row(cls, row: Row) -> Self:
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
        store: the open journal.

    Attributes:
        identity: what no other journal has.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.identity = store.identity

    def runs(self) -> Iterator[Run]:
        """Yield the runs, the last one first."""
        return map(Run._from_row, self._store.stream(f"SELECT {_RUN} FROM run ORDER BY id DESC"))

    def run(self, number: int) -> Run:
        """Return a run.

        Raises:
            JournalError: the journal has no such run.
        """
        found = self._store.query(f"SELECT {_RUN} FROM run WHERE id = ?", (number,))
        if not found:
            raise JournalError(f"the journal has no run {number}. To see the runs: payex-billing runs")
        return Run._from_row(found[0])

    def of_run(self, number: int) -> Iterator[Intent]:
        """Yield the writes of a run, customer by customer, oldest first."""
        query = f"SELECT {FIELDS} FROM write WHERE run = ? {_OF_RUN} ORDER BY customer, id"
        return map(Intent.from_row, self._store.stream(query, (number, number, number)))

    def writes(self) -> Iterator[Intent]:
        """Yield all writes, oldest first."""
        return map(Intent.from_row, self._store.stream(f"SELECT {FIELDS} FROM write ORDER BY id"))

    def counts(self, number: int) -> dict[str, int]:
        """Return how many writes of each kind of a run took effect."""
        query = (
            f"SELECT kind, count(*) FROM write WHERE run = ? AND result IN (?, ?) {_OF_RUN} GROUP BY kind ORDER BY kind"
        )
        return dict(self._store.query(query, (number, *WRITTEN, number, number)))

    def undoing(self, number: int) -> Iterator[Intent]:
        """Yield the writes of all runs that take a run back, that take such a run back, and so on, oldest first."""
        runs = self._store.query(
            "WITH RECURSIVE later (id) AS "
            "(SELECT id FROM run WHERE undoes = ? UNION SELECT run.id FROM run JOIN later ON run.undoes = later.id) "
            "SELECT id FROM later ORDER BY id",
            (number,),
        )
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
        condition, values = ("", ()) if run is None else (" AND run = ?", (run,))
        query = f"SELECT {FIELDS} FROM write WHERE customer = ?{condition} ORDER BY id"
        for intent in map(Intent.from_row, self._store.query(query, (customer_no, *values))):
            is_of_level = level is None or level == intent.step.subscription_no
            is_of_charge = charge_id is None or charge_id in {intent.charge_id, intent.step.charge_id}
            if is_of_level and is_of_charge:
                yield intent

    def customers(self, since: int = 0) -> Iterator[str]:
        """Yield the customers that a run, or a later one, has written to."""
        query = "SELECT DISTINCT customer FROM write WHERE run >= ?"
        return (str(customer) for (customer,) in self._store.stream(query, (since,)))

    def rows(self, number: int) -> list[UnappliedRow]:
        """Return the rows that a run did not apply, by line."""
        query = "SELECT line, customer, result, reason FROM row WHERE run = ? ORDER BY line"
        return [
            UnappliedRow(line=line, customer_no=customer, result=result, reason=reason)
            for line, customer, result, reason in self._store.query(query, (number,))
        ]

    def last_good(self, shard: str) -> float | None:
        """Return when the last run ended that went through a whole table, in seconds since 1970; None without one.

        Args:
            shard: the part of the customers; empty for all.
        """
        query = (
            "SELECT seen, options FROM run WHERE outcome = ? AND shard = ? AND undoes IS NULL AND input <> '' "
            "ORDER BY seen DESC"
        )
        found = self._store.stream(query, (Ending.DONE.value, shard))
        return next((seen for seen, options in found if not json.loads(options).get("part")), None)

    def later_run(self, run: Run) -> int | None:
        """Return the last run of a table after this one, for the same shard; None without one."""
        query = "SELECT max(id) FROM run WHERE id > ? AND shard = ? AND command = 'apply'"
        (found,) = self._store.query(query, (run.id, run.shard))[0]
        return None if found is None else int(found)

    def last_write(self) -> int:
        """Return the number of the last write, also if it was pruned; 0 if there never was one."""
        query = "SELECT max(id), (SELECT pruned FROM origin) FROM write"
        last, pruned = self._store.run([*self._store.in_order, (query, ())])[0]
        return int(max(last or 0, pruned))

    def last_of_run(self, number: int) -> dict[str, int]:
        """Return the number of the last write of a run to each customer."""
        query = f"SELECT customer, max(id) FROM write WHERE run = ? {_OF_RUN} GROUP BY customer"
        return dict(self._store.stream(query, (number, number, number)))

    def pruned(self) -> int:
        """Return the number of the last write that was pruned; 0 if none was."""
        return int(self._store.query("SELECT pruned FROM origin")[0][0])

    def last_writes(self, after: int) -> dict[str, int]:
        """Return the number of the last write to each customer, of the writes after one."""
        query = "SELECT customer, max(id) FROM write WHERE id > ? GROUP BY customer"
        return dict(self._store.stream(query, (after,)))

    def failures(self, number: int) -> Iterator[tuple[str, dict[int, str], list[RemovalFailed]]]:
        """Yield each customer of a run with failed rows or removals: its number, the rows, the removals."""
        query = (
            "SELECT customer, failed, not_removed FROM customer "
            "WHERE run = ? AND coalesce(failed, not_removed) IS NOT NULL"
        )
        for customer, lines, removals in self._store.stream(query, (number,)):
            failed = {int(line): reason for line, reason in json.loads(lines or "{}").items()}
            yield customer, failed, msgspec.convert(json.loads(removals or "[]"), list[RemovalFailed])

    def totals(self, number: int) -> Done:
        """Return the total results for the customers that a run has finished."""
        query = "SELECT coalesce(sum(unchanged), 0), coalesce(sum(applied), 0) FROM customer WHERE run = ?"
        unchanged, applied = self._store.query(query, (number,))[0]
        failed: dict[int, str] = {}
        not_removed: list[RemovalFailed] = []
        for _, lines, removals in self.failures(number):
            failed |= lines
            not_removed += removals
        return Done(unchanged=int(unchanged), applied=int(applied), failed=failed, not_removed=tuple(not_removed))


_KEPT = 86_400.0  # seconds for which a lost change is kept: longer than anybody's `settle`


@contextmanager
def reading(place: Place, ledger: str | None = None) -> Iterator[History]:
    """Open a journal to read it, also while a run uses it.

    Raises:
        JournalError: there is none, or it is of another ledger or version.
    """
    must_be_there(place)
    with closing(open_store(place, ledger)) as store:
        yield History(store)


def must_be_there(place: Place) -> None:
    """Check that a journal exists.

    Raises:
        JournalError: it does not.
    """
    if not is_there(place):
        raise JournalError(f"{place}: {NOT_THERE}")


def is_there(place: Place) -> bool:
    """Return whether a journal exists. A database says so when it is opened."""
    return not isinstance(place, Path) or place.exists()


def prune(place: Place, ledger: str | None, before: float) -> int:
    """Take the runs that were last at work before a time out of a journal.

    A run stays if it has a write without a result, or lost the response of a change within the last day.

    Args:
        place: the journal.
        ledger: the address of the ledger; None for the one that the journal names.
        before: seconds since 1970.

    Returns:
        How many runs were taken out.
    """
    with reading(place, ledger) as history:
        store = history._store
        query = (
            "SELECT id FROM run WHERE seen < ? AND id NOT IN (SELECT run FROM write WHERE result IS NULL OR lost > ?)"
        )
        old = store.query(query, (before, store.now() - _KEPT))
        store.erase(statement for (run,) in old for statement in _without(run))
        return len(old)


def _without(run: int) -> Iterator[Statement]:
    """Yield the statements that take a run out."""
    last = f"(SELECT max(id) FROM write WHERE run = ? {_OF_RUN})"
    yield f"UPDATE origin SET pruned = {last} WHERE pruned < {last}", (run,) * 6
    yield f"DELETE FROM write WHERE run = ? {_OF_RUN}", (run,) * 3
    for table, column in (("customer", "run"), ("row", "run"), ("run", "id")):
        yield f"DELETE FROM {table} WHERE {column} = ?", (run,)


def forget(place: Place, ledger: str | None, customer_no: str) -> int:
    """Take the values of all writes to a customer out of a journal, and out of the state directory.

    That there were writes stays, with their times and the ids of the charges.

    Returns:
        How many writes there were.

    Raises:
        JournalError: it is not known yet whether a creation took effect, so its values are needed; or an interrupted
            run has still to write to the customer.
    """
    for plan in place.parent.glob(f"{place.name}*.plan") if isinstance(place, Path) else ():
        if json.dumps(customer_no, ensure_ascii=False).encode() in plan.read_bytes():
            raise JournalError(
                f"an interrupted run has the values of customer {customer_no} in {plan}. Apply the table again first, "
                "so that the run ends"
            )
    with reading(place, ledger) as history:
        store = history._store
        writes = list(history.to_customer(customer_no))
        if store.is_shared and store.query("SELECT 1 FROM part LIMIT 1"):
            raise JournalError("an interrupted run has values of customers. Apply the table again, so that it ends")
        if any(intent.result is None for intent in writes):
            raise JournalError(
                f"customer {customer_no} has a write whose outcome is not known yet. Apply the table again first, or "
                "decide it: payex-billing runs resolve"
            )
        empty = {"charge": None, "before": None, "subscription_no": None}
        statements: list[Statement] = [
            ("UPDATE write SET step = ?, after = NULL WHERE id = ?", (json.dumps(json.loads(step) | empty), number))
            for number, step in store.query("SELECT id, step FROM write WHERE customer = ?", (customer_no,))
        ]
        statements.append(("UPDATE row SET reason = '' WHERE customer = ?", (customer_no,)))
        query = "UPDATE customer SET failed = NULL, not_removed = NULL WHERE customer = ?"
        store.erase([*statements, (query, (customer_no,))])
        charges = {intent.charge_id or intent.step.charge_id for intent in writes}
        with Memory(store.ledger, place) as memory:
            memory.forget(charge for charge in charges if charge is not None)
        return len(writes)
