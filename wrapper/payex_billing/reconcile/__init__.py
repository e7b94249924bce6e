"""Desired state for charges: a table of what should be billed, and what has to be written so that it is.

    from payex_billing import AsyncBilling, reconcile

    async with AsyncBilling() as billing:
        with reconcile.read("charges.csv") as table:
            report = await reconcile.apply(billing, table, journal=Path("charges.journal"))

Needs the extra `payex-billing[tables]`. On the command line it is `payex-billing plan` and `payex-billing apply`.
"""

from ._apply import Report
from ._journal import JournalError
from ._match import Held, Kind, Step, difference
from ._plan import Plan, PlannedCustomer
from ._run import Refused, Shard, apply, plan
from ._sources import TableError
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
    "difference",
    "plan",
    "read",
]
