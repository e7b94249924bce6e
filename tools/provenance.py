"""How well each part of the contract is known, and the page that says it (docs/provenance.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contract_table import decimals_of

LEVELS = ("documented", "sibling", "observed", "inferred")
SOURCES = {
    "customer": "Billing API/Customer, revisions 8.1, 11.1 and 12.1",
    "customer-swagger": "Billing API/Customer, child page Customer-from-swagger",
    "invoice-swagger": "Billing API/Invoice, child page Invoice-from-swagger",
    "usage-swagger": "API/Usage, child page Usage-from-swagger",
    "rest": "ledger API general docs: RESTful pattern guideline",
    "problems": "ledger API general docs: REST problems",
    "security": "ledger API general docs: security",
    "evidence": "docs/evidence.jsonl: what an endpoint answered",
    "files": "the customer file (KUB/Bicus2), product file (PR01) and billing report pages",
}
METHODS = ("get", "post", "put", "patch", "delete", "head", "options", "trace")


class ProvenanceError(Exception):
    """A part of the contract does not say how well it is known."""


@dataclass(frozen=True)
class Part:
    """A part of the contract that must carry `x-provenance`.

    Attributes:
        decimals: the most decimals of a property that is a number; None if they have no limit.
    """

    kind: str
    name: str
    node: dict[str, Any]
    decimals: int | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with its provenance, if anything."""
        mark = self.node.get("x-provenance")
        if not isinstance(mark, dict):
            return "has no x-provenance"
        if mark.get("level") not in LEVELS:
            return f"has the level {mark.get('level')!r}, which is none of {', '.join(LEVELS)}"
        if mark.get("source") not in SOURCES:
            return f"has the source {mark.get('source')!r}, which is none of {', '.join(SOURCES)}"
        if mark["level"] == "inferred" and not mark.get("reason"):
            return "is inferred without a reason"
        return None


def parts(contract: dict[str, Any]) -> Iterator[Part]:
    """Every server, operation, parameter, request body, status, header, property, problem type and rule."""
    for server in contract.get("servers", []):
        yield Part("server", server["url"], server)
        for name, variable in server.get("x-variables", {}).items():
            yield Part("server variable", f"{server['url']} {name}", variable)
    for path, item in contract["paths"].items():
        for method in METHODS:
            if method in item:
                yield from _operation_parts(contract, f"{method.upper()} {path}", item, item[method])
    components = contract["components"]
    for name, scheme in components["securitySchemes"].items():
        yield Part("credential", name, scheme)
    for name, header in components["headers"].items():
        yield Part("header", name, header)
    for name, schema in components["schemas"].items():
        for key, value in schema.get("properties", {}).items():
            yield Part("property", f"{name}.{key}", value, decimals(contract, value, name))
    for code, problem_type in contract["x-problem-types"].items():
        yield Part("problem type", code, problem_type)
    for name, rule in contract.get("x-rules", {}).items():
        yield Part("rule", name, rule)


def _operation_parts(
    contract: dict[str, Any], name: str, item: dict[str, Any], operation: dict[str, Any]
) -> Iterator[Part]:
    yield Part("operation", name, operation)
    for each in [*item.get("parameters", []), *operation.get("parameters", [])]:
        parameter = resolve(contract, each)
        yield Part("parameter", f"{name} {parameter['name']}", parameter)
    if "requestBody" in operation:
        yield Part("request body", name, resolve(contract, operation["requestBody"]))
    for status, response in operation["responses"].items():
        yield Part("status", f"{name} {status}", resolve(contract, response))


