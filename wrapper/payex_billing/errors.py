"""Every exception this package raises.

    BillingError
    ├── ConfigurationError              a setting is missing or wrong                     nothing was sent
    ├── InvalidArgument                 a value the contract forbids; also a ValueError   nothing was sent
    ├── NotSupported                    the contract has no operation for this            nothing was sent
    ├── UnsafeLink                      a link leads away from the configured API         nothing was sent
    ├── ConflictingCharge               `ensure`: a charge differs in its end date only   nothing was sent
    ├── TransportError                  no complete response
    │   ├── NeverSent                   the request provably did not reach the server
    │   │   ├── CertificateRejected     a certificate, ours or the server's, was refused
    │   │   └── DeadlineExceeded        no time was left to send it
    │   └── AnswerLost                  GET, PATCH or DELETE was sent, and its response was lost
    ├── OutcomeUnknown                  POST was sent, and it is not known whether it took effect: look it up
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
        ├── ServerFailed                5xx: the vendor must fix it
        │   ├── LedgerNotConfigured     501
        │   └── ServiceUnavailable      503  `retry_after` is in seconds
        └── UnexpectedStatus            1xx or 3xx, which this API never sends

All of them hold plain data only, so that they support pickle, copy and deepcopy.

What a message may hold: the name of the operation, the status, our own words, and the texts of the server's problem
(title, detail, parameter names and messages, instance). PayEx may write a customer number or a value you sent into
these texts, so treat the messages as personal data. A message never holds a token, a password, a body, a URL, or other
bytes of a response. It is printable and has at most 2,000 characters; longer texts are cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ._base_errors import BillingError, ConfigurationError, InvalidArgument, rebuild
from ._evidence import Attempt, Phase, Problem
from ._text import cut

if TYPE_CHECKING:
    from .models import LostCreation, RecurringProduct

__all__ = [
    "AlreadyExists",
    "AnswerLost",
    "Attempt",
    "BillingError",
    "CertificateRejected",
    "ConfigurationError",
    "ConflictingCharge",
    "CustomerAlreadyExists",
    "CustomerNotFound",
    "DeadlineExceeded",
    "Forbidden",
    "InvalidArgument",
    "LedgerNotConfigured",
    "MalformedResponse",
    "NeverSent",
    "NotFound",
    "NotSupported",
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

_TEXT, _PARAMETERS = 300, 20  # limits of the parts of a message


class NotSupported(BillingError):
    """The contract has no operation for this. Nothing was sent."""


class UnsafeLink(BillingError):
    """A link that leads away from the configured API. It was not followed, so no token went to it."""


class ConflictingCharge(BillingError):
    """`ensure` found a charge that is the same but for its end date, and bills some of the same days.

    Nothing was added: another charge would bill these days twice. Change the end date of the existing charge with
    `update`, or pass a `start_date` that is later than its end date.

    Attributes:
        candidates: the existing charges.
    """

    def __init__(self, message: str, *, candidates: tuple[RecurringProduct, ...] = ()) -> None:
        super().__init__(message)
        self.candidates = candidates


class CustomerBusy(BillingError):
    """Another process writes to the customer, or one of its creations is not decided yet. Nothing was sent.

    Only with a journal that several processes share. Call again later.
    """


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
    """No complete response came back."""


class NeverSent(TransportError):
    """The request provably did not reach the server: connecting or TLS failed, or no place was free. Retry is safe."""


class CertificateRejected(NeverSent):
    """A certificate was refused: the server's by us, or ours by the server. A retry does not help."""


class DeadlineExceeded(NeverSent):
    """No time was left to send the request."""


class AnswerLost(TransportError):
    """GET, PATCH or DELETE was sent, but no complete response came back. A retry is safe."""


class OutcomeUnknown(_RequestError):
    """A POST was sent, and it is not known whether it took effect. Sending it again could bill twice: look it up first.

        except OutcomeUnknown as error:
            result = billing.look_up(error.lost)  # with AsyncBilling: await billing.look_up(error.lost)

    Attributes:
        lost: what a look-up needs to know.
        problem: the server's response, when it was an error; None otherwise.
    """

    def __init__(
        self,
        message: str,
        *,
        lost: LostCreation,
        operation: str = "",
        attempts: tuple[Attempt, ...] = (),
        problem: Problem | None = None,
        look_up: Callable[..., object] | None = None,
    ) -> None:
        super().__init__(message, operation=operation, attempts=attempts)
        self.lost = lost
        self.problem = problem
        self._look_up = look_up  # does not travel to another process

    def __reduce__(self) -> tuple[Any, ...]:
        """Plain data travels, the client does not."""
        return rebuild, (type(self), self.args, self.__dict__ | {"_look_up": None})

    def look_up(self, *, settle: float = 60.0) -> Any:
        """Look up the lost creation with the client that raised this error, as `billing.look_up(error.lost)` does.

        Args:
            settle: treat the request as finished when this many seconds have passed since it was sent.

        Returns:
            The `LookUpResult`; for an `AsyncBilling`, an awaitable of it. `billing.look_up` has exact types.

        Raises:
            ConfigurationError: the error came from another process; use `billing.look_up(error.lost)`.
        """
        if self._look_up is None:
            raise ConfigurationError("the error comes from another process: use billing.look_up(error.lost)")
        return self._look_up(self.lost, settle=settle)


class MalformedResponse(_RequestError):
    """The server says success to a GET, PATCH or DELETE, but the body is not what the contract says.

    A PATCH or DELETE may have taken effect: read what the server holds. A POST raises `OutcomeUnknown` instead.

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
        problem: the response, as far as it could be read.
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
    """5xx: the vendor must fix it."""


class LedgerNotConfigured(ServerFailed):
    """501: the ledger is not configured for this."""


class ServiceUnavailable(ServerFailed):
    """503: the service is down for now; wait `retry_after` seconds."""


class UnexpectedStatus(ProblemError):
    """1xx or 3xx, which this API never sends. A redirect is not followed: the token belongs to one origin."""


def _describe(problem: Problem) -> str:
    text = f"{problem.status} {cut(problem.title or problem.code or 'without a readable problem', _TEXT)}"
    if problem.instance:
        text += f" [instance {cut(problem.instance, _TEXT)}]"
    if problem.detail:
        text += f": {cut(problem.detail, _TEXT)}"
    if problem.problems:
        shown = list(problem.problems.items())[:_PARAMETERS]
        text += "; " + "; ".join(f"{cut(name, _TEXT)}: {cut(message, _TEXT)}" for name, message in shown)
        if len(problem.problems) > _PARAMETERS:
            text += f"; and {len(problem.problems) - _PARAMETERS} more parameters"
    return text
