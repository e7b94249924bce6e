"""What the tasks of a process note at one moment is saved in one transaction, because a transaction costs time."""

from __future__ import annotations

import asyncio

import attrs

from ._journal import Journal, Note


@attrs.define(eq=False)
class Together:
    """Saver of the notes of many tasks.

    Args:
        journal: where they are saved.
    """

    _journal: Journal
    _waiting: list[tuple[Note, asyncio.Future[int]]] = attrs.field(factory=list, init=False)

    async def save(self, note: Note) -> int:
        """Save a note together with those of the other tasks that are ready; return its number.

        Raises:
            LeaseLost: another process may write to the customer now.
            JournalError: the journal cannot be written.
        """
        loop = asyncio.get_running_loop()
        saved: asyncio.Future[int] = loop.create_future()
        self._waiting.append((note, saved))
        if len(self._waiting) == 1:
            loop.call_soon(self._save)  # after the tasks that are ready now
        return await saved

    def _save(self) -> None:
        waiting = [(note, saved) for note, saved in self._waiting if not saved.done()]  # a task may be cancelled
        self._waiting.clear()
        if not waiting:
            return
        try:
            numbers = self._journal.save_notes([note for note, _ in waiting])
        except Exception as error:  # noqa: BLE001 - each task raises it
            for _, saved in waiting:
                saved.set_exception(type(error)(*error.args))
            return
        for (note, saved), number in zip(waiting, numbers, strict=True):
            if number is None:
                saved.set_exception(self._journal.lost_lease(note))
            else:
                saved.set_result(number)
