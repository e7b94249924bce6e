"""Describe faults, and plant them in the mock."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from payex_billing_mock import MockApp, Store, build_contract

from contract_tests.exchange import CONTRACT, DOCUMENT, OPERATIONS, render
from contract_tests.routes import PROBLEM
from contract_tests.support import token_of
from contract_tests.transports import InProcess

LEDGERS = {number: token_of(number) for number in ("1234", "5678")}
# The JSON names of the properties that faults change. They come from the roles, so a renamed property still works.
wire = CONTRACT.wire
CUSTOMER_NO, SUBSCRIPTION_NO, CHARGE_ID = (CONTRACT.keys[kind] for kind in ("customer", "subscription", "charge"))
CHARGES = CONTRACT.place("charge").segment
UPDATE = CONTRACT.update_method
LISTS = {name for name in map(CONTRACT.list_name, OPERATIONS.values()) if name is not None}


@dataclass(frozen=True)
class Request:
    """A request to the mock. Header names are in lower case; the path has no query."""

    method: str
    raw_path: bytes
    headers: Mapping[str, str]
    body: bytes
    query: bytes = b""


@dataclass(frozen=True)
class Answer:
    """A response to the client. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Next = Callable[[Request], Answer]
Behaviour = Callable[["MockWithFault", Request, Next], Answer]


@dataclass(frozen=True)
class Fault:
    """One fault: its function that responds in place of the mock, its store, and its change of the contract."""

    name: str
    family: str
    description: str
    behaviour: Behaviour | None = None
    store: type[Store] = Store
    contract: Callable[[dict[str, Any]], None] | None = None
    module: str = ""  # where it is written

    @property
    def file(self) -> str:
        """The name of the file that the fault is written in."""
        return f"{self.module.rpartition('.')[2]}.py"


FAULTS: dict[str, Fault] = {}


def plant(name: str | None, ledgers: Mapping[str, str]) -> MockApp:
    """Make a mock with the fault of this name. If the name is None, make a mock without faults."""
    if name is None:
        return MockApp(ledgers)
    return MockWithFault(FAULTS[name], ledgers)


class MockWithFault(MockApp):
    """The mock with one fault.

    The fault works on requests and responses outside the mock. It does not depend on the code inside the mock.
    """

    def __init__(self, fault: Fault, ledgers: Mapping[str, str]) -> None:
        contract = _changed_contract(fault)
        super().__init__(ledgers, store=fault.store(contract), contract=contract)
        self.fault = fault
        self.asked = 0
        self.tokens = dict(ledgers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Respond to a request with the behaviour of the fault."""
        if scope["type"] != "http" or self.fault.behaviour is None:
            await super().__call__(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(scope["method"], scope["raw_path"], headers, body, scope.get("query_string", b""))
        self.asked += 1
        answer = self.fault.behaviour(self, request, self._ask)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers.items()],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    def _ask(self, request: Request) -> Answer:
        """Return the response that the mock without the fault gives."""
        target = (request.raw_path + (b"?" + request.query if request.query else b"")).decode("latin-1")
        return Answer(*InProcess(super().__call__)(request.method, target, request.headers, request.body))


def refusal(code: str, detail: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """Make a response with a problem type of the contract."""
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
    """Make a response with a validation problem that names parameters."""
    answer = refusal("validation")
    named = [{name: message} for name, message in messages.items()]
    return with_body(answer, render(read(answer) | {CONTRACT.problem_names["problems"]: named}))


def _changed_contract(fault: Fault) -> Any:
    if fault.contract is None:
        return None
    document = copy.deepcopy(dict(DOCUMENT))
    fault.contract(document)
    return build_contract(document)


def register(fault: Fault) -> None:
    """Add a fault to `FAULTS`. No other fault may have the same name."""
    if fault.name in FAULTS:
        raise ValueError(f"two faults are called {fault.name}")
    FAULTS[fault.name] = fault


def behaves(family: str, description: str) -> Callable[[Behaviour], Behaviour]:
    """Register a function that responds in place of the mock. The function may call the mock."""

    def decorate(function: Behaviour) -> Behaviour:
        register(Fault(function.__name__, family, description, behaviour=function, module=function.__module__))
        return function

    return decorate


def answers(family: str, description: str) -> Callable[[Callable[[Request, Answer], Answer]], Any]:
    """Register a function that changes the mock's response."""

    def decorate(function: Callable[[Request, Answer], Answer]) -> Any:
        def behaviour(_app: MockWithFault, request: Request, ask: Next) -> Answer:
            return function(request, ask(request))

        register(Fault(function.__name__, family, description, behaviour=behaviour, module=function.__module__))
        return function

    return decorate


def stores(family: str, description: str) -> Callable[[type[Store]], type[Store]]:
    """Register a store that behaves differently from the mock's store."""

    def decorate(kind: type[Store]) -> type[Store]:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()
        register(Fault(name, family, description, store=kind, module=kind.__module__))
        return kind

    return decorate


def items_in(body: Any) -> list[dict[str, Any]] | None:
    """Return the items of a list. Return None if the body is not a list."""
    found = [body[name] for name in LISTS & set(body)] if isinstance(body, dict) else []
    return found[0] if found and isinstance(found[0], list) else None


def is_list(answer: Answer) -> bool:
    """Return whether a response is a list."""
    return answer.status == 200 and any(f'"{name}":[' in answer.body.decode() for name in LISTS)


def emptied(answer: Answer, change: Callable[[str], str]) -> Answer:
    """Replace the empty list in the JSON text of a response by `change(name)`; `name` is the list's property."""
    text = answer.body.decode()
    for name in LISTS:
        text = text.replace(f'"{name}":[]', change(name))
    return with_body(answer, text) if text != answer.body.decode() else answer


def has_empty_list(answer: Answer) -> bool:
    """Return whether a response is an empty list."""
    return any(f'"{name}":[]'.encode() in answer.body for name in LISTS)


def schema_fault(name: str, family: str, description: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Register a fault that changes the schemas of the mock's contract."""

    def contract(document: dict[str, Any]) -> None:
        change(document["components"]["schemas"])

    register(Fault(name, family, description, contract=contract, module=change.__module__))


# changing responses


def with_body(answer: Answer, body: bytes | str) -> Answer:
    """Return the response with another body."""
    encoded = body.encode() if isinstance(body, str) else body
    return replace(answer, body=encoded, headers={**answer.headers, "content-length": str(len(encoded))})


def with_header(answer: Answer, name: str, value: str | None) -> Answer:
    """Return the response with a header changed, or removed if `value` is None."""
    kept = {key: each for key, each in answer.headers.items() if key != name.lower()}
    return replace(answer, headers=kept | ({name.lower(): value} if value is not None else {}))


def read(answer: Answer) -> Any:
    """Parse the JSON of a response without losing digits."""
    return json.loads(answer.body, parse_float=Decimal) if answer.body else None


def rewritten(answer: Answer, change: Callable[[dict[str, Any]], dict[str, Any] | None], *, of: str = "") -> Answer:
    """Change each resource of a response, in a list or alone, that has the property `of`.

    If `change` returns None, the resource stays as it is.
    """
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
    """Change the problem of a response. Return any other response unchanged."""
    if answer.status < 400:
        return answer
    return with_body(answer, render(change(read(answer))))


def without(value: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return an object without some of its properties."""
    return {name: each for name, each in value.items() if name not in names}
