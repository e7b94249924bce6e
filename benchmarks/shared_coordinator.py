"""`python -m benchmarks.shared_coordinator DATABASE LEDGER CUSTOMERS`: plan and write so many customers without HTTP.

Prints the most megabytes that the process had.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import Iterator
from typing import Any

from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._json import Pairs
from payex_billing.reconcile._match import Content, Kind, Step
from payex_billing.reconcile._memory import Memory
from payex_billing.reconcile._plan import Plan
from payex_billing.reconcile._planned import PlannedCustomer, _to_line
from payex_billing.reconcile._pool import Brake
from payex_billing.reconcile._records import Done, Ending, Started
from payex_billing.reconcile._writing import Run, Writer

FIRST = 1_000_000_000


def lines(customers: int) -> Iterator[bytes]:
    """Yield the lines of a plan of new customers with one charge each."""
    number, line = str(FIRST), 1
    content = Content(product_code="P01", quantity=1)
    steps = (
        Step(kind=Kind.CREATE_CUSTOMER, customer_no=number),
        Step(kind=Kind.CREATE, customer_no=number, line=line, charge=content),
    )
    planned = PlannedCustomer(
        customer_no=number, exists=False, levels=(None,), whole=False, digests=Pairs(), unchanged=(), steps=steps
    )
    pattern = _to_line(planned).replace(b"%", b"%%").replace(number.encode(), b"%(number)d")
    pattern = pattern.replace(b'"line": 1,', b'"line": %(line)d,')
    for at in range(customers):
        yield pattern % {b"number": FIRST + at, b"line": at + 1}


class _Idle:
    """Writes nothing."""

    def __init__(self, notes: Journal) -> None:
        self._notes = notes

    async def customer(self, planned: PlannedCustomer) -> None:
        with self._notes.lease(planned.customer_no):
            self._notes.finish_customer(planned.customer_no, Done(applied=1))

    async def is_as_written(self, planned: PlannedCustomer) -> list[Step]:
        return []


async def main(database: str, ledger: str, customers: int) -> float:
    """Return the megabytes."""
    plan = Plan(ledger=ledger, rows=customers)
    for line in lines(customers):
        plan.customers._file.write(line)
        plan.customers._note(line)
    with Journal(database, ledger) as notes, Memory(ledger, database) as memory:
        notes.begin("bench", plan.customers.digest, resumed=False, started=Started())
        idle: Any = _Idle(notes)
        run = Run(idle, notes, memory, Brake(), 1, asyncio.Event(), lambda *_: None)
        report = await Writer(plan, run).run()
        notes.end(Ending.DONE, {})
        assert report.applied == customers, report.applied
    plan.close()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
