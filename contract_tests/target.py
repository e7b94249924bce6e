"""A real endpoint as a run is told of it: by options on the command line, secrets by the environment."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self
from urllib.parse import urlsplit

from .api import Api, base_of
from .exchange import CONTRACT, DOCUMENT
from .guard import Guard
from .transports import OverHttp

# The requests of a run on the mock with two ledgers: without and with writes, and to remove what it made.
READS, WRITES, REMOVALS = 700, 10_500, 2_700
MARGIN = 1.5  # a run stops at so many times the announced requests; an endpoint with pages needs more than the mock
RATE = 10.0  # requests per second, unless told otherwise
PRODUCTION = {
    urlsplit(server["url"]).hostname for server in DOCUMENT["servers"] if server["description"] == "Production"
}
LOCAL = {"127.0.0.1", "localhost", "::1"}
PREFIX = re.compile(r"[A-Za-z0-9-]{2,8}")


class WrongSetup(Exception):
    """The target cannot be used as it was named; the text is a sentence for the user."""


class Unusable(WrongSetup):
    """The target was reached for, and cannot be used; the text says why."""


@dataclass(frozen=True)
class Target:
    """Where to, what for, and how fast.

    Attributes:
        url: origin, or base URL.
        ledger: the ledger that is read, and written to if there is a prefix.
        prefix: what the numbers of all customers written to begin with; empty for safe methods only.
        rate: requests per second at most.
    """

    url: str
    ledger: str
    prefix: str = ""
    rate: float = RATE
    production: bool = False

    def check(self, environment: Mapping[str, str]) -> None:
        """Refuse what cannot be meant.

        Raises:
            WrongSetup: it cannot be.
        """
        try:
            parts = urlsplit(self.url)
            host = parts.hostname
        except ValueError as error:
            raise WrongSetup(f"{self.url} is not a URL: {error}") from None
        if parts.scheme not in {"http", "https"} or not host:
            raise WrongSetup(f"{self.url} is not a URL such as https://api.sandbox.payex.com")
        if parts.scheme == "http" and host not in LOCAL:
            raise WrongSetup("the target must be https: over http the token could be read on the way")
        if not environment.get("PAYEX_TOKEN"):
            raise WrongSetup("a target needs PAYEX_TOKEN in the environment")
        if not self.ledger:
            raise WrongSetup("a target needs --ledger, or PAYEX_OWNER_NO in the environment")
        if self.prefix and not PREFIX.fullmatch(self.prefix):
            raise WrongSetup("--prefix takes 2 to 8 letters, digits and hyphens, such as CT-")
        if not 0 < self.rate <= 1000:
            raise WrongSetup("--rate takes requests per second, more than 0 and at most 1000")
        if self.prefix and host in PRODUCTION and not self.production:
            raise WrongSetup(
                f"{host} is production: real customers are billed there. To write all the same: --production"
            )

    @property
    def expected(self) -> int:
        """About how many requests a run sends, with the clean-up."""
        return WRITES + REMOVALS if self.prefix else READS

    @property
    def limit(self) -> int:
        """The highest number of requests of a run. The clean-up comes on top."""
        return round(MARGIN * (WRITES if self.prefix else READS))

    @property
    def base_url(self) -> str:
        """Origin and base path."""
        return "".join(base_of(self.url, CONTRACT.base_path))

    def context(self, environment: Mapping[str, str]) -> ssl.SSLContext:
        """TLS with the certificates that the environment names.

        Raises:
            WrongSetup: a file cannot be read, or is no certificate.
        """
        certificate, key = environment.get("PAYEX_CLIENT_CERT"), environment.get("PAYEX_CLIENT_KEY")
        try:
            context = ssl.create_default_context(cafile=environment.get("PAYEX_CA_FILE") or None)
            if certificate:
                password = environment.get("PAYEX_CLIENT_KEY_PASSWORD", "")
                context.load_cert_chain(certificate, key or None, lambda: password)
        except OSError as error:  # ssl.SSLError is one
            raise WrongSetup(
                f"a certificate cannot be used, check PAYEX_CLIENT_CERT, PAYEX_CLIENT_KEY and PAYEX_CA_FILE: {error}"
            ) from None
        return context

    def open(self, environment: Mapping[str, str]) -> Api:
        """Speak to it: the ledger, and a second one if PAYEX_OTHER_OWNER_NO and PAYEX_OTHER_TOKEN are there."""
        origin, base_path = base_of(self.url, CONTRACT.base_path)
        transport = OverHttp(origin, self.context(environment) if origin.startswith("https") else None)
        guard = Guard(self.prefix or None, self.rate, self.limit)
        api = Api(transport, base_path, self.ledger, environment["PAYEX_TOKEN"], self.prefix, guard=guard, real=True)
        other, token = environment.get("PAYEX_OTHER_OWNER_NO"), environment.get("PAYEX_OTHER_TOKEN")
        if other and token:
            api.other = Api(transport, base_path, other, token, self.prefix, guard=guard, real=True)
        return api

    def to_environment(self) -> dict[str, str]:
        """For a process of its own."""
        return {f"CONTRACT_{name.upper()}": str(value) for name, value in asdict(self).items() if name != "production"}

    @classmethod
    def from_environment(cls) -> Self:
        """As `to_environment` gave it."""
        read = os.environ.get
        return cls(
            read("CONTRACT_URL", ""),
            read("CONTRACT_LEDGER", ""),
            read("CONTRACT_PREFIX", ""),
            float(read("CONTRACT_RATE", str(RATE))),
        )
