"""What the console shows of one request: headers, bodies, the problem and the operation, all without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .contract import Contract
from .json_text import parse, render
from .masking import Masking
from .messages import MAX_BODY_BYTES, Handled
from .schemas import JsonObject

MOST_CHARACTERS = 20_000
_DEEPEST = 40


def detail(handled: Handled, contract: Contract, masking: Masking) -> JsonObject:
    """Return a request and its response."""
    request, answer = handled.request, handled.answer
    own = masking.with_credentials_of(request.headers)
    target = request.raw_path.decode("latin-1") + ("?" + request.query.decode("latin-1") if request.query else "")
    sent = f"more than {MAX_BODY_BYTES:,} bytes, not kept" if request.body is None else _text(request.body, own)
    return {
        "target": own.target(target),
        "headers": _headers(request.headers, own),
        "body": sent,
        "operation": _operation(contract, request.method, request.raw_path),
        "response": None if answer is None else _headers(answer.headers, own),
        "responseBody": "" if answer is None else _text(answer.body, own),
        "problem": _problem(answer.body, own) if answer is not None and answer.status >= 400 else None,
    }


def _headers(headers: Mapping[str, str], masking: Masking) -> list[JsonObject]:
    return [{"name": masking.text(name), "value": masking.header(name, value)} for name, value in headers.items()]


def _operation(contract: Contract, method: str, path: bytes) -> JsonObject | None:
    """Return the operation of the contract that a request is for; None if there is none."""
    route, _ = contract.match(path) or (None, {})
    if route is None or method not in route.operations:
        return None
    node = contract.document["paths"][route.path][method.lower()]
    return {
        "path": route.path,
        "summary": str(node.get("summary", "")),
        "id": str(node.get("operationId", "")),
        "tag": str([*node.get("tags", ()), "default"][0]),
    }


def _problem(body: bytes, masking: Masking) -> JsonObject | None:
    """Return the title and the detail of a problem. The keys may have any case."""
    try:
        value = parse(body)
    except ValueError:
        return None
    texts = {name.lower(): each for name, each in value.items()} if isinstance(value, dict) else {}
    found = {name: masking.text(str(texts[name])) for name in ("type", "title", "detail") if texts.get(name)}
    return found if "type" in found else None


def _text(body: bytes, masking: Masking) -> str:
    """Return a body as text; JSON with one property on each line."""
    try:
        text = _indented(masking.document(parse(body)))
    except ValueError:
        text = masking.raw(body.decode("utf-8", "replace"))
    if len(text) > MOST_CHARACTERS:
        return f"{text[:MOST_CHARACTERS]}\n… and {len(text) - MOST_CHARACTERS:,} more characters"
    return text


def _indented(value: Any, level: int = 0) -> str:
    """Return a value as indented JSON. `json.dumps` would change the digits of a `Decimal`."""
    start, end = "\n" + "  " * (level + 1), "\n" + "  " * level
    if level > _DEEPEST or not value or not isinstance(value, (dict, list)):
        return render(value)
    if isinstance(value, list):
        return "[" + ",".join(start + _indented(item, level + 1) for item in value) + end + "]"
    items = (f"{start}{render(name)}: {_indented(item, level + 1)}" for name, item in value.items())
    return "{" + ",".join(items) + end + "}"
