"""Files that contain customer numbers. Only their owner may read them."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TextIO


def make_private(path: Path) -> None:
    """Create the file if it does not exist, and set its mode to 0600.

    The mode of a pipe or a device, such as /dev/null, stays as it is: other programs need it.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        # Do not open an existing file: when a process closes one descriptor of a file, POSIX drops all its locks on it.
        if stat.S_ISREG(path.stat().st_mode):
            path.chmod(0o600)


def open_private(path: Path, newline: str | None = None) -> TextIO:
    """Open the file for writing, with mode 0600. An existing file is emptied."""
    make_private(path)
    return path.open("w", encoding="utf-8", newline=newline)
