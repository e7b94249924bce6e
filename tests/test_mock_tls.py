"""TLS of the mock, seen by a client that is nothing but a socket and OpenSSL."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from payex_billing_mock import Faults, MockServer, Tls

from tests.support import LEDGER, PREFIX, TOKEN
from tests.wire import CUSTOMER_NO, charges_path, customers_path, json_of, new_charge, new_customer

LIMIT = 60.0
HANDSHAKES = 50
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Files:
    """An authority, a server's certificate, and a client's certificate of this and of another authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority, other = trustme.CA(), trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        self.server = self._issue(authority, "server", "127.0.0.1")
        self.clients = {
            "none": None,
            "wrong": self._issue(other, "wrong", "client@example.com"),
            "right": self._issue(authority, "right", "client@example.com"),
        }

    def _issue(self, authority: trustme.CA, stem: str, name: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(name)
        certificate, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        issued.private_key_pem.write_to_path(key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        return certificate, key

    def context(self, client: str = "none", version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        certificate = self.clients[client]
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["wire", "granian"])
def guarded(request: pytest.FixtureRequest, files: Files) -> Iterator[MockServer]:
    """A mock that demands a client certificate, on each of its servers."""
    options: dict[str, Any] = {"faults": Faults()} if request.param == "wire" else {}
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server, client_ca=files.ca), **options) as server:
        yield server


@pytest.fixture
def faulty(files: Files) -> Iterator[MockServer]:
    """A mock with TLS that demands no certificate."""
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server), faults=Faults()) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record.getMessage() for record in caplog.get_records("call")] == []


def connect(server: MockServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=LIMIT)


def seen(server: MockServer, context: ssl.SSLContext, requests: int) -> str:
    """What a client sees that sends requests as soon as its own side of the handshake is done."""
    with connect(server) as raw:
        try:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as client:
                client.sendall(GET * requests)
                return client.recv(15).decode()
        except ssl.SSLError as error:
            return str(error.reason)
        except OSError as error:
            return type(error).__name__


NO_CERTIFICATE = {
    "1.2": {"SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV13_ALERT_CERTIFICATE_REQUIRED"},  # rustls sends 1.3's in 1.2 too
    "1.3": {"TLSV13_ALERT_CERTIFICATE_REQUIRED"},
}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_without_a_certificate_sees_the_alert_every_time(
    guarded: MockServer, files: Files, version: str
) -> None:
    context = files.context("none", VERSIONS[version])
    counted = Counter(seen(guarded, context, 1) for _ in range(HANDSHAKES))
    assert counted.keys() <= NO_CERTIFICATE[version]
    assert counted.total() == HANDSHAKES


def test_the_alert_arrives_although_the_mock_has_not_read_what_the_client_sent(files: Files) -> None:
    """Granian closes at once here: 19 of 20 clients then see a broken connection in place of the alert."""
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server, client_ca=files.ca), faults=Faults()) as server:
        context = files.context("none", ssl.TLSVersion.TLSv1_3)
        counted = Counter(seen(server, context, 500) for _ in range(HANDSHAKES))
    assert counted == {"TLSV13_ALERT_CERTIFICATE_REQUIRED": HANDSHAKES}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_with_a_certificate_of_another_authority_sees_the_alert_every_time(
    guarded: MockServer, files: Files, version: str
) -> None:
    context = files.context("wrong", VERSIONS[version])
    counted = Counter(seen(guarded, context, 1) for _ in range(HANDSHAKES))
    assert counted == {"TLSV1_ALERT_UNKNOWN_CA": HANDSHAKES}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_with_the_right_certificate_gets_its_response_every_time(
    guarded: MockServer, files: Files, version: str
) -> None:
    context = files.context("right", VERSIONS[version])
    counted = Counter(seen(guarded, context, 1) for _ in range(HANDSHAKES))
    assert counted == {"HTTP/1.1 200 OK": HANDSHAKES}


def open_tls(server: MockServer, files: Files) -> ssl.SSLSocket:
    context = files.context()
    return context.wrap_socket(connect(server), server_hostname="127.0.0.1", suppress_ragged_eofs=False)


def test_one_connection_serves_many_requests(faulty: MockServer, files: Files) -> None:
    with open_tls(faulty, files) as client:
        for _ in range(20):
            client.sendall(GET)
            assert client.recv(65_536).endswith(b'{"status":"ok"}')
    assert faulty._wire is not None
    assert faulty._wire.accepted == 1


def test_the_mock_ends_a_connection_with_close_notify(faulty: MockServer, files: Files) -> None:
    with open_tls(faulty, files) as client:
        client.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        while client.recv(65_536):  # raises SSLEOFError without close_notify
            pass


def test_the_mock_takes_part_when_the_client_ends_the_connection(faulty: MockServer, files: Files) -> None:
    with open_tls(faulty, files) as client:
        client.sendall(GET)
        client.recv(65_536)
        client.unwrap().close()  # waits for the mock's close_notify


