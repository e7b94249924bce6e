"""`payex-billing plan` and `payex-billing apply`: desired state for charges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from .._async.client import AsyncBilling
from .._text import printable
from ..reconcile import (
    GuardStopped,
    JournalError,
    Limits,
    Plan,
    Refused,
    Report,
    Shard,
    Stopped,
    Table,
    TableError,
)
from ..reconcile import apply as apply_table
from ..reconcile import plan as plan_table
from ..reconcile._apply import SETTLE
from ..reconcile._plan import FORMAT
from ..reconcile._private import open_private
from ..reconcile._run import MAX_REMOVALS, RECHECK
from ._common import (
    DONE,
    ERROR,
    EXIT_CODES,
    GUARDED,
    INTERRUPTED,
    PENDING,
    ROWS_FAILED,
    client_options,
    json_option,
    say_json,
    told,
)
from ._outputs import check_outputs, writing
from ._progress import Show, progress
from ._show import report_text, show_failures, show_plan, show_rejections, show_stops
from ._signals import signals
from ._table_options import Options, table_options

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.command(
    epilog="\b\nExamples:\n  payex-billing plan charges.csv --details\n"
    f"  payex-billing plan charges.csv --out plan.jsonl\n\n{EXIT_CODES}"
)
@FILE
@click.option("--out", type=click.Path(path_type=Path), help="Write the plan there, for apply.")
@click.option("--details", is_flag=True, help="A table for every customer.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@table_options
@client_options
@json_option
def plan(file: Path, out: Path | None, details: bool, detailed_exitcode: bool, as_json: bool, **options: Any) -> int:
    """Read the current charges and show what apply would change."""
    chosen = Options.of(options)
    with _sentences():
        check_outputs({"FILE": file, "--state": chosen.running["state"]}, {"--out": out, "--rejects": chosen.rejects})
        with chosen.open(file) as table:
            if (stopped := chosen.strict_stop(table)) is not None:
                return stopped

            async def work(stop: asyncio.Event, show: Show) -> Plan:
                async with AsyncBilling(**chosen.client) as billing:
                    return await plan_table(billing, table, on_progress=show, on_notice=_notice, **chosen.running)

            found = _run(work, can_stop=False)
            if out is not None:
                with writing("--out", out):
                    found.write(out)
            if chosen.rejects is not None:
                with writing("--rejects", chosen.rejects):
                    table.write_rejects(chosen.rejects, found.rejected | found.failed)
            if as_json:
                say_json(_plan_as_json(found))
            else:
                show_rejections(table)
                show_failures(file, found.failed)
                show_plan(found, details=details)
                if out is not None:
                    click.echo(f"Written to {out}. To apply it: payex-billing apply {out}")
    if found.rejected or found.failed:
        return ROWS_FAILED
    return PENDING if detailed_exitcode and found.changes else DONE


@click.command(
    epilog="\b\nExamples:\n  payex-billing apply charges.csv\n  payex-billing apply plan.jsonl --report report.json\n"
    f"  payex-billing apply charges.parquet --state state.db --shard 3/8\n\n{EXIT_CODES}"
)
@FILE
@click.option("--journal", type=click.Path(path_type=Path), help="Note each write there; FILE.journal by default.")
@click.option("--report", "report_file", type=click.Path(path_type=Path), help="Write the report there as JSON.")
@click.option(
    "--max-removals",
    default=MAX_REMOVALS,
    show_default=True,
    metavar="N|P%",
    help="Abort if --prune would remove more than this.",
)
@click.option("--guards", type=click.Path(path_type=Path), help="Limits of the guards, a TOML file.")
@click.option("--first-run", is_flag=True, help="The first run for this ledger: there is nothing to compare with.")
@click.option("--approve", metavar="DIGEST", help="Write the plan with this digest, although a guard stops it.")
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=SETTLE,
    show_default=True,
    metavar="SECONDS",
    help="Treat a request that was sent as finished after this many seconds.",
)
@click.option(
    "--recheck",
    type=click.FloatRange(min=0),
    default=RECHECK,
    show_default=True,
    metavar="SECONDS",
    help="Read the finished customers of an interrupted run again after this many seconds.",
)
@click.option("--no-lock", is_flag=True, help="Run beside another run for the same ledger.")
@table_options
@client_options
@json_option
def apply(
    file: Path,
    journal: Path | None,
    report_file: Path | None,
    max_removals: str,
    guards: Path | None,
    first_run: bool,
    approve: str | None,
    settle: float,
    recheck: float,
    no_lock: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Write what is needed so that Billing holds what FILE, a table or a plan, says.

    Ctrl-C and SIGTERM finish the writes under way and stop. With the same journal the next run goes on.
    """
    chosen = Options.of(options)
    with _sentences():
        shard: Shard | None = chosen.running["shard"]
        part = "" if shard is None else f".{shard.index}of{shard.count}"
        name = journal or file.with_name(f"{file.name}{part}.journal")
        check_outputs(
            {"FILE": file, "--state": chosen.running["state"], "--journal": name, "--guards": guards},
            {"--report": report_file, "--rejects": chosen.rejects},
        )
        limits = Limits() if guards is None else Limits.load(guards)
        planned = Plan.load(file) if _is_plan(file) else None
        with chosen.open(file) if planned is None else closing(planned) as source:
            table = source if isinstance(source, Table) else None
            if table is not None and (stopped := chosen.strict_stop(table)) is not None:
                return stopped

            async def work(stop: asyncio.Event, show: Show) -> Report:
                async with AsyncBilling(**chosen.client) as billing:
                    return await apply_table(
                        billing,
                        source,
                        journal=name,
                        max_removals=max_removals,
                        limits=limits,
                        first_run=first_run,
                        approve=approve,
                        settle=settle,
                        recheck=recheck,
                        locked=not no_lock,
                        stop=stop,
                        on_progress=show,
                        on_notice=_notice,
                        **chosen.running,
                    )

            try:
                report = _run(work, can_stop=True)
            except GuardStopped as error:
                if table is not None:
                    show_rejections(table)
                    if chosen.rejects is not None:
                        with writing("--rejects", chosen.rejects):
                            table.write_rejects(chosen.rejects, table.reasons())
                show_stops(error, file)
                return GUARDED
            plain = report.to_json() | {"journal": str(name)}
            # Write the files first, so that they exist even if standard output cannot be written. Raise the error of a
            # file only after the output.
            problems: list[click.ClickException] = []
            if chosen.rejects is not None:
                with writing("--rejects", chosen.rejects, problems):
                    source.write_rejects(chosen.rejects, report.rejected | report.failed)
            if report_file is not None:
                with writing("--report", report_file, problems), open_private(report_file) as written:
                    written.write(json.dumps(plain, indent=2, default=str) + "\n")
            if as_json:
                say_json(plain)
            else:
                if table is not None:
                    show_rejections(table)
                show_failures(file, report.failed, report.not_removed)
                click.echo(report_text(report))
                for note in report.notes:
                    click.echo(note)
            if problems:
                raise problems[0]
    return _exit_code(report)


