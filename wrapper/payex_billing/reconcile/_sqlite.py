"""The journal in a file, for the processes of one machine. SQLite, so that a kill loses nothing."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from ._locks import hold
from ._private import make_private
from ._selection import Shard
from ._store import JOURNAL, ORIGIN, VERSION, JournalError, Row, Statement, Store

_RETURNING = " RETURNING id"
_WAIT = 60.0  # seconds for which a process waits for the write of another one


class SqliteStore(Store):
    """A journal in a file. Several processes may have it open. A symbolic link names the same journal as its target.

    Args:
        path: the file; created if it does not exist and a ledger is given.
        ledger: the address of the ledger that the journal must be of; None for the ledger that it names.
        clock: seconds since 1970.
        tables: the statements that create the tables.

    Raises:
        JournalError: the file is of another ledger or version, or is not a journal, or cannot be opened.
    """

    def __init__(
        self, path: Path, ledger: str | None, *, clock: Callable[[], float] = time.time, tables: str = JOURNAL
    ) -> None:
        self.name = str(path)
        self._clock = clock
        self._tables = ORIGIN + tables.format(id="INTEGER PRIMARY KEY AUTOINCREMENT", real="REAL")
        try:
            self._target = path.resolve()  # SQLite would name its other files after a link
            self.identity = str(self._target)
            if ledger is not None:
                make_private(self._target)
            elif not self._target.exists():
                raise JournalError(f"{path}: there is no journal. apply creates it; --journal names another one")
            self._db = sqlite3.connect(self._target, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise JournalError(f"{path}: cannot be used as a journal: {reason}") from None
        try:
            self.ledger = self._checked(ledger)
        except BaseException:
            self._db.close()
            raise

    def _checked(self, ledger: str | None) -> str:
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            if not self._count() and ledger is not None:
                self._create(ledger)
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            found = self._db.execute("SELECT ledger FROM origin").fetchone() if version == VERSION else None
        except sqlite3.OperationalError as error:
            raise JournalError(f"{self.name}: cannot be used as a journal: {error}") from None
        except sqlite3.DatabaseError:
            raise JournalError(f"{self.name}: is not a journal") from None
        if found is None:
            raise JournalError(
                f"{self.name}: is a journal of another version of payex-billing; finish its run with that version, "
                "or name another file"
            )
        if ledger is not None and found[0] != ledger:
            raise JournalError(f"{self.name}: is of ledger {found[0]}, not {ledger}")
        return str(found[0])

    def _count(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])

    def _create(self, ledger: str) -> None:
        with self._db:  # all or nothing on a full disk
            self._db.execute("BEGIN IMMEDIATE")
            if not self._count():
                for statement in self._tables.split(";"):
                    self._db.execute(statement)
                self._db.execute(
                    "INSERT INTO origin (id, ledger, version) VALUES (?, ?, ?)",
                    (secrets.token_hex(16), ledger, VERSION),
                )
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def now(self) -> float:
        """Return the seconds since 1970."""
        return self._clock()

    def query(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        return list(self.stream(query, values))

    def stream(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query that may have millions of them."""
        try:
            yield from self._db.execute(query, values)
        except sqlite3.Error as error:
            raise JournalError(f"{self.name}: cannot be read: {error}") from None

    def run_each(self, statements: Iterable[Statement], *, again: bool = True) -> list[list[Row]]:
        """Run statements, all or nothing; return the rows of each."""
        try:
            with self._db:  # commits, or rolls back after an error, also of the commit itself
                self._db.execute("BEGIN IMMEDIATE")
                return [self._rows(query, values) for query, values in statements]
        except sqlite3.Error as error:
            raise JournalError(
                f"{self.name}: cannot be written: {error}. Nothing more is sent. Make room, and run the same command "
                "again"
            ) from None

    def _rows(self, query: str, values: Sequence[object]) -> list[Row]:
        if query.startswith("INSERT") and query.endswith(_RETURNING):  # `lastrowid` is twice as fast as RETURNING
            cursor = self._db.execute(query.removesuffix(_RETURNING), values)
            return [(cursor.lastrowid,)] if cursor.rowcount else []
        return self._db.execute(query, values).fetchall()

    def change(self, query: str, decide: Callable[[list[Row]], Statement]) -> None:
        """Run a query and then the statement that follows from its rows. Nobody else changes the rows meanwhile."""

        def statements() -> Iterator[Statement]:  # `run_each` begins the transaction before it asks for the statement
            yield decide(self._db.execute(query).fetchall())

        self.run_each(statements())

    def erase(self, statements: Iterable[Statement]) -> None:
        """Run statements that take values out for ever: SQLite writes zeros over them."""
        self.query("PRAGMA secure_delete = ON")
        self.run_each(statements)
        self.query("PRAGMA wal_checkpoint(TRUNCATE)")

    def hold(self, stack: ExitStack, shard: Shard | None) -> None:
        """Keep other runs away until the stack is closed.

        Raises:
            Locked: another run has the journal.
            NoLock: the lock files cannot be used.
        """
        hold(stack, self._target, shard)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
