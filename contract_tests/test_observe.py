"""`observe` compares a recording with the contract, and shows no value of it."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from contract_tests.description import load
from contract_tests.learn import evidence, observe
from contract_tests.learn.learning import learn
from contract_tests.learn.variant.choices import as_documented
from contract_tests.learn.variant.gateway import Variant

CONTRACT = load()
CHARGES = "https://lf-api.payex.com/billing/customer/v1/1234/customers/15615616/recurring-products"
CHARGE = {"@id": "/x/y", "recurringProductId": "c1", "productCode": "P01", "unitPrice": 499.5}


def entry(method: str, url: str, status: int, received: Any = None, sent: Any = None) -> dict[str, Any]:
    request: dict[str, Any] = {"method": method, "url": url}
    if sent is not None:
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(sent)}
    content = {} if received is None else {"mimeType": "application/json", "text": json.dumps(received)}
    return {"request": request, "response": {"status": status, "content": content}}


def har(tmp_path: Path, *entries: dict[str, Any]) -> Path:
    file = tmp_path / "traffic.har"
    file.write_text(json.dumps({"log": {"version": "1.2", "entries": list(entries)}}))
    return file


def found(file: Path) -> dict[str, int]:
    return dict(observe.contradictions(observe.read(file, CONTRACT), CONTRACT))


def test_traffic_by_the_contract_has_no_contradiction(tmp_path: Path) -> None:
    assert found(har(tmp_path, entry("POST", CHARGES, 201, CHARGE, {"productCode": "P01"}))) == {}


def test_a_contradiction_is_counted_and_shown_once(tmp_path: Path) -> None:
    file = har(tmp_path, *[entry("POST", CHARGES, 200, CHARGE)] * 3)
    assert list(found(file).values()) == [3]


def test_an_unknown_property_is_named_with_its_kind(tmp_path: Path) -> None:
    file = har(tmp_path, entry("POST", CHARGES, 201, CHARGE | {"currency": "SEK"}))
    assert [text for text in found(file) if "currency" in text and "text" in text]


def test_a_value_of_another_kind_is_named(tmp_path: Path) -> None:
    file = har(tmp_path, entry("POST", CHARGES, 201, CHARGE | {"unitPrice": "499.50"}))
    assert [text for text in found(file) if "unitPrice is text" in text]


def test_another_subdomain_is_named(tmp_path: Path) -> None:
    file = har(tmp_path, entry("POST", CHARGES.replace("/billing/customer", "/billing/billing"), 201, CHARGE))
    assert [text for text in found(file) if "/billing/billing/v1" in text]


def test_traffic_of_other_services_is_left_out(tmp_path: Path) -> None:
    assert observe.read(har(tmp_path, entry("GET", "https://example.com/secret", 200, {"a": 1})), CONTRACT) == []


def test_a_body_in_base64_is_read(tmp_path: Path) -> None:
    recorded = entry("POST", CHARGES, 201, CHARGE | {"currency": "SEK"})
    content = recorded["response"]["content"]
    content |= {"text": base64.b64encode(content["text"].encode()).decode(), "encoding": "base64"}
    assert [text for text in found(har(tmp_path, recorded)) if "currency" in text]


def test_no_value_is_shown(tmp_path: Path) -> None:
    secret = {"46701234567": "19800101-1234", "name": "Anna Andersson", "type": "x/problems/anna-4670"}
    entries = [
        entry("POST", f"{CHARGES}/a/b/c?q=Anna", 201, secret, secret),
        entry("POST", CHARGES, 201, CHARGE | secret, secret),
        entry("GET", CHARGES.replace("15615616", "Anna"), 418, secret),
    ]
    shown = "\n".join(found(har(tmp_path, *entries)))
    assert not [value for value in ("4670", "1980", "Anna", "anna", "15615616", "499") if value in shown]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"log": {}}', '{"log": {"entries": [{}]}}', "not JSON", '{"count": 1}']
)
def test_a_file_that_is_no_recording_shows_no_contradiction(tmp_path: Path, text: str) -> None:
    file = tmp_path / "odd"
    file.write_text(text)
    with contextlib.suppress(observe.Unreadable):
        assert found(file) == {}


def test_evidence_holds_no_value_and_counts_runs(tmp_path: Path) -> None:
    file = tmp_path / "evidence.jsonl"
    for _ in range(2):
        variant = Variant(as_documented(), "987654", "secret-token")
        findings = learn(CONTRACT, variant, "987654", "secret-token", "ZQ-", sleep=variant.clock.sleep)
        evidence.append(file, findings, "api.sandbox.payex.com", CONTRACT)
    text = file.read_text()
    assert {json.loads(line)["times"] for line in text.splitlines()} == {2}
    assert not [value for value in ("987654", "secret", "ZQ-", "12.5", "2091") if value in text]


def test_the_page_of_questions_is_what_learn_writes() -> None:
    page = Path(__file__).parent.parent / "docs" / "questions.md"
    assert page.read_text(encoding="utf-8") == evidence.open_questions({})
