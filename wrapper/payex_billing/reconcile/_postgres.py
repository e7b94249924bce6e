"""The journal in a PostgreSQL database, for processes on several machines.

The right to write to a customer is a lease: a row with a holder, a time at which it ends, and a number (token) that
grows with each new lease. A process that lost its lease cannot note a write, because the statement that notes it asks
for the token.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from ._connection import NOW, Connection, Error, marks
from ._locks import Locked
from ._selection import Shard
from ._store import LEASE, JournalError, Lease, Row, Statement


class PostgresStore(Connection):
    """The journal of one ledger in a PostgreSQL database: the lock of a run, the leases and the parts."""

    def __init__(self, address: str, ledger: str | None, lease: float = LEASE) -> None:
        self._held: list[tuple[str, tuple[int, int]]] = []  # the locks of the run, taken again after a lost connection
        self._run_token = 0  # of the run, which a later run with the same lock does not have
        self._parts: Sequence[str] | None = None  # the locks that another run could have had; None for each
        super().__init__(address, ledger, lease)

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
        with suppress(Error):
            self._db.execute("SELECT pg_advisory_unlock_all()")

    def _key(self, part: str) -> tuple[int, int]:
        return _number(self._schema), _number(part)

    def _lock(self, function: str, key: tuple[int, int]) -> None:
        (has_it,) = self._db.execute(marks(f"SELECT {function}(?, ?)"), key).fetchone() or (False,)
        if not has_it:
            raise Locked

    # leases

    def take(self, customer_no: str, run: int) -> Statement | None:
        """Return the statement that takes the lease of a customer for a run."""
        query = (
            "INSERT INTO lease (customer, run, holder, token, expires) "
            f"VALUES (?, ?, ?, nextval('token'), {NOW} + ?) ON CONFLICT (customer) DO UPDATE "
            "SET run = excluded.run, holder = excluded.holder, token = excluded.token, expires = excluded.expires "
            f"WHERE lease.expires < {NOW} OR lease.holder = excluded.holder RETURNING token, {NOW}"
        )
        return query, (customer_no, run, self._holder, self._lease)

    def taken(self, customer_no: str, rows: Sequence[Row], before: float) -> Lease | None:
        """Return the lease that a statement of `take` has taken; None if another process has it."""
        if not rows:
            return None
        token, now = rows[0]
        self._compare(now, before)
        return Lease(customer_no, token)

    def has_leases(self, run: int) -> bool:
        """Return whether other processes hold leases for a run."""
        query = f"SELECT 1 FROM lease WHERE run = ? AND holder <> ? AND expires > {NOW} LIMIT 1"
        return bool(self.query(query, (run, self._holder)))

    def give_back(self, lease: Lease) -> Statement | None:
        """Return the statement that ends a lease."""
        return "DELETE FROM lease WHERE customer = ? AND token = ?", (lease.customer_no, lease.token)

    def renew(self, leases: Iterable[Lease]) -> None:
        """Keep leases."""
        tokens = [lease.token for lease in leases]
        kept = f"UPDATE lease SET expires = {NOW} + ? WHERE holder = ? AND token = ANY(?)"
        parts = f"UPDATE part SET expires = {NOW} + ? WHERE holder = ? AND NOT done"
        self.run([(kept, (self._lease, self._holder, tokens)), (parts, (self._lease, self._holder))])

    def take_part(self, run: int, epoch: int, has: Collection[int]) -> tuple[int, bytes] | None:
        """Take a part of a run that no living process has; None if there is none now.

        A part that this process holds and does not have was taken when the connection was lost.
        """
        found = self.query(
            f"UPDATE part SET holder = ?, expires = {NOW} + ? WHERE (run, epoch, number) = (SELECT run, epoch, number "
            "FROM part WHERE run = ? AND epoch = ? AND NOT done AND number <> ALL(?) "
            f"AND (holder IS NULL OR holder = ? OR expires < {NOW}) "
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
        change = "DELETE FROM lease" if ends else f"UPDATE lease SET expires = {NOW} + ?"
        added = () if ends else (self._lease,)
        held = (
            f"WITH held AS ({change} WHERE customer = ? AND token = ? "
            f"AND expires > {NOW} AND EXISTS (SELECT 1 FROM run WHERE id = ? AND epoch = ?) RETURNING 1) "
        )
        return held + query.format(held=" FROM held"), (
            *added, lease.customer_no, lease.token, run, epoch, *values,
        )  # fmt: skip


def _number(text: str) -> int:
    """Return a number that PostgreSQL takes as a part of the key of a lock."""
    return zlib.crc32(text.encode()) - 2**31
