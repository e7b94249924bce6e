"""A request that meets a fault, in process: which response it gets, and whether it takes effect."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import quote

from .app import Answer, MockApp, Request
from .faults import Fault, Faults
from .json_text import render
from .problems import Refusal

_STATUS_PROBLEMS = {401: "unauthorized", 429: "too-many-requests", 503: "service-unavailable"}
_CHALLENGE = 'Bearer realm="payex-billing", error="invalid_token"'
_STALE_ID = "0" * 16  # no charge has this id, so that a test sees where the charge came from


@dataclass(frozen=True, slots=True)
class Broken:
    """The client gets no complete response.

    Attributes:
        fault: why.
        seconds: how long the client would have waited in vain; 0 when the connection ended at once.
    """

    fault: Fault
    seconds: float = 0.0


def refusal(app: MockApp, fault: Fault) -> Answer:
    """The response of a fault that has a status."""
    status = fault.status or 500
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else {}
    if status in _STATUS_PROBLEMS:
        if status == 401:
            headers["WWW-Authenticate"] = _CHALLENGE
        return app.refuse(Refusal(_STATUS_PROBLEMS[status], headers=headers))
    if fault.is_problem:
        for kind in app.contract.problem_types.values():
            if kind.status == status:
                return app.refuse(Refusal(kind.code, headers=headers))
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>".encode()
    own = {"Server": "payex-billing-mock", "Content-Type": "text/html", "Content-Length": str(len(page))}
    return Answer(status, own | headers, page)


def stale_response(app: MockApp, fault: Fault, request: Request) -> Answer:
    """The second response of a `stale-response`: well-formed, plausible, and about no request."""
    status = fault.stale_status or 400
    if status == 201:
        return _stale_charge(app, request)
    if status == 400:
        return app.refuse(Refusal("validation", "A stale response of the mock"))
    # A client that waits and retries would wait this second, and then repeat a request that took effect.
    headers = {"WWW-Authenticate": _CHALLENGE} if status == 401 else {"Retry-After": "1"}
    return app.refuse(Refusal(_STATUS_PROBLEMS[status], "A stale response of the mock", headers=headers))


def answer(app: MockApp, faults: Faults, request: Request, patience: float) -> Answer | Broken:
    """Respond to a request in process, without waiting.

    A latency or a drip as long as the client's patience, in seconds, means no response. There is no connection that a
    stale response could stay in, so the client gets the true response alone. The write of a late commit takes effect
    in the first call after its time, or in `Faults.wait_for_late_writes`.
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
    """A charge of the customer in the request's path that nobody created."""
    match = app.contract.match(request.raw_path)
    parameters = match.parameters if match is not None else {}
    ledger, customer = (quote(parameters.get(name, "0"), safe="") for name in ("ownerNo", "customerNo"))
    path = f"{app.contract.base_path}/{ledger}/customers/{customer}/recurring-products/{_STALE_ID}"
    charge = {
        "productCode": "STALE",
        "quantity": 1,
        "@id": path,
        "recurringProductId": _STALE_ID,
        "operations": None,
    }
    body = render(charge).encode()
    headers = {"Server": "payex-billing-mock", "Content-Type": "application/json", "Content-Length": str(len(body))}
    return Answer(201, headers, body)
