"""Tokens that change, client certificates, authorities and proxies: real servers, real TLS, certificates made here."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

import payex_billing as pb
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from payex_billing import AsyncBilling, Billing
from payex_billing_mock import Faults, MockServer, Tls

from tests.support import LEDGER, TOKEN, open_client

ANSWERED = pb.CustomerNotFound  # the mock knows the token, but holds no customer


@pytest.fixture(params=["sync", "async"])
def make(request: pytest.FixtureRequest) -> Iterator[Callable[..., Any]]:
    """Makes a client of either facade; all are closed at the end."""
    with ExitStack() as stack:

        def make_client(**options: Any) -> Any:
            options = {"owner_no": LEDGER} | options
            return stack.enter_context(open_client(request.param, **options))

        yield make_client


# tokens


def test_a_token_file_is_read_and_read_again_when_it_changes(
    make: Callable[..., Any], mock: MockServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    billing = make(token_file=file, base_url=mock.url)
    with pytest.raises(ANSWERED):
        billing.customer("1").get()
    file.write_text("wrong")
    with pytest.raises(pb.Unauthorized):
        billing.customer("1").get()
    replacement = tmp_path / "new"
    replacement.write_text(TOKEN)
    replacement.replace(file)
    with pytest.raises(ANSWERED):
        billing.customer("1").get()


def test_a_token_file_that_vanishes_leaves_the_last_token(
    make: Callable[..., Any], mock: MockServer, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    billing = make(token_file=file, base_url=mock.url)
    for _ in range(2):
        with pytest.raises(ANSWERED):
            billing.customer("1").get()
        file.unlink(missing_ok=True)


@pytest.mark.parametrize("content", [None, b"", b"two words", b"\xff\xfe"])
def test_a_token_file_that_is_no_use_is_named(
    make: Callable[..., Any], mock: MockServer, tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(pb.ConfigurationError, match=str(file)) as caught:
        make(token_file=file, base_url=mock.url).customer("1").get()
    assert "two words" not in str(caught.value)


def test_a_token_file_comes_from_the_environment(
    make: Callable[..., Any], mock: MockServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv("PAYEX_TOKEN_FILE", str(tmp_path / "token"))
    with pytest.raises(ANSWERED):
        make(base_url=mock.url).customer("1").get()
    monkeypatch.setenv("PAYEX_TOKEN", "wrong")
    with pytest.raises(pb.Unauthorized):
        make(base_url=mock.url).customer("1").get()
    with pytest.raises(ANSWERED):
        make(base_url=mock.url, token_file=tmp_path / "token").customer("1").get()


def test_a_token_function_is_asked_once_and_again_after_a_refusal(make: Callable[..., Any], mock: MockServer) -> None:
    tokens = iter(["expired", TOKEN])
    asked: list[str] = []

    def provide() -> str:
        asked.append(next(tokens))
        return asked[-1]

    billing = make(token=provide, base_url=mock.url)
    for _ in range(3):
        with pytest.raises(ANSWERED):
            billing.customer("1").get()
    assert asked == ["expired", TOKEN]


def test_a_post_is_sent_again_with_the_fresh_token(make: Callable[..., Any], mock: MockServer) -> None:
    tokens = iter(["expired", TOKEN])
    assert make(token=lambda: next(tokens), base_url=mock.url).customer("1").create().customer_no == "1"
    assert len(list(mock.store.customers(LEDGER))) == 1


def test_an_async_token_function_is_awaited(mock: MockServer) -> None:
    tokens = iter(["expired", TOKEN])

    async def provide() -> str:
        await asyncio.sleep(0)
        return next(tokens)

    with open_client("async", token=provide, owner_no=LEDGER, base_url=mock.url) as billing:
        with pytest.raises(ANSWERED):
            billing.customer("1").get()
    with pytest.raises(pb.ConfigurationError, match="only AsyncBilling"):
        Billing(token=provide, owner_no=LEDGER)  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [None, 7, "", "two words"])
def test_a_function_that_returns_no_token_is_said(make: Callable[..., Any], mock: MockServer, token: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="the token function returned") as caught:
        make(token=lambda: token, base_url=mock.url).customer("1").get()
    assert "two words" not in str(caught.value)


def test_what_a_token_function_raises_is_the_callers(make: Callable[..., Any], mock: MockServer) -> None:
    def provide() -> str:
        raise LookupError("vault is sealed")

    with pytest.raises(LookupError, match="vault is sealed"):
        make(token=provide, base_url=mock.url).customer("1").get()


def test_threads_that_are_refused_together_fetch_one_new_token(mock: MockServer) -> None:
    asked: list[str] = []
    together = threading.Barrier(16)

    def provide() -> str:
        asked.append("")
        return "expired" if len(asked) == 1 else TOKEN

    def one(_: int) -> type[BaseException]:
        together.wait()
        with pytest.raises(pb.BillingError) as caught:
            billing.customer("1").get()
        return caught.type

    with Billing(token=provide, owner_no=LEDGER, base_url=mock.url) as billing:
        with ThreadPoolExecutor(16) as pool:
            assert set(pool.map(one, range(16))) == {ANSWERED}
    assert len(asked) == 2


def test_tasks_that_are_refused_together_fetch_one_new_token(mock: MockServer) -> None:
    asked: list[str] = []

    async def provide() -> str:
        asked.append("")
        fresh = len(asked) > 1
        await asyncio.sleep(0.01)
        return TOKEN if fresh else "expired"

    async def main() -> list[Any]:
        async with AsyncBilling(token=provide, owner_no=LEDGER, base_url=mock.url) as billing:
            calls = (billing.customer("1").get() for _ in range(32))
            return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(result) for result in asyncio.run(main())} == {ANSWERED}
    assert len(asked) == 2


# certificates


class Authority:
    """A certificate authority with what it issued, as files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.ca = trustme.CA()
        self.folder = folder
        self.name = name
        self.pem = str(folder / f"{name}-ca.pem")
        self.ca.cert_pem.write_to_path(self.pem)

    def issue(self, identity: str, **options: Any) -> tuple[str, str]:
        """A certificate and its key."""
        issued = self.ca.issue_cert(identity, **options)
        name = f"{self.name}-{identity.replace('.', '-')}-{len(list(self.folder.iterdir()))}"
        certificate, key = str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(certificate)
        issued.private_key_pem.write_to_path(key)
        return certificate, key


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(scope="module", params=["granian", "wire"])
def secured(request: pytest.FixtureRequest, ours: Authority) -> Iterator[MockServer]:
    """The mock behind TLS that demands a client certificate, as PayEx does; by two TLS implementations."""
    certificate, key = ours.issue("127.0.0.1")
    faults = Faults() if request.param == "wire" else None
    with MockServer({LEDGER: TOKEN}, tls=Tls(certificate, key, client_ca=ours.pem), faults=faults) as server:
        yield server


