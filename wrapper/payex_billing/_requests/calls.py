"""A call of an operation: the request, and the function that reads a successful response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeAlias, TypeVar

import attrs

from .._transport import Response
from ..models import Charge

T = TypeVar("T")
PlainKey: TypeAlias = tuple[str, str | None, Charge | None]
"""The customer, the subscription and the charge of a creation. A `NaturalKey` is made of it if the response is lost."""
ParentKey: TypeAlias = tuple[str, str | None]
"""The customer and the subscription whose charges a list has; None for those at customer level."""


@attrs.define
class PreparedRequest:
    """A request of one operation. The client adds the origin, the credentials and the common headers.

    Attributes:
        operation: the contract's name of the operation.
        method: the HTTP method, in upper case.
        path: the path under the API's prefix, percent-encoded.
        template: the path with the names of its parameters, for logs, so that a log shows no id.
        headers: the header fields of the operation.
        body: the bytes to send.
        check: the path of a documented read that proves a refused token; None if `path` itself has a read.
        has_key: whether a header has an idempotency key, by which the server recognises a repeated request.
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
        """Whether the request creates a resource. The client must then find out whether the request took effect."""
        return self.method == "POST"

    @property
    def repeatable(self) -> bool:
        """Whether sending the request twice has the same effect as sending it once."""
        return self.method != "POST" or self.has_key


@attrs.define
class Call(Generic[T]):
    """A request, the function that reads its successful response, and the key of the resource that it creates.

    Attributes:
        request: the request.
        parse: reads a 2xx response; raises `Unreadable`.
        creates: the key of the resource that the request creates.
        known: for a charge, the ids of the existing charges, if the caller has read them.
        lists: the customer and the subscription whose charges the call lists.
    """

    request: PreparedRequest
    parse: Callable[[Response], T] = attrs.field(repr=False)  # its repr would show a customer number
    creates: PlainKey | None = attrs.field(default=None, repr=False)  # it has a customer number
    known: frozenset[str] | None = attrs.field(default=None, repr=False)
    lists: ParentKey | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Page(Generic[T]):
    """A page of a list. `next` is the link to the next page; None on the last page."""

    items: tuple[T, ...]
    next: str | None


class Unreadable(Exception):
    """A 2xx response does not match the contract.

    Attributes:
        reason: what is wrong, in words. The text repeats no value from the server.
        foreign: whether the response seems to belong to another request.
    """

    def __init__(self, reason: str, *, foreign: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.foreign = foreign
