"""The writers of the schedules: programs over the package, as `work`, `apply` and a webhook run it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import attrs
from payex_billing import AsyncBilling, Billing, BillingError, Charge
from payex_billing._async import driver as async_driver
from payex_billing._creation import ensure
from payex_billing._evidence import Phase
from payex_billing._sync import driver as blocking_driver
from payex_billing._sync import runner as blocking_runner
from payex_billing._transport import Failure, Reply, Response
from payex_billing._transport import Request as Sent
from payex_billing.models import RecurringProduct
from payex_billing.reconcile import _apply, _connection
from payex_billing.reconcile._apply import Applier, Superseded
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._match import Held, difference
from payex_billing.reconcile._planned import PlannedCustomer, digests_of
from payex_billing.reconcile._planning import Planner
from payex_billing.reconcile._pool import Brake, Later, Stopped
from payex_billing.reconcile._records import Ending, Started
from payex_billing.reconcile._single import SharedJournal
from payex_billing.reconcile._tables import Row

from .backend import identity
from .database import LEDGER, PSYCOPG
from .process import Process, Request, current, finished

ClientT = TypeVar("ClientT", AsyncBilling, Billing)
Writer = Callable[..., Hashable]
ADDRESS: Final = "postgresql://journal.invalid/journal"
CUSTOMER: Final = "10000001"
LIMIT, LEASE, SETTLE, DEADLINE = 4.0, 4.0, 8.0, 24.0  # seconds
POLL: Final = 2.5  # seconds
TODAY: Final = date(2026, 1, 1)
Outcome = tuple[str, Hashable]
LOST_REPLY, NEVER_SENT = "lost", "never sent"


def charge(code: str) -> Charge:
    return Charge(product_code=code, quantity=1, unit_price=Decimal(5), text="Fiber")


class _Wire:
    """The transport of a process. A reply is a status and a body, or a word."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def _sent(self, request: Sent, deadline: float) -> Reply:
        monotonic = self._process.machine.monotonic
        path = urlsplit(request.url).path
        reply = self._process.ask(Request(request.method, path, request.body, deadline - monotonic))
        if reply == NEVER_SENT:
            return Failure(Phase.NEVER_SENT, "not connected")
        if reply == LOST_REPLY:
            return Failure(Phase.ANSWER_LOST, "reset")
        status, body = reply
        return Response(status, {"content-type": "application/json"}, body)


class BlockingWire(_Wire):
    def send(self, request: Sent, deadline: float) -> Reply:
        return self._sent(request, deadline)

    def close_idle(self) -> None: ...

    def close(self) -> None: ...


class AsyncWire(_Wire):
    async def send(self, request: Sent, deadline: float) -> Reply:
        return self._sent(request, deadline)

    async def close_idle(self) -> None: ...

    async def close(self) -> None: ...


_SETTINGS: Final[dict[str, Any]] = {
    "base_url": "https://billing.invalid", "token": "token", "owner_no": "1234", "timeout": LIMIT,
    "deadline": DEADLINE,
}  # fmt: skip


@contextmanager
def _client(kind: type[ClientT], process: Process, wire: object) -> Iterator[ClientT]:
    billing = kind(transport=wire, **_SETTINGS)
    process.memory = billing._runner.session.memory
    try:
        yield billing
    finally:
        billing._runner.sender._closed = True  # it is thrown away, and nothing warns that it was not closed


class _NoMemory:
    """What the server showed is not remembered: no row leaves a field empty."""

    def learn(self, *_: object, **__: object) -> None: ...


@attrs.frozen
class Job:
    """What the writers want.

    Attributes:
        rows: the product codes of the rows of the table.
        event: the product code of the charge that a webhook wants.
        held: the product codes of the charges that were there before.
    """

    rows: tuple[str, ...]
    event: str = ""
    held: tuple[str, ...] = ()

    def table(self) -> list[Row]:
        return [
            Row(line=line, customer_no=CUSTOMER, subscription_no=None, charge=charge(code))
            for line, code in enumerate(self.rows, 2)
        ]


def bodies(codes: Iterable[str]) -> tuple[bytes, ...]:
    """Return the charges as they are sent."""
    return tuple(
        json.dumps(
            {"productCode": code, "quantity": 1, "unitPrice": 5, "text": "Fiber"}, separators=(",", ":")
        ).encode()
        for code in codes
    )


def planned(job: Job) -> PlannedCustomer:
    """Return the plan of the run, made before anything was written."""
    charges = tuple(
        RecurringProduct(id=identity(position), product_code=code, quantity=1, unit_price=Decimal(5), text="Fiber")
        for position, code in enumerate(job.held)
    )
    state = Held(exists=True, charges={None: charges})
    steps = difference(CUSTOMER, job.table(), state, today=TODAY).steps
    return PlannedCustomer(
        customer_no=CUSTOMER, exists=True, levels=(None,), whole=False, digests=digests_of(state), unchanged=(),
        steps=steps,
    )  # fmt: skip


