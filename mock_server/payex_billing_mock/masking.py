"""Masks tokens and other secrets in what the console shows."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote_plus

MASK = "•••"
SHORTEST = 4
"""The shortest token that is masked inside other texts. A token of one character would mask half of the page."""
_SECRET_NAME = re.compile(r"auth|cookie|token|secret|passw|api-?key|credential|signature", re.IGNORECASE)
_SCHEME = re.compile(r"(bearer|basic|digest|negotiate)\s+\S.*", re.IGNORECASE | re.DOTALL)
_BEARER = re.compile(r"\b(bearer)\s+[\w\-.~+/]+=*", re.IGNORECASE)
# The repetitions are bounded, so that a long body cannot keep the pattern busy.
_ASSIGNMENT = re.compile(
    r"""((?:auth|cookie|token|secret|passw|api-?key|credential|signature)[\w-]{0,40}["']?\s{0,9}[=:]\s{0,9})"""
    r"""("(?:[^"\\]|\\.)*"?|'[^']*'?|[^\s&,;}]+)""",
    re.IGNORECASE,
)


class Masking:
    """Masks known tokens in any text, and what is a secret by its name.

    Args:
        tokens: the tokens to mask.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._tokens = {token for token in tokens if len(token) >= SHORTEST}
        forms = {form for token in self._tokens for form in _forms(token)}
        alternatives = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._known = re.compile(alternatives or r"(?!)", re.IGNORECASE)

    def with_credentials_of(self, headers: Mapping[str, str]) -> Masking:
        """Return a masking that also knows the credentials in the headers of a request.

        A client may send a token of another ledger, or of the real API, and may repeat it elsewhere.
        """
        values = [value for name, value in headers.items() if _SECRET_NAME.search(name)]
        return Masking(self._tokens | {part for value in values for part in (value, value.rpartition(" ")[2])})

    def text(self, text: str) -> str:
        """Return a text without tokens."""
        return _BEARER.sub(rf"\1 {MASK}", self._known.sub(MASK, text))

    def raw(self, text: str) -> str:
        """Return a body that is not JSON without tokens, and without values that look like secrets by their name."""
        return self.text(_ASSIGNMENT.sub(rf"\1{MASK}", text))

    def value(self, value: Any) -> Any:
        """Return a JSON value without tokens in its texts. Names of properties stay as they are."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {name: self.value(item) for name, item in value.items()}
        return value

    def document(self, value: Any) -> Any:
        """Return the JSON value of a body without tokens, also in names, and without properties that are secrets."""
        if isinstance(value, list):
            return [self.document(item) for item in value]
        if isinstance(value, dict):
            return {
                self.text(name): MASK if isinstance(item, str) and _SECRET_NAME.search(name) else self.document(item)
                for name, item in value.items()
            }
        return self.text(value) if isinstance(value, str) else value

    def header(self, name: str, value: str) -> str:
        """Return the value of a header; only the scheme of credentials, and nothing of a cookie."""
        if name.lower() == "www-authenticate" or not _SECRET_NAME.search(name):
            return self.text(value)
        scheme = _SCHEME.fullmatch(value.strip())
        return f"{scheme[1]} {MASK}" if scheme else MASK

    def target(self, target: str) -> str:
        """Return a path with its query. A token is masked even if some of its characters are percent-encoded."""
        path, mark, query = target.partition("?")
        segments = "/".join(self._part(segment) for segment in path.split("/"))
        return segments + mark + "&".join(map(self._parameter, query.split("&")))

    def _parameter(self, text: str) -> str:
        name, equals, value = text.partition("=")
        is_secret = equals and _SECRET_NAME.search(unquote_plus(name))
        return self._part(name) + equals + (MASK if is_secret else self._part(value))

    def _part(self, text: str) -> str:
        decoded = unquote_plus(text)
        return text if self.text(decoded) == decoded and self.text(text) == text else MASK


def _forms(token: str) -> set[str]:
    """Return the spellings of a token: as it is, in a URL, and in JSON."""
    in_json = {json.dumps(token, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    return {token, quote(token, safe=""), quote(token)} | in_json
