"""Probes of links and operations: each one works, and none is missing."""

from __future__ import annotations

from typing import Any

from ..api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
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
from ..coverage import COVERAGE
from ..exchange import CONTRACT, items_of, link_of
from ..routes import singular
from ..rules import SELF, USUAL_METHODS
from ._registry import probe


def _resources(api: Api, *siblings: str) -> list[tuple[str, dict[str, Any]]]:
    """Return a customer and a subscription from each kind of response, with and without children.

    The list of subscriptions has `siblings`, too.
    """
    customer = api.number()
    created = api.succeeds(api.post(*customers_path(), body=new_customer(customer))).object
    subscription = api.succeeds(api.post(*subscriptions_path(customer), body=new_subscription("100"))).object
    for number in siblings:
        api.subscription(customer, number)
    api.charge(customer)
    api.charge(customer, "100")
    return [
        ("customer", created),
        ("customer", api.get(*customer_path(customer)).object),
        ("subscription", subscription),
        ("subscription", api.get(*subscription_path(customer, "100")).object),
        *(("subscription", each) for each in api.subscriptions(customer)),
    ]


def _adds(operation: dict[str, Any]) -> bool:
    return str(operation["rel"]).startswith("add-")


@probe("hypermedia")
def what_is_advertised_works(api: Api) -> None:
    """Every operation of a resource can be called as it says."""
    for _, resource in _resources(api):
        for index, operation in enumerate(resource.get("operations") or ()):
            href, method, rel = operation["href"], operation["method"], operation["rel"]
            if not href.startswith(api.base_path + "/"):
                api.broke("an_operation_stays_in_the_api", f"{rel} leads to {href}")
            _is_in_the_contract(api, resource, operation)
            match = CONTRACT.match(href)
            called = match.operations.get(method) if match else None
            if called is None or called.role != "create":
                continue
            is_charge = called.kind == "charge"
            body = new_charge() if is_charge else new_subscription(f"{api.number()}-{index}")
            answer = api.succeeds(api.send(method, raw_path=href, body=body))
            listed = api.all_of(api.send("GET", raw_path=href))
            name = CHARGE_ID if is_charge else SUBSCRIPTION_NO
            if answer.object[name] not in [each[name] for each in listed]:
                api.broke("what_is_advertised_works", f"{rel} added nothing to {href}", answer)


@probe("hypermedia")
def what_works_is_advertised(api: Api) -> None:
    """A resource that tells its operations tells all that may add to it, once each."""
    for kind, resource in [*_resources(api), *_resources(api, "101", "102")]:
        operations = resource.get("operations")
        if isinstance(operations, list) and not api.real:
            told = sorted((each["rel"], each["href"].rpartition("/")[2]) for each in operations if _adds(each))
            children = [
                each for each in CONTRACT.children(kind) if CONTRACT.operation("create", each.kind, each.parents)
            ]
            expected = sorted((f"add-{singular(each.segment)}", each.segment) for each in children)
            api.same("what_works_is_advertised", told, expected)
        elif operations is None and not api.real:
            api.broke("what_works_is_advertised", f"a {kind} tells no operations")


@probe("hypermedia")
def links_lead_where_they_say(api: Api) -> None:
    """`@id` reads as the resource it stands in, and the links of a resource read as its collections."""
    for kind, resource in _resources(api):
        if SELF in resource:
            read = api.succeeds(api.send("GET", raw_path=resource[SELF]))
            api.same("an_id_leads_to_itself", read.object, resource, read)
        for name, place in CONTRACT.links[kind].items():
            listed = api.succeeds(api.send("GET", raw_path=resource[name]))
            items = items_of(listed)
            api.same("links_lead_where_they_say", len(items), 1, listed)
            if place.kind == "subscription":
                api.same("links_lead_where_they_say", items[0][SUBSCRIPTION_NO], "100")
            for item in items:
                own = api.succeeds(api.send("GET", raw_path=item[SELF]))
                api.same("an_id_leads_to_itself", own.object, item, own)
            if "self" in CONTRACT.list_links[listed.operation or ""]:
                again = api.succeeds(api.send("GET", raw_path=link_of(listed, "self")))
                api.same("an_id_leads_to_itself", again.object, listed.object, again)


@probe("hypermedia")
def a_creation_says_where_it_is(api: Api) -> None:
    """`@id` of a creation, and Location if there is one, read as what was created."""
    customer = api.number()
    for route, body in (
        (customers_path(), new_customer(customer)),
        (subscriptions_path(customer), new_subscription("1 2/3")),
        (charges_path(customer), new_charge()),
        (charges_path(customer, "1 2/3"), new_charge()),
    ):
        created = api.succeeds(api.post(*route, body=body))
        for target in {created.object.get(SELF), created.headers.get("location")} - {None}:
            read = api.succeeds(api.send("GET", raw_path=target))
            api.same("an_id_leads_to_itself", read.object, created.object, read)


@probe("hypermedia")
def a_charge_does_not_advertise_what_fails(api: Api) -> None:
    """A charge advertises nothing, or what can be called on it."""
    customer = api.customer()
    subscription = api.subscription(customer)
    for parent in ((customer,), (customer, subscription)):
        made = api.charge(*parent)
        for charge in (made, api.get(*charge_path(parent, made)).object, api.charges(*parent)[0]):
            for operation in charge.get("operations") or ():
                _is_in_the_contract(api, charge, operation)


def _is_in_the_contract(api: Api, resource: dict[str, Any], operation: dict[str, Any]) -> None:
    """Check that an operation leads to a path and a method of the contract.

    The contract tolerates unknown relations and methods. A usual method that a path does not have works nowhere.
    """
    match = CONTRACT.match(operation["href"])
    rel, method = str(operation["rel"]), operation["method"]
    if match is not None and method in match.operations:
        return
    if rel.startswith("add-") or (match is not None and method in USUAL_METHODS):
        api.broke("what_is_advertised_works", f"{rel} is {method} {operation['href']}")
    if SELF in resource:
        shown = api.send("GET", raw_path=resource[SELF])
        COVERAGE.observe(f"a resource has the operation {rel} ({method}), which the contract does not have", shown)
