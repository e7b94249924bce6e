"""Make a certificate authority, a server and a client certificate for one test run.

PayEx uses mutual TLS, where the server and the client each present a certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme
from payex_billing_mock import Tls


class Certificates:
    """Makes the certificates in a folder.

    Attributes:
        ca: the authority's certificate, which a client trusts.
        client: the client's certificate and key.
        server: the arguments with which the mock demands a client certificate.
    """

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.ca)
        server = self._issue(authority, folder / "server", "127.0.0.1")
        self.client = self._issue(authority, folder / "client", "client@example.com")
        self.server = Tls(*server, client_ca=self.ca)

    @staticmethod
    def _issue(authority: trustme.CA, stem: Path, name: str) -> tuple[Path, Path]:
        issued = authority.issue_cert(name)
        certificate, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
        issued.private_key_pem.write_to_path(key)
        for blob in issued.cert_chain_pems:
            blob.write_to_path(certificate, append=True)
        return certificate, key

    def context(self) -> ssl.SSLContext:
        """Return an SSL context that trusts the authority and presents the client certificate."""
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(*self.client)
        return context
