"""What a journal in PostgreSQL promises at the moments that the campaigns of `test_shared_campaigns.py` found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from payex_billing import AsyncBilling, Charge
from payex_billing._policy.limits import RetryBudget
from payex_billing._policy.options import Options
from payex_billing._policy.policy import run
from payex_billing._policy.steps import Environment, Send, Wait
from payex_billing._requests.calls import Call, PreparedRequest
from payex_billing._secret import Secret
from payex_billing.reconcile import JournalError, Shard, SharedJournal, _connection, _journal
from payex_billing.reconcile import work as take_part
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._json import Pairs
from payex_billing.reconcile._match import Kind, Step
from payex_billing.reconcile._memory import Memory
from payex_billing.reconcile._pace import SLICE, PaceState, SharedPace
from payex_billing.reconcile._planned import PlannedCustomer, _to_line
from payex_billing.reconcile._postgres import PostgresStore
from payex_billing.reconcile._records import Done
from payex_billing.reconcile._store import LeaseLost
from payex_billing_mock import MockServer

from tests.chaos.failing_proxy import RST, FailingProxy, Fate
from tests.postgres import postgres
from tests.support import LEDGER, TOKEN

_schemas = count()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with postgres() as address:
        yield address


@pytest.fixture
def ledger() -> str:
    return f"https://billing.example/{next(_schemas)}"


def execute(database: str, store: PostgresStore, statement: str) -> None:
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(f"SET search_path TO {store._schema}")
        other.execute(statement)


def cut(database: str) -> None:
    """End every connection to the journal, and wait until the server has."""
    mine = "FROM pg_stat_activity WHERE application_name LIKE 'payex-billing%'"
    with psycopg.connect(database, autocommit=True) as other:
        other.execute(f"SELECT pg_terminate_backend(pid, 5000) {mine}")


class Clock:
    """The monotonic clock of a process that can be stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
        self.stopped = 0.0
        monkeypatch.setattr(module, "time", self)

    def monotonic(self) -> float:
        return time.monotonic() + self.stopped


