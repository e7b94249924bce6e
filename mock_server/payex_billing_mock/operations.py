"""Reads the operations of the contract: the action, the checks of the request, and the form of the responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs

from .paging import Paging
from .problems import ProblemView
from .resources import Collection
from .schemas import ContractError, JsonObject, Node, Schemas
from .validation import Failure, Parameter, failures
from .views import Base, ListView, ResourceView

METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
IDEMPOTENCY_KEY = "idempotency-key"


class Action(Enum):
    """What an operation does."""

    LIST = "list"
    CREATE = "create"
    READ = "read"
    MERGE = "merge"
    REPLACE = "replace"
    REMOVE = "remove"


_ACTIONS = {
    ("collection", "get"): Action.LIST,
    ("collection", "post"): Action.CREATE,
    ("item", "get"): Action.READ,
    ("item", "patch"): Action.MERGE,
    ("item", "put"): Action.REPLACE,
    ("item", "delete"): Action.REMOVE,
}
_USUAL = {Action.CREATE: 201, Action.REMOVE: 204}


@dataclass(frozen=True, slots=True)
class Body:
    """The request body of an operation.

    Attributes:
        validator: checks a body against the contract.
        media_types: the media types that a body may have.
        ignored: the properties that only the server sets. The mock ignores values from the client.
        examples: the example bodies in the contract.
        sample: a function that returns a body with the required properties only.
    """

    validator: jsonschema_rs.Validator
    media_types: Sequence[str]
    ignored: frozenset[str]
    examples: Sequence[JsonObject]
    sample: Callable[[], JsonObject]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the contract.

    Attributes:
        operation_id: the operation's id in the contract, which the mock does not use.
        method: the HTTP method.
        action: what the operation does.
        collection: the collection that the operation works on.
        parameters: the parameters of the operation and of its path.
        body: the request body; None if the operation has no request body.
        success: the status of a successful response.
        media_type: the media type of a successful response; None if that response has no body.
        view: makes the body of a successful response, which shows a resource or a list.
        headers: the headers that the contract requires in a successful response, with their values. The value of
            `Location` is None here, because it depends on the resource.
        problems: the form of the problem for each declared status; None for a status without a body.
        is_secured: whether the operation needs a token.
        paging: divides a list into pages.
    """

    operation_id: str
    method: str
    action: Action
    collection: Collection
    parameters: Sequence[Parameter]
    body: Body | None
    success: int
    media_type: str | None
    view: ResourceView | ListView | None
    headers: Mapping[str, str | None]
    problems: Mapping[str, ProblemView | None]
    is_secured: bool
    paging: Paging

    def declares(self, status: int) -> bool:
        """Return whether the operation declares a response for a status."""
        return not self.problems.keys().isdisjoint(_spellings(status))

    def problem_view(self, status: int) -> ProblemView | None:
        """Return the form of a problem for a declared status; None if that response has no body."""
        return next((self.problems[each] for each in _spellings(status) if each in self.problems), None)

    def check_path(self, values: Mapping[str, str]) -> list[Failure]:
        """Return the failures of the decoded path parameters."""
        return [
            failure
            for each in self.parameters
            if each.place == "path" and each.name in values
            for failure in each.failures(each.read(values[each.name]))
        ]

    def check_query_and_headers(self, query: bytes, headers: Mapping[str, str]) -> list[Failure]:
        """Return the failures of the query parameters and the headers."""
        found: list[Failure] = []
        texts = read_query(query)
        for each in self.parameters:
            text = texts.get(each.name) if each.place == "query" else headers.get(each.name.lower())
            if each.place not in {"query", "header"} or each.name.lower() in {
                "authorization",
                "accept",
                "content-type",
            }:
                continue
            if text is not None:
                found += each.failures(each.read(text))
            elif each.is_required:
                found.append(Failure(each.name, "is required"))
        return found

    def idempotency_key(self, headers: Mapping[str, str]) -> str | None:
        """Return the idempotency key of a request; None if the operation has no such header or the client sent none."""
        names = {each.name.lower() for each in self.parameters if each.place == "header"}
        return headers.get(IDEMPOTENCY_KEY) if IDEMPOTENCY_KEY in names else None

    def check_body(self, value: Any) -> list[Failure]:
        """Return the failures of a parsed request body."""
        return list(failures(self.body.validator, value)) if self.body is not None else []


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query. The values of a repeated parameter are joined by commas."""
    texts: dict[str, str] = {}
    for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else ():
        texts[name] = f"{texts[name]},{value}" if name in texts else value
    return texts


class OperationReader:
    """Reads the operations of a contract.

    Args:
        schemas: the schemas of the contract.
        base: the path and the origin that links begin with.
        problem_types: the full `type` texts of problems in the examples of the contract.
    """

    def __init__(self, schemas: Schemas, base: Base, problem_types: Sequence[str]) -> None:
        self._schemas, self._base, self._problem_types = schemas, base, problem_types

    def read(self, path: str, item: Node, method: str, collection: Collection) -> Operation:
        """Read one operation.

        Raises:
            ContractError: the mock cannot serve the operation.
        """
        definition = item[method]
        where = f"{method.upper()} {path}"
        is_item = path.rstrip("/").endswith("}")
        action = _ACTIONS.get(("item" if is_item else "collection", method))
        if action is None:
            raise ContractError(f"the mock has no action for {where}")
        success, response = self.success(definition, action, where)
        media_type, schema = self.content(response)
        view: ResourceView | ListView | None = None
        if action is Action.LIST:
            if schema is None:
                raise ContractError(f"{where} has no response with a list")
            view = ListView(self._schemas, self._base, collection, schema)
        elif schema is not None:
            view = ResourceView(self._schemas, self._base, collection, schema)
        parameters = self.parameters(item, definition)
        security = definition.get("security", self._schemas.document.get("security", ()))
        return Operation(
            operation_id=definition.get("operationId", where),
            method=method.upper(),
            action=action,
            collection=collection,
            parameters=parameters,
            body=self._body(definition, action, collection, where),
            success=success,
            media_type=media_type,
            view=view,
            headers=self._headers(response),
            problems=self._problems(definition),
            is_secured=any(security),
            paging=Paging(self._schemas, [each for each in parameters if each.place == "query"]),
        )

    def parameters(self, item: Node, definition: Node) -> list[Parameter]:
        """Return the parameters of an operation and its path. The operation's own parameters have priority."""
        found = [
            Parameter.of(self._schemas, self._schemas.resolve(each))
            for each in (*item.get("parameters", ()), *definition.get("parameters", ()))
        ]
        return list({(each.name, each.place): each for each in found}.values())

    def success(self, definition: Node, action: Action, where: str) -> tuple[int, Node]:
        """Return the status and the definition of the successful response."""
        for status, response in definition["responses"].items():
            if str(status).startswith("2"):
                number = int(status) if str(status).isdigit() else _USUAL.get(action, 200)
                return number, self._schemas.resolve(response)
        raise ContractError(f"{where} has no response for a success")

    def content(self, node: Node) -> tuple[str | None, Node | None]:
        """Return the JSON media type and the schema of a response or a request body; None twice without JSON."""
        for media_type, each in node.get("content", {}).items():
            if "json" in media_type and "*" not in media_type:
                return media_type, each.get("schema", {})
        return None, None

    def _body(self, definition: Node, action: Action, collection: Collection, where: str) -> Body | None:
        if "requestBody" not in definition:
            if action in {Action.CREATE, Action.MERGE, Action.REPLACE}:
                raise ContractError(f"{where} has no request body")
            return None
        node = self._schemas.resolve(definition["requestBody"])
        _, schema = self.content(node)
        if schema is None:
            raise ContractError(f"{where} takes no JSON")
        properties = self._schemas.shape(schema).properties
        read_only = {name for name, each in properties.items() if self._schemas.is_read_only(each)}
        ignored = (set(collection.read.properties) - properties.keys()) | read_only
        if collection.id_property and (action is not Action.CREATE or not collection.is_numbered_by_client):
            ignored.add(collection.id_property)
        return Body(
            validator=self._schemas.request_validator(schema),
            media_types=[each.lower() for each in node["content"] if "json" in each],
            ignored=frozenset(ignored),
            examples=[
                self._schemas.resolve(example)["value"]
                for each in node["content"].values()
                for example in each.get("examples", {}).values()
            ],
            sample=lambda: self._schemas.sample(schema, where),
        )

    def _headers(self, response: Node) -> dict[str, str | None]:
        found: dict[str, str | None] = {}
        for name, node in response.get("headers", {}).items():
            header = self._schemas.resolve(node)
            if name.lower() == "location":
                found[name] = None
            elif header.get("required"):
                found[name] = str(header.get("example") or self._schemas.sample(header.get("schema", {}), name))
        return found

    def _problems(self, definition: Node) -> dict[str, ProblemView | None]:
        return {
            str(status).upper(): self.problem(self._schemas.resolve(response))
            for status, response in definition["responses"].items()
            if not str(status).startswith("2")
        }

    def problem(self, response: Node) -> ProblemView | None:
        """Return the form of a problem in a response; None if the response has no body."""
        media_type, schema = self.content(response)
        return (
            None
            if media_type is None or schema is None
            else ProblemView(self._schemas, media_type, schema, self._problem_types)
        )


def _spellings(status: int) -> tuple[str, str, str]:
    return str(status), f"{status // 100}XX", "DEFAULT"
