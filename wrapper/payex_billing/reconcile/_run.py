"""The two things one does with a table: plan and apply."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ..errors import BillingError, InvalidArgument
from . import _plan
from ._apply import SETTLE, Applier, Report
from ._journal import Journal
from ._plan import Plan, Progress, changed_since
from ._state import State
from ._tables import Table

if TYPE_CHECKING:
    from ..aio import AsyncBilling

MAX_REMOVALS = "5%"


class Refused(BillingError):
    """Nothing was written: the plan is out of date, or would remove too much. The text is a sentence."""


@attrs.frozen
class Shard:
    """A stable part of the customers: number `index` of `count`, counted from 1.

    A customer is always in the same part, by a digest of its number; the parts together are the whole.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read `3/8`.

        Raises:
            InvalidArgument: it is no such thing.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise InvalidArgument("shard", "is a part of a whole, such as 3/8")
        return cls(int(match[1]), int(match[2]))

    def condition(self, cell: str = "customer_no") -> str:
        """The condition of SQL that a row is in it."""
        return f"md5_number({cell}) % {self.count} = {self.index - 1}"

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


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
    on_progress: Progress | None = None,
) -> Plan:
    """Say what would be written so that Billing holds what the table says. Nothing is.

    Args:
        billing: the client; a table of another ledger is not noticed.
        table: the desired charges, from `read`.
        prune: whether the table is the whole truth for its customers: other charges of theirs are removed. Not those
            of a customer of whom a row was rejected.
        state: the cache of what was last applied; customers whose rows are still the same are not read.
        refresh: read them all the same.
        shard: a part of the customers.
        concurrency: customers read at once.
        on_progress: called with a number of rows, as they are planned.

    Returns:
        The plan; `write` keeps it for `apply`.
    """
    cache = State(state, table, billing.settings.ledger) if state is not None else None
    same, where = _chosen(table, cache, prune=prune, refresh=refresh, shard=shard)
    try:
        found = await _plan.make(
            billing, table, where=where, prune=prune, concurrency=concurrency, on_progress=on_progress
        )
    finally:
        if cache is not None:
            cache.close()
    found.rejected = table.reasons(shard.condition if shard else None)
    found.rows += same + len(found.rejected)
    found.unchanged += same
    return found


