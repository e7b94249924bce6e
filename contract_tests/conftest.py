"""Add the options of the suite, and record the results that the reports need."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from . import support
from .coverage import COVERAGE
from .exchange import Exchange
from .explain import explain
from .learned import Learner
from .report import Recorder

RECORDER = pytest.StashKey[Recorder]()
# The last exchanges of the current test.
EXCHANGES: deque[Exchange] = deque(maxlen=300)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", help="the base URL of a real endpoint; only its own tests run then")
    parser.addoption("--planted", help="a fault of contract_tests/faults that the mock in process has")


def pytest_configure(config: pytest.Config) -> None:
    support.PLANTED = config.getoption("--planted")  # set before the test modules make their mocks
    COVERAGE.on_exchange = EXCHANGES.append
    if os.environ.get("CONTRACT_PARTS"):
        recorder = config.stash[RECORDER] = _recorder(is_real=bool(config.getoption("--target")))

        def saw(exchange: Exchange) -> None:
            EXCHANGES.append(exchange)
            recorder.saw(exchange)

        COVERAGE.on_exchange = saw


def _recorder(*, is_real: bool) -> Recorder:
    """Return the recorder of a run. Only a real endpoint is asked about what it changes."""
    return Recorder(keeps_all=is_real, learner=Learner() if is_real else None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    EXCHANGES.clear()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """On a real endpoint, put the explanation of a failure in place of the lines of the suite's code."""
    try:
        return (yield)
    except (pytest.skip.Exception, pytest.fail.Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        if not pyfuncitem.config.getoption("--target"):
            raise
        probe: Any = pyfuncitem.callspec.params.get("probe") if hasattr(pyfuncitem, "callspec") else None
        name, promise = (probe.name, probe.promise) if probe else (pyfuncitem.name, "")
        text = explain(error, list(EXCHANGES), name, promise)
    pytest.fail(text, pytrace=False)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """On a real endpoint, load only the file of its tests; else every other one. To load one takes up to 2 s of CPU."""
    return True if collection_path.suffix == ".py" and _is_unwanted(collection_path, config) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests of these files also if the command line names a file: pytest then ignores the hook above."""
    config.hook.pytest_deselected(items=[item for item in items if _is_unwanted(item.path, config)])
    items[:] = [item for item in items if not _is_unwanted(item.path, config)]


def _is_unwanted(path: Path, config: pytest.Config) -> bool:
    """Return whether a run skips a file. With a target, a run has only test_endpoint.py; without, all other files."""
    return (path.name == "test_endpoint.py") != bool(config.getoption("--target"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    recorder = item.config.stash.get(RECORDER, None)
    if recorder is not None and (report.when == "call" or report.outcome != "passed"):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else _reason(report)
        name = "clean-up" if report.when == "teardown" else item.nodeid.rpartition("/")[2]
        recorder.ended(name, report.outcome, text)
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
