"""The two things one does with a table: plan and apply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import BillingError, InvalidArgument
from ._apply import SETTLE, Applier
from ._figures import Figures
from ._guards import Stop, check
from ._journal import Journal
from ._ledger import Memory, Refused, lock
from ._limits import Limits
from ._match import Shown, nothing_shown
from ._plan import Plan, PlannedCustomer, digests_of
from ._planning import Planner, Progress, said
from ._pool import PATIENCE, Brake, Later, Pool, Stopped
from ._reading import held
from ._report import Report
from ._selection import Selection, Shard
from ._sources import TableError
from ._state import State
from ._tables import Table
from ._validation import COLUMNS

if TYPE_CHECKING:
    from ..aio import AsyncBilling

MAX_REMOVALS = "5%"
RECHECK = 600.0  # seconds
CANARY = 20  # customers that are written and read back before the rest
Notice = Callable[[str], object]


class GuardStopped(Refused):
    """A guard stopped the run before the first write.

    Attributes:
        stops: each guard that stopped it, with the reason and the worst rows.
        digest: the digest of the plan; `approve=` with it lets exactly this plan through.
    """

    def __init__(self, stops: tuple[Stop, ...], digest: str) -> None:
        reasons = " ".join(stop.reason for stop in stops)
        super().__init__(f"nothing was written. {reasons} If all of this is meant, approve {digest}")
        self.stops = stops
        self.digest = digest


def removal_limit(text: str, held: int) -> int:
    """How many charges may be removed: a number, or percent of those held.

    Raises:
        InvalidArgument: it is neither.
    """
    match = re.fullmatch(r"(\d{1,9})(%?)", text)
    if match is None or (match[2] and int(match[1]) > 100):
        raise InvalidArgument("max_removals", "is a number of charges, or percent of those held, such as 5%")
    return int(match[1]) * held // 100 if match[2] else int(match[1])


async def plan(
    billing: AsyncBilling,
    table: Table,
    *,
    prune: bool = False,
    state: Path | None = None,
    refresh: bool = False,
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
        prune: whether the table is the whole truth for its customers: their other charges are removed. Nothing is
            removed of a customer of whom a row was rejected, and nothing at all if the customer of a rejected row is
            not certain.
        state: the cache of what was last applied; customers whose rows are still the same are not read.
        refresh: whether to read them all the same.
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
        return await _planned(
            planner, table, cache, refresh=refresh, shard=shard, concurrency=concurrency, stop=asyncio.Event()
        )


async def _planned(
    planner: Planner, table: Table, cache: State | None, *, refresh: bool, shard: Shard | None, concurrency: int,
    stop: asyncio.Event,
) -> Plan:  # fmt: skip
    selection = Selection(shard=shard, changed_only=cache is not None and not refresh)
    if selection.changed_only and cache is not None:
        cache.mark_changed(prune=planner.result.prune)
        for number, rows in cache.unchanged(shard):
            planner.result.skip(number, rows)
    result = await planner.run(selection.condition, concurrency, stop)
    result.rejected = table.reasons(shard.condition if shard else None)
    result.rows += len(result.rejected)
    result.figures.rejected = len(result.rejected)
    result.figures.source_modified = table.source_modified
    result.figures.ledger = result.ledger
    result.figures.digest = table.digest
    result.columns = tuple(name for name in COLUMNS if name in table.managed)
    result.is_part = table.is_rejects_file
    return result


async def apply(
    billing: AsyncBilling,
    source: Table | Plan,
    *,
    journal: Path,
    prune: bool = False,
    max_removals: str = MAX_REMOVALS,
    limits: Limits | None = None,
    first_run: bool = False,
    approve: str | None = None,
    state: Path | None = None,
    refresh: bool = False,
    shard: Shard | None = None,
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
        journal: the file in which each write is noted before it is sent; one run at a time. The plan is kept beside it
            until the run is finished.
        prune: as for `plan`; a plan brings its own.
        max_removals: most charges to remove, a number or percent of those held. If there are more, nothing is written.
        limits: of the guards; the defaults if None.
        first_run: whether this is the first run for the ledger, so that there is nothing to compare with.
        approve: the digest of a plan that may be written although a guard stops it.
        state: as for `plan`, and brought up to date.
        refresh: as for `plan`.
        shard: as for `plan`.
        concurrency: customers written to at once.
        settle: seconds after which a request that was sent is treated as finished.
        patience: seconds to wait for a server that cannot be reached.
        recheck: seconds after which the customers that an interrupted run has finished are read again.
        locked: whether to keep other runs of this user for the same ledger away.
        stop: when set, writes under way are finished, and no more are begun.
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
    stopping = stop or asyncio.Event()
    with ExitStack() as stack:
        if locked:
            stack.enter_context(lock(ledger, shard))
        notes = stack.enter_context(Journal(journal, ledger, limit=billing.settings.timeout))
        memory = stack.enter_context(Memory(ledger))
        brake = Brake(patience, notice=on_notice)
        applying: _ApplyPlan | _ApplyTable
        if isinstance(source, Plan):
            applying = _ApplyPlan(source, billing)
        else:
            cache = stack.enter_context(State(state, source, ledger)) if state is not None else None
            applying = _ApplyTable(source, billing, cache, prune=prune, refresh=refresh, shard=shard)
            stack.callback(applying.close)
        since = notes.interrupted_for(applying.identity)
        if since is not None:
            notes.resume()
        applier = Applier(billing, notes, memory, brake, is_stopping=stopping.is_set, settle=settle)
        run = _Run(applier, notes, memory, brake, concurrency, stopping, on_progress)
        made = await applying.plan(run, resumed=since is not None, fresh=since is not None and since <= recheck)
        if stopping.is_set():
            return applying.interrupted(made)
        if since is None:
            _refuse_removals(made, max_removals)
            if applying.is_part:
                _guard(made, None, limits or Limits(), first_run=True, approve=approve)
            else:
                last = memory.last_run(shard)
                _guard(made, last, limits or Limits(), first_run=first_run, approve=approve)
        applying.keep(made, notes)
        notes.begin(applying.identity, made.customers.digest, resumed=since is not None)
        report = await _Writer(made, run).run()
        if not (report.interrupted or report.stopped):
            notes.finish()
            if not applying.is_part:
                memory.keep_run(shard, made.figures.to_json(samples=False))
        applying.end(made, report, notes)
    return report


@attrs.frozen
class _Run:
    """What planning and writing of one run share."""

    applier: Applier
    notes: Journal
    memory: Memory
    brake: Brake
    concurrency: int
    stopping: asyncio.Event
    on_progress: Progress | None


class _ApplyPlan:
    """A run of a plan that was made before."""

    def __init__(self, source: Plan, billing: AsyncBilling) -> None:
        self._source = source
        self._billing = billing
        self.identity = source.customers.digest
        self.is_part = source.is_part

    async def plan(self, run: _Run, *, resumed: bool, fresh: bool) -> Plan:
        """The plan, if no customer has changed since it was made.

        Raises:
            Refused: one has.
        """
        if not resumed:
            await _refuse_changed(self._billing, self._source, run)
        return self._source

    def keep(self, made: Plan, notes: Journal) -> None:
        """The plan has its own file."""

    def interrupted(self, made: Plan) -> Report:
        """The report of a run that was stopped before the first write."""
        return Report(rows=made.rows, rejected=dict(made.rejected), interrupted=True)

    def end(self, made: Plan, report: Report, notes: Journal) -> None:
        """Nothing is left to do."""


class _ApplyTable:
    """A run of a table: it makes a plan, and keeps it beside the journal until the run is finished."""

    def __init__(
        self, source: Table, billing: AsyncBilling, cache: State | None, *, prune: bool, refresh: bool,
        shard: Shard | None,
    ) -> None:  # fmt: skip
        self._source = source
        self._billing = billing
        self._cache = cache
        self._prune = prune
        self._refresh = refresh
        self._shard = shard
        self._made: Plan | None = None
        self._is_kept = False
        self.identity = f"{source.digest} {prune} {shard or ''}"
        self.is_part = source.is_rejects_file

    async def plan(self, run: _Run, *, resumed: bool, fresh: bool) -> Plan:
        """The plan of the interrupted run if it is fresh, else a new one."""
        self._made = _kept(run.notes) if fresh else None
        self._is_kept = self._made is not None
        if self._made is None:
            planner = Planner(
                self._billing, self._source, prune=self._prune, brake=run.brake, shown=run.memory.shown,
                resolve=run.applier.resolve, on_progress=run.on_progress,
            )  # fmt: skip
            self._made = await _planned(
                planner, self._source, self._cache, refresh=self._refresh, shard=self._shard,
                concurrency=run.concurrency, stop=run.stopping,
            )  # fmt: skip
        return self._made

    def keep(self, made: Plan, notes: Journal) -> None:
        """Keep the plan for the case that the run is interrupted."""
        if not self._is_kept:
            made.write(notes.plan_path)

    def interrupted(self, made: Plan) -> Report:
        """The report of a run that was stopped before the first write."""
        rows = self._source.count(self._shard.condition() if self._shard else "") + len(made.rejected)
        return Report(rows=rows, rejected=dict(made.rejected), interrupted=True)

    def end(self, made: Plan, report: Report, notes: Journal) -> None:
        """Bring the state cache up to date, and say what was not removed."""
        if not (report.interrupted or report.stopped):
            notes.plan_path.unlink(missing_ok=True)
        if self._cache is not None:
            unsure = self._source.with_rejected_rows() | made.unfinished
            done = (
                planned.customer_no
                for planned in made.customers
                if planned.customer_no not in unsure and (not planned.steps or notes.is_finished(planned.customer_no))
            )
            while chunk := list(islice(done, 10_000)):
                self._cache.update(chunk, prune=self._prune)
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


class _Writer:
    """Writes a plan: the canary first, then the rest."""

    def __init__(self, made: Plan, run: _Run) -> None:
        self._made = made
        self._applier = run.applier
        self._notes = run.notes
        self._pool = Pool[PlannedCustomer](run.concurrency, run.stopping, run.brake)
        self._stopping = run.stopping
        self._on_progress = run.on_progress
        self._rows_done = 0
        self._rows = made.rows - made.at_rest - len(made.rejected) - len(made.failed)

    async def run(self) -> Report:
        """Write; what stops it is in the report, because something was written."""
        customers = (planned for planned in self._made.customers if planned.steps)
        stopped = ""
        try:
            first = list(islice(customers, CANARY))
            await self._pool.run(iter(first), self._one)
            if not self._stopping.is_set():
                rest = next(customers, None)
                if rest is not None:
                    await self._read_back(first)
                    await self._pool.run(_before(rest, customers), self._one)
        except Stopped as error:
            stopped = str(error)
        return self._report(stopped)

    async def _one(self, planned: PlannedCustomer) -> Later | None:
        later = await self._applier.customer(planned)
        if later is None and self._on_progress is not None:
            self._rows_done += len(planned.lines) + len(planned.unchanged)
            self._on_progress("writing", self._rows_done, self._rows)
        return later

    async def _read_back(self, first: list[PlannedCustomer]) -> None:
        finished = [planned for planned in first if self._notes.is_finished(planned.customer_no)]
        if not finished:
            reasons = sorted(set(self._notes.totals().failed.values()))
            raise Stopped(f"no write to the first {len(first)} customers succeeded: {'; '.join(reasons[:3])}")
        for planned in finished:
            try:
                missing = await self._applier.is_as_written(planned)
            except BillingError as error:
                raise Stopped(f"the first {len(first)} customers could not be read back: {said(error)}") from None
            if missing:
                what = ", ".join(f"{step.kind.value} (line {step.line})" for step in missing[:5])
                raise Stopped(
                    f"customer {planned.customer_no} was written and read back, and does not show it: {what}. "
                    f"Only the first {len(first)} customers were written"
                )

    def _report(self, stopped: str) -> Report:
        made, totals = self._made, self._notes.totals()
        report = Report(
            rows=made.rows,
            unchanged=made.at_rest + totals.unchanged,
            applied=made.applied_before + totals.applied,
            rejected=dict(made.rejected),
            failed=made.failed | totals.failed,
            not_removed=totals.not_removed,
            not_in_file=0 if made.prune else made.surplus,
            steps=self._notes.steps(),
            stopped=stopped,
        )
        report.interrupted = self._stopping.is_set() and not stopped and not report.is_complete
        return report


def _before(first: PlannedCustomer, rest: Iterator[PlannedCustomer]) -> Iterator[PlannedCustomer]:
    yield first
    yield from rest


def _guard(made: Plan, plain: dict[str, Any] | None, limits: Limits, *, first_run: bool, approve: str | None) -> None:
    """Compare a plan with the figures of the last run.

    Raises:
        GuardStopped: a guard stops it, and it is not approved.
    """
    last = None
    if plain is not None:
        with suppress(KeyError, ValueError, TypeError):  # of another version of this package
            last = Figures.from_json(plain)
    stops = check(made.figures, last, limits, first_run=first_run)  # also when approved: it learns from the last run
    if stops and approve != made.digest:
        raise GuardStopped(tuple(stops), made.digest)


def _refuse_removals(made: Plan, max_removals: str) -> None:
    limit = removal_limit(max_removals, made.held)
    if made.removals > limit:
        raise Refused(
            f"{made.removals} of {made.held} charges would be removed, more than {max_removals} allows ({limit}). "
            "If that is meant, allow more with --max-removals"
        )


async def _refuse_changed(billing: AsyncBilling, made: Plan, run: _Run) -> None:
    """Refuse a plan if one of its customers has changed since it was made."""
    changed: list[str] = []

    async def one(planned: PlannedCustomer) -> Later | None:
        try:
            state = await held(billing, planned.customer_no, planned.levels, everything=planned.whole)
        except BillingError as error:
            later = run.brake.failed(planned.customer_no, error)
            if later is None:
                raise
            return later
        run.brake.release()
        if (state.exists, digests_of(state)) != (planned.exists, planned.digests):
            changed.append(planned.customer_no)
        return None

    customers = (planned for planned in made.customers if planned.steps)
    await Pool[PlannedCustomer](run.concurrency, run.stopping, run.brake).run(customers, one)
    if changed:
        count = "1 customer has" if len(changed) == 1 else f"{len(changed)} customers have"
        shown = ", ".join(sorted(changed)[:10]) + (" and more" if len(changed) > 10 else "")
        raise Refused(f"{count} changed since the plan was made: {shown}. Make a new plan")
