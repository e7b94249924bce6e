"""Brings Billing to what a table or a plan says: customer by customer, each read again before it is written to."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import BillingError, InvalidArgument, OutcomeUnknown, RecurringProductNotFound
from ..models import LookUpResult, LostCreation, Outcome, RecurringProduct
from ._journal import Done, Journal
from ._match import Held, Kind, Step, difference
from ._plan import PlannedCustomer, Progress, over
from ._reading import held
from ._tables import Row

if TYPE_CHECKING:
    from ..aio import AsyncBilling

ROUNDS = 5  # times that a creation is sent that is known not to have taken effect
SETTLE = 60.0  # seconds after which a request that was not answered is taken to have ended
Sleep = Callable[[float], Awaitable[Any]]


class _CannotTell(Exception):
    """Whether a creation took effect cannot be told; the text says why."""


@attrs.define(kw_only=True)
class Report:
    """What a run came to; `unchanged + applied + rejected + failed` is the number of rows, unless it was interrupted.

    Attributes:
        rows: rows of the table, in this shard.
        unchanged: rows that were as they should be.
        applied: rows that were written.
        rejected: lines of rows that break a rule, with the reason.
        failed: lines of rows whose write failed or is not known to have taken effect, with the reason.
        not_removed: charges that should have been removed and could not be, with the reason.
        steps: writes that were done, by kind.
        interrupted: whether it was stopped before its end; the same journal goes on with it.
    """

    rows: int = 0
    unchanged: int = 0
    applied: int = 0
    rejected: dict[int, str] = attrs.field(factory=dict)
    failed: dict[int, str] = attrs.field(factory=dict)
    not_removed: list[str] = attrs.field(factory=list)
    steps: dict[str, int] = attrs.field(factory=dict)
    interrupted: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether every row ended as exactly one of the four."""
        return self.unchanged + self.applied + len(self.rejected) + len(self.failed) == self.rows


