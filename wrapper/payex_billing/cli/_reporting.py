"""The report of `apply`, `retry` and `undo`: there from the first moment, and right at the end, whatever the end is."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import click

from .._text import cut, printable
from .._version import __version__
from ..errors import BillingError
from ..reconcile import GuardStopped, RunOutcome
from ..reconcile._address import name_of
from ..reconcile._before import outcome_of
from ..reconcile._store import Place
from ._common import DONE, ERROR, GUARDED, INTERRUPTED, PATH, ROWS_FAILED, USAGE, say_json, when
from ._log import log
from ._output_files import ReportFile

FORMAT = "payex-billing report 1"
_LONGEST = 2000  # characters of an error


report_option = click.option(
    "--report",
    "report_file",
    type=PATH,
    help="Write the report there as JSON, also after an error. `payex-billing report-schema` describes it.",
)
rejects_option = click.option("--rejects", type=PATH, help="Write rejected and failed rows there, with the reason.")


class RunReport:
    """The report of one command. In a `with` block, so that an error gets into it.

    Args:
        command: `apply`, `retry` or `undo`.
        path: the file; None if nobody asked for it.
        file: the table or the plan, as it was named.
        others: the other files of the command, by option. The report must not be one of them.
        as_json: whether the report is printed as JSON, also after an error.

    Attributes:
        as_json: whether the report is still to be printed. Set it to False if the command prints something else.
        has_begun: whether this process has begun a report.
    """

    has_begun: ClassVar[bool] = False

    def __init__(
        self,
        command: str,
        path: Path | None,
        *,
        file: str,
        others: Mapping[str, Path | None],
        as_json: bool = False,
    ) -> None:
        self.file = file
        self.journal: Place | None = None
        self.values: dict[str, Any] = {}
        self._command = command
        self._path = path
        self._others = others
        self._written: ReportFile | None = None
        self._began = time.time()
        self._outcome = RunOutcome.RUNNING
        self._ended: float | None = None
        self._exit_code = ERROR
        self._is_saved = False
        self.as_json = as_json
        self._error: tuple[str, str] | None = None

    def __enter__(self) -> Self:
        """Replace the report of an earlier run.

        Raises:
            ClickException: the file cannot be written, or is one of the others.
        """
        RunReport.has_begun = True
        if self._path is None:
            return self
        try:
            for option, other in self._others.items():
                if other is not None and other.resolve() == self._path.resolve():
                    raise click.ClickException(f"--report {self._path} is the same file as {option}: name another")
            self._written = ReportFile(self._path)
            self._written.begin(self._text())
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def names(self, file: Path) -> None:
        """Name the table, if the command finds out late.

        Raises:
            ClickException: the report would overwrite it.
        """
        if self._path is not None and file.resolve() == self._path.resolve():
            raise click.ClickException(f"--report {self._path} is the same file as FILE: name another")
        self.file = str(file)

    def ended(
        self, outcome: RunOutcome, values: Mapping[str, Any] | None = None, *, exit_code: int | None = None
    ) -> int:
        """Write how the command ended, and return the exit code.

        Args:
            outcome: how it ended.
            values: the numbers of the run.
            exit_code: the exit code, if it is not that of the outcome.

        Raises:
            ClickException: the file cannot be written.
        """
        self._outcome, self._ended = outcome, time.time()
        self._exit_code = CODES[outcome] if exit_code is None else exit_code
        self.values |= values or {}
        if self._written is not None:
            try:
                self._written.write(self._text())
            except OSError as error:
                self._is_saved = True  # a second try would say the same
                raise self._unwritable(error) from None
            self._is_saved = True
        return self._exit_code

    def ended_and_shown(
        self, outcome: RunOutcome, values: Mapping[str, Any] | None = None, *, exit_code: int | None = None
    ) -> int:
        """Write how the command ended, print the report if it is to be printed, and return the exit code."""
        code = self.ended(outcome, values, exit_code=exit_code)
        self.show()
        return code

    def guarded(self, error: GuardStopped, rejected: Mapping[int, str]) -> int:
        """Write that a guard stopped the run, and return the exit code."""
        self._error = _described(error)
        guards = [{"guard": stop.guard, "reason": stop.reason, "worst": list(stop.worst)} for stop in error.stops]
        values = {"guards": guards, "digest": error.digest, "rejected": dict(rejected)}
        return self.ended(RunOutcome.GUARD_STOPPED, values)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            outcome = outcome_of(_cause(error))
            self._error = _described(error)
            if not self._is_saved:
                try:
                    self.ended(outcome if self._outcome is RunOutcome.RUNNING else self._outcome)
                except click.ClickException as unwritable:
                    log.say("error", f"Error: {unwritable.format_message()}", level="error")
            self._exit_code = INTERRUPTED if outcome is RunOutcome.INTERRUPTED else ERROR
            if isinstance(error, click.UsageError):
                self._exit_code = USAGE
            with suppress(OSError):  # standard output cannot be written, and that may be the error
                self.show()
        self._log()

    def show(self) -> None:
        """Print the report, once, if it is to be printed."""
        if self.as_json:
            self.as_json = False
            say_json(self.plain())

    def plain(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        text, kind = self._error or (None, None)
        return {
            "format": FORMAT,
            "outcome": self._outcome.value,
            "error": text,
            "error_type": kind,
            "command": self._command,
            "file": self.file,
            "journal": None if self.journal is None else name_of(self.journal),
            "version": __version__,
            "started_at": when(self._began),
            "ended_at": None if self._ended is None else when(self._ended),
            **self.values,
        }

    def _text(self) -> str:
        return json.dumps(self.plain(), indent=2, default=str) + "\n"

    def _unwritable(self, error: OSError) -> click.ClickException:
        return click.ClickException(f"--report {self._path} cannot be written: {error.strerror or error}")

    def _log(self) -> None:
        """Write the result as the last event; rows that were rejected or failed are counted."""
        values, counts = self.values, dict[str, Any]()
        for name in ("run", "rows", "unchanged", "applied", "rejected", "failed", "not_removed", "steps", "notes"):
            if name in values:
                counts[name] = len(values[name]) if name in {"rejected", "failed", "not_removed"} else values[name]
        text, kind = self._error or (None, None)
        log.record(
            "result", level="info" if self._exit_code == DONE else "error",
            message=text or self._outcome.value.replace("_", " "), outcome=self._outcome.value,
            exit_code=self._exit_code, command=self._command, file=self.file, error=text, error_type=kind, **counts,
        )  # fmt: skip


CODES: Mapping[RunOutcome, int] = {
    RunOutcome.DONE: DONE,
    RunOutcome.PLANNED: DONE,
    RunOutcome.ROWS_FAILED: ROWS_FAILED,
    RunOutcome.GUARD_STOPPED: GUARDED,
    RunOutcome.INTERRUPTED: INTERRUPTED,
    **dict.fromkeys(
        (RunOutcome.STOPPED, RunOutcome.INCOMPLETE, RunOutcome.FAILED, RunOutcome.REFUSED, RunOutcome.RUNNING), ERROR
    ),
}


def _cause(error: BaseException) -> BaseException:
    """Return the error behind a sentence for the command line."""
    if isinstance(error, click.Abort):
        return KeyboardInterrupt()
    behind = error.__context__
    return behind if isinstance(error, click.ClickException) and isinstance(behind, BillingError | OSError) else error


def _described(error: BaseException) -> tuple[str, str]:
    """Return what happened in words, and the class of the error."""
    kind = type(_cause(error)).__name__
    if isinstance(error, click.ClickException):
        text = error.format_message()
    elif isinstance(error, BillingError):
        text = str(error)
    elif isinstance(error, click.Abort | KeyboardInterrupt | asyncio.CancelledError):
        text = "interrupted"
    else:
        text = f"{kind}: {error}"
    return cut(printable(text), _LONGEST), kind


def end_before_a_report(error: BaseException) -> None:
    """Replace the report of an earlier run if this process ends before its own, as after wrong usage.

    The path comes from `sys.argv`, because click may not have read the options. A file that is not a report is kept.
    """
    command, path = (sys.argv[1:2] or [""])[0], _named(sys.argv[2:])
    if command not in {"apply", "retry", "undo"} or path is None or RunReport.has_begun:
        return
    with suppress(OSError):
        if path.is_file() and FORMAT.encode() in path.open("rb").read(100):
            _end(RunReport(command, path, file="", others={}), error)


def end_before_the_command(error: click.ClickException, options: Mapping[str, Any]) -> None:
    """Write the report of a command that did not begin, because its settings cannot be used."""
    file = options.get("file") or Path(f"run {options.get('run_number')}")
    command = click.get_current_context().info_name or ""
    report = RunReport(
        command, options["report_file"], file=str(file), others={"FILE": file}, as_json=bool(options.get("as_json"))
    )
    _end(report, error)


def _end(report: RunReport, error: BaseException) -> None:
    with suppress(click.ClickException, click.Abort, KeyboardInterrupt), report:
        raise error


def _named(arguments: list[str]) -> Path | None:
    for position, argument in enumerate(arguments):
        if argument.startswith("--report="):
            return Path(argument.partition("=")[2])
        if argument == "--report" and position + 1 < len(arguments):
            return Path(arguments[position + 1])
    return None
