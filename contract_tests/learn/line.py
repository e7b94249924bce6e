"""Sends the requests of `learn` inside the fence, repeats those that a gateway lost, and keeps all exchanges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from .fence import Fence, OutOfBounds

READS = {"GET", "HEAD", "OPTIONS"}
PASSING = {429, 502, 503, 504}
ATTEMPTS = 3
LONGEST_WAIT = 60.0
AFTER_A_FAILURE = 1.0
# Some servers show a write only later. What is not there yet, or not changed yet, is looked at again after these waits.
LATER = (1.0, 2.0)


class Undecided(Exception):
    """A response does not decide a question; the text gives the reason."""


@dataclass(frozen=True)
class Reply:
    """One exchange: what was sent, and what came back. The status is 0 if nothing came back."""

    method: str
    target: str
    sent: bytes
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded: a 2xx that is no problem in disguise."""
        return 200 <= self.status < 300 and not self._disguised

    @cached_property
    def document(self) -> Any:
        """The body as JSON, with exact numbers; None if it is empty or cannot be read."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def problem(self) -> dict[str, Any]:
        """The problem of a refusal, its keys in lower case; empty if the body is no problem."""
        if (self.status < 400 and not self._disguised) or not isinstance(self.document, dict):
            return {}
        found = {str(name).lower(): value for name, value in self.document.items()}
        return found if isinstance(found.get("type"), str) and "title" in found else {}

    @cached_property
    def _disguised(self) -> bool:
        document = self.document if isinstance(self.document, dict) else {}
        found = {str(name).lower(): value for name, value in document.items()}
        status = found.get("status")
        return {"type", "title"} <= found.keys() and isinstance(status, int) and status >= 400

    def shows(self, number: str) -> bool:
        """Return whether a response shows a resource by its number, in any case: a page for people does not."""
        values = self.document.values() if self.ok and isinstance(self.document, dict) else ()
        return any(isinstance(value, str) and value.lower() == number.lower() for value in values)

    @property
    def code(self) -> str:
        """The last segment of the problem type; empty if there is none."""
        return str(self.problem.get("type", "")).rstrip("/").rpartition("/")[2]

    @property
    def failed_names(self) -> list[str]:
        """The parameters that a problem names, without the path before the name."""
        listed = self.problem.get("problems")
        names = [name for each in listed if isinstance(each, dict) for name in each] if isinstance(listed, list) else []
        return [re.split(r"[./]", str(name))[-1] for name in names]

    @property
    def verdict(self) -> str:
        """The status of a refusal, with its problem type if the problem can be read."""
        return f"{self.status} {self.code}".strip()


Send = Callable[[str, str, Mapping[str, str], bytes], tuple[int, dict[str, str], bytes]]


class Line:
    """One ledger of one API.

    Args:
        transport: sends one request; with `break_off`, it can also go away before the response.
        base: the base path, such as `/billing/customer/v1`.
        sleep: waits; a test moves its own clock.
    """

    def __init__(
        self, transport: Send, base: str, ledger: str, token: str, fence: Fence, sleep: Callable[[float], None]
    ) -> None:
        self.transport, self.base, self.ledger, self._token = transport, base, ledger, token
        self.fence, self.sleep = fence, sleep
        self.exchanges: list[Reply] = []
        self.waited = 0.0
        self.is_late = False  # whether a write was shown only later

    def wait(self, seconds: float) -> None:
        """Wait, and count how long."""
        self.sleep(seconds)
        self.waited += seconds

    def target(self, *segments: object, query: str = "") -> str:
        """Return the path of a resource below the ledger, percent-encoded."""
        path = "/".join(quote(str(each), safe="") for each in ("customers", *segments))
        return f"{self.base}/{quote(self.ledger, safe='')}/{path}{'?' if query else ''}{query}"

    def send(
        self,
        method: str,
        target: str,
        document: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        any_status: bool = False,
    ) -> Reply:
        """Send a request, and again if a gateway lost it.

        Raises:
            Undecided: no response, or one that says nothing about the API, such as 429 or 500.
            OutOfBounds: the fence does not allow the request.
        """
        body = b"" if document is None else json.dumps(document, default=float).encode()
        sent = self._headers(bool(body)) | dict(headers or {})
        sent = {name: value for name, value in sent.items() if value}
        for attempt in range(ATTEMPTS):
            reply = self._once(method, target, sent, body)
            if reply.status not in PASSING and not (reply.status == 0 and method in READS):
                break
            if attempt + 1 < ATTEMPTS:
                self.wait(_wait(reply))
        if not any_status and (reply.status < 200 or reply.status in {401, 403, 407, 408, 429}):
            raise Undecided(f"{method} was answered {reply.status or 'not at all'}")
        if not any_status and (300 <= reply.status < 400 or (reply.status >= 500 and reply.status != 501)):
            raise Undecided(f"{method} was answered {reply.status}")
        return reply

    def look(self, target: str) -> Reply:
        """GET until it is refused, or the body can be read.

        Raises:
            Undecided: no body can be read.
        """
        for _ in range(ATTEMPTS):
            reply = self.send("GET", target)
            if not reply.ok or reply.document is not None:
                return reply
        raise Undecided("the body of a GET cannot be read")

    def read(self, target: str) -> Reply:
        """GET until the body can be read.

        Raises:
            Undecided: it is refused, or no body can be read.
        """
        reply = self.look(target)
        if not reply.ok:
            raise Undecided(f"GET was answered {reply.status}")
        return reply

    def soon(self, target: str) -> Reply:
        """Read what was just created, now or after a while.

        Raises:
            Undecided: it is refused, or no body can be read.
        """
        last: list[Reply] = []

        def look() -> bool:
            last[:] = [self.look(target)]
            return last[0].ok

        if not self.until(look):
            raise Undecided(f"GET was answered {last[0].status}")
        return last[0]

    def until(self, look: Callable[[], bool]) -> bool:
        """Look for an effect, and again after a while: some servers show it only later."""
        if self.is_late:
            self.wait(LATER[-1])
        for number, seconds in enumerate((*LATER, 0.0)):
            if look():
                self.is_late = self.is_late or number > 0
                return True
            self.wait(seconds)
        return False

    def break_off(self, target: str, document: Any) -> bool:
        """POST, and go away before the response. Return whether the transport can do this."""
        act = getattr(self.transport, "break_off", None)
        if act is None:
            return False
        body = json.dumps(document, default=float).encode()
        self.fence.check("POST", target, body)
        act("POST", target, self._headers(body=True), body)
        return True

    def inside(self, link: str) -> str:
        """Return a link of a response as a target; the fence judges it when it is sent.

        Raises:
            OutOfBounds: the link leads to another host.
        """
        parts = urlsplit(link)
        origin = getattr(self.transport, "origin", "")
        if parts.netloc and parts.netloc != urlsplit(origin).netloc:
            raise OutOfBounds("a link leads to another host")
        return f"{parts.path}{'?' if parts.query else ''}{parts.query}"

    def _headers(self, body: bool) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        return headers | ({"Content-Type": "application/json"} if body else {})

    def _once(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.fence.check(method, target, body)
        try:
            status, answered, content = self.transport(method, target, headers, body)
        except (httpx2.HTTPError, OSError):
            reply = Reply(method, target, body, 0)
        else:
            reply = Reply(method, target, body, status, answered, content)
        self.exchanges.append(reply)
        return reply


def _wait(reply: Reply) -> float:
    """Return how long to wait before the next attempt."""
    asked = reply.headers.get("retry-after", "")
    return min(LONGEST_WAIT, float(asked)) if asked.isdigit() else AFTER_A_FAILURE
