"""The fault `late-commit`: the client hears that its request failed, and the write takes effect later."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from payex_billing_mock import Faults, MockApp, MockServer
from payex_billing_mock.app import Answer, Request
from payex_billing_mock.faults import LATE_ENDINGS
from payex_billing_mock.misfortune import Broken, answer
from payex_billing_mock.traffic import Traffic

from tests.support import LEDGER, PREFIX, TOKEN, send
from tests.wire import charges_path, customer_path, customers_path, json_of, new_charge, new_customer

LIMIT = 60.0
NEVER = 3000  # seconds; longer than any test


@pytest.fixture
def faulty() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        yield server


def create(server: MockServer, number: str = "1") -> int | None:
    """Create a customer: the status of the response, None without one."""
    try:
        return send(server.url, "POST", customers_path(), new_customer(number)).status
    except (ConnectionError, http.client.HTTPException):
        return None


def customers(app: MockApp) -> set[str]:
    return {customer.id for customer in app.store.customers(LEDGER)}


@pytest.mark.parametrize(
    ("ending", "error"), [("reset", ConnectionResetError), ("close", http.client.RemoteDisconnected)]
)
def test_the_client_gets_no_response_and_the_write_takes_effect_later(
    faulty: MockServer, ending: str, error: type[Exception]
) -> None:
    faulty.faults.queue(f"late-commit={NEVER},{ending}")
    with pytest.raises(error):
        send(faulty.url, "POST", customers_path(), new_customer("1"))
    assert customers(faulty.app) == set()
    assert send(faulty.url, "GET", customer_path("1")).status == 404
    faulty.stop()
    assert customers(faulty.app) == {"1"}


def test_the_client_gets_a_gateways_502_and_the_write_takes_effect_later(faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.1,502")
    response = send(faulty.url, "POST", customers_path(), new_customer("1"))
    assert (response.status, response.headers["content-type"]) == (502, "text/html")
    assert "retry-after" not in response.headers
    faulty.wait_for_late_writes(LIMIT)
    assert customers(faulty.app) == {"1"}


def test_a_write_takes_effect_no_earlier_than_its_time(faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.3,502")
    started = time.monotonic()
    create(faulty)
    faulty.wait_for_late_writes(LIMIT)
    assert time.monotonic() - started >= 0.29
    assert customers(faulty.app) == {"1"}


def test_a_write_takes_effect_although_its_client_is_gone(faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.1,close")
    body = json_of(new_customer("1"))
    head = (
        f"POST {PREFIX}{customers_path()} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((faulty.host, faulty.port), timeout=LIMIT) as client:
        client.sendall(head.encode() + body)
        assert client.recv(1) == b""
    faulty.wait_for_late_writes(LIMIT)
    assert customers(faulty.app) == {"1"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE", "PUT"])
def test_other_methods_may_be_late_too(faulty: MockServer, method: str) -> None:
    create(faulty)
    faulty.faults.queue(f"late-commit=0:{method}")
    with suppress(ConnectionError, http.client.HTTPException):
        send(faulty.url, method, customer_path("1"))
    faulty.wait_for_late_writes(LIMIT)
    assert customers(faulty.app) == {"1"}


def test_a_late_write_that_the_contract_rejects_changes_nothing(faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0,502")
    assert send(faulty.url, "POST", customers_path(), b"{").status == 502
    faulty.wait_for_late_writes(LIMIT)
    assert create(faulty) == 201


def test_a_retry_and_its_late_original_both_take_effect(faulty: MockServer) -> None:
    """What the fault is for: a client that retries too early has two charges."""
    create(faulty)
    faulty.faults.queue("late-commit=0.1,502:POST")
    path = charges_path("1")
    assert send(faulty.url, "POST", path, new_charge()).status == 502
    assert send(faulty.url, "GET", path).json["items"] == []
    assert send(faulty.url, "POST", path, new_charge()).status == 201
    faulty.wait_for_late_writes(LIMIT)
    assert len(send(faulty.url, "GET", path).json["items"]) == 2


def test_many_late_writes_among_other_requests_all_take_effect_once(faulty: MockServer) -> None:
    with faulty.faults.active("late-commit=0.05:POST@0.5"):
        for number in range(200):
            create(faulty, str(number))
    faulty.wait_for_late_writes(LIMIT)
    assert customers(faulty.app) == {str(number) for number in range(200)}
    assert len(faulty.faults.late_writes) == 0


def test_waiting_for_late_writes_has_a_limit(faulty: MockServer) -> None:
    faulty.faults.queue(f"late-commit={NEVER},502")
    create(faulty)
    with pytest.raises(TimeoutError, match=r"1 late write has not taken effect after 0\.01 s"):
        faulty.wait_for_late_writes(0.01)


def test_waiting_without_late_writes_returns_at_once(faulty: MockServer) -> None:
    faulty.wait_for_late_writes(0)


def test_stopping_makes_pending_writes_take_effect_in_order_and_keeps_them(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    before = set(threading.enumerate())
    with MockServer({LEDGER: TOKEN}, faults=Faults(), db=file) as server:
        server.faults.queue(*(f"late-commit={NEVER + number},502" for number in range(3)))
        assert [create(server, number) for number in ("a", "b", "c")] == [502, 502, 502]
    assert set(threading.enumerate()) <= before
    with MockServer({LEDGER: TOKEN}, db=file) as server:
        assert [customer.id for customer in server.store.customers(LEDGER)] == ["a", "b", "c"]


def test_ending_all_faults_does_not_end_late_writes(faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.1,502")
    create(faulty)
    faulty.faults.clear()
    faulty.wait_for_late_writes(LIMIT)
    assert customers(faulty.app) == {"1"}


def test_forgotten_late_writes_never_take_effect(faulty: MockServer) -> None:
    faulty.faults.queue(f"late-commit={NEVER},502")
    create(faulty)
    faulty.faults.forget_late_writes()
    faulty.wait_for_late_writes(0)
    faulty.stop()
    assert customers(faulty.app) == set()


def test_chance_chooses_among_all_endings_and_is_repeatable_by_seed() -> None:
    def endings(seed: int) -> list[str | None]:
        faults = Faults("late-commit=1", seed=seed)
        taken = [faults.take("POST") for _ in range(100)]
        assert taken == faults.met
        return [fault.ending for fault in taken if fault is not None]

    assert endings(1) == endings(1) != endings(2)
    assert set(endings(1)) == set(LATE_ENDINGS)


def test_a_late_commit_is_recorded_with_its_ending(faulty: MockServer) -> None:
    traffic = Traffic()
    faulty.app.observers.append(traffic.record)
    faulty.faults.queue("late-commit=0,502", "late-commit=0,close")
    create(faulty, "1")
    create(faulty, "2")
    recorded = [(exchange.status, exchange.fault, exchange.took_effect) for exchange in traffic]
    assert recorded == [(502, "late-commit=0,502", True), (None, "late-commit=0,close", True)]


def test_the_number_of_late_writes_is_shown_over_http() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults(), admin=True) as server:
        server.faults.queue(f"late-commit={NEVER},502")
        create(server)
        connection = http.client.HTTPConnection(server.host, server.port, timeout=LIMIT)
        connection.request("GET", "/mock/faults", headers={"X-Payex-Console": "1"})
        assert json.loads(connection.getresponse().read())["lateWrites"] == 1
        connection.close()


# in process


@pytest.fixture
def app() -> MockApp:
    return MockApp({LEDGER: TOKEN})


def in_process(app: MockApp, faults: Faults, number: str = "1") -> Answer | Broken:
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    body = json_of(new_customer(number))
    return answer(app, faults, Request("POST", f"{PREFIX}{customers_path()}".encode(), headers, body), patience=30)


@pytest.mark.parametrize("ending", ["reset", "close"])
def test_in_process_the_client_gets_no_response_at_once(app: MockApp, ending: str) -> None:
    faults = Faults(f"late-commit={NEVER},{ending}")
    result = in_process(app, faults)
    assert isinstance(result, Broken)
    assert result.seconds == 0
    assert customers(app) == set()


def test_in_process_the_client_gets_a_gateways_502(app: MockApp) -> None:
    result = in_process(app, Faults(f"late-commit={NEVER},502"))
    assert isinstance(result, Answer)
    assert (result.status, result.headers["Content-Type"]) == (502, "text/html")


def test_in_process_a_late_write_takes_effect_in_the_first_request_after_its_time(app: MockApp) -> None:
    faults = Faults()
    faults.queue("late-commit=0,502", f"late-commit={NEVER},502")
    in_process(app, faults, "1")
    assert customers(app) == set()
    in_process(app, faults, "2")
    assert customers(app) == {"1"}


def test_in_process_late_writes_can_be_waited_for(app: MockApp) -> None:
    faults = Faults("late-commit=0.1")
    for number in range(5):
        in_process(app, faults, str(number))
    faults.wait_for_late_writes(LIMIT)
    assert customers(app) == {"0", "1", "2", "3", "4"}


def test_in_process_waiting_has_a_limit(app: MockApp) -> None:
    faults = Faults(f"late-commit={NEVER}")
    in_process(app, faults)
    with pytest.raises(TimeoutError):
        faults.wait_for_late_writes(0.01)


def test_in_process_a_drip_beyond_the_clients_patience_is_no_response(app: MockApp) -> None:
    result = in_process(app, Faults("drip"))
    assert isinstance(result, Broken)
    assert result.seconds == 30
    assert customers(app) == {"1"}


@pytest.mark.parametrize("fault", ["drip=29", "stale-response", "stale-response=201"])
def test_in_process_a_short_drip_or_a_stale_response_is_the_true_response(app: MockApp, fault: str) -> None:
    result = in_process(app, Faults(fault))
    assert isinstance(result, Answer)
    assert result.status == 201
