"""How many requests a second a client sends after a 429, on a clock that is held still."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payex_billing._policy.limits import Pace


def served(limit: int, window: float, workers: int, requests: int) -> tuple[float, list[int]]:
    """Send requests to a server that allows `limit` in each window and answers 429 with Retry-After otherwise.

    Returns the seconds that it took, and how often each request was refused.
    """
    pace = Pace()
    refused = [0] * requests
    waiting = list(range(requests))
    used: dict[int, int] = {}
    events: list[tuple[float, int]] = []  # when a worker sends, and what
    latency = 0.005

    def begin(number: int, now: float) -> None:
        heapq.heappush(events, (now + pace.reserve(now), number))

    for _ in range(workers):
        begin(waiting.pop(0), 0.0)
    now = 0.0
    while events:
        now, number = heapq.heappop(events)
        if (more := pace.again(now, now, may_wait=True)) > 0:
            heapq.heappush(events, (now + more, number))
            continue
        slot = int(now / window)
        if used.get(slot, 0) < limit:
            used[slot] = used.get(slot, 0) + 1
            if waiting:
                begin(waiting.pop(0), now + latency)
        else:
            refused[number] += 1
            pace.slow_down(now + latency, window)
            begin(number, now + latency + window)
    return now, refused


@pytest.mark.parametrize("workers", [1, 16, 64])
@pytest.mark.parametrize(("limit", "window"), [(60, 1.0), (10, 1.0), (300, 10.0)])
def test_a_limit_of_rate_is_used_well_and_no_request_is_refused_often(limit: int, window: float, workers: int) -> None:
    requests = limit * 20
    seconds, refused = served(limit, window, workers, requests)
    assert seconds < 2.5 * requests / limit * window
    assert max(refused) < 4  # a client makes four attempts


@given(st.integers(10, 200), st.sampled_from([0.5, 1.0]), st.integers(1, 64))
def test_every_request_gets_through_in_the_end(limit: int, window: float, workers: int) -> None:
    _, refused = served(limit, window, min(workers, limit * 3), limit * 3)
    assert max(refused) < 4


def test_a_429_holds_back_every_request_until_its_retry_after_has_passed() -> None:
    pace = Pace()
    assert pace.reserve(100.0) == 0.0
    pace.slow_down(100.1, 2.0)
    assert 100.5 + pace.reserve(100.5) >= 102.1


def test_the_rate_is_nine_tenths_of_what_was_accepted() -> None:
    """Of 60 requests in a second, 20 are refused."""
    pace = Pace()
    for number in range(60):
        pace.reserve(number / 100)
    for number in range(20):
        pace.slow_down(0.6 + number / 1000, 1.0)
    pace.reserve(1.7)
    assert 1 / pace.reserve(1.7) == pytest.approx(0.9 * 40, rel=0.02)


def test_the_pace_recovers_by_itself() -> None:
    pace = Pace()
    for number in range(60):
        pace.reserve(number / 100)
    pace.slow_down(0.6, 1.0)
    assert pace.reserve(2.0) + pace.reserve(2.0) > 0
    for second in range(3, 400):
        pace.reserve(float(second))
    assert [pace.reserve(400.0) for _ in range(100)] == [0.0] * 100


def test_a_set_rate_is_kept_also_after_a_429() -> None:
    pace = Pace(10)
    pace.reserve(0.0)
    pace.slow_down(0.1, 1.0)
    assert all(pace.reserve(500.0 + number / 1000) >= number * 0.1 - 0.1 for number in range(20))


def test_a_request_that_may_not_wait_is_not_held_back() -> None:
    pace = Pace()
    pace.reserve(0.0)
    pace.slow_down(0.1, 30.0)
    assert pace.reserve(1.0, may_wait=False) == 0.0
    assert pace.reserve(1.0) > 28


def test_a_429_that_arrives_during_the_wait_holds_back_only_who_may_wait() -> None:
    pace = Pace(10)
    due = max(pace.reserve(0.0) for _ in range(2))
    pace.slow_down(0.05, 5.0)
    assert pace.again(due, due, may_wait=False) == 0.0
    assert pace.again(due, due, may_wait=True) == pytest.approx(4.95)


def test_a_429_without_retry_after_slows_nobody_down() -> None:
    pace = Pace()
    pace.reserve(0.0)
    pace.slow_down(0.1, 0.0)
    assert [pace.reserve(0.2) for _ in range(20)] == [0.0] * 20


def test_a_client_of_few_requests_is_not_slowed_down_to_a_crawl() -> None:
    pace = Pace()
    pace.reserve(0.0)
    pace.slow_down(0.1, 1.0)
    assert 1.2 + pace.reserve(1.2) + pace.reserve(1.2) + pace.reserve(1.2) < 2.0
