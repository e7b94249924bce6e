"""Every exception this package raises.

    BillingError
    ├── ConfigurationError              a setting is missing or wrong                     nothing was sent
    ├── InvalidArgument                 a value the contract forbids; also a ValueError   nothing was sent
    ├── UnsafeLink                      a link leads away from the configured API         nothing was sent
    ├── TransportError                  no answer came back
    │   ├── NeverSent                   the request surely did not reach the server
    │   │   ├── CertificateRejected     a certificate, ours or the server's, was refused
    │   │   └── DeadlineExceeded        no time was left to send it
    │   └── AnswerLost                  sent, and repeatable, but unanswered
    ├── OutcomeUnknown                  a POST was sent, and whether it took effect is not known: `reconcile`
    │   └── AsyncOutcomeUnknown         the same from `AsyncBilling`: `await` its `reconcile`
    ├── MalformedResponse               the server says success, but the body is not what the contract says
    └── ProblemError                    the server answered with an error status
        ├── RequestRefused              4xx: the caller can avoid it
        │   ├── ValidationFailed        400  `problems` names each parameter that failed
        │   ├── Unauthorized            401  token missing, wrong, expired or of another ledger
        │   ├── Forbidden               403
        │   ├── NotFound                404
        │   │   ├── CustomerNotFound
        │   │   ├── SubscriptionNotFound
        │   │   └── RecurringProductNotFound
        │   ├── AlreadyExists           409
        │   │   ├── CustomerAlreadyExists
        │   │   └── SubscriptionAlreadyExists
        │   ├── Unprocessable           422  a business rule refuses it
        │   └── RateLimited             429  `retry_after` is in seconds
        ├── ServerFailed                5xx: the vendor must mend it
        │   ├── LedgerNotConfigured     501
        │   └── ServiceUnavailable      503  `retry_after` is in seconds
        └── UnexpectedStatus            1xx or 3xx, which this API never sends

All of them hold plain data only, so that they pickle, copy and deepcopy. None shows a token, a body or, beyond the
route's template, an id: a customer number can be a personal number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._evidence import Attempt, Phase, Problem

if TYPE_CHECKING:
    from .models import NaturalKey, Reconciliation

__all__ = [
    "AlreadyExists",
    "AnswerLost",
    "AsyncOutcomeUnknown",
    "Attempt",
    "BillingError",
    "CertificateRejected",
    "ConfigurationError",
    "CustomerAlreadyExists",
    "CustomerNotFound",
    "DeadlineExceeded",
    "Forbidden",
    "InvalidArgument",
    "LedgerNotConfigured",
    "MalformedResponse",
    "NeverSent",
    "NotFound",
    "OutcomeUnknown",
    "Phase",
    "Problem",
    "ProblemError",
    "RateLimited",
    "RecurringProductNotFound",
    "RequestRefused",
    "ServerFailed",
    "ServiceUnavailable",
    "SubscriptionAlreadyExists",
    "SubscriptionNotFound",
    "TransportError",
    "Unauthorized",
    "UnexpectedStatus",
    "Unprocessable",
    "UnsafeLink",
    "ValidationFailed",
]


class BillingError(Exception):
    """Anything this package raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with `args` alone, which only fits a signature of one argument.
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(kind: type[BillingError], arguments: tuple[Any, ...], state: dict[str, Any]) -> BillingError:
    error = kind.__new__(kind, *arguments)
    error.__dict__.update(state)
    return error


class ConfigurationError(BillingError):
    """A setting is missing or wrong; the message says which argument or environment variable to set."""


class InvalidArgument(BillingError, ValueError):
    """A value that the contract forbids, found before anything was sent.

    Attributes:
        argument: the name of the argument.
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(f"{argument} {message}")
        self.argument = argument


class UnsafeLink(BillingError):
    """A link that leads away from the configured API. It was not followed, so no token went to it."""


class _RequestError(BillingError):
    """Something that happened to one request.

    Attributes:
        operation: the contract's name of the operation, such as `create_customer`.
        attempts: every attempt that was made, the last one included.
    """

    def __init__(self, message: str, *, operation: str = "", attempts: tuple[Attempt, ...] = ()) -> None:
        super().__init__(message)
        self.operation = operation
        self.attempts = attempts

    def __str__(self) -> str:
        made = len(self.attempts)
        tried = f" (after {made} attempts)" if made > 1 else ""
        return f"{self.operation}: {self.args[0]}{tried}" if self.operation else f"{self.args[0]}{tried}"


class TransportError(_RequestError):
    """No answer came back."""


class NeverSent(TransportError):
    """The request surely did not reach the server: connecting, TLS or the pool failed. Sending again is safe."""


class CertificateRejected(NeverSent):
    """A certificate was refused: the server's by us, or ours by the server. Trying again does not help."""


class DeadlineExceeded(NeverSent):
    """No time was left to send the request."""


class AnswerLost(TransportError):
    """A repeatable request (GET, PATCH, DELETE) was sent, but no complete answer came back. Sending again is safe."""


