"""Send raw requests for probes over any transport, and check each response against the rules."""

from __future__ import annotations

import itertools
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from . import exact, rules
from .bodies import BODIES
from .coverage import COVERAGE
from .exchange import CONTRACT, Broken, Exchange, items_of, link_of, render
from .explain import difference
from .memory import Memory
from .routes import plain
from .schemas import JUDGE
from .transports import Transport

RULES = (*rules.RULES, rules.documented)
# A 429 tells how long to wait (RFC 6585, section 4). The suite waits and sends the request again, within these limits.
LONGEST_WAIT = 60.0
ATTEMPTS = 5
LONGEST_NUMBER = 15
ROOM = 4096  # bytes of a body that a server must take; see x-rules, size
new_customer, new_subscription = BODIES.new_customer, BODIES.new_subscription
new_charge, change, wire = BODIES.new_charge, BODIES.change, CONTRACT.wire
CUSTOMER_NO, SUBSCRIPTION_NO, CHARGE_ID = (CONTRACT.keys[kind] for kind in ("customer", "subscription", "charge"))


def customers_path() -> tuple[str, ...]:
    """Return the path segments of the customer collection, below the ledger."""
    return CONTRACT.place("customer").segments()


def customer_path(customer: str) -> tuple[str, ...]:
    """Return the path segments of a customer."""
    return CONTRACT.place("customer").segments(customer)


def subscriptions_path(customer: str) -> tuple[str, ...]:
    """Return the path segments of a customer's subscriptions."""
    return CONTRACT.place("subscription").segments(customer)


def subscription_path(customer: str, subscription: str) -> tuple[str, ...]:
    """Return the path segments of a subscription."""
    return CONTRACT.place("subscription").segments(customer, subscription)


def charges_path(customer: str, subscription: str = "") -> tuple[str, ...]:
    """Return the path segments of the charges of a customer or a subscription."""
    parent = (customer, subscription) if subscription else (customer,)
    return CONTRACT.place("charge", len(parent)).segments(*parent)


