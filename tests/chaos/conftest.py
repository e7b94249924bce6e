"""`make test` tries each case with one of the four clients, chosen by its name; `make nightly` tries all four.

Tests of `apply` share one process of the mock; each test has a ledger of its own.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterator

import pytest

from tests.chaos.apply_process import Mock
from tests.support import NIGHTLY

# These files test defects that doubled charges: every case with every client, always.
COMPLETE = {"test_transport_desync", "test_transport_tls", "test_api_lost_creations"}
# These start processes: each case with one engine, chosen by its name.
PROCESSES = re.compile(r"(?<=[\[-])(httpx|reqwest)(?=[\]-])")
ENGINES = ("httpx", "reqwest")
EVERY_ENGINE = {"test_apply_limits"}
# One run of the client serves all tests of such a file: the whole file is tried with one client.
WHOLE = {"test_transport_bombs", "test_transport_odd_responses", "test_transport_secrets"}
CLIENT = re.compile(r"(httpx|reqwest)-(sync|async)")
CLIENTS = ("httpx-sync", "httpx-async", "reqwest-sync", "reqwest-async")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if NIGHTLY:
        return
    tried: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        (tried if item.path.parent.name != "chaos" or _is_tried(item) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = tried


def _is_tried(item: pytest.Item) -> bool:
    if item.path.stem.startswith("test_apply_") and item.path.stem not in EVERY_ENGINE:
        engine = PROCESSES.search(item.name)
        case = PROCESSES.sub("", item.name)
        return engine is None or ENGINES[zlib.crc32(case.encode()) % len(ENGINES)] == engine[0]
    client = CLIENT.search(item.name)
    if client is None or item.path.stem in COMPLETE:
        return True
    case = item.path.stem if item.path.stem in WHOLE else f"{item.path.stem}{CLIENT.sub('', item.name)}"
    return CLIENTS[zlib.crc32(case.encode()) % len(CLIENTS)] == client[0]


@pytest.fixture(scope="session")
def billing_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    """The real mock as a process of its own, with many ledgers."""
    with Mock(tmp_path_factory.mktemp("mock") / "mock.db", map(str, range(1000, 1200))) as mock:
        yield mock


_ledgers = itertools.count(1000)


@pytest.fixture
def ledger() -> str:
    """A ledger that holds nothing and no other test uses."""
    return str(next(_ledgers))