@pytest.fixture(scope="module")
def strict(ours: Authority) -> Iterator[MockServer]:
    """A mock that refuses clients with a TLS alert, and closes when they have read it."""
    certificate, key = ours.issue("127.0.0.1")
    with MockServer({LEDGER: TOKEN}, tls=Tls(certificate, key, client_ca=ours.pem), faults=Faults()) as server:
        yield server


def yesterday(days: int = 1) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=days)


def test_a_client_certificate_opens_the_door(make: Callable[..., Any], secured: MockServer, ours: Authority) -> None:
    certificate, key = ours.issue("client.example")
    billing = make(token=TOKEN, base_url=secured.url, client_cert=certificate, client_key=key, ca_file=ours.pem)
    with pytest.raises(ANSWERED):
        billing.customer("1").get()


def test_certificates_come_from_the_environment(
    make: Callable[..., Any], secured: MockServer, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = ours.issue("client.example")
    monkeypatch.setenv("PAYEX_CLIENT_CERT", certificate)
    monkeypatch.setenv("PAYEX_CLIENT_KEY", key)
    monkeypatch.setenv("PAYEX_CA_FILE", ours.pem)
    with pytest.raises(ANSWERED):
        make(token=TOKEN, base_url=secured.url).customer("1").get()


def test_a_key_may_stand_in_the_certificates_file(
    make: Callable[..., Any], secured: MockServer, ours: Authority, tmp_path: Path
) -> None:
    certificate, key = ours.issue("client.example")
    both = tmp_path / "both.pem"
    both.write_text(Path(certificate).read_text() + Path(key).read_text())
    with pytest.raises(ANSWERED):
        make(token=TOKEN, base_url=secured.url, client_cert=both, ca_file=ours.pem).customer("1").get()


def encrypted(key: str, password: str, target: Path) -> Path:
    loaded = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    target.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        )
    )
    return target


def bundle(certificate: str, key: str, password: str | None, target: Path) -> Path:
    loaded: Any = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    leaf = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
    target.write_bytes(pkcs12.serialize_key_and_certificates(b"client", loaded, leaf, None, encryption))
    return target


