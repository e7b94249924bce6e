"""Probes of state: a read returns exactly what was written last."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from ..api import (
    CHARGE_ID,
    SUBSCRIPTION_NO,
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
    wire,
)
from ..bodies import BODIES
from ..contents import held
from ..coverage import COVERAGE
from ..exchange import CONTRACT, Exchange
from ..schemas import JUDGE
from ..states import as_sent, parents
from ._registry import probe

FULL = new_charge(
    BODIES.fitting(
        product_code="P01",
        quantity=3,
        unit_price=Decimal("499.123456"),
        vat_rate=Decimal("12.5"),
        text="Fiber 500/500, Ångström",
        start_date="2026-01-01",
        end_date="2026-12-31",
    ),
)
OTHER = new_charge(
    BODIES.fitting(
        product_code="K09",
        quantity=99_999,
        unit_price=Decimal("-0.000001"),
        vat_rate=0,
        text="",
        start_date="2025-02-28",
        end_date="2027-02-28",
    ),
)
CHANGEABLE = [name for name in FULL if name in CONTRACT.change["properties"]]


def _by_id(charges: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort charges: the contract has no order of lists."""
    return sorted(charges, key=lambda charge: str(charge[CHARGE_ID]))


@probe("state")
def what_is_created_is_read(api: Api) -> None:
    """A charge reads as it was created, alone and in its list, with all digits."""
    for parent in parents(api):
        created = api.charge(*parent, wire=FULL)
        api.same("held_as_sent", held(created), FULL)
        read = api.succeeds(api.get(*charge_path(parent, created))).object
        api.same("held_as_sent", held(read), FULL)
        api.same("held_as_sent", [held(each) for each in api.charges(*parent)], [FULL])


@probe("state")
def a_duplicate_is_refused(api: Api) -> None:
    """A number that exists is refused with its own problem, and what exists stays as it was."""
    for customer in (api.customer(), api.customer(api.number()[:9] + " &.")):
        subscription = api.subscription(customer)
        charges = [api.charge(customer), api.charge(customer, subscription)]
        before = api.get(*customer_path(customer)).object
        for body in (new_customer(customer), new_customer(customer, {"extra": 1})):
            api.expect(api.post(*customers_path(), body=body), *CONTRACT.duplicates["customer"])
        for _ in range(2):
            again = api.post(*subscriptions_path(customer), body=new_subscription(subscription, {"extra": 1}))
            api.expect(again, *CONTRACT.duplicates["subscription"])
        api.same("a_duplicate_changes_nothing", api.get(*customer_path(customer)).object, before)
        api.same("a_duplicate_changes_nothing", api.charges(customer), charges[:1])
        api.same("a_duplicate_changes_nothing", api.charges(customer, subscription), charges[1:])
        numbers = [each[SUBSCRIPTION_NO] for each in api.subscriptions(customer)]
        api.same("a_duplicate_changes_nothing", numbers, [subscription])


@probe("state")
def a_request_creates_exactly_one(api: Api) -> None:
    """Each creation adds one, with an id of its own, even if its content is there already."""
    ids: set[Any] = set()
    for parent in parents(api):
        for count in range(1, 6):
            ids.add(api.charge(*parent, wire=FULL)[CHARGE_ID])
            api.same("one_is_created", len(api.charges(*parent)), count)
    others = 2 if api.real else 30
    for _ in range(others):
        ids.add(api.charge(api.customer())[CHARGE_ID])
    api.same("ids_are_unique", len(ids), 10 + others)


