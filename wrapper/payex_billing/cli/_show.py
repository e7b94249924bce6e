"""How a plan and a report are shown to a person who has to judge them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import click

from .._text import counted, printable
from ..models import CONTENT
from ..reconcile import Content, GuardStopped, Kind, Plan, PlannedCustomer, RemovalFailed, Report, Step, Stop, Table
from ..reconcile._match import monthly
from ._common import price, table

SHOWN = 20  # rejections, and largest changes, before the rest is only counted
_WORDS = {
    Kind.CREATE_CUSTOMER: ("customer", "to create"),
    Kind.CREATE_SUBSCRIPTION: ("subscription", "to create"),
    Kind.CREATE: ("charge", "to add"),
    Kind.UPDATE: ("charge", "to change"),
    Kind.END: ("charge", "to end"),
    Kind.REMOVE: ("charge", "to remove"),
    Kind.REMOVE_SUBSCRIPTION: ("subscription", "to remove"),
}


def show_rejections(source: Table) -> None:
    """Show on standard error how the table was read, and the rejections: the first in full, the others counted."""
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


def show_failures(file: Path, failed: Mapping[int, str], not_removed: Iterable[RemovalFailed] = ()) -> None:
    """Show the failed rows on standard error; rows that failed for the same reason share one line."""
    by_reason: dict[str, list[int]] = {}
    for line, reason in sorted(failed.items()):
        by_reason.setdefault(reason, []).append(line)
    for reason, lines in list(by_reason.items())[:SHOWN]:
        click.echo(f"{file}: {_lines(lines)}: {printable(reason)}", err=True)
    if left := sum(map(len, list(by_reason.values())[SHOWN:])):
        click.echo(f"{file}: {left:,} more rows failed; --report and --rejects list them all", err=True)
    for removal in not_removed:
        click.echo(f"{file}: not removed: {printable(str(removal))}", err=True)


def _lines(lines: list[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    shown = ", ".join(map(str, lines[:5]))
    return f"lines {shown}" + (f" and {len(lines) - 5:,} more" if len(lines) > 5 else "")


def show_stops(error: GuardStopped, file: Path) -> None:
    """Show on standard error why the guards stopped a run, with the worst rows."""
    click.echo(f"{file}: nothing was written.", err=True)
    for stop in error.stops:
        show_stop(stop)
    click.echo(f"If all of this is meant, add: --approve {error.digest}", err=True)


def show_stop(stop: Stop) -> None:
    """Show on standard error why a guard stops a run, with the worst rows."""
    click.echo(f"{stop.guard}: {printable(stop.reason)}", err=True)
    for row in stop.worst:
        click.echo(f"    {printable(row)}", err=True)


def show_plan(plan: Plan, *, details: bool) -> None:
    """Counts, money, and the largest changes; with details a table for every customer."""
    _show_counts(plan)
    _show_reopened(plan)
    if plan.failed:
        click.echo(
            f"The plan is incomplete: {counted(len(plan.failed), 'row')} could not be compared with what is held."
        )
        if not plan.changes:
            return
    elif not plan.changes:
        click.echo("Nothing to do.")
    click.echo(
        f"Per month: {price(plan.before)} before, {price(plan.after)} after ({_signed(plan.after - plan.before)})"
    )
    if plan.without_price:
        takes, are = ("takes its", "is") if plan.without_price == 1 else ("take their", "are")
        rows = counted(plan.without_price, "row")
        click.echo(f"{rows} {takes} price from the master product and {are} not in these sums.")
    if plan.surplus and not plan.prune:
        click.echo(not_in_file(plan.surplus))
    _show_suspicious(plan)
    if details:
        for planned in plan.customers:
            if planned.steps:
                table(
                    ["step", "subscription", "product", "was", "becomes"],
                    [_row(step) for step in planned.steps],
                    title=f"Customer {planned.customer_no}",
                )
    elif plan.changes:
        _largest(plan.customers)
    if plan.changes:
        click.echo(f"Digest of the plan: {plan.digest}")


def _show_counts(plan: Plan) -> None:
    if plan.undoes is None:
        click.echo(
            f"{counted(plan.rows, 'row')}: {plan.unchanged} unchanged, "
            f"{len(plan.rejected)} rejected, {len(plan.failed)} failed"
        )
    else:
        click.echo(f"Undo of run {plan.undoes}: {counted(plan.changes, 'write')}, {len(plan.failed)} failed")
    for kind in Kind:
        if plan.counts[kind.value]:
            noun, verb = _WORDS[kind]
            number, nouns = counted(plan.counts[kind.value], noun).split(" ")
            click.echo(f"{number:>10} {nouns} {verb}")


def _show_suspicious(plan: Plan) -> None:
    """Show rows that add a charge although an open charge of the same product exists."""
    suspicious = sorted(line for planned in plan.customers for line in planned.suspicious)
    if suspicious:
        shown = ", ".join(map(str, suspicious[:SHOWN])) + (" …" if len(suspicious) > SHOWN else "")
        click.echo(
            f"Look at lines {shown}: each adds a charge of a product of which an open one is held with another start. "
            "Both will be billed."
        )


def not_in_file(charges: int) -> str:
    """Return a sentence with the number of charges that are not in the file."""
    if charges == 1:
        return "1 existing charge is not in the file. It is kept; --prune would remove it."
    return f"{charges} existing charges are not in the file. They are kept; --prune would remove them."


def _show_reopened(plan: Plan) -> None:
    """Show how many charges lose their end date, and their monthly amount."""
    count, worth = 0, Decimal(0)
    for planned in plan.customers:
        for step in planned.steps:
            if step.charge is not None and _reopens(step):
                count, worth = count + 1, worth + monthly(step.charge)
    if count:
        charges = "1 charge loses its" if count == 1 else f"{count} charges lose their"
        click.echo(f"{charges} end date and will be billed without end: {price(worth)} a month.")


def _signed(change: Decimal) -> str:
    return ("+" if change >= 0 else "") + price(change)


def _largest(customers: Iterable[PlannedCustomer]) -> None:
    parents = {Kind.CREATE_CUSTOMER, Kind.CREATE_SUBSCRIPTION, Kind.REMOVE_SUBSCRIPTION}
    steps = (step for planned in customers for step in planned.steps if step.kind not in parents)
    largest = heapq.nsmallest(5, steps, key=lambda step: (not _reopens(step), -abs(_weight(step))))
    rows = [[step.customer_no, *_row(step), price(_weight(step))] for step in largest]
    headers = ["customer", "step", "subscription", "product", "was", "becomes", "per month"]
    table(headers, rows, right=frozenset({"per month"}), title="Largest changes")


def _reopens(step: Step) -> bool:
    """Return whether the step clears the end date of a charge."""
    return step.kind is Kind.UPDATE and "end_date" in step.changes and step.changes["end_date"] is None


def _weight(step: Step) -> Decimal:
    """Return the change of the monthly amount by a step, in major currency units."""
    before = Decimal(0) if step.before is None else monthly(step.before)
    return -before if step.charge is None or step.kind in {Kind.REMOVE, Kind.END} else monthly(step.charge) - before


def _row(step: Step) -> list[str]:
    charge = step.charge or step.before
    product = charge.product_code if charge is not None else ""
    names = (
        list(step.changes)
        if step.before is not None and step.charge is not None
        else ["quantity", "unit_price", "start_date", "end_date"]
    )
    return [step.kind.value, step.subscription_no or "", product, said(step.before, names), said(step.charge, names)]


def plain_content(content: Content | None) -> dict[str, object] | None:
    """Return the content of a charge as plain JSON."""
    return None if content is None else {name: getattr(content, name) for name in CONTENT}


def said(charge: object, names: list[str]) -> str:
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
    if report.undoes is None:
        first = f"{counted(report.rows, 'row')}: {report.unchanged} unchanged, {report.applied} applied, "
        lines = [f"{first}{len(report.rejected)} rejected, {len(report.failed)} failed"]
    else:
        what = f"{counted(report.rows, 'write')} of run {report.undoes}"
        lines = [f"{what}: {report.applied} taken back, {len(report.failed)} failed"]
    lines += [f"{report.steps[kind.value]:>10} × {kind.value}" for kind in Kind if report.steps.get(kind.value)]
    if report.not_in_file:
        lines.append(not_in_file(report.not_in_file))
    if report.is_complete and not report.steps and not report.failed:
        lines.append("Nothing to do.")
    if report.steps and report.run:
        lines.append(f"Run {report.run}. To take it back: payex-billing undo {report.run}")
    return "\n".join(lines)
