"""The list of all variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from contract_tests.faults._planting import (
    LEDGERS,
    Answer,
    Behaviour,
    Fault,
    MockWithFault,
    Next,
    Request,
)

VARIANTS: dict[str, Fault] = {}


def serve(name: str, ledgers: Mapping[str, str] = LEDGERS) -> MockWithFault:
    """Make the variant with this name."""
    return MockWithFault(VARIANTS[name], ledgers)


def allowed(why: str) -> Callable[[Behaviour], Behaviour]:
    """Register a function that responds in place of the mock, with the reason why the contract allows it."""

    def decorate(function: Behaviour) -> Behaviour:
        VARIANTS[function.__name__] = Fault(function.__name__, "allowed", why, behaviour=function)
        return function

    return decorate


def changes(why: str) -> Callable[[Callable[[Request, Answer], Answer]], Any]:
    """Register a function that changes the mock's response."""

    def decorate(function: Callable[[Request, Answer], Answer]) -> Any:
        def behaviour(_app: MockWithFault, request: Request, ask: Next) -> Answer:
            return function(request, ask(request))

        VARIANTS[function.__name__] = Fault(function.__name__, "allowed", why, behaviour=behaviour)
        return function

    return decorate
