"""Brings rows that Python reads into DuckDB, through a temporary file: single rows would take far longer."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ._cells import UNREADABLE, Fault, as_text
from ._columns import Header
from ._database import Database

# A lone surrogate, such as JSON can have, is no Unicode. The encoder takes bytes from its handler, or ASCII.
codecs.register_error("payex_billing.unreadable", lambda error: (UNREADABLE.encode(), getattr(error, "end", 0)))
# The most characters of a row. The longest that can be right has some 200, and DuckDB needs a limit, in bytes.
LONGEST_ROW = 100_000
_LONGEST_LINE = 1 << 20
TOO_LONG = f"has more than {LONGEST_ROW:,} characters"
_KEPT = 10_000  # characters of a row that cannot be read


class Staging:
    """Rows on their way into the tables `raw`, `broken` and `faults`. Use it in a `with` block.

    `raw` has the line of each row and its cells as text, c0, c1 and so on. `broken` has what could not be split into
    cells. `faults` says of single cells why they have no meaning.

    Args:
        header: receives the columns of the rows.
        database: receives the tables.
        sign: the decimal sign to write.
    """

    def __init__(self, header: Header, database: Database, sign: str) -> None:
        self.header = header
        self.database = database.connection
        self.sign = sign
        self._folder = database.folder
        options = {"mode": "w", "encoding": "utf-8", "errors": "payex_billing.unreadable", "newline": ""}
        self._files = [(self._folder / name).open(**options) for name in ("raw", "broken", "faults")]  # type: ignore[call-overload]
        self._places: dict[Any, int] = {}  # the place of each column of the mappings
        self._to_mark: set[int] = set()  # columns with cells that must be marked
        self._raw, self._broken, self._faults = map(csv.writer, self._files)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()
            Path(file.name).unlink(missing_ok=True)

    def add_all(self, rows: Iterable[Sequence[object]]) -> None:
        """Add rows of the width of the header that need no look: the line of each, and its cells."""
        self._raw.writerows(rows)

    def add(self, line: int, cells: Sequence[str | Fault]) -> None:
        """Add a row, unless all its cells are empty. A cell without a meaning is marked, so that it stays rejected."""
        texts = [cell if isinstance(cell, str) else UNREADABLE + cell.text for cell in cells]
        if not any(texts):
            return
        if sum(map(len, texts)) > LONGEST_ROW:
            self.add_broken(line, texts, TOO_LONG)
            return
        self._raw.writerow((line, *texts, *("" for _ in range(self.header.width - len(texts)))))
        for place, cell in enumerate(cells):
            if not isinstance(cell, str):
                self.add_fault(line, place, cell.rule)

    def add_mapping(self, line: int, row: Mapping[Any, object]) -> None:
        """Add a row, as names of columns and values. A column that no earlier row had is added to the header."""
        places = self._places
        for column in row:
            if column not in places:
                places[column] = self.header.add(str(column))
        cells: list[str | Fault] = [""] * len(places)
        for column, value in row.items():
            cells[places[column]] = as_text(value, self.header.kinds[places[column]], self.sign)
        self.add(line, cells)

    def add_typed(self, rows: Iterable[Sequence[object]], *, nan_is_empty: bool = False) -> None:
        """Add rows of typed values; the first is number 1. For `nan_is_empty` see `as_text`."""
        kinds = self.header.kinds
        for number, row in enumerate(rows, start=1):
            cells = [
                as_text(value, kind, self.sign, nan_is_empty=nan_is_empty)
                for value, kind in zip(row, kinds, strict=True)
            ]
            self.add(number, cells)

    def add_broken(self, line: int, cells: Sequence[str], rule: str) -> None:
        """Add a row that cannot be read, with whatever cells it has."""
        kept = cells if sum(map(len, cells)) <= _KEPT else [" ".join(cells)[:_KEPT]]
        self._broken.writerow((line, json.dumps(kept, ensure_ascii=False), rule))

    def add_fault(self, line: int, place: int, rule: str, *, mark: bool = False) -> None:
        """Say why a cell has no meaning; `mark` it if its row was added without a mark."""
        self._faults.writerow((line, place, rule))
        if mark:
            self._to_mark.add(place)

    def load(self) -> None:
        """Make the tables."""
        for file in self._files:
            file.close()
        cells = {f"c{place}": "VARCHAR" for place in range(self.header.width)}
        self._load("raw", {"line": "BIGINT", **cells})
        self._load("broken", {"line": "BIGINT", "cells": "VARCHAR", "rule": "VARCHAR"})
        self._load("faults", {"line": "BIGINT", "place": "INTEGER", "rule": "VARCHAR"})
        for place in self._to_mark:
            self.database.execute(
                f"UPDATE raw SET c{place} = '{UNREADABLE}' || coalesce(c{place}, '') "
                f"WHERE line IN (SELECT line FROM faults WHERE place = {place}) "
                f"AND NOT starts_with(coalesce(c{place}, ''), '{UNREADABLE}')"
            )

    def _load(self, name: str, columns: dict[str, str]) -> None:
        file = self._folder / name
        described = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
        self.database.execute(
            f"CREATE TABLE {name} AS SELECT * FROM read_csv($file, delim = ',', quote = '\"', escape = '\"', "
            f"header = false, auto_detect = false, hive_partitioning = false, max_line_size = {_LONGEST_LINE}, "
            f"columns = {{{described}}})",
            {"file": str(file)},
        )
        file.unlink()
