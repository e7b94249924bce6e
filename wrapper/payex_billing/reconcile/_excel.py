"""Workbooks (.xlsx, .xlsm): the cells of one sheet as Excel shows them to a person."""

from __future__ import annotations

import re
import warnings
import zlib
from collections.abc import Iterator
from datetime import time, timedelta
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from ._cells import Fault, as_text, decimal_of
from ._columns import CellKind, TableError
from ._staging import Staging

NEVER_CALCULATED = "is a formula without a result: open the workbook in Excel and save it"
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')  # literal parts of a number format
_SECTION = re.compile(r'(?:"[^"]*"|\\.|[^;])*')  # a semicolon in quotes does not end a section
_SCALED = re.compile(r"[0#?],+(?![0#?])")
_PLAIN = re.compile(r"[#0,. ]+")
_THREE_DECIMALS = re.compile(r".*[.,][0-9]{3}")
_TO_CALCULATE = re.compile(rb"""<[\w:]*calcPr\s[^>]*fullCalcOnLoad\s*=\s*["'](1|true)["']""")
_SHOWN = 5  # rows that a note names


def stage(path: Path, staging: Staging, sheet: str | None) -> tuple[str, ...]:
    """Read a sheet; return sentences that a user must see.

    Raises:
        TableError: the workbook or its sheet cannot be read, or a column is rejected.
    """
    import openpyxl  # noqa: PLC0415 - slow to load, and an extra

    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns about parts that it ignores, such as conditional formats
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
            chosen = _chosen(book, sheet, path)
            reader = _Reader(chosen, staging, trusted=not _asks_to_calculate(book))
            reader.read()
            return (*_further(book, chosen, sheet), *reader.notes())
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, SyntaxError, zlib.error) as error:
        raise TableError(f"{path}: is not a workbook that can be read: {error}") from None


def _chosen(book: Any, name: str | None, path: Path) -> Any:
    """Return the sheet with this name, or the first visible sheet."""
    for sheet in book.worksheets:
        if sheet.title == name or (name is None and sheet.sheet_state == "visible"):
            return sheet
    if name is None:
        raise TableError(f"{path}: has no visible sheet; name one with --sheet")
    raise TableError(f"{path}: has no sheet {name!r}; it has {', '.join(repr(each.title) for each in book.worksheets)}")


def _asks_to_calculate(book: Any) -> bool:
    """Return whether Excel must calculate when it opens the workbook.

    `book.calculation` is no help: it says so for every workbook.
    """
    archive = book._archive
    return any(
        _TO_CALCULATE.search(archive.read(name)) for name in archive.namelist() if name.lower().endswith("workbook.xml")
    )


def _further(book: Any, chosen: Any, name: str | None) -> Iterator[str]:
    others = [
        repr(sheet.title) + ("" if sheet.sheet_state == "visible" else " (hidden)")
        for sheet in book.worksheets
        if sheet is not chosen
    ]
    if others and name is None:
        yield (
            f"The sheet {chosen.title!r} is read. The workbook has further sheets, which are not read: "
            f"{', '.join(others)}. --sheet NAME reads another."
        )


