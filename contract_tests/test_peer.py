"""The suite finds no fault in a second server of the contract, which shares no code with the mock or the suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract_tests.api import Api, NotTried
from contract_tests.exchange import CONTRACT
from contract_tests.peer.app import build
from contract_tests.peer.storage import Storage
from contract_tests.probes import PROBES, Probe
from contract_tests.suite import LEDGERS
from contract_tests.support import LONG
from contract_tests.transports import InThread


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """Return the peer, with two ledgers. `make test` sends it what a real endpoint gets: samples of all values."""
    ledgers = {token: ledger for ledger, token in LEDGERS.items()}
    transport = InThread(build(ledgers, Storage(None), frozenset(), InThread.origin))
    first, second = (
        Api(transport, CONTRACT.base_path, ledger, token, real=not LONG, prefix="" if LONG else "CT-")
        for ledger, token in LEDGERS.items()
    )
    first.other = second
    yield first
    transport.close()


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_probe(api: Api, probe: Probe) -> None:
    try:
        probe(api)
    except NotTried as reason:
        pytest.skip(str(reason))
