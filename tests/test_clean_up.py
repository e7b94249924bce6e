"""The clean-up after a run on a real endpoint: the database of a second server proves that nothing stays."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from contract_tests.api import (
    Api,
    charge_path,
    charges_path,
    customers_path,
    new_charge,
    new_customer,
    new_subscription,
    subscriptions_path,
)
from contract_tests.clean_up import Result, clean_up
from contract_tests.target import Target
from contract_tests.transports import Transport
from tests.support import LEDGER, OTHER_LEDGER, OTHER_TOKEN, ROOT, TOKEN

Respond = Callable[[], tuple[int, dict[str, str], bytes]]


class Between:
    """A transport that sends each request, and then lets a test replace the response."""

    def __init__(self, inner: Transport) -> None:
        self.inner, self.origin = inner, inner.origin
        self.change: Callable[[str, str, Respond], tuple[int, dict[str, str], bytes]] = lambda _, __, respond: respond()

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        return self.change(method, target, lambda: self.inner(method, target, headers, body))

    def close(self) -> None:
        self.inner.close()


@dataclass
class Endpoint:
    """The second server, its two ledgers, and its database."""

    api: Api
    other: Api
    between: Between
    database: Path

    def held(self) -> list[tuple[str, str]]:
        """The ledger and customer of each subscription and charge in the database."""
        with closing(sqlite3.connect(self.database)) as database:
            return database.execute(
                "select c.ledger, c.number from subscription s join customer c on c.key = s.customer_key "
                "union all select c.ledger, c.number from charge x join customer c on c.key = x.customer_key"
            ).fetchall()

    def clean_up(self) -> Result:
        self.between.change = lambda _, __, respond: respond()
        return clean_up(self.api, sleep=lambda _: None)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    database = tmp_path_factory.mktemp("peer") / "peer.db"
    ledgers = ["--ledger", f"{LEDGER}={TOKEN}", "--ledger", f"{OTHER_LEDGER}={OTHER_TOKEN}"]
    command = [sys.executable, "-m", "contract_tests.peer", "--db", str(database), *ledgers]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), database
        process.terminate()


@pytest.fixture
def endpoint(server: tuple[str, Path]) -> Iterator[Endpoint]:
    url, database = server
    tokens = {"PAYEX_TOKEN": TOKEN, "PAYEX_OTHER_OWNER_NO": OTHER_LEDGER, "PAYEX_OTHER_TOKEN": OTHER_TOKEN}
    api = Target(url, LEDGER, "CT-", 1000).open(tokens)
    assert api.other is not None
    between = api.transport = api.other.transport = Between(api.transport)
    yield Endpoint(api, api.other, between, database)
    between.close()


def test_each_ledger_is_cleaned_with_its_own_token(endpoint: Endpoint) -> None:
    for api in (endpoint.api, endpoint.other):
        customer = api.customer()
        api.charge(customer)
        api.charge(customer, api.subscription(customer))
    assert {ledger for ledger, _ in endpoint.held()} == {LEDGER, OTHER_LEDGER}

    result = endpoint.clean_up()

    assert endpoint.held() == []
    assert result.left == {}
    assert (len(result.removed), len(result.customers)) == (6, 2)


def _lost(_: Respond) -> tuple[int, dict[str, str], bytes]:
    raise ConnectionError("the connection was closed")


JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    "answer",
    [
        _lost,
        lambda respond: (201, JSON, b"{"),
        lambda respond: (201, JSON, b""),
        lambda respond: (200, {"content-type": "text/html"}, b"<html>"),
        lambda respond: (500, {}, b""),
        lambda respond: (504, {"content-type": "text/html"}, b"gateway timeout"),
        lambda respond: (408, {}, b""),
    ],
    ids=["lost", "not JSON", "no body", "HTML", "500", "504", "408"],
)
def test_a_creation_without_a_readable_response_is_removed(endpoint: Endpoint, answer: Any) -> None:
    def spoilt(method: str, _: str, respond: Respond) -> tuple[int, dict[str, str], bytes]:
        response = respond()
        return answer(respond) if method == "POST" else response

    endpoint.between.change = spoilt
    for api in (endpoint.api, endpoint.other):
        customer = api.number()
        for route, body in (
            (customers_path(), new_customer(customer)),
            (subscriptions_path(customer), new_subscription("1")),
            (charges_path(customer), new_charge()),
            (charges_path(customer, "1"), new_charge()),
        ):
            with suppress(ConnectionError):
                api.post(*route, body=body, judged=False)
    assert len(endpoint.held()) == 6

    result = endpoint.clean_up()

    assert endpoint.held() == []
    assert result.left == {}


@pytest.mark.parametrize("status", [204, 404, 202])
def test_a_delete_that_does_nothing_is_noticed(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    customer = endpoint.api.customer()
    charge = endpoint.api.charge(customer)
    path = endpoint.api.path(*charge_path((customer,), charge))

    def idle(method: str, _: str, respond: Respond) -> tuple[int, dict[str, str], bytes]:
        return (status, {}, b"") if method == "DELETE" else respond()

    endpoint.between.change = idle
    left = clean_up(endpoint.api, sleep=lambda _: None).left

    assert left == {path: f"still there; DELETE was answered {status}"}
    assert endpoint.held() == [(LEDGER, customer)]
    assert endpoint.clean_up().left == {}
    assert endpoint.held() == []


def test_a_list_that_cannot_be_read_names_the_customer(endpoint: Endpoint) -> None:
    customer = endpoint.api.customer()
    endpoint.api.charge(customer)

    def failing(method: str, _: str, respond: Respond) -> tuple[int, dict[str, str], bytes]:
        return (503, {"retry-after": "1"}, b"") if method == "GET" else respond()

    endpoint.between.change = failing
    left = clean_up(endpoint.api, sleep=lambda _: None).left

    path = endpoint.api.path("customers", customer)
    assert "cannot be listed" in left[path]
    assert "status 503" in left[path]
    endpoint.clean_up()
    assert endpoint.held() == []


def test_a_throttled_clean_up_waits_and_goes_on(endpoint: Endpoint) -> None:
    customer = endpoint.api.customer()
    for _ in range(3):
        endpoint.api.charge(customer)
    count, waited = 0, []

    def throttling(_: str, __: str, respond: Respond) -> tuple[int, dict[str, str], bytes]:
        nonlocal count
        count += 1
        return (429, {"retry-after": "7"}, b"") if count % 2 else respond()

    endpoint.between.change = throttling
    endpoint.api.sleep = waited.append
    result = clean_up(endpoint.api, sleep=waited.append)

    assert (result.left, endpoint.held()) == ({}, [])
    assert set(waited) == {7.0}


def test_a_run_leaves_nothing_and_a_run_that_leaves_something_fails(server: tuple[str, Path], tmp_path: Path) -> None:
    """The whole command with one probe that creates in both ledgers; in the second run the ledger keeps its charges."""
    url, database = server
    base = urlsplit(url)
    environment = {
        **os.environ, "PAYEX_TOKEN": TOKEN, "PAYEX_OTHER_OWNER_NO": OTHER_LEDGER, "PAYEX_OTHER_TOKEN": OTHER_TOKEN,
        **Target(f"{base.scheme}://{base.netloc}", LEDGER, "CT-", 1000).to_environment(),
    }  # fmt: skip

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pytest", "contract_tests", "--target", url, "-q", "-p", "no:cacheprovider"]
        return subprocess.run(
            [*command, "-k", "equal_numbers_in_two_ledgers_are_two_resources"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    result = run()
    assert result.returncode == 0, result.stdout
    assert "What this run made has been removed" in result.stdout
    with closing(sqlite3.connect(database)) as peer:
        assert peer.execute("select count(*) from subscription").fetchone() == (0,)
        assert peer.execute("select count(*) from charge").fetchone() == (0,)

        # The database now refuses every removal, as a ledger does whose charges may only be ended by a date.
        peer.execute("create trigger keep before delete on charge begin select raise(abort, 'kept'); end")
        peer.commit()
        try:
            result = run()
        finally:
            peer.execute("drop trigger keep")
            kept = [row[0] for row in peer.execute("select id from charge")]
            peer.execute("delete from charge")
            peer.execute("delete from subscription")
            peer.commit()
    assert result.returncode == 1, result.stdout
    assert kept
    assert all(each in result.stdout for each in kept)
    assert 'curl -i -X DELETE -H "Authorization: Bearer $PAYEX_OTHER_TOKEN"' in result.stdout
    assert TOKEN not in result.stdout
    assert OTHER_TOKEN not in result.stdout
