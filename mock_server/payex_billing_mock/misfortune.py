"""A request that meets a fault, without a network: what is answered, and whether it took effect."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .app import Answer, MockApp, Request
from .faults import Fault, Faults
from .problems import Refusal

_STATUS_PROBLEMS = {401: "unauthorized", 429: "too-many-requests", 503: "service-unavailable"}


@dataclass(frozen=True, slots=True)
class Broken:
    """No answer came.

    Attributes:
        fault: why.
        seconds: how long the client would have waited in vain; 0 when the connection was cut at once.
    """

    fault: Fault
    seconds: float = 0.0


def refusal(app: MockApp, fault: Fault) -> Answer:
    """What a fault of a status answers."""
    status = fault.status or 500
    headers = {"Retry-After": fault.value} if fault.value is not None else {}
    if status in _STATUS_PROBLEMS:
        if status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="payex-billing", error="invalid_token"'
        return app.refuse(Refusal(_STATUS_PROBLEMS[status], headers=headers))
    if fault.is_problem:
        for kind in app.contract.problem_types.values():
            if kind.status == status:
                return app.refuse(Refusal(kind.code, headers=headers))
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>".encode()
    own = {"Server": "payex-billing-mock", "Content-Type": "text/html", "Content-Length": str(len(page))}
    return Answer(status, own | headers, page)


def answer(app: MockApp, faults: Faults, request: Request, patience: float) -> Answer | Broken:
    """Answer a request in process. Nothing waits: a latency beyond the client's patience, in seconds, is no answer."""
    started = time.perf_counter()
    fault = faults.take(request.method)
    if fault is None:
        answered = app.handle(request)
        app.note(request, answered, time.perf_counter() - started)
        return answered
    found = app.handle(request) if fault.takes_effect else None
    result: Answer | Broken | None = refusal(app, fault) if fault.status is not None else found
    if result is None or fault.cuts or (fault.kind == "latency" and fault.seconds >= patience):
        result = Broken(fault, min(fault.seconds, patience))
    sent = result if isinstance(result, Answer) else None
    app.note(request, sent, time.perf_counter() - started, str(fault), fault.takes_effect)
    return result
