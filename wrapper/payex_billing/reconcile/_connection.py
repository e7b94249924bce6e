"""The connection to the PostgreSQL database of a journal, its tables, its clock and its queries.

Each ledger has a schema of its own. All times are those of the database, so that the clocks of the machines may differ.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import re
import secrets
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, TypeVar

from ._address import check, name_of
from ._locks import Locked
from ._store import JOURNAL, LEASE, MEMORY, NOT_THERE, ORIGIN, VERSION, JournalError, LeaseLost, Row, Statement, Store

try:
    import psycopg
    from psycopg import sql
except ModuleNotFoundError:
    raise JournalError("psycopg is needed for a journal in PostgreSQL: pip install 'payex-billing[postgres]'") from None

T = TypeVar("T")
Error = psycopg.Error
PATIENCE: Final = 60.0  # seconds for which a process waits for a database that cannot be reached
_PREPARED: Final = 100  # queries that a connection prepares at most
_PREFIX: Final = "payex_billing_"
_TABLES: Final = (
    (ORIGIN + JOURNAL + MEMORY).format(id="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", real="DOUBLE PRECISION")
    + """
CREATE SEQUENCE token;
CREATE TABLE lease (
    customer TEXT PRIMARY KEY, run BIGINT NOT NULL, holder TEXT NOT NULL, token BIGINT NOT NULL,
    expires DOUBLE PRECISION NOT NULL
);
CREATE INDEX lease_of ON lease (holder);
CREATE TABLE holder (part TEXT PRIMARY KEY, token BIGINT NOT NULL);
CREATE TABLE part (
    run BIGINT, epoch BIGINT, number INTEGER, customers BYTEA, done BOOLEAN NOT NULL DEFAULT false, holder TEXT,
    expires DOUBLE PRECISION, PRIMARY KEY (run, epoch, number)
);
CREATE INDEX open_part ON part (run, epoch, number) WHERE NOT done;
"""
)
NOW: Final = "extract(epoch FROM clock_timestamp())::double precision"


class Connection(Store):
    """A connection to the journal of one ledger in a PostgreSQL database. A lost one is made anew.

    Args:
        address: the address of the database, such as `postgresql://billing@db.example/journal`.
        ledger: the address of the ledger; None for the only ledger that the database holds.
        lease: seconds for which a lease is kept without being renewed.

    Raises:
        JournalError: the database cannot be reached or used, or holds no journal, or one of another version.
    """

    is_shared = True
    # Waits for writes that have a number and are not committed.
    in_order: Sequence[Statement] = (("LOCK TABLE write IN SHARE MODE", ()),)

    def __init__(self, address: str, ledger: str | None, lease: float = LEASE) -> None:
        self._address = address
        self._lease = lease
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._schema = ""
        self._patience = PATIENCE
        self._offset = 0.0
        self._turn = threading.RLock()  # a thread and the event loop share the connection
        self._is_closed = False
        self._seen: set[str] = set()  # queries that this connection has run
        self._prepared: dict[str, bytes] = {}  # the calls of the prepared queries
        self.name = name_of(address)
        check(address)
        try:
            self._db = self._connect()
        except psycopg.Error as error:
            raise JournalError(f"{self.name}: cannot be reached: {_text(error)}") from None
        try:
            self.ledger = self._opened(ledger)
        except BaseException as error:
            self._db.close()
            if isinstance(error, psycopg.Error):
                raise JournalError(f"{self.name}: cannot be used as a journal: {_text(error)}") from None
            raise

    # the connection

    def _connect(self) -> psycopg.Connection[Row]:
        # Without TCP keep-alive, a database that lost its power would be waited for for hours.
        db = psycopg.connect(
            self._address, autocommit=True, cursor_factory=psycopg.ClientCursor, connect_timeout=10,
            application_name="payex-billing", keepalives_idle=10, keepalives_interval=5, keepalives_count=3,
            tcp_user_timeout=30_000,
        )  # fmt: skip
        self._seen.clear()
        self._prepared.clear()
        try:
            if self._schema:
                db.execute(_use(self._schema))
            before = time.monotonic()
            (now,) = db.execute(f"SELECT {NOW}").fetchone() or (0.0,)
        except psycopg.Error:
            db.close()
            raise
        self._compare(now, before)
        return db

    def _attempt(self, work: Callable[[], T], *, again: bool = True) -> T:
        """Do work on the connection; after a lost connection, connect anew and do it again."""
        with self._turn:
            try:
                return work()
            except psycopg.Error as error:
                if self._is_closed or not self._db.closed:
                    raise JournalError(f"{self.name}: {_text(error)}") from None
                self._reconnect(error)
            if not again:
                raise LeaseLost(f"{self.name}: the connection was lost")
            return self._attempt(work)

    def _reconnect(self, reason: Exception) -> None:
        until, pause = time.monotonic() + self._patience, 0.1
        why = f"cannot be reached: {_text(reason)}"
        while True:
            try:
                self._db = self._connect()
                self._lock_again()
            except psycopg.OperationalError as error:
                why = f"cannot be reached: {_text(error)}"
            except Locked:
                self._db.close()
                why = "the connection that was lost still has the lock of the run"
            else:
                self._patience = PATIENCE
                return
            if time.monotonic() + pause > until:
                self._patience = 0.0  # what is still to be saved when the process ends is tried once
                raise JournalError(f"{self.name}: {why}. Nothing more is sent. Run the same command again") from None
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _lock_again(self) -> None:
        """Take the locks of the run again after a lost connection."""

    # the tables

    def _opened(self, ledger: str | None) -> str:
        if ledger is None:
            names = self._schemas()
            if len(names) != 1:
                raise JournalError(
                    f"{self.name}: holds the journals of {len(names)} ledgers: say which one with PAYEX_OWNER_NO and "
                    "PAYEX_ENVIRONMENT"
                    if names
                    else f"{self.name}: {NOT_THERE}"
                )
            self._schema = names[0]
        else:
            self._schema = _PREFIX + hashlib.sha256(ledger.encode()).hexdigest()[:16]
            if self._schema not in self._schemas():
                self._create(ledger)
        self._db.execute(_use(self._schema))
        query = "SELECT id, ledger, version FROM origin"
        self.identity, found, version = self._db.execute(query).fetchone() or ("", "", 0)
        if version != VERSION:
            raise JournalError(
                f"{self.name}: holds a journal of another version of payex-billing; finish its run with that version"
            )
        return str(found)

    def _schemas(self) -> list[str]:
        query = "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s ORDER BY nspname"
        return [str(name) for (name,) in self._db.execute(query, (_PREFIX.replace("_", r"\_") + "%",))]

    def _create(self, ledger: str) -> None:
        with self._db.transaction():
            self._db.execute("SELECT pg_advisory_xact_lock(%s)", (zlib.crc32(self._schema.encode()),))
            if self._schema in self._schemas():
                return
            self._db.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._schema)))
            self._db.execute(_use(self._schema))
            self._db.execute(_TABLES)
            self._db.execute(
                "INSERT INTO origin (id, ledger, version) VALUES (%s, %s, %s)", (secrets.token_hex(16), ledger, VERSION)
            )

    # the clock

    def _compare(self, now: float, before: float) -> None:
        """Compare a time of the database with the clock of this machine. It was asked for at `before`.

        If the process was stopped meanwhile, the difference is not certain. It may then be too late, never too early:
        a write that seems to be older than it is would be looked up too soon.
        """
        least = now - time.monotonic()
        if not least <= self._offset <= now - before:
            self._offset = now - before
        self.doubt = self._offset - least

    def now(self) -> float:
        """Return the seconds since 1970 by the clock of the database, or a little more."""
        return time.monotonic() + self._offset

    def ahead(self) -> float:
        """Return the seconds by which that clock is ahead of the clock of this machine, at most."""
        return self.now() - time.time()

    # queries

    def query(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        return self._attempt(lambda: self._db.execute(marks(query), _plain(values)).fetchall())

    def stream(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query that may have millions of them."""
        text = psycopg.ClientCursor(self._db).mogrify(marks(query), _plain(values)).encode()
        try:
            with self._db.cursor(f"rows_{secrets.token_hex(4)}", withhold=True) as cursor:
                cursor.execute(text)
                yield from cursor
        except psycopg.Error as error:
            raise JournalError(f"{self.name}: cannot be read: {_text(error)}") from None

    def run_each(self, statements: Iterable[Statement], *, again: bool = True) -> list[list[Row]]:
        """Run statements in one message, all or nothing; return the rows of each.

        Raises:
            LeaseLost: the connection was lost, and they may not run twice.
        """
        kept = list(statements)

        def work() -> list[list[Row]]:
            with psycopg.ClientCursor(self._db) as cursor:
                text = ";".join(cursor.mogrify(self._call(query), _plain(values)) for query, values in kept)
                cursor.execute(text.encode())  # PostgreSQL runs the statements of one message in one transaction
                rows = [cursor.fetchall() if cursor.description else []]
                while cursor.nextset():
                    rows.append(cursor.fetchall() if cursor.description else [])
                return rows

        return self._attempt(work, again=again)

    def _call(self, query: str) -> bytes:
        """Return the SQL that runs a query. A query that comes again is prepared: PostgreSQL plans it only once."""
        call = self._prepared.get(query)
        if call is not None:
            return call
        count = query.count("?")
        if query not in self._seen or len(self._prepared) == _PREPARED or not count:
            self._seen.add(query)
            return marks(query)
        name, numbers = f"call_{len(self._prepared)}", itertools.count(1)
        self._db.execute(f"PREPARE {name} AS {re.sub(r'[?]', lambda _: f'${next(numbers)}', query)}".encode())
        call = self._prepared[query] = f"EXECUTE {name} ({', '.join(['%s'] * count)})".encode()
        return call

    def change(self, query: str, decide: Callable[[list[Row]], Statement]) -> None:
        """Run a query and then the statement that follows from its rows. Nobody else changes the rows meanwhile."""

        def work() -> None:
            with self._db.transaction():
                rows = self._db.execute(marks(f"{query} FOR UPDATE")).fetchall()
                statement, values = decide(rows)
                self._db.execute(marks(statement), _plain(values))

        self._attempt(work)

    def erase(self, statements: Iterable[Statement]) -> None:
        """Run statements that take values out. The database overwrites them when it vacuums."""
        if kept := list(statements):
            self.run(kept)

    def close(self) -> None:
        """Close the connection. That gives back the locks of the run."""
        with self._turn, suppress(psycopg.Error):
            self._is_closed = True
            self._db.close()


def marks(query: str) -> bytes:
    return query.replace("?", "%s").encode()


def _plain(values: Sequence[object]) -> list[object]:
    """Return values without what PostgreSQL cannot store in a text: NUL, and surrogates of a file name."""
    return [
        value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for value in values
    ]


def _use(schema: str) -> sql.Composed:
    return sql.SQL("SET search_path TO {}").format(sql.Identifier(schema))


def _text(error: BaseException) -> str:
    """Return the first line of what the database says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
