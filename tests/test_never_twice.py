"""No charge twice, none missing that was reported created, none existing that was reported absent.

A Hypothesis state machine runs the wrapper against the mock over a socket, under random faults, and compares what the
mock holds with what the wrapper said. `make nightly` runs 2,000 schedules, `make test` 100.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from contextlib import ExitStack, suppress
from typing import Any, ClassVar

import attrs
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from payex_billing import (
    AnswerLost,
    BillingError,
    Charge,
    NotFound,
    Outcome,
    OutcomeUnknown,
    RecurringProduct,
)
from payex_billing._limits import RetryBudget
from payex_billing_mock import Faults, MockServer

from tests.support import LEDGER, TOKEN, Blocking, open_client

SCHEDULES = 1_000 if os.environ.get("NIGHTLY") else 50
NUMBERS = itertools.count(1)
# Two contents only, so that equal charges are the rule.
CHARGES = [Charge(product_code="P01", quantity=1), Charge(product_code="P01", quantity=2, text="x")]

FAULTS = st.lists(
    st.sampled_from(
        [
            "lose-answer", "reset-before", "reset-after", "truncate", "stall=1", "latency=0.15", "401", "429", "429=0",
            "429=40", "503", "503=0", "500", "500-after", "502", "502-after", "504-after", "520", "520-after",
        ]
    ).flatmap(lambda kind: st.sampled_from([kind, f"{kind}:POST", f"{kind}:GET", f"{kind}:DELETE"])),
    max_size=3,
)  # fmt: skip


class Schedule(RuleBasedStateMachine):
    """One customer per schedule, charges on two levels, and a model that counts what was reported."""

    server: ClassVar[MockServer]
    facade: ClassVar[str]
    created = Bundle("created")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        client = self.stack.enter_context(
            open_client(self.facade, token=TOKEN, owner_no=LEDGER, base_url=self.server.url)
        )
        inner = client._target if isinstance(client, Blocking) else client
        # No waiting: jitter is nothing, and a stalled answer is given up soon.
        inner._environment = attrs.evolve(inner._environment, random=lambda: 0.0)
        inner._budget = RetryBudget(capacity=1_000)
        self.calm = client  # for what must succeed, however busy the machine is
        self.billing = client.with_options(timeout=0.1)
        self.certain: Counter[tuple[str, Charge]] = Counter()
        self.uncertain: Counter[tuple[str, Charge]] = Counter()
        self.ids: set[str] = set()
        self.number = str(next(NUMBERS))

    def teardown(self) -> None:
        self.server.faults.clear()
        self.stack.close()

    @initialize(faults=FAULTS)
    def parents(self, faults: list[str]) -> None:
        customer, calm = self.billing.customer(self.number), self.calm.customer(self.number)
        self.server.faults.queue(*faults)
        for ensure, again in (
            (customer.ensure, calm.ensure),
            (customer.subscription("s").ensure, calm.subscription("s").ensure),
        ):
            try:
                ensure()
            except BillingError:
                self.server.faults.clear()
                again()  # without faults it must succeed, whatever happened before
        self.server.faults.clear()

    def charges(self, level: str, *, calm: bool = False) -> Any:
        customer = (self.calm if calm else self.billing).customer(self.number)
        return customer.recurring_products if level == "" else customer.subscription("s").recurring_products

    @rule(
        target=created,
        level=st.sampled_from(["", "s"]),
        charge=st.sampled_from(CHARGES),
        faults=FAULTS,
        known=st.booleans(),
    )
    def create(self, level: str, charge: Charge, faults: list[str], known: bool) -> Any:
        charges = self.charges(level)
        ids = [each.id for each in self.charges(level, calm=True).list()] if known else None
        self.server.faults.queue(*faults)
        product: RecurringProduct | None = None
        try:
            product = charges.create(charge, known=ids)
        except OutcomeUnknown as error:
            found = self.billing.look_up(error.lost)
            if found.outcome is Outcome.UNKNOWN:
                self.server.faults.clear()
                found = self.calm.look_up(error.lost)
            if found.outcome is Outcome.CREATED:
                assert isinstance(found.resource, RecurringProduct)
                product = found.resource
            elif found.outcome is Outcome.UNKNOWN:
                self.uncertain[level, charge] += 1
        except BillingError:
            pass  # every other error says that nothing was created
        self.server.faults.clear()
        if product is None:
            return None
        assert product.has_content_of(charge)
        assert product.id not in self.ids, "one charge was reported as two"
        self.ids.add(product.id)
        self.certain[level, charge] += 1
        return level, charge, product

    @rule(item=consumes(created), faults=FAULTS)
    def delete(self, item: Any, faults: list[str]) -> None:
        if item is None:
            return
        level, charge, product = item
        self.server.faults.queue(*faults)
        try:
            self.charges(level).delete(product.id)
        except AnswerLost:
            self.server.faults.clear()
            with suppress(NotFound):
                self.charges(level, calm=True).delete(product.id)  # repeatable: it is gone, or goes now
        except BillingError as error:
            self.server.faults.clear()
            if len(error.attempts) == 1 and product.id in self.server.store.charges(LEDGER, self.number, level):
                return  # refused, and still there
            with suppress(NotFound):  # an earlier attempt may have taken effect, or may be about to
                self.charges(level, calm=True).delete(product.id)
        self.server.faults.clear()
        assert product.id not in self.server.store.charges(LEDGER, self.number, level)
        self.certain[level, charge] -= 1

    @rule(item=created, text=st.sampled_from(["a", "b"]), faults=FAULTS)
    def change_and_change_back(self, item: Any, text: str, faults: list[str]) -> None:
        if item is None or item[2].id not in self.server.store.charges(LEDGER, self.number, item[0]):
            return
        level, charge, product = item
        self.server.faults.queue(*faults)
        with suppress(BillingError):
            assert self.charges(level).update(product.id, text=text).text == text
        self.server.faults.clear()
        back = self.charges(level, calm=True).update(product.id, text=charge.text)
        assert back.has_content_of(charge)

    @invariant()
    def what_is_held_is_what_was_reported(self) -> None:
        if not self.ids and not self.uncertain:
            return
        for level, charge in itertools.product(["", "s"], CHARGES):
            documents = [each.document for each in self.server.store.charges(LEDGER, self.number, level).values()]
            held = sum(document["quantity"] == charge.quantity for document in documents)
            certain = self.certain[level, charge]
            assert certain <= held <= certain + self.uncertain[level, charge]


def run(facade: str, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults()) as server:
        machine = type("Machine", (Schedule,), {"server": server, "facade": facade})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=SCHEDULES,
                stateful_step_count=12,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=phases,
            ),
        )


@pytest.mark.parametrize("facade", ["sync", "async"])
def test_under_any_schedule_of_faults_what_is_held_is_what_was_reported(facade: str) -> None:
    run(facade)


def test_the_machine_finds_a_client_that_bills_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check can fail: a client that sends a lost POST again is caught."""
    from payex_billing._calls import PreparedRequest

    monkeypatch.setattr(PreparedRequest, "repeatable", property(lambda _self: True))
    with pytest.raises(AssertionError):
        run("sync", phases=(Phase.generate,))
