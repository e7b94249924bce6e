"""Compare a recording with the contract: a HAR file, or the shapes that a client wrote (`record_shapes=`).

In a checkout, this is `python -m contract_tests.learn.observe`. In the wheel, it is `payex-billing contract observe`.
Each contradiction is shown once, with the number of exchanges that have it. No value is shown.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ..description import FILE, IS_INSTALLED, Contract, ContractError, load
from ..routes import JSON, Operation
from .shapes import path_shape, shape_of

COMMAND = "payex-billing contract observe" if IS_INSTALLED else "python -m contract_tests.learn.observe"
CODES = "Exit codes: 0 the contract agrees, 1 it says otherwise or a file cannot be read, 64 wrong usage."
TEXTS = {"text", "link", "date", "date-time"}


class Unreadable(Exception):
    """A recording cannot be read; the text says why."""


@dataclass(frozen=True)
class Seen:
    """One exchange without its values.

    Attributes:
        path: the path without its base path, with names in place of numbers.
        base: the base path; empty if it is not known.
        count: how many exchanges looked like this.
    """

    method: str
    path: str
    status: int
    base: str = ""
    media_type: str = ""
    problem: str = ""
    sent: Any = None
    received: Any = None
    count: int = 1
    query: tuple[str, ...] = field(default=())


def read(file: Path, contract: Contract) -> list[Seen]:
    """Read a recording.

    Raises:
        Unreadable: it is neither a HAR file nor a file of shapes.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{file}: {error}") from None
    try:
        whole = json.loads(text)
    except ValueError:
        whole = None
    try:
        if isinstance(whole, dict) and "log" in whole:
            return list(_from_har(whole["log"]["entries"], contract))
        return list(_from_shapes(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"{file} is neither a HAR file nor a file of record_shapes: {error!r}") from None


def _from_har(entries: Iterable[Mapping[str, Any]], contract: Contract) -> Iterator[Seen]:
    house = "/" + contract.base_path.split("/")[1] + "/"
    length = len(contract.base_path.split("/"))
    for entry in entries:
        request, response = entry["request"], entry["response"]
        parts = urlsplit(request["url"])
        if not parts.path.startswith(house):
            continue  # of another service
        shown, _, query = path_shape(request["url"].partition("#")[0], contract).partition("?")
        content = response.get("content", {})
        body = content.get("text", "")
        if content.get("encoding") == "base64":
            body = base64.b64decode(body).decode("utf-8", "replace")
        received = _parsed(body)
        sent = _parsed(request.get("postData", {}).get("text", ""))
        yield Seen(
            request["method"].upper(),
            "/" + "/".join(shown.split("/")[length:]),
            int(response["status"]),
            "/".join(shown.split("/")[:length]),
            str(content.get("mimeType", "")).partition(";")[0].strip().lower(),
            _problem_code(received) if int(response["status"]) >= 400 else "",
            None if sent is None else shape_of(sent),
            None if received is None else shape_of(received),
            query=tuple(query.split("&")) if query else (),
        )


def _from_shapes(text: str) -> Iterator[Seen]:
    counts: dict[str, int] = {}
    for line in text.splitlines():
        if line.strip():
            shape = json.loads(line)
            count = int(shape.pop("count"))
            key = json.dumps(shape, sort_keys=True)
            counts[key] = max(count, counts.get(key, 0))
    for key, count in counts.items():
        shape = json.loads(key)
        yield Seen(
            shape["method"], shape["path"], int(shape["status"]), "", shape.get("media_type", ""),
            shape.get("problem", ""), shape.get("sent"), shape.get("received"), count,
        )  # fmt: skip


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _problem_code(document: Any) -> str:
    kind = (
        next((value for name, value in document.items() if name.lower() == "type"), "")
        if isinstance(document, dict)
        else ""
    )
    return str(kind).rstrip("/").rpartition("/")[2]


def contradictions(seen: Iterable[Seen], contract: Contract) -> Counter[str]:
    """Return each contradiction with the number of exchanges that have it."""
    found: Counter[str] = Counter()
    for each in seen:
        for text in dict.fromkeys(_of_exchange(each, contract)):
            found[text] += each.count
    return found


def _of_exchange(seen: Seen, contract: Contract) -> Iterator[str]:
    if seen.base and seen.base != contract.base_path:
        yield f"the base path is {seen.base}, the contract has {contract.base_path}"
    operation = next(
        (op for op in contract.operations.values() if (op.path, op.method) == (seen.path, seen.method)), None
    )
    where = f"{seen.method} {seen.path}"
    if operation is None:
        if 200 <= seen.status < 300:
            yield f"{where} succeeds, and is not in the contract"
        return
    response = operation.responses.get(seen.status)
    if response is None:
        yield f"{where} is answered {seen.status}, which the contract does not have"
    elif seen.media_type and response.get("content") and seen.media_type not in response["content"]:
        yield f"{where} {seen.status} comes as {seen.media_type}, the contract has {', '.join(response['content'])}"
    if seen.problem and seen.problem not in contract.problem_types:
        yield f"the problem type {_safe(seen.problem)} with {seen.status} is not in the contract"
    if seen.sent is not None and operation.body is not None and 200 <= seen.status < 300:
        yield from _differences(seen.sent, operation.body, contract, f"{where}, sent")
    schema = _schema(operation, response, seen)
    if schema is not None and seen.received is not None:
        yield from _differences(seen.received, schema, contract, f"{where} {seen.status}")


def _safe(code: str) -> str:
    return code if code.replace("-", "").isalpha() and len(code) <= 60 else "of another form"


def _schema(operation: Operation, response: Mapping[str, Any] | None, seen: Seen) -> Mapping[str, Any] | None:
    if 200 <= seen.status < 300:
        content = (response or {}).get("content", {})
        return content[JSON]["schema"] if JSON in content else operation.success_schema
    return None  # the keys of a problem may be in any case, and a gateway may send pages


def _differences(shape: Any, schema: Mapping[str, Any], contract: Contract, where: str) -> Iterator[str]:
    """Yield how a shape differs from a schema."""
    node = contract.resolve(schema)
    branches = node.get("anyOf") or node.get("oneOf") or node.get("allOf")
    if branches and "properties" not in node:
        tries = [list(_differences(shape, branch, contract, where)) for branch in branches]
        yield from min(tries, key=len)
        return
    kind = node.get("type")
    if not _fits(shape, kind, node.get("format", "")):
        yield f"{where} is {_kind(shape)}, the contract has {node.get('format') or kind}"
    elif isinstance(shape, dict):
        properties = node.get("properties", {})
        for name in node.get("required", ()):
            if name not in shape:
                yield f"{where}: {name} is missing"
        for name, inner in shape.items():
            if name in properties:
                yield from _differences(inner, properties[name], contract, f"{where}: {name}")
            elif properties:
                yield f"{where}: {name} is not in the contract ({_kind(inner)})"
    elif isinstance(shape, list):
        for inner in shape:
            yield from _differences(inner, node.get("items", {}), contract, where)


def _fits(shape: Any, kind: str | None, form: str) -> bool:
    if kind is None or shape == "…":
        return True
    if kind in {"object", "array"}:
        return isinstance(shape, dict if kind == "object" else list)
    if not isinstance(shape, str):
        return False
    if kind == "string":
        return shape == form if form in {"date", "date-time"} else shape in TEXTS
    return shape in {"number": {"number", "integer"}, "integer": {"integer"}}.get(kind, {kind})


def _kind(shape: Any) -> str:
    return "an object" if isinstance(shape, dict) else "an array" if isinstance(shape, list) else str(shape)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{COMMAND}: {message}", file=sys.stderr)
        raise SystemExit(64)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return the exit code."""
    parser = _Parser(prog=COMMAND, description=(__doc__ or "").partition("\n")[0], epilog=CODES)
    parser.add_argument("recordings", nargs="+", type=Path, metavar="FILE", help="traffic.har, or a file of shapes")
    parser.add_argument("--contract", type=Path, default=FILE, metavar="FILE", help="the contract to compare with")
    options = parser.parse_args(arguments)
    try:
        contract = load(options.contract)
        seen = [each for file in options.recordings for each in read(file, contract)]
    except (ContractError, Unreadable) as error:
        print(f"{COMMAND}: {error}", file=sys.stderr)
        return 1
    found = contradictions(seen, contract)
    count = sum(each.count for each in seen)
    print(f"{count:,} exchange{'' if count == 1 else 's'} of the API.")
    for text, times in found.most_common():
        print(f"{times:6,} × {text}")
    if not found:
        print("The contract agrees with all of them." if count else "Nothing was compared.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
