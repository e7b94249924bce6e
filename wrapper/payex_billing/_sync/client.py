# Made by `make generate` from wrapper/payex_billing/_async/client.py: edit that file.
"""`Billing`: the blocking client."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from os import PathLike
from types import TracebackType
from typing import Any, Self

import attrs

from .._policy import options as _options
from .._policy.limits import AnyPace
from .._requests import operations
from .._secret import Secret
from .._session import headers as _headers
from .._session.responses import ResponseHook
from .._session.session import Session
from .._session.telemetry import AttemptHook
from .._transport import Transport
from ..config import Settings, TokenProvider
from ..models import JsonValue, LookUpResult, LostCreation, Operation, RecordedWrite
from .routes import CustomerHandle
from .runner import Runner

__all__ = ["Billing"]


class Billing:
    """A blocking client of the PayEx Billing Customer API for one ledger.

    Settings come from the arguments, then from the environment variable in brackets, then from the default. Making a
    client sends nothing. Open it with `with Billing() as billing:`, or end with `billing.close()`.

    Threads may share one client.

    Args:
        token: the bearer token that PayEx issued for the ledger [PAYEX_TOKEN], or a function that returns it. The
            client calls the function again when the server refuses the token.
        token_file: a file that holds the token, and is read again when it changes [PAYEX_TOKEN_FILE].
        owner_no: the ledger number, which is your company's number [PAYEX_OWNER_NO].
        environment: `production` (default) or `sandbox` [PAYEX_ENVIRONMENT].
        base_url: an origin to use instead of an environment, such as that of a mock [PAYEX_BASE_URL].
        subdomain: the part of the route after `/billing/`, default `customer` [PAYEX_SUBDOMAIN].
        client_cert: the client certificate, PEM (with its key or without) or PKCS#12 [PAYEX_CLIENT_CERT].
        client_key: the private key of the client certificate, PEM [PAYEX_CLIENT_KEY].
        client_key_password: the password of the private key or of the PKCS#12 file [PAYEX_CLIENT_KEY_PASSWORD].
        ca_file: certificate authorities to trust in addition to the default ones, PEM [PAYEX_CA_FILE].
        proxy: the URL of an HTTP proxy [PAYEX_PROXY]; the usual variables such as HTTPS_PROXY work too.
        timeout: seconds one attempt may take, default 30; None means the default [PAYEX_TIMEOUT].
        deadline: seconds a call may take with all its attempts and waits, default 120 [PAYEX_DEADLINE].
        max_concurrency: requests that may be under way at once, default 100 [PAYEX_MAX_CONCURRENCY].
        max_rate: requests a second, spread evenly; default no limit [PAYEX_MAX_RATE].
        tracing: whether to make OpenTelemetry spans; needs the extra `otel` [PAYEX_TRACING].
        engine: the HTTP library that sends requests: `reqwest`, which is fast and needs the extra `fast`; `httpx`,
            which is always installed; or `auto` (default): `reqwest` if it is installed, else `httpx` [PAYEX_ENGINE].
        transport: your own `Transport` in place of an engine. Your transport then handles connections,
            certificates and proxies.
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
        record_shapes: a file to which the client appends what exchanges look like: names of properties and headers,
            kinds of values, statuses, and no values. `payex-billing contract observe` compares it with the contract.

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def __init__(
        self,
        *,
        token: str | TokenProvider | None = None,
        token_file: str | PathLike[str] | None = None,
        owner_no: str | None = None,
        environment: str | None = None,
        base_url: str | None = None,
        subdomain: str | None = None,
        client_cert: str | PathLike[str] | None = None,
        client_key: str | PathLike[str] | None = None,
        client_key_password: str | None = None,
        ca_file: str | PathLike[str] | None = None,
        proxy: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        max_concurrency: int | None = None,
        max_rate: float | None = None,
        tracing: bool | None = None,
        engine: str | None = None,
        transport: Transport | None = None,
        on_attempt: AttemptHook | None = None,
        on_response: ResponseHook | None = None,
        headers: Mapping[str, str] | None = None,
        app_info: str | tuple[str, str] | None = None,
        dry_run: bool = False,
        record_shapes: str | PathLike[str] | None = None,
    ) -> None:
        # A traceback with captured locals shows the arguments of this function.
        masked = _headers.masked(headers)
        headers = None
        token, client_key_password, proxy = Secret.of(token), Secret.of(client_key_password), Secret.of(proxy)
        base_url = Secret.of(base_url) if isinstance(base_url, str) else base_url  # it may wrongly hold a password
        settings = Settings.load(
            token=token,
            token_file=token_file,
            owner_no=owner_no,
            environment=environment,
            base_url=base_url,
            subdomain=subdomain,
            client_cert=client_cert,
            client_key=client_key,
            client_key_password=client_key_password,
            ca_file=ca_file,
            proxy=proxy,
            timeout=timeout,
            deadline=deadline,
            max_concurrency=max_concurrency,
            max_rate=max_rate,
            tracing=tracing,
            engine=engine,
        )
        session = Session.of(
            settings,
            on_attempt=on_attempt,
            on_response=on_response,
            headers=masked,
            app_info=app_info,
            dry_run=dry_run,
            record_shapes=record_shapes,
        )
        self.settings = session.settings
        self._runner = Runner(session, repr(self), transport)

    @property
    def dry_run(self) -> bool:
        """Whether writes are recorded and not sent."""
        return self.settings.dry_run

    @property
    def recorded(self) -> tuple[RecordedWrite, ...]:
        """The writes that a client with `dry_run=True` did not send, in their order."""
        recorder = self._runner.session.recorder
        return () if recorder is None else recorder.writes

    @classmethod
    def from_env(cls) -> Self:
        """Make a client from environment variables alone.

        Raises:
            ConfigurationError: a variable is missing or wrong; the message names it.
        """
        return cls()

    def with_options(
        self,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        attempts: int | None = None,
        retry_after_cap: float | None = None,
        wait_on_writes: bool | None = None,
    ) -> Self:
        """Return a client with other limits that shares the connections and the retry budget. None keeps a limit.

        Args:
            timeout: seconds one attempt may take.
            deadline: seconds a call may take with all its attempts and waits.
            attempts: how many times the client sends a request at most.
            retry_after_cap: the longest Retry-After, in seconds, that the client waits. If Retry-After is longer, the
                client raises the error at once.
            wait_on_writes: whether the client also retries writes after a 429 or 503 with Retry-After.
        """
        options = _options.changed(
            self._runner.options,
            timeout=timeout,
            deadline=deadline,
            attempts=attempts,
            retry_after_cap=retry_after_cap,
            wait_on_writes=wait_on_writes,
        )
        return self._with_runner(self._runner.with_options(options))

    def _with(self, **changes: Any) -> Self:
        """Return the same client with other options, also options that `with_options` does not accept."""
        return self._with_runner(self._runner.with_options(attrs.evolve(self._runner.options, **changes)))

    def _with_pace(self, pace: AnyPace) -> Self:
        """Return the same client with a pace that it shares with other processes."""
        return self._with_runner(self._runner.with_pace(pace))

    def _with_runner(self, runner: Runner) -> Self:
        client = copy.copy(self)
        client._runner = runner
        return client

    def customer(self, customer_no: str) -> CustomerHandle:
        """Return the route of a customer. Sends nothing.

        Raises:
            InvalidArgument: not a valid customer number.
        """
        return CustomerHandle(self._runner, customer_no)

    def follow(self, operation: Operation, body: JsonValue = None) -> JsonValue:
        """Send the request of an operation that a resource lists, such as `customer.operations[0]`.

        Returns:
            The body of the response as plain JSON; None if the response has no body.

        Raises:
            UnsafeLink: the link leads outside the configured ledger; the client sent nothing.
            InvalidArgument: the method or the body cannot be sent.
        """
        return self._runner.run(operations.follow(operation, body, self.settings))

    def look_up(self, lost: LostCreation, *, settle: float = 60.0) -> LookUpResult:
        """Look up a lost creation: find out whether a POST took effect.

        The client looks up a customer or a subscription by its number. It looks up a charge by its content among the
        charges of the same customer or subscription. It ignores a charge that it saw before the request, and a charge
        that another request created.

        Args:
            lost: the creation, from `OutcomeUnknown.lost`, also from another process.
            settle: treat the request as finished when this many seconds have passed since it was sent. Before that, the
                server may still create a resource that is not there yet, so the outcome stays unknown.

        Returns:
            One of three results: created, with the resource; absent; or still unknown, with the reason. A failed
            look-up raises no exception.
        """
        return self._runner.look_up(lost, settle=settle)

    def close(self) -> None:
        """Close the connections."""
        self._runner.sender.close()

    def __repr__(self) -> str:
        if "settings" not in self.__dict__:  # in a traceback with captured locals
            return f"{type(self).__name__}(…)"
        dry_run = ", dry run" if self.dry_run else ""
        return f"{type(self).__name__}({self.settings.base_url}{self.settings.ledger_prefix}{dry_run})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