def test_a_session_can_be_resumed(faulty: MockServer, files: Files) -> None:
    context = files.context(version=ssl.TLSVersion.TLSv1_3)
    session = None
    for attempt in range(2):
        with connect(faulty) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1", session=session) as client:
            client.sendall(GET)
            assert client.recv(65_536).startswith(b"HTTP/1.1 200")
            assert client.session_reused is (attempt == 1)
            session = client.session


def https(server: MockServer, files: Files) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection(server.host, server.port, timeout=LIMIT, context=files.context())


def post(connection: http.client.HTTPConnection, path: str, body: bytes) -> http.client.HTTPResponse:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", PREFIX + path, body=body, headers=headers)
    return connection.getresponse()


def test_large_bodies_arrive_whole_in_both_directions(faulty: MockServer, files: Files) -> None:
    connection = https(faulty, files)
    try:
        assert post(connection, customers_path(), json_of(new_customer("1")).ljust(65_536)).read()
        for _ in range(30):
            body = json_of(new_charge({"x": "x" * 60_000}))
            assert post(connection, charges_path("1"), body).read().count(b"x") > 60_000
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("GET", f"{PREFIX}{charges_path('1')}", headers=headers)
        assert connection.getresponse().read().count(b"x" * 60_000) == 30
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset-after", ConnectionResetError),
        ("lose-answer", http.client.RemoteDisconnected),
        ("truncate", http.client.IncompleteRead),
        ("stall=0", http.client.IncompleteRead),
        ("late-commit=0,reset", ConnectionResetError),
        ("late-commit=0,close", http.client.RemoteDisconnected),
    ],
)
def test_faults_cut_a_tls_connection_too(faulty: MockServer, files: Files, fault: str, error: type[Exception]) -> None:
    faulty.faults.queue(fault)
    connection = https(faulty, files)
    try:
        with pytest.raises(error):
            post(connection, customers_path(), json_of(new_customer("1"))).read()
    finally:
        connection.close()
    faulty.wait_for_late_writes(LIMIT)
    assert [customer.id for customer in faulty.store.customers(LEDGER)] == ["1"]


@pytest.mark.parametrize("fault", ["drip=0.1", "latency=0.1"])
def test_slow_responses_arrive_whole_over_tls(faulty: MockServer, files: Files, fault: str) -> None:
    faulty.faults.queue(fault)
    connection = https(faulty, files)
    try:
        assert f'"{CUSTOMER_NO}":"1"'.encode() in post(connection, customers_path(), json_of(new_customer("1"))).read()
    finally:
        connection.close()


def test_a_stale_response_follows_over_tls(faulty: MockServer, files: Files) -> None:
    faulty.faults.queue("stale-response=429")
    with open_tls(faulty, files) as client:
        client.sendall(GET)
        data = client.recv(65_536)
    assert data.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 429 " in data


@pytest.mark.parametrize("half", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_half_a_handshake_ends_after_its_time(files: Files, half: bytes) -> None:
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server), faults=Faults(), request_seconds=0.2) as server:
        started = time.monotonic()
        with connect(server) as client:
            client.sendall(half)
            assert client.recv(1) == b""
        assert time.monotonic() - started >= 0.18


def test_a_handshake_does_not_extend_the_time_of_half_a_request_without_end(files: Files) -> None:
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server), faults=Faults(), request_seconds=0.2) as server:
        with open_tls(server, files) as client:
            assert client.recv(1) == b""


@pytest.mark.parametrize(
    "data", [GET, b"\0" * 100, b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01\x00\x02" + b"\0" * 100]
)
def test_bytes_that_are_not_tls_end_at_most_their_own_connection(faulty: MockServer, files: Files, data: bytes) -> None:
    with connect(faulty) as client:
        client.sendall(data)
        while client.recv(65_536):
            pass
    assert seen(faulty, files.context(), 1) == "HTTP/1.1 200 OK"


def test_a_broken_record_after_the_handshake_is_told_by_an_alert(faulty: MockServer, files: Files) -> None:
    with connect(faulty) as raw:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = files.context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65_536))
        raw.sendall(outgoing.read() + b"\x17\x03\x03\x00\x20" + b"\0" * 32)
        answer = b""
        while chunk := raw.recv(65_536):
            answer += chunk
        incoming.write(answer)
        with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
            tls.read()
    assert seen(faulty, files.context(), 1) == "HTTP/1.1 200 OK"


def test_stopping_does_not_wait_for_half_a_handshake(files: Files) -> None:
    with MockServer({LEDGER: TOKEN}, tls=Tls(*files.server), faults=Faults()) as server:
        client = connect(server)
        client.sendall(b"\x16")
    with client:
        assert client.recv(1) == b""
