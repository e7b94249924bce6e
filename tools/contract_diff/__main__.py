"""`make contract-diff`: print the differences between openapi.yaml and another description of the API.

Exit codes: 0 no difference, 2 differences that break no caller, 3 differences that do, 1 a file cannot be read.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import yaml

from .differ import Difference, NotADescription, base_path, compare

ROOT = Path(__file__).parent.parent.parent
SAME, HARMLESS, BREAKING = 0, 2, 3


@click.command()
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--contract",
    "ours",
    type=click.Path(path_type=Path),
    default=ROOT / "openapi.yaml",
    help="Our side; openapi.yaml by default.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text.")
def diff(other: Path, ours: Path, as_json: bool) -> None:
    """Compare our contract with OTHER: Swagger 2.0 or OpenAPI 3.x, YAML or JSON.

    Each difference says how well our side is known (documented, sibling, inferred), and whether it breaks callers.

    Exit codes: 0 no difference, 2 differences that break no caller, 3 differences that do, 1 a file cannot be read.
    """
    mine, theirs = _read(ours), _read(other)
    try:
        found = compare(mine, theirs)
    except NotADescription as error:
        raise click.ClickException(f"{other} cannot be compared: {error}") from None
    bases = base_path(mine), base_path(theirs)
    breaking = sum(each.breaks for each in found)
    if as_json:
        click.echo(
            json.dumps(
                {"base_paths": bases, "breaking": breaking, "differences": [asdict(each) for each in found]}, indent=2
            )
        )
    else:
        _print(found, bases, breaking)
    sys.exit(BREAKING if breaking else HARMLESS if found else SAME)


def _print(found: list[Difference], bases: tuple[str, str], breaking: int) -> None:
    if bases[1] and bases[0] != bases[1]:
        click.echo(f"Base path: ours {bases[0]}, theirs {bases[1]}")
    where = ""
    for each in found:
        if each.where != where:
            where = each.where
            click.secho(f"\n{where}", bold=True)
        mark = click.style("breaks ", fg="red") if each.breaks else "       "
        name = f" {each.name}" if each.name else ""
        click.echo(f"  {mark}{each.kind:8}{each.what}{name}: {each.detail}  [{each.provenance}]")
    if found:
        click.echo()
    click.echo(f"{len(found)} differences, {breaking} of which break callers." if found else "No difference.")


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))  # JSON is YAML
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise click.ClickException(f"{path} is neither YAML nor JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise click.ClickException(f"{path} is not a description of an API")
    return document


if __name__ == "__main__":
    diff(prog_name="python -m tools.contract_diff")
