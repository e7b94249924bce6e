"""Find out from the structure of the paths which path is a collection of which kind, and what an operation does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON, PROBLEM = "application/json", "application/problem+json"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
Schema = Mapping[str, Any]


def snake(name: str) -> str:
    """Convert a name of the contract to snake case: `unitPrice`, `UnitPrice` and `unit-price` become `unit_price`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


def plain(name: str) -> str:
    """Return a name without case and punctuation, so that `unitPrice`, `UnitPrice` and `UNIT_PRICE` are equal."""
    return "".join(filter(str.isalnum, name)).lower()


def singular(segment: str) -> str:
    """Return the name of one resource, by the segment of its collection."""
    return segment.removesuffix("s")


@dataclass(frozen=True)
class ProblemType:
    """A problem type: the last segment of `type`, with its status and title."""

    code: str
    status: int
    title: str


@dataclass(frozen=True)
class Operation:
    """One operation of the contract.

    Attributes:
        path: the path template.
        place: the collection that the operation acts on; None if the path is not a collection or one of its items.
        role: `create`, `list`, `read`, `update` or `delete`; empty if the operation does none of these.
        body: the schema of the request body, as written in the contract: a `$ref` is not resolved.
        responses: the resolved responses by status.
        headers: the resolved definitions of the header parameters that a request must have.
        takes_query: whether the operation has query parameters, such as those for paging.
        takes_key: whether a request may have an Idempotency-Key.
    """

    operation_id: str
    method: str
    path: str
    responses: Mapping[int, Mapping[str, Any]] = field(repr=False)
    body: Schema | None = field(default=None, repr=False)
    headers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    takes_query: bool = False
    takes_key: bool = False
    place: Place | None = None
    role: str = ""

    @property
    def successes(self) -> tuple[int, ...]:
        """The statuses that mean success."""
        return tuple(sorted(status for status in self.responses if status < 300))

    @property
    def kind(self) -> str:
        """The kind of resource: `customer`, `subscription`, `charge`, or empty."""
        return self.place.kind if self.place else ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path parameters, in the order of the path."""
        return tuple(part[1:-1] for part in self.path.split("/") if is_parameter(part))

    @property
    def success_schema(self) -> Schema | None:
        """The schema of a successful response, with its `$ref` not resolved. None if the response has no body."""
        for status in self.successes:
            if JSON in self.responses[status].get("content", {}):
                return self.responses[status]["content"][JSON]["schema"]  # type: ignore[no-any-return]
        return None

    def codes(self, status: int) -> set[str]:
        """Return the problem types in the examples of the response with this status."""
        content = self.responses.get(status, {}).get("content", {}).get(PROBLEM, {})
        return {
            str(value).rpartition("/")[2]
            for example in content.get("examples", {}).values()
            for name, value in example.get("value", {}).items()
            if snake(name) == "type"
        }


@dataclass(frozen=True)
class Place:
    """A collection of resources of one kind.

    Attributes:
        kind: `customer`, `subscription` or `charge`.
        parents: how many parent numbers the path contains: 0 for customers, 2 for the charges of a subscription.
        path: the path template of the collection.
        item: the path template of one resource.
    """

    kind: str
    parents: int
    path: str
    item: str

    @property
    def segment(self) -> str:
        """The last segment of the collection's path."""
        return self.path.rpartition("/")[2]

    @property
    def parameter(self) -> str:
        """The path parameter that names one resource."""
        return self.item.rpartition("/")[2][1:-1]

    def segments(self, *numbers: object) -> tuple[str, ...]:
        """Return the path segments below the ledger.

        `parents` numbers give the path of the collection. One number more gives the path of one resource.
        """
        template = self.item if len(numbers) > self.parents else self.path
        values = map(str, numbers)
        return tuple(next(values) if is_parameter(part) else part for part in template.split("/")[2:])


@dataclass(frozen=True)
class Match:
    """The path of the contract that matches the path of a request.

    Attributes:
        operations: the operations by HTTP method.
        parameters: the decoded path parameters, without those that are not UTF-8.
    """

    path: str
    operations: Mapping[str, Operation]
    parameters: Mapping[str, str]


def is_parameter(segment: str) -> bool:
    """Return whether a segment of a path template is a parameter."""
    return segment.startswith("{")


def role_of(method: str, item: Mapping[str, Any], *, is_item: bool) -> str:
    """Return the role of an operation on a collection or on one resource, such as `create`."""
    if not is_item:
        return {"get": "list", "post": "create"}.get(method, "")
    update = next((each for each in ("patch", "put", "post") if each in item), "")
    return "update" if method == update else {"get": "read", "delete": "delete"}.get(method, "")


def find_places(paths: Mapping[str, Any]) -> Iterator[Place]:
    """Find the collections of customers, subscriptions and charges from the structure of the paths alone."""
    items = {path.rpartition("/")[0]: path for path in paths if is_parameter(path.rpartition("/")[2])}
    collections = {path: item for path, item in items.items() if not is_parameter(path.rpartition("/")[2])}

    def below(collection: str) -> list[str]:
        return [path for path in collections if path.rpartition("/")[0] == collections[collection]]

    customers = next(path for path in collections if path.count("{") == 1 and below(path))
    subscriptions = next(path for path in below(customers) if below(path))
    shared = {path.rpartition("/")[2] for path in below(customers)} & {
        path.rpartition("/")[2] for path in below(subscriptions)
    }
    yield Place("customer", 0, customers, collections[customers])
    yield Place("subscription", 1, subscriptions, collections[subscriptions])
    for parents, parent in ((1, customers), (2, subscriptions)):
        charges = next(path for path in below(parent) if path.rpartition("/")[2] in shared)
        yield Place("charge", parents, charges, collections[charges])
