"""`payex_billing.testing`: what users' own tests are given."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import date
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import AsyncBilling, Billing, Charge
from payex_billing.testing import PayexMock, PayexServer

from tests.support import send

CHARGE = Charge(product_code="P01", quantity=2, unit_price=Decimal("49.50"), start_date=date(2026, 1, 1))


@pytest.fixture(params=["payex_mock", "payex_server"])
def payex(request: pytest.FixtureRequest) -> Any:
    """Both fixtures keep the same promises."""
    return request.getfixturevalue(request.param)


def subscribe(customer_no: str, subscription_no: str, charge: Charge) -> None:
    """A program as a user would write it: it knows nothing of tests."""
    with Billing.from_env() as billing:
        customer = billing.customer(customer_no)
        customer.ensure()
        subscription = customer.subscription(subscription_no)
        subscription.ensure()
        subscription.recurring_products.create(charge)


def test_a_program_under_test_needs_no_change(payex: PayexMock) -> None:
    subscribe("15615616", "46701234567", CHARGE)
    assert payex.customers() == ["15615616"]
    assert payex.subscriptions("15615616") == ["46701234567"]
    assert payex.charges("15615616") == []
    assert payex.charges("15615616", "46701234567") == [CHARGE]


def test_an_asynchronous_program_needs_none_either(payex: PayexMock) -> None:
    async def program() -> None:
        async with AsyncBilling.from_env() as billing:
            await billing.customer("1").ensure()
            await billing.customer("1").recurring_products.create(CHARGE)

    asyncio.run(program())
    assert payex.charges("1") == [CHARGE]


def test_a_client_can_be_asked_for(payex: PayexMock) -> None:
    with payex.billing(max_rate=1000) as billing:
        billing.customer("1").create()

    async def main() -> None:
        async with payex.async_billing() as billing:
            await billing.customer("1").get()

    asyncio.run(main())


def test_what_is_there_before_is_put_there_without_a_request(payex: PayexMock) -> None:
    payex.add("1", "s", CHARGE, Charge(product_code="P02", extra={"campaign": "spring"}))
    payex.add("1", None, CHARGE)
    assert payex.requests == []
    assert payex.charges("1", "s")[1] == Charge(product_code="P02", extra={"campaign": "spring"})
    with payex.billing() as billing:
        (product,) = billing.customer("1").recurring_products.list()
        assert product.has_content_of(CHARGE)


def test_what_the_contract_forbids_cannot_be_put_there(payex: PayexMock) -> None:
    with pytest.raises(ValueError, match="at most 15 characters"):
        payex.add("1" * 500)


def test_a_shape_that_the_api_would_refuse_is_refused(payex: PayexMock) -> None:
    payex.add("1")
    with payex.billing() as billing:
        add = next(each for each in billing.customer("1").get().operations if each.rel == "add-recurring-product")
        with pytest.raises(pb.ValidationFailed) as caught:
            billing.follow(add, {"productCode": "P", "quantity": "two"})
    assert "quantity" in caught.value.problems
    assert payex.requests[-1].problem == "validation"


def test_questions_about_what_is_not_there_name_what_is(payex: PayexMock) -> None:
    payex.add("1")
    with pytest.raises(AssertionError, match="there is no customer 2; there are 1"):
        payex.charges("2")
    with pytest.raises(AssertionError, match="there is no subscription s of customer 1"):
        payex.charges("1", "s")


def test_requests_are_recorded_and_writes_among_them(payex: PayexMock) -> None:
    with payex.billing() as billing:
        billing.customer("1").create()
        with pytest.raises(pb.CustomerNotFound):
            billing.customer("2").get()
    assert [(each.method, each.status, each.problem) for each in payex.requests] == [
        ("POST", 201, None),
        ("GET", 404, "customer-not-found"),
    ]
    assert [each.path for each in payex.writes] == ["/billing/customer/v1/1234/customers"]


def test_a_block_without_writes_refuses_them_and_fails(payex: PayexMock) -> None:
    payex.add("1")
    with payex.no_writes(), payex.billing() as billing:
        billing.customer("1").get()

    def write() -> None:
        with payex.no_writes(), payex.billing() as billing, pytest.raises(pb.Forbidden):
            billing.customer("2").create()

    with pytest.raises(AssertionError, match="nothing was to be written, but: POST"):
        write()
    assert payex.customers() == ["1"]
    with payex.billing() as billing:
        billing.customer("2").create()


def test_a_lost_answer_took_effect(payex: PayexMock) -> None:
    with payex.billing() as billing:
        with payex.losing_answers("POST"), pytest.raises(pb.OutcomeUnknown) as caught:
            billing.customer("1").create()
        assert payex.customers() == ["1"]
        assert caught.value.look_up().outcome is pb.Outcome.CREATED
    assert payex.requests[0].status is None
    assert payex.requests[0].fault == "lose-answer:POST"


def test_faults_end_with_their_block(payex: PayexMock) -> None:
    with payex.billing() as billing:
        once = billing.with_options(attempts=1, retry_after_cap=1)
        with payex.rate_limiting(retry_after=7), pytest.raises(pb.RateLimited) as caught:
            once.customer("1").get()
        assert caught.value.retry_after == 7
        with payex.down(), pytest.raises(pb.ServerFailed):
            once.customer("1").get()
        with payex.slow(30), pytest.raises(pb.AnswerLost):
            once.with_options(timeout=1.0).customer("1").get()
        with pytest.raises(pb.CustomerNotFound):
            once.customer("1").get()


def test_faults_befall_the_next_requests_in_order(payex: PayexMock) -> None:
    payex.next("500:GET", "reset-before:GET")
    with payex.billing() as billing:
        payex.add("1")
        assert billing.customer("1").get().customer_no == "1"
    assert [each.status for each in payex.requests] == [500, None, 200]
    with pytest.raises(ValueError, match="there is no fault"):
        payex.next("earthquake")


def test_all_can_be_forgotten(payex: PayexMock) -> None:
    subscribe("1", "s", CHARGE)
    payex.next("500")
    payex.clear()
    assert (payex.customers(), payex.requests) == ([], [])
    subscribe("1", "s", CHARGE)


def test_nothing_of_the_developers_own_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PAYEX_ENVIRONMENT", "production")
    monkeypatch.setenv("PAYEX_CLIENT_CERT", "/nowhere.pem")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    payex = request.getfixturevalue("payex_mock")
    subscribe("1", "s", CHARGE)
    assert payex.customers() == ["1"]


def test_in_process_no_socket_is_opened(payex_mock: PayexMock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr("socket.socket.connect", refuse)
    subscribe("1", "s", CHARGE)
    assert payex_mock.customers() == ["1"]


def test_two_mocks_do_not_see_each_other() -> None:
    with PayexMock() as outer:
        outer.add("outer")
        with PayexMock() as inner, inner.billing() as billing:
            billing.customer("inner").create()
            assert inner.customers() == ["inner"]
        with outer.billing() as billing:
            assert billing.customer("outer").get().customer_no == "outer"


def test_another_process_reaches_the_server(payex_server: PayexServer) -> None:
    payex_server.add("1")
    program = (
        "from payex_billing import Billing\nwith Billing.from_env() as b: print(b.customer('1').get().customer_no)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "1\n"
    assert send(payex_server.url, "GET", "/1234/customers/1", token=payex_server.token).status == 200


def test_every_pytest_loads_the_plugin_and_no_more() -> None:
    program = (
        "import sys, importlib.metadata as m\n"
        "names = [e.value for e in m.entry_points(group='pytest11') if e.name == 'payex_billing']\n"
        "assert names == ['payex_billing._pytest_plugin'], names\n"
        "import payex_billing._pytest_plugin\n"
        "assert not {'httpx', 'granian', 'payex_billing_mock', 'payex_billing.testing'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
