"""`payex-billing settings` and `payex-billing completion`."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import get_completion_class

from ..config import SECRETS, VARIABLES, Settings
from ..errors import ConfigurationError
from ._client_options import client_options
from ._common import DONE, ERROR, json_option, say_json
from ._table import table


@click.command(epilog="\b\nExample:\n  payex-billing settings --environment sandbox")
@client_options
@json_option
def settings(as_json: bool, client: dict[str, Any]) -> int:
    """Show each setting and where it comes from: an option, an environment variable, or the default. Sends nothing."""
    try:
        found, missing = Settings.load(**client), ""
    except ConfigurationError as error:
        found, missing = None, str(error)
    values = {}
    for name in VARIABLES:
        if found is None or name == "environment":
            continue
        origin = found.origins.get(name, "default")
        value = getattr(found, name)
        shown = "" if value is None else "***" if name in SECRETS else str(value)
        values[name] = {"value": shown, "origin": "option" if origin == "argument" else origin}
    if as_json:
        say_json({"settings": values, "error": missing or None})
    elif found is not None:
        rows = [[name, each["value"] or "-", each["origin"]] for name, each in values.items()]
        table(["setting", "value", "from"], rows)
    if missing:
        click.echo(f"Error: {missing}", err=True)
    return ERROR if missing else DONE


@click.command(
    epilog="\b\nExamples:\n  payex-billing completion bash > ~/.local/share/bash-completion/completions/payex-billing\n"
    "  payex-billing completion fish > ~/.config/fish/completions/payex-billing.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that completes commands and options in a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - Click has all three
    root = context.find_root().command
    click.echo(kind(root, {}, "payex-billing", "_PAYEX_BILLING_COMPLETE").source())
