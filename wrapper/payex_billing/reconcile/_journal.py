"""The journal of a run: the intent before each write, the result after it.

`apply` looks up a creation without a result before the next write to its customer, and never sends it again before.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import attrs
import msgspec

from ..models import LookUpResult, LostCreation, NaturalKey, RecurringProduct
from ._journaled_run import JournaledRun, Work
from ._match import Content, Step
from ._records import FIELDS, Done, Intent, Result
from ._store import Lease, Leased, LeaseLost, Row, Statement

_COLUMNS = "run, plan, customer, position, kind, line, step, known, noted, sent, token"
_INTENT = f"INSERT INTO write ({_COLUMNS}) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?{{held}} RETURNING id"
_FINISH = (
    "INSERT INTO customer (run, customer, unchanged, applied, failed, not_removed) SELECT ?, ?, ?, ?, ?, ?{held} "
    "WHERE true ON CONFLICT (run, customer) DO UPDATE SET unchanged = excluded.unchanged, applied = excluded.applied, "
    "failed = excluded.failed, not_removed = excluded.not_removed RETURNING run"
)
Exchanged = tuple[list[int | None], dict[str, list[Intent]]]
_SEEN = 1.0  # seconds between two updates of `run.seen`
_NOTES = 5  # notes of one attempt, if each of them takes so long that it no longer covers the attempt


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


@attrs.frozen(kw_only=True)
class Note:
    """What is to be saved about a customer, under its lease.

    Attributes:
        customer_no: the customer.
        query: the statement, with `{held}` where its FROM is.
        values: its values.
        lease: the lease of the customer.
        ends: whether the run has finished the customer. Otherwise a write is about to be sent.
        noted: when the note was made, in seconds since 1970.
    """

    customer_no: str
    query: str
    values: tuple[object, ...]
    lease: Lease | None
    ends: bool = False
    noted: float = 0.0


class Journal(JournaledRun):
    """The writes of one run, and the results of its customers."""

    # leases

    @contextmanager
    def lease(self, customer_no: str) -> Iterator[list[Intent]]:
        """Take the lease of a customer for a `with` block; yield the earlier writes. Nobody else writes meanwhile.

        Raises:
            Leased: another process has it.
        """
        _, found = self.do(self.exchange([], [customer_no]))
        if customer_no not in found:
            raise Leased(customer_no)
        try:
            yield found[customer_no]
        finally:
            self.give_back(customer_no)

    # writes

    def intend(self, position: int, step: Step, known: Iterable[str]) -> int:
        """Note a write that is about to be sent; returns its number.

        Raises:
            LeaseLost: another process may write to the customer now.
        """
        return self.save_note(self.intent(position, step, known))

    def intent(self, position: int, step: Step, known: Iterable[str]) -> Note:
        """Return the note of a write that is about to be sent. What is saved is the number of the write."""
        now = self._now()
        lease = self._leases.get(step.customer_no)
        values = (
            self.run, self._plan, step.customer_no, position, step.kind.value, step.line, _json(step),
            _json(sorted(known)), now, now + self._fresh + self._limit, None if lease is None else lease.token,
        )  # fmt: skip
        return Note(customer_no=step.customer_no, query=_INTENT, values=values, lease=lease, noted=now)

    def save_note(self, note: Note) -> int:
        """Save a note; return its number.

        Raises:
            LeaseLost: another process may write to the customer now.
        """
        ((number,), _) = self.do(self.exchange([note], []))
        if number is None:
            raise self.lost_lease(note)
        return number

    def exchange(self, notes: Sequence[Note], customers: Iterable[str]) -> Work[Exchanged]:
        """Save notes and take the leases of customers, in one transaction.

        Returns:
            First, the number of each note; None if the lease of its customer was lost. Second, the customers whose
            leases were taken, each with the earlier writes to it as `of_customer` returns them.

        Raises:
            LeaseLost: the connection was lost, and it is not known whether the notes were saved.
        """
        before = time.monotonic()
        free = [customer_no for customer_no in customers if customer_no not in self._leases]
        statements = {note.customer_no: self._saved(note) for note in notes}
        for customer_no in free:
            if (taking := self._store.take(customer_no, self.run)) is not None:
                statements[customer_no] = taking
        # Every process locks leases in this order. Otherwise two transactions could wait for each other.
        in_order = sorted(statements)
        rest = [self._of_customers(free)] if free else []
        if any(note.ends for note in notes) and not 0 <= (now := self._now()) - self._seen < _SEEN:
            rest.append(("UPDATE run SET seen = ? WHERE id = ?", (now, self.run)))
            self._seen = now
        again = all(note.ends for note in notes)
        try:
            found = yield from self._saving([*map(statements.__getitem__, in_order), *rest], again=again)
        except LeaseLost:
            self._unsure |= {note.customer_no: note.lease for note in notes if not note.ends}
            raise
        rows = dict(zip(in_order, found, strict=False))
        numbers = [self._number(note, rows[note.customer_no]) for note in notes]
        leases = {
            customer_no: self._store.taken(customer_no, rows.get(customer_no, ()), before) for customer_no in free
        }
        taken = {customer_no: lease for customer_no, lease in leases.items() if lease is not None}
        self._leases |= taken
        return numbers, self._writes(taken, found[len(in_order)] if free else ())

    def _writes(self, customers: Iterable[str], rows: Iterable[Row]) -> dict[str, list[Intent]]:
        writes: dict[str, list[Intent]] = {customer_no: [] for customer_no in customers}
        for intent in map(Intent.from_row, rows):
            if (customer_no := intent.step.customer_no) in writes:
                writes[customer_no].append(intent)
        for customer_no in writes.keys() & self._unsure.keys():
            writes[customer_no] = self.of_customer(customer_no)
        return writes

    def _saved(self, note: Note) -> Statement:
        statement = note.query, note.values
        return self._store.fenced(statement, note.lease, self.run, self._epoch, ends=note.ends)

    def _number(self, note: Note, rows: Sequence[Row]) -> int | None:
        if not rows:
            if not note.ends:
                self._unsure[note.customer_no] = note.lease
            return None
        number = int(rows[0][0])
        if note.ends:
            self._leases.pop(note.customer_no, None)  # a task that was cancelled has removed it
        else:
            self._customers[number] = note.customer_no
            self._noted[number] = note.noted
        return number

    def lost_lease(self, note: Note) -> LeaseLost:
        """Return the error for a note that was not saved."""
        return LeaseLost(f"{self.name}: the lease of customer {note.customer_no} was lost")

    def stamp(self, intent: int, sent_at: float | None = None) -> None:
        """Note the latest time at which an attempt can have left: `sent_at`, or now plus the attempt's limit.

        Raises:
            LeaseLost: another process may write to the customer now, so no attempt may leave.
        """
        if sent_at is not None:  # by the clock of this machine
            latest = sent_at + self._store.ahead()
            self._save([("UPDATE write SET sent = ? WHERE id = ?", (latest, intent))])
            return
        query = "UPDATE write SET sent = ?{held} WHERE id = ? RETURNING id"
        for _ in range(_NOTES):
            now = self._now()
            if 0 <= now - self._noted[intent] < self._fresh:
                return  # the note covers an attempt that leaves now
            # The process may have been stopped since the note, or while it waited for this statement.
            self._fenced(self._customers[intent], (query, (now + self._fresh + self._limit, intent)))
            self._noted[intent] = now
        raise LeaseLost(f"{self.name}: takes longer than {self._fresh:g} seconds for a statement")

    def _fenced(self, customer_no: str, statement: Statement) -> None:
        lease = self._leases.get(customer_no)
        if not self._save([self._store.fenced(statement, lease, self.run, self._epoch)]):
            raise LeaseLost(f"{self.name}: the lease of customer {customer_no} was lost")

    def settle(
        self,
        intent: int,
        result: Result,
        charge_id: str | None = None,
        *,
        after: RecurringProduct | None = None,
        status: int | None = None,
        instance: str | None = None,
        may_be_late: bool = False,
    ) -> None:
        """Note the result of a write.

        It is saved with whatever is noted next, or by `save`. If the process is killed before, the next run looks the
        write up.

        Args:
            intent: the number of the write.
            result: its result.
            charge_id: the charge that it created.
            after: the charge as the server showed it after the write.
            status: the HTTP status of the response.
            instance: the `instance` of the problem in the response.
            may_be_late: whether an attempt may still take effect.
        """
        shown = None if after is None else _json(Content.of(after))
        lost = self._now() if may_be_late else None
        self._settled.append((result.value, charge_id, shown, status, instance, lost, intent))

    def decide(self, intent: int, result: LookUpResult) -> RecurringProduct | None:
        """Note what a look-up of a creation found; return the charge that the creation added; None without one."""
        charge = result.resource if isinstance(result.resource, RecurringProduct) else None
        self.settle(intent, Result(result.outcome.value), None if charge is None else charge.id, after=charge)
        return charge

    def repeat(self, intent: Intent) -> None:
        """Settle a write that another process left open, and that is harmless to repeat."""
        # The lock of a file shows that the process has ended, so nothing can have left since.
        left = intent.sent if self.is_shared else min(intent.sent, self._opened_at)
        self._settled.append((Result.REPEATED.value, None, None, None, None, left, intent.id))

    def late(self, intents: Iterable[Intent], settle: float) -> float:
        """Return the seconds for which earlier writes can still take effect, and undo what is written now.

        A write of the present plan wants what the plan wants, so it can do no harm.
        """
        # If the clock was ahead when a loss was noted, this run must not wait until that time.
        latest = math.inf if self.is_shared else self._opened_at
        lost = [min(each.lost, latest) for each in intents if each.lost is not None and not self.is_planned(each)]
        now = self._now() - self._store.doubt  # never too early
        return max(lost) + settle - now if lost else 0.0

    def open(self) -> list[Intent]:
        """Return the writes without a result, oldest first."""
        self.save()
        query = f"SELECT {FIELDS} FROM write WHERE result IS NULL ORDER BY id"
        return [Intent.from_row(row) for row in self._store.query(query)]

    def _refuse_unsent(self, lease: Lease) -> None:
        """Settle the write that was noted when the connection was lost. Nobody knows its number, so it was not sent."""
        query = "SELECT id FROM write WHERE customer = ? AND token = ? AND result IS NULL"
        found = self._store.query(query, (lease.customer_no, lease.token))
        for (number,) in found:
            if number not in self._customers:
                self.settle(number, Result.REFUSED)

    def of_plan(self, customer_no: str) -> list[Intent]:
        """Return the writes to a customer that belong to the present plan, oldest first."""
        return [intent for intent in self.of_customer(customer_no) if self.is_planned(intent)]

    def of_customer(self, customer_no: str) -> list[Intent]:
        """Return the writes to a customer, oldest first: of this run, without a result, or with a lost response."""
        if (lease := self._unsure.pop(customer_no, None)) is not None:
            self._refuse_unsent(lease)
        self._save_for(customer_no)
        return [Intent.from_row(row) for row in self._store.query(*self._of_customers([customer_no]))]

    def _of_customers(self, customers: Sequence[str]) -> Statement:
        query = (
            f"SELECT {FIELDS} FROM write WHERE customer IN ({', '.join('?' * len(customers))}) "
            "AND (run = ? OR result IS NULL OR lost IS NOT NULL) ORDER BY id"
        )
        return query, (*customers, self.run)

    def adopt(self, customer_no: str, intent: int, charge_id: str) -> None:
        """Note that a creation took effect although the server refused it.

        Raises:
            LeaseLost: another process may write to the customer now, and the charge may be that of its write.
        """
        query = "UPDATE write SET result = ?, charge = ?{held} WHERE id = ? RETURNING id"
        self._fenced(customer_no, (query, (Result.CREATED.value, charge_id, intent)))

    def claimed(self, customer_no: str) -> set[str]:
        """Return the charges of a customer that a write of any run has created."""
        query = "SELECT charge FROM write WHERE customer = ? AND charge IS NOT NULL"
        return {charge for (charge,) in self._store.query(query, (customer_no,))}

    def is_planned(self, intent: Intent) -> bool:
        """Return whether a write belongs to the present plan."""
        return (intent.run, intent.plan) == (self.run, self._plan)

    def lost(self, intent: Intent) -> LostCreation | None:
        """Return the data for the look-up of a creation; None for a write that is harmless to repeat."""
        step = intent.step
        if not intent.creates_charge or step.charge is None:
            return None
        key = NaturalKey(
            customer_no=step.customer_no, subscription_no=step.subscription_no, charge=step.charge.to_charge()
        )
        sent_at = intent.sent
        if not self.is_shared:
            # If the clock was ahead at a crash, the next run must not wait until that time.
            sent_at = min(sent_at, self._opened_at + self._limit)
        sent_at -= self._store.ahead() - self._store.doubt  # never too early
        return LostCreation(key=key, sent_at=sent_at, known=sorted(intent.known), ledger=self._store.ledger)

    def touched(self, settle: float) -> set[str]:
        """Return the customers that this run has written to, or with a write that is open or whose response was lost.

        Args:
            settle: seconds for which a lost write counts.
        """
        self.save()
        query = (
            "SELECT customer FROM write WHERE id >= (SELECT first FROM run WHERE id = ?) AND run = ? "
            "UNION SELECT customer FROM write WHERE result IS NULL UNION SELECT customer FROM write WHERE lost > ?"
        )
        return {customer for (customer,) in self._store.query(query, (self.run, self.run, self._now() - settle))}

    def uncertain(self, since: float, settle: float) -> set[str]:
        """Return the customers with a write that has no response, and that may have taken effect after a time.

        Args:
            since: the time in seconds since 1970, by the clock of this machine.
            settle: seconds after which a request that was sent is treated as finished.
        """
        self.save()
        sent = since + self._store.ahead() - settle
        query = "SELECT customer FROM write WHERE lost > ? OR (result IS NULL AND sent > ?)"
        return {customer for (customer,) in self._store.query(query, (sent, sent))}

    # customers

    def finish_customer(self, customer_no: str, done: Done) -> None:
        """Note that the run has finished a customer, and give its lease back.

        Raises:
            LeaseLost: another process may write to the customer now, and knows its results better.
        """
        self.save_note(self.finish(customer_no, done))

    def finish(self, customer_no: str, done: Done) -> Note:
        """Return the note that the run has finished a customer. Saving it gives the lease back."""
        failed = _json(done.failed) if done.failed else None
        not_removed = _json(done.not_removed) if done.not_removed else None
        values = (self.run, customer_no, done.unchanged, done.applied, failed, not_removed)
        lease = self._leases.get(customer_no)
        return Note(customer_no=customer_no, query=_FINISH, values=values, lease=lease, ends=True)

    def is_finished(self, customer_no: str) -> bool:
        """Return whether this run has finished a customer and nothing failed."""
        query = "SELECT 1 FROM customer WHERE run = ? AND customer = ? AND failed IS NULL AND not_removed IS NULL"
        return bool(self._store.query(query, (self.run, customer_no)))
