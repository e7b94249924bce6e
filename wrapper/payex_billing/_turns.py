"""Locks by key: what must not happen twice at once for the same thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

LockT = TypeVar("LockT")


class Turns(Generic[LockT]):
    """A lock for each key, as long as somebody holds it or waits for it. Safe to share between threads.

    Args:
        make: makes a lock, such as `threading.Lock`.
    """

    def __init__(self, make: Callable[[], LockT]) -> None:
        self._make = make
        self._guard = threading.Lock()
        self._locks: WeakValueDictionary[Hashable, LockT] = WeakValueDictionary()

    def of(self, key: Hashable) -> LockT:
        """The lock of a key."""
        with self._guard:
            lock = self._locks.get(key)
            if lock is None:
                lock = self._locks[key] = self._make()
            return lock
