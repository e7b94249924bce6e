"""Looking up a lost creation: the mock loses the response for real, over a socket. Both facades."""

from __future__ import annotations

import inspect
import pickle
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import attrs
import payex_billing as pb
import pytest
from payex_billing import Billing, Charge, LookUpResult, LostCreation, NaturalKey, Outcome, OutcomeUnknown
from payex_billing._creation.memory import Memory
from payex_billing_mock import Faults, MockServer, Store

from tests.support import LEDGER, TOKEN, open_client, wait_until_all_is_read

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


def lose(action: Any) -> LostCreation:
    with pytest.raises(OutcomeUnknown) as caught:
        action()
    return caught.value.lost


def look_up(billing: Billing, lost: LostCreation) -> LookUpResult:
    """The result when the request can no longer be under way."""
    return billing.look_up(lost, settle=0)


@pytest.mark.parametrize("fault", LOST_AFTER)
def test_a_customer_that_was_created_is_found(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(fault)
    creation = lose(billing.customer("1").create)
    found = look_up(billing, creation)
    assert (found.outcome, found.resource) == (Outcome.CREATED, billing.customer("1").get())


@pytest.mark.parametrize("fault", LOST_BEFORE)
def test_a_customer_that_was_not_created_is_absent(billing: Billing, faulty: MockServer, fault: str) -> None:
    faulty.faults.queue(fault)
    found = look_up(billing, lose(billing.customer("1").create))
    assert (found.outcome, found.resource) == (Outcome.ABSENT, None)


def test_a_subscription_is_found_or_absent(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    faulty.faults.queue("lose-answer:POST", "reset-before:POST")
    first, second = billing.customer("1").subscription("a"), billing.customer("1").subscription("b")
    assert look_up(billing, lose(first.create)).resource == first.get()
    assert look_up(billing, lose(second.create)).outcome is Outcome.ABSENT
    faulty.faults.queue("reset-before:POST")
    assert look_up(billing, lose(billing.customer("2").subscription("a").create)).outcome is Outcome.ABSENT


@pytest.mark.parametrize("fault", LOST_AFTER)
def test_a_charge_that_was_created_is_found_by_its_content(billing: Billing, faulty: MockServer, fault: str) -> None:
    charges = billing.customer("1").recurring_products
    billing.customer("1").create()
    faulty.faults.queue(fault)
    creation = lose(lambda: charges.create(CHARGE))
    assert creation.key == NaturalKey(customer_no="1", charge=CHARGE)
    found = look_up(billing, creation)
    assert found.outcome is Outcome.CREATED
    assert [found.resource] == list(charges.list())
    assert look_up(billing, creation) == found


@pytest.mark.parametrize("fault", LOST_BEFORE)
def test_a_charge_that_was_not_created_is_absent(billing: Billing, faulty: MockServer, fault: str) -> None:
    billing.customer("1").create()
    faulty.faults.queue(fault)
    creation = lose(lambda: billing.customer("1").recurring_products.create(CHARGE))
    assert look_up(billing, creation).outcome is Outcome.ABSENT


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
    assert look_up(billing, lose(lambda: charges.create(CHARGE))).outcome is Outcome.ABSENT
    found = look_up(billing, lose(lambda: charges.create(CHARGE)))
    assert found.outcome is Outcome.CREATED
    assert [twin, found.resource] == list(charges.list())


def test_a_twin_that_was_only_read_is_not_taken_for_it(billing: Billing, faulty: MockServer) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    charges = billing.customer("1").recurring_products
    assert len(list(charges.list())) == 1
    faulty.faults.queue("reset-before:POST")
    assert look_up(billing, lose(lambda: charges.create(CHARGE))).outcome is Outcome.ABSENT


def test_what_is_read_after_the_loss_may_be_it(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST")
    creation = lose(lambda: charges.create(CHARGE))
    (listed,) = charges.list()
    assert look_up(billing, creation).resource == listed


def test_an_older_twin_of_a_customer_that_was_never_read_is_not_taken_for_it(
    billing: Billing, faulty: MockServer
) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    twin = faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    faulty.faults.queue("reset-before:POST")
    found = look_up(billing, lose(lambda: billing.customer("1").recurring_products.create(CHARGE)))
    assert (found.outcome, [product.id for product in found.candidates]) == (Outcome.UNKNOWN, [twin.id])


def test_a_customer_whose_creation_was_lost_may_have_charges_of_another_client(
    billing: Billing, faulty: MockServer
) -> None:
    faulty.faults.queue("lose-answer:POST", "reset-before:POST")
    customer = billing.customer("1")
    assert look_up(billing, lose(customer.create)).outcome is Outcome.CREATED
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    assert look_up(billing, lose(lambda: customer.recurring_products.create(CHARGE))).outcome is Outcome.UNKNOWN


def test_what_shows_after_the_list_was_read_is_it(billing: Billing, faulty: MockServer) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("late-commit=0.3,reset:POST")
    creation = lose(lambda: charges.create(CHARGE))
    assert list(charges.list()) == []
    faulty.wait_for_late_writes()
    assert look_up(billing, creation).outcome is Outcome.CREATED


def test_known_ids_make_it_exact_where_another_client_added_the_twin(billing: Billing, faulty: MockServer) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    twin = faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    charges = billing.customer("1").recurring_products
    known = [twin.id]
    faulty.faults.queue("reset-before:POST", "lose-answer:POST")
    assert look_up(billing, lose(lambda: charges.create(CHARGE, known=known))).outcome is Outcome.ABSENT
    found = look_up(billing, lose(lambda: charges.create(CHARGE, known=known)))
    assert found.outcome is Outcome.CREATED
    assert found.resource.id != twin.id


def test_two_candidates_are_ambiguous_and_it_says_so(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST")
    creation = lose(lambda: charges.create(CHARGE))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    found = look_up(billing, creation)
    assert found.outcome is Outcome.UNKNOWN
    assert "2 new charges" in found.reason
    assert set(found.candidates) == set(charges.list())


def test_two_lost_twins_that_are_both_there_are_both_created(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "lose-answer:POST")
    first, second = lose(lambda: charges.create(CHARGE)), lose(lambda: charges.create(CHARGE))
    found = {look_up(billing, first).resource, look_up(billing, second).resource}
    assert found == set(charges.list())


def test_two_lost_twins_of_which_one_is_there_stay_unknown(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "reset-before:POST")
    creations = [lose(lambda: charges.create(CHARGE)) for _ in range(2)]
    assert [look_up(billing, creation).outcome for creation in creations] == [Outcome.UNKNOWN] * 2


def test_a_charge_that_the_server_filled_in_may_be_it(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("reset-before:POST")
    creation = lose(lambda: charges.create(Charge(product_code="P01")))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "unitPrice": 499})
    found = look_up(billing, creation)
    assert found.outcome is Outcome.UNKNOWN
    assert len(found.candidates) == 1


def test_a_new_charge_of_the_same_product_is_suspicious_however_it_looks(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("reset-before:POST")
    creation = lose(lambda: charges.create(CHARGE, known=[]))
    faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 498.99})
    assert look_up(billing, creation).outcome is Outcome.UNKNOWN


def test_a_look_up_that_fails_leaves_it_unknown(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer:POST")
    creation = lose(billing.customer("1").create)
    with faulty.faults.active("501:GET"):
        found = look_up(billing, creation)
    assert found.outcome is Outcome.UNKNOWN
    assert "the look-up failed" in found.reason
    assert look_up(billing, creation).outcome is Outcome.CREATED


@pytest.mark.parametrize("fault", [*LOST_BEFORE, "504", "524", "stall"])
def test_absent_is_said_only_when_settle_has_passed_since_it_was_sent(
    billing: Billing, faulty: MockServer, fault: str
) -> None:
    faulty.faults.queue(fault)
    before = time.time()
    creation = lose(billing.with_options(timeout=1.0).customer("1").create)
    wait_until_all_is_read(faulty.port)
    assert before <= creation.sent_at <= time.time()
    found = billing.look_up(creation)
    if fault == "stall":  # it took effect
        assert found.outcome is Outcome.CREATED
    else:
        assert found.outcome is Outcome.UNKNOWN
        assert "look again later" in found.reason
        past = attrs.evolve(creation, sent_at=creation.sent_at - 60)
        assert billing.look_up(past).outcome is Outcome.ABSENT
        done = attrs.evolve(creation, may_be_under_way=False)
        assert billing.look_up(done).outcome is Outcome.ABSENT


def test_a_late_commit_is_found_when_it_has_happened(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("late-commit=0.3,reset:POST")
    creation = lose(billing.customer("1").create)
    assert billing.look_up(creation).outcome is not Outcome.ABSENT
    faulty.wait_for_late_writes()
    assert billing.look_up(creation).outcome is Outcome.CREATED


@pytest.mark.parametrize("twins", [0, 2])
def test_reading_first_makes_the_look_up_exact(billing: Billing, faulty: MockServer, twins: int) -> None:
    faulty.store.create_customer(LEDGER, {"customerNo": "1"})
    for _ in range(twins):
        faulty.store.create_charge(LEDGER, "1", "", {"productCode": "P01", "quantity": 1, "unitPrice": 499})
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST")
    creation = lose(lambda: charges.create(CHARGE, known="read"))
    assert len(creation.known or ()) == twins
    found = look_up(billing, creation)
    assert found.outcome is Outcome.CREATED
    assert found.resource not in {product for product in charges.list() if product.id in (creation.known or ())}


def test_known_is_ids_or_the_word_read(billing: Billing) -> None:
    with pytest.raises(pb.InvalidArgument, match="known"):
        billing.customer("1").recurring_products.create(CHARGE, known="all")  # type: ignore[arg-type]


def test_an_error_looks_up_with_its_client_and_a_pickled_one_says_how(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer")
    with pytest.raises(OutcomeUnknown) as caught:
        billing.customer("1").create()
    error = caught.value
    result = error.look_up()
    if inspect.isawaitable(result):  # of the asynchronous client
        result = billing._runner.run(result)  # type: ignore[attr-defined]
    assert result.outcome is Outcome.CREATED
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.lost, twin.attempts, str(twin)) == (error.lost, error.attempts, str(error))
    assert billing.look_up(twin.lost).outcome is Outcome.CREATED
    with pytest.raises(pb.ConfigurationError, match=r"billing\.look_up\(error\.lost\)"):
        twin.look_up()


def test_a_lost_creation_is_a_frozen_value(billing: Billing, faulty: MockServer) -> None:
    faulty.faults.queue("lose-answer")
    creation = lose(billing.customer("1").create)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        creation.sent_at = 0.0  # type: ignore[misc]
    assert {creation, pickle.loads(pickle.dumps(creation))} == {creation}


def test_of_another_clients_charge_only_known_ids_tell(billing: Billing, faulty: MockServer) -> None:
    billing.customer("1").create()
    charges = billing.customer("1").recurring_products
    faulty.faults.queue("lose-answer:POST", "lose-answer:POST")
    without, with_known = lose(lambda: charges.create(CHARGE)), None
    known = [product.id for product in charges.list()]
    with_known = lose(lambda: charges.create(CHARGE, known=known))
    with Billing(token=TOKEN, owner_no=LEDGER, base_url=faulty.url) as other:
        assert other.look_up(pickle.loads(pickle.dumps(without))).outcome is Outcome.UNKNOWN
        assert other.look_up(pickle.loads(pickle.dumps(with_known))).outcome is Outcome.CREATED


def test_a_followed_operation_stays_unknown(billing: Billing, faulty: MockServer) -> None:
    operation = billing.customer("1").create().operations[0]
    faulty.faults.queue("lose-answer")
    creation = lose(lambda: billing.follow(operation, {"subscriptionNo": "1"}))
    assert look_up(billing, creation).outcome is Outcome.UNKNOWN


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
    with pytest.raises(OutcomeUnknown) as caught:
        billing.customer("191212121212").create()
    assert "19121212" not in f"{caught.value} {caught.value!r} {caught.value.lost!r}"
