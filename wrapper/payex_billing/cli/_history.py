"""`payex-billing history`: every write to a customer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from .._text import counted, printable
from ..models import CONTENT
from ..reconcile._address import name_of
from ..reconcile._history import forget as forget_values
from ..reconcile._history import reading
from ..reconcile._records import Intent
from ..reconcile._store import Place
from ._applying import sentences
from ._common import client_options, confirm, json_option, say_json, when
from ._journal import journal_of, journal_option
from ._show import plain_content, said
from ._table import table


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
            say_json({"customer_no": customer_no, "writes": [plain(intent) for intent in writes]})
        elif not writes:
            what = _selection(customer_no, subscription, charge) if has_others else f"customer {customer_no}"
            click.echo(printable(f"The journal has no write to {what}."))
        else:
            headers = ["run", "time", "step", "subscription", "charge", "product", "was", "became", "result"]
            table(headers, [_row(intent) for intent in writes], right=frozenset({"run"}))


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


def plain(intent: Intent) -> dict[str, Any]:
    """Return a write as plain JSON."""
    step = intent.step
    return {
        "write": intent.id,
        "run": intent.run,
        "customer_no": step.customer_no,
        "subscription_no": step.subscription_no,
        "charge_id": intent.charge_id or step.charge_id,
        "kind": step.kind.value,
        "line": step.line,
        "before": plain_content(step.before),
        "after": plain_content(intent.after or step.charge),
        "noted_at": when(intent.noted),
        "result": None if intent.result is None else intent.result.value,
        "status": intent.status,
        "instance": intent.instance,
    }


def local(seconds: float) -> str:
    """Return a time in seconds since 1970 for people, in the time of this machine."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _row(intent: Intent) -> list[str]:
    step = intent.step
    content = step.charge or step.before
    before, after = step.before, step.charge
    names = [
        name for name in CONTENT if name != "product_code" and getattr(before, name, None) != getattr(after, name, None)
    ]
    result = "open" if intent.result is None else intent.result.value
    return [
        str(intent.run), local(intent.noted), step.kind.value, step.subscription_no or "",
        intent.charge_id or step.charge_id or "", "" if content is None else content.product_code,
        said(before, names), said(after, names), f"{result} {intent.status or ''}".strip(),
    ]  # fmt: skip
