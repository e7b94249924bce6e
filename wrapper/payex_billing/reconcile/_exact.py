"""The column `payex_exact`, with which `export` keeps what a cell cannot show.

It is empty, or a JSON object: `{"text": " Fibre"}` has the exact text of a cell, here with a space before it, and
`{"copy": true}` says that the row is a second charge with the same values. The rules for cells that people write do not
hold for such a cell. If somebody has edited the cell since, the row is rejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._cells import visible
from ._columns import EXACT, Header

if TYPE_CHECKING:
    import duckdb


def _json(place: int) -> str:
    """Return the expression of the object; NULL if the cell is empty or not JSON."""
    return f"try_cast(nullif(c{place}, '') AS JSON)"


def _text(name: str, place: int) -> str:
    return f"json_extract_string({_json(place)}, '$.{name}')"


def is_exact(name: str, place: int) -> str:
    """Return the condition that a row has the exact text of a cell."""
    return f"({_text(name, place)} IS NOT NULL)"


def is_copy(place: int) -> str:
    """Return the condition that a row is meant although another has the same values."""
    return f"(coalesce(json_extract_string({_json(place)}, '$.copy'), '') = 'true')"


def cell_of(name: str, place: int, exact: int | None) -> str:
    """Return the expression of a cell: its exact text if the row has it."""
    shown = f"nullif(c{place}, '')"
    return shown if exact is None else f"coalesce({_text(name, exact)}, {shown})"


def refuse_edited(database: duckdb.DuckDBPyConnection, header: Header, exact: int) -> None:
    """Move the rows to `broken` whose exact texts are not what the cells show, or whose column has no such object."""
    edited = [f"coalesce(json_type({_json(exact)}), '') <> 'OBJECT'"]
    edited += [
        f"({is_exact(name, exact)} AND {visible(_text(name, exact))} <> coalesce(c{place}, ''))"
        for name, place in header.places.items()
    ]
    database.execute(
        f"CREATE TEMP TABLE edited AS SELECT line FROM raw WHERE c{exact} <> '' AND ({' OR '.join(edited)})"
    )
    reason = f"does not fit its column {EXACT}. If the row was edited, empty that cell"
    cells = ", ".join(f"c{place}" for place in range(len(header.columns)))
    found = f"line, to_json([{cells}])::VARCHAR, '{reason}'"
    database.execute(f"INSERT INTO broken SELECT {found} FROM raw SEMI JOIN edited USING (line)")
    database.execute("DELETE FROM raw WHERE line IN (SELECT line FROM edited)")
    database.execute("DROP TABLE edited")
