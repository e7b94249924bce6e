"""Probes of credentials: without the token of the ledger, a request reads, reveals and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract_tests.api import (
    CHARGE_ID,
    CUSTOMER_NO,
    Api,
    change,
    charge_path,
    charges_path,
    customer_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)
from contract_tests.exchange import OPERATIONS, Exchange
from contract_tests.routes import Operation

from ._registry import probe


def operations(
    api: Api, customer: str, subscription: str, charges: tuple[Any, Any]
) -> Iterator[tuple[Operation, tuple[str, ...], Any]]:
    """Yield every operation of the contract on these resources, with the path segments and a valid body."""
    for operation in OPERATIONS.values():
        if operation.place is None:
            continue
        numbers: tuple[Any, ...] = (customer, subscription)[: operation.place.parents]
        if operation.role in {"read", "update", "delete"}:
            key = {"customer": customer, "subscription": subscription}.get(operation.kind, charges[len(numbers) - 1])
            numbers = (*numbers, key)
        yield operation, operation.place.segments(*numbers), _body(api, operation)


def _body(api: Api, operation: Operation) -> Any:
    match operation.role, operation.kind:
        case "create", "customer":
            return new_customer(api.number())
        case "create", "subscription":
            return new_subscription("123")
        case "create", "charge":
            return new_charge(product_code="P77")
        case "update", _:
            return change(quantity=77)
        case _:
            return ...


class _Held:
    """A customer with a subscription and charges, and a method that checks that they have not changed."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.customer = api.customer()
        self.subscription = api.subscription(self.customer)
        self.ids = (
            api.charge(self.customer)[CHARGE_ID],
            api.charge(self.customer, self.subscription)[CHARGE_ID],
        )
        self.before = self.state()

    def state(self) -> list[Any]:
        return [
            self.api.subscriptions(self.customer),
            self.api.charges(self.customer),
            self.api.charges(self.customer, self.subscription),
        ]

    def operations(self) -> Iterator[tuple[Operation, tuple[str, ...], Any]]:
        return operations(self.api, self.customer, self.subscription, self.ids)

    def is_untouched(self, how: str) -> None:
        self.api.same("a_refused_request_does_nothing", self.state(), self.before)


WRONG: list[tuple[str, dict[str, str | None]]] = [
    ("no header", {"Authorization": None}),
    ("an empty header", {"Authorization": ""}),
    ("no token", {"Authorization": "Bearer"}),
    ("a comma", {"Authorization": "Bearer ,"}),
    ("a wrong token", {"Authorization": "Bearer wrong-token"}),
    ("another scheme", {"Authorization": "Basic dXNlcjpwYXNz"}),
    ("null", {"Authorization": "Bearer null"}),
]


@probe("tenants and credentials")
def nothing_is_done_without_the_token(api: Api) -> None:
    """Every operation is refused with 401 without the token, with a wrong one or one nearly right; nothing is done."""
    held = _Held(api)
    near = [api.token[:-1], api.token + "x", api.token[1:], f"{api.token},{api.token}", api.token.swapcase()]
    wrong = WRONG + [
        (f"a token like {index}", {"Authorization": f"Bearer {each}"})
        for index, each in enumerate(near)
        if each != api.token
    ]
    wrong.append(("the token in another scheme", {"Authorization": f"Token {api.token}"}))
    wrong.append(
        ("the token in other headers", {"Authorization": None, "X-Api-Key": api.token, "Cookie": f"token={api.token}"})
    )
    for operation, segments, body in held.operations():
        for _, headers in wrong:
            api.expect(api.send(operation.method, *segments, body=body, headers=headers), 401, "unauthorized")
    held.is_untouched("401")


@probe("tenants and credentials")
def a_token_in_the_query_is_no_token(api: Api) -> None:
    """A token in the URL, where logs would keep it, is not taken."""
    held = _Held(api)
    for operation, segments, body in held.operations():
        for name in ("access_token", "token", "api_key", "authorization"):
            target = f"{api.path(*segments)}?{name}={api.token}"
            api.expect(
                api.send(operation.method, raw_path=target, body=body, headers={"Authorization": None}),
                401,
                "unauthorized",
            )
    held.is_untouched("a token in the query")


