"""Carries out the six actions on collections and items: list, create, read, merge, replace and remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .json_text import render
from .operations import Action, Operation, read_query
from .resources import Collection, Resource
from .schemas import JsonObject
from .store import Store
from .views import ListView, ResourceView


@dataclass(slots=True)
class Call:
    """A request that has passed every check of the contract.

    Attributes:
        store: the state of the mock.
        ledger: the ledger's number.
        parameters: the decoded path parameters.
        query: the query as sent.
        body: the parsed body; empty for a request without one.
    """

    store: Store
    ledger: str
    parameters: Mapping[str, str]
    query: bytes
    body: JsonObject


def perform(operation: Operation, call: Call) -> tuple[str, Resource | None]:
    """Carry out an operation. Return the response text (empty without a body) and the affected resource.

    A list operation returns None in place of the resource.
    """
    store, collection = call.store, operation.collection
    owner = _owner(call, collection)
    content = call.body
    if operation.body is not None:
        content = {name: value for name, value in call.body.items() if name not in operation.body.ignored}
    if operation.action is Action.LIST:
        page = operation.paging.page(
            store.listed(owner, collection), f"{owner.path}/{quote(collection.word)}", read_query(call.query)
        )
        return render(operation.view.show(page)) if isinstance(operation.view, ListView) else "", None
    if operation.action is Action.CREATE:
        resource = store.create(owner, collection, content)
    else:
        resource = store.find(owner, collection, call.parameters[collection.id_parameter or ""])
        match operation.action:
            case Action.MERGE:
                resource = store.merge(resource, content)
            case Action.REPLACE:
                kept = operation.body.ignored if operation.body is not None else frozenset()
                resource = store.replace(resource, content, kept)
            case Action.REMOVE:
                store.remove(resource)
    return render(operation.view.show(resource)) if isinstance(operation.view, ResourceView) else "", resource


def _owner(call: Call, collection: Collection) -> Resource:
    """Return the resource that a collection belongs to.

    Raises:
        Refusal: an owner in the path does not exist. The refusal names the first missing owner.
    """
    owners: list[Collection] = []
    above = collection.owner
    while above is not None and above.owner is not None:
        owners.insert(0, above)
        above = above.owner
    resource = call.store.ledger(call.ledger)
    for each in owners:
        resource = call.store.find(resource, each, call.parameters[each.id_parameter or ""])
    return resource
