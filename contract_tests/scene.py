"""A small set of resources in one ledger, every operation of the contract on it, and a comparison of its state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
    change,
    charge_path,
    customer_path,
    new_charge,
    new_customer,
    new_subscription,
    subscription_path,
)
from .bodies import BODIES
from .exchange import CONTRACT, OPERATIONS, Exchange
from .routes import Operation


@dataclass(frozen=True)
class Ask:
    """A request of one operation, valid until a field is replaced.

    Attributes:
        numbers: the values of the path parameters below the ledger.
        raw: percent-encoded segments that replace the values of path parameters, by position in `numbers`.
        body: the request body; `...` if there is none.
        content: the bytes of the body. They replace `body`.
        prefix: what the number of each customer begins with that may be written to; empty if all may.
    """

    operation: Operation
    numbers: tuple[str, ...]
    body: Any = ...
    content: bytes | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    raw: Mapping[int, str] = field(default_factory=dict)
    query: str = ""
    ledger: str | None = None
    prefix: str = ""

    def path(self, api: Api) -> str:
        """Return the percent-encoded path."""
        if not self.raw:
            return api.path(*self.operation.place.segments(*self.numbers), ledger=self.ledger)  # type: ignore[union-attr]
        marks = [f"-{index}-mark-" for index in range(len(self.numbers))]
        path = replace(self, numbers=tuple(marks), raw={}).path(api)
        for index, mark in enumerate(marks):
            path = path.replace(mark, self.raw.get(index) or api.path(self.numbers[index]).rpartition("/")[2])
        return path

    def send(self, api: Api, **options: Any) -> Exchange:
        """Send the request. A POST without a body is sent with a body of no bytes."""
        query = f"?{self.query}" if self.query else ""
        return api.send(
            self.operation.method,
            raw_path=self.path(api) + query,
            body=self.body,
            content=self.content,
            headers=self.headers,
            **options,
        )

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path parameters below the ledger, in the order of `numbers`."""
        return tuple(name for name in self.operation.parameters if name != CONTRACT.ledger_parameter)

    def kind_at(self, index: int) -> str:
        """Return the kind of resource that a path parameter names."""
        return next(place.kind for place in CONTRACT.places.values() if place.parameter == self.parameters[index])


class Scene:
    """A customer with two subscriptions, and charges on each level, in one ledger.

    Args:
        number: the customer's number; a new one by default.
        quantity: the quantity of the charges, so that two scenes with the same numbers differ.
        charges: how many charges each parent has.
    """

    def __init__(self, api: Api, number: str | None = None, *, quantity: int = 5, charges: int = 1) -> None:
        self.api = api
        self.customer = api.customer(number)
        self.subscription = api.subscription(self.customer, "46701234567")
        self.parents: tuple[tuple[str, ...], ...] = (
            (self.customer,),
            (self.customer, self.subscription),
            (self.customer, api.subscription(self.customer, "46709999999")),
        )
        values = {name: value for name, value in BODIES.full("charge").items() if not CONTRACT.has("quantity", name)}
        values |= BODIES.fitting(quantity=quantity)
        made = [[api.charge(*parent, wire=values)[CHARGE_ID] for _ in range(charges)] for parent in self.parents]
        self.ids = [str(ids[-1]) for ids in made]
        self.before = self.state()

    def state(self) -> list[Any]:
        """Read everything that the scene has: each resource alone and in its list; on a real endpoint in its list."""
        api = self.api
        found: list[Any] = [api.succeeds(api.get(*customer_path(self.customer))).object]
        found.append(sorted(each[SUBSCRIPTION_NO] for each in api.subscriptions(self.customer)))
        if api.real:
            return found + [api.charges(*parent) for parent in self.parents]
        found += [api.succeeds(api.get(*subscription_path(*parent))).object for parent in self.parents[1:]]
        for parent, own in zip(self.parents, self.ids, strict=True):
            found.append(api.charges(*parent))
            found.append(api.succeeds(api.get(*charge_path(parent, {CHARGE_ID: own}))).object)
        return found

    def is_untouched(self, promise: str, exchange: Exchange | None = None) -> None:
        """Check that nothing of the scene has changed since it was made."""
        self.api.same(promise, self.state(), self.before, exchange)

    def asks(self) -> Iterator[Ask]:
        """Yield a valid request of every operation of the contract on the scene.

        The creation of a customer is left out on a real endpoint, where a customer cannot be removed.
        """
        for operation in OPERATIONS.values():
            if operation.place is None:
                continue
            if operation.kind == "customer" and operation.role == "create" and self.api.real:
                continue
            numbers: tuple[str, ...] = (self.customer, self.subscription)[: operation.place.parents]
            if operation.role in {"read", "update", "delete"}:
                own = {"customer": self.customer, "subscription": self.subscription}
                numbers = (*numbers, own.get(operation.kind, self.ids[len(numbers) - 1]))
            yield Ask(operation, numbers, self.body(operation), prefix=self.api.prefix)

    def body(self, operation: Operation) -> Any:
        """Return a valid body of an operation that would change the scene; `...` if the operation has no body."""
        match operation.role, operation.kind:
            case "create", "customer":
                return new_customer(self.api.number())
            case "create", "subscription":
                return new_subscription("46705555555")
            case "create", "charge":
                return new_charge(BODIES.fitting(quantity=77))
            case "update", _:
                return change(BODIES.fitting(quantity=77))
            case _:
                return ...

    def writes(self) -> Iterator[Ask]:
        """Yield a valid request of every operation with a body."""
        return (ask for ask in self.asks() if ask.body is not ...)
