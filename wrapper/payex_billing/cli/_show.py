"""How a plan and a report are shown to a person who has to judge them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import click

from .._text import printable
from ..reconcile import Kind, Plan, PlannedCustomer, Report, Step, Table
from ._common import price, table

SHOWN = 20  # rejections, and largest changes, before the rest is only counted
_KINDS = (Kind.CREATE_CUSTOMER, Kind.CREATE_SUBSCRIPTION, Kind.CREATE, Kind.UPDATE, Kind.END, Kind.REMOVE)
_WORDS = {
    Kind.CREATE_CUSTOMER: "customers to create",
    Kind.CREATE_SUBSCRIPTION: "subscriptions to create",
    Kind.CREATE: "charges to add",
    Kind.UPDATE: "charges to change",
    Kind.END: "charges to end",
    Kind.REMOVE: "charges to remove",
}


def show_rejections(source: Table) -> None:
    """Show on standard error how the table was read, and the bad cells: the first in full, the others counted."""
    for note in source.notes:
        click.echo(f"{source.path}: {printable(note)}", err=True)
    for each in source.rejections[:SHOWN]:
        click.echo(f"{source.path}: {printable(str(each))}", err=True)
    others = Counter((each.column, each.rule) for each in source.rejections[SHOWN:])
    for (column, rule), count in others.most_common(SHOWN):
        click.echo(
            printable(f"{source.path}: {count:,} more: {f'column {column}: ' if column else ''}{rule}"), err=True
        )
    if len(others) > SHOWN:
        rest = sum(count for _, count in others.most_common()[SHOWN:])
        click.echo(f"{source.path}: {rest:,} more of other kinds", err=True)
    if others:
        click.echo(f"{source.path}: --rejects FILE writes all rejected rows, with the reason.", err=True)


def show_failures(file: Path, failed: Mapping[int, str], not_removed: Iterable[str] = ()) -> None:
    """What could not be written, on standard error."""
    for line, reason in sorted(failed.items()):
        click.echo(f"{file}: line {line}: {reason}", err=True)
    for reason in not_removed:
        click.echo(f"{file}: not removed: {reason}", err=True)


def show_plan(plan: Plan, *, details: bool) -> None:
    """Counts, money, and the largest changes; with details a table for every customer."""
    click.echo(
        f"{plan.rows} rows: {plan.unchanged} as they should be, "
        f"{len(plan.rejected)} rejected, {len(plan.failed)} failed"
    )
    for kind in _KINDS:
        if plan.counts[kind.value]:
            click.echo(f"{plan.counts[kind.value]:>10} {_WORDS[kind]}")
    _show_reopened(plan)
    if plan.failed:
        click.echo(f"The plan is incomplete: {len(plan.failed)} rows could not be compared with what is held.")
        if not plan.changes:
            return
    elif not plan.changes:
        click.echo("Nothing to do.")
    click.echo(
        f"Per month: {price(plan.before)} before, {price(plan.after)} after ({_signed(plan.after - plan.before)})"
    )
    if plan.without_price:
        click.echo(f"{plan.without_price} rows take their price from the master product and are not in these sums.")
    if plan.surplus and not plan.prune:
        click.echo(f"{plan.surplus} charges are held that no row asks for. They stay; --prune removes them.")
    suspicious = sorted(line for each in plan.customers for line in each.suspicious)
    if suspicious:
        shown = ", ".join(map(str, suspicious[:SHOWN])) + (" …" if len(suspicious) > SHOWN else "")
        click.echo(
            f"Look at lines {shown}: each adds a charge of a product of which an open one is held with another start. "
            "Both will be billed."
        )
    if details:
        for each in plan.customers:
            if each.steps:
                table(
                    ["step", "subscription", "product", "was", "becomes"],
                    [_row(step) for step in each.steps],
                    title=f"Customer {each.customer_no}",
                )
    elif plan.changes:
        _largest(plan.customers)


def _show_reopened(plan: Plan) -> None:
    """Show how many charges lose their end date, and their monthly amount."""
    reopened = [step for each in plan.customers for step in each.steps if _reopens(step)]
    if reopened:
        worth = sum((_worth(step.charge) for step in reopened), Decimal(0))
        charges = "1 charge loses its" if len(reopened) == 1 else f"{len(reopened)} charges lose their"
        click.echo(f"{charges} end date and will be billed without end: {price(worth)} a month.")


def _signed(change: Decimal) -> str:
    return ("+" if change >= 0 else "") + price(change)


def _largest(customers: list[PlannedCustomer]) -> None:
    steps = [
        step
        for each in customers
        for step in each.steps
        if step.kind not in {Kind.CREATE_CUSTOMER, Kind.CREATE_SUBSCRIPTION}
    ]
    steps.sort(key=lambda step: (not _reopens(step), -abs(_weight(step))))
    rows = [[step.customer_no, *_row(step), price(_weight(step))] for step in steps[:5]]
    headers = ["customer", "step", "subscription", "product", "was", "becomes", "per month"]
    table(headers, rows, right=frozenset({"per month"}), title="Largest changes")


def _reopens(step: Step) -> bool:
    """Return whether the step clears the end date of a charge."""
    return step.kind is Kind.UPDATE and "end_date" in step.changes and step.changes["end_date"] is None


def _worth(charge: object) -> Decimal:
    """Return the monthly amount of a charge in major currency units; 0 if its price is the master product's."""
    unit, quantity = getattr(charge, "unit_price", None), getattr(charge, "quantity", None)
    return Decimal(0) if unit is None else unit * (quantity or 1)


def _weight(step: Step) -> Decimal:
    """What a step changes a month, major currency units."""
    after = Decimal(0) if step.kind in {Kind.REMOVE, Kind.END} else _worth(step.charge)
    return after - _worth(step.before)


def _row(step: Step) -> list[str]:
    charge = step.charge or step.before
    product = charge.product_code if charge is not None else ""
    names = (
        list(step.changes)
        if step.before is not None and step.charge is not None
        else ["quantity", "unit_price", "start_date", "end_date"]
    )
    return [step.kind.value, step.subscription_no or "", product, _said(step.before, names), _said(step.charge, names)]


def _said(charge: object, names: list[str]) -> str:
    """Values of a charge in words; what is cleared is said to be none."""
    if charge is None:
        return ""
    words = []
    for name in names:
        value = getattr(charge, name)
        if value is not None or len(names) < 4:
            text = "none" if value is None else price(value) if isinstance(value, Decimal) else str(value)
            words.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(words)


def report_text(report: Report) -> str:
    """What a run came to, in lines."""
    lines = [
        f"{report.rows} rows: {report.unchanged} unchanged, {report.applied} applied, "
        f"{len(report.rejected)} rejected, {len(report.failed)} failed"
    ]
    lines += [f"{report.steps[kind.value]:>10} × {kind.value}" for kind in _KINDS if report.steps.get(kind.value)]
    if not report.interrupted and not report.steps and not report.failed:
        lines.append("Nothing to do.")
    return "\n".join(lines)
