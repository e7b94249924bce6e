"""`AsyncBilling`: the asynchronous client and its route helpers, the twin of `client.py`; a test compares them."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Mapping
from datetime import date
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from . import _checks, _policy
from ._lazy import lazily
from ._policy import Environment, Options, RetryBudget
from .config import Settings
from .errors import AlreadyExists
from .models import UNSET, Charge, Customer, JsonValue, Operation, RecurringProduct, Subscription, Unset

if TYPE_CHECKING:
    from . import _http, _operations
    from ._operations import Call, Page, Parent, T
else:  # the HTTP library is loaded by the first client, not by `import payex_billing`
    _http, _operations = lazily("_http"), lazily("_operations")

__all__ = [
    "AsyncBilling",
    "AsyncCustomerHandle",
    "AsyncRecurringProductsHandle",
    "AsyncSubscriptionHandle",
    "AsyncSubscriptionsHandle",
]


class AsyncBilling:
    """A client of the PayEx Billing Customer API for one ledger, for `asyncio`.

    Settings come from the arguments, then from the environment variable in brackets, then from the default. Making a
    client sends nothing. Use it in an `async with` block, or await `close`. It belongs to one event loop and may be
    shared between its tasks.

    Args:
        token: the bearer token that PayEx issued for the ledger [PAYEX_TOKEN].
        owner_no: the ledger number, which is your company's number [PAYEX_OWNER_NO].
        environment: `production` (default) or `sandbox` [PAYEX_ENVIRONMENT].
        base_url: the origin in place of an environment, such as a mock's [PAYEX_BASE_URL].
        subdomain: the part of the route after `/billing/`, default `customer` [PAYEX_SUBDOMAIN].
        timeout: seconds one attempt may take, default 30; None means the default [PAYEX_TIMEOUT].
        deadline: seconds a call may take with all its attempts and waits, default 120 [PAYEX_DEADLINE].

    Raises:
        ConfigurationError: a setting is missing or wrong.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        owner_no: str | None = None,
        environment: str | None = None,
        base_url: str | None = None,
        subdomain: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> None:
        self.settings = Settings.load(
            token=token,
            owner_no=owner_no,
            environment=environment,
            base_url=base_url,
            subdomain=subdomain,
            timeout=timeout,
            deadline=deadline,
        )
        self._options = Options(timeout=self.settings.timeout, deadline=self.settings.deadline)
        self._budget = RetryBudget()
        self._environment = Environment(now=time.monotonic, random=random.random, epoch=time.time)
        self._engine = _http.AsyncEngine(self.settings)

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
        return twin

    def customer(self, customer_no: str) -> AsyncCustomerHandle:
        """The route of a customer. Sends nothing.

        Raises:
            InvalidArgument: the number cannot be one.
        """
        return AsyncCustomerHandle(self, customer_no)

    async def follow(self, operation: Operation, body: JsonValue = None) -> JsonValue:
        """Do what a resource's operation says, such as `customer.operations[0]`.

        Returns:
            The answer as plain JSON; None when it has no body.

        Raises:
            UnsafeLink: the link leads out of the configured ledger; nothing was sent.
            InvalidArgument: the method or the body cannot be sent.
        """
        return await self._run(_operations.follow(operation, body, self.settings))

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.settings.base_url}{self.settings.ledger_prefix})"

    async def _run(self, call: Call[T]) -> T:
        policy = _policy.call(call.request, self._options, self._budget, self._environment)
        return call.parse(await _http.drive_async(policy, self._engine, self.settings.token))

    async def _pages(self, call: Call[Page[T]]) -> AsyncIterator[T]:
        seen: set[str] = set()
        following: Call[Page[T]] | None = call
        while following is not None:
            page = await self._run(following)
            for item in page.items:
                yield item
            following = _operations.next_page(following, page, seen, self.settings)


class AsyncCustomerHandle:
    """The route of one customer.

    Attributes:
        no: the customer's number.
    """

    def __init__(self, billing: AsyncBilling, customer_no: str) -> None:
        self._billing = billing
        self._owner_no = billing.settings.owner_no
        self.no = _checks.customer_no(customer_no)

    async def get(self) -> Customer:
        """Read the customer.

        Raises:
            CustomerNotFound: it does not exist, or is inactive.
        """
        return await self._billing._run(_operations.get_customer(self._owner_no, self.no))

    async def create(self) -> Customer:
        """Create the customer.

        Raises:
            CustomerAlreadyExists: it exists.
            InvalidArgument: the number holds a character that may only be read, not sent.
            OutcomeUnknown: the answer was lost.
        """
        return await self._billing._run(_operations.create_customer(self._owner_no, self.no))

    async def ensure(self) -> Customer:
        """Create the customer, or read it when it exists."""
        try:
            return await self.create()
        except AlreadyExists:
            return await self.get()

    @property
    def subscriptions(self) -> AsyncSubscriptionsHandle:
        """The route of its subscriptions."""
        return AsyncSubscriptionsHandle(self._billing, self.no)

    def subscription(self, subscription_no: str) -> AsyncSubscriptionHandle:
        """The route of one of its subscriptions. Sends nothing.

        Raises:
            InvalidArgument: the number cannot be one.
        """
        return AsyncSubscriptionHandle(self._billing, self.no, subscription_no)

    @property
    def recurring_products(self) -> AsyncRecurringProductsHandle:
        """The route of its own charges; those of its subscriptions hang on them."""
        return AsyncRecurringProductsHandle(self._billing, self.no, None)


