"""Ctrl-C and SIGTERM for the mock's process, on Linux, macOS and Windows."""

from __future__ import annotations

import signal
import socket

# SIGBREAK is Ctrl-Break on Windows: the only signal there that one process can send to another one.
_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]


class StopSignals:
    """Waits for a signal that asks the process to stop. A signal that comes before `wait` is not lost.

    Python writes a byte to the socket for each signal. Windows has neither `sigwait` nor blocked signals, and Ctrl-C
    does not end the wait for a lock there (https://docs.python.org/3/library/signal.html#signal.set_wakeup_fd).

    Use it in the main thread only.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno())
        for number in _NUMBERS:
            signal.signal(number, _do_nothing)

    def wait(self) -> None:
        """Return at the first signal."""
        self._reader.recv(1)


def _do_nothing(number: int, frame: object) -> None:
    """Replace the default, which would raise an exception or end the process."""
