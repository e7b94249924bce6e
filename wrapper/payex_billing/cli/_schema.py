"""`payex-billing schema`: the JSON Schema of what a command prints with `--json`."""

from __future__ import annotations

import click

from ._common import DONE, say_json
from ._lazy_group import suggestion
from ._output_schemas import OUTPUTS, schema_of
from ._table import table


@click.command(epilog="\b\nExamples:\n  payex-billing schema\n  payex-billing schema charges")
@click.argument("name", required=False)
def schema(name: str | None) -> int:
    """Print the JSON Schema called NAME, or list the schemas and the commands whose --json output they describe."""
    if name is None:
        table(["schema", "commands with --json"], [[key, ", ".join(each.commands)] for key, each in OUTPUTS.items()])
        return DONE
    if name not in OUTPUTS:
        raise click.UsageError(
            f"there is no schema {name!r}.{suggestion(name, OUTPUTS)} payex-billing schema lists the schemas"
        )
    say_json(schema_of(name))
    return DONE


@click.command(name="report-schema")
def report_schema() -> int:
    """Print the JSON Schema of a report. `payex-billing schema report` prints the same."""
    say_json(schema_of("report"))
    return DONE
