"""The main job, end to end: the charges of a table are brought into PayEx Billing, changed, read back and compared.

    python examples/demo.py examples/charges.csv

It runs against the mock, which it starts by itself. Exit codes: 0 everything is as the table says, 1 it is not,
64 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import attrs
from payex_billing import Billing, BillingError, Charge, InvalidArgument, RecurringProduct, RecurringProductsHandle
from payex_billing_mock import MockServer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

LEDGER, TOKEN = "1234", "demo-token"
T = TypeVar("T")
Place = tuple[str, str]  # customer number, and subscription number or nothing
Added = tuple[Place, Charge, RecurringProduct]  # what was wanted where, and what was answered
console = Console()


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} CHARGES.CSV", file=sys.stderr)
        return 64
    try:
        wanted = read_charges(Path(sys.argv[1]))
    except (OSError, UnicodeDecodeError, ValueError) as error:
        print(f"{sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    try:
        with MockServer({LEDGER: TOKEN}) as server:
            console.print(f"Mock of PayEx Billing on {server.url}, ledger {LEDGER}")
            with Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url) as billing:
                return run(billing, wanted, server.url)
    except BillingError as error:
        console.print(f"[red]{type(error).__name__}[/red]: {error}")
        return 1
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def run(billing: Billing, wanted: list[tuple[Place, Charge]], url: str) -> int:
    """Create, change, provoke, read back, compare; returns the exit code."""
    added = create(billing, wanted)
    expected, changed, ended = change(billing, added)
    provoke(billing, added, url)
    held = read_back(billing, {place for place, _ in wanted})
    missing, surplus = difference(expected, held)

    table = Table(title="Summary", show_header=False)
    for name, value in [
        ("customers", len({place[0] for place, _ in wanted})),
        ("subscriptions", len({place for place, _ in wanted if place[1]})),
        ("charges in the file", len(wanted)),
        ("price changed", changed),
        ("ended", ended),
        ("charges read back", len(held)),
        ("missing", sum(missing.values())),
        ("not in the file", sum(surplus.values())),
        ("sum of quantity x price", f"{total(held):,.2f}"),
    ]:
        table.add_row(name, str(value))
    console.print(table)
    if missing or surplus:
        for (place, charge), count in [*missing.items(), *surplus.items()]:
            console.print(f"[red]differs[/red] {count} times {place} {charge}")
        return 1
    console.print("[green]PayEx Billing holds exactly what the file says.[/green]")
    return 0


def read_charges(path: Path) -> list[tuple[Place, Charge]]:
    """Read the table; every bad row is named, not only the first."""
    wanted: list[tuple[Place, Charge]] = []
    faults: list[str] = []
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        needed = {"customer_no", "subscription_no", "product_code"}
        if not needed <= set(rows.fieldnames or ()):
            raise ValueError(f"needs the columns {', '.join(sorted(needed))}")
        for row in rows:
            try:
                wanted.append(((row["customer_no"], row["subscription_no"]), to_charge(row)))
            except (ArithmeticError, ValueError, InvalidArgument) as error:
                faults.append(f"line {rows.line_num}: {error}")
    if faults:
        raise ValueError("\n  " + "\n  ".join(faults))
    return wanted


def to_charge(row: dict[str, str]) -> Charge:
    """A row as a charge; an empty cell is taken from the master product, or is no date."""
    return Charge(
        product_code=row["product_code"],
        quantity=int(row["quantity"]) if row["quantity"] else None,
        unit_price=Decimal(row["unit_price"]) if row["unit_price"] else None,
        vat_rate=Decimal(row["vat_rate"]) if row["vat_rate"] else None,
        text=row["text"] or None,
        start_date=date.fromisoformat(row["start_date"]) if row["start_date"] else None,
        end_date=date.fromisoformat(row["end_date"]) if row["end_date"] else None,
    )


def create(billing: Billing, wanted: list[tuple[Place, Charge]]) -> list[Added]:
    """Create customers, subscriptions and charges, parents first."""
    added = []
    seen: set[Place] = set()
    for (customer_no, subscription_no), charge in progress("Creating", wanted):
        customer = billing.customer(customer_no)
        if (customer_no, "") not in seen:
            seen.add((customer_no, ""))
            customer.ensure()
        charges = customer.recurring_products
        if subscription_no:
            subscription = customer.subscription(subscription_no)
            if (customer_no, subscription_no) not in seen:
                seen.add((customer_no, subscription_no))
                subscription.ensure()
            charges = subscription.recurring_products
        added.append(((customer_no, subscription_no), charge, charges.create(charge)))
    return added


def change(billing: Billing, added: list[Added]) -> tuple[Counter[tuple[Place, Charge]], int, int]:
    """Raise every seventh price by two percent and end every eleventh open charge; returns what is expected then.

    Expected is what the file says, never what the server answered.
    """
    expected: Counter[tuple[Place, Charge]] = Counter()
    changed = ended = 0
    for number, (place, content, product) in enumerate(progress("Changing", added)):
        if number % 7 == 0 and content.unit_price is not None:
            price = (content.unit_price * Decimal("1.02")).quantize(Decimal("0.000001"))
            charges_of(billing, place).update(product.id, unit_price=price)
            content = attrs.evolve(content, unit_price=price)  # noqa: PLW2901 - the same charge, changed
            changed += 1
        if number % 11 == 0 and content.end_date is None and content.start_date is not None:
            end = content.start_date + timedelta(days=729)
            charges_of(billing, place).update(product.id, end_date=end)
            content = attrs.evolve(content, end_date=end)  # noqa: PLW2901
            ended += 1
        expected[place, content] += 1
    return expected, changed, ended


def provoke(billing: Billing, added: list[Added], url: str) -> None:
    """Run into each problem on purpose, and show how its error reads."""
    (customer_no, _), _, _ = added[0]
    customer = billing.customer(customer_no)
    with_subscription = next(place for place, _, _ in added if place[1])
    subscription = billing.customer(with_subscription[0]).subscription(with_subscription[1])
    place, _, product = next(each for each in added if each[1].start_date)
    add_subscription = next(each for each in customer.get().operations if each.rel == "add-subscription")

    def wrong_token() -> None:
        with Billing(token="wrong", owner_no=LEDGER, base_url=url) as stranger:
            stranger.customer(customer_no).get()

    provocations: list[tuple[str, Callable[[], object]]] = [
        ("a body that breaks the contract", lambda: billing.follow(add_subscription, {"subscriptionNo": ""})),
        ("a wrong token", wrong_token),
        ("a customer that does not exist", billing.customer("nobody").get),
        ("a subscription that does not exist", customer.subscription("nothing").get),
        ("a charge that does not exist", lambda: customer.recurring_products.get("nothing")),
        ("a customer created twice", customer.create),
        ("a subscription created twice", subscription.create),
        ("an end before the start", lambda: charges_of(billing, place).update(product.id, end_date=date(1999, 1, 1))),
        ("a number that cannot be one", lambda: billing.customer("..")),
    ]
    console.print("\nProblems, provoked on purpose:")
    for name, provocation in provocations:
        try:
            provocation()
        except BillingError as error:
            console.print(f"  {name}\n    [yellow]{type(error).__name__}[/yellow]", end=" ")
            console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        else:
            raise AssertionError(f"{name} was not refused")
    console.print()


def read_back(billing: Billing, places: set[Place]) -> list[tuple[Place, RecurringProduct]]:
    """Everything that Billing holds for the customers of the file."""
    held = []
    for customer_no in progress("Reading back", sorted({place[0] for place in places})):
        customer = billing.customer(customer_no)
        held += [((customer_no, ""), product) for product in customer.recurring_products.list()]
        for subscription in customer.subscriptions.list():
            place = (customer_no, subscription.subscription_no)
            held += [(place, product) for product in charges_of(billing, place).list()]
    return held


def difference(
    expected: Counter[tuple[Place, Charge]], held: Iterable[tuple[Place, RecurringProduct]]
) -> tuple[Counter[tuple[Place, Charge]], Counter[tuple[Place, Charge]]]:
    """What is missing and what is too much: both multisets, because a customer may hold one product twice."""
    actual = Counter((place, product.charge) for place, product in held)
    return expected - actual, actual - expected


def charges_of(billing: Billing, place: Place) -> RecurringProductsHandle:
    """The route of the charges at a place."""
    customer_no, subscription_no = place
    customer = billing.customer(customer_no)
    return customer.subscription(subscription_no).recurring_products if subscription_no else customer.recurring_products


def total(held: Iterable[tuple[Place, RecurringProduct]]) -> Decimal:
    return sum(((each.unit_price or Decimal(0)) * (each.quantity or 1) for _, each in held), Decimal(0))


def progress(title: str, items: list[T]) -> Iterator[T]:
    """The items, with a bar that grows."""
    columns = (TextColumn(f"{title:<12}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        yield from bar.track(items)


if __name__ == "__main__":
    sys.exit(main())
