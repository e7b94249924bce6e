"""One pace for all processes that send to a ledger: a database hands out slices of time.

A process takes a slice, sends as many requests in it as the pace allows, and takes the next one. A 429 delays the
slices of every process and lowers the pace, which then rises by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Self

import attrs

from .._policy.limits import LEAST, risen

SLICE: Final = 0.25  # seconds
LOWERED: Final = 0.7  # a lowered pace is this share of the pace before


@attrs.frozen(kw_only=True)
class PaceState:
    """What all processes share. Times are in seconds since 1970.

    Attributes:
        next: when the next slice may begin.
        held_until: when the wait ends that the last 429 asked for.
        before: requests a second before the last 429; 0 before the first 429.
        lowered_at: when the pace began to rise again.
        began: when the present count began.
        count: requests since then.
        rate: requests a second in the count before.
    """

    next: float = 0.0
    held_until: float = 0.0
    before: float = 0.0
    lowered_at: float = 0.0
    began: float = 0.0
    count: int = 0
    rate: float = 0.0

    def most(self, now: float, limit: float | None) -> float | None:
        """Return the requests a second that are allowed now; None for any number."""
        if not self.before:
            return limit
        rate = risen(max(LEAST, LOWERED * self.before), now - self.lowered_at)
        return rate if limit is None else min(limit, rate)

    def taken(self, now: float, limit: float | None, used: int, wanted: int | None) -> tuple[Self, Slice]:
        """Take the next slice.

        Args:
            now: the time.
            limit: requests a second at most; None for no limit.
            used: requests that the process has sent since it took its last slice.
            wanted: requests that the process can send in the slice; None for any number.
        """
        state = self._counted(now, used)
        most = self.most(now, limit)
        begins = max(now, self.held_until)
        if most is None:
            return state, Slice(begins=begins, ends=begins + SLICE, gap=0.0, places=0)
        begins = max(begins, self.next)
        places = max(1, round(most * SLICE))
        if wanted is not None:
            places = min(places, max(1, wanted))
        ends = begins + places / most
        return attrs.evolve(state, next=ends), Slice(begins=begins, ends=ends, gap=1 / most, places=places)

    def slowed(self, now: float, seconds: float, limit: float | None, used: int) -> Self:
        """Wait after a 429, and lower the pace: once for all the 429 of one burst."""
        state = self._counted(now, used)
        until = max(self.held_until, now + seconds)
        if now < self.held_until:
            return attrs.evolve(state, held_until=until, lowered_at=until)
        elapsed = max(1.0, now - state.began)
        sent = max(state.rate, state.count / elapsed)
        before = min(filter(None, (self.most(now, limit), sent or None)), default=LEAST)
        # The count begins anew after the wait: nobody sends in it, so that the next 429 would find a pace far too low.
        return attrs.evolve(
            state, held_until=until, before=max(LEAST, before), lowered_at=until, began=until, count=0, rate=sent
        )

    def _counted(self, now: float, used: int) -> Self:
        if now - self.began < 1.0:
            return attrs.evolve(self, count=self.count + used)
        return attrs.evolve(self, began=now, count=used, rate=self.count / max(1.0, now - self.began))


@attrs.frozen(kw_only=True)
class Slice:
    """A time in which a process may send.

    Attributes:
        begins: when it begins, in seconds since 1970.
        ends: when it ends.
        gap: seconds between two requests; 0 for any number of requests.
        places: the requests that it has room for; 0 for any number.
    """

    begins: float
    ends: float
    gap: float
    places: int


Step = Callable[[PaceState, float], tuple[PaceState, Slice | None]]
Change = Callable[[Step], tuple[PaceState, Slice | None, float]]


class SharedPace:
    """The pace of one process: the same methods as `Pace` of a client. Safe to share between threads.

    Args:
        change: changes the shared state by a function of the state and the time; returns the new state, what the
            function returned beside it, and that time less the seconds that the change took.
        limit: requests a second of all processes together at most; None for no limit.
    """

    def __init__(self, change: Change, limit: float | None) -> None:
        self._change = change
        self._limit = limit
        self._lock = threading.Lock()
        self._used = self._places = 0
        # By the monotonic clock of the client.
        self._next = self._ends = self._held_until = self._heard = float("-inf")
        self._gap = 0.0

    def reserve(self, now: float, *, may_wait: bool = True) -> float:
        """Take the next place and return the seconds until then."""
        with self._lock:
            place = max(self._next, now)
            # Seconds since 1970 are rounded, so the last place may seem to reach over the end.
            if place + self._gap / 2 > self._ends:
                place = max(self._take(now), now)
            self._next = place + self._gap
            self._used += 1
            return place - now if may_wait or self._limit is not None else 0.0

    def _take(self, now: float) -> float:
        wanted = self._wanted(now)
        taken, shared = self._ask(now, lambda state, at: state.taken(at, self._limit, self._used, wanted))
        self._used = 0
        assert taken is not None  # noqa: S101 - `taken` returns a slice
        self._ends = now + (taken.ends - shared)
        self._gap, self._places = taken.gap, taken.places
        return now + (taken.begins - shared)

    def _wanted(self, now: float) -> int | None:
        """Return how many places to ask for: what the process does not use, no other process can use."""
        if not self._places or self._used < self._places:
            return self._used or None
        return self._places * 2 if now < self._ends else self._places

    def _ask(self, now: float, step: Step) -> tuple[Slice | None, float]:
        state, taken, shared = self._change(step)
        self._heard = now
        self._held_until = now + (state.held_until - shared)
        return taken, shared

    def again(self, now: float, due: float, *, may_wait: bool) -> float:
        """Return how many more seconds a request waits at a place that was due.

        A 429 may have arrived meanwhile. A request that is late by more than half a slice and more than the gap between
        two places needs a new place. Its process was stopped, and other processes send now.
        """
        with self._lock:
            if now - self._heard >= SLICE:
                self._ask(now, lambda state, _: (state, None))
            if now >= self._held_until and now - due <= max(SLICE / 2, self._gap):
                return 0.0
            if now < self._held_until:
                self._ends = float("-inf")
        return self.reserve(now, may_wait=may_wait)

    def slow_down(self, now: float, seconds: float) -> None:
        """Delay the requests of every process by this many seconds, because the server sent a 429."""
        if seconds <= 0:
            return
        with self._lock:
            self._ask(now, lambda state, at: (state.slowed(at, seconds, self._limit, self._used), None))
            self._used = 0
            self._next = self._ends = float("-inf")  # the next request takes a new slice
