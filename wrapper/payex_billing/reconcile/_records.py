"""What a journal holds of the writes and of the customers of a run."""

from __future__ import annotations

from enum import Enum

import attrs

from ..models import LostCreation
from ._match import Level, Step


class Result(Enum):
    """The result of a write.

    DONE: the server confirmed it. CREATED: a look-up found it. ABSENT: a look-up found that it took no effect.
    REFUSED: the server refused it, or it never reached the server; it may be sent again. FAILED: its row failed.
    REPEATED: its response was lost, and it is harmless to repeat.
    """

    DONE = "done"
    CREATED = "created"
    ABSENT = "absent"
    REFUSED = "refused"
    FAILED = "failed"
    REPEATED = "repeated"


@attrs.frozen(kw_only=True)
class Intent:
    """A write that the journal contains.

    Attributes:
        id: its number in the journal.
        position: the number of its step in the plan of its customer.
        step: the write.
        lost: the data for a look-up if the write creates a charge; None for a write that is harmless to repeat.
        result: the result of the write; None if unknown.
        charge_id: the charge that the write created.
    """

    id: int
    position: int
    step: Step
    lost: LostCreation | None
    result: Result | None = None
    charge_id: str | None = None


@attrs.frozen(kw_only=True)
class RemovalFailed:
    """A charge that should have been removed and could not be.

    Attributes:
        customer_no: the customer of the charge.
        subscription_no: the subscription of the charge; None at customer level.
        charge_id: the charge.
        reason: why the removal failed, in words.
    """

    customer_no: str
    subscription_no: Level
    charge_id: str
    reason: str

    def __str__(self) -> str:
        return f"customer {self.customer_no}, charge {self.charge_id}: {self.reason}"


@attrs.frozen(kw_only=True)
class Done:
    """The results of a run: for one customer, or in total.

    Attributes:
        unchanged: rows that needed no write.
        applied: rows that were written.
        failed: the reason for each row that failed, by line number.
        not_removed: charges that could not be removed.
    """

    unchanged: int = 0
    applied: int = 0
    failed: dict[int, str] = attrs.field(factory=dict)
    not_removed: tuple[RemovalFailed, ...] = ()
