"""`payex-billing doctor`: is everything there that a call needs, and if not, what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import click

from .. import errors
from .._credentials import tls
from .._credentials.tokens import TokenSource
from .._sync.client import Billing
from ..config import SECRETS, VARIABLES, Settings, effective_proxy
from ..errors import BillingError, ConfigurationError, CustomerNotFound, TransportError, Unauthorized
from ._client_options import client_options
from ._common import DONE, ERROR, json_option, say_json
from ._surroundings import Finding, Wrong, engines, journal, program, transports

SOON_DAYS = 30
SECONDS = 10.0


@click.command(
    epilog="\b\nExample:\n  payex-billing doctor --environment sandbox\n\nExit codes: 0 all is well, 1 it is not."
)
@client_options
@json_option
def doctor(as_json: bool, client: dict[str, Any]) -> int:
    """Check versions, settings, journal, transports, certificate, TLS, token and ledger.

    Sends one GET with each transport that the commands use, and writes nothing.
    """
    found = _examined(client)
    if as_json:
        say_json({"findings": [attrs.asdict(each) for each in found]})
    else:
        colours = {"ok": "green", "wrong": "red", "warning": "yellow"}
        for each in found:
            click.echo(f"{click.style(f'{each.verdict:8}', fg=colours.get(each.verdict))}{each.what}: {each.detail}")
            if each.do:
                click.echo(f"        → {each.do}")
    return ERROR if any(each.verdict == "wrong" for each in found) else DONE


def _examined(client: dict[str, Any]) -> list[Finding]:
    """Return the findings, up to the first one that makes further ones impossible."""
    found = []
    try:
        for finding in _examine(client):
            found.append(finding)  # noqa: PERF402 - keeps what was found before the exception
    except Wrong as wrong:
        found.append(Finding("wrong", *wrong.args))
    return found


def _examine(client: dict[str, Any]) -> Iterator[Finding]:
    yield from program()
    try:
        settings = Settings.load(**client)
    except ConfigurationError as error:
        raise Wrong("settings", str(error), "set it in the environment; docs/howto/settings.md lists all") from None
    of_settings = list(_settings(settings))
    yield from of_settings
    yield from journal(client)
    try:
        used = engines(client, settings)
    except ConfigurationError as error:
        raise Wrong("engine", str(error), "set PAYEX_ENGINE=auto") from None
    yield from transports(settings, used)
    parts = urlsplit(settings.base_url)
    if parts.scheme == "https":
        try:
            context = tls.prepare(ssl.create_default_context(), settings)
        except ConfigurationError as error:
            raise Wrong("certificate", str(error), "see docs/howto/credentials.md") from None
        yield _certificate(settings)
        if effective_proxy(settings) is None:
            yield _handshake(context, parts.hostname or "", parts.port or 443)
        else:
            yield Finding("-", "TLS", "goes through the proxy; the call below shows whether it works")
    else:
        advice = "use it for a mock only; to call PayEx, set PAYEX_ENVIRONMENT and leave PAYEX_BASE_URL out"
        yield Finding("warning", "TLS", "plain http is allowed for localhost only", advice)
    if any(each.verdict == "wrong" for each in of_settings):
        return
    for engine in used:
        _call(client, settings, engine)
        yield Finding("ok", "call", f"GET with {engine} got a response from {settings.base_url}")
    yield Finding("ok", "token", "accepted")
    yield Finding("ok", "ledger", f"{settings.owner_no} is the token's")


def _settings(settings: Settings) -> Iterator[Finding]:
    for name in VARIABLES:
        origin = settings.origins.get(name, "default")
        value = getattr(settings, name, None)
        if value is None or (origin == "default" and name not in {"base_url", "owner_no", "subdomain"}):
            continue
        shown = "***" if name in SECRETS else str(value)
        source = "option or profile" if origin == "argument" else origin
        try:
            if name == "token_file":
                TokenSource(Path(value)).get()
        except ConfigurationError as error:
            advice = "name a file that holds only the token, and that you can read: PAYEX_TOKEN_FILE"
            yield Finding("wrong", name, f"{error}  [{source}]", advice)
        else:
            yield Finding("ok", name, shown if origin == "default" else f"{shown}  [{source}]")


def _certificate(settings: Settings) -> Finding:
    if settings.client_cert is None:
        advice = "PayEx demands a client certificate with every call: set PAYEX_CLIENT_CERT"
        return Finding("warning", "certificate", "none", advice)
    expiry = _expiry(settings)
    if expiry is None:
        return Finding("-", "certificate", "its expiry cannot be read", "pip install 'payex-billing[pkcs12]' to see it")
    days = (expiry - datetime.now(UTC)).days
    when = f"valid until {expiry:%Y-%m-%d}, {days} days"
    if days < 0:
        return Finding("wrong", "certificate", f"expired on {expiry:%Y-%m-%d}", "order a new one from PayEx")
    if days < SOON_DAYS:
        return Finding("warning", "certificate", when, "order a new one from PayEx now")
    return Finding("ok", "certificate", when)


def _expiry(settings: Settings) -> datetime | None:
    """The end of a certificate; None where it cannot be told without the extra `pkcs12`."""
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None
    return x509.load_pem_x509_certificates(tls.identity(settings))[0].not_valid_after_utc


def _handshake(context: ssl.SSLContext, host: str, port: int) -> Finding:
    """Return what the TLS handshake shows.

    Raises:
        Wrong: there is no connection, or TLS fails.
    """
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            ends = str((secured.getpeercert() or {}).get("notAfter", "?"))
            return Finding("ok", "TLS", f"{secured.version()} with {host}, whose certificate ends {ends}")
    except ssl.SSLCertVerificationError as error:
        detail = f"{host} is not trusted: {error.verify_message}"
        raise Wrong("TLS", detail, "set PAYEX_CA_FILE to the authority that you trust") from None
    except ssl.SSLError as error:
        detail = tls.certificate_advice(error) or str(error)
        raise Wrong("TLS", detail, "check PAYEX_CLIENT_CERT and PAYEX_CLIENT_KEY") from None
    except OSError as error:
        raise Wrong("connection", f"{host}:{port}: {error.strerror or error}", _CHECK_NETWORK) from None


def _call(client: dict[str, Any], settings: Settings, engine: str) -> None:
    """Send one GET.

    Raises:
        Wrong: its response is not that of a ledger which accepts the token.
    """
    try:
        with Billing(**{**client, "deadline": SECONDS, "engine": engine}) as billing:
            billing.with_options(attempts=1).customer("0").get()
    except CustomerNotFound:
        pass
    except Unauthorized as error:
        said = error.problem.detail or str(error)
        advice = "get a token of this ledger, or name its ledger: PAYEX_OWNER_NO"
        raise Wrong("token", f"refused for ledger {settings.owner_no}: {said}", advice) from None
    except BillingError as error:
        what, advice = next(found for kind, *found in _ADVICE if isinstance(error, kind))
        said = f"{type(error).__name__}: {error}" if what == "call" else str(error)
        raise Wrong(what, f"{settings.base_url} with {engine}: {said}", advice) from None


_CHECK_NETWORK = "check the address, the network and the proxy"
_ADVICE: tuple[tuple[type[BillingError], str, str], ...] = (
    (errors.CertificateRejected, "certificate", "check that it is of this environment: sandbox and production differ"),
    (errors.Forbidden, "access", "ask PayEx whether the certificate is of this tenant"),
    (errors.LedgerNotConfigured, "ledger", "ask PayEx to set the ledger up for Billing"),
    (TransportError, "connection", _CHECK_NETWORK),
    (ConfigurationError, "settings", "correct the setting; docs/howto/settings.md lists all"),
    (BillingError, "call", "payex-billing problems explains problem types"),
)
