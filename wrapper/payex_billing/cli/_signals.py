"""Ctrl-C and SIGTERM in the command line, from the first import to the exit code.

asyncio handles signals only as long as its loop runs. A SIGTERM a moment later, while the report is written, would kill
the process although all is done.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# SIGBREAK is Ctrl-Break on Windows: the only signal there that one process can send to another one.
_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


class Signals:
    """Decides what a signal does: by default it interrupts, and SIGTERM does what Ctrl-C does."""

    def __init__(self) -> None:
        self._handler: Callable[[], object] | None = None
        self._ignored = 0  # how many signals to ignore

    def install(self) -> None:
        """Handle the signals until the process ends."""
        for number in _NUMBERS:
            signal.signal(number, self._received)

    def ignore(self) -> None:
        """Ignore the signals from now on, because the command has written its last output."""
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def handled_by(self, handler: Callable[[], object], *, then_ignored: bool) -> Iterator[None]:
        """Call `handler` for each signal.

        Args:
            handler: what to call.
            then_ignored: whether to ignore one signal afterwards, because all is done but the report.
        """
        self._handler = handler
        try:
            yield
        finally:
            if self._handler is not None:  # nobody has asked to interrupt
                self._handler, self._ignored = None, int(then_ignored)

    def interrupt_at_the_next(self) -> None:
        """Let the next signal interrupt, whatever handler there is."""
        self._handler, self._ignored = None, 0

    def _received(self, number: int, frame: object) -> None:
        if self._handler is not None:
            self._handler()
        elif self._ignored:
            self._ignored -= 1
        else:
            raise KeyboardInterrupt


signals = Signals()
