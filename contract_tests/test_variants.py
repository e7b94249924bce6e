"""The suite finds no fault in a server that differs from the mock in what the contract and HTTP allow."""

from __future__ import annotations

import pytest

from contract_tests.suite import first_failed_probe, open_api
from contract_tests.support import LONG
from contract_tests.transports import InProcess
from contract_tests.variants import VARIANTS, serve

# One run of all probes takes many seconds. `make contract` runs them on every variant, `make test` on these only.
SAMPLE = ["too_many_now_and_then", "customer_without_id", "properties_of_its_own"]


def test_there_are_enough_variants() -> None:
    assert len(VARIANTS) >= 65
    assert set(SAMPLE) <= set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS if LONG else SAMPLE)
def test_an_allowed_server_passes(name: str) -> None:
    api = open_api(InProcess(serve(name)))
    for ledger in filter(None, (api, api.other)):
        ledger.sleep = lambda _: None
    assert first_failed_probe(api) is None
