"""A server that limits requests, and stale refusals: every row ends applied, and no charge is doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.apply_judge import Judge
from tests.chaos.apply_process import Mock, Row, night_on
from tests.chaos.failing_proxy import TOO_MANY, TOO_MANY_AT_ONCE, Fate, RateLimit, Reply
from tests.support import NIGHTLY

ENGINES = pytest.mark.parametrize("engine", ["httpx", "reqwest"], indirect=True)
ROWS = 200 if NIGHTLY else 40
LIMIT = 60 if NIGHTLY else 40


def rows_of(customers: int, rows: int) -> list[Row]:
    """Rows spread over customers, half of them below a subscription."""
    return [
        Row(
            f"C{index % customers}",
            f"P{index // customers}",
            f"46{index % customers}" if index % 2 else None,
            1,
            "9.00",
        )
        for index in range(rows)
    ]


@ENGINES
def test_every_row_ends_applied_at_a_server_that_limits_requests_twice_in_a_row(
    engine: str, billing_mock: Mock, ledger: str, tmp_path: Path
) -> None:
    with night_on(billing_mock, ledger, tmp_path, timeout=30) as night:
        night.write(rows_of(ROWS, ROWS))
        night.proxy.weather = limit = RateLimit(LIMIT)
        judge = Judge(night)
        judge.sees_table()
        first = night.apply()
        second = night.apply()
        judge.judge_end()
        judge.judge_log()
    assert limit.refused > 0, "the server never had to refuse a request"
    assert (first.code, first.report and first.report["applied"]) == (0, ROWS), first
    assert (second.code, second.report and second.report["unchanged"]) == (0, ROWS), second
    assert not judge.wrong, judge.wrong


CLOSING = Reply(429, TOO_MANY_AT_ONCE.body, (*TOO_MANY_AT_ONCE.headers, "Connection: close"))
STALE = {
    "at once": Fate(ahead=TOO_MANY_AT_ONCE.bytes()),
    "with a wait": Fate(ahead=TOO_MANY.bytes()),
    "50 ms before the true response": Fate(ahead=TOO_MANY_AT_ONCE.bytes(), pause=0.05),
    "500 ms before the true response": Fate(ahead=TOO_MANY_AT_ONCE.bytes(), pause=0.5),
    "closing, before the true response": Fate(ahead=CLOSING.bytes()),
}


@ENGINES
def test_a_stale_429_before_the_true_response_doubles_nothing(
    engine: str, billing_mock: Mock, ledger: str, tmp_path: Path
) -> None:
    """The refusal belongs to another request: the mock has created the charge, or is about to."""
    with night_on(billing_mock, ledger, tmp_path) as night:
        night.write([Row(f"C{index}", "P01", None, 1, "9.00") for index in range(2 * len(STALE))])
        for row in night.rows:
            night.add(Row(row.customer, "OLD"))
        for index, fate in enumerate([*STALE.values(), *STALE.values()]):
            night.proxy.on("POST", fate, path=f"^customers/C{index}/recurring-products")
        judge = Judge(night)
        judge.sees_held()
        judge.sees_table()
        judge.judge(night.apply())
        night.proxy.forget_rules()
        last = night.apply()
        night.proxy.wait_until_quiet()
        judge.judge_end()
        judge.judge_log()
    assert last.code == 0, last
    assert not judge.wrong, "\n".join(judge.wrong)
