"""Methods, routes and repeated reads: HTTP as the contract uses it."""

from __future__ import annotations

from contract_tests.api import Api
from contract_tests.exchange import DOCUMENT

from ._registry import probe

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@probe("status and headers")
def other_methods_are_refused(api: Api) -> None:
    """A method that a path does not have is answered 405, with the methods that it has, and does nothing."""
    customer = api.customer()
    subscription = api.subscription(customer)
    charges = [api.charge(customer), api.charge(customer, subscription)]
    for path, item in DOCUMENT["paths"].items():
        if api.real and "customerNo" not in path:
            continue  # outside the prefix
        charge = charges["subscriptionNo" in path]
        values = {
            "customerNo": customer,
            "subscriptionNo": subscription,
            "recurringProductId": charge["recurringProductId"],
        }
        segments = [values[each[1:-1]] if each.startswith("{") else each for each in path.split("/")[2:]]
        for method in METHODS:
            if method.lower() not in item:
                for body in (..., {"productCode": "P02"}):
                    answer = api.send(method, *segments, body=body)
                    if method not in {"OPTIONS", "TRACE", "PROPFIND", "HEAD"} or not api.real:
                        api.expect(answer, 405, "method-not-allowed" if method != "HEAD" else None)
    api.same("a_refused_method_does_nothing", api.charges(customer), charges[:1])
    api.same("a_refused_method_does_nothing", api.charges(customer, subscription), charges[1:])


@probe("status and headers", writes=False)
def unknown_routes_are_not_found(api: Api) -> None:
    """A path that the contract does not have is not found, with a problem."""
    for segments in (("invoices",), ("customers", "7", "orders"), ("customers", "7", "subscriptions", "1", "x"), ("",)):
        for method in ("GET",) if api.real else ("GET", "POST", "DELETE"):
            api.expect(api.send(method, *segments), (404, 405))


@probe("status and headers")
def each_success_has_its_status(api: Api) -> None:
    """Creations are 201, reads and changes 200, removals 204 without a body."""
    for subscription in ("", "46701234567"):
        customer = api.number()
        route = api.charges_of(customer, subscription)
        api.expect(api.post("customers", body={"customerNo": customer}), 201)
        api.expect(api.get("customers", customer), 200)
        if subscription:
            api.expect(api.post("customers", customer, "subscriptions", body={"subscriptionNo": subscription}), 201)
            api.expect(api.get("customers", customer, "subscriptions", subscription), 200)
        api.expect(api.get("customers", customer, "subscriptions"), 200)
        api.expect(api.get(*route), 200)
        made = [
            api.expect(api.post(*route, body={"productCode": "P01"}), 201).object["recurringProductId"] for _ in "ab"
        ]
        api.expect(api.get(*route), 200)
        api.expect(api.get(*route, made[0]), 200)
        api.expect(api.patch(*route, made[0], body={"endDate": "2026-12-31"}), 200)
        for each in made:
            api.expect(api.delete(*route, each), 204)
        api.same("removed", api.expect(api.get(*route), 200).object["items"], [])
        if subscription:
            api.expect(api.delete("customers", customer, "subscriptions", subscription), 204)


@probe("status and headers")
def the_same_read_gives_the_same_answer(api: Api) -> None:
    """A read repeated is the same read: status, body and order, two hundred times."""
    customer = api.customer()
    subscription = api.subscription(customer)
    for number in range(7):
        api.charge(customer, quantity=number + 1, text=f"no {number}", endDate="2026-12-31" if number % 2 else None)
        api.charge(customer, subscription, quantity=number + 1)
        api.subscription(customer, f"4670{number}")
    routes = [
        ("customers", customer),
        ("customers", customer, "subscriptions"),
        ("customers", customer, "subscriptions", subscription),
        api.charges_of(customer),
        api.charges_of(customer, subscription),
    ]
    first = [api.expect(api.get(*route), 200) for route in routes]
    for _ in range(5 if api.real else 40):
        for before, route in zip(first, routes, strict=True):
            again = api.expect(api.get(*route), 200)
            api.same("a_read_is_repeatable", again.json, before.json, again)
            api.same("headers_are_stable", set(again.headers) - {"date"}, set(before.headers) - {"date"}, again)


@probe("status and headers")
def an_accept_header_does_no_harm(api: Api) -> None:
    """Whatever a client would rather have, the answer is JSON, or 406."""
    customer = api.customer()
    for wanted in ("*/*", "application/json", "application/problem+json, application/json;q=0.9", None):
        api.expect(api.get("customers", customer, headers={"Accept": wanted}), 200)
