"""Undoes the Content-Encoding of a response while it arrives, so that a small response cannot fill the memory."""

from __future__ import annotations

import zlib
from typing import Protocol

from .._evidence import Phase
from ._interface import MAX_RESPONSE_BYTES, TOO_LARGE, Failure

_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
_BROKEN = Failure(Phase.ANSWER_LOST, "the body of the response cannot be decompressed")


class Body(Protocol):
    """The body of one response, piece by piece."""

    def add(self, piece: bytes) -> Failure | None:
        """Take a piece; a failure if the body is too large or broken."""

    def end(self) -> bytes | Failure:
        """The whole body."""


class _Plain:
    """A body without an encoding."""

    def __init__(self) -> None:
        self._content = bytearray()

    def add(self, piece: bytes) -> Failure | None:
        self._content += piece
        return TOO_LARGE if len(self._content) > MAX_RESPONSE_BYTES else None

    def end(self) -> bytes | Failure:
        return bytes(self._content)


class _Compressed:
    """A body in gzip or deflate. One layer: more are a way to fill the memory, and no server needs them."""

    def __init__(self) -> None:
        self._content = bytearray()
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 32)  # the header tells gzip from deflate
        self._empty = True

    def add(self, piece: bytes) -> Failure | None:
        self._empty = self._empty and not piece
        try:
            self._content += self._decoder.decompress(piece, MAX_RESPONSE_BYTES + 1 - len(self._content))
        except zlib.error:
            return _BROKEN
        # What the decoder did not take because of the limit is too much; bytes after the end are no part of the body.
        if len(self._content) > MAX_RESPONSE_BYTES or self._decoder.unconsumed_tail:
            return TOO_LARGE
        return _BROKEN if self._decoder.unused_data else None

    def end(self) -> bytes | Failure:
        return bytes(self._content) if self._decoder.eof or self._empty else _BROKEN


def body_of(encoding: str | None) -> Body:
    """A reader for the body of a response with this Content-Encoding.

    An encoding that was not asked for, or several layers, stay undone: the status still counts.
    """
    return _Compressed() if encoding is not None and encoding.strip().lower() in _ENCODINGS else _Plain()
