"""Corrected contracts for the tests of the suite itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .bodies import Bodies
from .description import Contract
from .exchange import DOCUMENT
from .routes import snake
from .schemas import Judge


def corrected(change: Callable[[Any], None]) -> tuple[Contract, Bodies, Judge]:
    """Return the contract after a correction, with the objects that make and validate its bodies."""
    document = copy.deepcopy(DOCUMENT)
    change(document)
    contract, judge = Contract(document), Judge(document)
    return contract, Bodies(contract, judge), judge


def every_body_is_valid(contract: Contract, bodies: Bodies, judge: Judge) -> None:
    """Check that the contract allows each body that the suite sends."""
    made = {
        ("create", "customer"): bodies.new_customer("1"),
        ("create", "subscription"): bodies.new_subscription("1"),
        ("create", "charge"): bodies.new_charge(unit_price=Decimal("1.50"), text="x", end_date=None),
        ("update", "charge"): bodies.change(quantity=2),
    }
    for (role, kind), body in made.items():
        operation = contract.operation(role, kind)
        assert operation is not None
        assert operation.body is not None
        assert list(judge.validator(operation.body).iter_errors(body)) == []


def renamed(names: dict[str, str], *schemas: str) -> Callable[[Any], None]:
    """Return a correction that renames properties. `x-sdk` keeps the role of each property."""

    def change(document: Any) -> None:
        for name in schemas:
            schema = document["components"]["schemas"][name]
            schema["properties"] = {
                names.get(key, key): ({**node, "x-sdk": {"name": snake(key)}} if key in names else node)
                for key, node in schema["properties"].items()
            }
            schema["required"] = [names.get(key, key) for key in schema.get("required", [])]

    return change
