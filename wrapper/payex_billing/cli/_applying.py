"""Carry out `apply`, `retry` and `undo`: run, show the progress, write the files, choose the exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from .._async.client import AsyncBilling
from .._text import printable
from ..reconcile import GuardStopped, JournalError, Plan, Refused, Report, RunOutcome, Table, TableError
from ..reconcile import apply as apply_table
from ._common import told
from ._log import is_output, log, unwritable
from ._output_files import writing
from ._progress import Show, progress
from ._reporting import CODES, RunReport
from ._show import report_text, show_failures, show_rejections, show_stops
from ._signals import signals
from ._table import paragraph

T = TypeVar("T")
_CLOSING = 0.5  # seconds after the second Ctrl-C for which a client that is closed waits for its requests under way


def carry_out(
    source: Table | Plan,
    file: Path,
    *,
    client: Mapping[str, Any],
    report: RunReport,
    rejects: Path | None = None,
    **options: Any,
) -> int:
    """Apply a table or a plan, and return the exit code.

    Args:
        source: the table or the plan.
        file: what the messages call it.
        client: the arguments of the client.
        report: the report of the command.
        rejects: where the rows that were not applied go.
        options: the arguments of `reconcile.apply`.
    """
    table = source if isinstance(source, Table) else None
    try:
        done = run_with_client(apply_table, source, client=client, can_stop=True, **options)
    except GuardStopped as error:
        exit_code = report.guarded(error, {} if table is None else table.reasons())
        if table is not None:
            show_rejections(table)
            if rejects is not None:
                with writing("--rejects", rejects):
                    table.write_rejects(rejects, table.reasons())
        show_stops(error, file)
        report.show()
        return exit_code
    # Write the files first, so that they exist even if standard output cannot be written. Raise the error of a file
    # only after the output.
    problems: list[click.ClickException] = []
    if rejects is not None:
        with writing("--rejects", rejects, problems):
            source.write_rejects(rejects, done.rejected | done.failed)
    try:
        report.ended(done.outcome, done.to_json())
    except click.ClickException as error:
        problems.append(error)
    if report.as_json:
        report.show()
    else:
        if table is not None:
            show_rejections(table)
        show_failures(file, done.failed, done.not_removed)
        paragraph(report_text(done))
        for note in done.notes:
            paragraph(note)
    if problems:
        raise problems[0]
    return _exit_code(done)


def _exit_code(report: Report) -> int:
    outcome = report.outcome
    if outcome is RunOutcome.STOPPED:
        text = f"Stopped: {printable(report.stopped)}\nThe same command goes on where it stopped."
        log.say("stopped", text, level="error", reason=report.stopped)
    elif outcome is RunOutcome.INTERRUPTED:
        log.say("interrupted", "Interrupted. The same command goes on where it stopped.", level="error")
    elif outcome is RunOutcome.INCOMPLETE:
        log.say(
            "incomplete", "The report is incomplete: rows have no outcome. Run the same command again.", level="error"
        )
    return CODES[outcome]


def notice(sentence: str) -> None:
    """Tell on standard error why a run waits."""
    log.say("notice", printable(sentence), level="warning")


@contextmanager
def sentences() -> Iterator[None]:
    """Let an error of a table, a journal or a run be a sentence."""
    with told():
        try:
            yield
        except (TableError, JournalError, Refused) as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            text = unwritable(error) if is_output(error) else f"{where}{error.strerror or error}"
            raise click.ClickException(text) from None


def run_with_client(
    operation: Callable[..., Awaitable[T]], *arguments: Any, client: Mapping[str, Any], can_stop: bool, **options: Any
) -> T:
    """Call an operation of `reconcile` with a client, show its progress, and return its result.

    Args:
        operation: the operation. Its first argument is the client.
        arguments: the other positional arguments of the operation.
        client: the arguments of the client.
        can_stop: whether the operation takes `stop`, so that the first Ctrl-C finishes the writes under way.
        options: the keyword arguments of the operation.
    """

    async def work(stop: asyncio.Event, show: Show) -> T:
        stopping = {"stop": stop} if can_stop else {}
        async with AsyncBilling(**client) as billing:
            return await operation(billing, *arguments, on_progress=show, on_notice=notice, **stopping, **options)

    return run(work, can_stop=can_stop)


def run(work: Callable[[asyncio.Event, Show], Coroutine[Any, Any, T]], *, can_stop: bool) -> T:
    """Run `work` and show its progress. The first Ctrl-C or SIGTERM asks to stop, the second stops at once."""

    async def main(show: Show) -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()

        def stopping() -> None:
            if can_stop and not stop.is_set():
                stop.set()
                log.say("notice", "\nStopping: writes under way are finished first. Ctrl-C again stops at once.")
                return
            signals.interrupt_at_the_next()
            end()

        def end() -> None:
            if task is not None:
                task.cancel()
                loop.call_later(_CLOSING, end)

        with signals.handled_by(lambda: loop.call_soon_threadsafe(stopping), then_ignored=can_stop):
            return await work(stop, show)

    with progress() as show:
        try:
            return asyncio.run(main(show))
        except (asyncio.CancelledError, KeyboardInterrupt):
            next_step = " The same command goes on where it stopped." if can_stop else ""
            raise KeyboardInterrupt(f"Interrupted.{next_step}") from None
