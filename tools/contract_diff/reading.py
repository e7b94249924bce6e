"""Read an OpenAPI or Swagger file, YAML or JSON, and remember on which line each key stands.

Scalars are those of YAML 1.2, of which JSON is a part. PyYAML reads YAML 1.1, where `1e-06` is text, `on` is true and
`2026-01-01` is a date. Numbers are exact.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}


class UnreadableFile(ValueError):
    """The file cannot be compared; the text says why and, if possible, where."""


class Located(dict[str, Any]):
    """A mapping of the file that knows the line of each of its keys."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, int] = {}


def line_of(mapping: Any, key: str) -> int | None:
    """The line of a key; None if the mapping was not read from a file."""
    return mapping.lines.get(key) if isinstance(mapping, Located) else None


def read(path: Path) -> Mapping[str, Any]:
    """The document in a file. Nothing else is read, and nothing is fetched.

    Raises:
        UnreadableFile: the file is missing, is no text, is neither JSON nor YAML, or holds no mapping.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"cannot be read: {error.strerror or error}") from None
    try:
        text = data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"cannot be read: it is not {error.encoding} text") from None
    if not text.strip():
        raise UnreadableFile("is empty")
    if re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE):
        raise UnreadableFile("is a page of HTML. Save the JSON or YAML file that the page shows")
    try:
        document = _parsed(text)
    except RecursionError:
        raise UnreadableFile("is nested too deeply") from None
    if not isinstance(document, dict):
        raise UnreadableFile("is not an OpenAPI or Swagger file: it holds no mapping")
    return document


def _parsed(text: str) -> Any:
    plain: Any = None
    refusal = ""
    try:
        plain = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        refusal = f"line {error.lineno}, column {error.colno}: {error.msg}"
    # PyYAML refuses a tab between two tokens of JSON. Inside of JSON's strings there is none.
    source = text if refusal else text.replace("\t", " ")
    try:
        root = yaml.compose(source, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        if not refusal:
            return plain  # JSON with characters that YAML does not allow: the lines stay unknown
        if not text.lstrip().startswith("{") and isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            refusal = f"line {error.problem_mark.line + 1}: {error.problem}"
        raise UnreadableFile(f"is neither YAML nor JSON: {refusal}") from None
    return _Constructor().value(root) if root is not None else None


class _Constructor:
    """Makes values of YAML nodes."""

    def __init__(self) -> None:
        self._made: dict[int, Any] = {}
        self._open: set[int] = set()

    def value(self, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.style else _scalar(node.value)
        if id(node) not in self._made:
            if id(node) in self._open:
                raise UnreadableFile(f"has an anchor that contains itself, line {node.start_mark.line + 1}")
            self._open.add(id(node))
            if isinstance(node, yaml.MappingNode):
                self._made[id(node)] = self._mapping(node)
            else:
                self._made[id(node)] = [self.value(child) for child in node.value]
        return self._made[id(node)]

    def _mapping(self, node: yaml.MappingNode) -> Located:
        mapping = Located()
        merged = [child for key, child in node.value if key.tag == "tag:yaml.org,2002:merge"]
        for child in reversed(merged):
            other = self.value(child)
            for part in reversed(other if isinstance(other, list) else [other]):
                if isinstance(part, Located):
                    mapping.update(part)
                    mapping.lines.update(part.lines)
        for key, child in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                name = key.value if isinstance(key, yaml.ScalarNode) else str(self.value(key))
                mapping[name] = self.value(child)
                mapping.lines[name] = key.start_mark.line + 1
        return mapping


def _scalar(text: str) -> Any:
    if text.lower() in _WORDS and text in {text.lower(), text.upper(), text.capitalize()}:
        return _WORDS[text.lower()]
    if _INTEGER.fullmatch(text):
        return int(text)
    return Decimal(text) if _FLOAT.fullmatch(text) else text
