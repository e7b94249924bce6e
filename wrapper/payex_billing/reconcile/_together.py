"""Save for many tasks of a process in one transaction, because each transaction takes time."""

from __future__ import annotations

import asyncio
from typing import Any

import attrs

from ._journal import Journal, Note
from ._records import Intent
from ._store import Leased


@attrs.define(eq=False)
class Together:
    """Collects what the tasks of a process save, and the leases that they need.

    Tasks that ask at the same moment share a transaction. Tasks that ask while a transaction of PostgreSQL runs share
    the next one.

    Args:
        journal: the journal.
    """

    _journal: Journal
    _notes: list[tuple[Note, asyncio.Future[int]]] = attrs.field(factory=list, init=False)
    _customers: dict[str, asyncio.Future[list[Intent]]] = attrs.field(factory=dict, init=False)
    _is_at_work: bool = attrs.field(default=False, init=False)
    # Kept here, because the event loop keeps no reference to a task.
    _work: asyncio.Task[None] | None = attrs.field(default=None, init=False)

    async def take(self, customer_no: str) -> list[Intent]:
        """Take the lease of a customer; return the earlier writes to the customer, as `Journal.of_customer` does.

        Raises:
            Leased: another process or task has it.
            JournalError: the journal cannot be used.
        """
        if customer_no in self._customers:
            raise Leased(customer_no)
        taken: asyncio.Future[list[Intent]] = asyncio.get_running_loop().create_future()
        self._customers[customer_no] = taken
        self._begin()
        try:
            return await taken
        finally:
            del self._customers[customer_no]

    async def save(self, note: Note) -> int:
        """Save a note; return its number.

        Raises:
            LeaseLost: another process may write to the customer now.
            JournalError: the journal cannot be written.
        """
        saved: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._notes.append((note, saved))
        self._begin()
        return await saved

    def _begin(self) -> None:
        if not self._is_at_work:
            self._is_at_work = True
            self._work = asyncio.get_running_loop().create_task(self._all())  # runs after the tasks that are ready

    async def _all(self) -> None:
        try:
            while self._notes or any(not taken.done() for taken in self._customers.values()):
                await asyncio.sleep(0)  # lets tasks whose responses have just arrived add their notes
                await self._exchange()
        finally:
            self._is_at_work = False

    async def _exchange(self) -> None:
        # Skip tasks that were cancelled while they waited.
        saving = [(note, saved) for note, saved in self._notes if not saved.done()]
        taking = {customer_no: taken for customer_no, taken in self._customers.items() if not taken.done()}
        self._notes.clear()
        if not saving and not taking:
            return
        try:
            numbers, writes = await self._journal.do_later(self._journal.exchange([note for note, _ in saving], taking))
        except Exception as error:  # noqa: BLE001 - each task raises it
            waiting: list[asyncio.Future[Any]] = [*(saved for _, saved in saving), *taking.values()]
            for future in waiting:
                if not future.done():
                    future.set_exception(type(error)(*error.args))
            return
        for (note, saved), number in zip(saving, numbers, strict=True):
            if saved.done():
                continue
            if number is None:
                saved.set_exception(self._journal.lost_lease(note))
            else:
                saved.set_result(number)
        for customer_no, taken in taking.items():
            if taken.done():
                self._journal.give_back(customer_no)
            elif customer_no in writes:
                taken.set_result(writes[customer_no])
            else:
                taken.set_exception(Leased(customer_no))
