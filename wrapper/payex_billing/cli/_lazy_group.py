"""A group whose commands are loaded when they are asked for, so that `--help` starts as fast as a hello."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the known name that is closest; empty if none is close."""
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


class LazyGroup(click.Group):
    """A group of commands, some in modules that are not loaded yet.

    Args:
        lazy: by name the module of a command, relative to this package, and its line in the help.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, tuple[str, str]], **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, loaded or not."""
        return sorted([*super().list_commands(ctx), *self._lazy])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, loaded now if need be."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module = import_module(self._lazy[cmd_name][0], __package__)
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name gets a suggestion."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing and name[:1].isalnum():
            raise click.UsageError(f"No such command {name!r}.{suggestion(name, self.list_commands(ctx))}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, without loading anything."""
        rows = []
        for name in self.list_commands(ctx):
            loaded = self.commands.get(name)
            rows.append((name, loaded.get_short_help_str(70) if loaded is not None else self._lazy[name][1]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
