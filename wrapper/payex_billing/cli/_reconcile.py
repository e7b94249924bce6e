"""`payex-billing plan` and `payex-billing apply`: desired state for charges."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from .._text import printable
from ..reconcile import Limits, Plan, Report, RunOutcome, Table, read
from ..reconcile import plan as plan_table
from ..reconcile._history import reading
from ..reconcile._plan import FORMAT
from ..reconcile._run import MAX_REMOVALS, RECHECK
from ..reconcile._store import Place
from ._advice import next_step
from ._applying import carry_out, run_with_client, sentences
from ._client_options import client_options
from ._common import DONE, EXIT_CODES, PATH, PENDING, ROWS_FAILED, json_option, say_json
from ._journal import RUN_NUMBER, journal_of, journal_option, lock_option, usual_journal
from ._log import log, log_option
from ._output_files import check_outputs, writing
from ._reporting import RunReport, rejects_option, report_option
from ._show import plain_content, show_failures, show_plan, show_rejections
from ._table_options import (
    lease_option,
    reading_of,
    refuse_rejected,
    removals_option,
    seconds_option,
    settle_option,
    table_options,
)

FILE = click.argument("file", type=PATH)


@click.command(
    epilog="\b\nExamples:\n  payex-billing plan charges.csv --details\n"
    f"  payex-billing plan charges.csv --out plan.jsonl\n\n{EXIT_CODES}"
)
@FILE
@click.option("--out", type=PATH, help="Write the plan there, for apply.")
@click.option("--details", is_flag=True, help="A table for every customer.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
@journal_option
@table_options
@client_options
@log_option
@json_option
def plan(
    file: Path, out: Path | None, details: bool, detailed_exitcode: bool, journal: Place | None, strict: bool,
    rejects: Path | None, client: dict[str, Any], as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Read the current charges and show what apply would change."""
    reading_options = reading_of(options)
    with sentences():
        check_outputs({"FILE": file, "--state": options["state"]}, {"--out": out, "--rejects": rejects})
        with read(file, **reading_options) as table:
            if strict and table.rejections:
                return refuse_rejected(table, rejects)
            found = run_with_client(plan_table, table, client=client, can_stop=False, journal=journal, **options)
            counts = plan_as_json(found)
            if out is not None:
                with writing("--out", out):
                    found.write(out)
            if rejects is not None:
                with writing("--rejects", rejects):
                    table.write_rejects(rejects, found.rejected | found.failed)
            if as_json:
                say_json(counts | steps_as_json(found))
            else:
                show_rejections(table)
                show_failures(file, found.failed)
                show_plan(found, details=details)
                if out is not None:
                    click.echo(f"Written to {out}. To apply it: payex-billing apply {shlex.quote(str(out))}")
    exit_code = PENDING if detailed_exitcode and found.changes else DONE
    if found.rejected or found.failed:
        exit_code = ROWS_FAILED
    counts |= {name: len(counts[name]) for name in ("rejected", "failed")}
    log.record("result", message="planned", outcome="planned", exit_code=exit_code, command="plan", file=file, **counts)
    return exit_code


