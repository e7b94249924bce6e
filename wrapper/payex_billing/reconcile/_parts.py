"""The customers of a plan in parts, in a database, for the processes that write them together."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

from ._store import Statement, Store

_CUSTOMERS = 100  # of one part
_ONE = "WHERE run = ? AND epoch = ? AND number = ?"


class Parts:
    """The parts of the plan of a run. A process takes a part for some seconds; if it dies, another one takes the part.

    Args:
        store: the database.
        run: the number of the run.
        epoch: how many times the run was begun.
    """

    def __init__(self, store: Store, run: int, epoch: int) -> None:
        self._store = store
        self._key = run, epoch
        self._left: dict[int, int] = {}  # customers that are not written yet, by the number of the part

    def publish(self, customers: Iterable[bytes]) -> Iterator[int]:
        """Hand out the customers of the plan, and take back those of an earlier plan of the run.

        Yields:
            The number of each part, so that the caller can do something else meanwhile. Workers get no part before
            the last one.
        """
        self.remove()
        lines = iter(customers)
        for number, part in enumerate(iter(lambda: list(islice(lines, _CUSTOMERS)), [])):
            values = (*self._key, number, zlib.compress(b"".join(part), 1))
            query = "INSERT INTO part (run, epoch, number, customers) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
            self._store.run([(query, values)])  # again, if the connection was lost
            yield number
        self._store.run([("UPDATE run SET parts = 1 WHERE id = ?", (self._key[0],))])

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Take part after part; yield the number of the part, and the line of each of its customers."""
        while (taken := self._store.take_part(*self._key, self._left)) is not None:
            number, packed = taken
            lines = zlib.decompress(packed).splitlines()
            self._left[number] = len(lines)
            for line in lines:
                yield number, line

    def wrote(self, number: int) -> None:
        """Note that a customer of a part is done; the part is done with its last customer."""
        self._left[number] -= 1
        if not self._left[number]:
            del self._left[number]
            self._store.run([(f"UPDATE part SET done = true {_ONE}", (*self._key, number))])

    def share_done(self) -> float | None:
        """Return the share of the parts that are done, 0 to 1; None if there are no parts any more."""
        query = "SELECT count(*) FILTER (WHERE done), count(*) FROM part WHERE run = ? AND epoch = ?"
        done, count = self._store.query(query, self._key)[0]
        return float(done / count) if count else None

    def give_back(self) -> None:
        """Let other processes take the parts that are not done."""
        query = f"UPDATE part SET holder = NULL {_ONE} AND NOT done"
        statements: list[Statement] = [(query, (*self._key, number)) for number in self._left]
        if statements:
            self._store.run(statements)
        self._left.clear()

    def remove(self) -> None:
        """Take the parts out of the database, with the values of the customers."""
        self._store.run([("DELETE FROM part WHERE run = ?", (self._key[0],))])

    def are_left(self) -> bool:
        """Return whether a part is not done."""
        query = "SELECT 1 FROM part WHERE run = ? AND epoch = ? AND NOT done LIMIT 1"
        return bool(self._store.query(query, self._key))
