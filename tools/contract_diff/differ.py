"""How two files about the API differ: openapi.yaml, and another such as the vendor's own when it comes.

Pure: nothing is read or printed here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .document import Body, Document, Operation, is_json
from .reading import line_of
from .schemas import Part
from .security import in_words, suffices, without_certificate
from .servers import Base, Segments, base_of, plain, servers_of
from .values import NEEDED, REFUSED, UNKNOWN, Change, Comparison, Place

_UNREAD = "The generated client does not read a success of this status."


@dataclass(frozen=True, order=True)
class Difference:
    """One difference.

    Attributes:
        where: the operation, such as `POST /{ownerNo}/customers`, or `server`.
        what: `server`, `security`, `operation`, `parameter`, `request`, `status`, `response`.
        kind: `added`, `removed` or `changed`, seen from our contract.
        name: of the parameter, property or status.
        detail: in words, what it is in both files.
        breaks: whether a caller built on our contract breaks.
        why: what happens then; empty if nothing breaks.
        provenance: how well ours is known: `documented`, `sibling`, `inferred`, or `-` if it is not in ours.
        ours_line: the line in our contract; None if it was not read from a file.
        theirs_line: the line in the other file.
    """

    where: str
    what: str
    kind: str
    name: str
    detail: str
    breaks: bool
    why: str
    provenance: str
    ours_line: int | None
    theirs_line: int | None


@dataclass(frozen=True)
class Report:
    """What was found.

    Attributes:
        differences: by operation.
        not_compared: what the other file cannot say, in sentences.
    """

    differences: list[Difference]
    not_compared: list[str]


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[Difference]:
    """All differences, by operation.

    Raises:
        UnreadableFile: one of the two cannot be read.
    """
    return report(Document(ours), Document(theirs)).differences


def report(ours: Document, theirs: Document) -> Report:
    """All differences, and what could not be compared.

    Raises:
        UnreadableFile: one of the two cannot be read.
    """
    differ = _Differ(ours, theirs)
    return Report(list(differ.differences()), list(differ.not_compared()))


class _Differ:
    """Compares two documents."""

    def __init__(self, ours: Document, theirs: Document) -> None:
        self._ours = ours
        self._theirs = theirs
        known = [plain(segment for segment in path.split("/") if segment) for path in ours.paths]
        self._our_base = Base(servers_of(ours.content))
        self._base = base_of(theirs.content, theirs.paths, known)
        self._values = Comparison(
            ours.schemas, theirs.schemas, theirs_has_null=theirs.has_null, theirs_has_not=not theirs.is_swagger
        )

    def differences(self) -> Iterator[Difference]:
        yield from self._servers()
        mine, other = self._keyed(self._ours, self._our_base), self._keyed(self._theirs, self._base)
        for key in sorted({*mine, *other}, key=lambda key: (key[1], key[0])):
            if key not in other:
                verbs = [method for method, path in other.keys() - mine.keys() if path == key[1]]
                hint = f"; perhaps now {verbs[0]}" if len(verbs) == 1 else ""
                operation = mine[key]
                yield Difference(
                    operation.where, "operation", "removed", "", f"not in the other file{hint}", True,
                    "Our client calls it: the call fails.", operation.level, operation.line, None,
                )  # fmt: skip
            elif key not in mine:
                yield Difference(
                    other[key].where, "operation", "added", "", "not in ours", False, "", "-", None, other[key].line
                )
            else:
                yield from self._operation(mine[key], other[key])

    def not_compared(self) -> Iterator[str]:
        name = self._theirs.name
        if not self._theirs.has_null:
            yield f"whether a value may be null: {name} has no word for it"
        if not self._theirs.security.has_certificates:
            yield f"client certificates: {name} has no word for them"
        if not self._base.servers:
            yield "hosts and base path: the other file names no server"
        items = [item for item in self._theirs.paths.values() if isinstance(item, Mapping)]
        if any("servers" in node for item in items for node in (item, *item.values()) if isinstance(node, Mapping)):
            yield "servers of single paths and operations"

    def _keyed(self, document: Document, base: Base) -> dict[tuple[str, Segments], Operation]:
        found: dict[tuple[str, Segments], Operation] = {}
        for operation in document.operations():
            segments = base.path(operation.path)
            key = operation.method, plain(segments if segments is not None else (operation.path,))
            if key not in found or not operation.path.endswith("/"):  # the same path may stand with and without a slash
                found[key] = operation
        return found

    def _servers(self) -> Iterator[Difference]:
        mine, other = [server.default for server in self._our_base.servers], self._base.servers
        if not mine or not other:
            return
        common = [address for address in mine if any(server.has(address) for server in other)]
        names = [", ".join(sorted({str(server.default) for server in servers})) for servers in (mine, other)]
        lines = mine[0].line, other[0].line
        if not common:
            detail, why = f"{names[0]} → {names[1]}", "Calls go to an address that the other file does not have."
            yield Difference("server", "server", "changed", "", detail, True, why, mine[0].level, *lines)
            return
        if not any(server.default.has(address) for server in other for address in mine):
            detail = f"default {names[0]} → {names[1]}; ours stays allowed"
            yield Difference("server", "server", "changed", "", detail, False, "", mine[0].level, *lines)
        for address in mine:
            if address not in common and not self._theirs.is_swagger:  # Swagger 2.0 has room for one host
                detail = f"{address} is not in the other file"
                yield Difference(
                    "server", "server", "removed", "", detail, False, "", address.level, address.line, lines[1]
                )
        for server in other:
            if not any(server.has(address) for address in mine):
                detail = f"{server.default} is not in ours"
                yield Difference("server", "server", "added", "", detail, False, "", "-", lines[0], server.line)

    def _operation(self, mine: Operation, other: Operation) -> Iterator[Difference]:
        def at(what: str, change: Change) -> Difference:
            return Difference(
                mine.where, what, change.kind, change.name, change.detail, bool(change.why), change.why, change.level,
                change.ours_line, change.theirs_line,
            )  # fmt: skip

        lines = mine.line, other.line
        if mine.path.endswith("/") is not other.path.endswith("/"):
            detail = f"the path {'ends' if other.path.endswith('/') else 'does not end'} in a slash in the other file"
            why = "The server may redirect or respond with 404; our client follows no redirect."
            yield at("operation", Change("changed", "", detail, why, mine.level, *lines))
        for change in self._security(mine, other):
            yield at("security", change)
        for change in self._parameters(mine, other):
            yield at("parameter", change)
        for change in self._request(mine, other):
            yield at("request", change)
        yield from (at(what, change) for what, change in self._responses(mine, other))

    def _security(self, mine: Operation, other: Operation) -> Iterator[Change]:
        before, after = self._ours.security.of(mine.definition), self._theirs.security.of(other.definition)
        if not self._theirs.security.has_certificates:
            before = without_certificate(before)
        if before != after:
            why = "" if suffices(before, after) else "The server rejects our credentials (401 or 403)."
            lines = (line_of(side.definition, "security") or side.line for side in (mine, other))
            yield Change("changed", "", f"{in_words(before)} → {in_words(after)}", why, mine.level, *lines)

    def _parameters(self, mine: Operation, other: Operation) -> Iterator[Change]:
        for key in sorted(mine.parameters.keys() | other.parameters.keys()):
            before, after = mine.parameters.get(key), other.parameters.get(key)
            if before is None and after is not None:
                if not key.startswith("path"):
                    why = NEEDED if after.required else ""
                    detail = f"theirs: {'required' if after.required else 'optional'}"
                    yield Change("added", after.name, detail, why, "-", mine.line, after.line)
            elif before is not None and after is None:
                if not key.startswith("path"):
                    why = UNKNOWN
                    yield Change(
                        "removed", before.name, "not in the other file", why, before.level, before.line, other.line
                    )
            elif before is not None and after is not None:
                place = Place(before.level, before.line, after.line)
                if before.required is not after.required:
                    why = NEEDED if after.required else ""
                    detail = f"now {'required' if after.required else 'optional'}"
                    yield Change("changed", before.name, detail, why, before.level, before.line, after.line)
                if before.style != after.style:
                    detail = f"style {before.style} → {after.style}"
                    yield Change("changed", before.name, detail, REFUSED, before.level, before.line, after.line)
                yield from self._values.changes(before.part, after.part, before.name, sent=True, at=place)

    def _request(self, mine: Operation, other: Operation) -> Iterator[Change]:
        before, after = mine.request, other.request
        lines = before.line or mine.line, after.line or other.line
        if before.media and not after.media:
            why = UNKNOWN
            yield Change("removed", "body", "the other file has no body", why, before.level, *lines)
        elif after.media and not before.media:
            why = NEEDED if after.required else ""
            yield Change("added", "body", f"theirs: {_media(after)}", why, "-", *lines)
        elif before.media:
            if after.is_said and set(before.media) != set(after.media):
                why = "" if _takes(after, before) else "The server rejects the body (415)."
                yield Change("changed", "media type", f"{_media(before)} → {_media(after)}", why, before.level, *lines)
            if before.required is not after.required:
                why = NEEDED if after.required else ""
                yield Change(
                    "changed", "body", f"now {'required' if after.required else 'optional'}", why, before.level, *lines
                )
            yield from self._bodies(before, after, lines, sent=True)

    def _responses(self, mine: Operation, other: Operation) -> Iterator[tuple[str, Change]]:
        used = set()
        for status, before in sorted(mine.responses.items()):
            success = status.startswith("2")
            match = _status(status, other.responses)
            used.add(match)
            if match is None:
                why = "The generated client expects this status." if success else ""
                lines = before.line, other.line
                yield "status", Change("removed", status, "not in the other file", why, before.level, *lines)
            else:
                for change in self._response(before, other.responses[match], mine, other):
                    yield "response", _named(change, status)
        for status, after in sorted(other.responses.items()):
            if status not in used:
                why = _UNREAD if status.startswith("2") else ""
                yield "status", Change("added", status, "not in ours", why, "-", mine.line, after.line or other.line)

    def _response(self, before: Body, after: Body, mine: Operation, other: Operation) -> Iterator[Change]:
        lines = before.line or mine.line, after.line or other.line
        if not before.media:
            if after.media:  # our client does not look at the body
                yield Change("added", "body", f"theirs: {_media(after)}", "", "-", *lines)
        elif not after.media:
            why = "The generated client fails to read a response without a body."
            yield Change("removed", "body", "the other file has no body", why, before.level, *lines)
        else:
            readable = any(is_json(media) for media in after.media)
            # A page of an ingress is not for programs, so no file has to name it. See `x-rules`, ingress.
            ours, theirs = set(before.media) - {"text/html"}, set(after.media) - {"text/html"}
            if self._theirs.is_swagger and readable:  # it names the media types of all statuses at once
                differs = not ours - {"application/problem+json"} <= theirs
            else:
                differs = ours != theirs
            if after.is_said and differs:
                why = "" if readable else "Our client reads JSON only."
                yield Change("changed", "media type", f"{_media(before)} → {_media(after)}", why, before.level, *lines)
            if readable:
                yield from self._bodies(before, after, lines, sent=False)

    def _bodies(
        self, before: Body, after: Body, lines: tuple[int | None, int | None], *, sent: bool
    ) -> Iterator[Change]:
        mine, other = _schema(before), _schema(after)
        if mine is None or other is None:
            return
        place = Place(before.level, *lines)
        for change in self._values.changes(mine, other, "", sent=sent, at=place):
            yield _renamed(change, change.name or "body")


def _renamed(change: Change, name: str) -> Change:
    return Change(change.kind, name, change.detail, change.why, change.level, change.ours_line, change.theirs_line)


def _named(change: Change, status: str) -> Change:
    return _renamed(change, f"{status} {change.name}")


def _status(status: str, among: Mapping[str, Body]) -> str | None:
    """The response that stands for a status: its own, its range, or `default`, which is for errors if it can be."""
    for name in (status, f"{status[:1]}XX"):
        if name in among:
            return name
    is_open = not status.startswith("2") or not any(name.startswith("2") for name in among)
    return "DEFAULT" if "DEFAULT" in among and is_open else None


def _takes(after: Body, before: Body) -> bool:
    """Whether a server takes at least one of the media types that our client sends."""
    sent = {media.partition(";")[0] for media in before.media}
    taken = {media.partition(";")[0] for media in after.media}
    return bool(sent & taken) or "*/*" in taken or any(f"{kind.partition('/')[0]}/*" in taken for kind in sent)


def _schema(body: Body) -> Part | None:
    """The schema of a body: that of JSON if there is one."""
    chosen = [part for media, part in body.media.items() if is_json(media)] or list(body.media.values())
    return chosen[0] if chosen else None


def _media(body: Body) -> str:
    return ", ".join(sorted(body.media))
