"""Faults on purpose: what networks and servers do to a request, for tests of clients that must survive it.

Text form, as on the command line: `KIND[=VALUE][:METHODS][@CHANCE]`, for instance `lose-answer:POST@0.1`,
`latency=0.5`, `429=2` (with Retry-After: 2), `500-after:POST,PATCH`, `late-commit=1.5,reset:POST`.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import count

_SECONDS = r"(?P<seconds>(?:[12]\d{3}|3[0-5]\d\d|\d{1,3})(?:\.\d+)?)"  # less than 3600
_STATUS = re.compile(r"(?P<status>[45]\d\d)(?P<how>-after|-problem)?")
_TEXT = re.compile(
    r"(?P<kind>[a-z0-9-]+)(?:=(?P<value>[^:@]+))?(?::(?P<methods>[A-Za-z,]+))?(?:@(?P<chance>\d*\.?\d+))?"
)
WAIT_SECONDS = 60.0
LATE_ENDINGS = ("reset", "502", "close")


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of fault.

    Attributes:
        meaning: what the fault does, in words.
        takes_effect: whether the request takes effect before the client gets anything.
        cuts: whether the client gets no complete response.
        value: the pattern of the values that the fault may have.
        default: the value of a fault that names none.
    """

    meaning: str
    takes_effect: bool = True
    cuts: bool = False
    value: str = ""
    default: str = ""


KINDS = {
    "lose-answer": Kind("the request takes effect, then the connection is closed without a response", cuts=True),
    "reset-before": Kind("the connection is reset before the request takes effect", takes_effect=False, cuts=True),
    "reset-after": Kind("the request takes effect, then the connection is reset", cuts=True),
    "truncate": Kind("the request takes effect, then half the response is sent and the connection closed", cuts=True),
    "stall": Kind(
        "the request takes effect, then half the response is sent, and nothing more for VALUE seconds (default 60)",
        cuts=True,
        value=_SECONDS,
        default="60",
    ),
    "latency": Kind("the response takes VALUE seconds longer", value=_SECONDS),
    "late-commit": Kind(
        "the client gets a reset, a gateway's 502 or a closed connection now, and the request takes effect VALUE "
        "seconds later; VALUE is SECONDS, or SECONDS,reset, SECONDS,502 or SECONDS,close",
        takes_effect=False,
        cuts=True,
        value=f"{_SECONDS}(?:,(?P<ending>{'|'.join(LATE_ENDINGS)}))?",
    ),
    "stale-response": Kind(
        "the request takes effect, and a second complete response follows the true one, which stays in the connection "
        "for the next request; VALUE is its status: 201, 400 (default), 401, 429 or 503",
        value="(?P<stale>201|400|401|429|503)",
        default="400",
    ),
    "drip": Kind(
        "the request takes effect, then the head of the response is sent one byte at a time, spread over VALUE seconds "
        "(default 600)",
        value=_SECONDS,
        default="600",
    ),
}
STATUSES = {
    "STATUS": "this status, such as 503, in place of the request's effect; VALUE is the Retry-After",
    "STATUS-after": "the request takes effect, then this status",
    "STATUS-problem": "this status with the API's problem as its body, in place of the request's effect",
}
"""What the kinds with a status do."""
# The value of a status is its Retry-After: printable ASCII, because it becomes a header.
_RETRY_AFTER = r"(?P<retry_after>[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?"
_STATUS_BEFORE = Kind("a status in place of the request's effect", takes_effect=False, value=_RETRY_AFTER)
_STATUS_AFTER = Kind("a status after the request's effect", value=_RETRY_AFTER)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes:
        kind: one of `KINDS`; or a status such as `503`, sent in place of the request's effect; or a status that is
            sent after the request took effect, such as `500-after`. The statuses 401, 429 and 503 have a problem as
            their body, other statuses an ingress's HTML page. `-problem` asks for the problem, such as `403-problem`.
        value: seconds for `stall`, `latency`, `drip` and `late-commit`, which may name its ending too; the status of
            the second response for `stale-response`; the Retry-After for a status.
        methods: the HTTP methods that the fault applies to; all if empty.
        chance: the probability that a request meets the fault, from 0 to 1.
    """

    kind: str
    value: str | None = None
    methods: frozenset[str] = frozenset()
    chance: float = 1.0

    def __post_init__(self) -> None:
        """Reject a fault that does not exist."""
        if self.kind not in KINDS and not _STATUS.fullmatch(self.kind):
            close = get_close_matches(self.kind, KINDS, n=1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise ValueError(
                f"there is no fault {self.kind!r}.{meant} The faults are {', '.join(KINDS)}, and statuses such as 503"
            )
        if not 0 <= self.chance <= 1:
            raise ValueError(f"the chance of a fault must be between 0 and 1, not {self.chance}")
        if not re.fullmatch(self._kind.value, self.value or self._kind.default):
            raise ValueError(f"the fault {self.kind} cannot have the value {self.value!r}: {self._kind.meaning}")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read the text form.

        Raises:
            ValueError: there is no such fault.
        """
        match = _TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"the fault {text!r} is not KIND[=VALUE][:METHODS][@CHANCE]")
        methods = (match["methods"] or "").upper().split(",")
        return cls(match["kind"], match["value"], frozenset(filter(None, methods)), float(match["chance"] or 1))

    @property
    def status(self) -> int | None:
        """The status of the response in place of the true one, if the fault has such a status."""
        match = _STATUS.fullmatch(self.ending or self.kind)
        return int(match["status"]) if match else None

    @property
    def takes_effect(self) -> bool:
        """Whether the request takes effect before the client gets anything."""
        return self._kind.takes_effect

    @property
    def is_late(self) -> bool:
        """Whether the request takes effect after the client got its response, or none."""
        return self.kind == "late-commit"

    @property
    def cuts(self) -> bool:
        """Whether the client gets no complete response."""
        return self._kind.cuts and self.ending != "502"

    @property
    def seconds(self) -> float:
        """How long a stall, a latency or a drip takes, or how late a write takes effect."""
        return float(self._part("seconds") or 0)

    @property
    def ending(self) -> str | None:
        """What the client of a late commit gets now, one of `LATE_ENDINGS`; None if chance decides."""
        return self._part("ending")

    @property
    def stale_status(self) -> int:
        """The status of the second response of the fault `stale-response`."""
        return int(self._part("stale") or 400)

    @property
    def retry_after(self) -> str | None:
        """The Retry-After of a status."""
        return self._part("retry_after")

    @property
    def _kind(self) -> Kind:
        return KINDS.get(self.kind) or (_STATUS_AFTER if self.kind.endswith("-after") else _STATUS_BEFORE)

    def _part(self, name: str) -> str | None:
        """Return the part of the value that has a name in the pattern of the kind."""
        match = re.fullmatch(self._kind.value, self.value or self._kind.default)
        return match.groupdict().get(name) if match else None

    def __str__(self) -> str:
        value = f"={self.value}" if self.value is not None else ""
        methods = ":" + ",".join(sorted(self.methods)) if self.methods else ""
        return f"{self.kind}{value}{methods}" + (f"@{self.chance:g}" if self.chance < 1 else "")