@probe("state")
def lists_are_complete(api: Api) -> None:
    """A list holds each item once, in one order, each as it reads alone, however long it is."""
    count = 12 if api.real else 130
    for parent in parents(api):
        created = [api.charge(*parent, quantity=index + 1, text=f"no {index}") for index in range(count)]
        listed = api.charges(*parent)
        by_id = {each[CHARGE_ID]: each for each in listed}
        api.same("lists_are_complete", sorted(by_id), sorted(each[CHARGE_ID] for each in created))
        api.same("lists_are_complete", len(listed), count)
        if [*by_id] == [each[CHARGE_ID] for each in reversed(created)]:
            COVERAGE.observe("a list shows the newest first", api.get(*charges_path(*parent)))
        elif [*by_id] != [each[CHARGE_ID] for each in created]:
            COVERAGE.observe("a list has another order than that of the creations", api.get(*charges_path(*parent)))
        for each in created:
            api.same("lists_hold_what_reads", by_id[each[CHARGE_ID]], each)
        api.same("lists_are_stable", api.charges(*parent), listed)
        left = list(listed)
        if api.can_delete(*charge_path(parent, listed[3])):
            api.delete(*charge_path(parent, left.pop(3)))
        api.update(*charge_path(parent, listed[5]), body=change(quantity=777))
        after = [each[CHARGE_ID] for each in api.charges(*parent)]
        api.same("lists_are_stable", after, [each[CHARGE_ID] for each in left])
    customer = api.customer()
    numbers = [api.subscription(customer, f"s{index}") for index in range(count)]
    listed = api.subscriptions(customer)
    api.same("lists_are_complete", sorted(each[SUBSCRIPTION_NO] for each in listed), sorted(numbers))
    for each in listed[:20]:
        read = api.get(*subscription_path(customer, each[SUBSCRIPTION_NO])).object
        api.same("lists_hold_what_reads", read, each)


@probe("state")
def a_change_touches_what_was_sent(api: Api) -> None:
    """A change of one property changes that one, in every read, and leaves all others and all other charges."""
    for parent in parents(api):
        neighbour = api.charge(*parent, wire=FULL)
        for name in CHANGEABLE:
            made = api.charge(*parent, wire=FULL)
            route = charge_path(parent, made)
            changed = api.shown(api.update(*route, body=change({name: OTHER[name]})))
            expected = FULL | change({name: OTHER[name]})
            for read in (changed.object, api.get(*route).object, _listed(api, parent, made)):
                api.same("a_change_touches_what_was_sent", held(read), expected, changed)
            for each in (CONTRACT.self_link, CHARGE_ID):
                api.same("a_change_keeps_the_identity", changed.object[each], made[each], changed)
            untouched = api.get(*charge_path(parent, neighbour)).object
            api.same("a_change_leaves_others", untouched, neighbour)
            api.succeeds(api.update(*route, body=change({name: FULL[name]})))
            api.same("a_change_touches_what_was_sent", held(api.get(*route).object), FULL)


@probe("state")
def null_clears(api: Api) -> None:
    """A property changed to null is cleared, and only it; an empty change changes nothing."""
    for parent in parents(api):
        for name in CHANGEABLE:
            if not JUDGE.takes(CONTRACT.change["properties"].get(name, {}), None):
                continue
            made = api.charge(*parent, wire=FULL)
            route = charge_path(parent, made)
            api.succeeds(api.update(*route, body=change()))
            api.same("an_empty_change_changes_nothing", held(api.get(*route).object), FULL)
            changed = api.shown(api.update(*route, body=change({name: None})))
            expected = {key: value for key, value in FULL.items() if key != name}
            for read in (changed.object, api.get(*route).object, _listed(api, parent, made)):
                api.same("null_clears", as_sent(api, read, expected), expected, changed)
        if CONTRACT.update_method == "PUT":
            route = charge_path(parent, api.charge(*parent, wire=FULL))
            replaced = api.succeeds(api.send("PUT", *route, body=change()))
            left = as_sent(api, api.get(*route).object, change())
            api.same("a_replacement_clears_the_rest", left, change(), replaced)


