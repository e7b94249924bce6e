"""`payex-billing work`: a worker that writes the customers of a run together with other processes."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from .._async.client import AsyncBilling
from .._text import counted
from ..reconcile import work as work_on
from ..reconcile._address import name_of
from ..reconcile._store import Place
from ._applying import notice, run, sentences
from ._client_options import client_options
from ._common import DONE, INTERRUPTED, json_option, say_json
from ._journal import RUN_NUMBER, journal_option
from ._log import log, log_option
from ._progress import Show
from ._table_options import (
    concurrency_option,
    lease_option,
    patience_option,
    rate_option,
    seconds_option,
    settle_option,
)


@click.command(
    epilog="\b\nExamples:\n  payex-billing work --journal postgresql://billing@db.example/journal\n"
    "  payex-billing work --run 17 --wait 600 --concurrency 32\n\n"
    "Exit codes: 0 no customer is left, or no run came in time; 1 error, 64 wrong usage, 130 interrupted."
)
@journal_option
@click.option("--run", "run_number", type=RUN_NUMBER, metavar="RUN", help="The run. Default: the latest one.")
@seconds_option("--wait", 60.0, "Wait this long for a run that hands out customers.")
@settle_option
@lease_option
@patience_option
@concurrency_option
@rate_option
@client_options
@log_option
@json_option
def work(
    journal: Place | None, run_number: int | None, wait: float, settle: float, lease: float, patience: float,
    concurrency: int, client: dict[str, Any], as_json: bool,
) -> int:  # fmt: skip
    """Write customers of a run that apply, retry or undo has begun with the same journal, until none is left.

    Start it as often as you like, on any machine. One process at a time writes to a customer. If a worker dies, the
    others write its customers when its leases have ended. Ctrl-C and SIGTERM finish the writes under way and stop.
    """
    if not isinstance(journal, str):
        raise click.UsageError("work needs the journal of the run, in PostgreSQL: --journal postgresql://…")

    async def start(stop: asyncio.Event, _: Show) -> tuple[int, bool]:
        async with AsyncBilling(**client) as billing:
            written = await work_on(
                billing, journal, run=run_number, concurrency=concurrency, settle=settle, lease=lease, wait=wait,
                patience=patience, stop=stop, on_notice=notice,
            )  # fmt: skip
        return written, stop.is_set()

    with sentences():
        written, was_stopped = run(start, can_stop=True)
    exit_code = INTERRUPTED if was_stopped else DONE
    if as_json:
        say_json({"journal": name_of(journal), "customers": written, "interrupted": was_stopped})
    else:
        click.echo(f"{counted(written, 'customer')} written by this worker.")
    if was_stopped:
        log.say("interrupted", "Interrupted. The other processes write the rest.", level="error")
    outcome = "interrupted" if was_stopped else "done"
    log.record("result", message=outcome, outcome=outcome, exit_code=exit_code, command="work", customers=written)
    return exit_code