@dataclass(frozen=True, slots=True)
class Pending:
    """A fault that requests may still meet.

    Attributes:
        number: identifies the fault among all faults of the mock.
        fault: the fault.
        is_next: whether the next request meets the fault; otherwise any request may meet it.
        ends: when the fault ends, as a time of `time.monotonic`; None means no limit.
    """

    number: int
    fault: Fault
    is_next: bool = False
    ends: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the fault ends; None means no limit."""
        return None if self.ends is None else max(0.0, self.ends - time.monotonic())


class LateWrites:
    """The writes that have not taken effect yet. Safe to use from several threads; each write happens once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()  # also held while a write takes effect, so that `wait` waits for that
        self._pending: list[tuple[float, Callable[[], object]]] = []

    def __len__(self) -> int:
        with self._changed:
            return len(self._pending)

    def add(self, seconds: float, carry_out: Callable[[], object]) -> None:
        """Note a write that takes effect in the first call of `carry_out_due` after so many seconds."""
        with self._changed:
            self._pending.append((time.monotonic() + seconds, carry_out))
            self._changed.notify_all()

    def carry_out(self, until: float) -> None:
        """Make the writes take effect whose time comes until `until`, in the order of their times."""
        with self._changed, ExitStack() as writes:  # the stack calls every write, even if an earlier one fails
            due = sorted((write for write in self._pending if write[0] <= until), key=lambda write: write[0])
            self._pending = [write for write in self._pending if write not in due]
            for _, carry_out in reversed(due):
                writes.callback(carry_out)

    def carry_out_due(self) -> None:
        """Carry out the late writes that are due."""
        self.carry_out(time.monotonic())

    def wait(self, seconds: float) -> None:
        """Return when every write has taken effect, each at its own time.

        Raises:
            TimeoutError: some writes have not taken effect after so many seconds.
        """
        ends = time.monotonic() + seconds
        with self._changed:
            while True:
                self.carry_out_due()
                if not self._pending:
                    return
                now = time.monotonic()
                if now >= ends:
                    left = len(self._pending)
                    subject = "1 late write has" if left == 1 else f"{left} late writes have"
                    raise TimeoutError(f"{subject} not taken effect after {seconds:g} s")
                self._changed.wait(max(0.0, min(ends, *(due for due, _ in self._pending)) - now))

    def forget(self) -> None:
        """Drop every write that has not taken effect."""
        with self._changed:
            self._pending.clear()
            self._changed.notify_all()


