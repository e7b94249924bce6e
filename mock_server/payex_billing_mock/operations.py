"""Reads the operations of the contract: the action, the checks of the request, and the form of the responses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl

import jsonschema_rs

from .problems import Failure, ProblemView
from .resources import Collection
from .schemas import ContractError, JsonObject, Node, is_read_only, request_validator, sample, shape, types, validator
from .views import Base, ListView, ResourceView

METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")
IDEMPOTENCY_KEY = "idempotency-key"
_PLACES = ("path", "query", "header")
_OWN_HEADERS = {"authorization", "accept", "content-type"}  # OpenAPI 3.1 ignores parameters of these names


class Action(Enum):
    """What an operation does, by its path and its method."""

    LIST = ("collection", "get")
    CREATE = ("collection", "post")
    READ = ("item", "get")
    MERGE = ("item", "patch")
    REPLACE = ("item", "put")
    REMOVE = ("item", "delete")


class Parameter:
    """A parameter of an operation.

    Args:
        definition: the parameter in the contract.

    Attributes:
        name: the name of the parameter.
        place: `path`, `query` or `header`.
        key: the name of the parameter in a request; in lower case for a header.
        is_required: whether a request must have the parameter.
        schema: the schema of the value.
    """

    def __init__(self, definition: Node) -> None:
        self.name: str = definition["name"]
        self.place: str = definition["in"]
        self.key = self.name.lower() if self.place == "header" else self.name
        self.is_required: bool = definition.get("required", False)
        if "schema" not in definition:
            raise ContractError(f"the parameter {self.name!r} has no schema")
        self.schema: Node = definition["schema"]
        self._validator = validator(self.schema)
        self._types = types(self.schema)
        self._is_text = self._types.isdisjoint({"integer", "number", "boolean"})

    def failures(self, text: str | None) -> list[Failure]:
        """Return the failures of a text that the client sent; None means that the client sent nothing."""
        if text is None:
            return [Failure(self.name, "is required")] if self.is_required else []
        try:
            value = text if self._is_text else _read(text, self._types)
            if self._validator.is_valid(value):  # a tenth of the time
                return []
            return list(failures(self._validator, value, self.name))
        except UnicodeEncodeError:
            return [Failure(self.name, "is not UTF-8")]


class Body:
    """The request body of an operation.

    Args:
        node: the request body in the contract.
        where: the operation, for messages.
        collection: the collection that the operation works on.
        action: what the operation does.

    Attributes:
        media_types: the media types that a body may have.
        ignored: the properties that only the server sets. The mock ignores values from the client.
    """

    def __init__(self, node: Node, where: str, collection: Collection, action: Action) -> None:
        media_type, schema = json_content(node)
        if media_type is None or schema is None:
            raise ContractError(f"{where} takes no JSON")
        content = node["content"][media_type]
        properties = shape(schema).properties
        self.media_types = [media_type.lower() for media_type in node["content"] if "json" in media_type]
        self.ignored = {name for name, each in properties.items() if is_read_only(each)}
        self.ignored |= collection.read.properties.keys() - properties.keys()
        if collection.id_property and (action is not Action.CREATE or not collection.is_numbered_by_client):
            self.ignored.add(collection.id_property)
        self._schema = schema
        self._examples = [each["value"] for each in content.get("examples", {}).values()]
        self._validator = request_validator(schema)

    def failures(self, value: Any) -> list[Failure]:
        """Return the failures of a parsed body."""
        found = list(failures(self._validator, value))
        return found or ([] if isinstance(value, dict) else [Failure("body", "must be an object")])

    def examples(self) -> list[JsonObject]:
        """Return the example bodies in the contract; without one, a body with the required properties only.

        Raises:
            ContractError: the mock finds no value for a property.
        """
        return self._examples or [sample(self._schema, "a request body")]


class Operation:
    """One operation of the contract.

    Args:
        path: the path in the contract.
        item: the node of the path in the contract.
        method: the HTTP method, in lower case.
        collection: the collection that the operation works on.
        base: the path and the origin that links begin with.
        security: the security requirements of an operation that has none of its own.

    Attributes:
        method: the HTTP method.
        collection: the collection that the operation works on.
        action: what the operation does.
        owners: the collections above that one, from the outermost, each with the path parameter that names its item.
        parameters: the parameters of the operation and of its path.
        body: the request body; None if the operation has no request body.
        success: the status of a successful response.
        media_type: the media type of a successful response; None if that response has no body.
        view: makes the body of a successful response, which shows a resource or a list.
        headers: the headers that the contract requires in a successful response, with their values. The value of
            `Location` is None here, because it depends on the resource.
        problems: the form of the problem for each declared status; None for a status without a body.
        is_secured: whether the operation needs a token.

    Raises:
        ContractError: the mock cannot serve the operation.
    """

    def __init__(
        self, path: str, item: Node, method: str, collection: Collection, base: Base, security: Sequence[Node]
    ) -> None:
        definition, where = item[method], f"{method.upper()} {path}"
        self.method = method.upper()
        self.collection = collection
        self.action = _action(path, method, where)
        self.owners = [(each, each.id_parameter or "") for each in collection.owners]
        self.parameters = _parameters(path, item, definition)
        self._has_idempotency_key = any(each.key == IDEMPOTENCY_KEY for each in self.parameters)
        self.body: Body | None = None
        if "requestBody" in definition:
            self.body = Body(definition["requestBody"], where, collection, self.action)
        elif self.action in {Action.CREATE, Action.MERGE, Action.REPLACE}:
            raise ContractError(f"{where} has no request body")
        self.success, response = success(definition, where)
        self.media_type, schema = json_content(response)
        self.view: ResourceView | ListView | None = None
        if self.action is Action.LIST:
            query = {each.name: each.schema for each in self.parameters if each.place == "query"}
            self.view = ListView(base, collection, schema or {}, query)
        elif schema is not None:
            self.view = ResourceView(base, collection, schema)
        self.headers = _headers(response)
        self.problems = {
            status.upper(): problem_view(each)
            for status, each in definition["responses"].items()
            if not status.startswith("2")
        }
        self.is_secured = any(definition.get("security", security))

    def declares(self, status: int) -> bool:
        """Return whether the operation declares a response for a status."""
        return not self.problems.keys().isdisjoint(_spellings(status))

    def problem_view(self, status: int) -> ProblemView | None:
        """Return the form of a problem for a declared status; None if that response has no body."""
        return next((self.problems[each] for each in _spellings(status) if each in self.problems), None)

    def failures(self, path: Mapping[str, str], query: bytes, headers: Mapping[str, str]) -> list[Failure]:
        """Return the failures of the decoded path parameters, the query parameters and the headers."""
        texts = {"path": path, "query": read_query(query), "header": headers}
        found: list[Failure] = []
        for each in self.parameters:
            found += each.failures(texts[each.place].get(each.key))
        return found

    def idempotency_key(self, headers: Mapping[str, str]) -> str | None:
        """Return the idempotency key of a request; None if the operation has no such header or the client sent none."""
        return headers.get(IDEMPOTENCY_KEY) if self._has_idempotency_key else None


def read_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def success(definition: Node, where: str) -> tuple[int, Node]:
    """Return the status and the definition of the successful response of an operation.

    Raises:
        ContractError: the operation has no such response.
    """
    for status, response in definition["responses"].items():
        if status.startswith("2"):
            return int(status.upper().replace("XX", "00")), response
    raise ContractError(f"{where} has no response for a success")


def json_content(node: Node) -> tuple[str | None, Node | None]:
    """Return the JSON media type and the schema of a response or a request body; None twice without JSON."""
    for media_type, content in node.get("content", {}).items():
        if "json" in media_type:
            return media_type, content.get("schema", {})
    return None, None


def problem_view(response: Node) -> ProblemView | None:
    """Return the form of a problem in a response; None if the response has no body."""
    media_type, schema = json_content(response)
    return None if media_type is None or schema is None else ProblemView(media_type, schema)


def failures(checker: jsonschema_rs.Validator, value: Any, name: str = "") -> Iterator[Failure]:
    """Yield the failures of a value. `name` is the name of the parameter, or empty for a request body."""
    for error in checker.iter_errors(value):
        path = [name] if name else []
        path += [str(step) for step in error.instance_path]
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            yield Failure(".".join([*path, error.kind.property]), "is required")
        else:
            yield Failure(".".join(path) or "body", _message(error))


def _message(error: jsonschema_rs.ValidationError) -> str:
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.AnyOf):
        reasons = [_message(reason) for branch in error.kind.context for reason in branch]
        return ", or ".join(dict.fromkeys(reasons))
    return error.message


def _read(text: str, kinds: frozenset[str]) -> Any:
    """Convert a text to a value. The value is a number or a boolean only if the schema has that type."""
    # JSON Schema has no largest integer. Python converts at most 4,300 digits.
    if kinds & {"integer", "number"} and re.fullmatch(r"-?(0|[1-9][0-9]{0,3999})", text):
        return int(text)
    if "number" in kinds:
        try:
            value = Decimal(text)
        except InvalidOperation:
            return text
        return value if value.is_finite() else text
    return text == "true" if "boolean" in kinds and text in {"true", "false"} else text


def _action(path: str, method: str, where: str) -> Action:
    kind = "item" if path.rstrip("/").endswith("}") else "collection"
    try:
        return Action((kind, method))
    except ValueError:
        raise ContractError(f"the mock has no action for {where}") from None


def _parameters(path: str, item: Node, definition: Node) -> list[Parameter]:
    """Return the parameters of an operation and its path. The operation's own parameters have priority."""
    nodes = {(each["name"], each["in"]): each for node in (item, definition) for each in node.get("parameters", ())}
    for segment in path.split("/"):
        if segment.startswith("{") and (segment[1:-1], "path") not in nodes:
            raise ContractError(f"{path} does not declare the parameter {segment[1:-1]!r}")
    return [
        Parameter(node)
        for (name, place), node in nodes.items()
        if place in _PLACES and not (place == "header" and name.lower() in _OWN_HEADERS)
    ]


def _headers(response: Node) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name, header in response.get("headers", {}).items():
        if name.lower() == "location":
            found[name] = None
        elif header.get("required"):
            found[name] = str(header.get("example") or sample(header.get("schema", {}), name))
    return found


def _spellings(status: int) -> tuple[str, str, str]:
    return str(status), f"{status // 100}XX", "DEFAULT"
