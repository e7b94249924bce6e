"""A digest of what a writer remembers: two histories with the same digest have the same future.

It walks over the frames of the writer from the operation that it asks for, and over the objects that their variables
refer to. What it leaves out is named in `_LEFT_OUT`, with the reason. A test runs pairs of histories that have the same
digest, and compares what they do next.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CodeType,
    CoroutineType,
    FrameType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final

from payex_billing._creation.memory import Memory
from payex_billing.models import LostCreation
from payex_billing.reconcile._pool import Brake

TIMES: Final = 2.0**20  # a number from here on is a time
# Classes whose values say nothing about the future.
_LEFT_OUT: Final = frozenset(
    {
        "Process",  # the history itself
        "Settings", "Session", "Environment", "Telemetry", "AsyncTokenSource", "TokenSource", "AsyncTurns", "Turns",  # never change here
        "Pace",  # counts requests, and waits only after a 429
        "RetryBudget",  # has 20 retries, and no schedule needs as many
        "SimpleQueue", "Semaphore", "Lock", "lock", "RLock", "finalize",  # free, whenever a writer asks for something
        "PlannedCustomer",  # the plan of the run, the same for all, or that of the night
    }
)  # fmt: skip
# Attributes that nothing reads with a journal in a database, or that only say how often something was done.
_UNREAD: Final = frozenset({"_opened_at", "_touched", "_rows", "_seen", "_prepared"})


class Walk:
    """A walk over everything that a writer remembers.

    Attributes:
        has_time: whether it remembers a time.
    """

    def __init__(self, memory: Memory | None) -> None:
        self.has_time = False
        self._words: list[str] = []
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no other object gets the same id
        self._marks: list[int] = []
        if memory is not None:
            self._put(memory)

    def frames(self, frame: FrameType | None, until: CodeType, without: Callable[[str], bool]) -> bytes:
        """Return the digest of a frame and of those that have called it."""
        chain = []
        while frame is not None and frame.f_code is not until:
            if not without(frame.f_code.co_filename):
                chain.append(frame)
            frame = frame.f_back
        for each in reversed(chain):
            self._frame(each)
        return hashlib.blake2b("\x1f".join(self._words).encode(), digest_size=16).digest()

    def _frame(self, frame: FrameType) -> None:
        self._words.append(f"{frame.f_code.co_qualname} {frame.f_lasti}")
        for name, value in frame.f_locals.items():
            self._words.append(name)
            self._put(value)

    def _put(self, value: Any) -> None:
        kind = type(value)
        if value is None or kind in {int, str, bool, bytes, Decimal, date}:
            self._words.append(f"{kind.__name__} {value}")
            return
        if kind is float:
            self.has_time |= value > TIMES / 2
            self._words.append(f"float {value!r}")
            return
        if isinstance(value, Enum | type | ModuleType | BuiltinFunctionType):
            self._words.append(str(value))
            return
        if kind.__name__ in _LEFT_OUT:
            return
        if kind in {set, frozenset}:
            self._words.append(f"{{ {sorted(map(repr, value))}")
            return
        self._alive.append(value)
        number = self._seen.setdefault(id(value), len(self._seen))
        if number != len(self._seen) - 1:
            self._words.append(f"@{number}")
            return
        self._words.append(f"<{kind.__qualname__}")
        if isinstance(value, dict):
            for name, each in value.items():
                self._put(name)
                self._put(each)
        elif isinstance(value, tuple | list | deque):
            for each in value:
                self._put(each)
        elif isinstance(value, FunctionType):
            self._words.append(value.__qualname__)
            for cell in value.__closure__ or ():
                self._put(cell.cell_contents)
        elif isinstance(value, MethodType):
            self._words.append(value.__func__.__qualname__)
            self._put(value.__self__)
        elif isinstance(value, partial):
            self._put((value.func, value.args, value.keywords))
        elif isinstance(value, GeneratorType):
            self._suspended(value.gi_frame, is_running=value.gi_running)
        elif isinstance(value, CoroutineType):
            self._suspended(value.cr_frame, is_running=value.cr_running)
        elif isinstance(value, AsyncGeneratorType):
            self._suspended(value.ag_frame, is_running=value.ag_running)
        elif isinstance(value, Brake):
            self._brake(value)
        elif isinstance(value, Memory):
            self._memory(value)
        else:
            self._object(value)
        self._words.append(">")

    def _suspended(self, frame: FrameType | None, *, is_running: bool) -> None:
        if is_running or frame is None:  # a running one is among the frames
            self._words.append(str(is_running))
        else:
            self._frame(frame)

    def _object(self, value: Any) -> None:
        if isinstance(value, BaseException):
            self._put(value.args)
        state = dict(getattr(value, "__dict__", {}))
        for each in type(value).__mro__:
            slots = each.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if not name.startswith("__") and hasattr(value, name):
                    state[name] = getattr(value, name)
        for name, each in state.items():
            if name in _UNREAD:
                continue
            self._words.append(name)
            is_mark = name == "mark" and isinstance(value, LostCreation)
            self._put(self._rank(each) if is_mark else each)

    def _brake(self, brake: Brake) -> None:
        tries = {number: (tries, brake._releases - releases) for number, (tries, releases) in brake._tries.items()}
        self._put((brake._in_a_row, brake._errors_in_a_row, brake._since if brake._in_a_row else 0, tries, brake.is_on))

    def _memory(self, memory: Memory) -> None:
        """Only the order of the marks counts."""
        self._marks = sorted({*memory._seen.values(), *memory._created.values(), *memory._open})
        charges = [
            [(charge, self._rank(number)) for charge, number in numbers.items()]
            for numbers in (memory._seen, memory._created)
        ]
        opened = [(self._rank(mark), key) for mark, key in memory._open.items()]
        self._put((charges, opened, [(self._rank(mark), lost) for mark, lost in memory._lost.items()]))

    def _rank(self, mark: int) -> str:
        return f"{sum(each < mark for each in self._marks)}{'=' * (mark in self._marks)}"


def digest(memory: Memory | None, until: CodeType, without: Callable[[str], bool]) -> tuple[bytes, bool]:
    """Return the digest of what called this function, and whether a time is in it."""
    walk = Walk(memory)
    return walk.frames(sys._getframe(1), until, without), walk.has_time
