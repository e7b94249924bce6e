"""What a table of a million charges costs: reading, planning against a cached state, and applying."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, side_by_side

SIZES = (10_000, 100_000, 1_000_000)
HEADER = "customer_no,subscription_no,product_code,quantity,unit_price,vat_rate,text,start_date,end_date\n"
TEXT = (
    "A file of charges, of which 1 % differ from the file that was applied last. Each in a process of its own, wall "
    "clock, its start included. The base is DuckDB's bare difference of the two files. `plan` reads and validates the "
    "file, finds the customers that changed by the cached state, and compares their rows; what it would ask over HTTP "
    "is left out."
)


def measure() -> list[Row]:
    """The rows of this section: all sizes, so that the curve is seen."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            place = Path(folder) / str(size)
            place.mkdir()
            _write(place, size)
            _run("remember", place)
            peaks: dict[str, float] = {}

            def timed(task: str, place: Path = place, peaks: dict[str, float] = peaks) -> Callable[[], float]:
                def once() -> float:
                    started = time.perf_counter()
                    peaks[task] = max(peaks.get(task, 0.0), _run(task, place))
                    return (time.perf_counter() - started) * 1_000

                return once

            name = f"{size:,} rows: "
            subjects = {name + task: timed(task) for task in ("difference", "read", "plan")}
            goals = {f"{name}plan": 4.0} if size == SIZES[-1] else {}
            found = side_by_side(subjects, "ms", goals, base=f"{name}difference", rounds=5)
            for row in found:
                peak = peaks[row.name.removeprefix(name)]
                rows.append(Row(f"{row.name}, {peak:.0f} MB", row.median, row.unit, row.ratio, row.goal, row.base))
    return rows


def _write(place: Path, size: int) -> None:
    chance = random.Random(size)
    rows = [_row(index, chance) for index in range(size)]
    (place / "old.csv").write_text(HEADER + "".join(rows), encoding="utf-8")
    for index in chance.sample(range(size), size // 100):
        rows[index] = rows[index].replace(",25.00,", ",12.00,")
    (place / "new.csv").write_text(HEADER + "".join(rows), encoding="utf-8")


def _row(index: int, chance: random.Random) -> str:
    subscription = f"4670{index:07d}" if index % 2 else ""
    price = f"{chance.randint(1, 999)}.{chance.randint(0, 99):02d}"
    text = f'"Fiber {index % 100}/100, Storgatan {index % 500}"'
    start = f"2026-01-{index % 28 + 1:02d}"
    return f"{10_000_000 + index // 4},{subscription},P{index % 50:02d},{index % 9 + 1},{price},25.00,{text},{start},\n"


def _run(task: str, place: Path) -> float:
    """Do a task in a process of its own; returns its peak of memory in MB."""
    command = [sys.executable, "-m", "benchmarks.tables", task, str(place)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


# in the process


def _difference(place: Path) -> None:
    import duckdb  # noqa: PLC0415 - measured

    files = [f"SELECT * FROM read_csv('{place / name}.csv', all_varchar = true)" for name in ("new", "old")]
    found = duckdb.sql(f"SELECT count(*) FROM ({files[0]} EXCEPT ALL {files[1]})")
    assert found is not None
    found.fetchall()


def _read(place: Path) -> None:
    from payex_billing import reconcile  # noqa: PLC0415 - measured

    with reconcile.read(place / "new.csv") as table:
        assert not table.rejections


def _remember(place: Path) -> None:
    from payex_billing import reconcile  # noqa: PLC0415 - measured
    from payex_billing.reconcile._state import State  # noqa: PLC0415 - measured

    with reconcile.read(place / "old.csv") as table:
        state = State(place / "state.db", table, "1234")
        numbers = table.database.execute("SELECT DISTINCT customer_no FROM good").fetchall()
        state.update([number for (number,) in numbers], prune=False)
        state.close()


def _plan(place: Path) -> None:
    from payex_billing import reconcile  # noqa: PLC0415 - measured
    from payex_billing.reconcile._state import State  # noqa: PLC0415 - measured

    with reconcile.read(place / "new.csv") as table:
        state = State(place / "state.db", table, "1234")
        state.mark_changed(prune=False)
        for number, rows in _changed(table):
            reconcile.difference(number, rows, reconcile.Held(exists=True, charges={}))
        state.close()


def _changed(table: Any) -> Iterator[tuple[str, list[Any]]]:
    yield from table.rows("customer_no IN (SELECT customer_no FROM changed)")


if __name__ == "__main__":
    {"difference": _difference, "read": _read, "plan": _plan, "remember": _remember}[sys.argv[1]](Path(sys.argv[2]))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000)
