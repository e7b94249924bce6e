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
    return _run("__main__", arguments)


@contract.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, options_metavar="[OPTIONS]"
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def learn(arguments: tuple[str, ...]) -> int:
    """Find out what an endpoint does where the contract only infers it: --target URL, and --help for the others."""
    return _run("learn.__main__", arguments)


@contract.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, options_metavar="[OPTIONS]"
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def observe(arguments: tuple[str, ...]) -> int:
    """Compare a recording of traffic, a HAR file or shapes, with the contract."""
    return _run("learn.observe", arguments)


def _run(module_of_suite: str, arguments: tuple[str, ...]) -> int:
    """Run a command of the suite, and return its exit code."""
    try:
        for module in _MODULES:
            import_module(module)
        suite = import_module(f"{_SUITE}.{module_of_suite}")
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
