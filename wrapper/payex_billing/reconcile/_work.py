"""The results of the rows of one customer, and what must not be written, while the customer is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ._match import Kind, Level, Step
from ._planned import PlannedCustomer
from ._progress import CHANGED
from ._records import Done, RemovalFailed


class CustomerWork:
    """The results of the rows of one customer while the customer is written.

    Args:
        planned: the customer.
        done: the positions of the steps that are done.
        blocked: the reason why a level must not be written, by level.
    """

    def __init__(self, planned: PlannedCustomer, done: Iterable[int], blocked: Mapping[Level, str]) -> None:
        self._planned = planned
        self._applied = {planned.steps[position].line for position in done} - {None}
        self._blocked = dict(blocked)
        self._nothing = ""
        self._failed: dict[int, str] = {}
        self._not_removed: list[RemovalFailed] = []

    def changed(self) -> None:
        """Block all writes, because somebody else has changed the customer."""
        self._nothing = CHANGED

    def may_write(self, step: Step) -> bool:
        """Return whether a step may be sent; if not, its row fails."""
        reason = self._blocked.get(step.subscription_no) or self._nothing
        if reason:
            self._note(step, reason)
        return not reason

    def wrote(self, position: int) -> None:
        """Record a step that was done."""
        self._applied.add(self._planned.steps[position].line)

    def failed(self, step: Step, reason: str) -> None:
        """Record a step that failed. Without a parent its children cannot be written."""
        self._note(step, reason)
        if step.kind is Kind.CREATE_CUSTOMER:
            self._nothing = reason
        elif step.kind is Kind.CREATE_SUBSCRIPTION:
            self.block(step.subscription_no, reason)

    def block(self, level: Level, reason: str) -> None:
        """Block further writes to a level."""
        self._blocked[level] = reason

    def _note(self, step: Step, reason: str) -> None:
        if step.line is not None:
            self._failed[step.line] = reason
        elif step.kind is Kind.REMOVE and step.charge_id is not None:
            self._not_removed.append(
                RemovalFailed(
                    customer_no=step.customer_no,
                    subscription_no=step.subscription_no,
                    charge_id=step.charge_id,
                    reason=reason,
                )
            )

    def done(self) -> Done:
        """Return the results of the rows."""
        return Done(
            unchanged=len(self._planned.unchanged),
            applied=len(self._applied - {None} - self._failed.keys()),
            failed=self._failed,
            not_removed=tuple(self._not_removed),
        )
