"""Files that hold customer numbers: only their owner may read them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO


def make_private(path: Path) -> None:
    """Make the file if it is not there, and keep everybody but its owner from reading it."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    path.chmod(0o600)


def open_private(path: Path, newline: str | None = None) -> TextIO:
    """Open the file to be written anew, for nobody else to read."""
    make_private(path)
    return path.open("w", encoding="utf-8", newline=newline)
