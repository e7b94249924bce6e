"""The operations of the contract as calls: a request built by the generated code, and a parser for its success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any, Generic, TypeVar

import attrs
from payex_billing_client import models as generated
from payex_billing_client.api.customers import create_customer as _create_customer
from payex_billing_client.api.customers import get_customer as _get_customer
from payex_billing_client.api.recurring_products import (
    create_customer_recurring_product,
    create_subscription_recurring_product,
    delete_customer_recurring_product,
    delete_subscription_recurring_product,
    get_customer_recurring_product,
    get_subscription_recurring_product,
    list_customer_recurring_products,
    list_subscription_recurring_products,
    update_customer_recurring_product,
    update_subscription_recurring_product,
)
from payex_billing_client.api.subscriptions import create_subscription as _create_subscription
from payex_billing_client.api.subscriptions import delete_subscription as _delete_subscription
from payex_billing_client.api.subscriptions import get_subscription as _get_subscription
from payex_billing_client.api.subscriptions import list_subscriptions as _list_subscriptions

from . import _checks, _convert, _identity
from ._calls import Call, Page, PreparedRequest, Unreadable
from ._definition import Definition, parse_json, write_json
from ._links import path_under
from ._memory import PlainKey
from ._text import printable
from ._transport import Response
from .config import Settings
from .errors import InvalidArgument, MalformedResponse
from .models import Charge, Customer, JsonValue, Operation, RecurringProduct, Subscription

T = TypeVar("T")
_DEFINED: dict[ModuleType, Definition] = {}
# A list of more pages than this has no end: a customer with a million charges in pages of 100 has as many.
MAX_PAGES = 10_000


@attrs.define
class Parent:
    """Where charges hang: a customer, or one of its subscriptions."""

    owner_no: str
    customer_no: str
    subscription_no: str | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids in the order of the route."""
        own = (self.owner_no, self.customer_no)
        return own if self.subscription_no is None else (*own, self.subscription_no)


# customers


def create_customer(owner_no: str, customer_no: str) -> Call[Customer]:
    """Create a customer; the number must fit the narrower pattern for new ones."""
    body = generated.NewCustomer(customer_no=_checks.customer_no(customer_no, new=True))
    key = (customer_no, None, None)
    call = _call(_create_customer, (owner_no,), _customer(owner_no, customer_no), body, key)
    call.request.check = f"{call.request.path}/{customer_no}"  # customers cannot be listed
    return call


def get_customer(owner_no: str, customer_no: str) -> Call[Customer]:
    """Read a customer."""
    return _call(_get_customer, (owner_no, customer_no), _customer(owner_no, customer_no))


# subscriptions


def list_subscriptions(owner_no: str, customer_no: str) -> Call[Page[Subscription]]:
    """List a customer's subscriptions."""
    return _list(_list_subscriptions, (owner_no, customer_no), _subscription((owner_no, customer_no)))


def create_subscription(owner_no: str, customer_no: str, subscription_no: str) -> Call[Subscription]:
    """Create a subscription."""
    body = generated.NewSubscription(subscription_no=_checks.subscription_no(subscription_no))
    key = (customer_no, subscription_no, None)
    ids = (owner_no, customer_no)
    return _call(_create_subscription, ids, _subscription(ids, subscription_no), body, key)


def get_subscription(owner_no: str, customer_no: str, subscription_no: str) -> Call[Subscription]:
    """Read a subscription."""
    ids = (owner_no, customer_no, subscription_no)
    return _call(_get_subscription, ids, _subscription((owner_no, customer_no), subscription_no))


def delete_subscription(owner_no: str, customer_no: str, subscription_no: str) -> Call[None]:
    """Remove a subscription and its charges."""
    return _deletion(_delete_subscription, (owner_no, customer_no, subscription_no))


# charges


def list_charges(parent: Parent) -> Call[Page[RecurringProduct]]:
    """List the charges of a customer or a subscription."""
    module = _level(parent, list_customer_recurring_products, list_subscription_recurring_products)
    return _list(module, parent.ids, _charge(parent))


def create_charge(parent: Parent, charge: Charge, known: frozenset[str] | None = None) -> Call[RecurringProduct]:
    """Add a charge; `known` are the ids of the existing charges, if the caller has read them."""
    if not isinstance(charge, Charge):
        raise InvalidArgument("charge", f"must be a Charge, not {type(charge).__name__}")
    module = _level(parent, create_customer_recurring_product, create_subscription_recurring_product)
    body = _convert.new_recurring_product(charge)
    key = (parent.customer_no, parent.subscription_no, charge)
    call = _call(module, parent.ids, _charge(parent, content=charge), body, key)
    call.known = known
    return call


def get_charge(parent: Parent, charge_id: str) -> Call[RecurringProduct]:
    """Read a charge."""
    module = _level(parent, get_customer_recurring_product, get_subscription_recurring_product)
    return _call(module, (*parent.ids, _checks.segment("id", charge_id)), _charge(parent, charge_id))


def update_charge(parent: Parent, charge_id: str, change: Mapping[str, Any]) -> Call[RecurringProduct]:
    """Change a charge; `change` is what `_convert.recurring_product_change` takes."""
    module = _level(parent, update_customer_recurring_product, update_subscription_recurring_product)
    body = _convert.recurring_product_change(**change)
    return _call(module, (*parent.ids, _checks.segment("id", charge_id)), _charge(parent, charge_id), body)


