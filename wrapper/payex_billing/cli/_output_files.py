"""The files that a command writes: checked before the first request, and the report replaced as a whole."""

from __future__ import annotations

import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import click

from ..reconcile._private import make_private, open_private

# The folder cannot be written, or the file is mounted by itself, as in a container.
_ONLY_THE_FILE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})


def check_outputs(inputs: Mapping[str, Path | None], outputs: Mapping[str, Path | None]) -> None:
    """Create each output file, and raise if a file cannot be written.

    Args:
        inputs: files that must not be overwritten, by option.
        outputs: files that will be written, by option.

    Raises:
        ClickException: a file cannot be written, or two options name the same file.
    """
    taken: dict[Path, str] = {}
    for option, path in (*inputs.items(), *outputs.items()):
        if path is None:
            continue
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise click.ClickException(f"{option} {path} is the same file as {other}: name another")
        if option in inputs:
            continue
        try:
            make_private(path)
            path.open("ab").close()
        except OSError as error:
            raise click.ClickException(f"{option} {path} cannot be written: {error.strerror or error}") from None


@contextmanager
def writing(option: str, path: Path, problems: list[click.ClickException] | None = None) -> Iterator[None]:
    """Turn an error while writing the file of an option into a sentence; raise it, or add it to `problems`."""
    try:
        yield
    except OSError as error:
        sentence = click.ClickException(f"{option} {path} cannot be written: {error.strerror or error}")
        if problems is None:
            raise sentence from None
        problems.append(sentence)


class ReportFile:
    """A file that is replaced as a whole. A reader never sees half a file, or the file of an earlier run.

    A pipe or a device is written once.

    Args:
        path: the file. A symbolic link names its target.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._target = Path(os.path.realpath(path))
        self._stream = _own_stream(path)
        self.is_replaced = self._stream is None and (not path.exists() or stat.S_ISREG(path.stat().st_mode))

    def begin(self, text: str) -> None:
        """Replace the former content. A pipe or a device gets nothing yet.

        Raises:
            OSError: the file cannot be written. A former report is removed.
        """
        if not self.is_replaced:
            # Closing a pipe would end its reader.
            if self._stream is None and not stat.S_ISFIFO(self._path.stat().st_mode):
                self._path.open("ab").close()
            return
        try:
            self.write(text)
        except OSError:
            with suppress(OSError):
                self._target.unlink()
            raise

    def write(self, text: str) -> None:
        """Write the content.

        Raises:
            OSError: it cannot be written.
        """
        if self._stream is not None:
            click.echo(text, file=self._stream, nl=False)
        elif not self.is_replaced:
            with self._path.open("w", encoding="utf-8") as opened:
                opened.write(text)
        else:
            try:
                self._replace(text)
            except OSError as error:
                if error.errno not in _ONLY_THE_FILE or not self._target.exists():
                    raise
                with open_private(self._target) as opened:
                    _write(opened, text)

    def _replace(self, text: str) -> None:
        number, name = tempfile.mkstemp(prefix=".payex-billing-", dir=self._target.parent)
        try:
            with open(number, "w", encoding="utf-8") as opened:  # noqa: PTH123 - of a descriptor
                _write(opened, text)
            Path(name).replace(self._target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _write(opened: TextIO, text: str) -> None:
    opened.write(text)
    opened.flush()
    os.fsync(opened.fileno())


def _own_stream(path: Path) -> TextIO | None:
    """Return standard output or standard error if the path names it, such as /dev/stdout.

    A second descriptor of the same file would overwrite what the command says there.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # not a file, as in a test
            if stream is not None and os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                return stream
    return None
