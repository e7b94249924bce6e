"""Settings: from arguments, then `PAYEX_*` environment variables, then defaults; where each came from is kept."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import attrs

from ._contract import SERVERS, SUBDOMAIN
from ._secret import Secret, kind_of
from ._text import cut
from .errors import ConfigurationError

__all__ = ["Settings"]

ENVIRONMENTS = {name: server.origin for name, server in SERVERS.items()}
ENGINES = ("auto", "httpx", "reqwest")
MAX_CONCURRENCY = 10_000
SECRETS = ("token", "client_key_password", "proxy")  # a proxy's URL may hold a password
TokenProvider: TypeAlias = Callable[[], str]
AsyncTokenProvider: TypeAlias = Callable[[], "str | Awaitable[str]"]
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@attrs.frozen(kw_only=True)
class Settings:
    """The settings of a client.

    Attributes:
        token: the bearer token of the ledger, or a function that returns it; None when it comes from a file.
        token_file: a file that holds the token, and is read again when it changes.
        owner_no: the ledger number, which is the company's number.
        base_url: the origin, such as `https://lf-api.payex.com`.
        subdomain: the part of the route after `/billing/`; the page's route table says `billing`, its examples say
            `customer`, which is the default.
        client_cert: the client certificate, PEM (with its key, or without) or PKCS#12 (`.p12`, `.pfx`).
        client_key: its private key, PEM.
        client_key_password: what the key or the PKCS#12 file is encrypted with.
        ca_file: authorities to trust beside the usual ones, PEM.
        proxy: the URL of an HTTP proxy.
        timeout: seconds one attempt may take.
        deadline: seconds a call may take with all its attempts and waits.
        max_concurrency: requests that may be under way at once.
        max_rate: requests a second, spread evenly; None for as many as there are.
        tracing: whether to make OpenTelemetry spans.
        engine: what requests are sent with: `reqwest` (the extra `fast`), `httpx`, or `auto`, the first of them that is
            installed.
        dry_run: whether writes are recorded and not sent. There is no environment variable for it, so that nobody can
            disable a program's writes from outside.
        origins: for each setting `argument`, the name of the environment variable, or `default`.
    """

    token: str | AsyncTokenProvider | None = attrs.field(default=None, repr=False)
    token_file: str | None = None
    owner_no: str
    base_url: str = ENVIRONMENTS["production"]
    subdomain: str = SUBDOMAIN
    client_cert: str | None = None
    client_key: str | None = None
    client_key_password: str | None = attrs.field(default=None, repr=False)
    ca_file: str | None = None
    proxy: str | None = attrs.field(default=None, repr=False)
    timeout: float = 30.0
    deadline: float = 120.0
    max_concurrency: int = 100
    max_rate: float | None = None
    tracing: bool = False
    engine: str = "auto"
    dry_run: bool = False
    origins: Mapping[str, str] = attrs.field(factory=dict, repr=False, eq=False)

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, **arguments: object) -> Settings:
        """Put the settings together. An argument that is None is one that was not given.

        Args:
            environ: the environment; the process's own if not given. Pass `{}` to look at arguments only.
            **arguments: any setting by its name, and `environment` (`production` or `sandbox`) in place of `base_url`.

        Raises:
            ConfigurationError: a setting is missing or wrong.
        """
        values, origins = _given(environ, arguments)
        del environ, arguments  # a traceback with captured locals must not show what they hold
        values["base_url"], origins["base_url"] = _base_url(values, origins)
        values.pop("environment", None)
        _choose_token(values, origins)
        if "owner_no" not in values:
            raise ConfigurationError(
                "owner_no is missing: the ledger number, which is your company's number. Pass owner_no=… or set "
                "PAYEX_OWNER_NO."
            )
        if "client_key" in values and "client_cert" not in values:
            raise ConfigurationError("client_cert is missing: the key alone proves nothing. Set PAYEX_CLIENT_CERT.")
        for name, check in _CHECKS.items():
            if name in values:
                values[name] = check(values[name], _said(name, origins))
        if "proxy" in values and values["base_url"].startswith("http:"):
            raise ConfigurationError(
                f"{_said('proxy', origins)} cannot be used with an http base_url: the token would go to the proxy in "
                "clear text. Leave it out, or set an https base_url"
            )
        return cls(**values, origins=origins)

    @property
    def prefix(self) -> str:
        """The path of the API on its origin, such as `/billing/customer/v1`."""
        return SERVERS["production"].path.replace("{subdomain}", quote(self.subdomain, safe=""))

    @property
    def ledger_prefix(self) -> str:
        """The path of the ledger, which every link must stay under: the token belongs to it."""
        return f"{self.prefix}/{quote(self.owner_no, safe='')}"

    @property
    def ledger(self) -> str:
        """The address of the ledger. The number alone can be the same in the sandbox and in production.

        A dry run has its own address, so that a real run never uses the journal, the plan or the state cache of a dry
        run.
        """
        return self.base_url + self.ledger_prefix + ("#dry-run" if self.dry_run else "")


VARIABLES = {
    name: f"PAYEX_{name.upper()}"
    for name in ("environment", *(field.name for field in attrs.fields(Settings)))
    if name not in {"dry_run", "origins"}
}


def _given(environ: Mapping[str, str] | None, arguments: Mapping[str, object]) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings that were given, secrets hidden, and the origin of each."""
    unknown = arguments.keys() - VARIABLES.keys()
    if unknown:
        raise TypeError(f"there is no setting {', '.join(sorted(unknown))}")
    variables = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, variable in VARIABLES.items():
        if arguments.get(name) is not None:
            values[name], origins[name] = arguments[name], "argument"
        elif variables.get(variable, "").strip():
            values[name], origins[name] = variables[variable].strip(), variable
        else:
            origins[name] = "default"
        if name in values and (name in SECRETS or (name == "base_url" and "@" in str(values[name]))):
            values[name] = Secret.of(values[name])  # a URL with a password is rejected, and must not be shown then
    return values, origins


