"""The command `contract`: hold an endpoint against the contract."""

from __future__ import annotations

from importlib import import_module

import click

# Modules of the extra that the suite imports first, and the suite itself, which only the wheel has under this name.
_MODULES = ("hypothesis", "jsonschema", "pytest", "requests", "schemathesis", "yaml")
_SUITE = "payex_billing_contract"


@click.group()
def contract() -> None:
    """Test an endpoint against the contract."""


@contract.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, options_metavar="[OPTIONS]"
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def test(arguments: tuple[str, ...]) -> int:
    """Run the contract suite on an endpoint: --target URL, and --help for the other options."""
    try:
        for module in _MODULES:
            import_module(module)
        suite = import_module(f"{_SUITE}.__main__")
    except ModuleNotFoundError as error:
        if error.name == _SUITE:
            raise click.ClickException("only the wheel has this command; in a checkout, use make contract") from None
        if error.name not in _MODULES:
            raise
        raise click.ClickException("the contract suite needs an extra: pip install 'payex-billing[contract]'") from None
    try:
        return int(suite.main(arguments))  # the suite knows nothing of this package, so its options are its own
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
