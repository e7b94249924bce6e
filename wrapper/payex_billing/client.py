"""`Billing`: the blocking client. `aio.py` is its twin; a test compares them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from logging import DEBUG
from types import TracebackType
from typing import TYPE_CHECKING, Self

from . import _policy
from ._facade import Facade
from ._lazy import lazily
from ._policy import First, Request, Response, Send
from ._routes import CustomerHandle
from ._telemetry import is_logged
from .config import TokenProvider
from .errors import BillingError, MalformedResponse, OutcomeUnknown
from .models import JsonValue, Operation, Reconciliation, RecurringProduct

if TYPE_CHECKING:
    from . import _http, _operations, _tokens
    from ._operations import Call, Page, T
    from ._reconcile import Steps
else:  # the HTTP library is loaded by the first client, not by `import payex_billing`
    _http, _operations = lazily("_http"), lazily("_operations")
    _tokens = lazily("_tokens")

__all__ = ["Billing"]


class Billing(Facade[TokenProvider]):
    """A client of the PayEx Billing Customer API for one ledger.

    Settings come from the arguments, then from the environment variable in brackets, then from the default. Making a
    client sends nothing. Use it in a `with` block, or call `close`. It may be shared between threads.

    Args:
        token: the bearer token that PayEx issued for the ledger [PAYEX_TOKEN], or a function that returns it; it is
            asked again when the server refuses the token.
        token_file: a file that holds the token, and is read again when it changes [PAYEX_TOKEN_FILE].
        owner_no: the ledger number, which is your company's number [PAYEX_OWNER_NO].
        environment: `production` (default) or `sandbox` [PAYEX_ENVIRONMENT].
        base_url: the origin in place of an environment, such as a mock's [PAYEX_BASE_URL].
        subdomain: the part of the route after `/billing/`, default `customer` [PAYEX_SUBDOMAIN].
        client_cert: the client certificate, PEM (with its key or without) or PKCS#12 [PAYEX_CLIENT_CERT].
        client_key: its private key, PEM [PAYEX_CLIENT_KEY].
        client_key_password: what the key or the PKCS#12 file is encrypted with [PAYEX_CLIENT_KEY_PASSWORD].
        ca_file: authorities to trust beside the usual ones, PEM [PAYEX_CA_FILE].
        proxy: the URL of an HTTP proxy [PAYEX_PROXY]; the usual variables such as HTTPS_PROXY work too.
        timeout: seconds one attempt may take, default 30; None means the default [PAYEX_TIMEOUT].
        deadline: seconds a call may take with all its attempts and waits, default 120 [PAYEX_DEADLINE].
        max_concurrency: requests that may be under way at once, default 100 [PAYEX_MAX_CONCURRENCY].
        max_rate: requests a second, spread evenly; default as many as there are [PAYEX_MAX_RATE].
        tracing: whether to make OpenTelemetry spans; needs the extra `otel` [PAYEX_TRACING].
        engine: what requests are sent with: `reqwest`, the fast one, which needs the extra `fast`; `httpx`, which is
            always there; or `auto` (default): the fast one if it is installed [PAYEX_ENGINE].
        on_attempt: called after every attempt with the operation's name and the `Attempt`.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def _connect(self) -> None:
        self._tokens = _tokens.TokenSource(self._token_source)
        self._engine = _http.Engine(self.settings, repr(self))

    def customer(self, customer_no: str) -> CustomerHandle:
        """The route of a customer. Sends nothing.

        Raises:
            InvalidArgument: the number cannot be one.
        """
        return CustomerHandle(self, customer_no)

    def follow(self, operation: Operation, body: JsonValue = None) -> JsonValue:
        """Do what a resource's operation says, such as `customer.operations[0]`.

        Returns:
            The answer as plain JSON; None when it has no body.

        Raises:
            UnsafeLink: the link leads out of the configured ledger; nothing was sent.
            InvalidArgument: the method or the body cannot be sent.
        """
        return self._run(_operations.follow(operation, body, self.settings))

    def reconcile(self, error: OutcomeUnknown, *, settle: float = 60.0) -> Reconciliation:
        """Look whether a POST took effect whose answer was lost.

        A customer or a subscription is looked up by its number. A charge is looked for by its content among those of
        its parent; one that this client saw before the request, or that another request created, is not it.

        Args:
            error: what was raised, here or in another process.
            settle: seconds after which a request that was not answered in time is taken to have ended. Before that, a
                thing that is not there may still come, and the outcome stays unknown.

        Returns:
            Created with the resource, absent, or still unknown with the reason. Never raises for a failed look-up.
        """
        return self._steps(self._reconciling(error, settle))

    def close(self) -> None:
        """Close the connections."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[T], known: Collection[str] | None = None) -> T:
        """Run a call. The error of a creation whose answer was lost leaves with all that `reconcile` needs."""
        mark = 0 if call.creates is None else self._memory.begin(call.creates)
        token = self._at_once
        try:
            if token is None:
                answer = self._answer(call.request, None)
            else:
                # Nothing is to be decided before the first attempt, and after it only if it failed or somebody listens.
                began = self._environment.now()
                reply = self._engine.send(Send(call.request, token, self._limit))
                if isinstance(reply, Response) and 200 <= reply.status < 300 and not is_logged(DEBUG):
                    self._budget.give()
                    answer = reply
                else:
                    answer = self._answer(call.request, First(reply, began))
            result = call.parse(answer)
        except OutcomeUnknown as error:
            self._equip(error, call, mark, known)
            raise
        except MalformedResponse:
            raise  # it may be created, but is not known as what: it stays open
        except BillingError:
            self._memory.end(mark)
            raise
        if mark:
            self._memory.end(mark, result)
        elif isinstance(result, RecurringProduct):
            self._memory.saw((result.id,))
        return result

    def _answer(self, request: Request, first: First | None) -> Response:
        """What the policy comes to."""
        policy = _policy.call(request, self._options, self._budget, self._environment, self._tokens.fixed, first=first)
        if not self._telemetry.tracing:
            return _http.drive(policy, self._engine, self._tokens)
        with self._telemetry.span(request):
            return _http.drive(policy, self._engine, self._tokens)

    def _steps(self, steps: Steps[T]) -> T:
        """Run calls that depend on each other."""
        try:
            call = next(steps)
            while True:
                try:
                    result = self._run(call)
                except BillingError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _pages(self, call: Call[Page[T]]) -> Iterator[T]:
        seen: set[str] = set()
        following: Call[Page[T]] | None = call
        while following is not None:
            page = self._run(following)
            self._memory.saw(item.id for item in page.items if isinstance(item, RecurringProduct))
            yield from page.items
            following = _operations.next_page(following, page, seen, self.settings)
