"""The mock itself: checks each request against the contract, and responds to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import quote

from .contract import Contract, load_contract
from .json_text import parse, render
from .messages import DRAINED_BYTES, MAX_BODY_BYTES, Answer, Handled, Request
from .operations import Action, Operation, read_query
from .problems import Failure, ProblemView, Refusal, invalid
from .resources import Resource
from .schemas import JsonObject
from .store import Store
from .views import ListView, ResourceView

__all__ = ["Answer", "Handled", "Interceptor", "MockApp", "Observer", "Request", "Respond", "create_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

Observer = Callable[[Handled], None]
Respond = Callable[[Request], Answer]
Interceptor = Callable[[Request, Respond], Answer]


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


class MockApp:
    """An ASGI application that responds as the contract defines.

    Args:
        ledgers: the token of each ledger, by ledger number.
        store: the state of the mock; by default a new state in memory.
        contract: the contract; by default the contract in this package.
        request_seconds: the longest time to receive the body of a request; None means no limit. The limit holds only
            where this application reads the body itself, as an ASGI application on asyncio.

    Attributes:
        interceptor: a function that responds to each request in place of the mock. It receives the request and the
            mock's own `respond`, which it may call. None means that the mock itself responds.
        observers: functions that the mock calls with each request once the response is ready.
        lock: held while the mock reads or changes its state.
        ledgers: the ledger numbers.
        tokens: the token of each ledger, by ledger number.
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
        self.store = store if store is not None else Store(self.contract)
        self._ledger_of_token = {token: ledger for ledger, token in ledgers.items()}
        if len(self._ledger_of_token) != len(ledgers):
            raise ValueError("two ledgers have the same token")
        self.lock = threading.RLock()
        self.ledgers = tuple(ledgers)
        self.tokens = dict(ledgers)
        self.interceptor: Interceptor | None = None
        self.observers: list[Observer] = []

    def note(self, handled: Handled) -> None:
        """Report a handled request to the observers."""
        for observer in self.observers:
            observer(handled)

    def handle(self, request: Request) -> Answer:
        """Return the response to one request, from the interceptor if there is one."""
        return self.respond(request) if self.interceptor is None else self.interceptor(request, self.respond)

    def handle_and_note(self, request: Request) -> Answer:
        """Return the response to one request, and report the request to the observers."""
        started = time.perf_counter()
        answer = self.handle(request)
        self.note(Handled(request, answer, time.perf_counter() - started))
        return answer

    def respond(self, request: Request) -> Answer:
        """Return the mock's own response to one request. Calls from several threads run one after the other."""
        if request.raw_path == b"/healthz" and request.method == "GET":
            return Answer.of(200, "application/json", '{"status":"ok"}')
        operation: Operation | None = None
        try:
            found = self.contract.match(request.raw_path)
            if found is None:
                raise Refusal("not-found", "There is no such resource in this API")
            route, parameters = found
            operation = route.operations.get(request.method)
            if operation is None:
                raise Refusal("method-not-allowed", headers={"Allow": ", ".join(sorted(route.operations))})
            with self.lock:
                return self._respond(request, operation, parameters)
        except Refusal as refusal:
            return self.refuse(refusal, operation)

    def refuse(self, refusal: Refusal, operation: Operation | None = None) -> Answer:
        """Return the response for a refusal, in the form that the operation declares."""
        declares = operation.declares if operation is not None else lambda _: True
        kind, told = self.contract.problems.of(refusal, declares)
        view: ProblemView | None = self.contract.problem_view
        if operation is not None and operation.declares(kind.status):
            view = operation.problem_view(kind.status)
        if view is None:
            return Answer.of(kind.status, None, "", refusal.headers)
        return Answer.of(kind.status, view.media_type, render(view.body(kind, told)), refusal.headers)

    def _respond(self, request: Request, operation: Operation, parameters: Mapping[str, str]) -> Answer:
        ledger = self._authorize(request, operation, parameters)
        failures = operation.failures(parameters, request.query, request.headers)
        if failures:
            raise invalid(failures)
        call = Call(ledger, parameters, request.query, _body(request, operation))
        key = operation.idempotency_key(request.headers)
        return self._perform(operation, call) if key is None else self._perform_once(key, request, operation, call)

    def _perform(self, operation: Operation, call: Call) -> Answer:
        text, resource = _perform(self.store, operation, call)
        location = f"{self.contract.base_path}{resource.path}"
        headers = {name: location if value is None else value for name, value in operation.headers.items()}
        return Answer.of(operation.success, operation.media_type, text, headers)

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
            detail = "The idempotency key was used for another request"
            raise Refusal("unprocessable", detail, failures=[failure], instead=failure)
        return answer

    def _authorize(self, request: Request, operation: Operation, parameters: Mapping[str, str]) -> str:
        """Return the ledger of a request.

        Raises:
            Refusal: the operation needs a token, and the request has no token or the token of another ledger.
        """
        named = parameters.get(self.contract.ledger_parameter or "")
        if not operation.is_secured:
            return named if named is not None else self.ledgers[0]
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        token = text.strip(" \t")
        challenge = 'Bearer realm="payex-billing"'
        if scheme.lower() != "bearer" or not token:
            raise Refusal("unauthorized", "A bearer token is required", headers={"WWW-Authenticate": challenge})
        ledger = self._ledger_of_token.get(token)
        if ledger is None or (named is not None and named != ledger):
            challenge += ', error="invalid_token"'
            detail = "The token is not valid for this ledger"
            raise Refusal("unauthorized", detail, headers={"WWW-Authenticate": challenge})
        return ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request, as ASGI defines it.

        Raises:
            ValueError: the server asks for something else. ASGI servers then continue without, for instance, lifespan
                events.
        """
        if scope["type"] != "http":
            raise ValueError(f"the mock serves http only, not {scope['type']}")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            has_body = "content-length" in headers or "transfer-encoding" in headers
            body = await self._read(receive) if has_body else b""
        except TimeoutError:
            # The rest of the body can still arrive, so the server must close the connection after this response.
            answer = Answer.of(408, None, "", {"Connection": "close"})
        else:
            # ASGI makes raw_path optional. The mock needs it, because the decoded path does not distinguish `%2F` from
            # `/`.
            query = scope.get("query_string", b"")
            answer = self.handle_and_note(Request(scope["method"], scope["raw_path"], headers, body, query=query))
        sent = [(name.lower().encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": sent})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _read(self, receive: Receive) -> bytes | None:
        """Read the body. Return None if the body has more than `MAX_BODY_BYTES`.

        Raises:
            TimeoutError: the body did not arrive in time.
        """
        if self._request_seconds is None:  # `asyncio.timeout` works only inside a task, and there may be none
            return await _read(receive)
        async with asyncio.timeout(self._request_seconds):
            return await _read(receive)


def create_app(ledgers: Mapping[str, str], *, store: Store | None = None, contract: Contract | None = None) -> MockApp:
    """Create the ASGI application; see `MockApp` for the arguments."""
    return MockApp(ledgers, store=store, contract=contract)


def _perform(store: Store, operation: Operation, call: Call) -> tuple[str, Resource]:
    """Carry out an operation. Return the response text (empty without a body) and the affected resource.

    A list operation returns the resource that the list belongs to.

    Raises:
        Refusal: the operation is not possible in the current state.
    """
    view = operation.view
    owner = store.ledger(call.ledger)
    for each, parameter in operation.owners:
        owner = store.find(owner, each, call.parameters[parameter])
    if isinstance(view, ListView):
        path = f"{owner.path}/{quote(operation.collection.word)}"
        return render(view.show(store.listed(owner, operation.collection), path, read_query(call.query))), owner
    resource = _change(store, operation, owner, call)
    return render(view.show(resource)) if isinstance(view, ResourceView) else "", resource


def _change(store: Store, operation: Operation, owner: Resource, call: Call) -> Resource:
    """Carry out an operation on one item, and return the item."""
    if operation.action is Action.READ:
        return _item(store, operation, owner, call)
    ignored = operation.body.ignored if operation.body is not None else set()
    content = {name: value for name, value in call.body.items() if name not in ignored}
    if operation.action is Action.CREATE:
        return store.create(owner, operation.collection, content)
    resource = _item(store, operation, owner, call)
    match operation.action:
        case Action.MERGE:
            return store.merge(resource, content)
        case Action.REPLACE:
            return store.replace(resource, content, ignored)
        case Action.REMOVE:
            store.remove(resource)
    return resource


def _item(store: Store, operation: Operation, owner: Resource, call: Call) -> Resource:
    return store.find(owner, operation.collection, call.parameters[operation.collection.id_parameter or ""])


def _body(request: Request, operation: Operation) -> JsonObject:
    """Return the parsed body of a request; empty if the operation has no body."""
    if operation.body is None:
        return {}
    if request.body is None:
        raise Refusal("content-too-large", f"The body must have at most {MAX_BODY_BYTES} bytes")
    _check_media_type(request.headers, operation.body.media_types)
    try:
        value: JsonObject = parse(request.body)
        failures = operation.body.failures(value)
    except ValueError as error:
        reason = "is empty" if not request.body else f"is not JSON: {_reason(error)}"
        failures = [Failure("body", reason)]
    if failures:
        raise invalid(failures)
    return value


def _reason(error: ValueError) -> str:
    """Return why a text is not JSON. The reason does not contain the text itself."""
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8"
    return "a lone surrogate" if isinstance(error, UnicodeEncodeError) else str(error)


def _check_media_type(headers: Mapping[str, str], allowed: Sequence[str]) -> None:
    message = Message()
    message["Content-Type"] = headers.get("content-type", "")
    if message.get_content_type() not in allowed or message.get_content_charset("utf-8") not in {"utf-8", "utf8"}:
        raise Refusal("unsupported-media-type", f"The body must be {' or '.join(allowed)} in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise Refusal("unsupported-media-type", "The body must not be compressed")


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
