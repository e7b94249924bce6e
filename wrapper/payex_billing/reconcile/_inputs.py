"""What `apply` applies: a table, or a plan that was made before."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from .._text import counted
from ._before import refuse_changed, refuse_uncertain
from ._history import UnappliedRow
from ._journal import Journal
from ._plan import Plan
from ._planning import Planner
from ._report import Report
from ._selection import Shard
from ._sources import TableError
from ._state import State
from ._tables import Table
from ._writing import Run

if TYPE_CHECKING:
    from .._async.client import AsyncBilling


class ApplyPlan:
    """A run of a plan that was made before."""

    def __init__(self, source: Plan, billing: AsyncBilling) -> None:
        self._source = source
        self._billing = billing
        self.identity = source.customers.digest
        self.is_part = source.is_part or source.undoes is not None

    async def plan(self, run: Run, *, resumed: bool, fresh: bool) -> Plan:
        """Return the plan, if no customer has changed since it was made.

        Raises:
            Refused: a customer has changed, or may have.
        """
        if not resumed:
            refuse_uncertain(self._source, run.applier.uncertain(self._source.made_at))
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


class ApplyTable:
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
        self._last_write: int | None = None  # before the customers were read; None if an earlier run read them
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
            self._last_write = run.notes.history.last_write()
            planner = Planner(
                self._billing, self._source, prune=self._prune, brake=run.brake, shown=run.memory.shown,
                resolve=run.applier.resolve, on_progress=run.on_progress, telemetry=run.telemetry,
            )  # fmt: skip
            self._made = await planner.run(
                self._cache, run.notes.history, refresh=self._refresh, verify=self._verify, shard=self._shard,
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
            # Somebody else may have written to a customer after this run did.
            own, before = notes.history.last_of_run(notes.run), self._last_write or 0
            try:
                while chunk := list(islice(done, 10_000)):
                    self._cache.update(chunk, prune=self._prune)
                    self._cache.note(notes.history.identity, {number: own.get(number, before) for number in chunk})
                if self._last_write is not None and not (self._refresh or self._only):
                    self._cache.note(notes.history.identity, self._last_write)
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
