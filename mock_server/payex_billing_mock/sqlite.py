"""Keeps the mock's state in a SQLite file over restarts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from .json_text import parse, render
from .store import JsonObject, Key

_SCHEMA = """
CREATE TABLE IF NOT EXISTS resource (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    ledger TEXT NOT NULL, customer TEXT NOT NULL, subscription TEXT NOT NULL, charge TEXT NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (ledger, customer, subscription, charge)
)
"""


class SqlitePersistence:
    """One row per resource, written before the answer is sent.

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
        except sqlite3.Error as error:
            self._connection.close()
            raise OSError(f"cannot keep the state in {path}: {error}") from error

    def load(self) -> Iterator[tuple[Key, JsonObject]]:
        """All resources, parents first, each in the order it was made."""
        rows = self._connection.execute(
            "SELECT ledger, customer, subscription, charge, document FROM resource ORDER BY charge <> '', seq"
        )
        for ledger, customer, subscription, charge, document in rows:
            yield Key(ledger, customer, subscription, charge), parse(document.encode())

    def put(self, key: Key, document: JsonObject) -> None:
        """Keep a new or changed resource; a changed one keeps its place."""
        self._connection.execute(
            "INSERT INTO resource (ledger, customer, subscription, charge, document) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET document = excluded.document",
            (key.ledger, key.customer, key.subscription, key.charge, render(document)),
        )

    def remove(self, key: Key) -> None:
        """Forget a charge, or a subscription with its charges."""
        self._connection.execute(
            "DELETE FROM resource WHERE ledger = ? AND customer = ? AND subscription = ? AND ? IN ('', charge)",
            (key.ledger, key.customer, key.subscription, key.charge),
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