def delete_charge(parent: Parent, charge_id: str) -> Call[None]:
    """Remove a charge."""
    module = _level(parent, delete_customer_recurring_product, delete_subscription_recurring_product)
    return _deletion(module, (*parent.ids, _checks.segment("id", charge_id)))


# links


class Pages(Generic[T]):
    """The pages of a list, one after the other.

    Attributes:
        following: the call for the next page; None after the last one.
    """

    def __init__(self, first: Call[Page[T]], settings: Settings) -> None:
        self.following: Call[Page[T]] | None = first
        self._settings = settings
        self._seen: set[str] = set()

    def turn(self, page: Page[T]) -> None:
        """Go on behind a page that was read.

        Raises:
            UnsafeLink: the link to the next page leads out of the ledger.
            MalformedResponse: the links go round in a circle, or there are too many pages.
        """
        call = self.following
        if page.next is None or call is None:
            self.following = None
            return
        path = _followable(page.next, self._settings)
        self._seen.add(call.request.path)
        if path in self._seen:
            raise MalformedResponse("the list's next links go round in a circle", operation=call.request.operation)
        if len(self._seen) >= MAX_PAGES:
            raise MalformedResponse(f"the list has more than {MAX_PAGES:,} pages", operation=call.request.operation)
        self.following = Call(attrs.evolve(call.request, path=path), call.parse)


def follow(operation: Operation, body: JsonValue, settings: Settings) -> Call[JsonValue]:
    """Do what a resource's operation says; the result is plain JSON, None when the response has no body.

    Raises:
        UnsafeLink: the link leads out of the ledger.
        InvalidArgument: the method is not one that can be sent, or the body cannot be written as JSON.
    """
    if operation.method.upper() not in {"GET", "POST", "PUT", "PATCH", "DELETE"}:
        method = printable(operation.method[:20])
        raise InvalidArgument("operation", f"has the method {method}, which cannot be followed")
    headers: dict[str, str] = {}
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = write_json("body", body)
    request = PreparedRequest(
        operation="follow",
        method=operation.method.upper(),
        path=_followable(operation.href, settings),
        template="{href}",
        headers=headers,
        body=content,
    )
    return Call(request, lambda response: _json_value(response) if response.body else None)


def _followable(link: str, settings: Settings) -> str:
    inside = path_under(settings.base_url, settings.ledger_prefix, link)
    return settings.ledger_prefix.removeprefix(settings.prefix) + inside


# building and parsing


def _level(parent: Parent, of_customer: ModuleType, of_subscription: ModuleType) -> ModuleType:
    return of_customer if parent.subscription_no is None else of_subscription


def _call(
    module: ModuleType,
    ids: tuple[str, ...],
    convert: Callable[[Any], T],
    body: Any = None,
    creates: PlainKey | None = None,
) -> Call[T]:
    definition = _DEFINED.get(module) or _define(module, ids, body)
    # Any 2xx is a success of the operation, whichever the contract names.
    success = 200 if creates is None else 201
    return Call(definition.request(ids, body), partial(definition.read, success, convert), creates)


def _list(module: ModuleType, ids: tuple[str, ...], parse_item: Callable[[Any], T]) -> Call[Page[T]]:
    definition = _DEFINED.get(module) or _define(module, ids, None)
    return Call(definition.request(ids, None), partial(definition.read, 200, _page(parse_item, ids), is_list=True))


def _deletion(module: ModuleType, ids: tuple[str, ...]) -> Call[None]:
    definition = _DEFINED.get(module) or _define(module, ids, None)
    return Call(definition.request(ids, None), _nothing)


def _define(module: ModuleType, ids: tuple[str, ...], body: Any) -> Definition:
    return _DEFINED.setdefault(module, Definition(module, len(ids), body))


def _nothing(_response: Response) -> None:
    """What the response to a deletion says."""


def _customer(owner_no: str, customer_no: str) -> Callable[[Any], Customer]:
    def parse(source: Any) -> Customer:
        customer = _convert.customer(source)
        _identity.check_customer(customer, owner_no, customer_no)
        return customer

    return parse


def _subscription(parent: tuple[str, str], subscription_no: str | None = None) -> Callable[[Any], Subscription]:
    def parse(source: Any) -> Subscription:
        subscription = _convert.subscription(source)
        _identity.check_subscription(subscription, parent, subscription_no)
        return subscription

    return parse


def _charge(
    parent: Parent, charge_id: str | None = None, content: Charge | None = None
) -> Callable[[Any], RecurringProduct]:
    numbers = parent.ids

    def parse(source: Any) -> RecurringProduct:
        product = _convert.recurring_product(source)
        _identity.check_charge(product, numbers, charge_id)
        if content is not None:
            _identity.check_content(product, content)
        return product

    return parse


def _page(parse_item: Callable[[Any], T], parent: tuple[str, ...]) -> Callable[[Any], Page[T]]:
    def parse(source: Any) -> Page[T]:
        _identity.check_list(_convert.own_link(source.navigation), parent)
        return Page(tuple(parse_item(item) for item in source.items), _convert.next_link(source.navigation))

    return parse


def _json_value(response: Response) -> JsonValue:
    try:
        value: JsonValue = parse_json(response.body)
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    return value
