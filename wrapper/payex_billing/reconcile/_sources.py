"""Files as tables of text: CSV, Parquet, JSON Lines, Excel; each cell as it was written. Needs the extra `tables`."""

from __future__ import annotations

import codecs
import csv
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from ..errors import BillingError

if TYPE_CHECKING:
    import duckdb

EXCEL = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
JSON_LINES = {".jsonl", ".ndjson"}
DELIMITERS = ",;\t|"
_CHUNK = 1 << 20


class Reader(Protocol):
    """Reads a file into the table `raw`."""

    def __call__(self, database: duckdb.DuckDBPyConnection, file: Path, /) -> Source:
        """Read it."""
        ...


class TableError(BillingError):
    """A table cannot be read at all; the text is a sentence that names the file."""


@attrs.frozen(kw_only=True)
class Source:
    """A table in the database as it stood in its file.

    Attributes:
        columns: the names of its columns, as written.
        delimiter: what stands between the cells of a CSV file; empty for other formats.
        broken: lines that could not be split into cells, with the reason.
    """

    columns: tuple[str, ...]
    delimiter: str = ""
    broken: tuple[tuple[int, str], ...] = ()


def load(
    database: duckdb.DuckDBPyConnection, path: Path, *, delimiter: str | None = None, encoding: str | None = None
) -> Source:
    """Read a file into the table `raw`: a column `row`, counted from 1, and one of text for each of the file's.

    Raises:
        TableError: it cannot be read, is empty, or has no header.
    """
    import duckdb  # noqa: PLC0415 - slow to load, and an extra

    if not path.is_file():
        raise TableError(f"{path}: there is no such file" if not path.exists() else f"{path}: is not a file")
    readers: dict[str, Reader] = {".parquet": _parquet}
    readers |= dict.fromkeys(JSON_LINES, _json_lines)
    readers |= dict.fromkeys(EXCEL, _excel)
    read = readers.get(path.suffix.lower(), partial(_csv, path=path, delimiter=delimiter, encoding=encoding))
    try:
        with _plainly_named(path) as file:
            source = read(database, file)
    except duckdb.Error as error:
        raise TableError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror or error}") from None
    twice = sorted({name for name in source.columns if source.columns.count(name) > 1})
    if twice:
        raise TableError(f"{path}: the column {twice[0]!r} is there twice")
    return source


@contextmanager
def _plainly_named(path: Path) -> Iterator[Path]:
    """Give the file a name without `*`, `?` and `[` while the block runs.

    DuckDB treats such a name as a pattern and reads every file that matches it.
    """
    if not set("*?[") & set(str(path)):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"table{path.suffix.lower()}"
        try:
            plain.symlink_to(path.resolve())
        except OSError:  # on Windows, links need a privilege
            shutil.copyfile(path, plain)
        yield plain


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'


# CSV


