"""`Billing`: the blocking client. `aio.py` is its twin; a test compares them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TypeVar

from . import _drive, _operations, _tokens
from ._calls import Call, Page
from ._dry_run import DryRunSender
from ._facade import Facade
from ._look_up import Steps
from ._operations import Pages, Parent
from ._routes import CustomerHandle
from ._steps import Wait
from ._transport import Transport
from ._transport._sender import Sender
from ._turns import Turns
from .config import TokenProvider
from .errors import BillingError
from .models import Charge, JsonValue, LookUpResult, LostCreation, Operation, RecurringProduct

T = TypeVar("T")
__all__ = ["Billing"]


class Billing(Facade[TokenProvider, Transport]):
    """A client of the PayEx Billing Customer API for one ledger.

    Settings come from the arguments, then from the environment variable in brackets, then from the default. Making a
    client sends nothing. Use it in a `with` block, or call `close`. It may be shared between threads.

    Args:
        token: the bearer token that PayEx issued for the ledger [PAYEX_TOKEN], or a function that returns it. The
            client calls the function again when the server refuses the token.
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
        max_rate: requests a second, spread evenly; default no limit [PAYEX_MAX_RATE].
        tracing: whether to make OpenTelemetry spans; needs the extra `otel` [PAYEX_TRACING].
        engine: what requests are sent with: `reqwest`, the fast one, which needs the extra `fast`; `httpx`, which is
            always there; or `auto` (default): the fast one if it is installed [PAYEX_ENGINE].
        transport: your own `Transport` in place of an engine; connections, certificates and proxies are then its
            business.
        on_attempt: called after every attempt with the operation's name and the `Attempt`.
        on_response: called with a `ResponseInfo` for every response, before the client judges it, in the thread or task
            of the call. The client ignores and logs an exception of either function, and awaits neither.
        headers: header fields to send with every request, such as the key of a gateway. Fields that the client or the
            transport sets are not allowed.
        app_info: your program, for the User-Agent: `"crm-sync/2.1"` or `("crm-sync", "2.1")`.
        dry_run: whether to record writes in `recorded` instead of sending them. Reads go to the server, and show the
            recorded writes as if they had taken effect; an added charge gets an id such as `dry-run-1`. A write to a
            customer, a subscription or a charge that does not exist raises the usual error, so each write costs one
            read. The client does not know the server's own business rules.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def _connect(self, transport: Transport | None) -> None:
        self._tokens = _tokens.TokenSource(self._token_source)
        if self._recorder is None:
            self._sender = Sender(self.settings, repr(self), transport)
        else:
            self._sender = DryRunSender(self._recorder, self.settings, repr(self), transport)
        self._turns = Turns(threading.Lock)

    def customer(self, customer_no: str) -> CustomerHandle:
        """The route of a customer. Sends nothing.

        Raises:
            InvalidArgument: not a valid customer number.
        """
        return CustomerHandle(self, customer_no)

    def follow(self, operation: Operation, body: JsonValue = None) -> JsonValue:
        """Do what a resource's operation says, such as `customer.operations[0]`.

        Returns:
            The body of the response as plain JSON; None when it has none.

        Raises:
            UnsafeLink: the link leads out of the configured ledger; nothing was sent.
            InvalidArgument: the method or the body cannot be sent.
        """
        return self._run(_operations.follow(operation, body, self.settings))

    def look_up(self, lost: LostCreation, *, settle: float = 60.0) -> LookUpResult:
        """Look up a lost creation: find out whether a POST took effect.

        A customer or a subscription is looked up by its number. A charge is looked up by its content among those of its
        parent; one that this client saw before the request, or that another request created, is not taken for it.

        Args:
            lost: the creation, from `OutcomeUnknown.lost`, of this process or another.
            settle: treat the request as finished when this many seconds have passed since it was sent. Before that, a
                thing that is not there may still come, and the outcome stays unknown.

        Returns:
            Created with the resource, absent, or still unknown with the reason. Never raises for a failed look-up.
        """
        return self._steps(self._look_up_steps(lost, settle), since=self._environment.now())

    def close(self) -> None:
        """Close the connections."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, call: Call[T]) -> T:
        """Run a call, and remember which charges it has shown or created."""
        mark = 0 if call.creates is None else self._memory.begin(call.creates)
        policy = self._policy(call, mark, self._tokens.ready())
        try:
            if self._telemetry.tracing:
                with self._telemetry.span(call.request):
                    result = _drive.drive(policy, self._sender, self._tokens)
            else:
                result = _drive.drive(policy, self._sender, self._tokens)
        except BaseException as error:
            self._remember_failure(call, mark, error)
            raise
        self._remember(mark, result)
        return result

    def _steps(self, steps: Steps[T], *, since: float | None = None) -> T:
        """Run calls that depend on each other. If `since` is given, the calls share one deadline from then on."""
        try:
            call = next(steps)
            while True:
                if isinstance(call, Wait):
                    _drive._pause(call.seconds)
                    call = next(steps)
                    continue
                try:
                    client = self if since is None else self._with_less_time(self._environment.now() - since)
                    result = client._run(call)
                except BillingError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _ensure(self, parent: Parent, charge: Charge, settle: float) -> RecurringProduct:
        """Return the equal charge, or add one. Per parent one call at a time, or two calls would each add a charge."""
        since = self._environment.now()
        turn = self._turns.of(parent.ids)
        if not turn.acquire(timeout=min(self._options.deadline, threading.TIMEOUT_MAX)):
            raise self._no_turn()
        try:
            return self._steps(self._ensure_steps(parent, charge, settle, since), since=since)
        finally:
            turn.release()

    def _pages(self, first: Call[Page[T]]) -> Iterator[T]:
        pages = Pages(first, self.settings)
        spent = 0.0
        while pages.following is not None:
            began = self._environment.now()
            page = self._with_less_time(spent)._run(pages.following)
            spent += self._environment.now() - began
            self._memory.saw(item.id for item in page.items if isinstance(item, RecurringProduct))
            yield from page.items
            pages.turn(page)
