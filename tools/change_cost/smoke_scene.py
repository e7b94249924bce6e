"""The client, the proxy and the mock of the smoke test, and what its steps share."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from email.message import Message
from pathlib import Path
from typing import Any

from .correction import CHARGE_ATTRIBUTES, Expectations
from .judge import Judge, load_json
from .proxy import RecordingProxy

LEDGER, TOKEN = "1234", "smoke-token"
EXTRA = "crmReference"  # a property that no contract declares
CLEARS = "clear end_date"  # in this step, a PUT may leave a value out on purpose


class Missing(Exception):
    """The wrapper or the mock lacks something that the corrected contract needs; the message names it."""


class MockRefused(Exception):
    """The mock rejects a request that keeps to the contract."""


@dataclass
class Step:
    """A step and its result."""

    name: str
    status: str = "ok"
    messages: list[str] = field(default_factory=list)


class Smoke:
    """The client, the proxy to the mock, and the helpers that the steps share."""

    def __init__(self, expect: Expectations, judge: Judge, proxy: RecordingProxy, url: str, folder: Path) -> None:
        """Create the client."""
        from payex_billing import Billing  # noqa: PLC0415 - the import may fail after a correction

        self.expect, self.judge, self.proxy, self.folder = expect, judge, proxy, folder
        self.settings = {"token": TOKEN, "owner_no": LEDGER, "base_url": url, "timeout": 5, "deadline": 10}
        self.billing: Any = Billing(**self.settings)  # type: ignore[arg-type]
        self.step = Step("")
        self.customers = f"{judge.base_path}/{LEDGER}/customers"

    # comparisons

    def same(self, what: str, actual: object, expected: object) -> None:
        """Compare a value with the expected one; if they differ, mark the step as `different`."""
        if actual != expected or isinstance(actual, bool) != isinstance(expected, bool):
            self.step.status = "different"
            self.step.messages.append(f"{what} is {actual!r}, expected {expected!r}")

    def mock_has(self, what: str, actual: object, expected: object) -> None:
        """Compare a value from the mock with the expected one; if they differ, blame the mock, not the client."""
        if actual != expected:
            self.blame_mock(f"{what} is {actual!r}, expected {expected!r}")

    def blame_mock(self, fault: str) -> None:
        """Add a message that the mock breaks the contract, and mark the step as `failed` unless it is `different`."""
        self.step.status = "failed" if self.step.status == "ok" else self.step.status
        if f"mock: {fault}" not in self.step.messages:
            self.step.messages.append(f"mock: {fault}")

    def same_charge(self, what: str, product: Any, expected: Mapping[str, Any]) -> None:
        """Compare every value of a charge."""
        for name in CHARGE_ATTRIBUTES:
            self.same(f"{what}.{name}", getattr(product, name), expected.get(name))

    def same_wire(self, what: str, document: Any, expected: Mapping[str, Any]) -> None:
        """Compare every value of a charge in the mock's JSON, by the property names of the corrected contract."""
        for name, path in self.expect.wire.items():
            value: Any = document
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            wanted = expected.get(name)
            if isinstance(wanted, date):
                value, wanted = str(value)[:10], wanted.isoformat()
            elif isinstance(wanted, Decimal | int) and value is not None:
                value, wanted = Decimal(str(value)), Decimal(wanted)
            self.same(f"{what} on the wire: {'.'.join(path)}", value, wanted)

    @contextmanager
    def raises(self, what: str, *names: str) -> Iterator[dict[str, Any]]:
        """Expect an exception whose class, or a parent class, is one of `names`.

        Yields:
            A dict. After the block, its key `error` has the exception that was raised.
        """
        caught: dict[str, Any] = {}
        try:
            yield caught
        except Exception as error:
            if not {base.__name__ for base in type(error).__mro__} & set(names):
                raise
            caught["error"] = error
        else:
            self.same(what, "no exception", " or ".join(names))

    # values to send

    def give(self, function: Any, kind: str, /, *arguments: Any, **named: Any) -> Any:
        """Call `function`, and add the properties that the correction requires for this kind of resource.

        A property is passed as a keyword argument if the function has one for it, otherwise in `extra`.

        Raises:
            Missing: the function accepts neither.
        """
        required = self.expect.required.get(kind, {})
        accepted = inspect.signature(function).parameters
        for wire_name, value in required.items():
            attribute = re.sub(r"(?<!^)([A-Z])", r"_\1", wire_name).lower()
            if attribute in accepted:
                named[attribute] = value
            elif "extra" in accepted:
                named["extra"] = {**named.get("extra", {}), wire_name: value}
            else:
                name = getattr(function, "__qualname__", str(function))
                raise Missing(f"{name} takes neither {attribute!r} nor 'extra'")
        return function(*arguments, **named)

    def charge(self, values: Mapping[str, Any], **more: Any) -> Any:
        """Return a Charge with these values and the properties that the correction requires."""
        from payex_billing import Charge  # noqa: PLC0415

        return self.give(Charge, "charge", **values, **more)

    def known(self, resource: Any, wire_name: str) -> object:
        """Return the value of a property, from the attribute of a resource or from its `extra`."""
        attribute = re.sub(r"(?<!^)([A-Z])", r"_\1", wire_name).lower()
        return getattr(resource, attribute, resource.extra.get(wire_name))

    def samples(self) -> dict[str, Any]:
        """Return a value for every attribute of a charge."""
        values: dict[str, Any] = {
            "product_code": "P01",
            "quantity": 3,
            "unit_price": Decimal("1234567.123456"),
            "vat_rate": Decimal("12.5"),
            "text": "Fiber 500/500, Åsgatan 12, åäö ÅÄÖ",
            "start_date": date(2026, 1, 1),
            "end_date": date(2026, 12, 31),
        }
        for name, text in self.expect.samples.items():
            values[name] = text if isinstance(values[name], str) else Decimal(text)
        return values

    # requests to the mock without the wrapper

    def raw(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send a request to the mock, check the response against the contract, and return its status and body."""
        sent = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/json", **headers}
        content = b""
        if body is not None:
            sent["Content-Type"] = "application/json"
            content = json.dumps(body, default=float).encode()
        status, answered, response = self.proxy.send(method, target, sent, content)
        for fault in self.judge.response(method, target, status, titled(answered), response):
            self.blame_mock(fault)
        return status, load_json(response) if response else None

    def put_there(self, target: str, body: object) -> Any:
        """Create a resource in the mock without the wrapper."""
        status, created = self.raw("POST", target, body)
        if status not in {200, 201}:
            raise MockRefused(f"POST {target} {json.dumps(body, default=str)}: {status} {created}")
        return created

    def new_customer(self, number: str, subscription: str = "") -> Any:
        """Create a customer in the mock without the wrapper, and return the wrapper's handle for it."""
        schemas = self.judge.document["components"]["schemas"]
        key = next(iter(schemas["NewCustomer"]["properties"]))
        self.put_there(self.customers, {key: number, **self.expect.required.get("customer", {})})
        if subscription:
            key = next(iter(schemas["NewSubscription"]["properties"]))
            body = {key: subscription, **self.expect.required.get("subscription", {})}
            self.put_there(f"{self.customers}/{number}/subscriptions", body)
        return self.billing.customer(number)

    def charges_path(self, number: str) -> str:
        """Return the path of a customer's charges in the corrected contract."""
        paths = self.judge.document["paths"]
        creation = "create_customer_recurring_product"
        path = next(path for path, item in paths.items() if item.get("post", {}).get("operationId") == creation)
        return str(self.judge.base_path + path.replace("{ownerNo}", LEDGER).replace("{customerNo}", number))

    def wire_body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request body for these values, with the property names of the corrected contract."""
        body: dict[str, Any] = dict(self.expect.required.get("charge", {}))
        for name, value in values.items():
            *parents, key = self.expect.wire[name]
            place = body
            for parent in parents:
                place = place.setdefault(parent, {})
            place[key] = value
        declared = self.judge.document["components"]["schemas"]["NewRecurringProduct"]
        for key in declared["required"]:
            body.setdefault(key, None)
        return body


def titled(headers: Message) -> dict[str, str]:
    """Return headers with names in their usual spelling, such as `Content-Type`."""
    return {name.title(): value for name, value in headers.items()}
