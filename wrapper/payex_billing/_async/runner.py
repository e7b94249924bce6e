"""Runs calls, for `AsyncBilling` and its handles."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import attrs

from .._creation.journaled import CreationJournal, Hold
from .._creation.look_up import Steps
from .._creation.turns import AsyncTurns
from .._credentials.tokens import AsyncTokenSource
from .._policy import options as _options
from .._policy.limits import AnyPace
from .._policy.options import Options
from .._policy.steps import Wait
from .._requests.calls import Call, Page, PlainKey
from .._requests.operations import Pages, Parent
from .._session.session import Session
from .._transport import AsyncTransport
from .._transport._sender import AsyncSender
from ..errors import BillingError, CustomerBusy, DeadlineExceeded, OutcomeUnknown, ProblemError, TransportError
from ..models import Charge, LookUpResult, LostCreation, Outcome, RecurringProduct
from . import driver
from .dry_run import AsyncDryRunSender

T = TypeVar("T")
_BUSY = 0.25  # seconds between two tries to get the right to write to a customer


class AsyncRunner:
    """Runs the calls of one client. The client and all its handles share it.

    Attributes:
        session: the settings, limits, memory and telemetry of the client.
        options: the time limits and the retry settings of each call.
        owner_no: the ledger number.
        sender: sends requests, and owns the connections.
        own_transport: whether the caller gave the transport.
        turns: one `ensure` at a time for each customer or subscription.
        hold: the right to write to one customer, whose creations are noted in a journal; None without a journal.

    Args:
        session: the settings, limits, memory and telemetry of the client.
        owner: the name of the client class, for the warning about a client that was not closed.
        transport: sends the requests. None means the default transport of the settings.
    """

    def __init__(self, session: Session, owner: str, transport: AsyncTransport | None) -> None:
        self.session = session.with_look_up(self.look_up)
        self.options = Options(timeout=session.settings.timeout, deadline=session.settings.deadline)
        self.owner_no = session.settings.owner_no
        self.own_transport = transport is not None
        self._tokens = AsyncTokenSource(session.settings.token or Path(session.settings.token_file or ""))
        if session.recorder is None:
            self.sender = AsyncSender(session.settings, owner, transport)
        else:
            self.sender = AsyncDryRunSender(session.recorder, session.settings, owner, transport)
        self.turns = AsyncTurns()
        self.hold: Hold | None = None

    def with_options(self, options: Options) -> Self:
        """Return a runner with other options that shares everything else."""
        changed = copy.copy(self)
        changed.options = options
        return changed

    def with_pace(self, pace: AnyPace) -> Self:
        """Return a runner with another pace that shares everything else."""
        changed = copy.copy(self)
        changed.session = self.session.with_pace(pace)
        return changed

    async def run(self, call: Call[T], *, spent: float = 0.0) -> T:
        """Run a call, and remember which charges it has shown or created.

        Args:
            call: the call.
            spent: seconds that earlier calls have taken from the same deadline.
        """
        if self.hold is not None and call.creates is not None and call.creates[2] is not None:
            return await self._noted(call, call.creates, spent, self.hold)
        session, options = self.session, self.options
        if spent:
            options = _options.with_less_time(options, spent)
        mark = 0 if call.creates is None else session.memory.begin(call.creates)
        policy = session.policy(call, options, mark, self._tokens.ready())
        try:
            if session.telemetry.tracing:
                with session.telemetry.span(call.request):
                    result = await driver.drive(policy, self.sender, self._tokens)
            else:  # an empty context manager would cost as much as two calls
                result = await driver.drive(policy, self.sender, self._tokens)
        except BaseException as error:
            session.remember_failure(call, options, mark, error)
            raise
        session.remember(call, mark, result)
        return result

    async def _noted(self, call: Call[T], key: PlainKey, spent: float, hold: Hold) -> T:
        """Run a creation of a charge, and note it in the journal before and after."""
        runner = self.with_options(attrs.evolve(self.options, before_write=partial(hold.before_write, key, call.known)))
        runner.hold = None
        try:
            result = await runner.run(call, spent=spent)
        except OutcomeUnknown as error:
            hold.lose(error.lost.sent_at)
            raise
        except (TransportError, ProblemError):
            hold.refused()
            raise
        # Any other error, such as one of the journal, does not say what the server did. The creation stays open.
        if isinstance(result, RecurringProduct):
            hold.created(result)
        return result

    async def holding(
        self, journal: CreationJournal, customer_no: str, settle: float, work: Callable[[Self], Awaitable[T]]
    ) -> T:
        """Do work with a runner that has the right to write to a customer, when no creation of the customer is open.

        Raises:
            CustomerBusy: another process writes to the customer, or a creation is not decided, until the deadline.
        """
        now = self.session.environment.now
        began, deadline = now(), self.options.deadline
        paced = self.with_pace(journal.pace)
        while True:
            hold = journal.take(customer_no)
            reason = "another process writes to the customer"
            if hold is not None:
                try:
                    reason = await paced._undecided(hold, settle)
                    if not reason:
                        runner = paced.with_options(_options.with_less_time(self.options, now() - began))
                        runner.hold = hold
                        return await work(runner)
                finally:
                    hold.give_back()
            if now() + _BUSY > began + deadline:
                raise CustomerBusy(f"customer {customer_no}: {reason}. Nothing was sent; call again later")
            await driver.sleep(_BUSY)

    async def _undecided(self, hold: Hold, settle: float) -> str:
        """Look up the open creations of a customer; return why one is not decided, or an empty text."""
        for number, lost in hold.open():
            result = await self.look_up(lost, settle=settle)
            if result.outcome is Outcome.UNKNOWN:
                return f"it is not known whether a creation took effect: {result.reason}"
            hold.decide(number, result)
        return ""

    async def steps(self, steps: Steps[T], *, since: float | None = None) -> T:
        """Run calls that depend on each other. If `since` is given, the calls share one deadline from then on."""
        now = self.session.environment.now
        try:
            call = next(steps)
            while True:
                if isinstance(call, Wait):
                    await driver.sleep(call.seconds)
                    call = next(steps)
                    continue
                try:
                    result = await self.run(call, spent=0.0 if since is None else now() - since)
                except BillingError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def pages(self, first: Call[Page[T]]) -> AsyncIterator[T]:
        """Read a list page by page, and yield its items. All pages share one deadline."""
        now = self.session.environment.now
        pages = Pages(first, self.session.settings)
        spent = 0.0
        while pages.following is not None:
            began = now()
            page = await self.run(pages.following, spent=spent)
            spent += now() - began
            self.session.memory.saw(item.id for item in page.items if isinstance(item, RecurringProduct))
            for item in page.items:
                yield item
            pages.turn(page)
        if first.lists is not None:
            self.session.memory.saw_all(first.lists)

    async def ensure(self, parent: Parent, charge: Charge, settle: float) -> RecurringProduct:
        """Return the equal charge, or add one. Calls for one parent take turns, so that only one adds a charge."""
        since, deadline = self.session.environment.now(), self.options.deadline
        turn = await self.turns.take(parent.ids, deadline)
        if turn is None:
            raise DeadlineExceeded(
                f"the deadline of {deadline:g} s has passed while another ensure() of the same parent ran"
            )
        try:
            return await self.steps(self.session.ensure_steps(parent, charge, settle, since + deadline), since=since)
        finally:
            turn.release()

    async def look_up(self, lost: LostCreation, *, settle: float = 60.0) -> LookUpResult:
        """Look up a lost creation."""
        return await self.steps(self.session.look_up_steps(lost, settle), since=self.session.environment.now())
