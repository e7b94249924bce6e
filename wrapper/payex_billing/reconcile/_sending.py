"""Send writes, and note each attempt in the journal."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import TYPE_CHECKING

import attrs

from .._evidence import ABANDONED_STATUSES
from ..errors import (
    Attempt,
    BillingError,
    InvalidArgument,
    Phase,
    RecurringProductNotFound,
    SubscriptionNotFound,
)
from ..models import RecurringProduct
from ._journal import Journal
from ._match import Kind, Step

if TYPE_CHECKING:
    from .._async.client import AsyncBilling
    from .._async.routes import AsyncSubscriptionHandle


_NONE = Attempt(Phase.NEVER_SENT)


class SubscriptionInUse(BillingError):
    """A subscription that is to be removed has charges."""


@attrs.define(eq=False)
class Sending:
    """Sends writes, one after another.

    Args:
        billing: sends the writes that are harmless to repeat.
        creating: sends the creations of charges.
        journal: notes the time of each attempt.
    """

    _billing: AsyncBilling
    _creating: AsyncBilling
    _journal: Journal
    _intent: int = attrs.field(default=0, init=False)
    _attempts: list[Attempt] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        """Let the clients report each attempt."""
        hooks = {"before_write": self._before, "after_write": self._attempts.append}
        self._billing, self._creating = self._billing._with(**hooks), self._creating._with(**hooks)

    def _before(self) -> None:
        self._journal.stamp(self._intent)

    @property
    def status(self) -> int | None:
        """The status of the response to the last attempt; None if there was none."""
        return self._attempts[-1].status if self._attempts else None

    def may_be_late(self, *, has_failed: bool = False) -> bool:
        """Return whether an attempt of the last write was sent, its outcome is not known, and it may still take effect.

        Args:
            has_failed: whether the write raised an error. A status 2xx then had a response that could not be read.
        """
        *earlier, last = self._attempts or [_NONE]
        is_done = not has_failed and last.status is not None and 200 <= last.status < 300
        return any(map(_is_open, earlier)) or (not is_done and _is_open(last))

    async def send(self, intent: int, step: Step, known: Collection[str]) -> RecurringProduct | None:
        """Send a write; return the charge as the server shows it, if it shows one.

        Args:
            intent: the number of the write in the journal.
            step: the write.
            known: the charges of its level that are known.

        Raises:
            BillingError: it is not known that the write took effect.
            LeaseLost: another process may write to the customer now; nothing was sent.
        """
        self._intent = intent
        self._attempts.clear()
        customer = (self._creating if step.kind is Kind.CREATE else self._billing).customer(step.customer_no)
        handle = customer if step.subscription_no is None else customer.subscription(step.subscription_no)
        match step.kind:
            case Kind.CREATE_CUSTOMER | Kind.CREATE_SUBSCRIPTION:
                await handle.ensure()
            case Kind.CREATE if step.charge is not None:
                return await handle.recurring_products.create(step.charge.to_charge(), known=known)
            case Kind.UPDATE | Kind.END if step.charge_id is not None:
                return await handle.recurring_products.update(step.charge_id, **step.changes)
            case Kind.REMOVE if step.charge_id is not None:
                with suppress(RecurringProductNotFound):  # an earlier attempt removed it
                    await handle.recurring_products.delete(step.charge_id)
            case Kind.REMOVE_SUBSCRIPTION if step.subscription_no is not None:
                await _remove_if_empty(customer.subscription(step.subscription_no))
            case _:
                raise InvalidArgument("step", "is not whole")
        return None


def _is_open(attempt: Attempt) -> bool:
    refused = attempt.status is not None and 400 <= attempt.status < 500 and attempt.status not in ABANDONED_STATUSES
    return attempt.phase is not Phase.NEVER_SENT and not refused


async def _remove_if_empty(subscription: AsyncSubscriptionHandle) -> None:
    """Remove a subscription. Its charges would go with it, so it is looked at once more."""
    with suppress(SubscriptionNotFound):
        charges = [charge.id async for charge in subscription.recurring_products.list()]
        if charges:
            raise SubscriptionInUse(f"the subscription has charges: {', '.join(charges[:3])}")
        await subscription.delete()
