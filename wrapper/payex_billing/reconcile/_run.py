"""The two things one does with a table: plan and apply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from .._text import counted
from ._apply import SETTLE, Applier
from ._before import guard, refuse_changed, refuse_removals
from ._history import UnappliedRow, reading
from ._journal import Journal, Started
from ._ledger import Memory, Refused, lock
from ._limits import Limits
from ._match import Shown, nothing_shown
from ._plan import Plan
from ._planning import Notice, Planner, Progress
from ._pool import PATIENCE, Brake
from ._records import Ending
from ._report import Report
from ._selection import Shard, selection
from ._sources import TableError
from ._state import State
from ._store import default_journal
from ._tables import Table
from ._validation import COLUMNS
from ._writing import Run, Writer

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

Written: TypeAlias = Callable[[int], set[str]]  # the customers that were written after a write
MAX_REMOVALS = "5%"
RECHECK = 600.0  # seconds


async def plan(
    billing: AsyncBilling,
    table: Table,
    *,
    prune: bool = False,
    state: Path | None = None,
    refresh: bool = False,
    verify: float = 0.0,
    journal: Path | None = None,
    shard: Shard | None = None,
    concurrency: int = 16,
    patience: float = PATIENCE,
    on_progress: Progress | None = None,
    on_notice: Notice | None = None,
) -> Plan:
    """Read the current charges and return what `apply` would change. Nothing is written.

    Args:
        billing: the client.
        table: the desired charges, from `read`.
        prune: whether to remove the other charges of the customers in the table. No charge is removed from a customer
            with a rejected row, and none at all if the customer of a rejected row is not certain.
        state: the cache of what was last applied; customers whose rows are still the same are not read.
        refresh: whether to read these customers anyway.
        verify: a share of these customers, 0 to 1, that is read anyway. `Plan.stale` names those that have changed.
        journal: as for `apply`. Customers that an undo or another table has written to since are read.
        shard: a part of the customers.
        concurrency: customers read at once.
        patience: seconds to wait for a server that cannot be reached.
        on_progress: called with `planning`, the rows that are planned, and the rows in all.
        on_notice: called with a sentence when the run must wait.

    Raises:
        Stopped: the customers cannot be read.
        TableError: the state cache cannot be used.
    """
    ledger = billing.settings.ledger
    with ExitStack() as stack:
        cache = stack.enter_context(State(state, table, ledger)) if state is not None else None
        shown: Shown = nothing_shown
        with suppress(Refused):  # a plan can do without: an empty cell then shows as a change
            shown = stack.enter_context(Memory(ledger)).shown
        planner = Planner(
            billing, table, prune=prune, brake=Brake(patience, notice=on_notice), shown=shown, on_progress=on_progress
        )
        path = journal or default_journal(ledger)
        written: Written = nothing_written
        if cache is not None and path.exists():
            written = stack.enter_context(reading(path, ledger)).written_after
        return await _planned(
            planner, table, cache, path, written, refresh=refresh, verify=verify, shard=shard, concurrency=concurrency,
            stop=asyncio.Event(),
        )  # fmt: skip


def nothing_written(write: int) -> set[str]:
    """Return that no customer was written."""
    return set()


async def _planned(
    planner: Planner, table: Table, cache: State | None, journal: Path, written: Written, *, refresh: bool,
    verify: float, shard: Shard | None, concurrency: int, stop: asyncio.Event, chosen_only: bool = False,
) -> Plan:  # fmt: skip
    changed_only = cache is not None and not (refresh or chosen_only)
    verified: list[str] = []
    if cache is not None and changed_only:
        seen = cache.seen(journal)
        others = set() if seen is None else written(seen)
        verified = cache.mark_changed(prune=planner.result.prune, written=others, verify=verify)
        for number, rows in cache.unchanged(shard):
            planner.result.skip(number, rows)
    result = await planner.run(selection(shard, changed_only=changed_only, chosen_only=chosen_only), concurrency, stop)
    if verified:
        result.verified = len(verified)
        touched = {planned.customer_no for planned in result.customers.with_steps()}
        result.stale = tuple(sorted(touched.intersection(verified)))
    result.rejected = table.reasons(shard.condition if shard else None)
    result.rows += len(result.rejected)
    result.figures.rejected = len(result.rejected)
    result.figures.source_modified = table.source_modified
    result.figures.ledger = result.ledger
    result.figures.digest = table.digest
    result.columns = tuple(name for name in COLUMNS if name in table.managed)
    result.is_part = table.is_rejects_file or chosen_only
    return result


async def apply(
    billing: AsyncBilling,
    source: Table | Plan,
    *,
    journal: Path | None = None,
    prune: bool = False,
    max_removals: str = MAX_REMOVALS,
    limits: Limits | None = None,
    first_run: bool = False,
    approve: str | None = None,
    state: Path | None = None,
    refresh: bool = False,
    verify: float = 0.0,
    shard: Shard | None = None,
    retry: int | None = None,
    concurrency: int = 16,
    settle: float = SETTLE,
    patience: float = PATIENCE,
    recheck: float = RECHECK,
    locked: bool = True,
    stop: asyncio.Event | None = None,
    on_progress: Progress | None = None,
    on_notice: Notice | None = None,
) -> Report:
    """Write what is needed so that Billing holds what the table, or the plan, says.

    All customers are read and planned. Guards compare the plan with what is held and with the last run. The first
    20 customers are written and read back, then the rest. Each customer is read again right before it is written to;
    one that has changed since fails. With the journal of an interrupted run, `apply` goes on with that run: a creation
    without a result is looked up, never sent blindly.

    Args:
        billing: the client.
        source: a table from `read`, or a plan.
        journal: the file in which each write is noted before it is sent; one run at a time. It keeps the runs. The
            plan is kept beside it until the run is finished. None for the journal of the ledger in the user's state
            directory.
        prune: as for `plan`; a plan brings its own.
        max_removals: most charges to remove, a number or percent of those held. If there are more, nothing is written.
        limits: of the guards; the defaults if None.
        first_run: whether this is the first run for the ledger, without an earlier run to compare with.
        approve: the digest of a plan that may be written although a guard stops it.
        state: as for `plan`, and brought up to date.
        refresh: as for `plan`.
        verify: as for `plan`; the report says how many customers have changed.
        shard: as for `plan`.
        retry: the number of an earlier run: only customers with rows that it did not apply are compared and written.
        concurrency: customers written to at once.
        settle: seconds after which a request that was sent is treated as finished.
        patience: seconds to wait for a server that cannot be reached.
        recheck: seconds after which the customers that an interrupted run has finished are read again.
        locked: whether to keep other runs of this user for the same ledger away.
        stop: when set, `apply` finishes the writes under way and starts no more.
        on_progress: called with `planning` or `writing`, the rows that are done, and the rows in all.
        on_notice: called with a sentence when the run must wait.

    Raises:
        GuardStopped: a guard stopped it; nothing was written.
        Refused: another run has the ledger, the plan is out of date, or too much would be removed; nothing was written.
        Stopped: the customers could not be read; nothing was written.
        JournalError: another run has the journal, it is of another ledger, or the disk is full.
        TableError: the state cache cannot be used.
    """
    ledger = billing.settings.ledger
    if isinstance(source, Plan) and source.ledger != ledger:
        raise Refused(f"the plan is of ledger {source.ledger}, not {ledger}")
    path = journal or default_journal(ledger)
    stopping = stop or asyncio.Event()
    with ExitStack() as stack:
        if locked:
            stack.enter_context(lock(ledger, shard))
        notes = stack.enter_context(Journal(path, ledger, shard=shard, limit=billing._runner.options.timeout))
        memory = stack.enter_context(Memory(ledger))
        brake = Brake(patience, notice=on_notice)
        applying: _ApplyPlan | _ApplyTable
        if isinstance(source, Plan):
            applying = _ApplyPlan(source, billing)
        else:
            cache = stack.enter_context(State(state, source, ledger)) if state is not None else None
            rows = None if retry is None else notes.history.rows(retry)
            applying = _ApplyTable(
                source, billing, cache, prune=prune, refresh=refresh, verify=verify, shard=shard, rows=rows
            )
            stack.callback(applying.close)
        # The same plan again means the same writes, so its run continues even if it was finished.
        since = notes.run_for(applying.identity, also_finished=isinstance(source, Plan))
        if since is not None:
            notes.resume(read_again=since > recheck)
        applier = Applier(billing, notes, memory, brake, is_stopping=stopping.is_set, settle=settle)
        run = Run(applier, notes, memory, brake, concurrency, stopping, on_progress)
        made = await applying.plan(run, resumed=since is not None, fresh=since is not None and since <= recheck)
        if stopping.is_set():
            return applying.interrupted(made)
        allowed = since is not None or notes.was_allowed(applying.identity)
        if not allowed and made.undoes is None:
            refuse_removals(made, max_removals)
        doubts = guard(
            made,
            None if applying.is_part else memory.last_run(shard),
            limits or Limits(),
            first_run=first_run or applying.is_part,
            allowed=allowed or approve == made.digest,
        )
        applying.keep(made, notes)
        started = Started(
            command="apply" if made.undoes is None else "undo", file=source.file, undoes=made.undoes,
            approved=approve or "",
            options={"reading": source.reading, "prune": made.prune, "state": state, "retry": retry},
        )  # fmt: skip
        notes.begin(applying.identity, made.customers.digest, resumed=since is not None, started=started)
        report = await Writer(made, run).run()
        # A table of which nothing had to be written, and that looks wrong, is nothing to compare with.
        if not (report.interrupted or report.stopped or applying.is_part or doubts):
            try:
                memory.keep_run(shard, made.figures.to_json(samples=False))
            except Refused as error:
                report.notes.append(f"The next run cannot be compared with this one: {error}")
        report.notes += [f"{stop.guard}: {stop.reason}" for stop in doubts]
        applying.end(made, report, notes)
        _note_end(notes, made, report, source)
    return report


def _note_end(notes: Journal, made: Plan, report: Report, source: Table | Plan) -> None:
    """Note how the run ended, and the rows that it did not apply."""
    ending = Ending.STOPPED if report.stopped else Ending.INTERRUPTED if report.interrupted else Ending.DONE
    numbers = {
        "rows": report.rows, "unchanged": report.unchanged, "applied": report.applied,
        "rejected": len(report.rejected), "failed": len(report.failed), "not_removed": len(report.not_removed),
        "steps": report.steps, "before": made.before, "after": made.after, "notes": report.notes,
        "stopped": report.stopped,
    }  # fmt: skip
    customers = {line: customer for customer, lines, _ in notes.failures() for line in lines}
    rejected = source.customers_of_rejected() if isinstance(source, Table) else {}
    rows = [(line, rejected.get(line), "rejected", reason) for line, reason in report.rejected.items()]
    rows += [
        (line, customers.get(line) or made.customer_of.get(line), "failed", reason)
        for line, reason in report.failed.items()
    ]
    notes.end(ending, numbers, rows)


class _ApplyPlan:
    """A run of a plan that was made before."""

    def __init__(self, source: Plan, billing: AsyncBilling) -> None:
        self._source = source
        self._billing = billing
        self.identity = source.customers.digest
        self.is_part = source.is_part or source.undoes is not None

    async def plan(self, run: Run, *, resumed: bool, fresh: bool) -> Plan:
        """Return the plan, if no customer has changed since it was made.

        Raises:
            Refused: a customer has changed.
        """
        if not resumed:
            await refuse_changed(self._billing, self._source, run)
        return self._source

    def keep(self, made: Plan, notes: Journal) -> None:
        """Save the plan of an undo in case the run is interrupted. Any other plan has its own file."""
        if made.undoes is not None and made.file != str(notes.plan_path):
            made.write(notes.plan_path)

    def interrupted(self, made: Plan) -> Report:
        """The report of a run that was stopped before the first write."""
        return Report(rows=made.rows, rejected=dict(made.rejected), interrupted=True)

    def end(self, made: Plan, report: Report, notes: Journal) -> None:
        """Remove the saved plan of an undo."""
        if made.undoes is not None and not (report.interrupted or report.stopped):
            notes.plan_path.unlink(missing_ok=True)


class _ApplyTable:
    """A run of a table: it makes a plan, and keeps it beside the journal until the run is finished."""

    def __init__(
        self, source: Table, billing: AsyncBilling, cache: State | None, *, prune: bool, refresh: bool,
        verify: float, shard: Shard | None, rows: list[UnappliedRow] | None = None,
    ) -> None:  # fmt: skip
        self._source = source
        self._billing = billing
        self._cache = cache
        self._prune = prune
        self._refresh = refresh
        self._verify = verify
        self._shard = shard
        self._made: Plan | None = None
        self._is_kept = False
        self._only = rows is not None
        if rows is not None:
            source.choose(
                {row.customer_no for row in rows if row.customer_no is not None},
                {row.line for row in rows if row.customer_no is None},
            )
        self.identity = f"{source.digest} {prune} {shard or ''}" + (" retried" if self._only else "")
        self.is_part = source.is_rejects_file or self._only

    async def plan(self, run: Run, *, resumed: bool, fresh: bool) -> Plan:
        """Return the plan of the interrupted run if it is fresh, else a new plan."""
        self._made = _kept(run.notes) if fresh else None
        self._is_kept = self._made is not None
        if self._made is None:
            planner = Planner(
                self._billing, self._source, prune=self._prune, brake=run.brake, shown=run.memory.shown,
                resolve=run.applier.resolve, on_progress=run.on_progress,
            )  # fmt: skip
            self._made = await _planned(
                planner, self._source, self._cache, run.notes.path, run.notes.history.written_after,
                refresh=self._refresh, verify=self._verify, shard=self._shard,
                concurrency=run.concurrency, stop=run.stopping, chosen_only=self._only,
            )  # fmt: skip
        return self._made

    def keep(self, made: Plan, notes: Journal) -> None:
        """Save the plan in case the run is interrupted."""
        if not self._is_kept:
            made.write(notes.plan_path)

    def interrupted(self, made: Plan) -> Report:
        """The report of a run that was stopped before the first write."""
        rows = self._source.count(self._shard.condition() if self._shard else "") + len(made.rejected)
        return Report(rows=rows, rejected=dict(made.rejected), interrupted=True)

    def end(self, made: Plan, report: Report, notes: Journal) -> None:
        """Update the state cache, and report the charges that were not removed."""
        if not (report.interrupted or report.stopped):
            notes.plan_path.unlink(missing_ok=True)
        if self._cache is not None:
            unsure = self._source.with_rejected_rows() | made.unfinished
            done = (
                planned.customer_no
                for planned in made.customers
                if planned.customer_no not in unsure and (not planned.steps or notes.is_finished(planned.customer_no))
            )
            try:
                while chunk := list(islice(done, 10_000)):
                    self._cache.update(chunk, prune=self._prune)
                self._cache.note(notes.path, notes.history.last_write())
            except TableError as error:
                report.notes.append(f"The next run reads more customers: {error}")
        if made.stale:
            names = ", ".join(made.stale[:5]) + (" and more" if len(made.stale) > 5 else "")
            report.notes.append(
                f"{len(made.stale)} of {counted(made.verified, 'customer')} that were read to verify the state cache "
                f"had been changed by somebody else: {names}. To read all customers: --refresh"
            )
        if self._prune and self._source.rejected_without_customer and not self.is_part:
            report.notes.append(
                "Nothing was removed: the customer of a rejected row is not certain, so the row may ask for any charge."
            )

    def close(self) -> None:
        """Close the plan."""
        if self._made is not None:
            self._made.close()


def _kept(notes: Journal) -> Plan | None:
    """The plan of the interrupted run, if it was kept whole and every customer could be planned."""
    try:
        kept = Plan.load(notes.plan_path)
    except TableError:
        return None
    if notes.is_of_plan(kept.customers.digest) and not kept.failed:
        return kept
    kept.close()
    return None
