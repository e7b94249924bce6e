"""Links that the server sends are followed only inside the configured API: a token goes nowhere else."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote, urlsplit

from .errors import UnsafeLink

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_SAFE = "/%:@!$&'()*+,;=-._~?"


def path_under(base_url: str, prefix: str, link: str) -> str:
    """The path (and query) of a link, relative to `prefix`, percent-encoded.

    Args:
        base_url: the configured origin, such as `https://lf-api.payex.com`.
        prefix: the path that the link must stay under, such as `/billing/customer/v1`.
        link: what the server sent.

    Raises:
        UnsafeLink: the link leads to another origin or out of the prefix, or could be read in two ways.
    """
    if _FORBIDDEN.search(link):
        raise UnsafeLink("the link holds a space, a control character or a backslash")
    try:
        parts = urlsplit(link)
        origin = (parts.scheme.lower(), parts.hostname, parts.port, parts.username or parts.password)
        base = urlsplit(base_url)
    except ValueError:
        raise UnsafeLink("the link cannot be read as a URL") from None
    # A link with a host must name exactly the configured one, so that `//host` and a userinfo are refused too.
    if (parts.scheme or parts.netloc) and (
        origin[0] != base.scheme or parts.netloc.lower() != base.netloc.lower() or origin[3]
    ):
        raise UnsafeLink("the link leads to another origin")
    if any(unquote(segment) in {".", ".."} for segment in parts.path.split("/")):
        raise UnsafeLink("the link holds a dot segment")
    if not parts.path.startswith(prefix + "/"):
        raise UnsafeLink("the link leads out of the configured API")
    query = f"?{parts.query}" if parts.query else ""
    return quote(parts.path.removeprefix(prefix) + query, safe=_SAFE)
