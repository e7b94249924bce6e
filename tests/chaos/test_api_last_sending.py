"""`settle` counts from the moment when the client sent the lost POST, not from the start of the call.

A call may wait a long time before it sends its POST: for a token, for the rate limit, for a free place
(max_concurrency), or after a 401 or 429. If a look-up counted from the start of the call, it would return ABSENT while
the backend still works on the request. The caller would then create the charge twice.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest

from tests.chaos.backend import FOUR, RST, Backend, Fault, client, in_threads, problem, raised

# The call waits longer than SETTLE before it sends its POST. After the POST, the write takes effect well within SETTLE.
WAIT, COMMIT, SETTLE = 1.6, 0.4, 1.2
CHARGE = pb.Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"))


def judged(backend: Backend, engine: str, facade: str, billing: Any) -> str | None:
    """Lose the creation of a charge, and look it up at once with a second client that never has to wait.

    Only CREATED is right. Return a text for any other outcome.
    """
    backend.holds("A")
    error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[]))
    if not isinstance(error, pb.OutcomeUnknown):
        return repr(error)
    return judged_error(backend, engine, facade, error)


def judged_error(backend: Backend, engine: str, facade: str, error: Any) -> str | None:
    end = time.monotonic() + 60
    with client(engine, facade, backend) as looking:
        while True:
            outcome = looking.look_up(error.lost, settle=SETTLE).outcome
            if outcome is not pb.Outcome.UNKNOWN or time.monotonic() > end:
                return None if outcome is pb.Outcome.CREATED else f"{outcome}, while the backend was at work on it"
            time.sleep(0.05)


def after_a_401(engine: str, facade: str) -> str | None:
    tokens = itertools.count()
    with Backend() as backend, client(engine, facade, backend, token=lambda: f"t{next(tokens)}") as billing:
        backend.on("POST", Fault(None, problem(401, "unauthorized"), delay=WAIT))
        backend.on("GET", Fault(None, problem(401, "unauthorized")))  # the client checks the refused token by a read
        backend.on("POST", Fault(COMMIT, RST))
        return judged(backend, engine, facade, billing)


def after_a_429(engine: str, facade: str) -> str | None:
    with Backend() as backend, client(engine, facade, backend) as billing:
        backend.on("POST", Fault(None, problem(429, "too-many-requests", "Retry-After: 2")))
        backend.on("POST", Fault(COMMIT, RST))
        return judged(backend, engine, facade, billing.with_options(wait_on_writes=True))


def after_a_slow_token_function(engine: str, facade: str) -> str | None:
    def token() -> str:
        time.sleep(WAIT)
        return "t"

    async def token_later() -> str:
        await asyncio.sleep(WAIT)
        return "t"

    slow = token if facade == "sync" else token_later
    with Backend() as backend, client(engine, facade, backend, token=slow) as billing:
        backend.on("POST", Fault(COMMIT, RST))
        return judged(backend, engine, facade, billing)


def after_waiting_for_the_rate(engine: str, facade: str) -> str | None:
    with Backend().holds("A") as backend, client(engine, facade, backend, max_rate=1 / WAIT) as billing:
        billing.customer("A").get()
        backend.on("POST", Fault(COMMIT, RST))
        return judged(backend, engine, facade, billing)


def after_waiting_for_a_place(engine: str, facade: str) -> str | None:
    with Backend().holds("A") as backend, client(engine, facade, backend, max_concurrency=1) as billing:
        backend.on("GET", Fault(delay=WAIT))
        backend.on("POST", Fault(COMMIT, RST))
        slow = threading.Thread(target=billing.customer("A").get)
        slow.start()
        backend.wait_for_requests(1, "GET")
        try:
            return judged(backend, engine, facade, billing)
        finally:
            slow.join()


def after_attempts_that_found_no_server(engine: str, facade: str) -> str | None:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    errors: list[Any] = []

    def create(billing: Any) -> None:
        for _ in range(100):
            errors.append(raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[])))
            if not isinstance(errors[-1], pb.NeverSent):
                return

    with client(engine, facade, base_url=f"http://127.0.0.1:{port}") as billing:
        thread = threading.Thread(target=create, args=[billing.with_options(attempts=20)])
        thread.start()
        time.sleep(WAIT)
        with Backend(port=port).holds("A") as backend:
            backend.on("POST", Fault(COMMIT, RST))
            thread.join()
            if not isinstance(errors[-1], pb.OutcomeUnknown):
                return repr(errors[-1])
            return judged_error(backend, engine, facade, errors[-1])


REASONS: list[Callable[[str, str], str | None]] = [
    after_a_401,
    after_a_429,
    after_a_slow_token_function,
    after_waiting_for_the_rate,
    after_waiting_for_a_place,
    after_attempts_that_found_no_server,
]


@FOUR
def test_settle_counts_from_the_last_sending(engine_name: str, facade: str) -> None:
    # Run all cases in parallel, because each case mostly waits for some seconds.
    results = in_threads([lambda reason=reason: reason(engine_name, facade) for reason in REASONS])
    wrong = [f"{reason.__name__}: {result!r}" for reason, result in zip(REASONS, results, strict=True) if result]
    assert not wrong, "\n".join(wrong)


@FOUR
@pytest.mark.parametrize("kind", ["charge", "subscription", "customer"])
def test_a_look_up_that_began_before_settle_and_ended_after_it_is_not_absent(
    engine_name: str, facade: str, kind: str
) -> None:
    # The server builds the list before the write takes effect, but the list arrives after `settle` has passed. The
    # look-up must use the time when it sent the request for the list, not the time when the list arrived.
    with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
        creations: dict[str, Callable[[], Any]] = {
            "charge": lambda: billing.customer("A").recurring_products.create(CHARGE, known=[]),
            "subscription": billing.customer("A").subscription("T").create,
            "customer": billing.customer("N").create,
        }
        backend.on("POST", Fault(0.5, RST))
        backend.on("GET", Fault(delay=1.3))
        error = raised(creations[kind])
        assert isinstance(error, pb.OutcomeUnknown), repr(error)
        assert billing.look_up(error.lost, settle=1.0).outcome is not pb.Outcome.ABSENT
        backend.wait_until_idle()
        assert len(backend.created) == 1


@FOUR
def test_a_look_up_whose_first_page_is_older_than_settle_is_not_absent(engine_name: str, facade: str) -> None:
    with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
        backend.page_size = 1
        known = [backend.put_charge("A", text="old") for _ in range(3)]
        backend.newest_first = True
        backend.on("POST", Fault(0.5, RST))
        backend.on("GET", Fault(), times=1)
        backend.on("GET", Fault(delay=0.6), times=2)
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=known))
        assert isinstance(error, pb.OutcomeUnknown), repr(error)
        assert billing.look_up(error.lost, settle=1.0).outcome is not pb.Outcome.ABSENT
