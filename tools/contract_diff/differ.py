"""How two descriptions of the API differ: ours, and another such as the vendor's own when it comes.

Reads Swagger 2.0 and OpenAPI 3.x, as plain documents; pure, nothing is printed here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# A limit, and whether a greater value takes more.
LIMITS = {"maxLength": True, "minLength": False, "maximum": True, "minimum": False, "maxItems": True, "minItems": False}
RULES = (*LIMITS, "pattern", "multipleOf", "enum", "format")


class NotADescription(ValueError):
    """The document is neither Swagger 2.0 nor OpenAPI 3.x; the text says why."""


@dataclass(frozen=True, order=True)
class Difference:
    """One difference.

    Attributes:
        where: the operation, such as `POST /{ownerNo}/customers`.
        kind: `added`, `removed` or `changed`, seen from our contract.
        what: `operation`, `parameter`, `request`, `status`, `answer`.
        name: of the parameter, property or status.
        detail: in words, what it is in each.
        breaks: whether a caller built on our contract breaks.
        provenance: how well ours is known: `documented`, `sibling`, `inferred`, or `-` if it is not in ours.
    """

    where: str
    what: str
    kind: str
    name: str
    detail: str
    breaks: bool
    provenance: str


@dataclass
class _Value:
    """A property, parameter or body, without the ways of writing it."""

    type: str
    required: bool
    nullable: bool
    rules: Mapping[str, Any]
    provenance: str

    def __str__(self) -> str:
        rules = ", ".join(f"{name} {value}" for name, value in self.rules.items())
        return f"{self.type}{' or null' if self.nullable else ''}" + (f" ({rules})" if rules else "")


@dataclass
class _Operation:
    """An operation, flattened."""

    where: str
    provenance: str
    parameters: dict[str, _Value] = field(default_factory=dict)
    request: dict[str, _Value] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    answers: dict[str, dict[str, _Value]] = field(default_factory=dict)


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """All differences, by operation.

    Raises:
        NotADescription: one of the two cannot be read.
    """
    mine, other = _Reader(ours).operations(), _Reader(theirs).operations()
    found: list[Difference] = []
    for key in sorted({*mine, *other}, key=lambda key: (key[1], key[0])):
        if key not in other:
            found.append(
                Difference(mine[key].where, "operation", "removed", "", "not in the other", True, mine[key].provenance)
            )
        elif key not in mine:
            found.append(Difference(other[key].where, "operation", "added", "", "not in ours", False, "-"))
        else:
            found += _of_operation(mine[key], other[key])
    return found


def _of_operation(mine: _Operation, other: _Operation) -> Iterator[Difference]:
    yield from _of_values(mine.where, "parameter", mine.parameters, other.parameters, sent=True)
    yield from _of_values(mine.where, "request", mine.request, other.request, sent=True)
    for status in sorted({*mine.statuses, *other.statuses}):
        level = mine.statuses.get(status, "-")
        success = status.startswith("2")
        if status not in other.statuses:
            yield Difference(mine.where, "status", "removed", status, "not in the other", success, level)
        elif status not in mine.statuses:
            yield Difference(mine.where, "status", "added", status, "not in ours", success, "-")
        else:
            answers = mine.answers.get(status, {}), other.answers.get(status, {})
            for each in _of_values(mine.where, "answer", *answers, sent=False):
                yield Difference(
                    each.where, each.what, each.kind, f"{status} {each.name}", each.detail, each.breaks, each.provenance
                )


def _of_values(
    where: str, what: str, mine: Mapping[str, _Value], other: Mapping[str, _Value], *, sent: bool
) -> Iterator[Difference]:
    for name in sorted({*mine, *other}):
        if name not in other:
            # What we send and they do not know, and what we read and they do not answer.
            breaks = sent or mine[name].required
            yield Difference(where, what, "removed", name, f"ours: {mine[name]}", breaks, mine[name].provenance)
        elif name not in mine:
            breaks = sent and other[name].required
            needed = " and required" if other[name].required else ""
            yield Difference(where, what, "added", name, f"theirs: {other[name]}{needed}", breaks, "-")
        else:
            for detail, breaks in _of_value(mine[name], other[name], sent=sent):
                yield Difference(where, what, "changed", name, detail, breaks, mine[name].provenance)


def _of_value(mine: _Value, other: _Value, *, sent: bool) -> Iterator[tuple[str, bool]]:
    """What changed of one value; for what is sent a narrower rule breaks, for what is read a wider one."""
    if mine.type != other.type:
        takes = {mine.type, other.type} == {"integer", "number"} and (other.type == "number") == sent
        yield f"type {mine.type} → {other.type}", not takes
    if mine.required != other.required:
        words = "required" if other.required else "optional"
        yield f"now {words}", other.required is sent
    if mine.nullable != other.nullable:
        yield ("may be null" if other.nullable else "may not be null"), other.nullable is not sent
    for rule in RULES:
        before, after = mine.rules.get(rule), other.rules.get(rule)
        if before != after:
            yield f"{rule} {_said(before)} → {_said(after)}", sent and _is_narrower(rule, before, after)


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def _is_narrower(rule: str, before: Any, after: Any) -> bool:
    if after is None:
        return False
    if before is None:
        return True
    if rule in LIMITS:
        return bool(after < before) if LIMITS[rule] else bool(after > before)
    if rule == "enum":
        return not set(map(str, before)) <= set(map(str, after))
    return True  # of two patterns nobody can tell


class _Reader:
    """Flattens one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        version = str(document.get("swagger") or document.get("openapi") or "") if isinstance(document, Mapping) else ""
        self._is_swagger = version.startswith("2.")
        if not self._is_swagger and not version.startswith("3."):
            raise NotADescription('it says neither `swagger: "2.0"` nor `openapi: 3.x`')
        if not isinstance(document.get("paths"), Mapping):
            raise NotADescription("it has no paths")

    def operations(self) -> dict[tuple[str, str], _Operation]:
        found = {}
        for path, item in self._document["paths"].items():
            resolved = self._resolved(item)
            for method in METHODS:
                if isinstance(resolved.get(method), Mapping):
                    key = method.upper(), self._key_of(path)
                    found[key] = self._operation(f"{method.upper()} {path}", resolved, resolved[method])
        return found

    def _key_of(self, path: str) -> str:
        """The path below the API's base path, its parameters without names; the base may stand in it, or apart."""
        return re.sub(r"\{[^}]*\}", "{}", re.sub(r"^/billing/[^/]+/v\d+(?=/)", "", path)).rstrip("/")

    def _operation(self, where: str, item: Mapping[str, Any], definition: Mapping[str, Any]) -> _Operation:
        operation = _Operation(where, _level(definition))
        for each in [*item.get("parameters", ()), *definition.get("parameters", ())]:
            parameter = self._resolved(each)
            if parameter.get("in") == "body":
                self._flatten(parameter.get("schema", {}), "", operation.request, _level(parameter))
            elif str(parameter.get("name", "")).lower() not in {"authorization", "accept", "content-type"}:
                # A path parameter is its place: its name is the writer's own.
                places = re.findall(r"\{([^}]*)\}", where)
                name = parameter.get("name", "")
                key = f"path parameter {places.index(name) + 1}" if name in places else f"{parameter.get('in')} {name}"
                schema = parameter.get("schema", parameter)
                needed = bool(parameter.get("required"))
                operation.parameters[key] = self._value(schema, required=needed, provenance=_level(parameter))
        body = self._resolved(definition.get("requestBody", {}))
        self._flatten(_schema_of(body), "", operation.request, _level(body))
        for status, each in definition.get("responses", {}).items():
            response = self._resolved(each)
            operation.statuses[str(status)] = _level(response)
            schema = response.get("schema") if self._is_swagger else _schema_of(response)
            self._flatten(schema or {}, "", operation.answers.setdefault(str(status), {}), _level(response))
        return operation

    def _flatten(
        self, schema: Mapping[str, Any], path: str, into: dict[str, _Value], provenance: str, depth: int = 0
    ) -> None:
        """The properties of a schema and of what is in it, by their path, such as `items[].unitPrice`."""
        schema, _ = self._plain(schema)
        if depth > 6:  # a schema that contains itself
            return
        if "items" in schema:
            self._flatten(schema["items"], f"{path}[]", into, provenance, depth + 1)
        required = set(schema.get("required", ()))
        for name, each in schema.get("properties", {}).items():
            key = f"{path}.{name}" if path else name
            level = _level(each, provenance)
            into[key] = self._value(each, required=name in required, provenance=level)
            self._flatten(each, key, into, level, depth + 1)

    def _value(self, schema: Mapping[str, Any], *, required: bool, provenance: str) -> _Value:
        plain, nullable = self._plain(schema)
        kind = plain.get("type", "object" if "properties" in plain else "anything")
        rules = {name: plain[name] for name in RULES if name in plain}
        return _Value(str(kind), required, nullable, rules, provenance)

    def _plain(self, schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """A schema without references, allOf and ways to say null; and whether it may be null."""
        schema = self._resolved(schema)
        nullable = bool(schema.get("nullable") or schema.get("x-nullable"))
        merged = {key: value for key, value in schema.items() if key not in {"allOf", "anyOf", "oneOf"}}
        for part in schema.get("allOf", ()):
            plain, may = self._plain(part)
            nullable = nullable or may
            properties: dict[str, Any] = dict(merged.get("properties", {}))
            properties.update(plain.get("properties", {}))
            needed = [*merged.get("required", ()), *plain.get("required", ())]
            merged = (
                {**plain, **merged}
                | ({"properties": properties} if properties else {})
                | ({"required": needed} if needed else {})
            )
        branches = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
        values = [each for each in branches if each.get("type") != "null"]
        nullable = nullable or len(values) < len(branches)
        if len(values) == 1:
            plain, may = self._plain(values[0])
            merged, nullable = {**plain, **merged}, nullable or may
        if isinstance(merged.get("type"), list):
            kinds = [each for each in merged["type"] if each != "null"]
            nullable = nullable or len(kinds) < len(merged["type"])
            merged["type"] = " or ".join(kinds)
        return merged, nullable

    def _resolved(self, node: Any) -> Mapping[str, Any]:
        """Follow references inside the document; what stands beside one is kept."""
        for _ in range(20):
            if not isinstance(node, Mapping):
                return {}
            if "$ref" not in node:
                return node
            target: Any = self._document
            for step in str(node["$ref"]).removeprefix("#/").split("/"):
                target = target.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
            if target is None:
                raise NotADescription(f"the reference {node['$ref']} leads nowhere")
            beside = {key: value for key, value in node.items() if key != "$ref"}
            merged: dict[str, Any] = dict(target) if isinstance(target, Mapping) else {}
            merged.update(beside)
            node = merged
        raise NotADescription(f"the reference {node['$ref']} leads to itself")


def _schema_of(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the JSON content of a body or an answer."""
    content = node.get("content", {})
    for media_type, each in content.items():
        if "json" in media_type or media_type == "*/*":
            return dict(each.get("schema", {}))
    return {}


def _level(node: Mapping[str, Any], default: str = "-") -> str:
    return str((node.get("x-provenance") or {}).get("level", default)) if isinstance(node, Mapping) else default


def base_path(document: Mapping[str, Any]) -> str:
    """The base path that a document names, with its variables at their defaults; empty if it names none."""
    if "swagger" in document:
        return str(document.get("basePath", "")).rstrip("/")
    for server in document.get("servers", ())[:1]:
        url = str(server.get("url", ""))
        for name, variable in server.get("variables", {}).items():
            url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
        return urlsplit(url).path.rstrip("/")
    return ""
