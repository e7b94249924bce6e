"""How a fault is described and planted."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from payex_billing_mock import MockApp, Store, load_contract
from payex_billing_mock.app import Answer, Request
from payex_billing_mock.contract import build_contract
from payex_billing_mock.json_text import render

Next = Callable[[Request], Answer]
Behaviour = Callable[[MockApp, Request, Next], Answer]


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
    """The mock with one fault, on every server that serves it."""

    def __init__(self, fault: Fault, ledgers: Mapping[str, str]) -> None:
        contract = _changed_contract(fault)
        super().__init__(ledgers, store=fault.store(contract), contract=contract, interceptor=self._befall)
        self.fault = fault
        self.asked = 0

    def _befall(self, request: Request, respond: Next) -> Answer:
        self.asked += 1
        return respond(request) if self.fault.behaviour is None else self.fault.behaviour(self, request, respond)


def _changed_contract(fault: Fault) -> Any:
    if fault.contract is None:
        return None
    document = copy.deepcopy(dict(load_contract().document))
    fault.contract(document)
    return build_contract(document)


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
        def behaviour(_app: MockApp, request: Request, ask: Next) -> Answer:
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


def schema_fault(name: str, family: str, description: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Register a fault that comes of other schemas."""
    register(Fault(name, family, description, contract=lambda document: change(document["components"]["schemas"])))


# changing answers


def with_body(answer: Answer, body: bytes | str) -> Answer:
    """The answer with another body."""
    encoded = body.encode() if isinstance(body, str) else body
    return replace(answer, body=encoded, headers={**answer.headers, "Content-Length": str(len(encoded))})


def with_header(answer: Answer, name: str, value: str | None) -> Answer:
    """The answer with a header changed, or left out."""
    kept = {key: each for key, each in answer.headers.items() if key.lower() != name.lower()}
    return replace(answer, headers=kept | ({name: value} if value is not None else {}))


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
    if isinstance(body.get("items"), list):
        body["items"] = [_changed(each, change, of) for each in body["items"]]
        return with_body(answer, render(body))
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