@click.command(
    epilog="\b\nExamples:\n  payex-billing apply charges.csv\n  payex-billing apply plan.jsonl --report report.json\n"
    "  payex-billing apply charges.parquet --state state.db --shard 3/8\n"
    "  payex-billing apply charges.parquet --journal postgresql://billing@db.example/journal "
    f"--on dask://scheduler.example:8786\n\n{EXIT_CODES}"
)
@FILE
@journal_option
@report_option
@removals_option(MAX_REMOVALS, "Abort if --prune would remove more than this.")
@click.option("--guards", type=PATH, help="Limits of the guards, a TOML file.")
@click.option("--first-run", is_flag=True, help="The first run for this ledger: there is nothing to compare with.")
@click.option("--approve", metavar="DIGEST", help="Write the plan with this digest, although a guard stops it.")
@settle_option
@lease_option
@seconds_option(
    "--recheck", RECHECK, "Read the finished customers of an interrupted run again after this many seconds."
)
@click.option(
    "--on",
    metavar="dask://HOST:PORT",
    help="The scheduler of a Dask cluster: its workers help to write. Needs a journal in PostgreSQL.",
)
@lock_option
@table_options
@client_options
@log_option
@json_option
def apply(
    file: Path, journal: Place | None, report_file: Path | None, guards: Path | None, no_lock: bool, strict: bool,
    rejects: Path | None, client: dict[str, Any], as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Write what is needed so that Billing holds what FILE, a table or a plan, says.

    Ctrl-C and SIGTERM finish the writes under way and stop. The same command then goes on. The journal keeps every
    write: `payex-billing runs` shows the runs, `payex-billing undo` takes one back.
    """
    reading_options = reading_of(options)
    inputs = {
        "FILE": file, "--state": options["state"], "--journal": usual_journal(journal, client), "--guards": guards,
    }  # fmt: skip
    others = inputs | {"--rejects": rejects}
    with RunReport("apply", report_file, file=str(file), others=others, as_json=as_json) as report, sentences():
        name = report.journal = _journal(journal, file, client)
        if options["on"] is not None and isinstance(name, Path):
            raise click.UsageError("--on needs a journal that all workers can reach: --journal postgresql://…")
        check_outputs(inputs, {"--rejects": rejects})
        limits = Limits() if guards is None else Limits.load(guards)
        planned = Plan.load(file) if _is_plan(file) else None
        with read(file, **reading_options) if planned is None else closing(planned) as source:
            table = source if isinstance(source, Table) else None
            if strict and table is not None and table.rejections:
                stopped = refuse_rejected(table, rejects)
                return report.ended_and_shown(RunOutcome.REFUSED, {"rejected": table.reasons()}, exit_code=stopped)
            return carry_out(
                source, file, client=client, report=report, rejects=rejects, journal=name, limits=limits,
                locked=not no_lock, **options,
            )  # fmt: skip


@click.command(
    epilog=f"\b\nExamples:\n  payex-billing retry 17\n  payex-billing retry 17 corrected.csv\n\n{EXIT_CODES}"
)
@click.argument("run_number", metavar="RUN", type=RUN_NUMBER)
@click.argument("file", required=False, type=PATH)
@journal_option
@report_option
@rejects_option
@removals_option(None, "Abort if more charges would be removed. Default: as the run was told.")
@lock_option
@click.option("--guards", type=PATH, help="Limits of the guards, a TOML file.")
@click.option("--approve", metavar="DIGEST", help="Write the plan with this digest, although a guard stops it.")
@lease_option
@client_options
@log_option
@json_option
def retry(
    run_number: int,
    file: Path | None,
    journal: Place | None,
    report_file: Path | None,
    rejects: Path | None,
    max_removals: str | None,
    no_lock: bool,
    guards: Path | None,
    approve: str | None,
    lease: float,
    client: dict[str, Any],
    as_json: bool,
) -> int:
    """Apply the rows again that a run rejected, or that failed.

    Correct the file first, or wait until the server works again. All rows of the customers of these rows are compared;
    other customers are left alone. FILE is the file of the run if you name none.
    """
    others = {
        "FILE": file, "--guards": guards, "--rejects": rejects, "--journal": usual_journal(journal, client),
    }  # fmt: skip
    with RunReport("retry", report_file, file=str(file or ""), others=others, as_json=as_json) as report, sentences():
        name, ledger = journal_of(journal, client)
        report.journal = name
        with reading(name, ledger) as history:
            earlier = history.run(run_number)
            how = next_step(earlier, history.later_run(earlier)) or "start the program of this run again"
            if earlier.undoes is not None:
                raise click.ClickException(f"run {run_number} is an undo. To repeat it: {how}")
            if not earlier.has_every_result:
                raise click.ClickException(
                    printable(f"run {run_number} did not come to its end. To continue it: {how}")
                )
            if not history.rows(run_number):
                if not as_json:
                    click.echo(f"Run {run_number} applied every row. There is nothing to retry.")
                return report.ended_and_shown(RunOutcome.DONE, Report().to_json())
        source = file or Path(earlier.file)
        if not earlier.file or _is_plan(source):
            raise click.ClickException(f"run {run_number} was not made from a table: name the table after the number")
        report.names(source)
        check_outputs({"FILE": source, "--guards": guards}, {"--rejects": rejects})
        with read(source, **earlier.options.get("reading", {})) as table:
            return carry_out(
                table, source, client=client, report=report, rejects=rejects, journal=name,
                limits=Limits() if guards is None else Limits.load(guards), prune=bool(earlier.options.get("prune")),
                retry=run_number, locked=not no_lock, lease=lease, approve=approve,
                max_removals=max_removals or earlier.options.get("max_removals") or MAX_REMOVALS,
            )  # fmt: skip


def _journal(journal: Place | None, file: Path, client: dict[str, Any]) -> Place:
    """Return the journal of a run of `apply`.

    Raises:
        ClickException: an earlier version of this package has left a journal beside the file.
    """
    name, _ = journal_of(journal, client)
    beside = file.with_name(f"{file.name}.journal")
    if journal is None and beside.exists():
        raise click.ClickException(
            f"{beside}: a journal of an earlier version, or of another place. If its run is finished, remove the file; "
            "if not, finish it with that version first"
        )
    return name


def _is_plan(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return FORMAT.encode() in opened.readline(300)
    except OSError:
        return False  # reading the table says it better


def plan_as_json(plan: Plan) -> dict[str, Any]:
    """Return the counts and sums of a plan as plain JSON."""
    return {
        "rows": plan.rows,
        "unchanged": plan.unchanged,
        "rejected": plan.rejected,
        "failed": plan.failed,
        "changes": dict(plan.counts),
        "held": plan.held,
        "in_no_row": plan.surplus,
        "money_per_month": {
            "before": str(plan.before),
            "after": str(plan.after),
            "rows_without_price": plan.without_price,
        },
        "suspicious": sorted(line for planned in plan.customers for line in planned.suspicious),
        "digest": plan.digest,
    }


def steps_as_json(plan: Plan) -> dict[str, Any]:
    """Return the writes of a plan as plain JSON, with the values before and after."""
    return {
        "steps": [
            {
                "kind": step.kind.value, "line": step.line, "customer_no": step.customer_no,
                "subscription_no": step.subscription_no, "charge_id": step.charge_id,
                "before": plain_content(step.before), "after": plain_content(step.charge),
            }
            for planned in plan.customers.with_steps()
            for step in planned.steps
        ]
    }  # fmt: skip
