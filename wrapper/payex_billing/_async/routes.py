"""The route helpers of `AsyncBilling`: a handle has the path of a resource and the methods for that resource."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from typing import Literal, Unpack

from .._creation import ensure as _ensure
from .._creation import update as _update
from .._creation.journaled import CreationJournal
from .._requests import operations
from .._values import checks
from ..errors import SubscriptionNotFound
from ..models import Charge, ChargeChange, Customer, CustomerCharge, JsonValue, RecurringProduct, Subscription
from .runner import AsyncRunner

__all__ = ["AsyncCustomerHandle", "AsyncRecurringProductsHandle", "AsyncSubscriptionHandle", "AsyncSubscriptionsHandle"]


class AsyncCustomerHandle:
    """The route of one customer.

    Attributes:
        no: the customer's number.
    """

    def __init__(self, runner: AsyncRunner, customer_no: str) -> None:
        self._runner = runner
        self.no = checks.customer_no(customer_no)

    async def get(self) -> Customer:
        """Read the customer.

        Raises:
            CustomerNotFound: the customer does not exist, or is inactive.
        """
        return await self._runner.run(operations.get_customer(self._runner.owner_no, self.no))

    async def create(self, *, extra: Mapping[str, JsonValue] | None = None) -> Customer:
        """Create the customer.

        Args:
            extra: properties this package does not know; they are sent as they are.

        Raises:
            CustomerAlreadyExists: the customer exists already.
            InvalidArgument: the number has a character that is allowed in reads but not in creations.
            OutcomeUnknown: the client cannot tell whether the customer was created.
        """
        return await self._runner.run(operations.create_customer(self._runner.owner_no, self.no, extra))

    async def ensure(self, *, extra: Mapping[str, JsonValue] | None = None) -> Customer:
        """Create the customer, or read it if it exists. Look up a lost creation, and repeat it.

        Args:
            extra: properties this package does not know; they are sent with the creation as they are.

        Raises:
            OutcomeUnknown: the responses to three creations were lost.
        """
        create = operations.create_customer(self._runner.owner_no, self.no, extra)
        read = operations.get_customer(self._runner.owner_no, self.no)
        return await self._runner.steps(_ensure.ensure(create, read))

    @property
    def subscriptions(self) -> AsyncSubscriptionsHandle:
        """The route of the customer's subscriptions."""
        return AsyncSubscriptionsHandle(self._runner, self.no)

    def subscription(self, subscription_no: str) -> AsyncSubscriptionHandle:
        """Return the route of one of the customer's subscriptions. Sends nothing.

        Raises:
            InvalidArgument: not a valid subscription number.
        """
        return AsyncSubscriptionHandle(self._runner, self.no, subscription_no)

    @property
    def recurring_products(self) -> AsyncRecurringProductsHandle:
        """The route of the customer's own charges, without the charges of its subscriptions."""
        return AsyncRecurringProductsHandle(self._runner, self.no, None)

    async def all_charges(self) -> AsyncIterator[CustomerCharge]:
        """Read all charges of the customer: its own, then those of each subscription, one after the other.

        The client skips a subscription that disappears while it reads the charges. It may miss a charge that is added
        or moved meanwhile. Each list has its own deadline: the charges of the customer, the subscriptions, and the
        charges of each subscription.

        Raises:
            CustomerNotFound: the customer does not exist.
        """
        async for product in self.recurring_products.list():
            yield CustomerCharge(subscription_no=None, product=product)
        numbers = [subscription.subscription_no async for subscription in self.subscriptions.list()]
        for number in dict.fromkeys(numbers):  # a list that changes during the read can show a subscription twice
            parent = operations.Parent(self._runner.owner_no, self.no, checks.segment("subscription_no", number))
            try:
                async for product in self._runner.pages(operations.list_charges(parent)):
                    yield CustomerCharge(subscription_no=number, product=product)
            except SubscriptionNotFound:
                continue


