"""Writes that take effect after their response: what the fault `late-commit` leaves behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

WAIT_SECONDS = 60.0


@dataclass(eq=False, slots=True)
class LateWrite:
    """One write that has not taken effect yet.

    Attributes:
        due: when it takes effect, on the clock `time.monotonic`.
        carry_out: makes it take effect.
        has_timer: whether a server's event loop carries it out; otherwise `LateWrites` does.
    """

    due: float
    carry_out: Callable[[], object]
    has_timer: bool


class LateWrites:
    """The writes that have not taken effect yet. Safe to use from several threads; each write happens once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: list[LateWrite] = []  # includes a write that is being carried out
        self._started: set[LateWrite] = set()

    def __len__(self) -> int:
        with self._changed:
            return len(self._pending)

    def add(self, seconds: float, carry_out: Callable[[], object], *, has_timer: bool = False) -> LateWrite:
        """Note a write that takes effect after so many seconds."""
        write = LateWrite(time.monotonic() + seconds, carry_out, has_timer)
        with self._changed:
            self._pending.append(write)
            self._changed.notify_all()
        return write

    def carry_out(self, write: LateWrite) -> None:
        """Make a write take effect now, unless it already did, or was forgotten."""
        with self._changed:
            if write not in self._pending or write in self._started:
                return
            self._started.add(write)
        try:
            write.carry_out()
        finally:
            with self._changed:
                self._pending.remove(write)
                self._started.discard(write)
                self._changed.notify_all()

    def carry_out_due(self) -> None:
        """Make the writes without a timer take effect whose time has come, in the order of their times."""
        now = time.monotonic()
        for write in self._without_timer():
            if write.due <= now:
                self.carry_out(write)

    def wait(self, seconds: float) -> None:
        """Return when every write has taken effect, each at its own time.

        Raises:
            TimeoutError: some writes have not taken effect after so many seconds.
        """
        ends = time.monotonic() + seconds
        while True:
            self.carry_out_due()
            with self._changed:
                due = [write.due for write in self._without_timer()]
                if not self._pending:
                    return
                now = time.monotonic()
                if now >= ends:
                    count = len(self._pending)
                    subject = "1 late write has" if count == 1 else f"{count} late writes have"
                    raise TimeoutError(f"{subject} not taken effect after {seconds:g} s")
                self._changed.wait(max(0.0, min([ends, *due]) - now))

    def forget(self) -> None:
        """Drop every write that has not begun to take effect."""
        with self._changed:
            self._pending = [write for write in self._pending if write in self._started]
            self._changed.notify_all()

    def _without_timer(self) -> list[LateWrite]:
        with self._changed:
            waiting = [write for write in self._pending if not write.has_timer and write not in self._started]
        return sorted(waiting, key=lambda write: write.due)
