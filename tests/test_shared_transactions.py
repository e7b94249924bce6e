"""The tasks of a process share the transactions of a journal in PostgreSQL."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from payex_billing import AsyncBilling, Billing, Charge, reconcile
from payex_billing._transport._sender import AsyncSender
from payex_billing.reconcile import JournalError
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._match import Content, Kind, Step
from payex_billing.reconcile._postgres import PostgresStore
from payex_billing.reconcile._records import Done, Result, Started
from payex_billing.reconcile._store import Statement
from payex_billing.reconcile._together import Together
from payex_billing_mock import MockServer

from tests.support import LEDGER, TOKEN

MOST = 60.0  # seconds after which a test fails
STEP = Step(kind=Kind.CREATE, customer_no="1", charge=Content.of(Charge(product_code="P01", quantity=1)))


@pytest.fixture
def ledger(mock: MockServer) -> str:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        return billing.settings.ledger


def journal(place: Any, ledger: str) -> Journal:
    notes = Journal(place, ledger, alone=False)
    notes.begin("", "", resumed=False, started=Started(command="write"))
    return notes


async def apply(mock: MockServer, folder: Path, database: str, *, concurrency: int) -> None:
    file = folder / "charges.csv"
    lines = [f"{number},P{code:02d},1" for number in range(100, 160) for code in range(3)]
    file.write_text("\n".join(["customer_no,product_code,quantity", *lines]) + "\n", encoding="utf-8")
    async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
        with reconcile.read(file) as table:
            report = await reconcile.apply(
                billing, table, journal=database, concurrency=concurrency, settle=0.2, first_run=True
            )
    assert report.applied == len(lines)


def test_the_tasks_of_a_process_go_on_while_the_database_works(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_each = PostgresStore.run_each

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def slow(self: PostgresStore, statements: Iterable[Statement], **options: Any) -> Any:
            kept = list(statements)
            if any("INSERT INTO write" in query for query, _ in kept):
                went_on = threading.Event()
                loop.call_soon_threadsafe(went_on.set)
                assert went_on.wait(MOST)
            return run_each(self, kept, **options)

        monkeypatch.setattr(PostgresStore, "run_each", slow)
        await apply(mock, tmp_path, database, concurrency=2)

    asyncio.run(main())


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_run_has_no_more_requests_at_once_than_its_concurrency(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, concurrency: int
) -> None:
    send, under_way, most = AsyncSender.send, 0, 0

    async def counted(self: AsyncSender, request: Any, seconds: float) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(self, request, seconds)
        finally:
            under_way -= 1

    monkeypatch.setattr(AsyncSender, "send", counted)
    asyncio.run(apply(mock, tmp_path, database, concurrency=concurrency))
    assert most == concurrency


def test_a_run_that_is_cancelled_while_a_customer_waits_for_the_only_request_leaves_no_warning(
    mock: MockServer, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire = asyncio.Semaphore.acquire

    async def main() -> None:
        waits = asyncio.Event()

        async def noted(self: asyncio.Semaphore) -> Any:
            if self.locked():
                waits.set()
            return await acquire(self)

        monkeypatch.setattr(asyncio.Semaphore, "acquire", noted)
        running = asyncio.create_task(apply(mock, tmp_path, database, concurrency=1))
        await asyncio.wait_for(waits.wait(), MOST)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())


def test_a_customer_is_free_at_once_if_the_task_that_waited_for_it_was_cancelled(
    database: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop, began, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        with journal(database, ledger) as notes, journal(database, ledger) as others:
            run_each = notes._store.run_each

            def slow(*values: Any, **options: Any) -> Any:
                loop.call_soon_threadsafe(began.set)
                assert may_end.wait(MOST)
                return run_each(*values, **options)

            monkeypatch.setattr(notes._store, "run_each", slow)
            together = Together(notes)
            task = asyncio.create_task(together.take("1"))
            await began.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            may_end.set()
            assert together._work is not None
            await together._work
            with others.lease("1") as writes:
                assert writes == []

    asyncio.run(main())


def test_a_task_that_is_cancelled_while_its_customer_is_finished_disturbs_no_other(
    database: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        loop, began, may_end = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        with journal(database, ledger) as notes:
            together, run_each = Together(notes), notes._store.run_each

            def slow(*values: Any, **options: Any) -> Any:
                rows = run_each(*values, **options)
                loop.call_soon_threadsafe(began.set)
                assert may_end.wait(MOST)
                return rows

            async def finish(customer_no: str) -> int:
                try:
                    return await together.save(notes.finish(customer_no, Done(applied=1)))
                finally:
                    notes.give_back(customer_no)

            await asyncio.gather(together.take("1"), together.take("2"))
            monkeypatch.setattr(notes._store, "run_each", slow)
            cancelled, other = asyncio.create_task(finish("1")), asyncio.create_task(finish("2"))
            await began.wait()
            cancelled.cancel()
            may_end.set()
            assert await other == notes.run
            assert notes.history.totals(notes.run).applied == 2

    asyncio.run(main())


def test_processes_that_take_the_same_customers_in_another_order_do_not_wait_for_one_another(
    database: str, ledger: str
) -> None:
    customers = [str(number) for number in range(20)]

    def take(in_order: list[str]) -> None:
        with journal(database, ledger) as notes:
            for _ in range(100):
                _, writes = notes.do(notes.exchange([], in_order))
                for customer_no in writes:
                    notes.give_back(customer_no)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(take, customers), threads.submit(take, customers[::-1])]:
            done.result()


@pytest.mark.parametrize("kind", ["file", "database"])
def test_a_result_is_saved_with_the_next_transaction_if_its_own_failed(
    kind: str, database: str, ledger: str, tmp_path: Path
) -> None:
    with journal(database if kind == "database" else tmp_path / "journal", ledger) as notes:
        with notes.lease("1"):
            notes.settle(notes.intend(0, STEP, ()), Result.DONE)
            with pytest.raises(JournalError):
                notes._save([("INSERT INTO nowhere VALUES (?)", (1,))])
            notes.save()
        assert [intent.result for intent in notes.history.writes()] == [Result.DONE]
