"""Read the contract for the suite: find routes, operations and names by their role, never by literal paths.

The suite judges the mock, so this module shares no code with the mock. The module relies on the structure of the API,
not on the names in its paths: a ledger has customers, a customer has subscriptions, and both have charges. A collection
is a path whose items have a path too. `POST` on a collection creates an item, `GET` lists the items, and so on. The
role of a property is the name in `x-sdk` beside the property. Without `x-sdk`, the role is the property's own name in
snake case: `unitPrice` has the role `unit_price`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import yaml

from .routes import (
    JSON,
    METHODS,
    PROBLEM,
    Match,
    Operation,
    Place,
    ProblemType,
    find_places,
    is_parameter,
    role_of,
    singular,
    snake,
)

# In the wheel, this package has another name, and the contract is beside the mock.
IS_INSTALLED = Path(__file__).parent.name == "payex_billing_contract"
FILE = Path(__file__).parent.parent / ("payex_billing_mock" if IS_INSTALLED else "") / "openapi.yaml"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times as fast as the Python loader
KINDS = ("customer", "subscription", "charge")
# The possible roles of the property that identifies a resource. The first role that the contract has is used.
_KEY_ROLES = {
    "customer": ("customer_no", "customer_number"),
    "subscription": ("subscription_no", "subscription_number"),
    "charge": ("charge_id", "recurring_product_id", "id"),
}
_SELF_ROLES = ("uri", "@id")


class ContractError(Exception):
    """The contract cannot be read, or is not a contract of this API. The message gives the reason."""


class Contract:
    """A contract as the suite uses it.

    Most mappings have the kind as their key: `customer`, `subscription` or `charge`.

    Attributes:
        operations: the operations by operation id.
        creations: the resolved schema of the body that creates a resource.
        resources: the resolved schema of a resource in a response to a read.
        change: the resolved schema of the body that changes a charge.
        keys: the property that identifies a resource: the number of a customer or subscription, the id of a charge.
        server_set: the properties that only the server can set: the id, links, `billedUntil`.
        links: the properties of a resource that lead to the collections below it.
        list_links: the links of each list by operation id: the names of the properties that lead to `self`, the link
            of the list to itself, and to `next`, the link to the next page. `self` is absent if it is not declared.
        not_found: the problem type of the response when a resource does not exist.
        duplicates: the status and problem type of the response when a new resource has a number that already exists.

    Raises:
        ContractError: the document is not a contract of this API.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        try:
            self.base_path = _base_path(document)
            self.places = {(place.kind, place.parents): place for place in find_places(document["paths"])}
            self.operations = {each.operation_id: each for each in self._operations()}
            self.problem_types = {
                code: ProblemType(code, definition["status"], definition["title"])
                for code, definition in document["x-problem-types"].items()
            }
            self._routes = sorted(self._compiled(), key=lambda route: route[0].count("{"))
            self.creations = {kind: self._body(self.operation("create", kind)) for kind in KINDS}
            self.change = self._body(self.operation("update", "charge"))
            self.resources = {kind: self._resource(kind) for kind in KINDS}
            self.keys = {kind: self._key(kind) for kind in KINDS}
            self._names = {kind: self._roles(kind) for kind in KINDS}
            self.links = {kind: self._links(kind) for kind in KINDS}
            lists = [each for each in self.operations.values() if each.role == "list"]
            self.list_links = {each.operation_id: self._list_links(each) for each in lists}
            self.server_set = {kind: self._server_set(kind) for kind in KINDS}
            self.not_found = {kind: self._not_found(kind) for kind in KINDS}
            self.duplicates = {kind: self._duplicate(kind) for kind in KINDS}
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, StopIteration) as error:
            raise ContractError(f"openapi.yaml is not a contract of this API: {error!r}") from error

    # references and routes

    def resolve(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Follow a `$ref` inside the contract. Keys beside the `$ref` replace the target's keys."""
        beside: dict[str, Any] = {}
        while "$ref" in node:
            beside = {key: value for key, value in node.items() if key != "$ref"} | beside
            target: Any = self.document
            for key in node["$ref"].removeprefix("#/").split("/"):
                target = target[key.replace("~1", "/").replace("~0", "~")]
            node = target
        return {**node, **beside}

    def match(self, raw_path: str) -> Match | None:
        """Find the route of a percent-encoded path. A `/` inside a number is encoded as `%2F`."""
        for path, pattern, operations in self._routes:
            found = pattern.fullmatch(raw_path)
            if found is None:
                continue
            names = [part[1:-1] for part in path.split("/") if is_parameter(part)]
            values: dict[str, str] = {}
            for name, segment in zip(names, found.groups(), strict=True):
                try:
                    values[name] = unquote_to_bytes(segment).decode("utf-8")
                except UnicodeDecodeError:
                    continue
            return Match(path, operations, values)
        return None

    # operations and problem types by role

    def place(self, kind: str, parents: int | None = None) -> Place:
        """Return the collection of a kind.

        For charges, `parents` is 1 for the charges of a customer, and 2 for the charges of a subscription.
        """
        if parents is None:
            parents = KINDS.index(kind) if kind != "charge" else 1
        return self.places[kind, parents]

    def operation(self, role: str, kind: str, parents: int | None = None) -> Operation | None:
        """Return the operation with a role, such as `create`, on a kind; None if the contract has none."""
        place = self.place(kind, parents)
        return next((each for each in self.operations.values() if (each.place, each.role) == (place, role)), None)

    def children(self, kind: str) -> list[Place]:
        """Return the collections directly below a resource of this kind."""
        return [
            place for place in self.places.values() if place.path.startswith(f"{self.place(kind).item}/{place.segment}")
        ]

    @cached_property
    def update_method(self) -> str:
        """The HTTP method that changes a charge, such as PATCH. Empty if the contract has no such operation."""
        update = self.operation("update", "charge")
        return update.method if update else ""

    # names by role

    def wire(self, role: str) -> str:
        """Return the JSON name of the property with a role, such as `unitPrice` for `unit_price`.

        Raises:
            ContractError: no property has the role.
        """
        for kind in reversed(KINDS):
            if role in self._names[kind]:
                return self._names[kind][role]
        raise ContractError(f"no property of openapi.yaml has the role {role}; add x-sdk: {{name: {role}}} beside it")

    def has(self, role: str, name: str) -> bool:
        """Return whether, in any kind of resource, the property with this JSON name has the role."""
        return any(names.get(role) == name for names in self._names.values())

    def list_name(self, operation: Operation | None) -> str | None:
        """Return the name of the property that holds the items of a list.

        Return None if the response of the operation is not a list, or is an array without an object around it.
        """
        schema: dict[str, Any] = (
            self.resolve(operation.success_schema or {}) if operation and operation.role == "list" else {}
        )
        arrays = [name for name, node in schema.get("properties", {}).items() if self._is_array(node)]
        return "items" if "items" in arrays else next(iter(arrays), None)

    @cached_property
    def self_link(self) -> str:
        """The JSON name of the link from a resource to itself, such as `@id`."""
        return next((names[role] for names in self._names.values() for role in _SELF_ROLES if role in names), "@id")

    @cached_property
    def problem_schema(self) -> Mapping[str, Any]:
        """The schema of a problem, as the first operation that declares a problem refers to it."""
        shown = (each for operation in self.operations.values() for each in operation.responses.values())
        content = (each.get("content", {}) for each in shown)
        return next((each[PROBLEM]["schema"] for each in content if PROBLEM in each), {})

    @cached_property
    def ingress_statuses(self) -> set[int]:
        """The statuses that the contract also has as a page, because an ingress may send them."""
        shown = [each for operation in self.operations.values() for each in operation.responses.items()]
        return {status for status, response in shown if {PROBLEM, "text/html"} <= set(response.get("content", {}))}

    @cached_property
    def problem_names(self) -> dict[str, str]:
        """The JSON names of a problem's properties by role. The role `type` may have the JSON name `Type`."""
        usual = ("type", "title", "status", "detail", "instance", "problems")
        return {snake(name): name for name in self.resolve(self.problem_schema).get("properties", usual)}

    def parameter_node(self, name: str) -> dict[str, Any]:
        """Return the resolved definition of the path parameter with this name."""
        for item in self.document["paths"].values():
            for node in _parameters(item):
                found = self.resolve(node)
                if found["in"] == "path" and found["name"] == name:
                    return found
        raise KeyError(name)

    @property
    def ledger_parameter(self) -> str:
        """The path parameter that names the ledger."""
        return self.place("customer").path.split("/")[1][1:-1]

    # helpers of the constructor

    def _list_links(self, operation: Operation) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for path in self._paths_of_links(operation.success_schema or {}):
            roles = [role for role in ("next", "prev") for name in path if snake(name).startswith(role)]
            found.setdefault(roles[0] if roles else "self", path)
        # A list may have a `next` link that the contract does not declare.
        return {"next": (*found.get("self", ("navigation", ""))[:-1], "next")} | found

    def _not_found(self, kind: str) -> str:
        read = self.operation("read", kind)
        own = _missing(read)
        for above in KINDS[: KINDS.index(kind)]:
            higher = self.operation("read", above)
            own = own - _missing(higher) if len(own) > 1 else own
        return own.pop() if len(own) == 1 else f"{singular(self.place(kind).segment)}-not-found"

    def _duplicate(self, kind: str) -> tuple[int, str]:
        create = self.operation("create", kind)
        shown = [(status, code) for status in create.responses for code in create.codes(status)] if create else []
        shown = [(status, code) for status, code in shown if status == 409 or "exist" in code]
        if shown:  # responses that operations share may show the code of another kind, too
            return next((each for each in shown if kind in each[1]), shown[0])
        if create and 409 in create.responses:
            return 409, f"{singular(self.place(kind).segment)}-already-exists"
        return self.problem_types["validation"].status, "validation"

    def _resource(self, kind: str) -> dict[str, Any]:
        shown = [self.operation(role, kind) for role in ("read", "create")]
        return next(self.resolve(each.success_schema) for each in shown if each and each.success_schema)

    def _key(self, kind: str) -> str:
        properties = self.resources[kind]["properties"]
        roles = {_role(name, node): name for name, node in properties.items()}
        place = self.place(kind)
        reference = self.parameter_node(place.parameter)["schema"].get("$ref")
        for name in (*(roles.get(role) for role in _KEY_ROLES[kind]), place.parameter):
            if name is not None and name in properties:
                return str(name)
        return next(str(name) for name, node in properties.items() if reference and node.get("$ref") == reference)

    def _server_set(self, kind: str) -> set[str]:
        sent = set(self.creations[kind]["properties"]) | set(self.change["properties"] if kind == "charge" else ())
        return set(self.resources[kind]["properties"]) - sent

    def _links(self, kind: str) -> dict[str, Place]:
        names = [
            name
            for name, node in self.resources[kind]["properties"].items()
            if self._is_link(node) and name != self.self_link
        ]
        children = self.children(kind)
        found = {name: each for name in names for each in children if snake(name) == snake(each.segment)}
        rest = [each for each in children if each not in found.values()]
        return found | dict(zip([name for name in names if name not in found], rest, strict=False))

    def _roles(self, kind: str) -> dict[str, str]:
        """Return the JSON names of the properties by role.

        If neither `x-sdk` nor the property's own name has a role, the role comes from the name of its schema.
        """
        schemas = [self.creations[kind], self.resources[kind], *([self.change] if kind == "charge" else [])]
        properties = [pair for schema in schemas for pair in schema.get("properties", {}).items()]
        named = {_role(name, node): name for name, node in properties} | {_KEY_ROLES[kind][0]: self.keys[kind]}
        for name, node in properties:
            for branch in node.get("anyOf", [node]):
                named.setdefault(snake(branch.get("$ref", "").rpartition("/")[2]).removeprefix("charge_"), name)
        return named

    def _body(self, operation: Operation | None) -> dict[str, Any]:
        return self.resolve(operation.body) if operation and operation.body else {"properties": {}}

    def _paths_of_links(self, schema: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the names that lead to each link of an object. Arrays are left out: their items have own links."""
        for branch in self._branches(schema):
            for name, node in branch.get("properties", {}).items():
                if self._is_link(node):
                    yield (*above, name)
                yield from self._paths_of_links(node, (*above, name))

    def _branches(self, node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield a resolved schema, and all schemas that it combines."""
        schema = self.resolve(node)
        yield schema
        for keyword in ("allOf", "anyOf", "oneOf"):
            for branch in schema.get(keyword, ()):
                yield from self._branches(branch)

    def _is_link(self, node: Mapping[str, Any]) -> bool:
        return any(branch.get("format") in {"uri", "uri-reference"} for branch in self._branches(node))

    def _is_array(self, node: Mapping[str, Any]) -> bool:
        return any(branch.get("type") == "array" for branch in self._branches(node))

    def _operations(self) -> Iterator[Operation]:
        at = {path: (place, path == place.item) for place in self.places.values() for path in (place.path, place.item)}
        for path, item in self.document["paths"].items():
            place, is_item = at.get(path, (None, False))
            for method in METHODS:
                if method in item:
                    role = role_of(method, item, is_item=is_item) if place else ""
                    yield self._operation(path, method, item, place if role else None, role)

    def _operation(self, path: str, method: str, item: Any, place: Place | None, role: str) -> Operation:
        definition = item[method]
        body = (
            self.resolve(definition["requestBody"])["content"][JSON]["schema"] if "requestBody" in definition else None
        )
        responses = {
            int(status): self._response(node) for status, node in definition["responses"].items() if status.isdigit()
        }
        parameters = [self.resolve(node) for node in [*item.get("parameters", []), *definition.get("parameters", [])]]
        headers = tuple(each for each in parameters if each["in"] == "header" and each.get("required"))
        takes_query = any(each["in"] == "query" for each in parameters)
        takes_key = any((each["in"], each["name"].lower()) == ("header", "idempotency-key") for each in parameters)
        more = (body, headers, takes_query, takes_key, place, role)
        return Operation(definition["operationId"], method.upper(), path, responses, *more)

    def _response(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Return a response with its examples and headers resolved."""
        response = self.resolve(node)
        content = {
            media_type: {
                **media,
                "examples": {name: self.resolve(each) for name, each in media.get("examples", {}).items()},
            }
            for media_type, media in response.get("content", {}).items()
        }
        headers = {name: self.resolve(header) for name, header in response.get("headers", {}).items()}
        return {**response, "content": content, "headers": headers}

    def _compiled(self) -> Iterator[tuple[str, re.Pattern[str], dict[str, Operation]]]:
        for path in self.document["paths"]:
            parts = ["([^/]+)" if is_parameter(part) else re.escape(part) for part in path.split("/")]
            operations = {each.method: each for each in self.operations.values() if each.path == path}
            yield path, re.compile(re.escape(self.base_path) + "/".join(parts)), operations


def load(file: Path = FILE) -> Contract:
    """Read a contract from its file.

    Raises:
        ContractError: the file cannot be read, or is not a contract of this API.
    """
    try:
        document: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"cannot read {file}: {error}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{file.name} is not YAML: {error}") from error
    return Contract(document)


def _missing(read: Operation | None) -> set[str]:
    """Return the problem types by which a read says that the resource, or one above it, does not exist."""
    return read.codes(404) | read.codes(410) if read else set()


def _role(name: str, node: Mapping[str, Any]) -> str:
    """Return the role of a property: its name in `x-sdk`, or else its own name in snake case."""
    return str((node.get("x-sdk") or {}).get("name") or snake(name))


def _parameters(item: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from item.get("parameters", ())
    for method in METHODS:
        yield from item.get(method, {}).get("parameters", ())


def _base_path(document: Mapping[str, Any]) -> str:
    server = document["servers"][0]
    url = server["url"]
    for variable, definition in server.get("variables", {}).items():
        url = url.replace("{" + variable + "}", definition["default"])
    return str(urlsplit(url).path).rstrip("/")
