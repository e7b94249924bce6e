"""Nothing a client sends crashes or hangs the mock, on both of its servers."""

from __future__ import annotations

import http.client
import inspect
import json
import re
import select
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from payex_billing_mock import Faults, MockServer
from payex_billing_mock.json_text import MAX_DEPTH

from tests.support import LEDGER, PREFIX, TOKEN, send
from tests.wire import (
    CUSTOMER_NO,
    customers_path,
    json_of,
    new_customer,
    new_subscription,
    subscription_path,
    subscriptions_path,
)

LIMIT = 60.0  # ends a test that hangs; nothing comes near it
BRIEF = 0.2  # the mock's own limit in these tests, in place of 30 seconds
HEAD = (
    f"POST {PREFIX}{customers_path()} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
    "Content-Type: application/json\r\n"
).encode()
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def open_server(kind: str, **options: Any) -> MockServer:
    """The mock on one of its two servers; without faults Granian serves it."""
    if kind == "wire":
        options |= {"faults": Faults(), "admin": True, "console": True}
    return MockServer({LEDGER: TOKEN}, **options)


@pytest.fixture(params=["wire", "granian"])
def server(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    with open_server(request.param) as running:
        yield running


@pytest.fixture(params=["wire", "granian"])
def impatient(request: pytest.FixtureRequest) -> Iterator[MockServer]:
    """A mock that ends half a request soon."""
    with open_server(request.param, request_seconds=BRIEF) as running:
        yield running


@pytest.fixture
def wire() -> Iterator[MockServer]:
    with open_server("wire") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """asyncio logs an exception that nobody caught; the mock has none."""
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def connect(server: MockServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=LIMIT)


def received(client: socket.socket) -> bytes:
    """All that the mock sends until it ends the connection."""
    data = b""
    with suppress(ConnectionError):
        while chunk := client.recv(65_536):
            data += chunk
    return data


def exchange(server: MockServer, data: bytes, *, half_close: bool = True) -> bytes:
    with connect(server) as client:
        with suppress(OSError):  # the mock may have ended the connection already
            client.sendall(data)
            if half_close:
                client.shutdown(socket.SHUT_WR)
        return received(client)


def is_well(server: MockServer) -> bool:
    return send(server.url, "GET", "/healthz").status == 200


# JSON


DEEP = {
    "arrays": b"[" * 65_000,
    "objects": b'{"a":' * 13_000,
    "closed arrays": b"[" * 32_000 + b"]" * 32_000,
    "closed objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "arrays in objects": b'{"a":[' * 10_000,
    "inside an unknown property": f'{{"{CUSTOMER_NO}":"1","x":'.encode() + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "behind an open string": b'["\\' + b'"[' * 30_000,
}


@pytest.mark.parametrize("body", DEEP.values(), ids=DEEP)
def test_deeply_nested_json_is_a_validation_problem(server: MockServer, body: bytes) -> None:
    response = send(server.url, "POST", customers_path(), body)
    assert (response.status, response.json["type"]) == (400, "billing/customer/problems/validation")
    assert is_well(server)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_100_000_levels_are_more_than_a_body_may_have(server: MockServer, opening: bytes) -> None:
    assert send(server.url, "POST", customers_path(), opening * 100_000).status == 413
    assert is_well(server)


def test_json_may_have_as_many_levels_as_the_limit_and_not_one_more(server: MockServer) -> None:
    def create(levels: int, number: str) -> int:
        nested = b"[" * (levels - 1) + b"]" * (levels - 1)
        return send(
            server.url,
            "POST",
            customers_path(),
            b'{"%s":"%s","x":%s}' % (CUSTOMER_NO.encode(), number.encode(), nested),
        ).status

    assert create(MAX_DEPTH, "1") == 201
    assert create(MAX_DEPTH + 1, "2") == 400


def test_brackets_in_a_string_are_not_levels(server: MockServer) -> None:
    body = json.dumps({CUSTOMER_NO: "1", "x": '\\"[{' * 10_000}).encode()
    assert send(server.url, "POST", customers_path(), body).status == 201


@pytest.mark.parametrize("name", [CUSTOMER_NO, "x"])
def test_a_number_with_an_enormous_exponent_is_a_validation_problem(server: MockServer, name: str) -> None:
    body = b'{"%s":"1","%s":1e99999999999999999999}' % (CUSTOMER_NO.encode(), name.encode())
    assert send(server.url, "POST", customers_path(), body).status == 400
    assert is_well(server)


# half requests


HALVES = {
    "nothing": b"",
    "one byte": b"P",
    "half a head": HEAD,
    "half a body": HEAD + b"Content-Length: 50\r\n\r\n{",
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
    "no body after 100 Continue": HEAD + b"Expect: 100-continue\r\nContent-Length: 50\r\n\r\n",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_request_ends_after_its_time(impatient: MockServer, half: bytes) -> None:
    started = time.monotonic()
    response = exchange(impatient, half, half_close=False)
    assert time.monotonic() - started >= BRIEF * 0.9
    assert b" 201 " not in response
    assert is_well(impatient)


def test_the_time_is_30_seconds_unless_told_otherwise() -> None:
    assert inspect.signature(MockServer).parameters["request_seconds"].default == 30.0


def test_a_request_that_arrives_a_byte_at_a_time_ends_after_its_time(impatient: MockServer) -> None:
    with connect(impatient) as client, suppress(ConnectionError):
        client.sendall(HEAD + b"X-Slow: ")
        while not select.select([client], [], [], 0.01)[0]:
            client.sendall(b"a")
        assert b" 201 " not in received(client)
    assert is_well(impatient)


def test_the_client_of_half_a_request_reads_why_it_ended() -> None:
    with open_server("wire", request_seconds=BRIEF) as server:
        response = exchange(server, HEAD, half_close=False)
    assert response.startswith(b"HTTP/1.1 408 ")
    assert response.endswith(b"The request was not complete after 0.2 seconds.")


def test_an_idle_connection_lives_longer_than_half_a_request() -> None:
    with open_server("wire", request_seconds=BRIEF) as server, connect(server) as idle, connect(server) as silent:
        idle.sendall(GET)
        assert b"200 OK" in idle.recv(65_536)
        assert received(silent) == b""  # its time is up
        idle.sendall(GET)
        assert b"200 OK" in idle.recv(65_536)


def test_an_idle_connection_ends_without_an_unasked_response() -> None:
    with open_server("wire", idle_seconds=BRIEF) as server, connect(server) as idle:
        idle.sendall(GET)
        assert received(idle).count(b"HTTP/1.1") == 1


# strange bytes


STRANGE = {
    "nothing": b"",
    "zeros": b"\0" * 1000,
    "random text": b"hello\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 200,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 50,
    "HTTP/1.0": b"GET /healthz HTTP/1.0\r\n\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "no Host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a long head": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "a long path": b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe%00%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "bytes in a header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    "bare line feeds": b"GET /healthz HTTP/1.1\nHost: a\n\n",
    "an absolute URL": b"GET http://localhost/healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT localhost:443 HTTP/1.1\r\nHost: a\r\n\r\nmore",
    "an upgrade": b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nmore",
    "HEAD": b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD of the faults": b"HEAD /mock/faults HTTP/1.1\r\nHost: localhost\r\nX-Payex-Console: 1\r\n\r\n",
    "HEAD of the console": b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a method of its own": b"X-Y!Z /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "an enormous length": HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}",
    "a length and chunks": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "a chunk that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "an enormous chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n{}\r\n",
    "an endless chunk extension": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
    "endless trailers": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: y\r\n" * 100_000,
    "a large body": HEAD + b"Content-Length: 3000000\r\n\r\n" + b" " * 3_000_000,
    "a large body in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + (b" " * 1024 + b"\r\n400\r\n") * 3000,
}  # fmt: skip


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
def test_strange_bytes_end_at_most_their_own_connection(server: MockServer, data: bytes) -> None:
    response = exchange(server, data)
    assert b" 500 " not in response.partition(b"\r\n")[0]
    assert is_well(server)


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE)
def test_a_client_that_leaves_without_reading_does_no_harm(server: MockServer, data: bytes) -> None:
    for _ in range(3):
        with connect(server) as client, suppress(ConnectionError):
            client.sendall(data)
    assert is_well(server)


