"""A backfill: a text is added to every charge that has none, at a rate the API can bear.

`python backfill.py NUMBERS RATE`: NUMBERS is a file of customer numbers, one a line; RATE the requests a second. Reads and
changes may be repeated, so that it can be stopped at any time and run again.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from payex_billing import AsyncBilling, BillingError, CustomerNotFound

WORKERS = 16
TEXTS = {"P01": "Mobile, unlimited", "P07": "Extra data"}


def main(arguments: Sequence[str]) -> int:
    """Run the backfill; returns the exit code."""
    if len(arguments) != 2:
        print("usage: backfill.py NUMBERS RATE", file=sys.stderr)
        return 64
    with Path(arguments[0]).open(encoding="utf-8") as lines:
        numbers = filter(None, map(str.strip, lines))
        return asyncio.run(backfill(numbers, float(arguments[1])))


async def backfill(numbers: Iterator[str], rate: float) -> int:
    """Go through the customers, so many at once; returns the exit code."""
    counts = {"changed": 0, "failed": 0}
    async with AsyncBilling(max_rate=rate) as billing, asyncio.TaskGroup() as group:
        for _ in range(WORKERS):  # they share the iterator: each takes the next
            group.create_task(work(billing, numbers, counts))
    print(f"{counts['changed']} changed, {counts['failed']} customers failed")
    return 1 if counts["failed"] else 0


async def work(billing: AsyncBilling, numbers: Iterator[str], counts: dict[str, int]) -> None:
    """Take customers until there are none."""
    for number in numbers:
        try:
            counts["changed"] += await mend(billing, number)
        except CustomerNotFound:
            print(f"{number}: not a customer", file=sys.stderr)
        except BillingError as error:
            counts["failed"] += 1
            print(f"{number}: {error}", file=sys.stderr)


async def mend(billing: AsyncBilling, number: str) -> int:
    """Give a customer's charges their texts; returns how many had none."""
    charges = billing.customer(number).recurring_products
    changed = 0
    async for each in charges.list():
        if each.text is None and each.product_code in TEXTS:
            await charges.update(each.id, text=TEXTS[each.product_code])
            changed += 1
    return changed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
