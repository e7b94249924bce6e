"""Where an API is: scheme, host and base path, which Swagger 2.0 and OpenAPI 3.x write in different ways."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .reading import line_of
from .references import level_of, mapping, sequence

_URL = re.compile(r"(?:(?:([^:/]*):)?//([^/?#]*))?([^?#]*)")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
Segments = tuple[str, ...]


@dataclass(frozen=True)
class Server:
    """A server; scheme and host are empty if the file does not say them.

    Attributes:
        base: the segments of the base path, with variables such as `{subdomain}`.
        defaults: the default of each variable.
        choices: the values of a variable, if they are limited.
    """

    scheme: str
    host: str
    base: Segments
    defaults: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    line: int | None = None
    level: str = "-"

    @property
    def default(self) -> Server:
        """The server with each variable at its default."""

        def filled(text: str) -> str:
            return _VARIABLE.sub(lambda match: self.defaults.get(match[1], match[0]), text)

        base = tuple(segment for text in self.base for segment in filled(text).split("/") if segment)
        return Server(filled(self.scheme), filled(self.host), base, line=self.line, level=self.level)

    def has(self, other: Server) -> bool:
        """Whether an address without variables is one of this server's; a missing scheme or host fits all."""
        pairs = [(self.scheme, other.scheme), (self.host, other.host)]
        if not all(not mine or not its or re.fullmatch(self._pattern(mine), its) for mine, its in pairs):
            return False
        return re.fullmatch(self._pattern("/".join(self.base)), "/".join(other.base)) is not None

    def _pattern(self, text: str) -> str:
        pattern, last = "", 0
        for match in _VARIABLE.finditer(text):
            pattern += re.escape(text[last : match.start()])
            choices = self.choices.get(match[1])
            pattern += f"(?:{'|'.join(map(re.escape, choices))})" if choices else "[^/]+"
            last = match.end()
        return pattern + re.escape(text[last:])

    def __str__(self) -> str:
        return f"{self.scheme}{'://' if self.scheme else ''}{self.host}/{'/'.join(self.base)}"


def servers_of(document: Mapping[str, Any]) -> list[Server]:
    """The servers that a document names."""
    if "swagger" in document:
        if "host" not in document and "basePath" not in document:
            return []
        base, host = _segments(str(document.get("basePath") or "")), str(document.get("host") or "")
        schemes = [str(scheme) for scheme in sequence(document.get("schemes"), "`schemes`")] or [""]
        line = line_of(document, "basePath") or line_of(document, "host")
        return [Server(scheme, _without_port(host, scheme), base, line=line) for scheme in schemes]
    found = []
    for node in sequence(document.get("servers"), "`servers`"):
        server = mapping(node, "a server")
        variables = mapping(server.get("variables"), "`variables`")
        named = {str(name): mapping(value, "a server variable") for name, value in variables.items()}
        address = str(server.get("url", ""))
        for name, value in named.items():
            if "/" in str(value.get("default", "")):  # a variable that is more than one segment
                address = address.replace(f"{{{name}}}", str(value["default"]))
        scheme, host, path = (part or "" for part in _URL.match(address).groups())  # type: ignore[union-attr]
        choices = {name: tuple(map(str, sequence(value.get("enum"), "`enum`"))) for name, value in named.items()}
        found.append(
            Server(
                scheme.lower(),
                _without_port(host, scheme.lower()),
                _segments(path),
                {name: str(value.get("default", "")) for name, value in named.items()},
                {name: values for name, values in choices.items() if values},
                line_of(server, "url"),
                level_of(server),
            )
        )
    return found


def _without_port(host: str, scheme: str) -> str:
    return host.lower().removesuffix({"https": ":443", "http": ":80"}.get(scheme, " "))


def _segments(path: str) -> Segments:
    return tuple(segment for segment in path.split("/") if segment)


def plain(segments: Iterable[str]) -> Segments:
    """Segments with parameters that have no names, because a name is the writer's own."""
    return tuple(_VARIABLE.sub("{}", segment) for segment in segments)


@dataclass(frozen=True)
class Base:
    """How a document divides the address of an operation into base path and path.

    Attributes:
        servers: with their base paths as our contract would write them.
        prefix: the segments of each path that belong to the base path.
        taken: the segments of the base path that belong to each path.
    """

    servers: list[Server]
    prefix: Segments = ()
    taken: Segments = ()

    def path(self, path: str) -> Segments | None:
        """The segments below the base path; None if the path is outside of it."""
        segments = (*self.taken, *_segments(path))
        if plain(segments[: len(self.prefix)]) != plain(self.prefix):
            return None
        return segments[len(self.prefix) :]


def base_of(document: Mapping[str, Any], paths: Iterable[str], known: Iterable[Segments]) -> Base:
    """Find the base path of a document by the paths of our contract: the same path may be written in two places."""
    servers = servers_of(document)
    first = servers[0].base if servers else ()
    ours = set(known)
    votes: Counter[Segments] = Counter()
    for path in paths:
        full = (*first, *_segments(path))
        for start in range(len(full) + 1):
            if plain(full[start:]) in ours:
                votes[full[:start]] += 1
    base = max(votes, key=lambda segments: (votes[segments], -len(segments)), default=first)
    if len(base) < len(first):
        lent = len(first) - len(base)
        return Base([replace(server, base=server.base[:-lent]) for server in servers], taken=first[-lent:])
    prefix = base[len(first) :]
    if prefix and not servers:
        return Base([Server("", "", prefix)], prefix=prefix)
    return Base([replace(server, base=(*server.base, *prefix)) for server in servers], prefix=prefix)
