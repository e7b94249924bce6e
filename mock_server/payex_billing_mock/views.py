"""Makes the bodies of responses from resources and lists, according to the response schemas of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .names import are_same, singular, words
from .resources import Collection, Resource
from .schemas import ContractError, JsonObject, Node, Schemas

_SELF = (["id"], ["self"], ["self", "link"], ["href"])
Show = Callable[[Resource], Any]


@dataclass(frozen=True, slots=True)
class Base:
    """The start of every link.

    Attributes:
        path: the path of the API, such as `/billing/customer/v1`.
        origin: the scheme and host of the API, for links that must be absolute (`format: uri`).
    """

    path: str
    origin: str


class ResourceView:
    """Shows an item of a collection in the form of one response.

    The mock sets the links, the id and the operations. Other required properties get a sample value if the client did
    not send them.

    Raises:
        ContractError: the mock cannot find the target of a required link, or a value for a required property.
    """

    def __init__(self, schemas: Schemas, base: Base, collection: Collection, schema: Node) -> None:
        self._schemas, self._base, self._collection = schemas, base, collection
        shape = schemas.shape(schema)
        properties = shape.properties
        links = {name: each for name, each in properties.items() if schemas.is_link(each)}
        targets = _targets(collection, links, shape.required)
        self._own: dict[str, Show] = {}
        for name, each in properties.items():
            if name in targets:
                self._own[name] = self._link(each, targets[name])
            elif name == collection.id_property:
                self._own[name] = lambda resource: resource.id
            elif (operations := self._operations(each)) is not None:
                self._own[name] = operations
        self._known = frozenset(properties) if shape.is_closed else None
        self._not_null = frozenset(name for name, each in properties.items() if not schemas.allows_null(each))
        sent = collection.create.required & self._not_null
        self._samples = {
            name: schemas.sample(properties.get(name, {}), name)
            for name in sorted(shape.required - self._own.keys() - sent)
        }

    def show(self, resource: Resource) -> JsonObject:
        """Return the body that shows a resource."""
        shown = {
            name: value
            for name, value in resource.document.items()
            if (self._known is None or name in self._known) and not (value is None and name in self._not_null)
        }
        for name, show in self._own.items():
            shown[name] = show(resource)
        for name, sample in self._samples.items():
            shown.setdefault(name, sample)
        return shown

    def _link(self, schema: Node, target: Callable[[Resource], str]) -> Show:
        start = absolute(self._schemas, self._base, schema)
        return lambda resource: start + target(resource)

    def _operations(self, schema: Node) -> Show | None:
        """Return a function that lists the operations on a resource, each with a link, a method and a relation.

        Return None if the schema is not a list of operations. The list contains only the operations that add an item to
        a collection, so an item without collections has an empty list or null.
        """
        schemas = self._schemas
        names = _operation_names(schemas, schema)
        if names is None:
            return None
        href, method, relation = names
        start = absolute(schemas, self._base, schemas.shape(schemas.items(schema)).properties[href])
        adds = [child for child in self._collection.children if child.can_create]
        if not adds and schemas.allows_null(schema):
            return lambda resource: None

        def show(resource: Resource) -> list[JsonObject]:
            return [
                ({relation: f"add-{singular(child.word)}"} if relation else {})
                | {method: "POST", href: f"{start}{resource.path}/{child.word}"}
                for child in adds
            ]

        return show


def _operation_names(schemas: Schemas, schema: Node) -> tuple[str, str, str | None] | None:
    """Return the property names for the link, the method and the relation of an operation.

    Return None if the schema is not a list of operations.
    """
    entry = schemas.shape(schemas.items(schema)).properties if schemas.is_array(schema) else {}
    href = next((name for name, each in entry.items() if schemas.is_link(each)), None)
    method = next((name for name in entry if words(name)[-1:] == ["method"]), None)
    if href is None or method is None:
        return None
    return href, method, next((name for name in entry if name not in {href, method}), None)


def items_of(schemas: Schemas, schema: Node) -> Node | None:
    """Return the schema of the items in a list response; None if there is no list.

    The list is an array of objects. The array may be inside other objects.
    """
    if schemas.is_array(schema):
        items = schemas.items(schema)
        return items if schemas.shape(items).properties and _operation_names(schemas, schema) is None else None
    properties = schemas.shape(schema).properties.values()
    arrays = [each for each in properties if schemas.is_array(each)]
    objects = [each for each in properties if "object" in schemas.types(each)]
    return next((found for each in (*arrays, *objects) if (found := items_of(schemas, each)) is not None), None)


def absolute(schemas: Schemas, base: Base, schema: Node) -> str:
    """Return the start of a link: with the origin if the format of the schema requires an absolute URI."""
    return base.origin + base.path if schemas.formats(schema) & {"uri", "iri"} else base.path


def _targets(
    collection: Collection, links: Mapping[str, Node], required: frozenset[str]
) -> dict[str, Callable[[Resource], str]]:
    """Return the target of each link of an item."""
    targets: dict[str, Callable[[Resource], str]] = {}
    children = list(collection.children)
    for name in links:
        if words(name) in _SELF:
            targets[name] = lambda resource: resource.path
        elif (child := next((each for each in children if are_same(each.word, name)), None)) is not None:
            targets[name] = _below(child)
            children.remove(child)
        elif (steps := _steps_up(collection, name)) > 0:
            targets[name] = _above(steps)
    rest = [name for name in links if name not in targets]
    if len(rest) == 1:
        if len(children) == 1:
            targets[rest[0]] = _below(children[0])
        elif not children and not any(words(name) in _SELF for name in targets):
            targets[rest[0]] = lambda resource: resource.path
    for name in rest:
        if name in required and name not in targets:
            raise ContractError(f"it cannot be told where the required link {name!r} of {collection.path} leads")
    return targets


def _below(child: Collection) -> Callable[[Resource], str]:
    return lambda resource: f"{resource.path}/{child.word}"


def _above(steps: int) -> Callable[[Resource], str]:
    def target(resource: Resource) -> str:
        for _ in range(steps):
            resource = resource.owner or resource
        return resource.path

    return target


def _steps_up(collection: Collection, name: str) -> int:
    """Return how many levels above an item the owner with a given name is; 0 if there is no such owner."""
    steps, owner = 1, collection.owner
    while owner is not None and owner.word:
        if words(name) == words(singular(owner.word)):
            return steps
        steps, owner = steps + 1, owner.owner
    return 0


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        resources: the resources on this page.
        paths: the paths, below the API's base path, of this page (`self`) and, if any, of `next` and `previous`.
        numbers: the number of resources in the whole list (`total`), the number of this `page`, and its `size`.
    """

    resources: Sequence[Resource]
    paths: Mapping[str, str]
    numbers: Mapping[str, int]


