"""Options that name a journal or a run, and functions that find the journal."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import click

from ..config import Settings
from ..errors import BillingError
from ..reconcile._opening import default_journal, place_of
from ..reconcile._store import Place


class _RunNumber(click.IntRange):
    """The number of a run, or of a creation, in a journal."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a number such as 17. To see the runs: payex-billing runs", param, ctx)


class _JournalName(click.ParamType):  # type: ignore[type-arg] # not generic before Click 8.4
    """A file, or the address of a PostgreSQL database."""

    name = "journal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if not isinstance(value, str) or isinstance(place_of(value), str):
            return cast("Place", value)
        return click.Path(path_type=Path, dir_okay=False).convert(value, param, ctx)


RUN_NUMBER = _RunNumber(1, 2**53)
journal_option = click.option(
    "--journal",
    type=_JournalName(),
    envvar="PAYEX_JOURNAL",
    show_envvar=True,
    metavar="FILE|postgresql://…",
    help="The journal. Default: that of the ledger, in your state directory.",
)
lock_option = click.option("--no-lock", is_flag=True, help="Run beside another run for the same ledger.")


def journal_of(journal: Place | None, client: Mapping[str, Any]) -> tuple[Place, str | None]:
    """Return the journal that the options name, and the address of its ledger.

    Nothing is sent, so no token is needed. A file that is named need not be of the ledger of the environment. A
    database may hold several ledgers, so the environment says which one, if it names one.

    Raises:
        ClickException: the ledger is not known.
    """
    if isinstance(journal, Path):
        return journal, None
    try:
        ledger = Settings.load(**{"token": "unused", **client}).ledger
    except BillingError as error:
        if journal is not None:
            return journal, None
        raise click.ClickException(f"{type(error).__name__}: {error}") from None
    return (default_journal(ledger) if journal is None else journal), ledger


def usual_journal(journal: Place | None, client: Mapping[str, Any]) -> Path | None:
    """Return the file of the journal; None if it is in a database, or the ledger is not known."""
    with suppress(click.ClickException, BillingError):
        return file_of(journal_of(journal, client)[0])
    return None


def file_of(journal: Place) -> Path | None:
    """Return the file of a journal; None if it is in a database."""
    return journal if isinstance(journal, Path) else None
