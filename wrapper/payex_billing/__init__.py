"""Keep billable charges in PayEx Billing right.

    from payex_billing import Billing, Charge

    with Billing.from_env() as billing:
        customer = billing.customer("15615616")
        customer.ensure()
        added = customer.recurring_products.create(Charge(product_code="P01", quantity=1))

`Billing` blocks, `AsyncBilling` does not; both have the same names. Every error is a `BillingError`; the tree is drawn
in `payex_billing.errors`.
"""

TYPE_CHECKING = False  # as type checkers know it, without loading `typing`
if TYPE_CHECKING:
    from . import config as config
    from . import errors as errors
    from . import models as models
    from . import reconcile as reconcile
    from . import testing as testing
    from ._async.client import *
    from ._async.routes import *
    from ._session.responses import ResponseInfo as ResponseInfo
    from ._sync.client import *
    from ._sync.routes import *
    from ._transport import AsyncTransport as AsyncTransport
    from ._transport import Failure as Failure
    from ._transport import Request as Request
    from ._transport import Response as Response
    from ._transport import Transport as Transport
    from ._version import __version__ as __version__
    from .config import *
    from .errors import *
    from .models import *

# Where each name lives. A module is loaded when one of its names is first asked for, so that a command that only
# wants to say how it is used starts fast. A test compares this with what is imported above.
_HOMES = {
    "_async.client": "AsyncBilling",
    "_async.routes": (
        "AsyncCustomerHandle AsyncRecurringProductsHandle AsyncSubscriptionHandle AsyncSubscriptionsHandle"
    ),
    "_session.responses": "ResponseInfo",
    "_transport": "AsyncTransport Failure Request Response Transport",
    "_sync.client": "Billing",
    "_sync.routes": "CustomerHandle RecurringProductsHandle SubscriptionHandle SubscriptionsHandle",
    "_version": "__version__",
    "config": "Settings",
    "errors": (
        "AlreadyExists AnswerLost Attempt BillingError CertificateRejected "
        "ConfigurationError ConflictingCharge CustomerAlreadyExists CustomerNotFound DeadlineExceeded Forbidden "
        "InvalidArgument LedgerNotConfigured MalformedResponse NeverSent NotFound NotSupported OutcomeUnknown Phase "
        "Problem ProblemError RateLimited RecurringProductNotFound RequestRefused ServerFailed ServiceUnavailable "
        "SubscriptionAlreadyExists SubscriptionNotFound TransportError Unauthorized UnexpectedStatus "
        "Unprocessable UnsafeLink ValidationFailed"
    ),
    "models": (
        "UNSET Charge ChargeChange ChargeContent Customer CustomerCharge JsonValue LookUpResult LostCreation "
        "NaturalKey Operation Outcome RecordedWrite RecurringProduct Subscription Unset"
    ),
}
# `payex_billing.reconcile` works after `import payex_billing`. The modules are not in `__all__`: an import of `*` would
# need their extras.
_MODULES = frozenset({"config", "errors", "models", "reconcile", "testing"})
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


if not TYPE_CHECKING:  # a checker takes the names from the imports above, and would let any name pass
    __all__ = sorted(_HOME_OF, key=lambda name: (not name.isupper(), name))  # noqa: PLE0605

    def __getattr__(name: str) -> object:
        """Load and return a public name or module."""
        module = name if name in _MODULES else _HOME_OF.get(name)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - not needed to start

        loaded = import_module(f".{module}", __name__)
        value = loaded if name in _MODULES else getattr(loaded, name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        """Return the public names and modules, loaded or not."""
        return sorted({*globals(), *__all__, *_MODULES})
