"""`payex-billing undo`: take the writes of a run back."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from .._text import counted, printable
from ..reconcile import LeftAlone, Limits, Plan, RunOutcome, plan_undo
from ..reconcile._before import stops_of
from ..reconcile._store import Place
from ._applying import carry_out, run_with_client, sentences
from ._client_options import client_options
from ._common import DONE, ERROR, EXIT_CODES, PATH, ROWS_FAILED, confirmed, json_option, say_json
from ._journal import RUN_NUMBER, journal_of, journal_option, lock_option, usual_journal
from ._log import log, log_option
from ._output_files import check_outputs, writing
from ._reconcile import plan_as_json, steps_as_json
from ._reporting import RunReport, report_option
from ._show import SHOWN, show_failures, show_plan, show_stop
from ._table_options import lease_option, settle_option

_OF_REASON = 3  # writes of one reason that are shown in full


@click.command(
    epilog="\b\nExamples:\n  payex-billing undo 17 --plan-only\n  payex-billing undo 17 --customer 15615616\n\n"
    + EXIT_CODES
)
@click.argument("run_number", metavar="RUN", type=RUN_NUMBER)
@click.option("--customer", "customers", multiple=True, help="Only the writes to this customer; may be given again.")
@click.option("--plan-only", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("--out", type=PATH, help="Write the plan there, for apply.")
@click.option("--yes", is_flag=True, help="Do not ask. A guard can still stop it.")
@click.option("--approve", metavar="DIGEST", help="Write the plan with this digest, although a guard stops it.")
@journal_option
@report_option
@lock_option
@click.option("--guards", type=PATH, help="Limits of the guards, a TOML file.")
@settle_option
@lease_option
@click.option("--details", is_flag=True, help="A table for every customer.")
@client_options
@log_option
@json_option
def undo(
    run_number: int,
    customers: tuple[str, ...],
    plan_only: bool,
    out: Path | None,
    yes: bool,
    approve: str | None,
    journal: Place | None,
    report_file: Path | None,
    no_lock: bool,
    guards: Path | None,
    settle: float,
    lease: float,
    details: bool,
    client: dict[str, Any],
    as_json: bool,
) -> int:
    """Take the writes of a run back.

    Charges that the run created are removed, changed ones get their former values, removed ones are created again and
    get new ids. What somebody else has changed since stays, and is listed. So is what cannot be taken back.
    `payex-billing runs` shows the numbers of the runs.
    """
    label = Path(f"run {run_number}")
    inputs = {"--journal": usual_journal(journal, client), "--guards": guards}
    others = inputs | {"--out": out}
    with RunReport("undo", report_file, file=str(label), others=others, as_json=as_json) as report, sentences():
        name, _ = journal_of(journal, client)
        report.journal = name
        check_outputs(inputs, {"--out": out})
        limits = Limits() if guards is None else Limits.load(guards)
        made = run_with_client(
            plan_undo, run_number, client=client, can_stop=False, customers=customers, journal=name, settle=settle,
            locked=not no_lock,
        )  # fmt: skip
        with closing(made):
            if out is not None:
                with writing("--out", out):
                    made.write(out)
            if plan_only and as_json:
                report.as_json = False
                say_json(plan_as_json(made) | steps_as_json(made))
            elif not as_json:
                show_failures(label, made.failed)
                if plan_only or not yes or not made.changes:
                    show_plan(made, details=details)
                _show_left(made.left)
            if plan_only or not made.changes:
                values = {"undoes": run_number, "failed": made.failed}
                exit_code = ROWS_FAILED if made.failed else DONE
                return report.ended_and_shown(RunOutcome.PLANNED, values, exit_code=exit_code)
            if not yes and approve is None:
                approve = _asked(made, limits)
                if approve is None:
                    return report.ended_and_shown(RunOutcome.PLANNED, {"undoes": run_number}, exit_code=ERROR)
            return carry_out(
                made, label, client=client, report=report, journal=name, limits=limits, approve=approve, settle=settle,
                lease=lease, locked=not no_lock,
            )  # fmt: skip


def _asked(made: Plan, limits: Limits) -> str | None:
    """Ask whether the plan is to be written. Return its digest, which also answers the guards; None for no."""
    if not sys.stdin.isatty():
        raise click.ClickException(f"nothing was written. Without a terminal, add --yes, or --approve {made.digest}")
    for stop in stops_of(made, limits):
        show_stop(stop)
    if confirmed(f"Write these {counted(made.changes, 'change')}?"):
        return made.digest
    log.say("stopped", "Nothing was written.")
    return None


def _show_left(left: Iterable[LeftAlone]) -> None:
    """Show what is left as it is: of each reason a few in full, the others counted."""
    by_reason: dict[str, list[LeftAlone]] = {}
    for each in left:
        by_reason.setdefault(each.reason, []).append(each)
    if not by_reason:
        return
    count = sum(map(len, by_reason.values()))
    click.echo(f"{counted(count, 'write')} left as {'it is' if count == 1 else 'they are'}:")
    for reason, found in list(by_reason.items())[:SHOWN]:
        for each in found[:_OF_REASON]:
            click.echo(printable(f"  {each}"))
        if len(found) > _OF_REASON:
            click.echo(printable(f"  {len(found) - _OF_REASON:,} more: {reason}"))
    if rest := sum(map(len, list(by_reason.values())[SHOWN:])):
        click.echo(f"  {rest:,} more for other reasons; --out writes all to a file")
