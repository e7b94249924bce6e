"""`make api-diff`: what has changed in the public API since a release.

    python tools/api_diff.py         since the latest tag
    python tools/api_diff.py v0.1.0  since this tag, or this commit

Prints a line for each change that can break a program, and ends with 1 if there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import griffe

ROOT = Path(__file__).parent.parent
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
# Each public package, and the folder it is in.
PACKAGES = {"payex_billing": "wrapper", "payex_billing_mock": "mock_server"}
SUBPACKAGES = ("reconcile", "testing")


def main(arguments: Sequence[str]) -> int:
    """Compare the checkout with a release; returns 1 if a program can break, 2 if there is nothing to compare with."""
    against = arguments[0] if arguments else latest_tag()
    if not against:
        print("There is no release to compare with: no tag such as v0.1.0. Name a commit: make api-diff AGAINST=…")
        return 2
    found = changes(against)
    for change in found:
        print(change)
    what = "1 change" if len(found) == 1 else f"{len(found)} changes"
    print(f"{what} since {against} that can break a program." if found else f"No breaking change since {against}.")
    return 1 if found else 0


def latest_tag() -> str:
    """Return the latest tag of a version; empty if there is none."""
    command = ("git", "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*")
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip()


def changes(against: str) -> list[str]:
    """Return the changes of the public API since a commit that can break a program."""
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        archive = subprocess.run(
            ("git", "archive", against, "--", *PACKAGES.values()), cwd=ROOT, capture_output=True, check=False
        )
        if archive.returncode:
            sys.exit(f"{against}: {archive.stderr.decode().strip()}")
        subprocess.run(("tar", "-x", "-C", folder), input=archive.stdout, check=True)
        return sorted(
            change
            for package, room in PACKAGES.items()
            for change in between(package, Path(folder) / room, ROOT / room)
        )


def between(package: str, before: Path, after: Path) -> list[str]:
    """Return the changes of the public names of a package between two folders."""
    old, new = (griffe.load(package, search_paths=[folder], allow_inspection=False) for folder in (before, after))
    assert isinstance(old, griffe.Module)
    assert isinstance(new, griffe.Module)
    public = set(_public(old))
    return sorted(
        f"{package}: {_COLORS.sub('', change.explain(griffe.ExplanationStyle.ONE_LINE)).partition(': ')[2]}"
        for change in griffe.find_breaking_changes(old, new)
        if _is_of(change.obj, public)
    )


def _public(package: griffe.Module) -> Iterator[str]:
    """Yield the paths of what users import from a package and from its public packages."""
    for module in (package, *(package[name] for name in SUBPACKAGES if name in package.members)):
        yield from (f"{module.path}.{name}" for name in _names(module))
        for name in _names(module):
            with suppress(griffe.AliasResolutionError, griffe.CyclicAliasError):
                yield module[name].canonical_path


def _names(module: griffe.Object | griffe.Alias) -> list[str]:
    """Return the names of `__all__`; where it is computed, the names without an underscore that are no modules."""
    exports = [name for name in module.exports or () if isinstance(name, str)]
    found = exports or [
        name for name, member in module.members.items() if not name.startswith("_") and not _is_module(member)
    ]
    return [name for name in found if name in module.members]


def _is_module(member: griffe.Object | griffe.Alias) -> bool:
    try:
        return member.is_module
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return False


def _is_of(changed: griffe.Object | griffe.Alias, public: Collection[str]) -> bool:
    """Whether a changed object is a public one, or a part of one."""
    paths = {changed.path}
    with suppress(griffe.AliasResolutionError, griffe.CyclicAliasError):
        paths.add(changed.canonical_path)
    return any(path == name or path.startswith(f"{name}.") for path in paths for name in public)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
