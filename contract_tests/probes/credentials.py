"""Who may do what: without the ledger's token nothing is read, told or done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract_tests.api import Api
from contract_tests.exchange import DOCUMENT, Exchange

from ._registry import probe


def operations(
    api: Api, customer: str, subscription: str, charges: tuple[str, str]
) -> Iterator[tuple[str, list[str], Any]]:
    """Every operation of the contract, on these resources, with a valid body."""
    bodies = {
        "create_customer": {"customerNo": api.number()},
        "create_subscription": {"subscriptionNo": "123"},
        "create_customer_recurring_product": {"productCode": "P77"},
        "create_subscription_recurring_product": {"productCode": "P77"},
        "update_customer_recurring_product": {"quantity": 77},
        "update_subscription_recurring_product": {"quantity": 77},
    }
    for path, item in DOCUMENT["paths"].items():
        charge = charges["subscriptionNo" in path]
        values = {"customerNo": customer, "subscriptionNo": subscription, "recurringProductId": charge}
        segments = [values[each[1:-1]] if each.startswith("{") else each for each in path.split("/")[2:]]
        for method, operation in item.items():
            if isinstance(operation, dict):
                yield method.upper(), segments, bodies.get(operation["operationId"], ...)


class _Held:
    """A customer with all that can hang on one, and a way to see that nothing of it has changed."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.customer = api.customer()
        self.subscription = api.subscription(self.customer)
        self.ids = (
            api.charge(self.customer)["recurringProductId"],
            api.charge(self.customer, self.subscription)["recurringProductId"],
        )
        self.before = self.state()

    def state(self) -> list[Any]:
        return [
            self.api.items("customers", self.customer, "subscriptions"),
            self.api.charges(self.customer),
            self.api.charges(self.customer, self.subscription),
        ]

    def operations(self) -> Iterator[tuple[str, list[str], Any]]:
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
    for method, segments, body in held.operations():
        for _, headers in wrong:
            api.expect(api.send(method, *segments, body=body, headers=headers), 401, "unauthorized")
    held.is_untouched("401")


@probe("tenants and credentials")
def a_token_in_the_query_is_no_token(api: Api) -> None:
    """A token in the URL, where logs would keep it, is not taken."""
    held = _Held(api)
    for method, segments, body in held.operations():
        for name in ("access_token", "token", "api_key", "authorization"):
            target = f"{api.path(*segments)}?{name}={api.token}"
            api.expect(
                api.send(method, raw_path=target, body=body, headers={"Authorization": None}), 401, "unauthorized"
            )
    held.is_untouched("a token in the query")


@probe("tenants and credentials")
def the_scheme_is_written_in_any_case(api: Api) -> None:
    """`Bearer` is taken in upper and lower case, as HTTP has it."""
    customer = api.customer()
    for scheme in ("Bearer", "bearer", "BEARER"):
        api.expect(api.get("customers", customer, headers={"Authorization": f"{scheme} {api.token}"}), 200)


@probe("tenants and credentials")
def credentials_come_before_everything_else(api: Api) -> None:
    """Without a token the answer does not tell what exists, or what would be valid."""
    held = _Held(api)
    nobody = api.number()
    for headers in ({"Authorization": None}, {"Authorization": "Bearer wrong-token"}):
        answers: list[Exchange] = []
        for customer in (held.customer, nobody, "x" * 40):
            for segments in (
                ("customers", customer),
                ("customers", customer, "subscriptions"),
                api.charges_of(customer, "9"),
            ):
                answers += [api.expect(api.get(*segments, headers=headers), 401, "unauthorized")]
        for body in ({"customerNo": held.customer}, {"customerNo": nobody}, {}, [], {"customerNo": "x" * 40}):
            if api.real and not (isinstance(body, dict) and body.get("customerNo", "").startswith(api.prefix)):
                continue  # outside the prefix
            answers += [api.expect(api.post("customers", body=body, headers=headers), 401, "unauthorized")]
        told = {(each.object.get("title"), each.object.get("detail")) for each in answers}
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
        for method, segments, body in held.operations():
            api.expect(api.send(method, *segments, body=body, headers=headers), (401, 403))
    held.is_untouched("another ledger's token")
    for ledger in (api.ledger + "0", "0", "9" * 20, api.ledger.lstrip("0") + "%"):
        api.expect(api.get("customers", held.customer, ledger=ledger), (401, 403))


@probe("tenants and credentials", ledgers=2)
def ledgers_do_not_see_each_other(api: Api) -> None:
    """The same numbers in two ledgers are different customers; neither reads, lists, changes or removes the other's."""
    assert api.other is not None
    other = api.other
    held = _Held(api)
    for method, segments, body in held.operations():
        if method in {"GET", "PATCH", "DELETE"}:
            other.expect(other.send(method, *segments, body=body), 404, "customer-not-found")
    other.customer(held.customer)
    other.same("ledgers_are_apart", other.items("customers", held.customer, "subscriptions"), [])
    other.same("ledgers_are_apart", other.charges(held.customer), [])
    other.expect(other.get(*other.charges_of(held.customer), held.ids[0]), 404, "recurring-product-not-found")
    other.subscription(held.customer, held.subscription)
    other.same("ledgers_are_apart", other.charges(held.customer, held.subscription), [])
    theirs = other.charge(held.customer, quantity=3)
    other.charge(held.customer, held.subscription, quantity=4)
    held.is_untouched("the other ledger's writes")
    api.expect(api.delete(*api.charges_of(held.customer), theirs["recurringProductId"]), 404)
    other.expect(other.delete("customers", held.customer, "subscriptions", held.subscription), 204)
    held.is_untouched("the other ledger's removal")


@probe("tenants and credentials")
def the_right_token_is_always_taken(api: Api) -> None:
    """No request with the right token is refused, however many there are."""
    customer = api.customer()
    for _ in range(20 if api.real else 300):
        api.expect(api.get("customers", customer), 200)
