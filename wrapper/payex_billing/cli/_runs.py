"""`payex-billing runs` and `payex-billing history` show the runs of a journal, and the writes to a customer."""

from __future__ import annotations

import re
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import click

from .._text import counted, printable
from ..models import CONTENT
from ..reconcile._address import name_of
from ..reconcile._history import Run, UnappliedRow, is_there, reading
from ..reconcile._history import forget as forget_values
from ..reconcile._history import prune as prune_runs
from ..reconcile._journal import Journal
from ..reconcile._records import Intent, Result
from ..reconcile._store import Place
from ._advice import next_step
from ._applying import sentences
from ._client_options import client_options
from ._common import DONE, PATH, PENDING, confirm, json_option, price, say_json, when
from ._journal import RUN_NUMBER, file_of, journal_of, journal_option
from ._output_files import check_outputs
from ._show import plain_content, said
from ._table import table

_COUNTS = ("rows", "applied", "rejected", "failed")  # the values of a report that are shown for each run
_SHOWN = 20  # runs in the list, and rows of a run
# Attributes of a run that its JSON has under the same name and with the same value.
_AS_THEY_ARE = ("command", "file", "input", "options", "shard", "plan", "approved", "undoes", "user", "host", "version")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.pass_context
def runs(context: click.Context) -> None:
    """Show the runs of apply and undo. Without a command: the last 20."""
    if context.invoked_subcommand is None:  # `context.invoke` would not look at PAYEX_JOURNAL
        with list_.make_context("list", [], parent=context) as listing:
            list_.invoke(listing)


@runs.command("list")
@click.option("--all", "everything", is_flag=True, help="All runs, not only the last 20.")
@journal_option
@client_options
@json_option
def list_(everything: bool, journal: Place | None, client: dict[str, Any], as_json: bool) -> None:
    """List the runs, the last one first."""
    with sentences():
        name, ledger = journal_of(journal, client)
        with reading(name, ledger) as history:
            found = [run for index, run in enumerate(history.runs()) if everything or index < _SHOWN]
        if as_json:
            say_json({"journal": name_of(name), "runs": [plain(run) for run in found]})
        elif not found:
            click.echo("The journal has no run.")
        else:
            headers = ["run", "started", "command", "file", *_COUNTS, "per month", "ended"]
            table(headers, [_row(run) for run in found], right=frozenset({"run", *_COUNTS, "per month"}))


@runs.command()
@click.argument("number", metavar="RUN", type=RUN_NUMBER)
@journal_option
@client_options
@json_option
def show(number: int, journal: Place | None, client: dict[str, Any], as_json: bool) -> None:
    """Show one run: its options, what it wrote, and the rows that it did not apply."""
    with sentences():
        name, ledger = journal_of(journal, client)
        with reading(name, ledger) as history:
            run, rows, counts = history.run(number), history.rows(number), history.counts(number)
            step = next_step(run, history.later_run(run))
        if as_json:
            say_json(plain(run) | {"writes": counts, "not_applied": [attrs.asdict(row) for row in rows]})
        else:
            _show(run, counts, rows, step)


@runs.command()
@click.option("--to", "target", required=True, type=PATH, help="A file: .parquet, .csv or .jsonl.")
@click.option("--run", "number", type=RUN_NUMBER, help="Only the writes of this run.")
@journal_option
@client_options
def export(target: Path, number: int | None, journal: Place | None, client: dict[str, Any]) -> None:
    """Write every write of the journal to a table, for other tools."""
    from ..reconcile._write_tables import export_writes  # noqa: PLC0415 - needs the extra `tables`

    with sentences():
        name, ledger = journal_of(journal, client)
        check_outputs({"--journal": file_of(name)}, {"--to": target})
        with reading(name, ledger) as history:
            if number is not None:
                history.run(number)  # an unknown run is an error, and not a table without a row
            count = export_writes(history, target, number)
    click.echo(f"{counted(count, 'write')} in {target}")