@probe("tenants and credentials")
def the_scheme_is_written_in_any_case(api: Api) -> None:
    """`Bearer` is taken in upper and lower case, as HTTP has it."""
    customer = api.customer()
    for scheme in ("Bearer", "bearer", "BEARER"):
        api.succeeds(api.get(*customer_path(customer), headers={"Authorization": f"{scheme} {api.token}"}))


@probe("tenants and credentials")
def credentials_come_before_everything_else(api: Api) -> None:
    """Without a token the answer does not tell what exists, or what would be valid."""
    held = _Held(api)
    nobody = api.number()
    for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong-token"}):
        answers: list[Exchange] = []
        for customer in (held.customer, nobody, "x" * 40):
            for segments in (customer_path(customer), subscriptions_path(customer), charges_path(customer, "9")):
                answers += [api.expect(api.get(*segments, headers=headers), 401, "unauthorized")]
        bodies: list[Any] = [new_customer(number) for number in (held.customer, nobody, "x" * 40)]
        for body in (*bodies, {}, []):
            if api.real and not (isinstance(body, dict) and body.get(CUSTOMER_NO, "").startswith(api.prefix)):
                continue  # outside the prefix
            answers += [api.expect(api.post(*customers_path(), body=body, headers=headers), 401, "unauthorized")]
        told = {(each.problem.get("title"), each.problem.get("detail")) for each in answers}
        api.same("a_refusal_tells_nothing", len(told), 1, answers[0])


@probe("tenants and credentials", ledgers=2)
def a_token_is_good_for_its_ledger_only(api: Api) -> None:
    """The token of another ledger is refused on every operation, and does nothing."""
    assert api.other is not None
    held = _Held(api)
    for headers in (
        {"Authorization": f"Bearer {api.other.token}"},
        {"Authorization": f"Bearer {api.other.token}", "X-Owner-No": api.ledger},
    ):
        for operation, segments, body in held.operations():
            api.expect(api.send(operation.method, *segments, body=body, headers=headers), (401, 403))
    held.is_untouched("another ledger's token")
    for ledger in (api.ledger + "0", "0", "9" * 20, api.ledger.lstrip("0") + "%"):
        api.expect(api.get(*customer_path(held.customer), ledger=ledger), (401, 403))


@probe("tenants and credentials", ledgers=2)
def ledgers_do_not_see_each_other(api: Api) -> None:
    """The same numbers in two ledgers are different customers; neither reads, lists, changes or removes the other's."""
    assert api.other is not None
    other = api.other
    held = _Held(api)
    for operation, segments, body in held.operations():
        if operation.role != "create" and operation.parameters[1:]:
            other.missing(other.send(operation.method, *segments, body=body), "customer")
    other.customer(held.customer)
    other.same("ledgers_are_apart", other.subscriptions(held.customer), [])
    other.same("ledgers_are_apart", other.charges(held.customer), [])
    other.missing(other.get(*charges_path(held.customer), str(held.ids[0])), "charge")
    other.subscription(held.customer, held.subscription)
    other.same("ledgers_are_apart", other.charges(held.customer, held.subscription), [])
    theirs = other.charge(held.customer, quantity=3)
    other.charge(held.customer, held.subscription, quantity=4)
    held.is_untouched("the other ledger's writes")
    route, subscription = charge_path((held.customer,), theirs), subscription_path(held.customer, held.subscription)
    if api.can_delete(*route):
        api.missing(api.delete(*route), "charge")
    other.succeeds(other.delete(*subscription))
    held.is_untouched("the other ledger's removal")


@probe("tenants and credentials")
def the_right_token_is_always_taken(api: Api) -> None:
    """No request with the right token is refused, however many there are."""
    customer = api.customer()
    for _ in range(20 if api.real else 300):
        api.succeeds(api.get(*customer_path(customer)))