async def apply(
    billing: AsyncBilling,
    source: Table | Plan,
    *,
    journal: Path,
    prune: bool = False,
    max_removals: str = MAX_REMOVALS,
    state: Path | None = None,
    refresh: bool = False,
    shard: Shard | None = None,
    concurrency: int = 16,
    settle: float = SETTLE,
    stop: asyncio.Event | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Write what is needed so that Billing holds what the table, or the plan, says.

    Customers are independent of each other; each is read again right before it is written to. With the journal of an
    interrupted run it goes on with that run: a write whose result was not noted is looked up, never sent blindly.

    Args:
        billing: the client.
        source: a table from `read`, or a plan.
        journal: the file that each write is noted in before it is sent; one run at a time.
        prune: as for `plan`; a plan brings its own.
        max_removals: most charges to remove, a number or percent of those held; more, and nothing is written.
        state: as for `plan`, and brought up to date.
        refresh: as for `plan`.
        shard: as for `plan`.
        concurrency: customers written to at once.
        settle: seconds after which a request that was not answered is taken to have ended.
        stop: when set, writes under way are finished, and no more are begun.
        on_progress: called with a number of rows, as they are done.

    Raises:
        Refused: the plan is out of date, or too much would be removed; nothing was written.
        JournalError: another run has the journal, or it is of another ledger.
        TableError: the state cache cannot be used.
    """
    ledger = billing.settings.ledger
    with Journal(journal, ledger) as notes:
        applier = Applier(billing, notes, settle=settle)
        applier.stop = stop or asyncio.Event()
        if isinstance(source, Plan):
            return await _apply_plan(applier, billing, source, notes, max_removals, concurrency, on_progress)
        cache = State(state, source, ledger) if state is not None else None
        try:
            same, where = _chosen(source, cache, prune=prune, refresh=refresh, shard=shard)
            identity = _identity(source, prune=prune, shard=shard)
            if prune and not notes.would_go_on(identity):
                preview = await _plan.make(billing, source, where=where, prune=True, concurrency=concurrency)
                _refuse_removals(preview, max_removals)
            notes.begin(identity)
            unsure = source.with_rejected_rows()
            rows = source.rows(where)
            await applier.rows(rows, prune=prune, unsure=unsure, concurrency=concurrency, on_progress=on_progress)
            report = _report(applier, notes)
            report.unchanged += same
            report.rejected = source.reasons(shard.condition if shard else None)
            report.rows = source.count(shard.condition() if shard else "") + len(report.rejected)
            _end(report, applier, notes)
            if cache is not None:
                cache.update([each for each in applier.done if each not in unsure], prune=prune)
        finally:
            if cache is not None:
                cache.close()
    return report


async def _apply_plan(
    applier: Applier, billing: AsyncBilling, plan: Plan, notes: Journal, max_removals: str, concurrency: int,
    on_progress: Progress | None,
) -> Report:  # fmt: skip
    if plan.ledger != billing.settings.ledger:
        raise Refused(f"the plan is of ledger {plan.ledger}, not {billing.settings.ledger}")
    identity = hashlib.sha256(repr(plan.customers).encode()).hexdigest()
    if not notes.would_go_on(identity):
        _refuse_removals(plan, max_removals)
        changed = await changed_since(billing, plan, concurrency)
        if changed:
            shown = ", ".join(changed[:10]) + (" and more" if len(changed) > 10 else "")
            raise Refused(f"{len(changed)} customers have changed since it was planned: {shown}. Make a new plan")
    notes.begin(identity)
    await applier.plan(plan.customers, concurrency=concurrency, on_progress=on_progress)
    report = _report(applier, notes)
    report.unchanged += plan.unchanged - sum(len(each.unchanged) for each in plan.customers)
    report.rejected, report.rows = dict(plan.rejected), plan.rows
    report.failed |= plan.failed
    _end(report, applier, notes)
    return report


def _chosen(table: Table, cache: State | None, *, prune: bool, refresh: bool, shard: Shard | None) -> tuple[int, str]:
    """How many rows need no look, and which do, as a condition."""
    conditions = [shard.condition()] if shard else []
    if cache is None or refresh:
        return 0, " AND ".join(conditions)
    cache.mark_changed(prune=prune)
    same = table.count(" AND ".join(["customer_no NOT IN (SELECT customer_no FROM changed)", *conditions]))
    return same, " AND ".join(["customer_no IN (SELECT customer_no FROM changed)", *conditions])


def _report(applier: Applier, notes: Journal) -> Report:
    totals = notes.totals()
    failed = {line: reason for line, reason in totals.failed.items() if line > 0}
    not_removed = [reason for line, reason in totals.failed.items() if line < 0]
    return Report(
        unchanged=totals.unchanged,
        applied=totals.applied,
        failed=failed,
        not_removed=not_removed,
        steps=totals.steps,
    )


def _end(report: Report, applier: Applier, notes: Journal) -> None:
    """Close the run, unless it was stopped before every row had its outcome."""
    report.interrupted = applier.stop.is_set() and not report.is_complete
    if not report.interrupted:
        notes.finish()


def _refuse_removals(plan: Plan, max_removals: str) -> None:
    limit = removal_limit(max_removals, plan.held)
    if plan.removals > limit:
        raise Refused(
            f"{plan.removals} of {plan.held} charges would be removed, more than {max_removals} allows ({limit}). "
            "If that is meant, allow more with --max-removals"
        )


def _identity(table: Table, *, prune: bool, shard: Shard | None) -> str:
    """What tells a run of this table from one of another: its right rows, and how they are taken."""
    return f"{table.digest} {prune} {shard or ''}"
