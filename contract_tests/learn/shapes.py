"""Shapes in place of values: property names and kinds, paths without numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..description import Contract

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT.*")
# The names of a property are ours or PayEx's; anything else, such as a number used as a key, is a value.
_NAME = re.compile(r"[$@]?[A-Za-z][A-Za-z_.\-]{0,40}")
MOST_DEPTH = 6


def shape_of(value: Any, depth: int = 0) -> Any:
    """Return the shape of a JSON value: objects keep their names, arrays have the shapes of their items, once each."""
    if depth > MOST_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        return {_name(str(name)): shape_of(inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list):
        shapes: list[Any] = []
        for each in value:
            shape = shape_of(each, depth + 1)
            if shape not in shapes:
                shapes.append(shape)
        return shapes
    return kind_of(value)


def kind_of(value: Any) -> str:
    """Return the kind of a JSON scalar."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if not isinstance(value, str):
        return "number"
    if _DATE.fullmatch(value):
        return "date"
    if _TIME.fullmatch(value):
        return "date-time"
    return "link" if value.startswith("/") else "text"


def body_shape(body: bytes) -> Any:
    """Return the shape of a body; a word if it is no JSON."""
    try:
        return shape_of(json.loads(body))
    except (ValueError, RecursionError):
        return "empty" if not body.strip() else "not JSON"


def path_shape(target: str, contract: Contract) -> str:
    """Return the path template of a request, and the names of its query parameters."""
    parts = urlsplit(target)
    segments = parts.path.split("/")
    base = contract.base_path.split("/")
    fixed = {
        each for path in contract.document["paths"] for each in path.split("/") if each and not each.startswith("{")
    }
    places = {place.segment: f"{{{place.parameter}}}" for place in contract.places.values()}
    shown = []
    for number, segment in enumerate(segments):
        above = segments[number - 1] if number else ""
        if number < len(base):
            shown.append(segment if number < 3 or segment == base[number] else "…")
        elif above in places:
            shown.append(places[above])
        else:
            shown.append(
                segment if segment in fixed else f"{{{contract.ledger_parameter}}}" if number == len(base) else "…"
            )
    query = "&".join(sorted({_name(each.partition("=")[0]) for each in parts.query.split("&") if each}))
    return "/".join(shown) + (f"?{query}" if query else "")


def _name(name: str) -> str:
    return name if _NAME.fullmatch(name) else "…"
