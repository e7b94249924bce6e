"""Links that the server sends are followed only inside the configured API: a token goes nowhere else."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote, unquote, urlsplit

from ..errors import UnsafeLink

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
# `;` begins parameters, which some servers cut off. Two dots beside any sign that is no letter or digit are refused, as
# there are more signs that look like a slash than can be listed.
_DOT_SEGMENT = re.compile(r"(?:^|/)\s*\.{1,2}\s*(?:$|[/;])|(?:^|[^\w.])\.\.(?:$|[^\w.])")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DECODINGS = 5
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
    """Refuse what some server or gateway could resolve to another place, however often and however it decodes.

    A number of a customer may hold a `/`, which is sent as `%2F` (`A%2FB`). So an encoded slash is no fault by itself,
    but nothing between slashes, or what looks like them, may be a dot segment.
    """
    if _BROKEN_ESCAPE.search(path):
        raise UnsafeLink("the link holds a percent sign that begins no escape")
    decoded = path
    for _ in range(_DECODINGS):
        if "\\" in decoded or not decoded.isprintable():
            raise UnsafeLink("the link holds a backslash, or an invisible or control character")
        if _DOT_SEGMENT.search(decoded):
            raise UnsafeLink("the link holds a dot segment")
        try:
            decoded = unquote(decoded, errors="strict")
        except UnicodeDecodeError:
            raise UnsafeLink("the link holds escapes that are not UTF-8") from None
        decoded = unicodedata.normalize("NFKC", decoded)  # fullwidth dots and slashes become plain ones
