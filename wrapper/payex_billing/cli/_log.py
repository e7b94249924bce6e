"""What a command says on standard error: text for people, or with --log-json one JSON object per line.

A line that cannot be written is dropped: a run does not end because nobody reads its log. If standard output cannot be
written, the command ends with the error that `unwritable` describes.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType

import click

from .._text import printable

OPTION = "--log-json"
# The errors of standard output: the disk is full, or nobody reads it any more.
_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO, errno.EBADF, errno.EFBIG}


class Log:
    """The log of a command.

    Attributes:
        is_json: whether it writes JSON.
        is_told: whether the result, or the error that ended the command, was written.
        is_quiet: whether only warnings and errors are written.
        is_debug: whether errors are shown with their traceback.
    """

    def __init__(self) -> None:
        self.is_json = False
        self.is_told = False
        self.is_quiet = False
        self.is_debug = False

    def begin(self, *, as_json: bool) -> None:
        """Choose the form. As JSON, log records, warnings and tracebacks become lines, too."""
        self.is_json, self.is_told = as_json, False
        if as_json:
            logging.captureWarnings(True)
            root = logging.getLogger()
            if not any(isinstance(handler, _Records) for handler in root.handlers):
                root.addHandler(_Records(logging.WARNING))
            sys.excepthook = self.crashed

    def say(self, event: str, text: str, *, level: str = "info", **fields: object) -> None:
        """Write a line of text, or the event with its fields.

        Args:
            event: the name of the event.
            text: what a person reads; the `message` of the event.
            level: `info`, `warning` or `error`.
            fields: the values of the event.
        """
        if self.is_quiet and level == "info":
            return
        if self.is_json:
            self.record(event, level=level, message=" ".join(text.split()), **fields)
            return
        with suppress(OSError):
            click.echo(text, err=True)

    def record(self, event: str, *, level: str = "info", **fields: object) -> None:
        """Write an event that standard output says in text. Without --log-json, nothing."""
        if not self.is_json:
            return
        self.is_told = self.is_told or event in {"result", "error"}
        time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        values = {"time": time, "level": level, "event": event} | {name: _plain(each) for name, each in fields.items()}
        with suppress(OSError):
            # Escaped, because standard error may have an encoding that cannot write everything.
            click.echo(json.dumps(values), err=True)

    @staticmethod
    def end() -> None:
        """Flush standard error. Discard its output if it cannot be written."""
        try:
            sys.stderr.flush()
        except OSError:
            _discard(2)

    def crashed(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Write an exception that nobody expected, with its traceback."""
        lines = "".join(traceback.format_exception(kind, error, trace)).splitlines()
        self.record(
            "error", level="error", message=f"{kind.__name__}: {error}", error_type=kind.__name__, traceback=lines
        )


class _Records(logging.Handler):
    """Writes the warnings of libraries as events."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        log.record("log", level=level, message=record.getMessage(), logger=record.name)


def _plain(value: object) -> object:
    """Return a value as JSON; texts of servers and files are made printable."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {printable(str(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return printable(str(value))


def _chosen(_context: click.Context, _option: click.Parameter, as_json: bool) -> None:
    log.begin(as_json=as_json)


log_option = click.option(
    OPTION,
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_chosen,
    help="Write progress, notices, errors and the result on standard error as JSON, one object per line.",
)
log = Log()


def is_output(error: OSError) -> bool:
    """Return whether an error comes from standard output. Such an error names no file."""
    return error.filename is None and error.errno in _OF_OUTPUT


def _discard(descriptor: int) -> None:
    """Discard the output to a descriptor.

    Python flushes its output once more at exit. If that flush failed, the exit code would be 120.
    """
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def unwritable(error: OSError) -> str:
    """Return what went wrong, and discard further output."""
    _discard(1)
    return f"standard output cannot be written: {error.strerror or error}"
