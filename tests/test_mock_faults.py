"""Faults on purpose, seen from the wire: what reaches the client, and whether the request took effect."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from payex_billing_mock import Fault, Faults, MockServer

from tests.support import LEDGER, PREFIX, TOKEN, send
from tests.test_mock_process import started

CHALLENGE = 'Bearer realm="payex-billing", error="invalid_token"'


@pytest.fixture
def faulty() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults(), admin=True) as server:
        yield server


def create(server: MockServer, number: str = "1") -> Any:
    return send(server.url, "POST", "/1234/customers", {"customerNo": number})


def exists(server: MockServer, number: str = "1") -> bool:
    return number in {each.key.customer for each in server.store.customers(LEDGER)}


def test_without_a_fault_it_answers_as_ever(faulty: MockServer) -> None:
    assert create(faulty).status == 201
    assert send(faulty.url, "GET", "/1234/customers/1").status == 200
    assert send(faulty.url, "POST", "/1234/customers", b"{").status == 400
    assert send(faulty.url, "POST", "/1234/customers", b" " * 70_000).status == 413
    assert send(faulty.url, "HEAD", "/1234/customers").status == 405


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
    connection.request("GET", PREFIX + "/1234/customers/1", headers={"Authorization": f"Bearer {TOKEN}"})
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
    assert send(faulty.url, "GET", "/1234/customers/1").status == 404
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
    "text", ["lose-answer", "stall=5", "latency=0.5:GET", "429=2:POST@0.25", "500-after:DELETE,POST"]
)
def test_the_text_form_goes_both_ways(text: str) -> None:
    assert str(Fault.parse(text)) == text


@pytest.mark.parametrize("text", ["", "nonsense", "200", "latency", "latency=x", "stall=-1", "500@2", "500@x", ":POST"])
def test_a_fault_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"fault|KIND|seconds|chance"):
        Fault.parse(text)


def test_the_admin_route_adds_lists_and_ends_faults(faulty: MockServer) -> None:
    route = "/billing/../mock/faults".replace("/billing/..", "")
    connection = http.client.HTTPConnection(faulty.host, faulty.port)

    def admin(method: str, body: Any = None) -> tuple[int, Any]:
        connection.request(method, route, body=json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    assert admin("GET") == (200, {"faults": []})
    assert admin("POST", {"faults": ["500:POST", "lose-answer"]}) == (200, {"faults": ["500:POST", "lose-answer"]})
    assert create(faulty).status == 500
    assert admin("GET") == (200, {"faults": ["lose-answer"]})
    assert admin("DELETE") == (200, {"faults": []})
    for wrong in ({"faults": ["nonsense"]}, {"faults": 1}, [], {}):
        status, answer = admin("POST", wrong)
        assert status == 400
        assert "error" in answer
    assert admin("PUT")[0] == 405
    connection.close()


def test_the_admin_route_is_off_unless_asked_for() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        connection = http.client.HTTPConnection(server.host, server.port)
        connection.request("POST", "/mock/faults", body='{"faults": ["500"]}')
        assert connection.getresponse().status == 404
        connection.close()
        assert server.faults.pending() == []


def test_faults_from_the_command_line() -> None:
    with started("--fault", "500:POST@1", "--fault", "latency=0:GET", "--seed", "1", "--token", TOKEN) as (
        process,
        url,
        _,
    ):
        assert process.stdout
        assert process.stdout.readline() == "Faults: 500:POST, latency=0:GET\n"
        assert send(url, "POST", "/1234/customers", {"customerNo": "1"}).status == 500
        assert send(url, "GET", "/1234/customers/1").status == 404


@pytest.mark.parametrize("options", [["--fault", "nonsense"], ["--fault", "latency=x"], ["--tls-cert", "x"]])
def test_a_wrong_option_is_a_sentence(options: list[str]) -> None:
    arguments = [sys.executable, "-m", "payex_billing_mock", "--port", "0", *options]
    result = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 64
    assert "Traceback" not in result.stderr


def test_stopping_does_not_wait_for_a_stalled_client() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults("stall")) as server:
        client = socket.create_connection((server.host, server.port))
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(10)
    client.close()


def test_garbage_closes_the_connection_and_nothing_else(faulty: MockServer) -> None:
    with socket.create_connection((faulty.host, faulty.port)) as client:
        client.sendall(b"\x16\x03\x01 garbage\r\n\r\n")
        assert client.recv(10) == b""
    assert create(faulty).status == 201


def test_a_server_can_be_stopped_as_soon_as_it_has_started() -> None:
    for _ in range(20):
        server = MockServer({LEDGER: TOKEN}, faults=Faults())
        server.start()
        thread = server._thread
        assert thread is not None
        server.stop()
        assert not thread.is_alive()


def test_faults_may_be_ended_inside_their_block() -> None:
    faults = Faults()
    with faults.active("503"):
        faults.clear()
    assert faults.pending() == []