def _exit_code(report: Report) -> int:
    if report.stopped:
        click.echo(f"Stopped: {printable(report.stopped)}\nThe same command goes on where it stopped.", err=True)
        return ERROR
    if report.interrupted:
        click.echo("Interrupted. The same command goes on where it stopped.", err=True)
        return INTERRUPTED
    if not report.is_complete:
        click.echo("The report is incomplete: rows have no outcome. Run the same command again.", err=True)
        return ERROR
    return ROWS_FAILED if report.rejected or report.failed or report.not_removed else DONE


def _notice(sentence: str) -> None:
    click.echo(printable(sentence), err=True)


def _is_plan(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return FORMAT.encode() in opened.readline(300)
    except OSError:
        return False  # reading the table says it better


@contextmanager
def _sentences() -> Iterator[None]:
    with told():
        try:
            yield
        except (TableError, JournalError, Refused, Stopped) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from None


def _run(work: Callable[[asyncio.Event, Show], Any], *, can_stop: bool) -> Any:
    """Run `work` and show its progress. The first Ctrl-C or SIGTERM asks to stop, the second stops at once."""

    async def main(show: Show) -> Any:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def stopping() -> None:
            if can_stop and not stop.is_set():
                stop.set()
                click.echo("\nStopping: writes under way are finished first. Ctrl-C again stops at once.", err=True)
                return
            signals.interrupt_at_the_next()
            if task is not None:
                task.cancel()

        with signals.handled_by(lambda: loop.call_soon_threadsafe(stopping), then_ignored=can_stop):
            return await work(stop, show)

    with progress() as show:
        try:
            return asyncio.run(main(show))
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


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
        "suspicious": sorted(line for planned in plan.customers for line in planned.suspicious),
        "digest": plan.digest,
    }
