"""A request that goes on when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Unstoppable(Awaitable[T], Generic[T]):
    """Awaits a coroutine that goes on when the awaiting task is cancelled.

    `asyncio.shield` does the same with a task for each call. Measured at 64 workers, a typed GET then costs 7 to 14 %
    more CPU. Here a task is made only when the caller is cancelled; it takes the coroutine to its end. This works only
    for coroutines whose pending step may be polled at any time, as those of pyreqwest may.

    Args:
        coroutine: the work.
        ended: called when the work has ended, however late.
        adopted: holds the tasks of cancelled callers until they have ended.
    """

    __slots__ = ("_adopted", "_coroutine", "_ended")

    def __init__(
        self, coroutine: Coroutine[Any, Any, T], ended: Callable[[], None], adopted: set[asyncio.Task[T]]
    ) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._adopted = adopted

    def __await__(self) -> Generator[Any, Any, T]:
        proceed, left_alone = self._coroutine.send, False
        try:
            pending = proceed(None)
            while True:
                try:
                    yield pending
                except asyncio.CancelledError:
                    left_alone = True
                    raise
                pending = proceed(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            if left_alone:
                task = asyncio.ensure_future(self._coroutine)
                self._adopted.add(task)
                task.add_done_callback(self._end)
            else:
                self._ended()

    def _end(self, task: asyncio.Task[T]) -> None:
        self._adopted.discard(task)
        self._ended()
