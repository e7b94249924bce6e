"""The table of desired charges: which columns it has, its right rows customer by customer, and what was rejected."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from ..errors import ConfigurationError
from ..models import Charge
from ._private import open_private
from ._sources import Source, TableError, load, quoted
from ._validation import COLUMNS, REQUIRED, VALUES, one, validate

if TYPE_CHECKING:
    import duckdb


@attrs.frozen(kw_only=True)
class Row:
    """One desired charge.

    Attributes:
        line: where it stands in its file, counted from 1; the header is line 1.
        customer_no: whose it is.
        subscription_no: the subscription it hangs on; None at customer level.
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
        line: where the row stands in its file.
        column: the column as the file calls it; empty if it is the row as a whole.
        value: the cell as written.
        rule: what it breaks, in words.
    """

    line: int
    column: str
    value: str
    rule: str

    def __str__(self) -> str:
        where = f", column {self.column}" if self.column else ""
        value = f" {self.value!r}" if self.column else ""
        return f"line {self.line}{where}:{value} {self.rule}"


class Table:
    """The desired charges of one file. Close it, or use it in a `with` block.

    Attributes:
        path: the file.
        managed: our names of the columns in the table. `apply` does not change the other fields of a charge.
        total: its rows, rejected ones included.
        rejections: everything that is wrong, by line.
    """

    def __init__(
        self, path: Path, database: duckdb.DuckDBPyConnection, source: Source, names: Mapping[str, str]
    ) -> None:
        self.path = path
        self.database = database
        self._source = source
        self._names = names
        self.managed = frozenset(names)
        self._multiline = bool(one(database, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'lines'"))
        self._broken = [
            record + self._breaks_before(record - 1 - earlier) for earlier, (record, _) in enumerate(source.broken)
        ]
        counted = one(database, "SELECT count(*) FROM raw")
        self.total = int(counted) + len(source.broken)
        self.rejections = sorted(self._rejections(), key=lambda each: each.line)

    @property
    def rejected_lines(self) -> set[int]:
        """The lines of rows that are not applied."""
        return {each.line for each in self.rejections}

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
        """Why each rejected row is, by line. `condition` tells of a customer's cell whether it is in the shard.

        A row without a readable customer belongs to the first shard.
        """
        reasons: dict[int, list[str]] = {}
        for each in self.rejections:
            reasons.setdefault(each.line, []).append(f"{each.column}: {each.rule}" if each.column else each.rule)
        if condition is not None:
            inside = condition(f"coalesce({self._cell('customer_no')}, '')")
            rows = self.database.execute(
                f"SELECT row FROM raw WHERE row IN (SELECT row FROM bad) AND {inside}"
            ).fetchall()
            lines = {self._line_of(row) for (row,) in rows}
            if inside.endswith(" = 0"):
                lines |= set(self._broken)
            reasons = {line: each for line, each in reasons.items() if line in lines}
        return {line: "; ".join(each) for line, each in reasons.items()}

    def with_rejected_rows(self) -> set[str]:
        """Customers of whom a row was rejected: what is missing of theirs may be in that row."""
        found = self.database.execute(
            f"SELECT DISTINCT {self._cell('customer_no')} FROM raw WHERE row IN (SELECT row FROM bad)"
        ).fetchall()
        return {str(number) for (number,) in found if number is not None}

    def rows(self, where: str = "") -> Iterator[tuple[str, list[Row]]]:
        """The good rows, customer by customer. `where` is a condition of SQL on `good`."""
        condition = f"WHERE {where}" if where else ""
        cursor = self.database.cursor()
        breaks, lines = ("breaks", "JOIN lines USING (row)") if self._multiline else ("0", "")
        cursor.execute(
            f"SELECT row, {', '.join(VALUES)}, {breaks} FROM good {lines} {condition} ORDER BY customer_no, row"
        )
        found = (record for chunk in iter(lambda: cursor.fetchmany(10_000), []) for record in chunk)
        for number, records in groupby(found, key=lambda record: record[1]):
            yield number, [self._row(record) for record in records]
        cursor.close()

    def write_rejects(self, path: Path, reasons: Mapping[int, str]) -> None:
        """Write the rows of these lines as they stood, with a column `reason`, to be mended and fed again."""
        names = ", ".join(map(quoted, self._source.columns))
        with open_private(path, newline="") as file:
            writer = csv.writer(file, delimiter=self._source.delimiter or ",")
            writer.writerow([*self._source.columns, "reason"])
            # Few rows are rejected: finding theirs by their line is left to one pass over the row numbers.
            lines = {line: line - 1 for line in reasons}
            if self._broken or self._multiline:
                rows = self.database.execute("SELECT row FROM raw ORDER BY row").fetchall()
                lines = {self._line_of(row): row for (row,) in rows}
            wanted = {lines[line]: reason for line, reason in reasons.items() if line in lines}
            query = f"SELECT row, {names} FROM raw WHERE list_contains($rows, row) ORDER BY row"
            for row, *cells in self.database.execute(query, {"rows": list(wanted)}).fetchall():
                writer.writerow([*("" if cell is None else cell for cell in cells), wanted[row]])
            for line in sorted(set(reasons) & set(self._broken)):
                writer.writerow([*("" for _ in self._source.columns), f"line {line} {reasons[line]}"])

    def close(self) -> None:
        """Let go of the memory."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _cell(self, name: str) -> str:
        return f"nullif({quoted(self._names[name])}, '')" if name in self._names else "NULL::VARCHAR"

    def _row(self, record: tuple[Any, ...]) -> Row:
        row, customer, subscription, product, quantity, price, vat, text, start, end, breaks = record
        charge = Charge(
            product_code=product,
            quantity=quantity,
            unit_price=None if price is None else price.normalize() + 0,
            vat_rate=None if vat is None else vat.normalize() + 0,
            text=text,
            start_date=start,
            end_date=end,
        )
        line = self._record_of(row) + breaks
        return Row(
            line=line,
            customer_no=customer,
            subscription_no=subscription or None,
            charge=charge,
            managed=self.managed,
        )

    def _line_of(self, row: int) -> int:
        """The line of a row: after the header, past broken lines, and past line breaks inside cells."""
        return self._record_of(row) + self._breaks_before(row)

    def _record_of(self, row: int) -> int:
        """Which record of the file a row is: the header is the first, and broken ones are no rows."""
        record = row + 1
        for number, _ in self._source.broken:
            if number <= record:
                record += 1
        return record

    def _breaks_before(self, row: int) -> int:
        return int(one(self.database, f"SELECT breaks FROM lines WHERE row = {row}")) if self._multiline else 0

    def _rejections(self) -> Iterator[Rejection]:
        for line, (_, reason) in zip(self._broken, self._source.broken, strict=True):
            yield Rejection(line=line, column="", value="", rule=reason)
        for row, name, value, rule in self.database.execute("SELECT row, name, value, rule FROM bad").fetchall():
            line = self._line_of(row)
            if name == "" and value is not None:  # the same row stands above
                rule = f"{rule} {self._line_of(int(value))}"  # noqa: PLW2901
            column = self._names.get(name, name)
            yield Rejection(line=line, column=column, value="" if name == "" else value or "", rule=rule)


