"""Check the output files of a command before the first request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click

from ..reconcile._private import make_private


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
