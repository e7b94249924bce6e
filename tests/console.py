"""Helpers for tests of the mock's console: requests to its paths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from payex_billing_mock import MockServer

from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, TOKEN, Raw, send

BUTTON = {"X-Payex-Console": "1"}
FOREIGN = "a-token-of-the-real-API"


@contextmanager
def open_console() -> Iterator[MockServer]:
    """A mock with a console and two ledgers."""
    with MockServer({LEDGER: TOKEN, OTHER_LEDGER: OTHER_TOKEN}, console=True) as server:
        yield server


def get(console: MockServer, path: str, **headers: str) -> Raw:
    """Read a path of the console."""
    return send(console.url, "GET", path, token=None, headers=headers)


def press(console: MockServer, button: str, body: Any = None, headers: dict[str, str] | None = None) -> Raw:
    """Press a button, as the page does unless the test names other headers."""
    headers = BUTTON if headers is None else headers
    return send(console.url, "POST", f"/console/do/{button}", body, token=None, headers=headers)


def state(console: MockServer) -> Any:
    """What the page shows without opening anything."""
    return get(console, "/console/state").json


def whole_request(console: MockServer) -> Any:
    """The last request, with headers and bodies."""
    return get(console, f"/console/request?number={state(console)['count']}").json