def test_bytes_that_are_not_http_are_answered_400_without_being_repeated(wire: MockServer) -> None:
    response = exchange(wire, b"secret-token\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 400 ")
    assert response.endswith(b"The mock cannot read this request.")
    assert b"secret" not in response


def test_a_response_survives_a_body_that_the_mock_does_not_read_to_its_end(wire: MockServer) -> None:
    for _ in range(20):
        response = exchange(wire, STRANGE["a large body"], half_close=False)
        assert response.startswith(b"HTTP/1.1 413 ")
        assert b"content-too-large" in response


def test_a_client_may_wait_for_100_continue(server: MockServer) -> None:
    with connect(server) as client:
        client.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 18\r\n\r\n")
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(json_of(new_customer("1")))
        assert client.recv(65_536).startswith(b"HTTP/1.1 201 ")


def test_pipelined_requests_are_all_answered_in_order(wire: MockServer) -> None:
    paths = [b"/healthz", b"/nothing"] * 500
    data = b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths)
    assert re.findall(rb"HTTP/1\.1 (\d+)", exchange(wire, data)) == [b"200", b"404"] * 500


def test_a_client_may_leave_while_its_pipelined_requests_are_answered(wire: MockServer) -> None:
    for _ in range(10):
        with connect(wire) as client, suppress(ConnectionError):
            client.sendall(GET * 3000)
    assert is_well(wire)


def test_a_pipelined_request_survives_the_latency_of_the_one_before(wire: MockServer) -> None:
    wire.faults.queue(f"latency={BRIEF}")
    assert exchange(wire, GET * 3).count(b"200 OK") == 3


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "POST"])
@pytest.mark.parametrize(
    "fault",
    [
        "truncate",
        "stall=0",
        "drip=0",
        "stale-response",
        "latency=0",
        "500-after",
        "429=1",
        "late-commit=0",
        "lose-answer",
    ],
)
def test_every_fault_fits_every_method(wire: MockServer, fault: str, method: str) -> None:
    send(wire.url, "POST", customers_path(), new_customer("1"))
    send(wire.url, "POST", subscriptions_path("1"), new_subscription("2"))
    wire.faults.queue(fault)
    with suppress(ConnectionError, http.client.HTTPException):
        send(wire.url, method, subscription_path("1", "2"))
    wire.wait_for_late_writes(LIMIT)
    assert is_well(wire)


@pytest.mark.parametrize("value", ["429=å", "429=a\r\nX: y", "429=a\nb", "503=\x00", "401= "])
def test_a_retry_after_that_no_header_can_have_is_no_fault(value: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        Faults().queue(value)
