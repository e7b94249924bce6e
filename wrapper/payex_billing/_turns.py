"""Locks by key, for work that must not run twice at once for the same key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

LockT = TypeVar("LockT")


class Turns(Generic[LockT]):
    """One lock for each key, kept while a thread or task uses or awaits it. Safe to share between threads.

    Args:
        make: returns a new lock, such as `threading.Lock`.
    """

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
