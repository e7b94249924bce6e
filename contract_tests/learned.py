"""Learn what always holds in the responses of a server, and ask about the first response in which it does not.

The contract does not say how ids look, which headers a server sends, or what a value that was not given becomes. A
server that changes this in the middle of a run may be a second version behind the same address, or a fault that only
some requests meet. The contract forbids none of it, so the suite asks a question and reports no failure.

Each observation is a fact: a name, and a value that must be the same each time. A fact that held `ENOUGH` times and
then does not becomes a question. A fact that fails earlier is forgotten.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from .contents import CLIENT_SET, Place, place_of
from .exchange import CONTRACT, Exchange, items_of, link_of, parse_strictly, render

ENOUGH = 20  # responses in which a fact must hold before a question is worth its reader's time
ABSENT = "absent"
# Headers of one connection (RFC 9110, section 7.6.1), which say nothing about the API.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
# Headers whose values belong to one response. Only their presence is a fact.
SINGLE = {"date", "content-length", "age", "expires", "last-modified", "set-cookie", "server-timing", "retry-after"}
_PARTS = re.compile(
    r"(?P<uuid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})|(?P<date>\d{4}-\d\d-\d\d)|"
    r"(?P<hex>\b[0-9a-f]{8,}\b)|(?P<word>[A-Za-z0-9]{8,})|(?P<digits>\d+)"
)


@dataclass
class Fact:
    """What held so far: the value, and in how many responses."""

    value: str
    count: int = 1


@dataclass(frozen=True)
class Question:
    """A fact that held, and the first response in which it does not."""

    fact: str
    held: str
    count: int
    now: str
    exchange: Exchange

    def __str__(self) -> str:
        return f"{self.fact}: {self.held} in {self.count} responses, then {self.now}. Is this intended?"


class Learner:
    """Learns from each exchange of a run, in the order of the requests."""

    def __init__(self, enough: int = ENOUGH) -> None:
        self.questions: list[Question] = []
        self._enough = enough
        self._facts: dict[str, Fact | None] = {}  # None: the fact does not always hold
        self._known: dict[Place, dict[str, str]] = {}  # the values of each resource
        self._counts: dict[Place, int] = {}  # the number of items of each list
        self._lock = threading.Lock()

    @property
    def facts(self) -> dict[str, str]:
        """The facts that have held often enough, with their values."""
        return {name: fact.value for name, fact in self._facts.items() if fact and fact.count >= self._enough}

    def saw(self, exchange: Exchange) -> None:
        """Learn from one exchange, and ask about what it breaks."""
        with self._lock:
            if threading.current_thread() is not threading.main_thread():
                # Requests at once: their order is not known, so nothing is known of the state after them.
                self._known.clear()
                self._counts.clear()
                return
            try:
                facts = [*_of_headers(exchange), *_of_body(exchange), *self._of_state(exchange)]
            except (AssertionError, AttributeError, KeyError, TypeError):
                return  # the rules report a body that does not have the contract's form
            for name, value in facts:
                self._observe(f"{_route(exchange)}, {name}", value, exchange)

    def _observe(self, name: str, value: str, exchange: Exchange) -> None:
        fact = self._facts.setdefault(name, Fact(value, 0))
        if fact is None:
            return
        if fact.value == value:
            fact.count += 1
            return
        if fact.count >= self._enough:
            self.questions.append(Question(name, fact.value, fact.count, value, exchange))
        self._facts[name] = None

    # what was read before

    def _of_state(self, exchange: Exchange) -> Iterator[tuple[str, str]]:
        """Yield whether a read is as the response before it, and update what is known."""
        path = place_of(exchange.path)
        role, kind = exchange.role
        if exchange.method not in {"GET", "HEAD", "OPTIONS"} and not 400 <= exchange.status < 500:
            self._forget(exchange)
        if not exchange.succeeded or not kind:
            return
        if role == "list":
            items = items_of(exchange, whole=True)
            if exchange.query or link_of(exchange, "next"):
                return
            if path in self._counts:
                yield "the number of items follows the creations and removals", str(len(items) == self._counts[path])
            self._counts[path] = len(items)
            for item in items:
                yield from self._compared((*path, str(item.get(CONTRACT.keys[kind]))), item)
        elif role == "delete":
            self._count(path[:-1], -1)
        elif exchange.whole:
            own = (*path, str(exchange.whole.get(CONTRACT.keys[kind]))) if role == "create" else path
            if role == "create":
                self._count(path, 1)
            yield from self._compared(own, exchange.whole)

    def _compared(self, path: Place, resource: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        values = {name: render(value) for name, value in resource.items() if value is not None}
        before = self._known.get(path)
        if before is not None:
            for name in before.keys() | values.keys():
                same = before.get(name) == values.get(name)
                yield f"{name} stays as it is without a write", str(same)
        self._known[path] = values

    def _count(self, path: Place, change: int) -> None:
        if path in self._counts:
            self._counts[path] += change

    def _forget(self, exchange: Exchange) -> None:
        """Forget the values below the customer that a write was for, and the lists that a removal may empty."""
        if exchange.operation is None or exchange.status >= 500 or not exchange.succeeded:
            self._known.clear()
            self._counts.clear()
            return
        number = exchange.parameters.get(CONTRACT.place("customer").parameter)
        self._known = {path: held for path, held in self._known.items() if number and number not in path}
        if exchange.role == ("delete", "subscription"):
            here = place_of(exchange.path)
            self._counts = {path: count for path, count in self._counts.items() if path[: len(here)] != here}


def _route(exchange: Exchange) -> str:
    """Return the operation and the status, or the method and the route if the contract has no operation."""
    matched = CONTRACT.match(exchange.path)
    route = exchange.operation or f"{exchange.method} {matched.path if matched else 'elsewhere'}"
    return f"{route} {exchange.status}{f' {exchange.code}' if exchange.status >= 400 else ''}"


def _of_headers(exchange: Exchange) -> Iterator[tuple[str, str]]:
    names = sorted(exchange.headers.keys() - HOP_BY_HOP)
    resource = exchange.whole if exchange.succeeded and exchange.is_json and exchange.body else {}
    yield "the headers", ", ".join(names) or "none"
    for name in names:
        if name not in SINGLE:
            yield f"the header {name}", _form(exchange.headers[name], exchange, resource)


def _of_body(exchange: Exchange) -> Iterator[tuple[str, str]]:
    if not exchange.is_json or not exchange.body:
        return
    if exchange.status >= 400:
        for role in ("type", "title", "status", "instance"):
            yield f"{role}", _form(exchange.problem.get(role, ABSENT), exchange, {})
        yield "the properties", ", ".join(sorted(set(exchange.problem) - {"detail"}))
        return
    role, kind = exchange.role
    if not exchange.succeeded or not kind:
        return
    sent = _sent(exchange)
    for resource in items_of(exchange, whole=True) if role == "list" else [exchange.whole]:
        for name in CONTRACT.resources[kind]["properties"]:
            value = resource.get(name)
            if name not in CLIENT_SET[kind]:
                yield name, _form(value, exchange, resource)
            elif name in sent:
                yield f"{name} as it was sent", str(value == sent[name])
            elif role == "create":
                yield f"{name} that was not sent", ABSENT if value is None else render(value)
        unknown = set(resource) - set(CONTRACT.resources[kind]["properties"]) - set(sent)
        if role == "create":
            yield "properties beside the contract's", ", ".join(sorted(unknown)) or "none"


def _sent(exchange: Exchange) -> dict[str, Any]:
    try:
        sent = parse_strictly(exchange.sent) if exchange.sent else {}
    except AssertionError:
        return {}  # a probe sent a body that is not strict JSON, and the server took it
    return sent if isinstance(sent, dict) else {}


def _form(value: Any, exchange: Exchange, resource: Mapping[str, Any]) -> str:
    """Return how a value looks, without what belongs to one resource.

    The path of the request, and the numbers of the resource, become names, so that a link looks the same each time.
    """
    match value:
        case None:
            return ABSENT
        case str() if value.startswith(("/", f"{exchange.url}/")):
            return _link(value, exchange, resource)
        case str():
            return _PARTS.sub(_name, value)
        case list():
            return f"[{', '.join(_form(each, exchange, resource) for each in value)}]"
        case dict():
            return f"{{{', '.join(f'{name}: {_form(each, exchange, resource)}' for name, each in value.items())}}}"
    return render(value)


def _link(value: str, exchange: Exchange, resource: Mapping[str, Any]) -> str:
    segments = [unquote(each) for each in value.split("/")]
    here = [unquote(each) for each in exchange.path.split("/")]
    start = ["{path}"] if segments[: len(here)] == here else segments[:0]
    keys = {str(resource[key]) for key in CONTRACT.keys.values() if key in resource}
    rest = segments[len(here) :] if start else segments
    return "/".join([*start, *("{number}" if each in keys else _PARTS.sub(_name, each) for each in rest)])


def _name(found: re.Match[str]) -> str:
    kind = str(found.lastgroup)
    return f"{{{len(found[0])} hexadecimal digits}}" if kind == "hex" else f"{{{kind}}}"