def read(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    ignore: Iterable[str] = (),
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal_comma: bool | None = None,
    allow_duplicates: bool = False,
) -> Table:
    """Read the desired charges from CSV, Parquet, JSON Lines or Excel, told apart by the name's ending.

    Columns have the contract's names (`customerNo`) or Python's (`customer_no`). An empty cell is a value that is not
    given: it comes from the master product, or there is no such date. A missing column is not managed by the
    table: `apply` does not change that field of an existing charge, and a new charge gets no value for it.

    Args:
        path: the file.
        columns: their names to ours, such as `{"kund": "customer_no"}`.
        ignore: columns that mean nothing here; an unknown one is otherwise refused, for it may be a misspelled one.
        delimiter: what stands between cells of a CSV file; found out from the header if not given.
        encoding: of a CSV file; UTF-8, UTF-16 with a mark, or else Latin-1 if not given.
        decimal_comma: whether `1,5` is one and a half; if not given, it is where cells are not separated by commas.
        allow_duplicates: whether a row that is there twice means two charges; otherwise it is rejected as a mistake.

    Raises:
        TableError: it cannot be read at all, lacks a column or has an unknown one.
        ConfigurationError: the extra `tables` is missing.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        raise ConfigurationError("reading tables needs an extra: pip install 'payex-billing[tables]'") from None
    path = Path(path)
    database = duckdb.connect()
    try:
        database.execute("SET preserve_insertion_order = true")
        source = load(database, path, delimiter=delimiter, encoding=encoding)
        names = _names(path, source.columns, columns or {}, set(ignore))
        comma = decimal_comma if decimal_comma is not None else source.delimiter not in {"", ","}
        validate(database, names, comma=comma, allow_duplicates=allow_duplicates)
        return Table(path, database, source, names)
    except BaseException:
        database.close()
        raise


def _names(path: Path, columns: tuple[str, ...], theirs: Mapping[str, str], ignore: set[str]) -> dict[str, str]:
    """Which column of the file is which of ours."""
    ours = {**{name: name for name in COLUMNS}, **{contract: name for name, contract in COLUMNS.items()}}
    for given, meant in theirs.items():
        if meant not in ours:
            raise TableError(f"{path}: there is no column {meant!r} to map to; there are {', '.join(COLUMNS)}")
        if given not in columns:
            raise TableError(f"{path}: it has no column {given!r}; it has {', '.join(columns)}")
    found: dict[str, str] = {}
    for column in columns:
        if column in ignore:
            continue
        name = ours.get(theirs.get(column, column))
        if name is None:
            near = difflib.get_close_matches(column, ours, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise TableError(
                f"{path}: the column {column!r} is not known; {hint}Name it with --map {column}=…, or leave it out "
                f"with --ignore {column}"
            )
        if name in found:
            raise TableError(f"{path}: {column!r} and {found[name]!r} are the same column")
        found[name] = column
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise TableError(f"{path}: it has no column {' and no '.join(missing)}; name it with --map theirs={missing[0]}")
    return found
