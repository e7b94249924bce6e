"""Who may use the mock's console and `/mock/faults`."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from payex_billing_mock import Faults, MockApp, MockServer
from payex_billing_mock.admin import Admin
from payex_billing_mock.app import Request
from payex_billing_mock.console import Console

from tests.support import LEDGER, TOKEN, send
from tests.wire import customer_path, customers_path, new_customer

GUARD = {"X-Payex-Console": "1"}
AS_JSON = GUARD | {"Content-Type": "application/json"}
THIS_MACHINE = ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]
OTHER_MACHINES = [
    "192.0.2.7",
    "10.0.0.1",
    "172.17.0.1",
    "fd00::2",
    "fe80::1%eth0",
    "::ffff:192.0.2.7",
    "0.0.0.0",
    "",
    "x",
]


@pytest.fixture
def admin() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults(), admin=True) as server:
        yield server


def ask(
    server: MockServer, method: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """A request to `/mock/faults`: its status and its JSON."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    try:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, "/mock/faults", body=data, headers=AS_JSON if headers is None else headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def own_address() -> str:
    """An address of this machine that is not a loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but loopback")
        address: str = probe.getsockname()[0]
    return address


# the console


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
@pytest.mark.parametrize("peer", THIS_MACHINE)
def test_the_console_responds_to_this_machine(peer: str, host: str) -> None:
    console = Console(MockApp({LEDGER: TOKEN}), Faults())
    response = console.answer(Request("GET", b"/console/state", {"host": host}, b"", peer))
    assert response is not None
    assert response.status == 200


@pytest.mark.parametrize("path", [b"/", b"/console/state", b"/console/openapi.json", b"/console/do/reset"])
@pytest.mark.parametrize("peer", OTHER_MACHINES)
def test_the_console_rejects_other_machines_whatever_host_they_name(peer: str, path: bytes) -> None:
    console = Console(MockApp({LEDGER: TOKEN}), Faults())
    method = "POST" if b"/do/" in path else "GET"
    response = console.answer(Request(method, path, {"host": "localhost", "x-payex-console": "1"}, b"", peer))
    assert response is not None
    assert response.status == 403
    assert b"the machine where the mock runs" in response.body


def test_the_console_rejects_a_name_that_is_not_loopback_even_from_this_machine() -> None:
    console = Console(MockApp({LEDGER: TOKEN}), Faults())
    for host in ("attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example", "192.0.2.7", ""):
        response = console.answer(Request("GET", b"/console/state", {"host": host}, b"", "127.0.0.1"))
        assert response is not None
        assert response.status == 403


def test_a_mock_on_all_addresses_shows_its_console_to_this_machine_only() -> None:
    with MockServer({LEDGER: TOKEN}, host="0.0.0.0", console=True) as server:
        assert server.console_url == f"http://127.0.0.1:{server.port}/"
        assert send(server.console_url, "GET", "/console/state", token=None).status == 200
        remote = f"http://{own_address()}:{server.port}"
        assert send(remote, "GET", "/console/state", token=None, headers={"Host": "localhost"}).status == 403
        assert send(remote, "GET", customer_path("1")).status == 404  # the API itself responds to everyone


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("localhost", "http://localhost:80/"),
        ("::1", "http://[::1]:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::", "http://[::1]:80/"),
        ("192.0.2.7", None),
    ],
)
def test_the_url_of_the_console_is_one_that_works(host: str, url: str | None) -> None:
    assert MockServer({LEDGER: TOKEN}, host=host, port=80, console=True).console_url == url
    assert MockServer({LEDGER: TOKEN}, host=host, port=80).console_url is None


# the faults over HTTP


def test_the_admin_route_adds_lists_and_ends_faults(admin: MockServer) -> None:
    both = ["500:POST", "lose-answer"]
    assert ask(admin, "GET") == (200, {"faults": [], "lateWrites": 0})
    assert ask(admin, "POST", {"faults": both}) == (200, {"faults": both, "lateWrites": 0})
    assert send(admin.url, "POST", customers_path(), new_customer("1")).status == 500
    assert ask(admin, "GET")[1]["faults"] == ["lose-answer"]
    assert ask(admin, "DELETE") == (200, {"faults": [], "lateWrites": 0})
    assert ask(admin, "PUT")[0] == 405


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
@pytest.mark.parametrize("headers", [{}, {"X-Payex-Console": "0"}, {"X-Requested-With": "1"}])
def test_the_admin_route_needs_a_header_that_other_sites_cannot_send(
    admin: MockServer, method: str, headers: dict[str, str]
) -> None:
    admin.faults.queue("500:TRACE")
    status, answer = ask(admin, method, {"faults": ["503"]}, headers | {"Content-Type": "application/json"})
    assert status == 403
    assert answer.keys() == {"error"}
    assert "x-payex-console: 1" in answer["error"]
    assert admin.faults.pending() == ["500:TRACE"]


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_the_admin_route_takes_faults_as_json_only(admin: MockServer, media_type: str | None) -> None:
    headers = GUARD | ({"Content-Type": media_type} if media_type else {})
    status, answer = ask(admin, "POST", {"faults": ["503"]}, headers)
    assert status == 415
    assert "Content-Type: application/json" in answer["error"]
    assert admin.faults.pending() == []


def test_the_admin_route_takes_json_with_a_charset(admin: MockServer) -> None:
    headers = GUARD | {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(admin, "POST", {"faults": ["503"]}, headers)[0] == 200


def test_the_admin_route_rejects_a_rebound_name(admin: MockServer) -> None:
    assert ask(admin, "POST", {"faults": ["503"]}, AS_JSON | {"Host": "attacker.example"})[0] == 403
    assert admin.faults.pending() == []


def test_the_admin_route_may_be_used_from_other_machines_by_any_name() -> None:
    request = Request("GET", b"/mock/faults", {"host": "mock:8080", "x-payex-console": "1"}, b"", "172.17.0.2")
    response = Admin(Faults()).answer(request)
    assert response is not None
    assert response.status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"faults": ["nonsense"]},
        {"faults": ["500", "nonsense"]},
        {"faults": 1},
        {"faults": "500"},
        {"faults": [["500"]]},
        {"faults": [None]},
        {"faults": {"500": 1}},
        [],
        {},
        None,
        b"",
        b"{",
        b"\xff",
        b'{"faults":["429=\\n"]}',
        b'{"faults":[1e99999999999999999999]}',
        b"[" * 65_000,
        b'{"a":' * 13_000,
        b'{"faults":' + b"[" * 60_000,
    ],
)
def test_the_admin_route_rejects_what_is_no_list_of_faults(admin: MockServer, body: Any) -> None:
    status, answer = ask(admin, "POST", b"null" if body is None else body)
    assert status == 400
    assert answer["faults"] == []
    assert answer["error"].startswith('Send {"faults": ["lose-answer:POST"]}')


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_the_admin_route_survives_100_000_levels(admin: MockServer, opening: bytes) -> None:
    assert ask(admin, "POST", opening * 100_000)[0] == 413
    assert ask(admin, "GET")[0] == 200


def test_the_admin_route_is_off_unless_asked_for() -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        assert ask(server, "POST", {"faults": ["500"]})[0] == 404
        assert server.faults.pending() == []
