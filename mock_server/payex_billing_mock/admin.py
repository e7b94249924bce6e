"""Serves `/mock/faults`, and checks who may use it and the console.

The checks stop three kinds of requests:

- From a page of another site: the browser sends the header `GUARD` only if the mock allows it, and the mock never
  does (no CORS).
- From a page whose host name now resolves to a loopback address (DNS rebinding): the request has that host name as
  Host, which is not a loopback name.
- From a browser on another machine, for the console only: the peer address is not a loopback address, whatever Host
  the browser sends.
"""

from __future__ import annotations

import ipaddress
import json
import re

from .faults import Faults
from .json_text import parse
from .messages import MAX_BODY_BYTES, Answer, Request

PATH = b"/mock/faults"
GUARD = "x-payex-console"
_LOOPBACK_NAME = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?", re.IGNORECASE)


def is_loopback(address: str) -> bool:
    """Return whether an IP address is a loopback address. Accept also an IPv4 address that is mapped to IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


def has_loopback_host(request: Request) -> bool:
    """Return whether the Host header is a loopback name. Requests from other sites have another Host."""
    return _LOOPBACK_NAME.fullmatch(request.headers.get("host", "")) is not None


def has_guard(request: Request) -> bool:
    """Return whether the request has the header that pages of other sites cannot send."""
    return request.headers.get(GUARD) == "1"


class Admin:
    """Handles the requests for `/mock/faults`, which show and change the faults.

    GET lists the faults, POST `{"faults": ["lose-answer:POST"]}` adds faults to the queue, and DELETE ends all faults.
    Each response except a 403 contains `faults`, the faults that requests may still meet, and `lateWrites`, the number
    of writes that have not taken effect yet.

    Every request needs the header `X-Payex-Console: 1`, and a POST also needs a JSON Content-Type. A browser sends
    these headers for a page of another site only if the mock allows it, and the mock never does. A request from this
    machine also needs a loopback name as its Host.

    Args:
        faults: the faults that requests meet.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def answer(self, request: Request) -> Answer | None:
        """Return the response, or None if the request has another path."""
        if request.raw_path != PATH:
            return None
        status, error = self._change_faults(request)
        state = {"faults": self._faults.pending(), "lateWrites": len(self._faults.late_writes)}
        shown = {} if status == 403 else state
        return Answer.of(status, "application/json", json.dumps(shown | ({"error": error} if error else {})))

    def _change_faults(self, request: Request) -> tuple[int, str | None]:
        """Carry out a request to `/mock/faults`. Return the status, and an error message or None."""
        if not has_guard(request):
            return 403, f"/mock/faults needs the header {GUARD}: 1, which pages of other sites cannot send."
        if is_loopback(request.peer) and not has_loopback_host(request):
            return 403, "From this machine, /mock/faults needs a loopback name such as localhost in the URL."
        match request.method:
            case "GET":
                return 200, None
            case "DELETE":
                self._faults.clear()
                return 200, None
            case "POST":
                return self._queue_faults(request)
            case _:
                return 405, "Use GET, POST or DELETE."

    def _queue_faults(self, request: Request) -> tuple[int, str | None]:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "Send the faults with Content-Type: application/json."
        if request.body is None:
            return 413, f"The body must have at most {MAX_BODY_BYTES} bytes."
        try:
            self._faults.queue(*_texts(request.body))
        except ValueError as problem:
            return 400, f'Send {{"faults": ["lose-answer:POST"]}}. The mock cannot use this body: {problem}.'
        return 200, None


def _texts(body: bytes) -> list[str]:
    value = parse(body)
    texts = value.get("faults") if isinstance(value, dict) else None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("it is not an object with a list of texts")
    return texts
