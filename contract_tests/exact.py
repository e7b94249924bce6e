"""Demands on a target that has the contract's own limits and words, such as the mock. A real endpoint may have more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

from .exchange import CONTRACT, Exchange, fail, parse_strictly
from .routes import plain
from .schemas import JUDGE, resolve, takes_parameter

BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def problem_title(exchange: Exchange) -> None:
    """A problem has the title of its type. No title of the real API is published."""
    known = CONTRACT.problem_types.get(exchange.code) if exchange.status >= 400 else None
    if known is not None and not exchange.is_from_ingress and exchange.problem.get("title") != known.title:
        fail(f"the title of {known.code} is {known.title!r}, not {exchange.problem.get('title')!r}")


def only_what_failed_is_named(exchange: Exchange) -> None:
    """A validation problem names no parameter whose value is valid. A real endpoint may have limits of its own."""
    if exchange.code != "validation" or exchange.defined is None:
        return
    for name in _valid(exchange):
        if plain(name) in exchange.failed_parameters:
            fail(f"{name} is named as a parameter that failed, but its value is valid")


def _valid(exchange: Exchange) -> Iterator[str]:
    """Yield the parameters of a request whose values the contract takes."""
    operation = exchange.defined
    sent: object = {}
    schema = resolve(operation.body) if operation and operation.body else {"properties": {}}
    with suppress(AssertionError):  # a body that is not strict JSON has no values
        sent = parse_strictly(exchange.sent) if exchange.sent else {}
    values = sent if isinstance(sent, dict) else {}
    properties = schema.get("properties", {})
    # The problem does not say which one of the path parameter and the property of the same name is meant.
    in_body = {plain(name) for name in (*properties, *values)}
    # A `%` without two hexadecimal digits makes a path malformed, whatever its parameters are (RFC 3986, section 2.1).
    for place in () if BAD_ESCAPE.search(exchange.path) else CONTRACT.places.values():
        value = exchange.parameters.get(place.parameter)
        if value is not None and plain(place.parameter) not in in_body and takes_parameter(place.kind, value):
            yield place.parameter
    role, kind = exchange.role
    # A number that is taken fails although its schema allows it.
    taken = CONTRACT.keys[kind] if role == "create" and CONTRACT.duplicates[kind][1] == "validation" else ""
    for name, value in values.items():
        if name in properties and name != taken and JUDGE.takes(properties[name], value):
            yield name


RULES: tuple[Callable[[Exchange], None], ...] = (problem_title, only_what_failed_is_named)
