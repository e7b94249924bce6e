"""A list of customers: a text file with one number on each line, or a column of a table."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import attrs

from .._text import cut
from .._values import checks
from ..errors import InvalidArgument
from ._cells import SPACES, UNREADABLE
from ._columns import CellKind, Header
from ._database import Database
from ._sources import Options, TableError, load

_SHOWN = 40  # characters of a wrong number in a message


@attrs.define
class _OneColumn(Header):
    """The header of a table of which only one column is read."""

    column: str = "customer_no"

    def add(self, column: str) -> int:
        """Add a column; any is allowed."""
        place = len(self.columns)
        is_meant = column == self.column or (self.column == "customer_no" and column == "customerNo")
        if is_meant:
            self.places["customer_no"] = place
        self.columns.append(column)
        self.kinds.append(CellKind.TEXT if is_meant else None)
        return place

    @property
    def width(self) -> int:
        """The highest number of columns that the table can have without an error."""
        return 200

    def check(self) -> None:
        """Check that the column is there.

        Raises:
            TableError: it is not.
        """
        if "customer_no" not in self.places:
            raise TableError(f"{self.source}: it has no column {self.column!r}; it has {', '.join(self.columns)}")


def read_customers(source: Path, column: str = "customer_no") -> list[str]:
    """Return the numbers of customers in a file, each once, in their order.

    Args:
        source: a `.txt` file with one number on each line, or a table as `read` takes it, which may have any columns.
        column: the column of the table with the numbers.

    Raises:
        TableError: the file cannot be read, has no such column, or has a line that is not a valid customer number.
    """
    if source.suffix.lower() == ".txt":
        try:
            lines = source.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise TableError(f"{source}: cannot be read: {error}") from None
        return _checked(source, enumerate((text.strip(SPACES) for text in lines), start=1))
    with closing(Database()) as database:
        header = _OneColumn(source=str(source), theirs={}, ignore=frozenset(), column=column)
        load(database, source, header, Options(delimiter=None, encoding=None, sheet=None, sign="."))
        cell = f"trim(c{header.places['customer_no']}, '{SPACES}')"
        found = database.connection.execute(
            f"SELECT min(line), {cell} FROM raw WHERE {cell} <> '' GROUP BY 2 ORDER BY 1"
        ).fetchall()
    return _checked(source, ((line, str(number).lstrip(UNREADABLE)) for line, number in found))


def _checked(source: Path, numbered: Iterable[tuple[int, str]]) -> list[str]:
    """Return the numbers, each once; lines without a number are skipped."""
    numbers: dict[str, None] = {}
    for line, number in numbered:
        if not number:
            continue
        try:
            numbers[checks.customer_no(number)] = None
        except InvalidArgument as error:
            raise TableError(f"{source}: line {line}: {cut(number, _SHOWN)!r}: {error}") from None
    return list(numbers)
