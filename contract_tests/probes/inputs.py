"""What the schemas take is taken and held as it was sent; what they refuse is refused, and named."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contract_tests.api import Api, NotTried
from contract_tests.schemas import CHARACTERS, OTHER_TYPES, accepted, body_schema, parameter_schema, refused

from ._registry import probe

CHARGE = body_schema("create_customer_recurring_product") or {}
CHANGE = body_schema("update_customer_recurring_product") or {}
LEVELS = ("", "46701234567")


def _parents(api: Api) -> Iterator[tuple[str, ...]]:
    """A fresh customer, and a fresh subscription of another."""
    for level in LEVELS:
        customer = api.customer()
        yield (customer, api.subscription(customer, level)) if level else (customer,)


@probe("input accepted")
def new_customer_numbers_are_taken_as_the_schema_says(api: Api) -> None:
    """A customer number on the border is taken and read back; one beyond is refused, and named."""
    schema = (body_schema("create_customer") or {})["properties"]["customerNo"]
    for value in accepted(schema):
        number = api.prefix + value[: 15 - len(api.prefix)]
        created = api.expect(api.post("customers", body={"customerNo": number}), (201, 409))
        read = api.expect(api.get("customers", number), 200)
        if created.status == 201:
            api.same("held_as_sent", _bare(read.object), _bare(created.object), read)
    for value in refused(schema):
        if api.real and not (isinstance(value, str) and value.startswith(api.prefix)):
            continue  # a real endpoint that took it would hold a customer outside the prefix
        api.expect(api.post("customers", body={"customerNo": value}), 400, "validation", "customerNo")


@probe("input accepted")
def new_subscription_numbers_are_taken_as_the_schema_says(api: Api) -> None:
    """A subscription number on the border is taken and read back; one beyond is refused, and named."""
    schema = (body_schema("create_subscription") or {})["properties"]["subscriptionNo"]
    customer = api.customer()
    route = ("customers", customer, "subscriptions")
    taken = []
    for value in accepted(schema):
        created = api.expect(api.post(*route, body={"subscriptionNo": value}), 201)
        read = api.expect(api.get(*route, value), 200)
        api.same("held_as_sent", _bare(read.object), _bare(created.object), read)
        taken.append(value)
    for value in refused(schema):
        api.expect(api.post(*route, body={"subscriptionNo": value}), 400, "validation", "subscriptionNo")
    api.same("only_the_valid_is_held", [each["subscriptionNo"] for each in api.items(*route)], taken)


@probe("input accepted")
def values_of_a_new_charge_are_taken_as_the_schema_says(api: Api) -> None:
    """Each value of a charge on its border is taken and held exactly; one beyond is refused, and named."""
    for parent in _parents(api):
        route, held = api.charges_of(*parent), []
        for name, schema in CHARGE["properties"].items():
            for value in accepted(schema):
                created = api.charge(*parent, **{name: value})
                read = api.expect(api.get(*route, created["recurringProductId"]), 200)
                api.same("held_as_sent", _bare(read.object), _bare(created), read)
                held.append(_bare(created))
            for value in refused(schema):
                answer = api.post(*route, body={"productCode": "P01", name: value})
                api.expect(answer, 400, "validation", name)
        api.same("only_the_valid_is_held", [_bare(each) for each in api.charges(*parent)], held)


@probe("input accepted")
def values_of_a_change_are_taken_as_the_schema_says(api: Api) -> None:
    """Each value of a change on its border is taken and held exactly; one beyond is refused, and changes nothing."""
    for parent in _parents(api):
        for name, schema in CHANGE["properties"].items():
            route = (*api.charges_of(*parent), api.charge(*parent, quantity=2)["recurringProductId"])
            before = api.get(*route).object
            for value in accepted(schema):
                changed = api.expect(api.patch(*route, body={name: value}), 200)
                before = api.expect(api.get(*route), 200).object
                api.same("held_as_sent", _bare(before), _bare(changed.object), changed)
                api.same("held_as_sent", before.get(name), value, changed)
            for value in refused(schema):
                api.expect(api.patch(*route, body={name: value}), 400, "validation", name)
            api.same("a_refused_change_changes_nothing", _bare(api.get(*route).object), _bare(before))


@probe("input accepted")
def a_required_property_is_required(api: Api) -> None:
    """A body without a required property is refused, and the property named; nothing is made."""
    for route, name in _creations(api):
        before = api.items(*route) if len(route) > 1 else []
        for body in ({}, {"other": 1}, {"text": "x"}):
            api.expect(api.send("POST", *route, body=body), 400, "validation", name)
        if len(route) > 1:
            api.same("only_the_valid_is_held", api.items(*route), before)


@probe("problems")
def every_parameter_that_failed_is_named(api: Api) -> None:
    """A request with several faults is told of each."""
    for parent in _parents(api):
        wrong = {"productCode": "", "quantity": 0, "vatRate": 101, "startDate": "soon"}
        answer = api.post(*api.charges_of(*parent), body={"text": "x", **wrong})
        for name in wrong:
            api.expect(answer, 400, "validation", name)
        named = {name for each in answer.object["problems"] for name in each}
        api.same("names_the_parameter", named, set(wrong), answer)


@probe("input refused")
def an_optional_property_may_be_left_out(api: Api) -> None:
    """A charge needs nothing but its product code, and what was left out is absent or null."""
    for parent in _parents(api):
        created = api.charge(*parent)
        for name in CHARGE["properties"]:
            if name != "productCode" and created.get(name) is not None:
                api.broke("nothing_is_invented", f"{name} was not sent, but is {created[name]!r}")
        full = {"quantity": 2, "unitPrice": 5, "vatRate": 25, "text": "x", "startDate": "2026-01-01", "endDate": None}
        for name in full:
            api.charge(*parent, **{key: value for key, value in full.items() if key != name})


@probe("input accepted")
def a_body_is_an_object(api: Api) -> None:
    """A body of any other type, and none at all, is refused with a problem that names it."""
    for method, route, _ in _bodies(api):
        for value in OTHER_TYPES:
            if not isinstance(value, dict):
                api.expect(api.send(method, *route, body=value), 400, "validation")
        api.expect(api.send(method, *route, content=b""), 400, "validation")


@probe("input accepted")
def a_body_is_json(api: Api) -> None:
    """What is not JSON in UTF-8 is refused with a problem."""
    texts = [
        b"{", b'{"productCode":', b"[", b'{"a":1,}', b"{'a':1}", b"nonsense", b"{}{}", b"\x00", b"\xff\xfe{}",
        b'"\xe5"', b'{"productCode":"P01","text":"\xe5"}', b'{"productCode":"P01","quantity":NaN}',
        b'{"quantity":Infinity}',
        b'{"productCode":"P01","quantity":01}', b'{"productCode":"\x01"}', b"/* */{}", b"<a/>", b"a=b", b"[" * 20_000,
    ]  # fmt: skip
    for method, route, _ in _bodies(api):
        for text in texts:
            api.expect(api.send(method, *route, content=text), 400, "validation")


@probe("input accepted")
def odd_json_does_no_harm(api: Api) -> None:
    """Valid but odd JSON is taken or refused, and never makes the server fail."""
    long = b"x" * 20_000
    texts = [
        b'{"productCode":"P01","productCode":"P02"}',
        b'{"productCode":"P01","text":"\\ud800"}',
        b'\xef\xbb\xbf{"productCode":"P01"}',
        b'{"productCode":"P01","unitPrice":1e400}',
        b'{"productCode":"P01","unitPrice":1e-400}',
        b'{"productCode":"P01","unitPrice":-0.0}',
        b'{"productCode":"P01","quantity":1e2}',
        b'{"productCode":"P01","' + long + b'":1}',
        b'{"productCode":"P01","":1}',
        b'{"productCode":"P01","__proto__":{"a":1}}',
        b'{"productCode":"P01","n":' + b"9" * 5_000 + b"}",
        b' \n{"productCode":"P01"}\t',
        b'{"productCode":"P01","deep":' + b"[" * 200 + b"]" * 200 + b"}",
    ]
    for parent in _parents(api):
        for text in texts:
            api.expect(api.send("POST", *api.charges_of(*parent), content=text), (201, 400))
        api.charges(*parent)  # and all that is held now can be read


@probe("input accepted")
def a_body_is_called_json(api: Api) -> None:
    """Only `application/json` in UTF-8 is a body's media type."""
    for method, route, body in _bodies(api):
        for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "text/json", None):
            answer = api.send(method, *route, body=body, headers={"Content-Type": media_type})
            api.expect(answer, 415, "unsupported-media-type")
    customer = api.customer()
    for media_type in ("application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"'):
        api.expect(
            api.post(*api.charges_of(customer), body={"productCode": "P01"}, headers={"Content-Type": media_type}), 201
        )


@probe("input accepted")
def a_huge_body_is_refused(api: Api) -> None:
    """A body of a megabyte is refused as too large, or as invalid; the server lives on."""
    for method, route, _ in _bodies(api):
        api.expect(api.send(method, *route, body={"productCode": "P01", "text": "x" * 1_000_000}), (400, 413))


@probe("input accepted", writes=False)
def path_parameters_are_taken_as_the_schema_says(api: Api) -> None:
    """A path parameter on its border is looked up; one beyond is refused, and named."""
    for segments, position in (
        (["customers", "7"], 1),
        (["customers", "7", "subscriptions"], 1),
        (["customers", "7", "subscriptions", "1"], 3),
        (["customers", "7", "recurring-products"], 1),
        (["customers", "7", "subscriptions", "1", "recurring-products"], 3),
        (["customers", "7", "recurring-products", "a"], 1),
    ):
        name = {1: "customerNo", 3: "subscriptionNo"}[position]
        schema = parameter_schema(name)
        for value in accepted(schema):
            if value not in {".", ".."}:
                route = [*segments[:position], value, *segments[position + 1 :]]
                api.expect(api.get(*route), (200, 404))
        for value in refused(schema):
            if isinstance(value, str) and value:
                route = [*segments[:position], value, *segments[position + 1 :]]
                api.expect(api.get(*route), 400, "validation", name)


@probe("input accepted", writes=False)
def strange_ids_do_no_harm(api: Api) -> None:
    """A charge is looked up by any id, however strange or long, and is not found."""
    ids = [*(f"a{each}b" for each in CHARACTERS), "x" * 2000, "%41", "' OR 1=1 --", "../x", "0", "null", "-1"]
    for each in ids:
        api.expect(api.get("customers", "7", "recurring-products", each), 404)
    for raw in ("%FF", "%C3", "%ED%A0%80", "%00"):
        api.expect(api.send("GET", raw_path=api.path("customers") + "/" + raw), 400, "validation", "customerNo")


@probe("input accepted")
def a_number_is_one_segment(api: Api) -> None:
    """`%2F` in a number is not a border of segments, `%41` is `A`, and upper case is not lower case."""
    if api.real:
        raise NotTried("whether `%2F` passes a real ingress is not known")
    number = api.number()[:10]
    slashed, upper, lower = f"{number}/s", f"{number}X", f"{number}x"
    for each in (slashed, upper):
        api.customer(each)
    read = api.expect(api.get("customers", slashed), 200)
    api.same("held_as_sent", read.object["customerNo"], slashed, read)
    api.expect(api.get("customers", lower), 404, "customer-not-found")
    api.customer(lower)
    encoded = "".join(f"%{ord(each):02x}" for each in upper)
    read = api.expect(api.send("GET", raw_path=f"{api.path('customers')}/{encoded}"), 200)
    api.same("held_as_sent", read.object["customerNo"], upper, read)
    api.expect(api.get("customers", slashed, "recurring-products"), 200)
    api.expect(api.get(*api.charges_of(number.partition("/")[0], "s")), 404)


@probe("input accepted")
def routes_are_exact(api: Api) -> None:
    """A route in other letters, with a slash at its end or an empty segment is not a route."""
    customer = api.customer()
    base = api.path("customers", customer)
    for right, wrong in (
        ("/customers/", "/Customers/"),
        ("/customers/", "/CUSTOMERS/"),
        ("/customers/", "//customers/"),
        ("/customers/", "/customer/"),
        ("/customers/", "/%63ustomers/x/"),
    ):
        api.expect(api.send("GET", raw_path=base.replace(right, wrong)), 404, "not-found")
    for extra in (
        "/",
        "/subscriptions/",
        "/Subscriptions",
        "/recurring-products/",
        "/Recurring-Products",
        "/orders",
        "/recurringProducts",
    ):
        api.expect(api.send("GET", raw_path=base + extra), 404)
    for extra in ("?", "?x=1", "?customerNo=1&limit=0", "?%00=%FF"):
        api.same(
            "a_query_means_nothing",
            api.send("GET", raw_path=base + extra).object,
            api.get("customers", customer).object,
        )


@probe("input refused")
def what_the_server_says_cannot_be_said_by_a_client(api: Api) -> None:
    """`@id`, `recurringProductId` and `billedUntil` in a body mean nothing: the server's own are held."""
    for parent in _parents(api):
        said = {"@id": "/elsewhere", "recurringProductId": "mine", "billedUntil": "2030-01-01", "operations": []}
        created = api.charge(*parent, **said)
        api.same(
            "held_by_the_server", created["recurringProductId"] != "mine" and created.get("billedUntil") is None, True
        )
        route = (*api.charges_of(*parent), created["recurringProductId"])
        changed = api.expect(api.patch(*route, body=said), 200).object
        api.same("held_by_the_server", _bare(changed), _bare(created))


def _bodies(api: Api) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Each operation with a body: its method, its route, and a valid body."""
    if not api.real:
        yield "POST", ("customers",), {"customerNo": api.number()}
    customer = api.customer()
    yield "POST", ("customers", customer, "subscriptions"), {"subscriptionNo": "99"}
    for parent in ((customer,), (customer, api.subscription(customer))):
        route = api.charges_of(*parent)
        yield "POST", route, {"productCode": "P01"}
        yield "PATCH", (*route, api.charge(*parent)["recurringProductId"]), {"quantity": 1}


def _creations(api: Api) -> Iterator[tuple[tuple[str, ...], str]]:
    if not api.real:
        yield ("customers",), "customerNo"
    customer = api.customer()
    yield ("customers", customer, "subscriptions"), "subscriptionNo"
    for parent in ((customer,), (customer, api.subscription(customer))):
        yield api.charges_of(*parent), "productCode"


def _bare(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without what may change by itself, absent and null being one."""
    return {
        name: value
        for name, value in resource.items()
        if value is not None and name not in {"operations", "billedUntil"}
    }
