"""systemd accepts the units, and the command of the service does its work."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from payex_billing.testing import PayexServer

HERE = Path(__file__).parent
SYSTEMD = shutil.which("systemd-analyze")
INSTALLED = "/opt/payex-billing/bin/payex-billing"


def service(key: str) -> str:
    """The value of a key that the service has once."""
    lines = (HERE / "payex-billing.service").read_text().splitlines()
    (value,) = [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]
    return value


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    for path in (HERE / "payex-billing.service", HERE / "payex-billing.timer"):
        (tmp_path / path.name).write_text(path.read_text().replace(INSTALLED, sys.executable))
    units = map(str, sorted(tmp_path.iterdir()))
    verified = subprocess.run([str(SYSTEMD), "verify", *units], capture_output=True, text=True, check=False)
    assert (verified.returncode, str(tmp_path) in verified.stderr) == (0, False), verified.stderr


def test_the_command_does_its_work(payex_server: PayexServer, tmp_path: Path) -> None:
    (tmp_path / "charges.csv").write_text("customer_no,product_code\n1,P01\n")
    (tmp_path / "payex-billing").mkdir()
    command = service("ExecStart").replace("/srv/crm", str(tmp_path)).replace("%S", str(tmp_path))
    program, *arguments = shlex.split(command)
    assert program == INSTALLED
    subprocess.run([sys.executable, "-m", "payex_billing", *arguments], check=True)
    assert payex_server.customers() == ["1"]
    assert json.loads((tmp_path / "payex-billing" / "report.json").read_text())["outcome"] == "done"


def test_what_needs_a_person_is_not_started_again() -> None:
    assert service("Restart") == "on-failure"
    assert service("RestartPreventExitStatus").split() == ["3", "4", "64"]
