"""Keeps the mock's state in a SQLite file over restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .json_text import parse, render
from .resources import Key
from .schemas import JsonObject

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, document TEXT NOT NULL
)
"""


class SqlitePersistence:
    """Keeps one row per resource in a SQLite file. Writes the row before the mock sends the response.

    Raises:
        OSError: the file cannot be opened or is not a database of the mock.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise OSError(f"cannot keep the state in {path}: {error}") from error
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(_SCHEMA)
            self._connection.execute("SELECT key FROM resource LIMIT 1")  # fails for a file of an older mock
        except sqlite3.Error as error:
            self._connection.close()
            raise OSError(f"cannot keep the state in {path}: {error}") from error

    def load(self) -> Iterator[tuple[Key, JsonObject]]:
        """Yield all resources in the order of their creation, so that an owner comes before what belongs to it."""
        for key, document in self._connection.execute("SELECT key, document FROM resource ORDER BY seq"):
            yield tuple(parse(key.encode())), parse(document.encode())

    def put(self, key: Key, document: JsonObject) -> None:
        """Save a new or changed resource. A changed resource keeps its place in the order."""
        self._connection.execute(
            "INSERT INTO resource (key, document) VALUES (?, ?) ON CONFLICT DO UPDATE SET document = excluded.document",
            (render(list(key)), render(document)),
        )

    def remove(self, key: Key) -> None:
        """Delete a resource."""
        self._connection.execute("DELETE FROM resource WHERE key = ?", (render(list(key)),))

    def close(self) -> None:
        """Close the database file."""
        self._connection.close()
