"""A plan: what would be written, customer by customer, with what it comes to. Kept as JSON Lines."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..errors import BillingError
from ._journal import step_from_json, step_to_json
from ._match import FIELDS, Held, Kind, Step, difference, money
from ._private import open_private
from ._reading import held
from ._sources import TableError
from ._tables import Row, Table
from ._validation import COLUMNS

if TYPE_CHECKING:
    from ..aio import AsyncBilling

FORMAT = "payex-billing plan 2"
T = TypeVar("T")
Customer = tuple[str, list[Row]]
Progress = Callable[[int], object]


@attrs.frozen(kw_only=True)
class PlannedCustomer:
    """What a plan has for one customer.

    Attributes:
        customer_no: the customer.
        fingerprint: of what was held when it was planned; the plan is refused when it has changed.
        subscriptions: what was read; None is the customer's own level.
        whole: whether all its subscriptions were read, because other charges of the customer are removed.
        unchanged: lines of rows that are as they should be.
        steps: what is to be written.
        surplus: how many charges are held and in no row.
        suspicious: lines of rows that would add a charge of a product of which an open one is held in no row.
    """

    customer_no: str
    fingerprint: str
    subscriptions: tuple[str | None, ...]
    whole: bool
    unchanged: tuple[int, ...]
    steps: tuple[Step, ...]
    surplus: int = 0
    suspicious: tuple[int, ...] = ()


@attrs.define(kw_only=True)
class Plan:
    """What would be done.

    Attributes:
        ledger: whose charges.
        rows: rows of the table, in this shard.
        rejected: lines of rows that are not applied, with the reason.
        failed: lines of rows that could not be planned, with the reason.
        unchanged: rows that are as they should be.
        customers: those that were read, or whose plan was loaded.
        held: charges that are held by them.
        counts: steps by kind.
        before: major currency units a month of what is held, as far as it has prices of its own.
        after: the same when the plan is applied.
        without_price: charges of the table that take their price from the master product.
        prune: whether what no row asks for is removed.
    """

    ledger: str
    prune: bool = False
    rows: int = 0
    rejected: dict[int, str] = attrs.field(factory=dict)
    failed: dict[int, str] = attrs.field(factory=dict)
    unchanged: int = 0
    held: int = 0
    surplus: int = 0
    customers: list[PlannedCustomer] = attrs.field(factory=list)
    counts: Counter[str] = attrs.field(factory=Counter)
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)
    without_price: int = 0

    @property
    def changes(self) -> int:
        """How many writes it has."""
        return sum(self.counts.values())

    @property
    def removals(self) -> int:
        """How many charges it removes."""
        return self.counts[Kind.REMOVE.value]

    def add(self, customer_no: str, rows: list[Row], found: Held, *, prune: bool, today: date) -> PlannedCustomer:
        """Plan one customer."""
        result = difference(customer_no, rows, found, prune=prune)
        open_surplus = {
            (number, each.product_code) for number, each in result.surplus if not _ended(each.end_date, today)
        }
        suspicious = tuple(
            step.line
            for step in result.steps
            if not prune and step.kind is Kind.CREATE and step.charge is not None and step.line is not None
            and (step.subscription_no, step.charge.product_code) in open_surplus
        )  # fmt: skip
        planned = PlannedCustomer(
            customer_no=customer_no,
            fingerprint=found.fingerprint,
            subscriptions=tuple(dict.fromkeys(row.subscription_no for row in rows)),
            whole=prune,
            unchanged=result.unchanged,
            steps=result.steps,
            surplus=len(result.surplus),
            suspicious=suspicious,
        )
        self._count(planned)
        everything = [charge for charges in found.charges.values() for charge in charges]
        self.held += len(everything)
        before, _ = money(everything, today)
        after, without = money([*result.wanted, *(() if prune else (each for _, each in result.surplus))], today)
        self.before, self.after, self.without_price = (
            self.before + before,
            self.after + after,
            self.without_price + without,
        )
        return planned

    def _count(self, planned: PlannedCustomer) -> None:
        self.customers.append(planned)
        self.unchanged += len(planned.unchanged)
        self.surplus += planned.surplus
        self.counts.update(step.kind.value for step in planned.steps)

    def write(self, path: Path) -> None:
        """Keep it as JSON Lines, to be looked at, and applied later."""
        head = {
            "format": FORMAT,
            "customers": len(self.customers),
            "digest": _digest(self._lines()),
            "ledger": self.ledger,
            "prune": self.prune,
            "rows": self.rows,
            "rejected": self.rejected,
            "failed": self.failed,
            "held": self.held,
            "unchanged_unread": self.unchanged - sum(len(each.unchanged) for each in self.customers),
            "before": str(self.before),
            "after": str(self.after),
            "without_price": self.without_price,
        }
        with open_private(path) as file:
            file.write(json.dumps(head) + "\n")
            file.writelines(self._lines())

    def _lines(self) -> Iterator[str]:
        """The customers as they are written. Made anew for each use: the text of a million takes a gigabyte."""
        for planned in self.customers:
            plain = attrs.asdict(planned, recurse=False) | {"steps": [step_to_json(step) for step in planned.steps]}
            yield json.dumps(plain, ensure_ascii=False) + "\n"

    def write_rejects(self, path: Path, reasons: Mapping[int, str]) -> None:
        """Write the rows of these lines, as far as the plan knows them, with a column `reason`."""
        steps = {step.line: step for each in self.customers for step in each.steps if step.line is not None}
        with open_private(path, newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, "reason"])
            for line, reason in sorted(reasons.items()):
                step = steps.get(line)
                if step is None or step.charge is None:
                    writer.writerow([*("" for _ in COLUMNS), f"line {line} {reason}"])
                    continue
                values = [getattr(step.charge, name) for name in FIELDS]
                cells = ["" if each is None else str(each) for each in values]
                writer.writerow([step.customer_no, step.subscription_no or "", *cells, reason])

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan that was kept.

        Raises:
            TableError: it is none, or is cut short.
        """
        try:
            with path.open(encoding="utf-8") as file:
                head = json.loads(file.readline() or "null")
                if not isinstance(head, dict) or head.get("format") != FORMAT:
                    raise TableError(f"{path}: is not a plan of this version")
                plan = cls(ledger=head["ledger"], prune=head["prune"], rows=head["rows"])
                plan.rejected = {int(line): reason for line, reason in head["rejected"].items()}
                plan.failed = {int(line): reason for line, reason in head["failed"].items()}
                plan.held, plan.unchanged = head["held"], head["unchanged_unread"]
                plan.before, plan.after = Decimal(head["before"]), Decimal(head["after"])
                plan.without_price = head["without_price"]
                start = file.tell()
                digest = _digest(file)
                file.seek(start)
                for line in file:
                    plain = json.loads(line)
                    steps = tuple(map(step_from_json, plain.pop("steps")))
                    lists: dict[str, Any] = {
                        name: tuple(plain.pop(name)) for name in ("subscriptions", "unchanged", "suspicious")
                    }
                    plan._count(PlannedCustomer(steps=steps, **lists, **plain))
                if (len(plan.customers), digest) != (head["customers"], head["digest"]):
                    raise TableError(
                        f"{path}: is not a whole plan: it has {len(plan.customers)} of {head['customers']} customers, "
                        "or was changed. Make a new plan"
                    )
        except OSError as error:
            raise TableError(f"{path}: cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise TableError(f"{path}: is not a plan that can be read: {error}") from None
        return plan


def _digest(lines: Iterable[str]) -> str:
    """Return a digest of the lines of a plan that hold its customers."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line.encode())
    return digest.hexdigest()


def _ended(end: date | None, today: date) -> bool:
    return end is not None and end < today


async def make(
    billing: AsyncBilling,
    table: Table,
    *,
    where: str = "",
    prune: bool = False,
    concurrency: int = 16,
    today: date | None = None,
    on_progress: Progress | None = None,
) -> Plan:
    """Read the customers of a table, and say what would be written. Nothing is.

    Args:
        billing: the client.
        table: the desired charges.
        where: which rows, as a condition of SQL; see `Table.rows`.
        prune: whether the table is the whole truth for its customers, so that other charges of theirs are removed.
        concurrency: customers read at once.
        today: for what is still billed; the day it is if not given.
        on_progress: called with the number of rows after each customer.
    """
    plan = Plan(ledger=billing.settings.ledger, prune=prune)
    unsure = table.with_rejected_rows()
    day = today or date.today()

    async def one(customer: Customer) -> None:
        number, rows = customer
        pruned = prune and number not in unsure
        try:
            state = await held(billing, number, {row.subscription_no for row in rows}, everything=pruned)
        except BillingError as error:
            plan.failed |= {row.line: f"{type(error).__name__}: {error}" for row in rows}
        else:
            plan.add(number, rows, state, prune=pruned, today=day)
        plan.rows += len(rows)
        if on_progress is not None:
            on_progress(len(rows))

    await over(table.rows(where), one, concurrency)
    plan.customers.sort(key=lambda each: each.customer_no)
    return plan


async def over(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], concurrency: int, stop: asyncio.Event | None = None
) -> None:
    """Do work for each item, so many at once: workers over an iterator, so that a million items cost no memory."""
    source: Iterator[T] = iter(items)

    async def worker() -> None:
        for item in source:
            if stop is not None and stop.is_set():
                return
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


async def changed_since(billing: AsyncBilling, plan: Plan, concurrency: int) -> list[str]:
    """The customers of whom something is other than when the plan was made."""
    changed: list[str] = []

    async def one(planned: PlannedCustomer) -> None:
        state = await held(billing, planned.customer_no, planned.subscriptions, everything=planned.whole)
        if state.fingerprint != planned.fingerprint:
            changed.append(planned.customer_no)

    await over([each for each in plan.customers if each.steps], one, concurrency)
    return sorted(changed)
