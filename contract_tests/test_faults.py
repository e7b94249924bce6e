"""The suite catches what is planted: a fixed sample here, all of it in `make contract-score`."""

from __future__ import annotations

from collections import Counter

import pytest

from contract_tests import suite
from contract_tests.faults import FAULTS, plant
from contract_tests.support import LONG

FAMILIES = {
    "shape", "status and headers", "problems", "input accepted", "input refused", "state", "hypermedia",
    "tenants and credentials", "time and weight",
}  # fmt: skip
SAMPLE = [
    "third_item_without_id", "ended_charge_without_link", "duplicate_keys",
    "created_is_202", "basic_challenge", "too_many_without_wait",
    "one_instance", "number_repeated",
    "unanchored_pattern", "routes_in_any_case", "one_more_character",
    "largest_price", "no_leap_day",
    "change_is_not_kept", "list_misses_last", "children_survive",
    "advertised_in_vain",
    "refused_but_done", "other_ledger_listed",
    "header_grows",
]  # fmt: skip


def test_there_are_faults_of_every_family() -> None:
    counts = Counter(fault.family for fault in FAULTS.values())
    assert set(counts) == FAMILIES
    assert len(FAULTS) >= 90


def test_the_sample_has_twenty_faults_of_every_family() -> None:
    assert len(set(SAMPLE)) == 20
    assert {FAULTS[name].family for name in SAMPLE} == FAMILIES


def test_the_mock_serves_each_contract_that_a_fault_changes() -> None:
    for name, fault in FAULTS.items():
        if fault.contract is not None:
            plant(name, suite.LEDGERS)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_caught(name: str) -> None:
    assert suite.first_failure(plant(name, suite.LEDGERS), seed=1) is not None


@pytest.mark.skipif(not LONG, reason="`make contract` runs it; here each probe and the model run by themselves")
def test_the_mock_as_it_is_passes() -> None:
    assert suite.first_failure(plant(None, suite.LEDGERS), seed=1) is None
