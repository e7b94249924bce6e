"""The columns of a table: which column is which field of a charge, and which columns are ignored."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Mapping
from enum import Enum

import attrs

from .._contract import NEW_RECURRING_PRODUCT, PARAMETERS
from .._schema import Kind
from ..errors import BillingError
from ..models import CONTENT, Charge

_KNOWN = {known.name: known for known in (*NEW_RECURRING_PRODUCT, *PARAMETERS.values())}
PROPERTIES = {name: _KNOWN[name] for name in ("customer_no", "subscription_no", *CONTENT) if name in _KNOWN}
"""What the contract says of each column."""
COLUMNS = {name: known.wire for name, known in PROPERTIES.items()}
REQUIRED = ("customer_no", *(field.name for field in attrs.fields(Charge) if field.default is attrs.NOTHING))
VALUES = tuple(COLUMNS)
# The column that `write_rejects` adds. `read` ignores this column, so that it can read a rejects file unchanged.
REASON = "payex_reason"
# The column of `export` with the exact text of cells that have characters nobody can see; see `_validation`.
EXACT = "payex_exact"


class TableError(BillingError):
    """A table cannot be read at all; the text is a sentence that names the file."""


class CellKind(Enum):
    """The kind of a cell, which decides what a number or a date in the cell means."""

    NUMBER = "number"
    DATE = "date"
    TEXT = "text"


_KINDS = {Kind.WHOLE: CellKind.NUMBER, Kind.DECIMAL: CellKind.NUMBER, Kind.DATE: CellKind.DATE}


@attrs.define
class Header:
    """The columns of one table. A column's place is its index in the table `raw`: c0, c1 and so on.

    Args:
        source: the name of the table in messages.
        theirs: maps the table's column names to ours.
        ignore: columns to ignore.

    Attributes:
        columns: the names of the columns in the table.
        kinds: the kind of the cells in each column; None if the column is ignored.
        places: the place of each known column that the table has.
        exact: the place of the column with exact texts; None without one.
    """

    source: str
    theirs: Mapping[str, str]
    ignore: frozenset[str]
    columns: list[str] = attrs.field(factory=list)
    kinds: list[CellKind | None] = attrs.field(factory=list)
    places: dict[str, int] = attrs.field(factory=dict)
    exact: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse a mapping to a column that does not exist."""
        for meant in self.theirs.values():
            if meant not in _OURS:
                raise TableError(
                    f"{self.source}: there is no column {meant!r} to map to; there are {', '.join(COLUMNS)}"
                )

    @property
    def width(self) -> int:
        """The highest number of columns that the table can have without an error."""
        return len(COLUMNS) + len(self.ignore) + 2

    @property
    def is_rejects_file(self) -> bool:
        """Whether `write_rejects` wrote the table, so that the table is a part of another table."""
        return REASON in self.columns

    def add(self, column: str) -> int:
        """Add a column of the table; return its place.

        Raises:
            TableError: the column has no name, occurs twice, or is unknown.
        """
        place = len(self.columns)
        if not column:
            raise TableError(
                f"{self.source}: column {place + 1} has no name. Give it one, or delete the column and its delimiters"
            )
        if column in self.columns:
            raise TableError(f"{self.source}: the column {column!r} is there twice")
        name = None if column in self.ignore else _OURS.get(self.theirs.get(column, column))
        if name is None and column not in {*self.ignore, REASON, EXACT}:
            raise TableError(f"{self.source}: the column {column!r} is not known. {_hint(column)}")
        if name in self.places:
            raise TableError(f"{self.source}: {column!r} and {self.columns[self.places[name]]!r} are the same column")
        if name is not None:
            self.places[name] = place
        if column == EXACT and column not in self.ignore:
            self.exact = place
        self.columns.append(column)
        self.kinds.append(None if name is None else _KINDS.get(PROPERTIES[name].kind, CellKind.TEXT))
        return place

    def add_all(self, columns: Iterable[str]) -> None:
        """Add the columns of a table that has a header, and check the columns.

        Raises:
            TableError: as for `add` and `check`.
        """
        for column in columns:
            self.add(column)
        self.check()

    def check(self) -> None:
        """Check that no required column is missing; call it after the last `add`.

        Raises:
            TableError: a required column is missing.
        """
        for given in self.theirs:
            if given not in self.columns:
                raise TableError(f"{self.source}: it has no column {given!r}; it has {', '.join(self.columns)}")
        missing = [name for name in REQUIRED if name not in self.places]
        if missing:
            raise TableError(
                f"{self.source}: it has no column {' and no '.join(missing)}; name it with --map theirs={missing[0]}"
            )


_OURS = {**{name: name for name in COLUMNS}, **{contract: name for name, contract in COLUMNS.items()}}


def _hint(column: str) -> str:
    near = difflib.get_close_matches(column, _OURS, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    if not column.isprintable():  # nobody can type such a name into a shell
        return f"{hint}Correct the name in the file: it has a character that cannot be shown"
    name = shlex.quote(column)
    return f"{hint}Name it with --map {name}={near[0] if near else '…'}, or leave it out with --ignore {name}"
