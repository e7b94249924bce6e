"""The values of a resource that count when two responses are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from .exchange import CONTRACT

Place = tuple[str, ...]  # the decoded segments of a path; a segment may contain a `/`

CLIENT_SET = {kind: set(CONTRACT.creations[kind]["properties"]) for kind in CONTRACT.creations}
CLIENT_SET["charge"] |= set(CONTRACT.change["properties"])


def held(charge: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a charge that a client may set. A value that is null counts as absent."""
    return {name: value for name, value in charge.items() if name in CLIENT_SET["charge"] and value is not None}


def stable(kind: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of a resource that change by a write only."""
    unstable = {"operations", CONTRACT.wire("operations"), CONTRACT.wire("billed_until")}
    names = set(CONTRACT.resources[kind]["properties"]) - unstable
    return {name: value for name, value in resource.items() if name in names and value is not None}


def place_of(path: str) -> Place:
    """Return the decoded segments of a percent-encoded path."""
    return tuple(unquote(each) for each in path.split("/"))
