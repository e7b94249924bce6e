"""`payex-billing plan` and `payex-billing apply`: desired state for charges."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import click

from ..aio import AsyncBilling
from ..errors import InvalidArgument
from ..reconcile import JournalError, Plan, Refused, Report, Shard, Table, TableError, read
from ..reconcile import apply as apply_table
from ..reconcile import plan as plan_table
from ..reconcile._apply import SETTLE
from ..reconcile._plan import FORMAT
from ..reconcile._private import open_private
from ..reconcile._run import MAX_REMOVALS
from ._common import (
    DONE,
    ERROR,
    EXIT_CODES,
    INTERRUPTED,
    PENDING,
    ROWS_FAILED,
    client_options,
    is_terminal,
    json_option,
    say_json,
    told,
)
from ._show import report_text, show_failures, show_plan, show_rejections

FILE = click.argument("file", type=click.Path(path_type=Path))


def table_options(command: Any) -> Any:
    """How the file is read."""
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


@click.command(
    epilog="\b\nExamples:\n  payex-billing plan charges.csv --details\n"
    f"  payex-billing plan charges.csv --out plan.jsonl\n\n{EXIT_CODES}"
)
@FILE
@click.option("--out", type=click.Path(path_type=Path), help="Keep the plan there, for apply.")
@click.option("--details", is_flag=True, help="A table for every customer.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@table_options
@client_options
@json_option
def plan(file: Path, out: Path | None, details: bool, detailed_exitcode: bool, as_json: bool, **options: Any) -> int:
    """Say what would be written so that Billing holds what FILE says. Nothing is written."""
    chosen = _Options.of(options)
    with _sentences(), chosen.open(file) as table:
        if (stopped := chosen.strict_stop(table)) is not None:
            return stopped

        async def work(stop: asyncio.Event, progress: Callable[[int], object]) -> Plan:
            async with chosen.client() as billing:
                return await plan_table(billing, table, on_progress=progress, **chosen.common)

        found = _run(work, table.total, "planning")
        if out is not None:
            found.write(out)
        if chosen.rejects is not None:
            table.write_rejects(chosen.rejects, found.rejected | found.failed)
        if as_json:
            say_json(_plan_as_json(found))
        else:
            show_rejections(table)
            show_failures(file, found.failed)
            show_plan(found, details=details)
            if out is not None:
                click.echo(f"Kept in {out}. To apply it: payex-billing apply {out}")
    if found.rejected or found.failed:
        return ROWS_FAILED
    return PENDING if detailed_exitcode and found.changes else DONE


@click.command(
    epilog="\b\nExamples:\n  payex-billing apply charges.csv\n  payex-billing apply plan.jsonl --report report.json\n"
    f"  payex-billing apply charges.parquet --state state.db --shard 3/8\n\n{EXIT_CODES}"
)
@FILE
@click.option(
    "--journal", type=click.Path(path_type=Path), help="Where each write is noted; FILE.journal if not given."
)
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Write the report there as JSON.")
@click.option(
    "--max-removals",
    default=MAX_REMOVALS,
    show_default=True,
    metavar="N|P%",
    help="With --prune: more, and nothing is written.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=SETTLE,
    show_default=True,
    help="Seconds after which an unanswered request has ended.",
)
@table_options
@client_options
@json_option
def apply(
    file: Path,
    journal: Path | None,
    report_file: Path | None,
    max_removals: str,
    settle: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Write what is needed so that Billing holds what FILE, a table or a plan, says.

    Ctrl-C finishes the writes under way and stops. With the same journal the next run goes on.
    """
    chosen = _Options.of(options)
    with _sentences():
        planned = Plan.load(file) if _is_plan(file) else None
        with chosen.open(file) if planned is None else _nothing() as table:
            if table is not None and (stopped := chosen.strict_stop(table)) is not None:
                return stopped
            source = planned or table
            assert source is not None  # noqa: S101 - one of the two was opened
            name = journal or file.with_name(
                f"{file.name}{'' if chosen.shard is None else f'.{chosen.shard.index}of{chosen.shard.count}'}.journal"
            )

            async def work(stop: asyncio.Event, progress: Callable[[int], object]) -> Report:
                async with chosen.client() as billing:
                    return await apply_table(
                        billing,
                        source,
                        journal=name,
                        max_removals=max_removals,
                        settle=settle,
                        stop=stop,
                        on_progress=progress,
                        **chosen.common,
                    )

            total = planned.rows if planned is not None else table.total if table is not None else 0
            report = _run(work, total, "applying")
            if chosen.rejects is not None and planned is not None:
                planned.write_rejects(chosen.rejects, report.rejected | report.failed)
            elif chosen.rejects is not None and table is not None:
                table.write_rejects(chosen.rejects, report.rejected | report.failed)
            plain = attrs.asdict(report) | {"journal": str(name)}
            if report_file is not None:
                with open_private(report_file) as written:
                    written.write(json.dumps(plain, indent=2, default=str) + "\n")
            if as_json:
                say_json(plain)
            else:
                if table is not None:
                    show_rejections(table)
                show_failures(file, report.failed, report.not_removed)
                click.echo(report_text(report))
                if report.interrupted:
                    click.echo("Interrupted. The same command goes on where it stopped.", err=True)
    if report.interrupted:
        return INTERRUPTED
    if not report.is_complete:
        click.echo("The report is incomplete: rows have no outcome. Run the same command again.", err=True)
        return ERROR
    return ROWS_FAILED if report.rejected or report.failed or report.not_removed else DONE


