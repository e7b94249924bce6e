"""Files of text: packed or not, in UTF-8, UTF-16 or cp1252, line by line. The encoding is chosen by the whole file."""

from __future__ import annotations

import codecs
import gzip
import io
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import attrs

from ._cells import UNREADABLE
from ._columns import TableError

# The longer mark of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_GZIP, _ZSTANDARD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_OTHERS = {
    b"PK\x03\x04": ("a workbook or another zip file", ".xlsx"),
    b"PAR1": ("a Parquet file", ".parquet"),
    b"\xd0\xcf\x11\xe0": ("an old or protected workbook", ".xlsx"),
}
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")  # what `surrogateescape` decodes bytes to that are not UTF-8
_NOT_ASCII = re.compile(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*")
_SHOWN = 40  # characters of an example


@attrs.frozen(kw_only=True)
class TextFile:
    """A file of text whose encoding is known.

    Attributes:
        path: the file.
        encoding: its encoding; what cannot be decoded is read as U+FFFD.
        notes: sentences that a user must see.
        foreign: the lines of a cp1252 file that are UTF-8, so that nobody can know what they say.
    """

    path: Path
    encoding: str
    notes: tuple[str, ...] = ()
    foreign: frozenset[int] = frozenset()

    @contextmanager
    def lines(self) -> Iterator[TextIO]:
        """Open it; its line ends stay as they are."""
        with (
            _unpacked(self.path) as binary,
            io.TextIOWrapper(binary, encoding=self.encoding, errors="replace", newline="") as text,
        ):
            yield text


def open_text(path: Path, encoding: str | None) -> TextFile:
    """Find out the encoding of a file.

    A mark at the start of the file decides. Without one it is the encoding that the caller names. Else it is UTF-8 if
    that fits more lines with other than ASCII characters than it does not, and cp1252 if not.

    Raises:
        TableError: there is no such encoding, or the file is not text.
    """
    with _unpacked(path) as file:
        head = file.read(64)
    for magic, (what, ending) in _OTHERS.items():
        if head.startswith(magic):
            raise TableError(f"{path}: is {what}, and not text as its name says. Give it a name that ends in {ending}")
    if not head:
        raise TableError(f"{path}: is empty: a header with the names of the columns is needed")
    for mark, marked in _MARKS.items():
        if head.startswith(mark):
            notes = () if marked == "utf-8-sig" else (f"The file is read as {marked.upper()}, as its first bytes say.",)
            return TextFile(path=path, encoding=marked, notes=notes)
    if encoding is not None:
        return TextFile(path=path, encoding=_known(encoding, path))
    if (without_mark := _utf_16(head)) is not None:
        note = f"The file is read as {without_mark.upper()}: every second byte of it is 0."
        return TextFile(path=path, encoding=without_mark, notes=(note,))
    return _by_lines(path)


def _known(encoding: str, path: Path) -> str:
    try:
        codecs.lookup(encoding)
        "".encode(encoding)  # refuses codecs that are no encodings of text, such as hex
    except LookupError:
        raise TableError(f"{path}: there is no encoding {encoding!r}") from None
    return encoding


def _utf_16(head: bytes) -> str | None:
    """UTF-16 without a mark, if the header, which is ASCII, looks like it."""
    first, second = head[: len(head) // 2 * 2 : 2], head[1::2]
    if len(head) < 4 or (any(first) and any(second)):
        return None
    return "utf-16-le" if any(first) else "utf-16-be"


def _by_lines(path: Path) -> TextFile:
    """Choose between UTF-8 and cp1252."""
    fitting, failing = array("q"), array("q")  # a list of millions of numbers would take 5 times the memory
    with _unpacked(path) as file, io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.isascii():
                (failing if _NOT_UTF_8.search(line) else fitting).append(number)
    if not failing:
        return TextFile(path=path, encoding="utf-8")
    if len(fitting) >= len(failing):
        told = f"The file is read as UTF-8, but line {failing[0]} {_and_more(failing)}has bytes that are not UTF-8."
        return TextFile(path=path, encoding="utf-8", notes=(f"{told} Cells with such bytes are rejected.",))
    found = TextFile(path=path, encoding="cp1252", foreign=frozenset(fitting))
    told = (
        f"The file is read as cp1252 (Windows, Western Europe), because it is not UTF-8{_example(found, failing[0])}."
    )
    notes = [f"{told} If that is wrong, name its encoding with --encoding."]
    if fitting:
        notes.append(
            f"But line {fitting[0]} {_and_more(fitting)}is UTF-8. Cells there that are not ASCII are rejected."
        )
    return attrs.evolve(found, notes=tuple(notes))


def _and_more(lines: Sequence[int]) -> str:
    return f"and {len(lines) - 1:,} more " if len(lines) > 1 else ""


def _example(file: TextFile, wanted: int) -> str:
    """A word of the line, so that a person sees whether the encoding is right."""
    with file.lines() as lines:
        for number, line in enumerate(lines, start=1):
            if number == wanted and (word := _NOT_ASCII.search(line.replace(UNREADABLE, ""))):
                return f": line {number} says {word[0][:_SHOWN]!r}"
    return ""


@contextmanager
def _unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, and unpack it if it is packed."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        if head.startswith(_GZIP):
            with gzip.open(file) as unpacked:
                yield cast("BinaryIO", unpacked)
        elif head != _ZSTANDARD:
            yield file
        else:
            if sys.version_info >= (3, 14):
                from compression import zstd  # noqa: PLC0415 - rarely needed
            else:
                from backports import zstd  # noqa: PLC0415 - an extra, rarely needed
            try:
                with zstd.open(file) as unpacked:
                    yield cast("BinaryIO", unpacked)
            except zstd.ZstdError as error:
                raise TableError(f"{path}: cannot be read: {error}") from None
