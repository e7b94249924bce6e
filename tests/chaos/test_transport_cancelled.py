"""A call that timed out or was cancelled must not affect later calls.

A later call must not get the response to the earlier call, and the client must release the connection.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from payex_billing import Billing, BillingError, Charge

from tests.chaos.hostile import (
    FOUR,
    OWNER,
    Connection,
    HostileServer,
    Kind,
    Ledger,
    Pki,
    done,
    name_of,
    opened,
    outcome,
    pause,
    problem,
    response,
    run,
)
from tests.support import ROOT

STALE = {
    "401": problem(401, "unauthorized"),
    "201": response(201, {"recurringProductId": "stale", "productCode": "P01", "@id": "/stale", "operations": None}),
}


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


class SlowFirst:
    """A server that delays its response to the customer `slow` until the test sets `go_on`.

    By then the client no longer waits for this response, but the server still sends it.
    """

    def __init__(self, stale: bytes, early: Callable[[bytes], bytes]) -> None:
        self.ledger = Ledger()
        self.stale, self.early = stale, early
        self.arrived, self.go_on, self.sent = threading.Event(), threading.Event(), threading.Event()

    def handle(self, connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            if request.customer_no != "slow":
                connection.send(self.ledger.perform(request))
                continue
            first = self.early(self.stale)
            connection.send(first)
            self.arrived.set()
            while not self.go_on.wait(0.01) and not connection.stop.is_set():
                pass
            try:
                connection.send(self.stale[len(first) :] + self.stale)
            finally:
                self.sent.set()


# A blocking call cannot be cancelled.
GIVEN_UP = [(kind, how) for kind in FOUR for how in ("timeout", "cancel") if (kind.facade, how) != ("sync", "cancel")]

EARLY: dict[str, Callable[[bytes], bytes]] = {
    "before the response": lambda _: b"",
    "in the status line": lambda stale: stale[:12],
    "in the headers": lambda stale: stale[:40],
    "before the body": lambda stale: stale[: stale.index(b"\r\n\r\n") + 4],
    "in the body": lambda stale: stale[:-3],
}


async def give_up_and_post(kind: Kind, server: HostileServer, slow: SlowFirst, how: str, ca_file: Any) -> Any:
    """Time out or cancel a call, let its response arrive, then make a POST.

    Returns the outcome of the POST.
    """
    tokens = itertools.count()
    async with opened(kind, server.url, token=lambda: f"t{next(tokens)}", ca_file=ca_file, timeout=30) as billing:
        if how == "cancel":
            task = asyncio.ensure_future(billing.with_options(attempts=1).customer("slow").get())
            assert await asyncio.to_thread(slow.arrived.wait, 60)
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            patience = 0.2
            while not slow.arrived.is_set():  # on a busy machine the call may time out before the request arrives
                once = billing.with_options(attempts=1, timeout=patience)
                assert isinstance(await outcome(once.customer("slow").get), BillingError)
                patience *= 2
        slow.go_on.set()
        if kind.facade == "sync":
            assert slow.sent.wait(60)
        else:
            assert await asyncio.to_thread(slow.sent.wait, 60)
        await pause(kind, 0.01)
        calm = billing.with_options(wait_on_writes=True, timeout=30)
        return await outcome(lambda: calm.customer("c").recurring_products.create(Charge(product_code="P01")))


@pytest.mark.parametrize(("kind", "how"), GIVEN_UP, ids=str)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_the_late_response_of_a_call_that_was_given_up_is_never_taken_for_the_next(
    kind: Kind, how: str, tls: bool, pki: Pki
) -> None:
    wrong = []
    for where, early in EARLY.items():
        for name, stale in STALE.items():
            slow = SlowFirst(stale, early)
            with HostileServer(slow.handle, pki.context() if tls else None) as server:
                result = run(kind, give_up_and_post(kind, server, slow, how, pki.ca_file))
            if [getattr(result, "id", None)] != slow.ledger.ids("P01") or slow.ledger.posts["P01"] != 1:
                wrong.append(f"{where}, {name}: {slow.ledger.posts['P01']} charged, {name_of(result)} {result}"[:160])
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("kind", [kind for kind in FOUR if kind.facade == "async"], ids=str)
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_client_works_after_hundreds_of_cancelled_calls(kind: Kind, tls: bool, pki: Pki) -> None:
    """The client must release the slot of every cancelled call.

    The test cancels calls while they wait for a free slot, connect, make the TLS handshake, write or read.
    """
    chance = random.Random(5)
    ledger = Ledger()

    def handle(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            if connection.stop.wait(0.01):
                return
            connection.send(ledger.perform(request))

    async def scenario() -> list[Any]:
        async with opened(kind, server.url, ca_file=pki.ca_file, max_concurrency=3, timeout=20, deadline=60) as billing:
            for _ in range(30):
                tasks = [asyncio.ensure_future(billing.customer("c").get()) for _ in range(10)]
                await asyncio.sleep(chance.random() * 0.03)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            return await asyncio.gather(
                *(billing.customer(f"d{number}").get() for number in range(6)), return_exceptions=True
            )

    with HostileServer(handle, pki.context() if tls else None) as server:
        results = run(kind, scenario())
    assert [getattr(result, "customer_no", result) for result in results] == [f"d{number}" for number in range(6)]


@pytest.mark.parametrize("kind", [kind for kind in FOUR if kind.facade == "async"], ids=str)
def test_cancelled_posts_never_give_their_response_to_another(kind: Kind) -> None:
    """The test cancels some POSTs at random moments.

    Every other POST must return the id of its own charge. The client must send no POST twice.
    """
    chance = random.Random(11)
    ledger = Ledger()

    def handle(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            if connection.stop.wait(0.002):
                return
            connection.send(ledger.perform(request))

    wrong: list[str] = []

    async def one(billing: Any, code: str, patience: float | None) -> None:
        call = billing.customer(f"c{code}").recurring_products.create(Charge(product_code=code))
        try:
            created = await asyncio.wait_for(call, patience)
        except TimeoutError:
            return
        if [created.id] != ledger.ids(code):
            wrong.append(f"{code}: {created.id}, true {ledger.ids(code)}")

    async def scenario() -> None:
        async with opened(kind, server.url, max_concurrency=8) as billing:
            await done(billing.customer("warm").get())
            for turn in range(20):
                await asyncio.gather(
                    *(
                        one(billing, f"{turn:02d}{place:02d}", chance.random() * 0.02 if place % 2 else None)
                        for place in range(12)
                    )
                )

    with HostileServer(handle) as server:
        run(kind, scenario())
    assert (wrong, {code: count for code, count in ledger.posts.items() if count > 1}) == ([], {})


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("kind", [kind for kind in FOUR if kind.facade == "sync"], ids=str)
@pytest.mark.parametrize("where", EARLY)
def test_the_late_response_of_a_call_that_ctrl_c_ended_is_never_taken_for_the_next(kind: Kind, where: str) -> None:
    """A program may catch KeyboardInterrupt and continue to use the same client."""
    slow = SlowFirst(STALE["401"], EARLY[where])
    before = signal.signal(signal.SIGALRM, interrupt)
    main = threading.main_thread().ident
    assert main == threading.get_ident()
    try:
        with (
            HostileServer(slow.handle) as server,
            Billing(token=lambda: "t", owner_no=OWNER, base_url=server.url, engine=kind.engine, timeout=2) as billing,
        ):

            def ring() -> None:
                assert slow.arrived.wait(60)
                signal.pthread_kill(main, signal.SIGALRM)  # interrupts the thread that blocks in a read

            ringing = threading.Thread(target=ring)
            ringing.start()
            with pytest.raises(KeyboardInterrupt):
                billing.customer("slow").get()
            ringing.join()
            slow.go_on.set()
            assert slow.sent.wait(60)
            created = billing.customer("c").recurring_products.create(Charge(product_code="P01"))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert ([created.id], slow.ledger.posts["P01"]) == (slow.ledger.ids("P01"), 1)


# two processes that share a socket after a fork

FORKED = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork with threads
from payex_billing import AsyncBilling, Billing, Charge
engine, facade, url = sys.argv[1:]
options = dict(token="t", owner_no="1234", base_url=url, engine=engine, timeout=20)

def post(billing, prefix):
    for number in range(10):
        code = f"{prefix}{number:03d}"
        created = billing.customer(code).recurring_products.create(Charge(product_code=code))
        assert created.product_code == code, (created, code)

async def post_async(billing, prefix):
    for number in range(10):
        code = f"{prefix}{number:03d}"
        created = await billing.customer(code).recurring_products.create(Charge(product_code=code))
        assert created.product_code == code, (created, code)

if facade == "sync":
    billing = Billing(**options)
    post(billing, "A")
    child = os.fork()
    post(billing, "B" if child else "C")
else:
    billing = AsyncBilling(**options)
    # The client is made before the fork; each process has a loop of its own.
    child = os.fork()
    asyncio.run(post_async(billing, "B" if child else "C"))
if not child:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.parametrize("kind", FOUR, ids=str)
def test_two_processes_after_a_fork_never_read_each_others_responses(kind: Kind) -> None:
    ledger = Ledger()

    def handle(connection: Connection) -> None:
        while (request := connection.read_request()) is not None:
            connection.send(ledger.perform(request))

    with HostileServer(handle) as server:
        command = [sys.executable, "-c", FORKED, kind.engine, kind.facade, server.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            try:
                complaint = process.communicate()[1]
            finally:
                process.kill()
    assert (process.returncode, complaint) == (0, "")
    prefixes = "ABC" if kind.facade == "sync" else "BC"
    assert dict(ledger.posts) == {f"{prefix}{number:03d}": 1 for prefix in prefixes for number in range(10)}
