"""The cache of what was last applied, per customer: a nightly run then reads and writes only what has changed.

A DuckDB file. It holds digests, no charges. Losing it costs a full read; a cache that lies never leads to a double,
because a customer is read again before it is written to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ._database import literal
from ._history import History
from ._private import make_private
from ._selection import Shard, selection
from ._sources import TableError
from ._tables import Table

if TYPE_CHECKING:
    import duckdb

_DIGESTS = "SELECT customer_no, count(*) AS rows, sum(digest)::HUGEINT AS digest FROM good GROUP BY customer_no"


class State:
    """The cache in one file, used by one process at a time.

    Args:
        path: the file; made if it does not exist.
        table: the desired charges.
        ledger: the address of the ledger. The number alone can be the same in the sandbox and in production.

    Raises:
        TableError: it cannot be opened, another run has it, or it is of another ledger.
    """

    def __init__(self, path: Path, table: Table, ledger: str) -> None:
        import duckdb  # noqa: PLC0415 - an extra

        self._database: duckdb.DuckDBPyConnection = table.database
        try:
            self._database.execute(f"ATTACH {literal(path)} AS state (TYPE duckdb)")
        except duckdb.Error as error:
            text = str(error).splitlines()[0]
            damaged = f"{text} If it is a damaged cache, remove it: the next run makes a new one"
            reason = "another run is using it" if "lock" in str(error).lower() else damaged
            raise TableError(f"{path}: cannot be used as a state cache: {reason}") from None
        make_private(path)
        # The cache starts anew with another version of DuckDB, which can make other digests of the same rows, and with
        # other columns, because an empty cell clears a value and a missing column does not.
        origin = ledger, f"{duckdb.__version__} {table.columns}"
        self._database.execute("CREATE TABLE IF NOT EXISTS state.origin (ledger VARCHAR, made_by VARCHAR)")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS state.customers "
            "(customer_no VARCHAR PRIMARY KEY, rows BIGINT, digest HUGEINT, pruned BOOLEAN)"
        )
        found = self._database.execute("SELECT ledger, made_by FROM state.origin").fetchone()
        if found is not None and found[0] != ledger:
            self._database.execute("DETACH state")
            raise TableError(f"{path}: is the state cache of {found[0]}, not of {ledger}: name another file")
        if found != origin:
            self._database.execute("DELETE FROM state.customers; DELETE FROM state.origin")
            self._database.execute("INSERT INTO state.origin VALUES (?, ?)", origin)
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS state.seen (customer_no VARCHAR PRIMARY KEY, journal VARCHAR, write BIGINT)"
        )
        self._database.execute(f"CREATE TABLE digests AS {_DIGESTS}")

    def written(self, history: History) -> list[str]:
        """Return the customers that were written after the cache learned of them, such as by an undo.

        A customer that was last brought up to date with another journal is not among them.
        """
        seen = dict(
            self._database.execute(
                "SELECT customer_no, write FROM state.seen SEMI JOIN digests USING (customer_no) WHERE journal = ?",
                (history.identity,),
            ).fetchall()
        )
        if not seen:
            return []
        pruned = history.pruned()
        last = history.last_writes(max(pruned, min(seen.values())))
        return [number for number, write in seen.items() if write < pruned or last.get(number, 0) > write]

    def mark_changed(self, *, prune: bool, written: Iterable[str] = (), verify: float = 0.0) -> list[str]:
        """Make the table `changed`: the customers whose rows are not those last applied.

        Args:
            prune: whether the run removes charges that are in no row.
            written: customers that were written since; they count as changed.
            verify: a share of the other customers, 0 to 1, that is read all the same.

        Returns:
            The customers that are read to verify the cache.
        """
        same = " AND pruned" if prune else ""
        self._database.execute(
            "CREATE OR REPLACE TABLE changed AS SELECT customer_no FROM digests ANTI JOIN (SELECT * FROM "
            f"state.customers WHERE customer_no NOT IN (SELECT unnest($written::VARCHAR[])){same}) "
            "USING (customer_no, rows, digest)",
            {"written": list(written)},
        )
        if not verify:
            return []
        # The same customers all day, so that a run that goes on reads the same ones.
        chosen = self._database.execute(
            "SELECT customer_no FROM digests ANTI JOIN changed USING (customer_no) "
            "WHERE md5_number(customer_no || current_date::VARCHAR) % 1000000 < $share",
            {"share": round(verify * 1_000_000)},
        ).fetchall()
        numbers = [str(number) for (number,) in chosen]
        self._database.execute("INSERT INTO changed SELECT unnest($numbers::VARCHAR[])", {"numbers": numbers})
        return numbers

    def unchanged(self, shard: Shard | None) -> Iterator[tuple[str, int]]:
        """The customers that need not be read, with their number of rows."""
        condition = selection(shard)
        cursor = self._database.cursor()
        cursor.execute(
            "SELECT customer_no, rows FROM digests ANTI JOIN changed USING (customer_no)"
            f"{' WHERE ' + condition if condition else ''} ORDER BY customer_no"
        )
        yield from (record for chunk in iter(lambda: cursor.fetchmany(10_000), []) for record in chunk)
        cursor.close()

    def update(self, customers: list[str], *, prune: bool) -> None:
        """Remember that the rows of these customers were applied.

        Raises:
            TableError: the cache cannot be written.
        """
        self._write(
            "state.customers SELECT customer_no, rows, digest, $pruned FROM digests "
            "SEMI JOIN (SELECT unnest($numbers::VARCHAR[]) AS customer_no) USING (customer_no)",
            {"pruned": prune, "numbers": customers},
        )

    def note(self, journal: str, writes: Mapping[str, int] | int) -> None:
        """Remember that customers are as the cache says, up to a write in the journal.

        Args:
            journal: the journal.
            writes: the number of the write for each customer, or one number for the customers that were not read,
                because the cache knew them.

        Raises:
            TableError: the cache cannot be written.
        """
        if isinstance(writes, int):
            source = "SELECT customer_no, $write AS write FROM digests ANTI JOIN changed USING (customer_no)"
            values: dict[str, object] = {"write": writes}
        else:
            source = "SELECT unnest($customers::VARCHAR[]) AS customer_no, unnest($writes::BIGINT[]) AS write"
            values = {"customers": list(writes), "writes": list(writes.values())}
        self._write(f"state.seen SELECT customer_no, $journal, write FROM ({source})", values | {"journal": journal})

    def _write(self, rows: str, values: dict[str, object]) -> None:
        import duckdb  # noqa: PLC0415 - an extra

        try:
            self._database.execute(f"INSERT OR REPLACE INTO {rows}", values)
        except duckdb.Error as error:
            raise TableError(f"the state cache cannot be written: {str(error).splitlines()[0]}") from None

    def close(self) -> None:
        """Write it out."""
        self._database.execute("DROP TABLE digests")
        self._database.execute("DETACH state")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
