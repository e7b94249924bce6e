"""Faults on purpose, seen from the wire: what reaches the client, and whether the request took effect."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from payex_billing_mock import Fault, Faults, MockServer

from tests.support import LEDGER, PREFIX, TOKEN, send
from tests.test_mock_process import started
from tests.wire import (
    CHARGE_ID,
    CUSTOMER_NO,
    charges_path,
    customer_path,
    customers_path,
    json_of,
    new_charge,
    new_customer,
    wire,
)

CHALLENGE = 'Bearer realm="payex-billing", error="invalid_token"'


@pytest.fixture
def faulty() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults(), admin=True) as server:
        yield server


def create(server: MockServer, number: str = "1") -> Any:
    return send(server.url, "POST", customers_path(), new_customer(number))


def exists(server: MockServer, number: str = "1") -> bool:
    return number in {each.id for each in server.store.customers(LEDGER)}


def test_a_mock_created_without_faults_raises_for_a_new_fault() -> None:
    with MockServer({LEDGER: TOKEN}) as server, pytest.raises(RuntimeError, match=r"faults=Faults\(\)"):
        server.faults.queue("500")


def test_without_a_fault_it_answers_as_ever(faulty: MockServer) -> None:
    assert create(faulty).status == 201
    assert send(faulty.url, "GET", customer_path("1")).status == 200
    assert send(faulty.url, "POST", customers_path(), b"{").status == 400
    assert send(faulty.url, "POST", customers_path(), b" " * 70_000).status == 413
    assert send(faulty.url, "HEAD", customers_path()).status == 405


def test_a_connection_serves_many_requests(faulty: MockServer) -> None:
    connection = http.client.HTTPConnection(faulty.host, faulty.port)
    for _ in range(3):
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'
    connection.close()


@pytest.mark.parametrize(
    ("fault", "error", "takes_effect"),
    [
        ("lose-answer", http.client.RemoteDisconnected, True),
        ("reset-before", ConnectionResetError, False),
        ("reset-after", ConnectionResetError, True),
        ("truncate", http.client.IncompleteRead, True),
        ("stall=0", http.client.IncompleteRead, True),
    ],
)
def test_a_cut_connection(faulty: MockServer, fault: str, error: type[Exception], takes_effect: bool) -> None:
    faulty.faults.queue(fault)
    with pytest.raises(error):
        create(faulty)
    assert exists(faulty) is takes_effect
    assert create(faulty, "2").status == 201


def test_a_stalled_answer_stays_unfinished(faulty: MockServer) -> None:
    faulty.faults.queue("stall")
    connection = http.client.HTTPConnection(faulty.host, faulty.port, timeout=0.2)
    connection.request("GET", PREFIX + customer_path("1"), headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    with pytest.raises(TimeoutError):
        answer.read()
    connection.close()


def test_latency_delays_the_answer(faulty: MockServer) -> None:
    faulty.faults.queue("latency=30")
    connection = http.client.HTTPConnection(faulty.host, faulty.port, timeout=0.2)
    connection.request("GET", "/healthz")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


@pytest.mark.parametrize(
    ("fault", "status", "media_type", "header", "takes_effect"),
    [
        ("401", 401, "application/problem+json", ("www-authenticate", CHALLENGE), False),
        ("429", 429, "application/problem+json", ("retry-after", None), False),
        ("429=2", 429, "application/problem+json", ("retry-after", "2"), False),
        ("503=Fri, 15 Jan 2027 08", 503, "application/problem+json", ("retry-after", "Fri, 15 Jan 2027 08"), False),
        ("500", 500, "text/html", ("retry-after", None), False),
        ("500-after", 500, "text/html", ("retry-after", None), True),
        ("502-after", 502, "text/html", ("retry-after", None), True),
        ("520", 520, "text/html", ("retry-after", None), False),
    ],
)  # fmt: skip
def test_an_answer_of_another_status(
    faulty: MockServer, fault: str, status: int, media_type: str, header: tuple[str, str | None], takes_effect: bool
) -> None:
    faulty.faults.queue(fault)
    answer = create(faulty)
    assert (answer.status, answer.headers["content-type"]) == (status, media_type)
    assert answer.headers.get(header[0]) == header[1]
    assert exists(faulty) is takes_effect


def test_queued_faults_are_met_in_order_and_once(faulty: MockServer) -> None:
    faulty.faults.queue("500", "502")
    assert [create(faulty, str(number)).status for number in range(4)] == [500, 502, 201, 201]
    assert [str(each) for each in faulty.faults.met] == ["500", "502"]


def test_a_fault_of_one_method_passes_others_by(faulty: MockServer) -> None:
    faulty.faults.queue("500:POST")
    assert send(faulty.url, "GET", customer_path("1")).status == 404
    assert create(faulty).status == 500


def test_an_active_fault_ends_with_its_block(faulty: MockServer) -> None:
    with faulty.faults.active("503=1"):
        assert [create(faulty).status for _ in range(3)] == [503] * 3
    assert create(faulty).status == 201


def test_chance_is_repeatable_by_seed() -> None:
    def met(seed: int) -> list[bool]:
        faults = Faults("500@0.5", seed=seed)
        return [faults.take("GET") is not None for _ in range(100)]

    assert met(1) == met(1) != met(2)
    assert 20 < sum(met(1)) < 80


@pytest.mark.parametrize(
    "text",
    [
        "lose-answer",
        "stall=5",
        "latency=0.5:GET",
        "429=2:POST@0.25",
        "500-after:DELETE,POST",
        "late-commit=1.5",
        "late-commit=1.5,reset:DELETE,POST@0.5",
        "late-commit=0,502",
        "late-commit=3,close",
        "stale-response",
        "stale-response=201:POST",
        "drip",
        "drip=10",
    ],
)
def test_the_text_form_goes_both_ways(text: str) -> None:
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "200", "latency", "latency=x", "stall=-1", "500@2", "500@x", ":POST",
     "500@1.1.1", "late-commit", "late-commit=x", "late-commit=-1", "late-commit=1,", "late-commit=1,500",
     "late-commit=,reset", "late-commit=1,reset,close", "late-commit=3600", "stale-response=200", "stale-response=x",
     "drip=x", "drip=-1", "drip=nan"],
)  # fmt: skip
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|KIND|seconds|chance"):
        Fault.parse(text)


def test_faults_from_the_command_line() -> None:
    with started("--fault", "500:POST@1", "--fault", "latency=0:GET", "--seed", "1", "--token", TOKEN) as (
        process,
        url,
        _,
    ):
        assert process.stdout
        assert process.stdout.readline() == "Faults: 500:POST, latency=0:GET\n"
        assert send(url, "POST", customers_path(), new_customer("1")).status == 500
        assert send(url, "GET", customer_path("1")).status == 404


@pytest.mark.parametrize("options", [["--fault", "nonsense"], ["--fault", "latency=x"], ["--tls-cert", "x"]])
def test_a_wrong_option_is_a_sentence(options: list[str]) -> None:
    arguments = [sys.executable, "-m", "payex_billing_mock", "--port", "0", *options]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 64
    assert "Traceback" not in result.stderr


def test_stopping_does_not_wait_for_a_stalled_client() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults("stall")) as server:
        client = socket.create_connection((server.host, server.port))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(10)
    client.close()


def test_a_server_can_be_stopped_as_soon_as_it_has_started() -> None:
    for _ in range(20):
        server = MockServer({LEDGER: TOKEN}, faults=Faults())
        before = set(threading.enumerate())
        server.start()
        server.stop()
        assert set(threading.enumerate()) <= before


def test_faults_may_be_ended_inside_their_block() -> None:
    faults = Faults()
    with faults.active("503"):
        faults.clear()
    assert faults.pending() == []


# stale responses


def read_response(file: Any) -> tuple[int, dict[str, str], bytes]:
    """The next response of a connection: status, headers, body."""
    status = int(file.readline().split()[1])
    headers = {}
    while (line := file.readline().decode().strip()) != "":
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return status, headers, file.read(int(headers.get("content-length", "0")))


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {PREFIX}{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("fault", "status", "code", "header"),
    [
        ("stale-response", 400, "validation", None),
        ("stale-response=400", 400, "validation", None),
        ("stale-response=401", 401, "unauthorized", "www-authenticate"),
        ("stale-response=429", 429, "too-many-requests", "retry-after"),
        ("stale-response=503", 503, "service-unavailable", "retry-after"),
    ],
)
def test_a_stale_response_follows_the_true_one_on_a_connection_that_stays_open(
    faulty: MockServer, fault: str, status: int, code: str, header: str | None
) -> None:
    faulty.faults.queue(fault)
    with socket.create_connection((faulty.host, faulty.port), timeout=60) as client, client.makefile("rb") as file:
        client.sendall(request_bytes("POST", customers_path(), json_of(new_customer("1"))))
        assert read_response(file)[0] == 201
        stale = read_response(file)
        assert (stale[0], json.loads(stale[2])["type"]) == (status, f"billing/customer/problems/{code}")
        assert header is None or stale[1][header]
        client.sendall(request_bytes("GET", customer_path("1")))
        assert read_response(file)[0] == 200
    assert exists(faulty)


def test_a_stale_201_is_a_charge_of_the_same_customer_that_nobody_created(faulty: MockServer) -> None:
    send(faulty.url, "POST", customers_path(), new_customer("a/b"))
    faulty.faults.queue("stale-response=201")
    with socket.create_connection((faulty.host, faulty.port), timeout=60) as client, client.makefile("rb") as file:
        client.sendall(request_bytes("POST", charges_path("a/b"), json_of(new_charge())))
        true_charge, stale = (json.loads(read_response(file)[2]) for _ in range(2))
    assert (true_charge[wire("product_code")], stale[wire("product_code")]) == ("P01", "STALE")
    assert stale["@id"] == f"{PREFIX}{charges_path('a/b')}/{stale[CHARGE_ID]}"
    assert send(faulty.url, "GET", stale["@id"]).status == 404


# dripping heads


def test_a_dripping_head_arrives_a_byte_at_a_time_over_its_seconds(faulty: MockServer) -> None:
    faulty.faults.queue("drip=0.5")
    with socket.create_connection((faulty.host, faulty.port), timeout=60) as client:
        client.sendall(request_bytes("POST", customers_path(), json_of(new_customer("1"))))
        assert client.recv(65_536) == b"H"
        started = time.monotonic()
        with client.makefile("rb") as file:
            _, headers, body = read_response(file)
        assert time.monotonic() - started > 0.3
    assert headers["content-type"] == "application/json"
    assert json.loads(body)[CUSTOMER_NO] == "1"


def test_a_request_whose_response_drips_took_effect_before(faulty: MockServer) -> None:
    faulty.faults.queue("drip")
    with socket.create_connection((faulty.host, faulty.port), timeout=60) as client:
        client.sendall(request_bytes("POST", customers_path(), json_of(new_customer("1"))))
        assert client.recv(65_536) == b"H"  # the next byte takes seconds
        assert exists(faulty)


def test_a_drip_of_no_time_is_a_whole_response(faulty: MockServer) -> None:
    faulty.faults.queue("drip=0")
    response = create(faulty)
    assert (response.status, response.json[CUSTOMER_NO]) == (201, "1")


def test_a_client_that_leaves_ends_its_drip(faulty: MockServer) -> None:
    assert faulty._wire is not None
    faulty.faults.queue("drip")
    with socket.create_connection((faulty.host, faulty.port), timeout=60) as client:
        client.sendall(request_bytes("GET", customer_path("1")))
        assert client.recv(65_536) == b"H"
    deadline = time.monotonic() + 60
    while faulty._wire.connections:  # the server has no event for it
        assert time.monotonic() < deadline, "the drip did not end"
        time.sleep(0.001)


def test_stopping_does_not_wait_for_a_drip() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults("drip")) as server:
        client = socket.create_connection((server.host, server.port), timeout=60)
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1) == b"H"
    client.close()
