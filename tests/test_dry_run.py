"""`Billing(dry_run=True)`: it writes nothing, and the program runs as in a real run. On both facades."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import payex_billing as pb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payex_billing import Billing, Charge, RecordedWrite, reconcile
from payex_billing.testing import PayexMock
from payex_billing_mock import Faults, MockServer, Store

from tests.support import LEDGER, PREFIX, TOKEN, open_client

BASE = f"{PREFIX}/{LEDGER}/customers"


@pytest.fixture(scope="module")
def faulty_server() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        yield server


@pytest.fixture
def server(faulty_server: MockServer) -> MockServer:
    """A ledger with customer 1, its charge, its subscription 46, and a charge there."""
    faulty_server.faults.clear()
    faulty_server.app.store = store = Store()
    store.create_customer(LEDGER, {"customerNo": "1"})
    store.create_subscription(LEDGER, "1", {"subscriptionNo": "46"})
    store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499, "costCenter": "A"})
    store.create_charge(LEDGER, "1", "46", {"productCode": "P02"})
    return faulty_server


@pytest.fixture(params=["sync", "async"])
def billing(request: pytest.FixtureRequest, server: MockServer) -> Iterator[Billing]:
    with open_client(request.param, token=TOKEN, owner_no=LEDGER, base_url=server.url, dry_run=True) as client:
        yield client


def state(server: MockServer) -> Any:
    """Return the whole content of the ledger."""
    return [
        (customer.id, dict(customer.subscriptions), [charge.document for charge in customer.charges.values()])
        for customer in server.app.store.customers(LEDGER)
    ]


def described(billing: Billing) -> list[str]:
    return [write.description for write in billing.recorded]


def test_every_write_is_recorded_and_none_is_sent(billing: Billing, server: MockServer) -> None:
    before = state(server)
    customer = billing.customer("1")
    (charge,) = customer.recurring_products.list()
    billing.customer("åäö/2").create()
    customer.subscription("47").create()
    customer.recurring_products.create(
        Charge(product_code="P03", quantity=2, unit_price=Decimal("12345.5"), text="Phone", start_date=date(2026, 1, 1))
    )
    customer.recurring_products.update(charge.id, end_date=date(2026, 12, 31), text=None, vat_rate=25)
    customer.recurring_products.delete(charge.id)
    customer.subscription("46").delete()
    assert state(server) == before
    assert [(write.method, write.path, write.body) for write in billing.recorded] == [
        ("POST", BASE, {"customerNo": "åäö/2"}),
        ("POST", f"{BASE}/1/subscriptions", {"subscriptionNo": "47"}),
        (
            "POST",
            f"{BASE}/1/recurring-products",
            {"productCode": "P03", "quantity": 2, "unitPrice": 12345.5, "text": "Phone", "startDate": "2026-01-01"},
        ),
        (
            "PATCH",
            f"{BASE}/1/recurring-products/{charge.id}",
            {"endDate": "2026-12-31", "text": None, "vatRate": 25.0},
        ),
        ("DELETE", f"{BASE}/1/recurring-products/{charge.id}", None),
        ("DELETE", f"{BASE}/1/subscriptions/46", None),
    ]
    assert described(billing) == [
        "Create customer åäö/2",
        "Create subscription 47 of customer 1",
        'Add charge P03 to customer 1: quantity 2, unit price 12,345.50, text "Phone", start date 2026-01-01',
        f"Change charge {charge.id} of customer 1: vat rate 25.00, text none, end date 2026-12-31",
        f"Remove charge {charge.id} of customer 1",
        "Remove subscription 46 of customer 1 and its charges",
    ]


def test_what_is_created_has_the_shape_of_what_the_server_would_give(billing: Billing) -> None:
    customer = billing.customer("2").create()
    assert (customer.customer_no, customer.uri) == ("2", f"{BASE}/2")
    subscription = billing.customer("2").subscription("4 6").create()
    assert (subscription.subscription_no, subscription.uri) == ("4 6", f"{BASE}/2/subscriptions/4%206")
    charge = Charge(product_code="P01", unit_price=Decimal("0.000001"), extra={"costCenter": [1, None]})
    product = billing.customer("2").subscription("4 6").recurring_products.create(charge)
    assert (product.id, product.charge) == ("dry-run-1", charge)
    assert product.uri == f"{BASE}/2/subscriptions/4%206/recurring-products/dry-run-1"


def test_reads_show_the_recorded_writes(billing: Billing) -> None:
    charges = billing.customer("1").recurring_products
    (old,) = charges.list()
    new = charges.create(Charge(product_code="P09"))
    changed = charges.update(old.id, quantity=3, extra={"costCenter": None})
    assert (changed.quantity, changed.unit_price, changed.extra) == (3, Decimal(499), {"costCenter": None})
    assert list(charges.list()) == [changed, new]
    assert charges.get(old.id) == changed
    assert charges.update(new.id, quantity=5) == charges.get(new.id)
    charges.delete(old.id)
    assert [product.quantity for product in charges.list()] == [5]
    with pytest.raises(pb.RecurringProductNotFound):
        charges.get(old.id)
    with pytest.raises(pb.RecurringProductNotFound):
        charges.delete(old.id)
    assert [place.subscription_no for place in billing.customer("1").all_charges()] == [None, "46"]
    billing.customer("1").subscription("46").delete()
    assert [place.subscription_no for place in billing.customer("1").all_charges()] == [None]


def test_a_whole_program_runs_on_a_customer_that_is_only_recorded(billing: Billing, server: MockServer) -> None:
    customer = billing.customer("77")
    assert customer.ensure() == customer.ensure() == customer.get()
    phone = customer.subscription("46701234567")
    assert phone.ensure() == phone.ensure()
    charge = Charge(product_code="P01", quantity=1)
    added = phone.recurring_products.ensure(charge)
    assert phone.recurring_products.ensure(charge) == added
    assert [(place.subscription_no, place.product) for place in customer.all_charges()] == [("46701234567", added)]
    assert list(customer.subscriptions.list()) == [phone.get()]
    assert len(billing.recorded) == 3
    assert [held.id for held in server.app.store.customers(LEDGER)] == ["1"]


def test_ensure_of_what_exists_records_nothing(billing: Billing) -> None:
    customer = billing.customer("1")
    customer.ensure()
    customer.subscription("46").ensure()
    customer.recurring_products.ensure(Charge(product_code="P01"))
    assert billing.recorded == ()


@pytest.mark.parametrize(
    ("action", "error"),
    [
        (lambda billing: billing.customer("1").create(), pb.CustomerAlreadyExists),
        (lambda billing: billing.customer("1").subscription("46").create(), pb.SubscriptionAlreadyExists),
        (lambda billing: billing.customer("2").subscription("46").create(), pb.CustomerNotFound),
        (lambda billing: billing.customer("2").recurring_products.create(Charge(product_code="P")), pb.CustomerNotFound),
        (
            lambda billing: billing.customer("1").subscription("9").recurring_products.create(Charge(product_code="P")),
            pb.SubscriptionNotFound,
        ),
        (lambda billing: billing.customer("1").recurring_products.update("x", quantity=1), pb.RecurringProductNotFound),
        (lambda billing: billing.customer("1").recurring_products.delete("x"), pb.RecurringProductNotFound),
        (lambda billing: billing.customer("1").subscription("9").delete(), pb.SubscriptionNotFound),
        (lambda billing: billing.customer("1").recurring_products.update("x", quantity=0), pb.InvalidArgument),
        (lambda billing: billing.customer("()").create(), pb.InvalidArgument),
    ],
)  # fmt: skip
def test_a_write_that_cannot_succeed_raises_the_usual_error_and_is_not_recorded(
    billing: Billing, action: Callable[[Billing], Any], error: type[pb.BillingError]
) -> None:
    with pytest.raises(error):
        action(billing)
    assert billing.recorded == ()


@pytest.mark.parametrize("fault", ["500:GET", "502:GET", "reset-before:GET", "lose-answer:GET", "520:GET"])
def test_a_read_that_fails_in_front_of_a_write_is_repeated_and_never_an_unknown_outcome(
    billing: Billing, server: MockServer, fault: str
) -> None:
    server.faults.queue(fault)
    billing.customer("1").recurring_products.create(Charge(product_code="P"))
    assert len(billing.recorded) == 1
    with server.faults.active(fault), pytest.raises(pb.NeverSent, match="dry run could not read"):
        billing.with_options(attempts=1).customer("1").recurring_products.create(Charge(product_code="P"))
    assert len(billing.recorded) == 1


def test_a_lost_creation_of_a_real_run_can_be_looked_up(billing: Billing, server: MockServer) -> None:
    server.faults.queue("lose-answer:POST")
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url) as real, pytest.raises(pb.OutcomeUnknown) as caught:
        real.customer("2").create()
    assert billing.look_up(caught.value.lost).outcome is pb.Outcome.CREATED


def test_a_wrong_token_is_told_as_always(server: MockServer) -> None:
    with Billing(token="wrong", owner_no=LEDGER, base_url=server.url, dry_run=True) as billing:
        with pytest.raises(pb.Unauthorized):
            billing.customer("2").ensure()
        assert billing.recorded == ()


def test_a_followed_operation_is_recorded(billing: Billing) -> None:
    (operation,) = [each for each in billing.customer("1").get().operations if each.rel == "add-subscription"]
    made = billing.follow(operation, {"subscriptionNo": "48"})
    assert isinstance(made, dict)
    assert made["subscriptionNo"] == "48"
    assert billing.customer("1").subscription("48").get().subscription_no == "48"
    unknown = pb.Operation(rel="merge", method="PUT", href=f"{BASE}/1/merge")
    assert billing.follow(unknown, {"with": "2"}) is None
    invalid = attrs.evolve(operation, href=BASE)
    assert billing.follow(invalid, ["no", "customer"]) is None
    assert described(billing) == ["Create subscription 48 of customer 1", f"PUT {BASE}/1/merge", f"POST {BASE}"]


def test_options_share_what_is_recorded(billing: Billing) -> None:
    billing.with_options(timeout=5).customer("2").create()
    assert len(billing.recorded) == 1
    assert billing.dry_run


def test_the_hooks_see_the_recorded_writes(server: MockServer) -> None:
    attempts: list[Any] = []
    responses: list[pb.ResponseInfo] = []
    with Billing(
        token=TOKEN, owner_no=LEDGER, base_url=server.url, dry_run=True,
        on_attempt=lambda *seen: attempts.append(seen), on_response=responses.append,
    ) as billing:  # fmt: skip
        billing.customer("2").create()
    assert [(name, attempt.status) for name, attempt in attempts] == [("create_customer", 201)]
    assert [(response.operation, response.status) for response in responses] == [("create_customer", 201)]


def test_a_client_that_is_no_dry_run_records_nothing(server: MockServer) -> None:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url) as billing:
        billing.customer("2").create()
        assert (billing.dry_run, billing.recorded) == (False, ())
        assert "dry run" not in repr(billing)
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url, dry_run=True) as billing:
        assert "dry run" in repr(billing)


@pytest.mark.parametrize("wrong", ["false", "", 0, 1, None, []])
def test_dry_run_is_true_or_false(wrong: Any) -> None:
    with pytest.raises(pb.ConfigurationError, match="dry_run must be True or False"):
        Billing(token="t", owner_no="1", dry_run=wrong)


def test_a_recorded_write_shows_no_customer_in_its_representation(billing: Billing) -> None:
    billing.customer("191212121212").create()
    assert "1912" not in repr(billing.recorded)


def test_a_recorded_write_is_a_dict_for_json(billing: Billing) -> None:
    billing.customer("2").create()
    (write,) = billing.recorded
    assert json.loads(json.dumps(write.to_dict(mode="json"))) == {
        "method": "POST",
        "path": BASE,
        "body": {"customerNo": "2"},
        "description": "Create customer 2",
    }


def test_a_description_is_printable(billing: Billing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    text = "a\x1b[2J\u202eb\n"
    billing.customer("1").recurring_products.create(Charge(product_code="\x1b", text=text, extra={"\x1b": "\r"}))
    (write,) = billing.recorded
    assert write.description.isprintable()
    assert isinstance(write.body, dict)
    assert write.body["text"] == text


def test_what_the_ledger_holds_passes_whatever_it_is(billing: Billing, server: MockServer) -> None:
    """The client never validates a value that it reads, even if a recorded write changes that value."""
    other = {"deep": [[[1e300]]], "text": "\u2028"}
    document = {"productCode": "P01", "text": "\x00", "other": other}
    charge_id = server.app.store.create_charge(LEDGER, "1", "46", document).id
    charges = billing.customer("1").subscription("46").recurring_products
    charges.update(charge_id, quantity=2)
    (shown,) = [product for product in charges.list() if product.id == charge_id]
    assert (shown.quantity, shown.text, shown.extra) == (2, "\x00", {"other": other})


def test_16_threads_create_one_customer_once(server: MockServer) -> None:
    start = threading.Barrier(16)
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=server.url, dry_run=True) as billing:

        def ensure(number: int) -> Any:
            start.wait()
            billing.customer("2").ensure()
            return billing.customer("2").recurring_products.create(Charge(product_code="P", quantity=number + 1)).id

        with ThreadPoolExecutor(16) as threads:
            ids = set(threads.map(ensure, range(16)))
        assert len(ids) == 16
        assert len(billing.recorded) == 17
        assert len(list(billing.customer("2").recurring_products.list())) == 16


def test_apply_runs_with_it_and_writes_nothing(tmp_path: Path) -> None:
    table = tmp_path / "charges.csv"
    table.write_text("customer_no,subscription_no,product_code,quantity\n1,,P01,1\n2,46,P02,2\n2,46,P03,3\n")
    with PayexMock() as mock:
        mock.add("1")
        with mock.billing(dry_run=True) as billing, reconcile.read(table) as rows, mock.no_writes():
            report = reconcile.apply_sync(billing, rows, journal=tmp_path / "journal")
        assert report.applied == 3
        assert len(billing.recorded) == 5  # a customer, a subscription and three charges
        assert mock.customers() == ["1"]


@pytest.mark.parametrize("kept", ["journal", "state"])
def test_what_a_dry_run_of_apply_keeps_is_refused_by_a_real_one(tmp_path: Path, kept: str) -> None:
    """Otherwise the real run would treat recorded writes as done, and customers would not be billed."""
    table = tmp_path / "charges.csv"
    table.write_text("customer_no,product_code\n1,P01\n")
    with PayexMock() as mock:
        for dry_run in (True, False):
            journal = tmp_path / ("journal" if kept == "journal" else f"journal-{dry_run}")
            with mock.billing(dry_run=dry_run) as billing, reconcile.read(table) as rows:
                if dry_run:
                    assert reconcile.apply_sync(billing, rows, journal=journal, state=tmp_path / "state").applied == 1
                else:
                    state = tmp_path / ("state" if kept == "state" else "other-state")
                    with pytest.raises(pb.BillingError, match="dry-run"):
                        reconcile.apply_sync(billing, rows, journal=journal, state=state)
        assert mock.writes == []


# the same as a real run

NUMBERS = st.sampled_from(["1", "2"])
SUBSCRIPTIONS = st.sampled_from([None, "46", "47"])
CHARGES = st.sampled_from(
    [
        Charge(product_code="P01"), Charge(product_code="P01", quantity=1, unit_price=Decimal("9.90")),
        Charge(product_code="P02", text="x", end_date=date(2099, 1, 1), extra={"a": {"b": 1}}),
    ]
)  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.sampled_from(["create", "ensure", "get"]), NUMBERS, SUBSCRIPTIONS),
    st.tuples(st.sampled_from(["delete"]), NUMBERS, st.sampled_from(["46", "47"])),
    st.tuples(st.sampled_from(["list", "all", "subscriptions"]), NUMBERS, SUBSCRIPTIONS),
    st.tuples(st.sampled_from(["add", "ensure charge"]), NUMBERS, SUBSCRIPTIONS, CHARGES),
    st.tuples(st.sampled_from(["change", "remove", "read"]), NUMBERS, SUBSCRIPTIONS, st.integers(0, 4)),
)
CHANGE = {"quantity": 4, "text": None, "end_date": date(2098, 1, 1), "extra": {"c": [1]}}


def do(billing: Billing, step: tuple[Any, ...], ids: list[str]) -> Any:
    """Run one step of a program; ids of charges are named by the order in which they were added."""
    kind, number, subscription, *rest = step
    customer = billing.customer(number)
    handle: Any = customer if subscription is None else customer.subscription(subscription)
    charges = handle.recurring_products
    try:
        match kind:
            case "create" | "ensure" | "get" | "delete":
                result = getattr(handle, kind)()
            case "list":
                result = list(charges.list())
            case "all":
                result = list(customer.all_charges())
            case "subscriptions":
                result = list(customer.subscriptions.list())
            case "add" | "ensure charge":
                result = charges.create(rest[0]) if kind == "add" else charges.ensure(rest[0])
                ids += [] if result.id in ids else [result.id]
            case _:
                charge_id = ids[rest[0]] if rest[0] < len(ids) else "none"
                action = {
                    "change": lambda: charges.update(charge_id, **CHANGE),
                    "remove": lambda: charges.delete(charge_id),
                }
                result = action.get(kind, lambda: charges.get(charge_id))()
    except pb.BillingError as error:
        return type(error)
    return plain(result, ids)


def plain(value: Any, ids: list[str]) -> Any:
    """Return a result without the values that only the server knows: ids, and the operations."""
    if isinstance(value, list):
        return [plain(item, ids) for item in value]
    if value is None:
        return None
    text = json.dumps(value.to_dict(mode="json") | {"operations": []})
    if "product" in (whole := json.loads(text)):
        whole["product"]["operations"] = []
        text = json.dumps(whole)
    for index, charge_id in enumerate(ids):
        text = text.replace(charge_id, f"<{index}>")
    return json.loads(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=14))
def test_a_program_gives_the_same_results_in_a_dry_run(steps: list[tuple[Any, ...]]) -> None:
    with PayexMock() as mock:
        mock.add("1", "46", Charge(product_code="P07", quantity=7))
        with mock.billing(dry_run=True) as billing:
            ids: list[str] = [place.product.id for place in billing.customer("1").all_charges()]
            dry = [do(billing, step, ids) for step in steps]
            assert mock.writes == []
            recorded = [(write.method, write.path) for write in billing.recorded]
        with mock.billing() as billing:
            ids = [place.product.id for place in billing.customer("1").all_charges()]
            real = [do(billing, step, ids) for step in steps]
            written = [write for write in mock.writes if write.status is not None and write.status < 300]
        assert dry == real
        assert [method for method, _ in recorded] == [write.method for write in written]
        assert [path for method, path in recorded if method == "POST"] == [
            write.path for write in written if write.method == "POST"
        ]


def test_it_is_a_value(billing: Billing) -> None:
    billing.customer("2").create()
    assert {*billing.recorded} == {
        RecordedWrite(method="POST", path=BASE, body={"customerNo": "2"}, description="Create customer 2")
    }
