"""`make contract-diff`: print the differences between openapi.yaml and another file about the API."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from .differ import Report, report
from .document import Document
from .reading import UnreadableFile, read
from .text import lines_of

ROOT = Path(__file__).parent.parent.parent
SAME, UNREADABLE, HARMLESS, BREAKING = 0, 1, 2, 3


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

    Each difference says whether it breaks callers, how well our side is known (documented, sibling, inferred), and on
    which line it stands. A difference breaks if a request that our client may send would fail, or if our client would
    misread a response. Nothing is fetched.

    Exit codes: 0 no difference, 2 differences that break no caller, 3 differences that do, 1 a file cannot be compared
    or an argument is wrong.
    """
    found = report(_document(ours), _document(other))
    if as_json:
        click.echo(_json(found))
    else:
        for line in lines_of(found, ours.name, other.name):
            click.echo(line)
    breaking = any(difference.breaks for difference in found.differences)
    sys.exit(BREAKING if breaking else HARMLESS if found.differences else SAME)


def _json(found: Report) -> str:
    breaking = sum(difference.breaks for difference in found.differences)
    differences = [asdict(difference) for difference in found.differences]
    whole = {"breaking": breaking, "not_compared": found.not_compared, "differences": differences}
    return json.dumps(whole, indent=2, ensure_ascii=False)


def _document(path: Path) -> Document:
    try:
        document = Document(read(path))
        document.check()
    except (UnreadableFile, RecursionError) as error:
        reason = error if isinstance(error, UnreadableFile) else "is nested too deeply"
        raise click.ClickException(f"{path} {reason}.") from None
    return document


def main() -> None:
    """Run the command. A wrong argument ends with 1, because 2 means a difference."""
    try:
        diff.main(prog_name="python -m tools.contract_diff", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(UNREADABLE)
    except click.Abort:
        sys.exit(UNREADABLE)


if __name__ == "__main__":
    main()
