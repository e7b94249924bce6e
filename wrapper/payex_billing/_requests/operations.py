"""The operations of the contract as calls: a request, and a function that reads its success."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import attrs

from .. import _contract
from .._schema import Operation as Definition
from .._text import printable
from .._transport import Response
from .._values import checks
from .._values.json import parse_json, without_decimals, write_json
from ..config import Settings
from ..errors import InvalidArgument, MalformedResponse, NotSupported
from ..models import CONTENT, Charge, Customer, JsonValue, Operation, RecurringProduct, Subscription, given
from . import identity
from .calls import Call, Page, ParentKey, PreparedRequest, Unreadable
from .links import path_under
from .wire import Reader, Writer

T = TypeVar("T")
# A list of more pages than this has no end: a customer with a million charges in pages of 100 has as many.
MAX_PAGES = 10_000
_OWN = frozenset(CONTENT)
_NUMBER = frozenset({"customer_no", "subscription_no"})
# What `quote` leaves as it is.
_unreserved = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


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

    @property
    def key(self) -> ParentKey:
        """The customer and the subscription."""
        return self.customer_no, self.subscription_no

    def operation(self, verb: str) -> str:
        """Return the name of the operation that does something with one of the charges."""
        return f"{verb}_{'customer' if self.subscription_no is None else 'subscription'}_recurring_product"


# customers


def create_customer(owner_no: str, customer_no: str, extra: Mapping[str, JsonValue] | None = None) -> Call[Customer]:
    """Create a customer; the number must fit the narrower pattern for new ones."""
    values = {"customer_no": checks.customer_no(customer_no, new=True)}
    body = _writer("create_customer").write(values, checks.given_extra(extra), _NUMBER)
    request = _route("create_customer").request((owner_no,), body)
    request.check = identity.path_of(request.path, customer_no)  # customers cannot be listed
    parse = partial(_customer, request.path, customer_no)
    return Call(request, partial(_read, parse), (customer_no, None, None))


def get_customer(owner_no: str, customer_no: str) -> Call[Customer]:
    """Read a customer."""
    request = _route("get_customer").request((owner_no, customer_no))
    return Call(request, partial(_read, partial(_customer, _collection(request), customer_no)))


# subscriptions


def list_subscriptions(owner_no: str, customer_no: str) -> Call[Page[Subscription]]:
    """List a customer's subscriptions."""
    return _list("list_subscriptions", (owner_no, customer_no), _subscription)


def create_subscription(
    owner_no: str, customer_no: str, subscription_no: str, extra: Mapping[str, JsonValue] | None = None
) -> Call[Subscription]:
    """Create a subscription."""
    values = {"subscription_no": checks.subscription_no(subscription_no)}
    body = _writer("create_subscription").write(values, checks.given_extra(extra), _NUMBER)
    request = _route("create_subscription").request((owner_no, customer_no), body)
    parse = partial(_subscription, request.path, number=subscription_no)
    return Call(request, partial(_read, parse), (customer_no, subscription_no, None))


def get_subscription(owner_no: str, customer_no: str, subscription_no: str) -> Call[Subscription]:
    """Read a subscription."""
    request = _route("get_subscription").request((owner_no, customer_no, subscription_no))
    return Call(request, partial(_read, partial(_subscription, _collection(request), number=subscription_no)))


def delete_subscription(owner_no: str, customer_no: str, subscription_no: str) -> Call[None]:
    """Remove a subscription and its charges."""
    return Call(_route("delete_subscription").request((owner_no, customer_no, subscription_no)), _nothing)


# charges


def list_charges(parent: Parent) -> Call[Page[RecurringProduct]]:
    """List the charges of a customer or a subscription."""
    call = _list(f"{parent.operation('list')}s", parent.ids, _charge)
    call.lists = parent.key
    return call


def create_charge(parent: Parent, charge: Charge, known: frozenset[str] | None = None) -> Call[RecurringProduct]:
    """Add a charge; `known` are the ids of the existing charges, if the caller has read them."""
    if not isinstance(charge, Charge):
        raise InvalidArgument("charge", f"must be a Charge, not {type(charge).__name__}")
    name = parent.operation("create")
    writer = _writer(name)
    content = given(charge, writer.required)  # what is required and left out is sent as null
    body = writer.write(content, charge.extra, _OWN)
    request = _route(name).request(parent.ids, body)
    parse = partial(_read, partial(_charge, request.path, content=content))
    return Call(request, parse, (parent.customer_no, parent.subscription_no, charge), known)


def get_charge(parent: Parent, charge_id: str) -> Call[RecurringProduct]:
    """Read a charge."""
    request = _of_charge("get", parent, charge_id)
    return Call(request, partial(_read, partial(_charge, _collection(request), number=charge_id)))


def read_charge(parent: Parent, charge_id: str) -> Call[tuple[RecurringProduct, dict[str, Any]]]:
    """Read a charge, and what the server holds of it in the words of the contract."""
    request = _of_charge("get", parent, charge_id)
    path = _collection(request)
    return Call(request, partial(_read, lambda document: (_charge(path, document, number=charge_id), document)))


def update_charge(
    parent: Parent, charge_id: str, values: Mapping[str, Any], extra: Mapping[str, JsonValue]
) -> Call[RecurringProduct | None]:
    """Change a charge. The result is None if the contract says that the response has no body.

    Args:
        parent: where it hangs.
        charge_id: its id.
        values: the new values by their names in Python; None clears one.
        extra: properties that have no argument of their own.
    """
    name = parent.operation("update")
    content = _writer(name).write(values, extra, _OWN)
    request = _of_charge("update", parent, charge_id, content)
    if definition(name).result is None:
        return Call(request, _nothing)
    return Call(request, partial(_read, partial(_charge, _collection(request), number=charge_id)))


