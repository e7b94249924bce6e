"""`recurring_products.ensure`: the charge is there afterwards, exactly once. Over real sockets, on both facades."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import attrs
import payex_billing as pb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payex_billing import AsyncBilling, Billing, Charge, RecurringProduct
from payex_billing._async import driver
from payex_billing._creation.ensure import ChargeEnsurer, equal_charge
from payex_billing._creation.memory import Memory
from payex_billing._policy.steps import Environment, Wait
from payex_billing._requests.operations import Parent
from payex_billing_mock import Faults, MockServer, Store
from payex_billing_mock.app import Answer, Handled, Request, Respond

from tests.support import LEDGER, NIGHTLY, PREFIX, TOKEN, open_client

CHARGE = Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"))
HELD = {"productCode": "P01", "quantity": 1, "unitPrice": 499}
LOST_AFTER = ["lose-answer", "reset-after", "truncate", "500-after", "502-after"]
LOST_BEFORE = ["reset-before", "500", "502"]
TODAY = date.today()


@pytest.fixture(scope="module")
def faulty_server() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        yield server


@pytest.fixture
def faulty(faulty_server: MockServer) -> MockServer:
    faulty_server.faults.clear()
    faulty_server.app.store = Store()
    faulty_server.store.create_customer(LEDGER, {"customerNo": "1"})
    return faulty_server


@pytest.fixture(params=["sync", "async"])
def billing(request: pytest.FixtureRequest, faulty: MockServer) -> Iterator[Billing]:
    with open_client(request.param, token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as client:
        yield client


@pytest.fixture
def charges(billing: Billing) -> pb.RecurringProductsHandle:
    return billing.customer("1").recurring_products


def hold(server: MockServer, **document: Any) -> str:
    """Add a charge to the customer. Return its id."""
    return server.store.create_charge(LEDGER, "1", "", HELD | document).id


def held(server: MockServer) -> list[dict[str, Any]]:
    return [dict(charge.document) for charge in server.store.charges(LEDGER, "1", "").values()]


def posts(server: MockServer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives the paths of all POSTs from now on."""
    paths: list[str] = []

    def recording(request: Request, respond: Respond) -> Answer:
        if request.method == "POST":
            paths.append(request.raw_path.decode())
        return respond(request)

    monkeypatch.setattr(server.app, "interceptor", recording)
    return paths


# equal charges


def test_a_charge_is_created_once(charges: pb.RecurringProductsHandle) -> None:
    created = charges.ensure(CHARGE)
    assert created.has_content_of(CHARGE)
    assert charges.ensure(CHARGE) == created
    assert list(charges.list()) == [created]


def test_a_charge_of_a_subscription_is_created_once(billing: Billing) -> None:
    billing.customer("1").subscription("46").create()
    charges = billing.customer("1").subscription("46").recurring_products
    assert charges.ensure(CHARGE) == charges.ensure(CHARGE)
    assert len(list(charges.list())) == 1
    assert list(billing.customer("1").recurring_products.list()) == []


