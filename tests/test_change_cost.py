"""The corrections of `make change-cost`: each fits today's contract, and gives a contract that is valid and differs."""

from __future__ import annotations

import pytest
import yaml

from tests.support import ROOT
from tools.change_cost.contract import Contract
from tools.change_cost.correction import Correction
from tools.change_cost.corrections import CORRECTIONS
from tools.change_cost.judge import contract_faults
from tools.change_cost.others import OTHERS

CONTRACT = ROOT / "openapi.yaml"


def test_without_a_correction_the_contract_stays_as_it_is() -> None:
    text = Contract(CONTRACT).text()
    assert yaml.safe_load(text) == yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    assert "multipleOf: 0.000001" in text
    assert contract_faults(text) == []


@pytest.mark.parametrize("correction", [*CORRECTIONS, *OTHERS], ids=lambda correction: correction.key)
def test_a_correction_gives_a_valid_contract_that_differs(correction: Correction) -> None:
    contract = Contract(CONTRACT)
    before = contract.text()
    correction.edit(contract)
    assert contract.text() != before
    assert contract_faults(contract.text()) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "operationId: get_subscription\n      parameters",
            "operationId: get_nothing\n      parameters",
            "leads nowhere",
        ),
        ("productCode: P01", "productCode: P01234", "too long"),
        ("billedUntil: '2026-06-30'", "billedUpTo: '2026-06-30'", "undeclared"),
        ("$ref: '#/components/schemas/Quantity'", "$ref: '#/components/schemas/Count'", "leads nowhere"),
        ("required: true", "required: perhaps", "OpenAPI"),
    ],
)
def test_an_inconsistent_contract_is_found(old: str, new: str, fault: str) -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    assert old in text
    assert any(fault in each for each in contract_faults(text.replace(old, new)))
