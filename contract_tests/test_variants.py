"""The suite finds no fault in a server that differs from the mock in what the contract and HTTP allow."""

from __future__ import annotations

import pytest

from contract_tests.honest import blamed
from contract_tests.probes import PROBES
from contract_tests.variants import VARIANTS

# All probes on all variants need half an hour: `make contract-score ARGS="--only variants"` runs them. Here each probe
# runs once, and the seed of the run decides on which variant.
COUNT = len(VARIANTS)


def test_there_are_enough_variants() -> None:
    assert COUNT >= 65


@pytest.mark.parametrize("name", VARIANTS)
def test_an_allowed_server_passes(name: str, request: pytest.FixtureRequest) -> None:
    seed = int(request.config.getoption("hypothesis_seed", None) or 0)
    first = (list(VARIANTS).index(name) + seed) % COUNT
    assert blamed(name, PROBES[first::COUNT]) is None
