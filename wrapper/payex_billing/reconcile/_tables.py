"""The table of desired charges: its right rows customer by customer, and what was rejected."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from .._text import cut
from ..errors import ConfigurationError
from ..models import Charge
from ._cells import UNREADABLE, DecimalSign
from ._columns import REASON, VALUES, Header
from ._database import Database, one
from ._private import open_private
from ._sources import Options, Rows, Source, TableError, load
from ._validation import trim, validate

if TYPE_CHECKING:
    import duckdb

_SHOWN = 80  # characters of a cell


@attrs.frozen(kw_only=True)
class Row:
    """One desired charge.

    Attributes:
        line: the position in its table: the line of a text file, the row of a sheet, or the number of a row of
            Parquet or Python, counted from 1.
        customer_no: the customer of the charge.
        subscription_no: the subscription of the charge; None at customer level.
        charge: what is to be billed.
        managed: the fields of the charge that the table has a column for. `apply` does not change the others.
    """

    line: int
    customer_no: str
    subscription_no: str | None
    charge: Charge
    managed: frozenset[str] = frozenset(VALUES)


@attrs.frozen(kw_only=True)
class Rejection:
    """One reason why a row is not applied.

    Attributes:
        line: the position of the row in its table; see `Row`.
        column: the column as the table calls it; empty if it is the row as a whole.
        value: the cell as written.
        rule: what it breaks, in words.
    """

    line: int
    column: str
    value: str
    rule: str

    def __str__(self) -> str:
        where = f", column {self.column}" if self.column else ""
        value = f" {cut(self.value, _SHOWN)!r}" if self.column else ""
        return f"line {self.line}{where}:{value} {self.rule}"


class Table:
    """The desired charges of one table. Close it, or use it in a `with` block.

    Attributes:
        path: the file; None if the rows are Python's.
        managed: our names of the columns in the table. `apply` does not change the other fields of a charge.
        total: its rows, rejected ones included. Empty ones do not count.
        source_modified: when the file was last written, in seconds since 1970; None if the rows are Python's.
        notes: sentences that a user must see: how the table was read where somebody may have meant it otherwise.
        reading: the arguments of `read` that are not the defaults.
        is_rejects_file: whether `write_rejects` wrote the table. It then has only a part of the rows of its customers.
    """

    def __init__(
        self, path: Path | None, database: Database, source: Source, header: Header, notes: Iterable[str]
    ) -> None:
        self.path = path
        self.notes = list(notes)
        self._owner = database
        self.database: duckdb.DuckDBPyConnection = database.connection
        self.source_modified = source.modified
        self.managed = frozenset(header.places)
        self.is_rejects_file = header.is_rejects_file
        self.reading: dict[str, Any] = {}
        self._source = source
        self._header = header
        self.total = int(one(self.database, "SELECT (SELECT count(*) FROM raw) + (SELECT count(*) FROM broken)"))

    @cached_property
    def rejections(self) -> list[Rejection]:
        """All rejections, sorted by line."""
        found = self.database.execute("SELECT line, place, value, rule FROM bad ORDER BY line, place").fetchall()
        return [
            Rejection(
                line=line, column="" if place is None else self._header.columns[place], value=value or "", rule=rule
            )
            for line, place, value, rule in found
        ]

    @property
    def rejected_lines(self) -> set[int]:
        """The lines of rows that are not applied."""
        return {line for (line,) in self.database.execute("SELECT DISTINCT line FROM bad").fetchall()}

    @property
    def rejected_without_customer(self) -> bool:
        """Whether a rejected row has no certain customer.

        Such a row could not be split into cells, or its customer is rejected. Nothing may be removed then: a charge
        that is in no row may belong to the rejected row.
        """
        uncertain = "SELECT count(*) FROM bad WHERE name = 'customer_no' OR line IN (SELECT line FROM broken)"
        return bool(one(self.database, uncertain))

    def count(self, where: str = "") -> int:
        """How many rows are right; `where` is a condition of SQL on `good`."""
        return int(one(self.database, f"SELECT count(*) FROM good{f' WHERE {where}' if where else ''}"))

    @property
    def digest(self) -> str:
        """A digest of the right rows, in any order."""
        found = one(self.database, "SELECT count(*) || ' ' || coalesce(sum(digest), 0) FROM good")
        return f"{found} {self.columns}"

    @property
    def columns(self) -> str:
        """The columns of the table, as a part of digests: an empty cell clears a value, a missing column does not."""
        return ",".join(sorted(self.managed))

    def reasons(self, condition: Callable[[str], str] | None = None) -> dict[int, str]:
        """Return the reason for each rejected row, by line number.

        `condition` returns the SQL condition that the cell of a customer is in the shard.

        A row without a customer is in exactly one shard.
        """
        inside = ""
        if condition is not None:
            customer, nobody = condition("coalesce(customer_no, '')"), condition("''")
            inside = (
                f"WHERE line IN (SELECT line FROM cells WHERE {customer}) "
                f"OR (line IN (SELECT line FROM broken) AND {nobody})"
            )
        found = self.database.execute(f"SELECT line, place, rule FROM bad {inside} ORDER BY line, place").fetchall()
        return {
            line: "; ".join(
                rule if place is None else f"{self._header.columns[place]}: {rule}" for _, place, rule in rules
            )
            for line, rules in groupby(found, key=lambda each: each[0])
        }

    def with_rejected_rows(self) -> set[str]:
        """Return customers with possibly missing rows: a row was rejected, or the table is a rejects file."""
        where = "" if self.is_rejects_file else "AND line IN (SELECT line FROM bad)"
        found = self.database.execute(
            f"SELECT DISTINCT customer_no FROM cells WHERE customer_no IS NOT NULL {where}"
        ).fetchall()
        return {str(number) for (number,) in found}

    def customers_of_rejected(self) -> dict[int, str]:
        """Return the customer of each rejected row whose customer is certain, by line number."""
        rejected = "SELECT line FROM bad EXCEPT SELECT line FROM bad WHERE name = 'customer_no'"
        found = self.database.execute(
            f"SELECT line, customer_no FROM cells WHERE customer_no IS NOT NULL AND line IN ({rejected})"
        ).fetchall()
        return {int(line): str(number) for line, number in found}

    def choose(self, customers: Iterable[str], lines: Iterable[int]) -> None:
        """Choose these customers, and those of the rows at these lines, for a run of them alone."""
        self.database.execute(
            "CREATE OR REPLACE TABLE chosen AS SELECT DISTINCT customer_no FROM good "
            "WHERE customer_no IN (SELECT unnest($customers::VARCHAR[])) OR line IN (SELECT unnest($lines::BIGINT[]))",
            {"customers": list(customers), "lines": list(lines)},
        )

    @property
    def file(self) -> str:
        """The path of the file; empty if the rows are Python's."""
        return "" if self.path is None else str(self.path)

    def rows(self, where: str = "") -> Iterator[tuple[str, list[Row]]]:
        """The good rows, customer by customer. `where` is a condition of SQL on `good`."""
        condition = f"WHERE {where}" if where else ""
        cursor = self.database.cursor()
        cursor.execute(f"SELECT line, {', '.join(VALUES)} FROM good {condition} ORDER BY customer_no, line")
        found = (record for chunk in iter(lambda: cursor.fetchmany(10_000), []) for record in chunk)
        for number, records in groupby(found, key=lambda record: record[1]):
            yield number, [self._row(record) for record in records]
        cursor.close()

    def write_rejects(self, path: Path, reasons: Mapping[int, str]) -> None:
        """Write the rows of these lines as they stood, with a column `payex_reason`, to be corrected and read again.

        Reading ignores that column. The file has the columns and the delimiter of the table, so the same options are
        right for it. It is UTF-8 with a mark, whatever the table's encoding was. A cell that could not be read has
        U+FFFD in front, and a row that could not be split into cells still cannot: both are rejected again until
        somebody corrects them.
        """
        kept = [(place, name) for place, name in enumerate(self._header.columns) if name != REASON]
        cells = "".join(f", c{place}" for place, _ in kept)
        wanted = "line IN (SELECT unnest($lines::BIGINT[]))"
        cursor = self.database.execute(
            f"SELECT line, NULL AS cells{cells} FROM raw WHERE {wanted} UNION ALL BY NAME "
            f"SELECT line, cells FROM broken WHERE {wanted} ORDER BY line",
            {"lines": list(reasons)},
        )
        with open_private(path, newline="") as file:
            file.write("\ufeff")
            writer = csv.writer(file, delimiter=self._source.delimiter)
            writer.writerow([*(name for _, name in kept), REASON])
            for line, broken, *texts in (
                record for chunk in iter(lambda: cursor.fetchmany(10_000), []) for record in chunk
            ):
                written = [text or "" for text in texts] if broken is None else json.loads(broken)
                if broken is not None and len(written) == len(kept):  # with the reason it would be a row
                    written[0] = UNREADABLE + written[0]
                writer.writerow([*written, reasons[line]])

    def close(self) -> None:
        """Let go of the memory."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, record: tuple[Any, ...]) -> Row:
        line, *values = record
        content: dict[str, Any] = {
            name: value.normalize() + 0 if isinstance(value, Decimal) else value
            for name, value in zip(VALUES, values, strict=True)
            if value is not None
        }
        customer, subscription = content.pop("customer_no"), content.pop("subscription_no", None)
        charge = Charge(**content)
        return Row(
            line=line,
            customer_no=customer,
            subscription_no=subscription or None,
            charge=charge,
            managed=self.managed,
        )


def read(
    source: str | PathLike[str] | Rows,
    *,
    columns: Mapping[str, str] | None = None,
    ignore: Iterable[str] = (),
    sheet: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal_comma: bool | None = None,
    allow_duplicates: bool = False,
) -> Table:
    """Read the desired charges from a file or from rows of Python.

    A file is CSV, JSON Lines (`.jsonl`, `.ndjson`), Parquet or Excel (`.xlsx`, `.xlsm`), told apart by the ending of
    its name; CSV and JSON Lines may be packed (`.gz`, `.zst`). Rows are mappings of column to value, a data frame of
    pandas or Polars, or Arrow data.

    Columns have the contract's names (`customerNo`) or Python's (`customer_no`). An empty cell is a value that is not
    given: it comes from the master product, or there is no such date. A missing column is not managed by the
    table: `apply` does not change that field of an existing charge, and a new charge gets no value for it.

    Args:
        source: the file, or the rows.
        columns: maps the column names of the table to ours, such as `{"kund": "customer_no"}`.
        ignore: columns that mean nothing here; an unknown one is otherwise refused, for it may be a misspelled one.
        sheet: the sheet of a workbook; the first visible one if not given. Other files have none.
        delimiter: the character between cells of a CSV file; detected from the header by default.
        encoding: of a file of text. A mark at its start goes before it. If not given it is UTF-8, or cp1252 if more
            lines are not UTF-8 than are.
        decimal_comma: whether `1,5` is one and a half, and `1.5` is an error, or the other way round. If not given, it
            is a point in comma-separated files, JSON Lines and Parquet. In other files both are read, but a number such
            as `1.000` or `1,000` is rejected, and points are rejected in a CSV file that has decimal commas.
        allow_duplicates: whether a row that is there twice means two charges; otherwise it is rejected as a mistake.

    Raises:
        TableError: it cannot be read at all, lacks a column or has an unknown one.
        ConfigurationError: the extra `tables` is missing.
    """
    if isinstance(source, str | PathLike):
        source = path = Path(source)
        name = str(path)
    else:
        path, name = None, "the table"
    header = Header(source=name, theirs=columns or {}, ignore=frozenset(ignore))
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise TableError(f"{name}: a delimiter is one character, not {delimiter!r}")
    options = Options(delimiter=delimiter, encoding=encoding, sheet=sheet, sign="," if decimal_comma else ".")
    try:
        database = Database()
    except ModuleNotFoundError:
        raise ConfigurationError("reading tables needs an extra: pip install 'payex-billing[tables]'") from None
    try:
        found = load(database, source, header, options)
        sign = found.sign if decimal_comma is None else DecimalSign(point=not decimal_comma, comma=decimal_comma)
        if decimal_comma and found.delimiter == "," and delimiter is None:
            # In a comma-separated file that somebody reads without the option, the sign would be the point.
            found = attrs.evolve(found, delimiter=";")
        notes = [*found.notes, trim(database.connection, header, is_csv=found.is_text)]
        if header.is_rejects_file:
            notes.append(f"The table has the column {REASON}: it is a part of another table, so nothing is removed.")
        validate(database.connection, header, sign, allow_duplicates=allow_duplicates)
        table = Table(path, database, found, header, filter(None, notes))
    except BaseException:
        database.close()
        raise
    reading = {
        "columns": columns, "ignore": ignore, "sheet": sheet, "delimiter": delimiter, "encoding": encoding,
        "decimal_comma": decimal_comma, "allow_duplicates": allow_duplicates or None,
    }  # fmt: skip
    table.reading = {name: value for name, value in reading.items() if value is not None and value not in ((), {})}
    return table
