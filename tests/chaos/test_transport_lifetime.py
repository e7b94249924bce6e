"""A process that abandons a client at any moment ends in order. A client used on a second event loop raises a clear error.

Every test runs its script in a separate process, because the tests are about how a process ends.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.chaos.hostile import Connection, HostileServer, customer_body, response
from tests.support import NIGHTLY, ROOT

TRIES = 50 if NIGHTLY else 3
ENGINES = ["httpx", "reqwest"]

PREAMBLE = """
import asyncio, os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process in the background of a shell ignores SIGINT
import payex_billing
from payex_billing import AsyncBilling, Billing
engine, url = sys.argv[1:]
options = dict(token="t", owner_no="1234", base_url=url, engine=engine, timeout=1, deadline=1.5)
AsyncBilling(**options).customer("a").get  # what is loaded on first use is loaded now
"""

# A request is pending when the client is closed or the process ends.

ABANDONED = {
    "nothing is pending": """
async def main():
    async with AsyncBilling(**options) as billing:
        try:
            await billing.customer("c").get()
        except payex_billing.BillingError:
            pass
asyncio.run(main())
""",
    "20 cancelled tasks, then closed": """
async def main():
    async with AsyncBilling(**options) as billing:
        tasks = [asyncio.create_task(billing.customer(f"c{n}").get()) for n in range(20)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
asyncio.run(main())
""",
    "20 cancelled tasks, never closed": """
async def main():
    billing = AsyncBilling(**options)
    tasks = [asyncio.create_task(billing.customer(f"c{n}").get()) for n in range(20)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
asyncio.run(main())
""",
    "the loop ends with a request pending": """
async def main():
    global kept
    billing = AsyncBilling(**options)
    kept = billing, [asyncio.create_task(billing.customer(f"c{n}").get()) for n in range(3)]
    await asyncio.sleep(0.05)
asyncio.run(main())
""",
    "closed with a request pending": """
async def main():
    async with AsyncBilling(**options) as billing:
        kept = [asyncio.create_task(billing.customer(f"c{n}").get()) for n in range(3)]
        await asyncio.sleep(0.05)
    await asyncio.gather(*kept, return_exceptions=True)
asyncio.run(main())
""",
    "Ctrl-C": """
with Billing(**options) as billing:
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    try:
        while True:
            try:
                billing.customer("c").get()
            except payex_billing.BillingError:
                pass
    except KeyboardInterrupt:
        pass
""",
    "Ctrl-C on an event loop": """
async def main():
    async with AsyncBilling(**options) as billing:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
        while True:
            try:
                await billing.customer("c").get()
            except payex_billing.BillingError:
                pass
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
""",
    "a blocking call in a daemon thread, then closed": """
def call():
    try:
        while True:
            try:
                billing.customer("c").get()
            except payex_billing.BillingError:
                pass
    except RuntimeError:
        pass  # the client is closed
billing = Billing(**options)
threading.Thread(target=call, daemon=True).start()
time.sleep(0.05)
billing.close()
""",
}


@pytest.fixture
def late() -> Iterator[HostileServer]:
    """A server that responds at about the time when the process ends, or never."""
    chance = random.Random(3)
    lock = threading.Lock()

    def handle(connection: Connection) -> None:
        while request := connection.read_request():
            with lock:
                wait = chance.choice([600.0, chance.random() * 0.2])
            if connection.stop.wait(wait):
                return
            connection.send(response(200, customer_body(request.customer_no)))

    with HostileServer(handle) as server:
        yield server


def processes(script: str, engine: str, url: str, tries: int) -> list[tuple[int, str]]:
    """Run the script `tries` times, at most 10 at a time. Return the exit code and the standard error of each process."""
    command = [sys.executable, "-c", PREAMBLE + script, engine, url]
    ended: list[tuple[int, str]] = []
    while len(ended) < tries:
        running = [
            subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
            for _ in range(min(10, tries - len(ended)))
        ]
        try:
            for process in running:
                complaint = process.communicate()[1]
                ended.append((process.returncode, complaint))
        finally:
            for process in running:
                process.kill()
                process.wait()
    return ended


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", ABANDONED)
def test_a_process_with_an_abandoned_request_ends_with_exit_code_0(
    engine: str, script: str, late: HostileServer
) -> None:
    tries = TRIES if engine == "reqwest" else max(1, TRIES // 5)  # httpx has no threads of its own
    ended = processes(ABANDONED[script], engine, late.url, tries)
    failed = [(code, complaint[-300:]) for code, complaint in ended if code or "Fatal Python error" in complaint]
    assert not failed, f"{len(failed)} of {tries}: {failed[0]}"


# another event loop

ANOTHER_LOOP = {
    "closed in another loop": """
billing = AsyncBilling(**options)
async def use():
    await billing.customer("c").get()
asyncio.run(use())
allowed(billing.close)
""",
    "closed in another loop, while the first still runs": """
billing = AsyncBilling(**options)
first = asyncio.new_event_loop()
thread = threading.Thread(target=first.run_forever)
thread.start()
asyncio.run_coroutine_threadsafe(billing.customer("c").get(), first).result()
allowed(billing.close)
try:
    asyncio.run_coroutine_threadsafe(billing.close(), first).result()
except payex_billing.ConfigurationError:
    pass
first.call_soon_threadsafe(first.stop)
thread.join()
first.close()
""",
    "closed in another loop with a request pending": """
billing = AsyncBilling(**options)
async def use():
    await billing.customer("c").get()
    asyncio.create_task(billing.customer("never").get())
    await asyncio.sleep(0.05)
asyncio.run(use())
allowed(billing.close)
""",
    "left by async with in another loop": """
billing = AsyncBilling(**options)
async def enter():
    await billing.__aenter__()
    await billing.customer("c").get()
asyncio.run(enter())
allowed(lambda: billing.__aexit__(None, None, None))
""",
    "closed twice": """
billing = AsyncBilling(**options)
async def use():
    await billing.customer("c").get()
    await billing.close()
    await billing.close()
asyncio.run(use())
allowed(billing.close)
""",
    "never used, closed in another loop": """
billing = AsyncBilling(**options)
asyncio.run(asyncio.sleep(0))
allowed(billing.close)
""",
    "used in another loop": """
billing = AsyncBilling(**options)
async def use():
    return await billing.customer("c").get()
asyncio.run(use())
allowed(use)
allowed(billing.close)
""",
    "used by two loops at once": """
billing = AsyncBilling(**options)
async def use():
    for _ in range(20):
        try:
            await billing.customer("c").get()
        except payex_billing.ConfigurationError:
            pass
threads = [threading.Thread(target=lambda: allowed(use)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
allowed(billing.close)
""",
    "dropped without a close": """
async def use():
    await AsyncBilling(**options).customer("c").get()
asyncio.run(use())
asyncio.run(use())
""",
}
ALLOWED = """
wrong = []
def allowed(make):
    async def main():
        await make()
    try:
        asyncio.run(main())
    except payex_billing.ConfigurationError as error:
        if not str(error):
            wrong.append("ConfigurationError without a text")
    except BaseException as error:
        wrong.append(repr(error))
"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("script", ANOTHER_LOOP)
def test_another_event_loop_is_served_or_told_clearly(engine: str, script: str) -> None:
    def handle(connection: Connection) -> None:
        while request := connection.read_request():
            if request.customer_no == "never":
                connection.hold()
                return
            connection.send(response(200, customer_body(request.customer_no)))

    source = ALLOWED + ANOTHER_LOOP[script] + "\nsys.exit(repr(wrong) if wrong else 0)\n"
    with HostileServer(handle) as server:
        ended = processes(source, engine, server.url, 1)
    assert [(code, complaint) for code, complaint in ended if code or "Traceback" in complaint] == []
