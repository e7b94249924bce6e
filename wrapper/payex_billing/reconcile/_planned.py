"""The customers of a plan: what would be written to each."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterator
from typing import IO

import attrs
import msgspec

from ..models import RecurringProduct
from ._json import Pairs, from_json
from ._match import Held, Level, Step, content_of
from ._sources import TableError

_IN_MEMORY = 1024 * 1024  # bytes of a plan that stay in memory; a larger plan goes to disk
_CHUNK = 1 << 20
_NO_STEPS = b'"steps":[]'  # cannot be in a text, because a text has its quotes escaped


@attrs.frozen(kw_only=True)
class PlannedCustomer:
    """The plan for one customer.

    Attributes:
        customer_no: the customer.
        exists: whether the customer existed when it was planned.
        levels: the levels that were read.
        whole: whether all subscriptions were read, because the plan removes charges that are in no row.
        digests: the digest of each existing charge, by level and id; only if there are steps. `apply` does not write to
            a customer that has changed since.
        unchanged: lines of the rows that need no write.
        steps: the writes.
        surplus: how many existing charges are in no row.
        suspicious: lines of rows that would add a charge although an open charge of the same product is in no row.
    """

    customer_no: str
    exists: bool
    levels: tuple[Level, ...]
    whole: bool
    digests: Pairs[Level, dict[str, str]]
    unchanged: tuple[int, ...]
    steps: tuple[Step, ...]
    surplus: int = 0
    suspicious: tuple[int, ...] = ()

    @property
    def lines(self) -> tuple[int, ...]:
        """The lines of the rows that need a write."""
        return tuple(step.line for step in self.steps if step.line is not None)


def digest_of(charge: RecurringProduct) -> str:
    """Return a digest that changes when the content of a charge changes."""
    return hashlib.sha256(repr(content_of(charge)).encode()).hexdigest()[:16]


def digests_of(held: Held) -> Pairs[Level, dict[str, str]]:
    """Return a digest of each charge, by level and id."""
    return Pairs(
        {level: {charge.id: digest_of(charge) for charge in charges} for level, charges in held.charges.items()}
    )


def _to_line(planned: PlannedCustomer) -> bytes:
    plain = attrs.asdict(planned, recurse=False) | {"digests": list(planned.digests.items())}
    return msgspec.json.encode(plain) + b"\n"


def from_line(line: bytes) -> PlannedCustomer:
    """Return the customer in a line of a plan."""
    return from_json(PlannedCustomer, line)


class PlannedCustomers:
    """The customers of a plan, in a file, so that a plan of millions of rows needs no memory.

    Args:
        file: the open file; a temporary one by default.
        start: the position in the file where the customers begin.
    """

    def __init__(self, file: IO[bytes] | None = None, start: int = 0) -> None:
        self._file = file if file is not None else tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115
        self._close = weakref.finalize(self, self._file.close)
        self._start = start
        self._end = start
        self._sum = 0
        self._count = 0

    def append(self, planned: PlannedCustomer) -> None:
        """Add a customer at the end."""
        line = _to_line(planned)
        if self._file.tell() != self._end:  # `seek` flushes the buffer, so seek only if needed
            self._file.seek(self._end)
        self._file.write(line)
        self._note(line)

    def _note(self, line: bytes) -> None:
        self._end += len(line)
        self._count += 1
        self._sum += int.from_bytes(hashlib.sha256(line).digest(), "big")

    @property
    def digest(self) -> str:
        """Return a digest of all customers that does not depend on their order."""
        return hashlib.sha256(f"{self._count} {self._sum}".encode()).hexdigest()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[PlannedCustomer]:
        return map(from_line, self.raw())

    def with_steps(self) -> Iterator[PlannedCustomer]:
        """Yield the customers that need a write. Most need none, and their lines are not even parsed."""
        return map(from_line, self.raw_with_steps())

    def raw_with_steps(self) -> Iterator[bytes]:
        """Yield the lines of the customers that need a write."""
        return (line for line in self.raw() if _NO_STEPS not in line)

    def raw(self) -> Iterator[bytes]:
        """Yield the lines as they are written."""
        offset = self._start
        while offset < self._end:
            self._file.seek(offset)
            lines = self._file.readlines(_CHUNK)
            if not lines:
                raise TableError("the file of the plan was cut while it was read")
            offset += sum(map(len, lines))
            yield from lines

    def read_to_end(self) -> Iterator[PlannedCustomer]:
        """Read the customers in the file, and use them as the customers of this plan."""
        self._file.seek(self._end)
        for line in self._file:
            self._note(line)
            yield from_line(line)

    def close(self) -> None:
        """Close the file; a temporary file is removed."""
        self._close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlannedCustomers) and self.digest == other.digest

    __hash__ = None  # type: ignore[assignment]
