"""The nightly sync as a DAG of Airflow 3: make PayEx Billing hold what the CRM exported.

The settings are environment variables of the worker: PAYEX_OWNER_NO, PAYEX_TOKEN_FILE, and XDG_STATE_HOME on a volume
that outlives the worker, because the journal is there.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, task


@task(retries=3, retry_delay=timedelta(minutes=10))
def apply(table: str) -> dict[str, object]:
    """Apply the table. A retry continues the run where it stopped."""
    from payex_billing import Billing, reconcile  # noqa: PLC0415 - not when the DAG is parsed

    with Billing.from_env() as billing, reconcile.read(table) as rows:
        try:
            report = reconcile.apply_sync(billing, rows)
        except reconcile.GuardStopped as error:
            raise AirflowFailException(f"a person must decide: {error}") from error
    match report.outcome:
        case reconcile.RunOutcome.DONE:
            return {"run": report.run, "rows": report.rows, "applied": report.applied}
        case reconcile.RunOutcome.ROWS_FAILED:
            raise AirflowFailException(
                f"run {report.run}: {len(report.rejected)} rows rejected, {len(report.failed)} failed: "
                f"payex-billing runs show {report.run}"
            )
        case _:
            raise RuntimeError(report.stopped or report.outcome.value)


@dag(schedule="0 3 * * *", start_date=datetime(2026, 1, 1), catchup=False, max_active_runs=1)
def charges_in_billing() -> None:
    """Every night at three."""
    apply(os.environ.get("CRM_EXPORT", "/srv/crm/charges.parquet"))


charges = charges_in_billing()
