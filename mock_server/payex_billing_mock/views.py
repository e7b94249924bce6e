"""Makes the bodies of responses from resources and lists, according to the response schemas of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from . import schemas
from .names import are_same, singular, words
from .problems import Failure, invalid
from .resources import Collection, Resource
from .schemas import ContractError, JsonObject, Node, Shape

_SELF = (["id"], ["self"], ["self", "link"], ["href"])


@dataclass(frozen=True, slots=True)
class Base:
    """The start of every link.

    Attributes:
        path: the path of the API, such as `/billing/customer/v1`.
        origin: the scheme and host of the API, for links that must be absolute (`format: uri`).
    """

    path: str
    origin: str

    def of(self, schema: Node) -> str:
        """Return the start of the links that a schema describes."""
        return self.origin + self.path if "uri" in schemas.formats(schema) else self.path


class ResourceView:
    """Shows an item of a collection in the form of one response.

    The mock sets the links, the id and the operations. Other required properties get a sample value if the client did
    not send them.

    Raises:
        ContractError: the mock cannot find the target of a required link, or a value for a required property.
    """

    def __init__(self, base: Base, collection: Collection, schema: Node) -> None:
        whole = schemas.shape(schema)
        targets = _targets(collection, whole)
        self._own: dict[str, Callable[[Resource], Any]] = {}
        for name, each in whole.properties.items():
            if name in targets:
                self._own[name] = _link(base.of(each), collection, targets[name])
            elif name == collection.id_property:
                self._own[name] = lambda resource: resource.id
            elif schemas.is_array(each) and (names := _operation_names(schemas.items(each))) is not None:
                self._own[name] = _operations(base, collection, each, *names)
        self._known = frozenset(whole.properties) if whole.is_closed else None
        self._not_null = frozenset(name for name, each in whole.properties.items() if not schemas.allows_null(each))
        sent = collection.create.required & self._not_null
        self._samples = {
            name: schemas.sample(whole.properties.get(name, {}), name)
            for name in sorted(whole.required - self._own.keys() - sent)
        }

    def show(self, resource: Resource) -> JsonObject:
        """Return the body that shows a resource."""
        shown = {
            name: value
            for name, value in resource.document.items()
            if (self._known is None or name in self._known) and not (value is None and name in self._not_null)
        }
        own = {name: show(resource) for name, show in self._own.items()}
        return self._samples | shown | own


def _link(start: str, collection: Collection, target: Collection) -> Callable[[Resource], str]:
    """Return a function that returns the link of an item to itself, to one of its collections or to an owner."""
    if target is collection:
        return lambda resource: start + resource.path
    if target.owner is collection:
        end = f"/{target.word}"
        return lambda resource: start + resource.path + end

    def link(resource: Resource) -> str:
        while resource.collection is not target and resource.owner is not None:
            resource = resource.owner
        return start + resource.path

    return link


def _targets(collection: Collection, whole: Shape) -> dict[str, Collection]:
    """Return the collection that each link of an item leads to.

    A link leads to the item itself (in its own collection), to a collection below the item, or to an owner of the item.
    If one link and one collection below are left over, they belong together.
    """
    targets: dict[str, Collection] = {}
    links = [name for name, schema in whole.properties.items() if schemas.is_link(schema)]
    for name in links:
        named = [child for child in collection.children if are_same(child.word, name)]
        named += [owner for owner in collection.owners if are_same(singular(owner.word), name)]
        if words(name) in _SELF:
            targets[name] = collection
        elif named:
            targets[name] = named[0]
    rest = [name for name in links if name not in targets]
    below = [child for child in collection.children if child not in targets.values()]
    if len(rest) == len(below) == 1:
        targets[rest[0]] = below[0]
    for name in rest:
        if name in whole.required and name not in targets:
            raise ContractError(f"it cannot be told where the required link {name!r} of {collection.path} leads")
    return targets


def _operation_names(entry: Node) -> tuple[str, str, str] | None:
    """Return the property names for the relation, the method and the link of an operation.

    Return None if a schema does not describe an operation.
    """
    properties = schemas.shape(entry).properties
    link = next((name for name, each in properties.items() if schemas.is_link(each)), None)
    method = next((name for name in properties if words(name)[-1:] == ["method"]), None)
    relation = next((name for name in properties if name not in {link, method}), None)
    return None if relation is None or method is None or link is None else (relation, method, link)


def _operations(
    base: Base, collection: Collection, schema: Node, relation: str, method: str, link: str
) -> Callable[[Resource], list[JsonObject] | None]:
    """Return a function that lists the operations on a resource which add an item to a collection.

    A resource without such operations has an empty list, or null if the schema allows it.
    """
    adds = [(f"add-{singular(child.word)}", child.word) for child in collection.children if child.create.properties]
    start = base.of(schemas.shape(schemas.items(schema)).properties[link])

    def show(resource: Resource) -> list[JsonObject] | None:
        shown = [{relation: name, method: "POST", link: f"{start}{resource.path}/{word}"} for name, word in adds]
        return None if not shown and schemas.allows_null(schema) else shown

    return show


def items_of(schema: Node) -> Node | None:
    """Return the schema of the items in a list response; None if there is no list.

    The list is an array of objects. The array may be inside other objects.
    """
    if schemas.is_array(schema):
        entry = schemas.items(schema)
        return entry if schemas.shape(entry).properties and _operation_names(entry) is None else None
    properties = schemas.shape(schema).properties.values()
    inside = [*filter(schemas.is_array, properties), *(each for each in properties if "object" in schemas.types(each))]
    return next((found for each in inside if (found := items_of(each)) is not None), None)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        resources: the resources on this page.
        paths: the paths, below the API's base path, of this page (`self`) and, if any, of `next` and `previous`.
        total: the number of resources in the whole list.
    """

    resources: Sequence[Resource]
    paths: Mapping[str, str]
    total: int


