"""What becomes of a POST whose answer is lost: the mock loses it for real, over a socket. Both facades."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest
from payex_billing import Billing, Charge, NaturalKey, Outcome, OutcomeUnknown
from payex_billing._memory import Memory
from payex_billing_mock import Faults, MockServer, Store

from tests.support import LEDGER, TOKEN, open_client

CHARGE = Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"))
LOST_AFTER = ["lose-answer", "reset-after", "truncate", "500-after", "502-after", "520-after"]
LOST_BEFORE = ["reset-before", "500", "502", "520"]


@pytest.fixture(scope="module")
def faulty_server() -> Iterator[MockServer]:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        yield server


@pytest.fixture
def faulty(faulty_server: MockServer) -> MockServer:
    faulty_server.app.store = Store()
    faulty_server.faults.clear()
    return faulty_server


@pytest.fixture(params=["sync", "async"])
def billing(request: pytest.FixtureRequest, faulty: MockServer) -> Iterator[Billing]:
    with open_client(request.param, token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as client:
        yield client


def lost(action: Any) -> OutcomeUnknown:
    with pytest.raises(OutcomeUnknown) as caught:
        action()
    return caught.value


@pytest.mark.parametrize("fault", LOST_AFTER)
def test_a_customer_that_was_created_is_found(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(fault)
    error = lost(billing.customer("1").create)
    found = billing.reconcile(error)
    assert (found.outcome, found.resource) == (Outcome.CREATED, billing.customer("1").get())


@pytest.mark.parametrize("fault", LOST_BEFORE)
def test_a_customer_that_was_not_created_is_absent(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(fault)
    found = billing.reconcile(lost(billing.customer("1").create))
    assert (found.outcome, found.resource) == (Outcome.ABSENT, None)


def test_a_subscription_is_found_or_absent(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    faulty.faults.queue("lose-answer:POST", "reset-before:POST")
    first, second = billing.customer("1").subscription("a"), billing.customer("1").subscription("b")
    assert billing.reconcile(lost(first.create)).resource == first.get()
    assert billing.reconcile(lost(second.create)).outcome is Outcome.ABSENT
    faulty.faults.queue("reset-before:POST")
    assert billing.reconcile(lost(billing.customer("2").subscription("a").create)).outcome is Outcome.ABSENT


@pytest.mark.parametrize("fault", LOST_AFTER)
def test_a_charge_that_was_created_is_found_by_its_content(billing: Billing, faulty: MockServer, fault: str) -> None:
    charges = billing.customer("1").recurring_products
    billing.customer("1").create()
    faulty.faults.queue(fault)
    error = lost(lambda: charges.create(CHARGE))
    assert error.key == NaturalKey(customer_no="1", charge=CHARGE)
    found = billing.reconcile(error)
    assert found.outcome is Outcome.CREATED
    assert [found.resource] == list(charges.list())
    assert billing.reconcile(error) == found


@pytest.mark.parametrize("fault", LOST_BEFORE)
def test_a_charge_that_was_not_created_is_absent(billing: Billing, faulty: MockServer, fault: str) -> None:
    billing.customer("1").create()
    faulty.faults.queue(fault)
    error = lost(lambda: billing.customer("1").recurring_products.create(CHARGE))
    assert billing.reconcile(error).outcome is Outcome.ABSENT


@pytest.mark.parametrize("level", ["customer", "subscription"])
def test_an_older_twin_is_not_taken_for_it(billing: Billing, faulty: MockServer, level: str) -> None:
    billing.customer("1").create()
    billing.customer("1").subscription("a").create()
    charges = (
        billing.customer("1").recurring_products
        if level == "customer"
        else billing.customer("1").subscription("a").recurring_products
    )
    twin = charges.create(CHARGE)
    faulty.faults.queue("reset-before:POST", "lose-answer:POST")
    assert billing.reconcile(lost(lambda: charges.create(CHARGE))).outcome is Outcome.ABSENT
    found = billing.reconcile(lost(lambda: charges.create(CHARGE)))
    assert found.outcome is Outcome.CREATED
    assert [twin, found.resource] == list(charges.list())


def test_a_twin_that_was_only_read_is_not_taken_for_it(billing: Billing, faulty: MockServer) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    charges = billing.customer("1").recurring_products
    assert len(list(charges.list())) == 1
    faulty.faults.queue("reset-before:POST")
    assert billing.reconcile(lost(lambda: charges.create(CHARGE))).outcome is Outcome.ABSENT


def test_what_is_read_after_the_loss_may_be_it(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST")
    error = lost(lambda: charges.create(CHARGE))
    (listed,) = charges.list()
    assert billing.reconcile(error).resource == listed


def test_known_ids_make_it_exact_where_another_client_added_the_twin(billing: Billing, faulty: MockServer) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    twin = faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    charges = billing.customer("1").recurring_products
    known = [twin.key.charge]
    faulty.faults.queue("reset-before:POST", "lose-answer:POST")
    assert billing.reconcile(lost(lambda: charges.create(CHARGE, known=known))).outcome is Outcome.ABSENT
    found = billing.reconcile(lost(lambda: charges.create(CHARGE, known=known)))
    assert found.outcome is Outcome.CREATED
    assert found.resource.id != twin.key.charge


def test_two_candidates_are_ambiguous_and_it_says_so(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST")
    error = lost(lambda: charges.create(CHARGE))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    found = billing.reconcile(error)
    assert found.outcome is Outcome.UNKNOWN
    assert "2 new charges" in found.reason
    assert set(found.candidates) == set(charges.list())


def test_two_lost_twins_that_are_both_there_are_both_created(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "lose-answer:POST")
    first, second = lost(lambda: charges.create(CHARGE)), lost(lambda: charges.create(CHARGE))
    found = {billing.reconcile(first).resource, billing.reconcile(second).resource}
    assert found == set(charges.list())


def test_two_lost_twins_of_which_one_is_there_stay_unknown(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "reset-before:POST")
    errors = [lost(lambda: charges.create(CHARGE)) for _ in range(2)]
    assert [billing.reconcile(error).outcome for error in errors] == [Outcome.UNKNOWN] * 2


def test_a_charge_that_the_server_filled_in_may_be_it(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("reset-before:POST")
    error = lost(lambda: charges.create(Charge(product_code="P01")))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "unitPrice": 499})
    found = billing.reconcile(error)
    assert found.outcome is Outcome.UNKNOWN
    assert len(found.candidates) == 1


def test_a_new_charge_of_the_same_product_is_suspicious_however_it_looks(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("reset-before:POST")
    error = lost(lambda: charges.create(CHARGE, known=[]))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 498.99})
    assert billing.reconcile(error).outcome is Outcome.UNKNOWN


def test_a_look_up_that_fails_leaves_it_unknown(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer:POST")
    error = lost(billing.customer("1").create)
    with faulty.faults.active("501:GET"):
        found = billing.reconcile(error)
    assert found.outcome is Outcome.UNKNOWN
    assert "could not be looked up" in found.reason
    assert billing.reconcile(error).outcome is Outcome.CREATED


@pytest.mark.parametrize("fault", ["stall", "504", "524"])
def test_what_may_still_be_under_way_is_not_called_absent(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(fault)
    quick = billing.with_options(timeout=0.2)
    error = lost(quick.customer("1").create)
    assert error.may_be_under_way
    if fault == "stall":
        assert billing.reconcile(error).outcome is Outcome.CREATED
    else:
        assert billing.reconcile(error).outcome is Outcome.UNKNOWN
        assert billing.reconcile(error, settle=0).outcome is Outcome.ABSENT


def test_an_error_knows_its_client_and_a_pickled_one_says_what_to_use(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer")
    error = lost(billing.customer("1").create)
    result = error.reconcile()
    if isinstance(error, pb.AsyncOutcomeUnknown):
        result = billing._runner.run(result)  # type: ignore[attr-defined]
    assert result.outcome is Outcome.CREATED
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.key, twin.attempts, str(twin)) == (error.key, error.attempts, str(error))
    assert billing.reconcile(twin).outcome is Outcome.CREATED
    twin.__class__ = OutcomeUnknown
    with pytest.raises(pb.ConfigurationError, match=r"billing\.reconcile\(error\)"):
        twin.reconcile()


def test_of_another_clients_charge_only_known_ids_tell(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "lose-answer:POST")
    without, with_known = lost(lambda: charges.create(CHARGE)), None
    known = [each.id for each in charges.list()]
    with_known = lost(lambda: charges.create(CHARGE, known=known))
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as other:
        assert other.reconcile(pickle.loads(pickle.dumps(without))).outcome is Outcome.UNKNOWN
        assert other.reconcile(pickle.loads(pickle.dumps(with_known))).outcome is Outcome.CREATED


def test_a_followed_operation_stays_unknown(billing: Billing, faulty: MockServer) -> None:
    operation = billing.customer("1").create().operations[0]
    faulty.faults.queue("lose-answer")
    error = lost(lambda: billing.follow(operation, {"subscriptionNo": "1"}))
    assert billing.reconcile(error).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("fault", [*LOST_AFTER, *LOST_BEFORE])
def test_ensure_survives_a_lost_answer(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(f"{fault}:POST")
    assert billing.customer("1").ensure() == billing.customer("1").get()
    faulty.faults.queue(f"{fault}:POST", f"{fault}:POST")
    subscription = billing.customer("1").subscription("a")
    assert subscription.ensure() == subscription.get()


def test_ensure_ends_when_answers_are_lost_again_and_again(billing: Billing, faulty: MockServer) -> None:
    with faulty.faults.active("reset-before:POST"), pytest.raises((OutcomeUnknown, pb.NotFound)) as caught:
        billing.customer("1").ensure()
    assert isinstance(caught.value, OutcomeUnknown)
    assert len(faulty.faults.met) == 3


def test_a_spent_memory_leaves_a_single_candidate_unknown() -> None:
    memory = Memory(capacity=2)
    memory.saw(["a", "b"])
    assert memory.complete
    memory.saw(["c"])
    assert not memory.complete


def test_neither_message_nor_representation_shows_the_number(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer")
    error = lost(billing.customer("191212121212").create)
    assert "19121212" not in f"{error} {error!r} {error.key!r}"
