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
        client_ca: the authority that must have issued the client's certificate, as PayEx demands one. A client
            without such a certificate gets a TLS alert. Without `client_ca`, clients need no certificate.
    """

    certificate: str | PathLike[str]
    key: str | PathLike[str]
    client_ca: str | PathLike[str] | None = None

    def context(self) -> ssl.SSLContext:
        """The files as settings for Python's own TLS: version 1.2 or later.

        Raises:
            OSError: a file cannot be read or is not a certificate (`ssl.SSLError` is an OSError).
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION  # a client could make the server work without end
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
