"""Locks by key, for threads and for an event loop. Work for the same key runs one at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

LockT = TypeVar("LockT")


class _Locks(Generic[LockT]):
    """One lock for each key, kept while a thread or task holds or awaits the lock. Safe to share between threads."""

    def __init__(self, make: Callable[[], LockT]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[Hashable, LockT] = WeakValueDictionary()

    def of(self, key: Hashable) -> LockT:
        """Return the lock of a key."""
        with self._guard:
            lock = self._locks.get(key)
            if lock is None:
                lock = self._locks[key] = self._make()
            return lock


class Turns(_Locks["threading.Lock"]):
    """One lock for each key, for threads."""

    def __init__(self) -> None:
        super().__init__(threading.Lock)

    def take(self, key: Hashable, seconds: float) -> threading.Lock | None:
        """Acquire the lock of a key and return it; None if it does not come free in time."""
        lock = self.of(key)
        return lock if lock.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)) else None


class AsyncTurns(_Locks[asyncio.Lock]):
    """One lock for each key, for the tasks of one event loop."""

    def __init__(self) -> None:
        super().__init__(asyncio.Lock)

    async def take(self, key: Hashable, seconds: float) -> asyncio.Lock | None:
        """Acquire the lock of a key and return it; None if it does not come free in time."""
        lock = self.of(key)
        try:
            async with asyncio.timeout(seconds):
                await lock.acquire()
        except TimeoutError:
            return None
        return lock
