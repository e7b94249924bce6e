"""The command `payex-billing`. Needs the extra `payex-billing[cli]`."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the command; returns the exit code."""
    _open_what_is_closed()
    interrupts: list[bool] = []
    try:
        from ._signals import signals  # noqa: PLC0415 - before the other modules are loaded

        signals.install()
        with signals.handled_by(lambda: interrupts.append(True), then_ignored=False):
            from ._commands import run  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        print("payex-billing needs an extra: pip install 'payex-billing[cli]'", file=sys.stderr)
        return 1
    try:
        return run(is_interrupted=bool(interrupts))
    finally:
        signals.ignore()


def _open_what_is_closed() -> None:
    """Open each standard stream that the caller closed. Otherwise the next file would be opened in its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - pathlib loads slowly; open until the end
