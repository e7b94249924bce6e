"""Make a plan: read the customers of a table, many at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

import attrs

from .._values import checks
from ..errors import BillingError, InvalidArgument
from ._columns import COLUMNS
from ._history import History
from ._match import Held, Level, Shown, nothing_shown
from ._plan import Plan
from ._pool import Brake, Pool
from ._reading import held
from ._records import Intent
from ._selection import Shard, selection
from ._state import State
from ._tables import Row, Table
from ._telemetry import RunTelemetry

if TYPE_CHECKING:
    from .._async.client import AsyncBilling

Progress: TypeAlias = Callable[[str, int, int], object]
Notice: TypeAlias = Callable[[str], object]
Customer: TypeAlias = tuple[str, list[Row]]


@attrs.frozen(kw_only=True)
class Resolved:
    """The result of the look-up of a customer's open writes.

    Attributes:
        blocked: the reason why a level must not be written, by level.
        written: lines of rows that the interrupted run has already written.
        noted: the writes of the present plan.
    """

    blocked: Mapping[Level, str] = attrs.field(factory=dict)
    written: frozenset[int] = frozenset()
    noted: tuple[Intent, ...] = ()


Resolve: TypeAlias = Callable[[str], Awaitable[Resolved]]


async def nothing_open(customer_no: str) -> Resolved:
    """Return that no write of an earlier run is open."""
    return Resolved()


@attrs.define(eq=False)
class Planner:
    """Planner of the customers of a table.

    Args:
        billing: the client.
        table: the desired charges.
        prune: whether to remove charges that are in no row.
        shown: what the server showed for fields that were sent empty.
        resolve: looks up the open writes of a customer.
        brake: decides what happens after a call that does not reach the server.
        today: the current date.
        on_progress: called with `planning`, the number of planned rows, and the number of all rows.
        telemetry: makes a span for each customer.

    Attributes:
        result: the plan so far.
    """

    _billing: AsyncBilling
    _table: Table
    _prune: bool = attrs.field(alias="prune", kw_only=True)
    _brake: Brake = attrs.field(alias="brake", kw_only=True)
    _shown: Shown = attrs.field(default=nothing_shown, alias="shown", kw_only=True)
    _resolve: Resolve = attrs.field(default=nothing_open, alias="resolve", kw_only=True)
    _today: date = attrs.field(factory=date.today, alias="today", kw_only=True)
    _on_progress: Progress | None = attrs.field(default=None, alias="on_progress", kw_only=True)
    _telemetry: RunTelemetry = attrs.field(factory=RunTelemetry, alias="telemetry", kw_only=True)
    result: Plan = attrs.field(init=False)
    _unsure: set[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Ask the table what it does not know."""
        self.result = Plan(ledger=self._billing.settings.ledger, prune=self._prune)
        # A rejected row may ask for any charge of its customer, or of an unknown customer.
        self._prune = self._prune and not self._table.rejected_without_customer
        self._unsure = self._table.with_rejected_rows()

    async def run(
        self, cache: State | None, history: History | None, *, refresh: bool, verify: float, shard: Shard | None,
        concurrency: int, stop: asyncio.Event, chosen_only: bool = False,
    ) -> Plan:  # fmt: skip
        """Plan the rows of all customers, or of one shard.

        Args:
            cache: the cache of what was last applied; None without one.
            history: the journal, which knows what was written since; None without one.
            refresh: whether to read also the customers that the cache knows.
            verify: a share of these customers, 0 to 1, that is read anyway.
            shard: the part of the customers; None for all.
            concurrency: requests at once.
            stop: when set, no more customers are read.
            chosen_only: whether to plan only the customers that were chosen with `Table.choose`.

        Raises:
            Stopped: the customers cannot be read.
        """
        result, table = self.result, self._table
        changed_only = cache is not None and not (refresh or chosen_only)
        verified: list[str] = []
        if cache is not None and changed_only:
            written = [] if history is None else cache.written(history)
            verified = cache.mark_changed(prune=result.prune, written=written, verify=verify)
            for number, rows in cache.unchanged(shard):
                result.skip(number, rows)
        where = selection(shard, changed_only=changed_only, chosen_only=chosen_only)
        work = self._telemetry.each("plan customer", self._one, lambda customer: customer[1][0].line)
        await Pool[Customer](concurrency, stop, self._brake).run(table.rows(where), work)
        if verified:
            result.verified = len(verified)
            touched = {planned.customer_no for planned in result.customers.with_steps()}
            result.stale = tuple(sorted(touched.intersection(verified)))
        result.rejected = table.reasons(shard.condition if shard else None)
        result.rows += len(result.rejected)
        result.figures.rejected = len(result.rejected)
        result.figures.source_modified = table.source_modified
        result.figures.ledger = result.ledger
        result.figures.digest = table.digest
        result.columns = tuple(name for name in COLUMNS if name in table.managed)
        result.is_part = table.is_rejects_file or chosen_only
        return result

    async def _one(self, customer: Customer) -> None:
        number, rows = customer
        resolved = await self._resolve(number)
        prune = self._prune and number not in self._unsure and not resolved.blocked
        levels = {row.subscription_no for row in rows}
        state = await self._brake.judged(number, held(self._billing, number, levels, everything=prune))
        if isinstance(state, Held) and not state.exists:
            state = _why_not_new(number) or state
        if isinstance(state, BillingError):
            failed = {row.line: said(state) for row in rows}
        else:
            blocked = resolved.blocked
            failed = {row.line: blocked[row.subscription_no] for row in rows if row.subscription_no in blocked}
        if failed:
            self.result.failed |= failed
            self.result.customer_of |= dict.fromkeys(failed, number)
            self.result.unfinished.add(number)
        if isinstance(state, Held):
            self.result.add(
                number, [row for row in rows if row.line not in failed], state,
                prune=prune, today=self._today, shown=self._shown, written=resolved.written,
            )  # fmt: skip
        self.result.rows += len(rows)
        if self._on_progress is not None:
            self._on_progress("planning", self.result.rows, self._table.total)


def said(error: BillingError) -> str:
    """Return the text of an error, as the reason for a failed row."""
    return f"{type(error).__name__}: {error}"


def _why_not_new(number: str) -> InvalidArgument | None:
    """Return why a customer cannot be created; None if it can. The contract allows fewer numbers for new customers."""
    try:
        checks.customer_no(number, new=True)
    except InvalidArgument as error:
        return InvalidArgument("customer", f"{number} does not exist and cannot be created: {error}")
    return None
