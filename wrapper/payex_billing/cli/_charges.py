"""`payex-billing customer` and `payex-billing charges`: one thing at a time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

import attrs
import click

from .._contract import NEW_RECURRING_PRODUCT
from .._schema import Kind
from .._sync.client import Billing
from .._text import printable
from ..errors import OutcomeUnknown
from ..models import CONTENT, Charge, Outcome, RecurringProduct
from ._client_options import client_options
from ._common import blocking_client, confirm, json_option, price, say_json, told
from ._log import unwritable
from ._table import table

Client: TypeAlias = dict[str, Any]  # the arguments of a client
NUMBER = click.argument("customer_no")
SUBSCRIPTION = click.option(
    "--subscription", metavar="NO", help="The subscription; the customer's own level if not given."
)
ONLY_SUBSCRIPTION = click.option(
    "--subscription", metavar="NO", help="Only the charges of this subscription. Default: those of all levels."
)


def decimal(text: str) -> Decimal:
    """Read a decimal number, exactly as written."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise click.BadParameter(f"{text!r} is not a number such as 499.00") from None


def day(text: str) -> date:
    """Read a date as yyyy-MM-dd."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a date as yyyy-MM-dd") from None


_KNOWN = {known.name: known for known in NEW_RECURRING_PRODUCT}
_CHANGEABLE = {name: _KNOWN[name] for name in CONTENT if name in _KNOWN and name != "product_code"}
_TYPES: dict[Kind, Any] = {Kind.WHOLE: int, Kind.DECIMAL: decimal, Kind.DATE: day, Kind.BOOLEAN: bool}
_METAVARS = {Kind.DATE: "YYYY-MM-DD"}


def _option(name: str) -> str:
    """Return the option for a value: `unit-price` for `unit_price`, `start` for `start_date`."""
    return name.removesuffix("_date").replace("_", "-")


def values(command: Any) -> Any:
    """Add an option for each value of a charge but its product code, which is an argument."""
    for name, known in reversed(_CHANGEABLE.items()):
        kind, metavar = _TYPES.get(known.kind, str), _METAVARS.get(known.kind)
        option = click.option(f"--{_option(name)}", name, type=kind, metavar=metavar, help=known.description)
        command = option(command)
    return command


@click.group()
def customer() -> None:
    """Read and create customers."""


@customer.command(epilog="\b\nExample:\n  payex-billing customer get 15615616")
@NUMBER
@client_options
@json_option
def get(customer_no: str, as_json: bool, client: Client) -> None:
    """Show a customer, with its subscriptions."""
    with told(), blocking_client(**client) as billing:
        handle = billing.customer(customer_no)
        found, subscriptions = handle.get(), list(handle.subscriptions.list())
    if as_json:
        say_json(_plain(found) | {"subscriptions": [_plain(each) for each in subscriptions]})
    else:
        click.echo(f"Customer {printable(found.customer_no)}")
        for each in subscriptions:
            click.echo(f"  subscription {printable(each.subscription_no)}")


@customer.command(epilog="\b\nExample:\n  payex-billing customer create 15615616 --subscription 46701234567")
@NUMBER
@click.option("--subscription", "subscriptions", multiple=True, metavar="NO", help="A subscription to create with it.")
@client_options
@json_option
def create(customer_no: str, subscriptions: tuple[str, ...], as_json: bool, client: Client) -> None:
    """Create a customer, and subscriptions of it; what exists already stays as it is."""
    with told(), blocking_client(**client) as billing:
        handle = billing.customer(customer_no)
        made, others = handle.ensure(), [handle.subscription(each).ensure() for each in subscriptions]
    if as_json:
        say_json(_plain(made) | {"subscriptions": [_plain(each) for each in others]})
    else:
        click.echo(f"Customer {customer_no} exists" + "".join(f", subscription {each}" for each in subscriptions))


@click.group()
def charges() -> None:
    """List, add, update, end and remove charges."""


@charges.command("list", epilog="\b\nExample:\n  payex-billing charges list 15615616 --subscription 46701234567")
@NUMBER
@ONLY_SUBSCRIPTION
@client_options
@json_option
def list_(customer_no: str, subscription: str | None, as_json: bool, client: Client) -> None:
    """List the charges of a customer on all levels: its own, and those of its subscriptions."""
    with told(), blocking_client(**client) as billing:
        found: list[tuple[str | None, RecurringProduct]]
        if subscription is None:
            found = [(each.subscription_no, each.product) for each in billing.customer(customer_no).all_charges()]
        else:
            found = [(subscription, each) for each in _products(billing, customer_no, subscription).list()]
        _show(found, as_json=as_json)


@charges.command(
    epilog="\b\nExample:\n  payex-billing charges add 15615616 P01 --quantity 1 --unit-price 499.00 --start 2026-01-01"
)
@NUMBER
@click.argument("product_code")
@SUBSCRIPTION
@values
@client_options
@json_option
def add(
    customer_no: str, product_code: str, subscription: str | None, as_json: bool, client: Client, **given: Any
) -> None:
    """Add a charge. Values left out come from the master product."""
    with told(), blocking_client(**client) as billing:
        charge = Charge(product_code=product_code, **{name: each for name, each in given.items() if each is not None})
        products = _products(billing, customer_no, subscription)
        known = [each.id for each in products.list()]
        try:
            added = products.create(charge, known=known)
        except OutcomeUnknown as error:
            added = _looked_up(billing, error)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"Interrupted. The charge may have been added. Look with `payex-billing charges list {customer_no}` "
                "before you repeat the command; otherwise it may be billed twice"
            ) from None
    try:
        _show([(subscription, added)], as_json=as_json)
    except OSError as error:  # standard output cannot be written
        raise click.ClickException(f"The charge {added.id} was added, but {unwritable(error)}") from None


@charges.command(
    epilog="\b\nExample:\n  payex-billing charges update 15615616 5f0c2b7e9a4d4c1f --unit-price 549.00 --clear text"
)
@NUMBER
@click.argument("charge_id")
@SUBSCRIPTION
@values
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice([_option(name) for name in _CHANGEABLE]),
    help="Clear a value: the master product's holds again, or there is no such date.",
)
@client_options
@json_option
def update(
    customer_no: str,
    charge_id: str,
    subscription: str | None,
    clear: tuple[str, ...],
    as_json: bool,
    client: Client,
    **given: Any,
) -> None:
    """Change a charge; what is not named stays as it is."""
    change = {name: value for name, value in given.items() if value is not None}
    change |= {name: None for name in CONTENT if _option(name) in clear}
    if not change:
        raise click.UsageError("name what to change, such as --unit-price 549.00")
    with told(), blocking_client(**client) as billing:
        changed = _products(billing, customer_no, subscription).update(charge_id, **change)
        _show([(subscription, changed)], as_json=as_json)


@charges.command(epilog="\b\nExample:\n  payex-billing charges end 15615616 5f0c2b7e9a4d4c1f 2026-12-31")
@NUMBER
@click.argument("charge_id")
@click.argument("day", type=day)
@SUBSCRIPTION
@client_options
@json_option
def end(customer_no: str, charge_id: str, day: date, subscription: str | None, as_json: bool, client: Client) -> None:
    """End a charge on a day."""
    with told(), blocking_client(**client) as billing:
        ended = _products(billing, customer_no, subscription).update(charge_id, end_date=day)
        _show([(subscription, ended)], as_json=as_json)


@charges.command(epilog="\b\nExample:\n  payex-billing charges remove 15615616 5f0c2b7e9a4d4c1f --yes")
@NUMBER
@click.argument("charge_id")
@SUBSCRIPTION
@click.option("--yes", is_flag=True, help="Do not ask.")
@client_options
@json_option
def remove(
    customer_no: str, charge_id: str, subscription: str | None, yes: bool, as_json: bool, client: Client
) -> None:
    """Remove a charge. To stop billing it from a day on, end it."""
    with told(), blocking_client(**client) as billing:
        products = _products(billing, customer_no, subscription)
        found = products.get(charge_id)
        if not yes:
            confirm(f"Remove {found.product_code} ({_said(found)})?", refused="Not removed.")
        products.delete(charge_id)
    if as_json:
        say_json({"removed": charge_id})
    else:
        click.echo(f"Removed {charge_id}")


def _products(billing: Billing, customer_no: str, subscription: str | None) -> Any:
    handle = billing.customer(customer_no)
    return (handle if subscription is None else handle.subscription(subscription)).recurring_products


def _looked_up(billing: Billing, error: OutcomeUnknown) -> RecurringProduct:
    """The charge, if the look-up finds it."""
    result = billing.look_up(error.lost)
    if result.outcome is Outcome.CREATED and isinstance(result.resource, RecurringProduct):
        return result.resource
    raise click.ClickException(
        f"{error}. The look-up says: {result.reason}. Wait a minute, look with `payex-billing charges list`, and "
        "repeat the command only if the charge is not there; otherwise it may be billed twice"
    ) from None


def _show(found: list[tuple[str | None, RecurringProduct]], *, as_json: bool) -> None:
    if as_json:
        say_json({"charges": [_plain(charge) | {"subscription_no": level} for level, charge in found]})
        return
    headers = ["id", "subscription", *(_heading(name) for name in CONTENT), "billed until"]
    rows = [
        [charge.id, level or "", *(_cell(getattr(charge, name)) for name in CONTENT), str(charge.billed_until or "")]
        for level, charge in found
    ]
    if rows:
        table(headers, rows, right=_NUMBERS)
    else:
        click.echo("No charges.")


def _heading(name: str) -> str:
    return {"product_code": "product", "vat_rate": "vat %"}.get(name, _option(name).replace("-", " "))


_NUMBERS = frozenset(_heading(name) for name, known in _CHANGEABLE.items() if known.kind in {Kind.WHOLE, Kind.DECIMAL})


def _cell(value: object) -> str:
    if value is None:
        return ""
    return price(value) if isinstance(value, Decimal) else str(value)


def _said(charge: RecurringProduct) -> str:
    words = [price(charge.unit_price), charge.text or "", f"from {charge.start_date}" if charge.start_date else ""]
    return ", ".join(filter(None, words)) or charge.id


def _plain(value: Any) -> dict[str, Any]:
    return {name: each for name, each in attrs.asdict(value).items() if each is not None}