def charge_path(parent: tuple[str, ...], charge: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the path segments of one charge of a customer or a subscription."""
    return CONTRACT.place("charge", len(parent)).segments(*parent, charge[CHARGE_ID])


class NotTried(Exception):
    """A probe was skipped because it needs something that the target does not have, such as a second ledger."""


@dataclass
class Api:
    """One ledger of one target.

    Attributes:
        prefix: the beginning of the number of every customer that this object creates.
        other: a second ledger of the same target; None if there is only one ledger.
        guard: checks each request before it is sent, and reads each response; see `guard.py`.
        attempts: how often a request is sent if each response is a 429.
        real: whether the target is a real endpoint. The suite does not expect of it what only the mock guarantees.
        deletes: whether the ledger is configured for a DELETE, by operation id, as far as it is known.
        bare: what the target shows of a charge of which only the product code was given, by product code.
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
    sleep: Callable[[float], None] = time.sleep
    attempts: int = ATTEMPTS
    deletes: dict[str, bool] = field(default_factory=dict, repr=False)
    bare: dict[Any, dict[str, Any]] = field(default_factory=dict, repr=False)
    memory: Memory = field(default_factory=Memory, repr=False)
    _counter: Any = field(default_factory=itertools.count, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Choose customer numbers that no other run uses."""
        self._run = secrets.randbelow(36**4)

    def number(self) -> str:
        """Return a customer number that was not used before.

        The number looks like a personal number, so that a rule can detect a response that repeats it.
        """
        with self._lock:
            count = next(self._counter)
        if self.prefix:
            room = LONGEST_NUMBER - len(self.prefix)
            return f"{self.prefix}{(self._run * 10_000 + count) % 10**room:0{room}d}"
        return f"7{self._run:07d}{count:05d}"

    def path(self, *segments: str, ledger: str | None = None) -> str:
        """Return the percent-encoded path of `segments` below the ledger. A `/` inside a segment is encoded."""
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
        """Send a request. Leave out each header whose value is None.

        `raw_path` is a percent-encoded path, or a URL of the target. After a 429, wait and send the request again.

        Raises:
            Broken: the response breaks a rule.
        """
        sent = content if content is not None else b"" if body is ... else render(body).encode("utf-8", "surrogatepass")
        own: dict[str, str | None] = {"Accept": "application/json", "Authorization": f"Bearer {self.token}"}
        if body is not ... or content is not None:
            own["Content-Type"] = "application/json"
        target = raw_path if raw_path is not None else self.path(*segments, ledger=ledger)
        target = target.removeprefix(self.transport.origin)
        own |= _required_headers(method, target.partition("?")[0])
        wanted = {name: value for name, value in {**own, **(headers or {})}.items() if value is not None}
        if "Transfer-Encoding" not in wanted and (sent or method in {"POST", "PATCH", "PUT"}):
            wanted["Content-Length"] = str(len(sent))
        for _ in range(self.attempts):
            exchange, wrong = self._ask(method, target, wanted, sent)
            if judged:
                self.judge(exchange)
                if wrong:
                    self.broke("reads_are_as_written", wrong, exchange)
            if exchange.status != 429 or exchange.wait is None or exchange.wait > LONGEST_WAIT:
                break
            self.sleep(exchange.wait)
        return exchange

    def _ask(self, method: str, target: str, headers: Mapping[str, str], sent: bytes) -> tuple[Exchange, str]:
        """Send a request once. Return the exchange, and how it differs from what the run has made."""
        path, _, query = target.partition("?")
        if self.guard is not None:
            self.guard.before(method, path, sent)
        sending = self.memory.sends()
        started = time.perf_counter()
        try:
            status, answered, body = self.transport(method, target, headers, sent)
        except Exception as error:  # a failure shows the request also if no response came
            error.exchange = Exchange(method, path, headers, sent, 0, {}, b"", 0.0, query, self.transport.origin)  # type: ignore[attr-defined]
            self.memory.lost(sending)
            raise
        seconds = time.perf_counter() - started
        exchange = Exchange(method, path, headers, sent, status, answered, body, seconds, query, self.transport.origin)
        if self.guard is not None:
            self.guard.after(exchange)
        COVERAGE.saw(exchange)
        return exchange, self.memory.read(sending, exchange)

    def judge(self, exchange: Exchange) -> None:
        """Check an exchange against every rule."""
        for rule in RULES if self.real else (*RULES, *exact.RULES):
            try:
                rule(exchange)
            except AssertionError as error:
                COVERAGE.judged(exchange, rule.__name__, passed=False)
                self.broke(rule.__name__, str(error), exchange)
            else:
                COVERAGE.judged(exchange, rule.__name__, passed=True)

    def broke(self, promise: str, how: str, exchange: Exchange | None = None) -> None:
        """Raise `Broken` for a promise, and remember the first broken promise."""
        found = Broken(promise, how, exchange)
        self.broken = self.broken or found
        raise found

    def get(self, *segments: str, **options: Any) -> Exchange:
        """Send a GET."""
        return self.send("GET", *segments, **options)

    def post(self, *segments: str, body: Any, **options: Any) -> Exchange:
        """Send a POST."""
        return self.send("POST", *segments, body=body, **options)

    def update(self, *segments: str, body: Mapping[str, Any]) -> Exchange:
        """Change a charge. If the contract replaces charges, read the charge first and send all its values.

        Raises:
            NotTried: the contract has no operation that changes a charge.
        """
        if not CONTRACT.update_method:
            raise NotTried("the contract has no change of a charge")
        whole = {**self._values(*segments), **body} if CONTRACT.update_method == "PUT" else body
        return self.send(CONTRACT.update_method, *segments, body=whole)

    def _values(self, *segments: str) -> dict[str, Any]:
        """Read a charge, and return the values that a change may have. Empty if there is no such charge.

        A response may show null where a change may not have it.
        """
        read, taken = self.get(*segments), CONTRACT.change["properties"]
        values = read.object if read.succeeded else {}
        return {
            name: value
            for name, value in values.items()
            if name not in CONTRACT.server_set["charge"]
            and (value is not None or JUDGE.takes(taken.get(name, {}), None))
        }

    def delete(self, *segments: str, **options: Any) -> Exchange:
        """Send a DELETE.

        Raises:
            NotTried: the contract has no DELETE for this resource.
        """
        if not self.can_delete(*segments):
            raise NotTried(f"there is no DELETE of {'/'.join(segments[::2])}, by the contract or in this ledger")
        return self.send("DELETE", *segments, **options)

    def can_delete(self, *segments: str) -> bool:
        """Return whether the contract has a DELETE for this resource, and the ledger may be configured for it."""
        match = CONTRACT.match(CONTRACT.base_path + self.path(*segments).removeprefix(self.base_path))
        operation = match.operations.get("DELETE") if match else None
        return operation is not None and self.deletes.get(operation.operation_id, True)

    # steps that probes share

    def customer(self, number: str | None = None) -> str:
        """Create a customer, and return its number."""
        number = number or self.number()
        self.succeeds(self.post(*customers_path(), body=new_customer(number)))
        return number

    def subscription(self, customer: str, number: str = "46701234567") -> str:
        """Create a subscription, and return its number."""
        self.succeeds(self.post(*subscriptions_path(customer), body=new_subscription(number)))
        return number

    def charge(self, *parent: str, wire: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
        """Add a charge to a customer or a subscription, and return the charge.

        `Bodies.new_charge` describes the arguments.
        """
        return self.succeeds(self.post(*charges_path(*parent), body=new_charge(wire, **values))).object

    def charges(self, *parent: str) -> list[dict[str, Any]]:
        """Read the charges of a customer or a subscription."""
        return self.items(*charges_path(*parent))

    def subscriptions(self, customer: str) -> list[dict[str, Any]]:
        """Read the subscriptions of a customer."""
        return self.items(*subscriptions_path(customer))

    def items(self, *segments: str) -> list[dict[str, Any]]:
        """Read all pages of a list."""
        return self.all_of(self.get(*segments))

    def all_of(self, exchange: Exchange) -> list[dict[str, Any]]:
        """Return all items of a list. `exchange` has the first page; the method reads the other pages."""
        found: list[dict[str, Any]] = []
        for _ in range(1000):
            found += items_of(self.succeeds(exchange))
            after = link_of(exchange, "next")
            if isinstance(after, dict):
                after = after.get(CONTRACT.self_link, after.get("href"))
            if not after:
                return found
            if not isinstance(after, str):
                self.broke("lists_end", "the link to the next page is not where the contract declares it", exchange)
            exchange = self.send("GET", raw_path=after)
        self.broke("lists_end", "a list leads on and on", exchange)
        return found

    def succeeds(self, exchange: Exchange) -> Exchange:
        """Check that a response is the success that the contract has for the operation."""
        return self.expect(exchange, exchange.defined.successes if exchange.defined else (200,))

    def shown(self, exchange: Exchange) -> Exchange:
        """Check that a change succeeded, and return a response with the charge: a read if the change has no body."""
        self.succeeds(exchange)
        return exchange if exchange.body else self.succeeds(self.send("GET", raw_path=exchange.path))

    def refused(self, exchange: Exchange, code: str, *parameters: str) -> Exchange:
        """Check that a response has a problem type, and the status of that problem type in the contract."""
        self.expect(exchange, CONTRACT.problem_types[code].status, code)
        for each in parameters:
            self.expect(exchange, exchange.status, parameter=each)
        return exchange

    def missing(self, exchange: Exchange, *kinds: str) -> Exchange:
        """Check that a response says, as the contract requires, that a resource of one of the kinds does not exist."""
        codes = [CONTRACT.not_found[kind] for kind in kinds]
        return self.refused(exchange, exchange.code if exchange.code in codes else codes[0])

    def expect(
        self, exchange: Exchange, status: int | tuple[int, ...], code: str | None = None, parameter: str | None = None
    ) -> Exchange:
        """Check a response against a status and a problem type.

        Raises:
            NotTried: the ledger is not configured for DELETE.
        """
        if rules.is_slash_redirect(exchange) or (exchange.code == "content-too-large" and len(exchange.sent) > ROOM):
            return exchange
        statuses = status if isinstance(status, tuple) else (status,)
        self._notice_deletion(exchange, statuses)
        if exchange.status not in statuses:
            self.broke("status", f"expected {' or '.join(map(str, statuses))}, got {exchange.status}", exchange)
        if code is not None and exchange.code != code:
            self.broke("problem_type", f"expected {code}, got {exchange.code}", exchange)
        if parameter is not None and plain(parameter) not in exchange.failed_parameters:
            named = sorted(exchange.failed_parameters)
            self.broke("names_the_parameter", f"{parameter} is not named, but {named}", exchange)
        return exchange

    def _notice_deletion(self, exchange: Exchange, expected: tuple[int, ...]) -> None:
        """Skip the probe if the ledger is not configured for a DELETE: then no such DELETE may succeed."""
        is_deletion, name = exchange.role[0] == "delete", exchange.operation or ""
        if exchange.status in expected and not exchange.succeeded:
            return
        if is_deletion and exchange.succeeded and not self.deletes.setdefault(name, True):
            self.broke("a_ledger_is_configured_or_not", f"{name} succeeds, but was answered 501 before", exchange)
        if is_deletion and exchange.code == "not-implemented" and not self.deletes.setdefault(name, False):
            raise NotTried(f"the ledger is not configured for {exchange.operation}")

    def same(self, promise: str, found: Any, expected: Any, exchange: Exchange | None = None) -> None:
        """Check that two values are equal."""
        if found != expected:
            self.broke(promise, "\n".join(difference(found, expected)) or "true is not 1", exchange)


_HAS_HEADERS = any(operation.headers for operation in CONTRACT.operations.values())


def _required_headers(method: str, path: str) -> dict[str, str | None]:
    """Return the headers that the contract requires for an operation, each with a new, unique value."""
    if not _HAS_HEADERS:
        return {}
    match = CONTRACT.match(path)
    operation = match.operations.get(method) if match else None
    fresh = str(uuid.uuid4())
    return {
        each["name"]: fresh if JUDGE.takes(each["schema"], fresh) else str(BODIES.sample(each["schema"]))
        for each in (operation.headers if operation else ())
    }


def base_of(url: str, default: str) -> tuple[str, str]:
    """Return the origin and the base path of a target. Use the contract's base path if the URL has none."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}", path or default