def _said(name: str, origins: Mapping[str, str]) -> str:
    """How the user spelled a setting."""
    return name if origins[name] in {"argument", "default"} else origins[name]


def _base_url(values: dict[str, Any], origins: dict[str, str]) -> tuple[str, str]:
    # The environment's name may come from a variable while an argument gives the URL: the nearer one wins.
    named, url = values.get("environment"), values.get("base_url")
    if named is not None and (url is None or (origins["environment"] == "argument" != origins["base_url"])):
        return ENVIRONMENTS[_one_of(named, _said("environment", origins), ENVIRONMENTS)], origins["environment"]
    if url is None:
        return ENVIRONMENTS["production"], "default"
    return _check_url(url, _said("base_url", origins)), origins["base_url"]


def _check_url(url: object, said: str) -> str:
    if not isinstance(url, str):
        raise ConfigurationError(f"{said} must be a str, not {kind_of(url)}")
    fault = _fault_of(url)
    if fault is not None:
        raise ConfigurationError(f"{said} {fault}")
    return url.rstrip("/")


def _fault_of(url: str) -> str | None:
    """What is wrong with an origin. It is apart from the error, so that no frame of a traceback holds its parts."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        (host or "").encode("idna")
    except ValueError:  # UnicodeError, for a host such as `a..b`, is one
        return "is not a URL with a valid host name and port"
    if parts.scheme not in {"https", "http"} or not host or re.search(r"[\x00-\x20\\]", url):
        return "must be an origin such as https://lf-api.payex.com"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user name or password"
    if parts.path not in {"", "/"} or parts.query or parts.fragment or url.endswith(("?", "#")):
        return "must be an origin without a path: /billing/… is added to it"
    if parts.scheme == "http" and host not in _LOOPBACK:
        return "must be https: over http the token could be read on the way"
    return None


def check_token(token: Secret, said: str) -> Secret:
    """A token that fits into a header.

    Raises:
        ConfigurationError: it does not. The token itself is not shown.
    """
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigurationError(f"{said} is empty, or holds a space, a line break or a character that no token has")
    return token


def _choose_token(values: dict[str, Any], origins: Mapping[str, str]) -> None:
    """One source of the token: an argument before a variable, the token itself before a file."""
    nearer = [name for name in ("token", "token_file") if origins[name] == "argument"]
    if nearer == ["token_file"]:
        values.pop("token", None)
    if "token" in values:
        values.pop("token_file", None)
    elif "token_file" not in values:
        raise ConfigurationError(
            "token is missing: the bearer token that PayEx issued for the ledger. Pass token=… or token_file=…, or set "
            "PAYEX_TOKEN or PAYEX_TOKEN_FILE."
        )


def _check_token(token: object, said: str) -> object:
    if callable(token):
        return token
    if not isinstance(token, Secret):
        raise ConfigurationError(f"{said} must be a str or a function, not {kind_of(token)}")
    return check_token(token, said)


def _check_path(path: Any, said: str) -> str:
    try:
        text = os.fsdecode(path)
    except TypeError:
        raise ConfigurationError(f"{said} must be a path, not {type(path).__name__}") from None
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        text = ""
    if not text or "\0" in text:
        raise ConfigurationError(f"{said} is empty, or holds a character that no path has")
    return text


def _check_password(password: object, said: str) -> object:
    if not isinstance(password, str):
        raise ConfigurationError(f"{said} must be a str, not {kind_of(password)}")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{said} must be valid Unicode: it holds a lone surrogate") from None
    return password


def _check_proxy(proxy: object, said: str) -> object:
    if not isinstance(proxy, str) or not _is_proxy(proxy):
        raise ConfigurationError(f"{said} must be a URL such as http://proxy.example:3128")
    return proxy


def _is_proxy(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        _ = parts.port, (parts.hostname or "").encode("idna"), parts.netloc.encode("ascii")
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _check_segment(value: object, said: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{said} must be a str, not {type(value).__name__}")
    if not value or value in {".", ".."} or not value.isprintable():
        raise ConfigurationError(f"{said} cannot be part of a URL")
    return value


def number_of(value: object) -> float:
    """Return a value as a number; not-a-number if it is none."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _above_zero(value: object, said: str, unit: str = "seconds") -> float:
    number = number_of(value)
    if not 0 < number < math.inf:
        raise ConfigurationError(f"{said} must be a number of {unit} above 0, not {_shown(value)}")
    return number


