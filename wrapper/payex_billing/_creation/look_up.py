"""Look up a lost creation: find out whether a POST whose response was lost took effect.

Pure: the generators yield calls and waits, and receive the results of the calls.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Generator
from typing import Any, TypeVar

from .._policy.steps import Wait
from .._requests import operations
from .._requests.calls import Call, Page
from .._requests.operations import Parent
from ..config import Settings
from ..errors import BillingError, CustomerNotFound, SubscriptionNotFound
from ..models import (
    Charge,
    Customer,
    LookUpResult,
    LostCreation,
    NaturalKey,
    Outcome,
    RecurringProduct,
    Subscription,
    given,
)
from .memory import Memory

T = TypeVar("T")
Steps = Generator[Call[Any] | Wait, Any, T]


def look_up(
    lost: LostCreation, settings: Settings, memory: Memory | None, now: float, settle: float
) -> Steps[LookUpResult]:
    """Find out whether a lost creation took effect.

    Args:
        lost: the creation.
        settings: whose ledger it was.
        memory: what the client that sent it had seen; None when it was another client.
        now: seconds since 1970.
        settle: treat the request as finished when this many seconds have passed since it was sent.
    """
    key = lost.key
    if key is None:
        return _unknown("a followed operation does not say what it creates")
    if lost.ledger not in {None, settings.base_url + settings.ledger_prefix}:
        return _unknown("it was sent to another ledger: look it up with a client of that ledger")
    try:
        if key.charge is not None:
            found = yield from _charge(lost, key, key.charge, settings, memory)
        else:
            read: Call[Customer] | Call[Subscription] = (
                operations.get_customer(settings.owner_no, key.customer_no)
                if key.subscription_no is None
                else operations.get_subscription(settings.owner_no, key.customer_no, key.subscription_no)
            )
            resource = yield read
            found = LookUpResult(outcome=Outcome.CREATED, reason="it exists", resource=resource)
    except (CustomerNotFound, SubscriptionNotFound):
        found = None
    except BillingError as failure:
        return _unknown(f"the look-up failed: {failure}")
    result = found or _absence(lost, now, settle)
    if memory is not None and result.outcome is not Outcome.UNKNOWN:
        memory.end(lost.mark, result.resource)
    return result


def _charge(
    lost: LostCreation, key: NaturalKey, charge: Charge, settings: Settings, memory: Memory | None
) -> Steps[LookUpResult | None]:
    """What the charges of the parent say; None when none of them can be it."""
    parent = Parent(settings.owner_no, key.customer_no, key.subscription_no)
    held = yield from held_charges(parent, settings)
    known = lost.known or frozenset()
    new = [
        product
        for product in held
        if product.id not in known and (memory is None or memory.may_be(product.id, lost.mark))
    ]
    # What surely is new needs only the values that were sent: the server may show those of the master product beside.
    is_it = _has_sent_values if lost.known is not None else RecurringProduct.has_content_of
    exact = tuple(product for product in new if is_it(product, charge))
    if not exact:
        similar = tuple(product for product in new if _may_be(product, charge, sure_to_be_new=lost.known is not None))
        return _unknown("a new charge is similar to what was sent: it may be it", similar) if similar else None
    if lost.known is None and (memory is None or not all(memory.is_new(product.id, parent.key) for product in exact)):
        return _unknown("a charge has the same content, but it may be older", exact)
    # Equal charges cannot be told apart, and need not be, as long as there is one for every request that may have
    # created one.
    rivals = 0 if memory is None else memory.rivals(key, lost.mark)
    if len(exact) != 1 + rivals:
        return _unknown(f"{len(exact)} new charges have the same content, for {1 + rivals} requests", exact)
    return LookUpResult(outcome=Outcome.CREATED, reason="a new charge has the same content", resource=exact[0])


def held_charges(parent: Parent, settings: Settings) -> Steps[list[RecurringProduct]]:
    """Read the charges of a parent, all pages."""
    held: dict[str, RecurringProduct] = {}  # a list that moves while it is read can show a charge twice
    pages = operations.Pages(operations.list_charges(parent), settings)
    while pages.following is not None:
        page: Page[RecurringProduct] = yield pages.following
        held |= {product.id: product for product in page.items}
        pages.turn(page)
    return list(held.values())


def _absence(lost: LostCreation, now: float, settle: float) -> LookUpResult:
    if lost.may_be_under_way and now < lost.sent_at + settle:
        return _unknown("it is not there, but the server may still be working on it; look again later")
    return LookUpResult(outcome=Outcome.ABSENT, reason="it is not there")


def _unknown(reason: str, candidates: tuple[RecurringProduct, ...] = ()) -> LookUpResult:
    return LookUpResult(outcome=Outcome.UNKNOWN, reason=reason, candidates=candidates)


def _may_be(product: RecurringProduct, charge: Charge, *, sure_to_be_new: bool) -> bool:
    """Whether a charge may be what was sent, although it is not the same.

    The server may have filled in what was not sent, and may write a text in another way. What surely was not there
    before, of the same product, is suspicious however it looks: nothing says that the server keeps every value.
    """
    if sure_to_be_new and plain(product.product_code) == plain(charge.product_code):
        return True
    return all(plain(getattr(product, name)) == plain(value) for name, value in given(charge).items()) and all(
        product.extra.get(name) == value for name, value in charge.extra.items()
    )


def _has_sent_values(product: RecurringProduct, charge: Charge) -> bool:
    """Whether a charge has every value that was sent; an extra property may have been dropped."""
    return all(getattr(product, name) == value for name, value in given(charge).items()) and all(
        product.extra.get(name, value) == value for name, value in charge.extra.items()
    )


def plain(value: Any) -> Any:
    """A text without what a server may change of it: case, outer spaces, compatibility forms of Unicode."""
    return unicodedata.normalize("NFKC", value).casefold().strip() if isinstance(value, str) else value
