"""The options of `plan` and `apply` for reading a table and for choosing customers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from .._async.client import AsyncBilling
from ..errors import InvalidArgument
from ..reconcile import Shard, Table, read
from ..reconcile._pool import PATIENCE
from ._common import ROWS_FAILED
from ._show import show_rejections


def table_options(command: Any) -> Any:
    """Add the options that `plan` and `apply` share to a command."""
    options = [
        click.option(
            "--map",
            "maps",
            multiple=True,
            metavar="THEIRS=OURS",
            help="A column by another name, such as kund=customer_no.",
        ),
        click.option("--ignore", multiple=True, metavar="COLUMN", help="A column that means nothing here."),
        click.option("--sheet", metavar="NAME", help="Sheet of a workbook. Default: the first visible one."),
        click.option("--delimiter", help="Character between cells of a CSV file. Default: detected from the header."),
        click.option("--encoding", help="Encoding of a text file. Default: UTF-8, or cp1252 if the file is not UTF-8."),
        click.option(
            "--decimal-comma/--decimal-point",
            default=None,
            help="Decimal sign of numbers that are text. Default: point in comma-separated files; elsewhere both, but "
            "1.000 and 1,000 are rejected.",
        ),
        click.option("--allow-duplicates", is_flag=True, help="The same row twice means two charges."),
        click.option("--strict", is_flag=True, help="Stop if any row is rejected."),
        click.option(
            "--prune",
            is_flag=True,
            help="The file is the whole truth for its customers: remove other charges of theirs.",
        ),
        click.option(
            "--state",
            type=click.Path(path_type=Path),
            help="Cache of what was last applied: only changed customers are read.",
        ),
        click.option("--refresh", is_flag=True, help="Read all customers, whatever the cache says."),
        click.option(
            "--patience",
            type=click.FloatRange(min=0),
            default=PATIENCE,
            show_default=True,
            metavar="SECONDS",
            help="Wait this long for a server that cannot be reached.",
        ),
        click.option("--shard", metavar="I/N", help="Only a stable part of the customers, such as 3/8."),
        click.option(
            "--concurrency", type=click.IntRange(1, 256), default=16, show_default=True, help="Customers at once."
        ),
        click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Requests a second at most."),
        click.option(
            "--rejects", type=click.Path(path_type=Path), help="Write rejected and failed rows there, with the reason."
        ),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@attrs.frozen(kw_only=True)
class Options:
    """The parsed options that `plan` and `apply` share."""

    maps: dict[str, str]
    ignore: tuple[str, ...]
    sheet: str | None
    delimiter: str | None
    encoding: str | None
    decimal_comma: bool | None
    allow_duplicates: bool
    strict: bool
    prune: bool
    state: Path | None
    refresh: bool
    shard: Shard | None
    concurrency: int
    patience: float
    rate: float | None
    rejects: Path | None
    owner_no: str | None
    environment: str | None
    base_url: str | None

    @classmethod
    def of(cls, options: dict[str, Any]) -> Options:
        maps = {}
        for each in options.pop("maps"):
            theirs, equals, ours = each.partition("=")
            if not (theirs and equals and ours):
                raise click.UsageError(f"--map takes THEIRS=OURS, not {each!r}")
            maps[theirs] = ours
        delimiter = options.pop("delimiter")
        delimiter = "\t" if delimiter in {"tab", "\\t"} else delimiter
        if delimiter is not None and len(delimiter) != 1:
            raise click.UsageError("--delimiter takes one character, or tab")
        try:
            shard = Shard.parse(options.pop("shard") or "1/1")
        except InvalidArgument as error:
            raise click.UsageError(str(error)) from None
        return cls(maps=maps, delimiter=delimiter, shard=shard if shard.count > 1 else None, **options)

    def open(self, file: Path) -> Table:
        """Read the table."""
        return read(
            file,
            columns=self.maps,
            ignore=self.ignore,
            sheet=self.sheet,
            delimiter=self.delimiter,
            encoding=self.encoding,
            decimal_comma=self.decimal_comma,
            allow_duplicates=self.allow_duplicates,
        )

    def strict_stop(self, table: Table) -> int | None:
        """Return the exit code if --strict forbids the rejected rows of the table; None to go on."""
        if not (self.strict and table.rejections):
            return None
        show_rejections(table)
        if self.rejects is not None:
            table.write_rejects(self.rejects, table.reasons())
        click.echo("Nothing was done: --strict allows no rejected row.", err=True)
        return ROWS_FAILED

    def client(self) -> AsyncBilling:
        """Return a client with these options."""
        return AsyncBilling(
            owner_no=self.owner_no, environment=self.environment, base_url=self.base_url, max_rate=self.rate
        )

    @property
    def common(self) -> dict[str, Any]:
        names = ("prune", "state", "refresh", "shard", "concurrency", "patience")
        return {name: getattr(self, name) for name in names}
