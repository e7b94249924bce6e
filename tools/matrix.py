"""`make matrix`: the tests on the built wheel, not the checkout, under each Python and with the lowest dependencies.

    python tools/matrix.py              all of them
    python tools/matrix.py 3.12 lowest  some

A Python that is not installed is said and left out; without any of those asked for it fails.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
LOWEST = "lowest"
# What needs the checkout itself: its layout, its generated files, its history, or the pins that `lowest` undercuts.
NOT_THE_WHEEL = (
    "tests/test_generate.py", "tests/test_public_surface.py", "tests/test_cost.py", "tests/test_site.py",
    "tests/test_docs.py", "tests/test_packaging.py", "tests/test_change_cost.py", "tests/test_corrected_contract.py",
)  # fmt: skip
OF_THE_CHECKOUT = (
    "tests/test_contract_command.py::test_a_contract_that_cannot_be_read_is_a_sentence",  # breaks it for the others
    "tests/test_contract_command.py::test_the_command_of_the_wheel_points_to_make_in_a_checkout",
)
# What needs the pinned versions: screens with a usage line, which is click's; a clock that replaces `datetime`, with
# which an old library crashes; a removed folder, in which an old library of httpx2 cannot be imported.
OF_THE_PINS = (
    *(
        f"tests/test_cli_screens.py::test_the_screen_is_the_one_that_was_reviewed[{screen}-{size}]"
        for screen in ("help", "misspelled", "mock_misspelled")
        for size in ("80x24", "120x40")
    ),
    "tests/chaos/test_apply_files.py::test_a_clock_that_was_ahead_at_the_crash_makes_no_hour_of_silence",
    "tests/chaos/test_api_settings.py::test_a_client_can_be_made_in_a_folder_that_is_gone",
)


def main(wanted: Sequence[str]) -> int:
    """Run the tests for each; returns 1 when one fails."""
    uv = str(Path(sys.executable).with_name("uv"))
    failed, done = [], 0
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        work = Path(folder)
        work.chmod(0o755)  # PostgreSQL is started as another user, and must be found there
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), ".")
        wheel = next(work.glob("*.whl"))
        for name in wanted or (*PYTHONS, LOWEST):
            version = PYTHONS[0] if name == LOWEST else name
            if _python(uv, version) is None:
                print(f"{name}: Python {version} is not installed, so it is left out")
                continue
            checkout = _checkout(work / f"checkout-{name}")
            python = _environment(uv, work / name, version, wheel, lowest=name == LOWEST)
            tests = [
                "tests",
                *(f"--ignore={each}" for each in NOT_THE_WHEEL),
                *(f"--deselect={each}" for each in OF_THE_CHECKOUT + (OF_THE_PINS if name == LOWEST else ())),
            ]
            command = [python, "-m", "pytest", "--quiet", "--numprocesses", "2", "--hypothesis-seed=20260101", *tests]
            environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
            result = subprocess.run(command, cwd=checkout, env=environment, check=False)
            done += 1
            print(f"{name}: {'passed' if result.returncode == 0 else 'failed'}", flush=True)
            if result.returncode:
                failed.append(name)
    return 1 if failed or not done else 0


def _python(uv: str, version: str) -> str | None:
    found = subprocess.run([uv, "python", "find", version], capture_output=True, text=True, check=False)
    return found.stdout.strip() or None


def _checkout(target: Path) -> Path:
    """The tests and what they read, without the packages: those must come from the wheel."""
    left_out = shutil.ignore_patterns(".venv*", ".git", "build", "dist", "*_cache", "__pycache__", ".hypothesis")
    shutil.copytree(ROOT, target, ignore=left_out)
    shutil.rmtree(target / "generated_client")
    for package in ("payex_billing", "payex_billing_mock"):
        for parent in ("wrapper", "mock_server"):
            shutil.rmtree(target / parent / package, ignore_errors=True)
    return target


def _environment(uv: str, path: Path, version: str, wheel: Path, *, lowest: bool) -> str:
    _run(uv, "venv", "--quiet", "--python", version, str(path))
    python = str(path / "bin" / "python")
    install = (uv, "pip", "install", "--quiet", "--python", python, "--require-hashes")
    for pins in ("run.txt", "dev.txt"):
        _run(*install, "--requirement", f"requirements/{pins}")
    if lowest:
        _run(*install, "--no-deps", "--requirement", "requirements/lowest.txt")
    _run(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", str(wheel))
    return python


def _run(*command: str) -> None:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
