"""Carries out the six actions on collections and items: list, create, read, merge, replace and remove."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .json_text import render
from .operations import Action, Operation, read_query
from .resources import Resource
from .schemas import JsonObject
from .store import Store
from .views import ListView, ResourceView


@dataclass(slots=True)
class Call:
    """A request that has passed every check of the contract.

    Attributes:
        ledger: the ledger's number.
        parameters: the decoded path parameters.
        query: the query as sent.
        body: the parsed body; empty for a request without one.
    """

    ledger: str
    parameters: Mapping[str, str]
    query: bytes
    body: JsonObject


def perform(store: Store, operation: Operation, call: Call) -> tuple[str, Resource]:
    """Carry out an operation. Return the response text (empty without a body) and the affected resource.

    A list operation returns the resource that the list belongs to.

    Raises:
        Refusal: the operation is not possible in the current state.
    """
    collection, view = operation.collection, operation.view
    owner = store.ledger(call.ledger)
    for each in collection.owners:
        owner = store.find(owner, each, call.parameters[each.id_parameter or ""])
    if isinstance(view, ListView):
        path = f"{owner.path}/{quote(collection.word)}"
        page = operation.paging.page(store.listed(owner, collection), path, read_query(call.query))
        return render(view.show(page)), owner
    resource = _change(store, operation, owner, call)
    return render(view.show(resource)) if isinstance(view, ResourceView) else "", resource


def _change(store: Store, operation: Operation, owner: Resource, call: Call) -> Resource:
    """Carry out an operation on one item, and return the item."""
    ignored = operation.body.ignored if operation.body is not None else set()
    content = {name: value for name, value in call.body.items() if name not in ignored}
    if operation.action is Action.CREATE:
        return store.create(owner, operation.collection, content)
    resource = store.find(owner, operation.collection, call.parameters[operation.collection.id_parameter or ""])
    match operation.action:
        case Action.MERGE:
            return store.merge(resource, content)
        case Action.REPLACE:
            return store.replace(resource, content, ignored)
        case Action.REMOVE:
            store.remove(resource)
    return resource
