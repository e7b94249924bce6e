"""Keep a real endpoint safe: write only under the agreed prefix, limit the requests, remember what may exist."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .api import NotTried
from .exchange import CONTRACT, Exchange, parse_strictly

READS = {"GET", "HEAD", "OPTIONS"}
# With these statuses a server, or a gateway before it, gives up waiting: the write may take effect all the same.
UNDECIDED = {408, 425, 460, 499}
# The number of segments of the path to the customers of a ledger.
SEGMENTS = len(f"{CONTRACT.base_path}{CONTRACT.place('customer').path}".split("/"))


class OutOfBounds(NotTried):
    """A request was not sent, because it would have written outside the agreed prefix."""


class LimitReached(AssertionError):
    """A request was not sent, because the run has already sent as many requests as it announced."""


class Guard:
    """Checks each request to a real endpoint before the transport sends it.

    Args:
        prefix: the beginning of every customer number that may be written to; None allows no writes.
        rate: the highest number of requests per second.
        limit: the highest number of requests; 0 means no limit.

    Attributes:
        made: the kind of each subscription and charge that the run created, by path, in the order of creation.
    """

    def __init__(
        self, prefix: str | None, rate: float, limit: int = 0, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._prefix = prefix
        self._interval = 1 / rate
        self.limit = limit
        self._sleep = sleep
        self._next = 0.0
        self._sent = 0
        self._lock = threading.Lock()
        self.made: dict[str, str] = {}
        self._customers: dict[str, None] = {}
        self._unanswered: Counter[str] = Counter()

    def before(self, method: str, path: str, sent: bytes) -> None:
        """Check a request, and wait until the rate limit allows it.

        Raises:
            OutOfBounds: the request would write outside the prefix.
            LimitReached: the run has sent as many requests as it announced.
        """
        if method not in READS:
            self._inside(method, path, sent)
        with self._lock:
            if self.limit and self._sent >= self.limit:
                raise LimitReached(f"the run stops here: it announced at most {self.limit:,} requests and sent them")
            self._sent += 1
            now = time.monotonic()
            wait, self._next = max(0.0, self._next - now), max(now, self._next) + self._interval
            if customer := self._customer_of(method, path, sent):
                self._unanswered[customer] += 1
        if wait:
            self._sleep(wait)

    def after(self, exchange: Exchange) -> None:
        """Remember what the run created and removed. A response that cannot be read may mean a creation, too."""
        with self._lock:
            customer = self._customer_of(exchange.method, exchange.path, exchange.sent)
            if customer:
                self._unanswered[customer] -= 1
                if not 400 <= exchange.status < 500 or exchange.status in UNDECIDED:
                    self._customers.setdefault(customer)
            role, kind = exchange.role
            if role == "create" and kind != "customer" and exchange.status < 300:
                if path := self._path_of(exchange):
                    self.made[path] = kind
            elif exchange.method == "DELETE" and exchange.status in {200, 202, 204}:
                self.made.pop(exchange.path, None)

    def customers(self) -> list[str]:
        """Return the path of each customer that the run created, or may have created, or wrote below."""
        with self._lock:
            return list(self._customers | {path: None for path, count in self._unanswered.items() if count > 0})

    def _inside(self, method: str, path: str, sent: bytes) -> None:
        if self._prefix is None:
            raise OutOfBounds(f"a {method} was about to be sent, and nothing may be written")
        number = self._number(method, path, sent)
        if not isinstance(number, str) or not number.startswith(self._prefix):
            raise OutOfBounds(f"a {method} outside the prefix {self._prefix} was about to be sent")

    @staticmethod
    def _number(method: str, path: str, sent: bytes) -> Any:
        """Return the number of the customer that a write concerns, from the path, or else from the body."""
        match = CONTRACT.match(path)
        number: Any = match.parameters.get(CONTRACT.place("customer").parameter) if match else None
        if match is not None and number is None and method == "POST":
            body = _parsed(sent)
            return body.get(CONTRACT.keys["customer"]) if isinstance(body, dict) else None
        return number

    def _customer_of(self, method: str, path: str, sent: bytes) -> str:
        """Return the path of the customer that a write may create, or below which it may create something."""
        if method in READS or method == "DELETE":
            return ""
        number = self._number(method, path, sent)
        return f"{'/'.join(path.split('/')[:SEGMENTS])}/{_segment(number)}" if isinstance(number, str) else ""

    @staticmethod
    def _path_of(exchange: Exchange) -> str:
        """Return the path of a new resource; empty if the response does not tell.

        The id of a charge comes from the response, the number of a subscription from the request.
        """
        kind = exchange.role[1]
        said = _parsed(exchange.body if kind == "charge" else exchange.sent)
        number = said.get(CONTRACT.keys[kind]) if isinstance(said, dict) else None
        return f"{exchange.path}/{_segment(number)}" if isinstance(number, str | int) else ""


def _segment(number: object) -> str:
    return quote(str(number), safe="", errors="surrogatepass")


def _parsed(body: bytes) -> Any:
    try:
        return parse_strictly(body)
    except AssertionError:
        return None
