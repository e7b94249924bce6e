"""The judge finds what it is there to find: errors that these tests make on purpose. No `apply` runs in most of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.chaos.apply_judge import Judge
from tests.chaos.apply_process import PREFIX, Ended, Mock, Night, Row, night_on
from tests.chaos.test_apply_campaigns import CAMPAIGNS, SETTLE, Storm
from tests.support import NIGHTLY

ROWS = [Row("A", "P01", None, 1, "9.00"), Row("B", "P01", "46", 2)]
CHARGE = {"productCode": "P01", "quantity": 1, "unitPrice": 9.0}


@pytest.fixture
def night(billing_mock: Mock, ledger: str, tmp_path: Path) -> Iterator[Night]:
    with night_on(billing_mock, ledger, tmp_path) as night:
        yield night


@pytest.fixture
def judge(night: Night) -> Judge:
    """A judge of a night whose two rows are held."""
    for row in ROWS:
        night.add(row)
    judge = Judge(night)
    judge.sees_held()
    night.write(ROWS)
    judge.sees_table()
    return judge


def through_proxy(night: Night, method: str, path: str, content: Any = None) -> Any:
    """Send a request as `apply` would."""
    connection = http.client.HTTPConnection("127.0.0.1", night.proxy.port, timeout=10)
    headers = {"Authorization": f"Bearer token-{night.ledger}", "Content-Type": "application/json"}
    body = None if content is None else json.dumps(content)
    connection.request(method, f"{PREFIX}/{night.ledger}/customers{quote(path)}", body, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status < 300, text
    return json.loads(text) if text else None


def ended(night: Night, code: int = 0, output: str = "", since: int = 0, **changes: Any) -> Ended:
    """A run that says that both rows are unchanged, with these changes."""
    report = {
        "outcome": {0: "done", 3: "rows_failed", 130: "interrupted"}.get(code, "failed"),
        "rows": 2,
        "unchanged": 2,
        "applied": 0,
        "rejected": {},
        "failed": {},
        "not_removed": [],
        "interrupted": False,
    }
    return Ended(code, output, report | changes, range(since, len(night.proxy.log)), 0)


def test_a_true_report_of_an_intact_ledger_is_accepted(night: Night, judge: Judge) -> None:
    judge.judge_rest(ended(night))
    judge.judge_end()
    judge.judge_log()
    assert not judge.wrong


def test_a_doubled_charge_is_found_also_if_it_was_removed_again(night: Night, judge: Judge) -> None:
    added = through_proxy(night, "POST", "/A/recurring-products", CHARGE)
    judge.judge_end()
    assert [text[:7] for text in judge.wrong] == ["doubled"]
    through_proxy(night, "DELETE", f"/A/recurring-products/{added['recurringProductId']}")
    judge.wrong.clear()
    judge.judge_end()
    judge.judge_log()
    assert [text[:7] for text in judge.wrong] == ["doubled"]


def test_a_lost_charge_is_found_in_the_report_and_in_the_end(night: Night, judge: Judge) -> None:
    (charge, _) = night.held
    night.ask("DELETE", f"/A/recurring-products/{charge.id}")
    judge.judge(ended(night))
    judge.judge_end()
    assert [text[:4] for text in judge.wrong] == ["lost", "lost"]


def test_a_charge_with_another_value_is_lost(night: Night, judge: Judge) -> None:
    (charge, _) = night.held
    night.ask("PATCH", f"/A/recurring-products/{charge.id}", {"unitPrice": 9.01})
    judge.judge_end()
    assert [text[:4] for text in judge.wrong] == ["lost"]


def test_a_removal_of_what_a_row_asks_for_is_found(night: Night, judge: Judge) -> None:
    (charge, _) = night.held
    through_proxy(night, "DELETE", f"/A/recurring-products/{charge.id}")
    judge.judge(ended(night, code=3, failed={"2": "x"}, unchanged=1))
    assert [text[:7] for text in judge.wrong] == ["removed"]


WRONG_REPORTS: dict[str, dict[str, Any]] = {
    "counts do not come to the rows": {"unchanged": 1},
    "too many counts": {"applied": 1},
    "another number of rows": {"rows": 3, "unchanged": 3},
    "a negative line": {"code": 3, "failed": {"-1": "x"}, "unchanged": 1},
    "a row that nothing is wrong with is rejected": {"code": 3, "rejected": {"2": "x"}, "unchanged": 1},
    "exit code 0 with failures": {"failed": {"2": "x"}, "unchanged": 1},
    "exit code 3 without a reason": {"code": 3},
    "interrupted without the exit code": {"interrupted": True},
    "the exit code without interrupted": {"code": 130},
    "another outcome": {"outcome": "rows_failed"},
    "killed by SIGTERM": {"code": -15},
    "a traceback": {"code": 1, "output": "Traceback (most recent call last):"},
    "removals that failed": {"not_removed": ["x"]},
}


@pytest.mark.parametrize("wrong", WRONG_REPORTS)
def test_a_wrong_report_is_found(wrong: str, night: Night, judge: Judge) -> None:
    judge.judge(ended(night, **WRONG_REPORTS[wrong]))
    assert judge.wrong


def test_writes_before_a_stop_by_a_guard_and_in_a_run_with_nothing_to_do_are_found(night: Night, judge: Judge) -> None:
    (charge, _) = night.held
    through_proxy(night, "PATCH", f"/A/recurring-products/{charge.id}", {"quantity": 1})
    judge.judge(replace(ended(night, code=4), report=None))
    judge.judge_rest(ended(night))
    assert len(judge.wrong) == 2


@pytest.mark.skipif(not NIGHTLY, reason="make nightly: a minute")
def test_a_campaign_finds_doubled_charges_if_settle_is_shorter_than_the_latest_commit(
    billing_mock: Mock, tmp_path: Path
) -> None:
    """Settle is 0 and the limit of an attempt 0.3 s, while writes take effect up to 1 s late: the promise does not hold."""
    found: list[str] = []
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        with night_on(billing_mock, str(1190 + number), folder, settle=SETTLE, timeout=0.3) as night:
            night.settle = 0
            storm = Storm(CAMPAIGNS["killed while writes take effect late"], night, number)
            storm.run()
        found = [text for text in storm.judge.wrong if text.startswith("doubled")]
        if found:
            return
    raise AssertionError("no campaign found a doubled charge")
