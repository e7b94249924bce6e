"""16 threads use a feature for the first time, at the same time, in a process that has not loaded the package yet.

The package loads some modules at first use. While one thread loads a module, a second thread could see that module
half-initialised. Each round forks an interpreter that has not imported the package. The fork is as fresh as a new
process, but it starts ten times faster.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import payex_billing as pb
import pytest

from tests.chaos.backend import FOUR, RST, Backend, Fault
from tests.support import NIGHTLY

ROUNDS = 10 if NIGHTLY else 1

CHILD = r"""
import os, sys, threading, traceback
setup, entry, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])

def once():
    sys.setswitchinterval(1e-6)
    scope = {"number": 0}
    exec(setup, scope)
    code = compile(entry, "entry", "exec")
    barrier, failures = threading.Barrier(16), []
    def run(number):
        here = dict(scope, number=number)
        barrier.wait()
        try:
            exec(code, here)
        except BaseException:
            failures.append(traceback.format_exc(limit=-3))
    threads = [threading.Thread(target=run, args=[number]) for number in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    if failures:
        print(f"{len(failures)} of 16 threads:", failures[0], file=sys.stderr, flush=True)
    return 1 if failures else 0

bad = 0
for _ in range(rounds):
    child = os.fork()
    if child == 0:
        try:
            code = once()
        except BaseException:
            traceback.print_exc()
            code = 2
        sys.stderr.flush()
        os._exit(code)
    bad += os.waitpid(child, 0)[1] != 0
print(bad)
"""


def failures(setup: str, entry: str, rounds: int = ROUNDS) -> str:
    """Run `entry` in 16 threads, in new processes. Return the failures as text, or an empty text."""
    command = [sys.executable, "-c", CHILD, setup, entry, str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.strip() == "0":
        return ""
    return f"{done.stdout.strip()} of {rounds} processes: {done.stderr[-900:]}"


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        running.put_charge("A")
        yield running


def prepared(backend: Backend, engine: str) -> str:
    """Return setup code with the usual imports of a program and the options of the client."""
    return (
        "import payex_billing as pb, asyncio\n"
        f"options = dict(token='t', owner_no='1234', base_url={backend.url!r}, engine={engine!r}, timeout=20)\n"
    )


SYNC = {
    "make a client": "pb.Billing(**options).close()",
    "first client, first call": "with pb.Billing(**options) as billing: billing.customer('A').get()",
    "from_env": "import os; os.environ.update(PAYEX_TOKEN='t', PAYEX_OWNER_NO='1'); pb.Billing.from_env().close()",
}
SHARED = {
    "first handle": "billing.customer('A').get()",
    "first list": "assert len(list(billing.customer('A').recurring_products.list())) >= 1",
    "first subscription": "billing.customer('A').subscription('S').get()",
    "first creation": "billing.customer('A').recurring_products.create(pb.Charge(product_code='P01'))",
    "first change": "billing.customer('A').recurring_products.update('id1', text='x')",
    "first ensure": "billing.customer('A').ensure()",
    "first error": "try: billing.customer('nobody').get()\nexcept pb.CustomerNotFound: pass",
    "first options": "billing.with_options(timeout=5).customer('A').get()",
    "first follow": "billing.follow(pb.Operation(rel='x', method='GET', href='/billing/customer/v1/1234/customers/A'))",
}


@FOUR
def test_sixteen_threads_may_be_the_first_to_use_anything(backend: Backend, engine_name: str, facade: str) -> None:
    setup = prepared(backend, engine_name)
    found = {}
    if facade == "sync":
        for name, entry in SYNC.items():
            found[name] = failures(setup, entry, max(ROUNDS, 2))
        for name, entry in SHARED.items():
            found[name] = failures(setup + "billing = pb.Billing(**options)\n", entry)
    else:
        # Each thread has its own event loop and its own client, as in a program with worker threads.
        main = (
            "async def main():\n    async with pb.AsyncBilling(**options) as billing:\n        {}\nasyncio.run(main())"
        )
        for name, line in {
            "make a client": "pass",
            "first handle": "await billing.customer('A').get()",
            "first list": "[charge async for charge in billing.customer('A').recurring_products.list()]",
            "first subscription": "await billing.customer('A').subscription('S').get()",
            "first creation": "await billing.customer('A').recurring_products.create(pb.Charge(product_code='P01'))",
            "first ensure": "await billing.customer('A').ensure()",
            "first options": "await billing.with_options(timeout=5).customer('A').get()",
        }.items():
            found[name] = failures(setup, main.format(line))
    wrong = [f"{name}: {text}" for name, text in found.items() if text]
    assert not wrong, "\n\n".join(wrong)


@FOUR
def test_sixteen_threads_may_be_the_first_to_look_up(backend: Backend, engine_name: str, facade: str) -> None:
    backend.on("POST", Fault(reply=RST), times=1e9)
    setup = prepared(backend, engine_name)
    # One client loses the creation without loading the look-up code. Then 16 threads look it up at the same time.
    lose = "import payex_billing as pb\ntry: {}\nexcept pb.OutcomeUnknown as caught: error = caught\n"
    if facade == "sync":
        setup += "billing = pb.Billing(**options)\n" + lose.format(
            "billing.customer(f'N{__import__(\"os\").getpid()}').create()"
        )
        entries = [
            "assert billing.look_up(error.lost).outcome is pb.Outcome.CREATED",
            "assert error.look_up().outcome is pb.Outcome.CREATED",
        ]
    else:
        setup += (
            "import os\n"
            "async def losing():\n"
            "    async with pb.AsyncBilling(**options) as billing: await billing.customer(f'N{os.getpid()}').create()\n"
        ) + lose.format("asyncio.run(losing())")
        entries = [
            "async def main():\n"
            "    async with pb.AsyncBilling(**options) as billing:\n"
            "        assert (await billing.look_up(error.lost)).outcome is pb.Outcome.CREATED\n"
            "asyncio.run(main())"
        ]
    wrong = [text for entry in entries if (text := failures(setup, entry))]
    assert not wrong, "\n\n".join(wrong)


def test_sixteen_threads_may_be_the_first_to_name_anything() -> None:
    # Each thread reads all names in its own random order, so that different names are loaded at the same time.
    entry = (
        "import random, payex_billing as pb\n"
        "names = list(pb.__all__); random.Random(number).shuffle(names)\n"
        "for name in names: getattr(pb, name)\n"
    )
    assert not failures("", entry, rounds=20 if NIGHTLY else 5)
    assert not failures("import payex_billing", entry, rounds=20 if NIGHTLY else 5)


@pytest.mark.skipif(not NIGHTLY, reason="one process for each name takes long: NIGHTLY=1")
@pytest.mark.parametrize("name", pb.__all__)
def test_sixteen_threads_may_be_the_first_to_import(name: str) -> None:
    assert not failures("", f"from payex_billing import {name}\nassert {name} is not None or True")


@pytest.mark.parametrize(
    "module",
    ["payex_billing.errors", "payex_billing.models", "payex_billing._sync.client", "payex_billing._async.client"],
)
def test_sixteen_threads_may_be_the_first_to_import_different_modules(module: str) -> None:
    entry = (
        "if number % 2: from payex_billing import Billing, AsyncBilling, Charge\n"
        f"else: import {module}, payex_billing; payex_billing.OutcomeUnknown\n"
    )
    assert not failures("", entry, rounds=ROUNDS)
