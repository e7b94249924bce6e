"""What the mock does, seen from the wire with nothing of the client in between."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from typing import Any

import pytest
from payex_billing_mock import MockServer, Store, create_app
from payex_billing_mock.server import allow_many_connections

from contract_tests.exchange import CONTRACT
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, PREFIX, TOKEN, Raw, send
from tests.wire import (
    CHARGE_ID,
    CUSTOMER_NO,
    UPDATE,
    change,
    charges_path,
    customer_path,
    customers_path,
    failed_parameters,
    items_of,
    json_of,
    named,
    new_charge,
    new_customer,
    new_subscription,
    path_of,
    subscription_path,
    subscriptions_path,
    wire,
)

NUMBER, SUBSCRIPTION_NUMBER = "15615616", "46701234567"
OF_CUSTOMER, OF_SUBSCRIPTION = (NUMBER,), (NUMBER, SUBSCRIPTION_NUMBER)
CUSTOMER, SUBSCRIPTION = customer_path(NUMBER), subscription_path(NUMBER, SUBSCRIPTION_NUMBER)
CHARGES = charges_path(NUMBER)


@pytest.fixture
def filled(mock: MockServer) -> MockServer:
    """A mock with one customer and one subscription."""
    assert send(mock.url, "POST", customers_path(), new_customer(NUMBER)).status < 300
    assert send(mock.url, "POST", subscriptions_path(NUMBER), new_subscription(SUBSCRIPTION_NUMBER)).status < 300
    return mock


def add(mock: MockServer, parent: tuple[str, ...] = OF_CUSTOMER, more: Any = None, **charge: Any) -> Any:
    answer = send(mock.url, "POST", charges_path(*parent), new_charge(more, **charge))
    assert answer.status < 300, answer.body
    return answer.json


def assert_problem(answer: Raw, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["type"] == f"billing/customer/problems/{code}"
    assert answer.json["title"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", answer.json["instance"])


# resources, in the words of today's contract: these tests read no file


def test_a_customer_has_links_and_operations(filled: MockServer) -> None:
    uri = f"{PREFIX}/1234/customers/15615616"
    assert send(filled.url, "GET", uri).json == {
        "@id": uri,
        "customerNo": "15615616",
        "recurringProducts": f"{uri}/recurring-products",
        "subscriptions": f"{uri}/subscriptions",
        "operations": [
            {"rel": "add-subscription", "method": "POST", "href": f"{uri}/subscriptions"},
            {"rel": "add-recurring-product", "method": "POST", "href": f"{uri}/recurring-products"},
        ],
    }


def test_a_subscription_has_links_and_operations(filled: MockServer) -> None:
    uri = f"{PREFIX}/1234/customers/15615616/subscriptions/46701234567"
    assert send(filled.url, "GET", uri).json == {
        "@id": uri,
        "subscriptionNo": "46701234567",
        "recurringProducts": f"{uri}/recurring-products",
        "operations": [{"rel": "add-recurring-product", "method": "POST", "href": f"{uri}/recurring-products"}],
    }


@pytest.mark.parametrize("parent", ["/1234/customers/15615616", "/1234/customers/15615616/subscriptions/46701234567"])
def test_a_charge_is_kept_as_it_was_sent(filled: MockServer, parent: str) -> None:
    sent = {
        "productCode": "P01",
        "quantity": 2,
        "unitPrice": -1234567.123456,
        "vatRate": 25.0,
        "text": "Fiber – åäö",
        "startDate": "2026-01-01",
        "endDate": None,
        "unknown": {"deep": [1, None, "x"]},
    }
    answer = send(filled.url, "POST", f"{parent}/recurring-products", sent)
    created = answer.json
    uri = f"{PREFIX}{parent}/recurring-products/{created['recurringProductId']}"
    assert answer.status == 201
    assert created == sent | {"@id": uri, "recurringProductId": created["recurringProductId"], "operations": None}
    assert send(filled.url, "GET", uri).json == created
    listed = send(filled.url, "GET", f"{parent}/recurring-products").json
    assert listed == {"items": [created], "navigation": {"@id": f"{PREFIX}{parent}/recurring-products"}}


def test_money_keeps_its_digits(filled: MockServer) -> None:
    body = b'{"productCode":"P01","unitPrice":499.000000,"unknown":0.1234567890123456789}'
    answer = send(filled.url, "POST", CHARGES, body)
    assert b'"unitPrice":499.000000,"unknown":0.1234567890123456789' in answer.body


# resources


def test_what_the_server_says_of_a_charge_cannot_be_sent(filled: MockServer) -> None:
    billed = wire("billed_until")
    created = add(filled, more={billed: "2030-01-01", CHARGE_ID: "mine", "@id": "/elsewhere"})
    assert billed not in created
    assert created[CHARGE_ID] != "mine"
    assert created["@id"].startswith(PREFIX)


def test_a_change_touches_only_what_is_sent_and_null_clears(filled: MockServer) -> None:
    created = add(filled, more={"mine": "kept"}, quantity=2, text="before", end_date="2026-12-31")
    uri = created["@id"]
    changed = send(filled.url, UPDATE, uri, change(text="after", end_date=None))
    expected = {name: value for name, value in created.items() if name != wire("end_date")} | named(text="after")
    assert (changed.status, changed.json) == (200, expected)
    assert send(filled.url, "GET", uri).json == expected


def test_a_deleted_charge_is_gone_and_only_it(filled: MockServer) -> None:
    first, second = add(filled), add(filled)
    answer = send(filled.url, "DELETE", first["@id"])
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert_problem(send(filled.url, "GET", first["@id"]), 404, "recurring-product-not-found")
    assert_problem(send(filled.url, "DELETE", first["@id"]), 404, "recurring-product-not-found")
    assert items_of(send(filled.url, "GET", CHARGES)) == [second]


def test_the_charges_of_a_subscription_go_with_it(filled: MockServer) -> None:
    of_subscription, of_customer = add(filled, OF_SUBSCRIPTION), add(filled)
    assert send(filled.url, "DELETE", SUBSCRIPTION).status == 204
    assert_problem(send(filled.url, "GET", of_subscription["@id"]), 404, "subscription-not-found")
    assert send(filled.url, "POST", subscriptions_path(NUMBER), new_subscription(SUBSCRIPTION_NUMBER)).status < 300
    assert items_of(send(filled.url, "GET", charges_path(*OF_SUBSCRIPTION))) == []
    assert send(filled.url, "GET", of_customer["@id"]).status == 200


def test_a_charge_is_found_only_under_its_own_parent(filled: MockServer) -> None:
    charge_id = add(filled, OF_SUBSCRIPTION)[CHARGE_ID]
    assert_problem(send(filled.url, "GET", f"{CHARGES}/{charge_id}"), 404, "recurring-product-not-found")


def test_a_property_without_a_name_is_kept_like_any_other_unknown_one(filled: MockServer) -> None:
    assert send(filled.url, "POST", customers_path(), new_customer("8") | {"": {"a": 1}}).status == 201
    assert send(filled.url, "GET", customer_path("8")).json[""] == {"a": 1}


def test_lists_keep_the_order_of_creation(filled: MockServer) -> None:
    ids = [add(filled, text=str(number))[CHARGE_ID] for number in range(20)]
    send(filled.url, UPDATE, f"{CHARGES}/{ids[3]}", change(text="changed"))
    for _ in range(2):
        assert [item[CHARGE_ID] for item in items_of(send(filled.url, "GET", CHARGES))] == ids


def test_a_bill_run_shows_up_to_when_a_charge_is_billed(filled: MockServer) -> None:
    ended, open_ended, later = (
        add(filled, start_date="2026-01-01", end_date="2026-03-31"),
        add(filled, OF_SUBSCRIPTION, start_date="2026-01-01"),
        add(filled, start_date="2027-01-01"),
    )
    billed = wire("billed_until")
    assert filled.store.bill_run(LEDGER, date(2026, 6, 30)) == 2
    assert send(filled.url, "GET", ended["@id"]).json[billed] == "2026-03-31"
    assert send(filled.url, "GET", open_ended["@id"]).json[billed] == "2026-06-30"
    assert billed not in send(filled.url, "GET", later["@id"]).json


# paths


@pytest.mark.parametrize(
    ("number", "segment"),
    [("A/B åö", "A%2FB%20%C3%A5%C3%B6"), ("A&B", "A%26B"), ("A&B", "A&B"), ("a.b-c_d", "a.b-c_d"), ("...", "...")],
)
def test_a_customer_number_travels_as_one_encoded_segment(mock: MockServer, number: str, segment: str) -> None:
    created = send(mock.url, "POST", customers_path(), new_customer(number)).json
    assert send(mock.url, "GET", f"{customers_path()}/{segment}").json == created
    assert send(mock.url, "GET", created["@id"]).json == created


def test_a_slash_that_is_not_encoded_is_another_path(mock: MockServer) -> None:
    segment = subscriptions_path("A").rpartition("/")[2]
    send(mock.url, "POST", customers_path(), new_customer(f"A/{segment}"[:15]))
    assert_problem(send(mock.url, "GET", subscriptions_path("A")), 404, "customer-not-found")


@pytest.mark.parametrize(
    "path",
    [
        f"{CUSTOMER}/",
        CUSTOMER.title(),
        customers_path().replace("/1234/", "/1234//"),
        subscriptions_path("1").replace("/1/", "//"),
        "/1234",
        "/",
        f"{CUSTOMER}/nothing",
        f"/billing/billing/v1{CUSTOMER}",
    ],
)
def test_an_unknown_path_is_not_found(filled: MockServer, path: str) -> None:
    assert_problem(send(filled.url, "GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", CUSTOMER, "GET"),
        ("PUT", SUBSCRIPTION, "DELETE, GET"),
        ("POST", f"{CHARGES}/1", f"DELETE, GET, {UPDATE}"),
        ("OPTIONS", CHARGES, "GET, POST"),
    ],
)
def test_a_method_that_is_not_there_is_named_with_those_that_are(
    filled: MockServer, method: str, path: str, allow: str
) -> None:
    answer = send(filled.url, method, path)
    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allow


# missing parents


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", customer_path("no"), "customer-not-found"),
        ("GET", subscriptions_path("no"), "customer-not-found"),
        ("POST", subscriptions_path("no"), "customer-not-found"),
        ("DELETE", subscription_path("no", "no"), "customer-not-found"),
        ("POST", charges_path("no", "no"), "customer-not-found"),
        (UPDATE, f"{charges_path('no')}/1", "customer-not-found"),
        ("GET", subscription_path(NUMBER, "no"), "subscription-not-found"),
        ("POST", charges_path(NUMBER, "no"), "subscription-not-found"),
        ("DELETE", path_of("charge", NUMBER, "no", "1"), "subscription-not-found"),
        ("GET", f"{CHARGES}/1", "recurring-product-not-found"),
        (UPDATE, path_of("charge", *OF_SUBSCRIPTION, "1"), "recurring-product-not-found"),
    ],
)
def test_the_problem_names_the_parent_that_is_missing(filled: MockServer, method: str, path: str, code: str) -> None:
    bodies = {"POST": new_charge() | new_subscription("1"), UPDATE: change()}
    assert_problem(send(filled.url, method, path, bodies.get(method)), 404, code)


def test_a_duplicate_number_is_refused(filled: MockServer) -> None:
    again = send(filled.url, "POST", customers_path(), new_customer(NUMBER))
    assert_problem(again, *CONTRACT.duplicates["customer"])
    again = send(filled.url, "POST", subscriptions_path(NUMBER), new_subscription(SUBSCRIPTION_NUMBER))
    assert_problem(again, *CONTRACT.duplicates["subscription"])


# input


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, CUSTOMER_NO),
        (new_customer(""), CUSTOMER_NO),
        (new_customer("1234567890123456"), CUSTOMER_NO),
        (new_customer("a+b"), CUSTOMER_NO),
        (new_customer("."), CUSTOMER_NO),
        (new_customer(".."), CUSTOMER_NO),
        (new_customer(15615616), CUSTOMER_NO),
        (new_customer(None), CUSTOMER_NO),
        ([], "body"),
        ("15615616", "body"),
        (b"", "body"),
        (b"{", "body"),
        (json_of(new_customer("a")) + b" x", "body"),
        (b'{"customerNo":"a","customerNo":"b"}', "body"),
        (json_of(new_customer("a")).removesuffix(b"}") + b',"x":NaN}', "body"),
        (json_of(new_customer("a")).removesuffix(b"}") + b',"x":-Infinity}', "body"),
        (b'{"customerNo":"\\ud800"}', "body"),
        (b'\xef\xbb\xbf{"customerNo":"a"}', "body"),
        (b'{"customerNo":"\xe5"}', "body"),
        (b"[" * 60_000, "body"),
        (json_of(new_customer("a")).removesuffix(b"}") + b',"x":' + b"9" * 5_000 + b"}", "body"),
    ],
)
def test_a_customer_that_breaks_the_contract_is_refused_by_parameter(
    mock: MockServer, body: Any, parameter: str
) -> None:
    answer = send(mock.url, "POST", customers_path(), body)
    assert_problem(answer, 400, "validation")
    assert parameter in failed_parameters(answer)


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("product_code", ""),
        ("product_code", "P00001"),
        ("quantity", 0),
        ("quantity", 100_000),
        ("quantity", 1.5),
        ("quantity", "1"),
        ("quantity", True),
        ("unit_price", 10_000_000),
        ("unit_price", -10_000_000),
        ("unit_price", 0.0000001),
        ("unit_price", "499.00"),
        ("vat_rate", 100.01),
        ("vat_rate", -0.01),
        ("vat_rate", 25.001),
        ("text", "x" * 74),
        ("start_date", "2026-02-30"),
        ("start_date", "2026-1-1"),
        ("start_date", "2026-01-01T00:00:00"),
        ("start_date", None),
        ("end_date", 20261231),
    ],
)
def test_a_charge_that_breaks_the_contract_is_refused_by_parameter(filled: MockServer, role: str, value: Any) -> None:
    answer = send(filled.url, "POST", CHARGES, new_charge(**{role: value}))
    assert_problem(answer, 400, "validation")
    assert failed_parameters(answer) == {wire(role)}


@pytest.mark.parametrize(
    ("role", "value"),
    [
        ("product_code", "ÅÄÖ-€"),
        ("quantity", 1),
        ("quantity", 99_999),
        ("unit_price", 9_999_999.999999),
        ("unit_price", -9_999_999.999999),
        ("unit_price", 0.000001),
        ("vat_rate", 0),
        ("vat_rate", 100),
        ("text", "x" * 73),
        ("text", "𝄞" * 73),
        ("text", ""),
        ("start_date", "2024-02-29"),
        ("end_date", None),
    ],
)
def test_the_boundary_itself_is_taken(filled: MockServer, role: str, value: Any) -> None:
    assert add(filled, **{role: value})[wire(role)] == value


def test_every_parameter_that_failed_is_named(filled: MockServer) -> None:
    answer = send(filled.url, "POST", CHARGES, named(quantity=0, vat_rate="x"))
    assert failed_parameters(answer) == {*new_charge(), *named(quantity=0, vat_rate="x")}


def test_a_message_does_not_repeat_the_value(mock: MockServer) -> None:
    answer = send(mock.url, "POST", customers_path(), new_customer("19121212+1212"))
    assert b"19121212" not in answer.body


@pytest.mark.parametrize("segment", ["A%FF", "%00", "12345678901234567890", "a%7Eb"])
def test_a_path_that_breaks_the_contract_is_refused_by_parameter(mock: MockServer, segment: str) -> None:
    answer = send(mock.url, "GET", f"{customers_path()}/{segment}")
    assert_problem(answer, 400, "validation")
    assert CUSTOMER_NO in failed_parameters(answer)


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "application/json; charset=latin-1", "", "application/problem+json"],
)
def test_another_media_type_is_refused(mock: MockServer, media_type: str) -> None:
    answer = send(mock.url, "POST", customers_path(), json_of(new_customer("1")), headers={"Content-Type": media_type})
    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_json_in_utf_8_is_taken_however_it_is_spelled(mock: MockServer, media_type: str) -> None:
    body = json_of(new_customer("1"))
    assert send(mock.url, "POST", customers_path(), body, headers={"Content-Type": media_type}).status < 300


def test_a_compressed_body_is_refused(mock: MockServer) -> None:
    answer = send(mock.url, "POST", customers_path(), b"x", headers={"Content-Encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-media-type")


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(mock: MockServer) -> None:
    body = json_of(new_customer("1")).ljust(65_536)
    assert send(mock.url, "POST", customers_path(), body).status < 300
    assert_problem(send(mock.url, "POST", customers_path(), body + b" "), 413, "content-too-large")


def test_an_end_before_the_start_is_a_business_refusal(filled: MockServer) -> None:
    body = new_charge(start_date="2026-02-01", end_date="2026-01-31")
    assert_problem(send(filled.url, "POST", CHARGES, body), 422, "unprocessable")
    created = add(filled, start_date="2026-02-01", end_date="2026-02-01")
    assert_problem(send(filled.url, UPDATE, created["@id"], change(end_date="2026-01-31")), 422, "unprocessable")
    assert send(filled.url, "GET", created["@id"]).json == created


# credentials


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        "Bearer wrong",
        f"Bearer {OTHER_TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
    ],
)
@pytest.mark.parametrize("path", [CUSTOMER, customer_path("no"), f"{customers_path()}/%00"])
def test_wrong_credentials_are_refused_before_anything_else(
    filled: MockServer, authorization: str | None, path: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = send(filled.url, "GET", path, token=None, headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_the_token_of_a_ledger_opens_only_that_ledger(filled: MockServer) -> None:
    assert_problem(send(filled.url, "GET", customer_path(NUMBER, OTHER_LEDGER)), 401, "unauthorized")
    answer = send(filled.url, "GET", customer_path(NUMBER, OTHER_LEDGER), token=OTHER_TOKEN)
    assert_problem(answer, 404, "customer-not-found")


def test_a_token_in_the_query_opens_nothing(filled: MockServer) -> None:
    assert_problem(send(filled.url, "GET", f"{CUSTOMER}?access_token={TOKEN}", token=None), 401, "unauthorized")


def test_the_scheme_is_read_without_regard_to_case(filled: MockServer) -> None:
    assert send(filled.url, "GET", CUSTOMER, token=None, headers={"Authorization": f"bearer {TOKEN}"}).status == 200


def test_two_ledgers_with_one_token_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="same token"):
        create_app({"1": "t", "2": "t"})


def test_ids_do_not_tell_how_many_there_are() -> None:
    store = Store()
    store.create_customer("1", new_customer("1"))
    ids = [store.create_charge("1", "1", "", new_charge()).id for _ in range(100)]
    assert len(set(ids)) == 100
    assert ids != sorted(ids)
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


def test_every_problem_is_an_occurrence_of_its_own(mock: MockServer) -> None:
    instances = {send(mock.url, "GET", customer_path("no")).json["instance"] for _ in range(5)}
    assert len(instances) == 5


# the server


def test_healthz_needs_no_token(mock: MockServer) -> None:
    answer = send(mock.url, "GET", "/healthz", token=None)
    assert (answer.status, answer.json) == (200, {"status": "ok"})


def test_the_server_does_not_tell_what_it_is_made_of(mock: MockServer) -> None:
    assert send(mock.url, "GET", "/healthz").headers["server"] == "payex-billing-mock"


def test_two_thousand_connections_at_once_do_not_corrupt_it(filled: MockServer) -> None:
    """Each keeps its connection, adds a charge of its own, and reads back exactly that."""
    allow_many_connections()
    path = f"{PREFIX}{CHARGES}"
    text = wire("text")

    async def exchange(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, target: str, body: bytes
    ) -> tuple[int, bytes]:
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: mock\r\nAuthorization: Bearer {TOKEN}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer)
        assert length
        return int(answer.split()[1]), await reader.readexactly(int(length[1]))

    async def one(number: int, all_connected: asyncio.Barrier) -> str:
        reader, writer = await asyncio.open_connection(filled.host, filled.port)
        await all_connected.wait()
        status, created = await exchange(reader, writer, "POST", path, json_of(new_charge(text=str(number))))
        assert status < 300
        uri = re.search(rb'"@id":"([^"]+)"', created)
        assert uri
        assert await exchange(reader, writer, "GET", uri[1].decode(), b"") == (200, created)
        assert f'"{text}":"{number}"'.encode() in created
        writer.close()
        await writer.wait_closed()
        return uri[1].decode()

    async def storm() -> list[str]:
        barrier = asyncio.Barrier(2000)
        return await asyncio.gather(*(one(number, barrier) for number in range(2000)))

    uris = asyncio.run(storm())
    items = items_of(send(filled.url, "GET", path))
    assert len(set(uris)) == 2000
    assert sorted(item["@id"] for item in items) == sorted(uris)
    assert sorted(int(item[text]) for item in items) == list(range(2000))
