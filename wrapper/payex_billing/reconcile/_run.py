"""The two things one does with a table: plan and apply."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ._apply import SETTLE, Applier
from ._before import guard, outcome_of, refuse_removals
from ._dask import Options, helpers_on
from ._history import is_there, reading
from ._inputs import ApplyPlan, ApplyTable
from ._journal import Journal
from ._ledger import Refused, lock
from ._limits import Limits
from ._match import Shown, nothing_shown
from ._memory import Memory, paced
from ._opening import default_journal
from ._plan import Plan
from ._planning import Notice, Planner, Progress
from ._pool import PATIENCE, Brake
from ._records import Ending, Started
from ._report import Report
from ._selection import Shard
from ._state import State
from ._store import LEASE, Place
from ._tables import Table
from ._telemetry import telemetry_of
from ._writing import Run, Writer, quiet, renewing

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

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
    journal: Place | None = None,
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
        concurrency: requests at once.
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
            shown = stack.enter_context(Memory(ledger, journal)).shown
        planner = Planner(
            billing, table, prune=prune, brake=Brake(patience, notice=on_notice), shown=shown, on_progress=on_progress
        )
        path = journal or default_journal(ledger)
        history = stack.enter_context(reading(path, ledger)) if cache is not None and is_there(path) else None
        return await planner.run(
            cache, history, refresh=refresh, verify=verify, shard=shard, concurrency=concurrency, stop=asyncio.Event()
        )


async def apply(
    billing: AsyncBilling,
    source: Table | Plan,
    *,
    journal: Place | None = None,
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
    lease: float = LEASE,
    on: str | None = None,
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
        concurrency: requests at once.
        settle: seconds after which a request that was sent is treated as finished.
        patience: seconds to wait for a server that cannot be reached.
        recheck: seconds after which the customers that an interrupted run has finished are read again.
        locked: whether to keep other runs of this user for the same ledger away.
        lease: seconds after which the customers of a process that died are free, if the journal is in a database.
        on: the scheduler of a Dask cluster whose workers help to write, such as `dask://scheduler.example:8786`. The
            journal must be in a database. The workers take their settings and token from their own environment.
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
    is_undo = isinstance(source, Plan) and source.undoes is not None
    command = "undo" if is_undo else "apply" if retry is None else "retry"
    telemetry = telemetry_of(billing, command, shard=shard, journal=journal)
    async with AsyncExitStack() as stack:
        stack.enter_context(telemetry.run(outcome_of))
        if isinstance(source, Plan) and source.ledger != ledger:
            raise Refused(f"the plan is of ledger {source.ledger}, not {ledger}")
        path = journal or default_journal(ledger)
        stopping = stop or asyncio.Event()
        if locked and isinstance(path, Path):  # a database keeps other runs away by itself
            stack.enter_context(lock(ledger, shard))
        notes = stack.enter_context(
            Journal(path, ledger, shard=shard, limit=billing._runner.options.timeout, lease=lease)
        )
        await stack.enter_async_context(renewing(notes))
        own = Options(concurrency=concurrency, settle=settle, lease=lease, patience=patience)
        helpers = await stack.enter_async_context(helpers_on(on, notes, billing, own, on_notice))
        memory = stack.enter_context(Memory(ledger, journal))
        billing = paced(billing, memory, journal)
        brake = Brake(patience, notice=on_notice)
        if isinstance(source, Plan):
            applying: ApplyPlan | ApplyTable = ApplyPlan(source, billing)
        else:
            cache = stack.enter_context(State(state, source, ledger)) if state is not None else None
            rows = None if retry is None else notes.history.rows(retry)
            applying = ApplyTable(
                source, billing, cache, prune=prune, refresh=refresh, verify=verify, shard=shard, rows=rows
            )
            stack.callback(applying.close)
        # The same plan again means the same writes, so its run continues even if it was finished.
        since = notes.run_for(applying.identity, also_finished=isinstance(source, Plan))
        await _take_over(notes, since, recheck, stopping)
        applier = Applier(
            billing, notes, memory, brake, is_stopping=stopping.is_set, at_once=concurrency, settle=settle
        )
        run = Run(applier, notes, memory, brake, concurrency, stopping, on_progress, telemetry, helpers)
        made = await applying.plan(run, resumed=since is not None, fresh=since is not None and since <= recheck)
        if stopping.is_set():
            return telemetry.ended(applying.interrupted(made))
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
            command=command, file=source.file, undoes=made.undoes, approved=approve or "",
            options={"reading": source.reading, "prune": made.prune, "state": state, "retry": retry,
                     "part": applying.is_part, "max_removals": max_removals},
        )  # fmt: skip
        notes.begin(applying.identity, made.customers.digest, resumed=since is not None, started=started)
        telemetry.starts(lambda: notes.history.counts(notes.run))
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
        return telemetry.ended(report)


async def _take_over(notes: Journal, since: float | None, recheck: float, stopping: asyncio.Event) -> None:
    """Let no worker write an earlier plan any more. `since` is None if a new run begins."""
    if since is None:
        notes.withdraw_earlier()
        return
    notes.resume(read_again=since > recheck)
    await quiet(notes, stopping)


def _note_end(notes: Journal, made: Plan, report: Report, source: Table | Plan) -> None:
    """Note how the run ended, and the rows that it did not apply."""
    ending = Ending.STOPPED if report.stopped else Ending.INTERRUPTED if report.interrupted else Ending.DONE
    numbers = {
        "rows": report.rows, "unchanged": report.unchanged, "applied": report.applied,
        "rejected": len(report.rejected), "failed": len(report.failed), "not_removed": len(report.not_removed),
        "steps": report.steps, "before": made.before, "after": made.after, "notes": report.notes,
        "stopped": report.stopped,
    }  # fmt: skip
    customers = {line: customer for customer, lines, _ in notes.history.failures(notes.run) for line in lines}
    rejected = source.customers_of_rejected() if isinstance(source, Table) else {}
    rows = [(line, rejected.get(line), "rejected", reason) for line, reason in report.rejected.items()]
    rows += [
        (line, customers.get(line) or made.customer_of.get(line), "failed", reason)
        for line, reason in report.failed.items()
    ]
    notes.end(ending, numbers, rows)
