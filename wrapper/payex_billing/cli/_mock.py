"""`payex-billing mock`: the command of the mock, which is the same as `python -m payex_billing_mock`."""

from __future__ import annotations

import click

_MODULES = {"granian", "h11", "jsonschema_rs", "yaml"}  # of the extra


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
def _without_the_extra(arguments: tuple[str, ...]) -> int:
    """Serve the mock. Needs an extra: pip install 'payex-billing[mock]'."""
    raise click.ClickException("the mock needs an extra: pip install 'payex-billing[mock]'")


mock: click.Command
try:
    from payex_billing_mock.__main__ import mock
except ModuleNotFoundError as error:
    if error.name not in _MODULES:
        raise
    mock = _without_the_extra
