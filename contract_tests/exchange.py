"""One request and its response, with their definitions in the contract. The rules check such exchanges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, NoReturn

from .curl import curl
from .description import load
from .routes import PROBLEM, Match, Operation, plain

CONTRACT = load()
DOCUMENT: Any = CONTRACT.document
OPERATIONS = CONTRACT.operations
MEANINGFUL = {"allow", "content-type", "location", "retry-after", "www-authenticate"}


class Broken(AssertionError):
    """A promise of the contract is broken. `promise` names the promise; the message says what is wrong."""

    def __init__(self, promise: str, how: str, exchange: Exchange | None = None) -> None:
        super().__init__(f"{promise}: {how}" + (f"\n  {exchange}\n  {exchange.curl}" if exchange else ""))
        self.promise = promise
        self.how = how
        self.exchange = exchange


def fail(how: str) -> NoReturn:
    """Report that a rule is broken. The caller adds the name of the rule."""
    raise AssertionError(how)


@dataclass(frozen=True)
class Exchange:
    """A request exactly as sent, and its response exactly as received.

    Attributes:
        path: the percent-encoded path, without its query.
        headers: the headers of the response. Names are in lower case; values of a repeated header are joined.
        seconds: the time from sending the request to the end of the response.
    """

    method: str
    path: str
    sent_headers: Mapping[str, str]
    sent: bytes
    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float = 0.0
    query: str = ""
    url: str = field(default="", repr=False)

    @cached_property
    def _match(self) -> Match | None:
        return CONTRACT.match(self.path)

    @property
    def known_route(self) -> bool:
        """Whether the contract has the path, with any method."""
        return self._match is not None

    @property
    def allowed(self) -> set[str]:
        """The methods that the contract has for the path."""
        return set(self._match.operations) if self._match else set()

    @cached_property
    def defined(self) -> Operation | None:
        """The operation; None if the contract does not have this method for the path."""
        return self._match.operations.get(self.method) if self._match else None

    @property
    def operation(self) -> str | None:
        """The operation id; None if the contract does not have this method for the path."""
        return self.defined.operation_id if self.defined else None

    @property
    def role(self) -> tuple[str, str]:
        """The role of the operation and its kind of resource, such as `create` and `charge`."""
        return (self.defined.role, self.defined.kind) if self.defined else ("", "")

    @property
    def parameters(self) -> Mapping[str, str]:
        """The decoded path parameters."""
        return self._match.parameters if self._match else {}

    @property
    def response(self) -> Mapping[str, Any] | None:
        """The contract's definition of the response; None if the contract does not have the status."""
        return self.defined.responses.get(self.status) if self.defined else None

    @property
    def succeeded(self) -> bool:
        """Whether the status is one of the operation's successes."""
        return self.defined is not None and self.status in self.defined.successes

    @cached_property
    def media_type(self) -> str:
        """The media type of the response, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        """Whether the response has a body with a JSON media type."""
        if self.method == "HEAD" or self.status in {204, 304}:
            return False
        return self.media_type in {"application/json", "application/problem+json"}

    @property
    def has_no_body(self) -> bool:
        """Whether HTTP or the contract forbids a body in the response."""
        undeclared = self.response is not None and not self.response.get("content")
        return self.method == "HEAD" or self.status in {204, 304} or undeclared

    @cached_property
    def json(self) -> Any:
        """The body of the response, parsed strictly."""
        return parse_strictly(self.body)

    @cached_property
    def object(self) -> dict[str, Any]:
        """The body as an object; of a success, with the properties that the contract has. Empty if it is no object."""
        return known(self.whole) if self.status < 300 else self.whole

    @property
    def whole(self) -> dict[str, Any]:
        """The body as an object, also with properties of the server's own. Empty if there is no body or no object."""
        return self.json if not self.has_no_body and isinstance(self.json, dict) else {}

    @cached_property
    def spelled(self) -> Any:
        """The body, with the keys of a problem as the contract spells them: a server may spell them in any case."""
        if self.media_type != PROBLEM or not isinstance(self.json, dict):
            return self.json
        names = {name.lower(): name for name in CONTRACT.problem_names.values() if name not in self.json}
        return {names.get(name.lower(), name): value for name, value in self.json.items()}

    @cached_property
    def problem(self) -> dict[str, Any]:
        """The properties of a problem by role. The role is `type` also if the JSON name is `Type`."""
        names, shown = CONTRACT.problem_names, self.spelled if self.is_json else {}
        return {role: shown[name] for role, name in names.items() if name in shown} if isinstance(shown, dict) else {}

    @property
    def is_from_ingress(self) -> bool:
        """Whether an ingress may have sent the response: no body, or a page, with a status that the contract allows."""
        return self.status in CONTRACT.ingress_statuses and (not self.body or self.media_type == "text/html")

    @cached_property
    def code(self) -> str:
        """The last segment of the problem type. For a response of an ingress, the problem type of its status."""
        if self.is_from_ingress:
            return next((each.code for each in CONTRACT.problem_types.values() if each.status == self.status), "")
        return str(self.problem.get("type", "")).rstrip("/").rpartition("/")[2]

    @property
    def failed_parameters(self) -> set[str]:
        """The parameters that `problems` names, without case and punctuation: the contract fixes neither."""
        listed = self.problem.get("problems") or ()
        return {parameter_of(name) for each in listed if isinstance(each, dict) for name in each}

    @property
    def idempotency_key(self) -> str:
        """The Idempotency-Key of the request. Empty if it has none, or if the contract has no such header."""
        sent = {name.lower(): value for name, value in self.sent_headers.items()}
        return sent.get("idempotency-key", "") if self.defined and self.defined.takes_key else ""

    @property
    def wait(self) -> float | None:
        """The seconds that Retry-After names. None if there is no such header, or its value is not usable."""
        value = self.headers.get("retry-after", "")
        if value.isascii() and value.isdigit():
            return float(value) if len(value) < 10 else None
        try:
            return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
        except (ValueError, TypeError):
            return None

    @property
    def meaningful_headers(self) -> dict[str, str]:
        """The headers that tell a client what to do. Others, such as Server-Timing, may come now and then."""
        return {name: value for name, value in self.headers.items() if name in MEANINGFUL}

    @property
    def curl(self) -> str:
        """The request as a curl command that runs, and reads the token from an environment variable."""
        query = "?" + self.query if self.query else ""
        return curl(self.method, f"{self.url}{self.path}{query}", self.sent_headers, self.sent)

    def __str__(self) -> str:
        return f"{self.method} {self.path} → {self.status} {self.body[:300].decode('utf-8', 'backslashreplace')}"


