"""Add the options of the suite, and record the results that the reports need."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import requests

from contract_tests import support
from contract_tests.coverage import COVERAGE
from contract_tests.report import Recorder

RECORDER = pytest.StashKey[Recorder]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", help="the base URL of a real endpoint; only its own tests run then")
    parser.addoption("--planted", help="a fault of contract_tests/faults that the mock in process has")


def pytest_configure(config: pytest.Config) -> None:
    support.PLANTED = config.getoption("--planted")  # set before the test modules make their mocks
    if os.environ.get("CONTRACT_PARTS"):
        recorder = config.stash[RECORDER] = Recorder()
        COVERAGE.on_exchange = recorder.saw


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    target = config.getoption("--target")
    endpoint = [item for item in items if item.path.name == "test_endpoint.py"]
    unwanted = [item for item in items if item not in endpoint] if target else endpoint
    config.hook.pytest_deselected(items=unwanted)
    items[:] = [item for item in items if item not in unwanted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    recorder = item.config.stash.get(RECORDER, None)
    if recorder is not None and (report.when == "call" or report.outcome != "passed"):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else _reason(report)
        recorder.tests.append({"name": item.nodeid.rpartition("/")[2], "outcome": report.outcome, "text": text})
    return report


def _reason(report: pytest.TestReport) -> str:
    """Return the last message of a failure, without its stack frames."""
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(getattr(crash, "message", None) or report.longreprtext)


def pytest_sessionfinish(session: pytest.Session) -> None:
    recorder = session.config.stash.get(RECORDER, None)
    if recorder is not None:
        recorder.write(Path(os.environ["CONTRACT_PARTS"]))


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Return a session that connects to a mock on this machine without a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
