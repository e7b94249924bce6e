"""Servers that write JSON, ids and links in other words than the mock."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import quote, unquote

from contract_tests.exchange import CONTRACT, render
from contract_tests.faults._planting import (
    Answer,
    MockWithFault,
    Next,
    Request,
    read,
    rewritten,
    with_body,
)

from ._registry import allowed, changes

SELF = CONTRACT.self_link
LONG_ID = "A-._~" * 40
ODD_ID = "a!$&'()*+,;=:@~-._"
SUB_DELIMITERS = "!$&'()*+,;=:@"  # RFC 3986, section 3.3: a segment may have these as they are


def _deep(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change each value of a JSON document, the inner ones first."""
    if isinstance(value, dict):
        value = {name: _deep(each, change) for name, each in value.items()}
    elif isinstance(value, list):
        value = [_deep(each, change) for each in value]
    return change(value)


def _everywhere(answer: Answer, change: Callable[[Any], Any]) -> Answer:
    return with_body(answer, render(_deep(read(answer), change))) if answer.body else answer


# JSON


@changes("RFC 8259, section 4: the names of an object have no order")
def names_in_another_order(_: Request, answer: Answer) -> Answer:
    return _everywhere(answer, lambda each: dict(reversed(each.items())) if isinstance(each, dict) else each)


@changes("RFC 8259, section 7: any character may be escaped")
def escaped_json(_: Request, answer: Answer) -> Answer:
    if not answer.body:
        return answer
    text = re.sub(r"[^\x00-\x7f]+", lambda found: json.dumps(found[0])[1:-1], answer.body.decode())
    return with_body(answer, text.replace("/", r"\/"))


@changes("RFC 8259, section 6: 10, 10.0 and 1E1 are one number")
def numbers_in_another_notation(_: Request, answer: Answer) -> Answer:
    def change(value: Any) -> Any:
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        return Decimal(f"{Decimal(value):E}") if is_number else value

    return _everywhere(answer, change)


@changes("RFC 8259, section 6: zeros at the end of a fraction change nothing")
def numbers_with_zeros(_: Request, answer: Answer) -> Answer:
    def change(value: Any) -> Any:
        is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
        if not is_number or abs(Decimal(value).adjusted()) > 20:
            return value
        longer = Decimal(f"{Decimal(value):.8f}")
        return longer if longer == value else value

    return _everywhere(answer, change)


@allowed("RFC 8259, section 4: of equal names, a parser may take the last")
def last_of_equal_names(_: MockWithFault, request: Request, ask: Next) -> Answer:
    repeated: list[str] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        repeated.extend(name for index, (name, _) in enumerate(members) if name in dict(members[:index]))
        return dict(members)

    try:
        value = json.loads(request.body, parse_float=Decimal, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return ask(request)
    return ask(replace(request, body=render(value).encode("utf-8", "surrogatepass")) if repeated else request)


# ids and links


def _with_ids(start: str, app: MockWithFault) -> None:
    """Let each id of the mock begin with a text, if ids are texts."""
    if "random_id" in app.__dict__:
        return
    app.__dict__["random_id"] = random_id = app.store.new_id

    def new_id(collection: Any) -> Any:
        made = random_id(collection)
        return start + made if isinstance(made, str) else made

    app.store.new_id = new_id


@allowed("an id is opaque, and the contract has no limit of its length")
def long_ids(app: MockWithFault, request: Request, ask: Next) -> Answer:
    _with_ids(LONG_ID, app)
    return ask(request)


def _links(answer: Answer, change: Callable[[str], str]) -> Answer:
    def changed(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {SELF, "href", *(name for links in CONTRACT.links.values() for name in links)}
        return {name: change(each) if name in names and isinstance(each, str) else each for name, each in value.items()}

    return _everywhere(answer, changed) if answer.status < 300 else answer


@allowed("RFC 3986, section 3.3: a segment of a path may have `!$&'()*+,;=:@` as they are")
def odd_ids(app: MockWithFault, request: Request, ask: Next) -> Answer:
    def change(link: str) -> str:
        return "/".join(quote(unquote(segment), safe=SUB_DELIMITERS) for segment in link.split("/"))

    _with_ids(ODD_ID, app)
    return _links(ask(request), change)


@changes("RFC 3986, section 6.2.2.1: `%2f` and `%2F` are one character")
def small_hexadecimal_digits(_: Request, answer: Answer) -> Answer:
    return _links(answer, lambda link: re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), link))


# properties


@allowed("the contract does not limit other properties, which may change at any time")
def properties_of_its_own(app: MockWithFault, request: Request, ask: Next) -> Answer:
    own = {"x-server": {"seen": app.asked, "by": None, "tags": ["a"]}, "@type": "x", "invoices": "/elsewhere/invoices"}
    return rewritten(ask(request), lambda each: each | own)
