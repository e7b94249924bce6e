"""The database of a journal: what SQLite and PostgreSQL have in common.

The runs, their writes and their rejected rows stay in it. Only `runs prune` and `history --forget` take anything out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import attrs

from ..errors import BillingError
from ._selection import Shard

Row = tuple[Any, ...]
Statement = tuple[str, Sequence[object]]  # a query, with `?` for each value
Place = Path | str  # the file of a journal, or the address of a PostgreSQL database

VERSION: Final = 7
NOT_THERE: Final = "there is no journal. apply creates it; --journal names another one"
LEASE: Final = 30.0  # seconds
# {id} is the type of a growing number, {real} that of a number of seconds.
ORIGIN: Final = "CREATE TABLE origin (id TEXT, ledger TEXT, version INTEGER, pruned BIGINT DEFAULT 0);"
JOURNAL: Final = """
CREATE TABLE run (
    id {id}, command TEXT, input TEXT, plan TEXT, file TEXT, options TEXT, shard TEXT, approved TEXT, undoes BIGINT,
    "user" TEXT, host TEXT, version TEXT, started {real}, seen {real}, finished {real}, outcome TEXT, report TEXT,
    first BIGINT, last BIGINT, epoch BIGINT DEFAULT 1, parts INTEGER DEFAULT 0
);
CREATE TABLE write (
    id {id}, run BIGINT, plan TEXT, customer TEXT, position INTEGER, kind TEXT, line BIGINT, step TEXT, known TEXT,
    noted {real}, sent {real}, result TEXT, charge TEXT, after TEXT, status INTEGER, instance TEXT, token BIGINT,
    lost {real}
);
CREATE INDEX write_to ON write (customer, run);
CREATE INDEX open_write_to ON write (customer) WHERE result IS NULL;
CREATE INDEX lost_write ON write (lost) WHERE lost IS NOT NULL;
CREATE TABLE customer (
    run BIGINT, customer TEXT, unchanged BIGINT, applied BIGINT, failed TEXT, not_removed TEXT,
    PRIMARY KEY (run, customer)
);
CREATE TABLE row (run BIGINT, line BIGINT, customer TEXT, result TEXT, reason TEXT);
CREATE INDEX row_of ON row (run);
"""
# What later runs need of earlier ones, and the pace of all processes. Losing it is safe.
MEMORY: Final = """
CREATE TABLE shown (charge TEXT, field TEXT, value TEXT, PRIMARY KEY (charge, field));
CREATE TABLE last_run (shard TEXT PRIMARY KEY, figures TEXT);
CREATE TABLE pace (state TEXT);
INSERT INTO pace VALUES ('{{}}');
"""


class JournalError(BillingError):
    """The journal cannot be used: another run uses it, it belongs to another ledger, or the disk is full."""


class Leased(Exception):
    """Another process writes to the customer at this moment."""


class LeaseLost(JournalError):
    """Another process may write to the customer now. Nothing was sent."""


@attrs.frozen
class Lease:
    """The right to write to a customer.

    Attributes:
        customer_no: the customer.
        token: a number that is higher for each new lease. The database refuses the writes of an older one.
    """

    customer_no: str
    token: int = 0


class Store(ABC):
    """The database of the journal of one ledger.

    The methods that are not abstract are those of a database for the processes of one machine: the lock of the run
    keeps every other process away, so a lease is always free and is never lost.

    Attributes:
        name: what messages call it; without a password.
        ledger: the address of the ledger.
        identity: what no other journal has.
        is_shared: whether processes on several machines may use it.
        doubt: the seconds by which its clock may be less ahead of the clock of this machine than `ahead` says.
        in_order: statements to run before the number of the last write is read, so that no write with a lower number
            appears later.
    """

    name: str
    ledger: str
    identity: str
    is_shared = False
    doubt = 0.0
    in_order: Sequence[Statement] = ()

    @abstractmethod
    def now(self) -> float:
        """Return the seconds since 1970 by the clock that all users of the journal share."""

    def ahead(self) -> float:
        """Return the seconds by which that clock is ahead of the clock of this machine, at most."""
        return 0.0

    @abstractmethod
    def query(self, query: str, values: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""

    @abstractmethod
    def stream(self, query: str, values: Sequence[object] = ()) -> Iterator[Row]:
        """Yield the rows of a query that may have millions of them."""

    def run(self, statements: Iterable[Statement], *, again: bool = True) -> list[Row]:
        """Run statements as `run_each` does; return the rows of the last one."""
        return self.run_each(statements, again=again)[-1]

    @abstractmethod
    def run_each(self, statements: Iterable[Statement], *, again: bool = True) -> list[list[Row]]:
        """Run statements, all or nothing; return the rows of each.

        Args:
            statements: the statements.
            again: whether they may run twice, when the connection was lost and it is not known whether they ran.

        Raises:
            LeaseLost: the connection was lost, and they may not run twice.
        """

    @abstractmethod
    def change(self, query: str, decide: Callable[[list[Row]], Statement]) -> None:
        """Run a query and then the statement that follows from its rows. Nobody else changes the rows meanwhile."""

    @abstractmethod
    def erase(self, statements: Iterable[Statement]) -> None:
        """Run statements that take values out for ever."""

    @abstractmethod
    def hold(self, stack: ExitStack, shard: Shard | None) -> None:
        """Keep other runs away until the stack is closed.

        Raises:
            Locked: another run has the journal.
            NoLock: the lock cannot be used.
        """

    def take(self, customer_no: str, run: int) -> Statement | None:
        """Return the statement that takes the lease of a customer for a run; None if it is always free."""
        return None

    def taken(self, customer_no: str, rows: Sequence[Row], before: float) -> Lease | None:
        """Return the lease that a statement of `take` has taken; None if another process has it.

        Args:
            customer_no: the customer.
            rows: the rows of the statement.
            before: a time before the statement was sent, by the monotonic clock of this machine.
        """
        return Lease(customer_no)

    def has_leases(self, run: int) -> bool:
        """Return whether other processes hold leases for a run."""
        return False

    def give_back(self, lease: Lease) -> Statement | None:
        """Return the statement that ends a lease; None if there is nothing to do."""
        return None

    def renew(self, leases: Iterable[Lease]) -> None:  # noqa: B027 - the leases of one machine do not end
        """Keep leases."""

    def take_part(self, run: int, epoch: int, has: Collection[int]) -> tuple[int, bytes] | None:
        """Take a part of a run that no living process has; None if there is none now.

        Args:
            run: the number of the run.
            epoch: how many times the run was begun.
            has: the parts that this process has taken and not finished.
        """
        return None

    def fenced(
        self, statement: Statement, lease: Lease | None, run: int, epoch: int, *, ends: bool = False
    ) -> Statement:
        """Return a statement that does nothing if the lease was lost, or if the run was begun anew.

        Args:
            statement: the statement, with `{held}` where its FROM is.
            lease: the lease of the customer.
            run: the number of the run.
            epoch: how many times the run was begun.
            ends: whether the statement is the last one under the lease, and gives it back.
        """
        query, values = statement
        return query.format(held=""), values

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""
