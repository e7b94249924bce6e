"""A POST with an unknown outcome: the look-up never returns ABSENT too early, and never returns another charge.

The tests use real, short times. They check one promise about time: the client returns ABSENT no earlier than `SETTLE`
seconds after it sent the POST. The client can keep this promise only if the backend writes within `SETTLE` seconds. On a
machine under load, a request can time out before the client has sent all of it, or the backend can read the request
seconds later. Then a wrong result is no defect of the client, and the test repeats the case.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import payex_billing as pb
import pytest

from tests.chaos.backend import (
    FIN,
    FOUR,
    RST,
    SILENCE,
    TRUNCATE,
    Answering,
    Backend,
    Fault,
    Reply,
    client,
    in_threads,
    json_reply,
    look_up_by_the_error,
    problem,
    raised,
    tried,
)

COMMIT, SETTLE = 0.6, 2.0
LIMIT = 60.0  # seconds after which a look-up that stays UNKNOWN is a failure
TURNS = 20  # the most attempts for a case whose request reaches the backend too late
CHARGE = pb.Charge(product_code="P01", quantity=1, unit_price=Decimal("499.00"))


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as running:
        yield running


def bare(status: int, *headers: str) -> Reply:
    return Reply(status, b"<html>gateway</html>", "text/html", headers)


LOSSES: dict[str, Answering] = {
    "rst": RST,
    "fin": FIN,
    "silence": SILENCE,
    "truncate": TRUNCATE,
    "500": bare(500),
    "500 problem": problem(500, "internal-server-error"),
    "502": bare(502),
    "503": bare(503),
    "503 Retry-After": bare(503, "Retry-After: 0"),
    "504": bare(504),
    "520": bare(520),
    "521": bare(521),
    "522": bare(522),
    "523": bare(523),
    "524": bare(524),
    "530": bare(530),
    "408": bare(408),
    "425": bare(425),
    "499": bare(499),
    "302": bare(302, "Location: /login"),
    "202": Reply(202, b"", None),
    "204": Reply(204, b"", None),
    "portal": Reply(200, b"<html>Please log in</html>", "text/html"),
}


@dataclass(frozen=True)
class Case:
    """One creation that the test loses. Each case has its own customer number, so all cases can run in parallel."""

    kind: str
    loss: str
    commit: float | None  # seconds until the write takes effect; None means never
    number: str

    def create(self, billing: Any) -> Any:
        """Create with a short timeout, which ends the wait for a silent server. The read before it has the usual one."""
        quick = billing.with_options(timeout=0.6)
        customer = quick.customer(self.number)
        if self.kind == "charge":
            known = [charge.id for charge in billing.customer(self.number).recurring_products.list()]
            return customer.recurring_products.create(CHARGE, known=known)
        return customer.create() if self.kind == "customer" else customer.subscription("T").create()

    def made(self, backend: Backend) -> list[str]:
        """Return the URIs of the resources that the backend really created."""
        suffix = {"charge": "/recurring-products/", "subscription": "/subscriptions/", "customer": ""}[self.kind]
        start = f"/{self.number}{suffix}"
        return [uri for kind, uri in backend.created if kind == self.kind and (start in uri or uri.endswith(start))]

    def is_in_time(self, backend: Backend, before: float) -> bool:
        """Return whether the backend handled the POST no later than `SETTLE` seconds after the time `before`."""
        arrived = [
            request.at
            for request in backend.sent("POST")
            if f"/{self.number}/" in request.target or f'"{self.number}"' in request.body.decode()
        ]
        return bool(arrived) and arrived[0] + (self.commit or 0.0) <= before + SETTLE


def cases(commit: float | None) -> list[Case]:
    """Return a case for every kind of creation and every loss."""
    return [
        Case(kind, loss, commit, f"{'never' if commit is None else 'late'}{kind[:2]}{number}x")
        for kind in ["charge", "subscription", "customer"]
        for number, loss in enumerate(LOSSES)
    ]


def follow_all(backend: Backend, cases: list[Case], follow: Callable[[Case], str | None]) -> None:
    """Follow all cases in parallel.

    If a result is wrong and the request reached the backend too late, repeat the case with another customer.
    """

    def judged(case: Case) -> object:
        for turn in range(TURNS):
            own = replace(case, number=f"{case.number}{turn}x")
            if own.kind != "customer":
                backend.holds(own.number)
            backend.on_customer(own.number, Fault(own.commit, LOSSES[own.loss]))
            before = time.monotonic()
            wrong = tried(lambda own=own: follow(own))
            if wrong is None or own.is_in_time(backend, before):
                return wrong
        return f"in {TURNS} attempts no request reached the backend in time; the last result: {wrong}"

    all_good(in_threads([lambda case=case: judged(case) for case in cases], at_most=200), cases)


def lost(billing: Any, create: Callable[[Any], Any]) -> tuple[Any, float]:
    """Lose a creation. Return the error and the time before the call. Retry if the request was never sent."""
    # On a slow machine, the short timeout may expire before the client sends the request; the loop then tries again.
    for _ in range(100):
        before = time.monotonic()
        error = raised(lambda: create(billing))
        if not isinstance(error, pb.NeverSent):
            assert isinstance(error, pb.OutcomeUnknown), repr(error)
            return error, before
    raise AssertionError("never sent, a hundred times")


def look(billing: Any, lost_creation: Any, settle: float) -> Any:
    """Repeat the look-up until the outcome is known or LIMIT has passed."""
    end = time.monotonic() + LIMIT
    while True:
        result = billing.look_up(lost_creation, settle=settle)
        if result.outcome is not pb.Outcome.UNKNOWN or time.monotonic() > end:
            return result
        time.sleep(0.2)


def all_good(results: list[Any], cases: list[Any]) -> None:
    wrong = [f"{case}: {result}" for case, result in zip(cases, results, strict=True) if result is not None]
    assert not wrong, "\n".join(wrong)


# Look-ups while the backend still works on the request


@FOUR
def test_what_is_written_late_is_never_called_absent_and_is_found_in_the_end(
    backend: Backend, engine_name: str, facade: str
) -> None:
    with client(engine_name, facade, backend) as billing:

        def follow(case: Case) -> str | None:
            error, _ = lost(billing, case.create)
            first = look_up_by_the_error(billing, error, settle=SETTLE)
            result = look(billing, error.lost, SETTLE)
            made = case.made(backend)
            if pb.Outcome.ABSENT in {first.outcome, result.outcome}:
                return f"called absent ({first.outcome.name}, {result.outcome.name}), and is there: {made}"
            if len(made) != 1 or result.outcome is not pb.Outcome.CREATED or result.resource.uri != made[0]:
                return f"{result}, and there is {made}"
            return None

        follow_all(backend, cases(COMMIT), follow)


@FOUR
def test_what_is_never_written_is_called_absent_once_settle_has_passed_and_not_before(
    backend: Backend, engine_name: str, facade: str
) -> None:
    settle = 1.0
    with client(engine_name, facade, backend) as billing:

        def follow(case: Case) -> str | None:
            error, before = lost(billing, case.create)
            result = look(billing, error.lost, settle)
            passed = time.monotonic() - before
            if result.outcome is not pb.Outcome.ABSENT:
                return repr(result)
            return None if passed >= settle else f"absent after {passed:.3f} s"

        follow_all(backend, cases(None), follow)


@FOUR
def test_a_caller_that_creates_again_only_when_absent_never_doubles(
    backend: Backend, engine_name: str, facade: str
) -> None:
    with client(engine_name, facade, backend) as billing:

        def follow(case: Case) -> str | None:
            absent = True
            while absent:
                try:
                    case.create(billing)
                    break
                except pb.NeverSent:
                    continue
                except pb.OutcomeUnknown as error:
                    absent = look(billing, error.lost, SETTLE).outcome is pb.Outcome.ABSENT
            backend.wait_until_idle()
            made = case.made(backend)
            return None if len(made) == 1 else f"there are {made}"

        follow_all(backend, [*cases(COMMIT), *cases(None)], follow)


# Look-ups that do not get enough information and must return UNKNOWN


LISTS: dict[str, Answering] = {
    "500": bare(500),
    "502": bare(502),
    "bare 404": bare(404),
    "410": bare(410),
    "401": problem(401, "unauthorized"),
    "403": problem(403, "forbidden"),
    "429": problem(429, "too-many-requests", "Retry-After: 3600"),
    "302": bare(302, "Location: /login"),
    "204": Reply(204, b"", None),
    "empty": Reply(200, b""),
    "html": Reply(200, b"<html>Please log in</html>", "text/html"),
    "{}": json_reply(200, {}),
    "[]": json_reply(200, []),
    "null": json_reply(200, None),
    "items null": json_reply(200, {"items": None, "navigation": {"@id": "x"}}),
    "items object": json_reply(200, {"items": {}, "navigation": {"@id": "x"}}),
    "items false": json_reply(200, {"items": False, "navigation": {"@id": "x"}}),
    "items of null": json_reply(200, {"items": [None], "navigation": {"@id": "x"}}),
    "unsafe next": lambda _, honest: honest.changed(items=[], navigation={"@id": "x", "next": "//evil.example/x"}),
    "next is a number": lambda _, honest: honest.changed(items=[], navigation={"@id": "x", "next": 5}),
    "next to itself": lambda request, honest: honest.changed(
        items=[], navigation={"@id": request.target, "next": request.target}
    ),
    "list of another customer": lambda request, _: json_reply(
        200, {"items": [], "navigation": {"@id": request.target.replace("/A/", "/B/")}}
    ),
    "rst": RST,
    "truncate": TRUNCATE,
}


@FOUR
def test_a_list_that_cannot_be_read_never_makes_a_charge_absent(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.holds("A", "B")
    backend.on("POST", Fault(0.0, RST))
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[]))
        # One attempt only: four attempts for each list would also be correct, but slow.
        impatient = billing.with_options(attempts=1, deadline=20)
        wrong = []
        for name, reply in LISTS.items():
            backend.forget_rules()
            backend.on("GET", Fault(reply=reply), path="recurring-products", times=math.inf)
            try:
                result = impatient.look_up(error.lost, settle=0)
            except Exception as failure:
                wrong.append(f"{name}: raised {failure!r}")
                continue
            if result.outcome is not pb.Outcome.UNKNOWN:
                wrong.append(f"{name}: {result}")
        assert not wrong, "\n".join(wrong)
        backend.forget_rules()
        assert impatient.look_up(error.lost, settle=0).outcome is pb.Outcome.CREATED


@FOUR
@pytest.mark.parametrize("settle", [math.nan, None, "x", "60"])
def test_a_settle_that_is_no_number_of_seconds_never_makes_a_charge_absent(
    backend: Backend, engine_name: str, facade: str, settle: Any
) -> None:
    backend.holds("A")
    backend.on("POST", Fault(None, RST))
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[]))
        with suppress(pb.BillingError, TypeError):
            assert billing.look_up(error.lost, settle=settle).outcome is pb.Outcome.UNKNOWN


@FOUR
def test_an_endless_settle_stays_unknown(backend: Backend, engine_name: str, facade: str) -> None:
    backend.holds("A")
    backend.on("POST", Fault(None, RST))
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known=[]))
        assert billing.look_up(error.lost, settle=math.inf).outcome is pb.Outcome.UNKNOWN


@FOUR
@pytest.mark.parametrize("other", [{"owner_no": "5678"}, {"subdomain": "other"}], ids=["ledger", "subdomain"])
def test_a_client_of_another_ledger_never_says_absent(
    backend: Backend, engine_name: str, facade: str, other: dict[str, str]
) -> None:
    backend.on("POST", Fault(0.0, RST))
    with client(engine_name, facade, backend) as billing, client(engine_name, facade, backend, **other) as stranger:
        error = raised(billing.customer("N").create)
        with suppress(pb.BillingError):
            assert stranger.look_up(error.lost, settle=0).outcome is pb.Outcome.UNKNOWN


# A server that stores other values than the client sent


REWRITES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "trims the text": lambda charge: {**charge, "text": "Mobile"},
    "upper case text": lambda charge: {**charge, "text": charge["text"].upper()},
    "rounds the price": lambda charge: {**charge, "unitPrice": Decimal("499.01")},
    "moves the start": lambda charge: {**charge, "startDate": "2026-02-01"},
    "upper case code": lambda charge: {**charge, "productCode": charge["productCode"].upper()},
    "caps the quantity": lambda charge: {**charge, "quantity": 1},
    "drops the text": lambda charge: {**charge, "text": None},
}


@FOUR
@pytest.mark.parametrize("loss", [None, RST], ids=["answered", "lost"])
def test_a_server_that_rewrites_what_it_is_sent_is_never_billed_twice(
    backend: Backend, engine_name: str, facade: str, loss: str | None
) -> None:
    # The charge exists, but with other values. A look-up that only compares the content finds nothing and returns
    # ABSENT. A caller that follows the rule then creates one more charge in every round.
    charge = pb.Charge(product_code="p01", quantity=2, unit_price=Decimal("499.005"), text=" Mobile ")
    cases = [(name, f"R{number}") for number, name in enumerate(REWRITES)]
    with client(engine_name, facade, backend) as billing:

        def follow(name: str, number: str) -> str | None:
            backend.holds(number)
            charges = billing.customer(number).recurring_products
            for _ in range(3):
                try:
                    charges.create(charge, known="read")
                    break
                except pb.OutcomeUnknown as error:
                    if billing.look_up(error.lost, settle=0).outcome is not pb.Outcome.ABSENT:
                        break
            made = backend.count("charge", f"/{number}/")
            return None if made == 1 else f"{made} charges"

        backend.rewrite = {number: REWRITES[name] for name, number in cases}
        backend.on("POST", Fault(reply=loss), path="recurring-products", times=math.inf)
        all_good(in_threads([lambda case=case: follow(*case) for case in cases]), cases)


@FOUR
def test_a_charge_is_found_although_the_server_drops_what_it_does_not_know(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.holds("A")
    backend.rewrite = {"A": lambda charge: {key: value for key, value in charge.items() if key != "costCentre"}}
    backend.on("POST", Fault(reply=RST))
    charge = pb.Charge(product_code="P01", quantity=1, extra={"costCentre": "7"})
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(charge, known=[]))
        assert billing.look_up(error.lost, settle=0).outcome is not pb.Outcome.ABSENT


@FOUR
def test_a_charge_that_another_program_changes_before_the_look_up_is_not_absent(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.holds("A")
    backend.on("POST", Fault(reply=RST))
    with client(engine_name, facade, backend) as billing:
        error = raised(lambda: billing.customer("A").recurring_products.create(CHARGE, known="read"))
        [charge] = backend.parent("A").charges.values()
        charge["endDate"] = "2026-12-31"
        assert billing.look_up(error.lost, settle=0).outcome is not pb.Outcome.ABSENT


@FOUR
def test_values_of_the_master_product_do_not_make_the_look_up_inexact(
    backend: Backend, engine_name: str, facade: str
) -> None:
    backend.holds("A")
    backend.master = {"quantity": 1, "unitPrice": Decimal("100.00"), "vatRate": Decimal(25), "text": "Master"}
    backend.on("POST", Fault(reply=RST))
    with client(engine_name, facade, backend) as billing:
        charge = pb.Charge(product_code="P01")
        error = raised(lambda: billing.customer("A").recurring_products.create(charge, known="read"))
        result = billing.look_up(error.lost, settle=0)
        assert result.outcome is pb.Outcome.CREATED
        assert [result.resource.id] == list(backend.charges("A"))
