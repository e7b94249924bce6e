"""CSV files, read row by row; each row has the number of its first line in the file."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from .._text import counted
from ._cells import UNREADABLE
from ._columns import TableError
from ._staging import LONGEST_ROW, TOO_LONG, Staging
from ._text_files import TextFile

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r"\ufeff?sep=(.)\s*")  # Excel reads the delimiter from such a first line


def stage(file: TextFile, staging: Staging, delimiter: str | None) -> str:
    """Read a CSV file; return its delimiter.

    Raises:
        TableError: the file has no header, or a column is rejected.
    """
    with file.lines() as text:
        skipped, first = _first_line(text)
        if (separator := _SEPARATOR_LINE.fullmatch(first)) is not None:
            delimiter = delimiter or separator[1]
            skipped, first = skipped + 1, next(text, "")
        if not first.strip():
            raise TableError(f"{file.path}: is empty: a header with the names of the columns is needed")
        found = delimiter or max(DELIMITERS, key=_outside_quotes(first).count)
        rows = _Rows(chain([first], text), found, skipped)
        try:
            names = next(rows.reader, [])
        except csv.Error as error:
            raise TableError(f"{file.path}: the header cannot be read: {error}") from None
        staging.header.add_all(name.strip().lstrip("\ufeff").strip() for name in names)
        staging.add_all(rows.checked(staging, file.foreign))
    return found


def _first_line(text: Iterator[str]) -> tuple[int, str]:
    """Return the first line that is not blank, and the number of lines before it."""
    skipped = 0
    for line in text:
        if line.strip():
            return skipped, line
        skipped += 1
    return skipped, ""


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


class _Rows:
    """The rows of a CSV file with their line numbers.

    Args:
        text: the lines of the file.
        delimiter: the character between cells.
        skipped: how many lines of the file come before the first line of `text`.
    """

    def __init__(self, text: Iterator[str], delimiter: str, skipped: int) -> None:
        self._text = text
        self._skipped = skipped
        self._lines: list[str] = []  # lines of the current row
        self.reader = csv.reader(self._remembered(), delimiter=delimiter, strict=True)

    def _remembered(self) -> Iterator[str]:
        for line in self._text:
            self._lines.append(line)
            yield line

    def checked(self, staging: Staging, foreign: frozenset[int]) -> Iterator[Sequence[Any]]:
        """Yield the rows that have a cell for each column; add the other rows to `staging`."""
        width = len(staging.header.columns)
        padding = [""] * (staging.header.width - width)
        reader, lines = self.reader, self._lines
        end = reader.line_num
        while True:
            lines.clear()
            try:
                for cells in reader:
                    line = self._skipped + end + 1
                    end = reader.line_num
                    size = len(lines[0]) if len(lines) == 1 else sum(map(len, lines))
                    lines.clear()
                    if not any(cells):
                        continue
                    if size > LONGEST_ROW:
                        staging.add_broken(line, cells, TOO_LONG)
                    elif len(cells) != width:
                        rule = f"has {counted(len(cells), 'cell')}, and the header has {width}{self._range(line, end)}"
                        staging.add_broken(line, cells, rule)
                    elif foreign and not foreign.isdisjoint(range(line, self._skipped + end + 1)):
                        yield (line, *(cell if cell.isascii() else UNREADABLE + cell for cell in cells), *padding)
                    else:
                        yield (line, *cells, *padding)
            except csv.Error as error:
                line = self._skipped + end + 1
                end = reader.line_num
                rest, rule = self._judged(str(error))
                staging.add_broken(line, ["".join(lines)], rule + ("" if rest else self._range(line, end)))
                if rest:
                    return
            else:
                return

    def _judged(self, error: str) -> tuple[bool, str]:
        """Return the rule that an unsplittable row breaks, and whether the rest of the file is lost too."""
        if "unexpected end" in error:
            return True, "has a quote that does not end, so that the rest of the file cannot be read"
        if "field limit" not in error:
            return False, "has a quote that does not end where its cell ends"
        if len(self._lines) == 1 and self._lines[0].count('"') % 2 == 0:
            return False, TOO_LONG
        return True, f"{TOO_LONG}, perhaps because a quote does not end, so that the rest of the file cannot be read"

    def _range(self, line: int, end: int) -> str:
        last = self._skipped + end
        return f"; it goes on to line {last}, perhaps because a quote does not end" if last > line else ""
