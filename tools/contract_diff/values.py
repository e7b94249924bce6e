"""How two schemas differ, and whether that breaks a caller.

A request breaks if the other file excludes a value that our contract allows. A response breaks if a value may come
that our contract excludes and that our client would misread.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from . import rules
from .schemas import TYPES, Part, Schemas, Shape, allowed

REFUSED = "The server rejects values that our client may send."
MISREAD = "A response may have values that the generated client misreads."
MISSING = "The generated client fails to read a response without it."
NEEDED = "A request without it is rejected."
UNKNOWN = "The server ignores or rejects what our client sends."
_DOUBT = "The server may reject what our client sends. Nobody can tell from two patterns: read them."


@dataclass(frozen=True)
class Change:
    """A difference of one value; `why` is the consequence, empty if no caller breaks."""

    kind: str
    name: str
    detail: str
    why: str
    level: str
    ours_line: int | None
    theirs_line: int | None


class Comparison:
    """Compares schemas of two documents."""

    def __init__(self, ours: Schemas, theirs: Schemas, *, theirs_has_null: bool, theirs_has_not: bool) -> None:
        self._ours = ours
        self._theirs = theirs
        self._has_null = theirs_has_null
        self._has_not = theirs_has_not

    def changes(self, mine: Part, other: Part, name: str, *, sent: bool, at: Place) -> Iterator[Change]:
        """All differences below one place."""
        pair = mine.ids, other.ids
        if pair in at.above:  # both contain themselves
            return
        before, after = self._ours.shape(mine), self._theirs.shape(other)
        place = Place(
            at.level if before.level == "-" else before.level, at.ours_line, at.theirs_line, at.above | {pair}
        )
        yield from self._types(before, after, name, sent, place)
        common = allowed(before.values, after.values) | allowed(after.values, before.values)
        if TYPES in {after.types, before.types}:
            return
        if common:
            yield from self._rules(before, after, name, sent, place)
        if "object" in common:
            yield from self._properties(before, after, name, sent, place)
            yield from self._rest(before, after, name, sent, place)
        if "array" in common:
            items = before.items or Part(True), after.items or Part(True)
            yield from self.changes(*items, f"{name}[]", sent=sent, at=place)

    def _types(self, before: Shape, after: Shape, name: str, sent: bool, at: Place) -> Iterator[Change]:
        lines = at.lines(before, after, "type")
        if before.values != after.values:
            wider, narrower = (after, before) if sent else (before, after)
            breaks = allowed(narrower.values, wider.values) != narrower.values
            detail = f"type {_type_words(before)} → {_type_words(after)}"
            yield Change("changed", name, detail, _why(breaks, sent), at.level, *lines)
        if self._has_null and TYPES not in {before.types, after.types}:
            may, might = "null" in before.types, "null" in after.types
            if may != might:
                detail = "may be null" if might else "may not be null"
                yield Change("changed", name, detail, _why(might is not sent, sent), at.level, *lines)

    def _rules(self, before: Shape, after: Shape, name: str, sent: bool, at: Place) -> Iterator[Change]:
        for rule in rules.changed(before.rules, after.rules):
            if rule == "not" and rule not in after.rules and not self._has_not:
                continue
            breaks = (rules.is_narrower if sent else rules.is_misread)(rule, before.rules, after.rules)
            detail = f"{rule} {rules.in_words(before.rules.get(rule))} → {rules.in_words(after.rules.get(rule))}"
            why = _DOUBT if breaks and rule == "pattern" and rule in before.rules else _why(breaks, sent)
            yield Change("changed", name, detail, why, at.level, *at.lines(before, after, rule))

    def _properties(self, before: Shape, after: Shape, name: str, sent: bool, at: Place) -> Iterator[Change]:
        mine = self._directed(self._ours, before, sent)
        other = self._directed(self._theirs, after, sent)
        gone = {key: shape for key, shape in mine.items() if key not in other}
        new = {key: shape for key, shape in other.items() if key not in mine}
        ours_line, theirs_line = at.lines(before, after, "type")
        for key in sorted(mine.keys() | other.keys()):
            path = f"{name}.{key}" if name else key
            lines = before.property_lines.get(key, ours_line), after.property_lines.get(key, theirs_line)
            needed = key in before.required, key in after.required
            level = at.level if key in new or mine[key].level == "-" else mine[key].level
            if key in new:
                detail = f"theirs: {description(other[key])}{', required' if needed[1] else ''}"
                yield Change("added", path, detail, NEEDED if sent and needed[1] else "", "-", *lines)
            elif key in gone:
                again = _renamed(key, gone, new)
                why = UNKNOWN if sent else MISSING if needed[0] else ""
                why = why or ("The generated client does not read it by its new name." if again else "")
                detail = f"ours: {description(mine[key])}{f'; perhaps now {again}' if again else ''}"
                yield Change("removed", path, detail, why, level, *lines)
            else:
                if needed[0] is not needed[1]:
                    why = (NEEDED if sent else MISSING) if needed[1] is sent else ""
                    detail = f"now {'required' if needed[1] else 'optional'}"
                    yield Change("changed", path, detail, why, level, *lines)
                place = Place(level, *lines, at.above)
                yield from self.changes(before.properties[key], after.properties[key], path, sent=sent, at=place)

    def _directed(self, schemas: Schemas, shape: Shape, sent: bool) -> dict[str, Shape]:
        """The properties that travel in this direction: one that only the server sets is in no request."""
        shapes = {key: schemas.shape(part) for key, part in shape.properties.items()}
        away = "response" if sent else "request"
        return {key: shape for key, shape in shapes.items() if shape.one_way != away}

    def _rest(self, before: Shape, after: Shape, name: str, sent: bool, at: Place) -> Iterator[Change]:
        if isinstance(before.rest, Part) or (isinstance(after.rest, Part) and before.rest):
            mine, other = _as_part(before.rest), _as_part(after.rest)
            yield from self.changes(mine, other, f"{name}.*" if name else "*", sent=sent, at=at)
        elif bool(before.rest) is not bool(after.rest):
            why = "The server rejects properties that our contract does not name." if sent and before.rest else ""
            detail = "further properties now allowed" if after.rest else "no further properties allowed"
            yield Change("changed", name or "body", detail, why, at.level, at.ours_line, at.theirs_line)


@dataclass(frozen=True)
class Place:
    """Where a value stands in both files, how well ours is known, and the pairs of schemas around it."""

    level: str
    ours_line: int | None
    theirs_line: int | None
    above: frozenset[tuple[frozenset[object], frozenset[object]]] = frozenset()

    def lines(self, before: Shape, after: Shape, rule: str) -> tuple[int | None, int | None]:
        """The lines of a rule, or of the type if there is no such rule, or of the place."""
        return (
            before.lines.get(rule, before.lines.get("type", self.ours_line)),
            after.lines.get(rule, after.lines.get("type", self.theirs_line)),
        )


def _as_part(rest: Part | bool) -> Part:
    return Part(rest) if isinstance(rest, bool) else rest


def _why(breaks: bool, sent: bool) -> str:
    return (REFUSED if sent else MISREAD) if breaks else ""


def _renamed(key: str, gone: Mapping[str, Shape], new: Mapping[str, Shape]) -> str:
    """The added property that a removed one may be now: of the same kind, with the most similar name."""

    def nearest(name: str, shape: Shape, among: Mapping[str, Shape]) -> str:
        alike = [candidate for candidate, other in among.items() if _kind(other) == _kind(shape)]
        return next(iter(difflib.get_close_matches(name, alike, 1, 0.0)), "")

    again = nearest(key, gone[key], new)
    return again if again and nearest(again, new[again], gone) == key else ""


def _kind(shape: Shape) -> tuple[frozenset[str], object]:
    return shape.values, shape.rules.get("format")


def description(shape: Shape) -> str:
    """A value in words."""
    limits = ", ".join(f"{name} {rules.in_words(value)}" for name, value in shape.rules.items() if name != "default")
    null = " or null" if "null" in shape.types and shape.types != TYPES else ""
    return _type_words(shape) + null + (f" ({limits})" if limits else "")


def _type_words(shape: Shape) -> str:
    if shape.types == TYPES:
        return "anything"
    return " or ".join(sorted(shape.values)) or ("null" if shape.types else "nothing")
