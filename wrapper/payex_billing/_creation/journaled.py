"""What the clients ask of a journal that several processes share, for single writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._policy.limits import AnyPace
from .._requests.calls import PlainKey
from ..models import LookUpResult, LostCreation, RecurringProduct


class Hold(Protocol):
    """The right to write to one customer: no other process that uses the journal writes to the customer."""

    def open(self) -> Sequence[tuple[int, LostCreation]]:
        """Return the creations whose outcome is not known, with their numbers."""
        ...

    def decide(self, number: int, result: LookUpResult) -> None:
        """Note what a look-up found."""
        ...

    def before_write(self, key: PlainKey, known: frozenset[str] | None) -> None:
        """Note that a creation is about to be sent: called right before each attempt.

        Raises:
            BillingError: another process may write to the customer now, or the journal cannot be written.
        """
        ...

    def created(self, charge: RecurringProduct) -> None:
        """Note that the creation took effect."""
        ...

    def refused(self) -> None:
        """Note that the creation took no effect."""
        ...

    def lose(self, sent_at: float) -> None:
        """Note that the response was lost.

        Args:
            sent_at: the latest time at which the request can have left, in seconds since 1970.
        """
        ...

    def give_back(self) -> None:
        """Let other processes write to the customer."""
        ...


class CreationJournal(Protocol):
    """A journal in which creations are noted before they are sent."""

    @property
    def pace(self) -> AnyPace:
        """The pace of all processes that use the journal."""
        ...

    def take(self, customer_no: str) -> Hold | None:
        """Take the right to write to a customer; None while another process has it."""
        ...
