"""The journal in a PostgreSQL database, for processes on several machines. Each ledger has a schema of its own.

The right to write to a customer is a lease: a row with a holder, a time at which it ends, and a number (token) that
grows with each new lease. A process that lost its lease cannot note a write, because the statement that notes it asks
for the token. All times are those of the database, so that the clocks of the machines may differ.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Final, TypeVar

from ._address import check, name_of
from ._locks import Locked
from ._selection import Shard
from ._store import JOURNAL, LEASE, MEMORY, ORIGIN, VERSION, JournalError, Lease, LeaseLost, Row, Statement

try:
    import psycopg
    from psycopg import sql
except ModuleNotFoundError:
    raise JournalError("psycopg is needed for a journal in PostgreSQL: pip install 'payex-billing[postgres]'") from None

T = TypeVar("T")
PATIENCE: Final = 60.0  # seconds for which a process waits for a database that cannot be reached
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
"""
)
_NOW: Final = "extract(epoch FROM clock_timestamp())::double precision"


class PostgresStore:
    """The journal of one ledger in a PostgreSQL database.

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
        self._held: list[tuple[str, tuple[int, int]]] = []  # the locks of the run, taken again after a lost connection
        self._run_token = 0  # of the run, which a later run with the same lock does not have
        self._parts: Sequence[str] | None = None  # the locks that another run could have had; None for each
        self._patience = PATIENCE
        self._offset = 0.0
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
        try:
            if self._schema:
                db.execute(_use(self._schema))
            before = time.monotonic()
            (now,) = db.execute(f"SELECT {_NOW}").fetchone() or (0.0,)
        except psycopg.Error:
            db.close()
            raise
        self._compare(now, before)
        return db

    def _attempt(self, work: Callable[[], T], *, again: bool = True) -> T:
        """Do work on the connection; after a lost connection, connect anew and do it again."""
        try:
            return work()
        except psycopg.Error as error:
            if not self._db.closed:
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

    # the tables

    def _opened(self, ledger: str | None) -> str:
        if ledger is None:
            names = self._schemas()
            if len(names) != 1:
                raise JournalError(
                    f"{self.name}: holds the journals of {len(names)} ledgers: say which one with PAYEX_OWNER_NO and "
                    "PAYEX_ENVIRONMENT"
                    if names
                    else f"{self.name}: there is no journal"
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
        if not now - time.monotonic() <= self._offset <= now - before:
            self._offset = now - before

    def now(self) -> float:
        """Return the seconds since 1970 by the clock of the database."""
        return time.monotonic() + self._offset

    def ahead(self) -> float:
        """Return the seconds by which that clock is ahead of the clock of this machine."""
        return self.now() - time.time()

    # queries

    def query(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        return self._attempt(lambda: self._db.execute(_marks(query), _plain(values)).fetchall())

    def stream(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query that may have millions of them."""
        text = psycopg.ClientCursor(self._db).mogrify(_marks(query), _plain(values)).encode()
        try:
            with self._db.cursor(f"rows_{secrets.token_hex(4)}", withhold=True) as cursor:
                cursor.execute(text)
                yield from cursor
        except psycopg.Error as error:
            raise JournalError(f"{self.name}: cannot be read: {_text(error)}") from None

    def run(self, statements: Iterable[Statement], *, again: bool = True) -> list[Row]:
        """Run statements in one message, all or nothing; return the rows of the last one.

        Raises:
            LeaseLost: the connection was lost, and they may not run twice.
        """
        kept = list(statements)

        def work() -> list[Row]:
            with psycopg.ClientCursor(self._db) as cursor:
                text = ";".join(cursor.mogrify(_marks(query), _plain(values)) for query, values in kept)
                cursor.execute(text.encode())  # PostgreSQL runs the statements of one message in one transaction
                while cursor.nextset():
                    pass
                return cursor.fetchall() if cursor.description else []

        return self._attempt(work, again=again)

    def change(self, query: str, decide: Callable[[list[Row]], Statement]) -> None:
        """Run a query and then the statement that follows from its rows. Nobody else changes the rows meanwhile."""

        def work() -> None:
            with self._db.transaction():
                rows = self._db.execute(_marks(f"{query} FOR UPDATE")).fetchall()
                statement, values = decide(rows)
                self._db.execute(_marks(statement), _plain(values))

        self._attempt(work)

    def erase(self, statements: Iterable[Statement]) -> None:
        """Run statements that take values out. The database overwrites them when it vacuums."""
        if kept := list(statements):
            self.run(kept)

    # runs, one at a time

    def hold(self, stack: ExitStack, shard: Shard | None) -> None:
        """Keep other runs away until the connection is closed.

        A whole run has a lock alone. Runs of shards share it, and each has one of its own. The leases keep shards of
        other counts apart.

        Raises:
            Locked: another run has the journal.
        """
        whole, part = self._key(""), str(shard or "")
        locks = [("pg_try_advisory_lock", whole)]
        if shard is not None:
            locks = [("pg_try_advisory_lock_shared", whole), ("pg_try_advisory_lock", self._key(part))]
            self._parts = ("", part)
        stack.callback(self._release)
        for function, key in locks:
            self._attempt(partial(self._lock, function, key))
            self._held.append((function, key))
        query = (
            "INSERT INTO holder (part, token) VALUES (?, nextval('token')) "
            "ON CONFLICT (part) DO UPDATE SET token = excluded.token RETURNING token"
        )
        self._run_token = self.query(query, (part,))[0][0]

    def _lock_again(self) -> None:
        """Take the locks of the run again after a lost connection. Nothing may be written without them.

        Raises:
            Locked: the lost connection has not ended yet.
            JournalError: another run has had a lock since.
        """
        try:
            for function, key in self._held:
                self._lock(function, key)
        finally:
            if self._run_token:
                query = "SELECT max(token) FROM holder WHERE %s::text[] IS NULL OR part = ANY(%s)"
                parts = None if self._parts is None else list(self._parts)
                if self._db.execute(query, (parts, parts)).fetchone() != (self._run_token,):
                    self._db.close()
                    raise JournalError(
                        f"{self.name}: another run has used this journal since the connection was lost. Nothing more "
                        "is sent. Run the same command again"
                    )

    def _release(self) -> None:
        """Give the locks back now: the database gives them back only when it notices that the connection is closed."""
        self._held.clear()
        with suppress(psycopg.Error):
            self._db.execute("SELECT pg_advisory_unlock_all()")

    def _key(self, part: str) -> tuple[int, int]:
        return _number(self._schema), _number(part)

    def _lock(self, function: str, key: tuple[int, int]) -> None:
        (has_it,) = self._db.execute(_marks(f"SELECT {function}(?, ?)"), key).fetchone() or (False,)
        if not has_it:
            raise Locked

    # leases

    def take(self, customer_no: str, run: int) -> Lease | None:
        """Take the lease of a customer for a run; None if another process has it."""
        before = time.monotonic()
        found = self.query(
            "INSERT INTO lease (customer, run, holder, token, expires) "
            f"VALUES (?, ?, ?, nextval('token'), {_NOW} + ?) ON CONFLICT (customer) DO UPDATE "
            "SET run = excluded.run, holder = excluded.holder, token = excluded.token, expires = excluded.expires "
            f"WHERE lease.expires < {_NOW} OR lease.holder = excluded.holder RETURNING token, {_NOW}",
            (customer_no, run, self._holder, self._lease),
        )
        if not found:
            return None
        token, now = found[0]
        self._compare(now, before)
        return Lease(customer_no, token)

    def has_leases(self, run: int) -> bool:
        """Return whether other processes hold leases for a run."""
        query = f"SELECT 1 FROM lease WHERE run = ? AND holder <> ? AND expires > {_NOW} LIMIT 1"
        return bool(self.query(query, (run, self._holder)))

    def give_back(self, lease: Lease) -> Statement | None:
        """Return the statement that ends a lease."""
        return "DELETE FROM lease WHERE customer = ? AND token = ?", (lease.customer_no, lease.token)

    def renew(self, leases: Iterable[Lease]) -> None:
        """Keep leases."""
        tokens = [lease.token for lease in leases]
        kept = f"UPDATE lease SET expires = {_NOW} + ? WHERE holder = ? AND token = ANY(?)"
        parts = f"UPDATE part SET expires = {_NOW} + ? WHERE holder = ? AND NOT done"
        self.run([(kept, (self._lease, self._holder, tokens)), (parts, (self._lease, self._holder))])

    def take_part(self, run: int, epoch: int, has: Collection[int]) -> tuple[int, bytes] | None:
        """Take a part of a run that no living process has; None if there is none now.

        A part that this process holds and does not have was taken when the connection was lost.
        """
        found = self.query(
            f"UPDATE part SET holder = ?, expires = {_NOW} + ? WHERE (run, epoch, number) = (SELECT run, epoch, number "
            "FROM part WHERE run = ? AND epoch = ? AND NOT done AND number <> ALL(?) "
            f"AND (holder IS NULL OR holder = ? OR expires < {_NOW}) "
            "ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING number, customers",
            (self._holder, self._lease, run, epoch, list(has), self._holder),
        )
        return (found[0][0], bytes(found[0][1])) if found else None

    def fenced(
        self, statement: Statement, lease: Lease | None, run: int, epoch: int, *, ends: bool = False
    ) -> Statement:
        """Return a statement that does nothing if the lease was lost, or if the run was begun anew.

        It keeps the lease for its whole time again or ends it. Nobody can take the lease before the statement has
        ended.
        """
        query, values = statement
        if lease is None:
            return query.format(held=" FROM (SELECT 1 WHERE false) AS held"), values
        change = "DELETE FROM lease" if ends else f"UPDATE lease SET expires = {_NOW} + ?"
        added = () if ends else (self._lease,)
        held = (
            f"WITH held AS ({change} WHERE customer = ? AND token = ? "
            f"AND expires > {_NOW} AND EXISTS (SELECT 1 FROM run WHERE id = ? AND epoch = ?) RETURNING 1) "
        )
        return held + query.format(held=" FROM held"), (
            *added, lease.customer_no, lease.token, run, epoch, *values,
        )  # fmt: skip

    def close(self) -> None:
        """Close the connection. That gives back the locks of the run."""
        with suppress(psycopg.Error):
            self._db.close()


def _marks(query: str) -> bytes:
    return query.replace("?", "%s").encode()


def _plain(values: Sequence[object]) -> list[object]:
    """Return values without what PostgreSQL cannot store in a text: NUL, and surrogates of a file name."""
    return [
        value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for value in values
    ]


def _number(text: str) -> int:
    """Return a number that PostgreSQL takes as a part of the key of a lock."""
    return zlib.crc32(text.encode()) - 2**31


def _use(schema: str) -> sql.Composed:
    return sql.SQL("SET search_path TO {}").format(sql.Identifier(schema))


def _text(error: BaseException) -> str:
    """Return the first line of what the database says."""
    return (str(error).splitlines() or [type(error).__name__])[0]