class _Reader:
    """Reader of the cells of one sheet.

    Args:
        sheet: the sheet.
        staging: receives the columns and rows of the sheet.
        trusted: whether the stored results of formulas are correct. A library that cannot calculate writes no result
            or 0, and asks Excel to calculate when Excel opens the workbook.
    """

    def __init__(self, sheet: Any, staging: Staging, *, trusted: bool) -> None:
        self._sheet = sheet
        self._header = staging.header
        self._staging = staging
        self._trusted = trusted
        self._places: dict[int, int] = {}  # the place of each column of the sheet that has a name
        self._header_row = 0
        self._last_row = 0
        self._hidden: list[int] = []
        self._hidden_columns: list[str] = []
        self._formats: dict[int, str] = {}

    def read(self) -> None:
        """Read all rows."""
        with self._sheet._get_source() as file:
            parser = _parser(self._sheet, file)
            for number, cells in parser.parse():
                attributes = parser.row_dimensions.pop(str(number), {})
                filled = [cell for cell in cells if cell["value"] not in {None, ""} or cell["formula"]]
                if not filled:
                    continue
                self._last_row = number
                if self._header_row:
                    self._row(number, filled)
                    if attributes.get("hidden") in {"1", "true"}:
                        self._hidden.append(number)
                else:
                    self._header_row = number
                    for cell in filled:
                        self._places[cell["column"]] = self._header.add(str(cell["value"] or "").strip())
                    self._header.check()
            if not self._header_row:
                raise TableError(
                    f"{self._header.source}: the sheet {self._sheet.title!r} is empty: a header with the names of the "
                    "columns is needed"
                )
            self._note_hidden_columns(parser.column_dimensions.values())
            self._mark_merged(() if parser.merged_cells is None else parser.merged_cells.mergeCell)

    def notes(self) -> Iterator[str]:
        """Yield sentences about what a person who opens the workbook does not see."""
        if self._hidden:
            rows = "1 hidden row is" if len(self._hidden) == 1 else f"{len(self._hidden):,} hidden rows are"
            shown = ", ".join(map(str, self._hidden[:_SHOWN])) + (" …" if len(self._hidden) > _SHOWN else "")
            yield f"{rows} read like the others: {shown}."
        if self._hidden_columns:
            yield f"Hidden columns are read like the others: {', '.join(self._hidden_columns)}."

    def _row(self, number: int, filled: list[dict[str, Any]]) -> None:
        texts: list[str | Fault] = [""] * len(self._header.columns)
        for cell in filled:
            place = self._places.get(cell["column"])
            if place is None:
                from openpyxl.utils import get_column_letter  # noqa: PLC0415 - an extra

                column = get_column_letter(cell["column"])
                raise TableError(
                    f"{self._header.source}: row {number} has a value in column {column}, which has "
                    f"no name in row {self._header_row}. Give it one, or delete the value"
                )
            texts[place] = self._text(cell, self._header.kinds[place])
        self._staging.add(number, texts)

    def _text(self, cell: dict[str, Any], kind: CellKind | None) -> str | Fault:
        value = cell["value"]
        if kind is None:
            return "" if value is None else str(value)
        if cell["formula"] and not (self._trusted and cell["calculated"]):
            return Fault("" if value is None else str(value), NEVER_CALCULATED)
        if cell["data_type"] == "e":
            return Fault(str(value), "is an error of Excel")
        if isinstance(value, time | timedelta):
            return Fault(str(value), "is a time, which no column holds")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(value, kind, self._format(cell["style_id"]))
        return as_text(value, kind, self._staging.sign)

    def _number(self, value: float, kind: CellKind, code: str) -> str | Fault:
        """Return a number as Excel shows it, but without a currency and without thousands separators."""
        text = as_text(value, kind, self._staging.sign)
        if isinstance(text, Fault) or code.lower() in {"general", "@"}:
            return text if isinstance(text, Fault) else _unmistakable(text)
        bare = _LITERALS.sub("", code)
        if "%" in bare:
            percent = as_text(decimal_of(value) * 100, CellKind.NUMBER, self._staging.sign)
            shown = f"{percent.text if isinstance(percent, Fault) else _unmistakable(percent)}%"
            return Fault(shown, "is shown in percent") if kind is CellKind.TEXT else shown
        if not re.search("[0#?]", bare) or _SCALED.search(bare):
            return Fault(text, f"is not shown as it is, by the number format {code!r}")
        if kind is not CellKind.TEXT:
            return _unmistakable(text)
        zeros = bare.partition(".")[0].count("0")
        if zeros > max(1, len(text)) or not _PLAIN.fullmatch(code):
            if re.fullmatch("0+", code):
                return text.zfill(zeros)
            return Fault(text, f"is shown otherwise, by the number format {code!r}; make it a text")
        return text

    def _format(self, style: int) -> str:
        """Return the first section of a number format, which is for positive numbers."""
        if style not in self._formats:
            from openpyxl.cell.read_only import ReadOnlyCell  # noqa: PLC0415 - an extra

            code = str(ReadOnlyCell(self._sheet, 1, 1, None, "n", style).number_format)
            self._formats[style] = _SECTION.findall(code)[0]
        return self._formats[style]

    def _note_hidden_columns(self, dimensions: Any) -> None:
        for attributes in dimensions:
            if attributes.get("hidden") in {"1", "true"}:
                columns = range(int(attributes["min"]), int(attributes["max"]) + 1)
                self._hidden_columns += [
                    self._header.columns[place] for column, place in self._places.items() if column in columns
                ]

    def _mark_merged(self, ranges: Any) -> None:
        """Reject the cells that a merged cell covers: a person sees a value there, but the file has none."""
        from openpyxl.worksheet.cell_range import CellRange  # noqa: PLC0415 - an extra

        for each in ranges:
            merged = CellRange(each.ref)
            rows = range(max(merged.min_row, self._header_row + 1), min(merged.max_row, self._last_row) + 1)
            for column, place in self._places.items():
                if merged.min_col <= column <= merged.max_col and self._header.kinds[place] is not None:
                    for row in rows:
                        if (row, column) != (merged.min_row, merged.min_col):
                            self._staging.add_fault(row, place, f"is part of the merged cell {each.ref}", mark=True)


def _unmistakable(text: str) -> str:
    """Return a number whose decimals cannot be mistaken for thousands: 1.125 becomes 1.1250."""
    return f"{text}0" if _THREE_DECIMALS.fullmatch(text) else text


def _parser(sheet: Any, file: Any) -> Any:
    """Return openpyxl's parser for a sheet, extended to report whether each cell is a formula.

    The public reader of openpyxl returns formulas or results, not both. It does not report hidden rows unless it keeps
    all cells in memory.
    """
    from openpyxl.worksheet import _reader  # noqa: PLC0415 - an extra

    class Parser(_reader.WorkSheetParser):  # type: ignore[misc]
        def parse_cell(self, element: Any) -> dict[str, Any]:
            cell: dict[str, Any] = super().parse_cell(element)
            cell["formula"] = element.find(_reader.FORMULA_TAG) is not None
            result = element.find(_reader.VALUE_TAG)
            cell["calculated"] = result is not None and (bool(result.text) or element.get("t") == "str")
            return cell

    book = sheet.parent
    return Parser(
        file,
        sheet._shared_strings,
        data_only=True,
        epoch=book.epoch,
        date_formats=book._date_formats,
        timedelta_formats=book._timedelta_formats,
    )
