"""Write a plan: a canary of customers first, then the rest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from itertools import chain, islice

import attrs

from ..errors import BillingError
from ._apply import Applier
from ._journal import Journal
from ._match import Step
from ._memory import Memory
from ._parts import Parts
from ._plan import Plan
from ._planned import PlannedCustomer, from_line
from ._planning import Progress, said
from ._pool import Brake, Pool, Stopped
from ._report import Report
from ._store import JournalError
from ._telemetry import RunTelemetry

PartsPool = Pool[tuple[int, PlannedCustomer]]
# Lets other processes help with the run of this number while a block runs.
Helpers = Callable[[int], AbstractAsyncContextManager[None]]
POLL = 0.5  # seconds
_COUNT = 1.0  # seconds between two counts of what all processes have done
CANARY = 20  # customers that are written and read back before the rest


@attrs.frozen
class Run:
    """The objects that planning and writing of one run share."""

    applier: Applier
    notes: Journal
    memory: Memory
    brake: Brake
    concurrency: int
    stopping: asyncio.Event
    on_progress: Progress | None
    telemetry: RunTelemetry = attrs.field(factory=RunTelemetry)
    helpers: Helpers | None = None


def _first_line(planned: PlannedCustomer) -> int | None:
    return min(planned.lines, default=None)


class Writer:
    """Writer of a plan: the canary first, then the rest."""

    def __init__(self, made: Plan, run: Run) -> None:
        self._made = made
        self._run = run
        self._notes = run.notes
        self._stopping = run.stopping
        self._pool = self._new_pool()
        self._write = run.telemetry.each("write customer", run.applier.customer, _first_line)
        self._rows_done = 0
        self._rows = made.rows - made.at_rest - len(made.rejected) - len(made.failed)

    def _new_pool(self) -> Pool[PlannedCustomer]:
        return Pool(self._run.concurrency, self._run.stopping, self._run.brake)

    async def run(self) -> Report:
        """Write the plan. A stop is reported, not raised, because something was written."""
        customers = self._made.customers.with_steps()
        stopped = ""
        try:
            first = list(islice(customers, CANARY))
            rest = next(customers, None)
            await self._pool.run(iter(first), self._one, may_leave=lambda: rest is not None and self._is_proven(first))
            if rest is not None and not self._stopping.is_set():
                await self._read_back(first)
                if self._notes.is_shared:
                    await self._write_parts()
                    await self._pool.run((), self._write, first_alone=False)
                else:
                    await self._pool.run(chain([rest], customers), self._one, first_alone=False)
        except Stopped as error:
            stopped = str(error)
        return self._report(stopped)

    async def _write_parts(self) -> None:
        """Write the rest together with the workers that take part."""
        parts = self._notes.parts()
        for _ in parts.publish(islice(self._made.customers.raw_with_steps(), CANARY, None)):
            await asyncio.sleep(0)  # 10 million customers take minutes
            if self._stopping.is_set():
                break
        pool = parts_pool(self._run.concurrency, self._stopping, self._run.brake)
        helpers = self._run.helpers or (lambda _: nullcontext())
        async with self._counting(parts), helpers(self._notes.run):
            try:
                await write_parts(self._write, parts, pool, self._stopping)
            finally:
                if parts.are_left():  # the workers stop with this process
                    self._notes.withdraw()
                parts.remove()

    @asynccontextmanager
    async def _counting(self, parts: Parts) -> AsyncIterator[None]:
        """Show what all processes have done while a block runs. A part counts when it is done."""
        if self._run.on_progress is None:
            yield
            return
        show, before, left = self._run.on_progress, self._rows_done, self._rows - self._rows_done

        async def count() -> None:
            while True:
                with suppress(JournalError):  # the writers hear of it
                    share = parts.share_done()
                    if share is not None:
                        show("writing", before + round(left * share), self._rows)
                await asyncio.sleep(_COUNT)

        task = asyncio.create_task(count())
        try:
            yield
        finally:
            task.cancel()
        if not self._stopping.is_set():
            show("writing", self._rows, self._rows)

    async def _one(self, planned: PlannedCustomer) -> None:
        await self._write(planned)
        if self._run.on_progress is not None:
            self._rows_done += len(planned.lines) + len(planned.unchanged)
            self._run.on_progress("writing", self._rows_done, self._rows)

    def _is_proven(self, first: list[PlannedCustomer]) -> bool:
        """Return whether one of the first customers is written. Those that must wait are then written later."""
        return any(self._notes.is_finished(planned.customer_no) for planned in first)

    async def _read_back(self, first: list[PlannedCustomer]) -> None:
        finished = [planned for planned in first if self._notes.is_finished(planned.customer_no)]
        if not finished:
            reasons = sorted(set(self._notes.history.totals(self._notes.run).failed.values()))
            raise Stopped(f"no write to the first {len(first)} customers succeeded: {'; '.join(reasons[:3])}")

        missing: dict[str, list[Step]] = {}

        async def one(planned: PlannedCustomer) -> None:
            found = await self._run.brake.judged(planned.customer_no, self._run.applier.is_as_written(planned))
            if isinstance(found, BillingError):
                raise Stopped(f"the first {len(first)} customers could not be read back: {said(found)}") from found
            missing[planned.customer_no] = found

        # In the pool of the writer, customers may wait to be written.
        await self._new_pool().run(iter(finished), one, first_alone=False)
        for planned in finished:
            if steps := missing.get(planned.customer_no):
                what = ", ".join(f"{step.kind.value} (line {step.line})" for step in steps[:5])
                raise Stopped(
                    f"customer {planned.customer_no} was written and read back, and does not show it: {what}. "
                    f"Only the first {len(first)} customers were written"
                )

    def _report(self, stopped: str) -> Report:
        made, totals = self._made, self._notes.history.totals(self._notes.run)
        report = Report(
            run=self._notes.run,
            undoes=made.undoes,
            rows=made.rows,
            unchanged=made.at_rest + totals.unchanged,
            applied=made.applied_before + totals.applied,
            rejected=dict(made.rejected),
            failed=made.failed | totals.failed,
            not_removed=totals.not_removed,
            not_in_file=0 if made.prune else made.surplus,
            steps=self._notes.history.counts(self._notes.run),
            before=made.before,
            after=made.after,
            stopped=stopped,
        )
        report.interrupted = self._stopping.is_set() and not stopped and not report.is_complete
        return report


def parts_pool(concurrency: int, stopping: asyncio.Event, brake: Brake) -> PartsPool:
    """Return a pool for a run with `concurrency` requests at once.

    It works on twice as many customers: half of them send while the database saves for the other half.
    """
    return PartsPool(2 * concurrency, stopping, brake)


async def write_parts(
    write: Callable[[PlannedCustomer], Awaitable[None]], parts: Parts, pool: PartsPool, stopping: asyncio.Event
) -> int:
    """Write part after part until all parts are done, also by other processes; return the customers written here."""
    written = 0

    async def one(item: tuple[int, PlannedCustomer]) -> None:
        nonlocal written
        number, planned = item
        await write(planned)
        if not stopping.is_set():
            parts.wrote(number)
            written += 1

    try:
        while not stopping.is_set():
            items = ((number, from_line(line)) for number, line in parts.lines())
            await pool.run(items, one, first_alone=False)
            if stopping.is_set() or not parts.are_left():
                break
            await pause(stopping)
    finally:
        with suppress(JournalError):
            parts.give_back()
    return written


async def quiet(notes: Journal, stopping: asyncio.Event) -> None:
    """Wait until no worker writes an earlier plan of the run any more."""
    while notes.are_others_at_work() and not stopping.is_set():
        await pause(stopping)


async def pause(stopping: asyncio.Event) -> None:
    """Wait a moment for other processes."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), POLL)


@asynccontextmanager
async def renewing(notes: Journal) -> AsyncIterator[None]:
    """Keep the leases of this process while a block runs."""
    if not notes.is_shared:
        yield
        return

    async def renew() -> None:
        while True:
            await asyncio.sleep(notes.lease_seconds / 3)
            with suppress(JournalError):  # without its leases the process cannot write
                notes.renew()

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
