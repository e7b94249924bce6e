"""The suite asks about a server that changes in the middle of a run, and asks nothing about one that does not."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from payex_billing_mock import MockApp

from contract_tests import report, suite
from contract_tests.api import CHARGE_ID, Api, charge_path
from contract_tests.coverage import COVERAGE
from contract_tests.exchange import CONTRACT, Exchange, parse_strictly, render
from contract_tests.learned import Learner
from contract_tests.mutation.recording import Listening
from contract_tests.probes import PROBES
from contract_tests.support import MODEL

Change = Callable[[Exchange, Any], Any]
QUICK = ["null_clears", "what_is_deleted_is_gone", "a_child_has_one_parent", "requests_at_once_are_all_kept",
         "each_success_has_its_status", "what_works_is_advertised", "a_duplicate_is_refused"]  # fmt: skip


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Learner:
    learner = Learner()
    monkeypatch.setattr(COVERAGE, "on_exchange", learner.saw)
    return learner


class HalfWay:
    """Changes its responses after a number of them."""

    def __init__(self, change: Change | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._change, self._headers, self._count = change, dict(headers or {}), 0

    def __call__(self, exchange: Exchange) -> tuple[int, dict[str, str], bytes]:
        self._count += 1
        body, headers = exchange.body, dict(exchange.headers)
        if self._count > 300:
            headers |= self._headers
            if self._change is not None and body:
                body = render(self._change(exchange, parse_strictly(body))).encode()
                headers["content-length"] = str(len(body))
        return exchange.status, headers, body


def _traffic(api: Api, rounds: int = 45) -> None:
    """Create, read, list, change and remove charges. The rules do not look at the responses."""
    for _ in range(rounds):
        customer = api.customer()
        charge = api.charge(customer, unit_price=5)
        route = charge_path((customer,), charge)
        for send in (api.get, api.get):
            send(*route, judged=False)
        api.get(*route[:-1], judged=False)
        api.get("customers", f"{customer}9", judged=False)
        api.send("DELETE", *route, judged=False)
        api.get(*route[:-1], judged=False)


def _of_role(role: str, change: Callable[[Any], Any]) -> Change:
    return lambda exchange, body: change(body) if exchange.role[0] == role and exchange.status < 300 else body


PLANTED: dict[str, HalfWay] = {
    "another Server": HalfWay(headers={"server": "nginx"}),
    "one more header": HalfWay(headers={"x-cache": "HIT"}),
    "other words in a title": HalfWay(
        lambda exchange, body: body | {"title": "Kunden finns inte"} if exchange.status == 404 else body
    ),
    "another form of instances": HalfWay(
        lambda exchange, body: body | {"instance": "/problems/17"} if exchange.status == 404 else body
    ),
    "a default that nobody gave": HalfWay(_of_role("create", lambda body: body | {CONTRACT.wire("vat_rate"): 25})),
    "billed between two reads": HalfWay(
        _of_role("read", lambda body: body | {CONTRACT.wire("billed_until"): "2026-01-01"})
    ),
    "operations that were null": HalfWay(_of_role("read", lambda body: body | {"operations": []})),
    "an item less in lists": HalfWay(_of_role("list", lambda body: body | {"items": body["items"][:-1]})),
    "a property of its own": HalfWay(_of_role("create", lambda body: body | {"tenant": "x"})),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_server_that_changes_half_way_is_asked_about(
    name: str, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Api, "judge", lambda *_: None)
    api = suite.open_api(Listening(MockApp(suite.LEDGERS), PLANTED[name]))
    monkeypatch.setattr(api.memory, "read", lambda *_: "")
    monkeypatch.setattr(api.memory, "sends", lambda: None)
    _traffic(api)
    assert learner.questions


def test_another_form_of_ids_is_asked_about(learner: Learner, monkeypatch: pytest.MonkeyPatch) -> None:
    app = MockApp(suite.LEDGERS)
    api = suite.open_api(Listening(app, HalfWay()))
    _traffic(api, 25)
    assert not learner.questions
    app.store.new_id = lambda _: f"id-{random.randrange(10**9)}"
    _traffic(api, 2)
    assert any(CHARGE_ID in str(question) for question in learner.questions)


def test_a_question_says_what_held_and_what_came(learner: Learner) -> None:
    _traffic(suite.open_api(Listening(MockApp(suite.LEDGERS), HalfWay(headers={"server": "nginx"}))))
    question = next(each for each in learner.questions if "the header server" in str(each))
    assert question.held == "payex-billing-mock"
    assert question.now == "nginx"
    assert "curl" in question.exchange.curl


def test_a_fact_that_held_only_a_few_times_is_no_question() -> None:
    learner = Learner(enough=20)
    for count in range(30):
        server = "a" if count < 19 else "b"
        learner.saw(Exchange("GET", f"{CONTRACT.base_path}/1234/customers/1", {}, b"", 204, {"server": server}, b""))
    assert learner.questions == []


@pytest.mark.parametrize("seed", range(5))
def test_the_mock_as_it_is_is_asked_nothing(seed: int, learner: Learner) -> None:
    api = suite.open_api(Listening(MockApp(suite.LEDGERS), HalfWay()))
    probes = [probe for probe in PROBES if probe.name in QUICK]
    random.Random(seed).shuffle(probes)
    for probe in probes:
        probe(api)
    _traffic(api, 25)
    suite.run_model(api, seed, settings(MODEL, max_examples=2))
    assert [str(each) for each in learner.questions] == []
    assert len(learner.facts) > 50


def test_the_learner_reads_past_a_body_that_is_not_json() -> None:
    learner = Learner()
    broken = Exchange(
        "GET", f"{CONTRACT.base_path}/1234/customers/1", {}, b"", 200, {"content-type": "application/json"}, b"{"
    )
    for each in (broken, replace(broken, body=b"[1]"), replace(broken, body=b'{"items":7}')):
        learner.saw(each)
    assert learner.questions == []


def test_a_report_shows_questions_apart_from_failures(learner: Learner) -> None:
    _traffic(suite.open_api(Listening(MockApp(suite.LEDGERS), HalfWay(headers={"server": "nginx"}))))
    questions = [{"text": str(each), "curl": each.exchange.curl} for each in learner.questions]
    run = report.Run(1.0, questions=questions)
    page = report.page(run)
    assert "Every promise holds." in page
    assert "payex-billing-mock in" in page
    assert "not counted as failures" in report.summary(run)


def test_a_run_without_questions_says_nothing_of_them() -> None:
    assert "question" not in report.summary(report.Run(1.0))
    assert "Questions" not in report.page(report.Run(1.0))
