"""The mock's certificates."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of the mock.

    Attributes:
        certificate: its certificate, with the chain.
        key: its private key.
        client_ca: when given, clients must show a certificate that this authority issued, as PayEx demands it.
    """

    certificate: str | PathLike[str]
    key: str | PathLike[str]
    client_ca: str | PathLike[str] | None = None

    def context(self) -> ssl.SSLContext:
        """The same for Python's own TLS.

        Raises:
            OSError: a file cannot be read or is no certificate; `ssl.SSLError` is one.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
