"""A client's life: closing, threads, tasks, cancellation, forks, event loops, limits."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import AsyncBilling, Billing, Charge, Request, Response
from payex_billing._policy.limits import Pace
from payex_billing._transport._choice import ssl_context
from payex_billing.config import Settings
from payex_billing_mock import Faults, MockServer

from tests.support import LEDGER, TOKEN


def options(mock: MockServer, **more: Any) -> dict[str, Any]:
    return {"token": TOKEN, "owner_no": LEDGER, "base_url": mock.url} | more


@pytest.fixture
def faulty() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        yield server


# closing


@pytest.mark.parametrize("kind", [Billing, AsyncBilling])
def test_a_client_that_is_left_open_warns(kind: Any) -> None:
    def leave_open() -> None:
        kind(token="t", owner_no="1")
        gc.collect()

    with pytest.warns(ResourceWarning, match=rf"unclosed {kind.__name__}\(https://lf-api\.payex\.com"):
        leave_open()


def test_a_client_that_could_not_be_made_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(pb.ConfigurationError):
            Billing(token="t", owner_no="1", client_cert="/nowhere.pem")
        gc.collect()


def test_a_closed_client_says_so(mock: MockServer) -> None:
    billing = Billing(**options(mock))
    billing.close()
    billing.close()
    with pytest.raises(pb.ConfigurationError, match="closed"):
        billing.customer("1").get()

    async def main() -> None:
        client = AsyncBilling(**options(mock))
        await client.close()
        with pytest.raises(pb.ConfigurationError, match="closed"):
            await client.customer("1").get()

    asyncio.run(main())


def test_clients_without_certificates_share_one_context() -> None:
    first, second = (ssl_context(Settings.load(token=token, owner_no="1")) for token in ("t", "u"))
    assert first is second


# threads and processes


def test_threads_share_a_client(mock: MockServer) -> None:
    with Billing(**options(mock)) as billing:
        billing.customer("1").create()
        charges = billing.customer("1").recurring_products

        def work(number: int) -> list[str]:
            ids = []
            for step in range(20):
                added = charges.create(Charge(product_code="P", text=f"{number}-{step}"))
                assert charges.get(added.id) == added
                assert charges.update(added.id, quantity=step + 1).text == f"{number}-{step}"
                ids.append(added.id)
            for each in ids[::2]:
                charges.delete(each)
            return ids[1::2]

        with ThreadPoolExecutor(16) as pool:
            kept = [each for ids in pool.map(work, range(16)) for each in ids]
        assert sorted(kept) == sorted(each.id for each in charges.list())


def test_a_client_works_after_a_fork_in_parent_and_child(mock: MockServer) -> None:
    with Billing(**options(mock)) as billing:
        billing.customer("parent").create()
        child = os.fork()
        if child == 0:  # no assertion here: the child must not return into pytest
            code = 1
            try:
                billing.customer("parent").get()
                billing.customer("child").create()
                billing.close()
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        for _ in range(3):
            assert billing.customer("child").get().customer_no == "child"


def test_a_second_event_loop_is_refused_with_advice(mock: MockServer) -> None:
    async def use(client: AsyncBilling) -> None:
        with pytest.raises(pb.CustomerNotFound):
            await client.customer("1").get()

    with asyncio.Runner() as first:
        client = AsyncBilling(**options(mock))
        first.run(use(client))
        with pytest.raises(pb.ConfigurationError, match="one for each loop"), asyncio.Runner() as second:
            second.run(use(client))
        first.run(client.close())


# cancellation


def open_connections(server: MockServer) -> int:
    assert server._wire is not None
    return len(server._wire.connections)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something in another thread that has no event to offer."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.001)


def test_after_a_storm_of_cancelled_tasks_every_place_is_free_and_no_connection_is_left(
    faulty: MockServer, engine: str
) -> None:
    # httpx breaks a cancelled request off; reqwest lets it run to its end, which is its time limit at the latest.
    longest = 30 if engine == "httpx" else 0.5

    async def main() -> None:
        async with AsyncBilling(**options(faulty, max_concurrency=10, timeout=longest)) as billing:
            await billing.customer("1").ensure()
            for _ in range(5):
                with faulty.faults.active("latency=30:GET"):
                    tasks = [asyncio.create_task(billing.customer("1").get()) for _ in range(50)]
                    await until(lambda: open_connections(faulty) == 10)
                    for task in tasks:
                        task.cancel()
                    results = await asyncio.gather(*tasks, return_exceptions=True)
                    assert {type(result) for result in results} == {asyncio.CancelledError}
                    await until(lambda: open_connections(faulty) == 0)
            quick = billing.with_options(timeout=5)
            found = await asyncio.gather(*(quick.customer("1").get() for _ in range(50)))
            assert len(found) == 50
        await until(lambda: open_connections(faulty) == 0)

    asyncio.run(main())


def test_a_cancelled_creation_is_no_other_error_than_the_cancellation(faulty: MockServer) -> None:
    async def main() -> None:
        async with AsyncBilling(**options(faulty, timeout=2)) as billing:  # on reqwest, `close` waits for the request
            with faulty.faults.active("latency=30"):
                task = asyncio.create_task(billing.customer("1").create())
                await until(lambda: bool(faulty.faults.met))  # the request has reached the server
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())


# limits


def test_no_more_requests_are_under_way_than_allowed(faulty: MockServer) -> None:
    async def main() -> None:
        async with AsyncBilling(**options(faulty, max_concurrency=3)) as billing:
            with faulty.faults.active("latency=0.05"):
                calls = (billing.customer("1").get() for _ in range(12))
                results = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(result) for result in results} == {pb.CustomerNotFound}

    asyncio.run(main())
    assert faulty._wire is not None
    assert faulty._wire.most_connections <= 3

    with Billing(**options(faulty, max_concurrency=2)) as billing, faulty.faults.active("latency=0.05"):
        gate = threading.Barrier(8)

        def one(_: int) -> None:
            gate.wait()
            with pytest.raises(pb.CustomerNotFound):
                billing.customer("1").get()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, range(8)))
        assert open_connections(faulty) <= 2


def test_who_finds_no_place_in_time_was_never_sent(faulty: MockServer) -> None:
    async def main() -> None:
        async with AsyncBilling(**options(faulty, max_concurrency=1)) as billing:
            with faulty.faults.active("latency=30:GET"):
                blocking = asyncio.create_task(billing.customer("1").get())
                await until(lambda: bool(faulty.faults.met))  # the request has reached the server
                with pytest.raises(pb.NeverSent, match="max_concurrency"):
                    await billing.with_options(timeout=0.05, attempts=1).customer("1").create()
                blocking.cancel()

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(5))
def test_a_place_that_is_handed_to_a_cancelled_request_goes_to_the_next(turns: int) -> None:
    class Held:
        """A transport whose responses come when the test says so."""

        def __init__(self) -> None:
            self.responses: list[asyncio.Future[Response]] = []

        async def send(self, request: Request, deadline: float) -> Response:
            self.responses.append(asyncio.get_running_loop().create_future())
            return await self.responses[-1]

        async def close_idle(self) -> None: ...

        async def close(self) -> None: ...

    refusal = Response(404, {}, b"")

    async def main() -> None:
        held = Held()
        async with AsyncBilling(
            token=TOKEN, owner_no=LEDGER, base_url="http://127.0.0.1:1", transport=held, max_concurrency=1
        ) as billing:
            first, second, third = (asyncio.create_task(billing.customer("1").get()) for _ in range(3))
            await until(lambda: len(held.responses) == 1)
            held.responses[0].set_result(refusal)
            for _ in range(turns):  # the moments from the end of the first request to the beginning of the second
                await asyncio.sleep(0)
            second.cancel()
            await asyncio.wait([first, second])
            await until(lambda: not held.responses[-1].done())
            held.responses[-1].set_result(refusal)
            with pytest.raises(pb.NotFound):
                await third

    asyncio.run(main())


def test_requests_are_spread_evenly_at_the_rate() -> None:
    pace = Pace(10)
    assert [round(pace.reserve(100.0), 6) for _ in range(4)] == [0.0, 0.1, 0.2, 0.3]
    assert pace.reserve(100.35) == pytest.approx(0.05)
    assert pace.reserve(200.0) == 0.0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_keeps_its_rate(mock: MockServer, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    if kind == "sync":
        monkeypatch.setattr("payex_billing._sync.driver.sleep", waited.append)
        with Billing(**options(mock, max_rate=0.001)) as billing:
            twin = billing.with_options(deadline=10_000)
            for _ in range(3):
                with pytest.raises(pb.CustomerNotFound):
                    twin.customer("1").get()
    else:

        async def sleep(seconds: float) -> None:
            waited.append(seconds)

        async def main() -> None:
            async with AsyncBilling(**options(mock, max_rate=0.001)) as billing:
                twin = billing.with_options(deadline=10_000)
                for _ in range(3):
                    with pytest.raises(pb.CustomerNotFound):
                        await twin.customer("1").get()

        with monkeypatch.context() as patched:
            patched.setattr("payex_billing._async.driver.sleep", sleep)
            asyncio.run(main())
    assert [round(seconds / 1000) for seconds in waited] == [1, 2]


def test_a_place_beyond_the_deadline_is_an_error_at_once(mock: MockServer) -> None:
    with Billing(**options(mock, max_rate=0.001, deadline=5)) as billing:
        with pytest.raises(pb.CustomerNotFound):
            billing.customer("1").get()
        with pytest.raises(pb.DeadlineExceeded):
            billing.customer("1").get()