class Applier:
    """Writes, with a journal.

    Args:
        billing: the client.
        journal: where each write is noted before it is sent.
        settle: seconds after which a request that was not answered is taken to have ended.
        sleep: how to wait.
        now: seconds since 1970.
    """

    def __init__(self, billing: AsyncBilling, journal: Journal, *, settle: float = SETTLE, sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._billing = billing
        self._journal = journal
        self._settle = settle
        self._sleep = sleep
        self._now = now
        self.stop = asyncio.Event()
        self.done: list[str] = []  # customers of whom every row is as it should be

    async def rows(
        self, customers: Iterable[tuple[str, list[Row]]], *, prune: bool, unsure: Collection[str], concurrency: int,
        on_progress: Progress | None = None,
    ) -> None:  # fmt: skip
        """Apply a table. `unsure` are customers of whom nothing is removed, because a row of theirs was rejected."""

        async def one(customer: tuple[str, list[Row]]) -> None:
            number, rows = customer
            if not self._journal.is_through_with(number):
                await self._customer(number, rows, prune=prune and number not in unsure)
            if on_progress is not None:
                on_progress(len(rows))

        await over(customers, one, concurrency, self.stop)

    async def plan(
        self,
        customers: Iterable[PlannedCustomer],
        *,
        concurrency: int,
        on_progress: Progress | None = None,
    ) -> None:
        """Apply what was planned; a customer who has changed since fails, and is not written to."""

        async def one(planned: PlannedCustomer) -> None:
            if not self._journal.is_through_with(planned.customer_no):
                await self._planned(planned)
            if on_progress is not None:
                on_progress(len({step.line for step in planned.steps} - {None}) + len(planned.unchanged))

        await over(customers, one, concurrency, self.stop)

    async def _customer(self, number: str, rows: list[Row], *, prune: bool) -> None:
        try:
            await self._resolve(number)
            state = await held(self._billing, number, {row.subscription_no for row in rows}, everything=prune)
        except (BillingError, _CannotTell) as error:
            self._fail(number, {row.line: _said(error) for row in rows})
            return
        result = difference(number, rows, state, prune=prune)
        await self._do(number, result.steps, result.unchanged, state)

    async def _planned(self, planned: PlannedCustomer) -> None:
        number = planned.customer_no
        steps = planned.steps
        if not steps:
            same = Done(unchanged=len(planned.unchanged), applied=0, failed={}, steps={})
            self._journal.through_with(number, same)
            return
        lines = [step.line for step in steps if step.line is not None]
        try:
            await self._resolve(number)
            state = await held(self._billing, number, planned.subscriptions, everything=planned.whole)
        except (BillingError, _CannotTell) as error:
            self._fail(number, dict.fromkeys(lines, _said(error)))
            return
        if state.fingerprint == planned.fingerprint:
            left = list(steps)
        elif written := self._journal.written(number):
            # This run has changed the customer itself, before it was interrupted: what it has done is not done again.
            left = [step for step in steps if not _taken_from(written, step)]
        else:
            self._fail(number, dict.fromkeys(lines, "the customer has changed since it was planned"))
            return
        await self._do(number, left, [*planned.unchanged, *(line for line in lines if line not in _lines(left))], state)

    def _fail(self, number: str, failed: dict[int, str]) -> None:
        self._journal.through_with(number, Done(unchanged=0, applied=0, failed=failed, steps={}))

    async def _do(self, number: str, steps: Iterable[Step], unchanged: Collection[int], state: Held) -> None:
        """Write the steps of a customer, and note how it went. `unchanged` are the lines of rows that need none."""
        failed: dict[int, str] = {}
        counts: Counter[str] = Counter()
        lost: set[str | None] = set()  # levels on which nothing more may be written
        wrong = ""
        # Rows that an earlier sitting of this run wrote are as they should be now, and were applied by it.
        applied = len(set(unchanged) & {step.line for step in self._journal.written(number)})
        same = len(unchanged) - applied
        ids = {level: {each.id for each in charges} for level, charges in state.charges.items()}
        for step in steps:
            if self.stop.is_set():
                return  # the customer is not through: the next run reads it again
            if None in lost or step.subscription_no in lost:
                if step.line is not None:
                    failed[step.line] = wrong
                continue
            try:
                charge_id = await self._write(step, ids.setdefault(step.subscription_no, set()))
            except (BillingError, _CannotTell) as error:
                wrong = _said(error)
                if step.line is not None:
                    failed[step.line] = wrong
                if step.kind is Kind.CREATE_CUSTOMER:
                    lost.add(None)
                elif step.kind is Kind.CREATE_SUBSCRIPTION or isinstance(error, _CannotTell):
                    lost.add(step.subscription_no)
                if step.kind is Kind.REMOVE:  # no row asks for it: kept apart by a number that is no line
                    failed[-len(failed) - 1] = f"customer {number}, charge {step.charge_id}: {wrong}"
                continue
            counts[step.kind.value] += 1
            applied += step.line is not None
            if charge_id is not None:
                ids[step.subscription_no].add(charge_id)
        self._journal.through_with(number, Done(unchanged=same, applied=applied, failed=failed, steps=dict(counts)))
        if not failed:
            self.done.append(number)

    async def _write(self, step: Step, known: Collection[str]) -> str | None:
        """Send one write, with its intent noted before and its result after; returns the id of a new charge."""
        for _ in range(ROUNDS):
            intent = self._journal.intend(step, known)
            try:
                charge_id = await self._send(step, known)
            except OutcomeUnknown as error:
                result = await self._look_up(error.lost)
                if result.outcome is Outcome.UNKNOWN:
                    raise _CannotTell(f"it is not known whether it was created: {result.reason}") from None
                self._journal.settle(intent, result.outcome.value, getattr(result.resource, "id", None))
                if result.outcome is Outcome.CREATED:
                    return getattr(result.resource, "id", None)
            except BillingError as error:
                self._journal.settle(intent, f"failed: {type(error).__name__}")
                raise
            else:
                self._journal.settle(intent, "done", charge_id)
                return charge_id
        raise _CannotTell(f"its response was lost {ROUNDS} times; it was not created")

    async def _send(self, step: Step, known: Collection[str]) -> str | None:
        customer = self._billing.customer(step.customer_no)
        handle = customer if step.subscription_no is None else customer.subscription(step.subscription_no)
        match step.kind:
            case Kind.CREATE_CUSTOMER | Kind.CREATE_SUBSCRIPTION:
                await handle.ensure()
            case Kind.CREATE if step.charge is not None:
                created: RecurringProduct = await handle.recurring_products.create(step.charge, known=known)
                return created.id
            case Kind.UPDATE | Kind.END if step.charge_id is not None:
                await handle.recurring_products.update(step.charge_id, **step.changes)
            case Kind.REMOVE if step.charge_id is not None:
                with suppress(RecurringProductNotFound):  # somebody was faster, or an earlier sitting
                    await handle.recurring_products.delete(step.charge_id)
            case _:
                raise InvalidArgument("step", "is not whole")
        return None

    async def _look_up(self, lost: LostCreation) -> LookUpResult:
        """Look up a lost creation, and once more when the server can no longer be working on it."""
        result = await self._billing.look_up(lost, settle=self._settle)
        if result.outcome is Outcome.UNKNOWN and not result.candidates:
            await self._sleep(max(0.0, lost.sent_at + self._settle - self._now()) + 0.01)
            result = await self._billing.look_up(lost, settle=self._settle)
        return result

    async def _resolve(self, customer_no: str) -> None:
        """Look up the writes of an earlier run whose result was not noted.

        Raises:
            _CannotTell: the look-up of one of them does not decide.
        """
        for intent in self._journal.open(customer_no):
            if intent.lost is None:
                self._journal.settle(intent.id, "looked up")  # harmless to repeat, and the customer is read again
                continue
            result = await self._look_up(intent.lost)
            if result.outcome is Outcome.UNKNOWN:
                raise _CannotTell(f"it is not known whether an earlier creation took effect: {result.reason}")
            self._journal.settle(intent.id, result.outcome.value, getattr(result.resource, "id", None))


def _taken_from(written: list[Step], step: Step) -> bool:
    """Whether a step was written; takes it out, so that of two equal ones each counts once."""
    if step in written:
        written.remove(step)
        return True
    return False


def _lines(steps: Iterable[Step]) -> set[int | None]:
    return {step.line for step in steps}


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, _CannotTell) else f"{type(error).__name__}: {error}"
