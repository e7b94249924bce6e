"""A worker: it writes the customers of a run together with other processes, over a journal in PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from ._apply import SETTLE, Applier, Superseded
from ._journal import Journal
from ._memory import Memory, paced
from ._planning import Notice
from ._pool import PATIENCE, Brake
from ._store import LEASE
from ._writing import parts_pool, pause, renewing, write_parts

if TYPE_CHECKING:
    from .._async.client import AsyncBilling


async def work(
    billing: AsyncBilling,
    journal: str,
    *,
    run: int | None = None,
    concurrency: int = 16,
    settle: float = SETTLE,
    lease: float = LEASE,
    wait: float = 60.0,
    patience: float = PATIENCE,
    stop: asyncio.Event | None = None,
    on_notice: Notice | None = None,
) -> int:
    """Write customers of a run that another process began with `apply`, until none is left.

    Start it under any scheduler, as often as you like. Every customer is written by one process at a time. When a
    worker dies, the others write its customers after the lease has ended.

    Args:
        billing: the client.
        journal: the address of the PostgreSQL database that holds the journal.
        run: the number of the run; None for the latest one.
        concurrency: requests at once.
        settle: seconds after which a request that was sent is treated as finished.
        lease: seconds after which the customers of a process that died are free.
        wait: seconds to wait for a run that hands out customers.
        patience: seconds to wait for a server that cannot be reached.
        stop: when set, the worker finishes the writes under way and starts no more.
        on_notice: called with a sentence when the worker must wait.

    Returns:
        How many customers this worker wrote.

    Raises:
        JournalError: the journal cannot be used, or is not in a database.
        Stopped: no further customer can be written.
    """
    stopping = stop or asyncio.Event()
    ledger = billing.settings.ledger
    with ExitStack() as stack:
        limit = billing._runner.options.timeout
        notes = stack.enter_context(Journal(journal, ledger, limit=limit, lease=lease, alone=False))
        if not notes.is_shared:
            raise InvalidArgument("journal", "must be the address of a PostgreSQL database")
        memory = stack.enter_context(Memory(ledger, journal))
        brake = Brake(patience, notice=on_notice)
        client = paced(billing, memory, journal)
        written = 0
        async with renewing(notes):
            while not stopping.is_set() and await _joined(notes, run, wait, stopping):
                applier = Applier(
                    client, notes, memory, brake, is_stopping=stopping.is_set, at_once=concurrency, settle=settle
                )
                pool = parts_pool(concurrency, stopping, brake)
                with suppress(Superseded):
                    written += await write_parts(applier.customer, notes.parts(), pool, stopping)
                if notes.is_current():
                    break
                # The run was begun again: join it, with its new plan.
        return written


async def _joined(notes: Journal, run: int | None, wait: float, stopping: asyncio.Event) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    while not notes.join(run):
        if stopping.is_set() or loop.time() >= until:
            return False
        await pause(stopping)
    return True
