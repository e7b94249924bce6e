"""Tables of what a journal holds: Parquet, CSV or JSON Lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..errors import InvalidArgument
from ..models import CONTENT
from ._database import Database, literal
from ._history import History
from ._private import make_private, open_private
from ._records import Intent

# The columns of a write, with their types in a Parquet file. Money is text, so that no digit is lost.
_COLUMNS: Final = {
    "write": "BIGINT",
    "run": "BIGINT",
    "customer_no": "VARCHAR",
    "subscription_no": "VARCHAR",
    "charge_id": "VARCHAR",
    "kind": "VARCHAR",
    "line": "BIGINT",
    **{f"{side}_{name}": "VARCHAR" for side in ("before", "after") for name in CONTENT},
    "noted_at": "TIMESTAMPTZ",
    "result": "VARCHAR",
    "status": "INTEGER",
    "instance": "VARCHAR",
}


def export_writes(history: History, target: Path, run: int | None = None) -> int:
    """Write the writes of a journal to a file: `.parquet`, `.csv` or `.jsonl`.

    Args:
        history: the journal.
        target: the file; overwritten.
        run: only the writes of this run.

    Returns:
        How many writes there are.

    Raises:
        InvalidArgument: the name of the file has another ending.
    """
    rows = map(_row, history.writes() if run is None else history.of_run(run))
    match target.suffix.lower():
        case ".jsonl":
            return _json_lines(rows, target)
        case ".csv":
            return _csv(rows, target)
        case ".parquet":
            with closing(Database()) as database:
                lines = database.folder / "writes.jsonl"
                count = _json_lines(rows, lines)
                make_private(target)
                database.connection.execute(
                    f"COPY (SELECT * FROM read_json({literal(lines)}, columns = {_COLUMNS!r}, "
                    f"format = 'newline_delimited')) TO {literal(target)} (FORMAT parquet)"
                )
                return count
        case _:
            raise InvalidArgument("to", "is the name of a .parquet, .csv or .jsonl file")


def _json_lines(rows: Iterable[dict[str, Any]], target: Path) -> int:
    count = 0
    with open_private(target) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _csv(rows: Iterable[dict[str, Any]], target: Path) -> int:
    count = 0
    with open_private(target, newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        for row in rows:
            writer.writerow(row)
            count += 1
    return count


def _row(intent: Intent) -> dict[str, Any]:
    contents: dict[str, str | None] = {}
    for side, content in (("before", intent.step.before), ("after", intent.after or intent.step.charge)):
        for name in CONTENT:
            value = getattr(content, name, None)
            contents[f"{side}_{name}"] = None if value is None else str(value)
    return intent.to_plain(contents, datetime.fromtimestamp(intent.noted, UTC).isoformat())
