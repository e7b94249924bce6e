"""The contract as the mock needs it: its routes, its validators and its problem types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import jsonschema_rs
import yaml

REMEMBERED_PATHS = 10_000
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


class ContractError(Exception):
    """The contract cannot be read, or is not one that the mock can serve."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One parameter that breaks the contract: its path, such as `customerNo`, and what is wrong with it."""

    parameter: str
    message: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: what it is called, and what its request must be."""

    operation_id: str
    method: str
    success: int
    parameters: Mapping[str, jsonschema_rs.Validator]
    body: jsonschema_rs.Validator | None

    def check_parameters(self, values: Mapping[str, str]) -> list[Failure]:
        """Check the decoded path parameters."""
        return [failure for name, value in values.items() for failure in _failures(self.parameters[name], value, name)]

    def check_body(self, value: Any) -> list[Failure]:
        """Check a parsed request body."""
        if self.body is None:
            return []
        return list(_failures(self.body, value, ""))


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the contract: a segment is literal text, or the name of a parameter in braces."""

    segments: tuple[str, ...]
    operations: Mapping[str, Operation]

    @property
    def allow(self) -> str:
        """The value of the Allow header."""
        return ", ".join(sorted(self.operations))


@dataclass(frozen=True, slots=True)
class Match:
    """A route that fits a path, with its parameters decoded; `valid_for` names operations known to take them."""

    route: Route
    parameters: Mapping[str, str]
    undecodable: tuple[str, ...] = ()
    valid_for: set[str] = field(default_factory=set, compare=False)


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A problem type: the last segment of `type`, with its status and title."""

    code: str
    status: int
    title: str


@dataclass(frozen=True)
class Contract:
    """What the mock reads from `openapi.yaml`."""

    document: Mapping[str, Any]
    prefix: tuple[str, ...]
    problem_types: Mapping[str, ProblemType]
    _routes: Mapping[int, list[Route]] = field(repr=False)
    _matches: dict[bytes, Match | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def base_path(self) -> str:
        """The path of the API on its origin, such as `/billing/customer/v1`."""
        return "/" + "/".join(self.prefix)

    def match(self, raw_path: bytes) -> Match | None:
        """Find the route of a path as it came over the wire. What was asked lately is not looked for again.

        The path is split before it is decoded, so that a `/` inside a parameter travels as `%2F`.
        """
        try:
            return self._matches[raw_path]
        except KeyError:
            if len(self._matches) >= REMEMBERED_PATHS:
                self._matches.clear()
            return self._matches.setdefault(raw_path, self._match(raw_path))

    def _match(self, raw_path: bytes) -> Match | None:
        segments = raw_path.split(b"/")
        if not segments or segments[0]:
            return None
        del segments[0]
        prefix, rest = segments[: len(self.prefix)], segments[len(self.prefix) :]
        if [segment.decode("latin-1") for segment in prefix] != list(self.prefix):
            return None
        for route in self._routes.get(len(rest), ()):
            values: dict[str, str] = {}
            undecodable: list[str] = []
            for pattern, segment in zip(route.segments, rest, strict=True):
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
    """Read a contract; without a path, the one this package was made for.

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
    # In a checkout the contract is not inside the package but at the top: two folders up.
    source = packaged if packaged.is_file() else Path(__file__).parents[2] / "openapi.yaml"
    return _read(source.read_text(encoding="utf-8"), "openapi.yaml")


def _read(text: str, name: str) -> Contract:
    try:
        # The compiled loader of the same library reads the file ten times as fast, where there is one.
        document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        raise ContractError(f"{name} is not YAML: {error}") from error
    try:
        return _build(document)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise ContractError(f"{name} is not a contract the mock can serve: {error!r}") from error


def _build(document: dict[str, Any]) -> Contract:
    server = document["servers"][0]
    url = server["url"]
    for variable, definition in server.get("variables", {}).items():
        url = url.replace("{" + variable + "}", definition["default"])
    prefix = tuple(segment for segment in urlsplit(url).path.split("/") if segment)
    routes: dict[int, list[Route]] = {}
    for path, item in document["paths"].items():
        segments = tuple(path.removeprefix("/").split("/"))
        operations = {method.upper(): _operation(document, method, item) for method in METHODS if method in item}
        routes.setdefault(len(segments), []).append(Route(segments, operations))
    for same_length in routes.values():  # literal segments win over parameters
        same_length.sort(key=lambda route: [segment.startswith("{") for segment in route.segments])
    problem_types = {
        code: ProblemType(code, definition["status"], definition["title"])
        for code, definition in document["x-problem-types"].items()
    }
    return Contract(document, prefix, problem_types, routes)


def _operation(document: dict[str, Any], method: str, item: dict[str, Any]) -> Operation:
    definition = item[method]
    parameters = [resolve(document, each) for each in item.get("parameters", []) + definition.get("parameters", [])]
    body = None
    if "requestBody" in definition:
        content = resolve(document, definition["requestBody"])["content"]
        body = _validator(document, content["application/json"]["schema"])
    return Operation(
        operation_id=definition["operationId"],
        method=method.upper(),
        success=next(int(status) for status in definition["responses"] if status.startswith("2")),
        parameters={each["name"]: _validator(document, each["schema"]) for each in parameters},
        body=body,
    )


def resolve(document: Mapping[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the contract."""
    while "$ref" in node:
        target: Any = document
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(
        {**schema, "components": {"schemas": document["components"]["schemas"]}}, validate_formats=True
    )


def _failures(validator: jsonschema_rs.Validator, value: Any, name: str) -> Iterator[Failure]:
    for error in validator.iter_errors(value):
        path = [name] if name else []
        path += [str(step) for step in error.instance_path]
        kind = error.kind
        if isinstance(kind, jsonschema_rs.ValidationErrorKind.Required):
            yield Failure(".".join([*path, kind.property]), "is required")
        else:
            yield Failure(".".join(path) or "body", _message(error))


def _message(error: Any) -> str:
    """Say what the rule is, without repeating the value: it may be personal data."""
    kinds = jsonschema_rs.ValidationErrorKind
    kind = error.kind
    match kind:
        case kinds.Type():
            return f"must be of type {', '.join(kind.types)}"
        case kinds.MinLength():
            return f"must have at least {kind.limit} characters"
        case kinds.MaxLength():
            return f"must have at most {kind.limit} characters"
        case kinds.Minimum():
            return f"must be at least {kind.limit}"
        case kinds.Maximum():
            return f"must be at most {kind.limit}"
        case kinds.MultipleOf():
            return f"must be a multiple of {Decimal(repr(kind.multiple_of)):f}"
        case kinds.Pattern():
            return f"must match {kind.pattern}"
        case kinds.Format():
            return f"must be a {kind.format}"
        case kinds.Not():
            return "is not allowed"
        case kinds.AnyOf():
            branch_errors = [_message(each) for branch in kind.context for each in branch]
            return " or ".join(dict.fromkeys(branch_errors))
        case _:
            return f"breaks the rule {kind.name}"
