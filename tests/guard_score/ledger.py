"""A simulated ledger, and a night's run on it: read the file, compare, judge; write if no guard stops the run."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import attrs
from payex_billing import RecurringProduct
from payex_billing.reconcile import Held, Kind, Step, Stop, TableError, difference, read
from payex_billing.reconcile._figures import Figures
from payex_billing.reconcile._guards import check
from payex_billing.reconcile._limits import Limits
from payex_billing.reconcile._match import Difference

from .company import Row

Charges = dict[str | None, tuple[RecurringProduct, ...]]
CONTENT = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")


@dataclass
class Result:
    """The result of a night's run.

    Attributes:
        stops: the guards that stopped the run.
        refused: why the table could not be read at all.
        writes: what each customer would get, as comparable values.
    """

    stops: list[Stop] = field(default_factory=list)
    refused: str = ""
    writes: dict[str, frozenset[tuple[object, ...]]] = field(default_factory=dict)
    figures: Figures | None = None
    steps: list[tuple[str, tuple[Step, ...]]] = field(default_factory=list)
    seen: dict[str, tuple[object, ...]] = field(default_factory=dict)


class Ledger:
    """The charges in Billing by customer, with the figures of the last run and the state cache."""

    def __init__(self, *, prune: bool, cache: bool, limits: Limits | None = None) -> None:
        self.held: dict[str, Charges] = {}
        self.prune, self.cache = prune, cache
        self.limits = limits or Limits()
        self.last: Figures | None = None
        self.seen: dict[str, tuple[object, ...]] = {}
        self._ids = itertools.count(1)

    def run(self, file: Path, today: date, *, modified: float | None = None, first_run: bool = False) -> Result:
        """Judge a night's file, without writing."""
        result = Result()
        try:
            table = read(file)
        except TableError as error:
            result.refused = str(error)
            return result
        figures = Figures()
        with table:
            figures.ledger = "https://ledger"
            figures.rejected = len(table.rejected_lines)
            figures.digest = table.digest
            figures.source_modified = modified
            unsure = table.with_rejected_rows()
            for customer, rows in table.rows():
                seen = tuple((row.subscription_no, row.charge) for row in rows)
                result.seen[customer] = seen
                if self.cache and self.seen.get(customer) == seen:
                    figures.skip(customer, len(rows))
                    continue
                prune = self.prune and customer not in unsure
                held = self._read(customer, {row.subscription_no for row in rows}, everything=prune)
                found = difference(customer, rows, held, prune=prune)
                figures.add(customer, rows, held, found, today)
                self._note(result, customer, found)
        # `apply` stores the plan's figures and the last run's figures as JSON, so both pass through JSON here.
        last = None if self.last is None else Figures.from_json(self.last.to_json(samples=False))
        result.figures = Figures.from_json(figures.to_json())
        result.stops = check(result.figures, last, self.limits, first_run=first_run)
        return result

    def _read(self, customer: str, subscriptions: set[str | None], *, everything: bool) -> Held:
        charges = self.held.get(customer)
        if charges is None:
            return Held(exists=False)
        wanted = {None, *charges} if everything else subscriptions & {None, *charges}
        return Held(exists=True, charges={number: charges.get(number, ()) for number in wanted})

    @staticmethod
    def _note(result: Result, customer: str, found: Difference) -> None:
        if found.steps:
            result.steps.append((customer, found.steps))
            result.writes[customer] = frozenset(
                (step.kind, step.subscription_no, step.charge_id, _content(step)) for step in found.steps
            )

    def write(self, result: Result) -> None:
        """Apply the writes of a run to the ledger."""
        for customer, steps in result.steps:
            for step in steps:
                self._step(customer, step)
        self.last = result.figures
        self.seen = dict(result.seen)

    def _step(self, customer: str, step: Step) -> None:
        number = step.subscription_no
        if step.kind is Kind.CREATE_CUSTOMER:
            self.held[customer] = {None: ()}
            return
        charges = self.held[customer]
        if step.kind is Kind.CREATE_SUBSCRIPTION:
            charges[number] = ()
        elif step.kind is Kind.REMOVE:
            charges[number] = tuple(each for each in charges[number] if each.id != step.charge_id)
        elif step.kind is Kind.CREATE:
            own = f"{next(self._ids)}"
            values = {name: getattr(step.charge, name) for name in CONTENT}
            charges[number] = (*charges.get(number, ()), RecurringProduct(id=own, uri=f"/x/{own}", **values))
        else:
            charges[number] = tuple(
                attrs.evolve(each, **step.changes) if each.id == step.charge_id else each for each in charges[number]
            )


def _content(step: Step) -> tuple[object, ...]:
    return () if step.charge is None else tuple(getattr(step.charge, name) for name in CONTENT)


def write_file(path: Path, rows: list[Row], columns: Sequence[str]) -> None:
    """Write a night's table as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
