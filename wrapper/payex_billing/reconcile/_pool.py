"""Work on many customers at once; a customer that must wait is parked, and the others continue."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

import attrs

from .._text import counted
from ..errors import (
    BillingError,
    CertificateRejected,
    ConfigurationError,
    Forbidden,
    LedgerNotConfigured,
    ProblemError,
    RateLimited,
    ServerFailed,
    TransportError,
    Unauthorized,
)

T = TypeVar("T")
PATIENCE = 300.0  # seconds
IN_A_ROW = 20  # failed calls in a row after which all work waits
FEW, SOON = 3, 2.0  # this many failed calls are enough if no call got through for this many seconds
TRIES = 5  # tries of one customer while others get through
TRIES_AFTER_429 = 50  # the same if the server asks to wait
TRIES_AFTER_FAILURE = 3  # the same if the server itself fails
LONGEST = 30.0  # seconds between two tries
# Every customer would fail with these errors, so the run stops.
FOR_ALL = (Unauthorized, Forbidden, LedgerNotConfigured, CertificateRejected, ConfigurationError)
GATEWAY = frozenset({408, 425, 429, 460, 499, 502, 503, 504, *range(520, 531)})


class Stopped(BillingError):
    """The run stopped, because no further customer could be done. The same command continues it."""


class Later(Exception):
    """The work of an item must wait before the next try. The other items continue.

    Attributes:
        seconds: how long to wait.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


def got_through(error: BillingError) -> bool:
    """Return whether the server itself, not a gateway, sent the response behind this error."""
    if isinstance(error, ProblemError):
        return error.status not in GATEWAY
    return not isinstance(error, TransportError)


def may_pass(error: BillingError) -> bool:
    """Return whether the same call can succeed a moment later."""
    return not isinstance(error, FOR_ALL) and (isinstance(error, ServerFailed) or not got_through(error))


@attrs.define(eq=False)
class Brake:
    """Rules for calls that did not get through to the server, or that the server failed to answer.

    If single calls fail, their customers are tried again later. All work waits if 20 calls in a row do not get
    through, or if a few fail and no call gets through for some seconds. One customer at a time is then tried, after
    longer and longer pauses, until a call gets through or the patience ends.

    A server that responds with an error does not make other work wait. After 20 such errors in a row, each further one
    fails its customer at once.

    Args:
        patience: seconds to wait for a server that cannot be reached.
        notice: called with a sentence when all work, or a customer with a lost write, starts to wait.
        now: a monotonic clock.

    Attributes:
        is_on: whether all work waits.
        turn: one customer at a time is tried while all work waits.
    """

    _patience: float = PATIENCE
    _notice: Callable[[str], object] | None = attrs.field(default=None, alias="notice", kw_only=True)
    _now: Callable[[], float] = attrs.field(default=time.monotonic, alias="now", kw_only=True)
    is_on: bool = attrs.field(default=False, init=False)
    turn: asyncio.Lock = attrs.field(factory=asyncio.Lock, init=False)
    _in_a_row: int = attrs.field(default=0, init=False)
    _errors_in_a_row: int = attrs.field(default=0, init=False)  # of a server that responds
    _since: float = attrs.field(default=0.0, init=False)
    _pauses: int = attrs.field(default=0, init=False)
    _releases: int = attrs.field(default=0, init=False)
    # By customer: the tries, and the releases at the last try.
    _tries: dict[str, tuple[int, int]] = attrs.field(factory=dict, init=False)
    _has_told: bool = attrs.field(default=False, init=False)

    def waits_for_lost_write(self, seconds: float) -> None:
        """Tell, once, that a customer waits because a write whose response was lost may still take effect."""
        if self._notice is not None and not self._has_told:
            self._has_told = True
            self._notice(
                "A response was lost, and that write may still take effect. Its customer is written to in "
                f"{counted(math.ceil(seconds), 'second')}; other customers do not wait."
            )

    def release(self, customer_no: str | None = None) -> None:
        """Record a call that got through; with a customer, a write to that customer."""
        if customer_no is not None:
            self._tries.pop(customer_no, None)
        self._errors_in_a_row = 0
        self._connected()

    def _connected(self) -> None:
        self._in_a_row = 0
        self.is_on = False
        self._releases += 1

    async def judged(self, customer_no: str, reading: Awaitable[T]) -> T | BillingError:
        """Await a call that reads a customer. Return its result, or the error with which the customer fails.

        Raises:
            Later: the call may succeed later.
            Stopped: no further customer can be done.
        """
        try:
            result = await reading
        except BillingError as error:
            later = self.failed(customer_no, error)
            if later is not None:
                raise later from error
            return error
        self.release()
        return result

    def failed(self, customer_no: str, error: BillingError) -> Later | None:
        """Decide after a failed call: return when to try the customer again, or None to let the row fail.

        Raises:
            Stopped: no further customer can be done.
        """
        if isinstance(error, FOR_ALL):
            raise Stopped(f"{type(error).__name__}: {error}") from error
        if not got_through(error):
            if not self._in_a_row:
                self._since = self._now()
            self._in_a_row += 1
            self._judge(error)
            return self._later(customer_no, error, TRIES_AFTER_429 if isinstance(error, RateLimited) else TRIES)
        self._connected()
        self._errors_in_a_row += 1
        if may_pass(error) and self._errors_in_a_row <= IN_A_ROW:
            return self._later(customer_no, error, TRIES_AFTER_FAILURE)
        return None

    def _later(self, customer_no: str, error: BillingError, most: int) -> Later | None:
        tries, releases = self._tries.get(customer_no, (0, -1))
        if releases != self._releases:  # a try counts if others got through since the last one
            tries += 1
        self._tries[customer_no] = tries, self._releases
        if tries >= most:
            return None
        asked = getattr(error, "retry_after", None) or 0.0
        return Later(min(LONGEST, max(asked, 2.0 ** min(tries - 1, 5))))

    def _judge(self, error: BillingError) -> None:
        waited = self._now() - self._since
        if self._in_a_row >= FEW and waited >= self._patience:
            raise Stopped(
                f"the server could not be reached for {_seconds(self._patience)}: {type(error).__name__}: {error}"
            ) from error
        if self.is_on or (self._in_a_row < IN_A_ROW and not (self._in_a_row >= FEW and waited >= SOON)):
            return
        self.is_on, self._pauses = True, 0
        if self._notice is not None:
            self._notice(f"The server cannot be reached ({error}). Waiting up to {_seconds(self._patience)} for it.")

    def pause(self) -> float:
        """Return the seconds to pause before the next try while all work waits."""
        self._pauses += 1
        return min(LONGEST, 2.0 ** min(self._pauses - 1, 10), max(0.0, self._since + self._patience - self._now()))


