"""A client that uses plain http to this machine never sends its token to a proxy from the environment."""

from __future__ import annotations

from typing import Any

import pytest
from payex_billing import Charge, ConfigurationError

from tests.chaos.hostile import FOUR, Connection, HostileServer, Kind, Ledger, done, opened, outcome, response, run

VARIABLES = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
TOKEN = "CLIENT-TOKEN-88"


class Listening:
    """A proxy that records every request head and responds with a 502."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []

    def handle(self, connection: Connection) -> None:
        while head := connection.read_head():
            self.heard.append(head)
            connection.send(response(502, b"proxy"))


class Honest:
    """The server that the client wants to reach. It responds correctly."""

    def __init__(self) -> None:
        self.ledger = Ledger()

    def handle(self, connection: Connection) -> None:
        while request := connection.read_request():
            connection.send(self.ledger.perform(request))


async def use(kind: Kind, url: str, **options: Any) -> Any:
    async with opened(kind, url, token=TOKEN, **options) as billing:
        customer = billing.customer("c")
        await done(customer.get())
        return await done(customer.recurring_products.create(Charge(product_code="P01")))


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("scheme", ["http", "socks5", ""])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_no_proxy_of_the_environment_sees_a_plain_http_request_to_this_machine(
    kind: Kind, scheme: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, origin = Listening(), Honest()
    with HostileServer(proxy.handle) as listening, HostileServer(origin.handle) as server:
        address = f"{scheme}://127.0.0.1:{listening.port}" if scheme else f"127.0.0.1:{listening.port}"
        for name in VARIABLES:
            monkeypatch.setenv(name, address)
        result = run(kind, outcome_of(kind, f"http://{host}:{server.port}"))
        assert (proxy.heard, listening.accepted) == ([], 0)
    assert getattr(result, "product_code", result) == "P01"


async def outcome_of(kind: Kind, url: str, **options: Any) -> Any:
    """Return the result of `use`, or the exception that it raised, also while it creates the client."""
    return await outcome(lambda: use(kind, url, **options))


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("name", VARIABLES)
def test_no_variable_alone_sends_a_plain_http_request_to_a_proxy(
    kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, origin = Listening(), Honest()
    with HostileServer(proxy.handle) as listening, HostileServer(origin.handle) as server:
        monkeypatch.setenv(name, listening.url)
        result = run(kind, outcome_of(kind, server.url))
        assert (proxy.heard, listening.accepted) == ([], 0)
    assert getattr(result, "product_code", result) == "P01"


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_variable_that_is_set_after_the_client_was_made_changes_nothing(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, origin = Listening(), Honest()

    async def scenario() -> Any:
        async with opened(kind, server.url, token=TOKEN) as billing:
            for name in VARIABLES:
                monkeypatch.setenv(name, listening.url)
            return await done(billing.customer("c").get())

    with HostileServer(proxy.handle) as listening, HostileServer(origin.handle) as server:
        assert run(kind, scenario()).customer_no == "c"
        assert listening.accepted == 0


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:{port}", "http://user:password@127.0.0.1:{port}", "https://127.0.0.1:{port}"]
)
@pytest.mark.parametrize("how", ["argument", "variable"])
def test_an_explicit_proxy_for_plain_http_is_a_configuration_error_when_the_client_is_made(
    kind: Kind, proxy: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Listening()

    async def make(url: str, address: str) -> None:
        options = {"proxy": address} if how == "argument" else {}
        async with opened(kind, url, token=TOKEN, **options):
            pass

    with HostileServer(heard.handle) as listening:
        address = proxy.format(port=listening.port)
        if how == "variable":
            monkeypatch.setenv("PAYEX_PROXY", address)
        with pytest.raises(ConfigurationError) as caught:
            run(kind, make("http://127.0.0.1:1", address))
        assert listening.accepted == 0
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_for_https_is_asked_to_connect_and_never_sees_the_token(
    kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control test: the client does read the environment. The proxy sees only the host and the port."""
    proxy = Listening()
    with HostileServer(proxy.handle) as listening:
        monkeypatch.setenv(name, listening.url)
        result = run(kind, outcome_of(kind, "https://payex.invalid"))
    assert isinstance(result, Exception)
    assert proxy.heard
    assert all(head.startswith(b"CONNECT payex.invalid:443 ") for head in proxy.heard)
    assert TOKEN.encode() not in b"".join(proxy.heard)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize(
    "url",
    [
        "http://payex.invalid",
        "http://127.0.0.1.payex.invalid",
        "http://localhost.payex.invalid",
        "http://127.0.0.1@payex.invalid",
        "http://payex.invalid#@127.0.0.1",
        "http://payex.invalid/127.0.0.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://[::ffff:10.0.0.1]",
        "http://128.0.0.1",
        "http://1270.0.1",
        "http://xn--127",
    ],
)
def test_plain_http_to_another_machine_is_a_configuration_error_when_the_client_is_made(kind: Kind, url: str) -> None:
    async def make() -> None:
        async with opened(kind, url, token=TOKEN):
            pass

    with pytest.raises(ConfigurationError) as caught:
        run(kind, make())
    assert TOKEN not in str(caught.value)
