"""Probes of HTTP as the contract uses it: methods, routes and repeated reads."""

from __future__ import annotations

import re
from dataclasses import replace

from .. import refusals, rules
from ..api import (
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
from ..bodies import BODIES
from ..coverage import COVERAGE
from ..exchange import CONTRACT
from ..scene import Ask, Scene
from ..states import few
from ._registry import probe

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
UNKNOWN_METHODS = ("PROPFIND", "COPY", "MOVE", "LINK", "PURGE", "SEARCH", "UPDATE", "MERGE", "FOO")
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
VERSION = re.compile(r"\d+\.\d+")
NOTHING = "a_refused_request_does_nothing"
MANY = 60  # headers; no honest server has so many


def _paths(scene: Scene) -> dict[str, Ask]:
    """Return one valid request of each path of the contract."""
    return {ask.operation.path: ask for ask in scene.asks()}


@probe("status and headers")
def other_methods_are_refused(api: Api) -> None:
    """A method that a path does not have is answered 405, with the methods that it has, and does nothing."""
    scene = Scene(api)
    for ask in _paths(scene).values():
        path = ask.path(api)
        here = CONTRACT.match(CONTRACT.base_path + path.removeprefix(api.base_path))
        taken = set(here.operations) if here else set()
        if api.real and "DELETE" not in taken:
            continue  # on a real endpoint a method that was taken would change what cannot be restored
        told: dict[str, int] = {}
        allowed: set[str] = set()
        for method in (*METHODS, *(() if api.real else UNKNOWN_METHODS)):
            if method in taken:
                continue
            for body in (..., new_charge(BODIES.fitting(quantity=77))):
                exchange = api.send(method, raw_path=path, body=body)
                told[method] = exchange.status
                allowed |= {each.strip() for each in exchange.headers.get("allow", "").split(",")} - {""}
                # RFC 9110, section 9.3.1: a server may refuse a body of GET.
                is_body_refused = method == "GET" and body is not ... and exchange.code == "validation"
                if method in rules.USUAL_METHODS and not is_body_refused:
                    api.refused(exchange, "method-not-allowed")
        for method in allowed - taken:
            if told.get(method, 405) == 405:
                api.broke("allow_names_what_works", f"Allow names {method}, which is answered {told.get(method)}")
    scene.is_untouched(NOTHING)


@probe("status and headers")
def other_methods_are_refused_on_what_does_not_exist(api: Api) -> None:
    """A method that a path does not have is refused also if the resource does not exist, and creates nothing."""
    scene = Scene(api)
    for ask in _paths(scene).values():
        for reason in refusals.missing(ask):
            wrong = reason.apply(ask)
            path = wrong.path(api)
            here = CONTRACT.match(CONTRACT.base_path + path.removeprefix(api.base_path))
            for method in sorted(rules.USUAL_METHODS - set(here.operations if here else ())):
                for body in (..., new_charge(BODIES.fitting(quantity=77))):
                    if not api.real:
                        api.expect(api.send(method, raw_path=path, body=body), (405, 404))
            read = api.send("GET", raw_path=path)
            api.expect(read, (405, *refusals.missing_statuses()))
    scene.is_untouched(NOTHING)


@probe("status and headers")
def safe_methods_change_nothing(api: Api) -> None:
    """GET, HEAD and OPTIONS change nothing, whatever header or query asks for it (RFC 9110, section 9.2.1)."""
    scene = Scene(api)
    for ask in _paths(scene).values():
        path = ask.path(api)
        for method in ("GET", "HEAD", "OPTIONS"):
            for wanted in few(api, ("DELETE", "PATCH", "POST", "PUT"), 2):
                for name in few(api, OVERRIDES, 1):
                    api.send(method, raw_path=path, headers={name: wanted})
                api.send(method, raw_path=f"{path}?_method={wanted}")
    scene.is_untouched("a_safe_method_changes_nothing")


@probe("status and headers")
def head_is_like_get(api: Api) -> None:
    """HEAD has the status and the headers of GET, or is not supported (RFC 9110, section 9.3.2)."""
    scene = Scene(api)
    for ask in scene.asks():
        if ask.operation.method != "GET":
            continue
        for each in (ask, *(reason.apply(ask) for reason in few(api, list(refusals.reasons(scene, ask)), 3))):
            get, head = each.send(api), api.send("HEAD", raw_path=each.path(api), headers=each.headers)
            if head.status not in {get.status, 405}:
                api.broke("head_is_like_get", f"HEAD is answered {head.status}, GET {get.status}", head)
            if get.succeeded and head.status == get.status:
                COVERAGE.observe("HEAD is answered like GET", head)
            if head.status == get.status and head.headers.get("content-type") not in {
                None,
                get.headers.get("content-type"),
            }:
                api.broke("head_is_like_get", "HEAD has another Content-Type than GET", head)


@probe("status and headers")
def a_body_of_a_read_or_removal_means_nothing(api: Api) -> None:
    """A body of GET or DELETE is disregarded or refused: RFC 9110, sections 9.3.1 and 9.3.5, give it no meaning."""
    scene = Scene(api)
    other = api.charge(*scene.parents[2])
    bodies = [
        new_charge(),
        {CHARGE_ID: other[CHARGE_ID]},
        {CONTRACT.self_link: other.get(CONTRACT.self_link, "/x")},
        [],
    ]
    for ask in scene.asks():
        if ask.operation.method != "GET":
            continue
        expected = api.succeeds(ask.send(api)).object
        for body in bodies:
            exchange = replace(ask, body=body).send(api)
            if exchange.succeeded:
                api.same("a_body_means_nothing", exchange.object, expected, exchange)
    for parent in scene.parents[:2]:
        for index in range(len(bodies) + 1):
            made, sibling = api.charge(*parent), api.charge(*parent)
            body = [*bodies, {CHARGE_ID: sibling[CHARGE_ID]}][index]
            before = api.charges(*scene.parents[2])
            exchange = api.delete(*charge_path(parent, made), body=body)
            if not exchange.succeeded:
                api.refused(exchange, "validation")
            left = [each[CHARGE_ID] for each in api.charges(*parent)]
            api.same("a_body_means_nothing", made[CHARGE_ID] in left, not exchange.succeeded, exchange)
            api.same("a_body_means_nothing", sibling[CHARGE_ID] in left, True, exchange)
            api.same("a_body_means_nothing", api.charges(*scene.parents[2]), before, exchange)


@probe("status and headers")
def unknown_headers_mean_nothing(api: Api) -> None:
    """A read is the same whatever headers, that the contract does not have, are sent with it."""
    scene = Scene(api)
    odd = {
        "Accept-Language": "sv", "Accept-Charset": "iso-8859-1", "Cookie": "a=b; c", "Content-Type": "text/plain",
        "X-Original-URL": "/", "X-Rewrite-URL": "/", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-User": "admin",
        "X-Request-Id": "x" * 500, "Prefer": "return=minimal", "X-Debug": "1", "Origin": "https://example.com",
        "Referer": "https://example.com/", "User-Agent": "", "X-Empty": "", "X-Odd": "\xe5", "Pragma": "no-cache",
        "Cache-Control": "only-if-cached", "If-Unmodified-Since": "x", "Date": "x", "From": "x", "TE": "trailers",
        # Conditions that hold: no response had this tag, and everything was made after this date.
        "If-None-Match": '"made-up"', "If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT",
    }  # fmt: skip
    for ask in scene.asks():
        if ask.operation.method == "GET":
            expected = api.succeeds(ask.send(api)).object
            for name, value in few(api, list(odd.items()), 8):
                exchange = api.succeeds(replace(ask, headers={name: value}).send(api))
                api.same("unknown_headers_mean_nothing", exchange.object, expected, exchange)


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
    names: set[str] = set()
    for _ in range(3 if api.real else 40):
        for before, route in zip(first, routes, strict=True):
            again = api.succeeds(api.get(*route))
            api.same("a_read_is_repeatable", again.object, before.object, again)
            api.same("headers_are_stable", again.meaningful_headers, before.meaningful_headers, again)
            names |= set(again.headers)
            if len(names) > MANY:
                api.broke("headers_are_stable", f"{len(names)} different headers came with the same reads", again)


@probe("status and headers")
def an_accept_header_does_no_harm(api: Api) -> None:
    """Whatever a client accepts, the response is JSON, or 406 if the client does not accept JSON."""
    scene = Scene(api)
    fine = (
        "*/*", "application/json", "application/*", "APPLICATION/JSON", "application/json; charset=utf-8", None,
        "application/problem+json, application/json;q=0.9", "text/html, */*;q=0.1", "text/html,application/json",
    )  # fmt: skip
    other = ("text/html", "application/xml", "image/png", "application/vnd.api+json", "x", "", "*/*;q=0")
    for ask in scene.asks():
        if ask.operation.method != "GET":
            continue
        expected = api.succeeds(ask.send(api)).object
        for accept in few(api, (*fine, *other), 8):
            exchange = replace(ask, headers={"Accept": accept}).send(api, judged=False)
            if exchange.status == 406 and accept in other:  # RFC 9110, section 12.5.1: allowed
                continue
            api.judge(exchange)
            api.same("accept_means_nothing", api.succeeds(exchange).object, expected, exchange)


@probe("status and headers")
def responses_do_not_show_the_server(api: Api) -> None:
    """No header of a success or a refusal names a host, a path or an exception of the server."""
    scene = Scene(api)
    for ask in scene.asks():
        exchange = ask.send(api)  # the rules check the headers
        for name in ("server", "x-powered-by", "via", "x-aspnet-version"):
            if VERSION.search(found := exchange.headers.get(name, "")):
                # RFC 9110, section 10.2.4, allows a version, so this is no fault.
                COVERAGE.observe(f"the header {name} shows a version: {found}", exchange)
