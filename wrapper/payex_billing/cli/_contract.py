"""`payex-billing contract`: our contract, compared with another description of the API."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ._drift import Difference, NotADescription, base_path, compare

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME, HARMLESS, BREAKING = 0, 2, 3


@click.group()
def contract() -> None:
    """The contract that this package is built on."""


@contract.command(
    epilog="\b\nExample:\n  payex-billing contract diff swagger.json\n\n"
    "Exit codes: 0 no difference, 2 differences that break no caller, 3 differences that do, 1 a file cannot be read."
)
@click.argument("other", type=click.Path(path_type=Path))
@click.option(
    "--contract", "ours", type=click.Path(path_type=Path), help="Our side; the packaged contract if not given."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object in place of text.")
def diff(other: Path, ours: Path | None, as_json: bool) -> int:
    """Compare our contract with OTHER: Swagger 2.0 or OpenAPI 3.x, YAML or JSON.

    Each difference says how well our side is known (documented, sibling, inferred), and whether it breaks callers.
    """
    mine, theirs = _packaged() if ours is None else _read(ours), _read(other)
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
    return BREAKING if breaking else HARMLESS if found else SAME


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


def _packaged() -> Mapping[str, Any]:
    try:
        from payex_billing_mock import load_contract  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise _missing() from None
    return load_contract().document


def _read(path: Path) -> Mapping[str, Any]:
    try:
        import yaml  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError:
        raise _missing() from None
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8-sig"))  # JSON is YAML
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    except yaml.YAMLError as error:
        raise click.ClickException(f"{path} is neither YAML nor JSON: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict):
        raise click.ClickException(f"{path} is not a description of an API")
    return document


def _missing() -> click.ClickException:
    return click.ClickException("comparing contracts needs an extra: pip install 'payex-billing[mock]'")
