"""No charge is doubled, none that was reported as created is missing, and none that was reported as absent exists.

A Hypothesis state machine runs the wrapper against the mock over a socket, under random faults, and compares the charges
of the mock with the reports of the wrapper. The faults include late commits, stale responses and dripping heads.
`make nightly` runs 2,000 schedules on each engine, `make test` 60.
"""

from __future__ import annotations

import itertools
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import attrs
import payex_billing as pb
import pytest
import trustme
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
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
from payex_billing._policy.limits import RetryBudget
from payex_billing_mock import Faults, MockServer, Tls

from tests.support import LEDGER, NIGHTLY, TOKEN, Blocking, open_client, wait_until_all_is_read

SCHEDULES = 1_000 if NIGHTLY else 15
NUMBERS = itertools.count(1)
# Two contents only, so that equal charges are the rule.
CHARGES = [Charge(product_code="P01", quantity=1), Charge(product_code="P01", quantity=2, text="x")]

LATE = 0.15  # seconds until a late commit takes effect
FAULTS = st.lists(
    st.sampled_from(
        [
            f"late-commit={LATE},reset", f"late-commit={LATE},502", f"late-commit={LATE},close", "drip=30",
            "stale-response=201", "stale-response=400", "stale-response=401", "stale-response=429",
            "stale-response=503", "lose-answer", "reset-before", "reset-after", "truncate", "stall=1", "401", "429", "429=0",
            "429=40", "503", "503=0", "500", "500-after", "502", "502-after", "504-after", "520", "520-after",
        ]
    ).flatmap(lambda kind: st.sampled_from([kind, f"{kind}:POST", f"{kind}:GET", f"{kind}:DELETE"])),
    max_size=3,
)  # fmt: skip


class Schedule(RuleBasedStateMachine):
    """One customer per schedule, charges on two levels, and a model that counts what was reported."""

    server: ClassVar[MockServer]
    facade: ClassVar[str]
    ca_file: ClassVar[str | None]
    failures: ClassVar[list[BaseException]]
    created = Bundle("created")

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        options = {"token": TOKEN, "owner_no": LEDGER, "base_url": self.server.url, "ca_file": self.ca_file}
        client = self.stack.enter_context(open_client(self.facade, **options))
        inner = client._target if isinstance(client, Blocking) else client
        # No waiting: jitter is nothing, and a stalled answer is given up soon.
        session = inner._runner.session
        session.environment = attrs.evolve(session.environment, random=lambda: 0.0)
        session.budget = RetryBudget(capacity=1_000)
        self.sender = inner._runner.sender
        self.calm = client  # for calls that must succeed, however busy the machine is
        # With wait_on_writes a stale 429 or 503 would make the client send a POST twice.
        self.billing = client.with_options(timeout=0.1, wait_on_writes=True)
        self.certain: Counter[tuple[str, Charge]] = Counter()
        self.uncertain: Counter[tuple[str, Charge]] = Counter()
        self.ids: set[str] = set()
        self.number = str(next(NUMBERS))

    def teardown(self) -> None:
        error = sys.exception()
        if isinstance(error, AssertionError | BillingError):
            self.failures.append(error)
        self.server.faults.clear()
        self.stack.close()

    def wait_for_everything_sent(self) -> None:
        """Wait until the server has handled all requests. A look-up may then use settle=0."""
        wait_until_all_is_read(self.server.port)
        self.server.wait_for_late_writes()

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
                self.wait_for_everything_sent()
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
        if self.ca_file is not None:  # as if this were the first request of the client
            parts = urlsplit(self.server.url)
            self.sender._suspect = (parts.hostname, parts.port)
        self.server.faults.queue(*faults)
        product: RecurringProduct | None = None
        try:
            product = charges.create(charge, known=ids)
        except OutcomeUnknown as error:
            found = self.billing.look_up(error.lost)
            assert found.outcome is not Outcome.ABSENT, "absent was said before the request had settled"
            if found.outcome is Outcome.UNKNOWN:
                self.server.faults.clear()
                self.wait_for_everything_sent()
                found = self.calm.look_up(error.lost, settle=0.0)
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
            self.wait_for_everything_sent()
            with suppress(NotFound):  # an earlier attempt may have taken effect, or may be about to
                self.charges(level, calm=True).delete(product.id)
        self.server.faults.clear()
        self.wait_for_everything_sent()
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
        self.wait_for_everything_sent()
        back = self.charges(level, calm=True).update(product.id, text=charge.text)
        assert back.has_content_of(charge)

    @invariant()
    def what_is_held_is_what_was_reported(self) -> None:
        self.wait_for_everything_sent()
        if not self.ids and not self.uncertain:
            return
        for level, charge in itertools.product(["", "s"], CHARGES):
            documents = [each.document for each in self.server.store.charges(LEDGER, self.number, level).values()]
            held = sum(document["quantity"] == charge.quantity for document in documents)
            certain = self.certain[level, charge]
            assert certain <= held <= certain + self.uncertain[level, charge]


