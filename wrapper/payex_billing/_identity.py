"""Does a response belong to its request? What was asked for is compared with what came back.

A connection that is out of step, a cache or a broken gateway can give one request the response of another. The contract
(`@id`) and the house style (each resource's `@id` is its own path) make that visible. Values that were not sent are not
compared: the server may show those of the master product.
"""

from __future__ import annotations

from operator import attrgetter
from urllib.parse import unquote, urlsplit

from ._calls import Unreadable
from .models import Charge, Customer, RecurringProduct, Subscription

_CHARGE = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
_NAMES = ("customers", "subscriptions")
_values = attrgetter(*_CHARGE)


def check_customer(customer: Customer, owner_no: str, customer_no: str) -> None:
    """The customer is the one that was asked for.

    Raises:
        Unreadable: it is another one.
    """
    if customer.customer_no != customer_no:
        raise _foreign("another customer")
    check_place(customer.uri, (owner_no, "customers", customer_no))


def check_subscription(subscription: Subscription, parent: tuple[str, str], subscription_no: str | None = None) -> None:
    """The subscription is the one that was asked for, or any of the customer's.

    Args:
        subscription: what came back.
        parent: the numbers of the ledger and the customer.
        subscription_no: the number that was asked for.

    Raises:
        Unreadable: it is another one.
    """
    if subscription_no is not None and subscription.subscription_no != subscription_no:
        raise _foreign("another subscription")
    check_place(subscription.uri, (*_segments(parent), "subscriptions", subscription.subscription_no))


def check_charge(product: RecurringProduct, parent: tuple[str, ...], charge_id: str | None = None) -> None:
    """The charge is the one that was asked for, or any of the parent's.

    Args:
        product: what came back.
        parent: the numbers of the ledger, the customer and, at the level of a subscription, the subscription.
        charge_id: the id that was asked for.

    Raises:
        Unreadable: it is another one.
    """
    if charge_id is not None and product.id != charge_id:
        raise _foreign("another charge")
    check_place(product.uri, (*_segments(parent), "recurring-products", product.id))


def check_content(product: RecurringProduct, charge: Charge) -> None:
    """A charge that was created is the one that was sent.

    Raises:
        Unreadable: a value that was sent came back as another.
    """
    for name, sent, received in zip(_CHARGE, _values(charge), _values(product), strict=True):
        if sent is not None and sent != received:
            raise _foreign(f"another {name}")


def check_list(uri: str | None, parent: tuple[str, ...]) -> None:
    """A page of a list is that of the parent; a page that does not name its own path is not judged.

    Only the numbers in the path count: nothing says how the path of a second page looks.

    Raises:
        Unreadable: it names another parent.
    """
    if uri is None:
        return
    segments = [unquote(segment) for segment in _path(uri).split("/")]
    for name, number in zip(_NAMES, parent[1:], strict=False):
        if name in segments and segments[segments.index(name) + 1 :][:1] != [number]:
            raise _foreign("a list of another parent")
    if "customers" in segments and segments[: segments.index("customers")][-1:] != [parent[0]]:
        raise _foreign("a list of another ledger")


def check_place(uri: str | None, expected: tuple[str, ...]) -> None:
    """The resource's own path ends in the expected segments; a resource without `@id` is not judged.

    Raises:
        Unreadable: it is another place.
    """
    if uri is None or uri.endswith("/" + "/".join(expected)):  # nearly always: no number needs encoding
        return
    segments = _path(uri).split("/")[-len(expected) :]
    if tuple(segments) != expected and tuple(map(unquote, segments)) != expected:
        raise _foreign("the @id of another resource")


def _segments(parent: tuple[str, ...]) -> tuple[str, ...]:
    """The segments of the route of a parent, from the ledger on."""
    named = [segment for pair in zip(_NAMES, parent[1:], strict=False) for segment in pair]
    return (parent[0], *named)


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path
    except ValueError:
        raise Unreadable("an @id is not a URI") from None


def _foreign(what: str) -> Unreadable:
    return Unreadable(f"the response is that of another request: it shows {what}", foreign=True)