def begin_run(_: Process) -> Outcome:
    """Begin the run of the table, and hand out its plan to workers."""
    with Journal(ADDRESS, LEDGER, limit=LIMIT, lease=LEASE) as notes:
        notes.begin("table", "plan", resumed=False, started=Started())
        list(notes.parts().publish([]))
        return "begun", notes.run


def _patiently(process: Process, work: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Do the work of one customer as the pool does: again, when it must wait."""
    while True:
        try:
            finished(work())
        except Later as later:
            process.sleep(later.seconds)
        else:
            return


def worker(job: Job) -> Writer:
    """A process that writes the plan of the run together with others."""
    plan = planned(job)

    def run(process: Process) -> Outcome:
        with _client(AsyncBilling, process, AsyncWire(process)) as billing:
            notes = Journal(ADDRESS, LEDGER, limit=LIMIT, lease=LEASE, alone=False)
            while notes.join(None):
                applier = _applier(process, billing, notes)
                try:
                    _patiently(process, partial(applier.customer, plan))
                except Superseded:
                    continue
                except Stopped as error:
                    return "stopped", str(error)
                return "done", ""
            return "no run", ""

    return run


def _applier(process: Process, billing: AsyncBilling, notes: Journal) -> Applier:
    brake = Brake(now=time.monotonic)
    with process.quiet():  # what it reads is for planning alone
        return Applier(
            billing,
            notes,
            _NoMemory(),
            brake,
            is_stopping=lambda: False,
            at_once=1,
            settle=SETTLE,
            now=time.time,  # type: ignore[arg-type]
        )


def scheduler(job: Job, *, fresh: bool) -> Writer:
    """The nightly run, started again: it goes on with the run that was interrupted.

    Args:
        job: what it wants.
        fresh: whether the interrupted run was at work a moment ago, so that its plan still holds.
    """
    kept = planned(job)

    def run(process: Process) -> Outcome:
        with _client(AsyncBilling, process, AsyncWire(process)) as billing:
            notes = Journal(ADDRESS, LEDGER, limit=LIMIT, lease=LEASE)
            resumed = notes.run_for("table", also_finished=False) is not None
            if resumed:
                notes.resume(read_again=not fresh)
                while notes.are_others_at_work():
                    process.sleep(POLL)
            applier = _applier(process, billing, notes)
            if fresh and resumed:
                plans, digest = [kept], "plan"
            else:
                plans, digest = _plan(process, billing, applier, job)
            notes.begin("table", digest, resumed=resumed, started=Started())
            try:
                for each in plans:
                    _patiently(process, lambda each=each: applier.customer(each))
            except Stopped as error:
                return "stopped", str(error)
            notes.end(Ending.DONE, {})
            return "done", ""

    return run


def _plan(process: Process, billing: AsyncBilling, applier: Applier, job: Job) -> tuple[list[PlannedCustomer], str]:
    table = SimpleNamespace(rejected_without_customer=False, with_rejected_rows=set)
    planner = Planner(
        billing,
        table,
        prune=False,
        brake=Brake(now=time.monotonic),
        resolve=applier.resolve,
        today=TODAY,  # type: ignore[arg-type]
    )
    _patiently(process, lambda: planner._one((CUSTOMER, job.table())))
    made = planner.result
    try:
        return list(made.customers.with_steps()), made.customers.digest
    finally:
        made.customers.close()


def webhook(job: Job) -> Writer:
    """A process that ensures one charge because of an event."""

    def run(process: Process) -> Outcome:
        with _client(Billing, process, BlockingWire(process)) as billing:
            with process.quiet():  # a run of single writes, of which nobody takes notice
                journal = SharedJournal(ADDRESS, billing, lease=LEASE)
            journal.pace = billing._runner.session.environment.pace  # a common pace delays, and changes no outcome
            charges = billing.customer(CUSTOMER).recurring_products
            try:
                shown = charges.ensure(charge(job.event), settle=SETTLE, journal=journal)
            except BillingError as error:
                return "failed", type(error).__name__
            return "done", shown.id

    return run


@contextmanager
def small_numbers(busy: float = POLL) -> Iterator[None]:
    """Let the writers try seldom to get the right to write, so that there are fewer states.

    Args:
        busy: seconds between two tries of a webhook.
    """
    before = _apply._LEASED, blocking_runner._BUSY, ensure.FIRST_PAUSE
    _apply._LEASED, blocking_runner._BUSY, ensure.FIRST_PAUSE = POLL, busy, 2 * POLL
    blocking_driver.sleep, slept = _sleep, blocking_driver.sleep
    async_driver.sleep, async_slept = _async_sleep, async_driver.sleep
    psycopg, _connection.psycopg = _connection.psycopg, PSYCOPG
    # The thread that renews leases would wake by the true clock.
    renew, SharedJournal._renew = SharedJournal._renew, lambda _: None
    try:
        yield
    finally:
        SharedJournal._renew = renew
        _apply._LEASED, blocking_runner._BUSY, ensure.FIRST_PAUSE = before
        blocking_driver.sleep, async_driver.sleep, _connection.psycopg = slept, async_slept, psycopg


def _sleep(seconds: float) -> None:
    current().sleep(seconds)


async def _async_sleep(seconds: float) -> None:
    current().sleep(seconds)
