"""What the engines do with a network that is slow, broken or hostile: the same, whichever library sends."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import payex_billing as pb
import pytest
import trustme
from payex_billing import AsyncBilling, Billing
from payex_billing._transport._choice import chosen, default_transport
from payex_billing._transport._interface import MAX_RESPONSE_BYTES, Failure, Request
from payex_billing.config import Settings
from payex_billing_mock import Faults, MockServer, Tls

from tests.support import LEDGER, TOKEN, ScriptedServer, http_answer, open_client

MODULES = {"httpx": "httpx2", "reqwest": "reqwest"}
CUSTOMER = (
    b'{"customerNo":"1","@id":"/billing/customer/v1/1234/customers/1","recurringProducts":"/r","subscriptions":"/s",'
    b'"operations":null}'
)


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of either facade that tries once; all are closed at the end."""
    with ExitStack() as stack:

        def make_client(url: str, **options: Any) -> Any:
            client = open_client(request.param, token=TOKEN, owner_no=LEDGER, base_url=url, **options)
            return stack.enter_context(client).with_options(attempts=1)

        yield make_client


def test_the_engine_that_is_asked_for_is_used(engine: str) -> None:
    assert chosen(Settings.load(token="t", owner_no="1")) == engine
    assert chosen(Settings.load(token="t", owner_no="1", engine="httpx")) == "httpx"
    with Billing(token="t", owner_no="1") as billing:
        assert type(billing._runner.sender.transport).__module__ == f"payex_billing._transport._sync.{MODULES[engine]}"


def test_the_fast_engine_is_used_when_it_is_installed(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(Settings.load({}, token="t", owner_no="1")) == "reqwest"
    monkeypatch.setattr("payex_billing._transport._choice.find_spec", lambda _name: None)
    assert chosen(Settings.load({}, token="t", owner_no="1")) == "httpx"
    with pytest.raises(pb.ConfigurationError, match=r"payex-billing\[fast\]"):
        Billing(token="t", owner_no="1", engine="reqwest")


def test_an_engine_that_does_not_exist_is_refused() -> None:
    with pytest.raises(pb.ConfigurationError, match="engine must be one of auto, httpx, reqwest"):
        Billing(token="t", owner_no="1", engine="curl")


# bodies


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)],
)
def test_a_body_may_be_compressed(make: Callable[..., Any], encoding: str, compress: Callable[[bytes], bytes]) -> None:
    with ScriptedServer([http_answer(200, compress(CUSTOMER), f"Content-Encoding: {encoding}")]) as server:
        assert make(server.url).customer("1").get().customer_no == "1"
        accepted = server.requests[0].lower().partition(b"accept-encoding: ")[2].partition(b"\r\n")[0]
        assert {each.strip() for each in accepted.split(b",")} == {b"gzip", b"deflate"}


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(CUSTOMER)[:-9]])
def test_a_body_that_cannot_be_decompressed_is_a_lost_answer(make: Callable[..., Any], body: bytes) -> None:
    answer = http_answer(200, body, "Content-Encoding: gzip", "Connection: close")
    with ScriptedServer([answer] * 2) as server:
        billing = make(server.url)
        with pytest.raises(pb.AnswerLost):
            billing.customer("1").get()
        with pytest.raises(pb.OutcomeUnknown):
            billing.customer("1").create()


def test_a_body_that_would_fill_the_memory_is_given_up(make: Callable[..., Any]) -> None:
    bomb = gzip.compress(bytes(MAX_RESPONSE_BYTES + 1), compresslevel=9)
    assert len(bomb) < 100_000
    with (
        ScriptedServer([http_answer(200, bomb, "Content-Encoding: gzip")]) as server,
        pytest.raises(pb.AnswerLost, match="larger than"),
    ):
        make(server.url).customer("1").get()


# headers


@pytest.mark.parametrize(
    "headers", [[f"X-{number}: a" for number in range(150)], ["X: " + "a" * 1_000_000]], ids=["many", "long"]
)
def test_headers_without_end_are_a_lost_answer(make: Callable[..., Any], headers: list[str]) -> None:
    with (
        ScriptedServer([http_answer(200, CUSTOMER, *headers)]) as server,
        pytest.raises(pb.AnswerLost),
    ):
        make(server.url).customer("1").get()


def test_a_header_of_any_bytes_is_no_obstacle(make: Callable[..., Any]) -> None:
    odd = ["X-Name: Malmö", "Retry-After: ö", "Connection: close"]
    with ScriptedServer([http_answer(200, CUSTOMER, *odd), http_answer(429, b"", *odd)]) as server:
        billing = make(server.url)
        assert billing.customer("1").get().customer_no == "1"
        with pytest.raises(pb.RateLimited) as caught:
            billing.customer("1").get()
        assert caught.value.retry_after is None


# time limits


