"""One run at a time writes to a ledger, and the next run finds the values that the last run stored for the ledger."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

import pytest
from payex_billing.reconcile import Content, Refused, Shard
from payex_billing.reconcile._ledger import directory, lock
from payex_billing.reconcile._memory import Memory

LEDGER = "https://api.example/billing/customer/v1/1234"
HOLDER = (
    "import sys; from payex_billing.reconcile._ledger import lock\n"
    f"with lock({LEDGER!r}, None): print('held', flush=True); sys.stdin.read()"
)


def test_a_second_run_of_the_ledger_is_refused() -> None:
    with lock(LEDGER, None), pytest.raises(Refused, match="--no-lock"), lock(LEDGER, None):
        pass


def test_after_its_end_the_next_run_has_the_ledger() -> None:
    for _ in range(2):
        with lock(LEDGER, None):
            pass


def test_another_ledger_is_not_concerned() -> None:
    with lock(LEDGER, None), lock(LEDGER + "5", None):
        pass


def test_a_run_of_another_process_is_seen_and_a_killed_one_is_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Refused, match="another run writes to"), lock(LEDGER, None):
            pass
        holder.kill()
        holder.wait()
        with lock(LEDGER, None):
            pass


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        (Shard(1, 4), Shard(2, 4), True),
        (Shard(1, 4), Shard(1, 4), False),
        (Shard(1, 4), None, False),
        (None, Shard(1, 4), False),
        (Shard(1, 4), Shard(1, 2), False),
        (Shard(1, 3), Shard(2, 4), False),
    ],
    ids=str,
)
def test_only_shards_of_one_count_run_side_by_side(one: Shard | None, other: Shard | None, together: bool) -> None:
    with ExitStack() as stack:
        stack.enter_context(lock(LEDGER, one))
        if not together:
            stack.enter_context(pytest.raises(Refused))
        stack.enter_context(lock(LEDGER, other))


def test_shards_of_another_count_may_follow() -> None:
    for shard in (Shard(1, 4), Shard(1, 2), None, Shard(2, 3)):
        with lock(LEDGER, shard):
            pass


def test_a_state_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(Refused, match="Set XDG_STATE_HOME"), lock(LEDGER, None):
        pass


def test_what_the_server_showed_for_an_empty_field_is_remembered_until_it_shows_nothing() -> None:
    sent = {"unit_price": None, "text": "own", "quantity": None}
    with Memory(LEDGER) as memory:
        memory.learn("7", sent, Content(product_code="P01", unit_price=Decimal("49.00"), text="own"))
    with Memory(LEDGER) as memory:
        assert memory.shown("7", "unit_price") == "49"
        assert memory.shown("7", "text") is None
        assert memory.shown("8", "unit_price") is None
        memory.learn("7", sent, Content(product_code="P01", text="own"))
        assert memory.shown("7", "unit_price") is None


def test_the_last_run_of_each_shard_is_kept() -> None:
    with Memory(LEDGER) as memory:
        memory.keep_run(None, {"rows": 1})
        memory.keep_run(Shard(1, 2), {"rows": 2})
        memory.keep_run(None, {"rows": 3})
        assert memory.last_run(None) == {"rows": 3}
        assert memory.last_run(Shard(1, 2)) == {"rows": 2}
        assert memory.last_run(Shard(2, 2)) is None


def test_a_memory_that_is_no_database_is_a_sentence() -> None:
    (directory(LEDGER) / "memory.db").write_bytes(b"nonsense" * 1000)
    with pytest.raises(Refused, match="Remove the file"):
        Memory(LEDGER)
