"""What an installation takes on disk: the wheel itself, and what it needs, apart."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import distribution, requires
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.measure import Row

ROOT = Path(__file__).parent.parent
TEXT = (
    "Files on disk, in MB of 10⁶ bytes, without the bytecode that Python writes later. The first row is what "
    "`pip install --no-deps payex-billing` brings: the client, the commands, the mock and the contract suite. For each "
    "extra: the packages that it needs beside these dependencies, in the versions that this page was measured with."
)
LIMIT = 3.0
EXTRAS = ("cli", "tables", "mock", "fast", "otel", "postgres", "contract")


def measure() -> list[Row]:
    """The rows of this section."""
    wheel, installed = _own()
    base = _needed("payex-billing", "")
    rows = [
        Row("the wheel, as it is downloaded", wheel, "MB", 1.0),
        Row("its dependencies", _size(base), "MB", 1.0),
    ]
    for extra in EXTRAS:
        more = _needed("payex-billing", extra) - base
        rows.append(Row(f"packages that [{extra}] adds", _size(more), "MB", 1.0))
    limit = f"a limit of {LIMIT:g} MB"
    return [Row("payex-billing without dependencies", installed, "MB", installed / LIMIT, 1.0, limit), *rows]


def _own() -> tuple[float, float]:
    """The size of the wheel, and of what pip makes of it."""
    with tempfile.TemporaryDirectory() as folder:
        built, target = Path(folder) / "built", Path(folder) / "installed"
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT))
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        wheel = next(built.glob("*.whl"))
        install = (sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile")
        subprocess.run((*install, "--no-deps", "--target", str(target), str(wheel)), check=True)
        files = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
        return wheel.stat().st_size / 1e6, files / 1e6


def _needed(name: str, extra: str) -> set[str]:
    """The names of all packages that an installation brings, without its own."""
    found: set[str] = set()
    waiting = list(_wanted(name, {extra}))
    while waiting:
        package, extras = waiting.pop()
        if package not in found:
            found.add(package)
            waiting += _wanted(package, extras)
    return found - {_normal(name)}


def _wanted(name: str, extras: set[str]) -> Iterator[tuple[str, set[str]]]:
    for line in requires(name) or []:
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
            yield _normal(requirement.name), requirement.extras


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _size(names: set[str]) -> float:
    sizes = (
        Path(str(file.locate())).stat().st_size
        for name in names
        for file in distribution(name).files or []
        if file.suffix != ".pyc" and Path(str(file.locate())).is_file()
    )
    return sum(sizes) / 1e6