def test_an_encrypted_key_is_opened_with_its_password(
    make: Callable[..., Any], secured: MockServer, ours: Authority, tmp_path: Path
) -> None:
    certificate, key = ours.issue("client.example")
    options = {"token": TOKEN, "base_url": secured.url, "client_cert": certificate, "ca_file": ours.pem}
    options["client_key"] = str(encrypted(key, "s3cret", tmp_path / "encrypted.key"))
    with pytest.raises(ANSWERED):
        make(**options, client_key_password="s3cret").customer("1").get()
    for wrong in (None, "wrong"):
        with pytest.raises(pb.ConfigurationError, match="client_key_password") as caught:
            make(**options, client_key_password=wrong)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("password", [None, "s3cret"])
@pytest.mark.parametrize("suffix", [".p12", ".PFX"])
def test_pkcs12_holds_both(
    make: Callable[..., Any], secured: MockServer, ours: Authority, tmp_path: Path, password: str | None, suffix: str
) -> None:
    file = bundle(*ours.issue("client.example"), password, tmp_path / f"client{suffix}")
    options = {"token": TOKEN, "base_url": secured.url, "client_cert": file, "ca_file": ours.pem}
    with pytest.raises(ANSWERED):
        make(**options, client_key_password=password).customer("1").get()
    with pytest.raises(pb.ConfigurationError, match="client_key_password is wrong"):
        make(**options, client_key_password="wrong")


@pytest.mark.parametrize("name", ["client_cert", "client_key", "ca_file"])
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_file_that_is_no_use_is_named(
    make: Callable[..., Any], ours: Authority, tmp_path: Path, name: str, content: bytes | None
) -> None:
    certificate, key = ours.issue("client.example")
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_bytes(content)
    options = {"client_cert": certificate, "client_key": key, "ca_file": ours.pem, name: str(bad)}
    with pytest.raises(
        pb.ConfigurationError, match=f"{name if name != 'client_key' or content is None else 'client_cert'} "
    ):
        make(token=TOKEN, **options)


def test_a_key_of_another_certificate_is_named(make: Callable[..., Any], ours: Authority) -> None:
    certificate, _ = ours.issue("client.example")
    _, key = ours.issue("other.example")
    with pytest.raises(pb.ConfigurationError, match="does not belong to the certificate"):
        make(token=TOKEN, client_cert=certificate, client_key=key)


def test_a_key_without_a_certificate_is_named(make: Callable[..., Any]) -> None:
    with pytest.raises(pb.ConfigurationError, match="PAYEX_CLIENT_CERT"):
        make(token=TOKEN, client_key="x.key")


def rejected(billing: Any, advice: str) -> None:
    """Reads and writes alike end at once, saying what to do; a write is not an unknown outcome."""
    for action in (billing.customer("1").get, billing.customer("1").create):
        with pytest.raises(pb.CertificateRejected, match=advice) as caught:
            action()
        assert len(caught.value.attempts) == 1


def test_no_client_certificate(make: Callable[..., Any], strict: MockServer, ours: Authority) -> None:
    rejected(make(token=TOKEN, base_url=strict.url, ca_file=ours.pem), "PAYEX_CLIENT_CERT")


def test_a_client_certificate_of_another_authority(
    make: Callable[..., Any], strict: MockServer, ours: Authority, theirs: Authority
) -> None:
    certificate, key = theirs.issue("client.example")
    billing = make(token=TOKEN, base_url=strict.url, client_cert=certificate, client_key=key, ca_file=ours.pem)
    rejected(billing, "client certificate")


def test_an_expired_client_certificate(make: Callable[..., Any], strict: MockServer, ours: Authority) -> None:
    certificate, key = ours.issue("client.example", not_before=yesterday(9), not_after=yesterday())
    billing = make(token=TOKEN, base_url=strict.url, client_cert=certificate, client_key=key, ca_file=ours.pem)
    rejected(billing, "our client certificate has expired")


def test_a_server_that_closes_at_once_leaves_the_write_unknown_but_the_advice_is_there(
    make: Callable[..., Any], ours: Authority
) -> None:
    """Granian closes while the request is on its way: the alert can be lost, and the request could have been read."""
    certificate, key = ours.issue("127.0.0.1")
    with MockServer({LEDGER: TOKEN}, tls=Tls(certificate, key, client_ca=ours.pem)) as server:
        billing = make(token=TOKEN, base_url=server.url, ca_file=ours.pem).with_options(attempts=1)
        for action, lost in (
            (billing.customer("1").get, pb.AnswerLost),
            (billing.customer("1").create, pb.OutcomeUnknown),
        ):
            with pytest.raises((pb.CertificateRejected, lost), match="PAYEX_CLIENT_CERT"):
                action()


