"""The suite notices changes of single places of responses: a sample here, thousands in `make contract-score`."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

import pytest

from contract_tests.api import CHARGE_ID, CUSTOMER_NO
from contract_tests.exchange import CONTRACT, Exchange, render
from contract_tests.mutation.freedoms import allowed_by
from contract_tests.mutation.mutants import changed
from contract_tests.mutation.recording import record
from contract_tests.mutation.trial import Outcome, Trial

# These probes are quick, and together they meet every operation.
RUNS = [
    "nothing_is_done_without_the_token", "what_works_is_advertised", "links_lead_where_they_say", "null_clears",
    "each_success_has_its_status", "what_is_deleted_is_gone", "children_go_with_their_parent", "a_duplicate_is_refused",
    "a_child_has_one_parent", "an_end_is_not_before_its_start",
]  # fmt: skip
SAMPLE = 150
PATH = "/billing/customer/v1/1234/customers/15615616"


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(record(RUNS))


@pytest.fixture(scope="module")
def outcomes(trial: Trial) -> list[Outcome]:
    mutants = trial.mutants(seed=1)
    return [trial.outcome(each) for each in random.Random(1).sample(mutants, SAMPLE)]


def test_of_the_sampled_mutants_that_are_faults_97_of_100_are_noticed(outcomes: list[Outcome]) -> None:
    faults = [each for each in outcomes if not each.allowed]
    missed = [str(each.mutant) for each in faults if not each.by]
    assert len(faults) > SAMPLE // 2
    assert len(missed) <= 0.03 * len(faults), missed


def test_a_mutant_changes_the_length_with_the_body(trial: Trial) -> None:
    for mutant in random.Random(2).sample(trial.mutants(), 200):
        seen = next(each for each in trial.by_kind[mutant.kind])
        after = changed(mutant, seen.exchange, trial.neighbours)
        if after is not None and after.body != seen.exchange.body and "content-length" in after.headers:
            assert after.headers["content-length"] == str(len(after.body))


def test_what_was_recorded_is_itself_within_every_freedom(trial: Trial) -> None:
    for seen in trial.recording.seen[::20]:
        assert allowed_by(seen.exchange, seen.exchange, always=True)


def _exchange(body: Mapping[str, object], *, status: int = 200, path: str = PATH, **headers: str) -> Exchange:
    text = render(body).encode()
    kind = "application/problem+json" if status >= 400 else "application/json"
    return Exchange("GET", path, {}, b"", status, {"content-type": kind, **headers}, text)


CUSTOMER: dict[str, object] = {
    CUSTOMER_NO: "15615616",
    CONTRACT.self_link: PATH,
    **{name: f"{PATH}/{place.segment}" for name, place in CONTRACT.links["customer"].items()},
    "operations": [{"rel": "add-subscription", "method": "POST", "href": f"{PATH}/subscriptions"}],
}
PROBLEM: dict[str, object] = {
    "type": "billing/customer/problems/customer-not-found",
    "title": "Customer not found",
    "status": 404,
    "instance": "urn:uuid:0a5b7c1e-7a53-4f1c-9a41-6a1d2d0c9b01",
}


@pytest.mark.parametrize(
    "body",
    [
        {name: value for name, value in CUSTOMER.items() if name != CONTRACT.self_link},
        CUSTOMER | {"operations": None},
        CUSTOMER | {"more": 1},
    ],
    ids=["no id", "no operations", "one more property"],
)
def test_a_customer_within_the_contract_is_no_fault(body: dict[str, object]) -> None:
    assert allowed_by(_exchange(body), _exchange(CUSTOMER), always=True)


@pytest.mark.parametrize(
    "body",
    [
        {name: value for name, value in CUSTOMER.items() if name != CUSTOMER_NO},
        CUSTOMER | {CUSTOMER_NO: "15615617"},
        CUSTOMER | {CONTRACT.self_link: f"{PATH}1"},
        CUSTOMER | {"operations": []},
    ],
    ids=["no number", "another number", "another id", "an operation less"],
)
def test_a_customer_beside_the_contract_is_a_fault(body: dict[str, object]) -> None:
    assert allowed_by(_exchange(body), _exchange(CUSTOMER), always=True) is None


@pytest.mark.parametrize(
    ("change", "is_allowed"),
    [
        ({"detail": "Other words"}, True),
        ({"type": "https://example.com/problems/customer-not-found"}, True),
        ({"type": "billing/customer/problems/not-found"}, False),
        ({"status": 400}, False),
        ({"title": ""}, False),
        ({"instance": ""}, False),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_the_open_parts_of_a_problem_may_differ(change: dict[str, object], is_allowed: bool) -> None:
    found = allowed_by(_exchange(PROBLEM | change, status=404), _exchange(PROBLEM, status=404), always=True)
    assert (found is not None) == is_allowed


def test_a_price_may_have_more_noughts_and_no_other_value() -> None:
    path = f"{PATH}/{CONTRACT.place('charge').segment}/1"
    own = _exchange({CHARGE_ID: "1", CONTRACT.wire("unit_price"): 5}, path=path)
    for digits, is_allowed in (("5.00", True), ("5.01", False), ('"5"', False), ("true", False)):
        other = replace(own, body=own.body.replace(b"5}", digits.encode() + b"}"))
        assert (allowed_by(other, own, always=True) is not None) == is_allowed, digits
