"""Compare each response with what the run itself has made: what was created and changed reads so until the next write.

A probe looks at the values that it is about. The memory looks at all of them, in every response: also at the price in a
list that a probe reads for its ids. It knows only what this run created, because others may change everything else.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .contents import CLIENT_SET, Place, place_of, stable
from .exchange import CONTRACT, Exchange, fail, items_of, link_of, parse_strictly, render
from .schemas import FILLED

LARGEST_EXPONENT = 307  # of ten, in binary64


@dataclass
class Sending:
    """A request that was sent and has no response yet. `alone` says that no other request was under way with it."""

    alone: bool = True


@dataclass
class Memory:
    """What one ledger must hold.

    Attributes:
        resources: the stable values of each resource of this run, by its path. None: the values are not known.
        lists: the paths of the resources in each list that this run knows to the last item.
        removed: the paths of removed resources.
        given: the names of the values of each resource that a client gave, and did not clear.
    """

    resources: dict[Place, dict[str, Any] | None] = field(default_factory=dict)
    lists: dict[Place, set[Place]] = field(default_factory=dict)
    removed: set[Place] = field(default_factory=set)
    given: dict[Place, set[str]] = field(default_factory=dict)
    _under_way: list[Sending] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def sends(self) -> Sending:
        """Note that a request is sent. `read` or `lost` must follow."""
        with self._lock:
            sending = Sending(alone=not self._under_way)
            for each in self._under_way:
                each.alone = False
            self._under_way.append(sending)
            return sending

    def lost(self, sending: Sending) -> None:
        """Note that a request got no response: it may have taken effect, so everything is forgotten."""
        with self._lock:
            self._under_way.remove(sending)
            self._forget_all()

    def read(self, sending: Sending, exchange: Exchange) -> str:
        """Compare a response with what is known, then learn from it. Return what is wrong; empty if all is well."""
        with self._lock:
            self._under_way.remove(sending)
            wrong = ""
            try:
                if sending.alone:
                    self._compare(exchange)
            except AssertionError as error:
                wrong = str(error)
            try:
                self._learn(exchange, alone=sending.alone)
            except (AssertionError, AttributeError, KeyError, TypeError):
                self._forget_all()  # the rules report a body that does not have the contract's form
            return wrong

    # what must be

    def _compare(self, exchange: Exchange) -> None:
        role, kind = exchange.role
        here = place_of(exchange.path)
        if role == "read" and exchange.succeeded:
            if here in self.removed:
                fail("it was removed, and can be read")
            self._same(here, kind, exchange.whole)
        elif role == "read" and exchange.status == CONTRACT.problem_types[CONTRACT.not_found[kind]].status:
            if here in self.resources:
                fail("it was created and not removed, and is not found")
        elif role == "create" and exchange.succeeded and exchange.whole:
            for name, value in _unknown(kind, _sent(exchange) or {}).items():
                if not _equal(exchange.whole.get(name), value):
                    fail(f"{name} was sent, and the response does not have it")
        elif role == "update" and exchange.succeeded and exchange.whole:
            sent = _sent(exchange)
            if sent is not None:
                set_now = sent.keys() - (CONTRACT.resources[kind]["properties"].keys() - CLIENT_SET[kind])
                # For a value that nobody gave, a server may show that of the product, which may be another one now.
                self._same(here, kind, exchange.whole, but=set_now | FILLED - self.given.get(here, set()))
        elif role == "list" and exchange.succeeded and here in self.lists:
            items = {(*here, str(item.get(CONTRACT.keys[kind]))): item for item in items_of(exchange, whole=True)}
            if extra := items.keys() - self.lists[here]:
                fail(f"the list has {', '.join(sorted(each[-1] for each in extra))}, which is not there")
            if not exchange.query and not link_of(exchange, "next"):
                if len(items) != len(items_of(exchange)):
                    fail("the list has one item twice")
                if missing := self.lists[here] - items.keys():
                    fail(f"the list misses {', '.join(sorted(each[-1] for each in missing))}")
            for place, item in items.items():
                self._same(place, kind, item)

    def _same(self, place: Place, kind: str, resource: Mapping[str, Any], but: AbstractSet[str] = frozenset()) -> None:
        """Check the values of a resource. `but` names the properties that the request has just set."""
        known = self.resources.get(place)
        if known is None or (but and CONTRACT.update_method != "PATCH"):
            return
        shown = stable(kind, resource) | {name: resource.get(name) for name in _unknown(kind, known)}
        for name in sorted((known.keys() | shown.keys()) - but):
            if not _equal(known.get(name), shown.get(name)):
                before, now = (render(each.get(name)) for each in (known, shown))
                fail(f"{name} of {kind} {place[-1]} is {now}. It was {before}, and nothing has changed it since")

    # what is learnt

    def _learn(self, exchange: Exchange, *, alone: bool) -> None:
        if exchange.method in {"GET", "HEAD", "OPTIONS"}:
            return
        role, kind = exchange.role
        if exchange.status >= 500 or (exchange.status < 400 and not (kind and exchange.succeeded)):
            self._forget_all()  # a write may have taken effect that the contract does not have
            return
        if not exchange.succeeded:
            return
        here = place_of(exchange.path)
        if role == "create" and exchange.whole:
            place = (*here, str(exchange.whole[CONTRACT.keys[kind]]))
            self.removed.discard(place)
            if self._is_known(here):
                self.lists[here].add(place)
            if kind == "customer" or self._is_known(here):
                self.resources[place] = stable(kind, exchange.whole) | _unknown(kind, _sent(exchange) or {})
                self.given[place] = _given(_sent(exchange))
                self.lists |= {(*place, child.segment): set() for child in CONTRACT.children(kind)}
        elif role == "update" and here in self.resources:
            sent = _sent(exchange) or {}
            self.given[here] = (self.given.get(here, set()) - sent.keys()) | _given(sent)
            # Of two changes at once, no one knows which the server made last.
            unknown = _unknown(kind, (self.resources[here] or {}) | sent)
            self.resources[here] = stable(kind, exchange.whole) | unknown if alone and exchange.whole else None
        elif role == "delete":
            self._remove(here, kind)
            if self._is_known(here[:-1]):
                self.lists[here[:-1]].discard(here)

    def _remove(self, place: Place, kind: str) -> None:
        """Move a resource to the removed ones, with all that is below it."""
        if place in self.resources:
            del self.resources[place]
            self.removed.add(place)
        for child in CONTRACT.children(kind):
            for each in self.lists.pop((*place, child.segment), ()):
                self._remove(each, child.kind)

    def _is_known(self, collection: Place) -> bool:
        return collection in self.lists

    def _forget_all(self) -> None:
        self.resources, self.lists, self.removed, self.given = {}, {}, set(), {}


def _unknown(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of properties that the contract does not have. A server holds them as they were sent.

    Values that RFC 8259 leaves to the parser are left out: a server may take 1e-400 as 0 (x-rules, odd-json).
    """
    known = CONTRACT.resources[kind]["properties"]
    return {name: value for name, value in values.items() if name not in known and not _is_odd({name: value})}


def _is_odd(value: Any) -> bool:
    """Return whether a value has a number outside the range of binary64, or an unpaired surrogate."""
    match value:
        case str():
            return any("\ud800" <= character <= "\udfff" for character in value)
        case dict():
            return any(_is_odd(each) for pair in value.items() for each in pair)
        case list():
            return any(map(_is_odd, value))
        case int() | Decimal():
            return abs(Decimal(value).adjusted()) > LARGEST_EXPONENT
    return False


def _equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal. As in JSON, true is not equal to 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _given(sent: Mapping[str, Any] | None) -> set[str]:
    return {name for name, value in (sent or {}).items() if value is not None}


def _sent(exchange: Exchange) -> dict[str, Any] | None:
    """Return the values of a request. None if the body is not strict JSON, and the server took it."""
    try:
        sent = parse_strictly(exchange.sent)
    except AssertionError:
        return None
    return sent if isinstance(sent, dict) else None
