"""The console: pages that show the mock's state, with buttons that make requests fail.

The console responds only to browsers on this machine: the peer's address must be a loopback address, and the Host
header must be a loopback name. The request of a button also needs the header `X-Payex-Console: 1`. The module `access`
explains why. The console never shows a token.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from itertools import cycle, islice
from typing import Any
from urllib.parse import quote

from .access import GUARD, has_guard, has_loopback_host, is_loopback
from .app import MockApp
from .contract import Contract
from .faults import Faults
from .json_text import render
from .messages import Answer, Request
from .names import words
from .operations import Action, Body
from .resources import Collection, Resource
from .schemas import Schemas
from .store import Store
from .traffic import Exchange, Traffic

PAGES = {
    b"/": ("index.html", "text/html; charset=utf-8"),
    b"/console/contract": ("contract.html", "text/html; charset=utf-8"),
    **{
        f"/console/{name}".encode(): (name, f"{kind}; charset=utf-8")
        for name, kind in (
            ("console.css", "text/css"),
            ("console.js", "text/javascript"),
            ("contract.js", "text/javascript"),
            ("swagger-ui.css", "text/css"),
            ("swagger-ui-bundle.js", "text/javascript"),
        )
    },
}
HEADERS = {
    "Cache-Control": "no-cache",
    # Swagger UI, which shows the contract, needs inline styles and has its icons in `data:` URLs.
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MONTHS, CUSTOMERS, REQUESTS = 12, 100, 100
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
        self._timers: list[threading.Timer] = []

    def answer(self, request: Request) -> Answer | None:
        """Return the response, or None if the request is not for the console."""
        path = request.raw_path
        if path in PAGES and request.method in {"GET", "HEAD"}:
            name, kind = PAGES[path]
            return self._guarded(request) or Answer(200, _headers(kind, _asset(name)), _asset(name))
        if path == b"/console/openapi.json":
            return self._guarded(request) or _json(200, self._contract(request))
        if path == b"/console/state" and request.method == "GET":
            return self._guarded(request) or _json(200, self._state())
        if path.startswith(b"/console/do/") and request.method == "POST":
            return self._guarded(request) or self._do(path.removeprefix(b"/console/do/").decode("latin-1"), request)
        return None

    def close(self) -> None:
        """Cancel the timers that would end a fault later."""
        for timer in self._timers:
            timer.cancel()

    def _guarded(self, request: Request) -> Answer | None:
        """Return a 403 if the request may come from another machine or from a page of another site; otherwise None."""
        if not is_loopback(request.peer):
            return _json(
                403,
                {
                    "error": "The console responds only to browsers on the machine where the mock runs; this request "
                    f"came from {request.peer or 'an unknown address'}. Open the console on that machine, or forward "
                    "the port with ssh -L."
                },
            )
        if not has_loopback_host(request):
            return _json(
                403, {"error": "The console responds only under a loopback name. Open http://localhost:PORT/ instead."}
            )
        if request.method == "POST" and not has_guard(request):
            return _json(403, {"error": f"A button needs the header {GUARD}: 1, which only the console's page sends."})
        return None

    def _contract(self, request: Request) -> dict[str, Any]:
        """Return the contract as JSON, with the mock itself as the only server."""
        own = {"url": self._app.contract.base_path, "description": "This mock"}
        document: dict[str, Any] = json.loads(json.dumps(self._app.contract.document, default=str))
        return document | {"servers": [own]}

    def _state(self) -> dict[str, Any]:
        store = self._app.store
        today = datetime.now(UTC).date()
        ledgers = [_ledger(store, number, today, _columns(self._app.contract)) for number in self._app.ledgers]
        exchanges = list(self.traffic)[-REQUESTS:]
        return {
            "columns": [_column(name, each) for name, each in _columns(self._app.contract).items()],
            "ledgers": ledgers,
            "faults": self._faults.pending(),
            "requests": [_exchange(each) for each in reversed(exchanges)],
            "count": self.traffic.count,
        }

    def _do(self, action: str, request: Request) -> Answer:
        match action:
            case "lose-answer":
                self._faults.queue("lose-answer")
            case "busy":
                self._for(10.0, "429=10")
            case "latency":
                self._for(30.0, "latency=2")
            case "late-commit":
                self._faults.queue("late-commit=5:DELETE,PATCH,POST,PUT")
            case "stale-response":
                self._faults.queue("stale-response")
            case "drip":
                self._faults.queue("drip")
            case "calm":
                self._faults.clear()
            case "reset":
                self._faults.forget_late_writes()
                self._app.store.clear()
                self.traffic.clear()
                self._faults.clear()
            case "sample":
                self._load_sample()
            case _:
                return _json(404, {"error": "There is no such button."})
        return _json(200, self._state())

    def _for(self, seconds: float, fault: str) -> None:
        """Activate a fault for every request, for this many seconds."""
        context = self._faults.active(fault)
        context.__enter__()
        timer = threading.Timer(seconds, context.__exit__, [None, None, None])
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _load_sample(self) -> None:
        """Create customers with the contract's own examples."""
        bodies: dict[Collection, Body] = {}
        for operation in self._app.contract.operations():
            if operation.action is Action.CREATE and operation.body is not None:
                bodies[operation.collection] = operation.body
        ledger = self._app.store.ledger(self._app.ledgers[0])
        for customer_no, subscription_no, count in SAMPLE:
            owner = self._sample_owner(ledger, "customer", customer_no, bodies)
            if subscription_no:
                owner = self._sample_owner(owner, "subscription", subscription_no, bodies)
            charges = owner.collection.child("charge")
            if charges is not None and charges in bodies:
                examples = cycle(bodies[charges].examples or [bodies[charges].sample()])
                for example in islice(examples, count):
                    self._app.store.create(owner, charges, example)

    def _sample_owner(self, above: Resource, role: str, number: str, bodies: Mapping[Collection, Body]) -> Resource:
        """Return a customer or subscription of the sample. Create it if it does not exist."""
        collection = above.collection.child(role)
        if collection is None or collection not in bodies:
            return above
        name, body = collection.id_property, bodies[collection]
        content = next(iter(body.examples), None) or body.sample()
        for value in (number, int(number)):
            if name in content and body.validator.is_valid(content | {name: value}):
                content = content | {name: value}
                break
        existing = above.items.get(collection.word, {}).get(str(content.get(name or "")))
        return existing or self._app.store.create(above, collection, content)


