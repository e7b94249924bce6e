"""The console: pages that show the mock's state, with buttons that make requests fail.

The console responds only to browsers on this machine: the peer's address must be a loopback address, and the Host
header must be a loopback name. The request of a button also needs the header `X-Payex-Console: 1`. The module `admin`
explains why. The console never shows a token.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote

from .admin import GUARD, has_guard, has_loopback_host, is_loopback
from .app import MockApp
from .assets import HEADERS, PAGES, page
from .contract import Contract
from .faults import Faults
from .json_text import render
from .messages import Answer, Request
from .names import words
from .operations import Action, Body
from .resources import Collection, Resource
from .schemas import is_array, is_link, is_number
from .store import Store
from .traffic import Traffic

MONTHS, CUSTOMERS, REQUESTS = 12, 100, 100
QUEUED = {
    "lose-answer": "lose-answer",
    "late-commit": "late-commit=5:DELETE,PATCH,POST,PUT",
    "stale-response": "stale-response",
    "drip": "drip",
}
"""The fault of each button that lets the next request meet a fault."""
LASTING = {"busy": (10.0, "429=10"), "latency": (30.0, "latency=2")}
"""The seconds and the fault of each button that lets every request meet a fault for some time."""
SAMPLE = (("15615616", "46701234567", 2), ("15615616", "", 1), ("20010007", "735999000001", 1))
"""Each row: a customer, its subscription (empty for the customer itself), and the number of example charges to add."""


class Console:
    """Responds to requests for the console's paths.

    Args:
        app: the mock. The console records the requests to the mock from now on.
        faults: the faults that the buttons change.
    """

    def __init__(self, app: MockApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self.traffic = Traffic()
        app.observers.append(self.traffic.record)

    def answer(self, request: Request) -> Answer | None:
        """Return the response, or None if the request is not for the console."""
        path = request.raw_path
        if path in PAGES and request.method in {"GET", "HEAD"}:
            return self._guarded(request) or page(PAGES[path])
        if path == b"/console/openapi.json":
            return self._guarded(request) or _json(200, self._contract())
        if path == b"/console/state" and request.method == "GET":
            return self._guarded(request) or _json(200, self._state())
        if path.startswith(b"/console/do/") and request.method == "POST":
            return self._guarded(request) or self._do(path.removeprefix(b"/console/do/").decode("latin-1"))
        return None

    def _guarded(self, request: Request) -> Answer | None:
        """Return a 403 if the request may come from another machine or from a page of another site; otherwise None."""
        if not is_loopback(request.peer):
            error = (
                "The console responds only to browsers on the machine where the mock runs; this request came from "
                f"{request.peer or 'an unknown address'}. Open the console on that machine, or forward the port with "
                "ssh -L."
            )
        elif not has_loopback_host(request):
            error = "The console responds only under a loopback name. Open http://localhost:PORT/ instead."
        elif request.method == "POST" and not has_guard(request):
            error = f"A button needs the header {GUARD}: 1, which only the console's page sends."
        else:
            return None
        return _json(403, {"error": error})

    def _contract(self) -> dict[str, Any]:
        """Return the contract as JSON, with the mock itself as the only server."""
        own = {"url": self._app.contract.base_path, "description": "This mock"}
        document: dict[str, Any] = json.loads(json.dumps(self._app.contract.document, default=str))
        return document | {"servers": [own]}

    def _state(self) -> dict[str, Any]:
        columns = _columns(self._app.contract)
        names = [column["name"] for column in columns]
        exchanges = list(self.traffic)[: -REQUESTS - 1 : -1]
        with self._app.lock:
            ledgers = [_ledger(self._app.store, number, names) for number in self._app.ledgers]
        return {
            "columns": columns,
            "ledgers": ledgers,
            "faults": self._faults.pending(),
            "requests": [asdict(each) | {"at": each.at.isoformat(timespec="milliseconds")} for each in exchanges],
            "count": self.traffic.count,
        }

    def _do(self, button: str) -> Answer:
        if button in QUEUED:
            self._faults.queue(QUEUED[button])
        elif button in LASTING:
            self._let_last(*LASTING[button])
        elif button == "calm":
            self._faults.clear()
        elif button == "reset":
            self._faults.forget_late_writes()
            with self._app.lock:
                self._app.store.clear()
            self.traffic.clear()
            self._faults.clear()
        elif button == "sample":
            with self._app.lock:
                self._load_sample()
        else:
            return _json(404, {"error": "There is no such button."})
        return _json(200, self._state())

    def _let_last(self, seconds: float, fault: str) -> None:
        """Activate a fault for every request, for this many seconds."""
        active = ExitStack()
        active.enter_context(self._faults.active(fault))
        timer = threading.Timer(seconds, active.close)
        timer.daemon = True
        timer.start()

    def _load_sample(self) -> None:
        """Create customers with the contract's own examples."""
        creations = [each for each in self._app.contract.operations() if each.action is Action.CREATE]
        bodies = {each.collection: each.body for each in creations if each.body is not None}
        store = self._app.store
        for customer_no, subscription_no, count in SAMPLE:
            owner = store.ledger(self._app.ledgers[0])
            for role, number in (("customer", customer_no), ("subscription", subscription_no)):
                collection = owner.collection.child(role)
                if number and collection is not None and collection in bodies:
                    owner = _sample_item(store, owner, collection, bodies[collection], number)
            charges = owner.collection.child("charge")
            if charges is not None and charges in bodies:
                for example in islice(cycle(bodies[charges].examples()), count):
                    store.create(owner, charges, example)


