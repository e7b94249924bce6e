"""A plan: what would be written, with what it comes to. Kept as JSON Lines."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import IO, Self

import attrs
import msgspec

from ..errors import BillingError
from ..models import CONTENT
from ._columns import COLUMNS, REASON
from ._figures import Figures
from ._json import Pairs, from_plain
from ._match import Difference, Held, Kind, Level, Shown, difference, has_ended, nothing_shown
from ._planned import PlannedCustomer, PlannedCustomers, digests_of
from ._private import make_private, open_private
from ._sources import TableError
from ._tables import Row
from ._undo import Inverse, LeftAlone

FORMAT = "payex-billing plan 7"
# Fields of a plan that are read from its customers, or written in another way.
_NOT_IN_HEAD = ("customers", "counts", "surplus", "unfinished", "figures", "customer_of", "file")


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
        undoes: the number of the run that the plan takes back; None for a plan of a table. The lines of its steps are
            the numbers of the writes that they take back.
        verified: how many customers were read to verify the state cache.
        stale: those of them that do not hold what was last applied.
        customer_of: the customer of each row that failed, by line number.
        file: the file that the plan was read from; empty without one.
        only: the customers that it is limited to; empty for all.
        left: the writes of that run that are left as they are.
        figures: the input of the guards.
        made_at: when the first customer was about to be read, in seconds since 1970.
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
    undoes: int | None = None
    only: tuple[str, ...] = ()
    left: list[LeftAlone] = attrs.field(factory=list)
    verified: int = 0
    stale: tuple[str, ...] = ()
    customer_of: dict[int, str] = attrs.field(factory=dict, eq=False)
    file: str = attrs.field(default="", eq=False)
    figures: Figures = attrs.field(factory=Figures, eq=False)
    made_at: float = attrs.field(factory=time.time, eq=False)

    @property
    def reading(self) -> dict[str, object]:
        """Nothing: a plan is read in one way only."""
        return {}

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
        self.applied_before += len(result.unchanged) - len(unchanged)
        after = [*result.wanted, *(() if prune else (charge for _, charge in result.surplus))]
        self.without_price += sum(charge.unit_price is None and not has_ended(charge, today) for charge in after)
        levels = [row.subscription_no for row in rows]
        return self._append(customer_no, found, result, levels, whole=prune, unchanged=unchanged, suspicious=suspicious)

    def take_back(self, customer_no: str, found: Held, result: Inverse, *, today: date) -> None:
        """Plan what takes the writes to one customer back."""
        self.left += result.left
        self.rows += len(result.steps)
        steps = Difference(steps=result.steps, unchanged=(), surplus=())
        self.figures.add(customer_no, [], found, steps, today)
        self._append(customer_no, found, steps, [*found.charges, *(step.subscription_no for step in result.steps)])

    def _append(
        self, customer_no: str, found: Held, result: Difference, levels: list[Level], *,
        whole: bool = False, unchanged: tuple[int, ...] = (), suspicious: tuple[int, ...] = (),
    ) -> PlannedCustomer:  # fmt: skip
        planned = PlannedCustomer(
            customer_no=customer_no,
            exists=found.exists,
            levels=tuple(dict.fromkeys(levels)),
            whole=whole,
            digests=digests_of(found) if result.steps else Pairs(),
            unchanged=unchanged,
            steps=result.steps,
            surplus=len(result.surplus),
            suspicious=suspicious,
        )
        self.customers.append(planned)
        self._count(planned)
        self.held += sum(map(len, found.charges.values()))
        self.unchanged += len(planned.unchanged)
        if not planned.steps:
            self.at_rest += len(planned.unchanged)
        return planned

    def _count(self, planned: PlannedCustomer) -> None:
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
            "plan": plain | {"figures": self.figures.to_json(), "left": msgspec.to_builtins(self.left)},
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
            with ExitStack() as stack:
                plan = cls._read(path, stack.enter_context(path.open("rb")))
                stack.pop_all()  # the plan reads its customers from the file
                return plan
        except BillingError:
            raise
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"{path}: is not a plan that can be read: {error}") from None

    @classmethod
    def _read(cls, path: Path, file: IO[bytes]) -> Self:
        head = json.loads(file.readline() or "null")
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise TableError(f"{path}: is not a plan of this version")
        plan = from_plain(cls, head["plan"])
        plan.file = str(path)
        plan.customers = PlannedCustomers(file, file.tell())
        for planned in plan.customers.read_to_end():
            plan._count(planned)
        if (len(plan.customers), plan.customers.digest) != (head["customers"], head["digest"]):
            raise TableError(
                f"{path}: is not a whole plan: it has {len(plan.customers)} of {head['customers']} customers, "
                "or was changed. Make a new plan"
            )
        return plan

    def close(self) -> None:
        """Close the file of the plan."""
        self.customers.close()
