"""The suite finds no fault in a server that differs from the mock in what the contract and HTTP allow."""

from __future__ import annotations

import pytest

from contract_tests.coverage import COVERAGE
from contract_tests.probes.state import unknown_properties_do_no_harm
from contract_tests.suite import first_failed_probe, open_api
from contract_tests.support import LONG
from contract_tests.transports import InProcess
from contract_tests.variants import VARIANTS, serve

# One run of all probes takes many seconds. `make contract` runs them on every variant, `make test` on these only.
SAMPLE = ["too_many_now_and_then", "unknown_properties_refused", "properties_of_its_own"]


def test_there_are_enough_variants() -> None:
    assert len(VARIANTS) >= 55
    assert set(SAMPLE) <= set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS if LONG else SAMPLE)
def test_an_allowed_server_passes(name: str) -> None:
    api = open_api(InProcess(serve(name)))
    for ledger in filter(None, (api, api.other)):
        ledger.sleep = lambda _: None
    assert first_failed_probe(api) is None


@pytest.mark.parametrize(
    ("name", "does"),
    [
        ("names_in_another_order", "holds"),
        ("unknown_properties_left_out", "leaves out"),
        ("unknown_properties_refused", "refuses"),
    ],
)
def test_what_a_server_does_with_unknown_properties_is_observed(name: str, does: str) -> None:
    before, COVERAGE.observations = COVERAGE.observations, {}
    try:
        unknown_properties_do_no_harm(open_api(InProcess(serve(name))))
        seen = list(COVERAGE.observations.values())
    finally:
        COVERAGE.observations = before
    end = f": the server {does} properties that the contract does not have"
    assert {each.what for each in seen} == {
        each + end for each in ("create customer", "create subscription", "create charge", "update charge")
    }
    assert {each.count for each in seen if "charge" in each.what} == {2}
    assert all(each.request.startswith("curl ") for each in seen)
