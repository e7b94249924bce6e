"""A rejected certificate proves nothing about a request that the client sent on an earlier connection.

If the response to that request was lost, the client must still report it as lost.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from payex_billing import AnswerLost, CertificateRejected, Charge, OutcomeUnknown

from tests.chaos.hostile import (
    FOUR,
    Connection,
    Gone,
    HostileServer,
    Kind,
    Ledger,
    Pki,
    alert,
    head,
    name_of,
    opened,
    outcome,
    refuse_with_alert,
    run,
)

# The TLS alerts about certificates (RFC 8446, section 6), and three alerts that servers send instead of them.
ALERTS = {
    "handshake_failure": 40,
    "bad_certificate": 42,
    "unsupported_certificate": 43,
    "certificate_revoked": 44,
    "certificate_expired": 45,
    "certificate_unknown": 46,
    "unknown_ca": 48,
    "access_denied": 49,
    "internal_error": 80,
    "certificate_required": 116,
}
ABOUT_CERTIFICATES = [name for name, number in ALERTS.items() if number in {42, 43, 44, 45, 46, 48, 116}]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def other_pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("other"))


@pytest.fixture(params=["without a client certificate", "with a client certificate"])
def options(request: pytest.FixtureRequest, pki: Pki) -> dict[str, Any]:
    """The client's TLS settings, without and with a client certificate.

    The advice in the error message depends on whether a client certificate is configured.
    """
    own: dict[str, Any] = {"client_cert": pki.client_pem} if request.param.startswith("with ") else {}
    return {"ca_file": pki.ca_file, **own}


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

# the ways in which the first connection ends after the request took effect

ENDS: dict[str, Callable[[Connection], None]] = {
    "FIN": lambda connection: connection.close(),
    "close_notify": lambda connection: connection.close(notify=True),
    "RST": lambda connection: connection.reset(),
    "half a status line": lambda connection: connection.send(b"HTTP/1.1 2"),
    "half a head": lambda connection: connection.send(head(201)[:-2]),
    "100 only": lambda connection: connection.send(head(100)),
    "a bare alert": lambda connection: connection.send_raw(alert(42)),
    "clear text": lambda connection: connection.send_raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a broken record": lambda connection: connection.send_raw(b"\x17\x03\x03\x00\x20" + bytes(32)),
}


class LosesTheFirst:
    """A server that performs the first request, then ends the connection and rejects all later connections.

    `arm` resets this state, so that many cases can use the same server and the same client.
    """

    def __init__(self) -> None:
        self.arm(ENDS["FIN"], lambda raw: raw.close())

    def arm(self, end: Callable[[Connection], None], refuse: Callable[[socket.socket], None]) -> None:
        self.ledger = Ledger()
        self.end, self.refuse, self.fresh = end, refuse, True

    def before(self, raw: socket.socket, _: int) -> bool:
        refused, self.fresh = not self.fresh, False
        if refused:
            self.refuse(raw)
        return refused

    def handle(self, connection: Connection) -> None:
        if request := connection.read_request():
            self.ledger.perform(request)
            self.end(connection)


def with_certificate_of(pki: Pki) -> Callable[[socket.socket], None]:
    """Present a certificate that the client does not trust, so that the client rejects it."""

    def refuse(raw: socket.socket) -> None:
        with suppress(Gone, ssl.SSLError):
            Connection(raw, pki.context(), _NEVER, 1).read()
        raw.close()

    return refuse


def without_certificate(pki: Pki) -> Callable[[socket.socket], None]:
    """Require a client certificate of another authority, so that OpenSSL itself sends the alert."""

    def refuse(raw: socket.socket) -> None:
        with suppress(Gone, ssl.SSLError):
            Connection(raw, pki.context(client_needed=True), _NEVER, 1).read()
        raw.close()

    return refuse


class _Never:
    """A stop event that is never set."""

    def is_set(self) -> bool:
        return False


_NEVER: Any = _Never()


def refusals(other: Pki) -> dict[str, Callable[[socket.socket], None]]:
    return {
        **{name: refuse_with_alert(number) for name, number in ALERTS.items()},
        "an authority the client does not know": with_certificate_of(other),
        "a client certificate is needed": without_certificate(other),
        "closed at once": lambda raw: raw.close(),
    }


async def create_lost(kind: Kind, server: HostileServer, options: dict[str, Any]) -> Any:
    async with opened(kind, server.url, **options) as billing:
        return await create(billing)


async def create(billing: Any) -> Any:
    return await outcome(lambda: billing.customer("c").recurring_products.create(Charge(product_code="P01")))


Cases = dict[str, tuple[Callable[[Connection], None], Callable[[socket.socket], None]]]


def lost_posts(kind: Kind, context: ssl.SSLContext, options: dict[str, Any], cases: Cases) -> list[str]:
    """Return the cases that did not end with OutcomeUnknown and exactly 1 charge."""
    loses = LosesTheFirst()
    wrong = []

    async def scenario() -> None:
        async with opened(kind, server.url, **options) as billing:
            for name, (end, refuse) in cases.items():
                loses.arm(end, refuse)
                result, posted = await create(billing), loses.ledger.posts["P01"]
                if not isinstance(result, OutcomeUnknown) or posted != 1:
                    wrong.append(f"{name}: {posted} charged, {name_of(result)}: {result}"[:200])

    with HostileServer(loses.handle, context, before=loses.before) as server:
        run(kind, scenario())
    return wrong


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_refused_second_connection_never_makes_a_sent_post_one_that_was_never_sent(
    kind: Kind, options: dict[str, Any], pki: Pki, other_pki: Pki
) -> None:
    cases = {name: (ENDS["FIN"], refuse) for name, refuse in refusals(other_pki).items()}
    wrong = lost_posts(kind, pki.context(), options, cases)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("tls", VERSIONS)
def test_a_post_that_took_effect_is_unknown_however_the_connection_ends(
    kind: Kind, tls: str, options: dict[str, Any], pki: Pki
) -> None:
    context = pki.context()
    context.minimum_version = context.maximum_version = VERSIONS[tls]
    wrong = lost_posts(kind, context, options, {name: (end, lambda raw: raw.close()) for name, end in ENDS.items()})
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_retry_that_is_refused_does_not_make_the_first_attempt_one_that_was_never_sent(kind: Kind, pki: Pki) -> None:
    """The first attempt took effect, so the error must not say that no request reached the server."""
    loses = LosesTheFirst()
    wrong = []
    calls: dict[str, Callable[[Any], Any]] = {
        "get": lambda charges: charges.get("id-0"),
        "update": lambda charges: charges.update("id-0", text="x"),
        "delete": lambda charges: charges.delete("id-0"),
    }

    async def scenario() -> None:
        async with opened(kind, server.url, ca_file=pki.ca_file) as billing:
            charges = billing.with_options(attempts=2).customer("c").recurring_products
            for call, act in calls.items():
                for name in ("bad_certificate", "certificate_required"):
                    loses.arm(ENDS["FIN"], refuse_with_alert(ALERTS[name]))
                    result = await outcome(lambda act=act: act(charges))
                    if not isinstance(result, AnswerLost) or len(loses.ledger.requests) != 1:
                        wrong.append(f"{call}, {name}: {name_of(result)}: {result}"[:200])

    with HostileServer(loses.handle, pki.context(), before=loses.before) as server:
        run(kind, scenario())
    assert not wrong, "\n".join(wrong)


# Control tests: the client still reports CertificateRejected if it sent no request before the rejection.


def answering(ledger: Ledger) -> Callable[[Connection], None]:
    """Return a handler that responds correctly to every request."""

    def handle(connection: Connection) -> None:
        while request := connection.read_request():
            connection.send(ledger.perform(request))

    return handle


@pytest.fixture
def silent_ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    assert not ledger.requests, "the request was read after all"


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_certificate_alert_on_the_only_connection_is_certificate_rejected(
    kind: Kind, pki: Pki, silent_ledger: Ledger
) -> None:
    chosen: list[str] = []

    def before(raw: socket.socket, _: int) -> bool:
        refuse_with_alert(ALERTS[chosen[-1]])(raw)
        return True

    async def scenario() -> dict[str, str]:
        async with opened(kind, server.url, ca_file=pki.ca_file) as billing:
            results = {}
            for name in ABOUT_CERTIFICATES:
                chosen.append(name)
                results[name] = name_of(await create(billing))
            return results

    with HostileServer(answering(silent_ledger), pki.context(), before=before) as server:
        results = run(kind, scenario())
    assert results == dict.fromkeys(ABOUT_CERTIFICATES, "CertificateRejected")


@pytest.mark.parametrize("kind", FOUR, ids=str)
@pytest.mark.parametrize("tls", VERSIONS)
def test_a_server_that_needs_a_client_certificate_is_certificate_rejected(
    kind: Kind, tls: str, pki: Pki, tmp_path: Path, silent_ledger: Ledger
) -> None:
    """The server requires a client certificate, and the client has none.

    On TLS 1.3 the alert arrives after the client has finished its handshake. The client may already have written the
    request then.
    """
    context = pki.context(client_needed=True)
    context.minimum_version = context.maximum_version = VERSIONS[tls]
    with HostileServer(answering(silent_ledger), context) as server:
        result = run(kind, create_lost(kind, server, {"ca_file": pki.ca_file}))
    assert isinstance(result, CertificateRejected), f"{name_of(result)}: {result}"


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_a_server_certificate_of_an_unknown_authority_is_certificate_rejected(
    kind: Kind, pki: Pki, other_pki: Pki, silent_ledger: Ledger
) -> None:
    with HostileServer(answering(silent_ledger), other_pki.context()) as server:
        result = run(kind, create_lost(kind, server, {"ca_file": pki.ca_file}))
    assert isinstance(result, CertificateRejected), f"{name_of(result)}: {result}"
