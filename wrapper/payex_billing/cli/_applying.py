"""Carry out `apply`, `retry` and `undo`: run, show the progress, write the report, choose the exit code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .._async.client import AsyncBilling
from .._text import printable
from ..reconcile import GuardStopped, JournalError, Plan, Refused, Report, Stopped, Table, TableError
from ..reconcile import apply as apply_table
from ..reconcile._private import open_private
from ._common import DONE, ERROR, GUARDED, INTERRUPTED, ROWS_FAILED, say_json, told
from ._outputs import writing
from ._progress import Show, progress
from ._show import report_text, show_failures, show_rejections, show_stops
from ._signals import signals


def carry_out(
    source: Table | Plan,
    file: Path,
    *,
    client: Mapping[str, Any],
    options: Mapping[str, Any],
    rejects: Path | None = None,
    report_file: Path | None = None,
    as_json: bool = False,
) -> int:
    """Apply a table or a plan, and return the exit code.

    Args:
        source: the table or the plan.
        file: what the messages call it.
        client: the arguments of the client.
        options: the arguments of `reconcile.apply`.
        rejects: where the rows that were not applied go.
        report_file: where the report goes.
        as_json: whether the report is printed as JSON.
    """
    table = source if isinstance(source, Table) else None

    async def work(stop: asyncio.Event, show: Show) -> Report:
        async with AsyncBilling(**client) as billing:
            return await apply_table(billing, source, stop=stop, on_progress=show, on_notice=notice, **options)

    try:
        report: Report = run(work, can_stop=True)
    except GuardStopped as error:
        if table is not None:
            show_rejections(table)
            if rejects is not None:
                with writing("--rejects", rejects):
                    table.write_rejects(rejects, table.reasons())
        show_stops(error, file)
        return GUARDED
    plain = report.to_json() | {"journal": str(options["journal"])}
    # Write the files first, so that they exist even if standard output cannot be written. Raise the error of a file
    # only after the output.
    problems: list[click.ClickException] = []
    if rejects is not None:
        with writing("--rejects", rejects, problems):
            source.write_rejects(rejects, report.rejected | report.failed)
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


def notice(sentence: str) -> None:
    """Tell on standard error why a run waits."""
    click.echo(printable(sentence), err=True)


@contextmanager
def sentences() -> Iterator[None]:
    """Let an error of a table, a journal or a run be a sentence."""
    with told():
        try:
            yield
        except (TableError, JournalError, Refused, Stopped) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{where}{error.strerror or error}") from None


def run(work: Callable[[asyncio.Event, Show], Any], *, can_stop: bool) -> Any:
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
