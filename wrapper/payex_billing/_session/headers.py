"""The header fields that a client sends with every request: its own, the caller's, and the User-Agent."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping

from .._secret import Secret, kind_of
from .._text import cut, printable
from .._version import __version__
from ..errors import ConfigurationError

ACCEPT = "application/json, application/problem+json"
APP_INFO_LENGTH = 100
TRACE = frozenset({"traceparent", "tracestate"})
"""The fields of W3C Trace Context."""

# Why the caller cannot set a field. RFC 9110, section 7.6.1, names the fields that belong to a connection.
_OURS = "the client sets it"
_ONE_CONNECTION = "it belongs to one connection, and the transport sets it"
_OTHER_REQUEST = "the server would do something else than the client asked for"
_REFUSED: Mapping[str, str] = {
    "authorization": "the client sets it; use token=…",
    "user-agent": "the client sets it; use app_info=…",
    **dict.fromkeys(("accept", "accept-encoding", "content-encoding", "content-type", "host"), _OURS),
    **dict.fromkeys(
        (
            "connection", "content-length", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization",
            "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        ),
        _ONE_CONNECTION,
    ),
    **dict.fromkeys(("range", "x-http-method", "x-http-method-override", "x-method-override"), _OTHER_REQUEST),
    # A server that supports this field would return the first creation's response to every later creation.
    "idempotency-key": "it must differ from request to request",
}  # fmt: skip
# RFC 9110, sections 5.1 and 5.5, but only ASCII, because servers decode other bytes in different ways.
_name = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_value = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?").fullmatch
_product = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?").fullmatch


def masked(headers: object) -> object:
    """Return the caller's headers with masked values.

    A traceback with captured locals must not show a gateway's key.
    """
    if not isinstance(headers, Mapping):
        return None if headers is None else Secret.of(headers)
    return {name: Secret.of(value) for name, value in headers.items()}


def all_headers(own: object, app_info: object) -> Mapping[str, str]:
    """Return the header fields of every request of a client.

    Args:
        own: the caller's header fields, with masked values; None if there are none.
        app_info: the program that uses this package; None if the caller gives none.

    Raises:
        ConfigurationError: a header field or `app_info` cannot be sent. The message shows no header value.
    """
    # The most significant product comes first (RFC 9110, section 10.1.5).
    user_agent = f"payex-billing/{__version__} Python/{platform.python_version()}"
    if app_info is not None:
        user_agent = f"{_app(app_info)} {user_agent}"
    return {"Accept": ACCEPT, "User-Agent": user_agent, **_checked(own)}


def _app(app_info: object) -> str:
    if isinstance(app_info, tuple):
        parts = app_info
        if len(parts) != 2 or not all(isinstance(part, str) and "/" not in part for part in parts):
            raise ConfigurationError("app_info must be two strings, such as ('crm-sync', '2.1')")
        app_info = "/".join(parts)
    if not isinstance(app_info, str):
        raise ConfigurationError(f"app_info must be a str or two of them, not {type(app_info).__name__}")
    if not _product(app_info) or len(app_info) > APP_INFO_LENGTH:
        raise ConfigurationError(
            f"app_info must be a name, or a name and a version, such as crm-sync/2.1: ASCII letters, digits and "
            f"!#$%&'*+-.^_`|~, at most {APP_INFO_LENGTH} characters"
        )
    return app_info


def _checked(own: object) -> dict[str, str]:
    """Check the caller's headers, and return them with masked values."""
    if own is None:
        return {}
    if not isinstance(own, Mapping):
        raise ConfigurationError(f"headers must be a mapping of names to values, not {kind_of(own)}")
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in own.items():
        if not isinstance(name, str) or not _name(name):
            raise ConfigurationError(f"headers holds {_shown(name)}, which is no name of a header")
        lower = name.lower()
        if lower in _REFUSED:
            raise ConfigurationError(f"headers must not hold {name}: {_REFUSED[lower]}")
        if lower in seen:
            raise ConfigurationError(f"headers holds {name} twice: upper and lower case make no difference")
        if not isinstance(value, str):
            raise ConfigurationError(f"the value of the header {name} must be a str, not {kind_of(value)}")
        if not _value(value):
            raise ConfigurationError(
                f"the value of the header {name} is empty, or holds a line break, an outer space or a character "
                "that is not printable ASCII"
            )
        seen.add(lower)
        checked[name] = Secret.of(value)
    return checked


def _shown(name: object) -> str:
    return repr(cut(printable(name), 80)) if isinstance(name, str) else f"a {type(name).__name__}"
