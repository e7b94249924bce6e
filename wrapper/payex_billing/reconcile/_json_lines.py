"""JSON Lines: one object for each row, with the columns as keys. Numbers keep their digits."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from ._columns import TableError
from ._staging import Staging
from ._text_files import TextFile


class _Twice(ValueError):
    """An object contains a key twice; the text is the key."""


def stage(file: TextFile, staging: Staging) -> None:
    """Read the file.

    Raises:
        TableError: the file is not JSON Lines, or a column is rejected.
    """
    header = staging.header
    broken = ""
    with file.lines() as lines:
        for number, line in enumerate(lines, start=1):
            if not (text := line.strip()):
                continue
            if not header.columns and not broken and text.startswith("["):
                raise TableError(
                    f"{file.path}: is a JSON array, not JSON Lines: write each object on a line of its own, without "
                    "brackets and commas around them"
                )
            try:
                row = _object(text)
            except (ValueError, RecursionError) as error:
                rule = str(error) if isinstance(error, _Twice) else "is not a JSON object on one line"
                broken = broken or f"line {number} {rule}"
                staging.add_broken(number, [text], rule)
                continue
            staging.add_mapping(number, row)
    if not header.columns:
        raise TableError(f"{file.path}: {broken or 'is empty'}")
    header.check()


def _object(text: str) -> dict[str, Any]:
    row = json.loads(text, object_pairs_hook=_pairs, parse_float=Decimal)
    if not isinstance(row, dict):
        raise ValueError("is no object")  # noqa: TRY004 - the same error as for invalid JSON
    return row


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _Twice(f"has the key {next(key for key in keys if keys.count(key) > 1)!r} twice")
    return found
