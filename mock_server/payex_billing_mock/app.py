"""The mock itself: checks each request against the contract, and responds to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from .actions import Call, perform
from .contract import Contract, Match, load_contract
from .json_text import parse, render
from .messages import DRAINED_BYTES, MAX_BODY_BYTES, Answer, Handled, Request
from .operations import Operation
from .problems import Refusal, invalid
from .schemas import JsonObject
from .store import Store
from .validation import Failure

__all__ = ["Answer", "Handled", "Interceptor", "MockApp", "Observer", "Request", "Respond", "create_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


Observer = Callable[[Handled], None]
Respond = Callable[[Request], Answer]
Interceptor = Callable[[Request, Respond], Answer]


class MockApp:
    """An ASGI application that responds as the contract defines.

    Args:
        ledgers: the token of each ledger, by ledger number.
        store: the state of the mock; by default a new state in memory.
        contract: the contract; by default the contract in this package.
        request_seconds: the longest time to receive the body of a request; None means no limit. The limit holds only
            where this application reads the body itself, as an ASGI application on asyncio.
        interceptor: a function that responds to each request in place of the mock. It receives the request and the
            mock's own `respond`, which it may call.

    Attributes:
        interceptor: the interceptor; may be changed at any time.
        observers: functions that the mock calls with each request once the response is ready.
    """

    def __init__(
        self,
        ledgers: Mapping[str, str],
        *,
        store: Store | None = None,
        contract: Contract | None = None,
        request_seconds: float | None = None,
        interceptor: Interceptor | None = None,
    ) -> None:
        self._request_seconds = request_seconds
        self.contract = contract or load_contract()
        self.store = store if store is not None else Store(self.contract)
        self._ledger_of_token = {token: ledger for ledger, token in ledgers.items()}
        if len(self._ledger_of_token) != len(ledgers):
            raise ValueError("two ledgers have the same token")
        self._lock = threading.Lock()
        self.ledgers = tuple(ledgers)
        self.interceptor = interceptor
        self.observers: list[Observer] = []

    def note(
        self,
        request: Request,
        answer: Answer | None,
        seconds: float,
        fault: str | None = None,
        took_effect: bool = True,
    ) -> None:
        """Report a handled request to the observers."""
        handled = Handled(request, answer, seconds, fault, took_effect)
        for observer in self.observers:
            observer(handled)

    def handle(self, request: Request) -> Answer:
        """Return the response to one request, from the interceptor if there is one."""
        return self.respond(request) if self.interceptor is None else self.interceptor(request, self.respond)

    def respond(self, request: Request) -> Answer:
        """Return the mock's own response to one request. Calls from several threads run one after the other."""
        if request.raw_path == b"/healthz" and request.method == "GET":
            return _answer(200, "application/json", '{"status":"ok"}')
        match = self.contract.match(request.raw_path)
        operation = match.route.operations.get(request.method) if match is not None else None
        try:
            with self._lock:
                return self._respond(request, match, operation)
        except Refusal as refusal:
            return self.refuse(refusal, operation)

    def refuse(self, refusal: Refusal, operation: Operation | None = None) -> Answer:
        """Return the response for a refusal, in the form that the operation declares."""
        declares = operation.declares if operation is not None else lambda _: True
        kind, told = self.contract.problems.of(refusal, declares)
        view = self.contract.problem_view
        if operation is not None and operation.declares(kind.status):
            own = operation.problem_view(kind.status)
            if own is None:
                return _answer(kind.status, None, "", refusal.headers)
            view = own
        return _answer(kind.status, view.media_type, render(view.body(kind, told)), refusal.headers)

    def _respond(self, request: Request, match: Match | None, operation: Operation | None) -> Answer:
        if match is None:
            raise Refusal("not-found", "There is no such resource in this API")
        if operation is None:
            raise Refusal("method-not-allowed", headers={"Allow": match.route.allow})
        ledger = self._authorize(request, match, operation)
        failures = [Failure(name, "is not UTF-8") for name in match.undecodable]
        failures += operation.check_path(match.parameters)
        failures += operation.check_query_and_headers(request.query, request.headers)
        if failures:
            raise invalid(failures)
        call = Call(self.store, ledger, match.parameters, request.query, _body(request, operation))
        key = operation.idempotency_key(request.headers)
        return self._perform(operation, call) if key is None else self._perform_once(key, request, operation, call)

    def _perform(self, operation: Operation, call: Call) -> Answer:
        text, resource = perform(operation, call)
        headers = {
            name: f"{self.contract.base_path}{resource.path if resource else ''}" if value is None else value
            for name, value in operation.headers.items()
        }
        return _answer(operation.success, operation.media_type, text, headers)

    def _perform_once(self, key: str, request: Request, operation: Operation, call: Call) -> Answer:
        """Carry out a request once for its idempotency key, and return the first response to each repetition.

        Raises:
            Refusal: an earlier request used the key with another method, path or body.
        """
        asked = (request.method, request.raw_path, call.body)
        if (call.ledger, key) not in self.store.replies:
            try:
                answer = self._perform(operation, call)
            except Refusal as refusal:
                answer = self.refuse(refusal, operation)
            self.store.replies[call.ledger, key] = (asked, answer)
        first, answer = self.store.replies[call.ledger, key]
        if first != asked:
            failure = Failure("Idempotency-Key", "was used for another request")
            raise Refusal(
                "unprocessable", "The idempotency key was used for another request", failures=[failure], instead=failure
            )
        return answer

    def _authorize(self, request: Request, match: Match, operation: Operation) -> str:
        """Return the ledger of a request.

        Raises:
            Refusal: the operation needs a token, and the request has no token or the token of another ledger.
        """
        named = match.parameters.get(self.contract.ledger_parameter or "")
        if not operation.is_secured:
            return named if named is not None else self.ledgers[0]
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        challenge = 'Bearer realm="payex-billing"'
        if scheme.lower() != "bearer" or not token.strip():
            raise Refusal("unauthorized", "A bearer token is required", headers={"WWW-Authenticate": challenge})
        ledger = self._ledger_of_token.get(token.strip())
        if ledger is None or (self.contract.ledger_parameter is not None and named != ledger):
            raise Refusal(
                "unauthorized",
                "The token is not valid for this ledger",
                headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'},
            )
        return ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI scope: a request, or the lifespan of the application."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        bodiless = "content-length" not in headers and "transfer-encoding" not in headers
        try:
            body = b"" if bodiless else await self._read_in_time(receive)
        except TimeoutError:
            # The rest of the body can still arrive, so the server must close the connection after this response.
            closing = [(b"server", b"payex-billing-mock"), (b"content-length", b"0"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 408, "headers": closing})
            await send({"type": "http.response.body", "body": b""})
            return
        # ASGI makes raw_path optional. The mock needs it, because the decoded path does not distinguish `%2F` from `/`.
        request = Request(scope["method"], scope["raw_path"], headers, body, query=scope.get("query_string", b""))
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
    """Create the ASGI application; see `MockApp` for the arguments."""
    return MockApp(ledgers, store=store, contract=contract)


