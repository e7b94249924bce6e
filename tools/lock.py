"""`make lock`: resolve the requirements to exact, hashed pins for every supported Python, without index addresses.

python tools/lock.py             everything anew
python tools/lock.py attrs ruff  only these packages, and what they need; all other pins stay
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = ["pyproject.toml", "--extra", "all"]
TESTED = [*PROJECT, "--extra", "contract", "--extra", "dask"]  # `all` is what most programs need
HEADER = "# Made by `make lock`; do not edit. Exact pins with hashes.\n"


def main(only: Sequence[str]) -> None:
    """Write requirements/dev.txt, and the others in agreement with it.

    dev.txt comes first: it has every package, so a development tool that needs an older version of a dependency keeps
    its newest release.
    """
    dev = _compile("dev.in", "dev.txt", TESTED, only)
    _compile("run.in", "run.txt", [*PROJECT, "-c", str(dev.relative_to(ROOT))], only)
    _compile("bench.in", "bench.txt", [*PROJECT, "-c", str(dev.relative_to(ROOT))], only)
    # An environment without the project.
    _compile("dist.in", "dist.txt", ["-c", str(dev.relative_to(ROOT))], only)
    # The lowest that pyproject.toml allows of what it names; what these need is the newest that goes with them.
    _compile("lowest.in", "lowest.txt", [*TESTED, "--resolution", "lowest-direct"], only)


def command(source: str, target: str, more: Sequence[str], only: Sequence[str]) -> list[str]:
    """Return the command that resolves one file.

    uv prefers the pins of the file that `--output-file` names, so that only the named packages move.
    """
    upgrade = [f"--upgrade-package={package}" for package in only] or ["--upgrade"]
    return [
        *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--python-version", "3.11", *upgrade),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("--quiet", *more, f"requirements/{source}", "--output-file", f"requirements/{target}"),
    ]


def _compile(source: str, target: str, more: list[str], only: Sequence[str]) -> Path:
    path = ROOT / "requirements" / target
    before = path.read_text(encoding="utf-8")
    try:
        subprocess.run(command(source, target, more, only), cwd=ROOT, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        path.write_text(before, encoding="utf-8")
        sys.exit(f"requirements/{source} cannot be resolved:\n{error.stderr}")
    lines = path.read_text(encoding="utf-8")
    path.write_text(HEADER + lines.removeprefix(HEADER), encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {lines.count('==')} pins")
    return path


if __name__ == "__main__":
    main(sys.argv[1:])
