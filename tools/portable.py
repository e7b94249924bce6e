"""`make portable`: tests that need nothing of one system only, on the built wheel. For CI on macOS and Windows.

Needs Python and nothing else: make is not on every Windows.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = (
    "test_policy", "test_pace", "test_operations", "test_problems", "test_headers", "test_values", "test_config",
    "test_dicts", "test_reconcile_match", "test_reconcile_progress", "test_undo_steps", "test_guards", "test_client",
    "test_mock", "test_signals", "test_other_systems", "test_doctor", "test_cli_advice",
)  # fmt: skip


def main() -> int:
    """Install the wheel, and run the tests; returns their exit code."""
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        environment = Path(folder) / "environment"
        venv.create(environment, with_pip=True)
        python = str(environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        install = (python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
        for pins in ("run.txt", "dev.txt"):
            subprocess.run((*install, "--require-hashes", "-r", f"requirements/{pins}"), cwd=ROOT, check=True)
        subprocess.run((*install, "--no-deps", "--no-build-isolation", "."), cwd=ROOT, check=True)
        tests = (f"tests/{name}.py" for name in TESTS)
        command = (python, "-m", "pytest", "--quiet", "--numprocesses", "2", *tests)
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
