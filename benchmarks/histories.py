"""What it takes to tell the life of one customer's charges out of ten million writes."""

from __future__ import annotations

import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from payex_billing.reconcile._history import History
from payex_billing.reconcile._sqlite import SqliteStore

from benchmarks.measure import Row, side_by_side

WRITES, CUSTOMERS = 10_000_000, 1_000_000
TEXT = (
    f"The writes to one customer, out of {WRITES:,} writes to {CUSTOMERS:,} customers in the journal. A bare read is "
    "one SELECT by the same index. The goal is 50 ms."
)
ROUNDS = 30
STEP = {
    "kind": "create", "customer_no": "C", "charge": {"product_code": "P01", "quantity": 1, "unit_price": "9.50"},
}  # fmt: skip
_FILL = f"""
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < {WRITES - 1})
INSERT INTO write (run, customer, position, kind, line, step, known, noted, sent, result, charge)
SELECT 1 + n / {CUSTOMERS}, 'C' || (n % {CUSTOMERS}), 0, 'create', 2, ?, '[]', 1.0, 1.0, 'done', printf('%016x', n)
FROM numbers
"""


def measure() -> list[Row]:
    """The rows of this section."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        store = SqliteStore(path, "http://127.0.0.1/ledger")
        store.run([(_FILL, (json.dumps(STEP),))])
        history, database = History(store), sqlite3.connect(path)
        dice = random.Random(1)
        subjects = {
            "bare read": lambda: _timed(lambda number: _bare(database, number), dice),
            "history of a customer": lambda: _timed(lambda number: len(list(history.to_customer(number))), dice),
        }
        rows = side_by_side(subjects, "ms", {}, base="bare read", rounds=ROUNDS)
        database.close()
        store.close()
    return rows


def _bare(database: sqlite3.Connection, number: str) -> int:
    return len(database.execute("SELECT * FROM write WHERE customer = ? ORDER BY id", (number,)).fetchall())


def _timed(read: Callable[[str], int], dice: random.Random) -> float:
    number = f"C{dice.randrange(CUSTOMERS)}"
    started = time.perf_counter()
    assert read(number) == WRITES // CUSTOMERS
    return (time.perf_counter() - started) * 1_000
