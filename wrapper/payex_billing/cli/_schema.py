"""`payex-billing report-schema`: what is in a report."""

from __future__ import annotations

from importlib.resources import files

import click

from ._common import DONE


@click.command(name="report-schema")
def report_schema() -> int:
    """Print the JSON Schema of the reports that `apply`, `retry` and `undo` write with --report or --json."""
    click.echo((files("payex_billing.cli") / "report.schema.json").read_text(encoding="utf-8"), nl=False)
    return DONE
