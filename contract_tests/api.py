"""The API as a probe speaks to it: raw requests over any transport, each answer judged by the rules."""

from __future__ import annotations

import itertools
import json
import secrets
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx2
from payex_billing_mock.json_text import render

from . import rules
from .coverage import COVERAGE
from .exchange import Broken, Exchange

SECONDS = 30.0
RULES = (*rules.RULES, rules.documented)


class NotTried(Exception):
    """A probe needs what this target does not allow, such as a second ledger."""


class Transport(Protocol):
    """Sends one request as it is, and returns status, headers and body."""

    origin: str

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Send `target`, the raw path with its query."""

    def close(self) -> None:
        """Close what is open."""


class InProcess:
    """Calls an ASGI application that never waits, as the mock."""

    origin = "http://testserver"

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        call = self._app(scope, receive, send)
        try:
            call.send(None)
        except StopIteration:
            pass
        except Exception as error:  # any server answers so to an application that raises
            return 500, {"content-type": "text/plain"}, type(error).__name__.encode()
        else:
            raise RuntimeError("the application waits; serve it, and use OverHttp")
        joined: dict[str, str] = {}
        for name, value in sent[0]["headers"]:
            key = name.decode("latin-1")
            joined[key] = f"{joined[key]}, {value.decode('latin-1')}" if key in joined else value.decode("latin-1")
        return sent[0]["status"], joined, b"".join(message.get("body", b"") for message in sent[1:])

    def close(self) -> None:
        """Nothing is open."""


class OverHttp:
    """Sends over a socket; with a context over TLS, with its client certificate."""

    def __init__(self, origin: str, tls: ssl.SSLContext | None = None) -> None:
        self.origin = origin.rstrip("/")
        self._client = httpx2.Client(
            verify=tls if tls is not None else False,  # never asked for where the origin is http
            timeout=SECONDS,
            trust_env=False,
            limits=httpx2.Limits(max_connections=40, max_keepalive_connections=40),
        )
        self._client.headers.clear()

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        request = self._client.build_request(
            method,
            self.origin,
            headers={**headers, "Accept-Encoding": "identity"},
            content=body or None,
            extensions={"target": target.encode()},
        )
        answer = self._client.send(request, follow_redirects=False)
        return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


@dataclass
class Api:
    """One ledger of one target.

    Attributes:
        prefix: what the numbers of all customers begin with that are made here.
        other: a second ledger of the same target, if there is one.
        guard: looks at each request before it is sent, and at each answer; see `guard.py`.
        real: whether the target is a real endpoint: what only the mock promises is not asked of it.
    """

    transport: Transport
    base_path: str
    ledger: str
    token: str
    prefix: str = ""
    other: Api | None = None
    guard: Any = None
    real: bool = False
    broken: Broken | None = None
    _counter: Any = field(default_factory=itertools.count, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Make the numbers of this run its own."""
        self._run = secrets.randbelow(36**4)

    def number(self) -> str:
        """A customer number that was not used before. It looks personal, so that an echo of it is seen."""
        with self._lock:
            count = next(self._counter)
        if self.prefix:
            room = 15 - len(self.prefix)
            return f"{self.prefix}{(self._run * 10_000 + count) % 10**room:0{room}d}"
        return f"7{self._run:07d}{count:05d}"

    def path(self, *segments: str, ledger: str | None = None) -> str:
        """The raw path of `segments` below the ledger, each encoded as one segment."""
        owner = self.ledger if ledger is None else ledger
        return "/".join([self.base_path, *(quote(each, safe="") for each in (owner, *segments))])

    def send(
        self,
        method: str,
        *segments: str,
        body: Any = ...,
        content: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
        raw_path: str | None = None,
        ledger: str | None = None,
        judged: bool = True,
    ) -> Exchange:
        """Send a request; a header given as None is left out.

        Raises:
            Broken: the answer breaks a rule.
        """
        sent = content if content is not None else b"" if body is ... else render(body).encode("utf-8", "surrogatepass")
        own: dict[str, str | None] = {"Accept": "application/json", "Authorization": f"Bearer {self.token}"}
        if body is not ... or content is not None:
            own["Content-Type"] = "application/json"
        wanted = {name: value for name, value in {**own, **(headers or {})}.items() if value is not None}
        if sent or method in {"POST", "PATCH", "PUT"}:
            wanted["Content-Length"] = str(len(sent))
        target = raw_path if raw_path is not None else self.path(*segments, ledger=ledger)
        path, _, query = target.partition("?")
        if self.guard is not None:
            self.guard.before(method, path, sent)
        started = time.perf_counter()
        status, answered, answer_body = self.transport(method, target, wanted, sent)
        exchange = Exchange(
            method, path, wanted, sent, status, answered, answer_body,
            time.perf_counter() - started, query, self.transport.origin,
        )  # fmt: skip
        if self.guard is not None:
            self.guard.after(exchange)
        COVERAGE.saw(exchange)
        if judged:
            self.judge(exchange)
        return exchange

    def judge(self, exchange: Exchange) -> None:
        """Hold an exchange against every rule."""
        for rule in RULES:
            try:
                rule(exchange)
            except AssertionError as error:
                COVERAGE.judged(exchange, rule.__name__, passed=False)
                self.broke(rule.__name__, str(error), exchange)
            else:
                COVERAGE.judged(exchange, rule.__name__, passed=True)

    def broke(self, promise: str, how: str, exchange: Exchange | None = None) -> None:
        """Say that a promise is broken."""
        found = Broken(promise, how, exchange)
        self.broken = self.broken or found
        raise found

    def get(self, *segments: str, **options: Any) -> Exchange:
        """Send a GET."""
        return self.send("GET", *segments, **options)

    def post(self, *segments: str, body: Any, **options: Any) -> Exchange:
        """Send a POST."""
        return self.send("POST", *segments, body=body, **options)

    def patch(self, *segments: str, body: Any, **options: Any) -> Exchange:
        """Send a PATCH."""
        return self.send("PATCH", *segments, body=body, **options)

    def delete(self, *segments: str, **options: Any) -> Exchange:
        """Send a DELETE."""
        return self.send("DELETE", *segments, **options)

    # what probes build on

    def customer(self, number: str | None = None) -> str:
        """Create a customer; returns its number."""
        number = number or self.number()
        self.expect(self.post("customers", body={"customerNo": number}), 201)
        return number

    def subscription(self, customer: str, number: str = "46701234567") -> str:
        """Create a subscription; returns its number."""
        self.expect(self.post("customers", customer, "subscriptions", body={"subscriptionNo": number}), 201)
        return number

    def charge(self, *parent: str, **values: Any) -> dict[str, Any]:
        """Add a charge to a customer, or to one of its subscriptions; returns it."""
        body = {"productCode": "P01", **values}
        return self.expect(self.post(*self.charges_of(*parent), body=body), 201).object

    @staticmethod
    def charges_of(customer: str, subscription: str = "") -> tuple[str, ...]:
        """The segments of the charges of a customer, or of one of its subscriptions."""
        level = ("subscriptions", subscription) if subscription else ()
        return ("customers", customer, *level, "recurring-products")

    def charges(self, *parent: str) -> list[dict[str, Any]]:
        """Read the charges of a customer, or of one of its subscriptions."""
        return self.items(*self.charges_of(*parent))

    def items(self, *segments: str) -> list[dict[str, Any]]:
        """Read a list to its end."""
        found: list[dict[str, Any]] = []
        exchange = self.expect(self.get(*segments), 200)
        for _ in range(1000):
            found += exchange.object["items"]
            after = exchange.object["navigation"].get("next")
            if not after:
                return found
            exchange = self.expect(self.send("GET", raw_path=after), 200)
        self.broke("lists_end", "a list leads on and on", exchange)
        return found

    def expect(
        self, exchange: Exchange, status: int | tuple[int, ...], code: str | None = None, parameter: str | None = None
    ) -> Exchange:
        """Hold an answer against what the contract promises for this request."""
        statuses = status if isinstance(status, tuple) else (status,)
        if exchange.status not in statuses:
            self.broke("status", f"expected {' or '.join(map(str, statuses))}, got {exchange.status}", exchange)
        if code is not None and exchange.code != code:
            self.broke("problem_type", f"expected {code}, got {exchange.code}", exchange)
        if parameter is not None:
            named = {str(name).partition(".")[0] for each in exchange.object.get("problems", ()) for name in each}
            if parameter not in named:
                self.broke("names_the_parameter", f"{parameter} is not named, but {sorted(named)}", exchange)
        return exchange

    def same(self, promise: str, found: Any, expected: Any, exchange: Exchange | None = None) -> None:
        """Two values are one."""
        if found != expected:
            self.broke(promise, f"found {_short(found)}, expected {_short(expected)}", exchange)


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) < 300 else text[:300] + "…"


def base_of(url: str, default: str) -> tuple[str, str]:
    """The origin and the base path of a target; the contract's base path if the URL has none."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}", path or default
