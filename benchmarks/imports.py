"""What `import payex_billing` costs, beside `import httpx2` and `import stripe`."""

from __future__ import annotations

import resource
import subprocess
import sys

from benchmarks.measure import Row, side_by_side

TEXT = (
    "CPU of a process that imports the package and ends, less that of one that imports nothing. A name of "
    "`payex_billing` is loaded when it is first used; `Billing` brings the HTTP library."
)
REPEATS = 3


def measure() -> list[Row]:
    """The rows of this section."""
    nothing = min(_cpu("pass") for _ in range(5))

    def importing(statement: str) -> float:
        return (min(_cpu(statement) for _ in range(REPEATS)) - nothing) * 1_000

    statements = ["import httpx2", "import payex_billing", "from payex_billing import Billing", "import stripe"]
    subjects = {statement: lambda statement=statement: importing(statement) for statement in statements}
    return side_by_side(subjects, "ms", {"import payex_billing": 0.3}, base="import httpx2")


def _cpu(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
