"""Measure which operations, statuses, parameters, properties and problem types of the contract a run has reached."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from .exchange import CONTRACT, DOCUMENT, OPERATIONS, Exchange, parse_strictly
from .schemas import resolve

SHOWN = 200  # bytes of the body of an observation
KINDS = ("operations", "statuses", "parameters", "properties", "problem types")


@dataclass
class Observation:
    """What a reader should know, although the contract is silent about it: how often, and the first exchange."""

    what: str
    count: int
    request: str
    response: str


@dataclass
class Coverage:
    """Collects which parts of the contract the exchanges reach. Several threads may use one object."""

    reached: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in KINDS})
    exchanges: int = 0
    checks: Counter[str] = field(default_factory=Counter)
    observations: dict[str, Observation] = field(default_factory=dict)  # by their text
    on_exchange: Callable[[Exchange], None] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def saw(self, exchange: Exchange) -> None:
        """Record what one exchange reached."""
        with self._lock:
            self.exchanges += 1
            with suppress(AssertionError):  # the rules report a body that cannot be read
                for kind, name in _reached(exchange):
                    self.reached[kind][name] += 1
            if self.on_exchange is not None:
                self.on_exchange(exchange)

    def judged(self, exchange: Exchange, check: str, *, passed: bool) -> None:
        """Record the result of a check."""
        with self._lock:
            self.checks[f"{exchange.operation or '-'}|{check}|{'passed' if passed else 'failed'}"] += 1

    def observe(self, what: str, exchange: Exchange) -> None:
        """Record something that is no fault, because the contract is silent about it."""
        with self._lock:
            response = f"{exchange.status} {exchange.body[:SHOWN].decode('utf-8', 'backslashreplace')}".strip()
            seen = self.observations.setdefault(what, Observation(what, 0, exchange.curl, response))
            seen.count += 1

    def add(self, other: Mapping[str, Mapping[str, int]]) -> None:
        """Add what another process reached."""
        for kind, names in other.items():
            self.reached[kind].update(names)

    def missing(self, kind: str) -> list[str]:
        """Return the parts of one kind that the contract has and no exchange reached."""
        return sorted(set(everything()[kind]) - set(self.reached[kind]))

    def share(self, kind: str) -> tuple[int, int]:
        """Return how many parts of one kind were reached, and how many the contract has."""
        whole = everything()[kind]
        return len(set(whole) & set(self.reached[kind])), len(whole)


COVERAGE = Coverage()


def everything() -> dict[str, list[str]]:
    """Return all parts of the contract by kind."""
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name, operation in OPERATIONS.items():
        found["operations"].append(name)
        found["statuses"] += [f"{name} {status}" for status in operation.responses]
        found["parameters"] += [f"{name} {parameter}" for parameter in operation.parameters]
    for name, schema in DOCUMENT["components"]["schemas"].items():
        found["properties"] += [f"{name}.{each}" for each in schema.get("properties", {})]
    found["problem types"] = list(CONTRACT.problem_types)
    return {kind: sorted(set(names)) for kind, names in found.items()}


def _reached(exchange: Exchange) -> Iterator[tuple[str, str]]:
    if exchange.code in CONTRACT.problem_types:
        yield "problem types", exchange.code
    operation = exchange.operation
    if operation is None:
        return
    yield "operations", operation
    yield "statuses", f"{operation} {exchange.status}"
    for name in exchange.parameters:
        yield "parameters", f"{operation} {name}"
    schema = OPERATIONS[operation].body
    if exchange.status < 300 and exchange.sent and schema is not None:
        yield from _properties(schema, parse_strictly(exchange.sent))
    content = (exchange.response or {}).get("content", {})
    if exchange.media_type in content:
        yield from _properties(content[exchange.media_type]["schema"], exchange.json)


def _properties(schema: Mapping[str, Any], value: Any) -> Iterator[tuple[str, str]]:
    """Return the properties of named schemas that a value has, with the properties of nested values."""
    if not isinstance(value, dict | list):
        return
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = resolve(schema)
    for branch in schema.get("anyOf", ()):
        yield from _properties(branch, value)
    if isinstance(value, list):
        for each in value if "items" in schema else ():
            yield from _properties(schema["items"], each)
    else:
        for key, each in schema.get("properties", {}).items():
            if key in value:
                yield "properties", f"{name}.{key}"
                yield from _properties(each, value[key])
