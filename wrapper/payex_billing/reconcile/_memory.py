"""What later runs need to know of a ledger: the last run, the values that the server shows, and the common pace.

It is in the database of the journal, or in a file in the user's state directory. Losing it is safe: the guards have no
last run to compare with, and values of master products are cleared once more.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

import attrs

from ._ledger import Refused, directory
from ._match import OF_MASTER, AnyCharge, text_of
from ._opening import open_store
from ._pace import PaceState, SharedPace, Slice, Step
from ._selection import Shard
from ._sqlite import SqliteStore
from ._store import MEMORY, JournalError, Place, Row, Statement, Store

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

NAME = "memory.db"
_AT_ONCE = 64  # statements that are saved together


class Memory:
    """The stored facts about a ledger that later runs need.

    Args:
        ledger: the address of the ledger.
        journal: the journal; a database keeps the facts too. Otherwise they are in the user's state directory.

    Raises:
        Refused: the state directory cannot be used.
        JournalError: the database cannot be used.
    """

    def __init__(self, ledger: str, journal: Place | None = None) -> None:
        self._store: Store
        self._learned: list[Statement] = []  # not saved yet
        if isinstance(journal, str):
            self._store = open_store(journal, ledger)
            return
        path = directory(ledger) / NAME
        try:
            self._store = SqliteStore(path, ledger, tables=MEMORY)
        except JournalError:
            raise Refused(f"{path}: cannot be used. Remove the file: it is made anew") from None

    def shown(self, charge_id: str, name: str) -> str | None:
        """Return what the server showed for a charge's field that was sent empty; None if unknown."""
        self._save()
        found = self._store.query("SELECT value FROM shown WHERE charge = ? AND field = ?", (charge_id, name))
        return str(found[0][0]) if found else None

    def learn(self, charge_id: str, sent: Mapping[str, Any], charge: AnyCharge, *, is_new: bool = False) -> None:
        """Store what the server shows for fields that were sent empty: the value of the master product.

        Args:
            charge_id: the charge.
            sent: the fields that were sent, or left out of a creation, with their values.
            charge: the charge as the server shows it.
            is_new: whether the charge has just been created, so that nothing is stored of it.
        """
        for name in OF_MASTER:
            if name not in sent or sent[name] is not None:
                continue
            if not is_new:
                self._learned.append(("DELETE FROM shown WHERE charge = ? AND field = ?", (charge_id, name)))
            value = getattr(charge, name)
            if value is not None and value != "":
                self._learned.append(("INSERT INTO shown VALUES (?, ?, ?)", (charge_id, name, text_of(value))))
        if len(self._learned) >= _AT_ONCE:
            self._save()

    def _save(self) -> None:
        if self._learned:
            with suppress(JournalError):  # a value that is not stored is only sent empty once more
                self._store.run(self._learned)
            self._learned.clear()

    def forget(self, charges: Iterable[str]) -> None:
        """Take what the server showed for charges out of the store."""
        self._save()
        self._store.erase([("DELETE FROM shown WHERE charge = ?", (charge,)) for charge in charges])

    def last_run(self, shard: Shard | None) -> dict[str, Any] | None:
        """Return the figures of the last finished run of this shard; None without one."""
        found = self._store.query("SELECT figures FROM last_run WHERE shard = ?", (str(shard or ""),))
        return json.loads(found[0][0]) if found else None

    def keep_run(self, shard: Shard | None, figures: Mapping[str, Any]) -> None:
        """Store the figures of a finished run, for the guards of the next one.

        Raises:
            Refused: the figures cannot be written.
        """
        query = "INSERT INTO last_run VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET figures = excluded.figures"
        try:
            self._store.run([(query, (str(shard or ""), json.dumps(figures)))])
        except JournalError as error:
            raise Refused(f"the figures of the run cannot be kept: {error}") from None

    def pace(self, limit: float | None) -> SharedPace:
        """Return the pace that this process shares with all others that send to the ledger.

        Args:
            limit: requests a second of all processes together at most; None for no limit.
        """
        return SharedPace(self._change_pace, limit)

    def _change_pace(self, step: Step) -> tuple[PaceState, Slice | None, float]:
        found: list[tuple[PaceState, Slice | None, float]] = []
        asked = time.monotonic()

        def decide(rows: list[Row]) -> Statement:
            now = self._store.now()
            state, taken = step(PaceState(**json.loads(rows[0][0])), now)
            # The caller compares with the time at which it asked. Meanwhile other processes had the row.
            found.append((state, taken, now - (time.monotonic() - asked)))
            return "UPDATE pace SET state = ?", (json.dumps(attrs.asdict(state)),)

        self._store.change("SELECT state FROM pace", decide)
        return found[-1]

    def close(self) -> None:
        """Save, and close the store."""
        self._save()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def paced(billing: AsyncBilling, memory: Memory, journal: Place | None) -> AsyncBilling:
    """Return a client that shares its pace with all processes that use the same memory.

    Without a rate and without a database, a client finds its own pace.
    """
    limit = billing.settings.max_rate
    if limit is None and not isinstance(journal, str):
        return billing
    return billing._with_pace(memory.pace(limit))
