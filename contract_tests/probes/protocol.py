"""Probes of HTTP as the contract uses it: methods, routes and repeated reads."""

from __future__ import annotations

from contract_tests.api import (
    CHARGE_ID,
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
from contract_tests.exchange import CONTRACT

from ._registry import probe

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")


@probe("status and headers")
def other_methods_are_refused(api: Api) -> None:
    """A method that a path does not have is answered 405, with the methods that it has, and does nothing."""
    customer = api.customer()
    subscription = api.subscription(customer)
    charges = [api.charge(customer), api.charge(customer, subscription)]
    for place in CONTRACT.places.values():
        if api.real and place.kind == "customer":
            continue  # outside the prefix
        above = (customer, subscription)[: place.parents]
        key = {"customer": customer, "subscription": subscription}.get(place.kind, charges[len(above) - 1][CHARGE_ID])
        for segments in (place.segments(*above), place.segments(*above, key)):
            match = CONTRACT.match(CONTRACT.base_path + api.path(*segments).removeprefix(api.base_path))
            for method in METHODS:
                if match is not None and method in match.operations:
                    continue
                for body in (..., new_charge(product_code="P02")):
                    answer = api.send(method, *segments, body=body)
                    if method not in {"OPTIONS", "TRACE", "PROPFIND", "HEAD"} or not api.real:
                        api.expect(answer, 405, "method-not-allowed" if method != "HEAD" else None)
    api.same("a_refused_method_does_nothing", api.charges(customer), charges[:1])
    api.same("a_refused_method_does_nothing", api.charges(customer, subscription), charges[1:])


@probe("status and headers", writes=False)
def unknown_routes_are_not_found(api: Api) -> None:
    """A path that the contract does not have is not found, with a problem."""
    for segments in (("invoices",), (*customer_path("7"), "orders"), (*subscription_path("7", "1"), "x"), ("",)):
        for method in ("GET",) if api.real else ("GET", "POST", "DELETE"):
            api.expect(api.send(method, *segments), (404, 405))


@probe("status and headers")
def each_success_has_its_status(api: Api) -> None:
    """Each creation, read, change and removal is answered with the contract's status; a removal has no body."""
    for subscription in ("", "46701234567"):
        customer = api.number()
        route = charges_path(customer, subscription)
        parent = (customer, subscription) if subscription else (customer,)
        api.succeeds(api.post(*customers_path(), body=new_customer(customer)))
        api.succeeds(api.get(*customer_path(customer)))
        if subscription:
            api.succeeds(api.post(*subscriptions_path(customer), body=new_subscription(subscription)))
            api.succeeds(api.get(*subscription_path(customer, subscription)))
        api.succeeds(api.get(*subscriptions_path(customer)))
        api.succeeds(api.get(*route))
        made = [api.succeeds(api.post(*route, body=new_charge())).object for _ in "ab"]
        api.succeeds(api.get(*route))
        api.succeeds(api.get(*charge_path(parent, made[0])))
        api.succeeds(api.update(*charge_path(parent, made[0]), body=change(end_date="2026-12-31")))
        if api.can_delete(*charge_path(parent, made[0])):
            for each in made:
                api.succeeds(api.delete(*charge_path(parent, each)))
            api.same("removed", api.charges(*parent), [])
        if subscription:
            api.succeeds(api.delete(*subscription_path(customer, subscription)))


@probe("status and headers")
def the_same_read_gives_the_same_answer(api: Api) -> None:
    """A read repeated is the same read: status, body and order, two hundred times."""
    customer = api.customer()
    subscription = api.subscription(customer)
    for number in range(7):
        api.charge(customer, quantity=number + 1, text=f"no {number}", end_date="2026-12-31" if number % 2 else None)
        api.charge(customer, subscription, quantity=number + 1)
        api.subscription(customer, f"4670{number}")
    routes = [
        customer_path(customer),
        subscriptions_path(customer),
        subscription_path(customer, subscription),
        charges_path(customer),
        charges_path(customer, subscription),
    ]
    first = [api.succeeds(api.get(*route)) for route in routes]
    for _ in range(5 if api.real else 40):
        for before, route in zip(first, routes, strict=True):
            again = api.succeeds(api.get(*route))
            api.same("a_read_is_repeatable", again.json, before.json, again)
            api.same("headers_are_stable", set(again.headers) - {"date"}, set(before.headers) - {"date"}, again)


@probe("status and headers")
def an_accept_header_does_no_harm(api: Api) -> None:
    """Whatever a client would rather have, the answer is JSON, or 406."""
    customer = api.customer()
    for wanted in ("*/*", "application/json", "application/problem+json, application/json;q=0.9", None):
        api.succeeds(api.get(*customer_path(customer), headers={"Accept": wanted}))
