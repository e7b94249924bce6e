"""Faults on purpose: what networks and servers do to a request, for the tests of those who must survive it.

Text form, as on the command line: `KIND[=VALUE][:METHODS][@CHANCE]`, for instance `lose-answer:POST@0.1`,
`latency=0.5`, `429=2` (with Retry-After: 2), `500-after:POST,PATCH`.
"""

from __future__ import annotations

import random
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

# What happens to the connection, and whether the request took effect before.
KINDS = {
    "lose-answer": "the request takes effect, then the connection is closed without an answer",
    "reset-before": "the connection is reset before the request takes effect",
    "reset-after": "the request takes effect, then the connection is reset",
    "truncate": "the request takes effect, then half the answer is sent and the connection closed",
    "stall": "the request takes effect, then half the answer is sent, and nothing more for VALUE seconds (default 60)",
    "latency": "the answer takes VALUE seconds longer",
}
_STATUS = re.compile(r"(?P<status>[45]\d\d)(?P<how>-after|-problem)?")
_TEXT = re.compile(r"(?P<kind>[a-z0-9-]+)(?:=(?P<value>[^:@]+))?(?::(?P<methods>[A-Za-z,]+))?(?:@(?P<chance>[0-9.]+))?")
_WITH_SECONDS = {"stall": 60.0, "latency": None}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`, or a status such as `503`, or a status that comes after the request took effect, such as
            `500-after`. 401 and 429 and 503 come as problems, other statuses with an ingress's HTML page, unless
            they are asked for as a problem, such as `403-problem`.
        value: seconds for `stall` and `latency`; the Retry-After for a status.
        methods: the methods it befalls; all if empty.
        chance: how probable it is that a request meets it, from 0 to 1.
    """

    kind: str
    value: str | None = None
    methods: frozenset[str] = frozenset()
    chance: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a fault that does not exist."""
        if self.kind not in KINDS and not _STATUS.fullmatch(self.kind):
            raise ValueError(f"there is no fault {self.kind!r}; there are {', '.join(KINDS)}, and statuses such as 503")
        if not 0 <= self.chance <= 1:
            raise ValueError(f"the chance of a fault must be between 0 and 1, not {self.chance}")
        _ = self.seconds

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the text form.

        Raises:
            ValueError: there is no such fault.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not KIND[=VALUE][:METHODS][@CHANCE]")
        methods = (match["methods"] or "").upper().split(",")
        return cls(match["kind"], match["value"], frozenset(filter(None, methods)), float(match["chance"] or 1))

    @property
    def status(self) -> int | None:
        """The status it answers with, if it answers with one."""
        match = _STATUS.fullmatch(self.kind)
        return int(match["status"]) if match else None

    @property
    def is_problem(self) -> bool:
        """Whether its status comes as the API's own problem, whatever an ingress would send."""
        return self.status is not None and self.kind.endswith("-problem")

    @property
    def takes_effect(self) -> bool:
        """Whether the request is carried out all the same."""
        return self.kind != "reset-before" and (self.status is None or self.kind.endswith("-after"))

    @property
    def cuts(self) -> bool:
        """Whether no whole answer comes, at once or after its seconds."""
        return self.kind in KINDS and self.kind != "latency"

    @property
    def seconds(self) -> float:
        """How long a stall or a latency takes."""
        if self.kind not in _WITH_SECONDS:
            return 0.0
        default = _WITH_SECONDS[self.kind]
        if self.value is None and default is not None:
            return default
        try:
            seconds = float(self.value or "")
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < 3600:
            raise ValueError(f"{self.kind} takes a number of seconds, such as {self.kind}=0.5")
        return seconds

    def __str__(self) -> str:
        value = f"={self.value}" if self.value is not None else ""
        methods = ":" + ",".join(sorted(self.methods)) if self.methods else ""
        return f"{self.kind}{value}{methods}" + (f"@{self.chance:g}" if self.chance < 1 else "")


class Faults:
    """The faults that requests are about to meet. Safe to change while the mock is serving.

    Args:
        standing: faults that any request may meet, each by its chance.
        seed: makes chance repeatable.
    """

    def __init__(self, *standing: Fault | str, seed: int | None = None) -> None:
        self._standing = [_fault(each) for each in standing]
        self._queued: deque[Fault] = deque()
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrets
        self._lock = threading.Lock()
        self.met: list[Fault] = []

    def queue(self, *faults: Fault | str) -> None:
        """Let the next requests meet these, one each, in this order. A method a fault does not befall passes it by."""
        with self._lock:
            self._queued += [_fault(each) for each in faults]

    @contextmanager
    def active(self, *faults: Fault | str) -> Iterator[None]:
        """Let every request meet one of these for as long as the `with` block lasts."""
        added = [_fault(each) for each in faults]
        with self._lock:
            self._standing += added
        try:
            yield
        finally:
            with self._lock:
                for each in added:
                    if each in self._standing:  # unless all were ended meanwhile
                        self._standing.remove(each)

    def clear(self) -> None:
        """End all faults, and forget which were met."""
        with self._lock:
            self._queued.clear()
            self._standing.clear()
            self.met.clear()

    def pending(self) -> list[str]:
        """What requests may still meet, in text form."""
        with self._lock:
            return [str(each) for each in (*self._queued, *self._standing)]

    def take(self, method: str) -> Fault | None:
        """The fault that a request meets, if any."""
        with self._lock:
            fault = self._next(method)
            if fault is not None:
                self.met.append(fault)
            return fault

    def _next(self, method: str) -> Fault | None:
        for each in self._queued:
            if not each.methods or method in each.methods:
                self._queued.remove(each)
                return each
        for each in self._standing:
            if (not each.methods or method in each.methods) and self._random.random() < each.chance:
                return each
        return None


def _fault(value: Fault | str) -> Fault:
    return value if isinstance(value, Fault) else Fault.parse(value)
