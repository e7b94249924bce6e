"""Everything that a ledger holds for some customers, as a table that `apply` takes back.

What was read is kept beside the table until all is read, so that an interrupted export goes on within ten minutes.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import attrs

from ..errors import BillingError, InvalidArgument
from ..models import CONTENT
from ._cells import visible
from ._columns import COLUMNS, EXACT
from ._database import Database, literal, one
from ._match import Held
from ._planning import Notice, Progress, said
from ._pool import PATIENCE, Brake, Pool
from ._private import make_private, open_private
from ._reading import held
from ._sources import TableError

if TYPE_CHECKING:
    import duckdb

    from .._async.client import AsyncBilling

FORMAT: Final = "payex-billing export 1"
RESUMED: Final = 600.0  # seconds for which an interrupted export can go on; later, too much may have changed
ENDINGS: Final = (".parquet", ".csv", ".xlsx")
MOST_ROWS: Final = 1_048_575  # of a sheet of Excel, without its header
_TYPES: Final = {"quantity": "BIGINT", "unit_price": "DECIMAL(18, 6)", "vat_rate": "DECIMAL(9, 2)"}
_DATES: Final = ("start_date", "end_date")
_TEXTS: Final = tuple(name for name in COLUMNS if name not in _TYPES and name not in _DATES)


@attrs.define(kw_only=True)
class Export:
    """What an export came to.

    Attributes:
        customers: customers that were read, also those that are missing or have no charge.
        charges: charges of these customers.
        missing: customers that do not exist.
        without_charge: customers that exist and have no charge, so that the table has no row of them.
        failed: the reason for each customer that could not be read, by its number.
        resumed: customers that an interrupted export had read before.
        interrupted: whether it was stopped; the same call goes on.
    """

    customers: int = 0
    charges: int = 0
    missing: list[str] = attrs.field(factory=list)
    without_charge: int = 0
    failed: dict[str, str] = attrs.field(factory=dict)
    resumed: int = 0
    interrupted: bool = False


async def export(
    billing: AsyncBilling,
    customers: Iterable[str],
    target: Path,
    *,
    concurrency: int = 16,
    patience: float = PATIENCE,
    stop: asyncio.Event | None = None,
    on_progress: Progress | None = None,
    on_notice: Notice | None = None,
) -> Export:
    """Write all charges of some customers to a table: Parquet, CSV or Excel, by the ending of its name.

    `apply` of the table has nothing to do, as long as nothing changes. What a cell cannot show, such as spaces around a
    text or a second charge with the same values, stands in the column `payex_exact`. The customers are read one after
    another, so the table is no picture of one moment.

    Args:
        billing: the client.
        customers: the numbers of the customers.
        target: the file; overwritten when all is read.
        concurrency: requests at once.
        patience: seconds to wait for a server that cannot be reached.
        stop: when set, no more customers are read. The same call goes on.
        on_progress: called with `reading`, the customers that are read, and the customers in all.
        on_notice: called with a sentence when it must wait.

    Raises:
        InvalidArgument: the name of the file has another ending.
        Stopped: the customers cannot be read. The same call goes on.
    """
    if target.suffix.lower() not in ENDINGS:
        raise InvalidArgument("to", f"must be the name of a file that ends in {', '.join(ENDINGS)}")
    numbers = list(dict.fromkeys(customers))
    for number in numbers:
        billing.customer(number)  # refuses what is no number, before anything is sent
    stopping = stop or asyncio.Event()
    part = _Part(target, billing.settings.ledger, numbers)
    result = Export(resumed=len(part.done))
    brake = Brake(patience, notice=on_notice)
    try:

        async def one(number: str) -> None:
            found = await brake.judged(number, held(billing, number, (), everything=True))
            if isinstance(found, BillingError):
                result.failed[number] = said(found)
            else:
                part.add(number, found)
            if on_progress is not None:
                on_progress("reading", len(part.done) + len(result.failed), len(numbers))

        left = (number for number in numbers if number not in part.done)
        await Pool[str](concurrency, stopping, brake).run(left, one)
    finally:
        part.close()
    result.interrupted = stopping.is_set() and len(part.done) + len(result.failed) < len(numbers)
    result.customers = len(part.done)
    if result.interrupted:
        return result
    _write(part, target, result)
    part.path.unlink()
    return result


class _Part:
    """What has been read so far, beside the table: a line of JSON for each customer.

    Attributes:
        path: the file.
        done: the customers that it has.
    """

    def __init__(self, target: Path, ledger: str, numbers: list[str]) -> None:
        self.path = target.with_name(f"{target.name}.part")
        listed = hashlib.sha256("\n".join(numbers).encode()).hexdigest()
        self._head = {"format": FORMAT, "ledger": ledger, "customers": listed}
        self.done: set[str] = set()
        make_private(self.path)
        end = 0
        is_fresh = time.time() - self.path.stat().st_mtime <= RESUMED
        with suppress(ValueError, KeyError, UnicodeDecodeError), self.path.open("rb") as file:
            if is_fresh and json.loads(file.readline()) == self._head:
                end = file.tell()
                for line in file:
                    self.done.add(json.loads(line)["customer_no"])  # the last line may be torn
                    end = file.tell() if line.endswith(b"\n") else end
        self._file: IO[bytes] = self.path.open("r+b")
        self._file.truncate(end)
        self._file.seek(end)
        if not end:
            self._line(self._head)

    def _line(self, plain: Any) -> None:
        self._file.write(json.dumps(plain, default=str).encode() + b"\n")  # money and dates are text
        self._file.flush()

    def add(self, number: str, found: Held) -> None:
        """Add what a customer holds."""
        charges = [
            {"subscription_no": level, **{name: getattr(charge, name) for name in CONTENT}}
            for level, held_charges in found.charges.items()
            for charge in held_charges
        ]
        self._line({"customer_no": number, "exists": found.exists, "charges": charges})
        self.done.add(number)

    def customers(self) -> Iterator[dict[str, Any]]:
        """Yield what each customer holds."""
        with self.path.open("rb") as file:
            file.readline()
            yield from map(json.loads, file)

    def close(self) -> None:
        """Close the file; it stays until the table is written."""
        self._file.close()


def _write(part: _Part, target: Path, result: Export) -> None:
    """Write the table: first beside the target, then in its place."""
    try:
        with closing(Database()) as database:
            rows = database.folder / "rows.jsonl"
            with open_private(rows) as file:
                for customer in part.customers():
                    if not customer["exists"]:
                        result.missing.append(customer["customer_no"])
                    elif not customer["charges"]:
                        result.without_charge += 1
                    for charge in customer["charges"]:
                        file.write(json.dumps({"customer_no": customer["customer_no"], **charge}) + "\n")
                        result.charges += 1
            _stage(database.connection, rows)
            beside = target.with_name(f"{target.name}.new")
            make_private(beside)
            {".parquet": _parquet, ".csv": _csv, ".xlsx": _excel}[target.suffix.lower()](database.connection, beside)
            beside.replace(target)
    except OSError as error:
        raise TableError(f"{target}: cannot be written: {error.strerror or error}") from None


def _stage(database: duckdb.DuckDBPyConnection, rows: Path) -> None:
    """Make the table `exported`, with the exact texts of cells that cannot show them."""
    columns = dict.fromkeys(COLUMNS, "VARCHAR")
    order = ", ".join(COLUMNS)
    database.execute(
        "CREATE TABLE rows AS SELECT *, row_number() OVER () AS number, "
        f"row_number() OVER (PARTITION BY {order}) > 1 AS is_copy "
        f"FROM read_json($path, columns = {columns!r}, format = 'newline_delimited')",
        {"path": str(rows)},
    )
    odd = {name: f"coalesce({visible(name)} <> {name}, false)" for name in _TEXTS}
    shown = ", ".join(f"{visible(name)} AS {name}" if name in odd else name for name in COLUMNS)
    database.execute(
        f"CREATE TABLE exported AS SELECT number, {shown}, NULL::VARCHAR AS {EXACT} FROM rows ORDER BY number"
    )
    found = database.execute(
        f"SELECT number, is_copy, {', '.join(f'CASE WHEN {odd[name]} THEN {name} END' for name in _TEXTS)} "
        f"FROM rows WHERE is_copy OR {' OR '.join(odd.values())}"
    )
    notes: list[tuple[str, int]] = []
    for number, is_copy, *texts in found.fetchall():
        exact: dict[str, Any] = {name: text for name, text in zip(_TEXTS, texts, strict=True) if text is not None}
        notes.append((json.dumps(exact | ({"copy": True} if is_copy else {})), number))
    if notes:
        database.executemany(f"UPDATE exported SET {EXACT} = ? WHERE number = ?", notes)


def _parquet(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    cells = []
    for name in COLUMNS:
        kind = "DATE" if name in _DATES else _TYPES.get(name)
        # A held value may be beyond the limits of the contract; the column is text then.
        fits = kind is not None and not one(
            database, f"SELECT count(*) FROM exported WHERE {name} IS NOT NULL AND try_cast({name} AS {kind}) IS NULL"
        )
        cells.append(f"CAST({name} AS {kind}) AS {name}" if fits else name)
    database.execute(
        f"COPY (SELECT {', '.join([*cells, EXACT])} FROM exported ORDER BY number) "
        f"TO {literal(target)} (FORMAT parquet)"
    )


def _csv(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    with open_private(target, newline="") as file:
        file.write("\ufeff")
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, EXACT])
        for row in _rows(database):
            writer.writerow(["" if cell is None else cell for cell in row])


def _excel(database: duckdb.DuckDBPyConnection, target: Path) -> None:
    from openpyxl import Workbook  # noqa: PLC0415 - only for this
    from openpyxl.cell import WriteOnlyCell  # noqa: PLC0415

    if one(database, "SELECT count(*) FROM exported") > MOST_ROWS:
        raise TableError(f"{target}: a sheet has at most {MOST_ROWS:,} rows. Export to .parquet or .csv")
    book = Workbook(write_only=True)
    sheet = book.create_sheet("charges")
    sheet.append([*COLUMNS, EXACT])
    for row in _rows(database):
        cells = []
        for name, cell in zip([*COLUMNS, EXACT], row, strict=True):
            value: Any = None if cell is None else Decimal(cell) if name in _TYPES else cell
            written = WriteOnlyCell(sheet, value=value)
            if isinstance(value, str):
                written.data_type = "s"  # a text that begins with = is no formula
            cells.append(written)
        sheet.append(cells)
    with target.open("wb") as file:
        book.save(file)


def _rows(database: duckdb.DuckDBPyConnection) -> Iterator[tuple[str | None, ...]]:
    found = database.execute(f"SELECT {', '.join([*COLUMNS, EXACT])} FROM exported ORDER BY number")
    yield from (row for chunk in iter(lambda: found.fetchmany(10_000), []) for row in chunk)
