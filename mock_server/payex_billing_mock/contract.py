"""Reads from the contract what the mock needs: the routes, the collections and the problem types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import yaml
from jsonschema_rs import ReferencingError

from .names import words
from .operations import METHODS, Action, Operation, OperationReader
from .problems import ProblemType, ProblemTypes, ProblemView
from .resources import Collection, assign_roles, collections_of, identify
from .schemas import ContractError, Node, Schemas, resolve
from .views import Base, items_of

__all__ = ["Contract", "ContractError", "Match", "Route", "build_contract", "load_contract", "resolve"]


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the contract. Each segment is literal text, or the name of a parameter in braces."""

    segments: tuple[str, ...]
    operations: Mapping[str, Operation]

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        return ", ".join(sorted(self.operations))


@dataclass(frozen=True, slots=True)
class Match:
    """A route that fits a path, with its parameters decoded."""

    route: Route
    parameters: Mapping[str, str]
    undecodable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What the mock reads from `openapi.yaml`.

    Attributes:
        document: the parsed contract, unchanged.
        base_path: the path of the API on its origin, such as `/billing/customer/v1`.
        root: the root of the collections.
        problems: the problem types.
        problem_view: the form of a problem response to a request that matches no operation.
        ledger_parameter: the path parameter that names the ledger; None if no path names it.
    """

    document: Mapping[str, Any]
    base_path: str
    root: Collection
    problems: ProblemTypes
    problem_view: ProblemView
    ledger_parameter: str | None
    _routes: Mapping[int, list[Route]] = field(repr=False)

    @property
    def problem_types(self) -> Mapping[str, ProblemType]:
        """The problem types, by code."""
        return self.problems.by_code

    def operations(self) -> Iterator[Operation]:
        """Yield every operation of the contract."""
        for routes in self._routes.values():
            for route in routes:
                yield from route.operations.values()

    def match(self, raw_path: bytes) -> Match | None:
        """Find the route of a path, and decode its parameters. Return None if no route fits.

        The mock splits the path before it decodes the segments, so that `%2F` is a `/` inside a parameter.

        Args:
            raw_path: the path as the client sent it, not decoded.
        """
        prefix = self.base_path.encode() + b"/"
        if not raw_path.startswith(prefix):
            return None
        segments = raw_path.removeprefix(prefix).split(b"/")
        for route in self._routes.get(len(segments), ()):
            values: dict[str, str] = {}
            undecodable: list[str] = []
            for pattern, segment in zip(route.segments, segments, strict=True):
                if not pattern.startswith("{"):
                    if pattern.encode() != segment:
                        break
                elif not segment:
                    break
                else:
                    name = pattern[1:-1]
                    try:
                        values[name] = unquote_to_bytes(segment).decode("utf-8")
                    except UnicodeDecodeError:
                        undecodable.append(name)
            else:
                return Match(route, values, tuple(undecodable))
        return None


def load_contract(path: str | Path | None = None) -> Contract:
    """Read a contract from a file; without a path, read the contract in this package.

    Raises:
        ContractError: the file cannot be read or is not an OpenAPI 3.1 document of this API's shape.
    """
    if path is None:
        return _own_contract()
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"cannot read the contract {path}: {error}") from error
    return _read(text, str(path))


@cache
def _own_contract() -> Contract:
    packaged = resources.files(__package__) / "openapi.yaml"
    # In a checkout the contract is not in the package folder but in the top folder, two levels higher.
    source = packaged if packaged.is_file() else Path(__file__).parents[2] / "openapi.yaml"
    return _read(source.read_text(encoding="utf-8"), "openapi.yaml")


def _read(text: str, name: str) -> Contract:
    try:
        # CSafeLoader is ten times as fast as SafeLoader, but not every installation of PyYAML has it.
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        raise ContractError(f"{name} is not YAML: {error}") from error
    try:
        return build_contract(document)
    except ContractError as error:
        raise ContractError(f"{name} is not a contract the mock can serve: {error}") from error


def build_contract(document: Mapping[str, Any]) -> Contract:
    """Build a contract from a parsed document.

    Raises:
        ContractError: the mock cannot serve the contract.
    """
    try:
        return _build(document)
    except KeyError as error:
        raise ContractError(f"it has no {error}") from error
    except (TypeError, AttributeError, IndexError, ValueError, RecursionError, ReferencingError) as error:
        raise ContractError(f"it is not OpenAPI: {error}") from error


def _build(document: Mapping[str, Any]) -> Contract:
    schemas = Schemas(document)
    base = _base(document["servers"][0])
    paths: Mapping[str, Node] = document["paths"]
    for path in paths:
        for segment in path.split("/"):
            if "{" in segment and not (segment.startswith("{") and segment.endswith("}")):
                raise ContractError(f"a segment of {path} is neither a word nor one parameter")
    root, by_path = collections_of(paths)
    reader = OperationReader(schemas, base, _shown_types(document))
    for path, collection in by_path.items():
        _describe(schemas, reader, path, paths[path], collection)
    links = _links(document)
    assign_roles(root)
    for collection in root:
        identify(schemas, collection, _id_schema(schemas, paths, collection), links)
    problems = ProblemTypes(document["x-problem-types"], list(root))
    routes: dict[int, list[Route]] = {}
    for path, item in paths.items():
        segments = tuple(path.removeprefix("/").split("/"))
        operations = {
            method.upper(): reader.read(path, item, method, by_path[path]) for method in METHODS if method in item
        }
        for accepted in {segments, segments[:-1] if not segments[-1] else segments}:  # also without last slash
            routes.setdefault(len(accepted), []).append(Route(accepted, operations))
    for same_length in routes.values():  # a literal segment has priority over a parameter
        same_length.sort(key=lambda route: [segment.startswith("{") for segment in route.segments])
    views = [view for each in _operations(routes) for view in each.problems.values() if view is not None]
    if not views:
        raise ContractError("no response of the contract is a problem")
    ledger = root.path.rpartition("/")[2][1:-1] or None
    return Contract(document, base.path, root, problems, views[0], ledger, routes)


def _operations(routes: Mapping[int, list[Route]]) -> Iterator[Operation]:
    for same_length in routes.values():
        for route in same_length:
            yield from route.operations.values()


def _base(server: Node) -> Base:
    url = server["url"]
    for variable, definition in server.get("variables", {}).items():
        url = url.replace("{" + variable + "}", definition["default"])
    parts = urlsplit(url)
    return Base(
        "".join(f"/{segment}" for segment in parts.path.split("/") if segment), f"{parts.scheme}://{parts.netloc}"
    )


def _describe(schemas: Schemas, reader: OperationReader, path: str, item: Node, collection: Collection) -> None:
    """Add to a collection the properties and schema names that the operations of one path define."""
    is_item = path.rstrip("/").endswith("}")
    for method in METHODS:
        if method not in item:
            continue
        definition = item[method]
        _, response = reader.success(definition, Action.READ, f"{method.upper()} {path}")
        _, schema = reader.content(response)
        if schema is not None and not is_item and method == "get":
            schema = items_of(schemas, schema)
        if schema is not None and method != "delete":
            if not collection.read.properties or (is_item and method == "get"):
                collection.read = schemas.shape(schema)
            collection.titles += ["-".join(words(each.rpartition("/")[2])) for each in [schema.get("$ref")] if each]
        if method == "post" and not is_item and "requestBody" in definition:
            collection.can_create = True
            _, body = reader.content(schemas.resolve(definition["requestBody"]))
            if body is not None:
                collection.create = schemas.shape(body)


def _id_schema(schemas: Schemas, paths: Mapping[str, Node], collection: Collection) -> Node | None:
    """Return the schema of the path parameter that identifies an item; None if no path has it.

    Raises:
        ContractError: a path uses the parameter but does not declare it.
    """
    template = f"{collection.path}/{{{collection.id_parameter}}}"
    for path, item in paths.items():
        if path == template or path.startswith(f"{template}/"):
            operations = [item[method].get("parameters", ()) for method in METHODS if method in item]
            for node in (*item.get("parameters", ()), *(each for own in operations for each in own)):
                parameter = schemas.resolve(node)
                if parameter["name"] == collection.id_parameter and parameter["in"] == "path":
                    found: Node = parameter["schema"]
                    return found
            raise ContractError(f"{path} does not declare the parameter {collection.id_parameter!r}")
    return None


def _links(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the response property that fills each path parameter, from the OpenAPI links of the contract."""
    found: dict[str, str] = {}
    for link in document.get("components", {}).get("links", {}).values():
        for name, expression in link.get("parameters", {}).items():
            if isinstance(expression, str) and expression.startswith("$response.body#/"):
                found.setdefault(name, expression.rpartition("/")[2])
    return found


def _shown_types(document: Mapping[str, Any]) -> list[str]:
    """Return the full `type` texts of problems in the examples of the contract."""
    found: list[str] = []

    def look(node: Any) -> None:
        if isinstance(node, Mapping):
            found.extend(
                value
                for key, value in node.items()
                if words(str(key)) == ["type"] and isinstance(value, str) and value.rpartition("/")[2] in codes
            )
        for each in node.values() if isinstance(node, Mapping) else node if isinstance(node, list) else ():
            look(each)

    codes = document["x-problem-types"].keys()
    look(document.get("components", {}).get("examples", {}))
    look(document.get("components", {}).get("responses", {}))
    return found
