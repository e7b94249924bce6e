"""The options of `plan` and `apply` for reading a table and for choosing customers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from math import isnan
from pathlib import Path
from typing import Any

import click

from ..errors import InvalidArgument
from ..reconcile import Shard, Table
from ..reconcile._apply import SETTLE
from ..reconcile._before import removal_limit
from ..reconcile._pool import PATIENCE
from ..reconcile._store import LEASE
from ._common import PATH, ROWS_FAILED
from ._log import log
from ._reporting import rejects_option
from ._show import show_rejections


class _Range(click.FloatRange):
    """A range of numbers. It refuses NaN, which `click.FloatRange` accepts."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def _removals(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    with suppress(InvalidArgument):
        removal_limit(value or "0", 0)
        return value
    raise click.BadParameter(f"{value!r} is not a number of charges, or percent of those held, such as 5%.")


def removals_option(default: str | None, text: str) -> Callable[[Any], Any]:
    """Return `--max-removals`."""
    return click.option(
        "--max-removals",
        callback=_removals,
        default=default,
        show_default=default is not None,
        metavar="N|P%",
        help=text,
    )


def seconds_option(name: str, default: float, text: str, *, least: float = 0) -> Callable[[Any], Any]:
    """Return an option that takes a number of seconds."""
    return click.option(name, type=_Range(min=least), default=default, show_default=True, metavar="SECONDS", help=text)


patience_option = seconds_option("--patience", PATIENCE, "Wait this long for a server that cannot be reached.")
settle_option = seconds_option("--settle", SETTLE, "Treat a request that was sent as finished after this many seconds.")
lease_option = seconds_option(
    "--lease",
    LEASE,
    "With a journal in PostgreSQL: keep other processes away from the customers of a dead one for this long.",
    least=1,
)
concurrency_option = click.option(
    "--concurrency", type=click.IntRange(1, 256), default=16, show_default=True, help="Requests at once."
)
rate_option = click.option("--rate", type=_Range(min=0, min_open=True), help="Requests a second at most.")


def table_options(command: Any) -> Any:
    """Add the options that `plan` and `apply` share to a command."""
    options = [
        click.option(
            "--map",
            "columns",
            multiple=True,
            callback=_columns,
            metavar="THEIRS=OURS",
            help="A column by another name, such as kund=customer_no.",
        ),
        click.option("--ignore", multiple=True, metavar="COLUMN", help="A column that means nothing here."),
        click.option("--sheet", metavar="NAME", help="Sheet of a workbook. Default: the first visible one."),
        click.option(
            "--delimiter",
            callback=_delimiter,
            help="Character between cells of a CSV file. Default: detected from the header.",
        ),
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
        click.option("--state", type=PATH, help="Cache of what was last applied: only changed customers are read."),
        click.option(
            "--verify",
            callback=_share,
            default="0%",
            show_default=True,
            metavar="P%",
            help="Read this share of the unchanged customers anyway, and say how many have changed.",
        ),
        click.option("--refresh", is_flag=True, help="Read all customers, whatever the cache says."),
        patience_option,
        click.option(
            "--shard", callback=_shard, metavar="I/N", help="Only a stable part of the customers, such as 3/8."
        ),
        concurrency_option,
        rate_option,
        rejects_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def _columns(_context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not (theirs and equals and ours):
            raise click.UsageError(f"--map takes THEIRS=OURS, not {pair!r}")
        columns[theirs] = ours
    return columns


def _delimiter(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    delimiter = "\t" if text in {"tab", "\\t"} else text
    if delimiter is not None and len(delimiter) != 1:
        raise click.UsageError("--delimiter takes one character, or tab")
    return delimiter


def _share(_context: click.Context, _option: click.Parameter, text: str) -> float:
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = -1.0
    if not (text.endswith("%") and 0 <= share <= 1):
        raise click.UsageError("--verify takes a percentage of the customers, such as 1%")
    return share


def _shard(_context: click.Context, _option: click.Parameter, text: str | None) -> Shard | None:
    try:
        shard = Shard.parse(text or "1/1")
    except InvalidArgument as error:
        raise click.UsageError(str(error)) from None
    return shard if shard.count > 1 else None


_READING = ("columns", "ignore", "sheet", "delimiter", "encoding", "decimal_comma", "allow_duplicates")


def reading_of(options: dict[str, Any]) -> dict[str, Any]:
    """Remove the arguments of `read` from the options of `plan` or `apply`, and return them."""
    return {name: options.pop(name) for name in _READING}


def refuse_rejected(table: Table, rejects: Path | None) -> int:
    """Show the rejected rows, which --strict forbids, write them to the file of --rejects, and return the exit code."""
    show_rejections(table)
    if rejects is not None:
        table.write_rejects(rejects, table.reasons())
    log.say("stopped", "Nothing was done: --strict allows no rejected row.", level="error")
    return ROWS_FAILED
