"""`python -m benchmarks.one_by_one CLIENT URL N`: so many calls of one client, which `instructions` counts."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from benchmarks.calls import subjects


def main(name: str, url: str, calls: int) -> None:
    """Make the calls."""
    with ExitStack() as stack:
        call = subjects(url, stack, only=name)[name]
        for _ in range(calls):
            call()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