class AsyncSubscriptionsHandle:
    """The route of a customer's subscriptions."""

    def __init__(self, billing: AsyncBilling, customer_no: str) -> None:
        self._billing = billing
        self._customer_no = customer_no

    def list(self) -> AsyncIterator[Subscription]:
        """Read the subscriptions, one after the other; the first is asked for when the iteration starts.

        Raises:
            CustomerNotFound: the customer does not exist.
        """
        return self._billing._pages(_operations.list_subscriptions(self._billing.settings.owner_no, self._customer_no))


class AsyncSubscriptionHandle:
    """The route of one subscription.

    Attributes:
        no: its number.
        customer_no: its customer's number.
    """

    def __init__(self, billing: AsyncBilling, customer_no: str, subscription_no: str) -> None:
        self._billing = billing
        self.customer_no = customer_no
        self.no = _checks.subscription_no(subscription_no)

    @property
    def _ids(self) -> tuple[str, str, str]:
        return self._billing.settings.owner_no, self.customer_no, self.no

    async def get(self) -> Subscription:
        """Read the subscription.

        Raises:
            CustomerNotFound: its customer does not exist.
            SubscriptionNotFound: the customer has no such subscription.
        """
        return await self._billing._run(_operations.get_subscription(*self._ids))

    async def create(self) -> Subscription:
        """Create the subscription.

        Raises:
            CustomerNotFound: its customer does not exist.
            SubscriptionAlreadyExists: the customer has it already.
            OutcomeUnknown: the answer was lost.
        """
        return await self._billing._run(_operations.create_subscription(*self._ids))

    async def ensure(self) -> Subscription:
        """Create the subscription, or read it when it exists."""
        try:
            return await self.create()
        except AlreadyExists:
            return await self.get()

    async def delete(self) -> None:
        """Remove the subscription and its charges.

        Raises:
            SubscriptionNotFound: the customer has no such subscription.
        """
        await self._billing._run(_operations.delete_subscription(*self._ids))

    @property
    def recurring_products(self) -> AsyncRecurringProductsHandle:
        """The route of its charges."""
        return AsyncRecurringProductsHandle(self._billing, self.customer_no, self.no)


class AsyncRecurringProductsHandle:
    """The route of the charges of a customer or of a subscription."""

    def __init__(self, billing: AsyncBilling, customer_no: str, subscription_no: str | None) -> None:
        self._billing = billing
        self._customer_no = customer_no
        self._subscription_no = subscription_no

    @property
    def _parent(self) -> Parent:
        owner_no = self._billing.settings.owner_no
        return _operations.Parent(owner_no, self._customer_no, self._subscription_no)

    def list(self) -> AsyncIterator[RecurringProduct]:
        """Read the charges, one after the other; the first is asked for when the iteration starts."""
        return self._billing._pages(_operations.list_charges(self._parent))

    async def create(self, charge: Charge) -> RecurringProduct:
        """Add a charge. It is not a repeatable request: a second one is a second charge.

        Raises:
            OutcomeUnknown: the answer was lost.
            Unprocessable: a business rule refuses it.
        """
        return await self._billing._run(_operations.create_charge(self._parent, charge))

    async def get(self, id: str) -> RecurringProduct:  # noqa: A002 - it is what the value calls it
        """Read a charge.

        Raises:
            RecurringProductNotFound: there is no such charge here.
        """
        return await self._billing._run(_operations.get_charge(self._parent, id))

    async def update(
        self,
        id: str,  # noqa: A002 - it is what the value calls it
        *,
        product_code: str | Unset = UNSET,
        quantity: int | None | Unset = UNSET,
        unit_price: Decimal | int | None | Unset = UNSET,
        vat_rate: Decimal | int | None | Unset = UNSET,
        text: str | None | Unset = UNSET,
        start_date: date | None | Unset = UNSET,
        end_date: date | None | Unset = UNSET,
        extra: Mapping[str, JsonValue] | None = None,
    ) -> RecurringProduct:
        """Change a charge. What is left out stays as it is; None clears it. See `Charge` for the meaning of each.

        Returns:
            The charge after the change.

        Raises:
            InvalidArgument: a value breaks the contract.
            RecurringProductNotFound: there is no such charge here.
            Unprocessable: a business rule refuses it.
        """
        change: dict[str, Any] = {
            "product_code": product_code,
            "quantity": quantity,
            "unit_price": unit_price,
            "vat_rate": vat_rate,
            "text": text,
            "start_date": start_date,
            "end_date": end_date,
            "extra": extra,
        }
        return await self._billing._run(_operations.update_charge(self._parent, id, change))

    async def delete(self, id: str) -> None:  # noqa: A002 - it is what the value calls it
        """Remove a charge.

        Raises:
            RecurringProductNotFound: there is no such charge here.
        """
        await self._billing._run(_operations.delete_charge(self._parent, id))
