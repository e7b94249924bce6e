"""The webhook, tested as its authors would: with the `payex_mock` fixture."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from payex_billing.testing import PayexMock
from webhook import EVENT, app

EVENT_1 = {
    "kind": "subscribed", "event": "e-1", "customer": "15615616", "subscription": "46701234567", "product": "P01",
    "price": "499.00", "day": "2026-12-01",
}  # fmt: skip


class Crm:
    """Sends events to the webhook, without a socket."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner

    def send(self, event: dict[str, str]) -> httpx2.Response:
        async def one() -> httpx2.Response:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://webhook") as client:
                return await client.post("/events", json=event)

        return self._runner.run(one())


@pytest.fixture
def crm(payex_mock: PayexMock) -> Iterator[Crm]:
    with asyncio.Runner() as runner:
        started = app.router.lifespan_context(app)
        runner.run(started.__aenter__())
        yield Crm(runner)
        runner.run(started.__aexit__(None, None, None))


def billed(payex: PayexMock) -> list[Any]:
    return [
        (each.product_code, each.unit_price, each.extra[EVENT]) for each in payex.charges("15615616", "46701234567")
    ]


def test_a_subscription_is_billed(crm: Crm, payex_mock: PayexMock) -> None:
    assert crm.send(EVENT_1).status_code == 200
    assert billed(payex_mock) == [("P01", Decimal(499), "e-1")]


def test_an_event_that_comes_twice_is_billed_once(crm: Crm, payex_mock: PayexMock) -> None:
    first, second = (crm.send(EVENT_1).json() for _ in range(2))
    assert first == second
    assert len(billed(payex_mock)) == 1


def test_a_lost_answer_is_not_billed_twice(crm: Crm, payex_mock: PayexMock) -> None:
    payex_mock.add("15615616", "46701234567")
    payex_mock.next("lose-answer:POST", "lose-answer:POST", "lose-answer:POST")
    assert crm.send(EVENT_1).status_code == 200
    assert len(billed(payex_mock)) == 1


def test_the_end_is_told(crm: Crm, payex_mock: PayexMock) -> None:
    crm.send(EVENT_1)
    ended = {**EVENT_1, "kind": "ended", "event": "e-2", "day": "2027-03-31"}
    assert crm.send(ended).status_code == 200
    (charge,) = payex_mock.charges("15615616", "46701234567")
    assert str(charge.end_date) == "2027-03-31"


def test_the_crm_is_asked_to_try_again_when_billing_is_down(crm: Crm, payex_mock: PayexMock) -> None:
    with payex_mock.fault("reset-before"):
        answer = crm.send(EVENT_1)
    assert answer.status_code == 503
    assert "send the event again" in answer.json()["detail"]


def test_what_billing_refuses_is_said(crm: Crm, payex_mock: PayexMock) -> None:
    with payex_mock.fault("403-problem"):
        assert crm.send(EVENT_1).status_code == 422
