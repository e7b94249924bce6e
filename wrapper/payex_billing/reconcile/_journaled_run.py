"""The run of a journal: how it is opened, begun, continued and ended, and the leases under which it writes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import attrs

from ._history import History
from ._ledger import directory
from ._locks import Locked, NoLock
from ._opening import open_store
from ._parts import Parts
from ._records import Ending, Started
from ._selection import Shard
from ._store import LEASE, JournalError, Lease, Place, Row, Statement

T = TypeVar("T")
_DAY = 86_400.0  # seconds


@attrs.frozen
class Transaction:
    """Statements that run together, all or nothing.

    Attributes:
        statements: the statements.
        again: whether they may run twice, when the connection was lost and it is not known whether they ran.
    """

    statements: Sequence[Statement]
    again: bool = attrs.field(kw_only=True)


Work = Generator[Transaction, list[list[Row]], T]  # yields transactions, and receives their rows


class JournaledRun:
    """The journal of a ledger, open for one run.

    Args:
        place: the file, created if it does not exist, or the address of a PostgreSQL database.
        ledger: the address of the ledger; None for the ledger that the journal names.
        shard: the part of the customers that the run writes. Shards of the same count may run beside one another.
        limit: seconds that an attempt may take. A write can leave up to this long after the journal noted it.
        lease: seconds for which a database keeps the lease of a customer without being asked again.
        alone: whether to keep other runs away. A worker and a single write share the journal with the runs.
        now: seconds since 1970, for a file. A database has a clock of its own.

    Attributes:
        run: the number of the run; 0 before it begins.
        name: what messages call the journal.
        is_shared: whether processes on several machines may use the journal.

    Raises:
        JournalError: another run uses it, or it is of another ledger or version, or is not a journal.
    """

    def __init__(
        self,
        place: Place,
        ledger: str | None,
        *,
        shard: Shard | None = None,
        limit: float = 30.0,
        lease: float = LEASE,
        alone: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.place = place
        self._limit = limit
        self.lease_seconds = lease
        self._shard = shard
        self.reads_again = False  # whether the run continues one that ended long ago
        self.run = 0
        self._plan = ""
        self._epoch = 1  # how many times the run was begun
        # Results that are not saved yet, and the customers of writes without a saved result.
        self._settled: list[Row] = []
        self._customers: dict[int, str] = {}
        self._noted: dict[int, float] = {}  # when it was noted that they are sent
        self._seen = 0.0  # when this process last updated `run.seen`
        self._fresh = min(1.0, limit / 4, lease / 4)  # seconds after a note in which an attempt needs no new one
        self._leases: dict[str, Lease] = {}
        self._unsure: dict[str, Lease | None] = {}  # leases under which a write may have been noted, but was not sent
        with ExitStack() as stack:
            self._store = open_store(place, ledger, clock=now, lease=lease)
            stack.callback(self._store.close)
            self.name, self.is_shared = self._store.name, self._store.is_shared
            if alone:
                self._hold(stack)
            self._history = History(self._store)
            self._stack = stack.pop_all()
        self._now = self._store.now
        self._opened_at = self._now()

    def _hold(self, stack: ExitStack) -> None:
        try:
            self._store.hold(stack, self._shard)
        except Locked:
            raise JournalError(
                f"{self.name}: another run is using this journal; wait for it, or name another with --journal"
            ) from None
        except (NoLock, OSError) as error:
            raise JournalError(str(error)) from None

    @property
    def history(self) -> History:
        """The runs and writes that the journal holds."""
        self.save()
        return self._history

    @property
    def plan_path(self) -> Path:
        """The file that keeps the plan until the run is finished."""
        part = "" if self._shard is None else f".{self._shard.index}-of-{self._shard.count}"
        place = self.place if isinstance(self.place, Path) else directory(self._store.ledger) / "shared"
        return place.with_name(f"{place.name}{part}.plan")

    # the run

    def _last(self) -> tuple[int, str, str, float, float | None] | None:
        # A run of single writes has no input.
        query = (
            "SELECT id, input, plan, seen, finished FROM run WHERE shard = ? AND input <> '' ORDER BY id DESC LIMIT 1"
        )
        found = self._store.query(query, (str(self._shard or ""),))
        return found[0] if found else None

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
        """Continue the last run; no other process writes its plan then. With `read_again`, no customer is finished."""
        last = self._last()
        assert last is not None  # noqa: S101 - `run_for` has found it
        self.run, self._plan = last[0], last[2]
        self.reads_again = read_again
        if read_again:
            self._save([("DELETE FROM customer WHERE run = ?", (self.run,))])
        self.withdraw()

    def withdraw(self) -> None:
        """Let no other process write the plan of the run any more."""
        query = "UPDATE run SET epoch = epoch + 1, parts = 0 WHERE id = ? RETURNING epoch"
        self._epoch = self._save([(query, (self.run,))])[0][0]

    def withdraw_earlier(self) -> None:
        """Let no other process write the plan of an earlier run any more: a new run is about to begin.

        Runs of other shards go on.
        """
        if not self.is_shared:
            return
        shard = str(self._shard or "")
        condition, values = (" AND shard IN ('', ?)", (shard,)) if shard else ("", ())
        self._save([(f"UPDATE run SET epoch = epoch + 1, parts = 0 WHERE parts = 1{condition}", values)])

    def are_others_at_work(self) -> bool:
        """Return whether other processes still write to customers for this run."""
        return self._store.has_leases(self.run)

    def join(self, run: int | None) -> bool:
        """Take part in a run that hands out parts: in this one, or in the latest. Return False if there is none."""
        condition, values = ("", ()) if run is None else (" AND id = ?", (run,))
        found = self._store.query(
            f"SELECT id, plan, epoch FROM run WHERE outcome IS NULL AND parts = 1{condition} ORDER BY id DESC LIMIT 1",
            values,
        )
        if found:
            self.run, self._plan, self._epoch = found[0]
        return bool(found)

    def is_current(self) -> bool:
        """Return whether the run still writes the plan that this process writes."""
        return bool(self._store.query("SELECT 1 FROM run WHERE id = ? AND epoch = ?", (self.run, self._epoch)))

    def parts(self) -> Parts:
        """Return the parts of the plan, in which several processes write it."""
        return Parts(self._store, self.run, self._epoch)

    def is_of_plan(self, digest: str) -> bool:
        """Return whether the interrupted run writes the plan with this digest."""
        return self._plan == digest

    def begin(self, source: str, plan: str, *, resumed: bool, started: Started | None = None) -> None:
        """Start to write a plan: in a new run, or in the interrupted one.

        Call it only after every check that can stop the run: a run that was begun counts as allowed.
        """
        if not resumed:
            self.run = self._new_run(source, plan, started or Started())
        else:
            query = "UPDATE run SET finished = NULL, outcome = NULL, last = NULL, plan = ? WHERE id = ?"
            statements: list[Statement] = [(query, (plan, self.run))]
            if plan != self._plan:  # the new plan counts the rows of these customers
                statements.append(("DELETE FROM customer WHERE run = ?", (self.run,)))
            self._save(statements)
        self._plan = plan

    def _new_run(self, source: str, plan: str, started: Started) -> int:
        now = self._now()
        values = started.to_row() | {
            "input": source, "plan": plan, "shard": str(self._shard or ""), "started": now, "seen": now,
            "first": self._history.last_write() + 1,
        }  # fmt: skip
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        query = f"INSERT INTO run ({names}) VALUES ({marks}) RETURNING id"
        return int(self._save([(query, (*values.values(),))])[0][0])

    def end(self, ending: Ending, report: Mapping[str, Any], rows: Iterable[Row] = ()) -> None:
        """Note how the run ended. Only a run that is done is finished: any other is continued by the next one.

        Args:
            ending: how it ended.
            report: its numbers, as plain JSON.
            rows: line, customer, `rejected` or `failed`, and reason of each row that was not applied.
        """
        now = self._now()
        finished = now if ending is Ending.DONE else None
        query = (
            "UPDATE run SET outcome = ?, report = ?, seen = ?, finished = ?, last = (SELECT max(id) FROM write) "
            "WHERE id = ?"
        )
        statements: list[Statement] = [
            (query, (ending.value, json.dumps(report, default=str), now, finished, self.run)),
            ("DELETE FROM row WHERE run = ?", (self.run,)),  # of the same run, before it was continued
        ]
        statements += (("INSERT INTO row VALUES (?, ?, ?, ?, ?)", (self.run, *row)) for row in rows)
        self._save(statements)

    def was_allowed(self, source: str) -> bool:
        """Return whether the last run had this input, within a day.

        This run is then the rest of the last one, and was allowed with it.
        """
        last = self._last()
        return last is not None and last[1] == source and 0 <= self._now() - last[3] < _DAY

    # leases

    @property
    def holds_leases(self) -> bool:
        """Whether this process may write to a customer."""
        return bool(self._leases)

    def give_back(self, customer_no: str) -> None:
        """Give the lease of a customer back, if this process still has it."""
        lease = self._leases.pop(customer_no, None)
        if lease is not None:
            ended = self._store.give_back(lease)
            with suppress(JournalError):  # a lease that is not given back ends by itself
                self._save([] if ended is None else [ended])

    def renew(self) -> None:
        """Keep the leases of this process."""
        self._store.renew(self._leases.values())

    # saving

    def save(self) -> None:
        """Save the results that were noted last."""
        if self._settled:
            self._save([])

    def _save_for(self, customer_no: str) -> None:
        """Save the noted results if one of them may belong to a write to this customer."""
        # A write of an earlier run, or one that was settled before, is of an unknown customer.
        if any(self._customers.get(settled[-1], customer_no) == customer_no for settled in self._settled):
            self.save()

    def _save(self, statements: Iterable[Statement]) -> list[Row]:
        """Save statements; return the rows of the last one."""
        rows = self.do(self._saving(statements))
        return rows[-1] if rows else []

    def _saving(self, statements: Iterable[Statement], *, again: bool = True) -> Work[list[list[Row]]]:
        """Save statements, and before them the results that were noted last; return the rows of each."""
        # A process that lost its lease may have looked a write up that another process has decided since.
        query = (
            "UPDATE write SET result = ?, charge = ?, after = ?, status = ?, instance = ?, lost = coalesce(?, lost) "
            "WHERE id = ? AND (result IS NULL OR result = 'repeated')"
        )
        settled, self._settled = self._settled, []
        every = [*((query, values) for values in settled), *statements]
        if not every:
            return []
        try:
            rows = yield Transaction(every, again=again)
        except BaseException:
            self._settled[:0] = settled
            raise
        for values in settled:
            self._customers.pop(values[-1], None)
            self._noted.pop(values[-1], None)
        return rows[len(settled) :]

    def do(self, work: Work[T]) -> T:
        """Run the transactions of `work`; return its result."""
        try:
            transaction = next(work)
            while True:
                try:
                    rows = self._store.run_each(transaction.statements, again=transaction.again)
                except BaseException as error:  # noqa: BLE001 - the work raises it
                    transaction = work.throw(error)
                else:
                    transaction = work.send(rows)
        except StopIteration as end:
            result: T = end.value
            return result

    async def do_later(self, work: Work[T]) -> T:
        """Run the transactions of `work`; return its result. Other tasks continue while PostgreSQL works."""
        if not self.is_shared:
            return self.do(work)
        loop = asyncio.get_running_loop()
        try:
            transaction = next(work)
            while True:
                run = partial(self._store.run_each, transaction.statements, again=transaction.again)
                try:
                    rows = await loop.run_in_executor(None, run)
                except BaseException as error:  # noqa: BLE001 - the work raises it
                    transaction = work.throw(error)
                else:
                    transaction = work.send(rows)
        except StopIteration as end:
            result: T = end.value
            return result

    def close(self) -> None:
        """Save, and close the journal, so that the next run can use it."""
        try:
            self.save()
        finally:
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
