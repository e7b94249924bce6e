"""What is written is what is read, until it is changed, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

from contract_tests.api import Api
from contract_tests.exchange import Exchange

from ._registry import probe

FULL: dict[str, Any] = {
    "productCode": "P01",
    "quantity": 3,
    "unitPrice": Decimal("499.123456"),
    "vatRate": Decimal("12.5"),
    "text": "Fiber 500/500, Ångström",
    "startDate": "2026-01-01",
    "endDate": "2026-12-31",
    "costCentre": {"no": "77", "share": [Decimal("0.10"), None, True]},
}
OTHER: dict[str, Any] = {
    "productCode": "K09",
    "quantity": 99_999,
    "unitPrice": Decimal("-0.000001"),
    "vatRate": 0,
    "text": "",
    "startDate": "2025-02-28",
    "endDate": "2027-02-28",
    "costCentre": "other",
}


def _parents(api: Api) -> Iterator[tuple[str, ...]]:
    for level in ("", "46701234567"):
        customer = api.customer()
        yield (customer, api.subscription(customer, level)) if level else (customer,)


def _values(charge: dict[str, Any]) -> dict[str, Any]:
    """What a client may set, absent and null being one."""
    own = {"@id", "recurringProductId", "operations", "billedUntil"}
    return {name: value for name, value in charge.items() if name not in own and value is not None}


@probe("state")
def what_is_created_is_read(api: Api) -> None:
    """A charge reads as it was created, alone and in its list, unknown properties and all digits included."""
    for parent in _parents(api):
        created = api.charge(*parent, **FULL)
        api.same("held_as_sent", _values(created), FULL)
        read = api.expect(api.get(*api.charges_of(*parent), created["recurringProductId"]), 200).object
        api.same("held_as_sent", _values(read), FULL)
        api.same("held_as_sent", [_values(each) for each in api.charges(*parent)], [FULL])


@probe("state")
def customers_and_subscriptions_hold_what_was_sent(api: Api) -> None:
    """Unknown properties of customers and subscriptions are held too."""
    number = api.number()
    extra = {"nickname": "Åsa", "limits": [1, Decimal("2.50"), None]}
    api.expect(api.post("customers", body={"customerNo": number, **extra}), 201)
    api.expect(api.post("customers", number, "subscriptions", body={"subscriptionNo": "1", **extra}), 201)
    read = [
        api.get("customers", number).object,
        api.get("customers", number, "subscriptions", "1").object,
        api.items("customers", number, "subscriptions")[0],
    ]
    for each in read:
        api.same("held_as_sent", {name: each.get(name) for name in extra}, extra)


@probe("state")
def a_duplicate_is_refused(api: Api) -> None:
    """A number that exists is refused with its own problem, and what exists stays as it was."""
    for customer in (api.customer(), api.customer(api.number()[:9] + " &.")):
        api.subscription(customer)
        charges = [api.charge(customer), api.charge(customer, "46701234567")]
        before = api.get("customers", customer).object
        for body in ({"customerNo": customer}, {"customerNo": customer, "extra": 1}):
            api.expect(api.post("customers", body=body), 409, "customer-already-exists")
        for _ in range(2):
            again = api.post("customers", customer, "subscriptions", body={"subscriptionNo": "46701234567", "extra": 1})
            api.expect(again, 409, "subscription-already-exists")
        api.same("a_duplicate_changes_nothing", api.get("customers", customer).object, before)
        api.same("a_duplicate_changes_nothing", api.charges(customer), charges[:1])
        api.same("a_duplicate_changes_nothing", api.charges(customer, "46701234567"), charges[1:])
        subscriptions = [each["subscriptionNo"] for each in api.items("customers", customer, "subscriptions")]
        api.same("a_duplicate_changes_nothing", subscriptions, ["46701234567"])


@probe("state")
def a_request_creates_exactly_one(api: Api) -> None:
    """Each creation adds one, with an id of its own, even if its content is there already."""
    ids: set[str] = set()
    for parent in _parents(api):
        for count in range(1, 6):
            created = api.charge(*parent, **FULL)
            ids.add(created["recurringProductId"])
            api.same("one_is_created", len(api.charges(*parent)), count)
    for _ in range(30):
        ids.add(api.charge(api.customer())["recurringProductId"])
    api.same("ids_are_unique", len(ids), 40)


@probe("state")
def lists_are_complete(api: Api) -> None:
    """A list holds each item once, in one order, each as it reads alone, however long it is."""
    count = 12 if api.real else 130
    for parent in _parents(api):
        created = [api.charge(*parent, quantity=index + 1, text=f"no {index}") for index in range(count)]
        listed = api.charges(*parent)
        by_id = {each["recurringProductId"]: each for each in listed}
        api.same("lists_are_complete", sorted(by_id), sorted(each["recurringProductId"] for each in created))
        api.same("lists_are_complete", len(listed), count)
        for each in created:
            api.same("lists_hold_what_reads", by_id[each["recurringProductId"]], each)
        api.same("lists_are_stable", api.charges(*parent), listed)
        api.delete(*api.charges_of(*parent), listed[3]["recurringProductId"])
        api.patch(*api.charges_of(*parent), listed[5]["recurringProductId"], body={"quantity": 777})
        after = [each["recurringProductId"] for each in api.charges(*parent)]
        api.same("lists_are_stable", after, [each["recurringProductId"] for each in listed[:3] + listed[4:]])
    customer = api.customer()
    numbers = [api.subscription(customer, f"s{index}") for index in range(count)]
    listed = api.items("customers", customer, "subscriptions")
    api.same("lists_are_complete", sorted(each["subscriptionNo"] for each in listed), sorted(numbers))
    for each in listed[:20]:
        api.same(
            "lists_hold_what_reads",
            api.get("customers", customer, "subscriptions", each["subscriptionNo"]).object,
            each,
        )


@probe("state")
def a_change_touches_what_was_sent(api: Api) -> None:
    """A change of one property changes that one, in every read, and leaves all others and all other charges."""
    for parent in _parents(api):
        neighbour = api.charge(*parent, **FULL)
        for name, value in OTHER.items():
            made = api.charge(*parent, **FULL)
            route = (*api.charges_of(*parent), made["recurringProductId"])
            changed = api.expect(api.patch(*route, body={name: value}), 200)
            expected = FULL | {name: value}
            for read in (changed.object, api.get(*route).object, _listed(api, parent, made)):
                api.same("a_change_touches_what_was_sent", _values(read), expected, changed)
            for each in ("@id", "recurringProductId"):
                api.same("a_change_keeps_the_identity", changed.object[each], made[each], changed)
            untouched = api.get(*api.charges_of(*parent), neighbour["recurringProductId"]).object
            api.same("a_change_leaves_others", untouched, neighbour)
            api.expect(api.patch(*route, body={name: FULL[name]}), 200)
            api.same("a_change_touches_what_was_sent", _values(api.get(*route).object), FULL)


@probe("state")
def null_clears(api: Api) -> None:
    """A property changed to null is cleared, and only it; an empty change changes nothing."""
    for parent in _parents(api):
        for name in FULL:
            if name == "productCode":
                continue
            made = api.charge(*parent, **FULL)
            route = (*api.charges_of(*parent), made["recurringProductId"])
            api.expect(api.patch(*route, body={}), 200)
            api.same("an_empty_change_changes_nothing", _values(api.get(*route).object), FULL)
            changed = api.expect(api.patch(*route, body={name: None}), 200)
            expected = {key: value for key, value in FULL.items() if key != name}
            for read in (changed.object, api.get(*route).object, _listed(api, parent, made)):
                api.same("null_clears", _values(read), expected, changed)


@probe("state")
def a_change_of_many_is_whole(api: Api) -> None:
    """Several properties change together, or, when one is not valid, none."""
    for parent in _parents(api):
        made = api.charge(*parent, **FULL)
        route = (*api.charges_of(*parent), made["recurringProductId"])
        api.expect(api.patch(*route, body={"text": "new", "quantity": 0}), 400, "validation", "quantity")
        api.expect(api.patch(*route, body={"text": "new", "endDate": "2020-01-01"}), 422, "unprocessable")
        api.same("a_refused_change_changes_nothing", _values(api.get(*route).object), FULL)
        api.expect(api.patch(*route, body=OTHER), 200)
        api.same("a_change_touches_what_was_sent", _values(api.get(*route).object), OTHER)


@probe("state")
def an_end_is_not_before_its_start(api: Api) -> None:
    """A charge that would end before it starts is refused, new or changed; one of a single day is not."""
    for parent in _parents(api):
        for start, end in (("2026-01-02", "2026-01-01"), ("2026-01-01", "2025-12-31")):
            body = {"productCode": "P01", "startDate": start, "endDate": end}
            api.expect(api.post(*api.charges_of(*parent), body=body), 422, "unprocessable")
        api.same("only_the_valid_is_held", api.charges(*parent), [])
        made = api.charge(*parent, startDate="2026-01-01", endDate="2026-01-01")
        route = (*api.charges_of(*parent), made["recurringProductId"])
        api.expect(api.patch(*route, body={"endDate": "2025-12-31"}), 422, "unprocessable")
        api.expect(api.patch(*route, body={"startDate": "2026-01-02"}), 422, "unprocessable")
        api.same("a_refused_change_changes_nothing", api.get(*route).object, made)
        api.expect(api.patch(*route, body={"startDate": "2027-01-01", "endDate": "2027-01-01"}), 200)


@probe("state")
def what_is_deleted_is_gone(api: Api) -> None:
    """A removed charge is gone at once from every read, cannot be changed or removed again, and its neighbours stay."""
    for parent in _parents(api):
        route = api.charges_of(*parent)
        made = [api.charge(*parent, **FULL) for _ in range(4)]
        for gone in (made[1], made[3], made[0]):
            made.remove(gone)
            api.expect(api.delete(*route, gone["recurringProductId"]), 204)
            api.expect(api.get(*route, gone["recurringProductId"]), 404, "recurring-product-not-found")
            api.same("what_is_deleted_is_gone", api.charges(*parent), made)
            for method, body in (("PATCH", {"quantity": 1}), ("DELETE", ...)):
                again = api.send(method, *route, gone["recurringProductId"], body=body)
                api.expect(again, 404, "recurring-product-not-found")
        api.same("what_is_deleted_is_gone", api.get(*route, made[0]["recurringProductId"]).object, made[0])


@probe("state")
def children_go_with_their_parent(api: Api) -> None:
    """A removed subscription is gone with its charges; made anew, it has none; its customer's own stay."""
    customer = api.customer()
    kept, gone = api.subscription(customer, "kept"), api.subscription(customer, "gone")
    own, theirs, lost = api.charge(customer, **FULL), api.charge(customer, kept), api.charge(customer, gone)
    api.expect(api.delete("customers", customer, "subscriptions", gone), 204)
    for exchange in (
        api.get("customers", customer, "subscriptions", gone),
        api.delete("customers", customer, "subscriptions", gone),
        api.get(*api.charges_of(customer, gone)),
        api.get(*api.charges_of(customer, gone), lost["recurringProductId"]),
        api.patch(*api.charges_of(customer, gone), lost["recurringProductId"], body={"quantity": 1}),
        api.post(*api.charges_of(customer, gone), body={"productCode": "P01"}),
    ):
        api.expect(exchange, 404, "subscription-not-found")
    api.same(
        "what_is_deleted_is_gone",
        [each["subscriptionNo"] for each in api.items("customers", customer, "subscriptions")],
        [kept],
    )
    api.same("only_it_is_deleted", api.charges(customer), [own])
    api.same("only_it_is_deleted", api.charges(customer, kept), [theirs])
    api.subscription(customer, gone)
    api.same("children_go_with_their_parent", api.charges(customer, gone), [])
    api.expect(api.get(*api.charges_of(customer, gone), lost["recurringProductId"]), 404, "recurring-product-not-found")


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
            route = (*api.charges_of(*parent), charge["recurringProductId"])
            for method, body in (("GET", ...), ("PATCH", {"quantity": 2}), ("DELETE", ...)):
                api.expect(api.send(method, *route, body=body), 404, "recurring-product-not-found")
    for parent, own in zip(parents, made, strict=True):
        api.same("a_child_has_one_parent", api.charges(*parent), [own])
    some = made[0]["recurringProductId"]
    for segments, code in (
        (("customers", nobody), "customer-not-found"),
        (("customers", nobody, "subscriptions"), "customer-not-found"),
        (("customers", nobody, "subscriptions", "a"), "customer-not-found"),
        (api.charges_of(nobody), "customer-not-found"),
        ((*api.charges_of(nobody), some), "customer-not-found"),
        ((*api.charges_of(nobody, "a"), some), "customer-not-found"),
        (("customers", first, "subscriptions", "c"), "subscription-not-found"),
        (api.charges_of(first, "c"), "subscription-not-found"),
        ((*api.charges_of(first, "c"), some), "subscription-not-found"),
        ((*api.charges_of(first), "nope"), "recurring-product-not-found"),
    ):
        api.expect(api.get(*segments), 404, code)
    api.expect(api.post(*api.charges_of(nobody), body={"productCode": "P01"}), 404, "customer-not-found")
    api.expect(api.post("customers", nobody, "subscriptions", body={"subscriptionNo": "1"}), 404, "customer-not-found")
    api.expect(api.get("customers", nobody), 404, "customer-not-found")  # and none of that made one


