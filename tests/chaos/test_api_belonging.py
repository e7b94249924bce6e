"""A response that does not belong to the request: not from the API at all, or about another customer.

A read raises `MalformedResponse`. A POST raises `OutcomeUnknown`, because the request may have taken effect; a look-up
then finds the created resource. Neither a read nor a POST may return a wrong value. The client must still accept all
the variations that a correct server may send.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import payex_billing as pb
import pytest

from tests.chaos.backend import (
    FOUR,
    ROOT,
    Backend,
    Fault,
    Parent,
    Reply,
    Request,
    client,
    customer_body,
    dumps,
    json_reply,
    raised,
    subscription_body,
    tried,
)

CHARGE = pb.Charge(
    product_code="P77",
    quantity=2,
    unit_price=Decimal("499.00"),
    vat_rate=Decimal("25.00"),
    text="Mobile",
    start_date=date(2026, 1, 1),
    end_date=date(2026, 12, 31),
)
A, B = f"{ROOT}/customers/A", f"{ROOT}/customers/B"
HTML = b"<!DOCTYPE html><html><body>Please log in to the hotel's network</body></html>"


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A", "B") as running:
        running.put_charge("B", text="charge of B")
        yield running


def raw_json(status: int, text: str | bytes, content_type: str = "application/json") -> Reply:
    return Reply(status, text if isinstance(text, bytes) else text.encode(), content_type)


# Responses that do not come from the API


FOREIGN: dict[str, Reply] = {
    "captive portal": Reply(200, HTML, "text/html"),
    "portal that says 201": Reply(201, HTML, "text/html; charset=utf-8"),
    "portal that says json": Reply(200, HTML),
    "202 without a body": Reply(202, b"", None),
    "200 without a body": Reply(200, b"", None),
    "201 without a body": Reply(201, b"", None),
    "204": Reply(204, b"", None),
    "205": Reply(205, b"", None),
    "something else": json_reply(200, {"hello": 1}),
    "accepted for later": json_reply(202, {"status": "accepted", "id": "77"}),
    "empty object": json_reply(201, {}),
    "list": json_reply(201, []),
    "list of one": json_reply(201, [{"@id": f"{A}/recurring-products/id1"}]),
    "null": json_reply(201, None),
    "text": json_reply(201, "ok"),
    "number": json_reply(201, 5),
    "true": json_reply(201, True),
    "problem that says 200": json_reply(
        200, {"type": "billing/customer/problems/validation", "title": "x"}, content_type="application/problem+json"
    ),
    "plain text": Reply(201, b"OK", "text/plain"),
    "XML": Reply(201, b"<charge><id>5</id></charge>", "application/xml"),
    "bytes": Reply(201, bytes(range(256)), "application/octet-stream"),
    "no UTF-8": raw_json(201, b'{"customerNo": "\xff\xfe"}'),
    "UTF-16": raw_json(201, '{"customerNo": "A"}'.encode("utf-16")),
    "half an object": raw_json(201, '{"@id": "x", "customerNo": '),
    "two objects": raw_json(201, "{}{}"),
    "deep": raw_json(201, "[" * 100_000 + "]" * 100_000),
    "deep objects": raw_json(201, '{"a":' * 100_000 + "1" + "}" * 100_000),
    "NaN": raw_json(201, "NaN"),
    "long number": raw_json(201, "1" * 100_000),
    "only spaces": raw_json(201, " " * 1000),
    "206": Reply(206, b"", None),
    "226": json_reply(226, {"delta": []}),
}


def creations(billing: Any) -> dict[str, Callable[[], Any]]:
    return {
        "charge": lambda: billing.customer("A").recurring_products.create(CHARGE, known="read"),
        "subscription": lambda: billing.customer("A").subscription("T").create(),
        "customer": lambda: billing.customer("N").create(),
    }


@FOUR
@pytest.mark.parametrize("kind", ["charge", "subscription", "customer"])
def test_a_foreign_success_leaves_a_post_open_and_the_look_up_finds_what_it_made(
    engine_name: str, facade: str, kind: str
) -> None:
    wrong = []
    for name, reply in FOREIGN.items():
        with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
            backend.on("POST", Fault(reply=reply))
            error = tried(creations(billing)[kind])
            if not isinstance(error, pb.OutcomeUnknown):
                wrong.append(f"{name}: {error!r}")
                continue
            found = billing.look_up(error.lost)
            [(_, made)] = backend.created
            if found.outcome is not pb.Outcome.CREATED or found.resource.uri != made:
                wrong.append(f"{name}: {found}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_a_foreign_success_makes_a_read_malformed(backend: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        # One attempt only: this test does not check whether the client retries a read with a malformed response.
        customer = billing.with_options(attempts=1).customer("A")
        reads = {
            "customer": customer.get,
            "subscription": customer.subscription("S").get,
            "subscriptions": lambda: list(customer.subscriptions.list()),
            "charge": lambda: customer.recurring_products.get("id1"),
            "charges": lambda: list(customer.recurring_products.list()),
            "change": lambda: customer.recurring_products.update("id1", text="x"),
        }
        for name, reply in FOREIGN.items():
            backend.forget_rules()
            backend.on("GET", Fault(reply=reply), times=math.inf)
            backend.on("PATCH", Fault(reply=reply), times=math.inf)
            for what, read in reads.items():
                error = tried(read)
                if not isinstance(error, pb.MalformedResponse):
                    wrong.append(f"{name}, {what}: {error!r}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_a_delete_may_answer_with_any_success_and_any_body(backend: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        for name, reply in FOREIGN.items():
            key = backend.put_charge("A")
            backend.on("DELETE", Fault(reply=reply))
            try:
                assert billing.customer("A").recurring_products.delete(key) is None
            except Exception as error:
                wrong.append(f"{name}: {error!r}")
    assert not wrong, "\n".join(wrong)


# Responses about another customer, subscription or charge


def with_number(uri: str, number: str) -> Reply:
    return json_reply(200, {**customer_body(uri), "customerNo": number})


OTHER_CUSTOMERS: dict[str, Reply] = {
    "customer B": json_reply(200, customer_body(B)),
    "B without @id": json_reply(200, customer_body(B)).changed(at_id=...),
    "number of B under @id of A": with_number(A, "B"),
    "number of A under @id of B": with_number(B, "A"),
    "lower case": with_number(A, "a"),
    "with a space": with_number(A, "A "),
    "with a zero byte": with_number(A, "A\x00"),
    "fullwidth": with_number(A, "Ａ"),
    "number, not text": json_reply(200, customer_body(A)).changed(customerNo=5),
    "null": json_reply(200, customer_body(A)).changed(customerNo=None),
    "no number": json_reply(200, customer_body(A)).changed(customerNo=...),
    "A of another ledger": json_reply(200, customer_body("/billing/customer/v1/5678/customers/A")),
    "a charge of A": json_reply(
        200, {"@id": f"{A}/recurring-products/1", "recurringProductId": "1", "productCode": "P"}
    ),
    "a subscription of A": json_reply(200, subscription_body(f"{A}/subscriptions/A")),
    "the list of A": json_reply(200, {"items": [], "navigation": {"@id": f"{A}/subscriptions"}}),
}


@FOUR
def test_a_read_never_hands_out_another_customer(backend: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        customer = billing.with_options(attempts=1).customer("A")
        for name, reply in OTHER_CUSTOMERS.items():
            backend.on("GET", Fault(reply=reply))
            error = tried(customer.get)
            if not isinstance(error, pb.MalformedResponse):
                wrong.append(f"{name}: {error!r}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_a_creation_never_hands_out_another_customer(engine_name: str, facade: str) -> None:
    wrong = []
    for name, reply in OTHER_CUSTOMERS.items():
        with Backend() as backend, client(engine_name, facade, backend) as billing:
            backend.on("POST", Fault(reply=reply))
            error = tried(billing.customer("A").create)
            if not isinstance(error, pb.OutcomeUnknown):
                wrong.append(f"{name}: {error!r}")
            elif (found := billing.look_up(error.lost)).resource is None or found.resource.customer_no != "A":
                wrong.append(f"{name}: {found}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_ensure_never_hands_out_another_customer(engine_name: str, facade: str) -> None:
    wrong = []
    for name, reply in OTHER_CUSTOMERS.items():
        with Backend() as backend, client(engine_name, facade, backend) as billing:
            backend.on("POST", Fault(reply=reply))
            value = tried(billing.customer("A").ensure)
            right = isinstance(value, pb.OutcomeUnknown) or getattr(value, "customer_no", "") == "A"
            if not right or len(backend.created) != 1:
                wrong.append(f"{name}: {value!r}, {backend.created}")
    assert not wrong, "\n".join(wrong)


S = f"{A}/subscriptions/S"
OTHER_SUBSCRIPTIONS: dict[str, Reply] = {
    "subscription T": json_reply(200, subscription_body(f"{A}/subscriptions/T")),
    "S of customer B": json_reply(200, subscription_body(f"{B}/subscriptions/S")),
    "number T under @id of S": json_reply(200, subscription_body(S)).changed(subscriptionNo="T"),
    "number S under @id of T": json_reply(200, subscription_body(f"{A}/subscriptions/T")).changed(subscriptionNo="S"),
    "S of another ledger": json_reply(200, subscription_body("/billing/customer/v1/5678/customers/A/subscriptions/S")),
    "lower case": json_reply(200, subscription_body(S)).changed(subscriptionNo="s"),
    "number, not text": json_reply(200, subscription_body(S)).changed(subscriptionNo=5),
    "no number": json_reply(200, subscription_body(S)).changed(subscriptionNo=...),
    "@id of the customer": json_reply(200, subscription_body(S)).changed(at_id=A),
    "@id is no path": json_reply(200, subscription_body(S)).changed(at_id="S"),
    "customer": json_reply(200, customer_body(A)),
}


@FOUR
def test_a_read_never_hands_out_another_subscription(backend: Backend, engine_name: str, facade: str) -> None:
    wrong = []
    with client(engine_name, facade, backend) as billing:
        subscription = billing.with_options(attempts=1).customer("A").subscription("S")
        for name, reply in OTHER_SUBSCRIPTIONS.items():
            backend.on("GET", Fault(reply=reply))
            error = tried(subscription.get)
            if not isinstance(error, pb.MalformedResponse):
                wrong.append(f"{name}: {error!r}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_a_creation_never_hands_out_another_subscription(engine_name: str, facade: str) -> None:
    wrong = []
    for name, reply in OTHER_SUBSCRIPTIONS.items():
        with Backend() as backend, client(engine_name, facade, backend) as billing:
            backend.customers["A"] = Parent()
            backend.on("POST", Fault(reply=reply))
            error = tried(billing.customer("A").subscription("S").create)
            if not isinstance(error, pb.OutcomeUnknown):
                wrong.append(f"{name}: {error!r}")
            elif (found := billing.look_up(error.lost)).resource is None or found.resource.uri != S:
                wrong.append(f"{name}: {found}")
    assert not wrong, "\n".join(wrong)


OTHER_CHARGES: dict[str, dict[str, Any]] = {
    "another id": {"recurringProductId": "other"},
    "another @id": {"at_id": f"{A}/recurring-products/other"},
    "both of another": {"at_id": f"{A}/recurring-products/other", "recurringProductId": "other"},
    "of customer B": {"at_id": f"{B}/recurring-products/id2"},
    "of a subscription": {"at_id": f"{S}/recurring-products/id2"},
    "of another ledger": {"at_id": "/billing/customer/v1/5678/customers/A/recurring-products/id2"},
    "id is a number": {"recurringProductId": 2},
    "id is null": {"recurringProductId": None},
    "id is empty": {"recurringProductId": ""},
    "no id": {"recurringProductId": ...},
    "@id is a number": {"at_id": 5},
    "@id is empty": {"at_id": ""},
    "no code": {"productCode": ...},
    "code is null": {"productCode": None},
}


@FOUR
def test_a_read_or_change_never_hands_out_another_charge(backend: Backend, engine_name: str, facade: str) -> None:
    key = backend.put_charge("A")
    assert key == "id2"
    wrong = []
    with client(engine_name, facade, backend) as billing:
        charges = billing.with_options(attempts=1).customer("A").recurring_products
        for name, changes in OTHER_CHARGES.items():
            for method, call in (
                ("GET", lambda: charges.get(key)),
                ("PATCH", lambda: charges.update(key, text="x")),
            ):
                backend.on(method, Fault(reply=lambda _, honest, changes=changes: honest.changed(**changes)))
                error = tried(call)
                if not isinstance(error, pb.MalformedResponse):
                    wrong.append(f"{method} {name}: {error!r}")
    assert not wrong, "\n".join(wrong)


@FOUR
@pytest.mark.parametrize("lie", ["of B", "of a subscription", "of another ledger", "list of B"])
def test_a_list_never_hands_out_a_charge_of_another(backend: Backend, engine_name: str, facade: str, lie: str) -> None:
    backend.put_charge("A")
    where = {"of B": B, "of a subscription": S, "of another ledger": "/billing/customer/v1/5678/customers/A"}.get(
        lie, B
    )

    def reply(_: Request, honest: Reply) -> Reply:
        content = json.loads(honest.body)
        for item in content["items"]:
            item["@id"] = f"{where}/recurring-products/{item['recurringProductId']}"
        if lie == "list of B":
            content["navigation"] = {"@id": f"{B}/recurring-products"}
        return json_reply(200, content)

    backend.on("GET", Fault(reply=reply), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: list(billing.customer("A").recurring_products.list()))
        assert isinstance(error, pb.MalformedResponse), repr(error)


@FOUR
def test_a_list_never_hands_out_a_subscription_of_another(backend: Backend, engine_name: str, facade: str) -> None:
    backend.on(
        "GET", Fault(reply=lambda _, honest: Reply(200, honest.body.replace(b"/customers/A/", b"/customers/B/")))
    )
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: list(billing.with_options(attempts=1).customer("A").subscriptions.list()))
        assert isinstance(error, pb.MalformedResponse), repr(error)


OTHER_CONTENT: dict[str, dict[str, Any]] = {
    "code": {"productCode": "P01"},
    "case of the code": {"productCode": "p77"},
    "code is null": {"productCode": None},
    "no code": {"productCode": ...},
    "quantity": {"quantity": 3},
    "quantity 2.5": {"quantity": 2.5},
    "quantity as text": {"quantity": "2"},
    "quantity true": {"quantity": True},
    "price": {"unitPrice": Decimal("499.01")},
    "price in cents": {"unitPrice": 49900},
    "price of the last digit": {"unitPrice": Decimal("499.000001")},
    "price as text": {"unitPrice": "499.00"},
    "price negative": {"unitPrice": Decimal("-499.00")},
    "price null": {"unitPrice": None},
    "vat": {"vatRate": 12},
    "text": {"text": "Mobile "},
    "text null": {"text": None},
    "start": {"startDate": "2026-01-02"},
    "start as a time": {"startDate": "2026-01-01T23:00:00Z"},
    "start null": {"startDate": None},
    "end": {"endDate": "2027-12-31"},
    "end null": {"endDate": None},
    "end no date": {"endDate": "2026-13-31"},
    "customer": {"at_id": f"{B}/recurring-products/id2"},
    "subscription": {"at_id": f"{S}/recurring-products/id2"},
    "ledger": {"at_id": "/billing/customer/v1/5678/customers/A/recurring-products/id2"},
    "@id of another charge": {"at_id": f"{A}/recurring-products/other"},
    "id of another charge": {"recurringProductId": "other"},
}


@FOUR
def test_a_creation_never_hands_out_other_content_than_was_sent(engine_name: str, facade: str) -> None:
    charge = pb.Charge(
        product_code=CHARGE.product_code,
        quantity=CHARGE.quantity,
        unit_price=CHARGE.unit_price,
        vat_rate=CHARGE.vat_rate,
        text=CHARGE.text,
        start_date=CHARGE.start_date,
        end_date=CHARGE.end_date,
        extra={"costCentre": "7"},
    )
    wrong = []
    for name, changes in OTHER_CONTENT.items():
        with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
            backend.on("POST", Fault(reply=lambda _, honest, changes=changes: honest.changed(**changes)))
            error = tried(lambda billing=billing: billing.customer("A").recurring_products.create(charge, known="read"))
            if not isinstance(error, pb.OutcomeUnknown):
                wrong.append(f"{name}: {error!r}")
                continue
            found = billing.look_up(error.lost)
            if found.outcome is not pb.Outcome.CREATED or [found.resource.id] != list(backend.charges("A")):
                wrong.append(f"{name}: {found}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_a_creation_of_the_response_before_never_stands_for_this_one(
    backend: Backend, engine_name: str, facade: str
) -> None:
    # A desynchronised proxy returns the response to the previous request. That response has the same content, but
    # it describes another charge.
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        first = charges.create(CHARGE)
        backend.on("POST", Fault(reply=lambda _, honest: honest.changed(
            at_id=first.uri, recurringProductId=first.id
        )))  # fmt: skip
        error = raised(lambda: charges.create(CHARGE))
        assert isinstance(error, pb.OutcomeUnknown), repr(error)
        found = billing.look_up(error.lost, settle=0)
        assert found.outcome is not pb.Outcome.ABSENT
        assert found.resource is None or found.resource.id != first.id


# Variations that a correct server may send


HONEST: dict[str, Callable[[Reply], Reply]] = {
    "as it is": lambda honest: honest,
    "200 in place of 201": lambda honest: Reply(200, honest.body),
    "202 with the body": lambda honest: Reply(202, honest.body),
    "another JSON type": lambda honest: Reply(201, honest.body, "application/hal+json"),
    "charset": lambda honest: Reply(201, honest.body, "application/json; charset=utf-8"),
    "quantity 2.0": lambda honest: Reply(201, honest.body.replace(b'"quantity":2', b'"quantity":2.0')),
    "price 499": lambda honest: Reply(201, honest.body.replace(b"499.00", b"499")),
    "price 499.0": lambda honest: Reply(201, honest.body.replace(b"499.00", b"499.0")),
    "price 4.99e2": lambda honest: Reply(201, honest.body.replace(b"499.00", b"4.99e2")),
    "price with six decimals": lambda honest: Reply(201, honest.body.replace(b"499.00", b"499.000000")),
    "vat 25": lambda honest: Reply(201, honest.body.replace(b"25.00", b"25")),
    "unknown properties": lambda honest: honest.changed(invoiceGroup={"a": [1, None]}, **{"@type": "x"}),
    "billed until": lambda honest: honest.changed(billedUntil="2026-03-31"),
    "operations": lambda honest: honest.changed(operations=[{"rel": "x", "method": "BREW", "href": "/x", "more": 1}]),
    "no operations": lambda honest: honest.changed(operations=...),
    "extra dropped": lambda honest: honest.changed(costCentre=...),
    "extra kept": lambda honest: honest.changed(costCentre="7"),
    "spaces": lambda honest: Reply(201, b" \r\n" + json.dumps(json.loads(honest.body), indent=4).encode() + b"\n"),
    "escapes": lambda honest: Reply(201, honest.body.replace(b"Mobile", b"\\u004dobile")),
    "absolute @id": lambda honest: honest,  # replaced in the test, where the port is known
}


@FOUR
def test_an_honest_server_may_word_a_charge_differently(engine_name: str, facade: str) -> None:
    charge = pb.Charge(
        product_code="P77",
        quantity=2,
        unit_price=Decimal("499.00"),
        vat_rate=Decimal("25.00"),
        text="Mobile",
        extra={"costCentre": "7"},
    )
    wrong = []
    with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        for name, change in HONEST.items():

            def reply(_: Request, honest: Reply, name: str = name, change: Any = change) -> Reply:
                if name == "absolute @id":
                    return honest.changed(at_id=backend.url + json.loads(honest.body)["@id"])
                return change(honest)

            backend.on("POST", Fault(reply=reply))
            try:
                created = charges.create(charge)
            except pb.BillingError as error:
                wrong.append(f"{name}: {error!r}")
                continue
            if created.id not in backend.charges("A") or created.unit_price != 499 or created.quantity != 2:
                wrong.append(f"{name}: {created}")
    assert not wrong, "\n".join(wrong)


@FOUR
def test_the_server_may_fill_in_what_was_not_sent(backend: Backend, engine_name: str, facade: str) -> None:
    backend.master = {
        "quantity": 1,
        "unitPrice": Decimal("100.00"),
        "vatRate": Decimal(25),
        "text": "Master product",
        "startDate": "2026-02-01",
        "endDate": "2099-12-31",
    }
    with client(engine_name, facade, backend) as billing:
        created = billing.customer("A").recurring_products.create(pb.Charge(product_code="P01"))
        assert (created.id, created.unit_price, created.text) == ("id2", Decimal("100.00"), "Master product")
        created = billing.customer("A").recurring_products.create(pb.Charge(product_code="P01", text=""))
        assert created.id == "id3"


@FOUR
def test_a_customer_needs_no_id(backend: Backend, engine_name: str, facade: str) -> None:
    backend.on("*", Fault(reply=lambda _, honest: honest.changed(at_id=...)), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        assert billing.customer("A").get().customer_no == "A"
        assert billing.customer("N").create().customer_no == "N"
        assert billing.customer("N").ensure().customer_no == "N"


NUMBERS = ["Å/1 x", "a&b-c_d.e", "åäö ÄÖ", "A/B", "x..y", ".a", "a."]


def encoded(body: bytes, number: str, how: str) -> bytes:
    """Return the body with the number in its links in another, equivalent encoding."""
    plain = quote(number, safe="")
    ways = {
        "lower case hex": re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), plain),
        "letters raw": quote(number, safe="åäöÅÄÖ&"),
        "all encoded": "".join(f"%{byte:02X}" for byte in number.encode()),
    }
    written = json.dumps(ways[how], ensure_ascii=False)[1:-1].encode()
    return body.replace(f"customers/{plain}".encode(), b"customers/" + written)


@FOUR
@pytest.mark.parametrize("how", ["lower case hex", "letters raw", "all encoded"])
def test_a_link_may_be_percent_encoded_in_any_equal_way(engine_name: str, facade: str, how: str) -> None:
    wrong = []
    for number in NUMBERS:
        with Backend() as backend, client(engine_name, facade, backend) as billing:
            backend.on(
                "*",
                Fault(reply=lambda _, honest, number=number: Reply(honest.status, encoded(honest.body, number, how))),
                times=math.inf,
            )
            customer = billing.customer(number)
            try:
                customer.create()
                customer.get()
                customer.subscription("S 1/2").create()
                customer.subscription("S 1/2").get()
                created = customer.recurring_products.create(CHARGE)
                customer.recurring_products.get(created.id)
                customer.recurring_products.update(created.id, text="x")
                assert len(list(customer.recurring_products.list())) == 1
                assert len(list(customer.subscriptions.list())) == 1
            except Exception as error:
                wrong.append(f"{number}: {error!r}")
    assert not wrong, "\n".join(wrong)


# Numbers and texts that Python's own parsers cannot handle


ODD_VALUES: dict[str, str] = {
    "quantity of 5,000 digits": '"quantity": ' + "1" * 5000,
    "price of 5,000 digits": '"unitPrice": ' + "1" * 5000,
    "price 1e999999999": '"unitPrice": 1e999999999',
    "price 1e-999999999": '"unitPrice": 1e-999999999',
    "price NaN": '"unitPrice": NaN',
    "price Infinity": '"unitPrice": -Infinity',
    "price is an object": '"unitPrice": {}',
    "price true": '"unitPrice": true',
    "vat is a list": '"vatRate": []',
    "start is a number": '"startDate": 20260101',
    "start is empty": '"startDate": ""',
    "start in another calendar": '"startDate": "٢٠٢٦-٠١-٠١"',
    "start of year 0": '"startDate": "0000-01-01"',
    "start by week": '"startDate": "2026-W01-1"',
    "text is a number": '"text": 5',
    "text is a lone surrogate": '"text": "\\ud800"',
    "text is a list": '"text": ["a"]',
    "operations is a number": '"operations": 5',
    "operations of numbers": '"operations": [5]',
    "operations without href": '"operations": [{"rel": "x", "method": "GET"}]',
    "operations with numbers": '"operations": [{"rel": 1, "method": 2, "href": 3}]',
    "operations is text": '"operations": "GET"',
    "id twice": '"recurringProductId": "id9"',
    "deep extra": '"x": ' + "[" * 5000 + "]" * 5000,
    "surrogate as a name": '"\\ud800": 1',
}


@FOUR
def test_odd_values_make_a_billing_error_or_a_right_value_and_nothing_else(
    backend: Backend, engine_name: str, facade: str
) -> None:
    key = backend.put_charge("A", quantity=1)
    wrong = []
    with client(engine_name, facade, backend) as billing:
        charges = billing.with_options(attempts=1).customer("A").recurring_products
        for name, odd in ODD_VALUES.items():

            def reply(_: Request, honest: Reply, odd: str = odd) -> Reply:
                inner = b", " + odd.encode() + b"}"
                if b'"items"' in honest.body:
                    return Reply(200, honest.body.replace(b'"quantity":1}', b'"quantity":1' + inner))
                return Reply(honest.status, honest.body[:-1] + inner)

            backend.forget_rules()
            backend.on("*", Fault(reply=reply), times=math.inf)
            calls: dict[str, tuple[type[Exception], Callable[[], Any]]] = {
                "get": (pb.MalformedResponse, lambda: charges.get(key)),
                "list": (pb.MalformedResponse, lambda: list(charges.list())),
                "update": (pb.MalformedResponse, lambda: charges.update(key, text="x")),
                "create": (
                    pb.OutcomeUnknown,
                    lambda: charges.create(pb.Charge(product_code="P01", quantity=1), known=[]),
                ),
            }
            for what, (kind, call) in calls.items():
                try:
                    value = call()
                except Exception as error:
                    if not isinstance(error, kind):
                        wrong.append(f"{what} {name}: {error!r}"[:300])
                    continue
                repr(value)
                if what in {"get", "update"} and value.id != key:
                    wrong.append(f"{what} {name}: {value.id}")
    assert not wrong, "\n".join(wrong)


def test_the_bodies_of_this_file_are_what_they_say() -> None:
    assert dumps({"a": Decimal("1.50"), "b": [None, True]}) == '{"a":1.50,"b":[null,true]}'
