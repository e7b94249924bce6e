"""What the commands share: exit codes, the client, and how things are written."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .._text import printable
from ..errors import BillingError

if TYPE_CHECKING:
    from .._sync.client import Billing

DONE, ERROR, PENDING, ROWS_FAILED, GUARDED, USAGE, INTERRUPTED = 0, 1, 2, 3, 4, 64, 130
EXIT_CODES = (
    "Exit codes: 0 done or nothing to do, 1 error, 2 changes pending (plan --detailed-exitcode), "
    "3 some rows rejected or failed, 4 a guard stopped apply before the first write, 64 wrong usage, 130 interrupted."
)

PATH = click.Path(path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text.")


def blocking_client(**options: Any) -> Billing:
    """A client for one question, which Ctrl-C ends at once: the fast engine hears of it only when it is answered."""
    from .._sync.client import Billing  # noqa: PLC0415 - not every command asks

    chosen: dict[str, Any] = {"engine": engine_of_one_call()} | options
    return Billing(**chosen)


def engine_of_one_call() -> str:
    """Return the engine of commands that send single calls, unless a profile names one."""
    return os.environ.get("PAYEX_ENGINE") or "httpx"


@contextmanager
def told() -> Iterator[None]:
    """Let an error of Billing be a sentence."""
    try:
        yield
    except BillingError as error:
        from ._advice import with_advice  # noqa: PLC0415 - only for an error

        raise click.ClickException(with_advice(error)) from None


def say_json(value: Any) -> None:
    """Write one JSON object; money as text with all its digits, dates as yyyy-MM-dd."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def price(value: Decimal | None) -> str:
    """Return money for people: two decimals, or as many as it has, and a comma between thousands."""
    if value is None:
        return ""
    return f"{value:,.2f}" if value == round(value, 2) else f"{value.normalize():,f}"


def when(seconds: float) -> str:
    """Return a time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def confirmed(question: str) -> bool:
    """Ask, and return the answer.

    Raises:
        UsageError: nobody can answer.
    """
    try:
        return click.confirm(printable(question), err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise  # Ctrl-C
        click.echo(err=True)
        raise click.UsageError("nobody can answer here: without a terminal, add --yes") from None


def confirm(question: str, *, refused: str) -> None:
    """Ask; end the command if the answer is no.

    Raises:
        UsageError: nobody can answer.
        Exit: the answer is no.
    """
    if not confirmed(question):
        click.echo(refused, err=True)
        raise click.exceptions.Exit(ERROR)
