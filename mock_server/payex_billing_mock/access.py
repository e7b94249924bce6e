"""Who may use the console and `/mock/faults`: no page of another site, and for the console only this machine.

Three ways in are closed. A page of another site cannot send the header `GUARD` without asking first, and the mock
never agrees (no CORS). A page whose name was rebound to a loopback address sends its own name as Host, which is not a
loopback name. A browser on another machine has another peer address, whatever Host it sends.
"""

from __future__ import annotations

import ipaddress
import re

from .messages import Request

GUARD = "x-payex-console"
_LOOPBACK_NAME = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?", re.IGNORECASE)


def is_loopback(address: str) -> bool:
    """Whether an IP address is one of this machine's loopback addresses; an IPv4 address may be mapped to IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def has_loopback_host(request: Request) -> bool:
    """Whether the Host header is a loopback name, which no other site has."""
    return _LOOPBACK_NAME.fullmatch(request.headers.get("host", "")) is not None


def has_guard(request: Request) -> bool:
    """Whether the request has the header that pages of other sites cannot send."""
    return request.headers.get(GUARD) == "1"


def is_json(request: Request) -> bool:
    """Whether the body is declared as JSON."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
