"""What the console shows of the mock's data: ledgers, customers and charges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from .contract import Contract
from .names import words
from .resources import Resource
from .schemas import JsonObject, is_array, is_link, is_number
from .store import Store

MONTHS, MOST_CUSTOMERS = 12, 500


def columns(contract: Contract) -> list[JsonObject]:
    """Return the properties of a charge that the console shows."""
    for collection in contract.root:
        if collection.role == "charge":
            return [
                {"name": name, "title": " ".join(words(name)).capitalize(), "isNumber": is_number(schema)}
                for name, schema in collection.read.properties.items()
                if name != collection.id_property and not is_link(schema) and not is_array(schema)
            ]
    return []


def ledger(store: Store, number: str) -> JsonObject:
    """Return the counts of a ledger, and its money by month."""
    customers = list(store.customers(number))
    charges = [charge for customer in customers for _, charge in _charges(customer)]
    return {
        "no": number,
        "customers": len(customers),
        "subscriptions": sum(len(customer.subscriptions) for customer in customers),
        "charges": len(charges),
        "money": [{"month": month, "amount": f"{amount:.2f}"} for month, amount in _money(charges).items()],
    }


def customers(store: Store, number: str, search: str, most: int) -> JsonObject:
    """Return the latest customers of a ledger whose number, or that of a subscription or charge, contains a text.

    Args:
        store: the state of the mock.
        number: the number of the ledger.
        search: the text; all customers match an empty text.
        most: the largest number of customers to return, at most `MOST_CUSTOMERS`.
    """
    wanted = search.casefold()
    found = [each for each in store.customers(number) if any(wanted in text.casefold() for text in _ids(each))]
    latest = found[::-1][: min(most, MOST_CUSTOMERS)]
    return {
        "found": len(found),
        "customers": [
            {
                "no": str(each.id),
                "subscriptions": len(each.subscriptions),
                "charges": sum(1 for _ in _charges(each)),
            }
            for each in latest
        ],
    }


def customer(found: Resource, shown: Sequence[str]) -> JsonObject:
    """Return a customer with its subscriptions and charges.

    Args:
        found: the customer.
        shown: the properties to return of each charge.
    """
    return {
        "no": str(found.id),
        "subscriptions": list(found.subscriptions),
        "charges": [
            {"subscription": subscription, "id": charge.id}
            | {name: _shown(charge.document.get(name)) for name in shown}
            for subscription, charge in _charges(found)
        ],
    }


def _shown(value: object) -> object:
    """Return a number as text, because a number of JavaScript would lose digits."""
    return str(value) if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool) else value


def _ids(found: Resource) -> Iterator[str]:
    yield str(found.id)
    yield from found.subscriptions
    for _, charge in _charges(found):
        yield str(charge.id)


def _charges(found: Resource) -> Iterator[tuple[str, Resource]]:
    """Yield each charge of a customer with the number of its subscription; empty for a charge without one."""
    for number, owner in {"": found, **found.subscriptions}.items():
        for charge in owner.charges.values():
            yield number, charge


def _months() -> Iterator[str]:
    """Yield this month and the months after it, in the form yyyy-MM."""
    today = datetime.now(UTC).date()
    for ahead in range(MONTHS):
        years, month = divmod(today.month - 1 + ahead, 12)
        yield f"{today.year + years:04}-{month + 1:02}"


def _money(charges: Iterable[Resource]) -> dict[str, Decimal]:
    """Return the total amount without VAT of the charges that are open in each month."""
    amounts = dict.fromkeys(_months(), Decimal(0))
    for charge in charges:
        document, names = charge.document, charge.collection.meanings
        quantity = document.get(names.quantity) or 0 if names.quantity else 1
        amount = Decimal(str(quantity)) * Decimal(str(document.get(names.price) or 0))
        # Months in the form yyyy-MM compare correctly as text.
        start, end = (document.get(names.start) or "")[:7], (document.get(names.end) or "9999-12")[:7]
        for month in amounts:
            if start <= month <= end:
                amounts[month] += amount
    return amounts