class OutcomeUnknown(_RequestError):
    """A POST was sent, and whether it took effect is not known. Sending it again could bill twice: `reconcile` first.

    Attributes:
        problem: the server's answer, when there was one (500, 502, 504); None when it was lost.
        may_be_under_way: the answer did not come in time, so the server may still be working on it.
        lost_at: when that was, in seconds since 1970.
        key: what was to be created; None for an operation that was followed.
        mark: tells what the client had seen before the request, for `reconcile`.
        known: ids of charges that were there before, as the caller of `create` gave them.
    """

    def __init__(
        self,
        message: str,
        *,
        operation: str = "",
        attempts: tuple[Attempt, ...] = (),
        problem: Problem | None = None,
        may_be_under_way: bool = False,
        lost_at: float = 0.0,
    ) -> None:
        super().__init__(message, operation=operation, attempts=attempts)
        self.problem = problem
        self.may_be_under_way = may_be_under_way
        self.lost_at = lost_at
        self.key: NaturalKey | None = None
        self.mark = 0
        self.known: frozenset[str] | None = None
        self._client: Any = None  # the client that raised it; does not travel to another process

    def __reduce__(self) -> tuple[Any, ...]:
        """Plain data travels, the client does not."""
        return _rebuild, (type(self), self.args, self.__dict__ | {"_client": None})

    def reconcile(self, *, settle: float = 60.0) -> Reconciliation:
        """Look whether it took effect. Same as `billing.reconcile(error)`, with the client that raised it.

        Args:
            settle: seconds after which a request that was not answered in time is taken to have ended.

        Raises:
            ConfigurationError: the error came from another process; use `billing.reconcile(error)`.
        """
        result: Reconciliation = self._client_or_raise().reconcile(self, settle=settle)
        return result

    def _client_or_raise(self) -> Any:
        if self._client is None:
            raise ConfigurationError("the error has lost its client on the way: use billing.reconcile(error)")
        return self._client


class AsyncOutcomeUnknown(OutcomeUnknown):
    """The same, raised by `AsyncBilling`: its `reconcile` is awaited."""

    async def reconcile(self, *, settle: float = 60.0) -> Reconciliation:  # type: ignore[override] # pyright: ignore
        """Look whether it took effect. Same as `await billing.reconcile(error)`, with the client that raised it.

        Args:
            settle: seconds after which a request that was not answered in time is taken to have ended.

        Raises:
            ConfigurationError: the error came from another process; use `billing.reconcile(error)`.
        """
        result: Reconciliation = await self._client_or_raise().reconcile(self, settle=settle)
        return result


class MalformedResponse(_RequestError):
    """The server says success, but the body is not what the contract says.

    The request did take effect. What the server holds has to be read again.

    Attributes:
        status: the HTTP status.
    """

    def __init__(
        self, message: str, *, operation: str = "", attempts: tuple[Attempt, ...] = (), status: int = 0
    ) -> None:
        super().__init__(message, operation=operation, attempts=attempts)
        self.status = status


class ProblemError(_RequestError):
    """The server answered with an error status.

    Attributes:
        problem: the answer, as far as it could be read.
        retry_after: seconds the server asks to wait, when it says so.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        operation: str = "",
        attempts: tuple[Attempt, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(_describe(problem), operation=operation, attempts=attempts)
        self.problem = problem
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def problems(self) -> Mapping[str, str]:
        """The message for each parameter that failed, by parameter path."""
        return self.problem.problems

    @property
    def instance(self) -> str | None:
        """The id of this occurrence; quote it to the vendor's support."""
        return self.problem.instance


class RequestRefused(ProblemError):
    """4xx: the caller can avoid it."""


class ValidationFailed(RequestRefused):
    """400: the request breaks the contract; `problems` names each parameter that failed."""


class Unauthorized(RequestRefused):
    """401: the token is missing, wrong, expired, or of another ledger."""


class Forbidden(RequestRefused):
    """403: the credentials are known but not allowed to do this."""


class NotFound(RequestRefused):
    """404: the resource, or one above it, does not exist."""


class CustomerNotFound(NotFound):
    """404: the customer does not exist, or is inactive."""


class SubscriptionNotFound(NotFound):
    """404: the customer has no such subscription."""


class RecurringProductNotFound(NotFound):
    """404: there is no such charge here."""


class AlreadyExists(RequestRefused):
    """409: a resource of this number exists already."""


class CustomerAlreadyExists(AlreadyExists):
    """409: a customer of this number exists already."""


class SubscriptionAlreadyExists(AlreadyExists):
    """409: the customer has a subscription of this number already."""


class Unprocessable(RequestRefused):
    """422: well formed, but a business rule refuses it."""


class RateLimited(RequestRefused):
    """429: too many requests; wait `retry_after` seconds."""


class ServerFailed(ProblemError):
    """5xx: the vendor must mend it."""


class LedgerNotConfigured(ServerFailed):
    """501: the ledger is not configured for this."""


class ServiceUnavailable(ServerFailed):
    """503: the service is down for now; wait `retry_after` seconds."""


class UnexpectedStatus(ProblemError):
    """1xx or 3xx, which this API never sends. A redirect is not followed: the token belongs to one origin."""


def _describe(problem: Problem) -> str:
    text = f"{problem.status} {problem.title or problem.code or 'without a readable problem'}"
    if problem.detail:
        text += f": {problem.detail}"
    if problem.problems:
        text += "; " + "; ".join(f"{name}: {message}" for name, message in problem.problems.items())
    if problem.instance:
        text += f" [instance {problem.instance}]"
    return text
