"""What is explored."""

from __future__ import annotations

from .explorer import BAD_GATEWAY, Scenario
from .writers import LOST_REPLY, POLL, Job, scheduler, webhook, worker

TWO, EQUAL = Job(rows=("A", "B")), Job(rows=("A", "A"))
EVENT, EQUAL_EVENT = Job(rows=("A", "B"), event="A"), Job(rows=("A", "A"), event="A")
STOPPED = (5.0,)  # longer than a lease
FOR_LONG = 15.0  # longer than a lease, an attempt and settle together
RARELY = 5.0  # longer than a lease; leaves a sixth of the states


def scenario(name: str, faults: int) -> Scenario:
    """Return a scenario by its name."""
    pauses, lost, busy = STOPPED, LOST_REPLY, POLL
    match name:
        case "workers" | "kills" | "slow" | "long" | "gateway":
            job, writers = TWO, (worker(TWO), worker(TWO))
        case "equal":
            job, writers = EQUAL, (worker(EQUAL), worker(EQUAL))
        case "event" | "long event" | "rare event":
            job, writers = EVENT, (worker(EVENT), webhook(EVENT))
        case "equal event":
            job, writers = EQUAL_EVENT, (worker(EQUAL_EVENT), webhook(EQUAL_EVENT))
        case "restart":
            job, writers = TWO, (worker(TWO), scheduler(TWO, fresh=True))
        case _:
            raise ValueError(name)
    if name == "slow":
        pauses = (3.0,)
    if name.startswith("long"):
        pauses = (FOR_LONG,)
    if name == "gateway":
        pauses, lost = (), BAD_GATEWAY
    if name == "rare event":
        busy = RARELY
    return Scenario(
        job=job, writers=writers, faults=faults, pauses=pauses, lost=lost, busy=busy, kills_only=name == "kills"
    )
