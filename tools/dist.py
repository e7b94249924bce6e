"""`make dist`: wheel and sdist in dist/, the same bytes whoever builds them, checked, with a list of what they need.

Built twice, in two folders; the bytes must be the same. Then twine and check-wheel-contents look at them, and a
CycloneDX SBOM of the pinned dependencies is written beside them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"
# When there is no history to ask: the year zip files begin with.
BEGINNING = "315532800"


def main() -> int:
    """Run it; returns 1 when something is wrong."""
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    environment = os.environ | {"SOURCE_DATE_EPOCH": _epoch(), "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        first, second = Path(folder) / "first", Path(folder) / "second"
        for target in (first, second):
            _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), ".", env=environment)
        digests = [_digests(target) for target in (first, second)]
        if digests[0] != digests[1]:
            print(f"two builds differ: {digests[0]} and {digests[1]}", file=sys.stderr)
            return 1
        for file in sorted(first.iterdir()):
            shutil.copy(file, DIST)
    built = sorted(map(str, DIST.iterdir()))
    tools = Path(sys.executable).parent
    _run(str(tools / "twine"), "check", "--strict", *built)
    _run(str(tools / "check-wheel-contents"), *(each for each in built if each.endswith(".whl")))
    sbom = DIST / f"{Path(built[-1]).name.split('-py3')[0].removesuffix('.tar.gz')}.cdx.json"
    number = sbom.name.removeprefix("payex_billing-").removesuffix(".cdx.json")
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        project = Path(folder) / "pyproject.toml"
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        project.write_text(with_version(text, number), encoding="utf-8")
        _run(
            str(tools / "cyclonedx-py"), "requirements", "requirements/run.txt", "--pyproject", str(project),
            "--output-reproducible", "--output-format", "JSON", "--output-file", str(sbom),
        )  # fmt: skip
    if json.loads(sbom.read_text(encoding="utf-8"))["metadata"]["component"].get("version") != number:
        print(f"{sbom.name} does not name the version {number}", file=sys.stderr)
        return 1
    for name, digest in digests[0].items():
        print(f"dist/{name}  sha256 {digest}")
    print(f"dist/{sbom.name}")
    return 0


def with_version(pyproject: str, number: str) -> str:
    """Return pyproject.toml with a version. cyclonedx-py takes it from this file only, and ours is dynamic."""
    return re.sub(r"^dynamic = .*$", f'version = "{number}"', pyproject, flags=re.MULTILINE)


def _epoch() -> str:
    """When the last commit was made: what files in the archives are dated."""
    asked = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() or BEGINNING


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(folder.iterdir())}


def _run(*command: str, env: dict[str, str] | None = None) -> None:
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    sys.exit(main())