def _seconds(number: float) -> str:
    return f"{number:g} second{'' if number == 1 else 's'}"


class Pool(Generic[T]):
    """A pool of workers that process many items at once.

    Workers take items from an iterator, so that a million items need no memory. An item whose work raises `Later` is
    parked.

    Args:
        concurrency: items at once.
        stop: when set, the pool starts no more work.
        brake: whether all work waits.
    """

    def __init__(self, concurrency: int, stop: asyncio.Event, brake: Brake) -> None:
        self._concurrency = concurrency
        self._stop = stop
        self._brake = brake
        self._ready: deque[T] = deque()
        self._parked = 0
        self._active = 0
        self._wake = asyncio.Event()
        self._error: BillingError | None = None

    async def run(
        self,
        items: Iterable[T],
        work: Callable[[T], Awaitable[object]],
        *,
        first_alone: bool = True,
        may_leave: Callable[[], bool] = lambda: False,
    ) -> None:
        """Do the work of each item, and of the items that the last call has left parked.

        Args:
            items: the items.
            work: does one item.
            first_alone: whether to do the first item alone, so that an error that affects all items occurs once.
            may_leave: asked when all items but parked ones are done; whether to leave these to the next call.

        Raises:
            Stopped: the work of an item raised it. Work under way is finished before.
        """
        source = iter(items)
        loop = asyncio.get_running_loop()
        stopping = loop.create_task(self._stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        try:
            if first_alone:
                await self._one(source, work)
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._worker(source, work, may_leave))
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            stopping.cancel()
        if self._error is not None:
            raise self._error

    @property
    def _is_ended(self) -> bool:
        return self._stop.is_set() or self._error is not None

    async def _worker(
        self, source: Iterator[T], work: Callable[[T], Awaitable[object]], may_leave: Callable[[], bool]
    ) -> None:
        while not self._is_ended:
            if await self._one(source, work):
                continue
            if not self._active and (not self._parked or may_leave()):
                return
            self._wake.clear()
            if not (self._ready or self._is_ended):
                await self._wake.wait()

    async def _one(self, source: Iterator[T], work: Callable[[T], Awaitable[object]]) -> bool:
        """Process one item; return whether there was one."""
        if not self._brake.is_on:
            return await self._next(source, work)
        async with self._brake.turn:
            if self._brake.is_on and not self._is_ended:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), self._brake.pause())
                return await self._next(source, work)
        return await self._next(source, work)

    async def _next(self, source: Iterator[T], work: Callable[[T], Awaitable[object]]) -> bool:
        if self._is_ended:
            return False
        if self._ready:
            item = self._ready.popleft()
        elif (following := next(source, None)) is not None:
            item = following
        else:
            return False
        seconds: float | None = None
        self._active += 1
        try:
            await work(item)
        except Later as later:
            seconds = later.seconds
        except Stopped as error:
            self._error = self._error or error
        finally:
            self._active -= 1
        if seconds is not None and not self._is_ended:
            self._parked += 1
            asyncio.get_running_loop().call_later(seconds, self._unpark, item)
        self._wake.set()  # workers that wait for the last active one can end
        return True

    def _unpark(self, item: T) -> None:
        self._parked -= 1
        self._ready.append(item)
        self._wake.set()
