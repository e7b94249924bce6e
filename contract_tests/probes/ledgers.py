"""Probes of ledgers: no ledger reads, lists, changes or removes what belongs to another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
    Api,
    charges_path,
    customer_path,
    new_subscription,
    subscriptions_path,
)
from ..exchange import CONTRACT, Exchange, items_of
from ..scene import Scene
from ..states import few
from ._registry import probe

APART = "ledgers_are_apart"
FAMILY = "tenants and credentials"
# Headers that name a ledger to some servers. The contract has the ledger in the path only.
LEDGER_HEADERS = ("X-Owner-No", "X-Ledger", "X-Tenant", "X-Tenant-Id", "X-Company-No", "Tenant", "OwnerNo")


def spellings(ledger: str) -> list[str]:
    """Return percent-encoded segments that look like a ledger number, but are another text."""
    near = [
        f"0{ledger}", f"00{ledger}", f"%2B{ledger}", f"+{ledger}", f"-{ledger}", f"%20{ledger}", f"{ledger}%20",
        f"+{ledger}+", f"{ledger}%09", f"{ledger}%0A", f"%0A{ledger}", f"{ledger}%00", f"%00{ledger}", f"{ledger}.0",
        f"{ledger}.", f".{ledger}", f"{ledger}e0", f"{ledger}0", f"{ledger[:-1]}", ledger[1:], f"{ledger},{ledger}",
        f"{ledger},", f"{ledger};x=1", f"{ledger};", f"%22{ledger}%22", f"%27{ledger}%27", f"{ledger}%2F",
        f"%2F{ledger}",
        f"{ledger}%2F{ledger}", f"{ledger}%2F..", f"{ledger}%C2%A0", f"{ledger}%E2%80%8B", f"%EF%BB%BF{ledger}",
        f"{ledger}x", f"x{ledger}", f"{ledger}:1", f"{ledger}@x", f"{ledger}~", f"{ledger}*", "*", f"{ledger[:-1]}*",
        f"{ledger[:-1]}%25", f"{ledger[:-1]}_", f"{ledger[:-1]}%3F", f"%25{ord(ledger[0]):02x}{ledger[1:]}", "0", "-1",
        "9" * 20, "null", "me", "self", "default", ledger.swapcase(),
    ]  # fmt: skip
    if ledger.isascii() and ledger.isdigit():
        wide = "".join(chr(ord(each) + 0xFEE0) for each in ledger)
        arabic = "".join(chr(ord(each) - ord("0") + 0x0660) for each in ledger)
        grouped = f"{int(ledger):,}"
        near += [
            wide,
            arabic,
            hex(int(ledger)),
            oct(int(ledger)),
            grouped,
            str(int(ledger) + 2**32),
            str(int(ledger) + 2**64),
        ]
    return [each for each in dict.fromkeys(near) if each not in {ledger, ""}]


@probe(FAMILY)
def a_ledger_has_one_spelling(api: Api) -> None:
    """Every operation refuses the token for a ledger number that is another text, however near; nothing is written."""
    scene = Scene(api)
    wrong = spellings(api.ledger)
    for ask in scene.asks():
        if api.real and ask.operation.method != "GET":
            continue
        path = ask.path(api)
        head = api.path()
        for spelling in few(api, wrong, 6):
            target = head.removesuffix(api.ledger) + spelling + path.removeprefix(head)
            exchange = api.send(ask.operation.method, raw_path=_ascii(target), body=ask.body)
            api.expect(exchange, _denied(spelling))
    scene.is_untouched("a_refused_request_does_nothing")


def _ascii(target: str) -> str:
    """Percent-encode what is not ASCII."""
    return "".join(each if each.isascii() else "".join(f"%{byte:02X}" for byte in each.encode()) for each in target)


def _denied(spelling: str) -> tuple[int, ...]:
    """Return the statuses for a wrong ledger. What some servers cannot route may also be not valid or not found."""
    odd = any(mark in spelling for mark in ("%0", "%2F", "%C2", "%E2", "%EF", ";"))
    return (401, 403, *((CONTRACT.problem_types["validation"].status, 404) if odd else ()))


@probe(FAMILY)
def a_ledger_may_be_percent_encoded(api: Api) -> None:
    """A ledger number with percent-encoded letters or digits is the same number (RFC 3986, section 6.2.2.2)."""
    scene = Scene(api)
    encoded = "".join(f"%{ord(each):02X}" for each in api.ledger)
    for ask in scene.asks():
        if ask.operation.method == "GET":
            head = api.path()
            target = head.removesuffix(api.ledger) + encoded + ask.path(api).removeprefix(head)
            exchange = api.succeeds(api.send("GET", raw_path=target))
            api.same("the_same_resource", exchange.object, api.succeeds(ask.send(api)).object, exchange)


@probe(FAMILY, ledgers=2)
def a_token_is_good_for_its_ledger_only(api: Api) -> None:
    """The token of another ledger is refused on every operation, and does nothing."""
    assert api.other is not None
    other = api.other
    scene = Scene(api)
    theirs = Scene(other, scene.customer, quantity=6)
    headers: list[dict[str, str | None]] = [{}]
    headers += [{name: value} for name in LEDGER_HEADERS for value in (api.ledger, other.ledger)]
    for one, two, held in ((api, other, scene), (other, api, theirs)):
        for ask in held.asks():
            for extra in few(api, headers, 2):
                sent = replace(ask, headers={"Authorization": f"Bearer {two.token}", **extra})
                one.expect(sent.send(one), (401, 403))
            both = f"Bearer {one.token}, Bearer {two.token}", f"Bearer {two.token}, Bearer {one.token}"
            values = (*both, f"Bearer {two.token}{one.token}", f"Bearer {two.token} {one.token}")
            for value in few(api, values, 1):
                one.expect(replace(ask, headers={"Authorization": value}).send(one), (401, 403, 400))
    scene.is_untouched(APART)
    theirs.is_untouched(APART)


@probe(FAMILY, ledgers=2)
def a_ledger_is_not_named_beside_the_path(api: Api) -> None:
    """A ledger number in a header, in the query or in the body does not choose the ledger."""
    assert api.other is not None
    other = api.other
    scene = Scene(api)
    Scene(other, scene.customer, quantity=6)
    for ask in scene.asks():
        if ask.operation.method != "GET":
            continue
        expected = _resources(api.succeeds(ask.send(api)))
        for name in few(api, (*LEDGER_HEADERS, CONTRACT.ledger_parameter), 4):
            exchange = replace(ask, headers={name: other.ledger}).send(api)
            api.same(APART, _resources(api.succeeds(exchange)), expected, exchange)
        exchange = replace(ask, query=f"{CONTRACT.ledger_parameter}={other.ledger}").send(api)
        if exchange.succeeded:
            api.same(APART, _resources(exchange), expected, exchange)


def _resources(exchange: Exchange) -> Any:
    """Return the items of a list, without its links, which may have the query; or the one resource."""
    return items_of(exchange) if CONTRACT.list_name(exchange.defined) else exchange.object


@probe(FAMILY, ledgers=2)
def what_another_ledger_has_is_missing_here(api: Api) -> None:
    """Every operation on a number or id that only another ledger has is answered as if nothing had it."""
    assert api.other is not None
    other = api.other
    scene = Scene(api)
    nobody = api.number()
    for ask in scene.asks():
        if ask.numbers:
            found = other.missing(ask.send(other), "customer")
            nowhere = other.missing(replace(ask, numbers=(nobody, *ask.numbers[1:])).send(other), "customer")
            other.same("a_refusal_tells_nothing", _told(found), _told(nowhere), found)
    other.customer(scene.customer)
    for ask in scene.asks():
        kinds = [ask.kind_at(index) for index in range(len(ask.numbers))]
        if kinds[1:]:
            other.missing(ask.send(other), kinds[1])
    other.same(APART, other.subscriptions(scene.customer), [])
    other.same(APART, other.charges(scene.customer), [])
    other.subscription(scene.customer, scene.subscription)
    for ask in scene.asks():
        if ask.numbers and ask.kind_at(len(ask.numbers) - 1) == "charge":
            other.missing(ask.send(other), "charge")
    other.same(APART, other.charges(scene.customer, scene.subscription), [])
    scene.is_untouched(APART)


@probe(FAMILY, ledgers=2)
def equal_numbers_in_two_ledgers_are_two_resources(api: Api) -> None:
    """With the same numbers in both ledgers, each operation reads, changes and removes its own ledger's only."""
    assert api.other is not None
    for one, two in few(api, ((api, api.other), (api.other, api)), 1):
        first = Scene(one, quantity=5, charges=2)
        second = Scene(two, first.customer, quantity=6)
        first.is_untouched(APART)
        for ask in first.asks():  # the ids of the first ledger in the second
            if ask.numbers and ask.kind_at(len(ask.numbers) - 1) == "charge" and ask.numbers[-1] not in second.ids:
                two.missing(ask.send(two), "charge")
        first.is_untouched(APART)
        second.is_untouched(APART)
        asks = sorted(second.asks(), key=lambda ask: (ask.operation.role == "delete", -len(ask.numbers)))
        for ask in asks:
            two.succeeds(ask.send(two))
            if not api.real or ask.operation.method != "GET":
                first.is_untouched(APART)
        after = _lists(second)
        for ask in sorted(first.asks(), key=lambda ask: (ask.operation.role == "delete", -len(ask.numbers))):
            one.succeeds(ask.send(one))
        two.same(APART, _lists(second), after)


