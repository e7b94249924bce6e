"""Remove what a run created on a real endpoint, and prove it: list, remove, list again, per ledger with its own token.

The guard knows each customer that the run created or may have created, also when the response was lost, unreadable or
an error of the server. The lists of the server tell what is below such a customer. The status of a DELETE proves
nothing, so the lists are read again after the removal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from .api import (
    LONGEST_WAIT,
    Api,
    charges_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscriptions_path,
)
from .exchange import CONTRACT, Exchange, link_of
from .guard import SEGMENTS

ATTEMPTS = 3  # of a request, after errors
PAGES = 1_000
GONE = {404, 410}
NOT_CONFIGURED = 501  # the ledger is not configured for DELETE of such a resource


class Unreadable(Exception):
    """A list cannot be read. The message gives the request and the reason.

    Attributes:
        status: the status of the response; 0 if there was no response.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Result:
    """What the clean-up did.

    Attributes:
        removed: the paths of the resources that the clean-up removed.
        left: the resources that are still there, or may be: the reason by path.
        customers: the customers that exist; the API removes no customers.
    """

    removed: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    customers: list[str] = field(default_factory=list)


def clean_up(api: Api, sleep: Callable[[float], None] = time.sleep) -> Result:
    """Remove what the run created in each ledger. After an error, go on with the other resources."""
    result = Result()
    api.guard.limit = 0  # the clean-up must never stop halfway
    ledgers = [each for each in (api, api.other) if each is not None]
    for customer in api.guard.customers():
        if not any(_is_in(each, customer) for each in ledgers):
            result.left[customer] = "the run wrote to this ledger, but has no token of it, so it cannot look"
    for each in ledgers:
        _Ledger(each, result, sleep).clean_up()
    return result


def try_removal(api: Api, sleep: Callable[[float], None] = time.sleep) -> Result:
    """Create one resource of each kind, and remove it. Return what could not be removed.

    A run creates more than a thousand resources. This shows beforehand whether they would stay. The responses are not
    judged. Use another `Api` for the run, because the clean-up removes the limit of requests of this one.
    """
    customer, subscription = api.number(), "46701234567"
    try:
        with suppress(Exception):  # the tests of the run report a failed creation
            api.post(*customers_path(), body=new_customer(customer), judged=False)
            api.post(*subscriptions_path(customer), body=new_subscription(subscription), judged=False)
            for parent in ((customer,), (customer, subscription)):
                api.post(*charges_path(*parent), body=new_charge(), judged=False)
    finally:  # also after Ctrl-C
        result = clean_up(api, sleep)
    return result


def _is_in(api: Api, path: str) -> bool:
    return path.startswith(api.path() + "/")