class AsyncSubscriptionsHandle:
    """The route of a customer's subscriptions."""

    def __init__(self, runner: AsyncRunner, customer_no: str) -> None:
        self._runner = runner
        self._customer_no = customer_no

    def list(self) -> AsyncIterator[Subscription]:
        """Yield the subscriptions. The client sends the first request when the iteration starts.

        Raises:
            CustomerNotFound: the customer does not exist.
        """
        return self._runner.pages(operations.list_subscriptions(self._runner.owner_no, self._customer_no))


class AsyncSubscriptionHandle:
    """The route of one subscription.

    Attributes:
        no: the number of the subscription.
        customer_no: the number of its customer.
    """

    def __init__(self, runner: AsyncRunner, customer_no: str, subscription_no: str) -> None:
        self._runner = runner
        self.customer_no = customer_no
        self.no = checks.subscription_no(subscription_no)

    @property
    def _ids(self) -> tuple[str, str, str]:
        return self._runner.owner_no, self.customer_no, self.no

    async def get(self) -> Subscription:
        """Read the subscription.

        Raises:
            CustomerNotFound: its customer does not exist.
            SubscriptionNotFound: the customer has no such subscription.
        """
        return await self._runner.run(operations.get_subscription(*self._ids))

    async def create(self, *, extra: Mapping[str, JsonValue] | None = None) -> Subscription:
        """Create the subscription.

        Args:
            extra: properties this package does not know; they are sent as they are.

        Raises:
            CustomerNotFound: its customer does not exist.
            SubscriptionAlreadyExists: the customer already has a subscription with this number.
            OutcomeUnknown: the client cannot tell whether the subscription was created.
        """
        return await self._runner.run(operations.create_subscription(*self._ids, extra))

    async def ensure(self, *, extra: Mapping[str, JsonValue] | None = None) -> Subscription:
        """Create the subscription, or read it if it exists. Look up a lost creation, and repeat it.

        Args:
            extra: properties this package does not know; they are sent with the creation as they are.

        Raises:
            CustomerNotFound: its customer does not exist.
            OutcomeUnknown: the responses to three creations were lost.
        """
        create, read = operations.create_subscription(*self._ids, extra), operations.get_subscription(*self._ids)
        return await self._runner.steps(_ensure.ensure(create, read))

    async def delete(self) -> None:
        """Remove the subscription and its charges.

        Raises:
            SubscriptionNotFound: the customer has no such subscription.
        """
        await self._runner.run(operations.delete_subscription(*self._ids))

    @property
    def recurring_products(self) -> AsyncRecurringProductsHandle:
        """The route of the subscription's charges."""
        return AsyncRecurringProductsHandle(self._runner, self.customer_no, self.no)


