"""What `payex-billing doctor` finds around a call: versions, extras, the journal, the transport of each command."""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import attrs
import click

from .._transport import _choice
from .._version import __version__
from ..config import Settings, effective_proxy
from ..errors import BillingError, ConfigurationError
from ..reconcile._address import name_of
from ..reconcile._history import is_there, reading
from ..reconcile._opening import place_of
from ._common import engine_of_one_call
from ._journal import journal_of

SINGLE: Final = ("charges", "customer")
"""Commands that send single calls."""
RUNS: Final = ("apply", "drift", "export", "plan", "retry", "undo", "work")
"""Commands that send many calls at once."""
_EXTRAS: Final = {
    "tables": "duckdb", "fast": "pyreqwest", "mock": "granian", "postgres": "psycopg", "pkcs12": "cryptography",
    "otel": "opentelemetry-api", "dask": "distributed", "contract": "schemathesis",
}  # fmt: skip
"""The package of each extra that only this extra brings."""


@attrs.frozen
class Finding:
    """One line of the doctor: `ok`, `wrong`, `warning`, or `-` for what could not be looked at."""

    verdict: str
    what: str
    detail: str
    do: str = ""


class Wrong(Exception):
    """A finding after which the doctor cannot look further: what is wrong, the detail, and what to do."""


def program() -> Iterator[Finding]:
    """Find out what runs, and which extras are installed."""
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("ok", "program", f"payex-billing {__version__}, Python {platform.python_version()}, {system}")
    installed = {extra: found for extra, package in _EXTRAS.items() if (found := _version(package))}
    named = ", ".join(f"{extra} ({_EXTRAS[extra]} {found})" for extra, found in installed.items())
    missing = ", ".join(extra for extra in _EXTRAS if extra not in installed)
    yield Finding("ok", "extras", (named or "none") + (f"; not installed: {missing}" if missing else ""))


def engines(client: Mapping[str, Any], settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the commands of each engine.

    Raises:
        ConfigurationError: an engine cannot be used.
    """
    for_runs = _choice.chosen(settings)
    for_one = _choice.chosen(Settings.load(**{**client, "engine": client.get("engine") or engine_of_one_call()}))
    if for_runs == for_one:
        return {for_runs: tuple(sorted((*RUNS, *SINGLE)))}
    return {for_runs: RUNS, for_one: SINGLE}


def transports(settings: Settings, by_engine: Mapping[str, tuple[str, ...]]) -> Iterator[Finding]:
    """Find out what each command sends its requests with, and through which proxy.

    Raises:
        Wrong: the proxy cannot be used.
    """
    for engine, commands in by_engine.items():
        yield Finding("ok", "transport", f"{', '.join(commands)}: {_engine(engine)}, {_tls(engine, settings)}")
    try:
        proxy = effective_proxy(settings)
    except ConfigurationError as error:
        raise Wrong("proxy", str(error), "correct HTTPS_PROXY, or set PAYEX_PROXY") from None
    yield Finding("ok", "proxy", f"all commands: {_proxy(settings, proxy)}")


def journal(client: Mapping[str, Any]) -> Iterator[Finding]:
    """Find out whether the journal can be read."""
    named = os.environ.get("PAYEX_JOURNAL")
    try:
        place, ledger = journal_of(place_of(named) if named else None, client)
        if not is_there(place):
            yield Finding("ok", "journal", f"{name_of(place)}, which the first run creates")
            return
        with reading(place, ledger) as history:
            count = sum(1 for _ in history.runs())
        yield Finding("ok", "journal", f"{name_of(place)}, {count} run{'' if count == 1 else 's'}")
    except (BillingError, click.ClickException, OSError) as error:
        said = error.format_message() if isinstance(error, click.ClickException) else str(error)
        yield Finding("wrong", "journal", said, "check PAYEX_JOURNAL, or the state directory")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _engine(engine: str) -> str:
    package = {"httpx": "httpx2", "reqwest": "pyreqwest"}[engine]
    return f"{engine} ({package} {_version(package)})"


def _tls(engine: str, settings: Settings) -> str:
    if urlsplit(settings.base_url).scheme != "https":
        return "without TLS"
    library = ssl.OPENSSL_VERSION if engine == "httpx" else "rustls"
    own = f" and those of {settings.ca_file}" if settings.ca_file else ""
    shown = f"shows {settings.client_cert}" if settings.client_cert else "shows no client certificate"
    return f"TLS by {library}, trusts the authorities of the system{own}, {shown}"


def _proxy(settings: Settings, proxy: str | None) -> str:
    if proxy is None:
        if urlsplit(settings.base_url).scheme != "https":
            return "none, because plain http never goes through a proxy"
        bypassed = getproxies().get("https") or getproxies().get("all")
        return "none, because NO_PROXY names the host" if bypassed else "none"
    parts = urlsplit(proxy)  # only the host and the port: the rest may be a password
    origin = settings.origins.get("proxy", "default")
    source = "the environment or the system" if origin == "default" else origin
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}  [{source}]"
