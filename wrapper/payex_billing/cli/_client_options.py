"""The options that select the API and the ledger."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

T = TypeVar("T")


def client_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options that select the API and the ledger. The command gets them as the argument `client`.

    `--rate`, if the command has it, is in `client`, too.
    """

    @click.option("--profile", envvar="PAYEX_PROFILE", help="Settings from profiles.toml [PAYEX_PROFILE].")
    @click.option("--owner-no", help="The ledger number [PAYEX_OWNER_NO].")
    @click.option(
        "--environment", type=click.Choice(["production", "sandbox"]), help="The API to use [PAYEX_ENVIRONMENT]."
    )
    @click.option("--base-url", help="Origin in place of an environment, such as a mock's [PAYEX_BASE_URL].")
    @functools.wraps(command)
    def run(*, profile: str | None, **options: Any) -> T:
        from ._profiles import CLIENT_OPTIONS, with_profile  # noqa: PLC0415 - most commands run without

        given = {name: options.pop(name) for name in CLIENT_OPTIONS}
        try:
            client = with_profile(profile, given)
        except click.ClickException as error:
            if "report_file" in options:
                from ._reporting import end_before_the_command  # noqa: PLC0415 - seldom needed

                end_before_the_command(error, options)
            raise
        rate = options.pop("rate", None)
        if rate is not None:
            client["max_rate"] = rate
        return command(client=client, **options)

    return run
