"""Open a journal by its name: a file, or the address of a PostgreSQL database."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ._ledger import directory
from ._sqlite import SqliteStore
from ._store import LEASE, Place, Store

NAME = "journal.db"


def default_journal(ledger: str) -> Path:
    """Return the journal of a ledger, in the user's state directory.

    Raises:
        Refused: the directory cannot be created.
    """
    return directory(ledger) / NAME


def place_of(text: str) -> Place:
    """Return the address of a database as text, and any other name as a path."""
    return text if text.startswith(("postgresql://", "postgres://")) else Path(text)


def open_store(
    place: Place, ledger: str | None, *, clock: Callable[[], float] = time.time, lease: float = LEASE
) -> Store:
    """Open a journal, or create it if a ledger is given.

    Args:
        place: the file, or the address of the database.
        ledger: the address of the ledger that the journal must be of; None for the ledger that it names.
        clock: seconds since 1970, for a file. A database has a clock of its own.
        lease: seconds for which a database keeps the lease of a customer without being asked again.

    Raises:
        JournalError: it is of another ledger or version, or is not a journal, or cannot be opened.
    """
    if isinstance(place, str) and isinstance(place_of(place), str):
        from ._postgres import PostgresStore  # noqa: PLC0415 - an extra

        return PostgresStore(place, ledger, lease)
    return SqliteStore(Path(place), ledger, clock=clock)
