"""Desired state for charges: a table of what should be billed, and what has to be written so that it is.

    from payex_billing import AsyncBilling, reconcile

    async with AsyncBilling() as billing:
        with reconcile.read("charges.csv") as table:
            report = await reconcile.apply(billing, table, journal=Path("charges.journal"))

In a script, `apply_sync` and `plan_sync` do the same with a `Billing`.

Needs the extra `payex-billing[tables]`. On the command line it is `payex-billing plan` and `payex-billing apply`.
"""

from ._before import GuardStopped
from ._journal import JournalError
from ._ledger import Refused
from ._limits import Limits
from ._match import Content, Held, Kind, Level, Step, difference
from ._plan import Plan, PlannedCustomer
from ._pool import Stopped
from ._records import RemovalFailed
from ._report import Report
from ._run import apply, plan
from ._selection import Shard
from ._sources import TableError
from ._stops import Stop
from ._sync import apply_sync, plan_sync
from ._tables import Rejection, Row, Table, read

__all__ = [
    "Content",
    "GuardStopped",
    "Held",
    "JournalError",
    "Kind",
    "Level",
    "Limits",
    "Plan",
    "PlannedCustomer",
    "Refused",
    "Rejection",
    "RemovalFailed",
    "Report",
    "Row",
    "Shard",
    "Step",
    "Stop",
    "Stopped",
    "Table",
    "TableError",
    "apply",
    "apply_sync",
    "difference",
    "plan",
    "plan_sync",
    "read",
]