def known(value: Any) -> Any:
    """Return a JSON value without the properties that the contract does not have.

    A server may show properties of its own, and change them at any time.
    """
    if isinstance(value, dict):
        return {name: known(each) for name, each in value.items() if name in _NAMES}
    return [known(each) for each in value] if isinstance(value, list) else value


def _names(node: Any) -> Iterator[str]:
    """Yield the names of all properties in a part of the contract."""
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    if isinstance(node, dict) and isinstance(node.get("properties"), dict):
        yield from node["properties"]
    for child in children:
        yield from _names(child)


_NAMES = frozenset(_names(DOCUMENT))


def parameter_of(path: str) -> str:
    """Return the parameter, as `plain` returns it, that a path such as `body.unitPrice` or `$.unitPrice` names."""
    names = [name for name in re.split(r"[./\[\]]", path) if name not in {"", "$", "#"}]
    return plain(
        names[1] if len(names) > 1 and names[0].lower() in {"body", "path", "query"} else names[0] if names else path
    )


def items_of(exchange: Exchange, *, whole: bool = False) -> list[dict[str, Any]]:
    """Return the items of a list response, or of one page of the list; `whole` with properties of the server's own.

    Raises:
        AssertionError: the response has no list.
    """
    name = CONTRACT.list_name(exchange.defined)
    items = exchange.whole.get(name) if name else exchange.json
    items = items if whole else known(items)
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        fail(f"the response has no list of objects{f' called {name}' if name else ''}")
    return items


def link_of(exchange: Exchange, role: str) -> Any:
    """Return the link `self` or `next` of a list, from where the contract declares it. None if there is none."""
    path = CONTRACT.list_links.get(exchange.operation or "", {}).get(role)
    value: Any = exchange.json if path else None  # a list may have links that no schema names
    for name in path or ():
        value = value.get(name) if isinstance(value, dict) else None
    return value


def render(value: Any) -> str:
    """Convert a value to JSON text. A `Decimal` keeps all its digits."""
    match value:
        case Decimal():
            return str(value)
        case dict():
            return (
                "{"
                + ",".join(f"{json.dumps(str(key), ensure_ascii=False)}:{render(each)}" for key, each in value.items())
                + "}"
            )
        case list():
            return "[" + ",".join(map(render, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False, allow_nan=False)


def parse_strictly(body: bytes) -> Any:
    """Parse JSON strictly as RFC 8259 defines it. Numbers keep all their digits."""

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in found}) != len(found):
            fail("a key is repeated")
        return dict(found)

    def constant(name: str) -> None:
        fail(f"{name} is not JSON")

    def integer(digits: str) -> int | Decimal:
        # CPython refuses to convert more than 4,300 digits to int; RFC 8259 has no such limit.
        return int(digits) if len(digits) < 4000 else Decimal(digits)

    try:
        return json.loads(
            body.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=Decimal,
            parse_int=integer,
        )
    except (ValueError, RecursionError) as error:
        fail(f"the body is not JSON in UTF-8: {error}")
