"""A lost creation is a value: another client or process can look it up, and must get a right outcome.

A right outcome is not always a known outcome. If an equal charge exists and nobody read the list before the POST,
UNKNOWN is right. CREATED with the id of the other charge is wrong. ABSENT for a charge that exists is wrong, too.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import payex_billing as pb
import pytest

from tests.chaos.backend import (
    ENGINES,
    FACADES,
    FOUR,
    RST,
    SILENCE,
    Backend,
    Fault,
    Reply,
    charge_body,
    client,
    in_threads,
    json_reply,
    look_up_by_the_error,
    problem,
    raised,
    tried,
)
from tests.support import NIGHTLY

CHARGE = pb.Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"), text="Mobile")
WIRE = {"productCode": "P01", "quantity": 1, "unitPrice": Decimal("499.00"), "text": "Mobile"}
OTHER = {"sync": "async", "async": "sync"}


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend().holds("A") as running:
        yield running


def lost_charge(backend: Backend, billing: Any, *, commit: float | None = 0.0, **options: Any) -> Any:
    backend.on("POST", Fault(commit, RST))
    error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, **options))
    assert isinstance(error, pb.OutcomeUnknown), repr(error)
    return error


def lost_of_every_kind(backend: Backend, billing: Any) -> dict[str, Any]:
    backend.on("POST", Fault(reply=RST), times=3)
    errors = {
        "customer": raised(billing.customer("N").create),
        "subscription": raised(billing.customer("A").subscription("T").create),
        "charge": raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[])),
    }
    assert all(isinstance(error, pb.OutcomeUnknown) for error in errors.values()), errors
    return {kind: error.lost for kind, error in errors.items()}


# The lost creation as a value


@FOUR
def test_a_lost_creation_is_frozen_comparable_and_hashable(backend: Backend, engine_name: str, facade: str) -> None:
    with client(engine_name, facade, backend) as billing:
        before = time.time()
        every = lost_of_every_kind(backend, billing)
        after = time.time()
    for kind, lost in every.items():
        assert isinstance(lost, pb.LostCreation)
        for name in ("key", "sent_at", "known", "may_be_under_way", "anything"):
            with pytest.raises((AttributeError, TypeError)):
                setattr(lost, name, None)
            with pytest.raises((AttributeError, TypeError)):
                delattr(lost, name)
        twin = pickle.loads(pickle.dumps(lost))
        assert twin == lost
        assert hash(twin) == hash(lost)
        assert len({twin, lost}) == 1
        assert isinstance(lost.key, pb.NaturalKey)
        # `sent_at` is wall-clock time, so that another machine can use it, also on a later day.
        assert before - 1 <= lost.sent_at <= after + 1, kind
        assert lost.may_be_under_way
    assert len(set(every.values())) == 3


@FOUR
def test_the_error_itself_travels_with_its_lost_creation(backend: Backend, engine_name: str, facade: str) -> None:
    with client(engine_name, facade, backend) as billing:
        error = lost_charge(backend, billing, known="read")
        twin = pickle.loads(pickle.dumps(error))
        assert (type(twin), str(twin), twin.lost) == (type(error), str(error), error.lost)
        assert billing.look_up(twin.lost).outcome is pb.Outcome.CREATED
        # The unpickled error has no client. It must raise an error that says so.
        assert isinstance(tried(lambda: look_up_by_the_error(billing, twin)), pb.ConfigurationError)


@FOUR
def test_neither_value_nor_error_nor_result_shows_a_number_or_text(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.holds("191212121212")
    charge = pb.Charge(product_code="P01", text="Kalle Anka 070-1234567")
    with client(engine_name, facade, backend) as billing:
        backend.on("POST", Fault(None, RST), times=2)
        errors = [
            raised(lambda: billing.customer("191212121212").recurring_products.create(charge, known="read")),
            raised(billing.customer("191212121213").create),
        ]
        for error in errors:
            result = billing.look_up(error.lost, settle=0)
            shown = f"{error} {error!r} {error.lost!r} {result.reason}"
            assert "19121212121" not in shown
            assert "Kalle" not in shown


# Other clients, other processes

LOOK_UP = """
import asyncio, json, pickle, sys, payex_billing as pb
lost, facade, options, settle = pickle.load(sys.stdin.buffer)
async def later():
    async with pb.AsyncBilling(**options) as billing:
        return [await billing.look_up(one, settle=settle) for one in lost]
