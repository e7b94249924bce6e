"""Where a table comes from: a file, told apart by the ending of its name, or rows of Python.

Each becomes the table `raw`, whose cells are text.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import attrs

from . import _csv, _excel, _json_lines, _python_rows, _typed
from ._cells import DecimalSign
from ._columns import Header, TableError
from ._database import Database
from ._staging import Staging
from ._text_files import open_text

__all__ = ["Options", "Rows", "Source", "TableError", "load"]

EXCEL = {".xlsx", ".xlsm"}
OTHER_WORKBOOKS = {".xls", ".xlsb", ".ods"}
JSON = {".jsonl", ".ndjson", ".json"}
PACKED = {".gz", ".zst"}


class ArrowData(Protocol):
    """Data by the Arrow C stream interface: an Arrow table, or a data frame of pandas or Polars."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The data."""
        ...


Rows = Iterable[Mapping[str, object]] | ArrowData


@attrs.frozen(kw_only=True)
class Options:
    """How a file is read.

    Attributes:
        delimiter: what is between the cells of a CSV file; None is found out.
        encoding: of a file of text; None is found out.
        sheet: the name of a sheet of a workbook; None is the first that a person sees.
        sign: the decimal sign that numbers are written with in the table of text.
    """

    delimiter: str | None
    encoding: str | None
    sheet: str | None
    sign: str


@attrs.frozen(kw_only=True)
class Source:
    """What is known of a table beside its cells.

    Attributes:
        sign: what may be the decimal sign of a number in its format, if the caller does not say so.
        delimiter: what is between cells, in the table and in a CSV file with a part of its rows.
        is_text: whether all cells are as somebody wrote them, and none is a number that was made a text.
        modified: when the file was last written, in seconds since 1970; None if it is no file.
        notes: sentences that a user must see.
    """

    sign: DecimalSign = attrs.field(factory=DecimalSign)
    delimiter: str = ","
    is_text: bool = False
    modified: float | None = None
    notes: tuple[str, ...] = ()


def load(database: Database, source: Path | Rows, header: Header, options: Options) -> Source:
    """Make the tables `raw`, `broken` and `faults`; see `Staging`.

    Raises:
        TableError: the source cannot be read, is empty, has no header, or has a column that is refused.
    """
    import duckdb  # noqa: PLC0415 - slow to load, and an extra

    name = header.source
    try:
        with Staging(header, database, options.sign) as staging:
            found = _stage_file(source, staging, options) if isinstance(source, Path) else _stage_rows(source, staging)
            staging.load()
    except duckdb.Error as error:
        raise TableError(f"{name}: cannot be read: {str(error).splitlines()[0]}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise TableError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return found


def _stage_file(path: Path, staging: Staging, options: Options) -> Source:
    if not path.is_file():
        raise TableError(f"{path}: there is no such file" if not path.exists() else f"{path}: is not a file")
    before = path.stat()
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        # DuckDB takes the name for a pattern, and would read every file that matches it.
        parameters = {"file": re.sub(r"([*?[])", r"[\1]", str(path))}
        relation = "read_parquet($file, hive_partitioning = false)"
        _typed.stage(staging, relation, parameters)
        source = Source()
    elif suffix in OTHER_WORKBOOKS:
        raise TableError(f"{path}: workbooks are read only as .xlsx: open it, and save it as an Excel workbook (.xlsx)")
    elif suffix in EXCEL:
        notes = _excel.stage(path, staging, options.sheet)
        source = Source(sign=DecimalSign(comma=True, is_sure=False), delimiter=options.delimiter or ";", notes=notes)
    else:
        source = _stage_text(path, suffix, staging, options)
    after = path.stat()
    if (before.st_mtime_ns, before.st_size, before.st_ino) != (after.st_mtime_ns, after.st_size, after.st_ino):
        raise TableError(f"{path}: has changed while it was read. Try again when it is complete")
    return attrs.evolve(source, modified=before.st_mtime)


def _stage_text(path: Path, suffix: str, staging: Staging, options: Options) -> Source:
    file = open_text(path, options.encoding)
    plain = path.with_suffix("").suffix.lower() if suffix in PACKED else suffix
    if plain in JSON:
        _json_lines.stage(file, staging)
        return Source(notes=file.notes)
    delimiter = _csv.stage(file, staging, options.delimiter)
    sign = DecimalSign() if delimiter == "," else DecimalSign(comma=True, is_sure=False, decide=True)
    return Source(sign=sign, delimiter=delimiter, is_text=True, notes=file.notes)


def _stage_rows(rows: Any, staging: Staging) -> Source:
    if type(rows).__module__.partition(".")[0] != "pandas" and hasattr(rows, "__arrow_c_stream__"):
        staging.database.register("given", _typed.Stream(rows))
        try:
            _typed.stage(staging, "given", {})
        finally:
            staging.database.unregister("given")
    else:
        _python_rows.stage(rows, staging)
    return Source()
