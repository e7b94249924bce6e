"""`make release-check`: check that the version, the tag, the changelog and the public API go together.

python tools/release_check.py         before the tag
python tools/release_check.py v0.2.0  this is the tag
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; returns 1 if something is."""
    found = list(problems(ROOT, arguments[0] if arguments else None))
    from tools import api_diff  # noqa: PLC0415 - after the path is set

    before = api_diff.latest_tag()
    if before and before != f"v{version(ROOT)}":
        found += breaks(before, version(ROOT), api_diff.changes(before))
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{version(ROOT)} can be released.")
    return 1 if found else 0


def version(root: Path) -> str:
    """Return the version of the package."""
    text = (root / "wrapper" / "payex_billing" / "_version.py").read_text(encoding="utf-8")
    return text.rpartition("__version__ = ")[2].strip().strip('"')


def problems(root: Path, tag: str | None) -> Iterator[str]:
    """Yield what is wrong with the version, the tag, the changelog and the metadata."""
    number = version(root)
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", number):
        yield f"_version.py: {number!r} is not a version such as 0.2.0"
    if tag is not None and tag != f"v{number}":
        yield f"the tag {tag} is not v{number}, the version of wrapper/payex_billing/_version.py"
    heading = re.search(r"^## (.+)$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if heading is None or not re.fullmatch(rf"{re.escape(number)} – \d{{4}}-\d\d-\d\d", heading[1]):
        yield f"CHANGELOG.md: the first heading must be ## {number} – yyyy-mm-dd"
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if "version" in project:
        yield "pyproject.toml: has a version of its own; the version is in _version.py only"
    if not {"Repository", "Changelog"} <= project.get("urls", {}).keys():
        yield "pyproject.toml: [project.urls] must name Repository and Changelog, in the public repository"


def breaks(before: str, now: str, changes: Sequence[str]) -> Iterator[str]:
    """Yield the changes that can break a program, if the version does not allow them."""
    old, new = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (before, now))
    digits = 2 if old[0] == 0 else 1
    if new[:digits] == old[:digits]:
        yield from (f"{change}: needs a new {'second' if digits == 2 else 'first'} number" for change in changes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
