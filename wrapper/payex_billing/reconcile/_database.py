"""The database for one table: in memory, with a temporary folder for what does not fit."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb

MEMORY = "400MB"  # DuckDB's limit; a table of 5,000,000 rows needs more, and DuckDB puts the rest in the folder


def one(connection: duckdb.DuckDBPyConnection, query: str) -> Any:
    """Return the value of a query that has one row with one column."""
    found = connection.execute(query).fetchone()
    return found[0] if found else 0


def literal(text: object) -> str:
    """Return a text as an SQL literal."""
    return "'" + str(text).replace("'", "''") + "'"


class Database:
    """A DuckDB database for one table.

    Attributes:
        folder: a temporary folder that only its owner may read. A killed process leaves it behind, and nothing else.
        connection: the connection.
    """

    def __init__(self) -> None:
        import duckdb  # noqa: PLC0415 - slow to load, and an extra

        self.folder = Path(tempfile.mkdtemp(prefix="payex-billing-"))
        # Clean up also if the caller never closes the table.
        self._delete = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.connection = duckdb.connect()
        self.connection.execute(f"SET memory_limit = '{MEMORY}'")
        self.connection.execute("SET preserve_insertion_order = true")
        self.connection.execute(f"SET temp_directory = {literal(self.folder / 'spill')}")

    def close(self) -> None:
        """Free the memory and delete the folder."""
        self.connection.close()
        self._delete()
