"""Schemas without the ways of writing them: references, `allOf`, words for null and for limits of each version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .reading import Located, UnreadableFile, line_of
from .references import level_of, mapping, sequence, target_of
from .rules import KEYWORDS, both, either, rules_of

TYPES = frozenset({"null", "boolean", "number", "string", "array", "object"})  # an integer is a number


_LINES = KEYWORDS | {"type": "type"}


class Part:
    """A schema as it is written, before anything in it is followed."""

    def __init__(self, node: Any, ids: frozenset[object] = frozenset()) -> None:
        self.node = node
        # Which nodes of the document it is made of: a schema that contains itself is known by them.
        self.ids = ids or frozenset({id(node)})


@dataclass
class Shape:
    """What a schema allows.

    Attributes:
        types: the JSON types, `null` among them.
        rules: limits and the like, each by its name; `decimals` is a power of ten in `multipleOf`, or `x-decimals`.
        rest: the schema of properties that are not named; True if they are free, False if there may be none.
        one_way: `request` for a property that is only sent, `response` for one that is only read.
        lines: the line of `type` and of each rule.
    """

    types: frozenset[str] = TYPES
    rules: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Part] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: Part | None = None
    rest: Part | bool = True
    one_way: str = ""
    level: str = "-"
    lines: dict[str, int] = field(default_factory=dict)
    property_lines: dict[str, int] = field(default_factory=dict)

    @property
    def values(self) -> frozenset[str]:
        """The types without null."""
        return self.types - {"null"}


class Schemas:
    """The schemas of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        # The parts are kept with their shapes, so that no id is used twice.
        self._shapes: dict[frozenset[object], tuple[Part, Shape]] = {}

    def shape(self, part: Part, within: frozenset[str] = frozenset()) -> Shape:
        """What a schema allows; `within` are the references of which this schema is itself a part.

        Raises:
            UnreadableFile: the schema is not one, or is composed of itself.
        """
        if part.ids not in self._shapes:
            self._shapes[part.ids] = part, self._shape(part.node, within)
        return self._shapes[part.ids][1]

    def _shape(self, node: Any, within: frozenset[str]) -> Shape:
        if isinstance(node, bool):
            return Shape() if node else Shape(types=frozenset())
        node = mapping(node, "a schema")
        shape = _own(node)
        if "$ref" in node:
            target = Part(target_of(self._document, node, within))
            shape = _both(shape, self.shape(target, within | {node["$ref"]}))
        for key in ("allOf", "anyOf", "oneOf"):
            branches = [self.shape(Part(branch), within) for branch in sequence(node.get(key), f"`{key}` of a schema")]
            if branches:
                shape = _both(shape, _composed(branches, every=key == "allOf"))
        if node.get("nullable") is True or node.get("x-nullable") is True:
            shape.types |= {"null"}
        return shape

    def check(self, part: Part, seen: set[frozenset[object]]) -> None:
        """Read a schema and all schemas in it.

        Raises:
            UnreadableFile: one of them is not valid.
        """
        if part.ids in seen:
            return
        seen.add(part.ids)
        try:
            shape = self.shape(part)
        except UnreadableFile as error:
            lines = part.node.lines.values() if isinstance(part.node, Located) else ()
            raise UnreadableFile(f"{error}, line {min(lines)}" if lines else str(error)) from None
        inner = [*shape.properties.values(), shape.items, shape.rest]
        for child in inner:
            if isinstance(child, Part):
                self.check(child, seen)


def _composed(branches: list[Shape], *, every: bool) -> Shape:
    """All branches at once, or any of them."""
    if every:
        shape = branches[0]
        for branch in branches[1:]:
            shape = _both(shape, branch)
        return shape
    values = [branch for branch in branches if branch.values] or branches
    shape = values[0]
    for branch in values[1:]:
        shape = _either(shape, branch)
    return replace(shape, types=_joined(*(branch.types for branch in branches)))