@runs.command()
@click.option("--older-than", required=True, metavar="AGE", help="Such as 90d, 12m or 2y.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@journal_option
@client_options
def prune(older_than: str, yes: bool, journal: Place | None, client: dict[str, Any]) -> None:
    """Take old runs and their writes out of the journal. They cannot be shown or undone then."""
    match = re.fullmatch(r"(\d{1,5})([dwmy])", older_than)
    if match is None:
        raise click.UsageError("--older-than takes a number of days, weeks, months or years, such as 90d, 12m or 2y")
    before = time.time() - int(match[1]) * _DAYS[match[2]] * 86_400.0
    with sentences():
        name, ledger = journal_of(journal, client)
        with reading(name, ledger) as history:
            count = sum(run.seen < before for run in history.runs())
        if not count:
            click.echo(f"No run is older than {older_than}.")
            return
        if not yes:
            confirm(f"Take {counted(count, 'run')} out of {name_of(name)}?", refused="Nothing was changed.")
        click.echo(f"Taken out: {counted(prune_runs(name, ledger, before), 'run')}.")


@runs.command(
    epilog="\b\nExamples:\n  payex-billing runs resolve\n"
    "  payex-billing runs resolve --customer 15615616 --created 7f3a\n"
    "  payex-billing runs resolve --customer 15615616 --not-created"
)
@click.option("--customer", "customer_no", help="Decide the open creations of this customer.")
@click.option("--number", type=RUN_NUMBER, help="Decide only the creation with this number.")
@click.option("--created", metavar="CHARGE_ID", help="It took effect: this charge is it.")
@click.option("--not-created", is_flag=True, help="It took no effect; the next apply creates the charge.")
@journal_option
@client_options
@json_option
def resolve(
    customer_no: str | None, number: int | None, created: str | None, not_created: bool, journal: Place | None,
    client: dict[str, Any], as_json: bool,
) -> int:  # fmt: skip
    """List creations whose outcome could not be told, and decide them by hand.

    Look at the customer's charges first: `payex-billing charges list CUSTOMER`. Only you can know whether a charge was
    added by the lost request or by somebody else. Exits with 2 while creations are open.
    """
    decides = created is not None or not_created
    if created is not None and not_created:
        raise click.UsageError("give --created or --not-created, not both")
    if decides and customer_no is None and number is None:
        raise click.UsageError("say which creation: --customer, --number")
    with sentences():
        name, ledger = journal_of(journal, client)
        if not is_there(name):
            raise click.ClickException(
                f"{name_of(name)}: there is no journal. apply creates it; --journal names another one"
            )
        with Journal(name, ledger) as notes:
            creations = [intent for intent in notes.open() if intent.creates_charge]
            if decides:
                chosen = [
                    intent
                    for intent in creations
                    if number in {None, intent.id} and customer_no in {None, intent.step.customer_no}
                ]
                if len(chosen) != 1:
                    raise click.ClickException(
                        "no open creation is meant" if not chosen else "several open creations are meant: add --number"
                    )
                result = Result.ABSENT if not_created else Result.CREATED
                notes.settle(chosen[0].id, result, created)
                creations.remove(chosen[0])
        if as_json:
            say_json({"creations": [_plain_creation(intent) for intent in creations]})
        elif not creations:
            click.echo("No creation is open. Run the same apply again.")
        else:
            for intent in creations:
                click.echo(_text(intent))
    return PENDING if creations else DONE


def plain(run: Run) -> dict[str, Any]:
    """Return a run as plain JSON."""
    return {
        "run": run.id,
        **{name: getattr(run, name) for name in _AS_THEY_ARE},
        "started_at": when(run.started),
        "ended_at": when(run.seen),
        "ended": None if run.ending is None else run.ending.value,
        "report": run.report,
    }


def _ended(run: Run) -> str:
    return "killed, or at work" if run.ending is None else run.ending.value


def _row(run: Run) -> list[str]:
    told = run.report.get
    change = ""
    if run.has_every_result and not (told("failed") or told("not_removed")):  # else it is what was planned
        money = Decimal(run.report["after"]) - Decimal(run.report["before"])
        change = f"{money:+,.2f}"
    what = f"undo {run.undoes}" if run.undoes is not None else run.command
    counts = [str(told(name, "")) for name in _COUNTS]
    return [str(run.id), _local(run.started), what, run.file, *counts, change, _ended(run)]


def _show(run: Run, counts: dict[str, int], rows: list[UnappliedRow], step: str | None) -> None:
    what = f"undo of run {run.undoes}" if run.undoes is not None else f"{run.command} {run.file}".strip()
    by = " on ".join(filter(None, (run.user, run.host)))
    click.echo(printable(f"Run {run.id}: {what}"))
    click.echo(printable(f"Started {_local(run.started)} by {by}, payex-billing {run.version}"))
    click.echo(f"Last at work {_local(run.seen)}: {_ended(run)}")
    if run.shard:
        click.echo(f"Shard {run.shard}")
    if run.approved:
        click.echo(f"Approved: {run.approved}")
    told = run.report.get
    if run.report:
        click.echo(
            f"{counted(int(told('rows', 0)), 'row')}: {told('unchanged', 0)} unchanged, {told('applied', 0)} applied, "
            f"{told('rejected', 0)} rejected, {told('failed', 0)} failed"
        )
    for kind, count in counts.items():
        click.echo(f"{count:>10} × {kind}")
    if told("stopped"):
        click.echo(printable(f"Stopped: {told('stopped')}"))
    for row in rows[:_SHOWN]:
        customer = f", customer {row.customer_no}" if row.customer_no else ""
        click.echo(printable(f"line {row.line}{customer}: {row.result}: {row.reason}"))
    if len(rows) > _SHOWN:
        click.echo(f"{len(rows) - _SHOWN:,} more rows; --json shows all")
    if step is not None and (rows or not run.has_every_result):
        purpose = "apply these rows again" if run.has_every_result else "continue it"
        click.echo(printable(f"To {purpose if run.undoes is None else 'take back the rest'}: {step}"))
    if counts:
        click.echo(f"To take the writes back: payex-billing undo {run.id}")


def _plain_creation(intent: Intent) -> dict[str, Any]:
    step = intent.step
    return {
        "number": intent.id,
        "customer_no": step.customer_no,
        "subscription_no": step.subscription_no,
        **{name: getattr(step.charge, name, None) for name in CONTENT},
        "line": step.line,
    }


def _text(intent: Intent) -> str:
    step, charge = intent.step, intent.step.charge
    where = f"customer {step.customer_no}" + (f", subscription {step.subscription_no}" if step.subscription_no else "")
    what = "" if charge is None else f", product {charge.product_code}"
    if charge is not None and charge.unit_price is not None:
        what += f", {price(charge.unit_price)}"
    if charge is not None and charge.start_date is not None:
        what += f", from {charge.start_date}"
    return printable(f"{intent.id}: line {step.line}: {where}{what}")


@click.command(
    epilog="\b\nExamples:\n  payex-billing history 15615616\n  payex-billing history 15615616 --subscription 46\n"
    "  payex-billing history 15615616 --charge 7f3a --json"
)
@click.argument("customer_no", metavar="CUSTOMER")
@click.option("--subscription", help="Only writes to this subscription.")
@click.option("--charge", metavar="CHARGE_ID", help="Only writes to this charge.")
@click.option("--forget", is_flag=True, help="Take the values of these writes out of the journal; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@journal_option
@client_options
@json_option
def history(
    customer_no: str, subscription: str | None, charge: str | None, forget: bool, yes: bool, journal: Place | None,
    client: dict[str, Any], as_json: bool,
) -> None:  # fmt: skip
    """Show every write to a customer: when, by which run, what was there before and after.

    The journal knows the writes of `apply`, `retry` and `undo`. Times are those of this machine.
    """
    with sentences():
        name, ledger = journal_of(journal, client)
        if forget:
            if subscription or charge:
                raise click.UsageError("--forget is for a whole customer")
            _forget(name, ledger, customer_no, yes=yes, as_json=as_json)
            return
        with reading(name, ledger) as found:
            writes = list(found.to_customer(customer_no, level=subscription, charge_id=charge))
            has_others = not writes and any(found.to_customer(customer_no))
        if as_json:
            say_json({"customer_no": customer_no, "writes": [_plain_write(intent) for intent in writes]})
        elif not writes:
            what = _selection(customer_no, subscription, charge) if has_others else f"customer {customer_no}"
            click.echo(printable(f"The journal has no write to {what}."))
        else:
            headers = ["run", "time", "step", "subscription", "charge", "product", "was", "became", "result"]
            table(headers, [_write_row(intent) for intent in writes], right=frozenset({"run"}))


def _selection(customer_no: str, subscription: str | None, charge: str | None) -> str:
    """Return the charge, subscription and customer that the options select, in words."""
    level = f"subscription {subscription} of " if subscription is not None else ""
    target = f"charge {charge} {'on' if level else 'of'} " if charge is not None else ""
    return f"{target}{level}customer {customer_no}"


def _forget(name: Place, ledger: str | None, customer_no: str, *, yes: bool, as_json: bool) -> None:
    if not yes:
        question = f"Take the values of all writes to customer {customer_no} out of {name_of(name)}?"
        confirm(f"{question} They cannot be undone then.", refused="Nothing was changed.")
    count = forget_values(name, ledger, customer_no)
    if as_json:
        say_json({"customer_no": customer_no, "forgotten": count})
    else:
        click.echo(f"Forgotten: the values of {counted(count, 'write')}.")


def _plain_write(intent: Intent) -> dict[str, Any]:
    """Return a write as plain JSON."""
    step = intent.step
    contents = {"before": plain_content(step.before), "after": plain_content(intent.after or step.charge)}
    return intent.to_plain(contents, when(intent.noted))


def _local(seconds: float) -> str:
    """Return a time in seconds since 1970 as text, in the time zone of this machine."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _write_row(intent: Intent) -> list[str]:
    step = intent.step
    content = step.charge or step.before
    before, after = step.before, step.charge
    names = [
        name for name in CONTENT if name != "product_code" and getattr(before, name, None) != getattr(after, name, None)
    ]
    result = "open" if intent.result is None else intent.result.value
    return [
        str(intent.run), _local(intent.noted), step.kind.value, step.subscription_no or "",
        intent.charge_id or step.charge_id or "", "" if content is None else content.product_code,
        said(before, names), said(after, names), f"{result} {intent.status or ''}".strip(),
    ]  # fmt: skip
