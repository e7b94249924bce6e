"""Follow the references of a document, and only those inside of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote

from .reading import UnreadableFile


def target_of(document: Mapping[str, Any], node: Mapping[str, Any], within: Collection[str]) -> Any:
    """What the reference of a node points to; `within` are the references that led here.

    Raises:
        UnreadableFile: it points to another file, to a host, to nothing, or to itself.
    """
    reference = node["$ref"]
    if not isinstance(reference, str):
        raise UnreadableFile(f"has the reference {reference!r}, which is not text")
    if reference in within:
        raise UnreadableFile(f"has the reference {reference}, which leads to itself")
    place, hash_sign, pointer = reference.partition("#")
    if place or not hash_sign:
        raise UnreadableFile(f"has the reference {reference}: other files are not fetched (bundle all into one file)")
    target: Any = document
    for step in unquote(pointer).split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and key.isdecimal() and int(key) < len(target):
            target = target[int(key)]
        elif isinstance(target, Mapping) and key in target:
            target = target[key]
        else:
            raise UnreadableFile(f"has the reference {reference}, which leads nowhere")
    if pointer and not pointer.startswith("/"):
        raise UnreadableFile(f"has the reference {reference}, which leads nowhere")
    return target


def followed(document: Mapping[str, Any], node: Any, what: str) -> Mapping[str, Any]:
    """A parameter, body, response or path without its reference.

    Raises:
        UnreadableFile: it is not a mapping, or its reference leads nowhere.
    """
    seen: set[str] = set()
    while isinstance(node, Mapping) and "$ref" in node:
        target = target_of(document, node, seen)
        seen.add(node["$ref"])
        node = target
    return mapping(node, what)


def mapping(node: Any, what: str) -> Mapping[str, Any]:
    """The node, which must be a mapping; None is an empty one.

    Raises:
        UnreadableFile: it is something else.
    """
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        raise UnreadableFile(f"is not valid: {what} must be a mapping, not {_shown(node)}")
    return node


def sequence(node: Any, what: str) -> list[Any]:
    """The node, which must be a list; None is an empty one.

    Raises:
        UnreadableFile: it is something else.
    """
    if node is None:
        return []
    if not isinstance(node, list):
        raise UnreadableFile(f"is not valid: {what} must be a list, not {_shown(node)}")
    return node


def _shown(node: Any) -> str:
    text = "a mapping" if isinstance(node, Mapping) else repr(node)
    return text if len(text) <= 40 else f"{text[:40]}…"


def level_of(node: Any, default: str = "-") -> str:
    """How well our contract knows a part: `documented`, `sibling`, `inferred`, or `-`."""
    mark = node.get("x-provenance") if isinstance(node, Mapping) else None
    return str(mark.get("level", default)) if isinstance(mark, Mapping) else default
