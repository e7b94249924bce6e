"""What `Billing` and `AsyncBilling` are both made of: settings, limits, memory, telemetry."""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Self, TypeVar
from urllib.parse import urlsplit

from . import _policy
from ._lazy import lazily
from ._limits import Pace, RetryBudget
from ._memory import Memory
from ._policy import Environment, Options
from ._telemetry import AttemptHook, Telemetry
from .config import AsyncTokenProvider, Settings
from .errors import OutcomeUnknown
from .models import NaturalKey, Reconciliation

if TYPE_CHECKING:
    from . import _reconcile
    from ._operations import Call, T
    from ._reconcile import Steps
else:  # it loads an HTTP library, which is the first client's to do
    _reconcile = lazily("_reconcile")

Provider = TypeVar("Provider", bound=AsyncTokenProvider)


class Facade(Generic[Provider]):
    """The part of a client that neither blocks nor awaits. Its arguments are described where users meet them."""

    _outcome_unknown: type[OutcomeUnknown] = OutcomeUnknown

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
        on_attempt: AttemptHook | None = None,
    ) -> None:
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
        self._telemetry = Telemetry(on_attempt, tracing=self.settings.tracing, host=host)
        self._environment = Environment(
            now=time.monotonic,
            random=random.random,
            epoch=time.time,
            reserve=Pace(self.settings.max_rate).reserve if self.settings.max_rate else None,
            on_attempt=self._telemetry.attempt,
            listening=self._telemetry.listening,
            outcome_unknown=self._outcome_unknown,
        )
        self._limit = min(self._options.timeout, self._options.deadline)
        self._connect()
        # The token to send with at once, where the policy has nothing to do before the first attempt or to tell after.
        eventful = self.settings.max_rate or self.settings.tracing or on_attempt
        given = self.settings.token
        self._at_once = given if isinstance(given, str) and not eventful else None

    def _connect(self) -> None:
        """Make the engine and the source of the token."""
        raise NotImplementedError

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
        twin._options = _policy.changed(
            self._options,
            timeout=timeout,
            deadline=deadline,
            attempts=attempts,
            retry_after_cap=retry_after_cap,
            wait_on_writes=wait_on_writes,
        )
        twin._limit = min(twin._options.timeout, twin._options.deadline)
        return twin

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.base_url}{self.settings.ledger_prefix})"

    def _equip(self, error: OutcomeUnknown, call: Call[T], mark: int, known: Collection[str] | None) -> None:
        """Give a lost creation all that `reconcile` needs. What a followed operation creates is not known."""
        if call.creates is None:
            return
        customer_no, subscription_no, charge = call.creates
        error.key = NaturalKey(customer_no=customer_no, subscription_no=subscription_no, charge=charge)
        error.mark, error._client = mark, self
        error.known = None if known is None else frozenset(known)

    def _reconciling(self, error: OutcomeUnknown, settle: float) -> Steps[Reconciliation]:
        """The steps that find out about a lost creation."""
        own = error._client is not None and error._client._memory is self._memory
        memory = self._memory if own else None  # what this client saw tells nothing of another's requests
        return _reconcile.reconcile(error, self.settings, memory, self._environment.epoch(), settle)
