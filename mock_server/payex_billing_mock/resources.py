"""The collections of the contract: how they are nested, and which property identifies an item of each collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from .names import are_same, only, singular, stem
from .schemas import ContractError, Id, JsonObject, Shape, formats, is_link, is_number, is_read_only, new_id

_START = {"start", "starts", "from", "begin", "begins", "since"}
_END = {"end", "ends", "to", "until", "through", "stop", "stops"}
_EMPTY = Shape({}, frozenset(), False)

Key = tuple[Id, ...]
"""The position of a resource: the ledger number, then for each level the collection's word and the item's id."""


@dataclass(frozen=True, slots=True)
class Meanings:
    """The names of the charge properties that the mock itself uses; empty if the contract has no such property."""

    start: str = ""
    end: str = ""
    billed_until: str = ""
    quantity: str = ""
    price: str = ""


@dataclass(eq=False, slots=True)
class Collection:
    """A collection of the contract, such as the charges of a subscription.

    Attributes:
        path: the path template, such as `/{ownerNo}/customers`; for the root, the path of a ledger.
        word: the last part of the path, after the path parameter of the owner.
        owner: the collection one level above, whose items have this collection; None for the root.
        children: the collections that each item of this collection has.
        id_parameter: the path parameter that identifies an item; None if no path has one.
        id_property: the property that contains the id of an item; None if only the item's link contains the id.
        is_numbered_by_client: whether the client chooses the id of a new item.
        new_id: a function that returns a new id.
        create: the properties in the request that creates an item; none if the contract has no such request.
        read: the properties in a response that shows an item.
        not_found: the problem type for an item that does not exist.
        already_exists: the problem type for a duplicate; None if the contract has none.
        role: `customer`, `subscription`, `charge`, or empty.
        meanings: the names of the properties that the mock itself uses.
    """

    path: str
    word: str = ""
    owner: Collection | None = None
    children: list[Collection] = field(default_factory=list)
    id_parameter: str | None = None
    id_property: str | None = None
    is_numbered_by_client: bool = False
    new_id: Callable[[], Id] = lambda: ""
    create: Shape = _EMPTY
    read: Shape = _EMPTY
    not_found: str = "not-found"
    already_exists: str | None = None
    role: str = ""
    meanings: Meanings = field(default_factory=Meanings)

    def __iter__(self) -> Iterator[Collection]:
        """Yield every collection below this one. A collection comes before the collections of its items."""
        for child in self.children:
            yield child
            yield from child

    @property
    def owners(self) -> list[Collection]:
        """The collections above this one, from the outermost. The root is not among them."""
        if self.owner is None or self.owner.owner is None:
            return []
        return [*self.owner.owners, self.owner]

    def child(self, role: str) -> Collection | None:
        """Return the collection with a given role that each item of this collection has; None if there is none."""
        return next((child for child in self.children if child.role == role), None)


@dataclass(eq=False, slots=True)
class Resource:
    """A resource: a ledger, or an item of a collection.

    Attributes:
        collection: the collection that contains the resource; the root for a ledger.
        owner: the resource that this resource belongs to; None for a ledger.
        id: the number or id of the resource.
        document: the properties that the client sent, unknown ones included, and those that the mock added.
        items: the resources that belong to this one, by the word of their collection, then by id as text.
        path: the path of the resource below the API's base path.
    """

    collection: Collection
    owner: Resource | None
    id: Id
    document: JsonObject = field(default_factory=dict)
    items: dict[str, dict[str, Resource]] = field(default_factory=dict)
    path: str = field(init=False)

    def __post_init__(self) -> None:
        """Set the path of the resource."""
        own = quote(str(self.id), safe="")
        if self.owner is None:
            segments = self.collection.path.split("/")
            self.path = "/".join(own if segment.startswith("{") else segment for segment in segments)
        else:
            self.path = f"{self.owner.path}/{self.collection.word}/{own}"

    @property
    def key(self) -> Key:
        """The position of the resource, which identifies it in the whole state."""
        return (self.id,) if self.owner is None else (*self.owner.key, self.collection.word, self.id)

    @property
    def subscriptions(self) -> dict[str, Resource]:
        """The subscriptions of the resource, by number."""
        return self._owned("subscription")

    @property
    def charges(self) -> dict[str, Resource]:
        """The charges that belong directly to the resource, by id, oldest first."""
        return self._owned("charge")

    def _owned(self, role: str) -> dict[str, Resource]:
        collection = self.collection.child(role)
        return self.items.setdefault(collection.word, {}) if collection is not None else {}


def collections_of(paths: Iterable[str]) -> tuple[Collection, Mapping[str, Collection]]:
    """Return the root collection, and the collection for each path of the contract.

    Raises:
        ContractError: a path is not the path of a collection or of its items.
    """
    paths = list(paths)
    root = Collection(_root_path(paths))
    known = {root.path: root}
    by_path: dict[str, Collection] = {}
    for path in paths:
        base = path.rstrip("/")
        is_item = base.endswith("}") and base != root.path
        collection_path = base.rpartition("/")[0] if is_item else base
        if collection_path == root.path or not collection_path:
            raise ContractError(f"{path} is not the path of a collection or of its items")
        by_path[path] = _collection(known, root, collection_path)
        if is_item:
            by_path[path].id_parameter = base.rpartition("/")[2][1:-1]
    return root, by_path


def _root_path(paths: Sequence[str]) -> str:
    """Return the path of a ledger, with which all paths begin; empty if the paths do not name the ledger."""
    start, brace, _ = paths[0].partition("}") if paths else ("", "", "")
    return start + brace if brace and all(path.startswith(start + "}/") for path in paths) else ""


def _collection(known: dict[str, Collection], root: Collection, path: str) -> Collection:
    """Return the collection with a path. Create it, and the collections above it, if they do not exist."""
    if path not in known:
        owner, end = root, len(root.path)
        if "}" in path[end:]:
            end = path.rindex("}") + 1
            owner_path, _, parameter = path[:end].rpartition("/")
            owner = _collection(known, root, owner_path)
            owner.id_parameter = parameter[1:-1]
        known[path] = Collection(path, path[end:].strip("/"), owner)
        owner.children.append(known[path])
    return known[path]


def identify(collection: Collection) -> None:
    """Find the property that identifies an item, who chooses its value, and the `meanings`.

    Raises:
        ContractError: no property identifies an item.
    """
    read, create = collection.read.properties, collection.create
    properties = [name for name, schema in read.items() if not is_link(schema)]
    parameter = collection.id_parameter or f"{singular(collection.word)}-id"
    ways = [
        [name for name in properties if read[name].get("x-sdk", {}).get("kind") == "id"],
        [name for name in properties if are_same(name, parameter)],
        [name for name in properties if stem(name) == stem(parameter)],
        [name for name in properties if are_same(name, "id")],  # there may be a `code`, too
        [name for name in properties if stem(name) == ""],
        [name for name in properties if name in create.required],
    ]
    found = next((way[0] for way in ways if len(way) == 1), None)
    if found is None and len(properties) == len(read):
        raise ContractError(f"no property of {collection.path} has the meaning of the path parameter {parameter!r}")
    collection.id_property = found
    writable = create.properties.get(found or "")
    collection.is_numbered_by_client = writable is not None and not is_read_only(writable)
    if not collection.is_numbered_by_client or found not in create.required:
        collection.new_id = new_id(read[found] if found else {"type": "string"}, found or parameter)
    collection.meanings = _meanings(collection)


def _meanings(collection: Collection) -> Meanings:
    create = collection.create.properties
    dates = [name for name, schema in create.items() if "date" in formats(schema)]
    numbers = [name for name, schema in create.items() if is_number(schema)]
    shown = [name for name, schema in collection.read.properties.items() if "date" in formats(schema)]
    return Meanings(
        start=only(dates, _START),
        end=only(dates, _END),
        billed_until=only(shown, {"billed", "invoiced"}),
        quantity=only(numbers, {"quantity", "count", "qty", "units"}),
        price=only(numbers, {"price", "amount"}),
    )


def assign_roles(root: Collection) -> None:
    """Assign the roles customer, subscription and charge to collections, according to their nesting.

    Customers are the top-level collection with the most collections below it. Subscriptions are the collection of a
    customer whose items have collections themselves. Charges are the collection that customers and subscriptions share.

    Raises:
        ContractError: the contract has no collection.
    """
    if not root.children:
        raise ContractError("the contract has no collection")
    customers = max(root.children, key=lambda child: len(list(child)))
    customers.role = "customer"
    subscriptions = next((child for child in customers.children if child.children), None)
    if subscriptions is not None:
        subscriptions.role = "subscription"
    leaves = subscriptions.children if subscriptions else customers.children
    for charges in (*customers.children, *leaves):
        if charges.word == leaves[0].word:
            charges.role = "charge"
