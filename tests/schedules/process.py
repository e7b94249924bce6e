"""Run the real code of a writer one operation at a time.

A writer is a function that calls the package as a program would. Each time it asks for something from outside (a
request, a statement, a sleep), it is stopped by an exception. To continue it, it is run again from its start with the
replies that it has had so far: a coroutine cannot be copied, but it does the same again if it gets the same replies and
the same times. A writer is therefore the tree of its histories, and each node of the tree is computed once.
"""

from __future__ import annotations

import asyncio
import math
import random
import secrets
import time
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import attrs
from payex_billing._creation.memory import Memory

from .digest import digest

T = TypeVar("T")
_TICK = 64.0  # parts of a second: sums of such times have no rounding error, so equal states are equal


class Request(NamedTuple):
    """A request that a writer is about to send; its transport does not send it after the deadline."""

    method: str
    path: str
    body: bytes | None
    deadline: float


class Query(NamedTuple):
    """Statements that a writer is about to run in one transaction. `is_quiet`: nobody else can notice them."""

    statements: tuple[str, ...]
    is_quiet: bool


class Sleep(NamedTuple):
    """A pause of a writer."""

    seconds: float


class End(NamedTuple):
    """The end of a writer, with what it reports."""

    outcome: Hashable


Operation = Request | Query | Sleep | End


class _Suspended(BaseException):
    """The history of the writer ends here."""


class Unlike(Exception):
    """A writer did something else than before, with the same replies."""


@attrs.frozen
class Machine:
    """What differs between the machines of the writers.

    Attributes:
        name: a name, which differs for each incarnation of a process.
        clock: seconds by which its clock is ahead.
        monotonic: the same for its monotonic clock.
    """

    name: str
    clock: float = 0.0
    monotonic: float = 0.0


