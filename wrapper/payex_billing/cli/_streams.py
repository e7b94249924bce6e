"""Standard output that cannot be written: the disk is full, or nobody reads it any more."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

_OF_OUTPUT = {errno.ENOSPC, errno.EDQUOT, errno.EPIPE, errno.EIO, errno.EBADF, errno.EFBIG}


def is_output(error: OSError) -> bool:
    """Return whether an error comes from standard output. Such an error names no file."""
    return error.filename is None and error.errno in _OF_OUTPUT


def unwritable(error: OSError) -> str:
    """Return what went wrong. Discard further output, because the flush at the end of the process would fail again."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
    return f"standard output cannot be written: {error.strerror or error}"
