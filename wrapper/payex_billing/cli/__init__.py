"""The command `payex-billing`. Needs the extra `payex-billing[cli]`."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command; returns the exit code."""
    try:
        from ._signals import signals  # noqa: PLC0415 - before the other modules are loaded

        signals.install()
        from ._commands import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("payex-billing needs an extra: pip install 'payex-billing[cli]'", file=sys.stderr)
        return 1
    return run()
