"""The mock itself: checks a request in the order a careful server would, and responds to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .contract import Contract, Failure, Match, Operation, load_contract
from .handlers import HANDLERS, Call
from .json_text import parse, render
from .problems import Refusal, invalid, problem
from .store import JsonObject, Store

if TYPE_CHECKING:
    from .traffic import Traffic

MAX_BODY_BYTES = 65_536
DRAINED_BYTES = 16 * MAX_BODY_BYTES
REQUEST_SECONDS = 30.0
"""The longest time for a client to send one request."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Request:
    """A request as it came over the wire.

    Attributes:
        method: the HTTP method.
        raw_path: the path as sent, without the query.
        headers: the headers, names in lower case.
        body: the body; None when it has more than `MAX_BODY_BYTES`.
        peer: the IP address of the other end of the socket; empty where there is no socket.
    """

    method: str
    raw_path: bytes
    headers: Mapping[str, str]
    body: bytes | None
    peer: str = ""


@dataclass(slots=True)
class Answer:
    """What is sent back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class MockApp:
    """An ASGI application that answers as the contract says.

    Args:
        ledgers: the token of each ledger, by ledger number.
        store: the state; a new one in memory if not given.
        contract: the contract; this package's own if not given.
        request_seconds: the longest time for the body of a request, where this application reads the body itself, as
            an ASGI application on asyncio; None for no limit.
    """

    def __init__(
        self,
        ledgers: Mapping[str, str],
        *,
        store: Store | None = None,
        contract: Contract | None = None,
        request_seconds: float | None = None,
    ) -> None:
        self._request_seconds = request_seconds
        self.contract = contract or load_contract()
        self.store = store if store is not None else Store()
        self._ledger_of_token = {token: ledger for ledger, token in ledgers.items()}
        if len(self._ledger_of_token) != len(ledgers):
            raise ValueError("two ledgers have the same token")
        self._base_path = self.contract.base_path
        self._lock = threading.Lock()
        self.ledgers = tuple(ledgers)
        self.traffic: Traffic | None = None

    def note(
        self,
        request: Request,
        answer: Answer | None,
        seconds: float,
        fault: str | None = None,
        took_effect: bool = True,
    ) -> None:
        """Tell who keeps track of requests, if anybody does."""
        if self.traffic is not None:
            self.traffic.record(request, answer, seconds, fault, took_effect)

    def handle(self, request: Request) -> Answer:
        """Answer one request. Calls from several threads are taken one after the other."""
        if request.raw_path == b"/healthz" and request.method == "GET":
            return _answer(200, "application/json", '{"status":"ok"}')
        try:
            with self._lock:
                return self._handle(request)
        except Refusal as refusal:
            return self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> Answer:
        """The answer that says no."""
        kind = self.contract.problem_types[refusal.code]
        return _answer(kind.status, "application/problem+json", render(problem(kind, refusal)), refusal.headers)

    def _handle(self, request: Request) -> Answer:
        match = self.contract.match(request.raw_path)
        if match is None:
            raise Refusal("not-found", "There is no such resource in this API")
        operation = match.route.operations.get(request.method)
        if operation is None:
            raise Refusal("method-not-allowed", headers={"Allow": match.route.allow})
        self._authorize(request, match)
        if operation.operation_id not in match.valid_for:
            failures = [Failure(name, "is not UTF-8") for name in match.undecodable]
            failures += operation.check_parameters(match.parameters)
            if failures:
                raise invalid(failures)
            match.valid_for.add(operation.operation_id)
        body = _body(request, operation)
        text = HANDLERS[operation.operation_id](Call(self.store, self._base_path, match.parameters, body))
        return _answer(operation.success, "application/json", text)

    def _authorize(self, request: Request, match: Match) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer" and self._ledger_of_token.get(token, "") == match.parameters.get("ownerNo"):
            return
        challenge = 'Bearer realm="payex-billing"'
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal("unauthorized", "A bearer token is required", headers={"WWW-Authenticate": challenge})
        ledger = self._ledger_of_token.get(token.strip())
        if ledger is None or ledger != match.parameters.get("ownerNo"):
            raise Refusal(
                "unauthorized",
                "The token is not valid for this ledger",
                headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'},
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        headers = _decoded(tuple(scope["headers"]))
        bodiless = "content-length" not in headers and "transfer-encoding" not in headers
        try:
            body = b"" if bodiless else await self._read_in_time(receive)
        except TimeoutError:
            # The server closes the connection after the response, because the rest of the body is still to come.
            closing = [(b"server", b"payex-billing-mock"), (b"content-length", b"0"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 408, "headers": closing})
            await send({"type": "http.response.body", "body": b""})
            return
        # ASGI makes raw_path optional, but without it `%2F` cannot be told from `/`.
        request = Request(scope["method"], scope["raw_path"], headers, body)
        started = time.perf_counter()
        answer = self.handle(request)
        self.note(request, answer, time.perf_counter() - started)
        await send(
            {
                "type": "http.response.start",
                "status": answer.status,
                "headers": [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()],
            }
        )
        body_sent = b"" if request.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body_sent})

    async def _read_in_time(self, receive: Receive) -> bytes | None:
        if self._request_seconds is None:
            return await _read(receive)
        async with asyncio.timeout(self._request_seconds):
            return await _read(receive)


def create_app(ledgers: Mapping[str, str], *, store: Store | None = None, contract: Contract | None = None) -> MockApp:
    """Make the ASGI application; see `MockApp`."""
    return MockApp(ledgers, store=store, contract=contract)


def _body(request: Request, operation: Operation) -> JsonObject:
    if operation.body is None:
        return {}
    if request.body is None:
        raise Refusal("content-too-large", f"The body must have at most {MAX_BODY_BYTES} bytes")
    _check_media_type(request.headers)
    try:
        value = parse(request.body)
        failures = operation.check_body(value)
    except ValueError as error:
        reason = "is empty" if not request.body else f"is not JSON: {_reason(error)}"
        raise invalid([Failure("body", reason)]) from None
    if failures:
        raise invalid(failures)
    body: JsonObject = value
    return body


def _reason(error: ValueError) -> str:
    """Why the text is not JSON, without the text itself."""
    return {"UnicodeDecodeError": "not UTF-8", "UnicodeEncodeError": "a lone surrogate"}.get(
        type(error).__name__, str(error)
    )


def _check_media_type(headers: Mapping[str, str]) -> None:
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    charsets = [
        value.strip('"') for name, _, value in (each.partition("=") for each in parameters) if name == "charset"
    ]
    if media_type != "application/json" or any(charset not in ("utf-8", "utf8") for charset in charsets):
        raise Refusal("unsupported-media-type", "The body must be application/json in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal("unsupported-media-type", "The body must not be compressed")


@lru_cache(maxsize=256)
def _decoded(headers: tuple[tuple[bytes, bytes], ...]) -> Mapping[str, str]:
    """Headers as text. A client sends the same ones again and again."""
    return MappingProxyType({name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers})


def _answer(status: int, media_type: str, text: str, headers: dict[str, str] | None = None) -> Answer:
    body = text.encode()
    own = {"Server": "payex-billing-mock"}
    if status != 204:
        own["Content-Type"] = media_type
        own["Content-Length"] = str(len(body))
    return Answer(status, own | headers if headers else own, body)


async def _read(receive: Receive) -> bytes | None:
    """Read the body; None when it is too large.

    A moderately large one is still read to its end, so that the client gets its answer and keeps its connection.
    """
    body = bytearray()
    size = 0
    while size <= DRAINED_BYTES:
        message = await receive()
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            body += chunk
        if not message.get("more_body"):
            return bytes(body) if size <= MAX_BODY_BYTES else None
    return None


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
