"""What `import payex_billing` costs, beside `import httpx` and `import stripe`."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.measure import Row, side_by_side

TEXT = "CPU of a process that imports the package and ends, less that of one that imports nothing."
REPEATS = 3


def measure() -> list[Row]:
    """The rows of this section."""
    nothing = min(_cpu("pass") for _ in range(5))

    def importing(name: str) -> float:
        return (min(_cpu(f"import {name}") for _ in range(REPEATS)) - nothing) * 1_000

    subjects = {f"import {name}": lambda name=name: importing(name) for name in ("httpx", "payex_billing", "stripe")}
    return side_by_side(subjects, "ms", {}, base="import httpx")


def _cpu(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
