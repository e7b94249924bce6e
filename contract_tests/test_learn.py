"""`learn` finds out what a server does, by servers whose behaviour is drawn at random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from contract_tests.description import FILE, Contract, load
from contract_tests.learn.claims import contradictions
from contract_tests.learn.edits import correct
from contract_tests.learn.fence import MOST_CUSTOMERS, MOST_REQUESTS, Fence, OutOfBounds
from contract_tests.learn.learning import Findings, learn
from contract_tests.learn.network import Network
from contract_tests.learn.text_edits import YamlText, diff, parse
from contract_tests.learn.variant.choices import OPTIONS, as_documented, draw
from contract_tests.learn.variant.gateway import Variant, served
from contract_tests.learn.variant.truth import outside, truths
from contract_tests.peer.app import build
from contract_tests.peer.storage import Storage
from contract_tests.suite import LEDGERS
from contract_tests.support import LONG
from contract_tests.transports import InProcess, InThread
from contract_tests.variants import VARIANTS as ALLOWED
from contract_tests.variants import serve

LEDGER, TOKEN, PREFIX = "1234", "variant-token", "CT-"
SEEDS = range(10)


@cache
def contract() -> Contract:
    return load()


@cache
def run(seed: int) -> tuple[Variant, Findings]:
    variant = Variant(draw(seed), LEDGER, TOKEN)
    return variant, learn(contract(), variant, LEDGER, TOKEN, PREFIX, sleep=variant.clock.sleep)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_decidable_question_about_a_variant_is_answered_right(seed: int) -> None:
    variant, findings = run(seed)
    for key, truth in truths(variant.choices).items():
        answer = findings.answers[key]
        allowed = truth.values if truth.decidable else truth.values | {""}
        assert answer.value in allowed, f"{key}: {answer}"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_request_leaves_the_prefix_or_the_limits(seed: int) -> None:
    variant, _ = run(seed)
    assert outside(variant.log, LEDGER, PREFIX) == []
    assert len(variant.log) <= MOST_REQUESTS
    assert len(variant.server.customers) <= MOST_CUSTOMERS


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_the_corrected_contract_agrees_with_the_answers(seed: int) -> None:
    _, findings = run(seed)
    found = contradictions(contract(), findings.answers)
    corrected = Contract(parse(correct(FILE.read_text(encoding="utf-8"), found, findings.answers)))
    by_hand = {each.key for each in found if not each.is_patched}
    assert {each.key for each in contradictions(corrected, findings.answers)} <= by_hand


def test_a_variant_has_at_least_twenty_choices() -> None:
    assert len(OPTIONS) >= 20


def test_a_correction_keeps_the_comments_and_the_order_of_the_file() -> None:
    choices = {**as_documented(), "name_unit_price": "price", "update": "PUT", "delete_charge": "refused"}
    variant = Variant(choices, LEDGER, TOKEN)
    answers = learn(contract(), variant, LEDGER, TOKEN, PREFIX, sleep=variant.clock.sleep).answers
    before = FILE.read_text(encoding="utf-8")
    after = correct(before, contradictions(contract(), answers), answers)
    added = [line[1:] for line in diff(before, after, "openapi.yaml").splitlines()[2:] if line.startswith("+")]
    comments = [line for line in before.splitlines() if line.lstrip().startswith("#")]
    assert [line for line in after.splitlines() if line.lstrip().startswith("#")] == comments
    assert len(added) < 20
    assert "          $ref: '#/components/schemas/UnitPrice'" in after


@pytest.mark.parametrize("update", ["PATCH", "PUT"])
@pytest.mark.parametrize("null", ["refused", "ignored"])
def test_no_example_of_a_change_has_a_null_that_the_server_does_not_take(null: str, update: str) -> None:
    choices = {**as_documented(), "null": null, "update": update, "put_means": "merge"}
    variant = Variant(choices, LEDGER, TOKEN)
    answers = learn(contract(), variant, LEDGER, TOKEN, PREFIX, sleep=variant.clock.sleep).answers
    after = parse(correct(FILE.read_text(encoding="utf-8"), contradictions(contract(), answers), answers))
    content = after["components"]["requestBodies"]["RecurringProductChange"]["content"]["application/json"]
    named = {each["$ref"].rpartition("/")[2] for each in content["examples"].values()}
    values = [after["components"]["examples"][name]["value"] for name in named]
    assert values
    assert all(None not in value.values() for value in values)
    operations = [item[update.lower()] for item in after["paths"].values() if update.lower() in item]
    assert all(null.removesuffix("d") in operation["description"] for operation in operations)


def test_an_anchor_in_a_removed_part_moves_to_its_first_alias() -> None:
    document = YamlText("a: &x {b: 1}\nc: *x\nd: *x\n")
    document.remove(("a",))
    assert parse(document.text) == {"c": {"b": 1}, "d": {"b": 1}}


def test_nothing_is_decided_without_a_valid_token() -> None:
    variant = Variant(as_documented(), LEDGER, TOKEN)
    findings = learn(contract(), variant, LEDGER, "another", PREFIX, sleep=variant.clock.sleep)
    decided = {key for key, answer in findings.answers.items() if answer.is_decided}
    assert decided <= {"problem-keys", "problem-media-type", "tracking-headers"}
    assert findings.left == ()


def test_a_run_that_is_stopped_removes_what_it_made_and_names_what_stays() -> None:
    class Stopped(Variant):
        def __call__(self, *request: Any) -> Any:
            if len(self.log) == 30:
                self.log.append(("", "", b""))
                raise KeyboardInterrupt
            return super().__call__(*request)

    variant = Stopped(as_documented(), LEDGER, TOKEN)
    with pytest.raises(KeyboardInterrupt) as stop:
        learn(contract(), variant, LEDGER, TOKEN, PREFIX, sleep=variant.clock.sleep)
    assert all(not customer.subscriptions and not customer.charges for customer in variant.server.customers.values())
    assert {str(each) for each in stop.value.args} == {f"customer {number}" for number in variant.server.customers}


@pytest.fixture(scope="module")
def peer() -> Iterator[Findings]:
    transport = InThread(build({TOKEN: LEDGER}, Storage(None), frozenset({"pascal-problems"}), InThread.origin))
    yield learn(contract(), transport, LEDGER, TOKEN, PREFIX, sleep=lambda _: None)
    transport.close()


def test_the_contract_agrees_with_a_server_that_another_author_wrote_from_it(peer: Findings) -> None:
    assert contradictions(contract(), peer.answers) == []


def test_only_the_broken_off_request_is_undecided_on_a_transport_that_cannot_break_off(peer: Findings) -> None:
    assert [key for key, answer in peer.answers.items() if not answer.is_decided] == ["broken-off-post"]


@pytest.mark.parametrize("name", ALLOWED if LONG else sorted(ALLOWED)[::9])
def test_no_server_that_the_contract_allows_contradicts_it(name: str) -> None:
    server = InProcess(serve(name))

    def transport(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        length = {"Content-Length": str(len(body))} if body else {}
        return server(method, target, {**headers, **length}, body)

    ledger, token = next(iter(LEDGERS.items()))
    findings = learn(contract(), transport, ledger, token, PREFIX, sleep=lambda _: None)
    assert contradictions(contract(), findings.answers) == []


def test_a_server_behind_a_socket_is_asked_in_the_same_way() -> None:
    variant = Variant({**as_documented(), "subdomain": "billing"}, LEDGER, TOKEN)
    with served(variant) as origin:
        network = Network(origin, None, 1000)
        findings = learn(contract(), network, LEDGER, TOKEN, PREFIX, sleep=lambda _: None)
        network.close()
    assert {key for key, answer in findings.answers.items() if not answer.is_decided} == set()
    assert findings.answers["subdomain"].value == "billing"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/billing/customer/v1/1234/customers/15615616", b""),
        ("GET", "/billing/customer/v1/9999/customers/CT-1", b""),
        ("GET", "/billing/customer/v1/1234/customers/CT-1/../15615616", b""),
        ("GET", "/billing/customer/v1/1234/customers/CT-1/%2E%2E/15615616", b""),
        ("GET", "/billing/customer/v1/1234/customersCT-1", b""),
        ("DELETE", "/billing/customer/v1/1234/customers", b""),
        ("POST", "/billing/customer/v1/1234/customers", b'{"customerNo": "15615616"}'),
        ("POST", "/billing/customer/v1/1234/customers", b'{"customerNo": "CT-1", "customerNumber": "15615616"}'),
        ("POST", "/billing/customer/v1/1234/customers?x=1", b'{"customerNo": "15615616"}'),
    ],
)
def test_the_fence_holds_back_a_request_outside_the_prefix(method: str, path: str, body: bytes) -> None:
    fence = Fence(["/billing/customer/v1"], LEDGER, PREFIX)
    with pytest.raises(OutOfBounds):
        fence.check(method, path, body)
