"""The suite finds no fault in a second server of the contract, which shares no code with the mock or the suite.

The server gets samples of all values, as a real endpoint does. `make contract-score ARGS="--only clean"` sends all.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract_tests.api import Api, NotTried
from contract_tests.honest import peer
from contract_tests.probes import PROBES, Probe


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with peer(samples=True) as api:
        yield api


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(api: Api, probe: Probe) -> None:
    try:
        probe(api)
    except NotTried as reason:
        pytest.skip(str(reason))
