"""The language between the retry policy and the transports: one request, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

import attrs

from .._evidence import Phase

# Limits of every built-in transport.
MAX_RESPONSE_BYTES = 4 * 1024 * 1024  # after decoding; a page of 10,000 charges has about this size
MAX_HEADERS = 100
# An idle connection is kept for this many seconds: less than servers keep it, so that none is closed under a request.
KEEP_ALIVE = 5.0
# Seconds. Most servers respond sooner than that. If a second response follows a refusal, the refusal was stale.
LISTEN = 1.0


# What is made for every attempt is not frozen: attrs sets each field of a frozen class through `object.__setattr__`.
@attrs.define
class Request:
    """One request without the fields that HTTP/1.1 itself adds (Host, Content-Length, Accept-Encoding).

    Attributes:
        method: the HTTP method, in upper case.
        url: the absolute URL, percent-encoded. It may contain a customer number, so `repr` hides it.
        headers: the header fields, with Authorization, so `repr` hides them.
        body: the bytes to send; None when there is no body.
        alone: whether the transport must open a new connection for it. A new connection has no stale bytes.
        listen_after: statuses of a response that may be stale. After such a response the transport waits `LISTEN`
            seconds for more bytes and sets `Response.followed`, because the client retries the request if no byte
            comes. A transport that cannot see such bytes does not wait.
    """

    method: str
    url: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    alone: bool = False
    listen_after: frozenset[int] = frozenset()


@attrs.define
class Response:
    """A complete response.

    Attributes:
        status: the HTTP status.
        headers: the header fields, names in lower case; the first of a name counts.
        body: the body, decoded from its Content-Encoding.
        followed: whether bytes that belong to no request came right behind it. Then it may itself belong to another
            request. A transport that cannot tell leaves it False.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)
    followed: bool = False


@attrs.frozen
class Failure:
    """An attempt without a complete response.

    Attributes:
        phase: `NEVER_SENT` only if no byte of the request can have reached the server; otherwise `ANSWER_LOST`.
        reason: what went wrong, in fixed words. It must not repeat bytes that the server sent.
        certificate: whether a certificate was refused, the server's or ours. Then a retry does not help.
        timed_out: whether the deadline passed.
    """

    phase: Phase
    reason: str
    certificate: bool = False
    timed_out: bool = False


Reply: TypeAlias = Response | Failure
TOO_LARGE = Failure(Phase.ANSWER_LOST, f"the response is larger than {MAX_RESPONSE_BYTES:,} bytes")
TOO_MANY_HEADERS = Failure(Phase.ANSWER_LOST, f"the response has more than {MAX_HEADERS} headers")


class Transport(Protocol):
    """Sends one request at a time for `Billing`. Called from several threads at once.

    Pass your own as `Billing(transport=…)`.
    """

    def send(self, request: Request, deadline: float) -> Reply:
        """Send the request once, and return what came of it before `deadline`, a time of `time.monotonic()`.

        It must not retry, follow redirects, or raise for anything that a network or a server does.
        """
        ...

    def close_idle(self) -> None:
        """Close the connections that no request uses: a response may not belong to its request."""
        ...

    def close(self) -> None:
        """Close all connections."""
        ...


class AsyncTransport(Protocol):
    """Sends requests for the tasks of `AsyncBilling`, on one event loop.

    Pass your own as `AsyncBilling(transport=…)`.
    """

    async def send(self, request: Request, deadline: float) -> Reply:
        """Send the request once, and return what came of it before `deadline`, a time of `time.monotonic()`.

        It must not retry, follow redirects, or raise for anything that a network or a server does. When its task is
        cancelled it raises `asyncio.CancelledError`.
        """
        ...

    async def close_idle(self) -> None:
        """Close the connections that no request uses: a response may not belong to its request."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
