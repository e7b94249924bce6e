"""A plan: what would be written, customer by customer, with what it comes to. Kept as JSON Lines."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Self

import attrs
import msgspec

from ..errors import BillingError
from ..models import CONTENT, RecurringProduct
from ._columns import REASON
from ._figures import Figures
from ._json import Pairs, from_plain
from ._match import Held, Kind, Level, Shown, Step, content_of, difference, has_ended, nothing_shown
from ._private import make_private, open_private
from ._sources import TableError
from ._tables import Row
from ._validation import COLUMNS

FORMAT = "payex-billing plan 4"
_IN_MEMORY = 1024 * 1024  # bytes of a plan that stay in memory; a larger plan goes to disk
_CHUNK = 1 << 20
_NO_STEPS = b'"steps": []'  # cannot be in a text, because a text has its quotes escaped
# Fields of a plan that are read from its customers, or written in another way.
_NOT_IN_HEAD = ("customers", "counts", "surplus", "unfinished", "figures")


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
    return (json.dumps(msgspec.to_builtins(plain), ensure_ascii=False) + "\n").encode()


def _from_line(line: bytes) -> PlannedCustomer:
    return from_plain(PlannedCustomer, json.loads(line))


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
        self._file.seek(self._end)
        line = _to_line(planned)
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
        return map(_from_line, self.raw())

    def with_steps(self) -> Iterator[PlannedCustomer]:
        """Yield the customers that need a write. Most need none, and their lines are not even parsed."""
        return (_from_line(line) for line in self.raw() if _NO_STEPS not in line)

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
        while True:
            self._file.seek(self._end)
            lines = self._file.readlines(_CHUNK)
            if not lines:
                return
            for line in lines:
                self._note(line)
                yield _from_line(line)

    def close(self) -> None:
        """Close the file; a temporary file is removed."""
        self._close()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlannedCustomers) and self.digest == other.digest

    __hash__ = None  # type: ignore[assignment]


@attrs.define(kw_only=True)
class Plan:
    """The writes that `apply` would make, with totals.

    Attributes:
        ledger: the address of the ledger.
        prune: whether to remove charges that are in no row.
        columns: the columns of the table.
        is_part: whether the table has only rejected rows of another table.
        rows: rows of the table, in this shard.
        rejected: the reason for each rejected row, by line number.
        failed: the reason for each row that could not be planned, by line number.
        unchanged: rows that need no write.
        at_rest: unchanged rows of customers that need no write at all.
        applied_before: rows that an interrupted run has already written.
        customers: the customers that were read.
        held: existing charges of these customers.
        surplus: existing charges of these customers that are in no row.
        counts: steps by kind.
        without_price: charges of the table that take their price from the master product.
        unfinished: customers with a row that failed.
        figures: the input of the guards.
    """

    ledger: str
    prune: bool = False
    columns: tuple[str, ...] = tuple(COLUMNS)
    is_part: bool = False
    rows: int = 0
    rejected: dict[int, str] = attrs.field(factory=dict)
    failed: dict[int, str] = attrs.field(factory=dict)
    unchanged: int = 0
    at_rest: int = 0
    applied_before: int = 0
    held: int = 0
    surplus: int = 0
    customers: PlannedCustomers = attrs.field(factory=PlannedCustomers)
    counts: Counter[str] = attrs.field(factory=Counter)
    without_price: int = 0
    unfinished: set[str] = attrs.field(factory=set, eq=False)
    figures: Figures = attrs.field(factory=Figures, eq=False)

    @property
    def before(self) -> Decimal:
        """Major currency units per month of the existing charges that have prices of their own."""
        return self.figures.before

    @property
    def after(self) -> Decimal:
        """The same after the plan is applied."""
        return self.figures.before + self.figures.up - self.figures.down

    @property
    def changes(self) -> int:
        """How many writes it has."""
        return sum(self.counts.values())

    @property
    def removals(self) -> int:
        """How many charges it removes."""
        return self.counts[Kind.REMOVE.value]

    @property
    def digest(self) -> str:
        """A short digest of all writes of the plan, for `apply --approve`."""
        return self.customers.digest[:12]

    def add(
        self,
        customer_no: str,
        rows: list[Row],
        found: Held,
        *,
        prune: bool,
        today: date,
        shown: Shown = nothing_shown,
        written: frozenset[int] = frozenset(),
    ) -> PlannedCustomer:
        """Plan one customer. `written` are lines of rows that the interrupted run has already written."""
        result = difference(customer_no, rows, found, prune=prune, today=today, shown=shown)
        self.figures.add(customer_no, rows, found, result, today)
        open_surplus = {
            (level, charge.product_code) for level, charge in result.surplus if not has_ended(charge, today)
        }
        suspicious = tuple(
            step.line
            for step in result.steps
            if not prune and step.kind is Kind.CREATE and step.charge is not None and step.line is not None
            and (step.subscription_no, step.charge.product_code) in open_surplus
        )  # fmt: skip
        unchanged = tuple(line for line in result.unchanged if line not in written)
        planned = PlannedCustomer(
            customer_no=customer_no,
            exists=found.exists,
            levels=tuple(dict.fromkeys(row.subscription_no for row in rows)),
            whole=prune,
            digests=digests_of(found) if result.steps else Pairs(),
            unchanged=unchanged,
            steps=result.steps,
            surplus=len(result.surplus),
            suspicious=suspicious,
        )
        self.applied_before += len(result.unchanged) - len(unchanged)
        self.customers.append(planned)
        self._count(planned)
        self.held += sum(map(len, found.charges.values()))
        after = [*result.wanted, *(() if prune else (charge for _, charge in result.surplus))]
        self.without_price += sum(charge.unit_price is None and not has_ended(charge, today) for charge in after)
        return planned

    def _count(self, planned: PlannedCustomer) -> None:
        self.unchanged += len(planned.unchanged)
        if not planned.steps:
            self.at_rest += len(planned.unchanged)
        self.surplus += planned.surplus
        self.counts.update(step.kind.value for step in planned.steps)

    def skip(self, customer_no: str, rows: int) -> None:
        """Count the rows of a customer that was not read, because its applied rows did not change."""
        self.figures.skip(customer_no, rows)
        self.rows += rows
        self.unchanged += rows
        self.at_rest += rows

    def write(self, path: Path) -> None:
        """Write the plan as JSON Lines, for review and for a later `apply`."""
        plain = attrs.asdict(self, recurse=False, filter=attrs.filters.exclude(*_NOT_IN_HEAD))
        head = {
            "format": FORMAT,
            "customers": len(self.customers),
            "digest": self.customers.digest,
            "plan": plain | {"figures": self.figures.to_json()},
        }
        make_private(path)
        with path.open("wb") as file:
            file.write(json.dumps(head, default=str).encode() + b"\n")
            file.writelines(self.customers.raw())

    def write_rejects(self, path: Path, reasons: Mapping[int, str]) -> None:
        """Write the rows of these lines with a column `payex_reason`, so that you can fix them and read them again.

        The plan does not store the cells of a rejected row, so such a row has only the reason.
        """
        steps = {
            step.line: step for planned in self.customers.with_steps() for step in planned.steps if step.line in reasons
        }
        with open_private(path, newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*self.columns, REASON])
            for line, reason in sorted(reasons.items()):
                step = steps.get(line)
                if step is None or step.charge is None:
                    writer.writerow([*("" for _ in self.columns), f"line {line}: {reason}"])
                    continue
                values = {"customer_no": step.customer_no, "subscription_no": step.subscription_no}
                values |= {name: getattr(step.charge, name) for name in CONTENT}
                cells = [values[name] for name in self.columns]
                writer.writerow([*("" if cell is None else str(cell) for cell in cells), reason])

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a plan from a file.

        Raises:
            TableError: the file is not a plan of this version, or is incomplete.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror}") from None
        try:
            return cls._read(path, file)
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):
                raise TableError(f"{path}: cannot be read: {error.strerror}") from None
            if isinstance(error, ValueError | KeyError | TypeError) and not isinstance(error, BillingError):
                raise TableError(f"{path}: is not a plan that can be read: {error}") from None
            raise

    @classmethod
    def _read(cls, path: Path, file: IO[bytes]) -> Self:
        head = json.loads(file.readline() or "null")
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise TableError(f"{path}: is not a plan of this version")
        plan = from_plain(cls, head["plan"])
        unchanged, at_rest = plan.unchanged, plan.at_rest  # they include customers that the plan does not have
        plan.customers = PlannedCustomers(file, file.tell())
        for planned in plan.customers.read_to_end():
            plan._count(planned)
        if (len(plan.customers), plan.customers.digest) != (head["customers"], head["digest"]):
            raise TableError(
                f"{path}: is not a whole plan: it has {len(plan.customers)} of {head['customers']} customers, "
                "or was changed. Make a new plan"
            )
        plan.unchanged, plan.at_rest = unchanged, at_rest
        return plan

    def close(self) -> None:
        """Close the file of the plan."""
        self.customers.close()
