"""The idle connections of a transport: httpcore2's own pool looks at every connection for every request."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from ._interface import KEEP_ALIVE


class Connection(Protocol):
    """What `Idle` holds. `idle_since` is a time of the monotonic clock."""

    idle_since: float

    def is_clean(self) -> bool:
        """Whether it is open, and nothing has arrived since its last response."""
        ...


C = TypeVar("C", bound=Connection)


class Idle(Generic[C]):
    """Connections that wait for a request; the last one that was used is taken first. Safe between threads.

    What is in `spent` must be closed by the transport.
    """

    def __init__(self) -> None:
        self._waiting: deque[C] = deque()
        self.spent: deque[C] = deque()

    def take(self, now: float) -> C | None:
        """A connection that can be used at once, if there is one."""
        # Another thread may empty the deque at any moment.
        with suppress(IndexError):
            while now - self._waiting[0].idle_since > KEEP_ALIVE:
                self.spent.append(self._waiting.popleft())
        with suppress(IndexError):
            while True:
                connection = self._waiting.pop()
                if connection.is_clean():
                    return connection
                self.spent.append(connection)
        return None

    def put(self, connection: C, now: float) -> None:
        """Keep a connection whose response was read to its end."""
        connection.idle_since = now
        (self._waiting if connection.is_clean() else self.spent).append(connection)

    def clear(self) -> None:
        """Keep none."""
        self.spent.extend(self._waiting)
        self._waiting.clear()
