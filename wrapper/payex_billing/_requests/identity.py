"""Does a response belong to its request? What was asked for is compared with what came back.

A connection that is out of step, a cache or a broken gateway can give one request the response of another. The contract
(`@id`) and the house style (each resource's `@id` is its own path) make that visible. Values that were not sent are not
compared: the server may show those of the master product.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from ..models import RecurringProduct
from .calls import Unreadable


def path_of(collection: str, number: str) -> str:
    """Return the path of a resource.

    Args:
        collection: the path of its collection under the API's prefix, percent-encoded.
        number: its number, or the id of a charge.
    """
    return f"{collection}/{number if number.isalnum() and number.isascii() else quote(number, safe='')}"


def check_path(collection: str, number: str, uri: str | None) -> None:
    """Check that the `@id` of a resource is its path in the collection. A resource without `@id` passes.

    Raises:
        Unreadable: its `@id` is another path.
    """
    if uri is None or uri.endswith(path := path_of(collection, number)):  # nearly always
        return
    expected = [unquote(segment) for segment in path.split("/")[1:]]
    if [unquote(segment) for segment in _path(uri).split("/")][-len(expected) :] != expected:
        raise foreign("the @id of another resource")


def check_list(collection: str, uri: str | None) -> None:
    """Check that a page of a list is one of the collection. A page that does not name its path is not judged.

    Only the numbers in the path count: nothing says how the path of a second page looks.

    Raises:
        Unreadable: it is a page of another list.
    """
    if uri is None:
        return
    segments = [unquote(segment) for segment in _path(uri).split("/")]
    own = [unquote(segment) for segment in collection.split("/")[1:]]
    for name, number in zip(own[1::2], own[2::2], strict=False):
        if name in segments and segments[segments.index(name) + 1 :][:1] != [number]:
            raise foreign("a list of another parent")
    if own[1] in segments and segments[: segments.index(own[1])][-1:] != [own[0]]:
        raise foreign("a list of another ledger")


def check_number(what: str, received: str, asked: str | None) -> None:
    """Check that a resource has the number that was asked for.

    Raises:
        Unreadable: it has another one.
    """
    if asked is not None and received != asked:
        raise foreign(f"another {what}")


def check_content(product: RecurringProduct, content: Mapping[str, Any]) -> None:
    """Check that a charge that was created has the values that were sent. A null may come back as the master's value.

    Raises:
        Unreadable: a value that was sent came back as another.
    """
    for name, sent in content.items():
        if sent is not None and sent != getattr(product, name):
            raise foreign(f"another {name}")


def foreign(what: str) -> Unreadable:
    """Return the error for a response to another request."""
    return Unreadable(f"the response is that of another request: it shows {what}", foreign=True)


def _path(uri: str) -> str:
    try:
        return urlsplit(uri).path
    except ValueError:
        raise Unreadable("an @id is not a URI") from None
