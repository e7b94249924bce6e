"""User-space instructions of one typed GET, counted by callgrind: the same on a busy machine as on a quiet one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

from benchmarks.calls import BARE, FAST, SLOW, STOCK, STRIPE
from benchmarks.measure import Row
from benchmarks.server import serving

TEXT = (
    "User-space instructions of the calling process for one typed GET, counted by callgrind as the difference between "
    "300 calls and 100, so that starting is not in it."
)
FEW, MANY = 100, 300
GOAL = 250_000


def available() -> bool:
    """Whether callgrind is installed."""
    return shutil.which("valgrind") is not None


def per_call(name: str, url: str) -> float:
    """Instructions of one call."""
    return (_counted(name, url, MANY) - _counted(name, url, FEW)) / (MANY - FEW)


def _counted(name: str, url: str, calls: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable]
    command += ["-m", "benchmarks.one_by_one", name, url, str(calls)]
    environment = os.environ | {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore"}
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stderr
    found = re.search(r"Collected : (\d+)", said)
    if found is None:
        raise RuntimeError(said[-500:])
    return int(found[1])


def measure() -> list[Row]:
    """The rows of this section; none without callgrind."""
    if not available():
        return []
    with serving() as url:
        counted = {name: per_call(name, url) for name in (BARE, FAST, SLOW, STOCK, STRIPE)}
    rows = [Row(name, value / 1000, "thousand", 1.0) for name, value in counted.items()]
    rows += [
        Row(name, counted[name] / 1000, "thousand", counted[name] / counted[STOCK], base=STOCK) for name in (FAST, SLOW)
    ]
    rows.append(Row(FAST, counted[FAST] / 1000, "thousand", counted[FAST] / GOAL, 1.0, "a limit of 250 thousand"))
    return rows