@probe("state")
def a_change_of_many_is_whole(api: Api) -> None:
    """Several properties change together, or, when one is not valid, none."""
    for parent in parents(api):
        route = charge_path(parent, api.charge(*parent, wire=FULL))
        invalid = api.update(*route, body=change(text="new", quantity=0))
        api.refused(invalid, "validation", wire("quantity"))
        api.refused(api.update(*route, body=change(text="new", end_date="2020-01-01")), "unprocessable")
        api.same("a_refused_change_changes_nothing", held(api.get(*route).object), FULL)
        api.succeeds(api.update(*route, body=change({name: OTHER[name] for name in CHANGEABLE})))
        api.same("a_change_touches_what_was_sent", held(api.get(*route).object), OTHER)


@probe("state")
def an_end_is_not_before_its_start(api: Api) -> None:
    """A charge that would end before it starts is refused, new or changed; one of a single day is not."""
    for parent in parents(api):
        for start, end in (("2026-01-02", "2026-01-01"), ("2026-01-01", "2025-12-31")):
            body = new_charge(start_date=start, end_date=end)
            api.refused(api.post(*charges_path(*parent), body=body), "unprocessable")
        api.same("only_the_valid_is_held", api.charges(*parent), [])
        made = api.charge(*parent, start_date="2026-01-01", end_date="2026-01-01")
        route = charge_path(parent, made)
        api.refused(api.update(*route, body=change(end_date="2025-12-31")), "unprocessable")
        api.refused(api.update(*route, body=change(start_date="2026-01-02")), "unprocessable")
        api.same("a_refused_change_changes_nothing", api.get(*route).object, made)
        api.succeeds(api.update(*route, body=change(start_date="2027-01-01", end_date="2027-01-01")))


@probe("state")
def what_is_deleted_is_gone(api: Api) -> None:
    """A removed charge is gone at once from every read, cannot be changed or removed again, and its neighbours stay."""
    for parent in parents(api):
        made = [api.charge(*parent, wire=FULL) for _ in range(4)]
        for gone in (made[1], made[3], made[0]):
            made.remove(gone)
            route = charge_path(parent, gone)
            api.succeeds(api.delete(*route))
            api.missing(api.get(*route), "charge")
            api.same("what_is_deleted_is_gone", _by_id(api.charges(*parent)), _by_id(made))
            api.missing(api.update(*route, body=change(quantity=1)), "charge")
            api.missing(api.delete(*route), "charge")
        api.same("what_is_deleted_is_gone", api.get(*charge_path(parent, made[0])).object, made[0])


@probe("state")
def children_go_with_their_parent(api: Api) -> None:
    """A removed subscription is gone with its charges; made anew, it has none; its customer's own stay."""
    customer = api.customer()
    kept, gone = api.subscription(customer, "kept"), api.subscription(customer, "gone")
    own, theirs, lost = api.charge(customer, wire=FULL), api.charge(customer, kept), api.charge(customer, gone)
    subscription, charge = subscription_path(customer, gone), charge_path((customer, gone), lost)
    api.succeeds(api.delete(*subscription))
    for exchange in (
        api.get(*subscription),
        api.delete(*subscription),
        api.get(*charges_path(customer, gone)),
        api.get(*charge),
        api.update(*charge, body=change(quantity=1)),
        api.post(*charges_path(customer, gone), body=new_charge()),
    ):
        api.missing(exchange, "subscription")
    numbers = [each[SUBSCRIPTION_NO] for each in api.subscriptions(customer)]
    api.same("what_is_deleted_is_gone", numbers, [kept])
    api.same("only_it_is_deleted", api.charges(customer), [own])
    api.same("only_it_is_deleted", api.charges(customer, kept), [theirs])
    api.subscription(customer, gone)
    api.same("children_go_with_their_parent", api.charges(customer, gone), [])
    api.missing(api.get(*charge), "charge")


