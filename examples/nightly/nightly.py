"""The nightly job: what the CRM exported as Parquet becomes what Billing holds. `python nightly.py charges.parquet`.

Ends with 0 when all is as the file says, 3 when rows were rejected or failed (see the report), 1 when it could not be
done.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from payex_billing import AsyncBilling, BillingError, reconcile


async def main(arguments: Sequence[str]) -> int:
    """Run the job; returns the exit code."""
    if len(arguments) != 1:
        print("usage: nightly.py FILE", file=sys.stderr)
        return 64
    file = Path(arguments[0])
    try:
        async with AsyncBilling.from_env() as client:
            billing = client.with_options(wait_on_writes=True, deadline=600)  # nobody sits and waits
            with reconcile.read(file) as table:
                report = await reconcile.apply(
                    billing, table, journal=file.with_suffix(".journal"), state=file.with_suffix(".state")
                )
    except (BillingError, reconcile.TableError, reconcile.Refused, reconcile.JournalError) as error:
        print(f"nothing more was written: {error}", file=sys.stderr)
        return 1
    told = {
        "unchanged": report.unchanged,
        "applied": report.applied,
        "rejected": report.rejected,  # the reason by line
        "failed": report.failed,
    }
    file.with_suffix(".report.json").write_text(json.dumps(told, indent=2), encoding="utf-8")
    print(f"{report.unchanged} unchanged, {report.applied} applied, ", end="")
    print(f"{len(report.rejected)} rejected, {len(report.failed)} failed")
    return 3 if report.rejected or report.failed else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