def test_a_tls_server_that_hangs_up_gets_advice_about_the_missing_certificate_first(
    make: Callable[..., Any], ours: Authority
) -> None:
    certificate, key = ours.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with HangingUp(context) as server:
        billing = make(token=TOKEN, base_url=server.url, ca_file=ours.pem).with_options(attempts=1)
        with pytest.raises(pb.OutcomeUnknown) as caught:
            billing.customer("1").create()
        assert str(caught.value).startswith("create_customer: no client certificate is configured")


def test_a_server_of_an_authority_that_is_not_trusted(
    make: Callable[..., Any], secured: MockServer, theirs: Authority
) -> None:
    rejected(make(token=TOKEN, base_url=secured.url), "PAYEX_CA_FILE")
    rejected(make(token=TOKEN, base_url=secured.url, ca_file=theirs.pem), "PAYEX_CA_FILE")


@pytest.mark.parametrize("front", ["granian", "wire"])
@pytest.mark.parametrize(
    ("identity", "options", "advice"),
    [
        ("other.example", {}, "another host"),
        ("127.0.0.1", {"not_before": yesterday(9), "not_after": yesterday()}, "not valid today"),
    ],
)
def test_a_server_certificate_that_is_wrong(
    make: Callable[..., Any], ours: Authority, front: str, identity: str, options: dict[str, Any], advice: str
) -> None:
    certificate, key = ours.issue(identity, **options)
    faults = Faults() if front == "wire" else None
    with MockServer({LEDGER: TOKEN}, tls=Tls(certificate, key), faults=faults) as server:
        rejected(make(token=TOKEN, base_url=server.url, ca_file=ours.pem), advice)


def test_tls_below_1_2_is_refused(make: Callable[..., Any], ours: Authority) -> None:
    from payex_billing._transport._choice import ssl_context
    from payex_billing.config import Settings

    settings = Settings(token="t", owner_no="1", ca_file=ours.pem)
    for context in (ssl_context(settings), ssl_context(Settings(token="t", owner_no="1"))):
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname


def test_pkcs12_leaves_no_file_behind(ours: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    file = bundle(*ours.issue("client.example"), None, tmp_path / "client.p12")
    Billing(token=TOKEN, owner_no=LEDGER, client_cert=file).close()
    assert list((tmp_path / "scratch").iterdir()) == []


# proxy


class HangingUp:
    """A TLS server that closes every connection when it has read the request."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def __enter__(self) -> Self:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listening.accept()
                with suppress(OSError), plain, self._context.wrap_socket(plain, server_side=True) as secured:
                    secured.settimeout(60)
                    secured.recv(65536)


class ConnectProxy:
    """A proxy that tunnels, and remembers what was asked of it."""

    def __enter__(self) -> Self:
        self.asked: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._sockets: list[socket.socket] = [self._listening]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                head = b""
                while b"\r\n\r\n" not in head:
                    head += near.recv(65536)
                self.asked.append(head.decode().splitlines()[0])
                host, port = head.decode().split()[1].split(":")
                far = socket.create_connection((host, int(port)))
                self._sockets += [near, far]
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                for source, sink in ((near, far), (far, near)):
                    thread = threading.Thread(target=self._pump, args=(source, sink))
                    thread.start()
                    self._threads.append(thread)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def test_a_proxy_tunnels_and_never_sees_the_token(
    make: Callable[..., Any], secured: MockServer, ours: Authority
) -> None:
    certificate, key = ours.issue("client.example")
    with ConnectProxy() as proxy:
        billing = make(
            token=TOKEN,
            base_url=secured.url,
            client_cert=certificate,
            client_key=key,
            ca_file=ours.pem,
            proxy=proxy.url,
        )
        with pytest.raises(ANSWERED):
            billing.customer("1").get()
        assert proxy.asked == [f"CONNECT 127.0.0.1:{secured.port} HTTP/1.1"]


def test_a_proxy_that_is_down_means_never_sent(make: Callable[..., Any]) -> None:
    billing = make(token=TOKEN, base_url="https://127.0.0.1:9", proxy="http://127.0.0.1:1").with_options(attempts=1)
    with pytest.raises(pb.NeverSent):
        billing.customer("1").create()
