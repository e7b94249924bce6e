"""Airflow loads the DAG and runs it against a mock of PayEx Billing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from payex_billing.testing import PayexServer

HERE = Path(__file__).parent
RUN = "from payex_billing_dag import charges; print('state:', charges.test().state)"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("airflow")
    airflow(home, "-m", "airflow", "db", "migrate")
    return home


def airflow(home: Path, *arguments: str, **variables: str) -> str:
    own = {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__DAGS_FOLDER": str(HERE), "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=HERE, env=os.environ | own | variables, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run_of_the_dag_writes_the_charges(payex_server: PayexServer, home: Path, tmp_path: Path) -> None:
    table = tmp_path / "charges.csv"
    table.write_text("customer_no,product_code\n1,P01\n2,P02\n")
    said = airflow(home, "-c", RUN, CRM_EXPORT=str(table), XDG_STATE_HOME=str(tmp_path))
    assert "state: success" in said
    assert payex_server.customers() == ["1", "2"]


def test_a_rejected_row_fails_the_task_and_is_not_tried_again(
    payex_server: PayexServer, home: Path, tmp_path: Path
) -> None:
    table = tmp_path / "charges.csv"
    table.write_text("customer_no,product_code,quantity\n1,P01,1\n2,P02,0\n")
    said = airflow(home, "-c", RUN, CRM_EXPORT=str(table), XDG_STATE_HOME=str(tmp_path))
    assert "state: failed" in said
    assert "1 rows rejected" in said
    assert payex_server.customers() == ["1"]
