"""The fence of `learn`: no request leaves the ledger, the prefix, or the announced number of requests and customers."""

from __future__ import annotations

import json
from collections.abc import Collection
from urllib.parse import unquote

MOST_REQUESTS = 150
MOST_CUSTOMERS = 2


class OutOfBounds(Exception):
    """A request was not sent, because it would have left the fence."""


class Spent(OutOfBounds):
    """A request was not sent, because the run has sent as many requests as it announced."""


class Fence:
    """Judges each request before it is sent. Reads have the same limits as writes.

    Args:
        bases: the base paths that may be tried, such as `/billing/customer/v1`.
        ledger: the only ledger.
        prefix: what every customer number begins with.
        may_write: whether anything but GET, HEAD and OPTIONS may be sent.
        name: the property that holds the number of a new customer.
        reserve: how many of the requests are kept for the clean-up.
    """

    def __init__(
        self, bases: Collection[str], ledger: str, prefix: str, *, may_write: bool = True,
        name: str = "customerNo", most: int = MOST_REQUESTS, reserve: int = 0,
    ) -> None:  # fmt: skip
        self._roots = [f"{base}/{ledger}/customers" for base in bases]
        self._prefix, self._may_write, self._name = prefix, may_write, name
        self.most, self.reserve = most, reserve
        self.sent = 0
        self.customers: set[str] = set()

    @property
    def left(self) -> int:
        """How many requests may still be sent, without those kept for the clean-up."""
        return self.most - self.reserve - self.sent

    def check(self, method: str, target: str, body: bytes) -> None:
        """Count a request that is about to be sent.

        Raises:
            OutOfBounds: the request must not be sent.
        """
        if self.left <= 0:
            raise Spent(f"at most {self.most} requests may be sent")
        if method not in {"GET", "HEAD", "OPTIONS"} and not self._may_write:
            raise OutOfBounds(f"a {method} was about to be sent, and nothing may be written")
        number = self._number(method, target.partition("?")[0], body)
        if not number.startswith(self._prefix):
            raise OutOfBounds(f"a {method} outside the prefix {self._prefix} was about to be sent")
        if method == "POST" and target in self._roots:
            if len(self.customers | {number}) > MOST_CUSTOMERS:
                raise OutOfBounds(f"at most {MOST_CUSTOMERS} customers may be created")
            self.customers.add(number)
        self.sent += 1

    def refused(self, number: str) -> None:
        """Forget a customer whose creation the server refused."""
        self.customers.discard(number)

    def _number(self, method: str, path: str, body: bytes) -> str:
        """Return the customer number that a request concerns."""
        root = next((each for each in self._roots if path == each or path.startswith(f"{each}/")), None)
        segments = [unquote(each) for each in path[len(root) + 1 :].split("/")] if root else [""]
        if root is None or {".", "..", ""} & set(segments[1:] if path == root else segments):
            raise OutOfBounds(f"a {method} outside the ledger's customers was about to be sent")
        if path != root:
            return segments[0]
        document = json.loads(body) if method == "POST" else {}
        number = document.get(self._name)
        others = [value for name, value in document.items() if "customer" in name.lower()]
        if not isinstance(number, str) or any(value != number for value in others):
            raise OutOfBounds(f"a {method} without one customer number was about to be sent")
        return number