def _count(value: object, said: str) -> int:
    number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 10 else value
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_CONCURRENCY:
        raise ConfigurationError(f"{said} must be a whole number from 1 to {MAX_CONCURRENCY:,}, not {_shown(value)}")
    return number


def _shown(value: object) -> str:
    """A wrong value in a message; a number of thousands of digits cannot even be written."""
    try:
        return cut(repr(value), 80)
    except ValueError:
        return "a number of too many digits"


def _switch(value: object, said: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ConfigurationError(f"{said} must be one of {', '.join(words)}, not {_shown(value)}")
    return words[value.lower()]


def _one_of(value: object, said: str, choices: Collection[str]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise ConfigurationError(f"{said} must be one of {', '.join(choices)}, not {_shown(value)}")
    return value


_CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "token": _check_token,
    **dict.fromkeys(("owner_no", "subdomain"), _check_segment),
    **dict.fromkeys(("token_file", "client_cert", "client_key", "ca_file"), _check_path),
    "client_key_password": _check_password,
    "proxy": _check_proxy,
    **dict.fromkeys(("timeout", "deadline"), _above_zero),
    "max_concurrency": _count,
    "max_rate": partial(_above_zero, unit="requests a second"),
    "tracing": _switch,
    "engine": partial(_one_of, choices=ENGINES),
}


def effective_proxy(settings: Settings) -> str | None:
    """The proxy to go through: the configured one, or the one of the usual variables such as HTTPS_PROXY and NO_PROXY.

    Plain http is allowed for this machine only, and never goes through a proxy: the token would be in clear text.

    Raises:
        ConfigurationError: a variable names a proxy that cannot be used.
    """
    if settings.base_url.startswith("http:"):
        return None
    if settings.proxy is not None:
        return settings.proxy
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - slow, and the first client's to do

    parts = urlsplit(settings.base_url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return None
    proxy = Secret(proxy if "://" in proxy else f"http://{proxy}")
    del proxies
    _check_proxy(proxy, "the environment's proxy")
    return proxy
