"""Write a plan customer by customer; read each customer again right before the first write to it."""

from __future__ import annotations

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import attrs

from ..errors import BillingError, OutcomeUnknown, ProblemError
from ..models import LookUpResult, LostCreation, Outcome, RecurringProduct
from ._journal import Journal
from ._match import OF_MASTER, Content, Kind, Level, Step
from ._memory import Memory
from ._planned import PlannedCustomer
from ._planning import Resolved, said
from ._pool import FOR_ALL, Brake, Later, Stopped, may_pass
from ._progress import CHANGED, progress, took_effect, unwritten
from ._reading import held
from ._records import Intent, Result
from ._sending import Sending
from ._store import Leased, LeaseLost
from ._together import Together
from ._work import CustomerWork

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

ROUNDS = 5  # times that a creation is sent that is known not to have taken effect
SETTLE = 60.0  # seconds
_WITHOUT_EFFECT = (Result.ABSENT, Result.REPEATED)
_LEASED = 1.0  # seconds until the next try of a customer that another process writes to
LOOK_UPS = 5  # failed look-ups after which a creation counts as unknown


class _Stop(Exception):
    """The caller asked the run to stop."""


class Superseded(Stopped):
    """The run has a new plan, so no further customer of the old one is written."""


class _Unknown(Exception):
    """It is unknown whether a creation took effect; the text says why."""


