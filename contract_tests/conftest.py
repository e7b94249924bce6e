"""Options of the suite, and what the tests of a real endpoint need."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--target", help="the base URL of a real endpoint; only its own tests run then")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    target = config.getoption("--target")
    endpoint = [item for item in items if item.path.name == "test_endpoint.py"]
    unwanted = [item for item in items if item not in endpoint] if target else endpoint
    config.hook.pytest_deselected(items=unwanted)
    items[:] = [item for item in items if item not in unwanted]


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """Connections to a mock of this machine, past any proxy."""
    with requests.Session() as session:
        session.trust_env = False
        yield session
