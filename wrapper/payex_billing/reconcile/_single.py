"""Single writes, such as those of a webhook, in a journal that they share with the nightly run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

import attrs

from ..errors import InvalidArgument
from ..models import LookUpResult, LostCreation, RecurringProduct
from ._journal import Journal
from ._match import Content, Kind, Step
from ._memory import Memory
from ._records import Ending, Intent, Result, Started
from ._store import LEASE, JournalError, Leased

if TYPE_CHECKING:
    from .._async.client import AsyncBilling
    from .._requests.calls import PlainKey
    from .._sync.client import Billing


class SharedJournal:
    """A journal in PostgreSQL for single writes: pass it to `create` and `ensure` of charges.

        with SharedJournal("postgresql://billing@db.example/journal", billing) as journal:
            billing.customer("15615616").recurring_products.ensure(charge, journal=journal)

    Open it once for a process; threads and tasks may share it. All processes that use the journal share one pace. A 429
    slows all of them down. Give each client the same `max_rate`, and the commands the same `--rate`: the limit then
    holds for all processes together.

    Args:
        address: the address of the database.
        billing: the client, which names the ledger.
        lease: seconds after which the customer of a process that died is free.

    Raises:
        InvalidArgument: the address is not that of a PostgreSQL database.
        JournalError: the database cannot be reached or used.
    """

    def __init__(self, address: str, billing: AsyncBilling | Billing, *, lease: float = LEASE) -> None:
        limit, ledger = billing._runner.options.timeout, billing.settings.ledger
        with ExitStack() as stack:
            self._notes = stack.enter_context(Journal(address, ledger, limit=limit, lease=lease, alone=False))
            if not self._notes.is_shared:
                raise InvalidArgument("address", "must be the address of a PostgreSQL database")
            self.pace = stack.enter_context(Memory(ledger, address)).pace(billing.settings.max_rate)
            self._notes.begin("", "", resumed=False, started=Started(command="write"))
            self._open = stack.pop_all()
        self._lock = threading.RLock()
        self._closing = threading.Event()
        # A look-up waits until a request has settled, which takes longer than a lease.
        self._renewing = threading.Thread(target=self._renew, name="payex-billing leases", daemon=True)
        self._renewing.start()

    def _renew(self) -> None:
        while not self._closing.wait(self._notes.lease_seconds / 3):
            with self._lock, suppress(JournalError):  # without its leases the process cannot write
                if self._notes.holds_leases:
                    self._notes.renew()

    def take(self, customer_no: str) -> _Hold | None:
        """Take the right to write to a customer; None while another process, thread or task has it."""
        with self._lock, ExitStack() as stack:
            try:
                writes = stack.enter_context(self._notes.lease(customer_no))
            except Leased:
                return None
            return _Hold(self._notes, self._lock, writes, stack.pop_all())

    def close(self) -> None:
        """Close the connection."""
        self._closing.set()
        self._renewing.join()
        with self._lock, self._open:
            self._notes.end(Ending.DONE, {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@attrs.define(eq=False)
class _Hold:
    """The right to write to one customer."""

    _notes: Journal
    _lock: threading.RLock
    _writes: Sequence[Intent]  # the earlier writes to the customer
    _stack: ExitStack
    _number: int | None = attrs.field(default=None, init=False)  # of the creation that is noted
    _lost: bool = attrs.field(default=False, init=False)

    def open(self) -> Sequence[tuple[int, LostCreation]]:
        """Return the creations whose outcome is not known, with their numbers."""
        found: list[tuple[int, LostCreation]] = []
        with self._lock:
            for intent in self._writes:
                if intent.result is not None:
                    continue
                lost = self._notes.lost(intent)
                if lost is None:  # harmless to repeat
                    self._notes.repeat(intent)
                else:
                    found.append((intent.id, lost))
        return found

    def decide(self, number: int, result: LookUpResult) -> None:
        """Note what a look-up found."""
        with self._lock:
            self._notes.decide(number, result)
            self._notes.save()

    def before_write(self, key: PlainKey, known: frozenset[str] | None) -> None:
        """Note that a creation is about to be sent: called right before each attempt."""
        customer_no, subscription_no, charge = key
        with self._lock:
            if self._number is not None and not self._lost:
                self._notes.stamp(self._number)
                return
            if self._number is not None:  # it was looked up, and took no effect
                self._notes.settle(self._number, Result.ABSENT)
            content = None if charge is None else Content.of(charge)
            step = Step(kind=Kind.CREATE, customer_no=customer_no, subscription_no=subscription_no, charge=content)
            self._lost = False
            self._number = None
            self._number = self._notes.intend(0, step, known or ())
            self._notes.stamp(self._number)  # if the note took long, the lease may be lost

    def created(self, charge: RecurringProduct) -> None:
        """Note that the creation took effect."""
        self._end(Result.DONE, charge)

    def refused(self) -> None:
        """Note that the creation took no effect."""
        self._end(Result.REFUSED)

    def _end(self, result: Result, charge: RecurringProduct | None = None) -> None:
        with self._lock:
            if self._number is not None:
                self._notes.settle(self._number, result, None if charge is None else charge.id, after=charge)
            self._number = None

    def lose(self, sent_at: float) -> None:
        """Note that the response was lost."""
        with self._lock, suppress(JournalError):  # the note before the request has a time, too
            if self._number is not None:
                self._lost = True
                self._notes.stamp(self._number, sent_at)

    def give_back(self) -> None:
        """Let other processes write to the customer."""
        with self._lock, suppress(JournalError):
            self._stack.close()