@attrs.define(eq=False)
class Applier:
    """Writer of customers that notes each write in a journal.

    Args:
        billing: the client.
        journal: where each write is noted before it is sent.
        memory: what earlier runs have stored about the ledger.
        brake: decides what happens after a call that does not reach the server.
        is_stopping: returns whether the run may start no more writes.
        at_once: requests at once. A customer that waits for the journal has none.
        settle: treat an unanswered request as finished after this many seconds.
        now: seconds since 1970.
    """

    _billing: AsyncBilling
    _journal: Journal
    _memory: Memory
    _brake: Brake
    _is_stopping: Callable[[], bool] = attrs.field(alias="is_stopping", kw_only=True)
    _requests: asyncio.Semaphore = attrs.field(converter=asyncio.Semaphore, alias="at_once", kw_only=True)
    _settle: float = attrs.field(default=SETTLE, alias="settle", kw_only=True)
    _now: Callable[[], float] = attrs.field(default=time.time, alias="now", kw_only=True)
    _creating: AsyncBilling = attrs.field(init=False)
    _together: Together = attrs.field(init=False)
    _touched: set[str] = attrs.field(init=False)
    _free: list[Sending] = attrs.field(factory=list, init=False)  # senders that no customer uses now
    _lost: dict[int, LostCreation] = attrs.field(factory=dict, init=False)  # with what the client had seen
    _failed_look_ups: dict[int, int] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Choose which writes the client may send again by itself.

        A 429 for a creation is not retried by the client: the customer is read again first, because the 429 can be the
        response to an earlier request. Other writes are harmless to repeat.
        """
        self._billing = self._billing.with_options(wait_on_writes=True)
        self._creating = self._billing._with(repeat_refused=False)
        self._together = Together(self._journal)
        self._touched = self._journal.touched(self._settle)

    # earlier writes

    def uncertain(self, since: float) -> set[str]:
        """Return the customers with a write that has no response, and that may have taken effect after a time."""
        return self._journal.uncertain(since, self._settle)

    async def resolve(self, customer_no: str) -> Resolved:
        """Look up the writes to a customer whose results are unknown.

        Raises:
            Later: a look-up cannot decide yet, or an earlier write may still take effect.
        """
        if customer_no not in self._touched:
            return Resolved()
        async with self._leased(customer_no) as writes:
            return await self._resolve(customer_no, writes)

    async def _resolve(self, customer_no: str, writes: Sequence[Intent]) -> Resolved:
        blocked: dict[Level, str] = {}
        open_writes = [intent for intent in writes if intent.result is None]
        for intent in open_writes:
            lost = self._lost.get(intent.id) or self._journal.lost(intent)
            if lost is None:  # harmless to repeat, and the customer is read again
                self._journal.repeat(intent)
                continue
            try:
                await self._decide(intent.id, intent.step, lost)
            except _Unknown as error:
                blocked[intent.step.subscription_no] = str(error)
        if open_writes:
            writes = self._journal.of_customer(customer_no)
        if (left := self._journal.late(writes, self._settle)) > 0:
            raise self._until_settled(left)
        return Resolved(
            blocked=blocked,
            written=frozenset(
                intent.step.line
                for intent in writes
                if intent.run == self._journal.run and intent.is_written and intent.step.line is not None
            ),
            noted=tuple(intent for intent in writes if self._journal.is_planned(intent)),
        )

    @asynccontextmanager
    async def _leased(self, customer_no: str) -> AsyncIterator[list[Intent]]:
        """Take the lease of a customer for a `with` block; yield the earlier writes to the customer.

        Raises:
            Later: another process writes to it.
        """
        try:
            writes = await self._together.take(customer_no)
            try:
                yield writes
            finally:
                self._journal.give_back(customer_no)
        except Leased:
            raise Later(_LEASED) from None
        except LeaseLost:
            if not self._journal.is_current():
                raise Superseded("the run has a new plan") from None
            raise Later(0.0) from None

    async def _decide(self, intent: int, step: Step, lost: LostCreation) -> str | None:
        """Look up a creation and note the result. Return the id of the charge; None if it took no effect.

        Raises:
            Later: the server may still be working on it.
            _Unknown: the look-up cannot decide.
        """
        async with self._requests:
            result = await self._billing.look_up(lost, settle=self._settle)
        if result.outcome is Outcome.UNKNOWN:
            raise self._undecided(intent, step, lost, result)
        self._lost.pop(intent, None)
        charge = self._journal.decide(intent, result)
        if charge is not None and step.charge is not None:
            self._learn(charge, step.charge)
        return None if charge is None else charge.id

    def _until_settled(self, left: float) -> Later:
        seconds = min(left, self._settle) + 0.01
        self._brake.waits_for_lost_write(seconds)
        return Later(seconds)

    def _undecided(self, intent: int, step: Step, lost: LostCreation, result: LookUpResult) -> Exception:
        if not result.candidates:
            left = lost.sent_at + self._settle - self._now()
            if left > 0:
                return self._until_settled(left)
            failed = self._failed_look_ups[intent] = self._failed_look_ups.get(intent, 0) + 1
            if failed < LOOK_UPS:  # the look-up itself failed
                return Later(2.0**failed)
        return _Unknown(
            f"it is not known whether a creation took effect: {result.reason}. To decide by hand: payex-billing runs "
            f"resolve --journal {shlex.quote(self._journal.name)} --customer {shlex.quote(step.customer_no)}"
        )

    # writing

    async def customer(self, planned: PlannedCustomer) -> None:
        """Write the planned steps of a customer.

        Raises:
            Later: the customer must wait before the next write.
            Stopped: no further customer can be written.
        """
        number = planned.customer_no
        if not planned.steps or self._is_finished(number):
            return
        self._touched.add(number)
        async with self._leased(number) as writes:
            await self._write(planned, writes)

    def _is_finished(self, number: str) -> bool:
        """Return whether this run has finished the customer already.

        The journal is asked only about a customer that this run has written to: no other customer can be finished.
        With a shared journal, `_write` asks after it has the lease, because another process can finish the customer
        before that.
        """
        return number in self._touched and not self._journal.is_shared and self._journal.is_finished(number)

    async def _write(self, planned: PlannedCustomer, writes: Sequence[Intent]) -> None:
        number = planned.customer_no
        resolved = await self._resolve(number, writes)
        if self._journal.is_shared and resolved.noted and self._journal.is_finished(number):  # by another process
            return
        async with self._requests:
            reading = held(self._billing, number, planned.levels, everything=planned.whole)
            state = await self._brake.judged(number, reading)
        noted = resolved.noted
        if isinstance(state, BillingError):
            self._fail(planned, noted, said(state))
            return
        is_refused = any(intent.result is Result.REFUSED for intent in noted)
        claimed = self._journal.claimed(number) if is_refused else ()
        result = progress(planned, state, noted, resolved.blocked, claimed)
        for intent, charge_id in result.adopted.items():
            self._journal.adopt(number, intent, charge_id)
        for lost in took_effect(noted, result.done):
            self._journal.settle(lost.id, Result.DONE, after=state.charge(lost.step.charge_id))
        work = CustomerWork(planned, result.done, resolved.blocked)
        if result.changed:
            work.changed()
        if self._journal.reads_again and not result.left:
            # Nothing is written, so this can only be somebody else's change.
            for step in unwritten(planned, state, noted):
                work.failed(step, CHANGED)
        ids = {level: {charge.id for charge in charges} for level, charges in state.charges.items()}
        sending = self._free.pop() if self._free else Sending(self._billing, self._creating, self._journal)
        try:
            for position in result.left:
                step = planned.steps[position]
                if not work.may_write(step):
                    continue
                await self._step(position, step, ids.setdefault(step.subscription_no, set()), work, sending)
        except Later:
            self._journal.save()
            raise
        except _Stop:
            self._journal.save()
            return
        self._free.append(sending)  # not after an error, because the last request may still be under way
        await self._together.save(self._journal.finish(number, work.done()))

    async def _step(self, position: int, step: Step, known: set[str], work: CustomerWork, sending: Sending) -> None:
        if self._is_stopping():
            raise _Stop
        intent = await self._together.save(self._journal.intent(position, step, known))
        try:
            async with self._requests:
                charge = await sending.send(intent, step, known)
        except LeaseLost:
            self._journal.settle(intent, Result.REFUSED)  # the client asks for the lease right before it sends
            raise
        except OutcomeUnknown as error:
            self._lost[intent] = error.lost
            self._journal.stamp(intent, error.lost.sent_at)
            await self._after_loss(intent, position, step, error.lost, known, work)
        except BillingError as error:
            self._judge(intent, step, error, work, sending)
        else:
            self._brake.release(step.customer_no)
            created = charge.id if step.kind is Kind.CREATE and charge is not None else None
            self._journal.settle(
                intent, Result.DONE, created, after=charge, status=sending.status, may_be_late=sending.may_be_late()
            )
            if charge is not None and step.charge is not None:
                self._learn(charge, step.charge, is_new=created is not None)
            if charge is not None:
                known.add(charge.id)
            work.wrote(position)

    def _judge(self, intent: int, step: Step, error: BillingError, work: CustomerWork, sending: Sending) -> None:
        """Decide what to do after a write that did not take effect or is harmless to repeat."""
        status, instance = (error.status, error.instance) if isinstance(error, ProblemError) else (None, None)
        # Whether a creation took effect is looked up.
        is_late = step.kind is not Kind.CREATE and sending.may_be_late(has_failed=True)
        is_for_row = not (may_pass(error) or isinstance(error, FOR_ALL))
        if is_for_row:
            self._brake.release()
            result = Result.FAILED
        else:
            result = Result.REFUSED if step.kind is Kind.CREATE else Result.REPEATED
        self._journal.settle(intent, result, status=status, instance=instance, may_be_late=is_late)
        if not is_for_row and (later := self._brake.failed(step.customer_no, error)) is not None:
            raise later from error
        work.failed(step, said(error))

    async def _after_loss(
        self, intent: int, position: int, step: Step, lost: LostCreation, known: set[str], work: CustomerWork
    ) -> None:
        charge_id = None
        if step.kind is Kind.CREATE:
            try:
                charge_id = await self._decide(intent, step, lost)
            except _Unknown as error:
                work.failed(step, str(error))
                work.block(step.subscription_no, str(error))
                return
        else:  # a customer or a subscription has a number, so its creation is harmless to repeat
            self._journal.settle(intent, Result.REPEATED, may_be_late=True)
        if charge_id is not None:
            known.add(charge_id)
            work.wrote(position)
            return
        noted = self._journal.of_plan(step.customer_no)
        rounds = sum(each.position == position and each.result in _WITHOUT_EFFECT for each in noted)
        if rounds >= ROUNDS:
            work.failed(step, f"its response was lost {rounds} times; it was not created")
            return
        raise Later(0.0)  # read the customer again before the write is retried

    def _learn(self, charge: RecurringProduct, content: Content, *, is_new: bool = False) -> None:
        values = {name: getattr(content, name) for name in OF_MASTER}
        self._memory.learn(charge.id, values, charge, is_new=is_new)

    def _fail(self, planned: PlannedCustomer, noted: Iterable[Intent], reason: str) -> None:
        done = {intent.position for intent in noted if intent.is_written}
        work = CustomerWork(planned, done, {})
        for position, step in enumerate(planned.steps):
            if position not in done:
                work.failed(step, reason)
        self._journal.finish_customer(planned.customer_no, work.done())

    async def is_as_written(self, planned: PlannedCustomer) -> list[Step]:
        """Read a customer back; return the confirmed steps whose effect is not visible.

        Raises:
            BillingError: the customer cannot be read.
        """
        state = await held(self._billing, planned.customer_no, planned.levels, everything=planned.whole)
        return list(unwritten(planned, state, self._journal.of_plan(planned.customer_no)))
