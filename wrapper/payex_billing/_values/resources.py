"""The kinds of resources in the contract and their paths, for code that reads paths and bodies without a model."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from .._contract import OPERATIONS
from .._schema import Kind, Operation

_NAMES = {"get_customer": "customer", "get_subscription": "subscription"}
# The names of the kinds of resources: in the problem types, and in text for people.
_WORDS = {"customer": "customer", "subscription": "subscription", "recurring-product": "charge"}


@attrs.frozen
class ResourceKind:
    """A kind of resource in the contract.

    Attributes:
        name: `customer`, `subscription` or `recurring-product`.
        words: the kinds of resources along the path to this kind, in words for people.
        list_: the operation that lists the resources of this kind; None if there is none.
        number: the property that identifies a resource among the resources of the same parent.
        uri: the property with the resource's own path.
        links: the properties with the paths of the resource's collections, and the last segments of those paths.
        changed: the properties that an update replaces; empty if an update keeps the properties that it omits.
    """

    name: str
    words: tuple[str, ...]
    list_: Operation | None
    number: str
    uri: str
    links: Mapping[str, str]
    changed: tuple[str, ...]


def _collections(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/")[2:] if not segment.startswith("{"))


def _kinds() -> dict[tuple[str, ...], ResourceKind]:
    """Return the kinds of resources by the collections in their paths."""
    found: dict[tuple[str, ...], ResourceKind] = {}
    read = {
        _collections(each.path): each for each in OPERATIONS.values() if each.method == "GET" and each.items is None
    }
    names = {place: _NAMES.get(each.name, "recurring-product") for place, each in read.items()}
    for place, each in read.items():
        shape = each.result or ()
        under = {path[-1] for path in read if path[:-1] == place}
        updates = (other for other in OPERATIONS.values() if other.path == each.path and other.method == "PUT")
        found[place] = ResourceKind(
            name=names[place],
            words=tuple(_WORDS[names[place[:end]]] for end in range(1, len(place) + 1)),
            list_=next((other for other in OPERATIONS.values() if other.items and _is_list(other, place)), None),
            number=next(known.wire for known in shape if known.kind is Kind.ID),
            uri=next((known.wire for known in shape if known.name == "uri"), "@id"),
            links={
                known.wire: segment
                for known in shape
                for segment in under
                if known.kind is Kind.LINK and segment.replace("-", "_") == known.name
            },
            changed=tuple(known.wire for other in updates for known in other.body or ()),
        )
    return found


def _is_list(operation: Operation, place: tuple[str, ...]) -> bool:
    return operation.method == "GET" and _collections(operation.path) == place


KINDS = _kinds()
