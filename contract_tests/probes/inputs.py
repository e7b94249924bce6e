"""Probes of input: the server stores every valid value unchanged, and refuses and names every invalid value."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ..api import (
    CHARGE_ID,
    CUSTOMER_NO,
    LONGEST_NUMBER,
    SUBSCRIPTION_NO,
    Api,
    NotTried,
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
    wire,
)
from ..bodies import BODIES
from ..contents import stable
from ..description import KINDS
from ..exchange import CONTRACT, render
from ..routes import plain
from ..schemas import CHARACTERS, FILLED, JUDGE, OTHER_TYPES, accepted, parameter_schema, refused, takes_parameter
from ..states import as_sent, few
from ._registry import probe

CHARGE, CHANGE = CONTRACT.creations["charge"], CONTRACT.change
LEVELS = ("", "46701234567")


def _parents(api: Api) -> Iterator[tuple[str, ...]]:
    """Create a customer, and a subscription of another customer."""
    for level in LEVELS:
        customer = api.customer()
        yield (customer, api.subscription(customer, level)) if level else (customer,)


@probe("input accepted")
def new_customer_numbers_are_taken_as_the_schema_says(api: Api) -> None:
    """A customer number on the border is taken and read back; one beyond is refused, and named."""
    schema = CONTRACT.creations["customer"]["properties"][CUSTOMER_NO]
    for value in few(api, accepted(schema), 8):
        number = api.prefix + value[: LONGEST_NUMBER - len(api.prefix)]
        created = api.post(*customers_path(), body=new_customer(number))
        if not created.succeeded:
            api.expect(created, *CONTRACT.duplicates["customer"])
        read = api.succeeds(api.get(*customer_path(number)))
        if created.succeeded:
            api.same("held_as_sent", _bare(read.object), _bare(created.object), read)
    for value in few(api, refused(schema), 24):
        if api.real and not isinstance(value, str):
            continue  # a real endpoint that accepted this number would have a customer outside the prefix
        if api.real and JUDGE.takes(schema, value := api.prefix + value):
            continue
        api.refused(api.post(*customers_path(), body=new_customer(value)), "validation", CUSTOMER_NO)


@probe("input accepted")
def new_subscription_numbers_are_taken_as_the_schema_says(api: Api) -> None:
    """A subscription number on the border is taken and read back; one beyond is refused, and named."""
    schema = CONTRACT.creations["subscription"]["properties"][SUBSCRIPTION_NO]
    customer = api.customer()
    route = subscriptions_path(customer)
    taken = []
    for value in few(api, accepted(schema), 12):
        created = api.succeeds(api.post(*route, body=new_subscription(value)))
        read = api.succeeds(api.get(*subscription_path(customer, value)))
        api.same("held_as_sent", _bare(read.object), _bare(created.object), read)
        taken.append(value)
    for value in few(api, refused(schema), 12):
        api.refused(api.post(*route, body=new_subscription(value)), "validation", SUBSCRIPTION_NO)
    listed = [each[SUBSCRIPTION_NO] for each in api.subscriptions(customer)]
    api.same("only_the_valid_is_held", sorted(listed), sorted(taken))


@probe("input accepted")
def values_of_a_new_charge_are_taken_as_the_schema_says(api: Api) -> None:
    """Each value of a charge on its border is taken and held exactly; one beyond is refused, and named."""
    for parent in _parents(api):
        route, held = charges_path(*parent), []
        for name, schema in CHARGE["properties"].items():
            for value in few(api, accepted(schema), 6):
                created = api.charge(*parent, wire={name: value})
                read = api.succeeds(api.get(*charge_path(parent, created)))
                api.same("held_as_sent", _bare(read.object), _bare(created), read)
                held.append(_bare(created))
            for value in few(api, refused(schema), 18):
                api.refused(api.post(*route, body=new_charge({name: value})), "validation", name)
        listed = {each[CHARGE_ID]: _bare(each) for each in api.charges(*parent)}
        api.same("only_the_valid_is_held", listed, {each[CHARGE_ID]: each for each in held})


@probe("input accepted")
def values_of_a_change_are_taken_as_the_schema_says(api: Api) -> None:
    """Each value of a change on its border is taken and held exactly; one beyond is refused, and changes nothing."""
    for parent in _parents(api):
        for name, schema in CHANGE["properties"].items():
            route = charge_path(parent, api.charge(*parent, quantity=2))
            before = api.get(*route).object
            for value in few(api, accepted(schema), 6):
                changed = api.shown(api.update(*route, body=change({name: value})))
                before = api.succeeds(api.get(*route)).object
                api.same("held_as_sent", _bare(before), _bare(changed.object), changed)
                api.same("held_as_sent", as_sent(api, before, {name: value}).get(name), value, changed)
            for value in few(api, refused(schema), 18):
                api.refused(api.update(*route, body=change({name: value})), "validation", name)
            api.same("a_refused_change_changes_nothing", _bare(api.get(*route).object), _bare(before))


@probe("input accepted")
def a_required_property_is_required(api: Api) -> None:
    """A body without a required property is refused, and the property named; nothing is made."""
    for route, kind in _creations(api):
        before = api.items(*route) if kind != "customer" else []
        required = CONTRACT.creations[kind].get("required", ())
        bodies: list[dict[str, Any]] = [{}, {"other": 1}, {wire("text"): "x"}]
        bodies += [{key: each for key, each in BODIES.full(kind).items() if key != name} for name in required]
        for body in bodies:
            absent = [name for name in required if name not in body]
            api.refused(api.send("POST", *route, body=body), "validation", *absent)
        if kind != "customer":
            api.same("only_the_valid_is_held", api.items(*route), before)


@probe("problems")
def every_parameter_that_failed_is_named(api: Api) -> None:
    """A request with several faults is told of each."""
    for parent in _parents(api):
        wrong = BODIES.named(product_code="", start_date="soon")
        wrong |= BODIES.named(quantity=_wrong("quantity"), vat_rate=_wrong("vat_rate"))
        answer = api.post(*charges_path(*parent), body=new_charge(wrong, text="x"))
        api.refused(answer, "validation", *wrong)
        api.same("names_the_parameter", answer.failed_parameters, set(map(plain, wrong)), answer)


@probe("input refused")
def an_optional_property_may_be_left_out(api: Api) -> None:
    """A charge needs nothing but what is required, and gets no date that was left out."""
    optional = {name: each for name, each in BODIES.full("charge").items() if name not in CHARGE.get("required", ())}
    for parent in _parents(api):
        created = api.charge(*parent)
        for name in optional:
            if name not in FILLED and created.get(name) is not None:
                api.broke("nothing_is_invented", f"{name} was not sent, but is {created[name]!r}")
        for name in optional:
            api.charge(*parent, wire={key: value for key, value in optional.items() if key != name})
        api.charge(*parent, end_date=None)


@probe("input accepted")
def a_body_is_an_object(api: Api) -> None:
    """A body of any other type, and none at all, is refused with a problem that names it."""
    for method, route, _ in _bodies(api):
        for value in OTHER_TYPES:
            if not isinstance(value, dict):
                api.refused(api.send(method, *route, body=value), "validation")
        api.refused(api.send(method, *route, content=b""), "validation")


@probe("input accepted")
def a_body_is_json(api: Api) -> None:
    """What is not JSON in UTF-8 is refused with a problem."""
    code, quantity = wire("product_code").encode(), wire("quantity").encode()
    whole = render(new_charge()).encode().removesuffix(b"}")
    texts = [
        b"{", b'{"' + code + b'":', b"[", b'{"a":1,}', b"{'a':1}", b"nonsense", b"{}{}", b"\x00", b"\xff\xfe{}",
        b'"\xe5"', whole + b',"' + wire("text").encode() + b'":"\xe5"}', whole + b',"' + quantity + b'":NaN}',
        b'{"' + quantity + b'":Infinity}',
        whole + b',"' + quantity + b'":01}', b'{"' + code + b'":"\x01"}', b"/* */{}", b"<a/>", b"a=b", b"[" * 20_000,
    ]  # fmt: skip
    for method, route, _ in _bodies(api):
        for text in few(api, texts, 8):
            api.refused(api.send(method, *route, content=text), "validation")


@probe("input accepted")
def odd_json_does_no_harm(api: Api) -> None:
    """Valid but odd JSON is taken or refused, and never makes the server fail."""
    whole = render(new_charge()).encode()
    begun = whole.removesuffix(b"}")
    names = {role: b',"' + wire(role).encode() + b'":' for role in ("product_code", "text", "unit_price", "quantity")}
    texts = [
        begun + names["product_code"] + b'"P02"}',
        begun + names["text"] + b'"\\ud800"}',
        b"\xef\xbb\xbf" + whole,
        begun + names["unit_price"] + b"1e400}",
        begun + names["unit_price"] + b"1e-400}",
        begun + names["unit_price"] + b"-0.0}",
        begun + names["quantity"] + b"1e2}",
        begun + b',"' + b"x" * 20_000 + b'":1}',
        begun + b',"":1}',
        begun + b',"__proto__":{"a":1}}',
        begun + b',"n":' + b"9" * 5_000 + b"}",
        b" \n" + whole + b"\t",
        begun + b',"deep":' + b"[" * 200 + b"]" * 200 + b"}",
    ]
    for parent in _parents(api):
        for text in texts:
            answer = api.send("POST", *charges_path(*parent), content=text)
            if not answer.succeeded:
                api.refused(answer, "validation")
        api.charges(*parent)  # every stored charge can still be read


@probe("input accepted")
def a_body_is_called_json(api: Api) -> None:
    """Only `application/json` in UTF-8 is a body's media type."""
    for method, route, body in _bodies(api):
        for media_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "text/json", None):
            answer = api.send(method, *route, body=body, headers={"Content-Type": media_type})
            api.refused(answer, "unsupported-media-type")
    customer = api.customer()
    for media_type in ("application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"'):
        headers = {"Content-Type": media_type}
        api.succeeds(api.post(*charges_path(customer), body=new_charge(), headers=headers))


@probe("input accepted")
def a_huge_body_is_refused(api: Api) -> None:
    """A body of a megabyte is refused as too large, or as invalid; the server lives on."""
    statuses = tuple(CONTRACT.problem_types[code].status for code in ("validation", "content-too-large"))
    for method, route, _ in _bodies(api):
        api.expect(api.send(method, *route, body=new_charge(text="x" * 1_000_000)), statuses)


@probe("input refused")
def a_body_of_four_kilobytes_is_not_too_large(api: Api) -> None:
    """A server accepts a valid body that white space makes 4,000 bytes long (x-rules, size)."""
    for parent in _parents(api):
        whole = render(new_charge()).encode()
        for size in (1_025, 2_049, 3_000, 4_000):
            api.succeeds(api.send("POST", *charges_path(*parent), content=whole[:-1].ljust(size - 1) + b"}"))


@probe("input accepted", writes=False)
def path_parameters_are_taken_as_the_schema_says(api: Api) -> None:
    """A path parameter on its border is looked up; one beyond is refused, and named."""
    for kind, route_of in (
        ("customer", customer_path),
        ("customer", subscriptions_path),
        ("customer", charges_path),
        ("customer", lambda number: charge_path((number,), {CHARGE_ID: BODIES.unused("charge")})),
        ("subscription", lambda number: subscription_path("7", number)),
        ("subscription", lambda number: charges_path("7", number)),
    ):
        schema = parameter_schema(kind)
        for value in few(api, accepted(schema), 10):
            if value not in {".", ".."}:
                answer = api.get(*route_of(value))
                if not answer.succeeded:
                    api.missing(answer, *KINDS)
        for value in few(api, [each for each in refused(schema) if isinstance(each, str) and each], 10):
            api.refused(api.get(*route_of(value)), "validation", CONTRACT.place(kind).parameter)


@probe("input accepted", writes=False)
def strange_ids_do_no_harm(api: Api) -> None:
    """A charge is looked up by any id, however strange or long, and is not found, or the id is refused."""
    ids = [*(f"a{each}b" for each in CHARACTERS), "x" * 2000, "%41", "' OR 1=1 --", "../x", "0", "null", "-1"]
    for each in few(api, ids, 40):
        answer = api.get(*charge_path(("7",), {CHARGE_ID: each}))
        if takes_parameter("charge", each):
            api.missing(answer, *KINDS)
        else:
            api.refused(answer, "validation", CONTRACT.place("charge").parameter)
    for raw in ("%FF", "%C3", "%ED%A0%80", "%00"):
        answer = api.send("GET", raw_path=api.path(*customers_path()) + "/" + raw)
        api.refused(answer, "validation", CONTRACT.place("customer").parameter)


@probe("input accepted")
def a_number_is_one_segment(api: Api) -> None:
    """`%2F` in a number is not a border of segments, `%41` is `A`, and upper case is not lower case."""
    if api.real:
        raise NotTried("whether `%2F` passes a real ingress is not known")
    number = api.number()[:10]
    slashed, upper, lower = f"{number}/s", f"{number}X", f"{number}x"
    for each in (slashed, upper):
        api.customer(each)
    read = api.succeeds(api.get(*customer_path(slashed)))
    api.same("held_as_sent", read.object[CUSTOMER_NO], slashed, read)
    api.missing(api.get(*customer_path(lower)), "customer")
    api.customer(lower)
    encoded = "".join(f"%{ord(each):02x}" for each in upper)
    read = api.succeeds(api.send("GET", raw_path=f"{api.path(*customers_path())}/{encoded}"))
    api.same("held_as_sent", read.object[CUSTOMER_NO], upper, read)
    api.succeeds(api.get(*charges_path(slashed)))
    api.expect(api.get(*charges_path(number.partition("/")[0], "s")), 404)


@probe("input accepted")
def routes_are_exact(api: Api) -> None:
    """A route in other letters, with a slash at its end or an empty segment is not a route."""
    customer = api.customer()
    base = api.path(*customer_path(customer))
    right = f"/{CONTRACT.place('customer').segment}/"
    encoded = f"/%{ord(right[1]):x}{right[2:]}x/"
    for wrong in (right.title(), right.upper(), f"/{right}", right.replace("s/", "/"), encoded):
        api.refused(api.send("GET", raw_path=base.replace(right, wrong)), "not-found")
    segments = [place.segment for place in CONTRACT.children("customer")]
    extras = ["/", "/orders", *(f"/{each}/" for each in segments), *(f"/{each.title()}" for each in segments)]
    extras += [f"/{each}" for each in CONTRACT.links["customer"] if each not in segments]
    for extra in extras:
        api.expect(api.send("GET", raw_path=base + extra), 404)


@probe("input refused")
def what_the_server_says_cannot_be_said_by_a_client(api: Api) -> None:
    """`@id`, the id and `billedUntil` in a body mean nothing, or are refused: the server's own are held."""
    billed = wire("billed_until")
    for parent in _parents(api):
        said = {CONTRACT.self_link: "/elsewhere", CHARGE_ID: "mine", billed: "2030-01-01", "operations": []}
        answer = api.post(*charges_path(*parent), body=new_charge(said))
        if not answer.succeeded:
            api.refused(answer, "validation")
        created = answer.object if answer.succeeded else api.charge(*parent)
        api.same("held_by_the_server", created[CHARGE_ID] != "mine" and created.get(billed) is None, True)
        answer = api.update(*charge_path(parent, created), body=change(said))
        if not answer.succeeded:
            api.refused(answer, "validation")
        read = api.get(*charge_path(parent, created)).object
        api.same("held_by_the_server", stable("charge", read), stable("charge", created))


def _wrong(role: str) -> Any:
    """Return a number that a property does not allow: the first one beyond its limit."""
    return next(each for each in refused(CHARGE["properties"][wire(role)]) if type(each) in {int, Decimal})


def _bodies(api: Api) -> Iterator[tuple[str, tuple[str, ...], dict[str, Any]]]:
    """Yield each operation that has a body: its method, its route, and a valid body."""
    if not api.real:
        yield "POST", customers_path(), new_customer(api.number())
    customer = api.customer()
    yield "POST", subscriptions_path(customer), new_subscription("99")
    for parent in ((customer,), (customer, api.subscription(customer))):
        yield "POST", charges_path(*parent), new_charge()
        if CONTRACT.update_method:
            yield CONTRACT.update_method, charge_path(parent, api.charge(*parent)), change(quantity=1)


def _creations(api: Api) -> Iterator[tuple[tuple[str, ...], str]]:
    if not api.real:
        yield customers_path(), "customer"
    customer = api.customer()
    yield subscriptions_path(customer), "subscription"
    for parent in ((customer,), (customer, api.subscription(customer))):
        yield charges_path(*parent), "charge"


def _bare(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource without the properties that the server may change, and without null values."""
    unstable = {"operations", wire("billed_until")}
    return {name: value for name, value in resource.items() if value is not None and name not in unstable}