@pytest.fixture
def full_backlog() -> Iterator[str]:
    """The URL of a server that no connection is made to any more: nobody takes those that wait."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


# reqwest has two clocks, for the connection and for the whole attempt. On a machine under load both can be late, and if
# the second is seen first, the outcome counts as unknown, which is safe. So the limits leave a tenth of a second between.
@pytest.mark.parametrize("limit", [1.5, 1.0])
def test_who_cannot_connect_in_time_has_sent_nothing(make: Callable[..., Any], full_backlog: str, limit: float) -> None:
    billing = make(full_backlog, timeout=1.5).with_options(timeout=limit)
    with pytest.raises(pb.NeverSent) as caught:
        billing.customer("1").create()
    assert caught.value.attempts[0].phase is pb.Phase.NEVER_SENT


def test_a_deadline_that_passes_before_the_first_byte_means_never_sent(engine: str) -> None:
    if engine == "reqwest":
        pytest.skip("reqwest does not say whether it has begun to send")
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        url = f"{server.url}/billing/customer/v1/{LEDGER}/customers"
        transport = default_transport(Settings.load(token=TOKEN, owner_no=LEDGER, base_url=server.url))
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        for number, deadline in ((1, time.monotonic() + 60), (2, time.monotonic() - 1)):
            reply = transport.send(Request("POST", url, headers, b'{"customerNo":"%d"}' % number), deadline)
        transport.close()
        assert server._wire is not None
        assert server._wire.accepted == 1  # the second request found the connection open
        assert len(list(server.store.customers(LEDGER))) == 1
    assert isinstance(reply, Failure)
    assert reply.phase is pb.Phase.NEVER_SENT


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 201 X\r\nContent-", b"HTTP/1.1 201 X\r\nContent-Length: 9\r\n\r\n{"])
def test_an_answer_that_does_not_end_in_time_is_unknown(make: Callable[..., Any], part: bytes) -> None:
    done = threading.Event()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(part)
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve)
        serving.start()
        try:
            billing = make(f"http://127.0.0.1:{listening.getsockname()[1]}", timeout=0.3)
            with pytest.raises(pb.OutcomeUnknown) as caught:
                billing.customer("1").create()
            assert caught.value.lost.may_be_under_way
        finally:
            done.set()
            serving.join()


# connections


def test_calls_one_after_the_other_share_a_connection(make: Callable[..., Any]) -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        billing = make(server.url)
        billing.customer("1").create()
        for _ in range(20):
            billing.customer("1").get()
        assert server._wire is not None
        assert server._wire.accepted == 1


def test_a_connection_that_the_server_has_closed_is_not_used_again(make: Callable[..., Any], engine: str) -> None:
    with ScriptedServer([http_answer(200, CUSTOMER)] * 3) as server:  # closes after each
        # reqwest sees the end in a thread of its own, which may be late; then the read is sent again.
        billing = make(server.url).with_options(attempts=1 if engine == "httpx" else 3)
        for _ in range(3):
            assert billing.customer("1").get().customer_no == "1"
            assert server.closed.acquire(timeout=5)


def test_connections_over_tls_are_kept_at_any_concurrency(engine: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    files = {}
    for identity in ("127.0.0.1", "client.example"):
        issued = authority.issue_cert(identity)
        files[identity] = tmp_path / f"{identity}.pem"
        issued.private_key_and_cert_chain_pem.write_to_path(str(files[identity]))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own, client, ca = str(files["127.0.0.1"]), str(files["client.example"]), str(tmp_path / "ca.pem")

    async def main(url: str) -> None:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=url, client_cert=client, ca_file=ca) as billing:
            customer = billing.customer("1")
            await customer.create()
            calls = iter(range(1_000))

            async def worker() -> None:
                for _ in calls:
                    await customer.get()

            await asyncio.gather(*(worker() for _ in range(64)))

    with MockServer({LEDGER: TOKEN}, tls=Tls(own, own, client_ca=ca), faults=Faults()) as server:
        asyncio.run(main(server.url))
        assert server._wire is not None
        # reqwest begins to connect, takes one that comes free meanwhile, and keeps the new one for the next call.
        # How often depends on the machine's load; a client that kept none would connect 1,001 times.
        assert server._wire.accepted <= (70 if engine == "httpx" else 4 * 64)


def test_an_authority_file_may_hold_many(engine: str, tmp_path: Path) -> None:
    wrong, right = trustme.CA(), trustme.CA()
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(wrong.cert_pem.bytes() + right.cert_pem.bytes())
    own = str(tmp_path / "own.pem")
    right.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)
    with (
        MockServer({LEDGER: TOKEN}, tls=Tls(own, own)) as server,
        Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url, ca_file=str(bundle)) as billing,
        pytest.raises(pb.CustomerNotFound),
    ):
        billing.customer("1").get()


# proxies


def test_the_environments_proxy_is_used_unless_the_host_is_excepted(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer([http_answer(407), http_answer(407)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(pb.NeverSent):
            make("https://127.0.0.1:9").customer("1").get()
        assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:9 HTTP/1.1\r\n")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(pb.NeverSent):
            make("https://127.0.0.1:9").customer("1").get()
        assert len(proxy.requests) == 1
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(pb.ConfigurationError, match="the environment's proxy"):
        make("https://127.0.0.1:9")


def test_plain_http_on_this_machine_goes_through_no_proxy(
    make: Callable[..., Any], mock: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy would get the token in clear text."""
    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(pb.CustomerNotFound):
        make(mock.url).customer("1").get()
    with pytest.raises(pb.ConfigurationError, match="clear text"):
        make(mock.url, proxy="http://127.0.0.1:9")
