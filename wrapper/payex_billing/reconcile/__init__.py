"""Desired state for charges: a table of what should be billed, and what has to be written so that it is.

    from payex_billing import AsyncBilling, reconcile

    async with AsyncBilling() as billing:
        with reconcile.read("charges.csv") as table:
            report = await reconcile.apply(billing, table, journal=Path("charges.journal"))

In a script, `apply_sync` and `plan_sync` do the same with a `Billing`.

Needs the extra `payex-billing[tables]`. On the command line it is `payex-billing plan` and `payex-billing apply`.
"""

from ._apply import Report
from ._journal import JournalError
from ._match import Held, Kind, Step, difference
from ._plan import Plan, PlannedCustomer
from ._run import Refused, Shard, apply, plan
from ._sources import TableError
from ._sync import apply_sync, plan_sync
from ._tables import Rejection, Row, Table, read

__all__ = [
    "Held",
    "JournalError",
    "Kind",
    "Plan",
    "PlannedCustomer",
    "Refused",
    "Rejection",
    "Report",
    "Row",
    "Shard",
    "Step",
    "Table",
    "TableError",
    "apply",
    "apply_sync",
    "difference",
    "plan",
    "plan_sync",
    "read",
]
