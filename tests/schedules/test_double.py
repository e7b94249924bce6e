"""The double of the database does what PostgreSQL does."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from payex_billing.reconcile import _connection, _postgres
from payex_billing.reconcile._postgres import PostgresStore
from payex_billing.reconcile._store import Lease, Statement

from tests.postgres import postgres

from .database import LEDGER, PSYCOPG, Database
from .process import Machine, Operation, Process, Query, running

CUSTOMERS = ["10000001", "10000002"]
CLOCK = "(SELECT t FROM clock)"  # in place of the clock of the database


class Direct(Process):
    """A process whose statements run at once."""

    def __init__(self, database: Database) -> None:
        super().__init__(Machine("direct"), 0.0, [])
        self._database = database
        self.state = database.empty
        self.token = 0

    def ask(self, operation: Operation) -> Any:
        assert isinstance(operation, Query)
        rows, self.state = self._database.run(self.state, operation.statements, self.time, self.token)
        return rows


def one_step(stores: list[PostgresStore], leases: dict[tuple[int, str], Lease], chance: random.Random) -> Any:
    """Do something with a lease, and return what can be seen of it. Numbers of leases are compared by their order."""
    number, customer = chance.randrange(len(stores)), chance.choice(CUSTOMERS)
    store, lease = stores[number], leases.get((number, customer), Lease(customer, 0))
    intent: Statement = (
        "INSERT INTO write (run, customer, noted) SELECT ?, ?, ?{held} RETURNING run",
        (number, customer, 1.0),
    )
    match chance.randrange(7):
        case 0 | 1:
            taking = store.take(customer, number)
            assert taking is not None
            taken = store.taken(customer, store.run([taking]), time.monotonic())
            if taken is not None:
                assert taken.token > max((each.token for each in leases.values()), default=0)
                leases[number, customer] = taken
            return taken is not None
        case 2:
            return store.run([store.fenced(intent, lease, 1, 1)])
        case 3:
            return store.run([store.fenced(intent, lease, 1, 1, ends=True)])
        case 4:
            given_back = store.give_back(lease)
            assert given_back is not None
            return store.run([given_back])
        case 5:
            return store.renew([lease])
        case _:
            return store.has_leases(number)


def test_leases_of_the_double_are_those_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres() as address:
        real = [PostgresStore(address, LEDGER, 4.0) for _ in range(2)]
        real[0]._db.execute("CREATE TABLE clock AS SELECT 0.0::double precision AS t")
        for module in (_connection, _postgres):
            monkeypatch.setattr(module, "NOW", CLOCK)
        process = Direct(Database())
        with monkeypatch.context() as patch, running(process):
            patch.setattr(_connection, "psycopg", PSYCOPG)
            double = [PostgresStore("postgresql://double.invalid/journal", LEDGER, 4.0) for _ in range(2)]
            begun: Statement = ("INSERT INTO run (command) VALUES (?)", ("apply",))
            double[0].run([begun])
        real[0].run([begun])
        leases: tuple[dict[tuple[int, str], Lease], ...] = ({}, {})
        for seed in range(600):
            if not seed % 5:
                process.time += random.Random(seed).choice([0.5, 3.0, 5.0])
                real[0].run([("UPDATE clock SET t = ?", (process.time,))])
            expected = one_step(real, leases[0], random.Random(seed))
            process.token = max((each.token for each in leases[1].values()), default=0)
            with monkeypatch.context() as patch, running(process):
                patch.setattr(_connection, "psycopg", PSYCOPG)
                found = one_step(double, leases[1], random.Random(seed))
            assert found == expected, seed
        query = "SELECT run, customer FROM write ORDER BY id"
        assert list(process._database.rows(process.state, query)) == real[0].query(query)
        for store in real:
            store.close()
