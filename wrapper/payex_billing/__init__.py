"""Keep billable charges in PayEx Billing right.

    from payex_billing import Billing, Charge

    with Billing.from_env() as billing:
        customer = billing.customer("15615616")
        customer.ensure()
        added = customer.recurring_products.create(Charge(product_code="P01", quantity=1))

`Billing` blocks, `AsyncBilling` does not; both have the same names. Every error is a `BillingError`; the tree is drawn
in `payex_billing.errors`.
"""

from ._aio_routes import (
    AsyncCustomerHandle,
    AsyncRecurringProductsHandle,
    AsyncSubscriptionHandle,
    AsyncSubscriptionsHandle,
)
from ._routes import CustomerHandle, RecurringProductsHandle, SubscriptionHandle, SubscriptionsHandle
from .aio import AsyncBilling
from .client import Billing
from .config import Settings
from .errors import (
    AlreadyExists,
    AnswerLost,
    AsyncOutcomeUnknown,
    Attempt,
    BillingError,
    CertificateRejected,
    ConfigurationError,
    CustomerAlreadyExists,
    CustomerNotFound,
    DeadlineExceeded,
    Forbidden,
    InvalidArgument,
    LedgerNotConfigured,
    MalformedResponse,
    NeverSent,
    NotFound,
    OutcomeUnknown,
    Phase,
    Problem,
    ProblemError,
    RateLimited,
    RecurringProductNotFound,
    RequestRefused,
    ServerFailed,
    ServiceUnavailable,
    SubscriptionAlreadyExists,
    SubscriptionNotFound,
    TransportError,
    Unauthorized,
    UnexpectedStatus,
    Unprocessable,
    UnsafeLink,
    ValidationFailed,
)
from .models import (
    UNSET,
    Charge,
    Customer,
    JsonValue,
    NaturalKey,
    Operation,
    Outcome,
    Reconciliation,
    RecurringProduct,
    Subscription,
    Unset,
)

__all__ = [
    "UNSET",
    "AlreadyExists",
    "AnswerLost",
    "AsyncBilling",
    "AsyncCustomerHandle",
    "AsyncOutcomeUnknown",
    "AsyncRecurringProductsHandle",
    "AsyncSubscriptionHandle",
    "AsyncSubscriptionsHandle",
    "Attempt",
    "Billing",
    "BillingError",
    "CertificateRejected",
    "Charge",
    "ConfigurationError",
    "Customer",
    "CustomerAlreadyExists",
    "CustomerHandle",
    "CustomerNotFound",
    "DeadlineExceeded",
    "Forbidden",
    "InvalidArgument",
    "JsonValue",
    "LedgerNotConfigured",
    "MalformedResponse",
    "NaturalKey",
    "NeverSent",
    "NotFound",
    "Operation",
    "Outcome",
    "OutcomeUnknown",
    "Phase",
    "Problem",
    "ProblemError",
    "RateLimited",
    "Reconciliation",
    "RecurringProduct",
    "RecurringProductNotFound",
    "RecurringProductsHandle",
    "RequestRefused",
    "ServerFailed",
    "ServiceUnavailable",
    "Settings",
    "Subscription",
    "SubscriptionAlreadyExists",
    "SubscriptionHandle",
    "SubscriptionNotFound",
    "SubscriptionsHandle",
    "TransportError",
    "Unauthorized",
    "UnexpectedStatus",
    "Unprocessable",
    "UnsafeLink",
    "Unset",
    "ValidationFailed",
]
