"""Access checks for the console and `/mock/faults`.

The checks stop three kinds of requests:

- From a page of another site: the browser sends the header `GUARD` only if the mock allows it, and the mock never
  does (no CORS).
- From a page whose host name now resolves to a loopback address (DNS rebinding): the request has that host name as
  Host, which is not a loopback name.
- From a browser on another machine, for the console only: the peer address is not a loopback address, whatever Host
  the browser sends.
"""

from __future__ import annotations

import ipaddress
import re

from .messages import Request

GUARD = "x-payex-console"
_LOOPBACK_NAME = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?", re.IGNORECASE)


def is_loopback(address: str) -> bool:
    """Return whether an IP address is a loopback address. Accept also an IPv4 address that is mapped to IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def has_loopback_host(request: Request) -> bool:
    """Return whether the Host header is a loopback name. Requests from other sites have another Host."""
    return _LOOPBACK_NAME.fullmatch(request.headers.get("host", "")) is not None


def has_guard(request: Request) -> bool:
    """Return whether the request has the header that pages of other sites cannot send."""
    return request.headers.get(GUARD) == "1"


def is_json(request: Request) -> bool:
    """Return whether the Content-Type declares the body as JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
