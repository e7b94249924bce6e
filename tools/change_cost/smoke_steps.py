"""The steps of the smoke test. Each step uses its own customers, so that a failed step does not break another."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

from .smoke_scene import CLEARS, EXTRA, Missing, Smoke
from .smoke_tables import command_line, reconcile

NEW_VALUES = {
    "product_code": "P02",
    "quantity": 7,
    "unit_price": Decimal("499.10"),
    "vat_rate": Decimal(1),
    "text": "Ändrad text",
    "start_date": date(2026, 2, 1),
    "end_date": date(2027, 1, 31),
}
CREDIT = {
    "product_code": "K09",
    "quantity": 1,
    "unit_price": Decimal("-0.000001"),
    "vat_rate": Decimal(0),
    "text": "Kredit för åäö",
    "start_date": date(2026, 3, 1),
}


def customers(smoke: Smoke) -> None:
    """Create a customer and a subscription, read both, and list the subscription."""
    handle = smoke.billing.customer("15615616")
    created = smoke.give(handle.create, "customer")
    read = handle.get()
    smoke.same("customer_no", (created.customer_no, read.customer_no), ("15615616", "15615616"))
    smoke.same("the customer's link to itself", read.uri and read.uri.rpartition("/")[2], "15615616")
    for name, value in smoke.expect.required.get("customer", {}).items():
        smoke.same(f"customer {name}", smoke.known(read, name), value)
    subscription = handle.subscription("46701234567")
    created = smoke.give(subscription.create, "subscription")
    smoke.same("subscription_no", (created.subscription_no, subscription.get().subscription_no), ("46701234567",) * 2)
    smoke.same("subscriptions", [each.subscription_no for each in handle.subscriptions.list()], ["46701234567"])
    for name, value in smoke.expect.required.get("subscription", {}).items():
        smoke.same(f"subscription {name}", smoke.known(subscription.get(), name), value)


def ensure(smoke: Smoke) -> None:
    """Call `ensure` twice: the first call creates the resources, the second call reads them."""
    handle = smoke.billing.customer("15615617")
    for _ in range(2):
        smoke.same("customer_no", smoke.give(handle.ensure, "customer").customer_no, "15615617")
        subscription = handle.subscription("46701234568")
        smoke.same("subscription_no", smoke.give(subscription.ensure, "subscription").subscription_no, "46701234568")
        subscription.recurring_products.ensure(smoke.charge(smoke.samples()))
    smoke.same("charges", len(list(subscription.recurring_products.list())), 1)


def duplicates(smoke: Smoke) -> None:
    """Create a duplicate; the client raises the documented exception."""
    handle = smoke.new_customer("15615618", "46701234569")
    with smoke.raises("a duplicate customer", *smoke.expect.duplicate) as caught:
        smoke.give(handle.create, "customer")
    if "error" in caught:
        smoke.same("error.instance", bool(caught["error"].instance), True)
    with smoke.raises("a duplicate subscription", *smoke.expect.duplicate):
        smoke.give(handle.subscription("46701234569").create, "subscription")


def missing(smoke: Smoke) -> None:
    """Request resources that do not exist; the client raises the documented exceptions."""
    nobody, handle = smoke.billing.customer("404404"), smoke.new_customer("15615619")
    names = smoke.expect.not_found
    with smoke.raises("a missing customer", "CustomerNotFound") as caught:
        nobody.get()
    if "error" in caught:
        error = caught["error"]
        smoke.same("error.status", error.status, 404)
        smoke.same("error.instance", bool(error.instance), True)
    with smoke.raises("charges of a missing customer", "CustomerNotFound"):
        list(nobody.recurring_products.list())
    with smoke.raises("a missing subscription", "SubscriptionNotFound"):
        handle.subscription("1").get()
    # The id of another customer's charge fits the schema for ids in every corrected contract.
    some = handle.recurring_products.create(smoke.charge({"product_code": "P01"}))
    other = smoke.new_customer("15615620").recurring_products
    with smoke.raises("a missing charge", *names):
        other.get(some.id)
    with smoke.raises("a change of a missing charge", *names):
        other.update(some.id, quantity=2)


def charges(smoke: Smoke) -> None:
    """Add charges to a customer and a subscription, read and list them, and compare every value."""
    handle = smoke.new_customer("15615621", "46701234570")
    for level, place in (("customer", handle), ("subscription", handle.subscription("46701234570"))):
        products = place.recurring_products
        added = []
        for values in (smoke.samples(), CREDIT, {"product_code": "P03"}):
            created = products.create(smoke.charge(values))
            added.append(created.id)
            what = f"{level} charge {values['product_code']}"
            smoke.same_charge(f"{what}, created", created, values)
            smoke.same_charge(f"{what}, read", products.get(created.id), values)
            smoke.same(f"{what}: the link ends in the id", created.uri.rpartition("/")[2], str(created.id))
            smoke.same_wire(what, smoke.raw("GET", created.uri)[1], values)
        listed = list(products.list())
        smoke.same(f"{level} charges, listed", [each.id for each in listed], added)
        for product, values in zip(listed, (smoke.samples(), CREDIT, {"product_code": "P03"}), strict=False):
            smoke.same_charge(f"{level} charge, listed", product, values)
    smoke.same("all_charges", len(list(handle.all_charges())), 6)


def updates(smoke: Smoke) -> None:
    """Update one value at a time, and check that all other values stay."""
    handle = smoke.new_customer("15615622", "46701234571")
    for level, place in (("customer", handle), ("subscription", handle.subscription("46701234571"))):
        products = place.recurring_products
        values = smoke.samples()
        created = products.create(smoke.charge(values))
        for name, value in NEW_VALUES.items():
            values[name] = value
            updated = products.update(created.id, **{name: value})
            smoke.same_charge(f"{level} charge after {name}", updated, values)
            smoke.same_wire(f"{level} charge after {name}", smoke.raw("GET", created.uri)[1], values)
        values |= {"quantity": 2, "unit_price": Decimal("-1.5")}
        smoke.same_charge("two values", products.update(created.id, quantity=2, unit_price=Decimal("-1.5")), values)
        smoke.same("charges", len(list(products.list())), 1)


def clear(smoke: Smoke) -> None:
    """Clear the end date, and check that all other values stay."""
    products = smoke.new_customer("15615623").recurring_products
    values = smoke.samples()
    created = products.create(smoke.charge(values))
    if not smoke.expect.may_clear:
        refuses(smoke, "clear", lambda: products.update(created.id, end_date=None))
        return
    values["end_date"] = None
    smoke.same_charge("updated", products.update(created.id, end_date=None), values)
    smoke.same_charge("read", products.get(created.id), values)
    smoke.same_wire("cleared", smoke.raw("GET", created.uri)[1], values)


def refuses(smoke: Smoke, what: str, call: Callable[[], object]) -> None:
    """Check that the client raises without sending a request: the contract does not allow it."""
    sent = len(smoke.proxy.recorded)
    try:
        call()
    except Exception as error:  # noqa: BLE001 - any exception is accepted
        smoke.same("requests", len(smoke.proxy.recorded) - sent, 0)
        print(f"{what}: {error!r}")
    else:
        smoke.same(what, "no exception", "an exception")


def delete(smoke: Smoke) -> None:
    """Delete charges and a subscription.

    If the contract has no DELETE for charges, the client must raise without sending a request.
    """
    handle = smoke.new_customer("15615624", "46701234572")
    subscription = handle.subscription("46701234572")
    for place in (handle, subscription):
        products = place.recurring_products
        created = products.create(smoke.charge(smoke.samples()))
        if smoke.expect.may_delete_charges:
            products.delete(created.id)
            with smoke.raises("a deleted charge", *smoke.expect.not_found):
                products.get(created.id)
            smoke.same("charges", list(products.list()), [])
        else:
            refuses(smoke, "delete", partial(products.delete, created.id))
    if not smoke.expect.may_delete_subscriptions:
        refuses(smoke, "delete of a subscription", subscription.delete)
        return
    subscription.delete()
    with smoke.raises("a deleted subscription", "SubscriptionNotFound"):
        subscription.get()


def refused(smoke: Smoke) -> None:
    """Pass values that the contract does not allow; the client raises InvalidArgument and sends nothing."""
    products = smoke.new_customer("15615625").recurring_products
    created = products.create(smoke.charge(smoke.samples()))
    schemas = smoke.judge.document["components"]["schemas"]
    wrong: list[dict[str, Any]] = [
        {"unit_price": Decimal("0.0000001")},
        {"unit_price": Decimal(10_000_000)},
        {"unit_price": 1.5},
        {"quantity": 0},
        {"quantity": 100_000},
        {"vat_rate": Decimal(schemas["VatRate"]["maximum"]) + 1},
        {"vat_rate": Decimal(1).scaleb(-schemas["VatRate"]["x-decimals"] - 1)},
        {"vat_rate": Decimal(-1)},
        {"text": "å" * (schemas["ChargeText"]["maxLength"] + 1)},
        {"product_code": "P" * (schemas["ProductCode"]["maxLength"] + 1)},
        {"product_code": ""},
        {"start_date": "2026-01-01"},
    ]
    if schemas["Quantity"]["type"] == "integer":
        wrong.append({"quantity": Decimal("1.5")})
    before = len(smoke.proxy.recorded)
    for values in wrong:
        with smoke.raises(f"create {values}", "InvalidArgument"):
            products.create(smoke.charge({"product_code": "P01", **values}))
        with smoke.raises(f"update {values}", "InvalidArgument"):
            products.update(created.id, **values)
    for number in ("", "1" * 16, "a*b"):
        with smoke.raises(f"customer {number!r}", "InvalidArgument"):
            smoke.give(smoke.billing.customer(number).create, "customer")
    smoke.same("requests that were sent", len(smoke.proxy.recorded) - before, 0)


def at_the_limits(smoke: Smoke) -> None:
    """Send values at the limits of the contract; the client and the mock accept them."""
    products = smoke.new_customer("15615626").recurring_products
    schemas = smoke.judge.document["components"]["schemas"]
    limits: tuple[dict[str, Any], ...] = (
        {"text": "å" * schemas["ChargeText"]["maxLength"], "product_code": "Å" * schemas["ProductCode"]["maxLength"]},
        {"unit_price": Decimal("9999999.999999"), "vat_rate": Decimal(schemas["VatRate"]["maximum"])},
        {"unit_price": Decimal("-9999999.999999"), "vat_rate": Decimal(1).scaleb(-schemas["VatRate"]["x-decimals"])},
        {"quantity": 99_999, "unit_price": 0},
    )
    for values in limits:
        whole = {"product_code": "P01", **values}
        smoke.same_charge("at the limits", products.get(products.create(smoke.charge(whole)).id), whole)


def many(smoke: Smoke) -> None:
    """List all 250 charges of one customer."""
    handle = smoke.new_customer("15615627")
    path = smoke.charges_path("15615627")
    for index in range(250):
        smoke.put_there(path, smoke.wire_body({"product_code": f"M{index:03}", "quantity": 1}))
    listed = list(handle.recurring_products.list())
    smoke.same(
        "charges, listed", sorted({each.product_code for each in listed}), [f"M{each:03}" for each in range(250)]
    )
    smoke.same("number of charges", len(listed), 250)
    smoke.same("different ids", len({each.id for each in listed}), 250)
    if smoke.expect.pages_of:
        target = f"{path}?page=1&pageSize=60"
        pages: list[int] = []
        while target and len(pages) < 9:
            page = smoke.raw("GET", target)[1]
            pages.append(len(next(each for each in page.values() if isinstance(each, list))))
            link = page["navigation"].get("next")
            target = link.get("@id", "") if isinstance(link, dict) else link or ""
        smoke.mock_has("sizes of pages", pages, [60, 60, 60, 60, 10])


def extra(smoke: Smoke) -> None:
    """Send and read an undeclared property, and declared properties that have no attribute, in `extra`."""
    products = smoke.new_customer("15615628").recurring_products
    more = {**smoke.expect.declared_extra, EXTRA: "A-1"}
    created = products.create(smoke.charge(smoke.samples(), extra=more))
    wanted = {**more, **smoke.expect.required.get("charge", {})}
    products.update(created.id, quantity=9)
    for what, product in (("created", created), ("updated", products.get(created.id)), ("listed", *products.list())):
        for name, value in wanted.items():
            smoke.same(f"{what} {name}", smoke.known(product, name), value)
    products.update(created.id, extra={EXTRA: "A-2"})
    smoke.same("after an update of extra", smoke.known(products.get(created.id), EXTRA), "A-2")
    smoke.same_charge("after an update of extra", products.get(created.id), {**smoke.samples(), "quantity": 9})


def dicts(smoke: Smoke) -> None:
    """Convert a charge to a dict and back without a loss, and find it again with `ensure`."""
    from payex_billing import Charge, RecurringProduct  # noqa: PLC0415

    products = smoke.new_customer("15615629").recurring_products
    charge = smoke.charge(smoke.samples())
    product = products.create(charge)
    smoke.same("charge", Charge.from_dict(json.loads(json.dumps(charge.to_dict(mode="json")))), charge)
    smoke.same("product", RecurringProduct.from_dict(json.loads(json.dumps(product.to_dict(mode="json")))), product)
    smoke.same("ensure", products.ensure(charge).id, product.id)


def lost(smoke: Smoke) -> None:
    """Lose the response to a creation, and look the creation up; the ledger has exactly one charge."""
    handle = smoke.new_customer("15615630")
    smoke.proxy.lose.append("POST")
    try:
        handle.recurring_products.create(smoke.charge(smoke.samples()), known="read")
    except Exception as error:
        if type(error).__name__ != "OutcomeUnknown" or smoke.expect.idempotency:
            raise
        result = smoke.billing.look_up(error.lost)  # type: ignore[attr-defined]
        if result.outcome.name != "CREATED":
            raise RuntimeError(f"look_up says {result.outcome.name}: {result.reason}") from error
    smoke.same("charges", len(list(handle.recurring_products.list())), 1)


def idempotency(smoke: Smoke) -> None:
    """Repeat a POST with the same Idempotency-Key, if the contract has that header.

    The mock must return the first result again, and the client must send the header.
    """
    if not smoke.expect.idempotency:
        return
    handle, path = smoke.new_customer("15615631"), smoke.charges_path("15615631")
    body = smoke.wire_body({"product_code": "P01"})
    header = {"Idempotency-Key": "0a5b7c1e"}
    first, second = (smoke.raw("POST", path, body, **header)[1] for _ in range(2))
    smoke.mock_has("the second result", second, first)
    smoke.mock_has("the number of charges", len(list(handle.recurring_products.list())), 1)
    handle.recurring_products.create(smoke.charge({"product_code": "P02"}))
    sent = next(each for each in reversed(smoke.proxy.recorded) if each.method == "POST")
    if "Idempotency-Key" not in sent.headers:
        raise Missing("the client sends no Idempotency-Key")


def asynchronous(smoke: Smoke) -> None:
    """Create, update and list a charge with AsyncBilling."""
    from payex_billing import AsyncBilling  # noqa: PLC0415

    smoke.new_customer("15615632")

    async def work() -> None:
        async with AsyncBilling(**smoke.settings) as billing:  # type: ignore[arg-type]
            products = billing.customer("15615632").recurring_products
            values = smoke.samples()
            created = await products.create(smoke.charge(values))
            await products.update(created.id, quantity=5)
            listed = [each async for each in products.list()]
            smoke.same("charges", len(listed), 1)
            smoke.same_charge("listed", listed[0], {**values, "quantity": 5})

    asyncio.run(work())


def list_of_customers(smoke: Smoke) -> None:
    """List the customers, if the contract has an operation for that."""
    if not smoke.expect.lists_customers:
        return
    smoke.new_customer("15615633")
    status, page = smoke.raw("GET", smoke.customers)
    if status != 200:
        raise Missing(f"the mock answers GET {smoke.customers} with {status}")
    smoke.mock_has("customer 15615633 in the list", "15615633" in {each["customerNo"] for each in page["items"]}, True)


STEPS = {
    "customer and subscription": customers,
    "ensure": ensure,
    "duplicates": duplicates,
    "not found": missing,
    "charges": charges,
    "update": updates,
    CLEARS: clear,
    "delete": delete,
    "refused values": refused,
    "values at the limits": at_the_limits,
    "250 charges": many,
    "extra": extra,
    "to_dict": dicts,
    "lost response": lost,
    "idempotency key": idempotency,
    "async": asynchronous,
    "list of customers": list_of_customers,
    "reconcile": reconcile,
    "command line": command_line,
}
