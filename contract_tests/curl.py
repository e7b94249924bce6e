"""Write a request as a curl command that runs in a shell and contains no token."""

from __future__ import annotations

import base64
import gzip
import os
import re
from collections.abc import Mapping

VARIABLES = ("PAYEX_TOKEN", "PAYEX_OTHER_TOKEN")
CERTIFICATES = {"--cert": "PAYEX_CLIENT_CERT", "--key": "PAYEX_CLIENT_KEY", "--cacert": "PAYEX_CA_FILE"}
LONGEST = 2_000  # bytes of a body on the command line; a longer one is compressed
# curl sets these itself.
_OWN = {"content-length", "host", "accept-encoding", "connection", "user-agent", "x-schemathesis-testcaseid"}
_SWAP = "| tr 'A-Za-z' 'a-zA-Z'"


def tokens() -> dict[str, str]:
    """Return the shell expression of each token of the environment, and of each token that a probe derives from it."""
    found: dict[str, str] = {}
    for name in VARIABLES:
        token = os.environ.get(name, "")
        if not token:
            continue
        derived = {
            token: f"${name}",
            token + "x": f"${{{name}}}x",
            token.swapcase(): f'$(printf %s "${name}" {_SWAP})',
        }
        if len(token) > 4:  # less of a shorter token may be any word
            derived |= {token[:-1]: f"${{{name}%?}}", token[1:]: f"${{{name}#?}}"}
        for value, expression in derived.items():
            found.setdefault(value, expression)
    return found


def curl(
    method: str, url: str, headers: Mapping[str, str], body: bytes = b"", *, known: Mapping[str, str] | None = None
) -> str:
    """Return the command. `known` has the shell expression of each token; by default those of the environment.

    Without any known token, the target is a mock, and each credential becomes $PAYEX_TOKEN.
    """
    known = tokens() if known is None else known
    before, options = "", ["-i", *(["--head"] if method == "HEAD" else ["-X", method])]
    for name, value in sorted(headers.items(), key=lambda pair: pair[0].lower() != "authorization"):
        if name.lower() in _OWN:
            continue
        if name.lower() == "authorization" and not known:
            options += ["-H", f'"{name}: Bearer $PAYEX_TOKEN"']
        else:
            # curl leaves out a header without a value, unless a semicolon stands in place of the colon.
            options += ["-H", quoted(f"{name}: {value}" if value else f"{name};", known)]
    names = {name.lower() for name in headers}
    for name in ("Accept", "Content-Type"):  # curl adds these, if the request has none
        if name.lower() not in names and (name == "Accept" or body):
            options += ["-H", f"'{name}:'"]
    if body:
        try:
            text = body.decode("utf-8")
            plain = len(body) <= LONGEST and text.isprintable() and not text.startswith("@")
        except UnicodeDecodeError:
            plain = False
        if plain:
            options += ["--data-raw", quoted(text, known)]
        else:
            packed = base64.b64encode(gzip.compress(body, mtime=0)).decode()
            before = f"echo {packed} | base64 -d | gunzip | "
            options += ["--data-binary", "@-"]
    elif method in {"POST", "PATCH", "PUT"}:
        options += ["--data-raw", "''"]
    if any(letter in url for letter in "{}[]"):
        options.append("--globoff")
    if "/." in url:
        options.append("--path-as-is")
    if url.startswith("https:"):
        options += [f'{option} "${name}"' for option, name in CERTIFICATES.items() if os.environ.get(name)]
    return " ".join([before + "curl", *options, quoted(url, known)])


def quoted(text: str, known: Mapping[str, str]) -> str:
    """Quote a text for the shell. Each token becomes the variable that has the token."""
    pattern = token_pattern(known)
    if pattern is None or not pattern.search(text):
        return _single(text)
    parts = [part for part in re.split(f"({pattern.pattern})", text) if part]
    if not any(letter in part for part in parts if part not in known for letter in '"\\`$!'):
        return '"' + "".join(known.get(part, part) for part in parts) + '"'
    return "".join(f'"{known[part]}"' if part in known else _single(part) for part in parts)


def token_pattern(known: Mapping[str, str]) -> re.Pattern[str] | None:
    """Return a pattern that finds tokens as whole words, so that a short token hides no part of another word."""
    words = "|".join(re.escape(each) for each in sorted(filter(None, known), key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9_-])(?:{words})(?![A-Za-z0-9_-])") if words else None


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
