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
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take(self) -> bool:
        """Take a place, if one is free."""
        if self._free and not self._waiting:
            self._free -= 1
            return True
        return False

    async def wait(self, seconds: float) -> bool:
        """Wait for a place; False if none came free in time."""
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            async with asyncio.timeout(seconds):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():
                self.leave()  # it came free, but too late
            else:
                self._waiting.remove(place)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give a place back: to the first who waits."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1


class Unstoppable(Awaitable[T], Generic[T]):
    """Awaits a coroutine that goes on when who awaits it is cancelled; `asyncio.shield` needs a task for each.

    Only on a cancellation is a task made, which takes the coroutine to its end. For coroutines whose pending step may
    be polled at any time, as those of Rust's futures may.

    Args:
        coroutine: what is to be done.
        adopt: keeps the task until it has ended.
    """

    __slots__ = ("_adopt", "_coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, T], adopt: Callable[[asyncio.Task[T]], None]) -> None:
        self._coroutine = coroutine
        self._adopt = adopt

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._coroutine
        try:
            pending = steps.send(None)
            while True:
                try:
                    yield pending
                except asyncio.CancelledError:
                    self._adopt(asyncio.ensure_future(steps))
                    raise
                pending = steps.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
