"""An operation of the contract, ready to be sent: the request, and how its success is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import attrs

from ._memory import PlainKey
from ._transport import Response

T = TypeVar("T")


@attrs.define
class PreparedRequest:
    """A request of one operation, without what belongs to the client: origin, credentials, common headers.

    Attributes:
        operation: the contract's name of the operation.
        method: the HTTP method, in upper case.
        path: the path under the API's prefix, percent-encoded.
        template: the path with its parameters unfilled, for logs: it shows no id.
        headers: the header fields of the operation.
        body: the bytes to send.
        check: the path of a documented read by which a refused token is proven; None if the path has one itself.
        has_key: whether a header has a key, by which the server recognises a repeated request.
    """

    operation: str
    method: str
    path: str = attrs.field(repr=False)
    template: str
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    body: bytes | None = attrs.field(default=None, repr=False)
    check: str | None = attrs.field(default=None, repr=False)
    has_key: bool = False

    @property
    def creates(self) -> bool:
        """Whether it creates something, so that it must be known whether it took effect."""
        return self.method == "POST"

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does the same as sending it once."""
        return self.method != "POST" or self.has_key


@attrs.define
class Call(Generic[T]):
    """A request, the function that reads its successful response, and the key of the resource that it creates.

    Attributes:
        request: the request.
        parse: reads a response of the 2xx kind; raises `Unreadable`.
        creates: the key of the resource that the request creates.
        known: for a charge, the ids of the existing charges, if the caller has read them.
    """

    request: PreparedRequest
    parse: Callable[[Response], T] = attrs.field(repr=False)  # it names a customer
    creates: PlainKey | None = attrs.field(default=None, repr=False)  # it names a customer
    known: frozenset[str] | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Page(Generic[T]):
    """A part of a list; `next` is the link to the rest, if there is more."""

    items: tuple[T, ...]
    next: str | None


class Unreadable(Exception):
    """A response of the 2xx kind that is not what the contract says.

    Attributes:
        reason: what is wrong, in words that repeat no value of the server's.
        foreign: whether it seems to belong to another request.
    """

    def __init__(self, reason: str, *, foreign: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.foreign = foreign
