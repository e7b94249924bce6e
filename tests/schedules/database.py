"""A double of the PostgreSQL connection: it runs the statements of `PostgresStore` on SQLite in memory.

The state of the database is a value, so that states can be compared, and a statement on a state is computed once.
"""

from __future__ import annotations

import math
import re
import sqlite3
import weakref
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Final, Self

import psycopg
from payex_billing.reconcile import _connection

from .process import Query, current

LEDGER: Final = "https://billing.invalid/billing/customer/v1/1234"
LOST: Final = "the connection is lost"  # the reply to a query
_END = "\x1e"
_TABLES = ("run", "write", "customer", "row", "lease", "part", "holder", "sqlite_sequence")
_HELD = re.compile(r"WITH held AS \(((?:UPDATE|DELETE) .*? RETURNING 1)\) (.*)", re.DOTALL)
# What no statement reads again: the times of a decided write, and the token under which it was noted.
_SETTLED = (
    "UPDATE write SET noted = 0.0, sent = 0.0, token = NULL WHERE result IS NOT NULL",
    "UPDATE run SET started = 0.0, seen = 0.0",
)
_LAST_TOKEN = (
    "SELECT max(token) FROM (SELECT token FROM lease UNION SELECT token FROM write UNION SELECT token FROM holder)"
)

State = tuple[tuple[tuple[Any, ...], ...], ...]
Rows = tuple[tuple[Any, ...], ...]


class Database:
    """Runs statements on states. A state is known by its number."""

    def __init__(self) -> None:
        # The garbage collector may close it in another thread.
        self._db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        weakref.finalize(self, self._db.close)  # nobody closes a database server
        tables = _connection._TABLES.replace(
            "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT"
        )
        self._db.executescript(tables.replace("CREATE SEQUENCE token;", ""))
        query = "INSERT INTO origin (id, ledger, version) VALUES ('journal', ?, ?)"
        self._db.execute(query, (LEDGER, _connection.VERSION))
        marks = {table: self._db.execute(f"SELECT * FROM {table}").description for table in _TABLES}
        self._insert = [f"INSERT INTO {table} VALUES ({', '.join('?' * len(marks[table]))})" for table in _TABLES]
        self._states: list[State] = []
        self._until: dict[int, float] = {}  # when the first lease ends
        self._numbers: dict[State, int] = {}
        self._known: dict[tuple[int, tuple[str, ...], float], tuple[tuple[Rows, ...], int]] = {}
        self._loaded = self.empty = self._kept()

    def _kept(self) -> int:
        state = tuple(tuple(self._db.execute(f"SELECT * FROM {table} ORDER BY rowid")) for table in _TABLES)
        number = self._numbers.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            (expires,) = self._db.execute("SELECT min(expires) FROM lease").fetchone()
            self._until[number] = math.inf if expires is None else expires
        return number

    def _load(self, number: int) -> None:
        if number == self._loaded:
            return
        for table, insert, rows in zip(_TABLES, self._insert, self._states[number], strict=True):
            self._db.execute(f"DELETE FROM {table}")
            self._db.executemany(insert, rows)  # the last table is that of the numbers that the others have given
        self._loaded = number

    def run(self, number: int, statements: tuple[str, ...], now: float, token: int = 0) -> tuple[tuple[Rows, ...], int]:
        """Run statements in one transaction.

        Args:
            number: the state.
            statements: the statements.
            now: the time.
            token: the highest number of a lease that a process may still have.

        Returns:
            The rows of each statement, and the state after the last one.
        """
        key = number, statements, now if any(_connection.NOW in each for each in statements) else 0.0, token
        found = self._known.get(key)
        if found is None:
            self._load(number)
            self._loaded = -1  # if a statement fails
            rows = tuple(self._one(statement, now, token) for statement in statements)
            for statement in _SETTLED:
                self._db.execute(statement)
            self._loaded = self._kept()
            found = self._known[key] = rows, self._loaded
        return found

    def at(self, number: int, now: float, shift: float = 0.0) -> int:
        """Return a state without what no statement can notice any more; with `shift`, at the time 0."""
        if now < self._until.get(number, math.inf) and not shift:
            return number
        statements = (
            f"DELETE FROM lease WHERE expires < {now!r}", f"UPDATE lease SET expires = expires - {shift!r}",
            f"UPDATE write SET noted = noted - {shift!r}, sent = sent - {shift!r} WHERE result IS NULL",
        )  # fmt: skip
        return self.run(number, statements, 0.0)[1]

    def rows(self, number: int, query: str) -> Rows:
        """Return the rows of a query on a state."""
        return self.run(number, (query,), 0.0)[0][0]

    def aged(self, number: int) -> int:
        """Return the state long afterwards: all leases have ended, and no time matters any more."""
        return self.run(number, ("DELETE FROM lease", "UPDATE write SET noted = 0.0, sent = 0.0, token = NULL"), 0.0)[1]

    def _one(self, statement: str, now: float, token: int) -> Rows:
        statement = statement.replace(_connection.NOW, repr(now)).replace("FOR UPDATE SKIP LOCKED", "")
        if statement.startswith("LOCK TABLE"):
            return ()
        held = _HELD.fullmatch(statement)
        if held is not None:
            if not self._db.execute(held[1]).fetchall():
                return ()
            statement = held[2].replace(" FROM held", "")
        if "nextval('token')" in statement:  # a number that nobody has any more may be given again
            (last,) = self._db.execute(_LAST_TOKEN).fetchone()
            statement = statement.replace("nextval('token')", str(max(last or 0, token) + 1))
        return tuple(self._db.execute(statement).fetchall())


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return "'" + value.replace("'", "''") + "'"
        case bytes():
            return f"X'{value.hex()}'"
        case list():
            return "(" + ", ".join(map(_literal, value)) + ")"
    raise TypeError(type(value).__name__)