def _columns(contract: Contract) -> dict[str, bool]:
    """Return the properties of a charge that the console shows, and whether each property is a number."""
    schemas = Schemas(contract.document)
    for collection in contract.root:
        if collection.role == "charge":
            return {
                name: bool(schemas.types(each) & {"integer", "number"})
                for name, each in collection.read.properties.items()
                if name != collection.id_property and not schemas.is_link(each) and not schemas.is_array(each)
            }
    return {}


def _column(name: str, is_number: bool) -> dict[str, Any]:
    return {"name": name, "title": " ".join(words(name)).capitalize(), "isNumber": is_number}


def _ledger(store: Store, number: str, today: date, columns: Iterable[str]) -> dict[str, Any]:
    customers = list(store.customers(number))
    charges = [charge for customer in customers for _, charge in _charges(customer)]
    return {
        "no": number,
        "customers": len(customers),
        "subscriptions": sum(len(each.subscriptions) for each in customers),
        "charges": len(charges),
        "money": list(_money(charges, today)),
        "latest": [_customer(each, columns) for each in customers[: -CUSTOMERS - 1 : -1]],
    }


def _money(charges: list[Resource], today: date) -> Iterator[dict[str, str]]:
    """Yield the total amount without VAT of the charges that are open in each month, from this month on."""
    for ahead in range(MONTHS):
        years, month = divmod(today.month - 1 + ahead, 12)
        name = f"{today.year + years:04}-{month + 1:02}"
        amount = Decimal(0)
        for charge in charges:
            document, names = charge.document, charge.collection.meanings
            # Months in the form yyyy-MM compare correctly as text.
            begun = (document.get(names.start or "") or "")[:7] <= name
            if begun and (document.get(names.end or "") or "9999-12")[:7] >= name:
                quantity = document.get(names.quantity) or 0 if names.quantity else 1
                amount += Decimal(str(quantity)) * Decimal(str(document.get(names.price or "") or 0))
        yield {"month": name, "amount": f"{amount:.2f}"}


def _customer(customer: Resource, columns: Iterable[str]) -> dict[str, Any]:
    return {
        "no": str(customer.id),
        "href": quote(str(customer.id), safe=""),
        "subscriptions": list(customer.subscriptions),
        "charges": [_shown(subscription, charge, columns) for subscription, charge in _charges(customer)],
    }


def _charges(customer: Resource) -> Iterator[tuple[str, Resource]]:
    yield from (("", charge) for charge in customer.charges.values())
    for number, subscription in customer.subscriptions.items():
        yield from ((number, charge) for charge in subscription.charges.values())


def _shown(subscription: str, charge: Resource, columns: Iterable[str]) -> dict[str, Any]:
    shown = {name: charge.document.get(name) for name in columns}
    return {"subscription": subscription, "id": charge.id, **shown}


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        "number": exchange.number,
        "at": exchange.at.isoformat(timespec="milliseconds"),
        "method": exchange.method,
        "path": exchange.path,
        "status": exchange.status,
        "problem": exchange.problem,
        "milliseconds": exchange.milliseconds,
        "fault": exchange.fault,
        "tookEffect": exchange.took_effect,
    }


@cache
def _asset(name: str) -> bytes:
    return (resources.files(__package__) / "console_assets" / name).read_bytes()


def _json(status: int, value: Any) -> Answer:
    body = render(value).encode()
    return Answer(status, _headers("application/json", body), body)


def _headers(kind: str, body: bytes) -> dict[str, str]:
    return {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}
