"""The file of a journal: its tables, its version, and how it is opened. SQLite, so that a kill loses nothing.

The runs, their writes and their rejected rows stay in it. Only `runs prune` and `history --forget` take anything out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import BillingError
from ._ledger import directory
from ._private import make_private

NAME = "journal.db"
VERSION = 5
_WAIT = 60.0  # seconds for which a process waits for the write of another one
_SCHEMA = f"""
CREATE TABLE origin (ledger TEXT, pruned INTEGER DEFAULT 0);
CREATE TABLE run (
    id INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT, input TEXT, plan TEXT, file TEXT, options TEXT, shard TEXT,
    approved TEXT, undoes INTEGER, user TEXT, host TEXT, version TEXT, started REAL, seen REAL, finished REAL,
    outcome TEXT, report TEXT, first INTEGER, last INTEGER
);
CREATE TABLE write (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER, plan TEXT, customer TEXT, position INTEGER, kind TEXT,
    line INTEGER, step TEXT, known TEXT, noted REAL, sent REAL, result TEXT, charge TEXT, after TEXT, status INTEGER,
    instance TEXT
);
CREATE INDEX write_to ON write (customer, run);
CREATE INDEX open_write_to ON write (customer) WHERE result IS NULL;
CREATE TABLE customer (
    run INTEGER, customer TEXT, unchanged INTEGER, applied INTEGER, failed TEXT, not_removed TEXT,
    PRIMARY KEY (run, customer)
) WITHOUT ROWID;
CREATE TABLE row (run INTEGER, line INTEGER, customer TEXT, result TEXT, reason TEXT);
CREATE INDEX row_of ON row (run);
PRAGMA user_version = {VERSION};
"""


class JournalError(BillingError):
    """The journal cannot be used: another run uses it, it belongs to another ledger, or the disk is full."""


def default_journal(ledger: str) -> Path:
    """Return the journal of a ledger, in the user's state directory.

    Raises:
        Refused: the directory cannot be created.
    """
    return directory(ledger) / NAME


def connect(path: Path, ledger: str | None) -> tuple[sqlite3.Connection, str]:
    """Open a journal, or create it if a ledger is given. Several processes may have it open.

    Args:
        path: the file.
        ledger: the address of the ledger that the journal must be of; None for the ledger that it names.

    Returns:
        The connection, and the address of the ledger.

    Raises:
        JournalError: the file is of another ledger or version, or is not a journal, or cannot be opened.
    """
    try:
        target = path.resolve()  # SQLite would name its other files after a link
        if ledger is not None:
            make_private(target)
        elif not target.exists():
            raise JournalError(f"{path}: there is no journal")
        database = sqlite3.connect(target, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise JournalError(f"{path}: cannot be used as a journal: {reason}") from None
    try:
        return database, _checked(database, path, ledger)
    except BaseException:
        database.close()
        raise


def _checked(database: sqlite3.Connection, path: Path, ledger: str | None) -> str:
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if not tables and ledger is not None:
            with transaction(database):  # all or nothing on a full disk
                if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    for statement in _SCHEMA.split(";"):
                        database.execute(statement)
                    database.execute("INSERT INTO origin (ledger) VALUES (?)", (ledger,))
        version = database.execute("PRAGMA user_version").fetchone()[0]
        found = database.execute("SELECT ledger FROM origin").fetchone() if version == VERSION else None
    except sqlite3.OperationalError as error:
        raise JournalError(f"{path}: cannot be used as a journal: {error}") from None
    except sqlite3.DatabaseError:
        raise JournalError(f"{path}: is not a journal") from None
    if found is None:
        raise JournalError(
            f"{path}: is a journal of another version of payex-billing; finish its run with that version, "
            "or name another file"
        )
    if ledger is not None and found[0] != ledger:
        raise JournalError(f"{path}: is of ledger {found[0]}, not {ledger}")
    return str(found[0])


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write all of a block, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
