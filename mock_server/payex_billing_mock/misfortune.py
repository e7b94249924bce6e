"""Applies faults to requests in process: chooses the response, and whether the request takes effect."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .app import MockApp
from .faults import Fault, Faults
from .json_text import render
from .messages import Answer, Request
from .operations import Action, Operation
from .problems import Refusal
from .resources import Collection, Resource
from .schemas import ContractError, Id, JsonObject
from .views import ResourceView

_PROBLEMS = (401, 429, 503)  # the statuses whose body is the API's own problem
_CHALLENGE = 'Bearer realm="payex-billing", error="invalid_token"'
_STALE_ID = "0" * 16  # no charge has this id, so that a test sees where the charge came from


@dataclass(frozen=True, slots=True)
class Broken:
    """The result of a request whose client gets no complete response.

    Attributes:
        fault: the fault that the request met.
        seconds: how long the client would have waited for the response; 0 if the connection ended at once.
    """

    fault: Fault
    seconds: float = 0.0


def refusal(app: MockApp, fault: Fault) -> Answer:
    """Return the response of a fault that has a status."""
    status = fault.status or 500
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    if status in _PROBLEMS or fault.is_problem:
        for kind in app.contract.problem_types.values():
            if kind.status == status:
                return app.refuse(Refusal(kind.code, headers=headers))
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>".encode()
    own = {"Server": "payex-billing-mock", "Content-Type": "text/html", "Content-Length": str(len(page))}
    return Answer(status, own | headers, page)


def stale_response(app: MockApp, fault: Fault, request: Request) -> Answer:
    """Return the second response of the fault `stale-response`: valid and plausible, but it belongs to no request."""
    status = fault.stale_status or 400
    if status == 201:
        return _stale_charge(app, request)
    if status == 400:
        return app.refuse(Refusal("validation", "A stale response of the mock"))
    # A client that trusts this response waits for 1 second and retries a request that already took effect.
    headers = {"WWW-Authenticate": _CHALLENGE} if status == 401 else {"Retry-After": "1"}
    codes = [kind.code for kind in app.contract.problem_types.values() if kind.status == status]
    return app.refuse(Refusal(next(iter(codes), "validation"), "A stale response of the mock", headers=headers))


def answer(app: MockApp, faults: Faults, request: Request, patience: float) -> Answer | Broken:
    """Respond to a request in process, without waiting.

    If a latency or a drip lasts at least `patience` seconds, the client gets no response. With the fault
    `stale-response` the client gets only the true response, because there is no connection that could keep a second
    response. The write of a late commit takes effect in the first call after its time has come, or in
    `Faults.wait_for_late_writes`.

    Args:
        app: the mock.
        faults: the faults that requests meet.
        request: the request.
        patience: how many seconds the client waits for a response.
    """
    faults.late_writes.carry_out_due()
    started = time.perf_counter()
    fault = faults.take(request.method)
    if fault is None:
        answered = app.handle(request)
        app.note(request, answered, time.perf_counter() - started)
        return answered
    if fault.is_late:
        faults.late_writes.add(fault.seconds, lambda: app.handle(request))
    true_response = app.handle(request) if fault.takes_effect else None
    result: Answer | Broken | None = refusal(app, fault) if fault.status is not None else true_response
    if result is None or fault.cuts or (fault.delays and fault.seconds >= patience):
        waited = 0.0 if fault.is_late else min(fault.seconds, patience)
        result = Broken(fault, waited)
    sent = result if isinstance(result, Answer) else None
    app.note(request, sent, time.perf_counter() - started, str(fault), fault.takes_effect or fault.is_late)
    return result


def _stale_charge(app: MockApp, request: Request) -> Answer:
    """Return the response for a charge that nobody created, for the customer in the request's path."""
    contract = app.contract
    match = contract.match(request.raw_path)
    parameters = match.parameters if match is not None else {}
    ledger = Resource(contract.root, None, parameters.get(contract.ledger_parameter or "", "0"))
    for operation in contract.operations():
        collection, view = operation.collection, operation.view
        customers = collection.owner
        if (
            operation.action is Action.CREATE
            and collection.role == "charge"
            and customers
            and customers.role == "customer"
        ):
            break
    else:
        return app.refuse(Refusal("validation", "A stale response of the mock"))
    customer = Resource(customers, ledger, parameters.get(customers.id_parameter or "", "0"))
    charge = Resource(collection, customer, _stale_id(collection), _stale_content(operation))
    body = render(view.show(charge)).encode() if isinstance(view, ResourceView) else b""
    headers = {
        "Server": "payex-billing-mock",
        "Content-Type": operation.media_type or "application/json",
        "Content-Length": str(len(body)),
    }
    return Answer(operation.success, headers, body)


def _stale_id(collection: Collection) -> Id:
    return 0 if isinstance(collection.new_id(), int) else _STALE_ID


def _stale_content(operation: Operation) -> JsonObject:
    """Return the required properties of a new charge, each with the text STALE if the contract allows it."""
    try:
        content = operation.body.sample() if operation.body is not None else {}
    except ContractError:  # the mock finds no sample value for a property of the contract
        return {}
    for name in content:
        changed = content | {name: "STALE"}
        if not operation.check_body(changed):
            content = changed
    return content
