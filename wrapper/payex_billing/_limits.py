"""How fast a client asks: so many requests a second, spread evenly."""

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