def _told(exchange: Exchange) -> dict[str, Any]:
    """Return a problem without its instance, which is new in every response."""
    return {name: value for name, value in exchange.problem.items() if name != "instance"}


def _lists(scene: Scene) -> list[Any]:
    """Read what is left of a scene whose first subscription may be removed."""
    api = scene.api
    read = api.get(*customer_path(scene.customer)).object
    return [read, api.subscriptions(scene.customer), api.charges(scene.customer), api.charges(*scene.parents[2])]


@probe(FAMILY, ledgers=2)
def a_number_that_another_ledger_has_is_free_here(api: Api) -> None:
    """A number is a duplicate in its own ledger only, also after it was removed in the other one."""
    assert api.other is not None
    other = api.other
    number = api.number()
    for where in (api, other):
        where.customer(number)
        where.subscription(number, "1")
        where.charge(number, "1")
    again = other.post(*subscriptions_path(number), body=new_subscription("1"))
    other.expect(again, *CONTRACT.duplicates["subscription"])
    for where, left in ((api, other), (other, api)):
        route = (*subscriptions_path(number), "1")
        if not where.can_delete(*route):
            return
        kept = left.charges(number, "1")
        where.succeeds(where.delete(*route))
        where.missing(where.get(*charges_path(number, "1")), "subscription")
        left.same(APART, left.charges(number, "1"), kept)
        left.same(APART, [each[SUBSCRIPTION_NO] for each in left.subscriptions(number)], ["1"])
        where.subscription(number, "1")
        where.same(APART, where.charges(number, "1"), [])
        where.charge(number, "1")
        left.same(APART, [each[CHARGE_ID] for each in left.charges(number, "1")], [each[CHARGE_ID] for each in kept])
