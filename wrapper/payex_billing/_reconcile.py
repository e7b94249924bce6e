"""Finds out what became of a request whose answer was lost. Sans-IO: yields calls, receives their results or errors."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from . import _operations
from ._memory import Memory
from ._operations import Call, Page, Parent
from .config import Settings
from .errors import AlreadyExists, BillingError, NotFound, OutcomeUnknown
from .models import Charge, Customer, NaturalKey, Outcome, Reconciliation, RecurringProduct, Subscription

T = TypeVar("T")
Steps = Generator[Call[Any], Any, T]
ENSURE_ROUNDS = 3


def ensure(create: Call[T], read: Call[T]) -> Steps[T]:
    """Create, or read what exists.

    The number makes the creation harmless to repeat: a second one is answered 409. So after a lost answer it is read,
    and if it is not there, created again.
    """
    rounds = 0
    while True:
        try:
            created: T = yield create
        except AlreadyExists:
            existing: T = yield read
            return existing
        except OutcomeUnknown as lost:
            rounds += 1
            try:
                found: T = yield read
            except NotFound:
                if rounds == ENSURE_ROUNDS:
                    raise lost from None
            else:
                return found
        else:
            return created


def reconcile(
    error: OutcomeUnknown, settings: Settings, memory: Memory | None, now: float, settle: float
) -> Steps[Reconciliation]:
    """Look whether what `error` tells of took effect.

    Args:
        error: the lost request.
        settings: whose ledger it was.
        memory: what the client that sent it had seen; None when it was another client.
        now: seconds since 1970.
        settle: seconds after which a request that was not answered in time is taken to have ended.
    """
    key = error.key
    if key is None:
        return _unknown("a followed operation does not tell what it creates")
    try:
        if key.charge is not None:
            found = yield from _charge(error, key, key.charge, settings, memory)
        else:
            read: Call[Customer] | Call[Subscription] = (
                _operations.get_customer(settings.owner_no, key.customer_no)
                if key.subscription_no is None
                else _operations.get_subscription(settings.owner_no, key.customer_no, key.subscription_no)
            )
            resource = yield read
            found = Reconciliation(outcome=Outcome.CREATED, reason="it exists", resource=resource)
    except NotFound:
        found = None
    except BillingError as failure:
        return _unknown(f"it could not be looked up: {failure}")
    result = found or _absence(error, now, settle)
    if memory is not None and result.outcome is not Outcome.UNKNOWN:
        memory.end(error.mark, result.resource)
    return result


def _charge(
    error: OutcomeUnknown, key: NaturalKey, charge: Charge, settings: Settings, memory: Memory | None
) -> Steps[Reconciliation | None]:
    """What can be told from the charges of the parent; None when none of them can be it."""
    held = yield from _list(_operations.Parent(settings.owner_no, key.customer_no, key.subscription_no), settings)
    known = error.known or frozenset()
    new = [each for each in held if each.id not in known and (memory is None or memory.may_be(each.id, error.mark))]
    exact = tuple(each for each in new if each.has_content_of(charge))
    if not exact:
        similar = tuple(each for each in new if _may_be(each, charge, sure_to_be_new=error.known is not None))
        return _unknown("a new charge is not quite what was sent: it may be it", similar) if similar else None
    if error.known is None and (memory is None or not memory.complete):
        return _unknown("a charge has its content, but whether it is older cannot be told", exact)
    # Equal charges cannot be told apart, and need not be, as long as there is one for every request that may have
    # created one.
    rivals = 0 if memory is None else memory.rivals(key, error.mark)
    if len(exact) != 1 + rivals:
        return _unknown(f"{len(exact)} new charges have its content, for {1 + rivals} requests", exact)
    return Reconciliation(outcome=Outcome.CREATED, reason="a new charge has its content", resource=exact[0])


def _list(parent: Parent, settings: Settings) -> Steps[list[RecurringProduct]]:
    held: list[RecurringProduct] = []
    following: Call[Page[RecurringProduct]] | None = _operations.list_charges(parent)
    seen: set[str] = set()
    while following is not None:
        page = yield following
        held += page.items
        following = _operations.next_page(following, page, seen, settings)
    return held


def _absence(error: OutcomeUnknown, now: float, settle: float) -> Reconciliation:
    if error.may_be_under_way and now < error.lost_at + settle:
        return _unknown("it is not there, but the server may still be working on it; look again later")
    return Reconciliation(outcome=Outcome.ABSENT, reason="it is not there")


def _unknown(reason: str, candidates: tuple[RecurringProduct, ...] = ()) -> Reconciliation:
    return Reconciliation(outcome=Outcome.UNKNOWN, reason=reason, candidates=candidates)


def _may_be(product: RecurringProduct, charge: Charge, *, sure_to_be_new: bool) -> bool:
    """Whether a charge may be what was sent, although it is not the same.

    The server may have filled in what was not sent. And what surely was not there before, of the same product, is
    suspicious however it looks: nothing says that the server keeps every value as it was sent.
    """
    if sure_to_be_new and product.product_code == charge.product_code:
        return True
    names = ("product_code", "quantity", "unit_price", "vat_rate", "text", "start_date", "end_date")
    sent = [(name, getattr(charge, name)) for name in names]
    return all(value is None or getattr(product, name) == value for name, value in sent) and all(
        product.extra.get(name) == value for name, value in charge.extra.items()
    )
