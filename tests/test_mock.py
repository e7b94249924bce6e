"""What the mock does, seen from the wire with nothing of the client in between."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from typing import Any

import pytest
from payex_billing_mock import MockServer, Store, create_app
from payex_billing_mock.server import allow_many_connections

from tests.support import LEDGER, OTHER_TOKEN, PREFIX, TOKEN, Raw, send

CUSTOMER = "/1234/customers/15615616"
SUBSCRIPTION = f"{CUSTOMER}/subscriptions/46701234567"


@pytest.fixture
def filled(mock: MockServer) -> MockServer:
    """A mock with one customer and one subscription."""
    assert send(mock.url, "POST", "/1234/customers", {"customerNo": "15615616"}).status == 201
    assert send(mock.url, "POST", f"{CUSTOMER}/subscriptions", {"subscriptionNo": "46701234567"}).status == 201
    return mock


def add(mock: MockServer, parent: str = CUSTOMER, **charge: Any) -> Any:
    answer = send(mock.url, "POST", f"{parent}/recurring-products", {"productCode": "P01", **charge})
    assert answer.status == 201, answer.body
    return answer.json


def assert_problem(answer: Raw, status: int, code: str) -> None:
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["type"] == f"billing/customer/problems/{code}"
    assert answer.json["title"]
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", answer.json["instance"])


# resources


def test_a_customer_has_links_and_operations(filled: MockServer) -> None:
    uri = f"{PREFIX}{CUSTOMER}"
    assert send(filled.url, "GET", CUSTOMER).json == {
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
    uri = f"{PREFIX}{SUBSCRIPTION}"
    assert send(filled.url, "GET", SUBSCRIPTION).json == {
        "@id": uri,
        "subscriptionNo": "46701234567",
        "recurringProducts": f"{uri}/recurring-products",
        "operations": [{"rel": "add-recurring-product", "method": "POST", "href": f"{uri}/recurring-products"}],
    }


@pytest.mark.parametrize("parent", [CUSTOMER, SUBSCRIPTION])
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
    answer = send(filled.url, "POST", f"{CUSTOMER}/recurring-products", body)
    assert b'"unitPrice":499.000000,"unknown":0.1234567890123456789' in answer.body


def test_what_the_server_says_of_a_charge_cannot_be_sent(filled: MockServer) -> None:
    created = add(filled, billedUntil="2030-01-01", recurringProductId="mine", **{"@id": "/elsewhere"})
    assert "billedUntil" not in created
    assert created["recurringProductId"] != "mine"
    assert created["@id"].startswith(PREFIX)


def test_a_change_touches_only_what_is_sent_and_null_clears(filled: MockServer) -> None:
    created = add(filled, quantity=2, text="before", endDate="2026-12-31", mine="kept")
    uri = created["@id"]
    changed = send(filled.url, "PATCH", uri, {"text": "after", "endDate": None})
    expected = {name: value for name, value in created.items() if name != "endDate"} | {"text": "after"}
    assert (changed.status, changed.json) == (200, expected)
    assert send(filled.url, "GET", uri).json == expected


def test_a_deleted_charge_is_gone_and_only_it(filled: MockServer) -> None:
    first, second = add(filled), add(filled)
    answer = send(filled.url, "DELETE", first["@id"])
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert_problem(send(filled.url, "GET", first["@id"]), 404, "recurring-product-not-found")
    assert_problem(send(filled.url, "DELETE", first["@id"]), 404, "recurring-product-not-found")
    assert send(filled.url, "GET", f"{CUSTOMER}/recurring-products").json["items"] == [second]


def test_the_charges_of_a_subscription_go_with_it(filled: MockServer) -> None:
    of_subscription, of_customer = add(filled, SUBSCRIPTION), add(filled)
    assert send(filled.url, "DELETE", SUBSCRIPTION).status == 204
    assert_problem(send(filled.url, "GET", of_subscription["@id"]), 404, "subscription-not-found")
    assert send(filled.url, "POST", f"{CUSTOMER}/subscriptions", {"subscriptionNo": "46701234567"}).status == 201
    assert send(filled.url, "GET", f"{SUBSCRIPTION}/recurring-products").json["items"] == []
    assert send(filled.url, "GET", of_customer["@id"]).status == 200


def test_a_charge_is_found_only_under_its_own_parent(filled: MockServer) -> None:
    charge_id = add(filled, SUBSCRIPTION)["recurringProductId"]
    assert_problem(
        send(filled.url, "GET", f"{CUSTOMER}/recurring-products/{charge_id}"), 404, "recurring-product-not-found"
    )


def test_lists_keep_the_order_of_creation(filled: MockServer) -> None:
    ids = [add(filled, text=str(number))["recurringProductId"] for number in range(20)]
    send(filled.url, "PATCH", f"{CUSTOMER}/recurring-products/{ids[3]}", {"text": "changed"})
    for _ in range(2):
        items = send(filled.url, "GET", f"{CUSTOMER}/recurring-products").json["items"]
        assert [item["recurringProductId"] for item in items] == ids


def test_a_bill_run_shows_up_to_when_a_charge_is_billed(filled: MockServer) -> None:
    ended, open_ended, later = (
        add(filled, startDate="2026-01-01", endDate="2026-03-31"),
        add(filled, SUBSCRIPTION, startDate="2026-01-01"),
        add(filled, startDate="2027-01-01"),
    )
    assert filled.store.bill_run(LEDGER, date(2026, 6, 30)) == 2
    assert send(filled.url, "GET", ended["@id"]).json["billedUntil"] == "2026-03-31"
    assert send(filled.url, "GET", open_ended["@id"]).json["billedUntil"] == "2026-06-30"
    assert "billedUntil" not in send(filled.url, "GET", later["@id"]).json


# paths


@pytest.mark.parametrize(
    ("number", "segment"),
    [("A/B åö", "A%2FB%20%C3%A5%C3%B6"), ("A&B", "A%26B"), ("A&B", "A&B"), ("a.b-c_d", "a.b-c_d"), ("...", "...")],
)
def test_a_customer_number_travels_as_one_encoded_segment(mock: MockServer, number: str, segment: str) -> None:
    created = send(mock.url, "POST", "/1234/customers", {"customerNo": number}).json
    assert send(mock.url, "GET", f"/1234/customers/{segment}").json == created
    assert send(mock.url, "GET", created["@id"]).json == created


def test_a_slash_that_is_not_encoded_is_another_path(mock: MockServer) -> None:
    send(mock.url, "POST", "/1234/customers", {"customerNo": "A/subscriptions"})
    assert_problem(send(mock.url, "GET", "/1234/customers/A/subscriptions"), 404, "customer-not-found")


@pytest.mark.parametrize(
    "path",
    [
        "/1234/customers/15615616/",
        "/1234/Customers/15615616",
        "/1234//customers",
        "/1234/customers//subscriptions",
        "/1234",
        "/",
        "/1234/customers/15615616/nothing",
        "/billing/billing/v1/1234/customers/15615616",
    ],
)
def test_an_unknown_path_is_not_found(filled: MockServer, path: str) -> None:
    assert_problem(send(filled.url, "GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/1234/customers", "POST"),
        ("DELETE", CUSTOMER, "GET"),
        ("PUT", SUBSCRIPTION, "DELETE, GET"),
        ("POST", f"{CUSTOMER}/recurring-products/x", "DELETE, GET, PATCH"),
        ("OPTIONS", f"{CUSTOMER}/recurring-products", "GET, POST"),
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
        ("GET", "/1234/customers/no", "customer-not-found"),
        ("GET", "/1234/customers/no/subscriptions", "customer-not-found"),
        ("POST", "/1234/customers/no/subscriptions", "customer-not-found"),
        ("DELETE", "/1234/customers/no/subscriptions/no", "customer-not-found"),
        ("POST", "/1234/customers/no/subscriptions/no/recurring-products", "customer-not-found"),
        ("PATCH", "/1234/customers/no/recurring-products/no", "customer-not-found"),
        ("GET", f"{CUSTOMER}/subscriptions/no", "subscription-not-found"),
        ("POST", f"{CUSTOMER}/subscriptions/no/recurring-products", "subscription-not-found"),
        ("DELETE", f"{CUSTOMER}/subscriptions/no/recurring-products/no", "subscription-not-found"),
        ("GET", f"{CUSTOMER}/recurring-products/no", "recurring-product-not-found"),
        ("PATCH", f"{SUBSCRIPTION}/recurring-products/no", "recurring-product-not-found"),
    ],
)
def test_the_problem_names_the_parent_that_is_missing(filled: MockServer, method: str, path: str, code: str) -> None:
    bodies = {"POST": {"productCode": "P01", "subscriptionNo": "1"}, "PATCH": {}}
    assert_problem(send(filled.url, method, path, bodies.get(method)), 404, code)


def test_a_duplicate_number_is_refused(filled: MockServer) -> None:
    again = send(filled.url, "POST", "/1234/customers", {"customerNo": "15615616"})
    assert_problem(again, 409, "customer-already-exists")
    again = send(filled.url, "POST", f"{CUSTOMER}/subscriptions", {"subscriptionNo": "46701234567"})
    assert_problem(again, 409, "subscription-already-exists")


# input


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "customerNo"),
        ({"customerNo": ""}, "customerNo"),
        ({"customerNo": "1234567890123456"}, "customerNo"),
        ({"customerNo": "a+b"}, "customerNo"),
        ({"customerNo": "."}, "customerNo"),
        ({"customerNo": ".."}, "customerNo"),
        ({"customerNo": 15615616}, "customerNo"),
        ({"customerNo": None}, "customerNo"),
        ([], "body"),
        ("15615616", "body"),
        (b"", "body"),
        (b"{", "body"),
        (b'{"customerNo":"a"} x', "body"),
        (b'{"customerNo":"a","customerNo":"b"}', "body"),
        (b'{"customerNo":"a","x":NaN}', "body"),
        (b'{"customerNo":"a","x":-Infinity}', "body"),
        (b'{"customerNo":"\\ud800"}', "body"),
        (b'\xef\xbb\xbf{"customerNo":"a"}', "body"),
        (b'{"customerNo":"\xe5"}', "body"),
        (b"[" * 60_000, "body"),
        (b'{"customerNo":"a","x":' + b"9" * 5_000 + b"}", "body"),
    ],
)
def test_a_customer_that_breaks_the_contract_is_refused_by_parameter(
    mock: MockServer, body: Any, parameter: str
) -> None:
    answer = send(mock.url, "POST", "/1234/customers", body)
    assert_problem(answer, 400, "validation")
    assert next(iter(answer.json["problems"][0])) == parameter


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("productCode", ""),
        ("productCode", "P00001"),
        ("quantity", 0),
        ("quantity", 100_000),
        ("quantity", 1.5),
        ("quantity", "1"),
        ("quantity", True),
        ("unitPrice", 10_000_000),
        ("unitPrice", -10_000_000),
        ("unitPrice", 0.0000001),
        ("unitPrice", "499.00"),
        ("vatRate", 100.01),
        ("vatRate", -0.01),
        ("vatRate", 25.001),
        ("text", "x" * 74),
        ("startDate", "2026-02-30"),
        ("startDate", "2026-1-1"),
        ("startDate", "2026-01-01T00:00:00"),
        ("startDate", None),
        ("endDate", 20261231),
    ],
)
def test_a_charge_that_breaks_the_contract_is_refused_by_parameter(filled: MockServer, name: str, value: Any) -> None:
    answer = send(filled.url, "POST", f"{CUSTOMER}/recurring-products", {"productCode": "P01", name: value})
    assert_problem(answer, 400, "validation")
    assert {key for problem in answer.json["problems"] for key in problem} == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("productCode", "ÅÄÖ-€"),
        ("quantity", 1),
        ("quantity", 99_999),
        ("unitPrice", 9_999_999.999999),
        ("unitPrice", -9_999_999.999999),
        ("unitPrice", 0.000001),
        ("vatRate", 0),
        ("vatRate", 100),
        ("text", "x" * 73),
        ("text", "𝄞" * 73),
        ("text", ""),
        ("startDate", "2024-02-29"),
        ("endDate", None),
    ],
)
def test_the_boundary_itself_is_taken(filled: MockServer, name: str, value: Any) -> None:
    assert add(filled, **{name: value})[name] == value


def test_every_parameter_that_failed_is_named(filled: MockServer) -> None:
    answer = send(filled.url, "POST", f"{CUSTOMER}/recurring-products", {"quantity": 0, "vatRate": "x"})
    assert {key for problem in answer.json["problems"] for key in problem} == {"productCode", "quantity", "vatRate"}


def test_a_message_does_not_repeat_the_value(mock: MockServer) -> None:
    answer = send(mock.url, "POST", "/1234/customers", {"customerNo": "19121212+1212"})
    assert b"19121212" not in answer.body


@pytest.mark.parametrize("segment", ["A%FF", "%00", "12345678901234567890", "a%7Eb"])
def test_a_path_that_breaks_the_contract_is_refused_by_parameter(mock: MockServer, segment: str) -> None:
    answer = send(mock.url, "GET", f"/1234/customers/{segment}")
    assert_problem(answer, 400, "validation")
    assert "customerNo" in answer.json["problems"][0]


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/xml", "application/json; charset=latin-1", "", "application/problem+json"],
)
def test_another_media_type_is_refused(mock: MockServer, media_type: str) -> None:
    answer = send(mock.url, "POST", "/1234/customers", b'{"customerNo":"1"}', headers={"Content-Type": media_type})
    assert_problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"']
)
def test_json_in_utf_8_is_taken_however_it_is_spelled(mock: MockServer, media_type: str) -> None:
    body = b'{"customerNo":"1"}'
    assert send(mock.url, "POST", "/1234/customers", body, headers={"Content-Type": media_type}).status == 201


def test_a_compressed_body_is_refused(mock: MockServer) -> None:
    answer = send(mock.url, "POST", "/1234/customers", b"x", headers={"Content-Encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-media-type")


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(mock: MockServer) -> None:
    body = b'{"customerNo":"1"}'.ljust(65_536)
    assert send(mock.url, "POST", "/1234/customers", body).status == 201
    assert_problem(send(mock.url, "POST", "/1234/customers", body + b" "), 413, "content-too-large")


def test_an_end_before_the_start_is_a_business_refusal(filled: MockServer) -> None:
    body = {"productCode": "P01", "startDate": "2026-02-01", "endDate": "2026-01-31"}
    assert_problem(send(filled.url, "POST", f"{CUSTOMER}/recurring-products", body), 422, "unprocessable")
    created = add(filled, startDate="2026-02-01", endDate="2026-02-01")
    assert_problem(send(filled.url, "PATCH", created["@id"], {"endDate": "2026-01-31"}), 422, "unprocessable")
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
@pytest.mark.parametrize("path", [CUSTOMER, "/1234/customers/no", "/1234/customers/%00"])
def test_wrong_credentials_are_refused_before_anything_else(
    filled: MockServer, authorization: str | None, path: str
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = send(filled.url, "GET", path, token=None, headers=headers)
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_the_token_of_a_ledger_opens_only_that_ledger(filled: MockServer) -> None:
    assert_problem(send(filled.url, "GET", "/5678/customers/15615616"), 401, "unauthorized")
    answer = send(filled.url, "GET", "/5678/customers/15615616", token=OTHER_TOKEN)
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
    store.create_customer("1", {"customerNo": "1"})
    ids = [store.create_charge("1", "1", "", {"productCode": "P"}).id for _ in range(100)]
    assert len(set(ids)) == 100
    assert ids != sorted(ids)
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in ids)


def test_every_problem_is_an_occurrence_of_its_own(mock: MockServer) -> None:
    instances = {send(mock.url, "GET", "/1234/customers/no").json["instance"] for _ in range(5)}
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
    path = f"{PREFIX}{CUSTOMER}/recurring-products"

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
        status, created = await exchange(reader, writer, "POST", path, b'{"productCode":"P01","text":"%d"}' % number)
        assert status == 201
        uri = re.search(rb'"@id":"([^"]+)"', created)
        assert uri
        assert await exchange(reader, writer, "GET", uri[1].decode(), b"") == (200, created)
        assert b'"text":"%d"' % number in created
        writer.close()
        await writer.wait_closed()
        return uri[1].decode()

    async def storm() -> list[str]:
        barrier = asyncio.Barrier(2000)
        return await asyncio.gather(*(one(number, barrier) for number in range(2000)))

    uris = asyncio.run(storm())
    items = send(filled.url, "GET", path).json["items"]
    assert len(set(uris)) == 2000
    assert sorted(item["@id"] for item in items) == sorted(uris)
    assert sorted(int(item["text"]) for item in items) == list(range(2000))
