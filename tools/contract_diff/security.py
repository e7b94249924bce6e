"""Credentials that an operation asks for, in words that do not depend on the version of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .references import followed, mapping, sequence

Alternative = frozenset[str]

BEARER, CERTIFICATE = "bearer token", "client certificate"
HEADER, OAUTH = "value in the header Authorization", "OAuth 2 token"
# What a bearer token in the header Authorization may satisfy as well.
_LIKE_BEARER = frozenset({HEADER, OAUTH})


class Security:
    """The credentials of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._is_swagger = "swagger" in document
        components = mapping(document.get("components"), "`components`")
        schemes = document.get("securityDefinitions") if self._is_swagger else components.get("securitySchemes")
        self._schemes = {
            str(name): self._name(followed(document, scheme, "a security scheme"))
            for name, scheme in mapping(schemes, "the security schemes").items()
        }

    @property
    def has_certificates(self) -> bool:
        """Whether the file could ask for a client certificate: OpenAPI has a word for it since 3.1."""
        version = str(self._document.get("openapi", ""))
        return not (self._is_swagger or version.startswith("3.0")) or CERTIFICATE in self._schemes.values()

    def of(self, operation: Mapping[str, Any]) -> frozenset[Alternative]:
        """The alternatives of an operation. Credentials of one alternative are sent together."""
        asked = operation.get("security", self._document.get("security"))
        alternatives = [mapping(item, "an item of `security`") for item in sequence(asked, "`security`")]
        return frozenset(
            frozenset(self._schemes.get(str(name), f"{name} (not defined)") for name in names) for names in alternatives
        ) or frozenset({frozenset()})

    def _name(self, scheme: Mapping[str, Any]) -> str:
        kind, place, name = (str(scheme.get(key, "")) for key in ("type", "in", "name"))
        word = str(scheme.get("scheme", "")).lower()
        if kind == "http":
            return BEARER if word == "bearer" else f"HTTP {word} credentials"
        if kind == "basic":
            return "HTTP basic credentials"
        if kind == "mutualTLS":
            return CERTIFICATE
        if kind in {"oauth2", "openIdConnect"}:
            return OAUTH
        if (kind, place, name.lower()) == ("apiKey", "header", "authorization"):
            return BEARER if self._is_swagger else HEADER  # Swagger 2.0 has no other word for a bearer token
        return f"API key in {place} {name}" if kind == "apiKey" else f"credentials of type {kind or 'unknown'}"


def without_certificate(alternatives: frozenset[Alternative]) -> frozenset[Alternative]:
    """The same, for a comparison with a file that cannot ask for a client certificate."""
    return frozenset(names - {CERTIFICATE} for names in alternatives)


def suffices(ours: frozenset[Alternative], theirs: frozenset[Alternative]) -> bool:
    """Whether whoever sends what ours asks for sends enough for theirs."""

    def enough(sent: Alternative, asked: Alternative) -> bool:
        return asked <= sent | (_LIKE_BEARER if BEARER in sent else frozenset())

    return all(any(enough(sent, asked) for asked in theirs) for sent in ours)


def in_words(alternatives: frozenset[Alternative]) -> str:
    """In words."""
    words = sorted(" and ".join(sorted(names)) if names else "no credentials" for names in alternatives)
    return ", or ".join(words)
