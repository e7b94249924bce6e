"""The server that all clients are measured against: an endpoint of plain JSON on Granian, slow if wished.

`python -m benchmarks.server --delay 0.02 --tls DIR` prints its URL, and ends with its standard input.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server as Granian

BASE = "/billing/customer/v1/1234/customers/15615616"
CUSTOMER = {
    "customerNo": "15615616",
    "@id": BASE,
    "recurringProducts": f"{BASE}/recurring-products",
    "subscriptions": f"{BASE}/subscriptions",
    "operations": [{"rel": "add-subscription", "method": "POST", "href": f"{BASE}/subscriptions"}],
    "id": "15615616",  # what stripe's client looks for
    "object": "customer",
}


def charge(number: int) -> dict[str, Any]:
    """The charge that a POST has made: a client may refuse one that it has seen before."""
    return {
        "@id": f"{BASE}/recurring-products/{number}",
        "recurringProductId": str(number),
        "productCode": "P01",
        "quantity": 1,
        "unitPrice": 499.0,
        "vatRate": 25.0,
        "text": "Telephone",
        "startDate": "2026-01-01",
        "endDate": None,
        "billedUntil": None,
        "operations": None,
    }


class App:
    """Answers every GET with a customer, and every POST with a charge of its own."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._ids = itertools.count(1)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        writes = scope["method"] == "POST"
        if writes:
            await receive()
        if self._delay:
            await asyncio.sleep(self._delay)
        body = json.dumps(charge(next(self._ids)) if writes else CUSTOMER, separators=(",", ":")).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 201 if writes else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(*arguments: str) -> Iterator[str]:
    """The URL of a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.server", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = re.search(r"https?://\S+", process.stdout.readline() if process.stdout else "")
            if found is None:
                raise RuntimeError("the server did not start")
            yield found[0]
        finally:
            process.kill()
            process.communicate()


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--tls", type=Path, help="folder with own.pem and ca.pem; clients must show a certificate")
    given = parser.parse_args()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    secured = {
        "ssl_cert": given.tls / "own.pem", "ssl_key": given.tls / "own.key", "ssl_ca": given.tls / "ca.pem",
        "ssl_client_verify": True,
    } if given.tls else {}  # fmt: skip
    server = Granian(
        App(given.delay),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        backlog=4096,
        backpressure=4096,
        log_enabled=False,
        **secured,
    )

    async def serve() -> None:
        task = asyncio.ensure_future(server.serve())
        while not await asyncio.to_thread(_listening, port):
            pass
        print(f"{'https' if given.tls else 'http'}://127.0.0.1:{port}", flush=True)
        threading.Thread(target=lambda: (sys.stdin.read(), server.stop()), daemon=True).start()  # type: ignore[no-untyped-call]
        await task

    asyncio.run(serve())


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main()
