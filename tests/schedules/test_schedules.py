"""Every schedule of two writers of one customer: the real policy, journal, leases and `apply`, and a server of its own.

The writers are two workers of a run, a worker and a webhook, or a worker and a scheduler that was started again. Each
statement and each request is a point at which another writer may go on, a process may be killed or stopped for longer
than its lease, a connection may be lost before or after what was sent on it took effect, or the server may carry out a
request later, within settle. A process that was killed is started again. When all have ended, a calm run of the same
table follows, and the event comes again if it failed. Then every charge that is wanted is there, once, and the journal
has one write for each.

A state is visited once, however it is reached. The schedules are the paths through the graph of the states; they are
counted from the end, not walked. Two workers with at most 1 fault: 7,204 states, 11,792 steps, 22,593,972 schedules.
`make nightly` prints the numbers of each scenario.
"""

from __future__ import annotations

import random

import pytest

from tests.support import NIGHTLY

from .bugs import BUGS, Bug
from .explorer import Explorer, Wrong
from .process import Node, virtual
from .scenarios import scenario
from .writers import small_numbers

SMALL = [("workers", 1)]
LARGE = [
    ("workers", 2), ("kills", 3), ("event", 1), ("rare event", 2), ("equal", 1), ("equal event", 1), ("long", 1),
    ("long event", 1), ("slow", 1), ("gateway", 2), ("restart", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "faults"), LARGE if NIGHTLY else SMALL)
def test_no_schedule_doubles_or_loses_a_charge(name: str, faults: int, capsys: pytest.CaptureFixture[str]) -> None:
    found = Explorer(scenario(name, faults)).run()
    with capsys.disabled():
        print(f"\n{name}, {faults} faults: {found}")  # noqa: T201 - what a long run has visited
    assert found.schedules >= 1_000_000


@pytest.mark.parametrize("bug", [bug for bug in BUGS if NIGHTLY or bug.is_quick], ids=lambda bug: bug.meaning)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    with bug.planted(), pytest.raises(Wrong):
        Explorer(scenario(bug.scenario, bug.faults)).run()


@pytest.mark.parametrize("name", ["workers", "event"] if NIGHTLY else ["workers"])
def test_histories_with_one_digest_do_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    merged: list[tuple[Node, Node]] = []
    monkeypatch.setattr(Node, "merged", merged)
    Explorer(scenario(name, 1)).run()
    chosen = merged if NIGHTLY else random.Random(1).sample(merged, 100)
    with virtual(), small_numbers():
        assert all(node.does_as(kept, 2) for node, kept in chosen)
