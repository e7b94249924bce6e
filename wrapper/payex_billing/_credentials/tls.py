"""Certificates: ours, shown to the server, and those the server's is checked against."""

from __future__ import annotations

import os
import re
import secrets
import socket
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..config import Settings
from ..errors import ConfigurationError

PROBE_SECONDS = 1.0
PKCS12_SUFFIXES = {".p12", ".pfx"}
# What a server says that does not like our certificate. In TLS 1.3 it comes with the first answer, not the handshake.
_ALERTS = {
    "CERTIFICATE_REQUIRED": "the server demands a client certificate: set PAYEX_CLIENT_CERT and PAYEX_CLIENT_KEY",
    "HANDSHAKE_FAILURE": "the server broke off the handshake, as it does without a client certificate that it accepts: "
    "check PAYEX_CLIENT_CERT",
    "UNKNOWN_CA": "the server does not know the authority that issued our client certificate: is it the one PayEx "
    "issued, and for this environment?",
    "CERTIFICATE_EXPIRED": "our client certificate has expired: ask PayEx for a new one",
    "CERTIFICATE_REVOKED": "our client certificate was revoked: ask PayEx for a new one",
    "CERTIFICATE_UNKNOWN": "the server refused our client certificate: is it for this environment, and still valid?",
    "BAD_CERTIFICATE": "the server refused our client certificate: is it for this environment, and still valid?",
    "UNSUPPORTED_CERTIFICATE": "the server refused the kind of our client certificate",
    "ACCESS_DENIED": "the server knows our client certificate, but denies access",
    "DECRYPT_ERROR": "the server could not verify our client certificate's signature: do certificate and key belong "
    "together?",
}
NO_CERTIFICATE = (
    "no client certificate is configured, and PayEx demands one: set PAYEX_CLIENT_CERT and PAYEX_CLIENT_KEY"
)
_NOT_TODAY = "the server's certificate is not valid today: check the clock of this machine, or tell PayEx ({})"
_OTHER_HOST = "the server's certificate is for another host: check base_url, PAYEX_BASE_URL ({})"
_NOT_TRUSTED = "the server's certificate is not trusted: if a proxy or a mock issued it, set PAYEX_CA_FILE ({})"
_VERIFY_EXPIRED, _VERIFY_NOT_YET, _VERIFY_HOST, _VERIFY_ADDRESS = 10, 9, 62, 64


def prepare(context: ssl.SSLContext, settings: Settings) -> ssl.SSLContext:
    """Add the configured certificates to a context that has the usual trust store.

    Raises:
        ConfigurationError: a file cannot be used; the message says which and why.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.ca_file is not None:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(f"ca_file {settings.ca_file} cannot be used: {error}") from None
    if settings.client_cert is not None:
        if Path(settings.client_cert).suffix.lower() in PKCS12_SUFFIXES:
            _load_pkcs12(context, Path(settings.client_cert), settings.client_key_password)
        else:
            _load_pem(context, settings.client_cert, settings.client_key, settings.client_key_password)
    return context


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then the error that caused it, and so on."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def certificate_advice(error: BaseException) -> str | None:
    """What to do about a refused certificate, if that is what is behind an error."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _verification(cause)
        if isinstance(cause, ssl.SSLError):
            for alert, advice in _ALERTS.items():
                if alert in (cause.reason or "").upper():
                    return f"{advice} ({cause.reason})"
    return None


def rustls_advice(reason: str) -> str | None:
    """The same for what rustls says: its names of the alerts are OpenSSL's, written together."""
    _, fatal, alert = reason.partition("received fatal alert: ")
    if fatal:
        for name, advice in _ALERTS.items():
            if alert.lower() == name.replace("_", "").lower():
                return f"{advice} ({reason})"
    if "invalid peer certificate" not in reason:
        return None
    if re.search(r"not valid for name|NotValidForName", reason):
        return _OTHER_HOST.format(reason)
    if re.search(r"expired|Expired|not valid yet|NotValidYet", reason):
        return _NOT_TODAY.format(reason)
    return _NOT_TRUSTED.format(reason)


def probe(context: ssl.SSLContext, host: str, port: int, *, has_certificate: bool) -> str | None:
    """Advice about our certificate, if a server refuses a connection for it. Sends no request.

    In TLS 1.3 the server refuses after we have begun to send, and its alert can be lost when it closes. Here nothing is
    sent after the handshake, so the alert arrives. A server that accepts us sends nothing, and we close.

    Args:
        context: with our certificates, if there are any.
        host: the server.
        port: its port.
        has_certificate: whether a client certificate is configured. If not, a server that hangs up gets that advice.
    """
    try:
        connection = socket.create_connection((host, port), timeout=PROBE_SECONDS)
    except OSError:
        return None
    no_certificate = None if has_certificate else NO_CERTIFICATE
    try:
        with connection, context.wrap_socket(connection, server_hostname=host) as secured:
            return no_certificate if secured.recv(1) == b"" else None
    except TimeoutError:
        return None
    except OSError as error:
        return certificate_advice(error) or no_certificate


