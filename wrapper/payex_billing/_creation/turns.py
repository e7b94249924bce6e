"""Locks by key, for threads and for an event loop. Work for the same key runs one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Turns:
    """One lock for each key, for threads. A lock is kept while a thread holds or awaits it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # two threads must not make a lock for the same key
        self._locks: WeakValueDictionary[Hashable, threading.Lock] = WeakValueDictionary()

    def take(self, key: Hashable, seconds: float) -> threading.Lock | None:
        """Acquire the lock of a key and return it; None if it does not come free in time."""
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        return lock if lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)) else None


class AsyncTurns:
    """One lock for each key, for the tasks of one event loop. A lock is kept while a task holds or awaits it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    async def take(self, key: Hashable, seconds: float) -> asyncio.Lock | None:
        """Acquire the lock of a key and return it; None if it does not come free in time."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        try:
            async with asyncio.timeout(seconds):
                await lock.acquire()
        except TimeoutError:
            return None
        return lock
