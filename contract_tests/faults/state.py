"""State that is not what was written."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from payex_billing_mock import MockApp, Store
from payex_billing_mock.app import Answer, Request
from payex_billing_mock.problems import Refusal
from payex_billing_mock.store import Charge, Customer, JsonObject, Key, Subscription

from ._planting import Next, behaves, stores, with_body

FAMILY = "state"


@stores(FAMILY, "a removed charge can still be read")
class ReadableAfterDelete(Store):
    def __init__(self) -> None:
        super().__init__()
        self.graves: dict[str, Charge] = {}

    def delete_charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> None:
        self.graves[charge_id] = self.charge(ledger, customer, subscription, charge_id)
        super().delete_charge(ledger, customer, subscription, charge_id)

    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Charge:
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
        self.orphans: dict[Key, dict[str, Charge]] = {}

    def delete_subscription(self, ledger: str, customer: str, number: str) -> None:
        subscription = self.subscription(ledger, customer, number)
        self.orphans[subscription.key] = dict(subscription.charges)
        super().delete_subscription(ledger, customer, number)

    def create_subscription(self, ledger: str, customer_no: str, body: JsonObject) -> Subscription:
        subscription = super().create_subscription(ledger, customer_no, body)
        subscription.charges.update(self.orphans.get(subscription.key, {}))
        return subscription


@stores(FAMILY, "charges of a removed subscription can still be read")
class OrphansReadable(ChildrenSurvive):
    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Charge:
        found = self.orphans.get(Key(ledger, customer, subscription), {}).get(charge_id)
        return found or super().charge(ledger, customer, subscription, charge_id)


@stores(FAMILY, "a change answers the new state and keeps the old")
class ChangeIsNotKept(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        before = dict(self.charge(ledger, customer, subscription, charge_id).document)
        changed = super().change_charge(ledger, customer, subscription, charge_id, body)
        answer = Charge(changed.key, changed.document)
        changed.document, changed.rendered = before, None
        return answer


@stores(FAMILY, "a change resets what was not sent")
class ChangeResets(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        charge = self.charge(ledger, customer, subscription, charge_id)
        charge.document = {"productCode": charge.document["productCode"]}
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "a change of the price resets the text")
class ChangeResetsText(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        if "unitPrice" in body:
            body = {"text": None, **body}
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "null in a change is taken for left out")
class NullIsAbsent(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        given = {name: value for name, value in body.items() if value is not None}
        return super().change_charge(ledger, customer, subscription, charge_id, given)


@stores(FAMILY, "a change changes all charges of the product")
class ChangeOfAll(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        changed = super().change_charge(ledger, customer, subscription, charge_id, body)
        for each in self.charges(ledger, customer, subscription).values():
            if each.document["productCode"] == changed.document["productCode"]:
                each.document, each.rendered = dict(changed.document), None
        return changed


@stores(FAMILY, "a change that is refused is done in part")
class HalfDone(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        charge = self.charge(ledger, customer, subscription, charge_id)
        if "text" in body:
            charge.document, charge.rendered = charge.document | {"text": body["text"]}, None
        return super().change_charge(ledger, customer, subscription, charge_id, body)


@stores(FAMILY, "the list shows a charge as it was before its change")
class StaleList(Store):
    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, Charge] = {}

    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        made = super().create_charge(ledger, customer, subscription, body)
        self.first[made.key.charge] = Charge(made.key, dict(made.document))
        return made

    def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Charge]:
        held = super().charges(ledger, customer, subscription)
        return View(held, {key: self.first.get(key, charge) for key, charge in held.items()})


class View(dict[str, Charge]):
    """The charges of an owner, of which a list shows others than a read finds."""

    def __init__(self, held: dict[str, Charge], shown: dict[str, Charge]) -> None:
        super().__init__(held)
        self._held, self._shown = held, shown

    def values(self) -> Any:
        return self._shown.values()

    def __setitem__(self, key: str, value: Charge) -> None:
        self._held[key] = value
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        del self._held[key]


def _shown(name: str, description: str, show: Any) -> None:
    class Shows(Store):
        def charges(self, ledger: str, customer: str, subscription: str = "") -> dict[str, Charge]:
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
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        text = {"text": body["text"].strip()} if isinstance(body.get("text"), str) else {}
        return super().create_charge(ledger, customer, subscription, body | text)


@stores(FAMILY, "product codes are held in upper case")
class CodeInUpperCase(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        return super().create_charge(
            ledger, customer, subscription, body | {"productCode": body["productCode"].upper()}
        )


@stores(FAMILY, "characters beyond Latin-1 are held as question marks")
class QuestionMarks(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        text = (
            {"text": body["text"].encode("latin-1", "replace").decode("latin-1")}
            if isinstance(body.get("text"), str)
            else {}
        )
        return super().create_charge(ledger, customer, subscription, body | text)


@stores(FAMILY, "a charge without a quantity gets one")
class DefaultInvented(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        return super().create_charge(ledger, customer, subscription, {"quantity": 1, **body})


@stores(FAMILY, "an end is held a day early")
class EndADayEarly(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        made = super().create_charge(ledger, customer, subscription, body)
        if made.document.get("endDate") == "2026-12-31":
            made.document["endDate"] = "2026-12-30"
        return made


@stores(FAMILY, "a price is held with two decimals")
class TwoDecimals(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        price = body.get("unitPrice")
        rounded = {"unitPrice": round(price, 2)} if isinstance(price, Decimal) else {}
        return super().create_charge(ledger, customer, subscription, body | rounded)


@stores(FAMILY, "a price is held in single precision")
class SinglePrecision(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        charge = super().change_charge(ledger, customer, subscription, charge_id, body)
        price = charge.document.get("unitPrice")
        if isinstance(price, Decimal):
            charge.document["unitPrice"] = Decimal(f"{float(price):.7g}")
        return charge


@stores(FAMILY, "each change adds a millionth to the price")
class PriceDrifts(Store):
    def change_charge(self, ledger: str, customer: str, subscription: str, charge_id: str, body: JsonObject) -> Charge:
        charge = super().change_charge(ledger, customer, subscription, charge_id, body)
        price = charge.document.get("unitPrice")
        if isinstance(price, Decimal) and "unitPrice" not in body:
            charge.document["unitPrice"] = price + Decimal("0.000001")
        return charge


@stores(FAMILY, "unknown properties of a charge are lost")
class UnknownLost(Store):
    def create_charge(self, ledger: str, customer: str, subscription: str, body: JsonObject) -> Charge:
        known = {"productCode", "quantity", "unitPrice", "vatRate", "text", "startDate", "endDate"}
        return super().create_charge(ledger, customer, subscription, {k: v for k, v in body.items() if k in known})


@stores(FAMILY, "unknown properties of a customer are lost")
class UnknownOfCustomerLost(Store):
    def create_customer(self, ledger: str, body: JsonObject) -> Customer:
        return super().create_customer(ledger, {"customerNo": body["customerNo"]})


@stores(FAMILY, "a read counts the quantity up")
class ReadChanges(Store):
    def charge(self, ledger: str, customer: str, subscription: str, charge_id: str) -> Charge:
        found = super().charge(ledger, customer, subscription, charge_id)
        if found.document.get("quantity"):
            found.document, found.rendered = found.document | {"quantity": found.document["quantity"] + 1}, None
        return found


@stores(FAMILY, "a read of a customer that is not there makes it")
class ReadCreates(Store):
    def customer(self, ledger: str, number: str) -> Customer:
        if number not in self._ledgers.get(ledger, {}):
            self.create_customer(ledger, {"customerNo": number})
            raise Refusal("customer-not-found")
        return super().customer(ledger, number)


@behaves(FAMILY, "a new charge is listed only at the second look")
def listed_late(app: MockApp, request: Request, ask: Next) -> Answer:
    fresh: set[bytes] = app.__dict__.setdefault("fresh", set())
    answer = ask(request)
    if request.method == "POST" and answer.status == 201 and request.raw_path.endswith(b"/recurring-products"):
        fresh.add(request.raw_path)
    elif request.method == "GET" and request.raw_path in fresh:
        fresh.discard(request.raw_path)
        return with_body(answer, b'{"items":[],"navigation":{"@id":"' + request.raw_path + b'"}}')
    return answer