def _verification(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in {_VERIFY_EXPIRED, _VERIFY_NOT_YET}:
        return _NOT_TODAY.format(error.verify_message)
    if error.verify_code in {_VERIFY_HOST, _VERIFY_ADDRESS}:
        return _OTHER_HOST.format(error.verify_message)
    return _NOT_TRUSTED.format(error.verify_message)


def _load_pem(context: ssl.SSLContext, certificate: str, key: str | None, password: str | None) -> None:
    for name, path in (("client_cert", certificate), ("client_key", key)):
        if path is not None and not os.path.isfile(path):  # noqa: PTH113 - `Path.is_file` raises for a long name
            raise ConfigurationError(f"{name} {path} is not a file")
    try:
        # Without a password Python would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password=password or "")
    except ssl.SSLError as error:
        said = error.reason or str(error)
        if "KEY_VALUES_MISMATCH" in said:
            said = "the key does not belong to the certificate"
        elif _is_encrypted(key or certificate):
            said = "the key is encrypted, and client_key_password, PAYEX_CLIENT_KEY_PASSWORD, is missing or wrong"
        raise ConfigurationError(f"client_cert {certificate} cannot be used: {said}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"client_cert {certificate} cannot be used: {error}") from None


def _load_pkcs12(context: ssl.SSLContext, path: Path, password: str | None) -> None:
    # Python takes certificates from files only: one of our own, encrypted, and gone at once.
    once = secrets.token_hex(32)
    pem = _read_pkcs12(path, password, once)
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        file = Path(folder) / "client.pem"
        file.touch(mode=0o600)
        file.write_bytes(pem)
        _load_pem(context, str(file), None, once)


def _read_pkcs12(path: Path, password: str | None, new_password: str | None) -> bytes:
    """The certificates and the key of a PKCS#12 file as PEM."""
    try:
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - an extra
            BestAvailableEncryption,
            Encoding,
            NoEncryption,
            PrivateFormat,
            pkcs12,
        )
    except ModuleNotFoundError:
        raise ConfigurationError(
            f"client_cert {path} is PKCS#12, which needs an extra: pip install 'payex-billing[pkcs12]'"
        ) from None
    try:
        loaded = pkcs12.load_pkcs12(path.read_bytes(), password.encode() if password else None)
    except OSError as error:
        raise ConfigurationError(f"client_cert {path} cannot be read: {error}") from None
    except ValueError:
        raise ConfigurationError(f"client_cert {path} is not PKCS#12, or client_key_password is wrong") from None
    if loaded.cert is None or loaded.key is None:
        raise ConfigurationError(f"client_cert {path} holds no certificate with its key")
    chain = [loaded.cert.certificate, *(each.certificate for each in loaded.additional_certs)]
    encryption = NoEncryption() if new_password is None else BestAvailableEncryption(new_password.encode())
    key = loaded.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return b"".join(each.public_bytes(Encoding.PEM) for each in chain) + key


def identity(settings: Settings) -> bytes:
    """The client certificate and its key, in the clear, as PEM: what a TLS library in memory takes.

    The files have been tried by `prepare` before.

    Raises:
        ConfigurationError: a file cannot be read, or the extra `pkcs12` is missing.
    """
    certificate = Path(settings.client_cert or "")
    if certificate.suffix.lower() in PKCS12_SUFFIXES:
        return _read_pkcs12(certificate, settings.client_key_password, None)
    try:
        pem = certificate.read_bytes()
        key = pem if settings.client_key is None else Path(settings.client_key).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"client_cert {certificate} cannot be read: {error}") from None
    if not key_is_encrypted(settings):
        return pem if settings.client_key is None else pem + b"\n" + key
    try:
        from cryptography import x509  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
            Encoding,
            NoEncryption,
            PrivateFormat,
            load_pem_private_key,
        )
    except ModuleNotFoundError:
        raise ConfigurationError(
            "the engine reqwest cannot open an encrypted key without an extra: pip install 'payex-billing[pkcs12]', or "
            "set PAYEX_ENGINE=httpx"
        ) from None
    found = re.search(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?-----END \1-----", key, re.DOTALL)
    opened = load_pem_private_key(found[0] if found else key, (settings.client_key_password or "").encode())
    clear = opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return b"".join(each.public_bytes(Encoding.PEM) for each in x509.load_pem_x509_certificates(pem)) + clear


def key_is_encrypted(settings: Settings) -> bool:
    """Whether the key, PEM, needs its password."""
    path = settings.client_key or settings.client_cert
    if path is None or Path(path).suffix.lower() in PKCS12_SUFFIXES:
        return False
    return _is_encrypted(path)


def _is_encrypted(path: str) -> bool:
    try:
        return b"ENCRYPTED" in Path(path).read_bytes()
    except OSError:  # `prepare` says what is wrong with the file
        return False
