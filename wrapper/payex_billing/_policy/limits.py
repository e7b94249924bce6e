"""How much one client asks of a server: so many requests a second, and so many of them again."""

from __future__ import annotations

import threading
from typing import Protocol

WINDOW = 1.0  # seconds over which requests are counted
LOWERED = 0.9  # a lowered rate is this share of the rate that the server accepted
STEADY = 30.0  # seconds after a 429 during which the rate rises slowly
SLOW_RISE, FAST_RISE = 1.01, 1.1  # factor a second
LEAST, MOST = 5.0, 10_000.0  # requests a second


class AnyPace(Protocol):
    """How many requests a second may be sent: by one client, or by all processes together."""

    def reserve(self, now: float, *, may_wait: bool = True) -> float:
        """Take the next place and return the seconds until then."""
        ...

    def again(self, now: float, due: float, *, may_wait: bool) -> float:
        """Return how many more seconds a request waits at a place that was `due`: a 429 may have arrived meanwhile."""
        ...

    def slow_down(self, now: float, seconds: float) -> None:
        """Delay requests by this many seconds, because the server sent a 429."""
        ...


class Pace:
    """How many requests a second a client sends. Pure: `reserve` returns how long to wait, and does not wait itself.

    A 429 delays every request that may wait until its Retry-After has passed. After that the client sends fewer
    requests a second than the server accepted before the 429, but at least 5. The rate rises by 1 % a second, after 30
    seconds by 10 %, until the next 429. Safe to share between threads.

    Args:
        rate: requests a second at most; None for no limit as long as the server sends no 429.
    """

    def __init__(self, rate: float | None = None) -> None:
        self._gap = 0.0 if rate is None else 1.0 / rate
        self._is_free = rate is None  # no request waits, because there is no limit and the server sent no 429
        self._next = 0.0
        self._held_until = 0.0
        self._lowered: float | None = None  # requests a second, at `_lowered_at`
        self._lowered_at = 0.0
        self._burst, self._burst_seconds, self._least = 0, WINDOW, LEAST  # requests before a 429, less the refused ones
        self._began, self._count = 0.0, 0  # the current window
        self._previous_began, self._previous_count = 0.0, 0
        self._lock = threading.Lock()

    def reserve(self, now: float, *, may_wait: bool = True) -> float:
        """Take the next place and return the seconds until then. A 429 does not delay a request that may not wait."""
        if self._is_free and now - self._began < WINDOW:
            self._count += 1  # no lock, because the count is an estimate and every call passes here
            return 0.0
        with self._lock:
            if now - self._began >= WINDOW:
                self._previous_began, self._previous_count = self._began, self._count
                self._began, self._count = now, 0
            self._count += 1
            if may_wait and (self._lowered is not None or now < self._held_until):
                return self._place(now)
            place = max(self._next, now) if self._gap else now
            self._next = max(self._next, place + self._gap)
            return place - now

    def again(self, now: float, due: float, *, may_wait: bool) -> float:
        """Return how many more seconds a request waits if a 429 has arrived meanwhile; 0 if it may not wait."""
        with self._lock:
            return self._place(now) if may_wait and now < self._held_until else 0.0

    def _place(self, now: float) -> float:
        place = max(self._next, now, self._held_until)
        self._next = place + max(self._gap, self._lowered_gap(now))
        return place - now

    def slow_down(self, now: float, seconds: float) -> None:
        """Delay the requests that may wait by this many seconds, because the server sent a 429.

        The server sends a 429 for each refused request of a burst. It accepted the other requests of the burst, so the
        client derives the rate from their number. A 429 without a Retry-After does not change the rate.
        """
        if seconds <= 0:
            return
        with self._lock:
            if now >= self._held_until:
                self._burst, elapsed = self._count, now - self._began
                if elapsed < WINDOW and now - self._previous_began < 3 * WINDOW:
                    self._burst, elapsed = self._burst + self._previous_count, now - self._previous_began
                self._burst_seconds = max(elapsed, seconds, WINDOW)
                before = self._burst / self._burst_seconds
                self._least = (before if self._lowered is None else self._rate(self._lowered, now)) / 4
            self._is_free = False
            self._burst -= 1
            self._lowered = max(LOWERED * self._burst / self._burst_seconds, self._least, LEAST)
            self._held_until = max(self._held_until, now + seconds)
            self._lowered_at = self._held_until

    def _lowered_gap(self, now: float) -> float:
        if self._lowered is None:
            return 0.0
        rate = self._rate(self._lowered, now)
        if rate >= MOST:
            self._lowered, self._is_free = None, not self._gap
            return 0.0
        return 1.0 / rate

    def _rate(self, lowered: float, now: float) -> float:
        """Return the current rate: the lowered rate, and its rise since then."""
        return risen(lowered, now - self._lowered_at)


def risen(lowered: float, seconds: float) -> float:
    """Return the current rate in requests a second.

    Args:
        lowered: the rate after the last 429.
        seconds: the time since the Retry-After of that 429 ended.
    """
    slow, fast = min(max(0.0, seconds), STEADY), min(max(0.0, seconds - STEADY), 300.0)
    rate: float = lowered * SLOW_RISE**slow * FAST_RISE**fast
    return min(rate, MOST)


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
