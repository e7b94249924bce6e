"""`make test` tries most cases with one of the four clients, each case with another one; `make nightly` tries all."""

from __future__ import annotations

import os
import re
import zlib

import pytest

# What cost a charge twice: every case with every client, always.
COMPLETE = {"test_transport_desync", "test_transport_tls", "test_api_lost_creations"}
# One run of the client serves all tests of such a file: the whole file is tried with one client.
WHOLE = {"test_transport_bombs", "test_transport_odd_responses", "test_transport_secrets"}
# Comparisons that need every response from three or four clients; those of two stay.
COSTLY = re.compile(r"both_facades|same_class\[(GET|POST)-async")
CLIENT = re.compile(r"(httpx|reqwest)-(sync|async)")
CLIENTS = ("httpx-sync", "httpx-async", "reqwest-sync", "reqwest-async")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("NIGHTLY"):
        return
    left_out = [item for item in items if item.path.parent.name == "chaos" and not _is_tried(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def _is_tried(item: pytest.Item) -> bool:
    if item.path.stem == "test_transport_odd_responses" and COSTLY.search(item.name):
        return False
    client = CLIENT.search(item.name)
    if client is None or item.path.stem in COMPLETE:
        return True
    case = item.path.stem if item.path.stem in WHOLE else f"{item.path.stem}{CLIENT.sub('', item.name)}"
    return CLIENTS[zlib.crc32(case.encode()) % len(CLIENTS)] == client[0]