@probe("state")
def a_child_has_one_parent(api: Api) -> None:
    """A charge is found, changed and removed under its own parent only, and what is missing is named rightly."""
    first, second, nobody = api.customer(), api.customer(), api.number()
    for each in (first, second):
        api.subscription(each, "a")
        api.subscription(each, "b")
    parents = [(first,), (second,), (first, "a"), (first, "b"), (second, "a")]
    made = [api.charge(*parent, text=str(index)) for index, parent in enumerate(parents)]
    for parent, own in zip(parents, made, strict=True):
        api.same("a_child_has_one_parent", api.charges(*parent), [own])
        for charge in made:
            if charge is own:
                continue
            route = charge_path(parent, charge)
            api.missing(api.get(*route), "charge")
            api.missing(api.update(*route, body=change(quantity=2)), "charge")
            if api.can_delete(*route):
                api.missing(api.delete(*route), "charge")
    for parent, own in zip(parents, made, strict=True):
        api.same("a_child_has_one_parent", api.charges(*parent), [own])
    some = made[0]
    nothing = {CHARGE_ID: BODIES.unused("charge")}
    for segments, kind in (
        (customer_path(nobody), "customer"),
        (subscriptions_path(nobody), "customer"),
        (subscription_path(nobody, "a"), "customer"),
        (charges_path(nobody), "customer"),
        (charge_path((nobody,), some), "customer"),
        (charge_path((nobody, "a"), some), "customer"),
        (subscription_path(first, "c"), "subscription"),
        (charges_path(first, "c"), "subscription"),
        (charge_path((first, "c"), some), "subscription"),
        (charge_path((first,), nothing), "charge"),
    ):
        api.missing(api.get(*segments), kind)
    api.missing(api.post(*charges_path(nobody), body=new_charge()), "customer")
    api.missing(api.post(*subscriptions_path(nobody), body=new_subscription("1")), "customer")
    api.missing(api.get(*customer_path(nobody)), "customer")  # none of these requests created the customer


@probe("state")
def money_does_not_drift(api: Api) -> None:
    """A price reads with the value it was sent with, after many changes of other things, in every read."""
    customer, vat_rate = api.customer(), BODIES.fitting(vat_rate=Decimal("12.34"))
    for text in (
        "0.1",
        "0.07",
        "19.99",
        "1234567.123456",
        "-9999999.999999",
        "0.000001",
        "33.333333",
        "1.005",
        "100.10",
    ):
        price = Decimal(text)
        made = api.charge(customer, wire=vat_rate, unit_price=price)
        route = charge_path((customer,), made)
        for quantity in range(1, 4 if api.real else 11):
            api.update(*route, body=change(quantity=quantity))
        for read in (made, api.get(*route).object, _listed(api, (customer,), made)):
            money = {wire("unit_price"): price} | vat_rate
            api.same("money_does_not_drift", {name: read[name] for name in money}, money)


@probe("state")
def requests_at_once_are_all_kept(api: Api) -> None:
    """Requests that come at once all take effect, once each; of equal creations one wins."""
    customer, twice = api.customer(), api.number()
    with ThreadPoolExecutor(16) as threads:
        made = list(threads.map(lambda index: api.charge(customer, quantity=index + 1), range(32 if api.real else 64)))
        winners: list[Exchange] = list(
            threads.map(lambda _: api.post(*customers_path(), body=new_customer(twice)), range(4 if api.real else 16))
        )
    listed = {each[CHARGE_ID]: each for each in api.charges(customer)}
    api.same("each_takes_effect_once", listed, {each[CHARGE_ID]: each for each in made})
    api.same("one_creation_wins", sum(each.succeeded for each in winners), 1)
    for each in winners:
        if not each.succeeded:
            api.expect(each, *CONTRACT.duplicates["customer"])


def _listed(api: Api, parent: tuple[str, ...], charge: dict[str, Any]) -> dict[str, Any]:
    """Return a charge as its list shows it."""
    for each in api.charges(*parent):
        if each[CHARGE_ID] == charge[CHARGE_ID]:
            return each
    api.broke("lists_are_complete", "a charge is not in its list")
    return {}
