"""The console of the mock: server-sent events."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from payex_billing import Billing
from payex_billing_mock import MockServer

from tests.console import press, state
from tests.support import LEDGER, TOKEN, send
from tests.wire import new_customer


@pytest.fixture
def billing(console: MockServer) -> Iterator[Billing]:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=console.url) as client:
        yield client


@contextmanager
def events(console: MockServer) -> Iterator[http.client.HTTPResponse]:
    parts = urlsplit(console.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    connection.request("GET", "/console/events")
    response = connection.getresponse()
    try:
        yield response
    finally:
        response.close()
        connection.close()


def next_event(response: http.client.HTTPResponse) -> Any:
    data = response.readline()
    assert data.startswith(b"data: ")
    assert response.readline() == b"\n"
    return json.loads(data.removeprefix(b"data: "))


def test_events_begin_with_the_state(console: MockServer) -> None:
    with events(console) as stream:
        assert stream.headers["Content-Type"] == "text/event-stream"
        assert next_event(stream) == state(console)


def test_an_event_follows_each_kind_of_change(console: MockServer, billing: Billing) -> None:
    with events(console) as stream:
        next_event(stream)
        billing.customer("1").create()
        assert [each["status"] for each in next_event(stream)["requests"]] == [201]
        console.store.create_customer(LEDGER, new_customer("2"))
        assert next_event(stream)["ledgers"][0]["customers"] == 2
        console.faults.add("503", 0.3)
        assert [each["text"] for each in next_event(stream)["faults"]] == ["503"]
        assert next_event(stream)["faults"] == []
        press(console, "reset")
        assert next_event(stream)["count"] == 0


def test_an_event_shows_no_token(console: MockServer, billing: Billing) -> None:
    billing.customer(TOKEN.replace("-", "")).create()
    send(console.url, "GET", f"/1234/customers/{TOKEN}")
    with events(console) as stream:
        assert TOKEN not in json.dumps(next_event(stream))


def test_events_end_with_the_mock(console: MockServer) -> None:
    with events(console) as stream:
        next_event(stream)
        console.stop()
        assert stream.read() == b""
        assert stream.isclosed()


def test_events_end_with_the_client(console: MockServer) -> None:
    before = set(threading.enumerate())
    with events(console) as stream:
        next_event(stream)
        threads = set(threading.enumerate()) - before
    assert len(threads) == 1
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_open_events_keep_no_request_waiting(console: MockServer, billing: Billing) -> None:
    with events(console) as one, events(console) as two, events(console) as three:
        for stream in (one, two, three):
            next_event(stream)
        for number in range(20):
            billing.customer(str(number)).create()
        for stream in (one, two, three):
            while next_event(stream)["count"] < 20:
                pass
