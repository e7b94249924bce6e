"""What a failure on a real endpoint tells: a citation, a curl command that runs, and no token."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from contract_tests.citations import citations, of_operation
from contract_tests.coverage import COVERAGE
from contract_tests.curl import curl, tokens
from contract_tests.exchange import Broken, Exchange
from contract_tests.explain import difference, explain
from contract_tests.report import Recorder, Run, collect, masked, page, summary
from tests.support import ROOT

PATH = "/billing/customer/v1/1234/customers"
SHOWN = {"content-type": "application/json"}


def test_each_request_becomes_a_curl_command_that_sends_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str | None, bytes]] = []

    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.path, self.headers.get("X-Own", ""), self.headers.get("Authorization"), body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    monkeypatch.setenv("PAYEX_TOKEN", "secret-Token-1")
    token = "secret-Token-1"
    bodies = [b"", b'{"a":"it\'s $HOME \\u00e5 `x`"}', "å".encode(), b"\xff\x00\n", b"[" * 20_000, b"@file"]
    credentials = [
        f"Bearer {token}", f"bearer {token}", "Bearer wrong", f"Token {token}", f"Bearer {token},{token}",
        f"Bearer {token}x", f"Bearer {token[:-1]}", f"Bearer {token[1:]}", f"Bearer {token.swapcase()}", "Basic a$b",
    ]  # fmt: skip
    server = HTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/a%2Fb'{{c}}?token={token}"
        for body, credential in [(each, credentials[0]) for each in bodies] + [(b"{}", each) for each in credentials]:
            command = curl("POST", url, {"Authorization": credential, "X-Own": "a 'b'"}, body)
            assert token not in command
            assert "***" not in command
            subprocess.run(["bash", "-c", f"{command} -s"], check=True, capture_output=True)
            assert asked.pop() == (f"/a%2Fb'{{c}}?token={token}", "a 'b'", credential, body)
    finally:
        server.shutdown()
        server.server_close()


def test_a_short_token_hides_no_part_of_another_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYEX_TOKEN", "T1")
    assert tokens()["T1"] == "$PAYEX_TOKEN"
    assert curl("GET", "http://x/CT1/T12", {}).endswith("'http://x/CT1/T12'")
    text = "test_T1_x a T1 word, Authorization: Bearer T1"
    assert masked(text, ["T1"]) == "test_T1_x a T1 word, Authorization: Bearer ***"
    assert masked("a secret-token, secret-toke", ["secret-token"]) == "a ***, ***"


@pytest.mark.parametrize(
    ("promise", "how", "method", "path", "status", "level", "words"),
    [
        ("status", "expected 409, got 201", "POST", PATH, 201, "inferred", "exists already"),
        ("status", "expected 404, got 200", "GET", f"{PATH}/1", 200, "documented", "does not exist, or is inactive"),
        ("problem_type", "expected customer-not-found, got x", "GET", f"{PATH}/1", 404, "documented", "customer-not-found"),
        ("held_as_sent", "quantity: found 1, expected 3", "GET", f"{PATH}/1/recurring-products/2", 200, "inferred", "quantity"),
        ("null_clears", "x", "PATCH", f"{PATH}/1/recurring-products/2", 200, "inferred", "null clears it"),
        ("documented", "an operation that does not exist is answered with 200, not 405", "PUT", PATH, 200, "inferred", "Method"),
    ],
)  # fmt: skip
def test_a_failure_cites_the_contract(
    promise: str, how: str, method: str, path: str, status: int, level: str, words: str
) -> None:
    exchange = Exchange(method, path, {}, b"", status, {}, b"")
    found = citations(promise, how, exchange) or [of_operation(exchange)]
    assert [each.level for each in found] == [level]
    assert words in found[0].sentence
    lines = (ROOT / "openapi.yaml").read_text(encoding="utf-8").splitlines()
    node = "\n".join(lines[found[0].line - 1 : found[0].line + 4])
    assert words.split(",", maxsplit=1)[0] in node or promise == "held_as_sent"


def test_a_failure_has_its_request_its_response_and_the_whole_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYEX_TOKEN", "secret-Token-1")
    own = {"Authorization": "Bearer secret-Token-1"}
    created = Exchange("POST", PATH, own, b'{"customerNo":"CT-1"}', 201, SHOWN, b"{}", url="http://x")
    last = Exchange("GET", f"{PATH}/CT-1", own, b"", 200, SHOWN, b'{"a":"secret-Token-1"}', url="http://x")
    long = {f"property{index}": "x" * 50 for index in range(40)}
    how = "\n".join(difference({**long, "last": 1}, {**long, "last": 2}))
    assert how == "last: found 1, expected 2"

    text = explain(Broken("held_as_sent", how), [created, last], "a_probe", "A charge reads as it was created.")

    assert text.splitlines()[0] == how
    assert "Inferred by this suite" in text
    assert "openapi.yaml:" in text
    assert '''-X POST -H "Authorization: Bearer $PAYEX_TOKEN"''' in text
    assert "HTTP 200" in text
    assert "secret-Token-1" not in text
    flood = explain(Broken("status", "x" * 100_000), [last])
    assert len(flood.splitlines()[0]) < 400
    assert len(flood) < 5_000
    dropped = Exchange("POST", f"{PATH}/CT-1/recurring-products", own, b'{"a":1,"b":2}', 201, SHOWN, b'{"a":1}')
    rule = "what_was_sent_is_what_is_held"
    assert explain(Broken(rule, "b was sent", dropped), [created, dropped]).endswith("b: found nothing, expected 2")
    error = KeyError("@id")
    assert "lacks a value" in explain(error, [last])


def test_a_failure_without_a_sentence_of_its_own_cites_its_operation() -> None:
    text = explain(Broken("held_as_sent", "nothing to find"), [Exchange("GET", f"{PATH}/1", {}, b"", 200, {}, b"")])
    assert "  The sentence of the operation:\n  openapi.yaml:" in text
    assert "nearest" not in text


def test_the_summary_puts_failures_of_one_cause_together() -> None:
    tests = [
        {"name": name, "outcome": "failed", "text": f"Failed: status: expected 404, got 200 for CT-{number}\nmore"}
        for name, number in (("one", "70247922001"), ("two", "71003868001"))
    ]
    tests += [{"name": "three", "outcome": "failed", "text": "quantity: found 1, expected 3"}]
    tests += [{"name": "four", "outcome": "passed", "text": ""}]
    assert summary(Run(1.0, tests=tests)).splitlines()[:5] == [
        "3 tests failed. What they say, the most frequent first:",
        "  2 × status: expected 404, got 200 for …",
        "    one, two",
        "  1 × quantity: found 1, expected 3",
        "    three",
    ]
    assert "tests failed" not in summary(Run(1.0, tests=tests[2:]))


def test_the_har_keeps_each_exchange_of_a_failed_test(tmp_path: Any) -> None:
    recorder = Recorder()
    first = Exchange("GET", "/first", {}, b"", 200, {}, b"")
    recorder.saw(first)
    recorder.ended("first", "failed", "")
    for index in range(3_100):
        recorder.saw(Exchange("GET", f"/{index}", {}, b"", 200, {}, b""))
    recorder.write(tmp_path)
    entries = json.loads((tmp_path / f"{os.getpid()}.json").read_text())["entries"]
    assert (len(entries), entries[0]["request"]["url"]) == (3_001, "/first")

    whole = Recorder(keeps_all=True)
    for index in range(3_100):
        whole.saw(Exchange("GET", f"/{index}", {}, b"", 200, {}, b""))
    assert len(whole.exchanges) == 3_100


def test_an_observation_is_in_the_summary_and_on_the_page_with_its_count_and_its_request(tmp_path: Path) -> None:
    exchange = Exchange("GET", "/x", {}, b"", 200, {}, b'{"a":"<b>"}', url="https://api.example")
    before, COVERAGE.observations = COVERAGE.observations, {}
    try:
        for _ in range(3):
            COVERAGE.observe("a header shows a version", exchange)
        Recorder().write(tmp_path)
    finally:
        COVERAGE.observations = before
    part = tmp_path / f"{os.getpid()}.json"
    (tmp_path / "other.json").write_text(part.read_text())  # of another process
    run = collect(tmp_path, 1.0)
    text, html = summary(run), page(run)
    assert "Observed, where the contract is silent:\n  a header shows a version (6 times)\n    curl -i -X GET" in text
    assert "'https://api.example/x'" in text
    assert "<h3>a header shows a version</h3><p>6 times, first:</p>" in html
    assert "{&quot;a&quot;:&quot;&lt;b&gt;&quot;}" in html
