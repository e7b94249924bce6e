"""Find the sentence of openapi.yaml that a broken promise is about: its line, its words, and how well it is known."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from .description import FILE
from .exchange import CONTRACT, DOCUMENT, Exchange

LEVELS = {
    "documented": "documented by the vendor",
    "sibling": "a sibling's habit, stated for another PayEx API",
    "inferred": "inferred, our own conclusion",
}
# The text of these promises is the contract's own demand. All other demands are conclusions of the suite.
DIRECT = {"status", "problem_type", "names_the_parameter", "documented", "problem_tells_the_truth"}
Path = tuple[str, ...]


@dataclass(frozen=True)
class Citation:
    """A sentence of the contract.

    Attributes:
        level: `documented`, `sibling` or `inferred`.
        reason: why the contract has the sentence, or the page that has it.
    """

    line: int
    sentence: str
    level: str
    reason: str

    def __str__(self) -> str:
        reason = f": {self.reason}" if self.reason else ""
        return f'openapi.yaml:{self.line}: "{self.sentence}"\n    ({LEVELS.get(self.level, self.level)}{reason})'


def citations(promise: str, how: str, exchange: Exchange) -> list[Citation]:
    """Return the sentences that a broken promise is about."""
    return list(dict.fromkeys(cite(path) for path in _paths(promise, how, exchange)))


def of_operation(exchange: Exchange) -> Citation | None:
    """Return the sentence of the operation of an exchange; None if the contract has no such operation."""
    operation = _operation(exchange)
    return cite(operation) if operation else None


def cite(path: Path) -> Citation:
    """Return the sentence at a place of the contract, with the provenance that stands nearest."""
    provenance: Mapping[str, Any] = {}
    node: Any = DOCUMENT
    for key in path:
        node = node[key]
        if isinstance(node, dict):
            provenance = node.get("x-provenance", provenance)
    line = _lines()[path]
    if isinstance(node, dict):
        resolved = CONTRACT.resolve(node)
        texts = [node.get("summary"), node.get("description") or resolved.get("description")]
        sentence = ". ".join(str(text).rstrip(".") for text in texts if text)
        if not sentence:
            sentence = ", ".join(f"{key}: {value}" for key, value in node.items() if not str(key).startswith("x-"))
        name = path[-1] if path[-2:-1] in {("properties",), ("x-problem-types",)} else ""
        sentence = f"{name}: {sentence}" if name else sentence
    else:
        sentence = f"{path[-1]}: {', '.join(map(str, node)) if isinstance(node, list) else node}"
    page = f"page {provenance['source']}" if "source" in provenance else ""
    reason = "; ".join(filter(None, [str(provenance.get("reason", "")).rstrip("."), page]))
    return Citation(line, sentence, str(provenance.get("level", "inferred")), reason)


def _operation(exchange: Exchange) -> Path:
    defined = exchange.defined
    return ("paths", defined.path, defined.method.lower()) if defined else ()


def _response(exchange: Exchange, status: int) -> Iterator[Path]:
    operation = _operation(exchange)
    if operation:
        node = DOCUMENT["paths"][operation[1]][operation[2]]["responses"].get(str(status))
        if node is not None:
            reference = node.get("$ref", "")
            yield (
                tuple(reference.removeprefix("#/").split("/")) if reference else (*operation, "responses", str(status))
            )
    else:
        code = {404: "not-found", 405: "method-not-allowed"}.get(status, "")
        if code in CONTRACT.problem_types:
            yield ("x-problem-types", code)


def _paths(promise: str, how: str, exchange: Exchange) -> Iterator[Path]:
    problem = ("components", "schemas", "Problem")
    match promise:
        case "status" if found := re.match(r"expected ([\d or]+), got", how):
            for status in found[1].split(" or "):
                yield from _response(exchange, int(status))
        case "problem_type" if found := re.match(r"expected (\S+), got", how):
            if found[1] in CONTRACT.problem_types:
                yield ("x-problem-types", found[1])
        case "names_the_parameter":
            yield _if_there(problem, "properties", "problems")
            yield from _response(exchange, exchange.status)
        case "documented" if "does not exist" in how:
            yield from _response(exchange, 405 if exchange.known_route else 404)
        case "documented" if "has no answer" in how:
            yield from [_operation(exchange)]
        case "documented" | "strict_json":
            yield from _schema(exchange, how)
            yield from _response(exchange, exchange.status)
        case "problem_tells_the_truth":
            names = [name for name in ("instance", "title", "problems", "status", "type") if name in how]
            yield _if_there(problem, "properties", *names[:1]) if names else problem
            yield from _response(exchange, exchange.status)
        case "headers_mean_what_they_say" if "WWW-Authenticate" in how or "Retry-After" in how:
            yield from _response(exchange, exchange.status)
        case _:
            yield from _schema(exchange, how)


def _if_there(path: Path, *below: str) -> Path:
    longer = (*path, *below)
    return longer if longer in _lines() else path


def _schema(exchange: Exchange, how: str) -> Iterator[Path]:
    """Yield the property of the resource that a message names."""
    kind = exchange.role[1]
    if not kind or "got " in how:
        return
    schemas = DOCUMENT["components"]["schemas"]
    own = CONTRACT.resources[kind]["properties"]
    for name, schema in schemas.items():
        if schema.get("properties") == own:
            for each in own:
                if re.search(rf"(?<![\w@]){re.escape(each)}\b", how):
                    yield ("components", "schemas", name, "properties", each)
                    return


@cache
def _lines() -> dict[Path, int]:
    """Return the line of each node of the contract. An alias has the line of its anchor."""
    found: dict[Path, int] = {}

    def walk(node: yaml.Node, path: Path) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[*path, str(key.value)] = key.start_mark.line + 1
                if key.value != "example":
                    walk(value, (*path, str(key.value)))

    root = yaml.compose(FILE.read_text(encoding="utf-8"))
    if root is not None:
        walk(root, ())
    return found
