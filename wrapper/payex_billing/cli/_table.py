"""Tables on standard output: aligned text that fits the terminal. No id, date or number is ever broken."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

import click

from .._text import printable

GAP = "  "
# Columns of values in words. They may be broken between words only: a word may be a number, an id or a date.
VALUES = frozenset({"was", "becomes", "became", "now", "left by the run", "result"})
# Columns of free text. They may also be broken within a word: a path or a text of a charge may have no space at all.
TEXTS = VALUES | {"text", "file", "reason"}
_LEAST = 12  # the least width of such a column


def table(
    headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[str] = frozenset(), title: str = ""
) -> None:
    """Print a table. Columns without a value are left out.

    Where the terminal is too narrow for a line, texts are broken. Where that is not enough, or would break a number,
    an id or a date, each row becomes a block with a line for each value. Without a terminal every row is one line, so
    that `grep` finds it.

    Args:
        headers: the names of the columns.
        rows: the cells.
        right: the columns that are aligned to the right.
        title: a line above.
    """
    for line in lines(headers, rows, right=right, title=title, width=_width()):
        click.echo(line)


def paragraph(text: str) -> None:
    """Print a text; in a terminal its lines are broken at spaces."""
    if (width := _width()) is not None:
        text = "\n".join(part for line in text.split("\n") for part in _wrapped(line, width))
    click.echo(text)


def _width() -> int | None:
    """Return the columns of the terminal; None if standard output is no terminal, or is closed."""
    try:
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    except (AttributeError, ValueError):  # None, or closed
        return None


def lines(
    headers: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: frozenset[str] = frozenset(),
    title: str = "",
    width: int | None = None,
) -> Iterator[str]:
    """Yield the lines of a table; see `table`. Without a width a line may have any length."""
    cells = [[printable(cell) for cell in row] for row in rows]
    kept = [place for place, _ in enumerate(headers) if place == 0 or any(row[place] for row in cells)]
    names = [headers[place] for place in kept]
    cells = [[row[place] for place in kept] for row in cells]
    if title:
        yield printable(title)
    columns = list(zip(names, *cells, strict=True))
    widths = _fitting(names, columns, width)
    if widths is None:
        yield from _blocks(names, cells, width or 80)
        return
    yield click.style(_line(names, names, widths, right), bold=True)
    for row in cells:
        broken = [_wrapped(cell, size) for cell, size in zip(row, widths, strict=True)]
        for number in range(max(map(len, broken))):
            yield _line([part[number] if number < len(part) else "" for part in broken], names, widths, right)


def _fitting(names: Sequence[str], columns: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """Return the width of each column; None if the columns do not fit."""
    needed = [max(map(_columns, column)) for column in columns]
    most = None if width is None else width - len(GAP) * (len(names) - 1)
    if most is None or sum(needed) <= most:
        return needed
    least = {
        place: _least(columns[place]) for place, name in enumerate(names) if name in TEXTS and needed[place] > _LEAST
    }
    left = most - sum(size for place, size in enumerate(needed) if place not in least)
    reserved = sum(least.values())
    if not least or left < reserved:
        return None
    widths = list(needed)
    for number, place in enumerate(sorted(least, key=lambda place: needed[place])):
        reserved -= least[place]
        share = min(left // (len(least) - number), left - reserved)
        widths[place] = min(needed[place], max(least[place], share))
        left -= widths[place]
    return widths


def _least(column: Sequence[str]) -> int:
    """Return the least width of a column of texts: of its name, and of its longest word if it holds values."""
    name, *cells = column
    words = (word for cell in cells for word in cell.split(" ")) if name in VALUES else ()
    return max(_LEAST, _columns(name), *map(_columns, words))


def _blocks(names: Sequence[str], cells: Iterable[Sequence[str]], width: int) -> Iterator[str]:
    label = max(map(len, names))
    for number, row in enumerate(cells):
        if number:
            yield ""
        for name, cell in zip(names, row, strict=True):
            if cell:
                first, *others = _wrapped(cell, width - label - len(GAP)) if name in TEXTS else [cell]
                yield f"{click.style(name.ljust(label), bold=True)}{GAP}{first}"
                yield from (f"{' ' * label}{GAP}{line}" for line in others)


def _line(cells: Sequence[str], names: Sequence[str], widths: Sequence[int], right: frozenset[str]) -> str:
    padded = []
    for cell, name, width in zip(cells, names, widths, strict=True):
        space = " " * (width - _columns(cell))
        padded.append(space + cell if name in right else cell + space)
    return GAP.join(padded).rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    """Break a text at its spaces into lines of at most this many columns; break longer words anywhere."""
    if _columns(text) <= width:
        return [text]
    broken, line = [], ""
    for word in text.split(" "):
        if line and _columns(line) + 1 + _columns(word) > width:
            broken.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
        while _columns(line) > width:
            place = next(end for end in range(len(line), 0, -1) if _columns(line[:end]) <= width or end == 1)
            broken.append(line[:place])
            line = line[place:]
    return [*broken, line]


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )
