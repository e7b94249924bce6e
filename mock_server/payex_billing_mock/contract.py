"""Reads from the contract what the mock needs: the routes, the collections and the problem types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import yaml

from .operations import METHODS, Operation, json_content, success
from .problems import ProblemType, ProblemTypes, ProblemView
from .resources import Collection, assign_roles, collections_of, identify
from .schemas import ContractError, Node, inline, shape
from .views import Base, items_of

__all__ = ["Contract", "ContractError", "Route", "build_contract", "load_contract"]


class Route:
    """One path of the contract, with its operations by method.

    Args:
        base: the path of the API on its origin.
        path: the path in the contract.
        operations: the operations by HTTP method.

    Attributes:
        slashes: the numbers of slashes that a path of this route may have.
    """

    def __init__(self, base: str, path: str, operations: Mapping[str, Operation]) -> None:
        segments = path.removesuffix("/").split("/")
        self.path = path
        self.operations = operations
        self.order = [segment.startswith("{") for segment in segments]
        """Sorts a literal segment before a parameter."""
        self._parameters = list(enumerate(segment[1:-1] for segment in segments if segment.startswith("{")))
        pattern = "/".join("([^/]+)" if segment.startswith("{") else re.escape(segment) for segment in segments)
        ending = "/?" if path.endswith("/") else ""
        self._pattern = re.compile(f"{re.escape(base)}{pattern}{ending}".encode())
        fewest = base.count("/") + len(segments) - 1
        self.slashes = (fewest, fewest + 1) if ending else (fewest,)

    def match(self, path: bytes) -> dict[str, str] | None:
        """Return the decoded parameters of a whole path; None if the route does not fit the path."""
        found = self._pattern.fullmatch(path)
        if found is None:
            return None
        segments = found.groups()
        if b"%" in path:
            segments = tuple([unquote_to_bytes(segment) for segment in segments])
        # Bytes that are not UTF-8 become lone surrogates, which no schema accepts.
        return {name: segments[index].decode("utf-8", "surrogateescape") for index, name in self._parameters}


@dataclass(frozen=True)
class Contract:
    """What the mock reads from `openapi.yaml`.

    Attributes:
        document: the parsed contract, unchanged.
        base_path: the path of the API on its origin, such as `/billing/customer/v1`.
        root: the root of the collections.
        problems: the problem types.
        problem_view: the form of a problem response to a request that matches no operation.
        routes: the paths of the contract.
    """

    document: Mapping[str, Any]
    base_path: str
    root: Collection
    problems: ProblemTypes
    problem_view: ProblemView
    routes: Sequence[Route]

    @property
    def problem_types(self) -> Mapping[str, ProblemType]:
        """The problem types, by code."""
        return self.problems.by_code

    @cached_property
    def ledger_parameter(self) -> str | None:
        """The path parameter that names the ledger; None if no path names it."""
        return self.root.path.rpartition("/")[2][1:-1] or None

    @cached_property
    def _routes_by_slashes(self) -> Mapping[int, Sequence[Route]]:
        numbers = {number for route in self.routes for number in route.slashes}
        return {number: [route for route in self.routes if number in route.slashes] for number in numbers}

    def operations(self) -> Iterator[Operation]:
        """Yield every operation of the contract."""
        for route in self.routes:
            yield from route.operations.values()

    def match(self, raw_path: bytes) -> tuple[Route, Mapping[str, str]] | None:
        """Find the route of a path, and decode its parameters. Return None if no route fits.

        The mock splits the path before it decodes the segments, so that `%2F` is a `/` inside a parameter.

        Args:
            raw_path: the path as the client sent it, not decoded.
        """
        for route in self._routes_by_slashes.get(raw_path.count(b"/"), ()):
            parameters = route.match(raw_path)
            if parameters is not None:
                return route, parameters
        return None


def load_contract(path: str | Path | None = None) -> Contract:
    """Read a contract from a file; without a path, read the contract in this package.

    Raises:
        ContractError: the file cannot be read or is not an OpenAPI 3.1 document of this API's shape.
    """
    return _own_contract() if path is None else _read(Path(path), str(path))


@cache
def _own_contract() -> Contract:
    packaged = resources.files(__package__) / "openapi.yaml"
    # In a checkout the contract is not in the package folder but in the top folder, two levels higher.
    return _read(packaged if packaged.is_file() else Path(__file__).parents[2] / "openapi.yaml", "openapi.yaml")


def _read(source: Traversable, name: str) -> Contract:
    try:
        text = source.read_text(encoding="utf-8")
        # CSafeLoader is ten times as fast as SafeLoader, but not every installation of PyYAML has it.
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
        return build_contract(document)
    except (OSError, UnicodeDecodeError) as error:
        raise ContractError(f"cannot read the contract {name}: {error}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"{name} is not YAML: {error}") from error
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
    except (TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise ContractError(f"it is not OpenAPI: {error}") from error


def _build(document: Mapping[str, Any]) -> Contract:
    inlined = inline(document)
    paths: Mapping[str, Node] = inlined["paths"]
    base = _base(inlined["servers"][0])
    root, by_path = collections_of(paths)
    for path, item in paths.items():
        _describe(path, item, by_path[path])
    assign_roles(root)
    for collection in root:
        identify(collection)
    problems = ProblemTypes(inlined["x-problem-types"], list(root))
    security = inlined.get("security", ())
    routes = []
    for path, item in paths.items():
        methods = [method for method in METHODS if method in item]
        made = [Operation(path, item, method, by_path[path], base, security) for method in methods]
        routes.append(Route(base.path, path, {operation.method: operation for operation in made}))
    routes.sort(key=lambda route: route.order)
    views = [view for route in routes for each in route.operations.values() for view in each.problems.values() if view]
    if not views:
        raise ContractError("no response of the contract is a problem")
    return Contract(document, base.path, root, problems, views[0], routes)


def _base(server: Node) -> Base:
    url = server["url"]
    for variable, definition in server.get("variables", {}).items():
        url = url.replace("{" + variable + "}", definition["default"])
    parts = urlsplit(url)
    return Base(parts.path.rstrip("/"), f"{parts.scheme}://{parts.netloc}")


def _describe(path: str, item: Node, collection: Collection) -> None:
    """Add to a collection the properties that the operations of one path define."""
    is_item = path.rstrip("/").endswith("}")
    for method in METHODS:
        if method not in item or method == "delete":
            continue
        _, response = success(item[method], f"{method.upper()} {path}")
        _, schema = json_content(response)
        if schema is not None and method == "get" and not is_item:
            schema = items_of(schema)
        if schema is not None and (not collection.read.properties or (is_item and method == "get")):
            collection.read = shape(schema)
        if method == "post" and not is_item and "requestBody" in item[method]:
            _, body = json_content(item[method]["requestBody"])
            collection.create = shape(body or {})
