"""What is advertised works, what works is advertised, and every link leads where it says."""

from __future__ import annotations

from typing import Any

from contract_tests.api import Api
from contract_tests.exchange import CONTRACT

from ._registry import probe

# What may be done where, and a body to do it with.
ADD = {
    "customer": {"add-subscription": {"subscriptionNo": "200"}, "add-recurring-product": {"productCode": "P01"}},
    "subscription": {"add-recurring-product": {"productCode": "P01"}},
}


def _resources(api: Api) -> list[tuple[str, dict[str, Any]]]:
    """A customer and a subscription as every answer shows them: created, read, listed, with and without children."""
    customer = api.number()
    created = api.expect(api.post("customers", body={"customerNo": customer}), 201).object
    subscription = api.expect(
        api.post("customers", customer, "subscriptions", body={"subscriptionNo": "100"}), 201
    ).object
    api.charge(customer)
    api.charge(customer, "100")
    return [
        ("customer", created),
        ("customer", api.get("customers", customer).object),
        ("subscription", subscription),
        ("subscription", api.get("customers", customer, "subscriptions", "100").object),
        ("subscription", api.items("customers", customer, "subscriptions")[0]),
    ]


@probe("hypermedia")
def what_is_advertised_works(api: Api) -> None:
    """Every operation of a resource can be called as it says."""
    for kind, resource in _resources(api):
        for index, operation in enumerate(resource.get("operations") or ()):
            href, method, rel = operation["href"], operation["method"], operation["rel"]
            if not href.startswith(api.base_path + "/"):
                api.broke("an_operation_stays_in_the_api", f"{rel} leads to {href}")
            _is_in_the_contract(api, operation)
            body = ADD[kind].get(rel)
            if body is None:
                continue
            if "subscriptionNo" in body:
                body = {"subscriptionNo": f"{api.number()}-{index}"}
            answer = api.send(method, raw_path=href, body=body)
            api.expect(answer, 201)
            listed = api.expect(api.send("GET", raw_path=href), 200).object["items"]
            name = "subscriptionNo" if "subscriptionNo" in body else "recurringProductId"
            if answer.object[name] not in [each[name] for each in listed]:
                api.broke("what_is_advertised_works", f"{rel} added nothing to {href}", answer)


@probe("hypermedia")
def what_works_is_advertised(api: Api) -> None:
    """A resource that tells its operations tells all that may add to it, once each."""
    for kind, resource in _resources(api):
        operations = resource.get("operations")
        if isinstance(operations, list) and not api.real:
            told = sorted(each["rel"] for each in operations if each["rel"].startswith("add-"))
            api.same("what_works_is_advertised", told, sorted(ADD[kind]))
        elif operations is None and not api.real:
            api.broke("what_works_is_advertised", f"a {kind} tells no operations")


@probe("hypermedia")
def links_lead_where_they_say(api: Api) -> None:
    """`@id` reads as the resource it stands in, and the links of a resource read as its collections."""
    for _, resource in _resources(api):
        read = api.expect(api.send("GET", raw_path=resource["@id"]), 200)
        api.same("an_id_leads_to_itself", read.object, resource, read)
        charges = api.expect(api.send("GET", raw_path=resource["recurringProducts"]), 200)
        api.same("links_lead_where_they_say", len(charges.object["items"]), 1, charges)
        for charge in charges.object["items"]:
            own = api.expect(api.send("GET", raw_path=charge["@id"]), 200)
            api.same("an_id_leads_to_itself", own.object, charge, own)
        again = api.expect(api.send("GET", raw_path=charges.object["navigation"]["@id"]), 200)
        api.same("an_id_leads_to_itself", again.object, charges.object, again)
        if "subscriptions" in resource:
            found = api.expect(api.send("GET", raw_path=resource["subscriptions"]), 200).object["items"]
            api.same("links_lead_where_they_say", [each["subscriptionNo"] for each in found], ["100"])


@probe("hypermedia")
def a_creation_says_where_it_is(api: Api) -> None:
    """`@id` of a creation, and Location if there is one, read as what was created."""
    customer = api.number()
    for route, body in (
        (("customers",), {"customerNo": customer}),
        (("customers", customer, "subscriptions"), {"subscriptionNo": "1 2/3"}),
        (api.charges_of(customer), {"productCode": "P01"}),
        (api.charges_of(customer, "1 2/3"), {"productCode": "P01"}),
    ):
        created = api.expect(api.post(*route, body=body), 201)
        for target in {created.object["@id"], created.headers.get("location", created.object["@id"])}:
            read = api.expect(api.send("GET", raw_path=target), 200)
            api.same("an_id_leads_to_itself", read.object, created.object, read)


@probe("hypermedia")
def a_charge_does_not_advertise_what_fails(api: Api) -> None:
    """A charge advertises nothing, or what can be called on it."""
    customer = api.customer()
    api.subscription(customer)
    for parent in ((customer,), (customer, "46701234567")):
        made = api.charge(*parent)
        route = (*api.charges_of(*parent), made["recurringProductId"])
        for charge in (made, api.get(*route).object, api.charges(*parent)[0]):
            for operation in charge.get("operations") or ():
                _is_in_the_contract(api, operation)


def _is_in_the_contract(api: Api, operation: dict[str, Any]) -> None:
    """An operation of any relation, also one that is not known, leads to a path and a method that exist."""
    match = CONTRACT.match(operation["href"].encode())
    if match is None or operation["method"] not in match.route.operations:
        api.broke("what_is_advertised_works", f"{operation['rel']} is {operation['method']} {operation['href']}")
