"""Routes of the contract by their shape: which paths are collections of which kind, and what an operation does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON, PROBLEM = "application/json", "application/problem+json"
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
Schema = Mapping[str, Any]


def snake(name: str) -> str:
    """A name of the wire in snake case: `unitPrice`, `UnitPrice` and `unit-price` are `unit_price`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()


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
        place: the collection that the operation is about; None for an operation of another shape.
        role: `create`, `list`, `read`, `update` or `delete`; empty for an operation of another shape.
        body: the schema of the request body, as the contract has it, with its `$ref`.
        responses: the resolved response of each status.
        headers: the header parameters that a request must have, resolved.
        takes_query: whether the contract has query parameters, such as those of paging.
    """

    operation_id: str
    method: str
    path: str
    responses: Mapping[int, Mapping[str, Any]] = field(repr=False)
    body: Schema | None = field(default=None, repr=False)
    headers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    takes_query: bool = False
    place: Place | None = None
    role: str = ""

    @property
    def successes(self) -> tuple[int, ...]:
        """The statuses of a success."""
        return tuple(sorted(status for status in self.responses if status < 300))

    @property
    def kind(self) -> str:
        """The kind of resource: `customer`, `subscription`, `charge`, or empty."""
        return self.place.kind if self.place else ""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path parameters, in their order."""
        return tuple(part[1:-1] for part in self.path.split("/") if is_parameter(part))

    @property
    def success_schema(self) -> Schema | None:
        """The schema of a success, with its `$ref`; None if a success has no body."""
        for status in self.successes:
            if JSON in self.responses[status].get("content", {}):
                return self.responses[status]["content"][JSON]["schema"]  # type: ignore[no-any-return]
        return None

    def codes(self, status: int) -> set[str]:
        """The problem types that the examples of a response show."""
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
        parents: how many numbers stand before it: 0 for customers, 2 for the charges of a subscription.
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
        """The segments below the ledger: of the collection, or with one number more of a resource."""
        template = self.item if len(numbers) > self.parents else self.path
        values = map(str, numbers)
        return tuple(next(values) if is_parameter(part) else part for part in template.split("/")[2:])


@dataclass(frozen=True)
class Match:
    """A path of the contract that fits a path of the wire.

    Attributes:
        operations: by HTTP method.
        parameters: the decoded path parameters; one that is not UTF-8 is left out.
    """

    path: str
    operations: Mapping[str, Operation]
    parameters: Mapping[str, str]


def is_parameter(segment: str) -> bool:
    """Whether a segment of a path template is a parameter."""
    return segment.startswith("{")


def role_of(method: str, item: Mapping[str, Any], *, is_item: bool) -> str:
    """What an operation of a collection, or of one resource, does."""
    if not is_item:
        return {"get": "list", "post": "create"}.get(method, "")
    update = next((each for each in ("patch", "put", "post") if each in item), "")
    return "update" if method == update else {"get": "read", "delete": "delete"}.get(method, "")


def find_places(paths: Mapping[str, Any]) -> Iterator[Place]:
    """Customers, their subscriptions, and the charges of both, by the shape of the paths alone."""
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