def delete_charge(parent: Parent, charge_id: str) -> Call[None]:
    """Remove a charge."""
    return Call(_of_charge("delete", parent, charge_id), _nothing)


def definition(name: str) -> Definition:
    """Return what the contract says of an operation.

    Raises:
        NotSupported: the contract has no such operation.
    """
    found = _contract.OPERATIONS.get(name)
    if found is None:
        raise NotSupported(f"the contract has no operation {name}")
    return found


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
    content = None if body is None else write_json("body", body)
    request = PreparedRequest(
        operation="follow",
        method=operation.method.upper(),
        path=_followable(operation.href, settings),
        template="{href}",
        headers={} if body is None else {"Content-Type": "application/json"},
        body=content,
    )
    return Call(request, lambda response: _read(without_decimals, response) if response.body else None)


def _followable(link: str, settings: Settings) -> str:
    inside = path_under(settings.base_url, settings.ledger_prefix, link)
    return settings.ledger_prefix.removeprefix(settings.prefix) + inside


# requests


class _Route:
    """An operation, ready to be filled with ids.

    Args:
        name: the operation.
    """

    def __init__(self, name: str) -> None:
        self._definition = found = definition(name)
        self._path = re.sub(r"\{[^}]*\}", "%s", found.path.replace("%", "%%"))
        self._headers = {"Content-Type": found.media_type} if found.body is not None else {}

    def request(self, ids: tuple[str, ...], body: bytes | None = None) -> PreparedRequest:
        """Return the request for these ids, in the order of the route."""
        found = self._definition
        if not _unreserved("".join(ids)):
            ids = tuple([quote(value, safe="") for value in ids])
        made = PreparedRequest(found.name, found.method, self._path % ids, found.path, self._headers, body)
        if found.idempotency_header is not None:
            made.headers = {**self._headers, found.idempotency_header: secrets.token_hex(16)}
            made.has_key = True
        return made


_route = cache(_Route)


@cache
def _writer(name: str) -> Writer:
    """Return the writer for the body of an operation."""
    resource = name.partition("_")[2]
    return Writer(definition(name).body or (), definition(f"get_{resource}").result or ())


def _of_charge(verb: str, parent: Parent, charge_id: str, body: bytes | None = None) -> PreparedRequest:
    return _route(parent.operation(verb)).request((*parent.ids, checks.segment("id", charge_id)), body)


def _collection(request: PreparedRequest) -> str:
    """Return the path of the collection of a request for a resource."""
    return request.path.rpartition("/")[0]


# responses


def _read(convert: Callable[[Any], T], response: Response) -> T:
    try:
        document = parse_json(response.body)
    except (ValueError, RecursionError):
        raise Unreadable("the body is not JSON") from None
    try:
        return convert(document)
    except RecursionError:
        raise Unreadable("the body is nested too deeply") from None


def _nothing(_response: Response) -> None:
    """The response has no value."""


_customers = Reader(Customer, definition("get_customer").result)
_subscriptions = Reader(Subscription, definition("get_subscription").result)
_charges = Reader(RecurringProduct, definition("get_customer_recurring_product").result)


def _customer(path: str, number: str, document: Any) -> Customer:
    customer = _customers.read(document)
    identity.check_number("customer", customer.customer_no, number)
    identity.check_path(path, customer.customer_no, customer.uri)
    return customer


def _subscription(path: str, document: Any, number: str | None = None) -> Subscription:
    subscription = _subscriptions.read(document)
    identity.check_number("subscription", subscription.subscription_no, number)
    identity.check_path(path, subscription.subscription_no, subscription.uri)
    return subscription


def _charge(
    path: str, document: Any, number: str | None = None, content: Mapping[str, Any] | None = None
) -> RecurringProduct:
    product = _charges.read(document)
    identity.check_number("charge", product.id, number)
    identity.check_path(path, product.id, product.uri)
    if content is not None:
        identity.check_content(product, content)
    return product


def _list(name: str, ids: tuple[str, ...], parse_item: Callable[[str, Any], T]) -> Call[Page[T]]:
    request = _route(name).request(ids)
    return Call(request, partial(_read, partial(_page, definition(name), request.path, parse_item)))


def _page(found: Definition, path: str, parse_item: Callable[[str, Any], T], document: Any) -> Page[T]:
    items = document.get(found.items) if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise Unreadable(f"{found.items} is not a list")
    links = document if found.navigation is None else document.get(found.navigation)
    if links is None and found.is_navigation_optional:
        links = {}
    if not isinstance(links, dict):
        raise Unreadable(f"the body lacks {found.navigation}" if links is None else f"{found.navigation} is no object")
    own = links.get(found.own)
    identity.check_list(path, own if isinstance(own, str) else None)
    return Page(tuple([parse_item(path, item) for item in items]), _following(found, links))


def _following(found: Definition, links: Mapping[str, Any]) -> str | None:
    """Return the link to the next page: a text, or an object with the link."""
    following = link = links.get(found.following)
    if isinstance(link, Mapping):
        link = link.get(found.own, link.get("href"))
    if following is not None and not isinstance(link, str):
        # Without the link the list would be cut.
        raise Unreadable(f"{found.following} is not a link but {type(link).__name__}")
    return link or None