class Standing:
    """A clock that stands still, and the shared state of a pace."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.state = PaceState()

    def __call__(self) -> float:
        return self.now

    def change(self, step: Any) -> Any:
        self.state, taken = step(self.state, self.now)
        return self.state, taken, self.now


# the lock of a run


def test_a_run_that_lost_its_lock_to_another_run_writes_nothing_more_also_when_that_run_has_ended(
    database: str, ledger: str
) -> None:
    superseded = "another run has used this journal since the connection was lost"
    with Journal(database, ledger) as first:
        cut(database)
        with Journal(database, ledger):
            for _ in range(3):
                with pytest.raises(JournalError, match=superseded):
                    first.was_allowed("a table")
        with pytest.raises(JournalError, match=superseded):
            first.was_allowed("a table")


def test_a_run_that_lost_its_connection_goes_on_beside_other_shards(database: str, ledger: str) -> None:
    with Journal(database, ledger, shard=Shard(1, 2)) as first:
        cut(database)
        with Journal(database, ledger, shard=Shard(2, 2)):
            assert not first.was_allowed("a table")


# parts


@pytest.fixture
def parts(database: str, ledger: str) -> Iterator[Journal]:
    """A run with three parts."""
    with Journal(database, ledger, lease=0.2) as notes:
        notes.begin("a table", "a plan", resumed=False)
        lines = (json.dumps({"number": number}).encode() + b"\n" for number in range(300))
        list(notes.parts().publish(lines))
        yield notes


def test_a_part_whose_taking_was_not_heard_of_is_taken_again_by_its_holder(parts: Journal) -> None:
    first = parts._store.take_part(parts.run, 1, ())
    assert first is not None
    assert parts._store.take_part(parts.run, 1, ()) == first


def test_a_process_that_was_stopped_does_not_take_its_own_part_a_second_time(database: str, parts: Journal) -> None:
    taken = parts._store.take_part(parts.run, 1, ())
    assert taken is not None
    assert isinstance(parts._store, PostgresStore)
    execute(database, parts._store, "UPDATE part SET expires = 0 WHERE holder IS NOT NULL")
    second = parts._store.take_part(parts.run, 1, {taken[0]})
    assert second is not None
    assert second[0] != taken[0]


def test_parts_are_handed_out_once_although_the_connection_was_lost(
    database: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(database, ledger) as notes:
        notes.begin("a table", "a plan", resumed=False)
        run = notes._store.run

        def twice(statements: Any, **options: Any) -> Any:
            kept = list(statements)
            run(kept, **options)
            return run(kept, **options)

        monkeypatch.setattr(notes._store, "run", twice)
        list(notes.parts().publish(b"{}\n" for _ in range(250)))
        found = notes._store.query("SELECT count(*) FROM part")
    assert found == [(3,)]


# clocks


def test_a_process_that_was_stopped_while_it_took_a_lease_does_not_think_that_it_is_early(
    database: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(database, ledger) as notes:
        store = notes._store
        with notes.lease("0"):
            before = store.now()
        clock = Clock(monkeypatch, _journal)
        monkeypatch.setattr(_connection, "time", clock)
        run_each = store.run_each

        def stopped(*values: Any, **options: Any) -> Any:
            rows = run_each(*values, **options)
            clock.stopped += 20.0
            return rows

        monkeypatch.setattr(store, "run_each", stopped)
        with notes.lease("1"):
            assert store.now() >= before + 19.9


# results


def test_the_result_of_a_process_that_lost_its_lease_does_not_replace_that_of_the_next_holder(
    database: str, ledger: str
) -> None:
    with Journal(database, ledger) as notes, Journal(database, ledger, alone=False) as worker:
        notes.begin("a table", "a plan", resumed=False)
        list(notes.parts().publish([b"{}\n"]))
        assert worker.join(None)
        with worker.lease("1"):
            assert isinstance(notes._store, PostgresStore)
            execute(database, notes._store, "UPDATE lease SET expires = 0")
            with notes.lease("1"):
                notes.finish_customer("1", Done(applied=1))
            with pytest.raises(LeaseLost):
                worker.finish_customer("1", Done(failed={2: "its response was lost"}))
        totals = notes.history.totals(notes.run)
    assert (totals.applied, totals.failed) == (1, {})


# runs


def test_no_worker_joins_an_earlier_run_when_a_new_one_has_begun(database: str, ledger: str) -> None:
    with Journal(database, ledger) as killed:
        killed.begin("the table of Monday", "a plan", resumed=False)
        list(killed.parts().publish([b"{}\n"]))
    with Journal(database, ledger) as notes:
        assert notes.run_for("the table of Tuesday", also_finished=False) is None
        notes.withdraw_earlier()
        with Journal(database, ledger, alone=False) as worker:
            assert not worker.join(None)


def test_a_new_run_of_a_shard_leaves_the_runs_of_other_shards_alone(database: str, ledger: str) -> None:
    with Journal(database, ledger, shard=Shard(1, 2)) as other:
        other.begin("a table", "a plan", resumed=False)
        list(other.parts().publish([b"{}\n"]))
        with Journal(database, ledger, shard=Shard(2, 2)) as notes:
            notes.withdraw_earlier()
        assert other.is_current()


def test_a_worker_that_waits_for_others_joins_the_run_that_was_begun_again(
    database: str, mock: MockServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def line(customer: str) -> bytes:
        step = Step(kind=Kind.CREATE_CUSTOMER, customer_no=customer)
        return _to_line(
            PlannedCustomer(
                customer_no=customer, exists=False, levels=(None,), whole=False, digests=Pairs({}), unchanged=(), steps=(step,)
            )
        )  # fmt: skip

    async def both() -> int:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=mock.url) as billing:
            with Journal(database, billing.settings.ledger) as notes:
                notes.begin("a table", "a plan", resumed=False)
                list(notes.parts().publish([line("1")]))
                held = PostgresStore(database, billing.settings.ledger)
                held.take_part(notes.run, 1, ())  # another worker has the only part
                waits = asyncio.Event()

                async def waiting(*_: Any) -> None:
                    waits.set()
                    await asyncio.sleep(0.01)

                monkeypatch.setattr("payex_billing.reconcile._writing.pause", waiting)
                worker = asyncio.create_task(take_part(billing, database, wait=0.0))
                await waits.wait()
                notes.resume()
                notes.begin("a table", "another plan", resumed=True)
                list(notes.parts().publish([line("2")]))
                written = await worker
                held.close()
                return written

    assert asyncio.run(both()) == 1


# single writes


def test_ensure_keeps_its_lease_while_it_waits_until_a_lost_creation_has_settled(
    database: str, mock: MockServer
) -> None:
    async def ensure() -> str:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=proxy.url) as billing:
            await billing.customer("77").ensure()
            with SharedJournal(database, billing, lease=0.5) as journal:
                proxy.on("POST", Fate(reaches=None, answer=RST), path="recurring-products")
                charge = Charge(product_code="P01", quantity=1)
                products = billing.customer("77").recurring_products
                return (await products.ensure(charge, settle=1.0, journal=journal)).id

    with FailingProxy(mock.url) as proxy:
        assert asyncio.run(ensure())
        assert len(proxy.sent("POST", "recurring-products")) == 2


# the pace


def test_a_process_that_waited_for_the_database_does_not_send_before_its_slice(
    database: str, ledger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Memory(ledger, database) as memory:
        import payex_billing.reconcile._memory as module

        clock = Clock(monkeypatch, module)
        monkeypatch.setattr(_connection, "time", clock)
        change = memory._store.change

        def slow(*values: Any) -> None:
            clock.stopped += 3.0
            change(*values)

        pace = memory.pace(10.0)
        taken = [pace.reserve(clock.monotonic()) for _ in range(3)][-1]
        assert taken >= 0
        monkeypatch.setattr(memory._store, "change", slow)
        asked = clock.monotonic()
        other = memory.pace(10.0)
        place = asked + other.reserve(asked)
        assert place >= asked + 3.0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests_that_wait_in_a_stopped_process_are_not_sent_all_at_once_when_it_goes_on(method: str) -> None:
    clock = Standing(1000.0)
    environment = Environment(now=clock, epoch=clock, random=lambda: 0.5, pace=SharedPace(clock.change, 40.0))
    call = Call(PreparedRequest("op", method, "/1/customers", "/{ownerNo}/customers"), lambda response: response)
    waiting = [run(call, Options(), RetryBudget(), environment, token=Secret("t")) for _ in range(8)]
    steps = [next(request) for request in waiting]
    assert [type(step) for step in steps] == [Send] + [Wait] * 7
    clock.now += 5.0
    gone = [type(request.send(None)) for request in waiting[1:]]
    assert gone.count(Send) <= 1


def test_a_creation_waits_for_a_429_that_arrives_while_it_waits_for_its_place() -> None:
    clock = Standing(1000.0)
    pace = SharedPace(clock.change, 40.0)
    due = max(clock.now + pace.reserve(clock.now, may_wait=False) for _ in range(2))
    pace.slow_down(clock.now, 10.0)
    clock.now = due
    assert pace.again(clock.now, due, may_wait=False) > 9.0
    assert pace.reserve(clock.now, may_wait=False) > 9.0  # a new request waits, too


def test_a_place_that_a_stopped_process_missed_is_not_used() -> None:
    clock = Standing(1000.0)
    pace = SharedPace(clock.change, 4.0)
    dues = [clock.now + pace.reserve(clock.now) for _ in range(8)]
    clock.now += 10.0
    assert all(pace.again(clock.now, due, may_wait=True) > 0 or index == 0 for index, due in enumerate(dues))
    assert pace.again(clock.now, clock.now - SLICE / 2, may_wait=True) == 0.0


def test_a_place_is_kept_until_the_next_place_begins() -> None:
    clock = Standing(1000.0)
    pace = SharedPace(clock.change, 1.0)
    due = max(clock.now + pace.reserve(clock.now) for _ in range(2))
    assert pace.again(due + 1.0, due, may_wait=True) == 0.0


def test_a_429_lowers_the_pace_from_what_was_sent_not_from_the_wait_before_it() -> None:
    state = PaceState()
    for moment in range(1, 400):  # 100 requests a second
        state, _ = state.taken(1000 + moment / 100, None, 1, None)
    for now in (1004.0, 1005.1):
        state = state.slowed(now, 1.0, None, 0)
    most = state.most(1006.1, None)
    assert most is not None
    assert most > 0.7 * 0.7 * 100 * 0.9


def test_a_429_at_the_start_of_a_night_does_not_slow_the_whole_night() -> None:
    """Only 10 requests were sent before the 429, so the rate after the 429 is low."""
    state = PaceState()
    for moment in range(10):
        state, _ = state.taken(1000 + moment / 100, None, 1, None)
    state = state.slowed(1000.2, 1.0, None, 0)
    start, later = (state.most(1001.2 + seconds, None) for seconds in (0, 90))
    assert start is not None
    assert later is not None
    assert start < 10
    assert later > 500
