"""`payex-billing doctor`: is everything there that a call needs, and if not, what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import attrs
import click

from .._credentials import tls
from .._sync.client import Billing
from .._transport import _choice
from ..config import SECRETS, VARIABLES, Settings
from ..errors import (
    BillingError,
    CertificateRejected,
    ConfigurationError,
    CustomerNotFound,
    Forbidden,
    LedgerNotConfigured,
    TransportError,
    Unauthorized,
)
from ._common import DONE, ERROR, client_options, json_option, say_json

SOON_DAYS = 30
SECONDS = 10.0


@attrs.frozen
class Finding:
    """One line of the doctor: `ok`, `wrong`, `warning`, or `-` for what could not be looked at."""

    verdict: str
    what: str
    detail: str
    do: str = ""


@click.command(
    epilog="\b\nExample:\n  payex-billing doctor --environment sandbox\n\nExit codes: 0 all is well, 1 it is not."
)
@client_options
@json_option
def doctor(as_json: bool, client: dict[str, Any]) -> int:
    """Check settings, certificate, TLS, token and ledger. Sends one GET and writes nothing."""
    found = list(_examine(client))
    if as_json:
        say_json({"findings": [attrs.asdict(each) for each in found]})
    else:
        colours = {"ok": "green", "wrong": "red", "warning": "yellow"}
        for each in found:
            click.echo(f"{click.style(f'{each.verdict:8}', fg=colours.get(each.verdict))}{each.what}: {each.detail}")
            if each.do:
                click.echo(f"        → {each.do}")
    return ERROR if any(each.verdict == "wrong" for each in found) else DONE


def _examine(client: dict[str, Any]) -> Iterator[Finding]:
    try:
        settings = Settings.load(**client)
    except ConfigurationError as error:
        yield Finding("wrong", "settings", str(error), "set it in the environment; docs/howto/settings.md lists all")
        return
    yield from _settings(settings)
    try:
        used = _choice.chosen(settings)
        yield Finding("ok", "transport", f"{used} for plan, apply and export; httpx for single commands, as here")
    except ConfigurationError as error:
        yield Finding("wrong", "engine", str(error), "set PAYEX_ENGINE=auto")
        return
    parts = urlsplit(settings.base_url)
    context: ssl.SSLContext | None = None
    if parts.scheme == "https":
        try:
            context = tls.prepare(ssl.create_default_context(), settings)
        except ConfigurationError as error:
            yield Finding("wrong", "certificate", str(error), "see docs/howto/credentials.md")
            return
        yield from _certificate(settings)
        shaken = list(_handshake(context, parts.hostname or "", parts.port or 443, proxied=settings.proxy is not None))
        yield from shaken
        if any(each.verdict == "wrong" for each in shaken):
            return
    else:
        yield Finding("warning", "TLS", "plain http is allowed for localhost only")
    yield from _ledger(client, settings)


def _settings(settings: Settings) -> Iterator[Finding]:
    for name in VARIABLES:
        origin = settings.origins.get(name, "default")
        value = getattr(settings, name, None)
        if value is None or (origin == "default" and name not in {"base_url", "owner_no", "subdomain"}):
            continue
        shown = "***" if name in SECRETS else str(value)
        yield Finding("ok", name, shown if origin == "default" else f"{shown}  [{origin}]")


def _certificate(settings: Settings) -> Iterator[Finding]:
    if settings.client_cert is None:
        yield Finding(
            "warning",
            "certificate",
            "none",
            "PayEx demands a client certificate with every call: set PAYEX_CLIENT_CERT",
        )
        return
    expiry = _expiry(settings)
    if expiry is None:
        yield Finding("-", "certificate", "its expiry cannot be read", "pip install 'payex-billing[pkcs12]' to see it")
        return
    days = (expiry - datetime.now(UTC)).days
    when = f"valid until {expiry:%Y-%m-%d}, {days} days"
    if days < 0:
        yield Finding("wrong", "certificate", f"expired on {expiry:%Y-%m-%d}", "order a new one from PayEx")
    elif days < SOON_DAYS:
        yield Finding("warning", "certificate", when, "order a new one from PayEx now")
    else:
        yield Finding("ok", "certificate", when)


def _expiry(settings: Settings) -> datetime | None:
    """The end of a certificate; None where it cannot be told without the extra `pkcs12`."""
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
    except ModuleNotFoundError:
        return None
    return x509.load_pem_x509_certificates(tls.identity(settings))[0].not_valid_after_utc


def _handshake(context: ssl.SSLContext, host: str, port: int, *, proxied: bool) -> Iterator[Finding]:
    if proxied:
        yield Finding("-", "TLS", "goes through the proxy; the call below shows whether it works")
        return
    try:
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            ends = str((secured.getpeercert() or {}).get("notAfter", "?"))
            yield Finding("ok", "TLS", f"{secured.version()} with {host}, whose certificate ends {ends}")
    except ssl.SSLCertVerificationError as error:
        yield Finding(
            "wrong",
            "TLS",
            f"{host} is not trusted: {error.verify_message}",
            "set PAYEX_CA_FILE to the authority that you trust",
        )
    except ssl.SSLError as error:
        yield Finding(
            "wrong", "TLS", tls.certificate_advice(error) or str(error), "check PAYEX_CLIENT_CERT and PAYEX_CLIENT_KEY"
        )
    except OSError as error:
        yield Finding(
            "wrong",
            "connection",
            f"{host}:{port}: {error.strerror or error}",
            "check the address, the network and the proxy",
        )


def _ledger(client: dict[str, Any], settings: Settings) -> Iterator[Finding]:
    try:
        with Billing(**{**client, "deadline": SECONDS}) as billing:
            billing.with_options(attempts=1).customer("0").get()
    except CustomerNotFound:
        pass
    except Unauthorized as error:
        said = error.problem.detail or str(error)
        yield Finding(
            "wrong",
            "token",
            f"refused for ledger {settings.owner_no}: {said}",
            "get a token of this ledger, or name its ledger: PAYEX_OWNER_NO",
        )
        return
    except BillingError as error:
        what, advice = next(found for kind, *found in _ADVICE if isinstance(error, kind))
        yield Finding("wrong", what, f"{type(error).__name__}: {error}" if what == "call" else str(error), advice)
        return
    yield Finding("ok", "token", "accepted")
    yield Finding("ok", "ledger", f"{settings.owner_no} is the token's")


_ADVICE: tuple[tuple[type[BillingError], str, str], ...] = (
    (CertificateRejected, "certificate", "check that it is of this environment: sandbox and production differ"),
    (Forbidden, "access", "ask PayEx whether the certificate is of this tenant"),
    (LedgerNotConfigured, "ledger", "ask PayEx to set the ledger up for Billing"),
    (TransportError, "connection", "check the address, the network and the proxy"),
    (BillingError, "call", "payex-billing problems explains problem types"),
)
