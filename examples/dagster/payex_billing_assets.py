"""The charges in PayEx Billing as a Dagster asset, made from what the CRM exported, every night at three.

The settings are environment variables: PAYEX_OWNER_NO, PAYEX_TOKEN_FILE, and XDG_STATE_HOME on a volume that outlives
the worker, because the journal is there.
"""

import os

import dagster as dg
from payex_billing import Billing, reconcile


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=3, delay=600))
def billed_charges(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """What customers are billed. A retry continues the run where it stopped."""
    file = os.environ.get("CRM_EXPORT", "/srv/crm/charges.parquet")
    with Billing.from_env() as billing, reconcile.read(file) as table:
        try:
            report = reconcile.apply_sync(billing, table, on_notice=context.log.warning)
        except reconcile.GuardStopped as error:
            raise dg.Failure(f"a person must decide: {error}", allow_retries=False) from error
    if report.outcome not in {reconcile.RunOutcome.DONE, reconcile.RunOutcome.ROWS_FAILED}:
        raise dg.Failure(report.stopped or report.outcome.value)
    if report.outcome is reconcile.RunOutcome.ROWS_FAILED:
        raise dg.Failure(
            f"{len(report.rejected)} rows rejected, {len(report.failed)} failed: payex-billing runs show {report.run}",
            allow_retries=False,
        )
    return dg.MaterializeResult(
        metadata={
            "run": report.run,
            "rows": report.rows,
            "applied": report.applied,
            "money a month before": str(report.before),
            "money a month after": str(report.after),
        }
    )


nightly = dg.ScheduleDefinition(
    name="nightly", target=[billed_charges], cron_schedule="0 3 * * *", execution_timezone="Europe/Stockholm"
)
defs = dg.Definitions(assets=[billed_charges], schedules=[nightly])
