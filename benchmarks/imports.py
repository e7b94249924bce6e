"""What `import payex_billing` costs, beside `import httpx2` and `import stripe`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial

from benchmarks.measure import Row, side_by_side

TEXT = (
    "CPU of a fresh process that imports the package and ends, less that of one that imports nothing; medians of 25 "
    "processes each. A name of `payex_billing` is loaded when it is first used; `Billing` brings the HTTP library."
)
PROCESSES = 25


def measure() -> list[Row]:
    """The rows of this section."""
    statements = ["import httpx2", "import payex_billing", "from payex_billing import Billing", "import stripe"]
    for statement in statements:
        _cpu(statement)  # Python keeps the bytecode, as an installation does
    subjects = {statement: partial(_more_than_nothing, statement) for statement in statements}
    goals = {"import payex_billing": 0.3}
    return side_by_side(subjects, "ms", goals, base="import httpx2", rounds=PROCESSES)


def _more_than_nothing(statement: str) -> float:
    return (_cpu(statement) - _cpu("pass")) * 1_000


def _cpu(code: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
