"""The console: pages that show the mock's state and its requests, with a form for faults.

The console responds only to browsers on this machine: the peer's address must be a loopback address, and the Host
header must be a loopback name. A POST also needs the header `X-Payex-Console: 1`. The module `admin` explains why.

The console shows no token: its responses are masked. Only the POST for the environment variables, which a person copies
into a terminal, returns the token of a ledger.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import cycle, islice
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl

from . import console_data
from .admin import GUARD, has_guard, has_loopback_host, is_loopback
from .app import MockApp
from .assets import HEADERS, PAGES, page
from .console_requests import detail
from .faults import KINDS, STATUSES, Fault, Faults
from .json_text import parse, render
from .masking import Masking
from .messages import Answer, Events, Request
from .operations import Action, Body
from .problems import Refusal
from .resources import Collection, Resource
from .schemas import JsonObject
from .store import Store
from .traffic import Exchange, Traffic

REQUESTS, CUSTOMERS, MOST_SECONDS = 100, 50, 86_400
SAMPLE = (("15615616", "46701234567", 2), ("15615616", "", 1), ("20010007", "735999000001", 1))
"""Each row: a customer, its subscription (empty for the customer itself), and the number of example charges to add."""
_SECONDS = {"latency": "2", "stall": "60", "drip": "10"}
_VALUES = (
    {name: {"label": "Value: seconds", "value": seconds} for name, seconds in _SECONDS.items()}
    | {
        "late-commit": {"label": "Value: seconds, or with an ending: 5,reset or 5,502 or 5,close", "value": "5"},
        "stale-response": {"label": "Value: status of the second response", "value": "400"},
    }
    | {name: {"label": "Value: Retry-After (may be empty)", "value": ""} for name in STATUSES}
)
"""The label and the first value of the field VALUE in the form, by the kind of fault."""


class Console:
    """Responds to requests for the console's paths.

    Args:
        app: the mock. The console records the requests to the mock from now on.
        faults: the faults that the form and the buttons change.
    """

    def __init__(self, app: MockApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults
        self._columns = console_data.columns(app.contract)
        self._masking = Masking(app.tokens.values())
        self._ledgers: tuple[object, list[JsonObject]] = (None, [])
        self._start = token_hex(4)  # so that a page notices that another mock has taken the port
        self.traffic = Traffic()
        app.observers.append(self.traffic.record)
        self._views: Mapping[bytes, Callable[[Mapping[str, str]], Answer]] = {
            b"/console/openapi.json": lambda _: _json(200, self._contract()),
            b"/console/state": lambda _: self._state(),
            b"/console/kinds": lambda _: _json(200, _kinds()),
            b"/console/customers": self._customers,
            b"/console/customer": self._customer,
            b"/console/request": self._request,
        }
        self._buttons: Mapping[str, Callable[[JsonObject], Answer | None]] = {
            "fault": self._add_fault,
            "end": lambda sent: faults.end(int(sent.get("number", 0))),
            "calm": lambda _: faults.clear(),
            "sample": self._add_sample,
            "reset": self._reset,
            "exports": self._exports,
        }

    def answer(self, request: Request) -> Answer | Events | None:
        """Return the response, or None if the request is not for the console."""
        path, is_get = request.raw_path, request.method == "GET"
        if path in PAGES and request.method in {"GET", "HEAD"}:
            return self._guarded(request) or page(PAGES[path])
        if path in self._views and is_get:
            return self._guarded(request) or self._views[path](dict(parse_qsl(request.query.decode("latin-1"))))
        if path == b"/console/events" and is_get:
            return self._guarded(request) or self._events()
        if path.startswith(b"/console/do/") and request.method == "POST":
            name = path.removeprefix(b"/console/do/").decode("latin-1")
            return self._guarded(request) or self._press(name, request.body)
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

    # What the console shows.

    def _contract(self) -> dict[str, Any]:
        """Return the contract as JSON, with the mock itself as the only server."""
        own = {"url": self._app.contract.base_path, "description": "This mock"}
        document: dict[str, Any] = json.loads(json.dumps(self._app.contract.document, default=str))
        return document | {"servers": [own]}

    def _state(self) -> Answer:
        return self._masked(self._snapshot())

    def _snapshot(self) -> JsonObject:
        exchanges = list(self.traffic)[: -REQUESTS - 1 : -1]
        with self._app.lock:
            if self._ledgers[0] != self._app.store.changes:
                ledgers = [console_data.ledger(self._app.store, number) for number in self._app.ledgers]
                self._ledgers = (self._app.store.changes, ledgers)
            changes, ledgers = self._ledgers
        return {
            "changes": f"{self._start} {changes}",
            "basePath": self._app.contract.base_path,
            "columns": self._columns,
            "ledgers": ledgers,
            "faults": [
                {
                    "number": each.number,
                    "text": str(each.fault),
                    "isNext": each.is_next,
                    "secondsLeft": each.seconds_left,
                }
                for each in self._faults.listed()
            ],
            "requests": [self._summary(each) for each in exchanges],
            "count": self.traffic.count,
        }

    def _summary(self, exchange: Exchange) -> JsonObject:
        shown = asdict(exchange) | {"at": exchange.at.isoformat(timespec="milliseconds")}
        return shown | {"path": self._masking.target(exchange.path)}

    def _events(self) -> Events:
        """Return a response with the whole state as an event, whenever something has changed.

        The function compares counters, so that it finds every change: also one by the code that started the mock.
        """
        last: object = None

        def next_event() -> str | None:
            nonlocal last
            faults = [each.number for each in self._faults.listed()]
            now = (self._app.store.changes, self.traffic.changes, faults)
            if now == last:
                return None
            last = now
            return render(self._masking.value(self._snapshot()))

        return Events(HEADERS, next_event)

    def _customers(self, query: Mapping[str, str]) -> Answer:
        try:
            number = self._app.ledgers[int(query.get("ledger", 0))]
            most = max(1, int(query.get("most", CUSTOMERS)))
        except (ValueError, IndexError):
            return _json(404, {"error": "There is no such ledger or number of customers."})
        with self._app.lock:
            found = console_data.customers(self._app.store, number, query.get("search", "").strip(), most)
        return self._masked(found)

    def _customer(self, query: Mapping[str, str]) -> Answer:
        with self._app.lock:
            try:
                number = self._app.ledgers[int(query.get("ledger", 0))]
                found = self._app.store.customer(number, query.get("no", ""))
            except (ValueError, IndexError, Refusal):
                return _json(404, {"error": "There is no such customer."})
            return self._masked(console_data.customer(found, [column["name"] for column in self._columns]))

    def _request(self, query: Mapping[str, str]) -> Answer:
        number = query.get("number", "")
        found = self.traffic.whole(int(number)) if number.isdecimal() else None
        if found is None:
            return _json(404, {"error": "The mock no longer keeps this request."})
        exchange, handled = found
        whole = detail(handled, self._app.contract, self._masking)
        return self._masked(self._summary(exchange) | whole)

    # What the buttons do. The response to a button that returns None is the new state.

    def _press(self, name: str, body: bytes | None) -> Answer:
        if name not in self._buttons:
            return _json(404, {"error": "There is no such button."})
        try:
            sent = parse(body) if body else {}
            return self._buttons[name](sent if isinstance(sent, dict) else {}) or self._state()
        except (ValueError, TypeError, IndexError) as error:
            return self._masked({"error": f"The mock cannot do this: {error}."}, 400)

    def _add_fault(self, sent: JsonObject) -> None:
        """Add a fault: for the next request, for some seconds, or until it is ended."""
        methods = sent.get("methods", [])
        if not isinstance(methods, list):
            raise TypeError("the methods must be a list")
        value = str(sent.get("value", "")) or None
        names = frozenset(str(method).upper() for method in methods)
        fault = Fault(str(sent.get("kind")), value, names, float(sent.get("chance", 1)))
        match sent.get("lasts", "next"):
            case "next":
                self._faults.queue(fault)
            case "seconds":
                seconds = float(sent.get("seconds", 0))
                if not 0 < seconds <= MOST_SECONDS:
                    raise ValueError(f"a fault lasts between 0 and {MOST_SECONDS} seconds")
                self._faults.add(fault, seconds)
            case "always":
                self._faults.add(fault)
            case other:
                raise ValueError(f"there is no duration {other!r}")

    def _reset(self, _: JsonObject) -> None:
        self._faults.forget_late_writes()
        with self._app.lock:
            self._app.store.clear()
        self.traffic.clear()
        self._faults.clear()

    def _exports(self, sent: JsonObject) -> Answer:
        """Return the variables of a ledger, quoted for a shell. This is the only response with a token."""
        number = self._app.ledgers[int(sent.get("ledger", 0))]
        return _json(200, {"ownerNo": shlex.quote(number), "token": shlex.quote(self._app.tokens[number])})

    def _add_sample(self, _: JsonObject) -> None:
        """Create customers with the contract's own examples."""
        creations = [each for each in self._app.contract.operations() if each.action is Action.CREATE]
        bodies = {each.collection: each.body for each in creations if each.body is not None}
        store = self._app.store
        with self._app.lock:
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

    def _masked(self, value: JsonObject, status: int = 200) -> Answer:
        return _json(status, self._masking.value(value))


def _kinds() -> list[JsonObject]:
    """Return the kinds of faults for the form."""
    meanings = {name: kind.meaning for name, kind in KINDS.items()} | STATUSES
    return [{"kind": name, "meaning": meaning, **_VALUES.get(name, {})} for name, meaning in meanings.items()]


def _sample_item(store: Store, owner: Resource, collection: Collection, body: Body, number: str) -> Resource:
    """Return a customer or subscription of the sample. Create it if it does not exist."""
    name, content = collection.id_property, body.examples()[0]
    if name in content:
        content = content | {name: type(content[name])(number)}
    return owner.items.get(collection.word, {}).get(number) or store.create(owner, collection, content)


def _json(status: int, value: Any) -> Answer:
    return Answer.of(status, "application/json", render(value), HEADERS)