class Faults:
    """The faults that the next requests meet. Safe to change while the mock is serving.

    Args:
        standing: faults that any request may meet, each by its chance.
        seed: makes chance repeatable, and the endings of late commits.

    Attributes:
        met: the faults that requests met, oldest first. A late commit is noted with the ending that chance chose.
        late_writes: the writes that late commits left behind.
    """

    def __init__(self, *standing: Fault | str, seed: int | None = None) -> None:
        self._numbers = count(1)
        self._standing = [Pending(next(self._numbers), _fault(value)) for value in standing]
        self._queued: list[Pending] = []
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrets
        self._lock = threading.Lock()
        self.met: list[Fault] = []
        self.late_writes = LateWrites()

    def queue(self, *faults: Fault | str) -> None:
        """Let the next requests meet these faults, one each, in this order. A fault waits for one of its methods."""
        with self._lock:
            self._queued += [Pending(next(self._numbers), _fault(value), is_next=True) for value in faults]

    def add(self, fault: Fault | str, seconds: float | None = None) -> None:
        """Let every request meet a fault from now on, for this many seconds; None means until the fault is ended."""
        ends = None if seconds is None else time.monotonic() + seconds
        with self._lock:
            self._standing.append(Pending(next(self._numbers), _fault(fault), ends=ends))

    def end(self, number: int) -> None:
        """End one fault. Do nothing if the fault has ended already."""
        with self._lock:
            self._queued = [each for each in self._queued if each.number != number]
            self._standing = [each for each in self._standing if each.number != number]

    @contextmanager
    def active(self, *faults: Fault | str) -> Iterator[None]:
        """Let every request meet one of these faults for as long as the `with` block lasts."""
        with self._lock:
            added = [Pending(next(self._numbers), _fault(value)) for value in faults]
            self._standing += added
        try:
            yield
        finally:
            for each in added:
                self.end(each.number)

    def clear(self) -> None:
        """End all faults, and forget which were met. Late writes still take effect; see `forget_late_writes`."""
        with self._lock:
            self._queued.clear()
            self._standing.clear()
            self.met.clear()

    def pending(self) -> list[str]:
        """The faults that requests may still meet, in text form."""
        return [str(each.fault) for each in self.listed()]

    def listed(self) -> list[Pending]:
        """The faults that requests may still meet, those of the next requests first."""
        with self._lock:
            return [*self._queued, *self._lasting()]

    def take(self, method: str) -> Fault | None:
        """The fault that a request meets, if any. Chooses the ending of a late commit that names none."""
        with self._lock:
            fault = self._next(method)
            if fault is not None:
                if fault.is_late and fault.ending is None:
                    fault = replace(fault, value=f"{fault.value},{self._random.choice(LATE_ENDINGS)}")
                self.met.append(fault)
            return fault

    def wait_for_late_writes(self, timeout: float = WAIT_SECONDS) -> None:
        """Return when every write of a late commit has taken effect, each at its own time.

        Args:
            timeout: the longest wait in seconds.

        Raises:
            TimeoutError: some writes have not taken effect by then.
        """
        self.late_writes.wait(timeout)

    def forget_late_writes(self) -> None:
        """Drop the writes of late commits that have not taken effect: they never will."""
        self.late_writes.forget()

    def _next(self, method: str) -> Fault | None:
        for each in self._queued:
            if not each.fault.methods or method in each.fault.methods:
                self._queued.remove(each)
                return each.fault
        for each in self._lasting():
            fault = each.fault
            if (not fault.methods or method in fault.methods) and self._random.random() < fault.chance:
                return fault
        return None

    def _lasting(self) -> list[Pending]:
        self._standing = [each for each in self._standing if each.seconds_left != 0]
        return self._standing


def _fault(value: Fault | str) -> Fault:
    return value if isinstance(value, Fault) else Fault.parse(value)
