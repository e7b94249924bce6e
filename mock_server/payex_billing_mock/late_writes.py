"""Writes that take effect after their response: what the fault `late-commit` leaves behind."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

WAIT_SECONDS = 60.0


class LateWrites:
    """The writes that have not taken effect yet. Safe to use from several threads; each write happens once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # also held while a write takes effect, so that `wait` waits for that
        self._pending: list[tuple[float, Callable[[], object]]] = []

    def __len__(self) -> int:
        with self._changed:
            return len(self._pending)

    def add(self, seconds: float, carry_out: Callable[[], object]) -> None:
        """Note a write that takes effect in the first call of `carry_out_due` after so many seconds."""
        with self._changed:
            self._pending.append((time.monotonic() + seconds, carry_out))
            self._changed.notify_all()

    def carry_out_due(self) -> None:
        """Make the writes take effect whose time has come, in the order of their times."""
        self._carry_out_until(time.monotonic())

    def carry_out_all(self) -> None:
        """Make every write take effect now, in the order of their times."""
        self._carry_out_until(math.inf)

    def wait(self, seconds: float) -> None:
        """Return when every write has taken effect, each at its own time.

        Raises:
            TimeoutError: some writes have not taken effect after so many seconds.
        """
        ends = time.monotonic() + seconds
        with self._changed:
            while True:
                self.carry_out_due()
                if not self._pending:
                    return
                now = time.monotonic()
                if now >= ends:
                    count = len(self._pending)
                    subject = "1 late write has" if count == 1 else f"{count} late writes have"
                    raise TimeoutError(f"{subject} not taken effect after {seconds:g} s")
                self._changed.wait(max(0.0, min(ends, *(due for due, _ in self._pending)) - now))

    def forget(self) -> None:
        """Drop every write that has not taken effect."""
        with self._changed:
            self._pending.clear()
            self._changed.notify_all()

    def _carry_out_until(self, time_: float) -> None:
        with self._changed, ExitStack() as writes:  # the stack calls every write, even if an earlier one fails
            due = sorted((write for write in self._pending if write[0] <= time_), key=lambda write: write[0])
            self._pending = [write for write in self._pending if write not in due]
            for _, carry_out in reversed(due):
                writes.callback(carry_out)
