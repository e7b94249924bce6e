"""How many requests of an asynchronous client may be under way, and requests that outlive who asked for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Places:
    """So many places, for the tasks of one event loop. Who comes first is served first.

    `asyncio.Semaphore` does the same with a coroutine for each; here a free place costs nothing.
    """

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[asyncio.Future[bool]] = deque()

    def take(self) -> bool:
        """Take a place, if one is free."""
        if self._free and not self._waiting:
            self._free -= 1
            return True
        return False

    async def wait(self, seconds: float) -> bool:
        """Wait for a place; False if none came free in time."""
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        timer = loop.call_later(seconds, _give_up, place)
        self._waiting.append(place)
        try:
            return await place
        except BaseException:
            if place.done() and not place.cancelled() and place.result():
                self.leave()  # it came free, but too late
            raise
        finally:
            timer.cancel()

    def leave(self) -> None:
        """Give a place back: to the first who waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(True)
                return
        self._free += 1


def _give_up(place: asyncio.Future[bool]) -> None:
    if not place.done():
        place.set_result(False)


class Unstoppable(Awaitable[T], Generic[T]):
    """Awaits a coroutine that goes on when who awaits it is cancelled; `asyncio.shield` needs a task for each.

    Only on a cancellation is a task made, which takes the coroutine to its end. For coroutines whose pending step may
    be polled at any time, as those of Rust's futures may.

    Args:
        coroutine: what is to be done.
        ended: called once it has ended, however late.
        adopted: keeps the task until then.
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
