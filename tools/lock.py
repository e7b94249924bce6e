"""`make lock`: resolve the requirements to exact, hashed pins for every supported Python, without index addresses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = ["pyproject.toml", "--extra", "all"]
TESTED = [*PROJECT, "--extra", "contract", "--extra", "dask"]  # `all` is what most programs need
HEADER = "# Made by `make lock`; do not edit. Exact pins with hashes.\n"


def main() -> None:
    """Write requirements/dev.txt, and the others in agreement with it.

    dev.txt comes first: it has every package, so a development tool that needs an older version of a dependency keeps
    its newest release.
    """
    dev = _compile("dev.in", "dev.txt", TESTED)
    _compile("run.in", "run.txt", [*PROJECT, "-c", str(dev.relative_to(ROOT))])
    _compile("bench.in", "bench.txt", [*PROJECT, "-c", str(dev.relative_to(ROOT))])
    # An environment without the project.
    _compile("dist.in", "dist.txt", ["-c", str(dev.relative_to(ROOT))])
    # The lowest that pyproject.toml allows of what it names; what these need is the newest that goes with them.
    _compile("lowest.in", "lowest.txt", [*TESTED, "--resolution", "lowest-direct"])


def _compile(source: str, target: str, more: list[str]) -> Path:
    path = ROOT / "requirements" / target
    command = [
        *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", "--upgrade"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("--quiet", *more, f"requirements/{source}"),
    ]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    path.write_text(HEADER + lines, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {lines.count('==')} pins")
    return path


if __name__ == "__main__":
    main()
