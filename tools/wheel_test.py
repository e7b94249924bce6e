"""`make wheel-test`: what is built must work where nothing else is.

Builds the wheel, installs it into empty environments elsewhere, and runs the demo and the contract suite there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run it; any failure ends with an error."""
    with tempfile.TemporaryDirectory(prefix="payex-billing-") as folder:
        work = Path(folder)
        # uv makes environments in a moment; what is installed into them are the pins of requirements/.
        _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(ROOT))
        wheel = next(work.glob("*.whl"))
        _bare(work, wheel)
        _full(work, wheel)
        _contract(work, wheel)
    print("wheel: imports, passes the demo, and tests a mock against the contract, in empty environments")


def _bare(work: Path, wheel: Path) -> None:
    """Only what the client needs: it works, the commands say what is missing."""
    pins = work / "bare.txt"
    wanted = ("anyio", "attrs", "h11", "httpcore2", "httpx2", "idna", "msgspec", "truststore", "typing-extensions")
    blocks = re.split(r"\n(?=\S)", (ROOT / "requirements" / "run.txt").read_text(encoding="utf-8"))
    pins.write_text("\n".join(block for block in blocks if block.startswith(wanted)), encoding="utf-8")
    python = _environment(work / "bare", pins, wheel)
    where = _run(python, "-c", "import payex_billing, payex_billing_client; print(payex_billing.__file__)", cwd=work)
    assert str(work) in where, where
    _run(python, "-c", "import payex_billing as p; p.Billing(token='t', owner_no='1').close()", cwd=work)
    for module, extra in (("payex_billing", "cli"), ("payex_billing_mock", "mock")):
        result = subprocess.run([python, "-m", module], cwd=work, capture_output=True, text=True, check=False)
        assert result.returncode == 1, result
        assert f"pip install 'payex-billing[{extra}]'" in result.stderr, result.stderr


def _full(work: Path, wheel: Path) -> None:
    """With all extras: the command, and the demo."""
    python = _environment(work / "full", ROOT / "requirements" / "run.txt", wheel)
    for name in ("demo.py", "charges.csv"):
        shutil.copy(ROOT / "examples" / name, work)
    _run(str(Path(python).with_name("payex-billing")), "version", cwd=work)
    shown = _run(python, "demo.py", "charges.csv", cwd=work)
    assert "holds exactly what the file says" in shown, shown
    command = (python, "-m", "payex_billing", "contract", "test")
    result = subprocess.run(command, cwd=work, env=_without_path(), capture_output=True, text=True, check=False)
    assert (result.returncode, "pip install 'payex-billing[contract]'" in result.stderr) == (1, True), result


def _contract(work: Path, wheel: Path) -> None:
    """With the extra `contract`: the reads of the contract, tried on a mock, beside another test suite's files."""
    python = work / "contract" / "bin" / "python"
    _run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(work / "contract"))
    # The pins are bounds here, so that what the extra does not name is missing.
    pins = ("--constraint", str(ROOT / "requirements" / "dev.txt"))
    wanted = f"payex-billing[contract,mock] @ {wheel.as_uri()}"
    _run(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), *pins, wanted)
    other = work / "other"
    (other / "contract_tests").mkdir(parents=True)
    (other / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n", encoding="utf-8")
    for name in ("conftest.py", "contract_tests/__init__.py", "contract_tests/conftest.py"):
        (other / name).write_text("raise RuntimeError('a file of another test suite was loaded')\n", encoding="utf-8")
    command = str(python.with_name("payex-billing"))
    with subprocess.Popen(
        (command, "mock", "--port", "0"), cwd=other, env=_without_path(), stdout=subprocess.PIPE, text=True
    ) as mock:
        try:
            assert mock.stdout is not None
            url = next(each for each in mock.stdout.readline().split() if each.startswith("http"))
            own = {"PAYEX_TOKEN": "token-1234", "PAYEX_OWNER_NO": "1234", "CONTRACT_EXAMPLES": "2"}
            options = ("--target", url, "--rate", "1000")
            shown = _run(command, "contract", "test", *options, cwd=other, environment=own)
            plan = _run(command, "contract", "learn", "--target", url, "--dry-run", cwd=other, environment=own)
            assert "at most 150 requests" in plan, plan
        finally:
            mock.kill()
    assert "10 passed" in shown, shown


def _environment(path: Path, pins: Path, wheel: Path) -> str:
    _run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(path))
    python = str(path / "bin" / "python")
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    _run(*install, "--require-hashes", "--requirement", str(pins))
    _run(*install, "--no-deps", str(wheel))
    return python


def _without_path() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _run(*command: str, cwd: Path = ROOT, environment: Mapping[str, str] | None = None) -> str:
    own = {**_without_path(), **(environment or {})}
    result = subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