def run(
    facade: str,
    phases: tuple[Phase, ...] = tuple(Phase),
    tls: Tls | None = None,
    ca: str | None = None,
    failures: list[BaseException] | None = None,
) -> None:
    with MockServer({LEDGER: TOKEN}, faults=Faults(), tls=tls) as server:
        failures = [] if failures is None else failures
        machine = type(
            "Machine", (Schedule,), {"server": server, "facade": facade, "ca_file": ca, "failures": failures}
        )
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=SCHEDULES,
                stateful_step_count=12,
                deadline=None,
                report_multiple_bugs=False,
                suppress_health_check=list(HealthCheck),
                phases=phases,
            ),
        )


@pytest.mark.parametrize("facade", ["sync", "async"])
def test_under_any_schedule_of_faults_what_is_held_is_what_was_reported(facade: str) -> None:
    run(facade)


# The check can fail: each of these clients is caught.


def first_failure(tls: Tls | None = None, ca: str | None = None) -> BaseException | None:
    """Return the first failure that the machine finds. Sockets are not deterministic, so a second run can differ."""
    failures: list[BaseException] = []
    with suppress(AssertionError, BillingError, Flaky):
        run("sync", phases=(Phase.generate,), tls=tls, ca=ca, failures=failures)
    return next(iter(failures), None)


def test_the_machine_finds_a_client_that_retries_a_lost_post(monkeypatch: pytest.MonkeyPatch) -> None:
    from payex_billing._requests.calls import PreparedRequest

    monkeypatch.setattr(PreparedRequest, "repeatable", property(lambda _self: True))
    assert isinstance(first_failure(), AssertionError)


def test_the_machine_finds_a_client_that_takes_left_over_bytes_for_a_response(
    monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    if engine == "reqwest":
        pytest.skip("hyper closes such a connection by itself")
    from payex_billing._transport import _httpx2

    monkeypatch.setattr(_httpx2, "left_over", lambda _connection: False)
    assert first_failure() is not None  # an AssertionError, or a stale response has failed a read that must succeed


def test_the_machine_finds_a_client_that_trusts_a_second_look_at_the_certificate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from payex_billing._transport import _sender

    authority = trustme.CA()
    ca, own = str(tmp_path / "ca.pem"), str(tmp_path / "own.pem")
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(own)

    def explained(_self: object, _failure: object) -> _sender.Failure:
        return _sender.Failure(pb.Phase.NEVER_SENT, "the second connection was refused", certificate=True)

    monkeypatch.setattr(_sender._Guard, "_explained", explained)
    assert isinstance(first_failure(Tls(own, own), ca), AssertionError)


def test_the_machine_finds_a_client_that_says_absent_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    from payex_billing._creation import look_up as _look_up

    absent = pb.LookUpResult(outcome=Outcome.ABSENT, reason="it is not there")
    monkeypatch.setattr(_look_up, "_absence", lambda *_: absent)
    assert "settled" in str(first_failure())
