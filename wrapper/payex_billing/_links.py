"""Links that the server sends are followed only inside the configured API: a token goes nowhere else."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote, urlsplit

from .errors import UnsafeLink

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_FORBIDDEN_DECODED = re.compile(r"[\x00-\x1f\x7f\\]")
_DECODINGS = 4
_SAFE = "/%:@!$&'()*+,;=-._~?"


def path_under(base_url: str, prefix: str, link: str) -> str:
    """The path (and query) of a link, relative to `prefix`, percent-encoded.

    Args:
        base_url: the configured origin, such as `https://lf-api.payex.com`.
        prefix: the path that the link must stay under, such as `/billing/customer/v1`.
        link: what the server sent.

    Raises:
        UnsafeLink: the link leads to another origin or out of the prefix, or a server could read it in two ways.
    """
    if _FORBIDDEN.search(link):
        raise UnsafeLink("the link holds a space, a control character or a backslash")
    try:
        link.encode()
        parts = urlsplit(link)
        origin = (parts.scheme.lower(), parts.hostname, parts.port, parts.username or parts.password)
        base = urlsplit(base_url)
    except ValueError:  # UnicodeEncodeError, for a lone surrogate, is one
        raise UnsafeLink("the link cannot be read as a URL") from None
    # A link with a host must name exactly the configured one, so that `//host` and a userinfo are refused too.
    if (parts.scheme or parts.netloc) and (
        origin[0] != base.scheme or parts.netloc.lower() != base.netloc.lower() or origin[3]
    ):
        raise UnsafeLink("the link leads to another origin")
    if not parts.path.startswith(prefix + "/"):
        raise UnsafeLink("the link leads out of the configured API")
    inside = parts.path.removeprefix(prefix)
    _check_segments(inside)
    query = f"?{parts.query}" if parts.query else ""
    return quote(inside + query, safe=_SAFE)


def _check_segments(path: str) -> None:
    """Refuse what some server or gateway resolves to another place, however often it decodes the path.

    A number of a customer may hold a `/`, which is sent as `%2F` (`A%2FB`). So an encoded slash is no fault by itself,
    but nothing between slashes, encoded or not, may be a dot segment.
    """
    decoded = path
    for _ in range(_DECODINGS):
        decoded = unicodedata.normalize("NFKC", unquote(decoded))  # fullwidth dots and slashes become plain ones
    if _FORBIDDEN_DECODED.search(decoded):
        raise UnsafeLink("the link holds an encoded control character or backslash")
    for text in (path, unquote(path), unquote(unquote(path)), decoded):
        # `;` begins parameters, which some servers cut off: `..;/` is then a dot segment.
        if any(segment.partition(";")[0].strip() in {".", ".."} for segment in re.split(r"[/\\]", text)):
            raise UnsafeLink("the link holds a dot segment")