if facade == "async":
    results = asyncio.run(later())
else:
    with pb.Billing(**options) as billing:
        results = [billing.look_up(one, settle=settle) for one in lost]
print(json.dumps([[result.outcome.name, getattr(result.resource, "uri", None)] for result in results]))
"""


def elsewhere(lost: list[Any], backend: Backend, engine: str, facade: str, settle: float = 60.0) -> list[list[Any]]:
    """Look up the lost creations with a new client in another process. Return each outcome and URI."""
    options = {"token": "t", "owner_no": "1234", "base_url": backend.url, "engine": engine}
    done = subprocess.run(
        [sys.executable, "-c", LOOK_UP],
        input=pickle.dumps((lost, facade, options, settle)),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-1000:]
    found: list[list[Any]] = json.loads(done.stdout)
    return found


@FOUR
def test_another_process_and_facade_finds_what_was_created(backend: Backend, engine_name: str, facade: str) -> None:
    with client(engine_name, facade, backend) as billing:
        lost = list(lost_of_every_kind(backend, billing).values())
    made = [["CREATED", uri] for _, uri in backend.created]
    assert elsewhere(lost, backend, engine_name, OTHER[facade]) == made
    # The lost charge carries the known ids (`known=[]`). Without them, another client could not know whether the
    # charge existed before the POST.
    backend.on("POST", Fault(None, RST))
    with client(engine_name, OTHER[facade], backend) as billing:
        assert [billing.look_up(one).resource.uri for one in lost] == [uri for _, uri in made]


@FOUR
def test_another_process_takes_no_older_charge_for_the_lost_one(
    backend: Backend, engine_name: str, facade: str
) -> None:
    # Without `known`, UNKNOWN is always a right outcome, whether or not the charge was created.
    backend.put_charge("A", **WIRE)
    with client(engine_name, facade, backend) as billing:
        there = lost_charge(backend, billing).lost
    backend.holds("B").put_charge("B", **WIRE)
    with client(engine_name, facade, backend) as billing:
        backend.on("POST", Fault(None, RST))
        not_there = raised(lambda: billing.customer("B").recurring_products.create(CHARGE)).lost
    found = elsewhere([there, not_there], backend, engine_name, OTHER[facade], settle=0)
    new = backend.created[-1][1]
    assert found[0] in (["UNKNOWN", None], ["CREATED", new])
    assert found[1] == ["UNKNOWN", None]


@FOUR
def test_known_read_makes_the_look_up_exact_in_another_process(backend: Backend, engine_name: str, facade: str) -> None:
    backend.page_size = 3
    for _ in range(10):
        backend.put_charge("A", **WIRE)
    with client(engine_name, facade, backend) as billing:
        there = lost_charge(backend, billing, known="read").lost
        [new] = [uri for _, uri in backend.created]
        assert elsewhere([there], backend, engine_name, facade, settle=0) == [["CREATED", new]]
        not_there = lost_charge(backend, billing, known="read", commit=None).lost
        assert elsewhere([not_there], backend, engine_name, OTHER[facade], settle=0) == [["ABSENT", None]]
        assert elsewhere([not_there], backend, engine_name, facade, settle=3600) == [["UNKNOWN", None]]


# known="read"


@FOUR
def test_known_read_makes_the_look_up_exact_although_equal_charges_were_there(
    backend: Backend, engine_name: str, facade: str
) -> None:
    for subscription in (None, "S"):
        old = [backend.put_charge("A", subscription, **WIRE) for _ in range(3)]
        # A new client has not seen any charge yet.
        with client(engine_name, facade, backend) as billing:
            parent = billing.customer("A") if subscription is None else billing.customer("A").subscription("S")
            for commit in (0.0, None):
                backend.on("POST", Fault(commit, RST))
                error = raised(lambda parent=parent: parent.recurring_products.create(CHARGE, known="read"))
                result = billing.look_up(error.lost, settle=0)
                if commit is None:
                    assert result.outcome is pb.Outcome.ABSENT
                else:
                    assert result.outcome is pb.Outcome.CREATED
                    assert result.resource.id not in old


@FOUR
@pytest.mark.parametrize("trouble", ["500", "html", "rst", "403"])
def test_known_read_sends_nothing_when_the_list_cannot_be_read(
    backend: Backend, engine_name: str, facade: str, trouble: str
) -> None:
    replies: dict[str, Any] = {
        "500": Reply(500, b""), "html": Reply(200, b"<html>", "text/html"), "rst": RST, "403": problem(403, "forbidden"),
    }  # fmt: skip
    backend.on("GET", Fault(reply=replies[trouble]), times=math.inf)
    with client(engine_name, facade, backend) as billing:
        charges = billing.with_options(attempts=1).customer("A").recurring_products
        error = raised(lambda: charges.create(CHARGE, known="read"))
        assert isinstance(error, pb.BillingError)
        assert not isinstance(error, pb.OutcomeUnknown), "nothing was sent, so nothing is unknown"
    assert not backend.sent("POST")


@FOUR
@pytest.mark.parametrize("known", ["Read", "", "id1", b"read", 5, [5], [None], object()])
def test_known_of_another_kind_is_refused_before_anything_is_sent(
    backend: Backend, engine_name: str, facade: str, known: Any
) -> None:
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=known))
        assert isinstance(error, pb.InvalidArgument | TypeError), repr(error)
    assert not backend.sent("POST")


@FOUR
def test_charges_in_place_of_their_ids_are_refused(backend: Backend, engine_name: str, facade: str) -> None:
    # A caller in a hurry may write `known=list(charges.list())`. An id never equals a charge, so the look-up would
    # mistake the old charge for the new one.
    old = backend.put_charge("A", **WIRE)
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        known = list(charges.list())
        error = raised(lambda: charges.create(CHARGE, known=known))
        assert isinstance(error, pb.InvalidArgument | TypeError), repr(error)
        assert set(backend.charges("A")) == {old}


@FOUR
def test_an_iterator_of_known_ids_is_refused_or_read_once(backend: Backend, engine_name: str, facade: str) -> None:
    old = backend.put_charge("A", **WIRE)
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        # The client compares the response with the known ids and finds that the response is about another customer.
        # Then the client needs the known ids again, for the lost creation.
        backend.on(
            "POST", Fault(None, lambda *_: json_reply(201, charge_body("/x/customers/A", "new", {"productCode": "P"})))
        )
        error = raised(lambda: charges.create(CHARGE, known=iter([old])))
        assert isinstance(error, pb.OutcomeUnknown | pb.InvalidArgument | TypeError), repr(error)
        if isinstance(error, pb.OutcomeUnknown):
            with client(engine_name, facade, backend) as other:
                assert other.look_up(error.lost, settle=0).outcome is not pb.Outcome.CREATED


@FOUR
@pytest.mark.parametrize("sent_at", [math.nan, None, "2026-01-01", math.inf], ids=repr)
def test_a_damaged_time_of_sending_never_makes_a_charge_absent(
    backend: Backend, engine_name: str, facade: str, sent_at: Any
) -> None:
    # A truncated or edited journal can contain NaN, and every comparison with NaN is false.
    key = pb.NaturalKey(customer_no="A", charge=CHARGE)
    with client(engine_name, facade, backend) as billing:
        lost = tried(lambda: pb.LostCreation(key=key, sent_at=sent_at, known=[]))
        if isinstance(lost, Exception):
            assert isinstance(lost, pb.BillingError | TypeError | ValueError), repr(lost)
            return
        result = tried(lambda: billing.look_up(lost, settle=1))
        if isinstance(result, Exception):
            assert isinstance(result, pb.BillingError | TypeError), repr(result)
        else:
            assert result.outcome is pb.Outcome.UNKNOWN


@FOUR
def test_looking_up_the_error_in_place_of_its_lost_creation_says_what_to_do(
    backend: Backend, engine_name: str, facade: str
) -> None:
    with client(engine_name, facade, backend) as billing:
        error = lost_charge(backend, billing, known="read")
        result = tried(lambda: billing.look_up(error))
        right = getattr(result, "outcome", None) is pb.Outcome.CREATED
        assert right or isinstance(result, pb.BillingError | TypeError), repr(result)


@FOUR
def test_known_ids_may_come_in_any_collection(backend: Backend, engine_name: str, facade: str) -> None:
    old = backend.put_charge("A", **WIRE)
    with client(engine_name, facade, backend) as billing:
        for known in ([old], (old,), {old}, frozenset([old]), {old: 1}.keys()):
            error = lost_charge(backend, billing, commit=None, known=known)
            assert billing.look_up(error.lost, settle=0).outcome is pb.Outcome.ABSENT, known
            assert pickle.loads(pickle.dumps(error.lost)) == error.lost


def fates(results: list[Any]) -> tuple[list[str], int, int]:
    """Return the ids that the callers got, the number of ABSENT outcomes, and the number of UNKNOWN outcomes."""
    ids, absent, unknown = [], 0, 0
    for result in results:
        assert not isinstance(result, Exception), repr(result)
        if isinstance(result, pb.RecurringProduct):
            ids.append(result.id)
        elif result.outcome is pb.Outcome.CREATED:
            ids.append(result.resource.id)
        else:
            absent += result.outcome is pb.Outcome.ABSENT
            unknown += result.outcome is pb.Outcome.UNKNOWN
    return ids, absent, unknown


@FOUR
@pytest.mark.parametrize("known", [None, "read"])
def test_threads_that_create_equal_charges_at_once_never_share_one(
    backend: Backend, engine_name: str, facade: str, known: Any
) -> None:
    # Nine callers create charges with the same content. Three callers get their response. Three callers lose the
    # response. For three callers, the backend creates nothing. Two callers must never get the same charge, and at most
    # three callers may get ABSENT.
    old = backend.put_charge("A", **WIRE)
    turns = iter([Fault(), Fault(reply=RST), Fault(None, RST)] * 3)
    lock = threading.Lock()

    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        all_sent = threading.Barrier(9)

        def create() -> Any:
            with lock:
                fault = next(turns)
                backend.on("POST", fault)
            value = tried(lambda: charges.create(CHARGE, known=known))
            all_sent.wait()
            return billing.look_up(value.lost, settle=0) if isinstance(value, pb.OutcomeUnknown) else value

        ids, absent, unknown = fates(in_threads([create] * 9))
    there = set(backend.charges("A")) - {old}
    assert len(there) == 6
    assert len(set(ids)) == len(ids), f"one charge is two callers' own: {ids}"
    assert set(ids) <= there, "the old charge is taken for a new one"
    assert absent <= 3, f"{absent} are called absent, {unknown} unknown, and 3 were not created"


@FOUR
@pytest.mark.parametrize("known", [None, "read"])
def test_a_charge_whose_own_response_is_still_on_its_way_is_not_taken_for_another(
    backend: Backend, engine_name: str, facade: str, known: Any
) -> None:
    with client(engine_name, facade, backend) as billing:
        charges = billing.customer("A").recurring_products
        go = threading.Event()
        slow: list[Any] = []
        error = lost_charge(backend, billing, commit=None, known=known)
        # The backend creates the other caller's charge at once, but sends the response late.
        backend.on("POST", Fault(delay=1.0))

        def other() -> None:
            go.set()
            slow.append(tried(lambda: charges.create(CHARGE)))

        thread = threading.Thread(target=other)
        thread.start()
        go.wait()
        backend.wait_for_requests(2, "POST")
        result = billing.look_up(error.lost, settle=0)
        thread.join()
        assert isinstance(slow[0], pb.RecurringProduct), repr(slow[0])
        assert result.resource is None or result.resource.id != slow[0].id, "two callers take one charge for their own"


@FOUR
def test_a_charge_that_one_look_up_has_given_away_is_not_given_to_the_next(
    backend: Backend, engine_name: str, facade: str
) -> None:
    with client(engine_name, facade, backend) as billing:
        first = lost_charge(backend, billing, known="read", commit=0.0)
        second = lost_charge(backend, billing, known=[], commit=None)
        ids, _, _ = fates([billing.look_up(error.lost, settle=0) for error in (first, second)])
        assert len(set(ids)) == len(ids), f"one charge is two callers' own: {ids}"
        again = billing.look_up(first.lost, settle=0)
        assert again.outcome is not pb.Outcome.ABSENT, "a second look at the same loss must not deny what is there"


@FOUR
def test_an_abandoned_creation_is_not_mistaken_for_the_next(backend: Backend, engine_name: str, facade: str) -> None:
    # The first call times out, its caller gives up, and the backend creates its charge late. The look-up for the second
    # creation then sees one new charge, which may belong to the first or to the second creation.
    with client(engine_name, facade, backend) as billing:
        quick = billing.with_options(timeout=1.5)
        backend.on("POST", Fault(2.0, SILENCE))
        first = raised(lambda: quick.customer("A").recurring_products.create(CHARGE, known="read"))
        backend.on("POST", Fault(None, RST))
        second = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known="read"))
        assert isinstance(first, pb.OutcomeUnknown), repr(first)
        assert isinstance(second, pb.OutcomeUnknown), repr(second)
        backend.wait_until_idle()
        ids, absent, _ = fates([billing.look_up(error.lost, settle=0) for error in (second, first)])
        assert len(set(ids)) == len(ids), f"one charge is two callers' own: {ids}"
        assert absent <= 1


@pytest.mark.parametrize("engine_name", ENGINES)
@pytest.mark.parametrize("facade", FACADES if NIGHTLY else ["sync"])
def test_a_client_that_has_seen_many_charges_is_still_right(engine_name: str, facade: str) -> None:
    # The client remembers a limited number of ids. When this memory is full, a look-up must return UNKNOWN. It must not
    # return an old charge.
    with Backend().holds("A") as backend, client(engine_name, facade, backend) as billing:
        for number in range(500):
            backend.holds(f"C{number}")
            for _ in range(100):
                backend.put_charge(f"C{number}")
        old = backend.put_charge("A", **WIRE)
        list(billing.customer("A").recurring_products.list())
        for number in range(500):
            list(billing.customer(f"C{number}").recurring_products.list())
        error = lost_charge(backend, billing, commit=None)
        result = billing.look_up(error.lost, settle=0)
        assert result.outcome is not pb.Outcome.CREATED, f"the old charge {old} is taken for a new one"


def test_the_snippets_of_the_tutorial_pass_twice_in_a_row() -> None:
    tutorial = Path(__file__).parents[2] / "docs" / "tutorial.md"
    snippets = [part.partition("```")[0] for part in tutorial.read_text().split("```python\n")[1:]]
    assert len(snippets) >= 2
    wrong = []
    with Backend() as backend:
        environment = {
            **os.environ, "PAYEX_BASE_URL": backend.url, "PAYEX_OWNER_NO": "1234", "PAYEX_TOKEN": "secret",
        }  # fmt: skip
        for number, snippet in enumerate(snippets):
            for turn in (1, 2):
                if "OutcomeUnknown" in snippet:
                    backend.on("POST", Fault(reply=RST))  # "Press *Lose the next answer* in the console"
                command = [sys.executable, "-c", snippet]
                done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
                if done.returncode:
                    wrong.append(f"snippet {number + 1}, turn {turn}: {done.stderr[-300:]}")
    assert not wrong, "\n".join(wrong)
