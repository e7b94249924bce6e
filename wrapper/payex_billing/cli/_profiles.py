"""Profiles: the settings of several ledgers in one TOML file, without tokens."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..config import SECRETS, VARIABLES
from ._lazy_group import suggestion

CLIENT_OPTIONS = ("owner_no", "environment", "base_url")
_ADDRESS = ("environment", "base_url")
_NAMES = frozenset(VARIABLES) - set(SECRETS) | {"token_command"}
_SECONDS = 30.0  # for a command that prints a token


def file_of_profiles() -> Path:
    """Return the file: `$XDG_CONFIG_HOME/payex-billing/profiles.toml`, on Windows in `%APPDATA%`."""
    base = os.environ.get("APPDATA") if os.name == "nt" else os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "payex-billing" / "profiles.toml"


def with_profile(name: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a client: the options, then the profile. Environment variables come after both.

    Raises:
        ClickException: there is no such profile, or it is not valid.
    """
    if name is None:
        return dict(options)
    given = {option: value for option, value in options.items() if value is not None}
    profile = _read(name)
    if any(option in given for option in _ADDRESS):
        profile = {setting: value for setting, value in profile.items() if setting not in _ADDRESS}
    return dict(options) | profile | given


def _read(name: str) -> dict[str, Any]:
    path = file_of_profiles()
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise click.ClickException(
            f"{path}: the profile {name!r} cannot be read: {error.strerror or error}. Write the profile into this "
            "file: docs/howto/settings.md has an example"
        ) from None
    except ValueError as error:
        raise click.ClickException(f"{path}: is not a TOML file: {error}") from None
    profile = profiles.get(name)
    if not isinstance(profile, dict):
        known = ", ".join(profiles) or "none"
        raise click.ClickException(
            f"{path}: there is no profile {name!r}.{suggestion(name, profiles)} Profiles: {known}"
        )
    return _checked(profile, f"{path}: profile {name!r}")


def _checked(profile: dict[str, Any], where: str) -> dict[str, Any]:
    for setting in profile:
        if setting in SECRETS:
            raise click.ClickException(
                f"{where}: {setting} must not be in the file. Use token_file or token_command for a token, and an "
                "environment variable for any other secret"
            )
        if setting not in _NAMES:
            raise click.ClickException(f"{where}: there is no setting {setting!r}.{suggestion(setting, _NAMES)}")
    # With these from elsewhere, a profile of the sandbox could write to production.
    if "owner_no" not in profile or not any(setting in profile for setting in _ADDRESS):
        raise click.ClickException(f"{where}: must have owner_no, and environment or base_url")
    values = dict(profile)
    command = values.pop("token_command", None)
    if command is not None:
        if not (isinstance(command, list) and command and all(isinstance(word, str) for word in command)):
            raise click.ClickException(f'{where}: token_command must be a list of words, such as ["pass", "payex"]')
        values["token"] = _token_of(command, where)
    return values


def _token_of(command: list[str], where: str) -> Callable[[], str]:
    def token() -> str:
        try:
            printed = subprocess.run(  # noqa: S603 - the command is the user's own
                command, stdout=subprocess.PIPE, text=True, check=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise click.ClickException(f"{where}: token_command {command[0]!r} failed: {reason}") from None
        return printed.stdout.strip()

    return token
