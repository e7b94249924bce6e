"""`make wheel-test`: what is built must work where nothing else is.

Builds the wheel, installs it into empty environments outside the checkout, and runs the demo with it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
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
    print("wheel: imports, and passes the demo, in an empty environment")


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


def _environment(path: Path, pins: Path, wheel: Path) -> str:
    _run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(path))
    python = str(path / "bin" / "python")
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python)
    _run(*install, "--require-hashes", "--requirement", str(pins))
    _run(*install, "--no-deps", str(wheel))
    return python


def _run(*command: str, cwd: Path = ROOT) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{result.stdout}{result.stderr}")
    return result.stdout


if __name__ == "__main__":
    main()
