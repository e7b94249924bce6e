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
# Each with a probe that catches it. That probe runs first, because all probes before it take seconds of CPU.
SAMPLE = {
    "third_item_without_id": "what_is_advertised_works",
    "ended_charge_without_link": "malformed_json_is_refused_by_every_operation",
    "duplicate_keys": "malformed_json_is_refused_by_every_operation",
    "created_is_202": "malformed_json_is_refused_by_every_operation",
    "basic_challenge": "nothing_is_done_without_the_token",
    "too_many_without_wait": "malformed_json_is_refused_by_every_operation",
    "one_instance": "malformed_json_is_refused_by_every_operation",
    "number_repeated": "nothing_is_done_without_the_token",
    "unanchored_pattern": "new_customer_numbers_are_taken_as_the_schema_says",
    "routes_in_any_case": "routes_are_exact",
    "one_more_character": "new_customer_numbers_are_taken_as_the_schema_says",
    "largest_price": "values_of_a_new_charge_are_taken_as_the_schema_says",
    "no_leap_day": "values_of_a_new_charge_are_taken_as_the_schema_says",
    "change_is_not_kept": "odd_json_is_taken_or_refused",
    "list_misses_last": "values_of_a_new_charge_are_taken_as_the_schema_says",
    "children_survive": "a_number_that_another_ledger_has_is_free_here",
    "advertised_in_vain": "what_is_advertised_works",
    "refused_but_done": "nothing_is_done_without_the_token",
    "other_ledger_listed": "a_token_is_good_for_its_ledger_only",
    "header_grows": "the_same_read_gives_the_same_answer",
}


def test_there_are_faults_of_every_family() -> None:
    counts = Counter(fault.family for fault in FAULTS.values())
    assert set(counts) == FAMILIES
    assert len(FAULTS) >= 90


def test_the_sample_has_twenty_faults_of_every_family() -> None:
    assert len(SAMPLE) == 20
    assert {FAULTS[name].family for name in SAMPLE} == FAMILIES


def test_the_mock_serves_each_contract_that_a_fault_changes() -> None:
    for name, fault in FAULTS.items():
        if fault.contract is not None:
            plant(name, suite.LEDGERS)


@pytest.mark.parametrize("name", SAMPLE)
def test_a_planted_fault_is_caught(name: str) -> None:
    assert suite.first_failure(plant(name, suite.LEDGERS), seed=1, first=[SAMPLE[name]]) is not None


@pytest.mark.skipif(not LONG, reason="`make contract` runs it; here each probe and the model run by themselves")
def test_the_mock_as_it_is_passes() -> None:
    assert suite.first_failure(plant(None, suite.LEDGERS), seed=1) is None