@probe("state")
def money_does_not_drift(api: Api) -> None:
    """A price reads with the value it was sent with, after many changes of other things, in every read."""
    customer = api.customer()
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
        made = api.charge(customer, unitPrice=price, vatRate=Decimal("12.34"))
        route = (*api.charges_of(customer), made["recurringProductId"])
        for quantity in range(1, 11):
            api.patch(*route, body={"quantity": quantity})
        for read in (made, api.get(*route).object, _listed(api, (customer,), made)):
            api.same("money_does_not_drift", (read["unitPrice"], read["vatRate"]), (price, Decimal("12.34")))


@probe("state")
def requests_at_once_are_all_kept(api: Api) -> None:
    """Requests that come at once all take effect, once each; of equal creations one wins."""
    customer, twice = api.customer(), api.number()
    with ThreadPoolExecutor(4 if api.real else 16) as threads:
        made = list(threads.map(lambda index: api.charge(customer, quantity=index + 1), range(8 if api.real else 64)))
        winners: list[Exchange] = list(
            threads.map(lambda _: api.post("customers", body={"customerNo": twice}), range(4 if api.real else 16))
        )
    listed = {each["recurringProductId"]: each for each in api.charges(customer)}
    api.same("each_takes_effect_once", listed, {each["recurringProductId"]: each for each in made})
    api.same("one_creation_wins", sorted({each.status for each in winners}), [201, 409])
    api.same("one_creation_wins", sum(each.status == 201 for each in winners), 1)


def _listed(api: Api, parent: tuple[str, ...], charge: dict[str, Any]) -> dict[str, Any]:
    """A charge as its list shows it."""
    for each in api.charges(*parent):
        if each["recurringProductId"] == charge["recurringProductId"]:
            return each
    api.broke("lists_are_complete", "a charge is not in its list")
    return {}