def _sample_item(store: Store, owner: Resource, collection: Collection, body: Body, number: str) -> Resource:
    """Return a customer or subscription of the sample. Create it if it does not exist."""
    name, content = collection.id_property, body.examples()[0]
    if name in content:
        content = content | {name: type(content[name])(number)}
    return owner.items.get(collection.word, {}).get(number) or store.create(owner, collection, content)


def _columns(contract: Contract) -> list[dict[str, Any]]:
    """Return the properties of a charge that the console shows."""
    for collection in contract.root:
        if collection.role == "charge":
            return [
                {"name": name, "title": " ".join(words(name)).capitalize(), "isNumber": is_number(schema)}
                for name, schema in collection.read.properties.items()
                if name != collection.id_property and not is_link(schema) and not is_array(schema)
            ]
    return []


def _ledger(store: Store, number: str, columns: Sequence[str]) -> dict[str, Any]:
    customers = list(store.customers(number))
    charges = [charge for customer in customers for _, charge in _charges(customer)]
    return {
        "no": number,
        "customers": len(customers),
        "subscriptions": sum(len(customer.subscriptions) for customer in customers),
        "charges": len(charges),
        "money": [{"month": month, "amount": f"{_money(charges, month):.2f}"} for month in _months()],
        "latest": [_customer(customer, columns) for customer in customers[: -CUSTOMERS - 1 : -1]],
    }


def _months() -> Iterator[str]:
    """Yield this month and the months after it, in the form yyyy-MM."""
    today = datetime.now(UTC).date()
    for ahead in range(MONTHS):
        years, month = divmod(today.month - 1 + ahead, 12)
        yield f"{today.year + years:04}-{month + 1:02}"


def _money(charges: Iterable[Resource], month: str) -> Decimal:
    """Return the total amount without VAT of the charges that are open in a month."""
    amount = Decimal(0)
    for charge in charges:
        document, names = charge.document, charge.collection.meanings
        # Months in the form yyyy-MM compare correctly as text.
        if (document.get(names.start) or "")[:7] <= month <= (document.get(names.end) or "9999-12")[:7]:
            quantity = document.get(names.quantity) or 0 if names.quantity else 1
            amount += Decimal(str(quantity)) * Decimal(str(document.get(names.price) or 0))
    return amount


def _customer(customer: Resource, columns: Sequence[str]) -> dict[str, Any]:
    return {
        "no": str(customer.id),
        "href": quote(str(customer.id), safe=""),
        "subscriptions": list(customer.subscriptions),
        "charges": [
            {"subscription": subscription, "id": charge.id} | {name: charge.document.get(name) for name in columns}
            for subscription, charge in _charges(customer)
        ],
    }


def _charges(customer: Resource) -> Iterator[tuple[str, Resource]]:
    """Yield each charge of a customer with the number of its subscription; empty for a charge without one."""
    for number, owner in {"": customer, **customer.subscriptions}.items():
        for charge in owner.charges.values():
            yield number, charge


def _json(status: int, value: Any) -> Answer:
    return Answer.of(status, "application/json", render(value), HEADERS)