def test_an_equal_charge_is_returned_and_nothing_is_written(
    charges: pb.RecurringProductsHandle, faulty: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_id, sent = hold(faulty), posts(faulty, monkeypatch)
    assert charges.ensure(CHARGE).id == charge_id
    assert sent == []


@pytest.mark.parametrize(
    "shown",
    [
        {"quantity": 7}, {"unitPrice": 99.5}, {"vatRate": 25}, {"text": "From the master product"},
        {"startDate": "2026-01-01"}, {"quantity": None, "unitPrice": None}, {"costCenter": "A"},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_charge_leaves_out_is_equal_to_what_the_server_shows(
    charges: pb.RecurringProductsHandle, faulty: MockServer, shown: dict[str, Any]
) -> None:
    charge_id = hold(faulty, **shown)
    assert charges.ensure(Charge(product_code="P01")).id == charge_id


@pytest.mark.parametrize(
    "shown",
    [
        {"quantity": 2}, {"unitPrice": 498.99}, {"unitPrice": None}, {"vatRate": 12}, {"text": "Other"},
        {"productCode": "P02"}, {"startDate": "2026-02-01"}, {"startDate": None}, {"costCenter": "B"},
    ],
    ids=str,
)  # fmt: skip
def test_a_charge_that_differs_in_a_given_value_is_another_one(
    charges: pb.RecurringProductsHandle, faulty: MockServer, shown: dict[str, Any]
) -> None:
    same = {"vatRate": 25, "text": "Phone", "startDate": "2026-01-01", "costCenter": "A"}
    charge_id = hold(faulty, **(same | shown))
    wanted = attrs.evolve(CHARGE, vat_rate=25, text="Phone", start_date=date(2026, 1, 1), extra={"costCenter": "A"})
    assert charges.ensure(wanted).id != charge_id
    assert len(held(faulty)) == 2


def test_a_text_that_the_server_stores_in_another_form_is_equal(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    charge_id = hold(faulty, text="ＴＥＬＥＦＯＮ")
    assert charges.ensure(attrs.evolve(CHARGE, text=" Telefon ")).id == charge_id


def test_of_several_equal_charges_the_most_similar_is_returned_and_all_stay(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    hold(faulty, text="Master")
    exact = hold(faulty)
    hold(faulty)
    assert charges.ensure(CHARGE).id == exact
    assert len(held(faulty)) == 3


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (None, TODAY), (None, TODAY + timedelta(days=30)), (TODAY - timedelta(days=400), TODAY - timedelta(days=30)),
        (TODAY + timedelta(days=5), TODAY + timedelta(days=9)),
    ],
    ids=["ends today", "ends later", "was ended", "is in the future"],
)  # fmt: skip
def test_a_charge_that_differs_in_the_end_of_the_same_days_is_a_conflict(
    charges: pb.RecurringProductsHandle,
    faulty: MockServer,
    monkeypatch: pytest.MonkeyPatch,
    first: date | None,
    last: date,
) -> None:
    start = {} if first is None else {"startDate": first.isoformat()}
    charge_id, sent = hold(faulty, endDate=last.isoformat(), **start), posts(faulty, monkeypatch)
    with pytest.raises(pb.ConflictingCharge) as caught:
        charges.ensure(attrs.evolve(CHARGE, start_date=first))
    assert [product.id for product in caught.value.candidates] == [charge_id]
    assert sent == []


def test_an_end_date_where_the_existing_charge_has_none_is_a_conflict(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    hold(faulty, startDate="2026-01-01")
    with pytest.raises(pb.ConflictingCharge, match="1 existing charge is the same but for the end date"):
        charges.ensure(attrs.evolve(CHARGE, start_date=date(2026, 1, 1), end_date=date(2026, 12, 31)))
    assert len(held(faulty)) == 1


def test_a_charge_that_begins_after_the_existing_one_has_ended_is_added(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    hold(faulty, startDate="2026-01-01", endDate="2026-12-31")
    assert charges.ensure(attrs.evolve(CHARGE, start_date=date(2027, 1, 1))).start_date == date(2027, 1, 1)


def test_a_charge_that_has_ended_makes_room_for_a_new_one(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    hold(faulty, endDate=(TODAY - timedelta(days=2)).isoformat())
    created = charges.ensure(CHARGE)
    assert created.end_date is None
    assert charges.ensure(CHARGE) == created


VALUES = st.fixed_dictionaries(
    {
        "quantity": st.sampled_from([None, 1, 2]),
        "unit_price": st.sampled_from([None, Decimal(0), Decimal("1.5")]),
        "vat_rate": st.sampled_from([None, Decimal(25)]),
        "text": st.sampled_from([None, "", "Phone"]),
        "start_date": st.sampled_from([None, date(2026, 1, 1)]),
        "end_date": st.sampled_from([None, date(2026, 6, 30)]),
    }
)


@given(VALUES, VALUES)
def test_a_charge_is_equal_to_itself_however_the_server_fills_it_in(
    given_values: dict[str, Any], filled: dict[str, Any]
) -> None:
    """The rule by which a second `ensure` never adds a second charge."""
    charge = Charge(product_code="P01", **given_values)
    shown = {name: filled[name] if value is None else value for name, value in given_values.items()}
    product = RecurringProduct(id="a", uri="/a", product_code="P01", **(shown | {"end_date": charge.end_date}))
    assert equal_charge([product], charge) == product


# lost responses


@pytest.mark.parametrize("fault", LOST_AFTER)
def test_a_lost_creation_that_took_effect_is_found(
    charges: pb.RecurringProductsHandle, faulty: MockServer, fault: str
) -> None:
    faulty.faults.queue("latency=0:GET", f"{fault}:POST")
    found = charges.ensure(CHARGE)
    assert [found] == list(charges.list())


@pytest.mark.parametrize("fault", LOST_BEFORE)
def test_a_lost_creation_that_took_no_effect_is_repeated_after_settle(
    charges: pb.RecurringProductsHandle, faulty: MockServer, fault: str
) -> None:
    faulty.faults.queue("latency=0:GET", f"{fault}:POST")
    found = charges.ensure(CHARGE, settle=0.05)
    assert [found] == list(charges.list())


def test_a_creation_that_commits_late_is_waited_for(charges: pb.RecurringProductsHandle, faulty: MockServer) -> None:
    faulty.faults.queue("latency=0:GET", "late-commit=0.2,reset:POST")
    found = charges.ensure(CHARGE, settle=30)
    faulty.wait_for_late_writes()
    assert [found] == list(charges.list())


def test_without_time_to_wait_it_is_unknown_and_the_next_ensure_goes_on_from_there(
    billing: Billing, faulty: MockServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = posts(faulty, monkeypatch)
    hasty = billing.with_options(deadline=0.6).customer("1").recurring_products
    faulty.faults.queue("latency=0:GET", "late-commit=1,reset:POST")
    with pytest.raises(pb.OutcomeUnknown) as caught:
        hasty.ensure(CHARGE)
    assert caught.value.lost.key == pb.NaturalKey(customer_no="1", charge=CHARGE)
    with pytest.raises(pb.OutcomeUnknown):  # a retry loop of the caller's must not add the charge again
        hasty.ensure(CHARGE)
    faulty.wait_for_late_writes()
    patient = billing.customer("1").recurring_products
    assert [patient.ensure(CHARGE)] == list(patient.list())
    assert len(held(faulty)) == 1
    assert len(sent) <= 1


def test_a_lost_create_is_looked_up_by_the_next_ensure(charges: pb.RecurringProductsHandle, faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.3,reset:POST")
    with pytest.raises(pb.OutcomeUnknown):
        charges.create(CHARGE)
    found = charges.ensure(CHARGE, settle=30)
    faulty.wait_for_late_writes()
    assert [found] == list(charges.list())


def test_after_three_lost_creations_it_gives_up(charges: pb.RecurringProductsHandle, faulty: MockServer) -> None:
    with faulty.faults.active("reset-before:POST"), pytest.raises(pb.OutcomeUnknown):
        charges.ensure(CHARGE, settle=0)
    assert len(faulty.faults.met) == 3
    assert held(faulty) == []


def test_a_look_up_that_fails_after_a_loss_is_not_taken_for_never_sent(billing: Billing, faulty: MockServer) -> None:
    charges = billing.with_options(deadline=0.5, attempts=1).customer("1").recurring_products
    faulty.faults.queue("latency=0:GET", "lose-answer:POST", *["501:GET"] * 5)
    with pytest.raises(pb.OutcomeUnknown):
        charges.ensure(CHARGE)
    assert len(held(faulty)) == 1


@pytest.mark.parametrize("status", ["429=0", "503=0", "500", "401"])
def test_a_list_that_fails_for_a_moment_is_read_again(
    charges: pb.RecurringProductsHandle, faulty: MockServer, status: str
) -> None:
    faulty.faults.queue(f"{status}:GET")
    if status == "401":  # a fixed token: there is no other to try
        with pytest.raises(pb.Unauthorized):
            charges.ensure(CHARGE)
        assert held(faulty) == []
    else:
        assert [charges.ensure(CHARGE)] == list(charges.list())


def test_a_refusal_of_the_creation_is_raised_and_leaves_nothing_open(
    charges: pb.RecurringProductsHandle, faulty: MockServer
) -> None:
    faulty.faults.queue("latency=0:GET", "429=1:POST")
    with pytest.raises(pb.RateLimited):
        charges.ensure(CHARGE)
    assert [charges.ensure(CHARGE)] == list(charges.list())


def test_ensure_of_a_customer_that_does_not_exist_says_so(billing: Billing) -> None:
    with pytest.raises(pb.CustomerNotFound):
        billing.customer("2").recurring_products.ensure(CHARGE)


@pytest.mark.parametrize(
    ("wrong", "argument"),
    [((None,), "charge"), (("P01",), "charge"), ((CHARGE, -1), "settle"), ((CHARGE, "soon"), "settle")],
    ids=str,
)
def test_wrong_arguments_are_found_before_anything_is_sent(
    charges: pb.RecurringProductsHandle,
    faulty: MockServer,
    wrong: tuple[Any, ...],
    argument: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handled: list[Handled] = []
    monkeypatch.setattr(faulty.app, "observers", [handled.append])
    with pytest.raises(pb.InvalidArgument) as caught:
        charges.ensure(wrong[0], **({"settle": wrong[1]} if len(wrong) > 1 else {}))
    assert caught.value.argument == argument
    assert handled == []


FAULTS = [
    "lose-answer:POST", "reset-before:POST", "reset-after:POST", "truncate:POST", "500:POST", "500-after:POST",
    "502-after:POST", "late-commit=0.1,reset:POST", "late-commit=0.2,502:POST", "late-commit=0.05,close:POST",
    "429=0:POST", "429=0:GET", "503=0:GET", "500:GET", "reset-before:GET", "lose-answer:GET", "401:POST", "401:GET",
    "403-problem:POST", "stale-response=400:POST", "stale-response=201:POST", "latency=0.3:POST", "truncate:GET",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(300 if NIGHTLY else 12))
def test_a_caller_who_repeats_ensure_through_any_faults_never_bills_twice(faulty: MockServer, seed: int) -> None:
    """Up to 6 faults, up to 3 calls, deadlines shorter and longer than `settle`; the server commits within `settle`."""
    chance = random.Random(seed)
    number = f"r{seed}"  # a request that an earlier test left behind finds no customer
    faulty.store.create_customer(LEDGER, {"customerNo": number})
    faulty.faults.queue(*chance.choices(FAULTS, k=chance.randint(1, 6)))
    with open_client(chance.choice(["sync", "async"]), token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as billing:
        limited = billing.with_options(timeout=chance.choice([0.15, 2]), deadline=chance.choice([0.4, 1.5, 5]))
        charges = limited.customer(number).recurring_products
        found: Any = None
        for _ in range(3):
            found = found or outcome(lambda: charges.ensure(CHARGE, settle=0.5))
    faulty.faults.clear()
    faulty.wait_for_late_writes()
    ids = [charge.id for charge in faulty.store.charges(LEDGER, number, "").values()]
    assert len(ids) <= 1
    if found is not None:
        assert ids == [found.id]


# at the same time


def test_16_threads_ensure_one_charge(faulty: MockServer) -> None:
    start = threading.Barrier(16)
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as billing:

        def ensure(_number: int) -> RecurringProduct:
            start.wait()
            return billing.with_options(attempts=2).customer("1").recurring_products.ensure(CHARGE)

        with ThreadPoolExecutor(16) as threads:
            found = set(threads.map(ensure, range(16)))
    assert len(found) == 1
    assert len(held(faulty)) == 1


def test_16_threads_ensure_one_charge_while_responses_are_lost(faulty: MockServer) -> None:
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as billing:
        charges = billing.customer("1").recurring_products
        with faulty.faults.active("lose-answer:POST@0.5", "reset-before:POST@0.3"), ThreadPoolExecutor(16) as threads:
            wanted = [attrs.evolve(CHARGE, quantity=number % 4 + 1) for number in range(16)]
            results = list(threads.map(lambda charge: outcome(lambda: charges.ensure(charge, settle=0.05)), wanted))
    quantities = [document["quantity"] for document in held(faulty)]
    assert len(quantities) == len(set(quantities))
    assert {result.quantity for result in results if isinstance(result, RecurringProduct)} <= set(quantities)


def outcome(action: Callable[[], Any]) -> Any:
    try:
        return action()
    except pb.BillingError:
        return None


def test_16_tasks_ensure_one_charge(faulty: MockServer) -> None:
    async def work() -> set[RecurringProduct]:
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as billing:
            charges = billing.customer("1").recurring_products
            return set(await asyncio.gather(*(charges.ensure(CHARGE) for _ in range(16))))

    assert len(asyncio.run(work())) == 1
    assert len(held(faulty)) == 1


class LateLedger:
    """An `AsyncTransport` whose server works on after a client went away: the first POST commits during a later wait."""

    def __init__(self) -> None:
        self.posted = asyncio.Event()
        self.posts = 0
        self.items: list[dict[str, Any]] = []
        self.path = f"{PREFIX}/{LEDGER}/customers/1/recurring-products"

    async def send(self, request: pb.Request, deadline: float) -> pb.Response:
        self.posts += request.method == "POST"
        if request.method == "POST" and not self.posted.is_set():
            self.posted.set()
            await asyncio.Event().wait()
        if request.method == "POST":
            return pb.Response(201, {}, json.dumps(self.add()).encode())
        page = {"items": self.items, "navigation": {"@id": self.path}}
        return pb.Response(200, {}, json.dumps(page).encode())

    def add(self) -> dict[str, Any]:
        charge_id = str(len(self.items))
        self.items.append(HELD | {"@id": f"{self.path}/{charge_id}", "recurringProductId": charge_id})
        return self.items[-1]

    async def commit_late(self, _seconds: float) -> None:
        self.add()

    async def close_idle(self) -> None: ...

    async def close(self) -> None: ...


def test_a_cancelled_ensure_is_looked_up_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """There was no error, but the client remembers that a creation may be under way."""

    async def work() -> tuple[RecurringProduct, int]:
        ledger = LateLedger()
        monkeypatch.setattr(driver, "sleep", ledger.commit_late)
        async with AsyncBilling(token=TOKEN, owner_no=LEDGER, transport=ledger) as billing:
            charges = billing.customer("1").recurring_products
            task = asyncio.create_task(charges.ensure(CHARGE))
            await ledger.posted.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await charges.ensure(CHARGE), ledger.posts

    found, posts = asyncio.run(work())
    assert (found.id, posts) == ("0", 1)


def test_who_waits_for_a_turn_too_long_has_sent_nothing(billing: Billing, faulty: MockServer) -> None:
    facade = getattr(billing, "_target", billing)
    turn = facade._runner.turns.take((LEDGER, "1"), 1.0)
    if asyncio.iscoroutine(turn):
        turn = billing._runner.run(turn)  # type: ignore[attr-defined]
    try:
        with pytest.raises(pb.DeadlineExceeded, match=r"another ensure\(\)"):
            billing.with_options(deadline=0.05).customer("1").recurring_products.ensure(CHARGE)
    finally:
        turn.release()
    assert held(faulty) == []


# the pure steps, with clocks that a test controls


@settings(deadline=None)
@given(
    late=st.one_of(st.none(), st.floats(0, 59)),
    deadline=st.floats(1, 300),
)
def test_at_any_time_of_a_late_commit_there_is_one_charge_or_an_unknown_outcome(
    late: float | None, deadline: float
) -> None:
    """A server that commits `late` seconds after it lost the first creation, or never."""
    clock = Clock()
    memory, parent = Memory(), Parent("1", "1")
    ledger = pb.Settings(token="t", owner_no="1")
    environment = Environment(now=clock, random=lambda: 0.0, epoch=lambda: 1_800_000_000.0 + clock())
    products: list[RecurringProduct] = []
    commit_at: list[float] = []
    created = 0

    def answer(call: Any) -> Any:
        nonlocal created
        clock.now += 0.01
        products.extend(product(f"late-{at}") for at in commit_at if at <= clock())
        commit_at[:] = [at for at in commit_at if at > clock()]
        if call.creates is None:
            return pb_page(products)
        created += 1
        mark = memory.begin(call.creates)
        if created == 1:
            if late is not None:
                commit_at.append(clock() + late)
            lost = pb.LostCreation(
                key=pb.NaturalKey(customer_no="1", charge=CHARGE), sent_at=environment.epoch(), known=call.known,
                ledger=ledger.ledger, mark=mark, memory=memory.name,
            )  # fmt: skip
            memory.lose(lost)
            raise pb.OutcomeUnknown("lost", lost=lost)
        made = product(f"id-{created}")
        products.append(made)
        memory.end(mark, made)
        return made

    found: Any = None
    for _ in range(2):  # the caller calls it once more when it is unknown
        steps = ChargeEnsurer(ledger, memory, environment, 60.0, clock() + deadline).steps(parent, CHARGE)
        found = run_steps(steps, answer, clock)
        if isinstance(found, RecurringProduct):
            break
    clock.now += 1_000
    answer(type("Read", (), {"creates": None})())
    assert len(products) <= 1
    if isinstance(found, RecurringProduct):
        assert [item.id for item in products] == [found.id]
    else:
        assert isinstance(found, pb.OutcomeUnknown)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def product(charge_id: str) -> RecurringProduct:
    return RecurringProduct(
        id=charge_id, uri=f"/{charge_id}", product_code="P01", quantity=1, unit_price=Decimal("499.00")
    )


def pb_page(products: list[RecurringProduct]) -> Any:
    from payex_billing._requests.calls import Page

    return Page(tuple(products), None)


def run_steps(steps: Any, answer: Callable[[Any], Any], clock: Clock) -> Any:
    try:
        step = next(steps)
        while True:
            if isinstance(step, Wait):
                clock.now += step.seconds
                step = next(steps)
                continue
            try:
                result = answer(step)
            except pb.BillingError as error:
                step = steps.throw(error)
            else:
                step = steps.send(result)
    except StopIteration as stop:
        return stop.value
    except pb.OutcomeUnknown as error:
        return error


# customers and subscriptions: some servers say with a refusal that the number exists


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_of_a_customer_that_exists_is_no_error(
    billing: Billing, faulty: MockServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(faulty.app, "interceptor", refusing(status))
    assert billing.customer("1").ensure().customer_no == "1"


@pytest.mark.parametrize(("status", "error"), [(400, pb.ValidationFailed), (422, pb.Unprocessable)])
def test_a_refusal_of_a_customer_that_does_not_exist_is_raised(
    billing: Billing, faulty: MockServer, monkeypatch: pytest.MonkeyPatch, status: int, error: type[pb.BillingError]
) -> None:
    monkeypatch.setattr(faulty.app, "interceptor", refusing(status))
    with pytest.raises(error):
        billing.customer("2").ensure()
    assert [customer.id for customer in faulty.store.customers(LEDGER)] == ["1"]


def refusing(status: int) -> Callable[[Request, Respond], Handled]:
    def intercept(request: Request, respond: Respond) -> Handled:
        return Answer(status, {"Content-Length": "0"}, b"") if request.method == "POST" else respond(request)

    return intercept
