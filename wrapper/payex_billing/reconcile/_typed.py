"""Tables with types, which DuckDB reads by itself: Parquet files, and Arrow data of any library."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ._cells import DECIMALS_IN_TEXT, NO_NUMBER, TOO_MANY_DIGITS, UNREADABLE
from ._columns import CellKind, Header, TableError

if TYPE_CHECKING:
    import duckdb

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?")
_INSTEAD = {
    CellKind.NUMBER: "a number or a text",
    CellKind.DATE: "a date or a text",
    CellKind.TEXT: "a text or a whole number",
}
NO_LINES = """
CREATE TABLE broken (line BIGINT, cells VARCHAR, rule VARCHAR);
CREATE TABLE faults (line BIGINT, place INTEGER, rule VARCHAR);
"""


class Stream:
    """Arrow data of another library, so that DuckDB asks it for nothing but the data."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The data, by the Arrow C stream interface."""
        return self._data.__arrow_c_stream__(requested_schema)


def load(
    database: duckdb.DuckDBPyConnection,
    header: Header,
    relation: str,
    parameters: dict[str, str],
    number: str,
    sign: str,
) -> None:
    """Make the tables `raw`, `broken` and `faults` of a relation.

    Args:
        database: where.
        header: filled with its columns.
        relation: the relation, as SQL.
        parameters: those of the relation.
        number: the number of a row, counted from 1, as SQL.
        sign: the decimal sign to write.

    Raises:
        TableError: a column is refused, or its type.
    """
    described = database.execute(f"DESCRIBE SELECT * FROM {relation}", parameters).fetchall()
    columns = [(str(name), str(kind)) for name, kind, *_ in described if name != "file_row_number"]
    header.add_all(name for name, _ in columns)
    cells = [
        f"{_text(_quoted(name), kind, header, place, sign)} AS c{place}" for place, (name, kind) in enumerate(columns)
    ]
    filled = " OR ".join(f"c{place} <> ''" for place in range(len(columns)))
    database.execute(
        f"CREATE TABLE raw AS SELECT * FROM (SELECT {number} AS line, {', '.join(cells)} FROM {relation}) "
        f"WHERE {filled}",
        parameters,
    )
    database.execute(NO_LINES)
    for place, (_, kind) in enumerate(columns):
        if header.kinds[place] is not None and kind.startswith(("DOUBLE", "DECIMAL")):
            database.execute(
                f"INSERT INTO faults SELECT line, {place}, CASE "
                f"WHEN regexp_matches(c{place}, 'nan|inf') THEN '{NO_NUMBER}' "
                f"WHEN regexp_matches(c{place}, 'e') THEN '{TOO_MANY_DIGITS}' "
                f"ELSE '{DECIMALS_IN_TEXT}' END "
                f"FROM raw WHERE starts_with(c{place}, '{UNREADABLE}')"
            )


def _text(cell: str, type_: str, header: Header, place: int, sign: str) -> str:
    """An expression that is a cell as somebody would have written it."""
    kind = header.kinds[place]
    text = f"{cell}::VARCHAR"
    if kind is None or type_ in {'"NULL"', "VARCHAR"} or type_.startswith("ENUM"):
        return text
    if _WHOLE.fullmatch(type_):
        return text
    if type_ == "FLOAT":
        raise TableError(
            f"{header.source}: the column {header.columns[place]!r} has 32-bit floats, which do not keep the digits. "
            "Make it decimal, 64-bit or text"
        )
    if kind is not CellKind.DATE and (type_ == "DOUBLE" or type_.startswith("DECIMAL")):
        return _number(cell, type_, kind, sign)
    if kind is CellKind.DATE and type_ == "DATE":
        return text
    if kind is CellKind.DATE and re.fullmatch("TIMESTAMP(_[A-Z]+)?", type_):
        return f"CASE WHEN {cell} = date_trunc('day', {cell}) THEN {cell}::DATE::VARCHAR ELSE {text} END"
    zone = "; which day it is depends on the time zone" if "TIME ZONE" in type_ else ""
    raise TableError(
        f"{header.source}: the column {header.columns[place]!r} is of the type {type_}{zone}. Make it {_INSTEAD[kind]}"
    )


def _number(cell: str, type_: str, kind: CellKind, sign: str) -> str:
    """A number as text, as `_cells.as_text` has it; with U+FFFD in front if it has no meaning for a charge."""
    digits, faults = f"{cell}::VARCHAR", []
    if type_ == "DOUBLE":
        short = f"format('{{:.15g}}', {cell})"
        digits = f"CASE WHEN contains({short}, 'e') THEN {short}::DECIMAL(38, 30)::VARCHAR ELSE {short} END"
        faults.append(
            f"WHEN NOT isfinite({cell}) OR abs({cell}) >= 1e15 THEN '{UNREADABLE}' || format('{{:e}}', {cell})"
        )
    plain = f"CASE WHEN contains({digits}, '.') THEN rtrim(rtrim({digits}, '0'), '.') ELSE {digits} END"
    if kind is CellKind.TEXT:
        faults.append(f"WHEN {cell} <> trunc({cell}) THEN '{UNREADABLE}' || {plain}")
    number = f"CASE WHEN {cell} = 0 THEN '0' {' '.join(faults)} ELSE {plain} END"
    return number if sign == "." else f"replace({number}, '.', '{sign}')"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
