"""The examples are real programs: each is tested as its users would test it, by pytest in its own folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.support import NIGHTLY, ROOT

PROJECTS = sorted(path.parent for path in (ROOT / "examples").glob("*/test_*.py"))
# Those that need a large package have its requirements.
LARGE = [path for path in PROJECTS if (path / "requirements.txt").exists()]


@pytest.mark.parametrize("project", [path for path in PROJECTS if path not in LARGE], ids=lambda path: path.name)
def test_an_examples_own_tests_pass(project: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", ".", "."],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(not NIGHTLY, reason="minutes, and downloads")
@pytest.mark.parametrize("project", LARGE, ids=lambda path: path.name)
def test_an_examples_own_tests_pass_with_the_package_that_it_is_for(project: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    own = [f"{ROOT}[cli,mock,tables]", "pytest"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))}
    for command in (
        ["-m", "pip", "install", "--quiet", *own],
        ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "."],
    ):
        result = subprocess.run(
            [python, *command], cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=900
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_examples_use_what_is_public() -> None:
    private = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in (ROOT / "examples").rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if "import" in line and "payex_billing._" in line.replace("payex_billing_", "")
    ]
    assert private == []
