"""State that is not what was written."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

from payex_billing_mock import Store

from contract_tests.api import new_customer
from contract_tests.exchange import CONTRACT, render

from ._planting import (
    CHARGES,
    LISTS,
    SUBSCRIPTION_NO,
    Answer,
    MockWithFault,
    Next,
    Request,
    behaves,
    stores,
    wire,
    with_body,
)

JsonObject = dict[str, Any]

FAMILY = "state"
CODE, QUANTITY, PRICE, TEXT, END = map(wire, ("product_code", "quantity", "unit_price", "text", "end_date"))


@stores(FAMILY, "a removed charge can still be read")
class ReadableAfterDelete(Store):
    def __init__(self) -> None:
        super().__init__()
        self.graves: dict[str, Any] = {}

    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        self.graves[charge_id] = self.charge(ledger, customer, subscription, charge_id)
        super().delete_charge(ledger, customer, subscription, charge_id)

    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Any:
        return self.graves.get(charge_id) or super().charge(ledger, customer, subscription, charge_id)


@stores(FAMILY, "a removal answers 204 and does nothing")
class DeleteDoesNothing(Store):
    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        self.charge(ledger, customer, subscription, charge_id)


@stores(FAMILY, "the removal of a subscription does nothing")
class SubscriptionStays(Store):
    def delete_subscription(self, ledger: str, customer: str, number: str) -> None:
        self.subscription(ledger, customer, number)


@stores(FAMILY, "a removal takes equal charges along")
class DeleteTakesEqual(Store):
    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        gone = self.charge(ledger, customer, subscription, charge_id).document
        charges = self.charges(ledger, customer, subscription)
        for each in [key for key, charge in charges.items() if charge.document == gone]:
            del charges[each]


@stores(FAMILY, "a second removal is answered 204")
class DeleteTwice(Store):
    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        self.charges(ledger, customer, subscription).pop(charge_id, None)


@stores(FAMILY, "the removal of a subscription takes the customer's own charges along")
class DeleteTakesParents(Store):
    def delete_subscription(self, ledger: str, customer: str, number: str) -> None:
        super().delete_subscription(ledger, customer, number)
        self.customer(ledger, customer).charges.clear()


@stores(FAMILY, "charges of a removed subscription come back with a new one")
class ChildrenSurvive(Store):
    def __init__(self) -> None:
        super().__init__()
        self.orphans: dict[Any, dict[str, Any]] = {}

    def delete_subscription(self, ledger: str, customer: str, number: str) -> None:
        subscription = self.subscription(ledger, customer, number)
        self.orphans[ledger, customer, number] = dict(subscription.charges)
        super().delete_subscription(ledger, customer, number)

    def create_subscription(self, ledger: str, customer_no: str, body: JsonObject) -> Any:
        subscription = super().create_subscription(ledger, customer_no, body)
        subscription.charges.update(self.orphans.get((ledger, customer_no, body[SUBSCRIPTION_NO]), {}))
        return subscription


@stores(FAMILY, "charges of a removed subscription can still be read")
class OrphansReadable(ChildrenSurvive):
    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Any:
        found = self.orphans.get((ledger, customer, subscription), {}).get(charge_id)
        return found or super().charge(ledger, customer, subscription, charge_id)


@stores(FAMILY, "a change answers the new state and keeps the old")
class ChangeIsNotKept(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        before = dict(self.charge(ledger, customer, subscription, charge_id).document)
        changed = super().change_charge(ledger, customer, subscription, charge_id, body)
        answer = replace(changed, rendered=None)
        changed.document, changed.rendered = before, None
        return answer


@stores(FAMILY, "a change resets what was not sent")
class ChangeResets(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        charge = self.charge(ledger, customer, subscription, charge_id)
        charge.document = {CODE: charge.document[CODE]}
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "a change of the price resets the text")
class ChangeResetsText(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        if PRICE in body:
            body = {TEXT: None, **body}
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "null in a change is taken for left out")
class NullIsAbsent(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        given = {name: value for name, value in body.items() if value is not None}
        return super().change_charge(ledger, customer, subscription, charge_id, given)


@stores(FAMILY, "a change changes all charges of the product")
class ChangeOfAll(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        changed = super().change_charge(ledger, customer, subscription, charge_id, body)
        for each in self.charges(ledger, customer, subscription).values():
            if each.document[CODE] == changed.document[CODE]:
                each.document, each.rendered = dict(changed.document), None
        return changed


@stores(FAMILY, "a change that is refused is done in part")
class HalfDone(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        charge = self.charge(ledger, customer, subscription, charge_id)
        if TEXT in body:
            charge.document, charge.rendered = charge.document | {TEXT: body[TEXT]}, None
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "the list shows a charge as it was before its change")
class StaleList(Store):
    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, Any] = {}

    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        made = super().create_charge(ledger, customer, subscription, body)
        self.first[made.key.charge] = replace(made, document=dict(made.document), rendered=None)
        return made

    def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Any]:
        held = super().charges(ledger, customer, subscription)
        return View(held, {key: self.first.get(key, charge) for key, charge in held.items()})


class View(dict[str, Any]):
    """The charges of an owner, of which a list shows others than a read finds."""

    def __init__(self, held: dict[str, Any], shown: dict[str, Any]) -> None:
        super().__init__(held)
        self._held, self._shown = held, shown

    def values(self) -> Any:
        return self._shown.values()

    def __setitem__(self, key: str, value: Any) -> None:
        self._held[key] = value
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        del self._held[key]


def _shown(name: str, description: str, show: Any) -> None:
    class Shows(Store):
        def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Any]:
            held = super().charges(ledger, customer, subscription)
            return View(held, dict(enumerate(show(list(held.values())))))  # type: ignore[arg-type]

    Shows.__name__ = name
    stores(FAMILY, description)(Shows)


_shown("ListMissesLast", "a list of more than ten misses the last", lambda held: held[:-1] if len(held) > 10 else held)
_shown("ListEndsAt100", "a list ends at one hundred", lambda held: held[:100])
_shown(
    "ListRepeats", "a list of more than five repeats its first", lambda held: held + held[:1] if len(held) > 5 else held
)
_shown("ListOrderChanges", "the order of a list changes between reads", lambda held: random.sample(held, len(held)))
_shown(
    "ListMerges",
    "equal charges are listed once",
    lambda held: list({str(each.document): each for each in held}.values()),
)


@stores(FAMILY, "texts are trimmed")
class TextTrimmed(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        text = {TEXT: body[TEXT].strip()} if isinstance(body.get(TEXT), str) else {}
        return super().create_charge(ledger, customer, subscription, body | text)


@stores(FAMILY, "product codes are held in upper case")
class CodeInUpperCase(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        return super().create_charge(ledger, customer, subscription, body | {CODE: body[CODE].upper()})


@stores(FAMILY, "characters beyond Latin-1 are held as question marks")
class QuestionMarks(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        text = (
            {TEXT: body[TEXT].encode("latin-1", "replace").decode("latin-1")} if isinstance(body.get(TEXT), str) else {}
        )
        return super().create_charge(ledger, customer, subscription, body | text)


@stores(FAMILY, "a charge without a quantity gets one")
class DefaultInvented(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        return super().create_charge(ledger, customer, subscription, {QUANTITY: 1, **body})


@stores(FAMILY, "an end is held a day early")
class EndADayEarly(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        made = super().create_charge(ledger, customer, subscription, body)
        if made.document.get(END) == "2026-12-31":
            made.document[END] = "2026-12-30"
        return made


@stores(FAMILY, "a price is held with two decimals")
class TwoDecimals(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        price = body.get(PRICE)
        rounded = {PRICE: round(price, 2)} if isinstance(price, Decimal) else {}
        return super().create_charge(ledger, customer, subscription, body | rounded)


@stores(FAMILY, "a price is held in single precision")
class SinglePrecision(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        charge = super().change_charge(ledger, customer, subscription, charge_id, body)
        price = charge.document.get(PRICE)
        if isinstance(price, Decimal):
            charge.document[PRICE] = Decimal(f"{float(price):.7g}")
        return charge


@stores(FAMILY, "each change adds a millionth to the price")
class PriceDrifts(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Any:
        charge = super().change_charge(ledger, customer, subscription, charge_id, body)
        price = charge.document.get(PRICE)
        if isinstance(price, Decimal) and PRICE not in body:
            charge.document[PRICE] = price + Decimal("0.000001")
        return charge


@stores(FAMILY, "unknown properties of a charge are lost")
class UnknownLost(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Any:
        known = set(CONTRACT.creations["charge"]["properties"])
        return super().create_charge(ledger, customer, subscription, {k: v for k, v in body.items() if k in known})


@stores(FAMILY, "unknown properties of a customer are lost")
class UnknownOfCustomerLost(Store):
    def create_customer(self, ledger: str, body: JsonObject) -> Any:
        return super().create_customer(
            ledger, {name: body[name] for name in CONTRACT.creations["customer"]["properties"] if name in body}
        )


@stores(FAMILY, "a read counts the quantity up")
class ReadChanges(Store):
    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Any:
        found = super().charge(ledger, customer, subscription, charge_id)
        if found.document.get(QUANTITY):
            found.document, found.rendered = found.document | {QUANTITY: found.document[QUANTITY] + 1}, None
        return found


@stores(FAMILY, "a read of a customer that is not there makes it")
class ReadCreates(Store):
    def customer(self, ledger: str, number: str) -> Any:
        try:
            return super().customer(ledger, number)
        except Exception:
            self.create_customer(ledger, new_customer(number))
            raise


@behaves(FAMILY, "a new charge is listed only at the second look")
def listed_late(app: MockWithFault, request: Request, ask: Next) -> Answer:
    fresh: set[bytes] = app.__dict__.setdefault("fresh", set())
    answer = ask(request)
    if request.method == "POST" and answer.status < 300 and request.raw_path.endswith(f"/{CHARGES}".encode()):
        fresh.add(request.raw_path)
    elif request.method == "GET" and request.raw_path in fresh:
        fresh.discard(request.raw_path)
        listed: dict[str, Any] = {name: [] for name in LISTS if f'"{name}":['.encode() in answer.body}
        return with_body(answer, render(listed | {"navigation": {"@id": request.raw_path.decode()}}))
    return answer