def literal(query: str | bytes, values: Sequence[object]) -> str:
    """Return a query with its values."""
    query = query.decode() if isinstance(query, bytes) else query
    parts = query.split("%s")
    text = parts[0] + "".join(_literal(value) + part for value, part in zip(values, parts[1:], strict=True))
    return re.sub(r"= ANY\((\(.*?\))\)", r"IN \1", re.sub(r"<> ALL\((\(.*?\))\)", r"NOT IN \1", text))


class Connection:
    """A connection of the process that runs at this moment."""

    def __init__(self) -> None:
        self.closed = False
        self._prepared: dict[str, str] = {}

    def execute(self, query: object, values: Sequence[object] = ()) -> Connection:
        text = query.decode() if isinstance(query, bytes) else str(query)
        if not isinstance(query, str | bytes) or text.startswith("SET search_path"):
            self._rows: Rows = ()
        elif text == f"SELECT {_connection.NOW}":
            self._rows = ((current().time,),)
        elif text.startswith("SELECT nspname"):
            self._rows = ((_schema(),),)
        elif text.startswith("SELECT id, ledger, version FROM origin"):
            self._rows = (("journal", LEDGER, _connection.VERSION),)
        elif text.startswith("PREPARE"):
            _, name, _, prepared = text.split(" ", 3)
            self._prepared[name] = prepared
            self._rows = ()
        elif text.startswith("SELECT pg_"):  # locks: only one scheduler runs at a time in these schedules
            self._rows = ((True,),)
        elif text.startswith("SELECT max(token) FROM holder"):
            (self._rows,) = self.send(("SELECT max(token) FROM holder",))
        else:
            (self._rows,) = self.send((literal(text, values),))
        return self

    def send(self, statements: tuple[str, ...]) -> tuple[Rows, ...]:
        process = current()
        reply = process.ask(Query(statements, process.is_quiet))
        if reply == LOST:
            self.closed = True
            raise psycopg.OperationalError(LOST)
        rows: tuple[Rows, ...] = reply
        return rows

    def prepared(self, call: str) -> str:
        """Return the query behind an EXECUTE."""
        return re.sub(r"\$\d+", "%s", self._prepared[call.split(" ")[1]])

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self._rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows[0] if self._rows else None

    def close(self) -> None:
        self.closed = True


class Cursor:
    """A cursor that runs several statements in one message."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: tuple[Rows, ...] = ()
        self.description = True

    def mogrify(self, query: str | bytes, values: Sequence[object] = ()) -> str:
        query = query.decode() if isinstance(query, bytes) else query
        return literal(self._connection.prepared(query) if query.startswith("EXECUTE") else query, values) + _END

    def execute(self, text: bytes) -> None:
        self._rows = self._connection.send(tuple(text.decode().removesuffix(_END).split(f"{_END};")))

    def nextset(self) -> bool:
        self._rows = self._rows[1:]
        return bool(self._rows)

    def fetchall(self) -> list[tuple[Any, ...]]:
        return list(self._rows[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _schema() -> str:
    return _connection._PREFIX + _connection.hashlib.sha256(LEDGER.encode()).hexdigest()[:16]


# What `_connection` uses of psycopg.
PSYCOPG: Final = SimpleNamespace(
    connect=lambda *_, **__: Connection(), ClientCursor=Cursor, Error=psycopg.Error,
    OperationalError=psycopg.OperationalError,
)  # fmt: skip