def resolve(contract: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference inside the contract."""
    while "$ref" in node:
        target: Any = contract
        for key in node["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        node = target
    return node


def decimals(contract: dict[str, Any], schema: dict[str, Any], where: str) -> int | None:
    """Return how many decimals a property may have: by its schema, or by a schema that its schema refers to."""
    whole = {**resolve(contract, schema), **schema}
    branches = [each for keyword in ("allOf", "anyOf", "oneOf") for each in whole.get(keyword, ())]
    found = [decimals_of(whole, where), *(decimals(contract, branch, where) for branch in branches)]
    return min((each for each in found if each is not None), default=None)


def read_evidence(path: Path) -> list[dict[str, Any]]:
    """Read what endpoints answered; nothing if there is no such file.

    Raises:
        ProvenanceError: a line is not what `payex-billing contract learn --evidence` writes.
    """
    found = []
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            found.append({name: entry[name] for name in ("key", "answer", "host", "first", "last", "times", "sample")})
        except (ValueError, TypeError, KeyError) as error:
            raise ProvenanceError(f"{path.name}, line {number} is no evidence: {error!r}") from None
    return found


def render(contract: dict[str, Any], evidence: Sequence[dict[str, Any]] = ()) -> str:
    """The page.

    Args:
        contract: openapi.yaml as data.
        evidence: what endpoints answered, as `read_evidence` returns it.

    Raises:
        ProvenanceError: a part has no provenance, or a wrong one; all of them are named.
    """
    every = list(parts(contract))
    faults = [f"  {part.kind} {part.name} {part.fault}" for part in every if part.fault]
    if faults:
        raise ProvenanceError("openapi.yaml does not say how well it is known:\n" + "\n".join(faults))
    lines = [
        "# How well the contract is known",
        "",
        "`make generate` makes this page from `openapi.yaml`. The vendor's own description is missing from its",
        "page, so each part of ours says where it comes from.",
        "",
        "| level | meaning | parts |",
        "| --- | --- | --- |",
    ]
    meanings = {
        "documented": "stated on the Billing Customer API's own page, a revision of it, or its child page",
        "sibling": "stated on another PayEx page of the same house style",
        "observed": "what an endpoint answered when `payex-billing contract learn` asked it; see Evidence",
        "inferred": "our own conclusion; the reason stands beside it",
    }
    for level in LEVELS:
        count = sum(part.node["x-provenance"]["level"] == level for part in every)
        lines.append(f"| {level} | {meanings[level]} | {count} |")
    lines += ["", "Sources:", "", *(f"- `{name}`: {page}" for name, page in SOURCES.items())]
    for level in LEVELS:
        chosen = [part for part in every if part.node["x-provenance"]["level"] == level]
        if chosen:
            lines += ["", f"## {level.capitalize()}", "", *_table(chosen)]
    lines += _evidence(evidence)
    lines += ["", "## Unknown", "", "Nothing public answers these:", ""]
    lines += [f"- {unknown}" for unknown in contract["x-unknown"]]
    return "\n".join(lines) + "\n"


def _evidence(evidence: Sequence[dict[str, Any]]) -> list[str]:
    """The section with what endpoints answered; a sample has names and kinds, no values."""
    lines = ["", "## Evidence", ""]
    if not evidence:
        return [
            *lines,
            "No endpoint has been asked yet: `payex-billing contract learn --evidence docs/evidence.jsonl`.",
        ]
    lines += [
        "| question | answer | host | first | last | runs | sample |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for entry in evidence:
        shown = [f"{each.get('request')} → {each.get('status')}" for each in entry["sample"][-1:]]
        cells = [
            f"`{entry['key']}`",
            *(str(entry[name]) for name in ("answer", "host", "first", "last", "times")),
            *shown,
        ]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return lines


def _table(chosen: list[Part]) -> list[str]:
    """One row per kind, source and reason: what is known in the same way stands together."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for part in chosen:
        mark = part.node["x-provenance"]
        more = "" if part.decimals is None else f" ({part.decimals} decimals)"
        more = f": {part.node['description']}" if part.kind == "rule" else more
        rows.setdefault((part.kind, mark["source"], mark.get("reason", "")), []).append(f"`{part.name}`{more}")
    lines = ["| what | source | which | reason |", "| --- | --- | --- | --- |"]
    for (kind, source, reason), names in rows.items():
        lines.append(f"| {kind} | `{source}` | {_joined(kind, names)} | {_cell(reason)} |")
    return lines


def _joined(kind: str, names: list[str]) -> str:
    if kind in {"status", "parameter"}:  # the same component, met in many operations
        last = sorted({name.strip("`").rsplit(" ", 1)[1] for name in names})
        return _cell(", ".join(f"`{each}`" for each in last) + f", {len(names)} times")
    return _cell("<br>".join(names))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