class Process:
    """One run of a writer along a history.

    Args:
        machine: where it runs.
        began: when it began.
        history: the operations it has had replies to, with the replies and their times.
    """

    def __init__(self, machine: Machine, began: float, history: list[tuple[Operation, Hashable, float]]) -> None:
        self.machine = machine
        self.time = began
        self.is_quiet = False
        self.memory: Memory | None = None  # what its client has seen
        self.digest = b""
        self.has_time = True
        self.asked: Operation | None = None
        self._history = history
        self._position = 0
        self._names = 0

    @property
    def asked_so_far(self) -> int:
        """How many replies it has had."""
        return self._position

    def ask(self, operation: Operation) -> Any:
        """Return the reply to an operation, or stop the writer if there is none yet."""
        if self.asked is not None:
            raise _Suspended
        if self._position == len(self._history):
            self.asked = operation
            self.digest, self.has_time = digest(self.memory, Node._run.__code__, _is_of_no_writer)
            raise _Suspended
        before, reply, self.time = self._history[self._position]
        if before != operation:
            raise Unlike(f"{before}, now {operation}")
        self._position += 1
        return reply

    # What the client uses of an event loop. The process has one task, so a callback comes next.

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def call_soon(self, callback: Callable[[], object]) -> None:
        callback()

    def create_task(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        return self.run_in_executor(None, lambda: finished(coroutine))

    def run_in_executor(self, _: None, work: Callable[[], T]) -> asyncio.Future[T]:
        done = self.create_future()
        try:
            done.set_result(work())
        except Exception as error:
            done.set_exception(error)
        return done

    def get_debug(self) -> bool:
        return False

    def sleep(self, seconds: float) -> None:
        """Sleep; a sleep of no time is none."""
        if seconds > 0:
            self.ask(Sleep(seconds))

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Mark the statements of a block as such that nobody else can notice."""
        self.is_quiet = True
        yield
        self.is_quiet = False

    def token_hex(self) -> str:
        self._names += 1
        return f"{self.machine.name}.{self._names}"


def rounded(time: float) -> float:
    """Return a time that can be reached by adding numbers in any order."""
    return math.ceil(time * _TICK) / _TICK


_current: Process | None = None


def current() -> Process:
    """Return the process that runs at this moment."""
    assert _current is not None
    return _current


def _or_real(virtual: Callable[[Process], T], real: Callable[[], T]) -> Callable[..., T]:
    return lambda *_: real() if _current is None else virtual(_current)


@contextmanager
def virtual() -> Iterator[None]:
    """Replace the clocks, the sleep and the chance of this process by those of the writer that runs."""
    originals = (time.monotonic, time.time, time.sleep, secrets.token_hex, random.random)

    def sleep(seconds: float) -> None:
        if _current is None:
            originals[2](seconds)
        else:
            _current.sleep(seconds)

    time.monotonic = _or_real(lambda process: process.time + process.machine.monotonic, time.monotonic)
    time.time = _or_real(lambda process: process.time + process.machine.clock, time.time)
    time.sleep = sleep
    secrets.token_hex = _or_real(Process.token_hex, secrets.token_hex)
    random.random = _or_real(lambda _: 0.0, random.random)  # a retry does not wait
    try:
        yield
    finally:
        time.monotonic, time.time, time.sleep, secrets.token_hex, random.random = originals


@contextmanager
def running(process: Process) -> Iterator[None]:
    """Let a process run for a block."""
    global _current  # noqa: PLW0603 - the patched clocks read it
    _current = process
    try:
        yield
    finally:
        _current = None


def finished(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits only for `Process.ask` and for `asyncio.sleep(0)`."""
    try:
        while coroutine.send(None) is None:  # `asyncio.sleep(0)` yields None; there is no other task
            pass
    except StopIteration as stop:
        value: T = stop.value
        return value
    raise AssertionError("it waits for something else")


def _is_of_no_writer(file: str) -> bool:
    return file.endswith(("schedules/process.py", "schedules/database.py"))


class Node:
    """A writer after a history: the operation it is about to do.

    Attributes:
        operation: what it is about to do.
        began: when the process began.
        parent: the writer before its last reply; None at the begin of the process.
        reply: that reply.
        time: the time of that reply.
        ran: how many histories of all writers were run.
    """

    ran = 0
    merged: list[tuple[Node, Node]] | None = None  # histories, and those that stand for them, if a test wants them

    __slots__ = (
        "_alike",
        "_children",
        "_machine",
        "_writer",
        "began",
        "digest",
        "has_time",
        "operation",
        "parent",
        "reply",
        "time",
    )

    def __init__(
        self, writer: Callable[[Process], Hashable], machine: Machine, began: float, parent: Node | None = None,
        reply: Hashable = None, time: float = 0.0, alike: dict[tuple[Operation, bytes], Node] | None = None,
    ) -> None:  # fmt: skip
        self._writer, self._machine, self.began = writer, machine, began
        self.parent, self.reply, self.time = parent, reply, time
        self._children: dict[tuple[Hashable, float], Node] = {}
        self._alike: dict[tuple[Operation, bytes], Node] = {} if alike is None else alike
        self.digest, self.has_time = b"", True
        self.operation = self._run()

    def after(self, reply: Hashable, time: float) -> Node:
        """Return the writer after a reply at a time. Of histories with the same future, one stands for all."""
        node = self._children.get((reply, time))
        if node is None:
            node = Node(self._writer, self._machine, self.began, self, reply, time, self._alike)
            if not isinstance(node.operation, End):
                kept = self._alike.setdefault((node.operation, node.digest), node)
                if kept is not node and Node.merged is not None:
                    Node.merged.append((node, kept))
                node = kept
            self._children[reply, time] = node
        return node

    def does_as(self, other: Node, depth: int) -> bool:
        """Return whether it asks for the same as another history, and after the same replies again, so many times."""
        if self.operation != other.operation or not depth:
            return self.operation == other.operation
        return all(
            Node(self._writer, self._machine, self.began, self, reply, time).does_as(child, depth - 1)
            for (reply, time), child in other._children.items()
            if time >= self.time
        )

    def _history(self) -> list[tuple[Operation, Hashable, float]]:
        found = []
        node = self
        while node.parent is not None:
            found.append((node.parent.operation, node.reply, node.time))
            node = node.parent
        return found[::-1]

    def _run(self) -> Operation:
        global _current  # noqa: PLW0603 - the patched clocks read it
        Node.ran += 1
        process = _current = Process(self._machine, self.began, self._history())
        asyncio._set_running_loop(process)  # type: ignore[arg-type]
        try:
            outcome = self._writer(process)
        except _Suspended:
            assert process.asked is not None
            self.digest = process.digest
            self.has_time = process.has_time or isinstance(process.asked, Request)
            return process.asked
        else:
            self.has_time = False
            return End(outcome)
        finally:
            asyncio._set_running_loop(None)
            _current = None
