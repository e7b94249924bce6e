"""Bugs planted in the policy, the journal and the leases. The exploration must find each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs
from payex_billing._creation import look_up
from payex_billing._evidence import Phase
from payex_billing._policy import policy
from payex_billing._sync.routes import RecurringProductsHandle
from payex_billing._sync.runner import Runner
from payex_billing._transport import Response
from payex_billing.models import LookUpResult, Outcome
from payex_billing.reconcile import _apply
from payex_billing.reconcile._apply import Applier
from payex_billing.reconcile._journal import Journal
from payex_billing.reconcile._pool import Later
from payex_billing.reconcile._postgres import PostgresStore
from payex_billing.reconcile._records import Intent, Result
from payex_billing.reconcile._single import _Hold
from payex_billing.reconcile._store import LeaseLost

from . import process


@attrs.frozen
class Bug:
    """A planted bug.

    Attributes:
        meaning: what the package does wrong.
        scenario: the name of the scenario that shows it.
        target: what has the function that is replaced.
        name: the function.
        make: makes the wrong function of the right one.
        faults: how many faults a schedule needs.
    """

    meaning: str
    scenario: str
    target: Any
    name: str
    make: Callable[[Any], Any]
    faults: int = 1

    @property
    def is_quick(self) -> bool:
        """Whether it is found in about a second."""
        return self.faults < 2 and self.target is not PostgresStore

    @contextmanager
    def planted(self) -> Iterator[None]:
        """Plant the bug for a block."""
        owner = self.target
        if isinstance(owner, type):  # the method may be that of a base class
            owner = next(kind for kind in owner.__mro__ if self.name in kind.__dict__)
        right = owner.__dict__[self.name]
        setattr(owner, self.name, self.make(right))
        try:
            yield
        finally:
            setattr(owner, self.name, right)


def _fenced(change: Callable[[str, list[Any]], tuple[str, list[Any]]]) -> Callable[[Any], Any]:
    def make(right: Any) -> Any:
        def fenced(self: PostgresStore, *arguments: Any, **options: Any) -> Any:
            query, values = right(self, *arguments, **options)
            return change(query, list(values))

        return fenced

    return make


def _without_token(query: str, values: list[Any]) -> tuple[str, list[Any]]:
    place = query[: query.index("AND token = ?")].count("?")
    return query.replace("AND token = ? ", "", 1), values[:place] + values[place + 1 :]


def _without_fence(right: Any) -> Any:
    return lambda _self, statement, *_, **__: (statement[0].format(held=""), statement[1])


def _sends_first(right: Any) -> Any:
    async def step(self: Applier, position: int, step: Any, known: set[str], work: Any, _: Any) -> None:
        products = self._creating.customer(step.customer_no).recurring_products
        charge = await products.create(step.charge.to_charge(), known=known)
        self._journal.settle(self._journal.intend(position, step, known), Result.DONE, charge.id)
        known.add(charge.id)
        work.wrote(position)

    return step


def _lost_is_absent(right: Any) -> Any:
    async def after_loss(self: Applier, intent: int, *_: Any) -> None:
        self._journal.settle(intent, Result.ABSENT)
        raise Later(0.0)

    return after_loss


def _refuses(what: Callable[[Any], bool]) -> Callable[[Any], Any]:
    return lambda right: lambda self, reply: what(reply) or right(self, reply)


def _open_is_repeated(right: Any) -> Any:
    async def decide(self: Applier, intent: int, *_: Any) -> None:
        self._journal.settle(intent, Result.REPEATED)

    return decide


def _unfenced_adoption(right: Any) -> Any:
    return lambda self, customer_no, intent, charge: self.settle(intent, Result.CREATED, charge)


def _swallows_lost_lease(right: Any) -> Any:
    def stamp(self: Journal, *arguments: Any) -> None:
        try:
            right(self, *arguments)
        except LeaseLost:
            return

    return stamp


def _statements(change: Callable[[str], str]) -> Callable[[Any], Any]:
    def make(right: Any) -> Any:
        def run(self: PostgresStore, statements: Any, **options: Any) -> Any:
            return right(self, [(change(query), values) for query, values in statements], **options)

        return run

    return make


def _of_this_run(query: str, values: tuple[object, ...]) -> tuple[str, tuple[object, ...]]:
    return query.replace("(run = ? OR result IS NULL OR lost IS NOT NULL)", "run = ?"), values


BUGS: Final = (
    Bug("the fence does not look at the number of the lease", "rare event", PostgresStore, "fenced", _fenced(_without_token)),
    Bug("nothing is fenced", "rare event", PostgresStore, "fenced", _without_fence),
    Bug("the number of a lease does not grow", "rare event", PostgresStore, "run_each",
        _statements(lambda query: query.replace("nextval('token')", "7"))),
    Bug("a lost lease does not stop an attempt", "long", Journal, "stamp", _swallows_lost_lease),
    Bug("settle is ignored", "workers", look_up, "_absence",
        lambda _: lambda *_: LookUpResult(outcome=Outcome.ABSENT, reason="")),
    Bug("the time of the process in place of that of the database", "workers", PostgresStore, "now",
        lambda _: lambda _self: process.time.time()),
    Bug("the clocks are taken for equal", "workers", PostgresStore, "ahead", lambda _: lambda _self: 0.0),
    Bug("settle counts from the note, not from the latest sending", "slow", Journal, "lost",
        lambda right: lambda self, intent: right(self, attrs.evolve(intent, sent=intent.noted)), 2),
    Bug("the intent is noted after sending", "workers", Applier, "_step", _sends_first),
    Bug("`known` is forgotten", "equal", Journal, "intent",
        lambda right: lambda self, position, step, known: right(self, position, step, ())),
    Bug("a lost creation is settled as absent", "workers", Applier, "_after_loss", _lost_is_absent),
    Bug("an open creation is settled without a look-up", "workers", Applier, "_decide", _open_is_repeated),
    Bug("a 502 for a POST counts as refused", "gateway", policy._Run, "did_nothing",
        _refuses(lambda reply: isinstance(reply, Response) and reply.status == 502)),
    Bug("a lost response counts as never sent", "workers", policy._Run, "did_nothing",
        _refuses(lambda reply: getattr(reply, "phase", None) is Phase.ANSWER_LOST)),
    Bug("open creations of other runs are not looked up", "rare event", Journal, "_of_customers",
        lambda right: lambda self, customers: _of_this_run(*right(self, customers))),
    Bug("a single write does not look up open creations", "rare event", Runner, "_undecided",
        lambda _: lambda *_: ""),
    Bug("a single write does not take the lease", "rare event", RecurringProductsHandle, "ensure",
        lambda right: lambda self, charge, *, settle, journal: right(self, charge, settle=settle), 0),
    Bug("the lost response to a single write counts as a refusal", "rare event", _Hold, "lose",
        lambda _: lambda self, _sent_at: self.refused(), 2),
    Bug("a refused creation counts as written", "workers", Intent, "is_written",
        lambda _: property(lambda self: self.result in {Result.DONE, Result.CREATED, Result.REFUSED})),
    Bug("a change by others is ignored", "rare event", _apply, "progress",
        lambda right: lambda *arguments: attrs.evolve(right(*arguments), changed=False), 0),
    Bug("a refused creation adopts the charge of another write", "rare event", Journal, "claimed",
        lambda _: lambda *_: ()),
    Bug("a decided write is decided again", "workers", PostgresStore, "run_each",
        _statements(lambda query: query.replace(" AND (result IS NULL OR result = 'repeated')", "")), 2),
)  # fmt: skip
