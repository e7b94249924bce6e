"""Test the wrapper against the contract: it sends only valid requests, and understands every valid response.

The library openapi-core validates the requests as they were sent. It knows only `openapi.yaml`.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

import openapi_core
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openapi_core.datatypes import RequestParameters
from payex_billing import Billing, BillingError, Charge, InvalidArgument, OutcomeUnknown, ProblemError
from payex_billing.models import Customer, RecurringProduct
from payex_billing_mock import MockServer
from werkzeug.datastructures import Headers, ImmutableMultiDict

from contract_tests.api import CHARGE_ID, CUSTOMER_NO, SUBSCRIPTION_NO, new_charge, new_customer, wire
from contract_tests.exchange import CONTRACT, DOCUMENT, OPERATIONS, render
from contract_tests.faults._planting import Answer, Fault, MockWithFault, Next, Request, items_in
from contract_tests.routes import JSON, Operation
from contract_tests.schemas import errors_of
from contract_tests.support import LEDGER, QUIET, TOKEN
from contract_tests.test_examples_and_models import instances

CUSTOMER, SUBSCRIPTION = "15615616", "46701234567"
CUSTOMER_NUMBERS = st.text("abcXYZ019åäöÄÅÖ&/_ .-", min_size=1, max_size=15).filter(
    lambda value: value not in {".", ".."}
)
SUBSCRIPTION_NUMBERS = st.text(min_size=1, max_size=34)
PRICE = st.decimals("-9999999.999999", "9999999.999999", places=6) | st.integers(-9_999_999, 9_999_999)
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "quantity": st.integers(1, 99_999),
    "unit_price": PRICE,
    "vat_rate": st.decimals(0, 100, places=2),
    "text": st.text(max_size=73),
    "start_date": DATES,
    "end_date": DATES,
    "extra": st.dictionaries(
        st.text(min_size=1, max_size=5), st.integers() | st.text(max_size=5) | st.none(), max_size=2
    ),
}
CHARGES = st.fixed_dictionaries({"product_code": st.text(min_size=1, max_size=5)}, optional=VALUES)
CHANGES = st.fixed_dictionaries(
    {}, optional={name: each if name == "extra" else each | st.none() for name, each in VALUES.items()}
)


# requests


class OnTheWire:
    """A request with the attributes that openapi-core reads."""

    path_pattern = None

    def __init__(self, request: Request) -> None:
        self.host_url = "https://lf-api.payex.com"
        # openapi-core does not decode path parameters, and splits the path as a URL. So this test decodes them and
        # replaces `/`, `?` and `#` by `_`, which keeps the length and is allowed in the same places. Another test
        # checks that the wrapper encodes path parameters.
        self.path = "/".join(re.sub("[/?#]", "_", unquote(each)) for each in request.raw_path.decode().split("/"))
        self.method = request.method.lower()
        self.body = request.body or None
        self.content_type = request.headers.get("content-type", "")
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(),
            header=Headers(list(request.headers.items())),
            cookie=ImmutableMultiDict(),
            path={},
        )


def judge() -> openapi_core.OpenAPI:
    """Load the contract into openapi-core, without `mutualTLS`, which it does not know, and without `multipleOf`.

    openapi-core checks `multipleOf` with binary floats, which is not exact. `exactly` checks the decimals.
    """
    document: Any = copy.deepcopy(dict(DOCUMENT))
    del document["components"]["securitySchemes"]["clientCertificate"]
    for item in document["paths"].values():
        for operation in item.values():
            if isinstance(operation, dict):
                operation["security"] = [{"bearerToken": []}]
    for schema in document["components"]["schemas"].values():
        schema.pop("multipleOf", None)  # `exactly` checks the decimals
    return openapi_core.OpenAPI.from_dict(document)


def exactly(request: Request) -> list[str]:
    """Validate the body against its schema with exact decimals, which openapi-core does not support."""
    match = CONTRACT.match(request.raw_path.decode())
    assert match is not None
    schema = match.operations[request.method].body
    return errors_of(schema, json.loads(request.body, parse_float=Decimal)) if schema is not None else []


@dataclass
class Wire:
    """A mock that records the requests."""

    server: MockServer
    sent: list[Request] = field(default_factory=list)

    def open(self) -> Billing:
        return Billing(token=TOKEN, owner_no=LEDGER, base_url=self.server.url)


@pytest.fixture(scope="module")
def on_wire() -> Iterator[Wire]:
    server = MockServer({LEDGER: TOKEN})
    recorded = Wire(server)

    def recording(_: Any, request: Request, ask: Next) -> Answer:
        recorded.sent.append(request)
        return ask(request)

    server.app = MockWithFault(Fault("none", "", "what is sent is kept", behaviour=recording), {LEDGER: TOKEN})
    with server:
        yield recorded


JUDGE = judge()


@given(CUSTOMER_NUMBERS, SUBSCRIPTION_NUMBERS, CHARGES, CHANGES, st.text(min_size=1, max_size=20))
@example("1", "#", {"product_code": "P"}, {}, "?")
@settings(max_examples=60, deadline=None, suppress_health_check=QUIET)
def _everything_that_is_sent(
    on_wire: Wire,
    customer_no: str,
    subscription_no: str,
    content: dict[str, Any],
    change: dict[str, Any],
    charge_id: str,
) -> None:
    on_wire.sent.clear()
    with on_wire.open() as billing:
        customer = billing.with_options(attempts=1).customer(customer_no)
        try:
            subscription = customer.subscription(subscription_no)
            charge = Charge(**content)
        except InvalidArgument:
            return  # the client refuses the value and sends nothing
        calls: list[Callable[[], Any]] = [
            customer.create,
            customer.get,
            customer.ensure,
            subscription.create,
            subscription.get,
        ]
        calls.append(lambda: list(customer.subscriptions.list()))
        for products in (customer.recurring_products, subscription.recurring_products):
            calls += [
                lambda products=products: products.create(charge),  # type: ignore[misc]
                lambda products=products: list(products.list()),  # type: ignore[misc]
                lambda products=products: products.get(charge_id),  # type: ignore[misc]
                lambda products=products: products.update(charge_id, **change),  # type: ignore[misc]
                lambda products=products: products.delete(charge_id),  # type: ignore[misc]
            ]
        for call in [*calls, subscription.delete]:
            with suppress(BillingError):  # this test checks only the request, not the mock's response
                call()
    for request in on_wire.sent:
        JUDGE.validate_request(OnTheWire(request))
        assert exactly(request) == []


def test_everything_the_wrapper_sends_is_valid_by_the_contract(on_wire: Wire) -> None:
    _everything_that_is_sent(on_wire)
    assert {request.method for request in on_wire.sent} <= {each.method for each in OPERATIONS.values()}


def test_the_judge_refuses_what_is_not_valid() -> None:
    def request(body: Any, *segments: str) -> Request:
        headers = {"authorization": "Bearer x", "content-type": "application/json"}
        path = "/".join((CONTRACT.base_path, "1", *segments))
        return Request("POST", path.encode(), headers, render(body).encode())

    customers = CONTRACT.place("customer").segments()
    valid, too_long = new_customer("1"), new_customer("1234567890123456")
    JUDGE.validate_request(OnTheWire(request(valid, *customers)))
    for body, more in (({}, ()), (too_long, ()), (valid, ("x",))):
        with pytest.raises(Exception, match=r".+"):
            JUDGE.validate_request(OnTheWire(request(body, *customers, *more)))
    charges = CONTRACT.place("charge").segments("1")
    assert exactly(request(new_charge(unit_price=Decimal("0.0000001")), *charges))


# responses


class Scripted:
    """A server on a real socket that responds to every request with the same bytes.

    Attributes:
        shown: the response to GET; empty if it is the same as to other methods.
    """

    def __init__(self) -> None:
        self.answer = self.shown = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                data = b""
                while b"\r\n\r\n" not in data:
                    data += connection.recv(65_536)
                head, _, body = data.partition(b"\r\n\r\n")
                length = next(
                    (
                        int(line.split(b":")[1])
                        for line in head.lower().split(b"\r\n")
                        if line.startswith(b"content-length")
                    ),
                    0,
                )
                while len(body) < length:
                    body += connection.recv(65_536)
                connection.sendall((head.startswith(b"GET ") and self.shown) or self.answer)

    def close(self) -> None:
        # `close()` alone does not end a blocking `accept()` in another thread.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture(scope="module")
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


def _calls(billing: Billing) -> dict[str, Callable[[], Any]]:
    """Return a call of the wrapper for each operation of the contract."""
    customer = billing.customer(CUSTOMER)
    subscription = customer.subscription(SUBSCRIPTION)
    calls: dict[tuple[str, str, int], Callable[[], Any]] = {
        ("create", "customer", 0): customer.create,
        ("read", "customer", 0): customer.get,
        ("list", "subscription", 1): lambda: list(customer.subscriptions.list()),
        ("create", "subscription", 1): subscription.create,
        ("read", "subscription", 1): subscription.get,
        ("delete", "subscription", 1): subscription.delete,
    }
    for parents, products in ((1, customer.recurring_products), (2, subscription.recurring_products)):
        calls |= {
            ("list", "charge", parents): lambda products=products: list(products.list()),  # type: ignore[misc]
            ("create", "charge", parents): partial(products.create, Charge(product_code="P01")),
            ("read", "charge", parents): partial(products.get, "1"),
            ("update", "charge", parents): partial(products.update, "1", quantity=1),
            ("delete", "charge", parents): partial(products.delete, "1"),
        }
    found = {role: CONTRACT.operation(*role) for role in calls}
    return {operation.operation_id: calls[role] for role, operation in found.items() if operation is not None}


def test_there_is_a_call_for_each_operation(scripted: Scripted) -> None:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=scripted.url) as billing:
        assert set(_calls(billing)) == set(OPERATIONS)


def _answers() -> Iterator[tuple[str, int, str, dict[str, Any]]]:
    for operation, definition in OPERATIONS.items():
        for status, response in definition.responses.items():
            for media_type, content in (response.get("content") or {"": {"schema": {}}}).items():
                yield operation, status, media_type, content["schema"]


def _read_of(operation: str) -> Operation:
    """Return the operation that reads what an operation changes."""
    place = OPERATIONS[operation].place
    found = CONTRACT.operation("read", "charge", place.parents) if place else None
    assert found is not None
    return found


def _bytes(status: int, media_type: str, body: Any) -> bytes:
    text = json.dumps(body, ensure_ascii=False).encode() if media_type else b""
    kind = f"Content-Type: {media_type}\r\n" if media_type else ""
    length = f"Content-Length: {len(text)}\r\n" if status != 204 else ""
    return f"HTTP/1.1 {status} X\r\n{kind}{length}Connection: close\r\n\r\n".encode() + text


@pytest.mark.parametrize(
    ("operation", "status", "media_type", "schema"),
    [pytest.param(*each, id=f"{each[0]} {each[1]}") for each in _answers()],
)
def test_every_answer_the_contract_allows_is_understood(
    scripted: Scripted, operation: str, status: int, media_type: str, schema: dict[str, Any]
) -> None:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=scripted.url) as billing:
        call = _calls(billing.with_options(attempts=1, retry_after_cap=0.001))[operation]
        # After a change without a body, the client reads the charge.
        read = _read_of(operation) if OPERATIONS[operation].role == "update" and not schema and status < 300 else None
        shown = dict(read.success_schema or {}) if read else schema

        @settings(max_examples=8, deadline=None, suppress_health_check=QUIET)
        @given(instances(shown) if shown else st.none())
        def understood(body: Any) -> None:
            if status < 300:
                _make_own(operation, body)
            scripted.answer = _bytes(status, media_type, body)
            scripted.shown = _bytes(read.successes[0], JSON, body) if read else b""
            if status < 300:
                result = call()
                items = items_in(body)
                expected = [body] if items is None else items
                for value, sent in zip(result if isinstance(result, list) else [result], expected, strict=True):
                    _holds(value, sent)
                return
            with pytest.raises((ProblemError, OutcomeUnknown)) as raised:
                call()
            if isinstance(raised.value, OutcomeUnknown):  # the failing server may have processed the POST
                assert OPERATIONS[operation].role == "create"
                assert status in {500, 501, 503}
            else:
                assert isinstance(raised.value, ProblemError)
                assert raised.value.status == status

        understood()


NEW = itertools.count(2)  # 1 is the id of the charge that is read and changed
IS_NUMBER = CONTRACT.resolve(CONTRACT.resources["charge"]["properties"][CHARGE_ID]).get("type") == "integer"


def _charge_id(number: int) -> object:
    """Return an id of the type that the contract has."""
    return number if IS_NUMBER else str(number)


def _make_own(operation: str, body: Any) -> None:
    """Change a response so that it belongs to its request. The client rejects the response to another request."""
    if not isinstance(body, dict):
        return
    defined = OPERATIONS[operation]
    assert defined.place is not None
    numbers = (CUSTOMER, SUBSCRIPTION)[: defined.place.parents]

    def uri(*more: str) -> str:
        segments = (LEDGER, *defined.place.segments(*numbers, *more)) if defined.place else ()
        return "/".join((CONTRACT.base_path, *(quote(each, safe="") for each in segments)))

    items = items_in(body)
    if items is not None and "navigation" in body:
        body["navigation"]["@id"] = uri()
    for item in [body] if items is None else items:
        if defined.kind == "customer":
            item[CUSTOMER_NO] = CUSTOMER
        elif defined.kind == "subscription" and items is None:
            item[SUBSCRIPTION_NO] = SUBSCRIPTION
        elif defined.kind == "charge" and defined.role in {"read", "update"}:
            item[CHARGE_ID] = _charge_id(1)
        elif defined.role == "create":
            item[wire("product_code")] = "P01"
            item[CHARGE_ID] = _charge_id(next(NEW))  # the client has seen every earlier one
        item["@id"] = uri(str(item[CONTRACT.keys[defined.kind]]))


def _holds(value: Any, sent: Any) -> None:
    """Check that the value has everything that the response has."""
    if sent is None:
        assert value is None
    elif isinstance(value, RecurringProduct):
        assert (value.id, value.product_code) == (str(sent[CHARGE_ID]), sent[wire("product_code")])
        price = sent.get(wire("unit_price"))
        assert value.unit_price == (None if price is None else Decimal(repr(price)))
        end = sent.get(wire("end_date"))
        assert value.end_date == (None if end is None else date.fromisoformat(end))
    else:
        found = value.customer_no if isinstance(value, Customer) else value.subscription_no
        assert found == sent.get(CUSTOMER_NO, sent.get(SUBSCRIPTION_NO))
