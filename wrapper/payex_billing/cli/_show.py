"""How a plan and a report are shown to a person who has to judge them."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from .._text import counted, printable
from ..models import CONTENT
from ..reconcile import (
    Content,
    GuardStopped,
    Kind,
    Plan,
    PlannedCustomer,
    RemovalFailed,
    Report,
    RunOutcome,
    Step,
    Stop,
    Table,
)
from ..reconcile._match import monthly
from ._common import price
from ._log import log
from ._table import paragraph, table

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
    path = printable(str(source.path))

    def rejected(text: str, **fields: object) -> None:
        log.say("rejected", f"{path}: {printable(text)}", level="warning", file=path, **fields)

    for note in source.notes:
        log.say("note", f"{path}: {printable(note)}", file=path)
    for each in source.rejections[:SHOWN]:
        rejected(str(each), line=each.line, column=each.column, rule=each.rule, count=1)
    others = Counter((each.column, each.rule) for each in source.rejections[SHOWN:])
    for (column, rule), count in others.most_common(SHOWN):
        text = f"{count:,} more: {f'column {column}: ' if column else ''}{rule}"
        rejected(text, column=column, rule=rule, count=count)
    if len(others) > SHOWN:
        rest = sum(count for _, count in others.most_common()[SHOWN:])
        rejected(f"{rest:,} more of other kinds", count=rest)
    if others:
        log.say("note", f"{path}: --rejects FILE writes all rejected rows, with the reason.", file=path)


def show_failures(file: Path, failed: Mapping[int, str], not_removed: Iterable[RemovalFailed] = ()) -> None:
    """Show the failed rows on standard error; rows that failed for the same reason share one line."""
    name = printable(str(file))
    by_reason: dict[str, list[int]] = {}
    for line, reason in sorted(failed.items()):
        by_reason.setdefault(reason, []).append(line)

    def said(event: str, text: str, **fields: object) -> None:
        log.say(event, f"{name}: {printable(text)}", level="error", file=name, **fields)

    for reason, lines in list(by_reason.items())[:SHOWN]:
        said("failed", f"{_lines(lines)}: {reason}", lines=lines[:SHOWN], count=len(lines), reason=reason)
    if left := sum(map(len, list(by_reason.values())[SHOWN:])):
        said("failed", f"{left:,} more rows failed; --report and --rejects list them all", count=left)
    for each in not_removed:
        said(
            "not_removed", f"not removed: {each}", customer_no=each.customer_no, subscription_no=each.subscription_no,
            charge_id=each.charge_id, reason=each.reason,
        )  # fmt: skip


def _lines(lines: list[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    shown = ", ".join(map(str, lines[:5]))
    return f"lines {shown}" + (f" and {len(lines) - 5:,} more" if len(lines) > 5 else "")


def show_stops(error: GuardStopped, file: Path) -> None:
    """Show on standard error why the guards stopped a run, with the worst rows."""
    log.say("stopped", f"{file}: nothing was written.", level="error", file=str(file), digest=error.digest)
    for stop in error.stops:
        show_stop(stop)
    log.say("note", f"If all of this is meant, add: --approve {error.digest}", digest=error.digest)


def show_stop(stop: Stop) -> None:
    """Show on standard error why a guard stops a run, with the worst rows."""
    text = f"{stop.guard}: {printable(stop.reason)}"
    if not log.is_json:  # an event has the rows as a list
        text = "\n".join([text, *(f"    {printable(row)}" for row in stop.worst)])
    log.say("guard", text, level="error", guard=stop.guard, reason=stop.reason, worst=stop.worst)


def show_plan(plan: Plan, *, details: bool) -> None:
    """Counts, money, and the largest changes; with details a table for every customer."""
    _show_counts(plan)
    _show_reopened(plan)
    if plan.failed:
        paragraph(
            f"The plan is incomplete: {counted(len(plan.failed), 'row')} could not be compared with what is held."
        )
        if not plan.changes:
            return
    elif not plan.changes:
        paragraph("Nothing to do.")
    paragraph(
        f"Per month: {price(plan.before)} before, {price(plan.after)} after ({_signed(plan.after - plan.before)})"
    )
    if plan.without_price:
        takes, are = ("takes its", "is") if plan.without_price == 1 else ("take their", "are")
        rows = counted(plan.without_price, "row")
        paragraph(f"{rows} {takes} price from the master product and {are} not in these sums.")
    if plan.surplus and not plan.prune:
        paragraph(not_in_file(plan.surplus))
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
        paragraph(f"Digest of the plan: {plan.digest}")


def _show_counts(plan: Plan) -> None:
    if plan.undoes is None:
        paragraph(
            f"{counted(plan.rows, 'row')}: {plan.unchanged} unchanged, "
            f"{len(plan.rejected)} rejected, {len(plan.failed)} failed"
        )
    else:
        paragraph(f"Undo of run {plan.undoes}: {counted(plan.changes, 'write')}, {len(plan.failed)} failed")
    for kind in Kind:
        if plan.counts[kind.value]:
            noun, verb = _WORDS[kind]
            number, nouns = counted(plan.counts[kind.value], noun).split(" ")
            paragraph(f"{number:>10} {nouns} {verb}")


def _show_suspicious(plan: Plan) -> None:
    """Show rows that add a charge although an open charge of the same product exists."""
    suspicious = sorted(line for planned in plan.customers for line in planned.suspicious)
    if suspicious:
        shown = ", ".join(map(str, suspicious[:SHOWN])) + (" …" if len(suspicious) > SHOWN else "")
        paragraph(
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
        paragraph(f"{charges} end date and will be billed without end: {price(worth)} a month.")


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
    if report.not_removed:
        lines[0] += f", {counted(len(report.not_removed), 'charge')} not removed"
    lines += [f"{report.steps[kind.value]:>10} × {kind.value}" for kind in Kind if report.steps.get(kind.value)]
    if report.not_in_file:
        lines.append(not_in_file(report.not_in_file))
    if report.outcome is RunOutcome.DONE and not report.steps:
        lines.append("Nothing to do.")
    if report.steps and report.run:
        lines.append(f"Run {report.run}. To take it back: payex-billing undo {report.run}")
    return "\n".join(lines)
