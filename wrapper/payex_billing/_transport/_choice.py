"""Which built-in transport a client gets, and what it is made of."""

from __future__ import annotations

import os
import ssl
import sys
from importlib.util import find_spec

from .._credentials import tls
from ..config import Settings, effective_proxy
from ..errors import ConfigurationError
from ._interface import AsyncTransport, Transport


def chosen(settings: Settings) -> str:
    """The name of the transport that the settings ask for: `httpx` or `reqwest`.

    Raises:
        ConfigurationError: the transport is not installed, or cannot be used in this process.
    """
    if settings.engine == "httpx":
        return "httpx"
    installed = find_spec("pyreqwest") is not None
    # Another thread may be importing the module at this moment: then it has started nothing yet.
    started_in = getattr(sys.modules.get(f"{__package__}._reqwest"), "started_in", None)
    forked = started_in not in {None, os.getpid()}
    if settings.engine == "reqwest":
        if not installed:
            raise ConfigurationError("the engine reqwest needs an extra: pip install 'payex-billing[fast]'")
        if forked:
            raise ConfigurationError("the engine reqwest does not work in a process forked from one that has used it")
        return "reqwest"
    if not installed or forked or (tls.key_is_encrypted(settings) and find_spec("cryptography") is None):
        return "httpx"
    return "reqwest"


def default_transport(settings: Settings) -> Transport:
    """The transport of a `Billing` that was not given one. `payex_billing.testing` replaces this function."""
    proxy, context = effective_proxy(settings), _checked_context(settings)
    if chosen(settings) == "reqwest":
        from ._sync import reqwest  # noqa: PLC0415 - an extra

        return reqwest.Transport(settings, proxy)
    from ._sync import httpx2  # noqa: PLC0415 - not loaded beside the fast transport

    return httpx2.Transport(settings, context, proxy)


def default_async_transport(settings: Settings) -> AsyncTransport:
    """The transport of an `AsyncBilling` that was not given one. `payex_billing.testing` replaces this function."""
    proxy, context = effective_proxy(settings), _checked_context(settings)
    if chosen(settings) == "reqwest":
        from ._async import reqwest  # noqa: PLC0415

        return reqwest.AsyncTransport(settings, proxy)
    from ._async import httpx2  # noqa: PLC0415

    return httpx2.AsyncTransport(settings, context, proxy)


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """The context that the settings ask for.

    Raises:
        ConfigurationError: a certificate cannot be used.
    """
    from . import _httpx2  # noqa: PLC0415

    if settings.client_cert is None and settings.ca_file is None:
        return _httpx2.default_ssl_context()
    return tls.prepare(_httpx2.new_ssl_context(), settings)


def _checked_context(settings: Settings) -> ssl.SSLContext | None:
    """The context; None where none is needed. Files are read now, so that an error appears where they were named."""
    named = settings.client_cert is not None or settings.ca_file is not None
    return ssl_context(settings) if named or chosen(settings) == "httpx" else None
