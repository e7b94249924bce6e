"""`make test` tries each case with one of the four clients, chosen by its name; `make nightly` tries all four."""

from __future__ import annotations

import re
import zlib

import pytest

from tests.support import NIGHTLY

# These files test defects that doubled charges: every case with every client, always.
COMPLETE = {"test_transport_desync", "test_transport_tls", "test_api_lost_creations"}
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
    client = CLIENT.search(item.name)
    if client is None or item.path.stem in COMPLETE:
        return True
    case = item.path.stem if item.path.stem in WHOLE else f"{item.path.stem}{CLIENT.sub('', item.name)}"
    return CLIENTS[zlib.crc32(case.encode()) % len(CLIENTS)] == client[0]
