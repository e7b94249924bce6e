"""Keep a real endpoint safe: write only under the agreed prefix, limit the rate, and remove what was created."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from .api import NotTried
from .exchange import CONTRACT, Exchange, parse_strictly

READS = {"GET", "HEAD", "OPTIONS"}


class OutOfBounds(NotTried):
    """A request was not sent, because it would have written outside the agreed prefix."""


class Guard:
    """Checks each request to a real endpoint before the transport sends it.

    Args:
        prefix: the beginning of every customer number that may be written to; None allows no writes.
        rate: the highest number of requests per second.
    """

    def __init__(self, prefix: str | None, rate: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._prefix = prefix
        self._interval = 1 / rate
        self._sleep = sleep
        self._next = 0.0
        self._lock = threading.Lock()
        self.made: dict[str, str] = {}  # the kind of resource by path, in the order of creation
        self.perhaps: dict[int, str] = {}  # creations whose response was lost

    def before(self, method: str, path: str, sent: bytes) -> None:
        """Check a request, and wait until the rate limit allows it.

        Raises:
            OutOfBounds: the request would write outside the prefix.
        """
        if method not in READS:
            self._inside(method, path, sent)
        with self._lock:
            now = time.monotonic()
            wait, self._next = max(0.0, self._next - now), max(now, self._next) + self._interval
            if method == "POST":
                self.perhaps[threading.get_ident()] = f"{path} {sent.decode('utf-8', 'replace')[:80]}"
        if wait:
            self._sleep(wait)

    def after(self, exchange: Exchange) -> None:
        """Remember which resources were created and removed."""
        with self._lock:
            if exchange.method == "POST":
                self.perhaps.pop(threading.get_ident(), None)
            if exchange.role[0] == "create" and exchange.status < 300:
                self.made[self._path_of(exchange)] = exchange.role[1]
            elif exchange.method == "DELETE" and exchange.status in {200, 202, 204}:
                self.made.pop(exchange.path, None)

    def clean_up(self, delete: Callable[[str], int]) -> list[str]:
        """Remove the created resources, newest first. `delete` returns a status. Return what is left, in words."""
        left = [f"perhaps {each}: its answer never came" for each in self.perhaps.values()]
        for path, what in reversed(list(self.made.items())):
            if what == "customer":
                left.append(f"{path}: the API removes no customers")
                continue
            try:
                status = delete(path)
            except Exception as error:  # after any error the other resources must still be removed
                left.append(f"{path}: {type(error).__name__}")
                continue
            if status not in {200, 202, 204, 404, 410}:
                left.append(f"{path}: DELETE was answered {status}")
            else:
                self.made.pop(path, None)
        return left

    def _inside(self, method: str, path: str, sent: bytes) -> None:
        if self._prefix is None:
            raise OutOfBounds(f"a {method} was about to be sent, and nothing may be written")
        match = CONTRACT.match(path)
        number: Any = match.parameters.get(CONTRACT.place("customer").parameter) if match else None
        if match is not None and number is None and method == "POST":
            number = self._number_in(sent)
        if not isinstance(number, str) or not number.startswith(self._prefix):
            raise OutOfBounds(f"a {method} outside the prefix {self._prefix} was about to be sent")

    @staticmethod
    def _number_in(sent: bytes) -> Any:
        try:
            body = parse_strictly(sent)
        except AssertionError:
            return None
        return body.get(CONTRACT.keys["customer"]) if isinstance(body, dict) else None

    @staticmethod
    def _path_of(exchange: Exchange) -> str:
        """Return the path of a new resource. Its number comes from the response, or else from the request."""
        said = exchange.object if exchange.is_json else {}
        try:
            asked = parse_strictly(exchange.sent)
        except AssertionError:
            asked = {}
        kind = exchange.role[1]
        number = said.get(CONTRACT.keys["charge"]) if kind == "charge" else asked.get(CONTRACT.keys[kind])
        return f"{exchange.path}/{quote(str(number), safe='')}"
