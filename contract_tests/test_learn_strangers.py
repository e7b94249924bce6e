"""`learn` leaves a question open where a server differs in a way that nobody listed, and corrects nothing wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from contract_tests.description import load
from contract_tests.learn.claims import contradictions
from contract_tests.learn.learning import Findings, learn
from contract_tests.learn.variant.choices import as_documented
from contract_tests.learn.variant.gateway import Variant

CONTRACT = load()
PROBLEM = {"content-type": "application/problem+json"}
Response = tuple[int, dict[str, str], bytes]
Next = Callable[..., Response]


def ask(behaviour: Callable[..., Response], **choices: str) -> Findings:
    """Ask a variant; `behaviour` gets each request and the variant."""
    variant = Variant({**as_documented(), **choices})

    def stranger(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        return behaviour(variant, method, target, {name.lower(): each for name, each in headers.items()}, body)

    return learn(CONTRACT, stranger, "1234", "variant-token", "CT-", sleep=variant.clock.sleep)


def undecided(findings: Findings) -> set[str]:
    found = {key for key, answer in findings.answers.items() if not answer.is_decided}
    return found - {"broken-off-post"}  # this transport cannot break off a request


def corrected(findings: Findings) -> set[str]:
    return {each.key for each in contradictions(CONTRACT, findings.answers) if each.is_patched}


def refusal(status: int, code: str, *names: str) -> Response:
    document = {"type": f"billing/customer/problems/{code}", "title": code, "status": status}
    return status, PROBLEM, json.dumps({**document, "problems": [{name: "is wrong"} for name in names]}).encode()


def edited(body: bytes, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> bytes:
    """Edit each charge in a response."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            whole = {name: walk(each) for name, each in value.items()}
            return edit(whole) if "recurringProductId" in whole else whole
        return [walk(each) for each in value] if isinstance(value, list) else value

    return json.dumps(walk(json.loads(body))).encode() if body.startswith((b"{", b"[")) else body


def test_a_charge_that_stays_readable_as_removed_is_not_taken_for_one_that_ends() -> None:
    removed: dict[str, bytes] = {}

    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        if method == "DELETE" and "/recurring-products/" in target:
            _, _, removed[target] = variant("GET", target, headers, b"")
            return 200, {}, b""
        if method == "GET" and target in removed:
            shown = edited(removed[target], lambda charge: {**charge, "status": "removed"})
            return 200, {"content-type": "application/json"}, shown
        return variant(method, target, headers, body)

    findings = ask(behaviour)
    assert undecided(findings) == {"delete-charge"}
    assert "status changed" in findings.answers["delete-charge"].note
    assert corrected(findings) == {"delete-status"}


def test_a_write_that_needs_a_precondition_is_not_taken_for_one_that_does_not_exist() -> None:
    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        if method in {"PATCH", "PUT", "DELETE"}:
            return refusal(412, "precondition-failed")
        return variant(method, target, headers, body)

    findings = ask(behaviour)
    assert undecided(findings) >= {"update", "patch-means", "delete-charge", "delete-subscription"}
    assert "PUT was answered 412" in findings.answers["update"].note
    assert corrected(findings) == set()


def test_a_deletion_that_needs_more_than_its_path_is_not_taken_for_one_that_does_not_exist() -> None:
    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        return refusal(400, "validation", "reason") if method == "DELETE" else variant(method, target, headers, body)

    findings = ask(behaviour)
    assert undecided(findings) == {"delete-charge", "delete-status", "delete-subscription"}
    assert corrected(findings) == set()


def test_a_header_that_every_request_needs_is_named() -> None:
    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        is_there = "x-tenant" in headers
        return variant(method, target, headers, body) if is_there else refusal(400, "validation", "X-Tenant")

    findings = ask(behaviour)
    assert "X-Tenant" in findings.answers["subdomain"].note
    assert findings.left == ()
    assert corrected(findings) == set()


def test_dates_that_need_an_offset_are_left_open() -> None:
    with_offset = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")

    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        sent = json.loads(body) if body else {}
        for name in ("startDate", "endDate"):
            if isinstance(sent.get(name), str) and not with_offset.fullmatch(sent[name]):
                return refusal(400, "validation", name)
        return variant(method, target, headers, body)

    findings = ask(behaviour)
    assert undecided(findings) == {"name-start_date", "name-end_date", "kind-date", "ends-before-start"}
    assert corrected(findings) == set()


@pytest.mark.parametrize("form", ["cents", "object"])
def test_a_price_in_another_form_is_left_open(form: str) -> None:
    def shown_as(charge: dict[str, Any]) -> dict[str, Any]:
        price = charge.get("unitPrice")
        if price is None:
            return charge
        return {**charge, "unitPrice": int(price * 100) if form == "cents" else {"amount": price}}

    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        status, answered, shown = variant(method, target, headers, body)
        return status, answered, edited(shown, shown_as)

    findings = ask(behaviour)
    assert undecided(findings) == {"name-unit_price", "kind-unit_price"}
    assert corrected(findings) == set()


@pytest.mark.parametrize("key", ["next", "nextLink"])
def test_a_token_of_the_next_page_is_not_taken_for_a_link(key: str) -> None:
    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        status, answered, shown = variant(method, target.replace("cursor=c", "page="), headers, body)
        document = json.loads(shown) if shown.startswith(b"{") else {}
        following = document.get("navigation", {}).pop("next", "")
        if following:
            document["navigation"][key] = f"c{following.rpartition('=')[2]}"
        return status, answered, json.dumps(document).encode() if document else shown

    findings = ask(behaviour, paging="link", page_size="5", size_parameter="none")
    assert findings.answers["paging"].value == f"token navigation.{key}"
    assert [each.key for each in contradictions(CONTRACT, findings.answers)] == ["paging"]
    assert corrected(findings) == set()


def test_a_creation_that_returns_what_exists_is_for_a_person_to_decide() -> None:
    def behaviour(variant: Next, method: str, target: str, headers: Any, body: bytes) -> Response:
        response = variant(method, target, headers, body)
        if method == "POST" and response[0] == 409:
            number = next(iter(json.loads(body).values()))
            return variant("GET", f"{target}/{number}", headers, b"")
        return response

    findings = ask(behaviour)
    assert findings.answers["duplicate-customer"].value == "accepted with 200"
    found = {each.key: each.reason for each in contradictions(CONTRACT, findings.answers)}
    assert found.keys() == {"duplicate-customer", "duplicate-subscription", "create-status"}
    assert "the number was taken" in found["duplicate-customer"]
    assert corrected(findings) == set()
