"""How a fault is described and planted."""

from __future__ import annotations

import copy
import json
import re
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from payex_billing_mock import MockApp, Store, load_contract

from contract_tests.api import InProcess
from contract_tests.exchange import CONTRACT, DOCUMENT, OPERATIONS, render
from contract_tests.routes import PROBLEM

LEDGERS = {"1234": "contract-Token-1234", "5678": "other-Token-5678"}
# The names of properties on the wire, by role: what a fault changes, whatever the contract calls it.
wire = CONTRACT.wire
CUSTOMER_NO, SUBSCRIPTION_NO, CHARGE_ID = (CONTRACT.keys[kind] for kind in ("customer", "subscription", "charge"))
CHARGES = CONTRACT.place("charge").segment
UPDATE = CONTRACT.update_method
LISTS = {name for name in map(CONTRACT.list_name, OPERATIONS.values()) if name is not None}


@dataclass(frozen=True)
class Request:
    """A request on its way to the mock; header names in lower case."""

    method: str
    raw_path: bytes
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """A response on its way to the client; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Next = Callable[[Request], Answer]
Behaviour = Callable[["MockWithFault", Request, Next], Answer]


@dataclass(frozen=True)
class Fault:
    """One planted fault: how requests are answered instead, which store holds the state, what the contract became."""

    name: str
    family: str
    description: str
    behaviour: Behaviour | None = None
    store: type[Store] = Store
    contract: Callable[[dict[str, Any]], None] | None = None


FAULTS: dict[str, Fault] = {}


def plant(name: str | None, ledgers: Mapping[str, str]) -> MockApp:
    """A mock with the fault of that name; without a name the mock as it is."""
    if name is None:
        return MockApp(ledgers)
    return MockWithFault(FAULTS[name], ledgers)


class MockWithFault(MockApp):
    """The mock with one fault. The fault stands before the ASGI application, so it knows nothing of the mock inside."""

    def __init__(self, fault: Fault, ledgers: Mapping[str, str]) -> None:
        super().__init__(ledgers, store=fault.store(), contract=_changed_contract(fault))
        self.fault = fault
        self.asked = 0
        self.tokens = dict(ledgers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer as the fault has it."""
        if scope["type"] != "http" or self.fault.behaviour is None:
            await super().__call__(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.asked += 1
        answer = self.fault.behaviour(self, Request(scope["method"], scope["raw_path"], headers, body), self._ask)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _ask(self, request: Request) -> Answer:
        """The answer of the mock without its fault."""
        target = request.raw_path.decode("latin-1")
        return Answer(*InProcess(super().__call__)(request.method, target, request.headers, request.body))


def refusal(code: str, detail: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """A problem of the contract, made here."""
    kind = CONTRACT.problem_types[code]
    values = {
        "type": f"billing/customer/problems/{code}",
        "title": kind.title,
        "status": kind.status,
        "instance": f"urn:uuid:{uuid.uuid4()}",
    } | ({"detail": detail} if detail else {})
    body = render({CONTRACT.problem_names[role]: value for role, value in values.items()}).encode()
    own = {"content-type": PROBLEM, "content-length": str(len(body))}
    return Answer(kind.status, own | dict(headers or {}), body)


def validation(**messages: str) -> Answer:
    """A validation problem that names parameters."""
    answer = refusal("validation")
    named = [{name: message} for name, message in messages.items()]
    return with_body(answer, render(read(answer) | {CONTRACT.problem_names["problems"]: named}))


def _changed_contract(fault: Fault) -> Any:
    if fault.contract is None:
        return None
    document = copy.deepcopy(dict(DOCUMENT))
    fault.contract(document)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "openapi.yaml"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")
        return load_contract(file)


def register(fault: Fault) -> None:
    """Add a fault; its name must be new."""
    if fault.name in FAULTS:
        raise ValueError(f"two faults are called {fault.name}")
    FAULTS[fault.name] = fault


def behaves(family: str, description: str) -> Callable[[Behaviour], Behaviour]:
    """Register a function that answers in the mock's place; it may ask the mock."""

    def decorate(function: Behaviour) -> Behaviour:
        register(Fault(function.__name__, family, description, behaviour=function))
        return function

    return decorate


def answers(family: str, description: str) -> Callable[[Callable[[Request, Answer], Answer]], Any]:
    """Register a function that changes the mock's answer."""

    def decorate(function: Callable[[Request, Answer], Answer]) -> Any:
        def behaviour(_app: MockWithFault, request: Request, ask: Next) -> Answer:
            return function(request, ask(request))

        register(Fault(function.__name__, family, description, behaviour=behaviour))
        return function

    return decorate


def stores(family: str, description: str) -> Callable[[type[Store]], type[Store]]:
    """Register a store that does something else."""

    def decorate(kind: type[Store]) -> type[Store]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
        register(Fault(name, family, description, store=kind))
        return kind

    return decorate


def items_in(body: Any) -> list[dict[str, Any]] | None:
    """The items of a list; None where there is none."""
    found = [body[name] for name in LISTS & set(body)] if isinstance(body, dict) else []
    return found[0] if found and isinstance(found[0], list) else None


def is_list(answer: Answer) -> bool:
    """Whether a response is a list."""
    return answer.status == 200 and any(f'"{name}":[' in answer.body.decode() for name in LISTS)


def emptied(answer: Answer, change: Callable[[str], str]) -> Answer:
    """The answer with an empty list replaced in its text; `change` is given the name of the list."""
    text = answer.body.decode()
    for name in LISTS:
        text = text.replace(f'"{name}":[]', change(name))
    return with_body(answer, text) if text != answer.body.decode() else answer


def has_empty_list(answer: Answer) -> bool:
    """Whether a response is an empty list."""
    return any(f'"{name}":[]'.encode() in answer.body for name in LISTS)


def schema_fault(name: str, family: str, description: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Register a fault that comes of other schemas."""
    register(Fault(name, family, description, contract=lambda document: change(document["components"]["schemas"])))


# changing answers


def with_body(answer: Answer, body: bytes | str) -> Answer:
    """The answer with another body."""
    encoded = body.encode() if isinstance(body, str) else body
    return replace(answer, body=encoded, headers={**answer.headers, "content-length": str(len(encoded))})


def with_header(answer: Answer, name: str, value: str | None) -> Answer:
    """The answer with a header changed, or left out."""
    kept = {key: each for key, each in answer.headers.items() if key != name.lower()}
    return replace(answer, headers=kept | ({name.lower(): value} if value is not None else {}))


def read(answer: Answer) -> Any:
    """The answer's JSON, digits kept."""
    return json.loads(answer.body, parse_float=Decimal) if answer.body else None


def rewritten(answer: Answer, change: Callable[[dict[str, Any]], dict[str, Any] | None], *, of: str = "") -> Answer:
    """The answer with each resource changed that has the property `of`, in a list or alone; None leaves it."""
    if answer.status >= 300 or not answer.body:
        return answer
    body = read(answer)
    if not isinstance(body, dict):
        return answer
    for name in LISTS & set(body):
        if isinstance(body[name], list):
            return with_body(answer, render(body | {name: [_changed(each, change, of) for each in body[name]]}))
    return with_body(answer, render(_changed(body, change, of)))


def _changed(
    resource: dict[str, Any], change: Callable[[dict[str, Any]], dict[str, Any] | None], of: str
) -> dict[str, Any]:
    if of and of not in resource:
        return resource
    result = change(resource)
    return resource if result is None else result


def problem_rewritten(answer: Answer, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Answer:
    """The answer with its problem changed, if it is one."""
    if answer.status < 400:
        return answer
    return with_body(answer, render(change(read(answer))))


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """An object without some of its properties."""
    return {name: each for name, each in value.items() if name not in names}