_PATHS = {
    "self": _SELF,
    "next": (["next"], ["next", "page"], ["next", "link"]),
    "previous": (["prev"], ["previous"], ["previous", "page"], ["prev", "page"]),
}
_NUMBERS = {
    "total": (["total"], ["total", "count"], ["total", "items"], ["total", "records"]),
    "page": (["page"], ["page", "number"], ["current", "page"]),
    "size": (["page", "size"], ["size"], ["limit"], ["per", "page"]),
}


class ListView:
    """Shows the items of a collection in the form of one response.

    Raises:
        ContractError: the response has no list, or has a required property that the mock cannot fill.
    """

    def __init__(self, schemas: Schemas, base: Base, collection: Collection, schema: Node) -> None:
        self._schemas, self._base = schemas, base
        items = items_of(schemas, schema)
        if items is None:
            raise ContractError(f"the response of GET {collection.path} has no list of items")
        self._items = items
        view = ResourceView(schemas, base, collection, items)
        self._show_items: Callable[[Page], Any] = lambda page: [view.show(resource) for resource in page.resources]
        self.show = self._show_items if schemas.is_array(schema) else self._object(schema)
        """A function that returns the body for a page."""

    def _object(self, schema: Node, own: str = "self") -> Callable[[Page], Any]:
        """Return a function that shows a page as an object. `own` is the page that a link to itself leads to."""
        shape = self._schemas.shape(schema)
        parts: dict[str, Callable[[Page], Any]] = {}
        for name, each in shape.properties.items():
            part = self._part(name, each, own)
            is_needed = name in shape.required and not self._schemas.allows_null(each)
            if is_needed and words(name) in (*_PATHS["next"], *_PATHS["previous"]):
                raise ContractError(f"{name!r} of a list is required and may not be null, but one page has none")
            if part is not None:
                parts[name] = part
            elif name in shape.required:
                if self._schemas.is_link(each):
                    raise ContractError(f"it cannot be told where the required link {name!r} of a list leads")
                parts[name] = _constant(self._schemas.sample(each, name))
        optional = set(parts) - shape.required

        def show(page: Page) -> JsonObject:
            values = {name: part(page) for name, part in parts.items()}
            return {name: value for name, value in values.items() if value is not None or name not in optional}

        return show

    def _part(self, name: str, schema: Node, own: str) -> Callable[[Page], Any] | None:
        schemas = self._schemas
        if schemas.is_array(schema) and schemas.items(schema) is self._items:
            return self._show_items
        path = next((role for role, spellings in _PATHS.items() if words(name) in spellings), "")
        target = own if path in {"", "self"} else path
        if schemas.is_link(schema):
            return _path_of(target, absolute(schemas, self._base, schema)) if path else None
        if schemas.types(schema) & {"integer", "number"}:
            role = next((role for role, spellings in _NUMBERS.items() if words(name) in spellings), None)
            return (lambda page: page.numbers[role]) if role else None
        if "object" in schemas.types(schema) and schemas.shape(schema).properties:
            show = self._object(schema, target)
            return lambda page: show(page) if target in page.paths else None
        return None


def _constant(value: Any) -> Callable[[Page], Any]:
    return lambda page: value


def _path_of(role: str, start: str) -> Callable[[Page], Any]:
    return lambda page: start + page.paths[role] if role in page.paths else None
