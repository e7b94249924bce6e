"""Locks between runs: one run at a time, or shards of the same count beside one another. Also across processes.

The operating system releases a lock when its process ends, for whatever reason.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

from ._private import make_private
from ._selection import Shard


class Locked(Exception):
    """Another run has the lock."""


class NoLock(Exception):
    """The lock cannot be used; the text names the file and the reason."""


def hold(stack: ExitStack, base: Path, shard: Shard | None) -> None:
    """Take the lock of a whole run, or of a shard, until the stack is closed.

    Args:
        stack: keeps the lock.
        base: the path that the names of the lock files begin with.
        shard: the part of the customers that the run writes; None for all.

    Raises:
        Locked: another run has it.
        NoLock: the lock files cannot be used.
    """
    # A whole run locks the first file exclusively; runs of shards share that lock, and each locks a file of its own.
    _take(stack, base.with_name(f"{base.name}.lock"), shared=shard is not None)
    if shard is None:
        return
    _take(stack, base.with_name(f"{base.name}.{shard.index}-of-{shard.count}.lock"))
    for other in base.parent.glob(f"{_escaped(base.name)}.*-of-*.lock"):
        if not other.name.endswith(f"-of-{shard.count}.lock"):
            # Shards of another count overlap with this one.
            with ExitStack() as probe:
                _take(probe, other)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _take(stack: ExitStack, path: Path, *, shared: bool = False) -> None:
    try:
        make_private(path)
        connection = stack.enter_context(closing(sqlite3.connect(path, timeout=0, isolation_level=None)))
        connection.execute("BEGIN" if shared else "BEGIN EXCLUSIVE")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
            raise Locked from None
        raise NoLock(f"{path}: cannot be used as a lock: {error}") from None
