"""What `Billing` and `AsyncBilling` have in common: settings, limits, memory, telemetry."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

import attrs

from . import _headers, _look_up, _options, _policy
from ._calls import Call, Unreadable
from ._dry_run import Recorder
from ._ensure import ChargeEnsurer
from ._limits import Pace, RetryBudget
from ._look_up import Steps
from ._memory import Memory, PlainKey
from ._operations import Parent
from ._options import Options
from ._responses import ResponseHook, observed
from ._secret import Secret
from ._steps import Environment, Step
from ._telemetry import AttemptHook, Telemetry, plain_function
from ._transport import Response
from .config import AsyncTokenProvider, Settings
from .errors import BillingError, ConfigurationError, DeadlineExceeded, InvalidArgument, OutcomeUnknown
from .models import Charge, LookUpResult, LostCreation, NaturalKey, RecordedWrite, RecurringProduct

T = TypeVar("T")
Provider = TypeVar("Provider", bound=AsyncTokenProvider)
TransportT = TypeVar("TransportT")


class Facade(Generic[Provider, TransportT]):
    """The part of a client that neither blocks nor awaits. Its arguments are described in `Billing`."""

    def __init__(
        self,
        *,
        token: str | Provider | None = None,
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
        transport: TransportT | None = None,
        on_attempt: AttemptHook | None = None,
        on_response: ResponseHook | None = None,
        headers: Mapping[str, str] | None = None,
        app_info: str | tuple[str, str] | None = None,
        dry_run: bool = False,
    ) -> None:
        # A traceback with captured locals shows the arguments of this function.
        masked = _headers.masked(headers)
        headers = None
        token, client_key_password, proxy = Secret.of(token), Secret.of(client_key_password), Secret.of(proxy)
        base_url = Secret.of(base_url) if isinstance(base_url, str) else base_url  # it may wrongly hold a password
        self.settings = Settings.load(
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
        self._options = Options(timeout=self.settings.timeout, deadline=self.settings.deadline)
        self._budget = RetryBudget()
        self._memory = Memory()
        host = urlsplit(self.settings.base_url).hostname or ""
        on_attempt = plain_function("on_attempt", on_attempt)
        self._on_response = plain_function("on_response", on_response)
        self._telemetry = Telemetry(on_attempt, tracing=self.settings.tracing, host=host)
        if not isinstance(dry_run, bool):  # a string such as "false" would count as true
            raise ConfigurationError(f"dry_run must be True or False, not {type(dry_run).__name__}")
        if dry_run:
            self.settings = attrs.evolve(self.settings, dry_run=True)
        self._recorder = Recorder(self.settings.base_url, self.settings.ledger_prefix) if dry_run else None
        self._environment = Environment(
            now=time.monotonic,
            random=random.random,
            epoch=time.time,
            base=self.settings.base_url + self.settings.prefix,
            headers=_headers.all_headers(masked, app_info),
            pace=Pace(self.settings.max_rate),
            on_attempt=self._telemetry.attempt,
            look_up=self.look_up,
        )
        self._own_transport = transport is not None
        self._connect(transport)

    def _connect(self, transport: TransportT | None) -> None:
        """Make the sender and the source of the token."""
        raise NotImplementedError

    def look_up(self, lost: LostCreation, *, settle: float = 60.0) -> object:
        """Look up a lost creation; see `Billing.look_up` and `AsyncBilling.look_up`."""
        raise NotImplementedError

    @property
    def dry_run(self) -> bool:
        """Whether writes are recorded and not sent."""
        return self.settings.dry_run

    @property
    def recorded(self) -> tuple[RecordedWrite, ...]:
        """The writes that a client with `dry_run=True` did not send, in their order."""
        return () if self._recorder is None else self._recorder.writes

    @property
    def _token_source(self) -> str | Path | AsyncTokenProvider:
        return self.settings.token or Path(self.settings.token_file or "")

    @classmethod
    def from_env(cls) -> Self:
        """A client from environment variables alone.

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
        """The same client, sharing its connections and retry budget, with other limits; None keeps one as it is.

        Args:
            timeout: seconds one attempt may take.
            deadline: seconds a call may take with all its attempts and waits.
            attempts: how often a request is sent at most.
            retry_after_cap: seconds of Retry-After that are waited for; a longer one is raised at once.
            wait_on_writes: whether writes too wait for a 429 or 503 with Retry-After.
        """
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._options = _options.changed(
            self._options,
            timeout=timeout,
            deadline=deadline,
            attempts=attempts,
            retry_after_cap=retry_after_cap,
            wait_on_writes=wait_on_writes,
        )
        return twin

    def _with(self, **changes: Any) -> Self:
        """Return the same client with other options, also options that `with_options` does not accept."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._options = attrs.evolve(self._options, **changes)
        return twin

    def __repr__(self) -> str:
        if "settings" not in self.__dict__:  # in a traceback with captured locals
            return f"{type(self).__name__}(…)"
        dry_run = ", dry run" if self._recorder is not None else ""
        return f"{type(self).__name__}({self.settings.base_url}{self.settings.ledger_prefix}{dry_run})"

    def _policy(self, call: Call[T], mark: int, token: Secret | None) -> Generator[Step, object, T]:
        """The steps of a call; the token is None if it must be fetched."""
        if call.creates is None:
            steps = _policy.run(call, self._options, self._budget, self._environment, token=token)
        else:
            lost = partial(self._lost, call.creates, mark, call.known)
            checked = Call(call.request, partial(self._parse_new, call.parse, mark, call.known), call.creates)
            steps = _policy.run(checked, self._options, self._budget, self._environment, lost, token)
        if self._on_response is None:
            return steps
        return observed(steps, call.request, self._on_response, self._environment.now)

    def _parse_new(
        self, parse: Callable[[Response], T], mark: int, known: frozenset[str] | None, response: Response
    ) -> T:
        """Read the response to a creation. A charge that was there before is the response to an earlier creation."""
        created = parse(response)
        if isinstance(created, RecurringProduct) and (
            (known is not None and created.id in known) or not self._memory.may_be(created.id, mark)
        ):
            raise Unreadable("the response is that of another request: it shows an older charge", foreign=True)
        return created

    def _lost(self, key: PlainKey, mark: int, known: frozenset[str] | None, sent_at: float) -> LostCreation:
        customer_no, subscription_no, charge = key
        return LostCreation(
            key=NaturalKey(customer_no=customer_no, subscription_no=subscription_no, charge=charge),
            sent_at=sent_at,
            known=known,
            ledger=self.settings.base_url + self.settings.ledger_prefix,
            mark=mark,
            memory=self._memory.name,
        )

    def _remember_failure(self, call: Call[T], mark: int, error: BaseException) -> None:
        """A call has failed: a creation that may have taken effect stays open."""
        if call.creates is None:
            return
        if isinstance(error, OutcomeUnknown):
            self._memory.lose(error.lost)
        elif isinstance(error, BillingError):
            self._memory.end(mark)
        elif not isinstance(error, Exception):
            # Cancelled or interrupted: on reqwest the request may go on until its time limit.
            sent_at = self._environment.epoch() + self._options.timeout
            self._memory.lose(self._lost(call.creates, mark, call.known, sent_at))

    def _remember(self, mark: int, result: object) -> None:
        """A call has succeeded."""
        if mark:
            self._memory.end(mark, result)
        elif isinstance(result, RecurringProduct):
            self._memory.saw((result.id,))

    def _look_up_steps(self, lost: LostCreation, settle: float) -> Steps[LookUpResult]:
        if not isinstance(lost, LostCreation):
            raise InvalidArgument("lost", "must be a LostCreation: pass error.lost")
        settle = _settle(settle)
        # What this client has seen says nothing about the creations of another.
        memory = self._memory if lost.memory == self._memory.name else None
        return _look_up.look_up(lost, self.settings, memory, self._environment.epoch(), settle)

    def _ensure_steps(self, parent: Parent, charge: Charge, settle: float, since: float) -> Steps[RecurringProduct]:
        until = since + self._options.deadline
        ensurer = ChargeEnsurer(self.settings, self._memory, self._environment, _settle(settle), until)
        return ensurer.steps(parent, charge)

    def _no_turn(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"the deadline of {self._options.deadline:g} s has passed while another ensure() of the same parent ran"
        )

    def _with_less_time(self, spent: float) -> Self:
        """A twin for the next of several calls that share one deadline.

        Args:
            spent: seconds that the calls so far have taken.

        Raises:
            DeadlineExceeded: no time is left.
        """
        if spent == 0.0:
            return self
        left = self._options.deadline - spent
        if left <= 0:
            raise DeadlineExceeded(f"the deadline of {self._options.deadline:g} s has passed")
        return self._with(deadline=left)


def _settle(seconds: float) -> float:
    number = _options.number(seconds)
    if not number >= 0:
        raise InvalidArgument("settle", "must be a number of seconds, 0 or more")
    return number
