"""Undoes the Content-Encoding of a response while it arrives, so that a small response cannot fill the memory."""

from __future__ import annotations

import zlib

from .._evidence import Phase
from ._interface import MAX_RESPONSE_BYTES, TOO_LARGE, Failure

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": zlib.MAX_WBITS}
_BROKEN = Failure(Phase.ANSWER_LOST, "the body of the response cannot be decompressed")


class Body:
    """The body of one response, piece by piece: plain, or one layer of gzip or deflate.

    More layers are a way to fill the memory, and no server needs them.

    Args:
        window: the `wbits` of zlib: 31 for gzip, 15 for deflate; None for a body without an encoding.
    """

    def __init__(self, window: int | None) -> None:
        self._content = bytearray()
        self._decoder = None if window is None else zlib.decompressobj(window)
        self._empty = True

    def add(self, piece: bytes) -> Failure | None:
        """Take a piece; a failure if the body is too large or broken."""
        self._empty = self._empty and not piece
        if self._decoder is None:
            self._content += piece
        elif not self._decoder.eof:  # bytes behind the end are no part of the body
            try:
                self._content += self._decoder.decompress(piece, MAX_RESPONSE_BYTES + 1 - len(self._content))
            except zlib.error:
                return _BROKEN
            if self._decoder.unconsumed_tail:  # what the decoder did not take because of the limit is too much
                return TOO_LARGE
        return TOO_LARGE if len(self._content) > MAX_RESPONSE_BYTES else None

    def end(self) -> bytes | Failure:
        """Return the whole body."""
        is_whole = self._decoder is None or self._decoder.eof or self._empty
        return bytes(self._content) if is_whole else _BROKEN


def body_of(encoding: str | None) -> Body:
    """A reader for the body of a response with this Content-Encoding.

    An encoding that was not asked for, or several layers, stay undone: the status still counts.
    """
    return Body(None if encoding is None else _WINDOWS.get(encoding.strip().lower()))