class _Ledger:
    """The clean-up of one ledger."""

    def __init__(self, api: Api, result: Result, sleep: Callable[[float], None]) -> None:
        self._api, self._result, self._sleep = api, result, sleep
        self._deleted: dict[str, str] = {}  # how the server answered the DELETE, by path
        self._not_configured: set[str] = set()  # paths of the contract for which the ledger has no DELETE

    def clean_up(self) -> None:
        customers = [path for path in self._api.guard.customers() if _is_in(self._api, path)]
        listed = [path for customer in customers for path in self._below(customer)]
        recorded = [path for path in reversed(self._api.guard.made) if _is_in(self._api, path) and path not in listed]
        for path in listed:
            self._delete(path)
        for path in recorded:
            if self._is_there(path):
                self._delete(path)
        still = {path for customer in customers for path in self._below(customer)}
        still |= {path for path in recorded if path in self._deleted and self._is_there(path)}
        for path in sorted(still):
            self._result.left[path] = f"still there; {self._deleted.get(path, 'it came after the removal')}"
        self._result.removed += [path for path in self._deleted if path not in self._result.left]

    def _below(self, customer: str) -> list[str]:
        """Return the paths of all resources below a customer, each before the resource that it belongs to."""
        found: list[str] = []
        try:
            for place in CONTRACT.children("customer"):
                for path in self._items(f"{customer}/{place.segment}", place.kind):
                    if place.kind == "subscription":
                        for below in CONTRACT.children("subscription"):
                            found += self._items(f"{path}/{below.segment}", below.kind)
                    found.append(path)
        except Unreadable as error:
            self._result.left[customer] = f"what is below cannot be listed: {error}"
            return found
        return found

    def _items(self, collection: str, kind: str) -> list[str]:
        """Return the paths of all items of a list. A list that is not found has none."""
        paths: list[str] = []
        target = collection
        for _ in range(PAGES):
            exchange = self._send("GET", target)
            if exchange.status in GONE:
                return paths
            customer = "/".join(collection.split("/")[: SEGMENTS + 1])
            if customer not in self._result.customers:
                self._result.customers.append(customer)
            paths += _paths(exchange, collection, kind)
            following = _next(exchange)
            if not following:
                return paths
            target = following
        raise Unreadable(f"GET {collection} has more than {PAGES:,} pages")

    def _is_there(self, path: str) -> bool:
        try:
            return self._send("GET", path).status not in GONE
        except Unreadable as error:
            self._result.left[path] = f"it cannot be read: {error}"
            return False

    def _delete(self, path: str) -> None:
        match = CONTRACT.match(path)
        if match is None or "DELETE" not in match.operations:
            self._deleted[path] = "the contract has no DELETE for it"
            return
        if match.path in self._not_configured:
            self._deleted[path] = f"the ledger answered {NOT_CONFIGURED} to the DELETE of another such resource"
            return
        try:
            self._deleted[path] = f"DELETE was answered {self._send('DELETE', path).status}"
        except Unreadable as error:
            self._deleted[path] = str(error)
            # The server answers each such DELETE in this way (x-rules, not-configured).
            if error.status == NOT_CONFIGURED:
                self._not_configured.add(match.path)

    def _send(self, method: str, target: str) -> Exchange:
        """Send a request until the server decides on it.

        Raises:
            Unreadable: no attempt had a response below 300, 404 or 410.
        """
        reason, status = "", 0
        for attempt in range(ATTEMPTS):
            wait = 0.5 * 2**attempt
            try:
                exchange = self._api.send(method, raw_path=target, judged=False)  # waits as long as a 429 says
            except Exception as error:  # after any error the other resources must still be removed
                reason, status = f"{type(error).__name__}: {error}", 0
            else:
                if exchange.status < 300 or exchange.status in GONE:
                    return exchange
                reason, status = f"status {exchange.status}", exchange.status
                if status == NOT_CONFIGURED or (status < 500 and status not in {408, 429}):
                    break
                wait = exchange.wait or wait
            if attempt + 1 < ATTEMPTS:
                self._sleep(min(wait, LONGEST_WAIT))
        raise Unreadable(f"{method} {target} failed: {reason}", status)


def _paths(exchange: Exchange, collection: str, kind: str) -> Iterator[str]:
    for item in _items_in(exchange):
        key = item.get(CONTRACT.keys[kind])
        own = item.get(CONTRACT.self_link)
        if key is not None:
            yield f"{collection}/{quote(str(key), safe='', errors='surrogatepass')}"
        elif isinstance(own, str):
            yield f"{collection}/{quote(unquote(own.rstrip('/').rpartition('/')[2]), safe='')}"
        else:
            raise Unreadable(f"GET {exchange.path} has an item without {CONTRACT.keys[kind]}")


def _items_in(exchange: Exchange) -> list[dict[str, Any]]:
    """Return the items of a list, parsed with more tolerance than the rules have."""
    try:
        body = json.loads(exchange.body, parse_int=str, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"the response to GET {exchange.path} is not JSON ({error})") from None
    name = CONTRACT.list_name(exchange.defined)
    items = body.get(name) if isinstance(body, dict) and name else body
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        raise Unreadable(f"the response to GET {exchange.path} has no list {name or ''}".rstrip())
    return items


def _next(exchange: Exchange) -> str:
    """Return the path and query of the next page; empty if there is none."""
    try:
        link = link_of(exchange, "next")
    except AssertionError:
        return ""
    if isinstance(link, dict):
        link = link.get("href") or link.get(CONTRACT.self_link)
    if not link:
        return ""
    here = f"{exchange.url}{exchange.path}"
    parts = urlsplit(urljoin(here, str(link)))
    if not isinstance(link, str) or f"{parts.scheme}://{parts.netloc}" != exchange.url:
        raise Unreadable(f"GET {exchange.path} has a next page elsewhere: {link}")
    return parts.path + (f"?{parts.query}" if parts.query else "")


def still_there(api: Api, left: Mapping[str, str]) -> str:
    """Return the message of a run that leaves something: each resource, the reason, and the command that removes it."""
    count = "1 resource of this run is" if len(left) == 1 else f"{len(left)} resources of this run are"
    lines = [f"{count} still on the ledger, or may be. Remove what is there by hand:"]
    for path, reason in left.items():
        variable = "PAYEX_OTHER_TOKEN" if api.other is not None and _is_in(api.other, path) else "PAYEX_TOKEN"
        method = "GET" if "cannot" in reason else "DELETE"
        url = "'" + f"{api.transport.origin}{path}".replace("'", "%27") + "'"
        lines += [f"  {path}: {reason}", f'    curl -i -X {method} -H "Authorization: Bearer ${variable}" {url}']
    return "\n".join(lines)
