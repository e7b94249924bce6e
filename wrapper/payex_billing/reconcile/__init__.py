"""Desired state for charges: a table of what should be billed, and what has to be written so that it is.

    from payex_billing import AsyncBilling, reconcile

    async with AsyncBilling() as billing:
        with reconcile.read("charges.csv") as table:
            report = await reconcile.apply(billing, table)

In a script, `apply_sync` and `plan_sync` do the same with a `Billing`.

Needs the extra `payex-billing[tables]`. On the command line it is `payex-billing plan` and `payex-billing apply`.
"""

from ._before import GuardStopped
from ._customers import read_customers
from ._drift import Drift, DriftReport, drift
from ._export import Export, export
from ._ledger import Refused
from ._limits import Limits
from ._match import Content, Held, Kind, Level, Step, difference
from ._opening import default_journal
from ._plan import Plan
from ._planned import PlannedCustomer
from ._pool import Stopped
from ._records import RemovalFailed
from ._report import Report, RunOutcome
from ._run import apply, plan
from ._selection import Shard
from ._single import SharedJournal
from ._sources import TableError
from ._stops import Stop
from ._store import JournalError
from ._sync import apply_sync, drift_sync, export_sync, plan_sync, plan_undo_sync, work_sync
from ._tables import Rejection, Row, Table, read
from ._undo import LeftAlone
from ._undoing import plan_undo
from ._working import work

__all__ = [
    "Content",
    "Drift",
    "DriftReport",
    "Export",
    "GuardStopped",
    "Held",
    "JournalError",
    "Kind",
    "LeftAlone",
    "Level",
    "Limits",
    "Plan",
    "PlannedCustomer",
    "Refused",
    "Rejection",
    "RemovalFailed",
    "Report",
    "Row",
    "RunOutcome",
    "Shard",
    "SharedJournal",
    "Step",
    "Stop",
    "Stopped",
    "Table",
    "TableError",
    "apply",
    "apply_sync",
    "default_journal",
    "difference",
    "drift",
    "drift_sync",
    "export",
    "export_sync",
    "plan",
    "plan_sync",
    "plan_undo",
    "plan_undo_sync",
    "read",
    "read_customers",
    "work",
    "work_sync",
]