@attrs.frozen(kw_only=True)
class _Options:
    """The options of both commands, in their own types."""

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
    rate: float | None
    rejects: Path | None
    owner_no: str | None
    environment: str | None
    base_url: str | None

    @classmethod
    def of(cls, options: dict[str, Any]) -> _Options:
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
        """The exit code, if rows are wrong and that is not to be."""
        if not (self.strict and table.rejections):
            return None
        show_rejections(table)
        if self.rejects is not None:
            table.write_rejects(self.rejects, table.reasons())
        click.echo("Nothing was done: --strict allows no rejected row.", err=True)
        return ROWS_FAILED

    def client(self) -> AsyncBilling:
        """The client; it waits for a limit of rate on writes too, for nobody sits and waits for an answer."""
        billing = AsyncBilling(
            owner_no=self.owner_no, environment=self.environment, base_url=self.base_url, max_rate=self.rate
        )
        return billing.with_options(wait_on_writes=True)

    @property
    def common(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("prune", "state", "refresh", "shard", "concurrency")}


def _is_plan(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return FORMAT.encode() in opened.readline(300)
    except OSError:
        return False  # reading the table says it better


@contextmanager
def _nothing() -> Iterator[None]:
    yield None


@contextmanager
def _sentences() -> Iterator[None]:
    with told():
        try:
            yield
        except (TableError, JournalError, Refused) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _run(work: Callable[[asyncio.Event, Callable[[int], object]], Any], total: int, what: str) -> Any:
    """Run with a progress bar where somebody looks; the first Ctrl-C asks to stop, the second stops."""

    async def main(progress: Callable[[int], object]) -> Any:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def interrupted() -> None:
            stop.set()
            click.echo("\nStopping: writes under way are finished first. Ctrl-C again stops at once.", err=True)
            loop.remove_signal_handler(signal.SIGINT)

        if what == "applying":
            loop.add_signal_handler(signal.SIGINT, interrupted)
        return await work(stop, progress)

    try:
        if not is_terminal():
            return asyncio.run(main(lambda _rows: None))
        from rich.console import Console  # noqa: PLC0415 - loaded only when something is drawn
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text  # noqa: PLC0415

        class Speed(ProgressColumn):
            """Rows a second, once it is known."""

            def render(self, task: Task) -> Text:
                return Text(f"{task.speed or 0:,.0f} rows/s")

        columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), Speed(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            return asyncio.run(main(lambda rows: bar.advance(task, rows)))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _plan_as_json(plan: Plan) -> dict[str, Any]:
    return {
        "rows": plan.rows,
        "unchanged": plan.unchanged,
        "rejected": plan.rejected,
        "failed": plan.failed,
        "changes": dict(plan.counts),
        "held": plan.held,
        "in_no_row": plan.surplus,
        "money_per_month": {
            "before": str(plan.before),
            "after": str(plan.after),
            "rows_without_price": plan.without_price,
        },
        "suspicious": sorted(line for each in plan.customers for line in each.suspicious),
    }
