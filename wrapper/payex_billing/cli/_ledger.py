"""`payex-billing export` and `drift`: what a ledger holds, and what others have changed in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import click

from .._text import counted, printable
from ..reconcile import Drift, Export, read_customers
from ..reconcile import drift as find_drift
from ..reconcile import export as export_table
from ..reconcile._history import reading
from ..reconcile._store import Place
from ._applying import run_with_client, sentences
from ._client_options import client_options
from ._common import DONE, INTERRUPTED, PATH, PENDING, ROWS_FAILED, json_option, say_json
from ._journal import RUN_NUMBER, journal_of, journal_option
from ._output_files import check_outputs
from ._show import SHOWN, said
from ._table import table
from ._table_options import concurrency_option, patience_option, rate_option


def reading_options(command: Any) -> Any:
    """Add the options of commands that only read to a command."""
    return patience_option(concurrency_option(rate_option(command)))


@click.command(
    epilog="\b\nExamples:\n  payex-billing export --to charges.parquet\n"
    "  payex-billing export --customers customers.txt --to charges.xlsx\n"
    "  payex-billing export --customers crm.csv --column kund --to charges.csv"
)
@click.option("--to", "target", required=True, type=PATH, help="A .parquet, .csv or .xlsx file.")
@click.option(
    "--customers",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Numbers of customers: a text file with one on each line, or a table. Default: those that the journal knows.",
)
@click.option("--column", default="customer_no", show_default=True, help="The column of the table with the numbers.")
@reading_options
@journal_option
@client_options
@json_option
def export(
    target: Path, source: Path | None, column: str, patience: float, concurrency: int, journal: Place | None,
    client: dict[str, Any], as_json: bool,
) -> int:  # fmt: skip
    """Write everything that the ledger holds for some customers to a table.

    `apply` of that table has nothing to do. Within ten minutes an interrupted export goes on where it stopped.
    """
    with sentences():
        check_outputs({"--customers": source, "--to": target}, {})
        if source is not None:
            numbers = read_customers(source, column)
        else:
            name, ledger = journal_of(journal, client)
            with reading(name, ledger) as history:
                numbers = sorted(history.customers())
        result = run_with_client(
            export_table, numbers, target, client=client, can_stop=True, concurrency=concurrency, patience=patience
        )
    if as_json:
        say_json(attrs.asdict(result, filter=attrs.filters.exclude("without_charge")))
    else:
        _tell(result, target)
    if result.interrupted:
        click.echo("Interrupted. The same command goes on where it stopped.", err=True)
        return INTERRUPTED
    return ROWS_FAILED if result.failed else DONE


def _tell(result: Export, target: Path) -> None:
    if result.resumed:
        click.echo(f"{counted(result.resumed, 'customer')} had been read before.")
    for number, reason in list(result.failed.items())[:SHOWN]:
        click.echo(printable(f"customer {number} could not be read: {reason}"), err=True)
    if len(result.failed) > SHOWN:
        click.echo(f"{len(result.failed) - SHOWN:,} more could not be read", err=True)
    if result.missing:
        click.echo(_listed("not in the ledger", result.missing))
    if result.without_charge:
        click.echo(f"{counted(result.without_charge, 'customer')} without a charge")
    if not result.interrupted:
        customers = result.customers - len(result.missing) - result.without_charge
        click.echo(f"{counted(result.charges, 'charge')} of {counted(customers, 'customer')} in {target}")


def _listed(what: str, numbers: list[str]) -> str:
    """Return how many customers these are, and the first five of them."""
    shown = ", ".join(numbers[:5]) + (" and more" if len(numbers) > 5 else "")
    return printable(f"{counted(len(numbers), 'customer')} {what}: {shown}")


@click.command(
    epilog="\b\nExamples:\n  payex-billing drift\n  payex-billing drift --since 17 --json\n\n"
    "Exit codes: 0 no drift, 1 error, 2 drift, 3 some customers could not be read."
)
@click.option("--since", type=RUN_NUMBER, metavar="RUN", help="Only what this run and later ones wrote.")
@click.option("--customer", "customers", multiple=True, help="Only this customer; may be given again.")
@reading_options
@journal_option
@client_options
@json_option
def drift(
    since: int | None, customers: tuple[str, ...], patience: float, concurrency: int, journal: Place | None,
    client: dict[str, Any], as_json: bool,
) -> int:  # fmt: skip
    """Show what others have changed since the runs of apply, retry and undo.

    Charges are compared with what the last run left. Subscriptions that no run has written to are looked at only if a
    run created their customer, because the journal does not know what they held before.
    """
    with sentences():
        name, _ = journal_of(journal, client)
        report = run_with_client(
            find_drift, client=client, can_stop=False, since=since, customers=customers,
            journal=name, concurrency=concurrency, patience=patience,
        )  # fmt: skip
    if as_json:
        say_json(
            {
                "customers": report.customers, "charges": report.charges, "failed": report.failed,
                "drift": [attrs.asdict(each) | {"fields": each.fields} for each in report.found],
            }
        )  # fmt: skip
    else:
        for number, reason in list(report.failed.items())[:SHOWN]:
            click.echo(printable(f"customer {number} could not be read: {reason}"), err=True)
        if report.found:
            headers = ["customer", "subscription", "charge", "what", "run", "left by the run", "now"]
            table(headers, [_row(each) for each in report.found], right=frozenset({"run"}))
        if report.unknown:
            later = "" if since is None else f" since run {since}"
            click.echo(_listed(f"without a write in the journal{later}", report.unknown))
        compared = f"{counted(report.charges, 'charge')} of {counted(report.customers, 'customer')}"
        click.echo(f"{compared} compared: {len(report.found) or 'no'} drift")
    return PENDING if report.found else ROWS_FAILED if report.failed else DONE


def _row(each: Drift) -> list[str]:
    names = list(each.fields) or ["product_code", "quantity", "unit_price", "start_date", "end_date"]
    run_number = "" if each.run is None else str(each.run)
    what = [each.customer_no, each.subscription_no or "", each.charge_id, each.kind, run_number]
    return [*what, said(each.left, names), said(each.now, names)]