_PATHS = {
    "self": _SELF,
    "next": (["next"], ["next", "page"], ["next", "link"]),
    "previous": (["prev"], ["previous"], ["previous", "page"], ["prev", "page"]),
}
DEFAULT_SIZE = 100
_SIZE = {"size", "limit", "take", "top", "count", "per"}
_OFFSET = {"offset", "skip", "start", "cursor", "after", "token", "continuation"}
_TOTAL = (["total"], ["total", "count"], ["total", "items"], ["total", "records"])


class ListView:
    """Shows the items of a collection in the form of one response, page by page.

    Args:
        base: the start of every link.
        collection: the collection.
        schema: the schema of the response.
        query: the schema of each query parameter, by name.

    Raises:
        ContractError: the response has no list, or has a required property that the mock cannot fill.
    """

    def __init__(self, base: Base, collection: Collection, schema: Node, query: Mapping[str, Node]) -> None:
        found = items_of(schema)
        if found is None:
            raise ContractError(f"the response of GET {collection.path} has no list of items")
        self._base = base
        self._items = found
        self._view = ResourceView(base, collection, found)
        self._paging = _Paging(query)
        self._show = self._show_items if schemas.is_array(schema) else self._object(schema)

    def show(self, resources: Sequence[Resource], path: str, query: Mapping[str, str]) -> Any:
        """Return the body for the page that a query asks for.

        Args:
            resources: the whole list.
            path: the path of the list below the API's base path.
            query: the parameters of the query.

        Raises:
            Refusal: the query asks for a page that cannot exist.
        """
        return self._show(self._paging.page(resources, path, query))

    def _show_items(self, page: Page) -> Any:
        return [self._view.show(resource) for resource in page.resources]

    def _object(self, schema: Node, own: str = "self") -> Callable[[Page], Any]:
        """Return a function that shows a page as an object. `own` is the page that a link to itself leads to."""
        whole = schemas.shape(schema)
        parts = {name: self._part(name, each, name in whole.required, own) for name, each in whole.properties.items()}

        def show(page: Page) -> JsonObject:
            values = {name: part(page) for name, part in parts.items()}
            return {name: value for name, value in values.items() if value is not None or name in whole.required}

        return show

    def _part(self, name: str, schema: Node, is_required: bool, own: str) -> Callable[[Page], Any]:
        """Return a function that returns the value of a property for a page; None for a property to leave out."""
        if schemas.is_array(schema) and schemas.items(schema) is self._items:
            return self._show_items
        path = next((role for role, spellings in _PATHS.items() if words(name) in spellings), "")
        target = own if path in {"", "self"} else path
        if schemas.is_link(schema):
            if is_required and path != "self" and not schemas.allows_null(schema):
                raise ContractError(f"the mock does not always have a value for the required link {name!r} of a list")
            start = self._base.of(schema)
            return lambda page: start + page.paths[target] if path and target in page.paths else None
        if schemas.is_number(schema) and words(name) in _TOTAL:
            return lambda page: page.total
        if "object" in schemas.types(schema) and schemas.shape(schema).properties:
            show = self._object(schema, target)
            return lambda page: show(page) if target in page.paths else None
        constant = schemas.sample(schema, name) if is_required else None
        return lambda page: constant


class _Paging:
    """Divides one list into pages. Without a query parameter for the page, the whole list is one page.

    Args:
        parameters: the schema of each query parameter of the list, by name.
    """

    def __init__(self, parameters: Mapping[str, Node]) -> None:
        sizes = [name for name in parameters if _SIZE & set(words(name))]
        positions = [name for name in parameters if name not in sizes and ({"page"} | _OFFSET) & set(words(name))]
        self._size_name = sizes[0] if sizes else ""
        self._position_name = positions[0] if positions else ""
        self._counts_pages = not _OFFSET & set(words(self._position_name))
        size, position = (parameters.get(name, {}) for name in (self._size_name, self._position_name))
        firsts = [*schemas.values(position, "default"), *schemas.values(position, "minimum"), 1]
        self._first = int(firsts[0]) if self._counts_pages else 0
        largest = min([DEFAULT_SIZE, *schemas.values(size, "maximum")])
        self._default_size = int([*schemas.values(size, "default"), largest][0])

    def page(self, resources: Sequence[Resource], path: str, query: Mapping[str, str]) -> Page:
        """Return the page that a query asks for.

        Raises:
            Refusal: the query asks for a page that cannot exist.
        """
        total = len(resources)
        name = self._position_name
        if not name:
            return Page(resources, {"self": path}, total)
        try:
            size = int(query.get(self._size_name, self._default_size))
            position = int(query.get(name, self._first))
        except ValueError:
            raise invalid([Failure(name, "is not one that a list gave")]) from None
        start = (position - self._first) * size if self._counts_pages else position
        if start < 0 or size < 1:
            raise invalid([Failure(name, "must be a page of the list")])

        def at(offset: int) -> str:
            wanted = self._first + offset // size if self._counts_pages else offset
            return f"{path}?{urlencode({**query, name: wanted})}"

        paths = {"self": at(start) if query else path}
        if start + size < total:
            paths["next"] = at(start + size)
        if start > 0:
            paths["previous"] = at(max(0, start - size))
        return Page(resources[start : start + size], paths, total)
