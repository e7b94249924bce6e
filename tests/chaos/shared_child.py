"""The processes that share a journal: a program that forks one for each line on its standard input.

A fork takes milliseconds; a new interpreter takes a second. `shared_processes.py` starts this program, once for each
clock: the first argument is how many seconds its clock is ahead.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
import time
import traceback
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    _true_time, _ahead = time.time, float(sys.argv[1])
    time.time = lambda: _true_time() + _ahead  # before the package is imported, which keeps the function

import payex_billing
from payex_billing import AsyncBilling, Billing, Charge, reconcile
from payex_billing.errors import BillingError
from payex_billing.reconcile import GuardStopped, SharedJournal, _parts, _postgres  # noqa: F401 - loaded once, not in each fork

_PDEATHSIG = 1  # prctl(2)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _client(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "token": f"token-{options['ledger']}", "owner_no": options["ledger"], "base_url": options["url"],
        "timeout": options["timeout"], "engine": options["engine"], "headers": {"X-Who": options["name"]},
        "max_rate": options.get("rate"), "deadline": options.get("deadline", 20.0),
    }  # fmt: skip


# a coordinator


async def coordinate(options: dict[str, Any]) -> int:
    """Apply the table, and leave what came of it in a file."""
    more: dict[str, Any] = {
        "journal": options["address"], "first_run": True, "lease": options["lease"], "settle": options["settle"],
        "patience": 10.0, "concurrency": options["concurrency"],
    }  # fmt: skip
    result: dict[str, Any] = {"error": None, "report": None}
    async with AsyncBilling(**_client(options)) as billing:
        with reconcile.read(Path(options["table"])) as table:
            try:
                try:
                    report = await reconcile.apply(billing, table, **more)
                except GuardStopped as stop:
                    report = await reconcile.apply(billing, table, approve=stop.digest, **more)
            except BillingError as error:
                result["error"] = f"{type(error).__name__}: {error}"
                code = 1
            else:
                result["report"] = report.to_json()
                done = not (report.failed or report.rejected or report.not_removed)
                code = 1 if report.stopped or not report.is_complete else 0 if done else 3
    path = Path(options["result"])
    path.with_suffix(".part").write_text(json.dumps(result, default=str))
    path.with_suffix(".part").rename(path)
    return code


# a worker


async def work(options: dict[str, Any]) -> int:
    """Take part in each run, until a signal ends the process."""
    if "stops_before" in options:
        _stop_before_the_first_creation(options["stops_before"])
    async with AsyncBilling(**_client(options)) as billing:
        while True:
            written = await reconcile.work(
                billing, options["address"], lease=options["lease"], settle=options["settle"], wait=60.0,
                patience=10.0, concurrency=options["concurrency"],
            )  # fmt: skip
            _say(f"wrote {written}")


def _stop_before_the_first_creation(moment: str) -> None:
    """Stop this process before it notes a creation, or between its last look at the lease and the socket."""
    from payex_billing._transport._sender import AsyncSender
    from payex_billing.reconcile._journal import Journal

    send, exchange, moments = AsyncSender.send, Journal.exchange, iter([True])

    async def stopping_send(self: AsyncSender, request: Any, seconds: float) -> Any:
        if request.method == "POST" and request.url.endswith("/recurring-products") and next(moments, False):
            os.kill(os.getpid(), signal.SIGSTOP)
        return await send(self, request, seconds)

    def stopping_exchange(self: Journal, notes: Any, customers: Any) -> Any:
        if any("create" in note.values for note in notes) and next(moments, False):
            os.kill(os.getpid(), signal.SIGSTOP)
        return exchange(self, notes, customers)

    # A type checker forbids the assignments.
    if moment == "send":
        setattr(AsyncSender, "send", stopping_send)  # noqa: B010
    else:
        setattr(Journal, "exchange", stopping_exchange)  # noqa: B010


# a webhook


def _charge(event: dict[str, Any]) -> Charge:
    values = event["charge"]
    return Charge(
        product_code=values["product"], quantity=values["quantity"], unit_price=Decimal(values["price"]),
        start_date=date.fromisoformat(values["start"]),
    )  # fmt: skip


def _tell(number: int, outcome: dict[str, Any]) -> None:
    _say(json.dumps({"event": number, **outcome}))


def _failure(error: BillingError) -> dict[str, Any]:
    return {"error": type(error).__name__, "text": str(error)[:300]}


async def receive(options: dict[str, Any]) -> int:
    """Ensure the charge of each event, so many events a second."""
    async with AsyncBilling(**_client(options)) as billing:
        with SharedJournal(options["address"], billing, lease=options["lease"]) as journal:

            async def one(number: int, event: dict[str, Any]) -> None:
                await asyncio.sleep(number / options["events_per_second"])
                customer = billing.customer(event["customer"])
                place = customer if not event["subscription"] else customer.subscription(event["subscription"])
                try:
                    made = await place.recurring_products.ensure(
                        _charge(event), settle=options["settle"], journal=journal
                    )
                except BillingError as error:
                    _tell(event["number"], _failure(error))
                else:
                    _tell(event["number"], {"ok": made.id})

            await asyncio.gather(*(one(number, event) for number, event in enumerate(options["events"])))
    return 0


def receive_in_threads(options: dict[str, Any]) -> int:
    """Do the same with the blocking client and threads."""
    from concurrent.futures import ThreadPoolExecutor

    with Billing(**_client(options)) as billing, SharedJournal(
        options["address"], billing, lease=options["lease"]
    ) as journal, ThreadPoolExecutor(16) as threads:  # fmt: skip

        def one(event: dict[str, Any]) -> None:
            customer = billing.customer(event["customer"])
            place = customer if not event["subscription"] else customer.subscription(event["subscription"])
            try:
                made = place.recurring_products.ensure(_charge(event), settle=options["settle"], journal=journal)
            except BillingError as error:
                _tell(event["number"], _failure(error))
            else:
                _tell(event["number"], {"ok": made.id})

        waiting = []
        for event in options["events"]:
            waiting.append(threads.submit(one, event))
            time.sleep(1 / options["events_per_second"])
        for future in waiting:
            future.result()
    return 0


# the parent


def _run_child(order: dict[str, Any]) -> int:
    options = order["options"]
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ["XDG_STATE_HOME"] = options["state_home"]
    _parts._CUSTOMERS = options.get("customers_of_part", 8)
    match order["role"]:
        case "coordinator":
            return asyncio.run(coordinate(options))
        case "worker":
            return asyncio.run(work(options))
        case _:
            return receive_in_threads(options) if options["threads"] else asyncio.run(receive(options))


def main() -> None:
    """Fork for each order; say which process was started, or which have ended."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    _say(json.dumps({"ready": payex_billing.__version__}))
    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "start":
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    code = _run_child(order)
                except BillingError as error:
                    _say(f"ended by {type(error).__name__}: {error}")
                    code = 1
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(code)
            _say(json.dumps({"pid": pid}))
        else:
            ended = {}
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    break
                if pid == 0:
                    break
                ended[pid] = os.waitstatus_to_exitcode(status)
            _say(json.dumps({"ended": ended}))


if __name__ == "__main__":
    main()
