"""The types of requests and responses that all modules of the mock share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

MAX_BODY_BYTES = 65_536
DRAINED_BYTES = 16 * MAX_BODY_BYTES
REQUEST_SECONDS = 30.0
"""The longest time for a client to send one request."""


@dataclass(slots=True)
class Request:
    """A request as the client sent it.

    Attributes:
        method: the HTTP method.
        raw_path: the path as sent, without the query.
        headers: the headers, names in lower case.
        body: the body; None when it has more than `MAX_BODY_BYTES`.
        peer: the IP address of the client; empty if there is no socket.
        query: the query as sent, without the question mark.
    """

    method: str
    raw_path: bytes
    headers: Mapping[str, str]
    body: bytes | None
    peer: str = ""
    query: bytes = b""


@dataclass(slots=True)
class Answer:
    """A response of the mock."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def of(cls, status: int, media_type: str | None, text: str, headers: Mapping[str, str] | None = None) -> Self:
        """Create a response, with the headers that describe its body.

        Args:
            status: the status.
            media_type: the media type of the body; None for a response without a body.
            text: the body.
            headers: more headers.
        """
        body = text.encode()
        own = {"Server": "payex-billing-mock"}
        if media_type is not None and status != 204:
            own["Content-Type"] = media_type
        if status != 204:
            own["Content-Length"] = str(len(body))
        if headers:
            own.update(headers)
        return cls(status, own, body)


@dataclass(frozen=True, slots=True)
class Events:
    """A response with server-sent events, which lasts until the client leaves or the mock stops.

    Attributes:
        headers: the headers, without the Content-Type.
        next: a function that returns the data of the next event, one line; None if there is nothing new.
    """

    headers: Mapping[str, str]
    next: Callable[[], str | None]


@dataclass(slots=True)  # made for every request, and a frozen one takes twice as long
class Handled:
    """A request that the mock has handled, for observers.

    Attributes:
        request: the request.
        answer: the response; None if the client got no complete response.
        seconds: how long the mock worked on the request.
        fault: the fault that the request met, in text form.
        took_effect: whether the mock carries out the request, before the response or later (fault `late-commit`).
    """

    request: Request
    answer: Answer | None
    seconds: float
    fault: str | None = None
    took_effect: bool = True
