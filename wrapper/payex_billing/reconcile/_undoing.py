"""Make the plan that takes the writes of a run back: read the customers of the run, many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from ..errors import BillingError
from ._apply import SETTLE, Applier
from ._history import must_be_there
from ._journal import Journal
from ._ledger import lock
from ._memory import Memory
from ._opening import default_journal
from ._plan import Plan
from ._planning import Notice, Progress, said
from ._pool import PATIENCE, Brake, Pool
from ._reading import held
from ._sources import TableError
from ._store import JournalError, Place
from ._undo import Fates, fates, inverse, levels_of

if TYPE_CHECKING:
    from .._async.client import AsyncBilling


async def plan_undo(
    billing: AsyncBilling,
    run: int,
    *,
    customers: Collection[str] = (),
    journal: Place | None = None,
    concurrency: int = 16,
    settle: float = SETTLE,
    patience: float = PATIENCE,
    locked: bool = True,
    on_progress: Progress | None = None,
    on_notice: Notice | None = None,
) -> Plan:
    """Return the plan that takes the writes of a run back. Write it with `apply`. Nothing is written here.

    Charges that the run created are removed, changed ones get their former values, removed ones are created again and
    get new ids. Subscriptions that the run created are removed when nothing is left in them. What somebody else has
    changed since stays as it is, and so does what the API cannot take back: `Plan.left` names it, with the reason.

    If an undo of the same run was interrupted, its plan is returned, so that `apply` continues it.

    Args:
        billing: the client.
        run: the number of the run.
        customers: take back only the writes to these customers; empty for all.
        journal: the journal of the run; None for that of the ledger in the user's state directory.
        concurrency: requests at once.
        settle: seconds after which a request that was sent is treated as finished.
        patience: seconds to wait for a server that cannot be reached.
        locked: whether to keep other runs of this user for the same ledger away.
        on_progress: called with `planning`, the writes that are planned, and 0.
        on_notice: called with a sentence when it must wait.

    Raises:
        JournalError: there is no journal, or it has no such run, or the run wrote nothing to one of the customers, or
            another run is using it.
        Refused: another run has the ledger.
        Stopped: the customers cannot be read.
    """
    ledger = billing.settings.ledger
    only = tuple(sorted(set(customers)))
    with ExitStack() as stack:
        path = journal or default_journal(ledger)
        must_be_there(path)
        if locked and isinstance(path, Path):  # a database keeps other runs away by itself
            stack.enter_context(lock(ledger, None))
        notes = stack.enter_context(Journal(path, ledger, limit=billing._runner.options.timeout))
        notes.history.run(run)
        if only and (missing := set(only).difference(notes.history.last_of_run(run))):
            raise JournalError(f"run {run} wrote nothing to customer {', '.join(sorted(missing))}")
        kept = _kept(notes, run, only)
        if kept is not None:
            return kept
        memory = stack.enter_context(Memory(ledger, journal))
        brake = Brake(patience, notice=on_notice)
        never = asyncio.Event()
        applier = Applier(billing, notes, memory, brake, is_stopping=never.is_set, at_once=concurrency, settle=settle)
        # A lost write must not take effect after the plan was made: `apply` would refuse the plan.
        if uncertain := applier.uncertain(time.time()):
            waiting = uncertain.intersection(_customers(notes, run, only))
            await Pool[str](concurrency, never, brake).run(sorted(waiting), applier.resolve)
        planner = _Planner(billing, notes, applier, brake, run, only, on_progress)
        await Pool[str](concurrency, never, brake).run(_customers(notes, run, only), planner.one)
        return planner.result


def _customers(notes: Journal, run: int, only: tuple[str, ...]) -> Iterator[str]:
    """Yield the customers that a run has written to."""
    return (number for number in sorted(notes.history.last_of_run(run)) if not only or number in only)


def _kept(notes: Journal, run: int, only: tuple[str, ...]) -> Plan | None:
    """Return the plan of the interrupted undo of the same run, if the last run is one."""
    try:
        kept = Plan.load(notes.plan_path)
    except TableError:
        return None
    if (kept.undoes, kept.only) == (run, only) and notes.run_for(
        kept.customers.digest, also_finished=False
    ) is not None:
        return kept
    kept.close()
    return None


@attrs.define(eq=False)
class _Planner:
    """Planner of the customers that a run has written to."""

    billing: AsyncBilling
    notes: Journal
    applier: Applier
    brake: Brake
    run: int
    only: tuple[str, ...]
    on_progress: Progress | None
    result: Plan = attrs.field(init=False)
    later: Fates = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.result = Plan(ledger=self.billing.settings.ledger, undoes=self.run, only=self.only)
        self.later = fates(self.notes.history.undoing(self.run))

    async def one(self, number: str) -> None:
        """Plan one customer.

        Raises:
            Later: it must wait.
        """
        resolved = await self.applier.resolve(number)
        writes = list(self.notes.history.to_customer(number, run=self.run))  # with what the look-up found
        if resolved.blocked:
            self.result.failed |= {each.id: reason for each in writes for reason in resolved.blocked.values()}
            self.result.rows += len(writes)
            return
        state = await self.brake.judged(number, held(self.billing, number, levels_of(writes), everything=False))
        if isinstance(state, BillingError):
            self.result.failed |= {each.id: said(state) for each in writes}
            self.result.rows += len(writes)
            return
        found = inverse(writes, state, self.later)
        self.result.take_back(number, state, found, today=date.today())
        if self.on_progress is not None:
            self.on_progress("planning", self.result.rows, 0)
