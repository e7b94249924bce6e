"""How much one client asks of a server: so many requests a second, and so many of them again."""

from __future__ import annotations

import threading


class Pace:
    """At most `rate` requests a second. Pure: it says how long to wait, and does not wait itself.

    Safe to share between threads.
    """

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self, now: float) -> float:
        """Take the next place; returns the seconds until it comes."""
        with self._lock:
            place = max(self._next, now)
            self._next = place + self._gap
            return place - now


class RetryBudget:
    """Limits the retries of one client, so that a server in trouble is not sent several times the load.

    A token bucket: a retry takes one, an answered first attempt gives a tenth back. Safe to share between threads.
    """

    def __init__(self, capacity: float = 20.0, refill: float = 0.1) -> None:
        self._capacity = capacity
        self._refill = refill
        self._left = capacity
        self._lock = threading.Lock()

    @property
    def left(self) -> float:
        """Retries that are left."""
        return self._left

    def take(self) -> bool:
        """Take one retry, if there is one."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True

    def give(self) -> None:
        """Give back for a success."""
        if self._left < self._capacity:  # unlocked on purpose: a stale read costs a tenth of a retry
            with self._lock:
                self._left = min(self._capacity, self._left + self._refill)
