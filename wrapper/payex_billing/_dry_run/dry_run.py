"""`dry_run`: writes are recorded, not sent, and later reads show them as if they had taken effect.

`Recorder` does no I/O. For each request it decides which read the client sends to the server first, and builds the
response from the response to that read. The other code of the client does not change: the client checks values, builds
requests and reads responses as always.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import attrs

from .._contract import OPERATIONS
from .._evidence import ABANDONED_STATUSES, Phase
from .._policy.problems import read_problem
from .._schema import Kind, Operation
from .._transport import Failure, Reply, Request, Response
from .._values.json import parse_json, without_decimals, write_object
from ..models import RecordedWrite
from .recorded import describe

_RECORDED = 204
_NAMES = {"get_customer": "customer", "get_subscription": "subscription"}
# The names of the kinds of resources: in the problem types, and in text for people.
_WORDS = {"customer": "customer", "subscription": "subscription", "recurring-product": "charge"}


@attrs.frozen
class ResourceKind:
    """A kind of resource in the contract.

    Attributes:
        name: `customer`, `subscription` or `recurring-product`.
        words: the kinds of resources along the path to this kind, in words for people.
        list_: the operation that lists the resources of this kind; None if there is none.
        number: the property that identifies a resource among the resources of the same parent.
        uri: the property with the resource's own path.
        links: the properties with the paths of the resource's collections, and the last segments of those paths.
        changed: the properties that an update replaces; empty if an update keeps the properties that it omits.
    """

    name: str
    words: tuple[str, ...]
    list_: Operation | None
    number: str
    uri: str
    links: Mapping[str, str]
    changed: tuple[str, ...]


def _collections(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/")[2:] if not segment.startswith("{"))


def _kinds() -> dict[tuple[str, ...], ResourceKind]:
    """Return the kinds of resources by the collections in their paths."""
    found: dict[tuple[str, ...], ResourceKind] = {}
    read = {
        _collections(each.path): each for each in OPERATIONS.values() if each.method == "GET" and each.items is None
    }
    lists = {_collections(each.path): each for each in OPERATIONS.values() if each.method == "GET" and each.items}
    names = {place: _NAMES.get(each.name, "recurring-product") for place, each in read.items()}
    for place, each in read.items():
        shape = each.result or ()
        under = {path[-1] for path in read if path[:-1] == place}
        updates = (other for other in OPERATIONS.values() if other.path == each.path and other.method == "PUT")
        found[place] = ResourceKind(
            name=names[place],
            words=tuple(_WORDS[names[place[:end]]] for end in range(1, len(place) + 1)),
            list_=lists.get(place),
            number=next(known.wire for known in shape if known.kind is Kind.ID),
            uri=next((known.wire for known in shape if known.name == "uri"), "@id"),
            links={
                known.wire: segment
                for known in shape
                for segment in under
                if known.kind is Kind.LINK and segment.replace("-", "_") == known.name
            },
            changed=tuple(known.wire for other in updates for known in other.body or ()),
        )
    return found


KINDS = _kinds()


@attrs.frozen
class _Route:
    """A path, split into its parts.

    Attributes:
        path: the path without its query, with normalised percent-encoding.
        kind: the kind of resource at the path; None if the contract has no such path.
        numbers: the numbers in the path.
        is_list: whether the path is that of a collection.
        parents: the paths of the parent resources, the topmost one first.
    """

    path: str
    kind: ResourceKind | None
    numbers: tuple[str, ...]
    is_list: bool
    parents: tuple[str, ...]


@attrs.define(eq=False)
class Recorder:
    """Records the writes that a client with `dry_run` does not send, and shows the ledger as if they had been sent.

    Safe to share between threads.

    Args:
        origin: the origin of the server.
        ledger: the path of the ledger, percent-encoded.
    """

    _origin: str
    _ledger: str
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    _writes: list[RecordedWrite] = attrs.field(factory=list, init=False)
    # The created resources by path, in the order of creation.
    _made: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _changed: dict[str, dict[str, Any]] = attrs.field(factory=dict, init=False)
    _removed: set[str] = attrs.field(factory=set, init=False)
    _count: int = attrs.field(default=0, init=False)

    @property
    def writes(self) -> tuple[RecordedWrite, ...]:
        """The recorded writes, in their order."""
        with self._lock:
            return tuple(self._writes)

    def before(self, request: Request) -> Request | Response:
        """Return the read to send for a request, or the response if no read is needed."""
        subject = self._subject(request)
        if subject is None:
            return request if request.method == "GET" else Response(_RECORDED, {}, b"")
        with self._lock:
            known = self._known(subject)
        if known is not None or request.method == "GET":
            return known or request
        headers = {name: value for name, value in request.headers.items() if name != "Content-Type"}
        return Request("GET", self._origin + subject.path, headers)

    def after(self, request: Request, reply: Reply) -> Reply:
        """Return the response to a request.

        Args:
            request: the request of the client.
            reply: the response that `before` returned, or the reply to the read that `before` returned.
        """
        subject = self._subject(request)
        if request.method == "GET":
            shown = isinstance(reply, Response) and reply.status == 200 and subject is not None
            return self._shown(subject, reply) if shown else reply  # type: ignore[arg-type]
        if isinstance(reply, Failure):
            return attrs.evolve(reply, phase=Phase.NEVER_SENT, reason=_not_read(reply.reason))
        with self._lock:
            # Another thread may have created or removed the same resource since `before`.
            known = None if subject is None else self._known(subject)
            return self._write(request, subject, known or reply)

    # writes

    def _write(self, request: Request, subject: _Route | None, reply: Response) -> Reply:
        """Record a write and return its response. `reply` shows whether the resource that the write needs exists."""
        route = self._route(request)
        exists = 200 <= reply.status < 300
        is_post = request.method == "POST"
        if is_post and subject is not None and subject.numbers != route.numbers:  # creates a customer or a subscription
            if exists:
                return _problem(409, f"{_name(route)}-already-exists")
            code = read_problem(reply.status, reply.body).code
            exists = reply.status == 404 and code in {None, "not-found", f"{_name(route)}-not-found"}
        if not exists:
            if 400 <= reply.status < 500 and reply.status not in ABANDONED_STATUSES:
                return reply
            return Failure(Phase.NEVER_SENT, _not_read(f"the server answered {reply.status}"))
        body: Any = without_decimals(parse_json(request.body)) if request.body else None
        path, words = urlsplit(request.url).path, () if route.kind is None else route.kind.words
        description = describe(request.method, path, words, route.numbers, body)
        self._writes.append(RecordedWrite(method=request.method, path=path, body=body, description=description))
        if is_post and subject is not None and route.kind is not None:
            return self._create(route, route.kind, body)
        if request.method in {"PATCH", "PUT"} and subject is not None and isinstance(body, dict):
            return self._change(route, body, reply)
        if request.method == "DELETE":
            self._remove(route.path)
        return Response(_RECORDED, {}, b"")

    def _create(self, route: _Route, kind: ResourceKind, body: dict[str, Any]) -> Response:
        if kind.name == "recurring-product":
            self._count += 1
            number = f"dry-run-{self._count}"
        else:
            number = str(body[kind.number])
        path = _under(route.path, number)
        links = {wire: f"{path}/{segment}" for wire, segment in kind.links.items()}
        made = {kind.uri: path, kind.number: number, **body, **links}
        self._removed.discard(path)
        self._made[path] = made
        return _json(201, made)

    def _change(self, route: _Route, body: dict[str, Any], reply: Response) -> Response:
        """Change a charge. `reply` shows the charge as it is on the server."""
        if route.kind is not None:
            body = dict.fromkeys(route.kind.changed) | body
        if route.path in self._made:
            self._made[route.path] |= body
            return _json(200, self._made[route.path])
        self._changed[route.path] = self._changed.get(route.path, {}) | body
        shown = _document_of(reply.body)
        return reply if shown is None else _json(200, self._overlaid(route.path, shown))

    def _remove(self, path: str) -> None:
        for known in (self._made, self._changed):
            for other in [other for other in known if other == path or other.startswith(f"{path}/")]:
                del known[other]
        self._removed.add(path)

    # reads

    def _known(self, route: _Route) -> Response | None:
        """Return the response to a read if the recorded writes decide it; None if the server must get the read."""
        made = False
        for path in route.parents:
            # A child of a resource that the dry run created is in `_made`, or does not exist.
            if path in self._removed or (made and path not in self._made):
                return _problem(404, f"{_name(self._read(path))}-not-found")
            made = path in self._made
        if not route.is_list:
            if route.path in self._made:
                return _json(200, self._made[route.path])
            return _problem(404, f"{_name(route)}-not-found") if made or route.path in self._removed else None
        # `_shown` adds the created resources.
        return _json(200, _empty_list(route)) if made else None

    def _shown(self, route: _Route, reply: Response) -> Response:
        """Return the response of the server with the recorded writes applied."""
        document = _document_of(reply.body)
        kind = route.kind
        if document is None or kind is None:
            return reply
        listing = kind.list_
        items = document.get(listing.items) if listing is not None and listing.items else None
        with self._lock:
            if not route.is_list:
                return _json(200, self._overlaid(route.path, document)) if route.path in self._changed else reply
            if listing is None or not isinstance(items, list):
                return reply
            paths = [_under(route.path, str(item.get(kind.number))) if isinstance(item, dict) else "" for item in items]
            shown = [
                self._overlaid(path, item)
                for path, item in zip(paths, items, strict=True)
                if path not in self._removed and path not in self._made
            ]
            links = document if listing.navigation is None else document.get(listing.navigation)
            if not (isinstance(links, dict) and links.get(listing.following)):
                shown += [made for path, made in self._made.items() if path.rpartition("/")[0] == route.path]
        return reply if shown == items else _json(200, document | {str(listing.items): shown})

    def _overlaid(self, path: str, document: Any) -> Any:
        change = self._changed.get(path)
        return document if change is None else document | change

    # routes

    def _route(self, request: Request) -> _Route:
        return self._read(urlsplit(request.url).path)

    def _read(self, path: str) -> _Route:
        inside = path.removeprefix(f"{self._ledger}/") if path.startswith(f"{self._ledger}/") else ""
        segments = list(map(unquote, inside.split("/")))
        collections = tuple(segments[::2])
        spelled = [
            f"{self._ledger}/" + "/".join(quote(segment, safe="") for segment in segments[:end])
            for end in range(1, len(segments) + 1)
        ]
        return _Route(
            path=spelled[-1],
            kind=KINDS.get(collections),
            numbers=tuple(segments[1::2]),
            is_list=len(segments) % 2 == 1,
            parents=tuple(spelled[1:-1:2]),
        )

    def _subject(self, request: Request) -> _Route | None:
        """Return the resource to read for a request; None if the contract has no such operation.

        The creation of a charge needs its parent to exist. The creation of a customer or a subscription needs the
        resource itself not to exist.
        """
        route = self._route(request)
        if route.kind is None:
            return None
        if request.method == "GET":
            return route
        if request.method in {"PATCH", "PUT", "DELETE"}:
            return None if route.is_list else route
        if request.method != "POST" or not route.is_list:
            return None
        body = _document_of(request.body)
        if route.kind.name == "recurring-product":
            return None if body is None else self._read(route.parents[-1])
        number = None if body is None else body.get(route.kind.number)
        return self._read(_under(route.path, str(number))) if number else None


def _name(route: _Route) -> str:
    return "resource" if route.kind is None else route.kind.name


def _empty_list(route: _Route) -> dict[str, Any]:
    listing = None if route.kind is None else route.kind.list_
    if listing is None or listing.items is None:
        return {}
    links: dict[str, Any] = {listing.own: route.path}
    return {listing.items: [], **(links if listing.navigation is None else {listing.navigation: links})}


def _under(path: str, number: str) -> str:
    return f"{path}/{quote(number, safe='')}"


def _not_read(reason: str) -> str:
    return f"the dry run could not read what the write depends on: {reason}"


def _document_of(body: bytes | None) -> dict[str, Any] | None:
    try:
        value = parse_json(body or b"")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _json(status: int, value: Mapping[str, Any], media_type: str = "application/json") -> Response:
    return Response(status, {"content-type": media_type}, write_object(value, {}))


def _problem(status: int, code: str) -> Response:
    title = f"{code.replace('-', ' ').capitalize()}, says the dry run"
    problem = {"type": f"billing/customer/problems/{code}", "title": title, "status": status}
    return _json(status, problem, "application/problem+json")