def _csv(
    database: duckdb.DuckDBPyConnection,
    plain: Path,
    *,
    path: Path,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Source:
    """Read the file `plain`; messages name it `path`, as the user does."""
    with _in_utf_8(path, plain, encoding) as file:
        with file.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline()
        if not first.strip():
            raise TableError(f"{path}: is empty: a header with the names of the columns is needed")
        found = delimiter or max(DELIMITERS, key=_outside_quotes(first).count)
        names = tuple(name.strip() for name in next(csv.reader([first], delimiter=found)))
        if len(set(names)) < len(names):
            return Source(columns=names)
        columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
        database.execute(
            f"CREATE TABLE raw AS SELECT row_number() OVER () AS row, * FROM read_csv($file, delim = $delim, "
            "header = true, auto_detect = false, hive_partitioning = false, quote = '\"', escape = '\"', "
            "ignore_errors = true, store_rejects = true, "
            f"columns = {{{columns}}})",
            {"file": str(file), "delim": found},
        )
        broken = database.execute("SELECT line, error_message FROM reject_errors ORDER BY line").fetchall()
    reasons: dict[int, str] = {}
    for line, message in broken:
        reasons.setdefault(int(line), _reason(str(message)))
    return Source(columns=names, delimiter=found, broken=tuple(reasons.items()))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _outside_quotes(line: str) -> str:
    return "".join(line.split('"')[::2])


def _reason(message: str) -> str:
    lower = message.lower()
    if "expected number of columns" in lower:
        return "has another number of cells than the header"
    if "quote" in lower:
        return "has a quote that does not end"
    return message.splitlines()[0]


@contextmanager
def _in_utf_8(path: Path, plain: Path, encoding: str | None) -> Iterator[Path]:
    """The file itself when it is in UTF-8, else a copy that is, for as long as the block lasts."""
    name = encoding or _encoding_of(path)
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        raise TableError(f"{path}: there is no encoding {name!r}") from None
    if codec == "utf-8" and encoding is None:
        yield plain
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "utf-8.csv"
        try:
            with (
                path.open(encoding=codec, newline="") as source,
                copy.open("w", encoding="utf-8", newline="") as target,
            ):
                while chunk := source.read(_CHUNK):
                    target.write(chunk)
        except UnicodeDecodeError as error:
            raise TableError(f"{path}: is not in {name}: {error.reason} at byte {error.start}") from None
        yield copy


def _encoding_of(path: Path) -> str:
    """UTF-8 if all of it is, UTF-16 if its mark says so, else Latin-1, in which every byte means something."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        chunk = file.read(_CHUNK)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(_CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


# the others


def _parquet(database: duckdb.DuckDBPyConnection, path: Path) -> Source:
    read = "read_parquet($file, hive_partitioning = false)"  # a folder called quantity=7 is not a column
    described = database.execute(f"DESCRIBE SELECT * FROM {read}", {"file": str(path)}).fetchall()
    cells = [f"{_as_text(quoted(name), kind)} AS {quoted(name)}" for name, kind, *_ in described]
    database.execute(
        f"CREATE TABLE raw AS SELECT row_number() OVER () AS row, {', '.join(cells)} FROM {read}",
        {"file": str(path)},
    )
    return Source(columns=tuple(name for name, *_ in described))


def _as_text(cell: str, kind: str) -> str:
    """A typed cell as somebody would have written it."""
    if kind in {"DOUBLE", "FLOAT"}:  # 1e-06 is no way to write a price
        return (
            f"CASE WHEN contains({cell}::VARCHAR, 'e') THEN {cell}::DECIMAL(38, 12)::VARCHAR ELSE {cell}::VARCHAR END"
        )
    if kind.startswith("TIMESTAMP"):
        return f"CASE WHEN {cell} = date_trunc('day', {cell}) THEN {cell}::DATE::VARCHAR ELSE {cell}::VARCHAR END"
    return f"{cell}::VARCHAR"


def _json_lines(database: duckdb.DuckDBPyConnection, path: Path) -> Source:
    if not path.stat().st_size:
        raise TableError(f"{path}: is empty")
    # All rows decide which columns there are, not only the first 20,480.
    read = "read_json($file, format = 'newline_delimited', hive_partitioning = false, sample_size = -1"
    described = database.execute(f"DESCRIBE SELECT * FROM {read})", {"file": str(path)}).fetchall()
    names = tuple(str(name) for name, *_ in described)
    columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in names)
    database.execute(
        f"CREATE TABLE raw AS SELECT row_number() OVER () AS row, * FROM {read}, columns = {{{columns}}})",
        {"file": str(path)},
    )
    return Source(columns=names)


def _excel(database: duckdb.DuckDBPyConnection, path: Path) -> Source:
    import python_calamine  # noqa: PLC0415 - an extra

    try:
        rows = (
            python_calamine.CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=True)
        )
    except (python_calamine.CalamineError, OSError, ValueError) as error:
        raise TableError(f"{path}: is not a workbook that can be read: {error}") from None
    if not rows:
        raise TableError(f"{path}: its first sheet is empty: a header with the names of the columns is needed")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "sheet.csv"
        with copy.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_cell(each) for each in row] for row in rows)
        source = _csv(database, copy, path=copy, delimiter=",")
    return attrs.evolve(source, delimiter="")


def _cell(value: Any) -> str:
    """A cell of a sheet as text: whole numbers without a fraction, dates as yyyy-MM-dd."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime) and (value.hour, value.minute, value.second) == (0, 0, 0):
        return value.date().isoformat()
    if isinstance(value, date | datetime):
        return value.isoformat()
    return format(value, "f").rstrip("0") if isinstance(value, float) and "e" in repr(value) else str(value)
