"""Tables with types, which DuckDB reads by itself: Parquet files, and Arrow data of any library."""

from __future__ import annotations

import re
from typing import Any

from ._columns import CellKind, Header, TableError
from ._staging import Staging

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_INSTEAD = {
    CellKind.NUMBER: "a number or a text",
    CellKind.DATE: "a date or a text",
    CellKind.TEXT: "a text or a whole number",
}


class Stream:
    """Arrow data of another library, so that DuckDB asks it for nothing but the data."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The data, by the Arrow C stream interface."""
        return self._data.__arrow_c_stream__(requested_schema)


def stage(staging: Staging, relation: str, parameters: dict[str, str]) -> None:
    """Read the rows of a relation; the first is number 1.

    Args:
        staging: receives the rows.
        relation: the relation, as SQL.
        parameters: the parameters of the relation.

    Raises:
        TableError: a column is rejected, or its type.
    """
    database, header = staging.database, staging.header
    described = database.execute(f"DESCRIBE SELECT * FROM {relation}", parameters).fetchall()
    header.add_all(str(name) for name, *_ in described)
    cells = ", ".join(_cell(str(name), str(type_), header, place) for place, (name, type_, *_) in enumerate(described))
    found = database.execute(f"SELECT {cells} FROM {relation}", parameters)
    staging.add_typed(row for chunk in iter(lambda: found.fetchmany(10_000), []) for row in chunk)


def _cell(name: str, type_: str, header: Header, place: int) -> str:
    """Return an SQL expression for a cell: the number in a floating-point or decimal column, else a text."""
    kind = header.kinds[place]
    cell = '"' + name.replace('"', '""') + '"'
    text = f"{cell}::VARCHAR"
    if kind is None or type_ in {'"NULL"', "VARCHAR"} or type_.startswith("ENUM") or _WHOLE.fullmatch(type_):
        return text
    if type_ == "FLOAT":
        raise TableError(
            f"{header.source}: the column {header.columns[place]!r} has 32-bit floats, which do not keep the digits. "
            "Make it decimal, 64-bit or text"
        )
    if kind is not CellKind.DATE and (type_ == "DOUBLE" or type_.startswith("DECIMAL")):
        return cell
    if kind is CellKind.DATE and type_ == "DATE":
        return text
    if kind is CellKind.DATE and re.fullmatch("TIMESTAMP(_[A-Z]+)?", type_):
        return f"CASE WHEN {cell} = date_trunc('day', {cell}) THEN {cell}::DATE::VARCHAR ELSE {text} END"
    zone = "; which day it is depends on the time zone" if "TIME ZONE" in type_ else ""
    raise TableError(
        f"{header.source}: the column {header.columns[place]!r} is of the type {type_}{zone}. Make it {_INSTEAD[kind]}"
    )
