"""The manifest says what it must say, and its command does its work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from payex_billing.testing import PayexServer

MANIFEST = Path(__file__).with_name("payex-billing.yaml")


@pytest.fixture
def job() -> dict[str, Any]:
    cron_job, _ = yaml.safe_load_all(MANIFEST.read_text())
    assert (cron_job["apiVersion"], cron_job["kind"]) == ("batch/v1", "CronJob")
    assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
    return cron_job["spec"]["jobTemplate"]["spec"]


@pytest.fixture
def container(job: dict[str, Any]) -> dict[str, Any]:
    (container,) = job["template"]["spec"]["containers"]
    return container


def test_the_command_does_its_work(payex_server: PayexServer, container: dict[str, Any], tmp_path: Path) -> None:
    for folder in ("crm", "state"):
        (tmp_path / folder).mkdir()
    (tmp_path / "crm" / "charges.csv").write_text("customer_no,product_code\n1,P01\n")
    program, *arguments = container["command"]
    assert program == "payex-billing"
    arguments = [str(tmp_path) + each if each.startswith("/") else each for each in arguments]
    subprocess.run([sys.executable, "-m", "payex_billing", *arguments], check=True)
    assert payex_server.customers() == ["1"]
    assert json.loads((tmp_path / "state" / "report.json").read_text())["outcome"] == "done"


def test_what_needs_a_person_is_not_tried_again(job: dict[str, Any], container: dict[str, Any]) -> None:
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # or podFailurePolicy does not count
    rule = job["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"] == {"containerName": container["name"], "operator": "In", "values": [3, 4, 64]}


def test_every_path_is_on_a_volume_that_is_there(job: dict[str, Any], container: dict[str, Any]) -> None:
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in job["template"]["spec"]["volumes"]}
    assert {mount["name"] for mount in mounts.values()} == volumes.keys()
    paths = [each for each in container["command"] if each.startswith("/")]
    paths += [each["value"] for each in container["env"] if each["value"].startswith("/")]
    assert all(f"/{path.split('/')[1]}" in mounts for path in paths)
    assert "persistentVolumeClaim" in volumes[mounts["/state"]["name"]]
    assert not mounts["/state"].get("readOnly")
