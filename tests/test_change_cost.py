"""Tests of `make change-cost`: its corrections, its checks of requests and responses, and its counting.

Each correction must fit today's contract, and must result in a valid contract that differs from today's.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT
from tools.change_cost.contract import Contract
from tools.change_cost.copies import PATCHES, Outcome, Part
from tools.change_cost.correction import Correction
from tools.change_cost.corrections import CORRECTIONS
from tools.change_cost.judge import Judge, contract_faults
from tools.change_cost.others import OTHERS
from tools.change_cost.page import render

CONTRACT = ROOT / "openapi.yaml"


def test_without_a_correction_the_contract_stays_as_it_is() -> None:
    text = Contract(CONTRACT).text()
    assert yaml.safe_load(text) == yaml.safe_load(CONTRACT.read_text(encoding="utf-8"))
    assert "minimum: -9999999.999999" in text
    assert contract_faults(text) == []


@pytest.mark.parametrize("correction", [*CORRECTIONS, *OTHERS], ids=lambda correction: correction.key)
def test_a_correction_gives_a_valid_contract_that_differs(correction: Correction) -> None:
    contract = Contract(CONTRACT)
    before = contract.text()
    correction.edit(contract)
    assert contract.text() != before
    assert contract_faults(contract.text()) == []


@pytest.mark.parametrize("patch", sorted(PATCHES.iterdir()), ids=lambda patch: patch.stem)
def test_the_hand_edits_of_a_correction_fit_the_project(patch: Path) -> None:
    subprocess.run(["git", "apply", "--check", str(patch)], cwd=ROOT, check=True)


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


CHARGES = "/billing/customer/v1/1234/customers/1/recurring-products"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "body", "fault"),
    [
        ("POST", CHARGES, '{"productCode": "P01", "unitPrice": 499.10, "crm": "A"}', None),
        ("POST", CHARGES.replace("recurring-products", "charges"), '{"productCode": "P01"}', "no such path"),
        ("PUT", f"{CHARGES}/5f0c", '{"productCode": "P01"}', "the method is not allowed"),
        ("POST", CHARGES, '{"productCode": "P01", "price": 1}', "undeclared property price"),
        ("POST", CHARGES, '{"productCode": "P01", "unitPrice": 499.1000000001}', "has more than 6 decimals"),
        ("POST", CHARGES, '{"quantity": 1}', "'productCode' is a required property"),
        ("POST", CHARGES, '{"productCode": "P01", "startDate": "2026-02-30"}', "is not a 'date'"),
        ("GET", f"{CHARGES}?page=1", "", "undeclared query parameter page"),
        ("DELETE", f"{CHARGES}/5f0c", "{}", "a body, and none is declared"),
    ],
)
def test_a_request_that_breaks_the_contract_is_found(method: str, path: str, body: str, fault: str | None) -> None:
    faults = Judge.of(CONTRACT).request(method, path, JSON, body.encode(), "crm")
    assert fault in " ".join(faults) if fault else faults == []


def test_a_put_that_leaves_a_value_out_is_found() -> None:
    contract = Contract(CONTRACT)
    next(each for each in CORRECTIONS if each.key == "1").edit(contract)
    judge = Judge(contract.text())
    charge = (
        f'{{"@id": "{CHARGES}/5f0c", "recurringProductId": "5f0c", "productCode": "P01", "quantity": 2, "text": "a"}}'
    )
    assert judge.response("POST", CHARGES, 201, JSON, charge.encode()) == []
    whole = b'{"productCode": "P01", "quantity": 3, "text": null}'
    assert judge.request("PUT", f"{CHARGES}/5f0c", JSON, whole, "") == []
    [fault] = judge.request("PUT", f"{CHARGES}/5f0c", JSON, b'{"productCode": "P01", "quantity": 3}', "")
    assert fault.endswith("clears text by leaving it out")


def test_a_response_that_breaks_the_contract_is_found() -> None:
    judge = Judge.of(CONTRACT)
    assert "is not declared" in judge.response("GET", CHARGES, 204, {}, b"")[0]
    elsewhere = b'{"items": [], "navigation": {"@id": "/billing/customer/v1/1234/customers/1/charges"}}'
    assert "is no path" in judge.response("GET", CHARGES, 200, JSON, elsewhere)[0]
    assert "'navigation' is a required" in judge.response("GET", CHARGES, 200, JSON, b'{"items": []}')[0]


@pytest.mark.parametrize(
    ("key", "ok", "by_hand", "silent", "missed", "files"),
    [
        ("2", True, 0, [], False, "0"),
        ("2", False, 0, [], True, "≥ 1"),
        ("2", True, 0, ["update"], True, "0"),  # silently wrong counts as missed at any cost
        ("1", True, 1, [], False, "1"),
        ("1", True, 2, [], True, "2"),
        ("1", False, 0, [], True, "≥ 1"),  # a part fails, and no patch shows that 1 file is enough
        ("a", False, 0, [], False, "≥ 1"),
        ("a", False, 0, ["update"], True, "≥ 1"),
    ],
)
def test_a_wanted_number_is_missed(
    key: str, ok: bool, by_hand: int, silent: list[str], missed: bool, files: str
) -> None:
    correction = next(each for each in (*CORRECTIONS, *OTHERS) if each.key == key)
    outcome = Outcome(correction, {"smoke": Part(ok)}, silent, files_by_hand=by_hand)
    assert (outcome.missed, outcome.files) == (missed, files)
    assert correction.title in render(Outcome(correction), [outcome], [outcome], "a version")