class AsyncRecurringProductsHandle:
    """The route of the charges of a customer or of a subscription."""

    def __init__(self, runner: AsyncRunner, customer_no: str, subscription_no: str | None) -> None:
        self._runner = runner
        self._parent = operations.Parent(runner.owner_no, customer_no, subscription_no)

    def list(self) -> AsyncIterator[RecurringProduct]:
        """Yield the charges. The client sends the first request when the iteration starts."""
        return self._runner.pages(operations.list_charges(self._parent))

    async def create(
        self,
        charge: Charge,
        *,
        known: Collection[str] | Literal["read"] | None = None,
        journal: CreationJournal | None = None,
    ) -> RecurringProduct:
        """Add a charge. Not idempotent: calling it twice adds two charges.

        Args:
            charge: what to bill.
            known: the ids of the existing charges, if you just read them; or `"read"`: the client reads them before
                it sends the charge. A look-up of a lost creation is then exact, even if an equal charge existed.
                Without `known`, the look-up says *unknown* if an equal charge exists, unless this client created the
                customer (or the subscription) or has read all its charges with `list()`.
            journal: a `reconcile.SharedJournal`. No other process that uses the journal, such as a nightly run, then
                writes to the customer at the same time, and the others find out about a lost creation. The client then
                reads the charges itself; it does not use the ids in `known`.

        Raises:
            OutcomeUnknown: the client cannot tell whether the charge was added; call `look_up`.
            CustomerBusy: with a journal: another process writes to the customer until the deadline.
            Unprocessable: a business rule refuses it.
            InvalidArgument: `known` is neither ids nor `"read"`.
        """
        if journal is not None:
            # What was read before the lease may have changed since.
            return await self._runner.holding(
                journal, self._parent.customer_no, 60.0, lambda runner: self._with(runner).create(charge, known="read")
            )
        if known == "read":
            ids: frozenset[str] | None = frozenset([product.id async for product in self.list()])
        else:
            ids = checks.known(known)
        return await self._runner.run(operations.create_charge(self._parent, charge, ids))

    def _with(self, runner: AsyncRunner) -> AsyncRecurringProductsHandle:
        return AsyncRecurringProductsHandle(runner, self._parent.customer_no, self._parent.subscription_no)

    async def ensure(
        self, charge: Charge, *, settle: float = 60.0, journal: CreationJournal | None = None
    ) -> RecurringProduct:
        """Add a charge, or return the equal one that exists. Idempotent as long as one process at a time calls it.

        Several processes may call it if they share a journal.

        `ensure` reads the charges first. An existing charge is equal if it has every value that `charge` gives, and the
        same end date. A value that `charge` leaves out is equal to any value, because Billing may show the master
        product's value; no end date means open-ended. Of several equal charges `ensure` returns the most similar one,
        and removes none. A charge that differs in a value that `charge` gives is a different charge: `ensure` keeps it
        and adds the new one.

        If the response to the creation is lost, `ensure` looks up the creation, with waits until the deadline, and
        creates the charge again only when the look-up says *absent*: at most three times. `ensure` also looks up an
        earlier lost creation of such a charge by this client. In one client, threads and tasks that ensure charges of
        the same customer or subscription take turns.

        Args:
            charge: what to bill.
            settle: treat a request as finished when this many seconds have passed since it was sent.
            journal: a `reconcile.SharedJournal`. No other process that uses the journal, such as a nightly run, then
                writes to the customer at the same time, and the others find out about a lost creation.

        Raises:
            CustomerBusy: with a journal: another process writes to the customer until the deadline.
            ConflictingCharge: an existing charge differs only in its end date, and bills some of the same days.
            OutcomeUnknown: the client still cannot tell whether the charge was added. Call `ensure` again later.
            CustomerNotFound: the customer does not exist.
            SubscriptionNotFound: the customer has no such subscription.
            Unprocessable: a business rule refuses it.
            InvalidArgument: `charge` is not a `Charge`, or `settle` is not a number of seconds.
        """
        if journal is not None:
            return await self._runner.holding(
                journal,
                self._parent.customer_no,
                settle,
                lambda runner: runner.ensure(self._parent, charge, settle),
            )
        return await self._runner.ensure(self._parent, charge, settle)

    async def get(self, id: str) -> RecurringProduct:  # noqa: A002 - it is what the value calls it
        """Read a charge.

        Raises:
            RecurringProductNotFound: there is no such charge here.
        """
        return await self._runner.run(operations.get_charge(self._parent, id))

    async def update(self, id: str, **change: Unpack[ChargeChange]) -> RecurringProduct:  # noqa: A002 - as the value calls it
        """Change a charge. An omitted property keeps its value; None clears it. See `ChargeChange` for the arguments.

        If the contract has PUT instead of PATCH, the client reads the charge first and sends all its values.

        Returns:
            The charge after the change.

        Raises:
            InvalidArgument: a value breaks the contract.
            RecurringProductNotFound: there is no such charge here.
            Unprocessable: a business rule refuses it.
        """
        return await self._runner.steps(_update.update(self._parent, id, change))

    async def delete(self, id: str) -> None:  # noqa: A002 - it is what the value calls it
        """Remove a charge.

        Raises:
            RecurringProductNotFound: there is no such charge here.
        """
        await self._runner.run(operations.delete_charge(self._parent, id))