def _body(request: Request, operation: Operation) -> JsonObject:
    if operation.body is None:
        return {}
    if request.body is None:
        raise Refusal("content-too-large", f"The body must have at most {MAX_BODY_BYTES} bytes")
    _check_media_type(request.headers, operation.body.media_types)
    try:
        value = parse(request.body)
        failures = operation.check_body(value)
    except ValueError as error:
        reason = "is empty" if not request.body else f"is not JSON: {_reason(error)}"
        raise invalid([Failure("body", reason)]) from None
    if not failures and not isinstance(value, dict):
        failures = [Failure("body", "must be of type object")]
    if failures:
        raise invalid(failures)
    body: JsonObject = value
    return body


def _reason(error: ValueError) -> str:
    """Return why a text is not JSON. The reason does not contain the text itself."""
    return {"UnicodeDecodeError": "not UTF-8", "UnicodeEncodeError": "a lone surrogate"}.get(
        type(error).__name__, str(error)
    )


def _check_media_type(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    media_type, *parameters = (part.strip().lower() for part in headers.get("content-type", "").split(";"))
    charsets = [
        value.strip('"') for name, _, value in (each.partition("=") for each in parameters) if name == "charset"
    ]
    if not any(fnmatchcase(media_type, each) for each in allowed) or any(
        charset not in ("utf-8", "utf8") for charset in charsets
    ):
        raise Refusal("unsupported-media-type", f"The body must be {' or '.join(allowed)} in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal("unsupported-media-type", "The body must not be compressed")


def _answer(status: int, media_type: str | None, text: str, headers: Mapping[str, str] | None = None) -> Answer:
    body = text.encode()
    own = {"Server": "payex-billing-mock"}
    if status != 204:
        if media_type is not None:
            own["Content-Type"] = media_type
        own["Content-Length"] = str(len(body))
    return Answer(status, own | dict(headers or {}), body)


async def _read(receive: Receive) -> bytes | None:
    """Read the body. Return None if the body has more than `MAX_BODY_BYTES`.

    A body of up to `DRAINED_BYTES` is still read to its end, so that the client gets the response and keeps the
    connection.
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
