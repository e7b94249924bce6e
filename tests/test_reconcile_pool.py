"""Many customers at once: which customers wait, which go on, and when all work stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from payex_billing import BillingError, NeverSent, RateLimited, ServerFailed, Unauthorized
from payex_billing.errors import Problem
from payex_billing.reconcile._pool import IN_A_ROW, TRIES, TRIES_AFTER_FAILURE, Brake, Later, Pool, Stopped

GONE = NeverSent("the connection was refused")
Work = Callable[[int], Awaitable[None]]


def problem(kind: type[BillingError], status: int) -> BillingError:
    return kind(Problem(status=status, code=None, title=None, detail=None, instance=None, problems={}))  # type: ignore[call-arg, arg-type]


def run(work: Work, items: int, *, concurrency: int = 4, brake: Brake | None = None) -> None:
    async def main() -> None:
        pool = Pool[int](concurrency, asyncio.Event(), brake or Brake())
        await asyncio.wait_for(pool.run(iter(range(1, items + 1)), work), 60)

    asyncio.run(main())


def test_the_first_item_is_done_alone() -> None:
    active, most = 0, []

    async def work(item: int) -> None:
        nonlocal active
        active += 1
        await asyncio.sleep(0)
        most.append(active)
        active -= 1

    run(work, 9)
    assert most[0] == 1
    assert max(most) == 4


def test_an_item_that_must_wait_does_not_hold_up_the_others() -> None:
    done: list[int] = []
    others = asyncio.Event()

    async def work(item: int) -> None:
        if item == 1 and not others.is_set():
            raise Later(0.01)
        done.append(item)
        if len(done) == 99:
            others.set()
        return

    run(work, 100, concurrency=1)
    assert done == [*range(2, 101), 1]


def test_when_told_to_stop_a_parked_item_is_not_waited_for() -> None:
    async def main() -> list[int]:
        stop = asyncio.Event()
        done: list[int] = []

        async def work(item: int) -> None:
            if item == 1:
                raise Later(3600)
            done.append(item)
            if item == 3:
                stop.set()
            return

        await asyncio.wait_for(Pool[int](1, stop, Brake()).run(iter(range(1, 10)), work), 60)
        return done

    assert asyncio.run(main()) == [2, 3]


@pytest.mark.parametrize("concurrency", [1, 4])
def test_parked_items_can_be_left_to_the_next_call(concurrency: int) -> None:
    async def main() -> tuple[list[int], list[int]]:
        pool = Pool[int](concurrency, asyncio.Event(), Brake())
        done: list[int] = []
        may_do_all = False

        async def work(item: int) -> None:
            if item == 1 and not may_do_all:
                raise Later(0.01)
            done.append(item)

        await asyncio.wait_for(pool.run(iter([1, 2, 3]), work, may_leave=lambda: True), 60)
        before, may_do_all = done.copy(), True
        await asyncio.wait_for(pool.run(iter([4]), work), 60)
        return before, done

    before, done = asyncio.run(main())
    assert (before, sorted(done)) == ([2, 3], [1, 2, 3, 4])


@pytest.mark.parametrize("concurrency", [1, 16])
def test_an_error_that_all_would_meet_is_met_once(concurrency: int) -> None:
    brake, calls = Brake(), 0

    async def work(item: int) -> None:
        nonlocal calls
        calls += 1
        brake.failed(str(item), problem(Unauthorized, 401))

    with pytest.raises(Stopped, match="Unauthorized"):
        run(work, 50, concurrency=concurrency, brake=brake)
    assert calls == 1


def test_one_customer_that_never_gets_through_fails_in_the_end_and_stops_nobody() -> None:
    brake = Brake()
    answers = []
    for _ in range(TRIES):
        answers.append(brake.failed("A", GONE))
        brake.release()  # another customer got through
    assert [answer is not None for answer in answers] == [True] * (TRIES - 1) + [False]


def test_when_nobody_gets_through_all_work_waits_and_ends_with_the_patience() -> None:
    now = 0.0
    told: list[str] = []
    brake = Brake(300, notice=told.append, now=lambda: now)
    for number in range(IN_A_ROW):
        assert not brake.is_on
        assert isinstance(brake.failed(str(number), GONE), Later)
    assert brake.is_on
    assert len(told) == 1
    now = 299.0
    assert isinstance(brake.failed("x", GONE), Later)
    now = 300.0
    with pytest.raises(Stopped, match="could not be reached for 300 seconds"):
        brake.failed("x", GONE)


def test_in_a_small_table_a_few_calls_are_enough() -> None:
    now = 0.0
    brake = Brake(300, now=lambda: now)
    brake.failed("A", GONE)
    now = 3.0
    brake.failed("A", GONE)
    assert not brake.is_on
    brake.failed("A", GONE)
    assert brake.is_on


def test_the_pauses_grow_and_end_with_the_patience() -> None:
    now = 0.0
    brake = Brake(100, now=lambda: now)
    for number in range(IN_A_ROW):
        brake.failed(str(number), GONE)
    assert [brake.pause() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    now = 90.0
    assert brake.pause() == 10.0


def test_a_server_that_comes_back_lets_all_work_go_on() -> None:
    now = 0.0
    brake = Brake(300, now=lambda: now)
    for number in range(2 * IN_A_ROW):
        brake.failed(str(number), GONE)
    assert brake.is_on
    brake.release()
    assert not brake.is_on
    now = 1000.0
    assert isinstance(brake.failed("x", GONE), Later)


def test_no_customer_fails_because_of_an_outage() -> None:
    """A try counts only if others got through since the last one."""
    brake = Brake(1e9)
    for _ in range(IN_A_ROW):
        for customer in ("A", "B", "C", "D", "E"):
            assert brake.failed(customer, GONE) is not None
    brake.release()
    assert brake.failed("A", GONE) is not None


def test_a_429_is_waited_for_as_long_as_it_says() -> None:
    error = problem(RateLimited, 429)
    error.retry_after = 7.0  # type: ignore[attr-defined]
    later = Brake().failed("A", error)
    assert later is not None
    assert later.seconds == 7.0


def test_an_error_of_one_row_is_that_rows() -> None:
    assert Brake().failed("A", problem(BillingErrorOf422, 422)) is None


def test_a_customer_for_whom_the_server_fails_is_tried_again_and_fails_in_the_end() -> None:
    brake = Brake()
    answers = [brake.failed("A", problem(ServerFailed, 500)) for _ in range(TRIES_AFTER_FAILURE)]
    assert [answer is not None for answer in answers] == [True] * (TRIES_AFTER_FAILURE - 1) + [False]
    assert not brake.is_on


def test_after_20_failures_of_the_server_in_a_row_each_further_one_fails_its_customer_at_once() -> None:
    brake = Brake()
    assert all(brake.failed(str(number), problem(ServerFailed, 500)) for number in range(IN_A_ROW))
    assert brake.failed("x", problem(ServerFailed, 500)) is None
    brake.release()  # a customer is read
    assert brake.failed("y", problem(ServerFailed, 500)) is not None


class BillingErrorOf422(RateLimited):
    """A response of the API itself."""


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "1 second;"), (1.0, "1 second;"), (59.9, "60 seconds;")])
def test_a_notice_counts_its_seconds_right(seconds: float, text: str) -> None:
    told: list[str] = []
    Brake(notice=told.append).waits_for_lost_write(seconds)
    assert text in told[0]


def test_a_patience_of_one_second_is_counted_right() -> None:
    told: list[str] = []
    now = 0.0
    brake = Brake(1, notice=told.append, now=lambda: now)
    for _ in range(IN_A_ROW):
        brake.failed("1", GONE)
    assert told[0].endswith("Waiting up to 1 second for it.")
    now = 1.0
    with pytest.raises(Stopped, match="could not be reached for 1 second: "):
        brake.failed("2", GONE)