def _own(node: Mapping[str, Any]) -> Shape:
    """What a schema says by itself."""
    shape = Shape(level=level_of(node))
    shape.types = _types(node)
    shape.rules = rules_of(node, shape.types)
    for keyword in node:
        line = line_of(node, keyword)
        if line is not None and keyword in _LINES:
            shape.lines[_LINES[keyword]] = line
    if "multipleOf" in node and "decimals" in shape.rules:
        shape.lines.setdefault("decimals", shape.lines.get("multipleOf", 0))
    properties = mapping(node.get("properties"), "`properties`")
    shape.properties = {str(name): Part(definition) for name, definition in properties.items()}
    lines = ((name, line_of(properties, name)) for name in shape.properties)
    shape.property_lines = {name: line for name, line in lines if line is not None}
    required = node.get("required")
    shape.required = frozenset(map(str, required)) if isinstance(required, list) else frozenset()
    if "items" in node:
        shape.items = Part(node["items"])
    rest = node.get("additionalProperties", node.get("unevaluatedProperties", True))
    shape.rest = rest if isinstance(rest, bool) else Part(rest) if rest else True
    for word, way in (("readOnly", "response"), ("writeOnly", "request")):
        if node.get(word) is True:
            shape.one_way = way
    return shape


def _types(node: Mapping[str, Any]) -> frozenset[str]:
    kinds = node.get("type")
    if kinds is not None:
        return _joined(map(str, kinds)) if isinstance(kinds, list) else frozenset({str(kinds)})
    if "properties" in node:
        return frozenset({"object"})
    if "items" in node:
        return frozenset({"array"})
    values = [node["const"]] if "const" in node else node.get("enum")
    return _joined(map(_type_of, values)) if isinstance(values, list) and values else TYPES


def _joined(*types: Iterable[str]) -> frozenset[str]:
    joined = frozenset(name for names in types for name in names)
    return joined - {"integer"} if "number" in joined else joined


def allowed(types: Iterable[str], among: frozenset[str]) -> frozenset[str]:
    """Those of the types that the others allow, too; an integer is a number."""
    return frozenset(name for name in types if name in among or (name == "integer" and "number" in among))


def _type_of(value: Any) -> str:
    names = {type(None): "null", bool: "boolean", int: "integer", str: "string", list: "array"}
    return names.get(type(value), "object" if isinstance(value, Mapping) else "number")


def _both(one: Shape, other: Shape) -> Shape:
    """What both allow."""
    rest: Part | bool = one.rest if isinstance(other.rest, bool) and other.rest else other.rest
    if one.rest is False:
        rest = False
    return Shape(
        types=allowed(one.types, other.types) | allowed(other.types, one.types),
        rules=both(one.rules, other.rules),
        properties=_merged(one.properties, other.properties, "allOf"),
        required=one.required | other.required,
        items=one.items or other.items,
        rest=rest,
        one_way=one.one_way or other.one_way,
        level=one.level if one.level != "-" else other.level,
        lines={**other.lines, **one.lines},
        property_lines={**other.property_lines, **one.property_lines},
    )


def _either(one: Shape, other: Shape) -> Shape:
    """What one of the two allows, as far as one schema can say it."""
    return replace(
        _both(one, other),
        types=_joined(one.types, other.types),
        rules=either(one.rules, other.rules),
        properties=_merged(one.properties, other.properties, "anyOf"),
        required=one.required & other.required,
        rest=True if True in (one.rest, other.rest) else one.rest or other.rest,
    )


def _merged(one: Mapping[str, Part], other: Mapping[str, Part], word: str) -> dict[str, Part]:
    merged = {**other, **one}
    for name in one.keys() & other.keys():
        parts = [one[name], other[name]]
        if parts[0].ids != parts[1].ids:
            merged[name] = Part({word: [part.node for part in parts]}, parts[0].ids | parts[1].ids | {word})
    return merged
