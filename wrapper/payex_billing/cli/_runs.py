"""`payex-billing runs`: interrupted runs of `apply`, and what they left open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .._text import printable
from ..models import CONTENT
from ..reconcile import JournalError
from ..reconcile._journal import Journal
from ..reconcile._records import Intent, Result
from ._common import DONE, PENDING, json_option, price, say_json


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def runs() -> None:
    """Look after interrupted runs of apply."""


@runs.command(
    epilog="\b\nExamples:\n  payex-billing runs resolve charges.csv.journal\n"
    "  payex-billing runs resolve charges.csv.journal --customer 15615616 --created 7f3a\n"
    "  payex-billing runs resolve charges.csv.journal --customer 15615616 --not-created"
)
@click.argument("journal", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--customer", "customer_no", help="Decide the open creations of this customer.")
@click.option("--number", type=int, help="Decide only the creation with this number.")
@click.option("--created", metavar="CHARGE_ID", help="It took effect: this charge is it.")
@click.option("--not-created", is_flag=True, help="It took no effect; the next apply creates the charge.")
@json_option
def resolve(
    journal: Path, customer_no: str | None, number: int | None, created: str | None, not_created: bool, as_json: bool
) -> int:
    """List creations whose outcome could not be told, and decide them by hand.

    Look at the customer's charges first: `payex-billing charges list CUSTOMER`. Only you can know whether a charge was
    added by the lost request or by somebody else. Exits with 2 while creations are open.
    """
    decides = created is not None or not_created
    if created is not None and not_created:
        raise click.UsageError("give --created or --not-created, not both")
    if decides and customer_no is None and number is None:
        raise click.UsageError("say which creation: --customer, --number")
    try:
        notes = Journal(journal, None)
    except JournalError as error:
        raise click.ClickException(str(error)) from None
    with notes:
        creations = [intent for intent in notes.open() if intent.lost is not None]
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
            say_json([_plain(intent) for intent in creations])
        elif not creations:
            click.echo("No creation is open. Run the same apply again.")
        else:
            for intent in creations:
                click.echo(_text(intent))
    return PENDING if creations else DONE


def _plain(intent: Intent) -> dict[str, Any]:
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
