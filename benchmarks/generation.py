"""How long `make generate` takes, beside the generator alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, ratios, rounds_of

TEXT = (
    "Seconds on the clock. `make generate` validates the contract, makes the client and docs/provenance.md, and puts "
    "the new client into the place of the old one. The goal is 3 seconds."
)
ROOT = Path(__file__).parent.parent
GENERATE = "make generate"
ALONE = "openapi-python-client, its own hooks"
SECONDS = 3.0


def measure() -> list[Row]:
    """The rows of this section."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in ("openapi.yaml", "generator-config.yml"):
            shutil.copy(ROOT / name, copy)
        for name in ("generated_client", "wrapper"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        (copy / "docs").mkdir()
        ours = (sys.executable, str(ROOT / "tools" / "generate.py"), "--root", str(copy))
        alone = (
            *(str(Path(sys.executable).with_name("openapi-python-client")), "generate", "--meta", "none"),
            *("--path", str(copy / "openapi.yaml"), "--output-path", str(copy / "alone"), "--overwrite"),
        )
        found = rounds_of({ALONE: lambda: _seconds(*alone), GENERATE: lambda: _seconds(*ours)})
    alone_row, ours_row, compared = ratios(found, "s", [(GENERATE, ALONE, None)])
    taken = ours_row.median
    return [alone_row, compared, Row(GENERATE, taken, "s", taken / SECONDS, 1.0, f"a limit of {SECONDS:g} s")]


def _seconds(*command: str) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began
