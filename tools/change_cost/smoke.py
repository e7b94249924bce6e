"""The smoke test: the public API of the wrapper against the mock, in a process of its own.

    python -m tools.change_cost.smoke EXPECTATIONS.json RESULT.json

A recording proxy stands between wrapper and mock; every request is judged by the contract. A step is `ok`, `failed`
(something raised, or the mock breaks the contract) or `different` (a value is wrong and nothing raised).
"""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
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
MOST_MESSAGES = 12
CLEARS = "clear end_date"  # the step in which a PUT may leave a value out


class Missing(Exception):
    """The public API has no way to do this; the message says what is missing."""


class MockRefused(Exception):
    """The mock refuses a request that is right by the contract."""


@dataclass
class Step:
    """A step and what came of it."""

    name: str
    status: str = "ok"
    messages: list[str] = field(default_factory=list)


class Smoke:
    """The clients, the mock and what the steps have in common."""

    def __init__(self, expect: Expectations, judge: Judge, proxy: RecordingProxy, url: str, folder: Path) -> None:
        """Make the client."""
        from payex_billing import Billing  # noqa: PLC0415 - the import may fail after a correction

        self.expect, self.judge, self.proxy, self.folder = expect, judge, proxy, folder
        self.settings = {"token": TOKEN, "owner_no": LEDGER, "base_url": url, "timeout": 5, "deadline": 10}
        self.billing: Any = Billing(**self.settings)  # type: ignore[arg-type]
        self.step = Step("")
        self.customers = f"{judge.base_path}/{LEDGER}/customers"

    # What is compared.

    def same(self, what: str, actual: object, expected: object) -> None:
        """Note a difference."""
        if actual != expected or isinstance(actual, bool) != isinstance(expected, bool):
            self.step.status = "different"
            self.step.messages.append(f"{what} is {actual!r}, expected {expected!r}")

    def mock_has(self, what: str, actual: object, expected: object) -> None:
        """Note what the mock does not do: it fails, but the client is not wrong."""
        if actual != expected:
            self.blame_mock(f"{what} is {actual!r}, expected {expected!r}")

    def blame_mock(self, fault: str) -> None:
        """Note that the mock breaks the contract."""
        self.step.status = "failed" if self.step.status == "ok" else self.step.status
        if f"mock: {fault}" not in self.step.messages:
            self.step.messages.append(f"mock: {fault}")

    def same_charge(self, what: str, product: Any, expected: Mapping[str, Any]) -> None:
        """Compare every value of a charge."""
        for name in CHARGE_ATTRIBUTES:
            self.same(f"{what}.{name}", getattr(product, name), expected.get(name))

    def same_wire(self, what: str, document: Any, expected: Mapping[str, Any]) -> None:
        """Compare every value of a charge as the mock has it, by the names of the contract."""
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
        """Expect an exception of the package, by its class or that of a parent; yields a place for it."""
        caught: dict[str, Any] = {}
        try:
            yield caught
        except Exception as error:
            if not {base.__name__ for base in type(error).__mro__} & set(names):
                raise
            caught["error"] = error
        else:
            self.same(what, "no exception", " or ".join(names))

    # What is sent.

    def give(self, function: Any, kind: str, /, *arguments: Any, **named: Any) -> Any:
        """Call with the properties that the contract requires, by the most natural way that there is."""
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
        """Return a Charge."""
        from payex_billing import Charge  # noqa: PLC0415

        return self.give(Charge, "charge", **values, **more)

    def known(self, resource: Any, wire_name: str) -> object:
        """Return a property that a resource has as attribute or in `extra`."""
        attribute = re.sub(r"(?<!^)([A-Z])", r"_\1", wire_name).lower()
        return getattr(resource, attribute, resource.extra.get(wire_name))

    def samples(self) -> dict[str, Any]:
        """Return a charge with all values."""
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

    # Raw requests, past the wrapper.

    def raw(self, method: str, target: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Send a request to the mock; returns status and body. The body is judged, too."""
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
        """Create a resource past the wrapper."""
        status, created = self.raw("POST", target, body)
        if status not in {200, 201}:
            raise MockRefused(f"POST {target} {json.dumps(body, default=str)}: {status} {created}")
        return created

    def new_customer(self, number: str, subscription: str = "") -> Any:
        """Put a customer into the mock, and return its handle."""
        schemas = self.judge.document["components"]["schemas"]
        key = next(iter(schemas["NewCustomer"]["properties"]))
        self.put_there(self.customers, {key: number, **self.expect.required.get("customer", {})})
        if subscription:
            key = next(iter(schemas["NewSubscription"]["properties"]))
            body = {key: subscription, **self.expect.required.get("subscription", {})}
            self.put_there(f"{self.customers}/{number}/subscriptions", body)
        return self.billing.customer(number)

    def charges_path(self, number: str) -> str:
        """Return the path of a customer's charges, as the contract has it."""
        paths = self.judge.document["paths"]
        creation = "create_customer_recurring_product"
        path = next(path for path, item in paths.items() if item.get("post", {}).get("operationId") == creation)
        return str(self.judge.base_path + path.replace("{ownerNo}", LEDGER).replace("{customerNo}", number))

    def wire_body(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values as the contract has them on the wire."""
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
    """Return headers by their usual spelling."""
    return {name.title(): value for name, value in headers.items()}


def first_line(error: BaseException) -> str:
    """Return an exception as one line, with the place where it was raised."""
    text = " ".join(str(error).split())
    frames = traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if "change_cost" not in frame.filename]
    place = f" ({Path(places[-1].filename).name}:{places[-1].lineno})" if places else ""
    return f"{type(error).__name__}: {text[:300]}{place}"


def run_step(smoke: Smoke, name: str, step: Callable[[Smoke], None]) -> Step:
    """Run a step."""
    smoke.step = Step(name)
    smoke.proxy.step = name
    smoke.proxy.lose.clear()
    try:
        step(smoke)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        # A value that differed before is still silently wrong.
        smoke.step.status = "failed" if smoke.step.status == "ok" else smoke.step.status
        smoke.step.messages.append(first_line(error))
    return smoke.step


def judge_traffic(judge: Judge, proxy: RecordingProxy, steps: list[Step]) -> None:
    """Hold the recorded requests and responses against the contract."""
    by_name = {step.name: step for step in steps}
    for each in proxy.recorded:
        step = by_name.get(each.step)
        if step is None:
            continue
        wrong = judge.request(each.method, each.target, titled(each.headers), each.body, EXTRA)
        if each.step == CLEARS:
            wrong = [fault for fault in wrong if not fault.endswith("by leaving it out")]
        faults = judge.response(
            each.method, each.target, each.status, titled(each.response_headers), each.response_body
        )
        for message in [f"request: {fault}" for fault in wrong] + [f"mock: {fault}" for fault in faults]:
            if message not in step.messages:
                step.messages.append(message)
        if step.status == "ok" and (wrong or faults):
            step.status = "different" if wrong else "failed"


def write(steps: list[Step], path: Path) -> None:
    """Write the result."""
    for step in steps:
        step.messages = step.messages[:MOST_MESSAGES]
    path.write_text(json.dumps([asdict(step) for step in steps], ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Run all steps and write the result; returns 0 if every step is ok."""
    expect = Expectations.from_dict(json.loads(Path(arguments[0]).read_text(encoding="utf-8")))
    judge = Judge.of(Path("openapi.yaml"))
    steps: list[Step] = []
    try:
        import payex_billing  # noqa: PLC0415
        from payex_billing_mock import MockServer  # noqa: PLC0415

        here = str(Path.cwd())
        assert str(payex_billing.__file__).startswith(here), "the wrapper is not the copy's"
        assert str(sys.modules["payex_billing_mock"].__file__).startswith(here), "the mock is not the copy's"
        from .smoke_steps import STEPS  # noqa: PLC0415

        with tempfile.TemporaryDirectory() as folder, MockServer({LEDGER: TOKEN}) as server:
            os.environ["XDG_STATE_HOME"] = folder
            with RecordingProxy(server.url) as proxy:
                smoke = Smoke(expect, judge, proxy, proxy.url, Path(folder))
                for name, run in STEPS.items():
                    # Written before each step, so that a step that never ends is named.
                    write([*steps, Step(name, "failed", ["did not end within the time limit"])], Path(arguments[1]))
                    steps.append(run_step(smoke, name, run))
                smoke.billing.close()
        judge_traffic(Judge.of(Path("openapi.yaml")), proxy, steps)
    except Exception as error:  # noqa: BLE001
        steps.append(Step("start", "failed", [first_line(error)]))
    write(steps, Path(arguments[1]))
    for step in steps:
        print(f"{step.status:9} {step.name}", *step.messages, sep="\n          ")
    return 0 if all(step.status == "ok" for step in steps) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
