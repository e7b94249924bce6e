"""Applies faults to requests: chooses the response, and whether the request takes effect."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .app import MockApp
from .faults import Fault, Faults
from .json_text import render
from .messages import Answer, Handled, Request
from .operations import Action, Body
from .problems import Refusal
from .resources import Resource
from .schemas import JsonObject
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
    fault = faults.take(request.method)
    if fault is None:
        return app.handle_and_note(request)
    is_too_slow = fault.kind in {"latency", "drip"} and fault.seconds >= patience
    result = carry_out(app, faults, fault, request, is_lost=fault.cuts or is_too_slow)
    if result is None or fault.cuts or is_too_slow:
        return Broken(fault, 0.0 if fault.is_late else min(fault.seconds, patience))
    return result


def carry_out(app: MockApp, faults: Faults, fault: Fault, request: Request, *, is_lost: bool) -> Answer | None:
    """Carry out a request that meets a fault, and report it to the observers.

    Return the response to send, whole or in part; None if the request has no response.

    Args:
        app: the mock.
        faults: note the write of a late commit.
        fault: the fault.
        request: the request.
        is_lost: whether the client gets no complete response.
    """
    started = time.perf_counter()
    if fault.is_late:
        faults.late_writes.add(fault.seconds, lambda: app.handle(request))
    response = app.handle(request) if fault.takes_effect else None
    if fault.status is not None:
        response = refusal(app, fault, fault.status)
    sent = None if is_lost else response
    took_effect = fault.takes_effect or fault.is_late
    app.note(Handled(request, sent, time.perf_counter() - started, str(fault), took_effect))
    return response


def refusal(app: MockApp, fault: Fault, status: int) -> Answer:
    """Return the response of a fault with a status: the API's own problem, or the page of an ingress."""
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    codes = [kind.code for kind in app.contract.problem_types.values() if kind.status == status]
    if codes and (status in _PROBLEMS or fault.kind.endswith("-problem")):
        return app.refuse(Refusal(codes[0], headers=headers))
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Answer.of(status, "text/html", page, headers)


def stale_response(app: MockApp, fault: Fault, request: Request) -> Answer:
    """Return the second response of the fault `stale-response`: valid and plausible, but it belongs to no request."""
    status = fault.stale_status
    if status == 201:
        return _stale_charge(app, request)
    # A client that trusts a 429 or 503 waits for 1 second and retries a request that already took effect.
    headers = {400: {}, 401: {"WWW-Authenticate": _CHALLENGE}}.get(status, {"Retry-After": "1"})
    codes = [kind.code for kind in app.contract.problem_types.values() if kind.status == status]
    return app.refuse(Refusal([*codes, "validation"][0], "A stale response of the mock", headers=headers))


def _stale_charge(app: MockApp, request: Request) -> Answer:
    """Return the response for a charge that nobody created, for the customer in the request's path."""
    contract = app.contract
    _, parameters = contract.match(request.raw_path) or (None, {})
    for operation in contract.operations():
        collection, customers = operation.collection, operation.collection.owner
        is_charge = operation.action is Action.CREATE and collection.role == "charge"
        if is_charge and customers is not None and customers.role == "customer":
            ledger = Resource(contract.root, None, parameters.get(contract.ledger_parameter or "", "0"))
            customer = Resource(customers, ledger, parameters.get(customers.id_parameter or "", "0"))
            number = 0 if isinstance(collection.new_id(), int) else _STALE_ID
            charge = Resource(collection, customer, number, _stale_content(operation.body) if operation.body else {})
            body = render(operation.view.show(charge)) if isinstance(operation.view, ResourceView) else ""
            return Answer.of(operation.success, operation.media_type, body)
    return app.refuse(Refusal("validation", "A stale response of the mock"))


def _stale_content(body: Body) -> JsonObject:
    """Return the content of a new charge, with the text STALE in each property that may have it."""
    content = body.examples()[0]
    for name in content:
        changed = content | {name: "STALE"}
        if not body.failures(changed):
            content = changed
    return content
