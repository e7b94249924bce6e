"""Checks before the first write: whether a plan may be written, and how a run ended that raised an error."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping
from contextlib import suppress

from .._async.client import AsyncBilling
from ..errors import BillingError, InvalidArgument
from ._figures import Figures
from ._guards import check
from ._ledger import Refused
from ._limits import Limits
from ._plan import Plan
from ._planned import PlannedCustomer, digests_of
from ._pool import Pool
from ._reading import held
from ._report import RunOutcome
from ._stops import Stop
from ._writing import Run


class GuardStopped(Refused):
    """A guard stopped the run before the first write.

    Attributes:
        stops: each guard that stopped the run, with the reason and the worst rows.
        digest: the digest of the plan; pass it as `approve=` to allow exactly this plan.
    """

    def __init__(self, stops: tuple[Stop, ...], digest: str) -> None:
        reasons = " ".join(stop.reason for stop in stops)
        super().__init__(f"nothing was written. {reasons} If all of this is meant, approve {digest}")
        self.stops = stops
        self.digest = digest


def removal_limit(text: str, held: int) -> int:
    """Return how many charges may be removed: a number, or a percentage of the existing charges.

    Raises:
        InvalidArgument: the text is neither.
    """
    match = re.fullmatch(r"(\d{1,9})(%?)", text)
    if match is None or (match[2] and int(match[1]) > 100):
        raise InvalidArgument("max_removals", "is a number of charges, or percent of those held, such as 5%")
    return int(match[1]) * held // 100 if match[2] else int(match[1])


def guard(
    made: Plan, plain: Mapping[str, object] | None, limits: Limits, *, first_run: bool, allowed: bool
) -> list[Stop]:
    """Compare a plan with the figures of the last run. An allowed plan takes over from them, and is not stopped.

    Returns:
        The stops found for a plan that has nothing to write.

    Raises:
        GuardStopped: a guard stops the plan, and it is not allowed.
    """
    last = None
    if plain is not None:
        with suppress(KeyError, ValueError, TypeError):  # another version of this package stored the figures
            last = Figures.from_json(plain)
    stops = check(made.figures, last, limits, first_run=first_run)
    if stops and made.changes and not allowed:
        raise GuardStopped(tuple(stops), made.digest)
    return [] if made.changes or allowed else stops


def stops_of(made: Plan, limits: Limits) -> list[Stop]:
    """Return the guards that stop the plan of an undo, which is not compared with an earlier run."""
    return check(made.figures, None, limits, first_run=True)


def refuse_removals(made: Plan, max_removals: str) -> None:
    """Refuse a plan that would remove more charges than allowed.

    Raises:
        Refused: it would.
        InvalidArgument: `max_removals` is neither a number nor a percentage.
    """
    limit = removal_limit(max_removals, made.held)
    if made.removals > limit:
        raise Refused(
            f"{made.removals} of {made.held} charges would be removed, more than {max_removals} allows ({limit}). "
            "If that is meant, allow more with --max-removals"
        )


async def refuse_changed(billing: AsyncBilling, made: Plan, run: Run) -> None:
    """Refuse a plan if one of its customers has changed since the plan was made."""
    changed: list[str] = []

    async def one(planned: PlannedCustomer) -> None:
        reading = held(billing, planned.customer_no, planned.levels, everything=planned.whole)
        state = await run.brake.judged(planned.customer_no, reading)
        if isinstance(state, BillingError):
            raise state
        if (state.exists, digests_of(state)) != (planned.exists, planned.digests):
            changed.append(planned.customer_no)

    await Pool[PlannedCustomer](run.concurrency, run.stopping, run.brake).run(made.customers.with_steps(), one)
    if changed:
        count = "1 customer has" if len(changed) == 1 else f"{len(changed)} customers have"
        raise Refused(f"{count} changed since the plan was made: {_names(changed)}. Make a new plan")


def refuse_uncertain(made: Plan, uncertain: Collection[str]) -> None:
    """Refuse a plan that is out of date for a customer whom `apply` would not read again.

    `apply` reads a customer only if the plan has steps for it.

    Args:
        made: the plan.
        uncertain: the customers whom a write of an earlier run may have changed since the plan was made.
    """
    if not uncertain:
        return
    found = [one.customer_no for one in made.customers if not one.steps and one.customer_no in uncertain]
    if found:
        raise Refused(
            f"a response of an earlier run was lost, and that write may have taken effect after the plan was made: "
            f"customer {_names(found)}. Make a new plan"
        )


def _names(customers: Collection[str]) -> str:
    return ", ".join(sorted(customers)[:10]) + (" and more" if len(customers) > 10 else "")


def outcome_of(error: BaseException) -> RunOutcome:
    """Return how a run ended that raised this error."""
    if isinstance(error, GuardStopped):
        return RunOutcome.GUARD_STOPPED
    if isinstance(error, Refused):
        return RunOutcome.REFUSED
    is_interrupted = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
    return RunOutcome.INTERRUPTED if is_interrupted else RunOutcome.FAILED
