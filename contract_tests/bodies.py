"""Make request bodies. A caller names a property by role, such as `unit_price`; the contract gives its JSON name.

A body has every required property. If the suite does not know a required property, it makes a value from the schema.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from .description import Contract, ContractError
from .exchange import CONTRACT
from .schemas import FORMATS, JUDGE, Judge, exact, matching

# Values that are easy to read in a report. If the schema does not allow a value, it is replaced by a generated one.
USUAL: Mapping[str, Any] = {
    "product_code": "P01",
    "quantity": 1,
    "unit_price": Decimal("499.00"),
    "vat_rate": Decimal("25.00"),
    "text": "Fiber 500/500",
    "start_date": "2026-01-01",
    "end_date": "2026-12-31",
}


class Bodies:
    """Makes request bodies for one contract."""

    def __init__(self, contract: Contract = CONTRACT, judge: Judge = JUDGE) -> None:
        self._contract = contract
        self._judge = judge
        self._required: dict[int, dict[str, Any]] = {}  # by the id of a schema

    def new_customer(self, number: object, wire: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make the body that creates a customer. `wire` adds properties by their JSON names."""
        return self._new("customer", number, wire)

    def new_subscription(self, number: object, wire: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make the body that creates a subscription."""
        return self._new("subscription", number, wire)

    def new_charge(self, wire: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
        """Make the body that creates a charge. Values are named by role; `wire` adds properties by their JSON names."""
        return self._required_of(self._contract.creations["charge"]) | self.named(**values) | dict(wire or {})

    def change(self, wire: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
        """Make the body that changes a charge: the given values, and every property that a change requires."""
        return self._required_of(self._contract.change) | self.named(**values) | dict(wire or {})

    def full(self, kind: str) -> dict[str, Any]:
        """Make the body that creates a resource of a kind, with every property that the contract has."""
        return {name: self._usual(name, node) for name, node in self._contract.creations[kind]["properties"].items()}

    def full_change(self) -> dict[str, Any]:
        """Make the body that changes a charge, with every property that the contract has."""
        return {name: self._usual(name, node) for name, node in self._contract.change["properties"].items()}

    def unused(self, kind: str) -> Any:
        """Return a number or id that no resource has, of the type that the path parameter requires."""
        schema = self._contract.parameter_node(self._contract.place(kind).parameter)["schema"]
        values: tuple[Any, ...] = ("none", 2**31 - 1, str(uuid.uuid4()))
        return next((value for value in values if self._judge.takes(schema, value)), None) or self.sample(schema)

    def named(self, **values: Any) -> dict[str, Any]:
        """Replace the roles of values by JSON names."""
        return {self._contract.wire(role): value for role, value in values.items()}

    def fitting(self, **values: Any) -> dict[str, Any]:
        """Replace the roles of values by JSON names, and a value that a new charge may not have by one that it may."""
        properties = self._contract.creations["charge"]["properties"]
        return {
            name: value if self._judge.takes(properties.get(name, {}), value) else self.sample(properties[name])
            for name, value in self.named(**values).items()
        }

    def sample(self, schema: Mapping[str, Any]) -> Any:
        """Return a value that a schema allows.

        Raises:
            ContractError: no such value was found. Add an `example` to the schema.
        """
        node = self._contract.resolve(schema)
        for value in map(exact, self._candidates(node)):
            if self._judge.takes(schema, value):
                return value
        raise ContractError(f"no value for {dict(schema)} was found; add an example beside it in openapi.yaml")

    def _new(self, kind: str, number: object, wire: Mapping[str, Any] | None) -> dict[str, Any]:
        schema, key = self._contract.creations[kind], self._contract.keys[kind]
        own = {} if key not in schema["properties"] else {key: number}
        return self._required_of(schema) | own | dict(wire or {})

    def _required_of(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Return the required properties of a schema, each with a value: null if the contract allows it."""
        # Not made in the constructor: conftest.py imports this module, and Hypothesis refuses to make values there.
        if id(schema) not in self._required:
            properties = schema["properties"]
            self._required[id(schema)] = {
                name: None if self._judge.takes(properties[name], None) else self._usual(name, properties[name])
                for name in schema.get("required", ())
            }
        return self._required[id(schema)]

    def _usual(self, name: str, schema: Mapping[str, Any]) -> Any:
        value = next((value for role, value in USUAL.items() if self._contract.has(role, name)), None)
        return value if value is not None and self._judge.takes(schema, value) else self.sample(schema)

    def _candidates(self, node: Mapping[str, Any]) -> Any:
        yield from [node[name] for name in ("example", "default", "const") if name in node]
        yield from [*node.get("examples", ()), *node.get("enum", ())]
        for branch in [*node.get("anyOf", ()), *node.get("oneOf", ()), *node.get("allOf", ())]:
            yield from self._candidates(self._contract.resolve(branch))
        kind = node.get("type")
        match kind[0] if isinstance(kind, list) else kind:
            case "string":
                yield from self._texts(node)
            case "integer" | "number":
                low, high = node.get("minimum"), node.get("maximum")
                step = exact(dict(node)).get("multipleOf", 1)
                yield from (1, 0, 10, 100, *(value for value in (low, high, step) if value is not None))
            case "boolean":
                yield from (False, True)
            case "array":
                yield from (
                    [],
                    [self.sample(node["items"])] * max(1, node.get("minItems", 1)) if "items" in node else [],
                )
            case "object":
                yield {name: self.sample(node["properties"][name]) for name in node.get("required", ())}
            case None | "null":
                yield None

    def _texts(self, node: Mapping[str, Any]) -> Any:
        low, high = node.get("minLength", 0), node.get("maxLength", 20)
        if node.get("format") in FORMATS:
            yield FORMATS[node["format"]]
        yield from ("Example"[:high], "A" * max(low, 1), "1" * max(low, 1), date(2026, 1, 1).isoformat())
        if "pattern" in node:
            yield from matching(node["pattern"], low, high)


BODIES = Bodies()
